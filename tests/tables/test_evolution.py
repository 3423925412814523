"""Which columns an older table lacks, and which it has of another type."""

import pytest
from pyspark.sql import types as t

from detector.errors import SettingsError
from detector.tables.evolution import list_lacking
from detector.tables.schemas import ALL_TABLES, DETECTION, FRAME, SCORES


@pytest.mark.parametrize("table", ALL_TABLES, ids=lambda table: table.name)
def test_today_s_schema_lacks_nothing(table):
    """In any order, with columns of a later version, whatever may be null."""
    fields = [t.StructField(f.name, f.dataType) for f in reversed(table.schema.fields)]
    assert list_lacking(t.StructType([*fields, t.StructField("later", t.StringType())]), table, "x") == []


@pytest.mark.parametrize("table", ALL_TABLES, ids=lambda table: table.name)
def test_what_is_missing_is_listed_in_order(table):
    """Each with its type and comment, to be added."""
    half = t.StructType(table.schema.fields[::2])
    assert list_lacking(half, table, "x") == list(table.columns[1::2])


@pytest.mark.parametrize("name", ["size_bytes", "attempt", "frames"])
def test_another_type_is_refused_by_name(name):
    """At the top and deep inside: the table, the column, what it is and what is written."""
    narrow = t.StructType([f for f in DETECTION.fields if f.name != "score"])
    frame = t.StructType([*FRAME.fields[:2], t.StructField("detections", t.ArrayType(narrow))])
    types = {"size_bytes": t.IntegerType(), "attempt": t.LongType(), "frames": t.ArrayType(frame)}
    found = t.StructType([t.StructField(name, types[name]), *SCORES.schema.fields[:1]])
    with pytest.raises(
        SettingsError, match=rf"lake/scores: column {name} is (int|bigint|array.*), and this version writes"
    ):
        list_lacking(found, SCORES, "lake/scores")
