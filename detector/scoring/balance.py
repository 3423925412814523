"""How work is shared out: what a unit costs, and tasks of equal cost.

Owns the estimate and the cut. Costs are in pictures: what one image takes to decode and score.
"""

import heapq
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_DECODED_FRAME = 0.1  # of a video, whether its sampling wants it or not, beside a picture that is scored
_REFUSED = 0.1
_SCENES = 0.05  # of a video's frames; only decoding tells


@dataclass(frozen=True)
class Costs:
    """For each unit: its cost in pictures, and the seconds of video in it (0 for an image)."""

    pictures: npt.NDArray[np.float64]
    video_s: npt.NDArray[np.float64]

    def slice(self, start: int, end: int) -> "Costs":
        """Give the costs of the units from ``start`` to before ``end``."""
        return Costs(self.pictures[start:end], self.video_s[start:end])


def estimate_costs(units: pa.Table) -> Costs:
    """Estimate what the units (``UNIT`` columns) cost."""
    segments = units.column("segment").combine_chunks()
    frames, wanted, start_s, end_s = (
        _to_floats(pc.struct_field(segments, name))
        for name in ("frames", "frames_expected", "start_s", "end_s")
    )
    is_video = np.asarray(pc.equal(units.column("media_kind"), "video").to_numpy(), bool)
    scored = np.where(np.isnan(wanted), _SCENES * frames, wanted)
    video = np.nan_to_num(scored + _DECODED_FRAME * frames, nan=_REFUSED)
    return Costs(np.where(is_video, np.maximum(video, _REFUSED), 1.0), np.nan_to_num(end_s - start_s))


def order_units(units: pa.Table) -> pa.Table:
    """Put the dearest units first, then the largest files: what is left for the end is small.

    Ties are broken by name and segment, so that equal plans have equal orders.
    """
    keyed = units.append_column("cost", pa.array(estimate_costs(units).pictures))
    keyed = keyed.append_column("place", pc.struct_field(units.column("segment").combine_chunks(), "index"))
    ordered = keyed.sort_by(
        [
            ("cost", "descending"),
            ("size_bytes", "descending"),
            ("media_uri", "ascending"),
            ("place", "ascending"),
        ]
    )
    return ordered.select(units.column_names)


def cut_into_tasks(
    units: pa.Table, costs: npt.NDArray[np.float64], task_cost: float, slots: int
) -> list[pa.Table]:
    """Cut units into tasks of about ``task_cost`` and of equal cost, each unit to the least loaded so far.

    ``costs`` are those of the units, falling. A task count that is a multiple of ``slots``, where there are
    enough units, leaves no core idle. Source: Graham, Bounds on multiprocessing timing anomalies, 1969
    (longest processing time first).
    """
    tasks = max(1, int(np.ceil(costs.sum() / task_cost)))
    tasks = min(units.num_rows, -(-tasks // slots) * slots)
    loads = [(0.0, task) for task in range(tasks)]
    members: list[list[int]] = [[] for _ in range(tasks)]
    for unit, cost in enumerate(costs.tolist()):
        load, task = loads[0]
        members[task].append(unit)
        heapq.heapreplace(loads, (load + cost, task))
    return [units.take(pa.array(rows)) for rows in members]


def _to_floats(column: pa.Array) -> npt.NDArray[np.float64]:
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)
