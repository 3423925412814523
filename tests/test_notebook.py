"""The notebook's words, on drawn photos: the same code as the job's."""

import pytest
from PIL import Image

from detector.annotations.drawn_dataset import write_drawn_dataset
from detector.notebook import Model, Photos

NETWORK = {"backbone": "plain", "input_px": 64, "levels": (3, 4), "pyramid_width": 16}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """Give a model trained for two epochs, and the folder it was trained in."""
    folder = tmp_path_factory.mktemp("notebook")
    write_drawn_dataset(folder / "photos", count=16, seed=5)
    photos = Photos(folder / "photos", train=0.5, val=0.25, test=0.25)
    assert "4 val" in repr(photos)
    model = photos.train(model=NETWORK, fit={"epochs": 2}, tracking={"resamples": 100}, out=folder / "out")
    return folder, model


def test_five_words_go_from_photos_to_a_package(model):
    """Train, evaluate, predict with a picture, export; the package predicts the same when opened alone."""
    folder, trained = model
    report = trained.evaluate("test")
    assert report.image_count == len(trained.outcome.data.splits["test"]) > 0
    assert report.coco.ap == pytest.approx(trained.outcome.release.test.report.coco.ap)
    picture = next((folder / "photos").glob("*.jpg"))
    prediction = trained.predict(picture)
    assert list(prediction.boxes.columns) == [
        "class_id",
        "label",
        "score",
        "x_min",
        "y_min",
        "x_max",
        "y_max",
    ]
    with Image.open(picture) as opened:
        assert prediction.draw(0.0).size == opened.size
    assert prediction._repr_png_().startswith(b"\x89PNG")
    again = Model(trained.export(folder / "package")).predict(picture)
    assert again.boxes.equals(prediction.boxes)


def test_evaluation_needs_photos(model):
    """A model from elsewhere has no photos of its own; with some, it is measured on them."""
    folder, trained = model
    other = Model(trained.outcome.release.package)
    with pytest.raises(ValueError, match="give photos"):
        other.evaluate()
    photos = Photos(folder / "photos", train=0.5, val=0.25, test=0.25)
    assert other.evaluate("val", photos).image_count == len(photos.data.splits["val"]) > 0
