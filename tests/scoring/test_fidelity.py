"""The job against a plain loop over the same real model: the same boxes, scores and average precision."""

import json
from pathlib import Path

import cv2
import deltalake
import numpy as np
import pytest
from lxml import etree
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from detector.labels import read_label_map
from detector.scoring.job import score

pytestmark = [pytest.mark.spark, pytest.mark.data]


@pytest.fixture(scope="module")
def plain_loop(data_pack):
    """Score the 32 photos one by one with TensorFlow and OpenCV alone: name to (boxes, scores, classes)."""
    import tensorflow as tf

    detect = tf.saved_model.load(str(data_pack / "models/yolo_fastest_xl_coco/saved_model")).signatures[
        "serving_default"
    ]
    found = {}
    for photo in sorted((data_pack / "datasets/coco128_train32/images").iterdir()):
        rgb = cv2.imread(str(photo), cv2.IMREAD_COLOR_RGB)
        outputs = {
            name: value.numpy()[0] for name, value in detect(input_tensor=tf.constant(rgb[None])).items()
        }
        keep = outputs["detection_scores"] >= 0.05
        keep &= np.arange(len(keep)) < outputs["num_detections"]
        found[photo.name] = tuple(
            outputs[f"detection_{name}"][keep] for name in ("boxes", "scores", "classes")
        )
    return found


@pytest.fixture(scope="module", params=["saved_model", "frozen_inference_graph.pb"])
def job_rows(request, spark, data_pack, tmp_path_factory):
    """Score the same photos by the job, with each form of the model: name to row of scores."""
    from detector.settings import ScoreSettings

    tables = tmp_path_factory.mktemp("fidelity")
    folder = data_pack / "models/yolo_fastest_xl_coco"
    settings = ScoreSettings(
        media={"paths": [str(data_pack / "datasets/coco128_train32/images")]},
        model={"uri": str(folder / request.param), "labels": str(folder / "label_map.pbtxt")},
        tables={"root": str(tables)},
    )
    score(spark, settings)
    rows = deltalake.DeltaTable(str(tables / "scores")).to_pyarrow_table().to_pylist()
    return {Path(row["media_uri"]).name: row for row in rows}


def test_boxes_and_scores_equal_the_plain_loop(job_rows, plain_loop):
    """Every photo: as many detections, each within a thousandth, the same class."""
    assert job_rows.keys() == plain_loop.keys()
    for name, (boxes, scores, classes) in plain_loop.items():
        detections = job_rows[name]["frames"][0]["detections"]
        assert [d["class_id"] for d in detections] == classes.astype(int).tolist()
        assert np.allclose([d["score"] for d in detections], scores, atol=1e-3)
        edges = [[d[edge] for edge in ("y_min", "x_min", "y_max", "x_max")] for d in detections]
        assert np.allclose(edges, boxes, atol=1e-3)


def test_average_precision_equals_the_plain_loop(job_rows, plain_loop, data_pack):
    """COCO AP by pycocotools against the labelled boxes: within .005, and well above nothing."""
    names = sorted(plain_loop)
    truth = build_ground_truth(data_pack, names)
    from_job, from_loop = [], []
    for image_id, name in enumerate(names, 1):
        row = job_rows[name]
        size = row["height_px"], row["width_px"]
        for d in row["frames"][0]["detections"]:
            edges = (d["y_min"], d["x_min"], d["y_max"], d["x_max"])
            from_job.append(make_result(image_id, edges, d["score"], d["class_id"], size))
        for edges, confidence, class_id in zip(*plain_loop[name], strict=True):
            from_loop.append(make_result(image_id, edges, confidence, class_id, size))
    job_ap, loop_ap = compute_ap(truth, from_job), compute_ap(truth, from_loop)
    assert abs(job_ap - loop_ap) <= 0.005
    assert job_ap > 0.2


def make_result(image_id, edges, confidence, class_id, size):
    """Give one detection as COCO's results format has it, the box in pixels as x, y, width, height."""
    y_min, x_min, y_max, x_max = map(float, edges)
    height, width = size
    box = [x_min * width, y_min * height, (x_max - x_min) * width, (y_max - y_min) * height]
    return {"image_id": image_id, "category_id": int(class_id), "bbox": box, "score": float(confidence)}


def build_ground_truth(data_pack, names):
    """Build COCO's ground truth from the VOC files beside the photos."""
    labels = read_label_map(data_pack / "models/yolo_fastest_xl_coco/label_map.pbtxt").names
    ids = {label: class_id for class_id, label in labels.items()}
    images, annotations = [], []
    for image_id, name in enumerate(names, 1):
        xml = etree.parse(data_pack / "datasets/coco128_train32/annotations" / f"{Path(name).stem}.xml")
        images.append({"id": image_id, "file_name": name})
        for thing in xml.findall("object"):
            x_min, y_min, x_max, y_max = (
                float(thing.findtext(f"bndbox/{edge}")) for edge in ("xmin", "ymin", "xmax", "ymax")
            )
            box = [x_min, y_min, x_max - x_min, y_max - y_min]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": ids[thing.findtext("name")],
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": 0,
                }
            )
    categories = [{"id": class_id, "name": label} for label, class_id in ids.items()]
    truth = COCO()
    truth.dataset = json.loads(
        json.dumps({"images": images, "annotations": annotations, "categories": categories, "info": {}})
    )
    truth.createIndex()
    return truth


def compute_ap(truth, results):
    """Compute COCO AP over IoU .50 to .95."""
    evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation.stats[0]
