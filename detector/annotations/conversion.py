"""The formats by name: which function reads each and which writes it.

Owns the names of the command line. Refuses names that it does not know; tells what a conversion loses.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from detector.annotations.automl_jsonl import read_automl_jsonl, write_automl_jsonl
from detector.annotations.coco import read_coco, write_coco
from detector.annotations.createml import read_createml, write_createml
from detector.annotations.dataset import Dataset
from detector.annotations.label_studio import read_label_studio, write_label_studio
from detector.annotations.parallel import Progress
from detector.annotations.problems import Problem
from detector.annotations.tfrecord import read_tfrecord, write_tfrecord
from detector.annotations.voc import read_voc, write_voc
from detector.annotations.writing import Loss, WriteOptions
from detector.annotations.yolo import read_yolo, write_yolo
from detector.errors import SettingsError


class Read(Protocol):
    """Reads one format; see ``detector.annotations.reading.read_dataset``."""

    def __call__(
        self,
        root: Path,
        *,
        images: str | Path | None = None,
        annotations: str | Path | None = None,
        workers: int | None = None,
        progress: Progress | None = None,
    ) -> tuple[Dataset, list[Problem]]:
        """Read the data set below ``root``."""


class Write(Protocol):
    """Writes one format; see ``convert_dataset``."""

    def __call__(self, dataset: Dataset, folder: Path, options: WriteOptions | None = None) -> list[Loss]:
        """Write ``dataset`` to ``folder``."""


@dataclass(frozen=True)
class Format:
    """One format: how to read and how to write it."""

    read: Read
    write: Write


FORMATS: Mapping[str, Format] = {
    "voc": Format(read_voc, write_voc),
    "coco": Format(read_coco, write_coco),
    "yolo": Format(read_yolo, write_yolo),
    "createml": Format(read_createml, write_createml),
    "tfrecord": Format(read_tfrecord, write_tfrecord),
    "label-studio": Format(read_label_studio, write_label_studio),
    "automl-jsonl": Format(read_automl_jsonl, write_automl_jsonl),
}


def find_format(name: str) -> Format:
    """Find a format by its name; raises ``SettingsError`` for one that is not there."""
    if name not in FORMATS:
        raise SettingsError(f"format {name!r} is not known: choose one of {', '.join(FORMATS)}")
    return FORMATS[name]


def convert_dataset(
    dataset: Dataset, to: str, folder: Path, options: WriteOptions | None = None
) -> list[Loss]:
    """Write ``dataset`` in the format ``to`` into ``folder``; give what that format could not hold.

    Files appear whole or not at all. Raises ``SettingsError`` for an unknown format, for a target file that
    is part of the data set, and for options that the format can't do without.
    """
    return find_format(to).write(dataset, folder, options)
