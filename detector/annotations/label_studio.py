"""Label Studio's tasks: JSON with rectangles in percent of the picture.

Owns the task format of https://labelstud.io/guide/task_format and the labelling configuration written beside
it. Refuses turned rectangles, and regions that are no rectangles, each by name.
"""

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from lxml import etree

from detector.annotations.dataset import Box, Dataset
from detector.annotations.documents import Catalogue, find_documents, read_json, strip_bucket
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

FILE_NAME, CONFIG_NAME = "tasks.json", "labeling_config.xml"
_LOCAL_FILES = "/data/local-files/?d="
_REGIONS = ("rectanglelabels", "rectangle")


def read_label_studio(
    root: Path,
    *,
    images: str | Path | None = None,
    annotations: str | Path | None = None,
    workers: int | None = None,  # noqa: ARG001 (one document: nothing to share out)
    progress: Progress | None = None,  # noqa: ARG001
) -> tuple[Dataset, list[Problem]]:
    """Read the exports below ``root``, or the one given; other JSON files are passed over.

    A task's last annotation that was not cancelled counts; a task without one was not annotated, whatever a
    model predicted. Raises ``SettingsError`` when there is no export.
    """
    catalogue = Catalogue(root, images)
    is_found = False
    for file, path in find_documents(root, r".+\.json", annotations):
        document = read_json(catalogue, file, path)
        tasks = [task for task in document if _is_task(task)] if isinstance(document, list) else []
        is_found |= bool(tasks)
        for task in tasks:
            _read_task(catalogue, file, task)
    if not is_found and not catalogue.problems:
        raise SettingsError(f"{root}: no Label Studio export (a JSON list of tasks): name it by annotations")
    return catalogue.build()


def write_label_studio(dataset: Dataset, folder: Path, options: WriteOptions | None = None) -> list[Loss]:
    """Write ``tasks.json`` to import, and the ``labeling_config.xml`` of a project that can show it.

    ``uri_prefix`` goes before each path; empty means Label Studio's local files storage. Lost: difficult,
    truncated, occluded, pose, verified.
    """
    options = options or WriteOptions()
    losses, target = Losses("label-studio"), Target(folder, dataset, options.pictures)
    tasks: list[dict[str, Any]] = []
    for annotation, image, size in select_sized(dataset, options, losses):
        losses.add_marks(annotation, "difficult", "truncated", "occluded", "pose")
        uri = _make_uri(options.uri_prefix or _LOCAL_FILES, target.place_picture(image))
        regions = [_describe_region(box, size, number) for number, box in enumerate(annotation.boxes, 1)]
        tasks.append({"data": {"image": uri}, "annotations": [{"result": regions}]})
    target.write(FILE_NAME, json.dumps(tasks, ensure_ascii=False).encode())
    target.write(CONFIG_NAME, _format_config(list_labels(dataset, options)))
    return losses.to_list()


def _make_uri(prefix: str, path: str) -> str:
    is_url = prefix.startswith(("http", "/"))  # an object store's names are taken as they are
    return prefix + (quote(path) if is_url else path)


def _describe_region(box: Box, size_wh_px: tuple[int, int], number: int) -> dict[str, Any]:
    (width, height), (x_min, y_min, x_max, y_max) = size_wh_px, box.xyxy_px
    place = {"x": 100 * x_min / width, "y": 100 * y_min / height}
    size = {"width": 100 * (x_max - x_min) / width, "height": 100 * (y_max - y_min) / height}
    return {
        "id": f"box{number}",
        "type": "rectanglelabels",
        "from_name": "label",
        "to_name": "image",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": {**place, **size, "rotation": 0, "rectanglelabels": [box.label]},
    }


def _format_config(labels: tuple[str, ...]) -> bytes:
    view = etree.Element("View")
    etree.SubElement(view, "Image", name="image", value="$image")
    group = etree.SubElement(view, "RectangleLabels", name="label", toName="image")
    for label in labels:
        etree.SubElement(group, "Label", value=label)
    return etree.tostring(view, pretty_print=True, encoding="utf-8")


def _is_task(task: Any) -> bool:  # noqa: ANN401 (any JSON value)
    return isinstance(task, dict) and isinstance(task.get("data"), dict) and "annotations" in task


def _read_task(catalogue: Catalogue, file: str, task: dict[str, Any]) -> None:
    uri = next(filter(None, map(read_string, task["data"].values())), "")
    annotations = task["annotations"] if isinstance(task["annotations"], list) else []
    valid = [a for a in annotations if isinstance(a, dict) and not read_boolean(a.get("was_cancelled"))]
    image = catalogue.find(_find_path(uri), file) if valid else None
    if image is None:
        return
    if len(valid) > 1:
        message = f"{image} was annotated {len(valid)} times; the last one is read"
        catalogue.report("label-studio-several", file, message, "keep one", severity="note")
    regions = valid[-1].get("result")
    if not isinstance(regions, list) or not all(isinstance(region, dict) for region in regions):
        message = f"the result of {image} is no list of regions"
        catalogue.report("label-studio-result", file, message, "export it again")
        return
    sizes = {(read_integer(r.get("original_width")), read_integer(r.get("original_height"))) for r in regions}
    size = sizes.pop() if sizes else (None, None)
    boxes = [_read_region(catalogue, file, image, region) for region in regions]
    catalogue.annotate(image, file, size, tuple(box for box in boxes if box is not None))


def _find_path(uri: str) -> str:
    if "://" in uri and not uri.startswith("http"):
        return strip_bucket(uri)
    try:
        parts = urlsplit(uri)
    except ValueError:
        return uri
    local = parse_qs(parts.query).get("d")
    return local[0] if local else unquote(parts.path)


def _read_region(catalogue: Catalogue, file: str, image: Path, region: dict[str, Any]) -> Box | None:
    if region.get("type") not in _REGIONS:
        message = f"a region of {image} is no rectangle and is not read"
        catalogue.report("label-studio-region", file, message, "draw a rectangle", severity="warning")
        return None
    value = region.get("value")
    value = value if isinstance(value, dict) else {}
    labels = value.get("rectanglelabels")
    label = read_string(labels[0]) if isinstance(labels, list) and labels else ""
    numbers = read_numbers([value.get(key) for key in ("x", "y", "width", "height")], 4)
    size = read_numbers([region.get("original_width"), region.get("original_height")], 2)
    if numbers is None or size is None or not label.strip():
        message = f"a rectangle of {image} has no label, no size, or the picture's size is missing"
        catalogue.report("label-studio-no-box", file, message, "draw it again")
        return None
    if value.get("rotation") or region.get("image_rotation"):
        message = f"a rectangle of {image}, or the picture under it, is turned"
        catalogue.report("label-studio-turned", file, message, "draw it upright")
        return None
    x, y, width, height = numbers
    across, down = size[0] / 100, size[1] / 100
    return Box(label, (x * across, y * down, (x + width) * across, (y + height) * down))
