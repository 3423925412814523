"""The output decoder, on hand-worked arrays: box formats, counts, classes, thresholds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from detector.errors import PredictionError
from detector.models.outputs import OutputDecoder
from detector.models.signature import ModelInput, ModelSignature
from detector.settings import ModelSettings

BOX = [0.1, 0.2, 0.5, 0.6]
FORMATS = {  # BOX in an image of 100 x 200
    "yxyx_norm": BOX,
    "xyxy_norm": [0.2, 0.1, 0.6, 0.5],
    "xywh_norm": [0.2, 0.1, 0.4, 0.4],
    "yxyx_px": [10, 40, 50, 120],
    "xyxy_px": [40, 10, 120, 50],
    "xywh_px": [40, 10, 80, 40],
}


def build_decoder(family="object_detection_api", **settings):
    """Build a decoder for a family."""
    model_input = ModelInput("x", "image", "uint8", None, None, None)
    names = ("boxes", "scores", "classes", "num_detections", "image_info")
    offset = 1 if family == "keras" else 0
    signature = ModelSignature("saved_model", ("serve",), "s", model_input, *names, family, offset)
    return OutputDecoder(signature, ModelSettings(uri="m", **settings))


def decode(outputs, family="object_detection_api", image_hw=(100, 200), **settings):
    """Decode a batch of one."""
    arrays_ = {role: np.asarray(values, np.float32) for role, values in outputs.items()}
    return build_decoder(family, **settings).decode(arrays_, [image_hw])[0]


def one_row(box=BOX, score=0.9, class_=3):
    """Give the outputs for one box."""
    return {"boxes": [[box]], "scores": [[score]], "classes": [[class_]]}


@pytest.mark.parametrize("box_format", FORMATS)
@pytest.mark.parametrize("family", ["object_detection_api", "model_garden", "keras"])
def test_named_formats_come_out_alike(family, box_format):
    """model.box_format overrules what the family would mean."""
    found = decode(one_row(FORMATS[box_format]), family, box_format=box_format)
    np.testing.assert_allclose(found.boxes_yxyx_norm, [BOX], atol=1e-6)


@pytest.mark.parametrize("family", ["model_garden", "keras"])
@pytest.mark.parametrize("box_format", ["yxyx_norm", "yxyx_px"])
def test_pixels_are_told_from_fractions(family, box_format):
    """Both come out alike under auto, where a family may mean either."""
    found = decode(one_row(FORMATS[box_format]), family)
    np.testing.assert_allclose(found.boxes_yxyx_norm, [BOX], atol=1e-6)


def test_api_boxes_are_fractions_whatever_their_size():
    """The contract of the Object Detection API says so, and boxes aren't clipped."""
    assert decode(one_row([-3, 0, 5, 1])).boxes_yxyx_norm.tolist() == [[-3, 0, 5, 1]]


def test_image_info_undoes_resize_and_crop():
    """Pixels of the resized image become fractions of the original by scale and offset."""
    outputs = one_row([15, 35, 35, 75]) | {"image_info": [[[100, 200], [64, 64], [0.5, 0.5], [-10, -15]]]}
    found = decode(outputs, "model_garden")
    np.testing.assert_allclose(found.boxes_yxyx_norm, [[0.1, 0.2, 0.5, 0.6]], atol=1e-6)


@pytest.mark.parametrize("count", [1, [1], [[1]], 1.0])
def test_count_of_any_rank_limits_the_rows(count):
    """num_detections may be a scalar, a vector or a column."""
    outputs = {"boxes": [[BOX, BOX]], "scores": [[0.5, 0.9]], "classes": [[1, 2]], "num_detections": count}
    assert decode(outputs).class_ids.tolist() == [1]


def test_rows_without_a_count_end_at_score_zero():
    """Padding has score 0 or, from Keras, class -1."""
    outputs = {"boxes": [[BOX] * 3], "scores": [[0.9, 0.0, 0.8]], "classes": [[0, 1, -1]]}
    assert decode(outputs, "keras", min_score=0).class_ids.tolist() == [1]


@pytest.mark.parametrize(
    ("family", "offset", "class_id"), [("keras", None, 4), ("keras", 0, 3), ("model_garden", 7, 10)]
)
def test_class_offset(family, offset, class_id):
    """Keras counts from 0, label maps from 1; the setting wins."""
    assert decode(one_row(), family, class_offset=offset).class_ids.tolist() == [class_id]


def test_row_that_is_no_number_is_dropped():
    """One NaN row doesn't cost its neighbours."""
    outputs = {"boxes": [[BOX, [np.nan] * 4]], "scores": [[0.5, 0.9]], "classes": [[1, 2]]}
    assert decode(outputs).class_ids.tolist() == [1]


def test_image_of_nan_alone_is_an_error():
    """A model that says nothing but NaN has failed, it hasn't found nothing."""
    with pytest.raises(PredictionError, match="NaN"):
        decode(one_row(score=np.nan))


def test_outputs_that_do_not_fit_are_an_error():
    """The message says which shapes came."""
    with pytest.raises(PredictionError, match=r"\(1, 2\)"):
        decode(one_row() | {"scores": [[0.1, 0.2]]})


def test_missing_batch_axis_is_added():
    """A model of single images may give [N, 4]."""
    outputs = {"boxes": [BOX], "scores": [0.9], "classes": [3]}
    assert decode(outputs).class_ids.tolist() == [3]


def test_padded_rows_of_the_batch_are_dropped():
    """Only the images asked for come out, each with its own rows."""
    outputs = {
        "boxes": np.tile(np.float32(BOX), (4, 1, 1)),
        "scores": np.full((4, 1), 0.9, np.float32),
        "classes": np.arange(1, 5, dtype=np.float32)[:, None],
    }
    found = build_decoder().decode(outputs, [(10, 10)] * 3)
    assert [detections.class_ids.tolist() for detections in found] == [[1], [2], [3]]


@given(arrays(np.float32, st.integers(0, 30), elements=st.floats(0, 1, width=32)), st.integers(1, 9))
def test_best_come_first_and_none_is_below_the_threshold(scores, limit):
    """Scores fall, at most max_detections are left, and what is left out isn't better."""
    outputs = {
        "boxes": [[BOX] * len(scores)] if len(scores) else np.zeros((1, 0, 4)),
        "scores": [scores],
        "classes": [scores * 0 + 1],
    }
    found = decode(outputs, min_score=0.25, max_detections=limit).scores
    expected = sorted((score for score in scores if score >= 0.25), reverse=True)[:limit]
    assert found.tolist() == [float(score) for score in expected]
