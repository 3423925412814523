"""Settings: where they come from, which source wins, and that nothing wrong gets through."""

from pathlib import Path

import pytest

from detector.errors import SettingsError
from detector.settings import ScoreSettings
from detector.settings_sources import list_keys, load_settings

ENOUGH = ["--media.paths", "photos", "--model.uri", "m", "--tables.root", "t"]


@pytest.fixture
def yaml_file(tmp_path):
    """Write a settings file and give the flag that names it."""

    def write(text):
        path = tmp_path / "score.yaml"
        path.write_text(text)
        return ["--config", str(path)]

    return write


def load(*arguments):
    """Load the scoring job's settings."""
    return load_settings(ScoreSettings, arguments)


def test_flags_win_over_environment_over_yaml(yaml_file, monkeypatch):
    """One key in all three places, one in two, one in the file alone."""
    config = yaml_file("model: {uri: y, name: y, version: y}\ntables: {root: t}\nmedia: {paths: [p]}")
    monkeypatch.setenv("DETECTOR_MODEL__URI", "e")
    monkeypatch.setenv("DETECTOR_MODEL__NAME", "e")
    model = load(*config, "--model.uri", "f").model
    assert (model.uri, model.name, model.version) == ("f", "e", "y")


def test_paths_repeat_and_keep_commas():
    """--media.paths may be given several times, as one word or two; a comma belongs to the name."""
    settings = load(*ENOUGH, "--media.paths", "a,b", "--media.paths=c,d")
    assert settings.media.paths == ["photos", "a,b", "c,d"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("media: {pathz: [p]}", r"unknown setting media\.pathz; did you mean media\.paths\?"),
        ("modle: {uri: m}", "unknown setting modle"),
        ("run: {rescore: perhaps}", r"run\.rescore: .*boolean.* not 'perhaps'"),
        ("media: {max_pixels: many}", r"media\.max_pixels: .*integer.* not 'many'"),
        ("model: {min_score: 2}", r"model\.min_score"),
        ("tables: {root: a, schema: b.c}", r"tables\.root or tables\.schema"),
        ("media: [", r"score\.yaml"),
    ],
)
def test_a_wrong_file_is_refused_by_key(yaml_file, text, message):
    """The message names the key, what is wrong, and the file."""
    with pytest.raises(SettingsError, match=message) as caught:
        load(*yaml_file(text))
    assert "score.yaml" in str(caught.value)


@pytest.mark.parametrize("variable", ["DETECTOR_MEDIA__PATHZ", "DETECTOR_MEDAI__PATHS"])
def test_an_unknown_environment_variable_is_refused(monkeypatch, variable):
    """A typo in the environment is as wrong as one in the file."""
    monkeypatch.setenv(variable, "x")
    with pytest.raises(SettingsError, match="unknown"):
        load(*ENOUGH)


def test_an_unknown_flag_leaves_with_two(capsys):
    """Argparse refuses it by name, with the exit code of refused settings."""
    with pytest.raises(SystemExit) as caught:
        load(*ENOUGH, "--media.pathz", "x")
    assert caught.value.code == 2
    assert "--media.pathz" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["--model.uri", "--tables.root", "--media.paths"])
def test_what_is_missing_is_named(missing):
    """Neither model nor tables nor media can be left out."""
    at = ENOUGH.index(missing)
    with pytest.raises(SettingsError, match=missing.strip("-").split(".")[0]):
        load(*ENOUGH[:at], *ENOUGH[at + 2 :])


def test_the_configuration_of_the_repository_loads():
    """conf/score.yaml and conf/demo.yaml hold nothing that is unknown."""
    folder = Path(__file__).resolve().parents[1] / "conf"
    assert load("--config", str(folder / "score.yaml"), *ENOUGH).media.min_age_s == 60
    assert load("--config", str(folder / "demo.yaml")).model.name == "demo_shapes"


def test_a_missing_file_is_named(tmp_path):
    """--config must exist."""
    with pytest.raises(SettingsError, match="no such file"):
        load("--config", str(tmp_path / "none.yaml"))


def test_help_explains_every_key(capsys):
    """--help has a line for each setting."""
    with pytest.raises(SystemExit) as caught:
        load("--help")
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    assert [key for key in list_keys(ScoreSettings) if f"--{key}" not in shown] == []


@pytest.mark.parametrize(
    ("words", "sample"),
    [("every_n: 10", "every_n: 10"), ("fps:2", "fps: 2.0"), ("scenes", "scenes"), ("{fps: 2}", "fps: 2.0")],
)
def test_sampling_in_words(yaml_file, words, sample):
    """The same words on the command line and in YAML, one canonical form."""
    quoted = words if "{" in words else f"'{words}'"
    file = yaml_file(f"media: {{video: {{sample: {quoted}}}}}")
    assert load(*file, *ENOUGH).media.video.sample == sample
    if "{" not in words:
        assert load(*ENOUGH, "--media.video.sample", words).media.video.sample == sample


@pytest.mark.parametrize("words", ["every_n: 0", "fps: inf", "fps: -1", "every", "every_n: 2.5"])
def test_a_wrong_sampling_is_refused(words):
    """Named with what it may be."""
    with pytest.raises(SettingsError, match=r"media\.video\.sample.*keyframes"):
        load(*ENOUGH, "--media.video.sample", words)


def test_times_must_be_in_order():
    """end_s after start_s."""
    with pytest.raises(SettingsError, match="end_s"):
        load(*ENOUGH, "--media.video.start_s", "5", "--media.video.end_s", "5")
