"""What a scoring run wrote of labelled pictures, as the metrics take it: large sets are scored on a cluster.

Owns the choice of each picture's row of the table ``scores`` and the way from its nested detections to
``ImageResult``. Refuses pictures without a row, and rows of more than one scorer: their figures would be of
no model. Reads a folder's table by deltalake, without Spark.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from deltalake.exceptions import TableNotFoundError

from detector.errors import EvaluationError, SettingsError
from detector.evaluation.results import ImageResult
from detector.measurement.predictions import place_detections
from detector.models.detections import Detections
from detector.tables.reading import open_dataset

COLUMNS = (
    "media_uri", "media_kind", "status", "error_class", "error_message", "attempt", "scored_at", "width_px",
    "height_px", "frames", "model_name", "model_version", "model_digest", "scorer_digest",
)  # fmt: skip
_LATER = {"attempt": pa.int32(), "error_message": pa.string()}  # what older versions did not write
_EDGES = ("y_min", "x_min", "y_max", "x_max")


@dataclass(frozen=True)
class ScoredBy:
    """The one scorer whose rows were read."""

    name: str
    version: str
    digest: str


@dataclass(frozen=True)
class Recorded:
    """The results in the order of the pictures, and for each that could not be scored, by name, why."""

    results: list[ImageResult]
    failures: dict[str, str]
    scorer: ScoredBy


@dataclass(frozen=True)
class ScorerChoice:
    """Which rows count where pictures were scored by several models; None is any."""

    model_name: str | None = None
    model_version: str | None = None
    scorer_digest: str | None = None


def read_scores(root: str, uris: Mapping[str, str]) -> pa.Table:
    """Read the rows of ``COLUMNS`` of the pictures wanted; ``uris`` are their media_uris by name.

    ``root`` is the tables' folder, local or a URI. Raises ``SettingsError`` where there is no such table.
    """
    try:
        table = open_dataset(f"{root.rstrip('/')}/scores", _LATER)
    except TableNotFoundError as error:
        raise SettingsError(f"tables.root {root}: no Delta table scores; run jobs/score.py first") from error
    wanted = pc.field("media_uri").isin(pa.array(list(uris.values()), pa.string()))
    return table.to_table(columns=list(COLUMNS), filter=wanted)


def gather_recorded(
    scores: pa.Table, uris: Mapping[str, str], choice: ScorerChoice | None = None
) -> Recorded:
    """Give each picture's newest result, and who found it.

    ``scores`` has ``COLUMNS``. Raises ``EvaluationError`` with the number and the first name of pictures that
    have no row or whose boxes have expired, and where several scorers' rows are the newest ones.
    """
    rows = _select_newest(scores, choice or ScorerChoice())
    places = {uri: place for place, uri in enumerate(rows.column("media_uri").to_pylist())}
    if missing := [uri for uri in uris.values() if uri not in places]:
        raise EvaluationError(
            f"{len(missing)} of {len(uris)} pictures have no row in scores by this model, the first is "
            f"{missing[0]}: score them first, or say by tables.media_root what the folder is called there"
        )
    rows = rows.take([places[uri] for uri in uris.values()])
    scorer = _find_scorer(rows)
    reasons = zip(rows["error_class"].to_pylist(), rows["error_message"].to_pylist(), strict=True)
    told = [f"{error_class}: {message}" for error_class, message in reasons]
    is_scored = pc.equal(rows["status"], "scored")
    by_name = list(zip(uris, told, is_scored.to_pylist(), strict=True))
    rows = rows.filter(is_scored)
    names = [name for name, _, scored in by_name if scored]
    _refuse_expired(rows, names)
    sizes = zip(rows["width_px"].to_pylist(), rows["height_px"].to_pylist(), strict=True)
    found = _unnest(rows["frames"])
    results = [place_detections(*row) for row in zip(names, sizes, found, strict=True)]
    return Recorded(results, {name: why for name, why, scored in by_name if not scored}, scorer)


def _refuse_expired(rows: pa.Table, names: list[str]) -> None:
    gone = np.flatnonzero(pc.is_null(rows["frames"]).to_numpy())
    if len(gone):
        raise EvaluationError(
            f"the boxes of {len(gone)} of {len(names)} pictures have been taken out of scores "
            f"(retain.boxes_days of jobs/maintain.py), the first is {names[gone[0]]}: "
            "score them again with --run.rescore"
        )


def _select_newest(scores: pa.Table, choice: ScorerChoice) -> pa.Table:
    kept = pc.and_(pc.equal(scores["media_kind"], "image"), pc.not_equal(scores["status"], "skipped"))
    for column, wanted in vars(choice).items():
        if wanted is not None:
            kept = pc.and_(kept, pc.equal(scores[column], wanted))
    rows = scores.filter(kept)
    order = [("scored_at", "descending"), ("attempt", "descending")]
    rows = rows.take(pc.sort_indices(rows, sort_keys=order))
    first: dict[str, int] = {}
    for place, uri in enumerate(rows.column("media_uri").to_pylist()):
        first.setdefault(uri, place)
    return rows.take(list(first.values()))


def _find_scorer(rows: pa.Table) -> ScoredBy:
    names = ("model_name", "model_version", "model_digest", "scorer_digest")
    found = Counter(zip(*(rows.column(name).to_pylist() for name in names), strict=True))
    if len(found) > 1:
        listed = "; ".join(
            f"{count} by {name} {version}, scorer {scorer[:12]}"
            for (name, version, _, scorer), count in found.most_common(5)
        )
        raise EvaluationError(
            f"the newest rows of the pictures are of {len(found)} scorers ({listed}): name one by "
            "tables.model_name, tables.model_version or tables.scorer_digest"
        )
    ((name, version, digest, _),) = found
    return ScoredBy(name or "", version or "", digest or "")


def _unnest(frames: pa.ChunkedArray) -> list[Detections]:
    """Take each picture's one frame apart, a row of nested frames each."""
    lists = pc.struct_field(pc.list_element(frames.combine_chunks(), 0), "detections")
    ends = np.cumsum(pc.fill_null(pc.list_value_length(lists), 0).to_numpy())
    flat = pc.list_flatten(lists)
    boxes = np.stack([_to_numpy(flat, edge, np.float32) for edge in _EDGES], axis=-1)
    scores, class_ids = _to_numpy(flat, "score", np.float32), _to_numpy(flat, "class_id", np.int32)
    parts = (np.split(column, ends[:-1]) for column in (boxes, scores, class_ids))
    return [Detections(*row) for row in zip(*parts, strict=True)]


def _to_numpy(flat: pa.StructArray, name: str, dtype: type[np.generic]) -> Any:  # noqa: ANN401 (of that dtype)
    return pc.struct_field(flat, name).to_numpy(zero_copy_only=False).astype(dtype, copy=False)
