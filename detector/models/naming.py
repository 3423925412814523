"""What a model is called in tables and reports, where nobody gave it a name or a version.

Owns the two defaults. Opens no files.
"""

from pathlib import Path

from detector.models.signature import FROZEN_GRAPH

_SHOWN_DIGITS = 12


def name_model(path: Path) -> str:
    """Name a located model: the file's or folder's name without what all models have.

    >>> name_model(Path("/models/birds/saved_model")), name_model(Path("/models/birds.pb"))
    ('birds', 'birds')
    """
    plain = path.parent if path.name in {"saved_model", FROZEN_GRAPH} else path
    return plain.absolute().name.removesuffix(".pb")


def name_version(digest: str) -> str:
    """Name a version by the beginning of the model's digest."""
    return digest[:_SHOWN_DIGITS]
