"""A folder of drawn pictures annotated without a mistake, to plant mistakes in."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detector.annotations.checks import CheckOptions, check_dataset
from detector.annotations.dataset import Box
from detector.annotations.picture_facts import examine_pictures
from detector.annotations.reading import read_dataset
from detector.annotations.shapes import SHAPE_NAMES, draw_picture, seed_generator
from detector.annotations.voc_xml import format_voc

WIDTH_PX, HEIGHT_PX = 120, 90
JOB = Path(__file__).resolve().parents[3] / "jobs" / "dataset.py"


def write_xml(path, boxes, *, size_wh_px=(WIDTH_PX, HEIGHT_PX)):
    """Write boxes the way labelImg does; a box is (label, x_min, y_min, x_max, y_max)."""
    named = [Box(label, edges) for label, *edges in boxes]
    path.write_bytes(format_voc(named, folder="x", filename="x.jpg", size_wh_px=size_wh_px))


def draw(folder, name, seed, **options):
    """Draw a picture of its own for each seed; return its boxes."""
    generator = seed_generator("validation", seed)
    pixels, boxes, class_ids = draw_picture(generator, height_px=HEIGHT_PX, width_px=WIDTH_PX, max_shapes=3)
    Image.fromarray(pixels).save(folder / name, **options)
    edges = np.rint(boxes[:, [1, 0, 3, 2]] * [WIDTH_PX, HEIGHT_PX, WIDTH_PX, HEIGHT_PX]).astype(int).tolist()
    return [(SHAPE_NAMES[class_id - 1], *box) for class_id, box in zip(class_ids, edges, strict=True)]


@pytest.fixture(name="write_xml")
def give_write_xml():
    """Give the function that writes an XML."""
    return write_xml


@pytest.fixture(name="draw")
def give_draw():
    """Give the function that draws a picture."""
    return draw


@pytest.fixture(scope="session")
def run_job():
    """Give the job's main, as a function of its arguments."""
    spec = importlib.util.spec_from_file_location("dataset_job", JOB)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda *arguments: module.main([str(argument) for argument in arguments])


@pytest.fixture
def photos(tmp_path) -> Path:
    """Give a folder of 12 pictures, photo_0.jpg to photo_11.jpg, with an XML beside each."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(12):
        write_xml(folder / f"photo_{seed}.xml", draw(folder, f"photo_{seed}.jpg", seed))
    return folder


@pytest.fixture
def check():
    """Give a function that reads and checks a folder."""

    def check_folder(folder, *, depth="pixels", split=None, **options):
        dataset, problems = read_dataset(folder)
        images = [str(annotation.image) for annotation in dataset.annotations if annotation.image]
        facts = examine_pictures(folder, images, depth=depth)
        return check_dataset(dataset, problems, facts, split=split, options=CheckOptions(**options))

    return check_folder


@pytest.fixture
def find(check):
    """Give a function that lists the problems of a folder as (code, severity, file)."""

    def find_problems(folder, **options):
        return [(p.code, p.severity, p.file) for p in check(folder, **options).problems]

    return find_problems
