"""What can be wrong with a box: no area, swapped corners, outside the picture, drawn twice.

Owns the tolerance at the picture's edge. Refuses to mend anything. Opens no files.
"""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from detector.annotations.box_table import BoxTable
from detector.annotations.dataset import Dataset
from detector.annotations.problems import Problem, Severity

_EDGE_TOLERANCE_PX = 1.0  # what rounding, and counting pixels from 1, makes of a box drawn to the edge
_REDRAW = "open the picture in labelImg and draw the box again"


def check_boxes(dataset: Dataset, table: BoxTable) -> list[Problem]:
    """List the faults of single boxes, one problem for each box, the gravest.

    ``box-swapped`` (a minimum above its maximum) and ``box-no-area`` are errors, so is ``box-outside``
    unless it is only the pixel at the edge (``box-over-edge``, a warning); ``box-repeated`` (the same
    class and edges again in one picture) is a warning. Boxes of pictures of unknown size can't be outside.
    """
    swapped = np.asarray((table.wh_px < 0).any(axis=1))
    empty = ~table.has_area & ~swapped
    over_px = _measure_overhang(table)
    over_px[swapped | empty] = 0
    outside = over_px > _EDGE_TOLERANCE_PX
    over_edge = (over_px > 0) & ~outside
    repeated = _find_repeated(table) & ~(swapped | empty | outside | over_edge)
    return [
        *_describe(dataset, table, swapped, "box-swapped", "error", "has its corners swapped", _REDRAW),
        *_describe(dataset, table, empty, "box-no-area", "error", "has no area", f"delete it, or {_REDRAW}"),
        *_describe(dataset, table, outside, "box-outside", "error", "reaches out of the picture", _REDRAW),
        *_describe(
            dataset, table, over_edge, "box-over-edge", "warning", "ends a pixel or less out of the picture",
            "nothing: it is cut at the edge",
        ),
        *_describe(
            dataset, table, repeated, "box-repeated", "warning", "is there before, with the same edges",
            "delete one of the two",
        ),
    ]  # fmt: skip


def _measure_overhang(table: BoxTable) -> NDArray[np.float64]:
    """Compute by how many pixels each box leaves its picture, float64 [N]."""
    over = np.zeros(len(table.owner))
    for side in (0, 1):  # one after the other: half the memory
        size = table.size_wh_px[table.owner, side]
        beyond = np.maximum(-table.xyxy_px[:, side], table.xyxy_px[:, side + 2] - size)
        np.maximum(over, beyond, out=over)
    over[(table.size_wh_px == 0).any(axis=1)[table.owner]] = 0
    return over


def _find_repeated(table: BoxTable) -> NDArray[np.bool_]:
    # Equal boxes of one picture become neighbours, in their order; all but the first of them are repeated.
    keys = [*table.xyxy_px.T, table.label, table.owner]
    order = np.lexsort(keys)
    is_equal = np.logical_and.reduce([key[order[1:]] == key[order[:-1]] for key in keys])
    repeated = np.zeros(len(order), np.bool_)
    repeated[order[1:][is_equal]] = True
    return repeated


def _describe(
    dataset: Dataset,
    table: BoxTable,
    rows: NDArray[np.bool_],
    code: str,
    severity: Severity,
    fault: str,
    advice: str,
) -> Iterator[Problem]:
    for row in np.flatnonzero(rows).tolist():
        box, owner = dataset.columns.list_boxes(row, row + 1)[0], int(table.owner[row])
        place = f"the box of {box.label!r} at ({_list_edges(box.xyxy_px)})"
        width_px, height_px = table.size_wh_px[owner].tolist()
        size = f" of {width_px} x {height_px} pixels" if "picture" in fault else ""
        file = dataset.columns.name_file(owner)
        yield Problem(code, severity, file, box.line, f"{place} {fault}{size}", advice)


def _list_edges(edges: Iterable[float]) -> str:
    return ", ".join(f"{edge:.6g}" for edge in edges)
