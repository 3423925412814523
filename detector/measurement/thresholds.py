"""The score from which a detection of each class is believed, kept with the model.

Owns the file ``thresholds.json`` and the rows of the table ``thresholds``; the choice is
``detector.evaluation.curves``'. Refuses a file that is another model's, or none of this kind. The file lies
beside the model, never in its SavedModel folder, whose every file counts for the model's digest.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from detector.errors import SettingsError
from detector.evaluation.report import EvaluationReport
from detector.models.signature import FROZEN_GRAPH

FORMAT_VERSION = 1
FILE_NAME = "thresholds.json"


@dataclass(frozen=True)
class ThresholdOrigin:
    """Which model was evaluated on what, and when; ``evaluated_at`` is aware."""

    evaluation_id: str
    model_name: str
    model_version: str
    model_digest: str
    data: str
    evaluated_at: datetime


def list_thresholds(report: EvaluationReport) -> list[dict[str, Any]]:
    """List the best threshold of each class that has one, by class id: the entries of the file.

    Keys: class_id, label, threshold, low, high, f1, f1_low, f1_high, precision, recall, images, objects,
    confidence and iou_threshold. ``threshold`` is inclusive.
    """
    return [
        {"class_id": row.class_id, "label": row.label}
        | {key: value for key, value in asdict(row.threshold).items() if key != "class_id"}
        | {"iou_threshold": report.iou_threshold}
        for row in report.classes
        if row.threshold is not None
    ]


def list_rows(report: EvaluationReport, origin: ThresholdOrigin) -> Iterator[dict[str, Any]]:
    """List the rows of the table ``thresholds``, by the names of its columns."""
    for entry in list_thresholds(report):
        yield asdict(origin) | entry


def place_beside(model: Path) -> Path:
    """Place the file of a located model: a SavedModel folder, or a frozen graph.

    >>> str(place_beside(Path("/m/birds/saved_model"))), str(place_beside(Path("/m/birds")))
    ('/m/birds/thresholds.json', '/m/birds.thresholds.json')
    """
    if model.name in {"saved_model", FROZEN_GRAPH}:
        return model.parent / FILE_NAME
    return model.with_name(f"{model.name}.{FILE_NAME}")


def write_thresholds(report: EvaluationReport, origin: ThresholdOrigin, path: Path) -> None:
    """Write the file anew: whole or not at all. Raises ``SettingsError`` where it can't be written."""
    content = asdict(origin) | {
        "format_version": FORMAT_VERSION,
        "evaluated_at": origin.evaluated_at.isoformat(),
        "thresholds": list_thresholds(report),
    }
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise SettingsError(f"{path} can't be written: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)


def read_thresholds(path: Path, *, model_digest: str | None = None) -> dict[int, float]:
    """Read the threshold of each class id.

    Raises ``SettingsError`` where the file can't be read or, with ``model_digest``, is another model's.
    """
    try:
        content: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        thresholds = {int(entry["class_id"]): float(entry["threshold"]) for entry in content["thresholds"]}
        found = str(content["model_digest"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(
            f"{path} can't be read as thresholds ({type(error).__name__}): write it by jobs/evaluate.py"
        ) from error
    if model_digest is not None and found != model_digest:
        raise SettingsError(
            f"{path} is of the model {found[:12]}, not of {model_digest[:12]}: evaluate this model"
        )
    return thresholds
