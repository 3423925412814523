"""Pascal VOC: one XML beside each picture, or in a folder of its own.

Owns the reading and writing of whole folders; one document is ``voc_xml``'s. Refuses files over
``MAX_XML_BYTES``: a picture with 10,000 boxes has 3 MB.
"""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from detector.annotations.dataset import Annotation, Dataset
from detector.annotations.layout import find_pairs, place_rows
from detector.annotations.parallel import Progress, map_chunks
from detector.annotations.problems import Problem
from detector.annotations.rows import FileRows
from detector.annotations.voc_xml import VocDocument, format_voc, parse_voc
from detector.annotations.writing import Loss, Losses, Target, WriteOptions, find_size, select_written

MAX_XML_BYTES = 16_000_000


def read_voc(
    root: Path,
    *,
    images: str | Path | None = None,
    annotations: str | Path | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    one_based: bool = False,
) -> tuple[Dataset, list[Problem]]:
    """Read every XML and list every picture below ``root``; see ``layout`` for which belong together.

    ``one_based`` reads numbers by VOC's own definition instead of labelImg's: see ``voc_xml``. A picture
    without XML has ``source`` None, an XML without picture ``image`` None; neither is a problem here. An XML
    that can't be used at all gives a problem, and its picture is left out: it is no background.
    """
    pairs, problems = find_pairs(root, images=images, annotations=annotations)
    with_source = [pair.source for pair in pairs if pair.source is not None]
    found, read = FileRows(problems=problems), partial(_read_documents, root, one_based=one_based)
    for some in map_chunks(read, with_source, workers=workers, progress=progress):
        found.extend(some)
    return Dataset(root, place_rows(found, pairs)), found.problems


def write_voc(dataset: Dataset, folder: Path, options: WriteOptions | None = None) -> list[Loss]:
    """Write ``annotations/NAME.xml`` for each picture, and ``images/NAME`` when pictures are placed.

    Lost: the fourth decimal of an edge.
    """
    options = options or WriteOptions()
    losses, target = Losses("voc"), Target(folder, dataset, options.pictures)
    for annotation, image in select_written(dataset, options, losses):
        place = Path(target.place_picture(image))
        content = format_voc(
            annotation.boxes,
            folder=place.parent.name,
            filename=place.name,
            size_wh_px=_declared_size(annotation) or find_size(dataset, annotation),
            verified=annotation.verified,
        )
        name = Path(target.name_picture(image)).with_suffix(".xml")
        target.write(f"annotations/{name.as_posix()}", content)
    return losses.to_list()


def _read_documents(root: Path, sources: Sequence[str], *, one_based: bool) -> FileRows:
    read = FileRows()
    for source in sources:
        document = _read_document(root, source, one_based=one_based)
        read.problems += document.problems
        if document.is_refused:
            read.refused.add(source)
        else:
            read.rows.add(document.rows, document.width_px, document.height_px, verified=document.verified)
    return read


def _declared_size(annotation: Annotation) -> tuple[int, int] | None:
    if annotation.width_px is None or annotation.height_px is None:
        return None
    return annotation.width_px, annotation.height_px


def _read_document(root: Path, source: str, *, one_based: bool) -> VocDocument:
    try:
        with open(os.path.join(root, source), "rb") as file:  # noqa: PTH118, PTH123 (100,000 times)
            # Asking for the limit alone would set aside as much memory for each file.
            content = file.read(min(os.fstat(file.fileno()).st_size, MAX_XML_BYTES) + 1)
    except OSError as error:
        return _refuse("file-unreadable", source, f"it can't be read: {error.strerror}", "grant the right to")
    if len(content) > MAX_XML_BYTES:
        message = f"it is larger than {MAX_XML_BYTES:,} bytes, which no annotation of one picture is"
        return _refuse("xml-too-large", source, message, "take it out of the folder")
    return parse_voc(content, source, one_based=one_based)


def _refuse(code: str, source: str, message: str, advice: str) -> VocDocument:
    return VocDocument(is_refused=True, problems=[Problem(code, "error", source, None, message, advice)])
