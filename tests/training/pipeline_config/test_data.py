"""Where a converted config looks for pictures, labels and the number of examples."""

import pytest

from detector.annotations.tfrecord_files import format_record
from detector.training.pipeline_config.command import convert_text
from detector.training.pipeline_config.data import split_path
from detector.training.pipeline_config.ledger import Outcome
from detector.training.pipeline_config.leftovers import read_advice
from detector.training.pipeline_config.schema import read_schema


def convert(reader, more="", **options):
    """Convert a train_input_reader; gives data's keys and the ledger."""
    ledger = convert_text(f"train_input_reader {{ {reader} }} {more}", "x", **options)
    return {
        k.removeprefix("data."): s.value for k, s in ledger.settings.items() if k.startswith("data.")
    }, ledger


def records(path):
    """Write a reader of one record file."""
    return f"tf_record_input_reader {{ input_path: '{path}' }}"


def test_takes_the_folder_of_the_records():
    """Without a root given, it is the records' folder, and the record is the annotations' file."""
    keys, ledger = convert(records("gs://bucket/old/train.record"))
    assert keys == {"root": "gs://bucket/old", "format": "tfrecord", "annotations": "train.record"}
    assert any("not there on this machine" in text for text in ledger.assumptions)


def test_reads_shards_by_their_names():
    """Of shards, all records below the root are read."""
    assert "annotations" not in convert(records("/d/train.tfrecord-?????-of-00010"))[0]


def test_takes_the_root_given(tmp_path):
    """With a root given that has no such records, photos and XML are expected there."""
    keys, ledger = convert(records("/old/train.record"), data_root=tmp_path)
    assert keys == {"root": str(tmp_path), "format": "voc"}
    assert {e.outcome for e in ledger.entries if e.path.endswith("input_path[0]")} == {Outcome.NONE}


def test_counts_the_records(tmp_path):
    """Records that are there are counted for the epochs, all shards of a pattern."""
    for shard in ("train.tfrecord-00000-of-00002", "train.tfrecord-00001-of-00002"):
        (tmp_path / shard).write_bytes(format_record(b"x") * 32)
    _, ledger = convert(
        records("/old/train.tfrecord-?????-of-00002"),
        "train_config { batch_size: 8 num_steps: 80 }",
        data_root=tmp_path,
    )
    assert ledger.settings["fit.epochs"].value == 10
    assert "counted in train.tfrecord-00000" in ledger.settings["fit.epochs"].why


def test_a_damaged_record_is_not_counted(tmp_path):
    """Records that can't be read give no count, and that is told."""
    (tmp_path / "train.record").write_bytes(b"no record at all")
    _, ledger = convert(records(tmp_path / "train.record"), "train_config { num_steps: 80 }")
    assert any("--examples N" in text for text in ledger.assumptions)


def test_finds_and_compares_the_label_map(tmp_path):
    """A label map of that name in the root is taken; another number of classes is told."""
    (tmp_path / "map.pbtxt").write_text("item { id: 1 name: 'a' }")
    keys, ledger = convert(
        "label_map_path: 'C:\\\\old\\\\map.pbtxt'", "model { ssd { num_classes: 3 } }", data_root=tmp_path
    )
    assert keys["labels"] == str(tmp_path / "map.pbtxt")
    assert any("1 classes, num_classes is 3" in text for text in ledger.assumptions)


def test_chooses_by_the_metric():
    """COCO's metric is AP, Pascal VOC's AP50; others are listed."""
    for name, metric in (("coco_detection_metrics", "ap"), ("pascal_voc_detection_metrics", "ap50")):
        ledger = convert_text(f"eval_config {{ metrics_set: '{name}' metrics_set: 'mine' }}", "x")
        assert ledger.settings["fit.metric"].value == metric
        assert {e.outcome for e in ledger.entries if e.path.endswith("metrics_set[1]")} == {Outcome.NONE}


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("a/b.c", ("a", "b.c")),
        ("/b", ("/", "b")),
        (r"C:\x\b", (r"C:\x", "b")),
        ("b", (".", "b")),
        ("s3://x/y/b", ("s3://x/y", "b")),
    ],
)
def test_splits_paths_of_any_system(path, parts):
    """Paths of other systems and URIs are split, too."""
    assert split_path(path) == parts


def test_advice_is_about_fields_that_exist():
    """Every line of the leftovers' table names a message and a field of the schema."""
    messages = read_schema().messages
    assert [key for key in read_advice() if key[1] not in messages.get(key[0], {})] == []


def test_every_augmentation_is_known():
    """No option of the API's preprocessor ends with the general advice."""
    for name in read_schema().messages["PreprocessingStep"]:
        ledger = convert_text(f"train_config {{ data_augmentation_options {{ {name} {{ }} }} }}", "x")
        texts = [e.text for e in ledger.entries if e.path.endswith(name)]
        assert texts
        assert "no such augmentation here: see augment for those there are" not in texts, name
