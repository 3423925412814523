"""Drawn pictures with their annotations, as labelImg writes them: what the demo's model learns from.

Owns the folder: JPEG files and an XML beside each. The bytes follow from the seed.
"""

from pathlib import Path

import cv2

from detector.annotations.dataset import Box
from detector.annotations.shapes import SHAPE_NAMES, draw_picture, seed_generator
from detector.annotations.voc_xml import format_voc

_SIDES_PX = (120, 481)
_JPEG_QUALITY = 92


def write_drawn_dataset(folder: Path, *, count: int, seed: int) -> None:
    """Write ``count`` pictures with sides of 120 to 480 px, and their annotations, into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = seed_generator("training", seed)
    for number in range(1, count + 1):
        height, width = generator.integers(*_SIDES_PX, 2).tolist()
        pixels, boxes_yxyx_norm, class_ids = draw_picture(generator, height_px=height, width_px=width)
        name = f"shapes_{number:05}"
        _, content = cv2.imencode(
            ".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
        )
        boxes = [
            Box(SHAPE_NAMES[class_id - 1], (x_min * width, y_min * height, x_max * width, y_max * height))
            for (y_min, x_min, y_max, x_max), class_id in zip(
                boxes_yxyx_norm.tolist(), class_ids.tolist(), strict=True
            )
        ]
        (folder / f"{name}.jpg").write_bytes(content.tobytes())
        annotation = format_voc(boxes, folder=folder.name, filename=f"{name}.jpg", size_wh_px=(width, height))
        (folder / f"{name}.xml").write_bytes(annotation)
