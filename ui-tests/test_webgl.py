"""The terminal drawn by WebGL, as in most people's browsers, and what happens when the page loses that."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from bare_page import Place
from conftest import CHROMIUM_FLAGS, SCREENSHOTS
from playwright.sync_api import Browser, Page, expect

LOSE = """() => {
    const canvas = [...document.querySelectorAll('.xterm-screen canvas')].find(node => node.getContext('webgl2'));
    canvas.getContext('webgl2').getExtension('WEBGL_lose_context').loseContext();
}"""
LIT = """async () => {
    await new Promise(requestAnimationFrame);
    const canvas = [...document.querySelectorAll('.xterm-screen canvas')].find(node => node.getContext('webgl2'));
    return canvas !== undefined && canvas.width > 0;
}"""


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of a Chromium that draws 3D in software."""
    flags = [flag for flag in CHROMIUM_FLAGS if flag not in ("--disable-gpu", "--disable-3d-apis")]
    kind = browser.browser_type
    with_webgl = kind.launch(
        executable_path=shutil.which("chromium"), args=[*flags, "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    )
    page = with_webgl.new_page(viewport={"width": 900, "height": 400})
    if not page.evaluate("() => document.createElement('canvas').getContext('webgl2') !== null"):
        with_webgl.close()
        pytest.skip("this Chromium has no WebGL, not even in software")
    yield page
    with_webgl.close()


def test_the_dom_draws_when_webgl_is_lost(place: Place, page: Page) -> None:
    """With WebGL a canvas draws and no rows are there; without its context the same screen stands in rows, and typing goes on."""
    place.mount(page, "terminal", "gl", rows=8)
    terminal = page.locator(".pw-terminal")
    expect(terminal).to_have_attribute("data-state", "live")
    page.wait_for_function(LIT)
    expect(page.locator(".xterm-rows")).to_have_count(0)
    page.locator(".xterm").click()
    page.keyboard.type("echo drawn-$((40+2))\n")
    SCREENSHOTS.mkdir(exist_ok=True)
    terminal.screenshot(path=SCREENSHOTS / "terminal_webgl.png")
    page.evaluate(LOSE)
    expect(page.locator(".xterm-rows")).to_contain_text("drawn-42")
    page.locator(".xterm").click()
    page.keyboard.type("echo again-$((40+2))\n")
    expect(page.locator(".xterm-rows")).to_contain_text("again-42")
