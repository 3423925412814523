"""The jobs' settings under conf/, through the settings classes that the jobs read them with."""

import importlib
import os
from pathlib import Path

import pytest
import yaml

from detector.errors import SettingsError
from detector.settings_sources import load_settings

CONF = Path(__file__).resolve().parents[2] / "conf"
SCORE = ("detector.settings", "ScoreSettings")
TRAIN = ("detector.training.train_settings", "TrainSettings")
# What each file leaves to the command line, as its first lines say.
FILES = {
    "demo.yaml": (SCORE, []),
    "score.yaml": (SCORE, ["--media.paths", "/photos", "--model.uri", "/models/m", "--tables.root", "/lake"]),
    "maintain.yaml": (("detector.tables.maintain_settings", "MaintainSettings"), ["--tables.root", "/lake"]),
    "serve.yaml": (("detector.serving.serve_settings", "ServeJobSettings"), ["--model.uri", "/models/m"]),
    "train.yaml": (TRAIN, ["--data.root", "/photos"]),
} | {
    f"train/{file.name}": (TRAIN, ["--data.root", "/photos"])
    for file in sorted((CONF / "train").glob("*.yaml"))
}
THERE = {name: kind for name, kind in FILES.items() if (CONF / name).is_file()}


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    """Leave the settings to the file and the flags."""
    for variable in [name for name in os.environ if name.startswith("DETECTOR_")]:
        monkeypatch.delenv(variable)


def find_class(kind):
    """Give the settings class by module and name."""
    return getattr(importlib.import_module(kind[0]), kind[1])


@pytest.mark.parametrize(("name", "kind"), THERE.items(), ids=THERE)
def test_file_is_what_its_job_takes(name, kind, tmp_path):
    """It loads with the flags that its head names; an unknown key is refused by name."""
    settings_class, flags = find_class(kind[0]), kind[1]
    file = CONF / name
    load_settings(settings_class, ["--config", str(file), *flags])
    section = next(
        key for key, value in yaml.safe_load(file.read_text("utf-8")).items() if isinstance(value, dict)
    )
    broken = tmp_path / "broken.yaml"
    document = yaml.safe_load(file.read_text("utf-8"))
    document[section] = document[section] | {"tpyo": 1}
    broken.write_text(yaml.safe_dump(document), encoding="utf-8")
    with pytest.raises(SettingsError, match=rf"{section}\.tpyo"):
        load_settings(settings_class, ["--config", str(broken), *flags])
