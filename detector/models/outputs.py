"""A model's raw outputs as detections: box formats, counts, class ids, thresholds. NumPy alone.

Owns what each family of models means by its numbers. Never clips a box: what the model says is what is
kept. Refuses outputs of the wrong shape and images for which a model gives no number at all.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.boxes import convert_xywh_to_yxyx, convert_xyxy_to_yxyx, normalise_yxyx_px
from detector.errors import PredictionError
from detector.models.detections import Detections
from detector.models.signature import Family, ModelSignature
from detector.settings import ModelSettings

FloatArray = NDArray[np.float32]

# A fraction of the image hardly passes 1 and never 2; a box in pixels that stays below 2 is no object.
_LARGEST_FRACTION = 2.0


class OutputDecoder:
    """Decodes the outputs of one model under one set of settings.

    Formats that ``model.box_format`` ``auto`` stands for: TF Object Detection API, yxyx_norm (its
    exporter's contract); TF model garden, yxyx_px of the resized image or yxyx_norm, as exported; Keras,
    yxyx_px or yxyx_norm (``bounding_box_format="yxyx"`` is the default of KerasHub's RetinaNet and D-FINE;
    KerasCV has no default, so its models need the setting). Pixels and fractions are told apart image by
    image: any value above 2 means pixels, for a model may well give one image no box.
    """

    def __init__(self, signature: ModelSignature, settings: ModelSettings) -> None:
        self._family: Family = signature.family
        self._settings = settings
        offset = settings.class_offset
        self._class_offset = signature.class_offset if offset is None else offset

    def decode(
        self, outputs: Mapping[str, NDArray[Any]], image_hws: Sequence[tuple[int, int]]
    ) -> list[Detections]:
        """Decode the outputs for the first ``len(image_hws)`` images of a batch; the rest was padding.

        ``outputs``: boxes [B, N, 4], scores [B, N], classes [B, N]; where the model has them
        num_detections [B], [B, 1] or scalar and image_info [B, 4, 2]; a batch of one may lack the B.
        ``image_hws``: (height, width) in pixels of each image as the model saw it. Raises
        ``PredictionError`` when shapes don't fit, or an image's rows are all NaN or infinite.
        """
        batched = {role: _add_batch(role, values) for role, values in outputs.items()}
        _require_shapes(batched, len(image_hws))
        return [
            self._decode_image({role: values[i] for role, values in batched.items()}, image_hw)
            for i, image_hw in enumerate(image_hws)
        ]

    def _decode_image(self, outputs: Mapping[str, NDArray[Any]], image_hw: tuple[int, int]) -> Detections:
        boxes, scores, classes = _select_valid(outputs)
        boxes_yxyx_norm = self._convert(boxes, image_hw, outputs.get("image_info"))
        kept = np.flatnonzero(scores >= self._settings.min_score)
        kept = kept[np.argsort(-scores[kept], kind="stable")][: self._settings.max_detections]
        class_ids = np.rint(classes[kept]).astype(np.int32) + np.int32(self._class_offset)
        return Detections(boxes_yxyx_norm[kept], scores[kept], class_ids)

    def _convert(
        self, boxes: FloatArray, image_hw: tuple[int, int], image_info: NDArray[Any] | None
    ) -> FloatArray:
        order, _, unit = self._name_format(boxes).partition("_")
        if order == "xyxy":
            boxes = convert_xyxy_to_yxyx(boxes)
        elif order == "xywh":
            boxes = convert_xywh_to_yxyx(boxes)
        if unit == "norm":
            return boxes
        return normalise_yxyx_px(boxes, image_hw) if image_info is None else _undo_resize(boxes, image_info)

    def _name_format(self, boxes: FloatArray) -> str:
        if self._settings.box_format != "auto":
            return self._settings.box_format
        if self._family == "object_detection_api":
            return "yxyx_norm"
        return "yxyx_px" if (boxes > _LARGEST_FRACTION).any() else "yxyx_norm"


def _add_batch(role: str, values: NDArray[Any]) -> NDArray[Any]:
    if role == "num_detections":
        return values.reshape(-1)
    ranks = {"boxes": 3, "image_info": 3, "scores": 2, "classes": 2}
    return values[None] if values.ndim == ranks[role] - 1 else values


def _require_shapes(outputs: Mapping[str, NDArray[Any]], count: int) -> None:
    rows = outputs["boxes"].shape[:2]
    wanted = {"boxes": (*rows, 4), "scores": rows, "classes": rows, "num_detections": rows[:1]}
    shapes = {role: values.shape for role, values in outputs.items() if role in wanted}
    if len(rows) < 2 or rows[0] < count or any(shape != wanted[role] for role, shape in shapes.items()):  # noqa: PLR2004
        raise PredictionError(
            f"the model gave outputs of shapes {shapes} for {count} images; expected boxes [B, N, 4], "
            "scores [B, N], classes [B, N] and num_detections [B]"
        )


def _select_valid(outputs: Mapping[str, NDArray[Any]]) -> tuple[FloatArray, FloatArray, FloatArray]:
    boxes, scores, classes = (
        np.asarray(outputs[role], np.float32) for role in ("boxes", "scores", "classes")
    )
    if "num_detections" in outputs:
        count = outputs["num_detections"]
        claimed = np.arange(len(scores)) < (np.rint(count) if np.isfinite(count) else len(scores))
    else:
        claimed = ~(scores <= 0)
    finite = np.isfinite(boxes).all(axis=-1) & np.isfinite(scores) & np.isfinite(classes)
    if claimed.any() and not (claimed & finite).any():
        raise PredictionError(f"the model gave only NaN or infinite values ({int(claimed.sum())} rows)")
    valid = claimed & finite & (classes >= 0)  # Keras pads with class -1
    return boxes[valid], scores[valid], classes[valid]


def _undo_resize(boxes_yxyx_px: FloatArray, image_info: NDArray[Any]) -> FloatArray:
    """Move boxes from pixels of the model garden's resized image to fractions of its input image.

    ``image_info`` [4, 2], each (y, x): original size, padded size, scale, offset of the crop, as in the
    model garden's ``preprocess_ops.resize_and_crop_image``.
    """
    original_hw, _, scale, offset = (np.tile(row, 2) for row in np.asarray(image_info, np.float32))
    moved: FloatArray = ((boxes_yxyx_px + offset) / scale / original_hw).astype(np.float32)
    return moved
