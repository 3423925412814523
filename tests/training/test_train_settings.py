"""The settings of jobs/train.py: the ready files load, and what makes no sense is refused by name."""

from pathlib import Path

import pytest

from detector.errors import SettingsError
from detector.settings_sources import load_settings
from detector.training.families.registry import check_architecture
from detector.training.train_settings import TrainSettings

CONF = Path(__file__).resolve().parents[2] / "conf"
READY = sorted([CONF / "train.yaml", *(CONF / "train").glob("*.yaml")])


@pytest.mark.parametrize("path", READY, ids=lambda path: path.stem)
def test_ready_files_load(path):
    """Every file under conf/train is valid and names an architecture that there is."""
    words = ["--config", str(path), "--data.root", "photos"]
    settings = load_settings(TrainSettings, words)
    check_architecture(settings.model.architecture)


def test_there_is_a_file_for_each_family_and_situation():
    """The README's list of files."""
    names = {path.stem for path in READY}
    assert names >= {
        "few_photos", "small_objects", "fast", "accurate", "d_fine", "faster_rcnn", "search", "demo",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model.input_px", "300"], "model.input_px"),
        (["--augment.scale", "1.5,0.5"], "augment.scale"),
        (["--search.method", "grid"], "search.space"),
        (["--fit.precision", "float64"], "fit.precision"),
        (["--fit.xla", "--model.architecture", "faster_rcnn"], "XLA can't compile faster_rcnn"),
    ],
)
def test_nonsense_is_refused_by_name(words, message):
    """A canvas that strides don't divide, a range upside down, a search of nothing, no such precision, no XLA."""
    with pytest.raises(SettingsError, match=message):
        load_settings(TrainSettings, ["--data.root", "photos", *words])
