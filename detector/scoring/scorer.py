"""The scorer: a model with every setting that changes a result, named by one digest.

Owns what goes into ``scorer_digest`` and how the model reaches the workers. Made on the driver, which
reads the model's files but never starts TensorFlow.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detector.labels import LabelMap
from detector.models.guard import check_digest, check_model
from detector.models.inputs import choose_canvas_hw
from detector.models.naming import name_model, name_version
from detector.models.package import compute_digest, compute_size
from detector.models.signature import ModelSignature, read_signature
from detector.models.signing import check_signature
from detector.models.source import find_model
from detector.settings import ModelSettings, VideoSettings

# Raised whenever decoding, letterboxing or an adapter changes what is found in the same picture.
_RESULTS_VERSION = 2


@dataclass(frozen=True)
class Scorer:
    """A model that can be scored with; ``path`` is its SavedModel folder or frozen graph on the driver."""

    path: Path
    signature: ModelSignature
    settings: ModelSettings
    labels: LabelMap
    model_digest: str
    size_bytes: int

    @property
    def name(self) -> str:
        """Give the model's name: the setting, else the file's or folder's name without what all have."""
        return self.settings.name or name_model(self.path)

    @property
    def version(self) -> str:
        """Give the model's version: the setting, else the beginning of its digest."""
        return self.settings.version or name_version(self.model_digest)

    @property
    def digest(self) -> str:
        """Compute the scorer's SHA-256: equal digests give equal results on equal bytes of an image."""
        return self._compute_digest({})

    def compute_video_digest(self, video: VideoSettings) -> str:
        """Compute the SHA-256 for videos, whose rows depend on the sampling and the cut, too."""
        return self._compute_digest({"video": video.model_dump()})

    def _compute_digest(self, more: dict[str, Any]) -> str:
        settings = self.settings.model_dump(
            include={"min_score", "max_detections", "input_hw", "box_format", "pixel_range", "class_offset"}
        )
        named = {
            "results_version": _RESULTS_VERSION,
            "model": self.model_digest,
            "labels": self.labels.digest(),
            **settings,
            **more,
        }
        return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()


def load_scorer(settings: ModelSettings) -> Scorer:
    """Find the model, read its interface and labels, check what it holds, its signature and its digest.

    Raises ``ModelError`` or ``LabelMapError``, by name.
    """
    source = find_model(settings)
    path = source.path
    # What the workers get; the registry's URI, which may hold a password, isn't for them.
    named = {"name": source.name, "version": source.version, "registry_uri": None}
    settings = settings.model_copy(update=named)
    check_signature(path, settings.public_key, settings.signature)
    signature = read_signature(path)
    check_model(path, settings.trust_ops)
    choose_canvas_hw(signature.input, settings)  # refuses a model.input_hw that the model can't take
    digest = compute_digest(path)
    check_digest(digest, settings.sha256)
    return Scorer(path, signature, settings, source.labels, digest, compute_size(path))
