"""Folders of drawn pictures with XML beside them, and samples whose objects can be found by their colour."""

import itertools

import numpy as np
import pytest
from PIL import Image

from detector.annotations.dataset import Box
from detector.annotations.shapes import SHAPE_NAMES, draw_picture, seed_generator
from detector.annotations.voc_xml import format_voc
from detector.training.input.sample import Sample

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (0, 255, 255), (255, 0, 255)]
_GREY = 120


def write_xml(path, boxes, size_wh_px):
    """Write (label, x_min, y_min, x_max, y_max) as labelImg does."""
    named = [Box(label, tuple(edges)) for label, *edges in boxes]
    path.write_bytes(format_voc(named, folder="x", filename="x.png", size_wh_px=size_wh_px))


@pytest.fixture(name="write_xml")
def give_write_xml():
    """Give the function that writes an XML."""
    return write_xml


@pytest.fixture
def draw_folder(tmp_path):
    """Give a function that draws ``count`` pictures of 120 x 90 px with an XML each."""

    def draw(count, name="photos"):
        folder = tmp_path / name
        folder.mkdir()
        for seed in range(count):
            generator = seed_generator("validation", seed)
            pixels, boxes, class_ids = draw_picture(generator, height_px=90, width_px=120, max_shapes=3)
            Image.fromarray(pixels).save(folder / f"photo_{seed:02}.png")
            edges = np.rint(boxes[:, [1, 0, 3, 2]] * [120, 90, 120, 90]).astype(int).tolist()
            named = [(SHAPE_NAMES[n - 1], *box) for n, box in zip(class_ids, edges, strict=True)]
            write_xml(folder / f"photo_{seed:02}.xml", named, (120, 90))
        return folder

    return draw


def make_probe(class_ids, *, seed=0, side=96, content=None):
    """Make a grey sample with a rectangle in its class's own colour for each class_id, none on another."""
    generator = np.random.default_rng(seed)
    x_min, y_min, x_max, y_max = content = content or (0, 12, side, side - 12)
    pixels = np.full((side, side, 3), 127, np.uint8)
    pixels[y_min:y_max, x_min:x_max] = _GREY
    boxes = []
    while len(boxes) < len(class_ids):
        wh = generator.integers(10, 26, 2)
        low = generator.integers((x_min, y_min), np.array((x_max, y_max)) - wh, endpoint=True)
        box = [*low.tolist(), *(low + wh).tolist()]
        if any(box[0] <= b[2] and b[0] <= box[2] and box[1] <= b[3] and b[1] <= box[3] for b in boxes):
            continue
        pixels[box[1] : box[3], box[0] : box[2]] = COLOURS[class_ids[len(boxes)] - 1]
        boxes.append(box)
    edges = np.array(boxes, np.float32).reshape(-1, 4)
    return Sample(pixels, content, edges, np.array(class_ids, np.int32))


def find_colour(pixels, class_id):
    """Find where a class's colour is: (x_min, y_min, x_max, y_max) in pixels, or None."""
    has = np.array(COLOURS[class_id - 1]) > 0
    values = pixels.astype(int)
    dominance = values[..., has].min(axis=-1) - values[..., ~has].max(axis=-1)
    rows, columns = np.nonzero(dominance > max(40, dominance.max() / 2))
    if not len(rows):
        return None
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])


def check_probe(before, after):
    """Check that each box of ``after`` lies around its colour, and that those without box hardly show."""
    held = after.class_ids.tolist()
    assert len(held) == len(set(held))
    for class_id, box in zip(held, after.boxes_xyxy_px, strict=True):
        found = find_colour(after.pixels, class_id)
        assert found is not None, f"class {class_id} at {box} is not to be seen"
        assert np.abs(found - box).max() <= 1.5, f"class {class_id}: {found} seen, {box} told"
    sizes = dict(itertools.chain.from_iterable(_list_sizes(sample) for sample in before))
    for class_id in sizes.keys() - set(held):
        found = find_colour(after.pixels, class_id)
        if found is not None:  # what is cut is cut at an edge: one side at least is short
            assert ((found[2:] - found[:2]) <= 0.55 * 1.6 * sizes[class_id]).any()


def _list_sizes(sample):
    wh = sample.boxes_xyxy_px[:, 2:] - sample.boxes_xyxy_px[:, :2]
    return zip(sample.class_ids.tolist(), wh, strict=True)


@pytest.fixture(name="make_probe")
def give_make_probe():
    """Give the function that makes a sample of coloured rectangles."""
    return make_probe


@pytest.fixture(name="find_colour")
def give_find_colour():
    """Give the function that finds a class's pixels."""
    return find_colour


@pytest.fixture(name="check_probe")
def give_check_probe():
    """Give the function that compares boxes with pixels."""
    return check_probe
