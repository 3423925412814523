"""The loop on a tiny network and a handful of canvases: going on, the best weights, numbers that are none."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from detector.errors import TrainingError
from detector.evaluation.truth import make_truth
from detector.training.families.family import FamilyRequest
from detector.training.families.fcos import build_detector
from detector.training.fit import memory
from detector.training.fit.checkpoints import read_checkpoint, read_values, write_checkpoint
from detector.training.fit.loop import BEST, LAST, fit
from detector.training.fit.steps import Stepper
from detector.training.fit.validation import Validation, build_detect, measure, predict_canvases
from detector.training.input.batch import Batch
from detector.training.train_settings import ExportSettings, FitSettings, NetworkSettings

SIDE = 64
EXPORT = ExportSettings()


class Squares:
    """White squares on grey, one each: eight canvases, two batches an epoch."""

    steps_per_epoch = 2

    def __init__(self):
        random = np.random.default_rng(0)
        self.corners = random.integers(4, 30, (8, 2))
        self.pixels = np.full((8, SIDE, SIDE, 3), 90, np.float32)
        for pixels, (y, x) in zip(self.pixels, self.corners, strict=True):
            pixels[y : y + 24, x : x + 24] = 250
        self.boxes = (
            np.concatenate([self.corners, self.corners + 24], axis=1).astype(np.float32)[:, None] / SIDE
        )

    def epoch(self, number):
        """Give both batches, in an order of the epoch's own."""
        yield from (self.take(rows) for rows in np.random.default_rng(number).permutation(8).reshape(2, 4))

    def plain(self):
        """Give all canvases in order; the last batch is filled up."""
        yield from (self.take(rows) for rows in ([0, 1, 2, 3, 4], [5, 6, 7, 7, 7]))

    def take(self, rows):
        """Give some canvases as a batch."""
        parts = (
            self.pixels[rows],
            self.boxes[rows],
            np.ones((len(rows), 1), np.int32),
            np.array(rows, np.int32),
        )
        return Batch(*map(tf.constant, parts))

    def name_of(self, example):
        """Name a canvas."""
        return f"square_{example}.png"

    def validation(self):
        """Give the truth of all canvases."""
        xyxy = self.boxes[..., [1, 0, 3, 2]] * SIDE
        truths = [make_truth(f"{n}", (SIDE, SIDE), box.tolist(), [1]) for n, box in enumerate(xyxy)]
        return Validation(truths, self.plain)


def build():
    """Build the same tiny network each time."""
    keras.utils.set_random_seed(3)
    settings = NetworkSettings(input_px=SIDE, levels=(3, 4), pyramid_width=16)
    return build_detector(FamilyRequest(settings, 1, np.zeros((0, 2), np.float32)))


def run(folder, detector=None, report=lambda _epoch, _figures: None, feed=None, **changed):
    """Fit on the squares."""
    given = {"epochs": 3, "batch_size": 4, "warmup_epochs": 0.5, "ema_decay": 0.9, "learning_rate": 3e-3}
    feed, detector = feed or Squares(), detector or build()
    settings = FitSettings(**given | changed)
    progress = fit(
        detector, feed, feed.validation(), settings=settings, export=EXPORT, folder=folder, report=report
    )
    return progress, detector


def test_interrupted_run_ends_like_an_undisturbed_one(tmp_path):
    """Stopped after two of three epochs and started again: the same weights, to 1e-5."""
    _, whole = run(tmp_path / "whole")

    class KilledError(Exception):
        """Stands for a kill: nothing of the process is left."""

    def kill(epoch, _figures):
        if epoch == 2:
            raise KilledError

    with pytest.raises(KilledError):
        run(tmp_path / "cut", report=kill)
    epochs = []
    progress, resumed = run(tmp_path / "cut", report=lambda epoch, _figures: epochs.append(epoch))
    assert epochs == [3]
    assert [row["epoch"] for row in progress.history] == [1, 2, 3]
    for one, other in zip(
        read_values(whole.model.variables), read_values(resumed.model.variables), strict=True
    ):
        assert other == pytest.approx(one, abs=1e-5)


def test_training_finds_squares_and_keeps_its_best(tmp_path):
    """The loss falls, squares are found, and the detector ends with the weights of the best epoch."""
    reported = {}
    progress, detector = run(
        tmp_path,
        report=reported.setdefault,
        epochs=30,
        evaluate_every=5,
    )
    assert reported[30]["loss"] < 0.5 * reported[1]["loss"]
    assert "ap50" not in reported[4]
    assert progress.best == max(figures.get("ap50", 0) for figures in reported.values())
    assert progress.best > 0.7
    validation = Squares().validation()
    found = predict_canvases(build_detect(detector, EXPORT), validation, SIDE)
    assert measure(found, validation.truths)["ap50"] == pytest.approx(progress.best)
    state, groups = read_checkpoint(tmp_path / BEST)
    assert state["epoch"] == progress.best_epoch
    for kept, value in zip(groups["model"], read_values(detector.model.variables), strict=True):
        assert (kept == value).all()


def test_batch_norm_is_right_after_few_steps(tmp_path):
    """After 60 steps the statistics kept are those of the data: training mode and inference agree."""
    _, detector = run(tmp_path, epochs=30, ema_decay=None, evaluate_every=30)
    feed = Squares()
    outputs = [
        detector.model(feed.take(range(8)).pixels, training=training).numpy()[..., :1]
        for training in (True, False)
    ]
    probabilities = [1 / (1 + np.exp(-logits)) for logits in outputs]
    assert np.abs(probabilities[0] - probabilities[1]).mean() < 0.02


def test_patience_stops(tmp_path):
    """Two epochs after the best figure, nothing more is learned."""
    progress, _ = run(tmp_path, epochs=20, learning_rate=1e-12, warmup_epochs=0, patience=2)
    assert progress.epoch == progress.best_epoch + 2 < 20


def test_numbers_that_are_none_name_step_and_pictures(tmp_path):
    """A canvas with a NaN stops the run, by the names of its batch; the last checkpoint stays."""
    feed = Squares()
    feed.pixels[5, 0, 0, 0] = np.nan
    with pytest.raises(TrainingError, match=r"step [12], with the pictures .*square_5\.png"):
        run(tmp_path, feed=feed)
    assert not (tmp_path / LAST).exists()


def test_too_little_memory_says_what_fits(monkeypatch):
    """Where 4 don't fit and 2 do, the message says 2."""
    stepper = Stepper(build(), FitSettings())
    sizes = []

    def take(batch, _rate):
        sizes.append(int(batch.pixels.shape[0]))
        if sizes[-1] > 2:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating")

    monkeypatch.setattr(stepper, "take", take)
    batch = Squares().take([0, 1, 2, 3, 4, 5, 6, 7])
    error = memory.explain_memory(stepper, batch, tf.errors.ResourceExhaustedError(None, None, "OOM at x"))
    assert sizes == [4, 2]
    assert "set fit.batch_size to 2" in str(error)


def test_frozen_backbone_stays_as_it_is():
    """While frozen, no variable of the backbone moves, BatchNorm's included; freed, they do."""
    detector, feed = build(), Squares()
    stepper = Stepper(detector, FitSettings(frozen_stages=1))
    first, *rest = ([v for layer in stage for v in layer.variables] for stage in detector.backbone_stages)
    own = [*first, *(v for stage in rest for v in stage)]
    stepper.set_phase(backbone_frozen=True)
    before = read_values(own)
    stepper.take(feed.take([0, 1, 2, 3]), 1e-2)
    assert all((a == b).all() for a, b in zip(before, read_values(own), strict=True))
    stepper.set_phase(backbone_frozen=False)
    stepper.take(feed.take([0, 1, 2, 3]), 1e-2)
    after = read_values(own)
    assert all((a == b).all() for a, b in zip(before[: len(first)], after, strict=False))
    assert all((a != b).any() for a, b in zip(before[len(first) :], after[len(first) :], strict=True))


def test_backbone_takes_shorter_steps_when_told():
    """With a factor of 0 the backbone's weights stay while the rest learns."""
    detector, feed = build(), Squares()
    stepper = Stepper(detector, FitSettings(backbone_learning_rate=0))
    own = [v for stage in detector.backbone_stages for layer in stage for v in layer.trainable_variables]
    others = [v for v in detector.model.trainable_variables if all(v is not w for w in own)]
    before, before_others = read_values(own), read_values(others)
    stepper.set_phase(backbone_frozen=False)
    stepper.take(feed.take([0, 1, 2, 3]), 1e-2)
    assert all((a == b).all() for a, b in zip(before, read_values(own), strict=True))
    assert any((a != b).any() for a, b in zip(before_others, read_values(others), strict=True))


def test_checkpoint_of_something_else_is_refused(tmp_path):
    """Bytes that are no checkpoint, and one of another network, are named."""
    (tmp_path / LAST).write_bytes(b"no zip file")
    with pytest.raises(TrainingError, match=r"last\.npz is no checkpoint"):
        run(tmp_path)
    write_checkpoint(tmp_path / LAST, {"epoch": 1}, {"model": [np.zeros(3)], "optimizer": [], "average": []})
    with pytest.raises(TrainingError, match="another network"):
        run(tmp_path)
