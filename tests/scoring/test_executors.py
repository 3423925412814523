"""How many tasks run at once, and that each gets its own units and no other's."""

from types import SimpleNamespace

import pyarrow as pa
import pytest
from pyspark.sql import functions as sf
from pyspark.sql.pandas.types import to_arrow_schema

from detector.scoring.executors import count_slots, deal_out
from detector.scoring.units import UNIT


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


@pytest.mark.spark
@pytest.mark.parametrize("count", [1, 2, 3, 8, 61])
def test_every_task_is_one_partition(spark, count):
    """No partition holds two tasks while another is empty."""
    row = dict.fromkeys(UNIT.names) | {"media_uri": "/a"}
    tasks = [
        pa.Table.from_pylist(
            [row | {"score_id": f"{task}-{unit}"} for unit in range(task + 1)], to_arrow_schema(UNIT)
        )
        for task in range(count)
    ]
    rows = deal_out(spark, tasks).select(sf.spark_partition_id(), "units.score_id").collect()
    assert sorted(partition for partition, _ in rows) == list(range(count))
    assert sorted(names for _, names in rows) == sorted(task["score_id"].to_pylist() for task in tasks)
