"""Which architecture is built by which module.

Owns the names of ``model.architecture``. Imports a family's module only when it is asked for: the model
garden takes half a minute to import.
"""

import difflib
from importlib import import_module

from detector.errors import SettingsError
from detector.training.families.family import Detector, Family, FamilyRequest

# Each module has a function ``build_detector`` (see ``Family``).
ARCHITECTURES = {
    "fcos": "detector.training.families.fcos",
    "retinanet": "detector.training.families.retinanet",
    "d_fine": "detector.training.families.d_fine",
    "faster_rcnn": "detector.training.families.faster_rcnn",
    "cascade_rcnn": "detector.training.families.faster_rcnn",
    "garden_retinanet": "detector.training.families.garden_retinanet",
    "yolo_v3": "detector.training.families.garden_yolo",
    "yolo_v4": "detector.training.families.garden_yolo",
    "yolo_v7": "detector.training.families.garden_yolo_v7",
    "centernet": "detector.training.families.garden_centernet",
    "detr": "detector.training.families.garden_detr",
}


def check_architecture(name: str) -> None:
    """Raise ``SettingsError`` for a name that is no architecture, with the nearest that is."""
    if name not in ARCHITECTURES:
        near = difflib.get_close_matches(name, ARCHITECTURES, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise SettingsError(f"model.architecture: {name!r} is none of {', '.join(ARCHITECTURES)}{hint}")


def build_detector(request: FamilyRequest) -> Detector:
    """Build the detector of the settings' architecture."""
    check_architecture(request.settings.architecture)
    family: Family = import_module(ARCHITECTURES[request.settings.architecture]).build_detector
    return family(request)
