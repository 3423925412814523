"""One annotated picture, one annotated object; of no file format.

Owns the records between the readers, the checks, the splits, the writers and training. Refuses nothing: boxes
stand here as they were read, also those that are outside, swapped or without area, since the checks have to
see them. Opens no files.

Boxes are edges: pixels of the upright image, the top left corner of the picture is (0, 0), a box over the
whole of it is (0, 0, width_px, height_px), and a box's width is x_max - x_min.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Box:
    """One annotated object: ``xyxy_px`` is (x_min, y_min, x_max, y_max), edges in pixels, 0-based, half-open.

    ``line`` is where the box begins in its annotation file, counted from 1, where the format has lines.

    >>> Box("cat", (10, 20, 30, 50)).area_px
    600
    """

    label: str
    xyxy_px: tuple[float, float, float, float]
    difficult: bool = False
    truncated: bool = False
    occluded: bool = False
    pose: str = "Unspecified"
    line: int | None = None

    @property
    def area_px(self) -> float:
        """Compute the area in square pixels: 0 for a box without area, also for one with swapped corners."""
        x_min, y_min, x_max, y_max = self.xyxy_px
        return max(x_max - x_min, 0) * max(y_max - y_min, 0)


@dataclass(frozen=True, slots=True)
class Annotation:
    """One picture and its boxes.

    ``image`` and ``source`` (the annotation file) are relative to the dataset's root. ``image`` is None where
    an annotation has no picture, ``source`` where a picture has no annotation. ``width_px`` and
    ``height_px`` are as declared by the annotation file, None where it declares none; nobody has looked at
    the picture. ``verified`` is labelImg's mark of a picture that a person has approved.
    """

    image: Path | None
    source: Path | None
    width_px: int | None
    height_px: int | None
    boxes: tuple[Box, ...]
    verified: bool = False
