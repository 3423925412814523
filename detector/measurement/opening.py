"""A model opened to be measured, ours or anybody's: loaded once, with its labels, name and digest.

Owns nothing but the order of the steps; each is scoring's own. Refuses what ``check_model`` refuses.
"""

from dataclasses import dataclass
from pathlib import Path

from detector.labels import LabelMap, read_label_map
from detector.models.guard import check_digest
from detector.models.naming import name_model, name_version
from detector.models.package import compute_digest, fetch_model
from detector.models.predictor import Predictor, load_predictor
from detector.models.signature import locate_model, read_signature
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
    labels = LabelMap() if settings.labels is None else read_label_map(Path(settings.labels))
    path = locate_model(fetch_model(settings.uri))
    signature = read_signature(path)
    digest = compute_digest(path)
    check_digest(digest, settings.sha256)
    return OpenedModel(
        load_predictor(path, signature, settings),
        labels,
        path,
        settings.name or name_model(path),
        settings.version or name_version(digest),
        digest,
    )
