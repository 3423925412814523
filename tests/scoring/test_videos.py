"""Whole runs over videos: real clips, segments, a run broken in the middle, broken files."""

import itertools
import json
import os
import re
from collections import Counter
from pathlib import Path

import deltalake
import numpy as np
import pytest

from detector.annotations.shapes import draw_picture
from detector.scoring import job
from detector.scoring.job import score
from detector.settings import ScoreSettings
from jobs.score import main

from .conftest import DEMO_LABELS, DEMO_MODEL, write_clip

pytestmark = pytest.mark.spark


@pytest.fixture(scope="session")
def clip(tmp_path_factory):
    """Give a clip of 40 drawn pictures, 4 s, keyframes every half second."""
    pictures = [
        draw_picture(np.random.default_rng(2000 + n // 4), height_px=96, width_px=128)[0] for n in range(40)
    ]
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", pictures)


@pytest.fixture
def folder(tmp_path, clip):
    """Give tmp_path/photos with the clip in it."""
    photos = tmp_path / "photos"
    photos.mkdir()
    os.link(clip, photos / "clip.mp4")
    return photos


def read_table(tmp_path, name="scores", tables="tables"):
    """Read a table with another reader than Spark."""
    return deltalake.DeltaTable(str(tmp_path / tables / name)).to_pyarrow_table().to_pylist()


def boxes_of(rows):
    """Give the detections of all rows as comparable values, by frame."""
    frames = itertools.chain.from_iterable(row["frames"] for row in rows)
    return {
        (f["frame_index"], f["time_s"]): [(d["label"], d["score"], d["x_min"]) for d in f["detections"]]
        for f in frames
    }


def video(**settings):
    """Give media settings for videos."""
    return {"video": settings}


def test_segments_give_what_one_pass_gives(spark, make_settings, folder, tmp_path):
    """Eight segments of half a second: the same frames and boxes as the whole clip, and one medium."""
    whole = score(spark, make_settings(media=video(sample="every_frame")))
    cut = score(
        spark,
        make_settings(
            media=video(sample="every_frame", segment_s=0.5), tables={"root": str(tmp_path / "cut")}
        ),
    )
    one, many = read_table(tmp_path), read_table(tmp_path, tables="cut")
    assert [(row["segment_index"], row["segment_count"]) for row in one] == [(0, 1)]
    assert sorted(row["segment_index"] for row in many) == list(range(8))
    assert boxes_of(one) == boxes_of(many)
    assert sorted(index for index, _ in boxes_of(one)) == list(range(40))
    assert (whole.scored, whole.frames, whole.detections) == (cut.scored, cut.frames, cut.detections)
    assert (cut.listed, cut.frames, cut.video_s) == (1, 40, pytest.approx(4.0))


def test_a_row_says_what_a_segment_is(spark, make_settings, folder, tmp_path):
    """Kind, times, size, expected and scored frames; detections carry frame_index and time_s."""
    score(spark, make_settings(media=video(sample="every_n: 10", segment_s=2)))
    rows = sorted(read_table(tmp_path), key=lambda row: row["segment_index"])
    assert [(r["segment_start_s"], r["segment_end_s"]) for r in rows] == [(0, 2), (2, pytest.approx(4))]
    assert [(r["frames_expected"], r["frames_scored"], r["media_kind"]) for r in rows] == [
        (2, 2, "video")
    ] * 2
    assert (rows[0]["width_px"], rows[0]["height_px"], rows[0]["content_sha256"]) == (128, 96, None)
    flat = {(row["frame_index"], row["time_s"]) for row in read_table(tmp_path, "detections")}
    assert flat <= {(n, n / 10) for n in (0, 10, 20, 30)}
    assert flat


def test_images_and_videos_are_counted_together(spark, make_settings, folder, drawn_jpegs, tmp_path):
    """Three pictures and a clip of eight segments are four media; again: nothing is done."""
    for number in range(3):
        (folder / f"{number}.jpg").write_bytes(drawn_jpegs[number])
    settings = make_settings(media=video(segment_s=0.5))
    first, second = score(spark, settings), score(spark, settings)
    assert (first.listed, first.scored, first.frames) == (4, 4, 3 + 4)
    assert (second.scored, second.skipped_reasons) == (0, {"already_scored": 4})


def test_another_sampling_is_new_work_for_videos_alone(spark, make_settings, folder, drawn_jpegs, tmp_path):
    """Pictures stay scored when media.video.sample changes."""
    (folder / "a.jpg").write_bytes(drawn_jpegs[0])
    score(spark, make_settings())
    second = score(spark, make_settings(media=video(sample="keyframes")))
    assert (second.scored, second.frames, second.skipped_reasons) == (1, 8, {"already_scored": 1})


def test_a_broken_run_goes_on_with_the_missing_segments(spark, make_settings, folder, tmp_path, monkeypatch):
    """The second commit fails: the run scored no whole medium; the next one scores the other segments only."""
    settings = make_settings(media=video(sample="every_frame", segment_s=0.5), run={"commit_units": 3})
    insert, commits = job.TableStore.insert_new_scores, []

    def insert_once(store, scores):
        commits.append(1)
        if len(commits) == 2:
            raise OSError("the disk is full")
        return insert(store, scores)

    with monkeypatch.context() as patched:
        patched.setattr(job.TableStore, "insert_new_scores", insert_once)
        with pytest.raises(OSError, match="full"):
            score(spark, settings)
    (broken,) = read_table(tmp_path, "runs")
    assert (broken["scored"], broken["remaining"], len(read_table(tmp_path))) == (0, 1, 3)
    second = score(spark, settings)
    assert (second.scored, second.frames) == (1, 25)
    units = Counter((row["segment_index"], row["attempt"]) for row in read_table(tmp_path))
    assert units == {(index, 0): 1 for index in range(8)}
    assert score(spark, settings).skipped_reasons == {"already_scored": 1}


def test_rescore_scores_all_segments_again(spark, make_settings, folder, tmp_path):
    """Every segment gets a second attempt."""
    score(spark, make_settings(media=video(segment_s=1)))
    assert score(spark, make_settings(media=video(segment_s=1), run={"rescore": True})).scored == 1
    assert Counter(row["attempt"] for row in read_table(tmp_path)) == {0: 4, 1: 4}


def run_main(tmp_path, *paths):
    """Run the job's own main in this process; give its exit code and the rows by name."""
    labels, root = ("--model.labels", str(DEMO_LABELS)), ("--tables.root", str(tmp_path / "tables"))
    given = itertools.chain.from_iterable(("--media.paths", str(path)) for path in paths)
    code = main(
        [*given, "--model.uri", str(DEMO_MODEL), *labels, *root, "--media.video.sample", "every_n: 10"]
    )
    return code, {Path(row["media_uri"]).name: row for row in read_table(tmp_path)}


@pytest.mark.data
def test_each_broken_clip_is_one_row(spark, tmp_path, data_pack, capsys):
    """Empty, audio only, text, playlists under a video's name: the reason of each, exit code 3."""
    photos, videos = tmp_path / "photos", data_pack / "videos"
    photos.mkdir()
    for name in ("audio_only.mp4", "empty.mp4", "text_named.mp4"):
        (photos / name).write_bytes((videos / name).read_bytes())
    (photos / "playlist.mp4").write_text(f"#EXTM3U\n#EXTINF:9,\n{videos / 'walk.mkv'}\n")
    (photos / "concat.mkv").write_text(f"ffconcat version 1.0\nfile '{videos / 'walk.mkv'}'\n")
    code, rows = run_main(tmp_path, photos)
    assert {name: (row["status"], row["error_class"]) for name, row in rows.items()} == {
        "audio_only.mp4": ("failed", "NoVideoStream"),
        "empty.mp4": ("failed", "EmptyMedia"),
        "text_named.mp4": ("failed", "NotAVideo"),
        "playlist.mp4": ("failed", "NotAVideo"),
        "concat.mkv": ("failed", "NotAVideo"),
    }
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (code, summary["listed"], summary["scored"], summary["failed"]) == (3, 5, 0, 5)


@pytest.mark.data
def test_a_clip_cut_off_scores_what_it_has(spark, tmp_path, data_pack):
    """Exit code 0; half of the frames that its header announces, and the second where it broke."""
    code, rows = run_main(tmp_path, data_pack / "videos" / "car_truncated.avi")
    (row,) = rows.values()
    assert (code, row["status"], row["error_class"]) == (0, "scored", "DamagedVideo")
    assert (row["frames_expected"], row["frames_scored"], len(row["frames"])) == (12, 6, 6)
    assert re.search(r"57 of 120 frames are there, at 4\.560 s", row["error_message"])


@pytest.mark.data
def test_real_clips_show_what_is_in_them(spark, tmp_path, data_pack):
    """A person in each of nine frames, upright by its rotation too; a bottle in each of sixty."""
    model = data_pack / "models" / "yolo_fastest_xl_coco"

    def find(clips, sample, label):
        tables = tmp_path / label
        settings = ScoreSettings(
            media={
                "paths": [str(data_pack / "videos" / clip) for clip in clips],
                "video": {"sample": sample},
            },
            model={"uri": str(model / "saved_model"), "labels": str(model / "label_map.pbtxt")},
            tables={"root": str(tables)},
        )
        score(spark, settings)
        rows = deltalake.DeltaTable(str(tables / "scores")).to_pyarrow_table().to_pylist()
        return {
            Path(row["media_uri"]).name: [
                any(d["label"] == label and d["score"] >= 0.5 for d in frame["detections"])
                for frame in row["frames"]
            ]
            for row in rows
        }

    clips = ("walk.mkv", "walk_upright_rot90.mp4")
    assert find(clips, "every_n: 10", "person") == dict.fromkeys(clips, [True] * 9)
    assert find(["bottle-detection.mp4"], "every_n: 20", "bottle") == {"bottle-detection.mp4": [True] * 60}
