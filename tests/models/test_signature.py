"""The signature reader: every kind of model recognised, everything else refused by what it is."""

import shutil
import subprocess
import sys

import pytest

from detector.errors import ModelError
from detector.models.signature import locate_model, read_signature

READ = {  # kind: (input name, input kind, dtype, batch, family, class_offset)
    "batch_one": ("input_tensor", "image", "uint8", 1, "object_detection_api", 0),
    "dynamic": ("input_tensor", "image", "uint8", None, "object_detection_api", 0),
    "float": ("input_tensor", "image", "float32", None, "object_detection_api", 0),
    "encoded": ("input_tensor", "encoded", "string", None, "object_detection_api", 0),
    "encoded_scalar": ("input_tensor", "encoded", "string", 1, "object_detection_api", 0),
    "tf_example": ("input_tensor", "tf_example", "string", None, "object_detection_api", 0),
    "tf1_saved_model": ("inputs", "image", "uint8", None, "object_detection_api", 0),
    "frozen_graph": ("image_tensor:0", "image", "uint8", None, "object_detection_api", 0),
    "garden_pixels": ("input_tensor", "image", "uint8", None, "model_garden", 0),
    "garden_normalised": ("input_tensor", "image", "uint8", None, "model_garden", 0),
    "keras": ("images", "image", "float32", None, "keras", 1),
}


@pytest.mark.parametrize("kind", READ)
def test_every_kind_is_recognised(build, kind):
    """The input, its kind and the family come from the model's own files."""
    signature = read_signature(build(kind))
    found = signature.input
    assert (
        found.name,
        found.kind,
        found.dtype,
        found.batch,
        signature.family,
        signature.class_offset,
    ) == READ[kind]


def test_fixed_size_is_read(build):
    """Height and width come in this order."""
    found = read_signature(build("fixed_size")).input
    assert (found.height_px, found.width_px) == (40, 60)


def test_classifier_is_refused_by_what_was_found(build):
    """The message names inputs and outputs found, and those expected."""
    with pytest.raises(ModelError, match=r"input_tensor float32\[-1, -1, -1, 3\].*scores.*expected.*boxes"):
        read_signature(build("classifier"))


@pytest.mark.data
def test_real_graph_that_is_no_detector_is_refused(data_pack):
    """A frozen graph without detection outputs says which nodes it ends in."""
    with pytest.raises(ModelError, match=r"last nodes .*prob.*expected"):
        read_signature(data_pack / "models" / "not_a_detector" / "mtcnn.pb")


@pytest.mark.parametrize("wrapped", ["saved_model", "."])
def test_export_folders_are_found(build, tmp_path, wrapped):
    """A SavedModel is found by its folder, its export folder and its file."""
    shutil.copytree(build("dynamic"), tmp_path / wrapped, dirs_exist_ok=True)
    expected = tmp_path / wrapped
    assert locate_model(tmp_path) == expected
    assert locate_model(expected / "saved_model.pb") == expected


def test_folder_with_a_frozen_graph_is_found(build):
    """The export folder of a TF1 frozen graph means the graph."""
    assert locate_model(build("frozen_graph").parent) == build("frozen_graph")


@pytest.mark.parametrize(
    ("name", "message"),
    [("weights.h5", "export"), ("model.keras", "export"), ("photo.jpg", "photo.jpg"), (None, "nothing")],
)
def test_what_is_no_model_is_named(tmp_path, name, message):
    """The message says what lies there instead."""
    if name is not None:
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ModelError, match=message):
        locate_model(tmp_path)


def test_missing_path_is_named(tmp_path):
    """A path that isn't there is said not to be there."""
    with pytest.raises(ModelError, match="no such file"):
        locate_model(tmp_path / "absent")


@pytest.mark.parametrize("kind", ["dynamic", "frozen_graph"])
@pytest.mark.parametrize("damage", ["empty", "half", "text", "zeros"])
def test_damaged_file_is_refused(build, tmp_path, kind, damage):
    """Empty, truncated and foreign bytes are refused, not parsed into nonsense."""
    source = build(kind)
    whole = (source / "saved_model.pb" if source.is_dir() else source).read_bytes()
    name = "saved_model.pb" if source.is_dir() else "frozen.pb"
    damaged = {
        "empty": b"",
        "half": whole[: len(whole) // 2],
        "text": b"no model\n" * 99,
        "zeros": bytes(999),
    }
    (tmp_path / name).write_bytes(damaged[damage])
    with pytest.raises(ModelError, match=r"damaged|empty"):
        read_signature(tmp_path / name)


def test_missing_variables_are_refused(build, tmp_path):
    """A SavedModel copied without its variables is refused before any worker starts."""
    shutil.copy(build("dynamic") / "saved_model.pb", tmp_path)
    with pytest.raises(ModelError, match="variables are missing"):
        read_signature(tmp_path)


def test_reading_needs_no_tensorflow():
    """The driver of a Spark job never pays for TensorFlow's start."""
    modules = "detector.models.signature, detector.models.package, detector.models.predictor"
    code = f"import sys, {modules}; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
