"""The page in a browser: a picture is chosen, its boxes are drawn and listed; nothing else is asked for."""

import shutil

import pytest

from .running import KEY

pytestmark = pytest.mark.browser


@pytest.fixture
def page(server):
    """Open the server's page; its requests are kept in ``asked``, what it complained of in ``said``."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        opened = launched.new_page()
        opened.asked, opened.said = [], []
        opened.on("request", lambda request: opened.asked.append(request.url))
        opened.on("console", lambda message: opened.said.append(message.text))
        opened.goto(f"{server.address}/")
        yield opened
        launched.close()


def test_a_chosen_picture_is_shown_with_its_boxes(page, server, pictures):
    """Without the key it says so; with it, rows and a canvas as large as the picture, by the slider's score."""
    file = {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": pictures[0]}
    page.locator("#file").set_input_files(file)
    page.wait_for_function("document.getElementById('said').textContent.includes('API key')")
    page.locator("#key").fill(KEY)
    page.locator("#file").set_input_files(file | {"name": "b.jpg"})
    page.locator("#picture").wait_for(state="visible")
    found = server.ask_json("POST", "/detect", pictures[0])[1]
    for score in ("0.3", "0.05"):
        page.locator("#score").fill(score)
        expected = sum(box["score"] >= float(score) for box in found["detections"])
        assert page.locator("#boxes tbody tr").count() == expected
    size = page.locator("#picture").evaluate("one => [one.width, one.height]")
    assert size == [found["width_px"], found["height_px"]]
    assert {url.removeprefix(server.address) for url in page.asked} <= {"/", "/detect", "/favicon.ico"}
    assert not [text for text in page.said if "Content Security Policy" in text]
