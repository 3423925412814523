"""COCO's JSON for object detection: one document with images, annotations and categories.

Owns the fields of https://cocodataset.org/#format-data that boxes need. What COCO has no field for goes to
keys of its own, which other readers pass over: ``attributes`` (as CVAT writes them) and ``verified``. Refuses
annotations without a box.
"""

import json
from pathlib import Path
from typing import Any

from detector.annotations.dataset import Box, Dataset
from detector.annotations.documents import Catalogue, find_documents, read_json
from detector.annotations.numbers import read_boolean, read_integer, read_numbers, read_string
from detector.annotations.parallel import Progress
from detector.annotations.problems import Problem
from detector.annotations.writing import (
    Loss,
    Losses,
    Target,
    WriteOptions,
    list_labels,
    select_sized,
)
from detector.errors import SettingsError

FILE_NAME = "annotations.json"


def read_coco(
    root: Path,
    *,
    images: str | Path | None = None,
    annotations: str | Path | None = None,
    workers: int | None = None,  # noqa: ARG001 (one document: nothing to share out)
    progress: Progress | None = None,  # noqa: ARG001
) -> tuple[Dataset, list[Problem]]:
    """Read the COCO documents below ``root``, or the one given; other JSON files are passed over.

    ``iscrowd`` becomes difficult: neither counts in an evaluation. Pictures that no document names have
    ``source`` None. Raises ``SettingsError`` when there is no COCO document.
    """
    catalogue = Catalogue(root, images)
    is_found = False
    for file, path in find_documents(root, r".+\.json", annotations):
        document = read_json(catalogue, file, path)
        if isinstance(document, dict) and isinstance(document.get("images"), list):
            is_found = True
            _read_document(catalogue, file, document)
    if not is_found and not catalogue.problems:
        raise SettingsError(f"{root}: no COCO document (a JSON object with images): name it by annotations")
    return catalogue.build()


def write_coco(dataset: Dataset, folder: Path, options: WriteOptions | None = None) -> list[Loss]:
    """Write ``annotations.json``; ids count from 1. Nothing is lost but pictures whose size is not known."""
    options = options or WriteOptions()
    losses, target = Losses("coco"), Target(folder, dataset, options.pictures)
    category_ids = {label: number for number, label in enumerate(list_labels(dataset, options), 1)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for annotation, image, (width, height) in select_sized(dataset, options, losses):
        entry = {"id": len(images) + 1, "file_name": target.place_picture(image)}
        marks = {"verified": True} if annotation.verified else {}
        images.append({**entry, "width": width, "height": height, **marks})
        for box in annotation.boxes:
            ids = {
                "id": len(annotations) + 1,
                "image_id": len(images),
                "category_id": category_ids[box.label],
            }
            annotations.append({**ids, **_describe_box(box)})
    categories = [{"id": number, "name": label} for label, number in category_ids.items()]
    document = {"images": images, "annotations": annotations, "categories": categories}
    target.write(FILE_NAME, json.dumps(document, ensure_ascii=False).encode())
    return losses.to_list()


def _read_document(catalogue: Catalogue, file: str, document: dict[str, Any]) -> None:
    if not isinstance(document.get("annotations"), list):
        message = "it has no list of annotations: nobody knows whether its pictures show anything"
        catalogue.report("coco-annotations", file, message, "take it out or export it again")
        return
    names = {_read_key(c, "id"): read_string(c.get("name")) for c in _list_objects(document, "categories")}
    boxes: dict[int | str, list[Box]] = {}
    for entry in _list_objects(document, "annotations"):
        box = _read_box(catalogue, file, entry, names)
        if box is not None:
            boxes.setdefault(_read_key(entry, "image_id"), []).append(box)
    for entry in _list_objects(document, "images"):
        own = tuple(boxes.pop(_read_key(entry, "id"), ()))
        image = catalogue.find(read_string(entry.get("file_name")), file)
        if image is not None:
            size = read_integer(entry.get("width")), read_integer(entry.get("height"))
            catalogue.annotate(image, file, size, own, verified=read_boolean(entry.get("verified")))
    if boxes:
        message = f"{sum(map(len, boxes.values())):,} annotations are of images that it does not list"
        catalogue.report("coco-image-id", file, message, "list the images or remove the annotations")


def _read_box(
    catalogue: Catalogue, file: str, entry: dict[str, Any], names: dict[int | str, str]
) -> Box | None:
    number, category = _read_key(entry, "id"), _read_key(entry, "category_id")
    edges = read_numbers(entry.get("bbox"), 4)
    if edges is None:
        message = f"annotation {number} has no bbox of four numbers"
        catalogue.report("coco-no-box", file, message, "export it as boxes")
        return None
    label = names.get(category, "")
    if not label.strip():
        message = f"annotation {number} is of category {category}, which has no name"
        catalogue.report("coco-category", file, message, "add the category")
        return None
    x_min, y_min, width, height = edges
    attributes = entry.get("attributes")
    attributes = attributes if isinstance(attributes, dict) else {}
    return Box(
        label,
        (x_min, y_min, x_min + width, y_min + height),
        difficult=read_boolean(attributes.get("difficult")) or read_boolean(entry.get("iscrowd")),
        truncated=read_boolean(attributes.get("truncated")),
        occluded=read_boolean(attributes.get("occluded")),
        pose=read_string(attributes.get("pose")) or "Unspecified",
    )


def _describe_box(box: Box) -> dict[str, Any]:
    x_min, y_min, x_max, y_max = box.xyxy_px
    flags = {name: True for name in ("difficult", "truncated", "occluded") if getattr(box, name)}
    attributes = {**flags, **({} if box.pose == "Unspecified" else {"pose": box.pose})}
    return {
        "bbox": [x_min, y_min, x_max - x_min, y_max - y_min],
        "area": box.area_px,
        "iscrowd": 0,
        "segmentation": [],
        **({"attributes": attributes} if attributes else {}),
    }


def _read_key(entry: dict[str, Any], name: str) -> int | str:
    value = entry.get(name)
    return value if isinstance(value, int | str) else "(none)"


def _list_objects(document: dict[str, Any], key: str) -> list[dict[str, Any]]:
    entries = document.get(key)
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
