"""The simple way's answers: boxes as JSON, or the picture with its boxes drawn.

Owns the fields of a box (those of ``scores.frames.detections``), and the size of drawn pictures.
"""

import io
from typing import Any

from PIL import Image

from detector.labels import LabelMap
from detector.media.decoding import decode_image
from detector.reports.drawing import draw_boxes
from detector.reports.scored_video import FoundBox
from detector.serving.service import Found

DRAWN_FROM_SCORE = 0.3  # where the request doesn't say: all of them would hide the picture
_SIDE_PX = 2048
_QUALITY = 88


def list_boxes(found: Found, labels: LabelMap, min_score: float) -> list[dict[str, Any]]:
    """List a picture's boxes from ``min_score``, best first, edges in fractions of the upright picture."""
    detections = found.detections
    rows = zip(
        detections.class_ids.tolist(),
        detections.scores.tolist(),
        detections.boxes_yxyx_norm.tolist(),
        strict=True,
    )
    return [
        {
            "class_id": class_id,
            "label": labels.name_of(class_id),
            "score": score,
            "y_min": y_min,
            "x_min": x_min,
            "y_max": y_max,
            "x_max": x_max,
        }
        for class_id, score, (y_min, x_min, y_max, x_max) in rows
        if score >= min_score
    ]


def draw_answer(content: bytes, found: Found, labels: LabelMap, min_score: float, kind: str) -> bytes:
    """Draw the boxes into the picture, its longer side at most 2,048 pixels; ``kind`` is JPEG or PNG.

    ``content`` is the picture that ``found`` was found in.
    """
    scale = min(1.0, _SIDE_PX / max(found.height_px, found.width_px))
    canvas_hw = (max(1, round(found.height_px * scale)), max(1, round(found.width_px * scale)))
    decoded = decode_image(content, max_pixels=found.height_px * found.width_px, canvas_hw=canvas_hw)
    boxes = [
        FoundBox(
            box["class_id"],
            box["label"],
            box["score"],
            left=_clip(box["x_min"]),
            top=_clip(box["y_min"]),
            right=_clip(box["x_max"]),
            bottom=_clip(box["y_max"]),
        )
        for box in list_boxes(found, labels, min_score)
    ]
    encoded = io.BytesIO()
    Image.fromarray(draw_boxes(decoded.pixels, boxes, decoded.letterbox)).save(
        encoded, kind, quality=_QUALITY
    )
    return encoded.getvalue()


def _clip(edge: float) -> float:
    return min(1.0, max(0.0, edge))
