"""Real detections on real photos: figures equal to pycocotools', and everything else runs on them."""

from dataclasses import astuple

import cv2
import numpy as np
import pytest
from lxml import etree

from detector.evaluation.assessment import assess_detections
from detector.evaluation.coco import compute_coco
from detector.evaluation.comparison import compute_metric, prepare_sample
from detector.evaluation.results import make_result
from detector.evaluation.sample import gather_sample
from detector.evaluation.truth import make_truth
from detector.labels import read_label_map

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def names(data_pack):
    """Give the model's class names by id."""
    return read_label_map(data_pack / "models/yolo_fastest_xl_coco/label_map.pbtxt").names


@pytest.fixture(scope="module")
def truths(data_pack, names):
    """Read the 32 photos' ground truth."""
    ids = {name: class_id for class_id, name in names.items()}
    folder = data_pack / "datasets/coco128_train32/annotations"
    return [read_truth(path, ids) for path in sorted(folder.glob("*.xml"))]


def read_truth(path, ids):
    """Read one XML as it was written: 1-based corners, which is close enough here."""
    root = etree.parse(path).getroot()
    boxes = [[float(part.text) for part in box] for box in root.iter("bndbox")]
    size = tuple(int(root.findtext(f"size/{side}")) for side in ("width", "height"))
    return make_truth(path.stem, size, boxes, [ids[name.text] for name in root.iter("name")])


@pytest.fixture(scope="module")
def results(data_pack, truths):
    """Detect on the 32 photos with the real model."""
    import tensorflow as tf

    model = tf.saved_model.load(str(data_pack / "models/yolo_fastest_xl_coco/saved_model"))
    photos = data_pack / "datasets/coco128_train32/images"
    found = []
    for truth in truths:
        rgb = cv2.imread(str(photos / f"{truth.image}.jpg"), cv2.IMREAD_COLOR_RGB)
        outputs = model.signatures["serving_default"](input_tensor=tf.constant(rgb[None]))
        count = int(outputs["num_detections"][0])
        boxes, scores, classes = (
            outputs[f"detection_{name}"][0].numpy()[:count] for name in ("boxes", "scores", "classes")
        )
        sides = np.array([truth.width_px, truth.height_px] * 2)
        size = (truth.width_px, truth.height_px)
        found.append(make_result(truth.image, size, boxes[:, [1, 0, 3, 2]] * sides, scores, classes))
    return found


def test_figures_are_those_of_pycocotools(truths, results, ask_pycocotools):
    """All twelve agree to a millionth, and the detector is a good one."""
    sample = gather_sample(truths, results)
    figures, _ = compute_coco(sample)
    assert astuple(figures) == pytest.approx(ask_pycocotools(truths, results, sample.class_ids), abs=1e-6)
    assert figures.ap50 > 0.4


@pytest.mark.parametrize("metric", ["ap", "ap50", "ap75"])
def test_comparison_takes_the_same_figure(truths, results, metric):
    """What the bootstrap resamples is, on the images as they are, COCO's figure."""
    sample = gather_sample(truths, results)
    once = np.ones((len(truths), 1), np.int16)
    figures, _ = compute_coco(sample)
    assert compute_metric(prepare_sample(sample, metric), once)[0] == pytest.approx(getattr(figures, metric))


def test_the_report_adds_up(truths, results, names):
    """Right, wrong and missed over images, classes and the confusion matrix are the same numbers."""
    report = assess_detections(truths, results, labels=names, random=np.random.default_rng(0), resamples=50)
    right = sum(image.right for image in report.images)
    assert right == sum(row.counts.right for row in report.classes)
    assert right == np.trace(report.confusion.counts)
    assert right + sum(image.missed for image in report.images) == report.object_count
    assert report.confusion.counts[:-1].sum() == report.object_count
