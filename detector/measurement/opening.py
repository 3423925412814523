"""A model opened to be measured, ours or anybody's: loaded once, with its labels, name and digest.

Owns nothing but the order of the steps; each is scoring's own. Refuses what ``check_model`` refuses.
"""

from dataclasses import dataclass
from pathlib import Path

from detector.labels import LabelMap
from detector.models.guard import check_digest
from detector.models.naming import name_version
from detector.models.package import compute_digest
from detector.models.predictor import Predictor, load_predictor
from detector.models.signature import read_signature
from detector.models.source import find_model
from detector.settings import ModelSettings


@dataclass(frozen=True)
class OpenedModel:
    """A loaded model; ``path`` is its SavedModel folder or frozen graph on this machine."""

    predictor: Predictor
    labels: LabelMap
    path: Path
    name: str
    version: str
    digest: str


def open_model(settings: ModelSettings) -> OpenedModel:
    """Fetch, check and load a model.

    TensorFlow starts on the devices it sees, unless ``start_tensorflow`` was called. Raises ``ModelError`` or
    ``LabelMapError``, by name.
    """
    source = find_model(settings)
    digest = compute_digest(source.path)
    check_digest(digest, settings.sha256)
    return OpenedModel(
        load_predictor(source.path, read_signature(source.path), settings),
        source.labels,
        source.path,
        source.name,
        source.version or name_version(digest),
        digest,
    )
