"""The page in a browser: boxes over pictures, the slider, no network, hostile names."""

import pytest

from detector.reports.page import write_page
from detector.reports.query import open_frames

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser, scores, detections, tmp_path):
    """Open the page of the small run; its requests are kept in ``page.asked``."""
    write_page(open_frames(scores, detections), tmp_path / "page.html", title="Shapes")
    opened = browser.new_page(viewport={"width": 1100, "height": 900})
    opened.asked = []
    opened.on("request", lambda request: opened.asked.append(request.url))
    opened.goto((tmp_path / "page.html").as_uri())
    yield opened
    opened.close()


def find_figure(page, name):
    """Find a picture's figure by its file name."""
    return page.locator("figure", has=page.locator(f'img[alt="{name}"]'))


@pytest.mark.parametrize(
    ("name", "box"), [("plain.png", (0.1, 0.2, 0.5, 0.6)), ("turned.jpg", (0.25, 0.1, 0.75, 0.3))]
)
def test_boxes_lie_where_their_coordinates_say(page, name, box):
    """On the screen, the box is that part of the upright picture, within a pixel."""
    figure = find_figure(page, name)
    picture = figure.locator("img").bounding_box()
    assert picture["width"] == pytest.approx(2 * picture["height"], abs=1)  # upright: 80 x 40
    drawn = figure.locator(".box:not(.off) .line").first.evaluate(
        "e => { const r = e.getBoundingClientRect(); return [r.top, r.left, r.bottom, r.right]; }"
    )
    top, left = picture["y"], picture["x"]
    expected = [
        top + box[0] * picture["height"],
        left + box[1] * picture["width"],
        top + box[2] * picture["height"],
        left + box[3] * picture["width"],
    ]
    assert drawn == pytest.approx(expected, abs=1)


def test_slider_hides_boxes_below(page):
    """The weak box shows when the slider goes down, and the stronger one hides when it goes up."""
    boxes, chips = (find_figure(page, "plain.png").locator(part) for part in (".box", ".chip"))
    seen = []
    for value in ("0.3", "0.1", "0.95"):
        page.locator("#score").fill(value)
        seen.append(
            [
                (box.is_visible(), chip.is_visible())
                for box, chip in zip(boxes.all(), chips.all(), strict=True)
            ]
        )
    strong, weak = 1, 0  # the larger box is drawn first
    assert [(step[strong], step[weak]) for step in seen] == [
        ((True, True), (False, False)),
        ((True, True), (True, True)),
        ((False, False), (False, False)),
    ]


def test_label_filter_hides_its_boxes(page):
    """Unchecking a label hides its boxes and no others."""
    page.locator(".filter", has_text="circle").locator("input").uncheck()
    assert not find_figure(page, "turned.jpg").locator(".box").is_visible()
    assert page.locator("#shown").inner_text() == "1 of 4 boxes shown"


def test_no_request_leaves_the_page(page):
    """Besides the file itself, only data URIs are asked for."""
    assert [url for url in page.asked if not url.startswith(("file://", "data:"))] == []
    assert len([url for url in page.asked if url.startswith("file://")]) == 1


def test_hostile_names_are_inert(page):
    """Names and labels with markup are shown as text; nothing of them runs."""
    assert page.evaluate("window.hacked") is None
    assert page.locator("figcaption", has_text="<script>window.hacked=1<script>.png").count() == 1
    assert page.locator(".chip", has_text="</script><script>").count() == 1


def test_click_enlarges_a_picture(page):
    """A click makes the picture wider, another one smaller again."""
    frame = find_figure(page, "plain.png").locator(".frame")
    before = frame.bounding_box()["width"]
    frame.click()
    assert frame.bounding_box()["width"] > before
    frame.click()
    assert frame.bounding_box()["width"] == pytest.approx(before, abs=1)
