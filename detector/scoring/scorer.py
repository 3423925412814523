"""The scorer: a model with every setting that changes a result, named by one digest.

Owns what goes into ``scorer_digest`` and how the model reaches the workers. Made on the driver, which
reads the model's files but never starts TensorFlow.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from detector.labels import LabelMap, read_label_map
from detector.models.inputs import choose_canvas_hw
from detector.models.package import compute_digest, compute_size, fetch_model
from detector.models.signature import ModelSignature, locate_model, read_signature
from detector.settings import ModelSettings

# Raised whenever decoding, letterboxing or an adapter changes what is found in the same picture.
_RESULTS_VERSION = 1


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
        if self.settings.name is not None:
            return self.settings.name
        plain = (
            self.path.parent if self.path.name in {"saved_model", "frozen_inference_graph.pb"} else self.path
        )
        return plain.absolute().name.removesuffix(".pb")

    @property
    def version(self) -> str:
        """Give the model's version: the setting, else the beginning of its digest."""
        return self.settings.version or self.model_digest[:12]

    @property
    def digest(self) -> str:
        """Compute the scorer's SHA-256: equal digests give equal results on equal bytes."""
        settings = self.settings.model_dump(
            include={"min_score", "max_detections", "input_hw", "box_format", "pixel_range", "class_offset"}
        )
        named = {
            "results_version": _RESULTS_VERSION,
            "model": self.model_digest,
            "labels": self.labels.digest(),
            **settings,
        }
        return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()


def load_scorer(settings: ModelSettings) -> Scorer:
    """Find the model, read its signature and labels; raise ``ModelError`` or ``LabelMapError``, by name."""
    labels = LabelMap() if settings.labels is None else read_label_map(Path(settings.labels))
    path = locate_model(fetch_model(settings.uri))
    signature = read_signature(path)
    choose_canvas_hw(signature.input, settings)  # refuses a model.input_hw that the model can't take
    return Scorer(path, signature, settings, labels, compute_digest(path), compute_size(path))
