"""The page of a search: whole, self-contained, curves where their numbers say, hostile words harmless."""

import json

import pytest

from detector.evaluation.leaderboard import LeaderboardRow, rank_trials
from detector.reports.leaderboard_page import write_leaderboard_page
from detector.reports.learning_curves import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, plot_curves

HOSTILE = "<script>window.hacked=1</script>"


@pytest.fixture
def leaderboard():
    """Give a good trial, a stopped one, and one whose setting and error are markup."""
    rows = [
        LeaderboardRow(
            0, {"model.backbone": "plain"}, "done", 0.8, ap50=0.8, curve=((1, 0.2), (2, 0.8), (4, 0.4))
        ),
        LeaderboardRow(1, {"model.backbone": "resnet_18"}, "pruned", 0.1, curve=((1, 0.1),)),
        LeaderboardRow(2, {"model.backbone": HOSTILE}, "failed", error=HOSTILE),
    ]
    return rank_trials("ap50", rows, 5)


@pytest.fixture
def page(browser, leaderboard, tmp_path):
    """Open the page; its requests are kept in ``page.asked``, what the browser refused in ``page.refused``."""
    write_leaderboard_page(leaderboard, tmp_path / "page.html", title="Search")
    opened = browser.new_page(viewport={"width": 1100, "height": 900})
    opened.asked, opened.refused = [], []
    opened.on("request", lambda request: opened.asked.append(request.url))
    opened.on("console", lambda message: opened.refused.append(message.text))
    opened.goto((tmp_path / "page.html").as_uri())
    yield opened
    opened.close()


@pytest.mark.browser
def test_page_asks_for_nothing_and_obeys_no_word(page):
    """Only data URIs beside the page itself; a setting called <script> is text; nothing breaks its policy."""
    assert [url for url in page.asked if not url.startswith(("file:", "data:"))] == []
    assert page.refused == []
    assert page.evaluate("window.hacked") is None
    assert HOSTILE in page.locator(".board").inner_text()


@pytest.mark.browser
def test_table_and_curves_agree(page):
    """The best trial is first and marked; each trial with figures has a curve of its colour."""
    assert page.locator(".best td").all_inner_texts()[:4] == ["1", "0", "plain", "0.800"]
    assert page.locator(".curve").count() == 2
    line, swatch = page.locator(".curve.first polyline"), page.locator(".best .swatch")
    colours = [
        line.evaluate("e => getComputedStyle(e).stroke"),
        swatch.evaluate("e => getComputedStyle(e).backgroundColor"),
    ]
    assert colours[0] == colours[1]


def test_curves_lie_where_their_numbers_say(leaderboard):
    """Epoch 4 of 4 is the right edge, 0.8 the top and 0 the bottom; the dot is the best epoch."""
    plot = plot_curves(leaderboard.rows)
    first = plot.lines[0]
    right, height = WIDTH - RIGHT, HEIGHT - TOP - BOTTOM
    quarter = (right - LEFT) / 4
    expected = [
        (LEFT + quarter, TOP + 0.75 * height),
        (LEFT + 2 * quarter, TOP),
        (right, TOP + 0.5 * height),
    ]
    points = [tuple(map(float, point.split(","))) for point in first.points.split()]
    assert points == [pytest.approx(point, abs=0.06) for point in expected]
    assert first.best == pytest.approx(expected[1])
    assert (plot.figures[0].place, plot.figures[-1].text) == (HEIGHT - BOTTOM, "0.8")


def test_without_curves_there_is_no_drawing(leaderboard, tmp_path):
    """A search whose trials all failed has a page, too."""
    failed = rank_trials("ap", [row for row in leaderboard.rows if row.status == "failed"], 1)
    assert plot_curves(failed.rows) is None
    write_leaderboard_page(failed, tmp_path / "deep" / "page.html")
    text = (tmp_path / "deep" / "page.html").read_text()
    assert "none came to an end" in text
    assert "<svg" not in text


def test_record_is_strict_json(leaderboard):
    """What MLflow keeps: every row, the best first."""
    rows = json.loads(leaderboard.to_json())["rows"]
    assert [(row["trial"], row["rank"]) for row in rows] == [(0, 1), (1, None), (2, None)]
