"""Rows of scores to results: the newest of one scorer, failures told, nothing guessed."""

import datetime as dt

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from detector.errors import EvaluationError, SettingsError
from detector.measurement.recorded import ScorerChoice, gather_recorded, read_scores

NOON = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
EDGES = ("y_min", "x_min", "y_max", "x_max")
BOX = pa.struct(
    [("class_id", pa.int32()), ("label", pa.string())] + [(n, pa.float32()) for n in ("score", *EDGES)]
)
FRAMES = pa.list_(
    pa.struct([("frame_index", pa.int32()), ("time_s", pa.float64()), ("detections", pa.list_(BOX))])
)
URIS = {"a.jpg": "/photos/a.jpg", "b.jpg": "/photos/b.jpg"}


def make_row(uri, *scores, **changes):
    """Make a row of scores: for each score a box over the picture's right lower quarter."""
    boxes = [
        dict(zip(EDGES, (0.5, 0.5, 1, 1), strict=True)) | {"class_id": 2, "label": "cat", "score": score}
        for score in scores
    ]
    row = {
        "media_uri": uri,
        "media_kind": "image",
        "status": "scored",
        "error_class": None,
        "error_message": None,
        "attempt": 0,
        "scored_at": NOON,
        "width_px": 80,
        "height_px": 40,
        "frames": [{"frame_index": 0, "time_s": None, "detections": boxes}],
        "model_name": "cats",
        "model_version": "1",
        "model_digest": "d1",
        "scorer_digest": "s1",
    }
    return row | changes


def make_table(*rows):
    """Make the table of some rows."""
    strings = ("error_class", "error_message")
    table = pa.Table.from_pylist(
        [{k: v for k, v in row.items() if k not in {"frames", *strings}} for row in rows]
    )
    for name in strings:
        table = table.append_column(name, pa.array([row[name] for row in rows], pa.string()))
    return table.append_column("frames", pa.array([row["frames"] for row in rows], FRAMES))


def test_nested_boxes_come_out_in_pixels():
    """In the order asked for; a picture without a detection has an empty result."""
    found = gather_recorded(make_table(make_row("/photos/b.jpg"), make_row("/photos/a.jpg", 0.75, 0.5)), URIS)
    first, second = found.results
    assert (first.image, first.width_px, first.height_px) == ("a.jpg", 80, 40)
    assert first.boxes_xyxy_px.tolist() == [[40, 20, 80, 40]] * 2
    assert (first.scores.tolist(), first.class_ids.tolist()) == ([0.75, 0.5], [2, 2])
    assert (second.image, len(second.scores)) == ("b.jpg", 0)
    assert (found.scorer.name, found.scorer.version, found.scorer.digest) == ("cats", "1", "d1")


def test_the_newest_row_counts():
    """By time, then by attempt; rows of what was skipped don't."""
    later = NOON + dt.timedelta(hours=1)
    table = make_table(
        make_row("/photos/a.jpg", 0.25, attempt=1),
        make_row("/photos/a.jpg", 0.5, scored_at=later),
        make_row("/photos/a.jpg", status="skipped", scored_at=later, attempt=9, frames=None),
        make_row("/photos/b.jpg", 0.25),
        make_row("/photos/b.jpg", 0.75, attempt=1),
    )
    assert [result.scores.tolist() for result in gather_recorded(table, URIS).results] == [[0.5], [0.75]]


def test_a_failed_picture_is_told():
    """With its reason, and without a result; the others' boxes stay with their pictures."""
    failed = {"status": "failed", "frames": None, "error_class": "EmptyMedia", "error_message": "no bytes"}
    found = gather_recorded(
        make_table(make_row("/photos/a.jpg", **failed), make_row("/photos/b.jpg", 0.5)), URIS
    )
    assert found.failures == {"a.jpg": "EmptyMedia: no bytes"}
    assert [(result.image, result.scores.tolist()) for result in found.results] == [("b.jpg", [0.5])]


def test_pictures_without_a_row_are_refused():
    """By number and first name."""
    with pytest.raises(EvaluationError, match=r"1 of 2 pictures have no row .* first is /photos/b\.jpg"):
        gather_recorded(make_table(make_row("/photos/a.jpg", 0.5)), URIS)


def test_rows_of_two_scorers_are_refused_until_one_is_named():
    """Their figures would be of no model; a version tells them apart."""
    other = {"model_version": "2", "scorer_digest": "s2", "scored_at": NOON + dt.timedelta(hours=1)}
    table = make_table(
        make_row("/photos/a.jpg", 0.5),
        make_row("/photos/b.jpg", 0.5),
        make_row("/photos/a.jpg", 0.9, **other),
    )
    with pytest.raises(EvaluationError, match=r"of 2 scorers .*cats 2, scorer s2"):
        gather_recorded(table, URIS)
    found = gather_recorded(table, URIS, ScorerChoice(model_version="1"))
    assert [result.scores.tolist() for result in found.results] == [[0.5], [0.5]]


def test_a_folder_s_table_is_read_without_spark(tmp_path):
    """Only the wanted pictures' rows; where there is no table, it says what to run."""
    table = make_table(*(make_row(f"/photos/{n}.jpg", 0.5) for n in "abc"))
    write_deltalake(str(tmp_path / "scores"), table)
    assert sorted(read_scores(str(tmp_path), URIS)["media_uri"].to_pylist()) == sorted(URIS.values())
    assert len(gather_recorded(read_scores(str(tmp_path), URIS), URIS).results) == 2
    with pytest.raises(SettingsError, match=r"no Delta table scores; run jobs/score\.py first"):
        read_scores(str(tmp_path / "none"), URIS)


def test_boxes_that_maintenance_took_are_told():
    """A picture whose boxes expired is not one in which nothing was found."""
    table = make_table(make_row("/photos/a.jpg", 0.9), make_row("/photos/b.jpg", frames=None))
    with pytest.raises(EvaluationError, match=r"1 of 2 pictures have been taken out.*b\.jpg.*rescore"):
        gather_recorded(table, URIS)
