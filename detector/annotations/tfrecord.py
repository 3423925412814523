"""TFRecords with the feature names of the TF Object Detection API, in shards, a label map beside them.

Owns the features of its ``create_pascal_tf_record`` and what its decoder can look at: TensorFlow knows JPEG
and PNG, and no EXIF orientation, so every other picture goes in upright and as PNG. Refuses pictures that
can't be decoded then. TensorFlow itself is not started.
"""

import hashlib
import io
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from google.protobuf.text_encoding import CEscape
from PIL import Image

from detector.annotations.dataset import Annotation, Box, Dataset
from detector.annotations.documents import Catalogue, find_documents
from detector.annotations.parallel import Progress
from detector.annotations.problems import Problem
from detector.annotations.sizes import read_orientation
from detector.annotations.tfrecord_files import (
    TFRecordError,
    Values,
    format_example,
    format_record,
    parse_example,
    read_records,
)
from detector.annotations.writing import (
    Loss,
    Losses,
    Target,
    WriteOptions,
    fit_boxes,
    list_labels,
    select_written,
)
from detector.errors import MediaError
from detector.media.decoding import decode_image
from detector.settings import MediaSettings

LABEL_MAP_NAME = "label_map.pbtxt"
_PICTURES_PER_SHARD = 1_000
_FORMATS = {"JPEG": b"jpeg", "PNG": b"png"}
_EDGES = ("xmin", "ymin", "xmax", "ymax")
_BOX = "image/object/bbox/"


def read_tfrecord(
    root: Path,
    *,
    images: str | Path | None = None,
    annotations: str | Path | None = None,
    workers: int | None = None,  # noqa: ARG001 (records are read in their order)
    progress: Progress | None = None,  # noqa: ARG001
) -> tuple[Dataset, list[Problem]]:
    """Read the boxes of the records below ``root``; the pictures are those of the same name below ``root``.

    Files are those with ``tfrecord`` in their name. The pictures inside the records are not unpacked: one
    that is not below ``root`` is a problem. Raises ``SettingsError`` when there is no file.
    """
    catalogue = Catalogue(root, images)
    for file, path in find_documents(root, r".*tfrecord.*", annotations):
        try:
            for number, data in enumerate(read_records(path), 1):
                _read_example(catalogue, file, number, data)
        except (TFRecordError, OSError) as error:
            catalogue.report("tfrecord-damaged", file, str(error), "what was before it is read")
    return catalogue.build()


def write_tfrecord(dataset: Dataset, folder: Path, options: WriteOptions | None = None) -> list[Loss]:
    """Write ``data.tfrecord-00000-of-0000N`` with the pictures inside, and ``label_map.pbtxt``, ids from 1.

    Lost: occluded, verified; what lies outside the picture; the bytes of pictures that TensorFlow would not
    see as people do; edges are single precision fractions.
    """
    options = options or WriteOptions()
    losses, target = Losses("tfrecord"), Target(folder, dataset, "reference")
    class_ids = {label: number for number, label in enumerate(list_labels(dataset, options), 1)}
    selected = list(select_written(dataset, options, losses))
    shards = options.shards or max(1, -(-len(selected) // _PICTURES_PER_SHARD))
    for shard in range(shards):
        own = selected[len(selected) * shard // shards : len(selected) * (shard + 1) // shards]
        with target.open(f"data.tfrecord-{shard:05}-of-{shards:05}") as file:
            for example in _format_examples(dataset, own, class_ids, losses):
                file.write(format_record(example))
    target.write(LABEL_MAP_NAME, "".join(itertools.starmap(_format_item, class_ids.items())).encode())
    return losses.to_list()


def _format_item(label: str, class_id: int) -> str:
    name = CEscape(label.encode(), as_utf8=True)
    return f'item {{\n  id: {class_id}\n  name: "{name}"\n}}\n'


def _format_examples(
    dataset: Dataset, annotations: list[tuple[Annotation, Path]], class_ids: dict[str, int], losses: Losses
) -> Iterator[bytes]:
    for annotation, image in annotations:
        try:
            content = (dataset.root / image).read_bytes()
            encoded, kind, size = _encode(content)
        except (MediaError, OSError):
            losses.add_whole("they can't be decoded", "pictures")
            continue
        losses.add("bytes", "pictures", int(encoded is not content), "now upright PNG")
        losses.add_marks(annotation, "occluded")
        boxes = fit_boxes(annotation.boxes, size, losses)
        picture = _describe_picture(image.as_posix(), encoded, kind, size)
        yield format_example(picture | _describe_boxes(boxes, size, class_ids))


def _encode(content: bytes) -> tuple[bytes, bytes, tuple[int, int]]:
    # Gives bytes that TensorFlow decodes to the upright picture, their format, and its (width, height).
    try:
        with Image.open(io.BytesIO(content)) as image:
            kind = _FORMATS.get("JPEG" if image.format == "MPO" else image.format or "")
            if kind is not None and read_orientation(image) == 1:
                return content, kind, image.size
    except Exception:  # noqa: BLE001, S110 (headers of damaged pictures raise any class: the decoder names it)
        pass
    max_pixels: int = MediaSettings.model_fields["max_pixels"].default
    decoded = decode_image(content, max_pixels=max_pixels)
    written = io.BytesIO()
    Image.fromarray(decoded.pixels).save(written, "PNG")
    return written.getvalue(), _FORMATS["PNG"], (decoded.width_px, decoded.height_px)


def _describe_picture(
    name: str, encoded: bytes, kind: bytes, size_wh_px: tuple[int, int]
) -> dict[str, Values]:
    return {
        "image/width": [size_wh_px[0]],
        "image/height": [size_wh_px[1]],
        "image/filename": [name.encode()],
        "image/source_id": [name.encode()],
        "image/key/sha256": [hashlib.sha256(encoded).hexdigest().encode()],
        "image/encoded": [encoded],
        "image/format": [kind],
    }


def _describe_boxes(
    boxes: tuple[Box, ...], size_wh_px: tuple[int, int], class_ids: dict[str, int]
) -> dict[str, Values]:
    edges: dict[str, Values] = {
        f"{_BOX}{name}": [box.xyxy_px[i] / size_wh_px[i % 2] for box in boxes]
        for i, name in enumerate(_EDGES)
    }
    return {
        **edges,
        "image/object/class/text": [box.label.encode() for box in boxes],
        "image/object/class/label": [class_ids[box.label] for box in boxes],
        "image/object/difficult": [int(box.difficult) for box in boxes],
        "image/object/truncated": [int(box.truncated) for box in boxes],
        "image/object/view": [box.pose.encode() for box in boxes],
    }


def _read_example(catalogue: Catalogue, file: str, number: int, data: bytes) -> None:
    try:
        features = parse_example(data)
        name = features["image/filename"][0].decode()
        width, height = int(features["image/width"][0]), int(features["image/height"][0])
        boxes = tuple(_read_boxes(features, (width, height)))
    except (DecodeError, KeyError, IndexError, ValueError, AttributeError, TypeError):
        message = f"record {number} has not the features of the TF Object Detection API"
        catalogue.report("tfrecord-features", file, message, "export it again")
        return
    image = catalogue.find(name, file)
    if image is not None:
        catalogue.annotate(image, file, (width, height), boxes)


def _read_boxes(features: dict[str, list[Any]], size_wh_px: tuple[int, int]) -> Iterator[Box]:
    labels = features.get("image/object/class/text", [])
    edges = zip(*(features.get(f"{_BOX}{name}", []) for name in _EDGES), strict=True)
    flags = [features.get(f"image/object/{name}") or [0] * len(labels) for name in ("difficult", "truncated")]
    poses = features.get("image/object/view") or [b"Unspecified"] * len(labels)
    for label, fractions, difficult, truncated, pose in zip(labels, edges, *flags, poses, strict=True):
        (width, height), (x_min, y_min, x_max, y_max) = size_wh_px, fractions
        pixels = (x_min * width, y_min * height, x_max * width, y_max * height)
        yield Box(label.decode(), pixels, bool(difficult), bool(truncated), pose=pose.decode())
