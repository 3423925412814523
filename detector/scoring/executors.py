"""How work gets to the executors and results come back as a DataFrame.

Owns the broadcast of the model and the Spark plan of the scoring stage: a row is a task, so that the
tasks are cut by this project and not by a hash.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as t
from pyspark.sql.pandas.types import to_arrow_schema

from detector.media.filesystem import FileAccess
from detector.models.package import pack_model
from detector.models.registry import is_registered
from detector.scoring.scorer import Scorer
from detector.scoring.units import RESULT, UNIT
from detector.scoring.worker import Worker, build_worker
from detector.settings import MediaSettings, RunSettings

_TASK = t.StructType([t.StructField("task", t.IntegerType()), t.StructField("units", t.ArrayType(UNIT))])


def create_worker(
    spark: SparkSession, scorer: Scorer, access: FileAccess, *, media: MediaSettings, run: RunSettings
) -> Worker:
    """Make a worker that the executors can be sent, and broadcast its model unless that is too large.

    A model of the registry is broadcast whatever its size: executors never ask the registry.
    """
    broadcast = None
    if scorer.size_bytes <= scorer.settings.broadcast_max_bytes or is_registered(scorer.settings.uri):
        broadcast = spark.sparkContext.broadcast(pack_model(scorer.path))
    return build_worker(
        scorer,
        access,
        media,
        run,
        archive=broadcast,
        model_uri=scorer.settings.uri,
        gpu_task_cores=_count_gpu_task_cores(spark),
    )


def score_on_executors(spark: SparkSession, worker: Worker, tasks: Sequence[pa.Table]) -> DataFrame:
    """Score the units of ``tasks`` (Arrow tables of ``UNIT``), each in one Spark task; rows of ``RESULT``.

    No action runs.
    """
    schema = to_arrow_schema(RESULT)

    def score(batches: Iterable[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        yield from worker.score(batches, schema)

    return deal_out(spark, tasks).mapInArrow(score, RESULT)


def deal_out(spark: SparkSession, tasks: Sequence[pa.Table]) -> DataFrame:
    """Give a DataFrame of one partition a task, each of one row: the array ``units`` of ``UNIT`` structs.

    No action runs.
    """
    units = pa.concat_tables(tasks).to_struct_array().combine_chunks()
    offsets = np.concatenate([[0], np.cumsum([task.num_rows for task in tasks])]).astype(np.int32)
    numbers = pa.array(np.arange(len(tasks), dtype=np.int32))
    rows = pa.table({"task": numbers, "units": pa.ListArray.from_arrays(pa.array(offsets), units)})
    # As many ranges as keys: one row each. Round robin would begin at a random place in every input
    # partition, so that a partition gets two rows and another none; the optimizer drops a coalesce before it.
    return spark.createDataFrame(rows, schema=_TASK).repartitionByRange(len(tasks), "task").select("units")


def count_slots(spark: SparkSession) -> int:
    """Count the tasks that can run at once, as far as Spark tells: by GPUs where tasks need one."""
    cores = spark.sparkContext.defaultParallelism
    gpus_per_task = float(spark.conf.get("spark.task.resource.gpu.amount", "0") or 0)
    if gpus_per_task:
        executors = cores // int(spark.conf.get("spark.executor.cores", "1") or 1)
        gpus = executors * int(spark.conf.get("spark.executor.resource.gpu.amount", "1") or 1)
        return max(1, int(gpus / gpus_per_task))
    return max(1, cores // int(spark.conf.get("spark.task.cpus", "1") or 1))


def _count_gpu_task_cores(spark: SparkSession) -> int:
    # An executor's cores are shared by its GPUs; 0 where Spark does not say how many it has.
    cores = int(spark.conf.get("spark.executor.cores", "0") or 0)
    gpus = int(spark.conf.get("spark.executor.resource.gpu.amount", "1") or 1)
    return cores // max(1, gpus)
