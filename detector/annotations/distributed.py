"""The pass over a dataset's pictures as a Spark job, for sets too large for one machine.

Owns how the work is cut into tasks and how facts travel. Refuses to know what is looked for: that is
``picture_facts``', so that both ways give the same facts. Executors must see the dataset's folder by the
same path.
"""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import pandas as pd
from pyspark.sql import SparkSession
from pyspark.sql import functions as sf
from pyspark.sql import types as st

from detector.annotations.picture_facts import MAX_PIXELS, Depth, PictureFacts, choose_examination

IMAGES_PER_TASK = 500
SCHEMA = st.StructType(
    [
        st.StructField("image", st.StringType(), nullable=False),
        st.StructField("size_bytes", st.LongType()),
        st.StructField("sha256", st.StringType()),
        st.StructField("width_px", st.IntegerType()),
        st.StructField("height_px", st.IntegerType()),
        # 64 bits without a sign, which Spark's long has.
        st.StructField("perceptual_hash", st.StringType()),
        st.StructField("error_class", st.StringType()),
        st.StructField("error_message", st.StringType()),
    ]
)


def examine_pictures_on_spark(
    spark: SparkSession,
    root: Path,
    images: Sequence[str],
    *,
    depth: Depth = "pixels",
    max_pixels: int = MAX_PIXELS,
) -> list[PictureFacts]:
    """Examine each of ``images`` (paths below ``root``) once, in tasks of ``IMAGES_PER_TASK``.

    The facts, in the order of ``images``, are those of ``picture_facts.examine_pictures``. Runs one job.
    """
    if not images:
        return []
    tasks = -(-len(images) // IMAGES_PER_TASK)
    paths = spark.createDataFrame(pd.DataFrame({"image": list(images)})).repartition(tasks, sf.col("image"))
    examine = choose_examination(root.absolute(), depth, max_pixels)
    found = paths.mapInPandas(_build_task(examine), SCHEMA)
    facts = {row["image"]: _read_row(row.asDict()) for row in found.toLocalIterator(prefetchPartitions=True)}
    return [facts[image] for image in images]


def _build_task(
    examine: Callable[[str], PictureFacts],
) -> Callable[[Iterable[pd.DataFrame]], Iterable[pd.DataFrame]]:
    def examine_batches(batches: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for batch in batches:
            rows = [_write_row(examine(image)) for image in batch["image"]]
            yield pd.DataFrame(rows, columns=SCHEMA.names, dtype=object)

    return examine_batches


def _write_row(fact: PictureFacts) -> dict[str, object]:
    row = dataclasses.asdict(fact)
    if fact.perceptual_hash is not None:
        row["perceptual_hash"] = f"{fact.perceptual_hash:016x}"
    return row


def _read_row(row: dict[str, object]) -> PictureFacts:
    look = row.pop("perceptual_hash")
    return PictureFacts(**row, perceptual_hash=None if look is None else int(str(look), 16))  # type: ignore[arg-type]
