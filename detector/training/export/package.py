"""A model package: everything about one trained model in one folder.

Owns the folder's layout and its manifest. ``saved_model/`` is what scores; ``label_map.pbtxt`` names its
classes; ``model.weights.h5`` begins another training; ``training.yaml`` are the settings, ``metrics.json``
the figures, ``thresholds.json`` the scores to believe; ``manifest.json`` versions and digests.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from detector.errors import SettingsError
from detector.labels import LabelMap, write_label_map
from detector.models.package import compute_digest
from detector.redaction import make_values_safe
from detector.training.export.saved_model import export_saved_model
from detector.training.families.family import Detector
from detector.training.train_settings import TrainSettings

SAVED_MODEL, LABEL_MAP, WEIGHTS = "saved_model", "label_map.pbtxt", "model.weights.h5"
SETTINGS, METRICS, MANIFEST = "training.yaml", "metrics.json", "manifest.json"
_PACKAGES = ("detector", "tensorflow", "keras", "keras-hub", "tf-models-official")


def write_package(detector: Detector, labels: LabelMap, settings: TrainSettings, folder: Path) -> None:
    """Write model, weights, label map and settings of a trained detector; what was there before goes."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    export_saved_model(detector, settings.export, folder / SAVED_MODEL)
    detector.model.save_weights(folder / WEIGHTS)
    write_label_map(labels, folder / LABEL_MAP)
    content = make_values_safe(settings.model_dump(mode="json", exclude={"config"}, by_alias=True))
    (folder / SETTINGS).write_text(
        yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8"
    )


def write_metrics(folder: Path, metrics: Mapping[str, Any]) -> None:
    """Write ``metrics.json``."""
    content = json.dumps(metrics, indent=1, ensure_ascii=False)
    (folder / METRICS).write_text(content + "\n", encoding="utf-8")


def write_manifest(folder: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write ``manifest.json``, last of all: ``facts``, versions, the model's digest, files' SHA-256."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    manifest = {
        **facts,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "model_digest": compute_digest(folder / SAVED_MODEL),
        "versions": {name: found for name in _PACKAGES if (found := _find_version(name)) is not None},
        "files": {path.relative_to(folder).as_posix(): _hash(path) for path in files},
    }
    content = json.dumps(manifest, indent=1, ensure_ascii=False)
    (folder / MANIFEST).write_text(content + "\n", encoding="utf-8")
    return manifest


def copy_package(package: Path, folder: Path) -> None:
    """Copy a package to ``folder``; an older package there goes, any other folder is refused.

    Raises ``SettingsError``.
    """
    if folder.exists() and not (folder / MANIFEST).is_file():
        raise SettingsError(
            f"export.folder {folder} is there and holds no package ({MANIFEST}): name another"
        )
    staging = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(staging, ignore_errors=True)
    shutil.copytree(package, staging)
    shutil.rmtree(folder, ignore_errors=True)
    staging.rename(folder)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _find_version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
