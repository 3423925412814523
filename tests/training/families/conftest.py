"""What the families' tests share: drawn pictures as a batch, and steps of training on them."""

import numpy as np
import pytest
import tensorflow as tf

from detector.annotations.shapes import draw_picture


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
