"""The worker's pipeline with a made-up model: nothing lost, batches fixed, memory bounded, failures alone."""

import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector.boxes import compute_letterbox
from detector.errors import DamagedImageError
from detector.models.detections import Detections
from detector.scoring.pipeline import LoadedFrame, MediaFacts, run_pipeline


class CountingPredictor:
    """Finds one box in every picture, its score the first pixel's value; remembers its calls."""

    def __init__(self, batch_size, refuse=lambda value: False):
        self.batch_size = batch_size
        self.calls = []
        self.refuse = refuse

    def predict(self, inputs, image_hws):
        """Answer as a model would."""
        assert len({pixels.shape for pixels in inputs}) == 1
        values = [int(pixels.flat[0]) for pixels in inputs]
        self.calls.append(values)
        if any(self.refuse(value) for value in values):
            raise RuntimeError("cannot")
        return [make_detections(value) for value in values]


def make_detections(value):
    """Give one detection that carries ``value``."""
    box = np.array([[0.25, 0.25, 0.75, 0.75]], np.float32)
    return Detections(box, np.array([value], np.float32), np.array([1], np.int32))


def make_frame(value, height=4, width=4, letterbox=None, frame_index=0):
    """Give a loaded picture whose pixels are all ``value``."""
    pixels = np.full((height, width, 3), value, np.uint8)
    return LoadedFrame(pixels, (height, width), letterbox, MediaFacts(width, height, None), frame_index)


def make_image(value, **shape):
    """Give the frames of an image: one."""
    return [make_frame(value, **shape)]


def values_of(outcomes):
    """Give what the model saw for each unit that has an only frame, None where it has none."""
    seen = {
        outcome.unit: [int(frame.detections.scores[0]) for frame in outcome.frames] for outcome in outcomes
    }
    return {unit: values[0] if values else None for unit, values in seen.items()}


@settings(max_examples=40, deadline=None)
@given(
    shapes=st.lists(st.integers(1, 3), max_size=40),
    batch_size=st.integers(1, 5),
    threads=st.integers(1, 4),
    queue_bytes=st.sampled_from([1, 100, 10_000]),
)
def test_every_unit_comes_out_once_with_its_own_result(shapes, batch_size, threads, queue_bytes):
    """Whatever the shapes, batch size, threads and bound: each unit once, and nobody else's detections."""
    predictor = CountingPredictor(batch_size)
    outcomes = list(
        run_pipeline(
            range(len(shapes)),
            lambda unit: make_image(unit, height=shapes[unit]),
            predictor,
            threads=threads,
            queue_bytes=queue_bytes,
        )
    )
    assert values_of(outcomes) == {unit: unit for unit in range(len(shapes))}
    assert len(outcomes) == len(shapes)
    assert max((len(call) for call in predictor.calls), default=0) <= batch_size


def test_batches_are_full_but_the_last():
    """Ten pictures of one shape in batches of four: two full ones and the rest."""
    predictor = CountingPredictor(4)
    list(run_pipeline(range(10), make_image, predictor, threads=2, queue_bytes=10_000))
    assert sorted(map(len, predictor.calls)) == [2, 4, 4]


def test_a_failure_is_that_unit_s_alone():
    """A medium's error, and any other exception of a decoder, become outcomes; the rest is scored."""

    def load(unit):
        if unit == 3:
            raise DamagedImageError("broken")
        if unit == 5:
            raise ZeroDivisionError("a decoder's own fault")
        return make_image(unit)

    outcomes = list(run_pipeline(range(8), load, CountingPredictor(4), threads=2, queue_bytes=1000))
    failed = {outcome.unit: outcome.error.error_class() for outcome in outcomes if outcome.error}
    assert failed == {3: "DamagedImage", 5: "UnexpectedMedia"}
    assert len(outcomes) == 8


def test_a_picture_that_the_model_refuses_fails_alone():
    """The batch is tried again one by one: its other pictures are scored."""
    predictor = CountingPredictor(4, refuse=lambda value: value == 2)
    outcomes = list(run_pipeline(range(4), make_image, predictor, threads=1, queue_bytes=10_000))
    assert values_of(outcomes) == {0: 0, 1: 1, 2: None, 3: 3}
    assert next(o for o in outcomes if o.unit == 2).error.error_class() == "Prediction"


def test_waiting_pixels_stay_below_the_bound():
    """Fifty pictures of 48 bytes, a slow model, room for four: loaded but unscored ones stay few."""
    loaded, scored, most = [], [], []
    lock = threading.Lock()

    class SlowPredictor(CountingPredictor):
        def predict(self, inputs, image_hws):
            time.sleep(0.002)
            with lock:
                scored.extend(inputs)
            return super().predict(inputs, image_hws)

    def load(unit):
        with lock:
            loaded.append(unit)
            most.append(len(loaded) - len(scored))
        return make_image(unit)

    list(run_pipeline(range(50), load, SlowPredictor(2), threads=2, queue_bytes=4 * 48))
    assert max(most) <= 4 + 2 + 2 + 1  # queue, threads' hands, batch, the one that was just counted


def test_loading_overlaps_the_model():
    """While the model runs, a thread loads: the first call waits for a later picture to be decoded."""
    later = threading.Event()

    class WaitingPredictor(CountingPredictor):
        def predict(self, inputs, image_hws):
            assert later.wait(10)
            return super().predict(inputs, image_hws)

    def load(unit):
        if unit == 2:
            later.set()
        return make_image(unit)

    assert len(list(run_pipeline(range(3), load, WaitingPredictor(1), threads=1, queue_bytes=1000))) == 3


def test_the_source_is_read_only_as_far_as_needed():
    """A million units cost no more memory than a few: the plan is not swallowed at once."""
    taken = []

    def units():
        for unit in range(1000):
            taken.append(unit)
            yield unit

    outcomes = run_pipeline(units(), make_image, CountingPredictor(2), threads=2, queue_bytes=10_000)
    next(outcomes)
    assert len(taken) <= 16
    outcomes.close()


def test_leaving_early_stops_the_threads():
    """A task that Spark cancels leaves no thread waiting at the bound."""
    outcomes = run_pipeline(range(100), make_image, CountingPredictor(1), threads=3, queue_bytes=1)
    next(outcomes)
    outcomes.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


def test_boxes_come_back_from_the_letterbox():
    """A wide picture on a square canvas: the box in the canvas's middle is taller in the picture."""
    letterbox = compute_letterbox((50, 100), (100, 100))
    image = make_image(1, letterbox=letterbox)
    (outcome,) = run_pipeline([0], lambda _: image, CountingPredictor(1), threads=1, queue_bytes=100)
    assert outcome.frames[0].detections.boxes_yxyx_norm.tolist() == [pytest.approx([0.0, 0.25, 1.0, 0.75])]


@settings(max_examples=40, deadline=None)
@given(
    counts=st.lists(st.integers(0, 9), max_size=8),
    batch_size=st.integers(1, 5),
    threads=st.integers(1, 3),
    queue_bytes=st.sampled_from([1, 100, 10_000]),
)
def test_a_video_s_frames_come_out_together_and_in_order(counts, batch_size, threads, queue_bytes):
    """Units of no, one and several frames in one stream: each whole, its frames its own."""

    def load(unit):
        for index in range(counts[unit]):
            yield make_frame(10 * unit + index, frame_index=index, height=1 + index % 2)

    predictor = CountingPredictor(batch_size)
    outcomes = list(
        run_pipeline(range(len(counts)), load, predictor, threads=threads, queue_bytes=queue_bytes)
    )
    found = {o.unit: [(f.frame_index, int(f.detections.scores[0])) for f in o.frames] for o in outcomes}
    assert found == {unit: [(n, 10 * unit + n) for n in range(count)] for unit, count in enumerate(counts)}
    assert len(outcomes) == len(counts)


def test_a_damaged_video_keeps_what_came_before():
    """Two frames, then the error: both come out in one outcome."""

    def load(unit):
        yield make_frame(1, frame_index=4)
        yield make_frame(2, frame_index=5)
        raise DamagedImageError("broken")

    (outcome,) = run_pipeline([0], load, CountingPredictor(4), threads=1, queue_bytes=1000)
    assert [frame.frame_index for frame in outcome.frames] == [4, 5]
    assert outcome.error.error_class() == "DamagedImage"


def test_a_frame_that_the_model_refuses_leaves_the_others():
    """Of three frames the second fails: two are kept, the error is the unit's."""

    def load(unit):
        return [make_frame(value, frame_index=value) for value in range(3)]

    predictor = CountingPredictor(2, refuse=lambda value: value == 1)
    (outcome,) = run_pipeline([0], load, predictor, threads=1, queue_bytes=1000)
    assert [frame.frame_index for frame in outcome.frames] == [0, 2]
    assert outcome.error.error_class() == "Prediction"
