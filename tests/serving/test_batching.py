"""The batcher on a made-up model: company, order, shapes, spoilt batches, those who left, the bound on bytes."""

import threading
from concurrent.futures import Future, wait

import numpy as np
import pytest

from detector.errors import PredictionError
from detector.models.detections import Detections
from detector.scoring.pipeline import LoadedFrame, MediaFacts
from detector.serving.batching import Batcher


class Model:
    """Finds a box whose score is the picture's first pixel; fails on 13s; waits for ``gate`` before each batch."""

    batch_size = 4

    def __init__(self):
        self.batches, self.gate, self.begun = [], threading.Event(), threading.Event()

    def predict(self, inputs, image_hws):
        """Answer as a model would."""
        self.begun.set()
        assert self.gate.wait(30)
        values = [int(pixels[0, 0, 0]) for pixels in inputs]
        self.batches.append(values)
        assert len({pixels.shape for pixels in inputs}) == 1
        if 13 in values:
            raise PredictionError("13")
        box = np.zeros((1, 4), np.float32)
        return [Detections(box, np.array([value], np.float32), np.array([1], np.int32)) for value in values]


@pytest.fixture
def model():
    """Give a model whose gate is shut."""
    return Model()


@pytest.fixture
def batcher(model):
    """Give a batcher on it that waits a minute for company; its first batch, of a 0, is at work."""
    made = Batcher([model], wait_s=60, queue_bytes=10**6)
    put(made, 0)
    assert model.begun.wait(30)
    yield made
    model.gate.set()
    made.close()


def put(batcher, value, *, side=8):
    """Announce a square picture of one value and let it wait; give what will be its answer."""
    batcher.announce(1)
    answer = Future()
    pixels = np.full((side, side, 3), value, np.uint8)
    batcher.put(LoadedFrame(pixels, (side, side), None, MediaFacts(side, side, None)), answer)
    return answer


def read_score(answer):
    """Give the one score of an answer."""
    return float(answer.result(30)[1].detections.scores[0])


def test_what_waits_goes_together(model, batcher):
    """Six that wait go as four and two, in order; each gets its own answer. Nothing is coming: nobody waits."""
    answers = [put(batcher, value) for value in range(1, 7)]
    model.gate.set()
    assert [read_score(answer) for answer in answers] == [1, 2, 3, 4, 5, 6]
    assert model.batches == [[0], [1, 2, 3, 4], [5, 6]]


def test_company_that_is_coming_is_waited_for(model, batcher):
    """With one more being decoded, two wait; they go with it, or at once when it turns out to be no picture."""
    batcher.announce(1)
    first = [put(batcher, 1), put(batcher, 2)]
    model.gate.set()
    assert wait([first[0]], timeout=0.5).not_done  # a model that waits for nobody has long answered
    answer = Future()
    pixels = np.full((8, 8, 3), 3, np.uint8)
    batcher.put(LoadedFrame(pixels, (8, 8), None, MediaFacts(8, 8, None)), answer)
    assert [read_score(one) for one in (*first, answer)] == [1, 2, 3]
    batcher.announce(1)
    alone = put(batcher, 4)
    batcher.announce(-1)
    assert read_score(alone) == 4
    assert model.batches[1:] == [[1, 2, 3], [4]]


def test_shapes_do_not_mix_and_the_longest_waiting_is_first(model, batcher):
    """A batch is of one shape; that of the picture that came first goes first."""
    answers = [put(batcher, 1, side=4), *(put(batcher, value) for value in (2, 3)), put(batcher, 4, side=4)]
    model.gate.set()
    assert [read_score(answer) for answer in answers] == [1, 2, 3, 4]
    assert model.batches == [[0], [1, 4], [2, 3]]


def test_one_that_spoils_its_batch_fails_alone(model, batcher):
    """The others of its batch get their answers."""
    answers = [put(batcher, value) for value in (1, 13, 2)]
    model.gate.set()
    assert [read_score(answers[place]) for place in (0, 2)] == [1, 2]
    with pytest.raises(PredictionError):
        answers[1].result(30)


def test_who_left_is_not_scored(model, batcher):
    """A cancelled picture never reaches the model."""
    answers = [put(batcher, value) for value in (1, 2)]
    assert answers[0].cancel()
    model.gate.set()
    assert read_score(answers[1]) == 2
    assert model.batches == [[0], [2]]


def test_bytes_are_bound(model, batcher):
    """Beyond ``queue_bytes`` a picture isn't taken before others have gone; one alone always is."""
    first = put(batcher, 1, side=500)  # 750,000 bytes
    second = []
    thread = threading.Thread(target=lambda: second.append(put(batcher, 2, side=500)))
    thread.start()
    thread.join(0.2)
    assert thread.is_alive()
    model.gate.set()
    thread.join(30)
    assert (read_score(first), read_score(second[0])) == (1, 2)
    assert read_score(put(batcher, 3, side=700)) == 3  # more than all


def test_closing_answers_what_waits(model, batcher):
    """Nobody is left without an answer, however much company was announced."""
    batcher.announce(5)
    answers = [put(batcher, value) for value in (1, 2)]
    model.gate.set()
    batcher.close()
    assert [read_score(answer) for answer in answers] == [1, 2]
