"""What the families' tests share: drawn pictures as a batch, and the export of a decoding."""

import numpy as np
import pytest
import tensorflow as tf

from detector.annotations.shapes import draw_picture
from detector.models.guard import check_model


def draw_batch(*, pictures, input_px, rows):
    """Draw pictures as pixels, boxes padded to so many rows, and their class_ids."""
    generator = np.random.default_rng(5)
    pixels = np.zeros((pictures, input_px, input_px, 3), np.float32)
    boxes, class_ids = np.zeros((pictures, rows, 4), np.float32), np.zeros((pictures, rows), np.int32)
    for number in range(pictures):
        pixels[number], drawn, ids = draw_picture(
            generator, height_px=input_px, width_px=input_px, max_shapes=rows, backgrounds=["plain"]
        )
        boxes[number, : len(ids)], class_ids[number, : len(ids)] = drawn, ids
    return pixels, boxes, class_ids


@pytest.fixture(scope="session")
def drawn():
    """Four drawn pictures of 96 px with up to three shapes: pixels, boxes_yxyx_norm, class_ids."""
    return draw_batch(pictures=4, input_px=96, rows=3)


@pytest.fixture
def fit_steps(drawn):
    """Fit a detector to the drawn pictures for some steps in a tf.function; give the loss before each."""

    def fit(detector, *, steps, rate=1e-3):
        pixels, boxes, class_ids = map(tf.constant, drawn)
        optimizer = detector.keras.optimizers.Adam(rate, clipnorm=10.0)
        optimizer.build(detector.model.trainable_variables)

        @tf.function
        def step():
            targets = detector.encode_targets(boxes, class_ids)
            with tf.GradientTape() as tape:
                losses = detector.compute_losses(pixels, targets, training=True)
                total = tf.add_n(list(losses.values()))
            variables = detector.model.trainable_variables
            optimizer.apply_gradients(zip(tape.gradient(total, variables), variables, strict=True))
            return total

        return [float(step()) for _ in range(steps)]

    return fit


@pytest.fixture
def check_export(drawn, tmp_path):
    """Export a detector's decoding, load it again, compare with eager at two batch sizes, ask the guard."""

    def check(detector, *, tolerance=1e-4):
        module = tf.Module()
        module.model = detector.model
        spec = tf.TensorSpec([None, detector.input_px, detector.input_px, 3], tf.float32)
        module.decode = tf.function(detector.decode, input_signature=[spec], autograph=False)
        tf.saved_model.save(module, str(tmp_path / "exported"))
        check_model(tmp_path / "exported")
        loaded = tf.saved_model.load(str(tmp_path / "exported"))
        for size in (1, 3):
            wanted, found = detector.decode(drawn[0][:size]), loaded.decode(drawn[0][:size])
            assert [part.shape for part in found] == [part.shape for part in wanted]
            for rows, others in zip(
                *(np.concatenate(pair, axis=-1) for pair in (wanted, found)), strict=True
            ):
                # Rows of equal scores may change places: each has its like on the other side.
                apart = np.abs(rows[:, None] - others[None]).max(axis=-1)
                assert max(apart.min(axis=0).max(), apart.min(axis=1).max()) < tolerance

    return check
