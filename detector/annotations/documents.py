"""Formats of one document for many pictures: finding the documents, and the pictures they name.

Owns the matching of names to pictures, for COCO, CreateML, Label Studio, AutoML and TFRecord alike. A name
in a document comes from another machine: it only ever selects among the pictures that were listed below the
root. Refuses to open a picture.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from detector.annotations.dataset import Annotation, Box, Dataset
from detector.annotations.files import IMAGE_NAMES, list_files, place_inside
from detector.annotations.problems import Problem, Severity
from detector.errors import SettingsError


class Catalogue:
    """The pictures below a root, the annotations that documents give them, and what is wrong."""

    def __init__(self, root: Path, images: str | Path | None = None) -> None:
        self._root = root
        self._folder = place_inside(root, images)
        self._images, self.problems = list_files(root, IMAGE_NAMES, self._folder)
        self._known = frozenset(self._images)
        self._by_name: dict[str, list[str]] = {}
        for image in self._images:
            self._by_name.setdefault(image.rpartition("/")[2], []).append(image)
        self._annotations: dict[str, Annotation] = {}

    def report(
        self, code: str, file: str, message: str, advice: str, *, severity: Severity = "error",
        line: int | None = None,
    ) -> None:  # fmt: skip
        """Add a problem."""
        self.problems.append(Problem(code, severity, file, line, message, advice))

    def find(self, name: str, file: str, line: int | None = None) -> Path | None:
        """Find the one picture that ``name`` (a path or URI of anywhere) means; None, and a problem, if none.

        It is the picture of that path below the root (or below the images' folder); else the one whose path
        ends like it in most folders. Two that are equally like it are a problem.
        """
        parts = PurePosixPath(name.replace("\\", "/")).parts
        exact = "/".join(parts)
        for candidate in (f"{self._folder}/{exact}".lstrip("/"), exact):
            if candidate in self._known:
                return Path(candidate)
        found = self._by_name.get(parts[-1] if parts else "", [])
        best = [image for image in found if _count_equal_ends(image, parts) == _most_equal(found, parts)]
        if len(best) == 1:
            return Path(best[0])
        shown = parts[-1] if parts else name
        if not best:
            message = f"the picture {shown} is not below the folder"
            self.report("image-missing", file, message, "put it there or name the images' folder", line=line)
        else:
            message = f"the picture {shown} may be each of {', '.join(best[:5])}"
            self.report("several-images", file, message, "give each picture a name of its own", line=line)
        return None

    def annotate(
        self, image: Path, file: str, size_wh_px: tuple[int | None, int | None], boxes: tuple[Box, ...],
        *, verified: bool = False,
    ) -> None:  # fmt: skip
        """Give a picture its annotation; a second one for the same picture is a problem and is not used."""
        key = image.as_posix()
        if key in self._annotations:
            message = f"{key} has annotations of {self._annotations[key].source} already; these are not used"
            self.report("several-annotations", file, message, "remove one of the two")
            return
        self._annotations[key] = Annotation(image, Path(file), *size_wh_px, boxes, verified)

    def build(self) -> tuple[Dataset, list[Problem]]:
        """Give the data set, with pictures that no document names as not annotated, and the problems."""
        empty = (None, None, None, ())
        annotations = [
            self._annotations.get(image) or Annotation(Path(image), *empty) for image in self._images
        ]
        return Dataset(self._root, tuple(annotations)), self.problems


def find_documents(root: Path, names: str, given: str | Path | None) -> Iterator[tuple[str, Path]]:
    """Give name (relative to the root where it is inside) and path of each document, ordered.

    ``names`` is an expression that their whole lower-case names match. ``given`` is a file, or a folder in
    which to look; None looks below the whole root. Raises ``SettingsError`` when there is none.
    """
    path = root if given is None else root / given
    if path.is_file():
        yield relate(root, path).as_posix(), path
        return
    found = list_files(path, re.compile(names))[0] if path.is_dir() else []
    if not found:
        raise SettingsError(f"{path}: no file {names} there: name the annotations' file")
    for name in found:
        yield relate(root, path / name).as_posix(), path / name


def relate(root: Path, path: Path) -> Path:
    """Make a path relative to the root; one that is not inside stays as it is."""
    real_root, real = root.resolve(), path.resolve()
    return real.relative_to(real_root) if real.is_relative_to(real_root) else path


def read_json(catalogue: Catalogue, file: str, path: Path) -> Any:  # noqa: ANN401 (any JSON value)
    """Read a JSON document; None, and a problem, where it is none."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        line = error.lineno if isinstance(error, json.JSONDecodeError) else None
        catalogue.report("json-broken", file, "it is no JSON that can be read", "export it again", line=line)
        return None


def strip_bucket(uri: str) -> str:
    """Take scheme and bucket off the URI of an object store; its names are not percent-encoded.

    >>> strip_bucket("gs://bucket/photos/a #1.jpg")
    'photos/a #1.jpg'
    """
    return uri.partition("://")[2].partition("/")[2] if "://" in uri else uri


def _count_equal_ends(image: str, parts: tuple[str, ...]) -> int:
    count = 0
    for ours, theirs in zip(reversed(image.split("/")), reversed(parts), strict=False):
        if ours != theirs:
            break
        count += 1
    return count


def _most_equal(images: list[str], parts: tuple[str, ...]) -> int:
    return max(_count_equal_ends(image, parts) for image in images)
