"""A folder of drawn, labelled pictures, and models that are no TensorFlow."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detector.annotations.reading import read_dataset
from detector.annotations.shapes import SHAPE_NAMES, draw_picture
from detector.models.detections import Detections

PROJECT = Path(__file__).resolve().parents[2]
DEMO = PROJECT / "conf" / "demo"
OBJECT = (
    "<object><name>{}</name><difficult>{}</difficult><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax>"
    "<ymax>{}</ymax></bndbox></object>"
)


def write_labelled(folder, name, size_wh, objects, *, pixels=None, **how):
    """Write a picture and its VOC XML; objects are (label, xyxy, difficult), edges 0-based."""
    folder.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", size_wh, "white") if pixels is None else Image.fromarray(pixels)
    image.save(folder / name, **how)
    rows = "".join(OBJECT.format(label, int(difficult), *box) for label, box, difficult in objects)
    xml = f"<annotation><size><width>{size_wh[0]}</width><height>{size_wh[1]}</height></size>{rows}</annotation>"
    (folder / name).with_suffix(".xml").write_text(xml)


@pytest.fixture(scope="session")
def drawn_folder(tmp_path_factory):
    """Give a folder of twelve drawn pictures with the boxes of their shapes."""
    folder = tmp_path_factory.mktemp("drawn") / "photos"
    for number in range(12):
        pixels, boxes, class_ids = draw_picture(np.random.default_rng(number), height_px=120, width_px=160)
        edges = np.rint(boxes[:, [1, 0, 3, 2]] * [160, 120, 160, 120]).astype(int).tolist()
        objects = [(SHAPE_NAMES[i - 1], box, False) for box, i in zip(edges, class_ids.tolist(), strict=True)]
        write_labelled(folder, f"shapes_{number:02}.png", (160, 120), objects, pixels=pixels)
    return folder


@pytest.fixture(scope="session")
def demo():
    """Give the folder of the demo's model: saved_model and label_map.pbtxt."""
    return DEMO


@pytest.fixture
def labelled(tmp_path):
    """Give a writer of labelled pictures below tmp_path/photos, and a reader of them."""
    folder = tmp_path / "photos"

    def write(name, size_wh, objects, **how):
        write_labelled(folder, name, size_wh, objects, **how)
        return folder

    return write


@pytest.fixture
def read(tmp_path):
    """Give the function that reads tmp_path/photos as a data set."""
    return lambda: read_dataset(tmp_path / "photos")[0]


class BrightModel:
    """Finds one box over the middle of each picture, its score the mean of the pixels; fails on black ones."""

    def __init__(self, *, batch_size=4, canvas_hw=None):
        self.batch_size, self.canvas_hw = batch_size, canvas_hw
        self.batches = []

    def prepare(self, image):
        """Give the picture itself."""
        return image

    def predict(self, inputs, image_hws):
        """Tell how many came, and find a box on each."""
        from detector.errors import PredictionError

        self.batches.append(len(inputs))
        if any(not image.any() for image in inputs):
            raise PredictionError("a black picture")
        assert len({image.shape for image in inputs}) == 1
        assert [image.shape[:2] for image in inputs] == list(image_hws)
        box = np.array([[0.25, 0.25, 0.75, 0.75]], np.float32)
        one = np.ones(1, np.int32)
        return [Detections(box, np.array([image.mean() / 255], np.float32), one) for image in inputs]


@pytest.fixture
def make_model():
    """Give the class of the model."""
    return BrightModel
