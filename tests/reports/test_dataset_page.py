"""The page of a dataset's check: whole, self-contained, boxes in their place, hostile names harmless."""

import shutil

import pytest
from PIL import Image
from playwright.sync_api import sync_playwright

from detector.annotations.checks import CheckOptions, check_dataset
from detector.annotations.picture_facts import examine_pictures
from detector.annotations.reading import read_dataset
from detector.reports.dataset_page import group_problems, write_dataset_page

XML = """<annotation><size><width>80</width><height>40</height></size>
<object><name>{label}</name><bndbox><xmin>8</xmin><ymin>8</ymin><xmax>40</xmax><ymax>24</ymax></bndbox></object>
<object><name>{label}</name><bndbox><xmin>5</xmin><ymin>5</ymin><xmax>5</xmax><ymax>9</ymax></bndbox></object>
</annotation>"""
HOSTILE = "&lt;script&gt;window.hacked=1&lt;/script&gt;"


@pytest.fixture
def report(tmp_path):
    """Give the report of three pictures: one upright, one turned by EXIF, one that is no picture."""
    folder = tmp_path / "photos"
    folder.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (80, 40), "white").save(folder / "plain.png")
    Image.new("RGB", (40, 80), "white").save(folder / "turned.jpg", exif=exif)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    for name, label in (("plain", "star"), ("turned", HOSTILE), ("broken", "star")):
        (folder / f"{name}.xml").write_text(XML.format(label=label))
    dataset, problems = read_dataset(folder)
    facts = examine_pictures(folder, [str(annotation.image) for annotation in dataset.annotations])
    return check_dataset(dataset, problems, facts, options=CheckOptions())


@pytest.fixture
def page(report, tmp_path):
    """Open the page in Chromium, or skip; its requests are kept in ``page.asked``."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    write_dataset_page(report, tmp_path / "page.html")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        opened = browser.new_page(viewport={"width": 1100, "height": 900})
        opened.asked = []
        opened.on("request", lambda request: opened.asked.append(request.url))
        opened.goto((tmp_path / "page.html").as_uri())
        yield opened
        browser.close()


@pytest.mark.browser
@pytest.mark.parametrize("name", ["plain.png", "turned.jpg"])
def test_boxes_lie_on_the_upright_picture(page, name):
    """A box over x 8 to 40 of 80 and y 8 to 24 of 40 is that part of the picture on the screen."""
    figure = page.locator("figure", has=page.locator(f'img[alt="{name}"]'))
    picture = figure.locator("img").bounding_box()
    drawn = figure.locator(".line").first.evaluate(
        "e => { const r = e.getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom]; }"
    )
    left, top, width, height = (picture[key] for key in ("x", "y", "width", "height"))
    expected = [left + 0.1 * width, top + 0.2 * height, left + 0.5 * width, top + 0.6 * height]
    assert drawn == pytest.approx(expected, abs=1.5)


@pytest.mark.browser
def test_page_asks_for_nothing_and_obeys_no_name(page):
    """Only data URIs beside the page itself; a class called <script> is text."""
    assert [url for url in page.asked if not url.startswith(("file:", "data:"))] == []
    assert page.evaluate("window.hacked") is None
    assert "<script>window.hacked=1</script>" in page.locator("table.labels").inner_text()


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_schemes_have_readable_text(page, scheme):
    """Ink and paper differ strongly in both."""
    page.emulate_media(color_scheme=scheme)
    style = page.evaluate(
        "(({color, backgroundColor}) => [color, backgroundColor])(getComputedStyle(document.body))"
    )
    ink, paper = (sum(map(int, text[4:-1].split(","))) for text in style)
    assert abs(ink - paper) > 400


def test_every_problem_is_on_the_page(report, tmp_path):
    """Kinds the gravest first, each with file, line and advice; a broken picture has no frame."""
    write_dataset_page(report, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert [(kind.code, kind.count) for kind in group_problems(report.problems)] == [
        ("box-no-area", 3),
        ("image-undecodable", 1),
    ]
    assert all(f"{problem.file}:{problem.line}" in text for problem in report.problems if problem.line)
    assert text.count("<figure") == 3
