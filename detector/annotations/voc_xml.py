"""One Pascal VOC document: XML bytes to boxes, and boxes to XML bytes.

Owns what the elements mean, in every way that people write them. Opens no file, and follows neither ``path``
nor ``folder`` nor ``filename``: they speak of another machine.

What the four numbers mean. VOC's own definition counts pixels from 1 and includes the last one. labelImg
does not: it writes the edges where the mouse was, from 0 to the width, cut down to whole numbers, with 1 in
place of 0 for the left and top edge; the TF Object Detection API reads edges, too. Nearly all files of our
users are labelImg's, so edges are the rule here: the numbers are taken as they stand, a box with
xmax == xmin has no area, and what was read is written again. ``one_based`` reads by VOC's own
definition, which moves the left and top edge by one pixel.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from lxml import etree

from detector.annotations.dataset import Box
from detector.annotations.numbers import MAX_INTEGER
from detector.annotations.problems import Problem
from detector.annotations.rows import BoxRow
from detector.annotations.safe_xml import RefusedXmlError, map_children, parse_xml
from detector.errors import SettingsError

_EDGES = ("xmin", "ymin", "xmax", "ymax")
_OUTLINES = frozenset({"polygon", "robndbox", "segm", "mask"})
_TRUE, _FALSE = {"1", "true", "yes"}, {"0", "false", "no", "unspecified", ""}
_REDRAW = "open the picture in labelImg and draw the box again"


@dataclass(slots=True)
class VocDocument:
    """What one file says: its boxes, the size it declares, labelImg's mark, and what is wrong with it.

    ``is_refused`` tells that it could not be used at all.
    """

    rows: list[BoxRow] = field(default_factory=list)
    width_px: int | None = None
    height_px: int | None = None
    verified: bool = False
    is_refused: bool = False
    problems: list[Problem] = field(default_factory=list)

    @property
    def boxes(self) -> tuple[Box, ...]:
        """The boxes, as records."""
        return tuple(Box(*row) for row in self.rows)


def parse_voc(content: bytes, file: str, *, one_based: bool = False) -> VocDocument:
    """Read the boxes of one VOC document; ``file`` is its name in the problems.

    Namespaces, comments and unknown elements are passed over. A document that can't be used gives one
    problem and no boxes; an object that can't be used gives one problem and is left out. Boxes come as they
    stand, also without area or outside. Never raises for what is in ``content``.
    """
    document = VocDocument()
    try:
        root, is_latin_1 = parse_xml(content)
        _refuse_others(root)
    except RefusedXmlError as refused:
        document.is_refused = True
        document.problems.append(_report(refused, file))
        return document
    if is_latin_1:
        message = "it is not the UTF-8 it claims to be and was read as Latin-1"
        document.problems.append(
            Problem("xml-encoding", "warning", file, None, message, "save it again as UTF-8")
        )
    document.verified = root.get("verified", "").strip().lower() in _TRUE
    document.rows = list(_read_objects(root, file, document.problems, 1.0 if one_based else 0.0))
    document.width_px, document.height_px = _read_size(root, file, document.problems)
    return document


def format_voc(
    boxes: Iterable[Box],
    *,
    folder: str,
    filename: str,
    size_wh_px: tuple[int, int] | None,
    verified: bool = False,
) -> bytes:
    """Write boxes the way labelImg does, UTF-8; edges that are no whole numbers get up to three decimals.

    Raises ``SettingsError`` for names that XML can't hold.
    """
    root = etree.Element("annotation", {"verified": "yes"} if verified else {})
    try:
        _add(root, "folder", folder)
        _add(root, "filename", filename)
        _add(etree.SubElement(root, "source"), "database", "Unknown")
        size = etree.SubElement(root, "size")
        for name, value in zip(("width", "height", "depth"), (*(size_wh_px or (0, 0)), 3), strict=True):
            _add(size, name, str(value))
        _add(root, "segmented", "0")
        for box in boxes:
            _add_object(root, box)
    except ValueError as error:
        raise SettingsError(f"{filename}: a name holds characters that XML can't: rename it") from error
    etree.indent(root, "\t")
    return etree.tostring(root, encoding="utf-8", xml_declaration=False) + b"\n"


def _refuse_others(root: etree._Element) -> None:
    if root.tag != "annotation":
        message = "it is XML, but no Pascal VOC: its root is no <annotation>"
        raise RefusedXmlError("voc-no-annotation", root.sourceline, message, "take it out of the folder")


def _read_objects(
    root: etree._Element, file: str, problems: list[Problem], first_pixel: float
) -> Iterator[BoxRow]:
    has_outlines = False
    for element in root:
        if element.tag != "object":
            continue
        parts = map_children(element)
        has_outlines |= not _OUTLINES.isdisjoint(parts) and "bndbox" in parts
        try:
            yield _read_object(element.sourceline, parts, file, problems, first_pixel)
        except RefusedXmlError as refused:
            problems.append(_report(refused, file))
    if has_outlines:
        message = "objects have an outline beside their box; the boxes alone are read"
        problems.append(Problem("voc-outline", "note", file, None, message, "nothing, if boxes are wanted"))


def _read_object(
    line: int | None,
    parts: dict[str, etree._Element],
    file: str,
    problems: list[Problem],
    first_pixel: float,
) -> BoxRow:
    label = _read_text(parts, "name")
    if "\n" in label:  # indentation; blanks alone are somebody's typing error, which the checks show
        label = label.strip()
    if not label.strip():
        raise RefusedXmlError("voc-no-name", line, "an object has no name", "give it one in labelImg")
    if "bndbox" not in parts:
        raise _explain_no_box(line, parts)
    x_min, y_min, x_max, y_max = _read_edges(parts["bndbox"])
    return (
        label,
        (x_min - first_pixel, y_min - first_pixel, x_max, y_max),
        _read_flag(parts, "difficult", line, file, problems),
        _read_flag(parts, "truncated", line, file, problems),
        _read_flag(parts, "occluded", line, file, problems),
        _read_text(parts, "pose").strip() or "Unspecified",
        line,
    )


def _read_text(parts: dict[str, etree._Element], name: str) -> str:
    element = parts.get(name)
    return "" if element is None else element.text or ""


def _explain_no_box(line: int | None, parts: dict[str, etree._Element]) -> RefusedXmlError:
    outline = next((name for name in parts if name in _OUTLINES), None)
    if outline is None:
        return RefusedXmlError("voc-no-box", line, "an object has no <bndbox>", _REDRAW)
    message = f"an object has a <{outline}> and no box, which is not read"
    return RefusedXmlError(f"voc-{outline}", line, message, "export it as boxes (bndbox)")


def _read_edges(element: etree._Element) -> tuple[float, float, float, float]:
    texts = {str(child.tag).lower(): child.text or "" for child in element}
    try:
        edges = float(texts["xmin"]), float(texts["ymin"]), float(texts["xmax"]), float(texts["ymax"])
    except (KeyError, ValueError):
        edges = math.nan, math.nan, math.nan, math.nan
    if math.isfinite(sum(edges)):
        return edges
    missing = [name for name in _EDGES if not texts.get(name, "").strip()]
    if missing:
        message = f"a <bndbox> has no {', '.join(missing)}"
        raise RefusedXmlError("voc-no-box", element.sourceline, message, _REDRAW)
    message = f"{', '.join(_EDGES)} are not all numbers"
    raise RefusedXmlError("voc-number", element.sourceline, message, "write numbers with a decimal point")


def _read_flag(
    parts: dict[str, etree._Element], name: str, line: int | None, file: str, problems: list[Problem]
) -> bool:
    if name not in parts:
        return False
    text = parts[name].text
    if text == "0":  # nearly always
        return False
    text = (text or "").strip().lower()
    if text in _FALSE or text in _TRUE:
        return text in _TRUE
    try:
        return float(text) > 0  # some write the share that is hidden
    except ValueError:
        message, advice = f"<{name}> is neither 0 nor 1", "0 was taken; write 0 or 1"
        problems.append(Problem("voc-flag", "warning", file, line, message, advice))
        return False


def _read_size(root: etree._Element, file: str, problems: list[Problem]) -> tuple[int | None, int | None]:
    element = next((child for child in root if child.tag == "size"), None)
    if element is None:
        return None, None
    parts = map_children(element)
    try:
        width = int(float(_read_text(parts, "width").strip() or 0))
        height = int(float(_read_text(parts, "height").strip() or 0))
        if max(width, height) > MAX_INTEGER:
            raise ValueError  # noqa: TRY301 (the same fault as text)
    except (ValueError, OverflowError):
        message, advice = "<size> is not made of numbers of pixels", "save it again in labelImg"
        problems.append(Problem("voc-size", "warning", file, element.sourceline, message, advice))
        return None, None
    # 0 is what labelImg writes when it could not load the picture.
    return (width, height) if width > 0 and height > 0 else (None, None)


def _report(refused: RefusedXmlError, file: str) -> Problem:
    return Problem(refused.code, "error", file, refused.line, refused.message, refused.advice)


def _add(parent: etree._Element, name: str, text: str) -> None:
    etree.SubElement(parent, name).text = text


def _add_object(root: etree._Element, box: Box) -> None:
    element = etree.SubElement(root, "object")
    _add(element, "name", box.label)
    _add(element, "pose", box.pose)
    for name, value in (("truncated", box.truncated), ("difficult", box.difficult)):
        _add(element, name, str(int(value)))
    if box.occluded:  # labelImg knows no such element; VOC 2008 and later do
        _add(element, "occluded", "1")
    bndbox = etree.SubElement(element, "bndbox")
    for name, edge in zip(_EDGES, box.xyxy_px, strict=True):
        _add(bndbox, name, f"{edge:.3f}".rstrip("0").rstrip("."))
