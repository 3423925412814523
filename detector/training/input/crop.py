"""A region cut out of a picture such that no object is cut.

Owns the choice of the region: around an object taken by chance, then grown until every box that it touches is
wholly inside. Moves no pixel.
"""

import numpy as np

from detector.boxes import FloatArray
from detector.training.input.sample import Region, Sample

_MIN_SIDE = 0.3  # of the picture: what is smaller would be blurred on the whole canvas


def draw_region(sample: Sample, generator: np.random.Generator) -> Region:
    """Draw a region (x_min, y_min, x_max, y_max) of the sample's content, whole pixels.

    Each side is at least .3 of the content's, and no box is cut by the region's edges. Without boxes the
    region lies anywhere.
    """
    low, high = np.array(sample.content[:2]), np.array(sample.content[2:])
    sides = (high - low) * generator.uniform(_MIN_SIDE, 1, 2)
    centre = generator.uniform(low + sides / 2, high - sides / 2)
    if len(sample.boxes_xyxy_px):
        box = sample.boxes_xyxy_px[generator.integers(len(sample.boxes_xyxy_px))]
        ends = np.sort([box[2:] - sides, box[:2]], axis=0)  # swapped where the box is the larger one
        start = np.clip(generator.uniform(*ends), low, high - sides)
        centre = start + sides / 2
    region = np.concatenate([centre - sides / 2, centre + sides / 2])
    region = _grow(region.astype(np.float32), sample.boxes_xyxy_px)
    x_min, y_min = np.clip(np.floor(region[:2]), low, high - 1).astype(int).tolist()
    x_max, y_max = np.clip(np.ceil(region[2:]), (x_min + 1, y_min + 1), high).astype(int).tolist()
    return x_min, y_min, x_max, y_max


def _grow(region: FloatArray, boxes_xyxy_px: FloatArray) -> FloatArray:
    while True:
        low, high = np.floor(region[:2]), np.ceil(region[2:])  # the whole pixels that will be taken
        touched = ((boxes_xyxy_px[:, 2:] > low) & (boxes_xyxy_px[:, :2] < high)).all(axis=1)
        held = np.vstack([np.concatenate([low, high]), boxes_xyxy_px[touched]])
        grown = np.concatenate([held[:, :2].min(axis=0), held[:, 2:].max(axis=0)]).astype(np.float32)
        if np.array_equal(grown, region):
            return region
        region = grown
