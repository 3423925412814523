"""A training's outcome in words and as one JSON line.

Owns what is said; computes nothing.
"""

import json

from detector.measurement.measurement import Measurement
from detector.training.train import TrainingOutcome


def summarise(outcome: TrainingOutcome) -> str:
    """Give the job's last lines: the promotion's words, then one JSON object."""
    release, trained = outcome.release, outcome.trained
    known = {
        "package": str(release.package),
        "model_uri": release.version.uri,
        "promoted": release.promotion.promote,
        "best_epoch": trained.best_epoch,
        "training_s": round(trained.seconds, 1),
        "val": _list_figures(release.validation),
        "test": None if release.test is None else _list_figures(release.test),
    }
    return "\n".join([*release.promotion.describe(), json.dumps(known, ensure_ascii=False)])


def _list_figures(measurement: Measurement) -> dict[str, float | None]:
    figures = {name: getattr(measurement.report.coco, name) for name in ("ap", "ap50", "ap75")}
    return {name: None if value is None else round(value, 4) for name, value in figures.items()}
