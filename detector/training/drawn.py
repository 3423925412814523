"""An FCOS fitted to drawn pictures: a small model from a seed and nothing else.

Owns the recipe: how many pictures of which sizes, how they are fed, the optimiser and its schedule.
Refuses photos: they need augmentation and annotations that drawn pictures do without.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import NDArray

from detector.annotations.shapes import Pixels, draw_picture, seed_generator
from detector.boxes import compute_letterbox
from detector.training.export import letterbox_pictures
from detector.training.fcos import FcosConfig, FloatArray, build_fcos, compute_loss, encode_targets

_SIDES_PX = (120, 481)
_PEAK_LEARNING_RATE = 2e-3
_WEIGHT_DECAY = 1e-4
_MAX_GRADIENT_NORM = 10.0


@dataclass(frozen=True)
class Example:
    """One drawn picture: pixels uint8 [H, W, 3], boxes_yxyx_norm float32 [N, 4], class_ids int32 [N]."""

    pixels: Pixels
    boxes_yxyx_norm: FloatArray
    class_ids: NDArray[np.int32]


def draw_examples(generator: np.random.Generator, count: int) -> Iterator[Example]:
    """Draw ``count`` pictures with sides of 120 to 480 px, each side by itself."""
    for _ in range(count):
        height, width = generator.integers(*_SIDES_PX, 2).tolist()
        yield Example(*draw_picture(generator, height_px=height, width_px=width))


def fit_drawn(config: FcosConfig, *, seed: int, pictures: int, epochs: int, batch: int = 8) -> keras.Model:
    """Train an FCOS on ``pictures`` drawn from ``seed`` and return it uncompiled.

    AdamW with one epoch of warm-up, then a cosine; half of the pictures mirrored in each epoch.
    """
    keras.utils.set_random_seed(seed)
    generator = seed_generator("training", seed)
    canvases, targets = [], []
    for example in draw_examples(generator, pictures):
        canvases.append(_draw_canvas(example.pixels, config.canvas_px))
        targets.append([_encode(example, config, mirrored=mirrored) for mirrored in (False, True)])
    steps = pictures // batch
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps * (epochs - 1), warmup_target=_PEAK_LEARNING_RATE, warmup_steps=steps
    )
    model = build_fcos(config)
    optimizer = keras.optimizers.AdamW(rate, _WEIGHT_DECAY, global_clipnorm=_MAX_GRADIENT_NORM)
    model.compile(optimizer, loss=compute_loss)
    batches = _feed(generator, np.stack(canvases), np.array(targets), batch)
    model.fit(batches, steps_per_epoch=steps, epochs=epochs, shuffle=False, verbose=2)
    fitted = build_fcos(config)
    fitted.set_weights(model.get_weights())
    return fitted


def _draw_canvas(pixels: Pixels, canvas_px: int) -> NDArray[np.float16]:
    # Half precision holds a byte's 256 steps, at half the memory for thousands of pictures.
    canvas: NDArray[np.float16] = letterbox_pictures(pixels[None], canvas_px)[0].numpy().astype(np.float16)
    return canvas


def _encode(example: Example, config: FcosConfig, *, mirrored: bool) -> FloatArray:
    height, width = example.pixels.shape[:2]
    letterbox = compute_letterbox((height, width), (config.canvas_px, config.canvas_px))
    content = np.array(letterbox.content_hw * 2, np.float32)
    offset = np.array([letterbox.top, letterbox.left] * 2, np.float32)
    boxes = (example.boxes_yxyx_norm * content + offset) / config.canvas_px
    if mirrored:
        boxes = np.stack([boxes[:, 0], 1 - boxes[:, 3], boxes[:, 2], 1 - boxes[:, 1]], axis=1)
    return encode_targets(boxes.astype(np.float32), example.class_ids, config)


def _feed(
    generator: np.random.Generator, canvases: NDArray[np.float16], targets: FloatArray, batch: int
) -> Iterator[tuple[FloatArray, FloatArray]]:
    # targets [pictures, 2, L, K]: as drawn, and mirrored.
    while True:
        order = generator.permutation(len(canvases))
        for start in range(0, len(order) - batch + 1, batch):
            chosen = order[start : start + batch]
            mirrored = generator.random(batch) < 0.5  # noqa: PLR2004 (half of them)
            pixels = canvases[chosen].astype(np.float32)
            pixels[mirrored] = pixels[mirrored, :, ::-1]
            yield pixels, targets[chosen, mirrored.astype(np.int64)]
