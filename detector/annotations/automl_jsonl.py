"""Vertex AI's import file for image object detection: one JSON object a line, boxes in fractions.

Owns the schema ``ImageBoundingBox`` of
https://cloud.google.com/vertex-ai/docs/image-data/object-detection/prepare-data. Refuses to write without the
bucket, since every picture must be a ``gs://`` URI there.
"""

import json
from pathlib import Path
from typing import Any

from detector.annotations.dataset import Box, Dataset
from detector.annotations.documents import Catalogue, find_documents, strip_bucket
from detector.annotations.numbers import read_numbers, read_string
from detector.annotations.parallel import Progress
from detector.annotations.problems import Problem
from detector.annotations.sizes import read_upright_size
from detector.annotations.writing import (
    Loss,
    Losses,
    Target,
    WriteOptions,
    fit_boxes,
    select_sized,
)
from detector.errors import SettingsError

FILE_NAME = "import.jsonl"
MAX_BOXES = 500  # Vertex AI's limit for one picture
_EDGES = ("xMin", "yMin", "xMax", "yMax")


def read_automl_jsonl(
    root: Path,
    *,
    images: str | Path | None = None,
    annotations: str | Path | None = None,
    workers: int | None = None,  # noqa: ARG001 (one document: nothing to share out)
    progress: Progress | None = None,  # noqa: ARG001
) -> tuple[Dataset, list[Problem]]:
    """Read the import files below ``root``, or the one given; pixels come from the pictures' headers.

    Raises ``SettingsError`` when there is none.
    """
    catalogue = Catalogue(root, images)
    for file, path in find_documents(root, r".+\.jsonl", annotations):
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    _read_line(catalogue, root, file, number, line)
    return catalogue.build()


def write_automl_jsonl(dataset: Dataset, folder: Path, options: WriteOptions | None = None) -> list[Loss]:
    """Write ``import.jsonl``; each picture's URI is ``uri_prefix`` and its path.

    Lost: difficult, truncated, occluded, pose, verified; what lies outside the picture; boxes beyond 500 of
    one picture. Raises ``SettingsError`` for a ``uri_prefix`` that is no ``gs://`` URI.
    """
    options = options or WriteOptions()
    if not options.uri_prefix.startswith("gs://"):
        raise SettingsError(
            "automl-jsonl: name the bucket that will hold the pictures: --uri_prefix gs://BUCKET/"
        )
    prefix = options.uri_prefix.rstrip("/")
    losses, target = Losses("automl-jsonl"), Target(folder, dataset, options.pictures)
    lines = []
    for annotation, image, size in select_sized(dataset, options, losses):
        losses.add_marks(annotation, "difficult", "truncated", "occluded", "pose")
        boxes = fit_boxes(annotation.boxes, size, losses)
        losses.add_whole("Vertex AI takes 500 a picture", count=max(0, len(boxes) - MAX_BOXES))
        uri = f"{prefix}/{target.place_picture(image)}"
        entries = [_describe_box(box, size) for box in boxes[:MAX_BOXES]]
        line = {"imageGcsUri": uri, "boundingBoxAnnotations": entries}
        lines.append(json.dumps(line, ensure_ascii=False) + "\n")
    target.write(FILE_NAME, "".join(lines).encode())
    return losses.to_list()


def _describe_box(box: Box, size_wh_px: tuple[int, int]) -> dict[str, Any]:
    fractions = [edge / size_wh_px[number % 2] for number, edge in enumerate(box.xyxy_px)]
    return {"displayName": box.label, **dict(zip(_EDGES, fractions, strict=True))}


def _read_line(catalogue: Catalogue, root: Path, file: str, number: int, line: bytes) -> None:
    try:
        entry = json.loads(line)
        uri = read_string(entry["imageGcsUri"])
        objects = entry.get("boundingBoxAnnotations", [])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        uri, objects = "", []
    if not uri or not isinstance(objects, list):
        message = "it is no JSON object with imageGcsUri and a list of boundingBoxAnnotations"
        catalogue.report("automl-line", file, message, "export it again", line=number)
        return
    image = catalogue.find(strip_bucket(uri), file, number)
    size = None if image is None else read_upright_size(root / image)
    if image is None:
        return
    if size is None:
        message = f"the size of {image} can't be read, and with it no pixel of a box"
        catalogue.report("image-unreadable", file, message, "replace the picture", line=number)
        return
    boxes = [_read_box(catalogue, file, number, found, size) for found in objects]
    catalogue.annotate(image, file, (None, None), tuple(box for box in boxes if box is not None))


def _read_box(
    catalogue: Catalogue,
    file: str,
    number: int,
    entry: Any,  # noqa: ANN401 (any JSON value)
    size_wh_px: tuple[int, int],
) -> Box | None:
    entry = entry if isinstance(entry, dict) else {}
    fractions, label = (
        read_numbers([entry.get(edge) for edge in _EDGES], 4),
        read_string(entry.get("displayName")),
    )
    if fractions is None or not label.strip():
        message = "a box has no displayName or not all of " + ", ".join(_EDGES)
        catalogue.report("automl-no-box", file, message, "export it again", line=number)
        return None
    (width, height), (x_min, y_min, x_max, y_max) = size_wh_px, fractions
    return Box(label, (x_min * width, y_min * height, x_max * width, y_max * height), line=number)
