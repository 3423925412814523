"""Tables of a small run: three pictures, one of them turned, a failure, an older version; and videos."""

import datetime as dt
import shutil
from fractions import Fraction

import av
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from PIL import Image

EDGES = ("y_min", "x_min", "y_max", "x_max")
BOX = pa.struct(
    [
        ("class_id", pa.int32()),
        ("label", pa.string()),
        ("score", pa.float32()),
        *((e, pa.float32()) for e in EDGES),
    ]
)
FRAMES = pa.list_(
    pa.struct([("frame_index", pa.int32()), ("time_s", pa.float64()), ("detections", pa.list_(BOX))])
)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-sync",
]
NOW = dt.datetime(2025, 3, 1, 22, 0, tzinfo=dt.UTC)


def read_time(path):
    """Read a file's modification time as the tables have it: whole microseconds, UTC."""
    return dt.datetime.fromtimestamp(0, dt.UTC) + dt.timedelta(microseconds=path.stat().st_mtime_ns // 1000)


def make_score(score_id, path, **values):
    """Make one row of scores."""
    return {
        "score_id": score_id,
        "media_uri": str(path),
        "media_kind": "image",
        "size_bytes": path.stat().st_size if path.exists() else 0,
        "modified_at": read_time(path) if path.exists() else NOW,
        "width_px": 80,
        "height_px": 40,
        "segment_index": 0,
        "segment_start_s": None,
        "segment_end_s": None,
        "frames_scored": 1,
        "status": "scored",
        "error_class": None,
        "error_message": None,
        "attempt": 0,
        "frames": None,
        "scorer_digest": "digest",
        "run_id": "one",
        "model_name": "shapes",
        "model_version": "1",
        "scored_at": NOW,
        **values,
    }


def make_detection(score_id, path, box, *, label="circle", class_id=1, score=0.9, rank=0, frame=(0, None)):
    """Make one row of detections from a (y_min, x_min, y_max, x_max) box and a (frame_index, time_s) frame."""
    return {
        "detection_id": f"{score_id}:{frame[0]}:{rank}",
        "score_id": score_id,
        "media_uri": str(path),
        "model_name": "shapes",
        "frame_index": frame[0],
        "time_s": frame[1],
        "class_id": class_id,
        "label": label,
        "score": score,
        **dict(zip(EDGES, box, strict=True)),
    }


def make_scores(*rows):
    """Make the frame of scores; sizes may be null, frames are lists."""
    types = {"width_px": "Int32", "height_px": "Int32", "error_class": "string", "error_message": "string"}
    times = {"segment_start_s": "Float64", "segment_end_s": "Float64"}
    return pd.DataFrame(rows).astype({**types, **times, "frames": pd.ArrowDtype(FRAMES)})


@pytest.fixture
def pictures(tmp_path):
    """Give three picture files: plain.png, turned.jpg (80 x 40 when upright) and ``<script>`` in a name."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    upright = np.full((40, 80, 3), 200, np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    names = ("plain.png", "turned.jpg", "<script>window.hacked=1<script>.png")
    Image.fromarray(upright).save(folder / names[0])
    Image.fromarray(np.rot90(upright)).save(folder / names[1], exif=exif)
    Image.fromarray(upright).save(folder / names[2])
    return [folder / name for name in names]


@pytest.fixture
def scores(pictures):
    """Give scores: two versions of the first picture, one row of each other, a failure, a skipped file."""
    plain, turned, hostile = pictures
    return make_scores(
        make_score("old", plain, scored_at=NOW - dt.timedelta(days=1)),
        make_score("plain", plain),
        make_score("turned", turned),
        make_score("hostile", hostile),
        make_score(
            "failed",
            plain.with_name("cut.jpg"),
            status="failed",
            error_class="DamagedImage",
            error_message="<img src=x onerror='window.hacked=1'>",
            width_px=None,
            height_px=None,
        ),
        make_score("skipped", plain.with_name(".hidden.jpg"), status="skipped", error_class="hidden"),
    )


@pytest.fixture
def detections(pictures):
    """Give detections of them: one of the old version, two of the new, one of each other picture."""
    plain, turned, hostile = pictures
    return pd.DataFrame(
        [
            make_detection("old", plain, (0, 0, 1, 1), label="ghost", class_id=9),
            make_detection("plain", plain, (0.1, 0.2, 0.5, 0.6)),
            make_detection(
                "plain", plain, (0.3, 0.5, 0.9, 0.95), label="star", class_id=4, score=0.2, rank=1
            ),
            make_detection("turned", turned, (0.25, 0.1, 0.75, 0.3), score=0.6),
            make_detection(
                "hostile",
                hostile,
                (0.2, 0.2, 0.8, 0.8),
                label="</script><script>window.hacked=1</script>",
                class_id=2,
            ),
        ]
    )


@pytest.fixture
def tables(tmp_path, scores, detections):
    """Give the folder of the same rows as Delta tables."""
    root = tmp_path / "tables"
    write_deltalake(str(root / "scores"), scores)
    write_deltalake(str(root / "detections"), detections)
    write_deltalake(str(root / "runs"), pd.DataFrame({"run_id": ["one"], "scored": [4], "settings": ["{}"]}))
    return root


TIMES_S = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 2.9, 3.0, 3.1, 3.2]  # a gap of 2.4 s after half a second
VIDEO_HW = (96, 128)


def write_video(path, times_s=TIMES_S, *, hw=VIDEO_HW, codec="libx264", ticks=1000):
    """Write a grey video with a frame at each time; frame n has a white square n * 8 pixels from the left."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            codec, rate=min(10, ticks), options={"bf": "0"} if codec == "libx264" else {}
        )
        stream.height, stream.width = hw
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, ticks)
        stream.codec_context.gop_size = 4
        for number, time_s in enumerate(times_s):
            pixels = np.full((*hw, 3), 90, np.uint8)
            pixels[-8:, number * 8 : number * 8 + 8] = 255
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
            frame.pts, frame.time_base = round(time_s * ticks), Fraction(1, ticks)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def make_box(box, **values):
    """Make a detection as it is nested in a frame of scores."""
    return {"class_id": 1, "label": "circle", "score": 0.9, **dict(zip(EDGES, box, strict=True)), **values}


def make_video_score(score_id, path, found, **values):
    """Make the row of scores of a video: ``found`` has the boxes of each scored frame_index."""
    frames = [
        {"frame_index": index, "time_s": TIMES_S[index], "detections": boxes}
        for index, boxes in found.items()
    ]
    video = {"media_kind": "video", "width_px": VIDEO_HW[1], "height_px": VIDEO_HW[0], "frames": frames}
    span = {"segment_start_s": 0.0, "segment_end_s": 3.3, "frames_scored": len(frames)}
    return make_score(score_id, path, **{**video, **span, **values})


def flatten(score):
    """Make the rows of detections of a row of scores, as the stream does."""
    return [
        make_detection(
            score["score_id"],
            score["media_uri"],
            [box[edge] for edge in EDGES],
            rank=rank,
            frame=(frame["frame_index"], frame["time_s"]),
            **{name: box[name] for name in ("label", "class_id", "score")},
        )
        | {"model_name": score["model_name"]}
        for frame in score["frames"] or ()
        for rank, box in enumerate(frame["detections"])
    ]


def write_tables(root, *rows, runs=None):
    """Write rows of scores, and their detections, as Delta tables."""
    boxes = [box for row in rows for box in flatten(row)]
    columns = make_detection("", "", (0, 0, 1, 1))
    write_deltalake(str(root / "scores"), make_scores(*rows))
    write_deltalake(
        str(root / "detections"),
        pd.DataFrame(boxes, columns=list(columns)).astype({"time_s": "Float64", "frame_index": "int32"}),
    )
    write_deltalake(str(root / "runs"), pd.DataFrame(runs or [{"run_id": "one", "settings": "{}"}]))
    return root


@pytest.fixture
def video(tmp_path):
    """Give the path of a short video of variable frame rate."""
    folder = tmp_path / "videos"
    folder.mkdir()
    write_video(folder / "square.mp4")
    return folder / "square.mp4"


@pytest.fixture
def video_tables(tmp_path, video):
    """Give tables of it: of the frames 0, 3 and 6 scored, the first and the last have a box."""
    left, right = (
        make_box((0.25, 0.25, 0.75, 0.5)),
        make_box((0.25, 0.5, 0.75, 0.75), class_id=2, label="star"),
    )
    return write_tables(tmp_path / "lake", make_video_score("video", video, {0: [left], 3: [], 6: [right]}))


@pytest.fixture(scope="module")
def browser():
    """Give the system's Chromium, or skip."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield launched
        launched.close()
