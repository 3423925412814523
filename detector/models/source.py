"""Where a model comes from and what it is called there: the registry, a package of ours, or any files.

Owns the defaults of labels, name and version, each of which a setting overrides. Runs on the driver, and
starts no TensorFlow.
"""

from dataclasses import dataclass
from pathlib import Path

from detector.labels import LabelMap, read_label_map
from detector.models.naming import name_model
from detector.models.package import fetch_model
from detector.models.registry import fetch_registered, is_registered
from detector.models.signature import SAVED_MODEL, locate_model
from detector.settings import ModelSettings

LABEL_MAP = "label_map.pbtxt"


@dataclass(frozen=True)
class ModelSource:
    """A model on this machine: its SavedModel folder or frozen graph, and what tables say of it.

    ``version`` is None where nobody named one; then it's named by the digest.
    """

    path: Path
    labels: LabelMap
    name: str
    version: str | None


def find_model(settings: ModelSettings) -> ModelSource:
    """Fetch the model of ``model.uri``, with its labels, name and version.

    ``model.labels`` wins over a package's own label map; ``model.name`` and ``model.version`` over the
    registry's. Raises ``ModelError`` or ``LabelMapError``, by name.
    """
    given = None if settings.labels is None else read_label_map(Path(settings.labels))
    name, version = settings.name, settings.version
    if is_registered(settings.uri):
        registered = fetch_registered(settings.uri, settings.registry_uri)
        path = locate_model(registered.path)
        name, version = name or registered.name, version or registered.version
    else:
        path = locate_model(fetch_model(settings.uri))
    labels = given if given is not None else _read_own_labels(path)
    return ModelSource(path, labels, name or name_model(path), version)


def _read_own_labels(path: Path) -> LabelMap:
    """Read the label map that lies in a package, beside its SavedModel; an empty one where there is none."""
    if path.name != "saved_model" or not (path / SAVED_MODEL).is_file():
        return LabelMap()
    beside = path.parent / LABEL_MAP
    return read_label_map(beside) if beside.is_file() else LabelMap()
