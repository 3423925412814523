"""Tables of a small run: three pictures, one of them turned, a failure, an older version."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from deltalake import write_deltalake
from PIL import Image

NOW = dt.datetime(2025, 3, 1, 22, 0, tzinfo=dt.UTC)


def make_score(score_id, path, **values):
    """Make one row of scores."""
    return {
        "score_id": score_id,
        "media_uri": str(path),
        "media_kind": "image",
        "size_bytes": path.stat().st_size if path.exists() else 0,
        "width_px": 80,
        "height_px": 40,
        "status": "scored",
        "error_class": None,
        "error_message": None,
        "attempt": 0,
        "model_name": "shapes",
        "model_version": "1",
        "scored_at": NOW,
        **values,
    }


def make_detection(score_id, path, box, *, label="circle", class_id=1, score=0.9, rank=0):
    """Make one row of detections from a (y_min, x_min, y_max, x_max) box."""
    return {
        "detection_id": f"{score_id}:0:{rank}",
        "score_id": score_id,
        "media_uri": str(path),
        "class_id": class_id,
        "label": label,
        "score": score,
        **dict(zip(("y_min", "x_min", "y_max", "x_max"), box, strict=True)),
    }


def make_scores(*rows):
    """Make the frame of scores; sizes may be null."""
    return pd.DataFrame(rows).astype({"width_px": "Int32", "height_px": "Int32", "error_class": "string"})


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
    write_deltalake(str(root / "runs"), pd.DataFrame({"run_id": ["one"], "scored": [4]}))
    return root
