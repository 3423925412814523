"""Whole conversions: the data pack's configs, planted faults, and the account of every field."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detector.errors import SettingsError
from detector.settings_sources import load_settings
from detector.training.pipeline_config.command import convert_pipeline_config, convert_text, run_conversion
from detector.training.pipeline_config.config_tree import check_fields
from detector.training.pipeline_config.ledger import Outcome
from detector.training.pipeline_config.settings_file import check_settings, format_settings
from detector.training.pipeline_config.text_proto import read_text_proto
from detector.training.train_settings import TrainSettings

SMALL = """
model { ssd { num_classes: 2 image_resizer { fixed_shape_resizer { height: 300 width: 300 } }
  feature_extractor { type: "ssd_mobilenet_v2_fpn_keras" fpn { min_level: 3 max_level: 6 } } } }
train_config { batch_size: 16 num_steps: 1000
  optimizer { adam_optimizer { learning_rate { constant_learning_rate { learning_rate: 0.001 } } } } }
train_input_reader { label_map_path: "old/map.pbtxt" tf_record_input_reader { input_path: "old/train.record" } }
"""


def load(path):
    """Load a settings file as jobs/train.py does, as plain values."""
    return load_settings(TrainSettings, ["--config", str(path)]).model_dump() | {"config": None}


def account(text, ledger):
    """Check that every field of a config ended in exactly one entry."""
    root = check_fields(read_text_proto(text, "x"), "x")
    ends = [entry.path for entry in ledger.entries if not entry.is_remark]
    for leaf in root.leaves():
        if leaf is root:
            continue
        hits = [end for end in ends if leaf.path == end or leaf.path.startswith(f"{end}.")]
        assert len(hits) == 1, (leaf.path, hits)


@pytest.mark.data
def test_converts_every_config_of_the_data_pack(pack_configs, tmp_path):
    """Each converts, its YAML loads as the settings of jobs/train.py, and no field is unaccounted for."""
    for number, path in enumerate(pack_configs):
        out = tmp_path / f"{number}.yaml"
        found = convert_pipeline_config(path, out, examples=500)
        assert load(out) == found.settings.model_dump()
        account(path.read_text(), convert_text(path.read_text(), "x"))
        text = out.read_text()
        assert all(re.sub(r"\[\d+\]$", "", e.path) in text for e in found.entries)


@pytest.mark.data
def test_converts_the_tf2_config_by_value(pack_configs, tmp_path):
    """The TF2 config's numbers arrive: sizes, anchors, schedule, batch, steps as epochs."""
    path = next(path for path in pack_configs if "fpnlite" in path.name)
    given = convert_pipeline_config(path, tmp_path / "x.yaml", examples=6400).settings
    model, fit = given.model, given.fit
    assert (model.architecture, model.backbone, model.input_px) == ("retinanet", "mobilenet_v2", 320)
    assert (model.levels, model.pyramid_width, model.head_depth) == ((3, 7), 128, 4)
    assert (model.anchors.sizes, model.anchors.aspect_ratios) == ([4.0, 5.657], [1.0, 0.5, 2.0])
    assert (fit.batch_size, fit.epochs, fit.warmup_epochs) == (128, 1000, 20.0)
    assert (fit.optimizer, fit.learning_rate, fit.schedule, fit.ema_decay) == ("sgd", 0.08, "cosine", None)
    assert (given.export.nms_iou, given.export.min_score, given.augment.flip) == (0.6, 1e-8, 0.5)


@pytest.mark.data
def test_names_a_field_planted_in_a_real_config(pack_configs, tmp_path):
    """A planted unknown field is named with its line, and nothing is written."""
    lines = pack_configs[0].read_text().splitlines()
    line = next(n for n, text in enumerate(lines, 1) if text.startswith("train_config"))
    lines.insert(line, "  planted_field: 3")
    config, out = tmp_path / "pipeline.config", tmp_path / "out.yaml"
    config.write_text("\n".join(lines))
    with pytest.raises(SettingsError, match=rf"line {line + 1}: unknown field train_config\.planted_field"):
        run_conversion(["--from-pipeline-config", str(config), "--out", str(out)])
    assert not out.exists()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32))
def test_accounts_for_every_field_of_any_config(write_config, tmp_path, seed):
    """Whatever the schema allows ends field by field in one entry, and as settings or a refusal."""
    text = write_config(seed)
    ledger = convert_text(text, "x")
    account(text, ledger)
    try:
        checked = check_settings(ledger, "x")
    except SettingsError:
        return
    path = tmp_path / "x.yaml"
    path.write_text(format_settings(ledger, "x"))
    assert load(path) == checked.model_dump()


def test_comments_cannot_become_settings(tmp_path):
    """A line break in a value of the config ends no comment of the YAML."""
    config, out = tmp_path / "a.config", tmp_path / "a.yaml"
    config.write_text(
        SMALL
        + r'train_config { fine_tune_checkpoint: "x\nfit:\n  epochs: 1" }'.replace(
            "train_config {", "eval_config { export_path: 'y\\nz: 1' }#"
        )
    )
    convert_pipeline_config(config, out)
    assert "z" not in load_settings(TrainSettings, ["--config", str(out)]).model_dump()
    assert r"y\nz: 1" in out.read_text()


def test_prints_what_wants_a_decision(tmp_path, capsys):
    """The terminal has assumptions, nearest and missing counterparts; exit code 0."""
    config = tmp_path / "a.config"
    config.write_text(SMALL + "graph_rewriter { quantization { delay: 48000 } }")
    assert (
        run_conversion(["--from-pipeline-config", str(config), "--out", str(tmp_path / "b" / "a.yaml")]) == 0
    )
    shown = capsys.readouterr().out
    assert "assumed: 1,000 training pictures" in shown
    assert "no counterpart: line 7, graph_rewriter: {quantization: {delay: 48000}}" in shown
    assert "model.input_px: pictures keep their shape" in shown


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (SMALL.replace("0.001", "0.0"), {}, "fit.learning_rate: .*line 5"),
        ("not a config", {}, "line 1"),
        (SMALL, {"examples": 0}, "--examples is 0"),
    ],
)
def test_refuses_before_writing(text, options, message, tmp_path):
    """What can't be a setting, a config or a count is refused, and no file appears."""
    config, out = tmp_path / "a.config", tmp_path / "a.yaml"
    config.write_text(text)
    with pytest.raises(SettingsError, match=message):
        convert_pipeline_config(config, out, **options)
    assert not out.exists()


def test_refuses_to_write_over_a_file(tmp_path):
    """A file that is there stays."""
    config, out = tmp_path / "a.config", tmp_path / "a.yaml"
    config.write_text(SMALL)
    out.write_text("mine")
    with pytest.raises(SettingsError, match="is there already"):
        convert_pipeline_config(config, out)
    assert out.read_text() == "mine"


def test_refuses_files_that_cannot_be_read(tmp_path):
    """A missing file and one that is no text are named."""
    (tmp_path / "b").write_bytes(b"\xff\xfe\xfd")
    for name in ("a", "b"):
        with pytest.raises(SettingsError, match="can't be read"):
            convert_pipeline_config(tmp_path / name, tmp_path / "out.yaml")


def test_an_empty_config_is_all_assumptions():
    """A config without fields converts, and says that everything is assumed."""
    ledger = convert_text("", "x")
    assert not [entry for entry in ledger.entries if entry.outcome is Outcome.CONVERTED]
    assert any("model is this project's" in text for text in ledger.assumptions)
