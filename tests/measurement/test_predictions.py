"""Pictures through a model: in order, in batches of one shape, upright pixels; nothing lost in silence."""

import numpy as np
import pytest
from PIL import Image

from detector.errors import EvaluationError
from detector.measurement.predictions import place_detections, predict_images, try_images
from detector.models.detections import Detections


@pytest.fixture
def grey(tmp_path):
    """Give a maker of pictures of one grey; it returns name and path."""

    def make(name, size_wh=(80, 40), level=200, **how):
        Image.new("RGB", size_wh, (level,) * 3).save(tmp_path / name, **how)
        return name, tmp_path / name

    return make


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_each_picture_has_its_own_result_in_order(grey, make_model, batch_size):
    """Ten pictures of ten greys and two sizes, whatever the batch; a batch has one shape."""
    paths = dict(grey(f"{n}.png", (80, 40) if n % 3 else (40, 80), 20 * n + 20) for n in range(10))
    model = make_model(batch_size=batch_size)
    results = predict_images(model, paths, threads=3)
    assert [result.image for result in results] == list(paths)
    greys = [round(255 * result.scores[0]) for result in results]
    assert greys == [20 * n + 20 for n in range(10)]
    assert sum(model.batches) == 10
    assert max(model.batches) <= batch_size


def test_boxes_are_pixels_of_the_upright_picture(grey, make_model):
    """Turned by EXIF and letterboxed: the middle of the canvas is the middle of the picture."""
    exif = Image.Exif()
    exif[0x0112] = 6
    (whole,) = predict_images(make_model(), dict([grey("a.jpg", (40, 80), exif=exif)]))
    (boxed,) = predict_images(make_model(canvas_hw=(96, 96)), dict([grey("a.jpg", (40, 80), exif=exif)]))
    assert (whole.width_px, whole.height_px) == (80, 40)
    assert whole.boxes_xyxy_px.tolist() == [[20, 10, 60, 30]]
    # Of 96 canvas pixels the picture has 48 in height: half of the canvas is all of it.
    assert boxed.boxes_xyxy_px.tolist() == [[20, 0, 60, 40]]


def test_what_can_not_be_used_is_told(grey, make_model, tmp_path):
    """A damaged file, a missing one and one that the model fails on alone; the others have results."""
    (tmp_path / "damaged.jpg").write_bytes(b"\xff\xd8\xff\xe0 half")
    good, black = grey("good.png"), grey("black.png", level=0)
    paths = dict(
        [good, ("damaged.jpg", tmp_path / "damaged.jpg"), ("none.png", tmp_path / "none.png"), black]
    )
    found = try_images(make_model(), paths)
    assert [result.image for result in found.results] == ["good.png"]
    kinds = {name: error.error_class() for name, error in found.failures.items()}
    assert kinds == {"damaged.jpg": "DamagedImage", "none.png": "MediaNotFound", "black.png": "Prediction"}
    with pytest.raises(EvaluationError, match=r"3 of 4 pictures can't be used, the first is damaged\.jpg"):
        predict_images(make_model(), paths)


def test_progress_reaches_the_total(grey, make_model):
    """The last call says all of all."""
    told = []
    paths = dict(grey(f"{n}.png") for n in range(5))
    try_images(make_model(batch_size=2), paths, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (5, 5)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_an_error_of_the_program_is_no_picture_s_fault(grey, make_model):
    """It comes out as it is, and no thread is left waiting."""

    class Broken(make_model):
        def prepare(self, image):
            raise KeyError("a mistake")

    with pytest.raises(KeyError, match="a mistake"):
        try_images(Broken(), dict(grey(f"{n}.png") for n in range(9)))


def test_swapped_corners_have_no_area():
    """A model may give them; they find nothing, and the rest is judged."""
    boxes = np.array([[0.5, 0.6, 0.4, 0.2], [0, 0, 1, 1]], np.float32)
    found = Detections(boxes, np.ones(2, np.float32), np.ones(2, np.int32))
    result = place_detections("a", (10, 10), found)
    sides = result.boxes_xyxy_px[:, 2:] - result.boxes_xyxy_px[:, :2]
    assert sides.tolist() == [[0, 0], [10, 10]]
