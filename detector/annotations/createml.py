"""Apple's Create ML JSON: a list of pictures, each with labels and boxes about their centre, in pixels.

Owns that document in both spellings of its keys: ``image``/``annotations`` (labelImg, the Create ML app) and
``imagefilename``/``annotation`` (MLObjectDetector's documentation). Refuses entries without coordinates.
"""

import json
from pathlib import Path
from typing import Any

from detector.annotations.dataset import Box, Dataset
from detector.annotations.documents import Catalogue, find_documents, read_json
from detector.annotations.numbers import read_numbers, read_string
from detector.annotations.parallel import Progress
from detector.annotations.problems import Problem
from detector.annotations.writing import Loss, Losses, Target, WriteOptions, select_written
from detector.errors import SettingsError

FILE_NAME = "_annotations.createml.json"


def read_createml(
    root: Path,
    *,
    images: str | Path | None = None,
    annotations: str | Path | None = None,
    workers: int | None = None,  # noqa: ARG001 (one document: nothing to share out)
    progress: Progress | None = None,  # noqa: ARG001
) -> tuple[Dataset, list[Problem]]:
    """Read the Create ML documents below ``root``, or the one given; other JSON files are passed over.

    Raises ``SettingsError`` when there is none.
    """
    catalogue = Catalogue(root, images)
    is_found = False
    for file, path in find_documents(root, r".+\.json", annotations):
        document = read_json(catalogue, file, path)
        if isinstance(document, list) and any(_name_of(entry) for entry in document):
            is_found = True
            for entry in document:
                _read_entry(catalogue, file, entry)
    if not is_found and not catalogue.problems:
        raise SettingsError(f"{root}: no Create ML document (a JSON list of images): name it by annotations")
    return catalogue.build()


def write_createml(dataset: Dataset, folder: Path, options: WriteOptions | None = None) -> list[Loss]:
    """Write one document. Lost: difficult, truncated, occluded, pose, verified, and declared sizes."""
    options = options or WriteOptions()
    losses, target = Losses("createml"), Target(folder, dataset, options.pictures)
    document = []
    for annotation, image in select_written(dataset, options, losses):
        losses.add_marks(annotation, "difficult", "truncated", "occluded", "pose")
        entries = [{"label": box.label, "coordinates": _centre(box)} for box in annotation.boxes]
        document.append({"image": target.place_picture(image), "annotations": entries})
    target.write(FILE_NAME, json.dumps(document, ensure_ascii=False).encode())
    return losses.to_list()


def _centre(box: Box) -> dict[str, float]:
    x_min, y_min, x_max, y_max = box.xyxy_px
    size = {"width": x_max - x_min, "height": y_max - y_min}
    return {"x": (x_min + x_max) / 2, "y": (y_min + y_max) / 2, **size}


def _name_of(entry: Any) -> str:  # noqa: ANN401 (any JSON value)
    if not isinstance(entry, dict):
        return ""
    return read_string(entry.get("image")) or read_string(entry.get("imagefilename"))


def _read_entry(catalogue: Catalogue, file: str, entry: Any) -> None:  # noqa: ANN401
    name = _name_of(entry)
    objects = entry.get("annotations", entry.get("annotation")) if name else None
    if not isinstance(objects, list):
        message = f"the entry of {name or 'some picture'} names no image or has no list of annotations"
        catalogue.report("createml-entry", file, message, "export it again")
        return
    image = catalogue.find(name, file)
    if image is None:
        return
    boxes = [_read_box(catalogue, file, image, found) for found in objects]
    catalogue.annotate(image, file, (None, None), tuple(box for box in boxes if box is not None))


def _read_box(catalogue: Catalogue, file: str, image: Path, entry: Any) -> Box | None:  # noqa: ANN401
    entry = entry if isinstance(entry, dict) else {}
    coordinates, label = entry.get("coordinates"), read_string(entry.get("label"))
    keys = ("x", "y", "width", "height")
    values = [coordinates.get(key) for key in keys] if isinstance(coordinates, dict) else None
    numbers = read_numbers(values, len(keys))
    if numbers is None or not label.strip():
        message = f"an object of {image} has no label or no coordinates"
        catalogue.report("createml-no-box", file, message, "draw it again")
        return None
    x, y, width, height = numbers
    return Box(label, (x - width / 2, y - height / 2, x + width / 2, y + height / 2))
