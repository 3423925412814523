"""The page's HTML: what it says, what it embeds, what it leaves out."""

import base64
import hashlib
import re

import pandas as pd
import pytest

from detector.reports import pictures as picture_module
from detector.reports.page import MAX_PICTURES, write_page
from detector.reports.pictures import Embedder
from detector.reports.query import open_frames


@pytest.fixture
def html(scores, detections, tmp_path):
    """Give the text of the page of the small run."""
    write_page(open_frames(scores, detections), tmp_path / "page.html", title="A < B")
    return (tmp_path / "page.html").read_text(encoding="utf-8")


def test_summary_counts_current_rows(html):
    """Three pictures are scored, one failed, four boxes are current."""
    tiles = dict(re.findall(r"<dt>([^<]+)</dt><dd>([\d,]+)</dd>", html))
    assert tiles == {"pictures scored": "3", "detections": "4", "labels": "3", "failed": "1"}


def test_failures_are_listed(html):
    """A failed file is there with its class and its message, as text."""
    assert "<code>DamagedImage</code>" in html
    assert "&lt;img src=x onerror=" in html


def test_older_versions_are_left_out(html):
    """The label that only an older version had is nowhere."""
    assert "ghost" not in html


def test_nothing_outside_is_referred_to(html):
    """Sources are data URIs, links are local files."""
    references = re.findall(r"""(?:src|href)=["']?([^"'>\s]+)""", html.replace("&lt;img src=x", ""))
    assert references
    assert all(reference.startswith(("data:", "file:///")) for reference in references)


def test_policy_allows_the_pages_own_script_only(html):
    """The digest in the content security policy is of the script in the page; no other may run."""
    script = re.search(r"<script>(.*)</script>", html, re.DOTALL).group(1)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html).group(1).replace("&#39;", "'")
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'" in policy


def test_empty_tables_make_a_page(scores, detections, tmp_path):
    """A run that scored nothing has a page that says so."""
    write_page(open_frames(scores.iloc[:0], detections.iloc[:0]), tmp_path / "page.html", title="Nothing")
    assert "No picture was scored." in (tmp_path / "page.html").read_text()


def test_large_runs_show_some_pictures_and_say_so(scores, detections, tmp_path):
    """Above the limit, the first pictures by name are shown and all are counted."""
    rows = [
        {**scores.iloc[1], "score_id": f"s{n}", "media_uri": f"/gone/{n:04}.jpg"}
        for n in range(MAX_PICTURES + 5)
    ]
    many = pd.DataFrame(rows).astype(scores.dtypes.to_dict())
    write_page(open_frames(many, detections), tmp_path / "page.html", title="Many")
    html = (tmp_path / "page.html").read_text()
    assert html.count("<figure") == MAX_PICTURES
    assert "The first 200 of 205 pictures" in html


@pytest.mark.parametrize(
    ("content", "size_bytes", "note"),
    [
        (b"\x89PNG\r\n\x1a\n", 9, "changed since it was scored"),
        (b"II*\0", 4, "a format that browsers don't show"),
        (b"\xff\xd8\xff", 5_000_000, "too large to embed"),
    ],
)
def test_embedding_is_refused_with_a_reason(tmp_path, content, size_bytes, note):
    """A file that changed, is no browser format, or is too large is not embedded."""
    (tmp_path / "picture").write_bytes(content)
    assert Embedder().embed(str(tmp_path / "picture"), size_bytes) == (None, note)


def test_missing_and_remote_pictures_are_not_embedded(tmp_path):
    """A file that is gone and a remote one have their own reasons."""
    embedder = Embedder()
    assert embedder.embed(str(tmp_path / "gone.jpg"), 3) == (
        None,
        "can't be read now: No such file or directory",
    )
    assert embedder.embed("s3://bucket/a.jpg", 3) == (None, "not a local file")


def test_page_stops_growing(tmp_path, monkeypatch):
    """When the page is full, further pictures are left out."""
    monkeypatch.setattr(picture_module, "MAX_PAGE_BYTES", 5)
    (tmp_path / "picture").write_bytes(b"BM!")
    embedder = Embedder()
    assert embedder.embed(str(tmp_path / "picture"), 3)[0] == "data:image/bmp;base64,Qk0h"
    assert embedder.embed(str(tmp_path / "picture"), 3) == (None, "too large to embed")
