"""A training's outcome in words and as one JSON line.

Owns what is said; computes nothing.
"""

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from detector.training.train import TrainingOutcome


def summarise(outcome: "TrainingOutcome") -> str:
    """Give the job's last lines: the promotion's words, then one JSON object."""
    from detector.training.release import list_figures

    release, trained = outcome.release, outcome.trained
    known = {
        "package": str(release.package),
        "model_uri": release.version.uri,
        "champion": release.promotion.promote,
        "best_epoch": trained.best_epoch,
        "training_s": round(trained.seconds, 1),
        "val": _round(list_figures(release.validation)),
        "test": _round(list_figures(release.test)),
    }
    return "\n".join([*release.promotion.describe(), json.dumps(known, ensure_ascii=False)])


def _round(figures: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in figures.items() if name in {"ap", "ap50", "ap75"}}
