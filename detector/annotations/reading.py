"""One call that reads a folder of annotated pictures, whatever its format.

Owns nothing but the choice of the reader. Refuses formats that it does not know.
"""

from pathlib import Path

from detector.annotations.conversion import find_format
from detector.annotations.dataset import Dataset
from detector.annotations.parallel import Progress
from detector.annotations.problems import Problem


def read_dataset(
    root: Path,
    *,
    format: str = "voc",  # noqa: A002 (the word of the command line)
    images: str | Path | None = None,
    annotations: str | Path | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> tuple[Dataset, list[Problem]]:
    """Read the annotated pictures below ``root``; what is wrong comes back as problems, in the same order.

    ``images`` and ``annotations`` are folders (or, for ``annotations``, a document) in which alone to look,
    relative to ``root``; None looks everywhere below it. ``workers`` None takes all cores for thousands of
    files; ``progress(done, total)`` counts files. Pictures that nobody annotated are there with ``source``
    None, annotation files without picture with ``image`` None, and neither is reported: that is the checks'
    work. A file that can't be used, or whose picture is not certain, is reported and left out.

    Raises ``SettingsError`` for an unknown format and for folders that are not there.
    """
    read = find_format(format).read
    return read(root, images=images, annotations=annotations, workers=workers, progress=progress)
