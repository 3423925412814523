"""Media named by a table instead of a folder: Delta, Parquet, CSV or a table of the catalog.

Owns how such a manifest is found and which column names the media. Refuses one without that column.
"""

import re
from datetime import datetime

import pyarrow as pa
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sf

from detector.errors import SettingsError
from detector.media.filesystem import FileAccess
from detector.media.listing import stat_media
from detector.redaction import make_safe
from detector.settings import MediaSettings

_COLUMNS = ("media_uri", "uri", "path")
_CATALOG_NAME = re.compile(r"\w+\.\w+(\.\w+)?")


def list_manifest(
    spark: SparkSession, media: MediaSettings, access: FileAccess, *, now: datetime
) -> pa.Table:
    """List the media that ``media.manifest`` names, each once, with the size and time they have now.

    Columns as ``detector.media.listing.list_media`` gives. A null or empty URI is passed over; one that
    isn't there keeps its row, and fails by name when it is scored.
    """
    manifest = str(media.manifest)
    shown = make_safe(manifest, manifest)
    try:
        rows = _read(spark, manifest)
    except AnalysisException as error:
        reason = make_safe(error.getMessage(), manifest)
        raise SettingsError(f"media.manifest {shown} can't be read: {reason}") from None
    column = next((name for name in _COLUMNS if name in rows.columns), None)
    if column is None:
        found = ", ".join(rows.columns)
        raise SettingsError(f"media.manifest {shown} has no column {' or '.join(_COLUMNS)}; found {found}")
    named = rows.select(sf.trim(sf.col(column).cast("string")).alias("uri")).where("uri <> ''").distinct()
    uris = named.toArrow().column("uri").to_pylist()
    return stat_media(sorted(uris), media, access, now=now)


def _read(spark: SparkSession, manifest: str) -> DataFrame:
    if _CATALOG_NAME.fullmatch(manifest) and spark.catalog.tableExists(manifest):
        return spark.table(manifest)
    if manifest.lower().endswith((".csv", ".csv.gz")):
        return spark.read.option("header", True).option("escape", '"').csv(manifest)
    if manifest.lower().endswith(".parquet"):
        return spark.read.parquet(manifest)
    try:
        return spark.read.format("delta").load(manifest)
    except AnalysisException:
        return spark.read.parquet(manifest)
