"""The manifest of a split: which picture is in which split, written once and read by training.

Owns the columns and both forms of the file. Refuses to replace a manifest with another one unless told to,
and files that lack a column.

One row is one image; rows are ordered by image. ``image``: path relative to the dataset's root, with "/".
``split``: train, val or test. ``group``: the first image of those that had to stay together. ``labels``: the
classes in it, sorted; none for background. ``sha256``: of the image file's bytes, hexadecimal. As
Parquet, labels are a list; as CSV (UTF-8, RFC 4180), a JSON array.
"""

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from detector.errors import SettingsError

SCHEMA = pa.schema(
    [
        pa.field("image", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("group", pa.string(), nullable=False),
        pa.field("labels", pa.list_(pa.string()), nullable=False),
        pa.field("sha256", pa.string(), nullable=False),
    ]
)
_SUFFIXES = (".csv", ".parquet")


@dataclass(frozen=True, slots=True, order=True)
class SplitRow:
    """One image of a split; see the module for its fields."""

    image: str
    split: str
    group: str
    labels: tuple[str, ...]
    sha256: str


def write_split_manifest(rows: Sequence[SplitRow], path: Path, *, overwrite: bool = False) -> None:
    """Write the rows as CSV or Parquet, by the file's extension: whole or not at all.

    The same rows give the same bytes as CSV. Raises ``SettingsError`` for another extension, and where a
    file with other content is there and ``overwrite`` is False.
    """
    _check_suffix(path)
    rows = sorted(rows)
    if path.exists() and not overwrite and not _holds(path, rows):
        raise SettingsError(f"{path} is another split already: give another --out, or --overwrite")
    content = _format_csv(rows) if path.suffix.lower() == ".csv" else _format_parquet(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_split_manifest(path: Path) -> list[SplitRow]:
    """Read a manifest's rows, in its order; nothing keeps an image from being in it twice.

    Raises ``SettingsError`` where the file is not there, or no manifest.
    """
    _check_suffix(path)
    try:
        return _read_csv(path) if path.suffix.lower() == ".csv" else _read_parquet(path)
    except (OSError, ValueError, KeyError, TypeError, csv.Error, pa.ArrowException) as error:
        columns = ", ".join(SCHEMA.names)
        raise SettingsError(
            f"{path} can't be read as a split ({type(error).__name__}); it needs the columns {columns}"
        ) from error


def _check_suffix(path: Path) -> None:
    if path.suffix.lower() not in _SUFFIXES:
        raise SettingsError(f"{path}: a split is written as {' or '.join(_SUFFIXES)}")


def _holds(path: Path, rows: Sequence[SplitRow]) -> bool:
    try:
        return read_split_manifest(path) == rows
    except SettingsError:
        return False


def _format_csv(rows: Sequence[SplitRow]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(SCHEMA.names)
    for row in rows:
        labels = json.dumps(row.labels, ensure_ascii=False)
        writer.writerow([row.image, row.split, row.group, labels, row.sha256])
    return text.getvalue().encode()


def _format_parquet(rows: Sequence[SplitRow]) -> bytes:
    columns = zip(*map(astuple, rows), strict=True) if rows else [()] * len(SCHEMA)
    arrays = [
        pa.array(map(list, values) if field.name == "labels" else values, field.type)
        for field, values in zip(SCHEMA, columns, strict=True)
    ]
    content = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, schema=SCHEMA), content)
    return content.getvalue()


def _read_csv(path: Path) -> list[SplitRow]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        if not set(SCHEMA.names) <= set(reader.fieldnames or ()):
            raise ValueError("a column is missing")
        return [_read_row({**row, "labels": json.loads(row["labels"])}) for row in reader]


def _read_row(values: Mapping[str, Any]) -> SplitRow:
    image, split, group, labels, sha256 = (values[name] for name in SCHEMA.names)
    is_whole = isinstance(labels, list) and all(
        isinstance(text, str) for text in (image, split, group, sha256, *labels)
    )
    if not is_whole:
        raise ValueError("a value is missing or of another type")
    return SplitRow(image, split, group, tuple(labels), sha256)


def _read_parquet(path: Path) -> list[SplitRow]:
    return [_read_row(row) for row in pq.read_table(path, columns=SCHEMA.names).to_pylist()]
