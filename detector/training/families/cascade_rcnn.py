"""Cascade R-CNN of the TensorFlow model garden: three heads, each on the boxes of the one before.

Owns nothing but the name: ``faster_rcnn`` builds both.
"""

from detector.training.families.family import FamilyRequest
from detector.training.families.faster_rcnn import FasterRcnnDetector, build_two_stage


def build_detector(request: FamilyRequest) -> FasterRcnnDetector:
    """Build a Cascade R-CNN as the settings say, ResNet-50 by default."""
    return build_two_stage(request, is_cascade=True)
