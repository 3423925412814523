"""YOLO as Ultralytics keeps it: ``images/``, ``labels/`` with one text file a picture, ``data.yaml``.

Owns the lines ``class x_center y_center width height`` in fractions of the upright picture, and where the
names of the classes stand: ``data.yaml``, or ``classes.txt`` as labelImg writes it. Refuses class numbers
without a name and lines that are no numbers; outlines are read as the boxes around them.
"""

import math
import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from detector.annotations.dataset import Box, Dataset
from detector.annotations.files import list_files
from detector.annotations.layout import Pair, find_pairs, place_rows
from detector.annotations.parallel import Progress, map_chunks
from detector.annotations.problems import Problem, Severity
from detector.annotations.rows import BoxRow, FileRows
from detector.annotations.sizes import read_upright_size
from detector.annotations.writing import (
    Loss,
    Losses,
    Target,
    WriteOptions,
    fit_boxes,
    list_labels,
    select_sized,
)
from detector.errors import SettingsError

_LABEL_FILES = re.compile(r"(?!(classes|train|val|test|images|readme|license|source)\.txt).+\.txt")
_NAMES_FILES = re.compile(r".+\.(ya?ml|names)|classes\.txt")
_BOX_NUMBERS = 4

Names = dict[int, str]


def read_yolo(
    root: Path,
    *,
    images: str | Path | None = None,
    annotations: str | Path | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> tuple[Dataset, list[Problem]]:
    """Read the label files below ``root``; pixels come from the sizes of the pictures, by their headers.

    A picture that can't be opened gives a problem and is left out; a label file without picture has no
    boxes, since their pixels are not known. Raises ``SettingsError`` where no names of classes are found.
    """
    names = _find_names(root)
    pairs, problems = find_pairs(root, _LABEL_FILES, images=images, annotations=annotations)
    with_source = [pair for pair in pairs if pair.source is not None]
    found, read = FileRows(problems=problems), partial(_read_pairs, root, names)
    for some in map_chunks(read, with_source, workers=workers, progress=progress):
        found.extend(some)
    return Dataset(root, place_rows(found, pairs)), found.problems


def write_yolo(dataset: Dataset, folder: Path, options: WriteOptions | None = None) -> list[Loss]:
    """Write ``labels/NAME.txt``, ``classes.txt``, ``data.yaml``, and ``images/NAME`` when they are placed.

    Lost: difficult, truncated, occluded, pose, verified; what lies outside the picture, which Ultralytics
    refuses with the whole picture.
    """
    options = options or WriteOptions()
    losses, target = Losses("yolo"), Target(folder, dataset, options.pictures)
    class_ids = {label: number for number, label in enumerate(list_labels(dataset, options))}
    for annotation, image, size in select_sized(dataset, options, losses):
        losses.add_marks(annotation, "difficult", "truncated", "occluded", "pose")
        if options.pictures == "reference":
            losses.add("the place", "pictures", reason="copy or link them, they belong beside the labels")
        target.place_picture(image)
        boxes = fit_boxes(annotation.boxes, size, losses)
        lines = "".join(_format_line(class_ids[box.label], box, size) for box in boxes)
        name = Path(target.name_picture(image)).with_suffix(".txt")
        target.write(f"labels/{name.as_posix()}", lines.encode())
    _write_names(target, class_ids)
    return losses.to_list()


def _write_names(target: Target, class_ids: dict[str, int]) -> None:
    labels = [" ".join(label.splitlines()) for label in class_ids]
    target.write("classes.txt", "".join(f"{label}\n" for label in labels).encode())
    content = {"path": ".", "train": "images", "val": "images", "names": dict(enumerate(labels))}
    target.write("data.yaml", yaml.safe_dump(content, allow_unicode=True, sort_keys=False).encode())


def _format_line(class_id: int, box: Box, size_wh_px: tuple[int, int]) -> str:
    (width, height), (x_min, y_min, x_max, y_max) = size_wh_px, box.xyxy_px
    centre = (x_min + x_max) / 2 / width, (y_min + y_max) / 2 / height
    numbers = (*centre, (x_max - x_min) / width, (y_max - y_min) / height)
    return f"{class_id} {' '.join(f'{number:.8f}' for number in numbers)}\n"


def _find_names(root: Path) -> Names:
    if not root.is_dir():
        raise SettingsError(f"{root} is no folder: name the folder that holds the pictures")
    found = list_files(root, _NAMES_FILES)[0]
    for path in sorted(found, key=lambda path: (path.count("/"), path)):
        names = _read_names(root / path)
        if names:
            return names
    raise SettingsError(f"{root}: no data.yaml with names and no classes.txt: YOLO's labels are only numbers")


def _read_names(path: Path) -> Names:
    if path.suffix.lower() in {".yaml", ".yml"}:
        return _read_yaml_names(path)
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    return {number: line for number, line in enumerate(lines) if line.strip()}


def _read_yaml_names(path: Path) -> Names:
    try:
        content: Any = yaml.safe_load(path.read_bytes())
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SettingsError(f"{path} is no YAML that can be read") from error
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, list):
        return {number: str(name) for number, name in enumerate(names)}
    if isinstance(names, dict):
        return {number: str(name) for number, name in names.items() if isinstance(number, int)}
    return {}


def _read_pairs(root: Path, names: Names, pairs: Sequence[Pair]) -> FileRows:
    read = FileRows()
    for pair in pairs:
        rows = _read_pair(root, names, pair, read.problems)
        if rows is not None:
            read.rows.add(rows, None, None, verified=False)
        elif pair.source is not None:
            read.refused.add(pair.source)
    return read


def _read_pair(root: Path, names: Names, pair: Pair, problems: list[Problem]) -> list[BoxRow] | None:
    # None where the file, or its picture, can't be used.
    if pair.image is None or pair.source is None:
        return []
    size = read_upright_size(root / pair.image)
    if size is None:
        message = f"the size of {pair.image} can't be read, and with it no pixel of a box"
        problems.append(_report(pair.source, None, "image-unreadable", message, "replace the picture"))
        return None
    try:
        text = (root / pair.source).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        message, advice = "it can't be read as UTF-8 text", "export it again"
        problems.append(_report(pair.source, None, "file-unreadable", message, advice))
        return None
    return _read_lines(text, names, size, pair.source, problems)


def _read_lines(
    text: str, names: Names, size_wh_px: tuple[int, int], file: str, problems: list[Problem]
) -> list[BoxRow]:
    rows: list[BoxRow] = []
    for line, words in enumerate((line.split() for line in text.splitlines()), 1):
        numbers = _read_line_numbers(words)
        if not words:
            continue
        if numbers is None:
            message = "it is not a class and four numbers between 0 and 1"
            problems.append(_report(file, line, "yolo-line", message, "export it again"))
            continue
        class_id, fractions, remark = numbers
        if class_id not in names:
            message = f"class {class_id} has no name"
            problems.append(_report(file, line, "yolo-class", message, "add it to data.yaml or classes.txt"))
            continue
        if remark:
            problems.append(
                _report(file, line, "yolo-outline", remark, "nothing, if boxes are wanted", "note")
            )
        (width, height), (x_min, y_min, x_max, y_max) = size_wh_px, fractions
        edges = (x_min * width, y_min * height, x_max * width, y_max * height)
        rows.append((names[class_id], edges, False, False, False, "Unspecified", line))
    return rows


def _read_line_numbers(words: list[str]) -> tuple[int, tuple[float, float, float, float], str] | None:
    # Gives the class, the edges (x_min, y_min, x_max, y_max) in fractions, and a remark.
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        return None
    if len(numbers) <= _BOX_NUMBERS or not all(map(math.isfinite, numbers)) or numbers[0] % 1:
        return None
    class_id, values = int(numbers[0]), numbers[1:]
    if len(values) <= _BOX_NUMBERS + 1:
        x, y, width, height = values[:_BOX_NUMBERS]
        remark = "" if len(values) == _BOX_NUMBERS else "a sixth number (a model's score?) is not read"
        return class_id, (x - width / 2, y - height / 2, x + width / 2, y + height / 2), remark
    if len(values) % 2:
        return None
    across, down = values[::2], values[1::2]
    remark = "an outline is read as the box around it"
    return class_id, (min(across), min(down), max(across), max(down)), remark


def _report(
    file: str, line: int | None, code: str, message: str, advice: str, severity: Severity = "error"
) -> Problem:
    return Problem(code, severity, file, line, message, advice)
