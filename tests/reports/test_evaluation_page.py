"""The page of an evaluation: whole, self-contained, boxes in their place, hostile names harmless."""

import datetime as dt
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from detector.evaluation.assessment import assess_detections
from detector.evaluation.comparison import Comparison
from detector.evaluation.results import make_result
from detector.evaluation.truth import make_truth
from detector.measurement.measurement import Measurement, Subject, choose_pictures, find_lowest_score
from detector.reports.evaluation_page import list_marks, write_evaluation_page
from detector.reports.evaluation_text import list_confusions, print_measurement
from detector.reports.terminal import open_console

HOSTILE = "<script>window.hacked=1</script>"
LABELS = {1: "star", 2: HOSTILE}


@pytest.fixture
def measurement(tmp_path):
    """Give an evaluation of three pictures of 80 x 40, one turned by EXIF and one that is no picture.

    plain.png: a star found, one missed, a hostile one taken for a star. turned.jpg: a star found. gone.jpg:
    a hostile one found wrongly.
    """
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (80, 40), "white").save(tmp_path / "plain.png")
    Image.new("RGB", (40, 80), "white").save(tmp_path / "turned.jpg", exif=exif)
    size = (80, 40)
    truths = [
        make_truth("plain.png", size, [[8, 8, 40, 24], [60, 20, 78, 38], [44, 2, 56, 14]], [1, 1, 2]),
        make_truth("turned.jpg", size, [[8, 8, 40, 24]], [1]),
        make_truth("gone.jpg", size, [], []),
    ]
    results = [
        make_result("plain.png", size, [[8, 8, 40, 24], [44, 2, 56, 14]], [0.9, 0.8], [1, 1]),
        make_result("turned.jpg", size, [[8, 8, 40, 24]], [0.7], [1]),
        make_result("gone.jpg", size, [[1, 1, 9, 9]], [0.6], [2]),
    ]
    report = assess_detections(
        truths, results, labels=LABELS, random=np.random.default_rng(0), resamples=100, score_thresholds=0.5
    )
    return Measurement(
        report,
        Subject("stars", "7", "digest", f"/photos/{HOSTILE}", "the model, run by this job"),
        dt.datetime(2026, 11, 24, tzinfo=dt.UTC),
        choose_pictures(report, truths, results, tmp_path),
        LABELS,
        left_out={HOSTILE: 3},
        failures={"bad.jpg": "EmptyMedia: no bytes"},
        lowest_score=find_lowest_score(results),
    )


@pytest.fixture
def page(browser, measurement, tmp_path):
    """Open the page in Chromium; its requests are kept in ``page.asked``."""
    write_evaluation_page(measurement, tmp_path / "page.html")
    opened = browser.new_page(viewport={"width": 1100, "height": 900})
    opened.asked = []
    opened.on("request", lambda request: opened.asked.append(request.url))
    opened.goto((tmp_path / "page.html").as_uri())
    yield opened
    opened.close()


def test_marks_are_the_verdicts(measurement):
    """Right, wrong and missed with their captions, fractions of the upright picture; the worst one first."""
    first = measurement.pictures[0]
    assert first.image == "plain.png"
    marks = {(mark.kind, mark.caption) for mark in list_marks(first, measurement)}
    assert marks == {
        ("right", "star .900"),
        ("found", "star"),
        ("wrong", "star .800"),
        ("missed", "star"),
        ("missed", HOSTILE),
    }
    (right,) = (mark for mark in list_marks(first, measurement) if mark.kind == "right")
    assert (right.left, right.top, right.right, right.bottom) == (0.1, 0.2, 0.5, 0.6)


def test_the_page_says_everything(measurement, tmp_path):
    """Figures, what was left out, both kinds of confusion; a comparison only where there is one."""
    write_evaluation_page(measurement, tmp_path / "a.html")
    text = (tmp_path / "a.html").read_text()
    assert "bad.jpg: EmptyMedia: no bytes" in text
    assert "can&#39;t be read now" in text  # the picture that isn't there
    assert text.count('<circle class="best"') == 1
    assert list_confusions(measurement) == [(1, HOSTILE, "star")]
    assert "Against the champion" not in text
    compared = Comparison("ap50", 0.5, 0.75, 0.25, 0.125, 0.375, 1, 0.95, 100, 3)
    report = replace(measurement.report, comparison=compared)
    write_evaluation_page(replace(measurement, report=report), tmp_path / "b.html")
    assert "difference +0.250" in (tmp_path / "b.html").read_text()


def test_the_terminal_shows_the_same(measurement, capsys):
    """Figures, classes, the worst picture, what was left out; nothing that a terminal would obey."""
    hostile = replace(measurement, failures={"bad\x1b[2J.jpg": "no"})
    print_measurement(hostile, open_console())
    out = capsys.readouterr().out
    assert "\x1b" not in out
    for said in ("AP50 ", "stars 7 on /photos/", "plain.png: 1 right, 1 wrong, 2 missed", "taken for star"):
        assert said in out


@pytest.mark.browser
@pytest.mark.parametrize("name", ["plain.png", "turned.jpg"])
def test_boxes_lie_on_the_upright_picture(page, name):
    """The found star over x 8 to 40 of 80 and y 8 to 24 of 40 is that part of the picture on the screen."""
    figure = page.locator("figure", has=page.locator(f'img[alt="{name}"]'))
    picture = figure.locator("img").bounding_box()
    drawn = figure.locator(".mark-right .line").evaluate(
        "e => { const r = e.getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom]; }"
    )
    left, top, width, height = (picture[key] for key in ("x", "y", "width", "height"))
    expected = [left + 0.1 * width, top + 0.2 * height, left + 0.5 * width, top + 0.6 * height]
    assert drawn == pytest.approx(expected, abs=1.5)


@pytest.mark.browser
def test_kinds_and_names_can_be_hidden(page):
    """Without a script: boxes and captions of a kind, then all captions."""
    figure = page.locator("figure", has=page.locator('img[alt="plain.png"]'))
    wrong, right = figure.locator("g.mark-wrong"), figure.locator("g.mark-right")
    assert (wrong.is_visible(), figure.locator("g.mark-found").first.is_visible()) == (True, False)
    page.locator("#show-wrong").uncheck()
    assert (wrong.is_visible(), right.is_visible()) == (False, True)
    assert not figure.locator(".chip.mark-wrong").is_visible()
    page.locator("#show-names").uncheck()
    assert not figure.locator(".chip.mark-right").is_visible()
    assert right.is_visible()


@pytest.mark.browser
def test_a_click_enlarges_a_picture(page):
    """And another one brings it back."""
    page.set_viewport_size({"width": 1600, "height": 900})
    frame = page.locator("figure", has=page.locator('img[alt="plain.png"]')).locator(".frame")
    before = frame.bounding_box()["width"]
    frame.click()
    assert frame.bounding_box()["width"] > before
    frame.click()
    assert frame.bounding_box()["width"] == pytest.approx(before, abs=1)


@pytest.mark.browser
def test_page_asks_for_nothing_and_obeys_no_name(page):
    """Only data URIs beside the page itself; a class called <script> is text."""
    assert [url for url in page.asked if not url.startswith(("file:", "data:"))] == []
    assert page.evaluate("window.hacked") is None
    assert HOSTILE in page.locator("table.numbers").first.inner_text()
