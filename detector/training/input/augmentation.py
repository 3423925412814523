"""Training pictures varied by chance, their boxes moved along.

Owns which changes there are, their order and their random numbers. Everything follows from the generator that
it is given. All moves of a picture are one placement, so its pixels are resampled once; colours change before
the border is laid around them, since the border of exported models never changes. Why not Keras's layers:
docs/decisions/0012-augmentation.md.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from detector.training.input.colour import draw_colour, vary_colour
from detector.training.input.copy_paste import paste_object
from detector.training.input.crop import draw_region
from detector.training.input.mosaic import MOSAIC_PICTURES, Tile, draw_centre, make_mosaic
from detector.training.input.sample import Pixels, Placement, Sample, clip_boxes, cut_content, warp_content
from detector.training.train_settings import AugmentSettings

DrawSample = Callable[[], Sample]


def augment_sample(
    sample: Sample, settings: AugmentSettings, generator: np.random.Generator, draw_other: DrawSample
) -> Sample:
    """Vary one picture as ``settings`` say; ``draw_other`` gives another picture by chance.

    Boxes of which less than ``MIN_VISIBLE`` stays on the canvas are dropped. A picture that became a mosaic
    is neither cropped nor shifted nor pasted into: it has all of that by its making.
    """
    if generator.random() < settings.mosaic:
        others = [draw_other() for _ in range(MOSAIC_PICTURES - 1)]
        tiles = [_draw_tile(own, settings, generator) for own in (sample, *others)]
        return make_mosaic(tiles, draw_centre(sample.canvas_px, generator))
    if generator.random() < settings.copy_paste:
        sample = paste_object(sample, draw_other(), _draw_scale(settings, generator), generator)
    if generator.random() < settings.crop:
        sample = _crop(sample, generator)
        placement = _fit_content(sample)
    else:
        placement = _draw_placement(sample.canvas_px, settings, generator)
    placement = _mirror(placement, sample.canvas_px, _draw_mirrored(settings, generator))
    content = vary_colour(cut_content(sample), draw_colour(settings, generator))
    return _move(sample, placement, warp_content(sample, content, placement, sample.canvas))


def _draw_tile(sample: Sample, settings: AugmentSettings, generator: np.random.Generator) -> Tile:
    content = vary_colour(cut_content(sample), draw_colour(settings, generator))
    return sample, content, _draw_scale(settings, generator), _draw_mirrored(settings, generator)


def _draw_scale(settings: AugmentSettings, generator: np.random.Generator) -> float:
    # Uniform in its logarithm: as often half the size as twice the size.
    return float(np.exp(generator.uniform(*np.log(settings.scale))))


def _draw_mirrored(settings: AugmentSettings, generator: np.random.Generator) -> tuple[bool, bool]:
    drawn = generator.random(2)
    return bool(drawn[0] < settings.flip), bool(drawn[1] < settings.flip_vertical)


def _draw_placement(canvas_px: int, settings: AugmentSettings, generator: np.random.Generator) -> Placement:
    """Draw a scale around the canvas's centre and a shift."""
    scale = _draw_scale(settings, generator)
    shift = generator.uniform(-1, 1, 2) * settings.translate * canvas_px + (1 - scale) * canvas_px / 2
    return Placement((scale, scale), (float(shift[0]), float(shift[1])))


def _mirror(placement: Placement, canvas_px: int, is_mirrored: tuple[bool, bool]) -> Placement:
    """Mirror what a placement gives in the canvas's middle, along x and y."""
    axes = list(zip(placement.scale_xy, placement.shift_xy, is_mirrored, strict=True))
    (x_scale, x_shift), (y_scale, y_shift) = (
        (-scale, canvas_px - shift) if mirrored else (scale, shift) for scale, shift, mirrored in axes
    )
    return Placement((x_scale, y_scale), (x_shift, y_shift))


def _crop(sample: Sample, generator: np.random.Generator) -> Sample:
    region = draw_region(sample, generator)
    _, is_visible = clip_boxes(sample.boxes_xyxy_px, region)  # none is cut: all or nothing
    return replace(
        sample,
        content=region,
        boxes_xyxy_px=sample.boxes_xyxy_px[is_visible],
        class_ids=sample.class_ids[is_visible],
    )


def _fit_content(sample: Sample) -> Placement:
    """Place the content as large as the canvas holds it, aspect kept, centred."""
    low, high = np.array(sample.content[:2]), np.array(sample.content[2:])
    scale = float(sample.canvas_px / (high - low).max())
    shift = sample.canvas_px / 2 - scale * (low + high) / 2
    return Placement((scale, scale), (float(shift[0]), float(shift[1])))


def _move(sample: Sample, placement: Placement, pixels: Pixels) -> Sample:
    clipped, is_visible = clip_boxes(placement.move_boxes(sample.boxes_xyxy_px), sample.canvas)
    return Sample(pixels, sample.canvas, clipped[is_visible], sample.class_ids[is_visible])
