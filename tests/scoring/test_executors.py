"""How many tasks run at once, from what Spark says of cores and GPUs."""

from types import SimpleNamespace

import pytest

from detector.scoring.executors import count_slots


@pytest.mark.parametrize(
    ("cores", "conf", "slots"),
    [
        (2, {}, 2),
        (16, {"spark.task.cpus": "4"}, 4),
        (32, {"spark.task.resource.gpu.amount": "1", "spark.executor.cores": "16"}, 2),
        (
            32,
            {
                "spark.task.resource.gpu.amount": "0.5",
                "spark.executor.cores": "16",
                "spark.executor.resource.gpu.amount": "4",
            },
            16,
        ),
    ],
)
def test_slots(cores, conf, slots):
    """Cores by default, cores by task.cpus, GPUs where a task needs one, shares of a GPU."""
    context = SimpleNamespace(defaultParallelism=cores)
    assert count_slots(SimpleNamespace(sparkContext=context, conf=conf)) == slots
