"""The post-processing of a pipeline.config: what an export suppresses and keeps.

Owns its three numbers.
"""

from detector.training.pipeline_config.config_tree import Node
from detector.training.pipeline_config.ledger import Ledger

_SCORES = {"ssd": "SIGMOID", "center_net": "SIGMOID", "faster_rcnn": "SOFTMAX"}


def convert_suppression(model: Node, ledger: Ledger) -> None:
    """Convert the last non-maximum suppression of a model, or the most boxes of one that has none."""
    place = "second_stage_post_processing" if model.name == "faster_rcnn" else "post_processing"
    processing = model.find(place)
    if processing:
        _convert_scores(processing, model.name, ledger)
    nms = processing.find("batch_non_max_suppression") if processing else None
    if nms is not None:
        _convert_nms(nms, ledger)
    most = model.find("object_center_params", "max_box_predictions")
    if most and most.value and nms is None:
        ledger.convert("export.max_detections", most.value, most)


def _convert_nms(nms: Node, ledger: Ledger) -> None:
    most, each = nms.find("max_total_detections"), nms.find("max_detections_per_class")
    total = int(nms.number("max_total_detections"))
    ledger.convert("export.max_detections", max(1, total), most, why="" if most else "the API's default")
    if nms.number("max_detections_per_class") >= total:
        ledger.same(each, "one class may fill export.max_detections")
    else:
        ledger.refuse(each, "one class may fill export.max_detections")
    overlap, score = nms.find("iou_threshold"), nms.find("score_threshold")
    if 0 < nms.number("iou_threshold") <= 1:
        ledger.convert(
            "export.nms_iou", nms.number("iou_threshold"), overlap, why="" if overlap else "the API's default"
        )
    else:
        ledger.refuse(overlap, "choose export.nms_iou above 0, up to 1")
    lowest = min(1.0, max(0.0, nms.number("score_threshold")))
    ledger.convert("export.min_score", lowest, score, why="" if score else "the API's default")


def _convert_scores(processing: Node, family: str, ledger: Ledger) -> None:
    converter = processing.find("score_converter")
    if converter and converter.value == _SCORES[family]:
        ledger.same(converter, "scores are made so")
    else:
        ledger.refuse(converter, f"scores are by {_SCORES[family].lower()} here")
