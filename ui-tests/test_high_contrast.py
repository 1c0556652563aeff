"""Themes made for high contrast, JupyterLab's and VS Code's, and systems that ask for it: text by axe, lines and marks by their colours."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe import serious
from bare_page import Place, host, live, scanned
from conftest import SCREENSHOTS, JupyterServer
from lab import Lab
from playwright.sync_api import Browser, Locator, Page, expect

JUPYTER = Path(sys.prefix) / "share/jupyter/lab/themes/@jupyterlab/theme-dark-high-contrast-extension/index.css"
# VS Code's values: its registry of colours (src/vs/platform/theme, terminalColorRegistry.ts), where its themes' files do not say others.
VSCODE_DARK = """:root { --vscode-editor-background: #000000; --vscode-editorWidget-background: #0c141f; --vscode-foreground: #ffffff;
  --vscode-descriptionForeground: rgba(255, 255, 255, 0.7); --vscode-list-hoverBackground: rgba(255, 255, 255, 0.1);
  --vscode-contrastBorder: #6fc3df; --vscode-contrastActiveBorder: #f38518; --vscode-focusBorder: #f38518; --vscode-panel-border: #6fc3df;
  --vscode-terminal-selectionBackground: #ffffff; --vscode-terminal-selectionForeground: #000000; }"""
VSCODE_LIGHT = """:root { --vscode-editor-background: #ffffff; --vscode-editorWidget-background: #ffffff; --vscode-foreground: #292929;
  --vscode-descriptionForeground: rgba(41, 41, 41, 0.7); --vscode-list-hoverBackground: rgba(15, 74, 133, 0.1);
  --vscode-contrastBorder: #0f4a85; --vscode-contrastActiveBorder: #006bbd; --vscode-focusBorder: #006bbd; --vscode-panel-border: #0f4a85;
  --vscode-terminal-selectionBackground: #0f4a85; --vscode-terminal-selectionForeground: #ffffff; }"""
VSCODE_DARK_MODERN = """:root { --vscode-editor-background: #1f1f1f; --vscode-editorWidget-background: #202020;
  --vscode-foreground: #cccccc; --vscode-descriptionForeground: #9d9d9d;
  --vscode-list-hoverBackground: #2a2d2e; --vscode-focusBorder: #0078d4; --vscode-panel-border: #2b2b2b;
  --vscode-terminal-selectionBackground: #264f78; }"""
VSCODE_LIGHT_MODERN = """:root { --vscode-editor-background: #ffffff; --vscode-editorWidget-background: #f8f8f8;
  --vscode-foreground: #3b3b3b; --vscode-descriptionForeground: #3b3b3b;
  --vscode-list-hoverBackground: #f2f2f2; --vscode-focusBorder: #005fb8; --vscode-panel-border: #e5e5e5;
  --vscode-terminal-selectionBackground: #add6ff; }"""
JUPYTER_THEMES = JUPYTER.parents[1]
USUAL: dict[str, tuple[str, dict[str, str], str]] = {
    "jupyter-light": (
        "light",
        {"jpThemeName": "JupyterLab Light", "jpThemeLight": "true"},
        (JUPYTER_THEMES / "theme-light-extension/index.css").read_text("utf-8"),
    ),
    "jupyter-dark": (
        "dark",
        {"jpThemeName": "JupyterLab Dark", "jpThemeLight": "false"},
        (JUPYTER_THEMES / "theme-dark-extension/index.css").read_text("utf-8"),
    ),
    "vscode-light": ("light", {"vscodeThemeKind": "vscode-light"}, VSCODE_LIGHT_MODERN),
    "vscode-dark": ("dark", {"vscodeThemeKind": "vscode-dark"}, VSCODE_DARK_MODERN),
    "bare-light": ("light", {}, ""),
    "bare-dark": ("dark", {}, ""),
}
"""Looks without high contrast: what the system says, the body's data attributes, and the host's stylesheet."""
LOOKS: dict[str, tuple[dict[str, str], dict[str, str], str]] = {
    "jupyter": ({}, {"jpThemeName": "JupyterLab Dark High Contrast", "jpThemeLight": "false"}, JUPYTER.read_text("utf-8")),
    "vscode-dark": ({}, {"vscodeThemeKind": "vscode-high-contrast"}, VSCODE_DARK),
    "vscode-light": ({}, {"vscodeThemeKind": "vscode-high-contrast-light"}, VSCODE_LIGHT),
    "system-dark": ({"color_scheme": "dark", "contrast": "more"}, {}, ""),
    "system-light": ({"color_scheme": "light", "contrast": "more"}, {}, ""),
}
"""What the system says, the body's data attributes, and the host's stylesheet."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A host with an ops room that has scanned."""
    with host(tmp_path_factory.mktemp("rooms"), first=scanned) as running:
        yield running


@pytest.fixture
def show(browser: Browser, place: Place) -> Iterator[Callable[..., Page]]:
    """`show(look, bundle, room, **options)`: a widget in a page that looks so."""
    pages: list[Page] = []

    def open_page(look: str, bundle: str, room: str, **options: Any) -> Page:
        media, theme, style = LOOKS[look]
        page = browser.new_context(viewport={"width": 1200, "height": 700}).new_page()
        pages.append(page)
        page.emulate_media(**media)  # type: ignore[arg-type]
        page.goto(f"{place.url}/healthz")
        if style:
            page.add_style_tag(content=style)
        place.mount(page, bundle, room, theme=theme, **options)
        return page

    yield open_page
    for page in pages:
        page.context.close()


def style_of(node: Locator, name: str) -> str:
    """A computed property."""
    return str(node.evaluate("(node, name) => getComputedStyle(node).getPropertyValue(name)", name))


def ratio(colour: str, on: str) -> float:
    """The contrast of two computed colours as WCAG 2 defines it; what is translucent lies on the second."""

    def parts(text: str) -> list[float]:
        numbers = [float(number) for number in re.findall(r"[\d.]+", text)]
        scale = 255.0 if text.startswith("color(") else 1.0
        return [number * scale for number in numbers[-4 if scale == 255.0 and len(numbers) > 3 else 0 :][:3]] + numbers[3:4]

    def luminance(channels: list[float]) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (channel / 255 for channel in channels)]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    over, below = parts(colour), parts(on)
    alpha = over[3] if len(over) > 3 else 1.0
    mixed = [alpha * a + (1 - alpha) * b for a, b in zip(over[:3], below[:3], strict=True)]
    light, dark = sorted((luminance(mixed), luminance(below[:3])), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_the_ratio_is_that_of_wcag() -> None:
    """Black on white is 21, a grey and a translucent black known from elsewhere are what they are."""
    assert ratio("rgb(0, 0, 0)", "rgb(255, 255, 255)") == pytest.approx(21)
    assert ratio("rgb(118, 118, 118)", "rgb(255, 255, 255)") == pytest.approx(4.54, abs=0.01)
    assert ratio("rgba(0, 0, 0, 0.5)", "rgb(255, 255, 255)") == pytest.approx(ratio("rgb(127.5, 127.5, 127.5)", "rgb(255, 255, 255)"))


def lined(node: Locator, root: Locator, *, side: str = "top") -> None:
    """A part has a line around it that can be seen."""
    assert style_of(node, f"border-{side}-width") != "0px"
    assert ratio(style_of(node, f"border-{side}-color"), style_of(root, "background-color")) >= 3


def select_text(page: Page) -> tuple[str, str]:
    """Drags over a line of a terminal: the colour behind it, and that of its text."""
    # With the prompt below it, so that it does not move any more.
    expect(page.locator(".xterm-rows")).to_contain_text(re.compile(r"mark-42\s*\$"))
    box = page.locator(".xterm-rows > div", has_text="mark-42").last.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 60, box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()
    behind = page.locator(".xterm-selection > div").first
    expect(behind).to_be_attached()
    text = page.locator(".xterm-rows > div", has_text="mark-42").last.locator("span").first
    return style_of(behind, "background-color"), style_of(text, "color")


@pytest.mark.parametrize("look", LOOKS)
def test_terminal(look: str, show: Callable[..., Page], place: Place) -> None:
    """Bar, people, help and search have lines around their parts; selection, scrollbar and focus stand out from the screen."""
    page = show(look, "terminal", f"contrast-{look}", rows=10)
    terminal = live(page)
    other = page.context.new_page()
    place.mount(other, "terminal", f"contrast-{look}", who="ben", rows=8)
    terminal.get_by_role("button", name="2 people").click()
    terminal.get_by_role("button", name="Keys and accessibility").click()
    terminal.get_by_role("button", name="Find").click()
    page.locator(".xterm").click()
    page.keyboard.type("seq 60; printf '\\033[31mred \\033[34mblue\\033[0m\\n'; echo mark-$((40+2))\n")
    expect(page.locator(".xterm-rows")).to_contain_text("mark-42")
    other.get_by_role("button", name="Ask for control").click()
    expect(terminal.locator(".pw-asks")).to_contain_text("Ben asks for control")
    assert "pw-contrast" in (terminal.get_attribute("class") or "")
    screen = terminal.locator(".pw-screen")
    ground = style_of(screen, "background-color")
    for button in terminal.locator("button:visible").all():
        lined(button, terminal)
    lined(terminal, terminal)
    lined(terminal.get_by_role("searchbox"), terminal)
    assert ratio(style_of(screen, "outline-color"), ground) >= 3
    assert style_of(screen, "outline-style") == "solid"
    assert ratio(style_of(page.locator(".xterm .scrollbar.vertical > .slider"), "background-color"), ground) >= 3
    behind, text = select_text(page)
    assert ratio(behind, ground) >= 3
    assert ratio(text, behind) >= 7
    SCREENSHOTS.mkdir(exist_ok=True)
    terminal.screenshot(path=SCREENSHOTS / f"contrast_terminal_{look}.png")
    assert serious(page) == []


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("bundle", ["dashboard", "table"])
def test_ops_widgets(bundle: str, look: str, show: Callable[..., Page]) -> None:
    """Rows, heads, buttons and fields have lines; the row that is selected and a filter that is on are told by a line, too."""
    page = show(look, bundle, "main")
    row = page.locator(".pw-row").first
    expect(row).to_contain_text("A disk that is full")
    row.click()
    root = page.locator(".pw").first
    ground = style_of(root, "background-color")
    lined(root, root)
    lined(row, root, side="bottom")
    lined(page.locator(".pw-head-row .pw-cell").first, root, side="right")
    for field in root.locator("input[type=search]:visible, select:visible").all():
        lined(field, root)
    assert style_of(row, "outline-style") == "solid"
    assert ratio(style_of(row, "outline-color"), ground) >= 3
    if bundle == "dashboard":
        expect(page.locator(".pw-detail")).to_contain_text("Uptime")
    SCREENSHOTS.mkdir(exist_ok=True)
    root.screenshot(path=SCREENSHOTS / f"contrast_{bundle}_{look}.png")
    assert serious(page) == []
    if bundle == "dashboard":
        chip = page.locator("button.pw-chip").first
        chip.click()
        expect(chip).to_have_attribute("aria-pressed", "true")
        assert "inset" in style_of(chip, "box-shadow")
        for button in root.locator("button:visible").all():
            lined(button, root)


@pytest.mark.parametrize("theme", [{"jpThemeLight": "true", "jpThemeName": "JupyterLab Light"}, {}])
def test_the_scrollbar_of_every_theme(theme: dict[str, str], place: Place, browser: Browser) -> None:
    """Without high contrast, too, the terminal's scrollbar is seen on its ground; and nothing looks like high contrast there."""
    page = browser.new_page(color_scheme="light" if theme else "dark")
    place.mount(page, "terminal", "bar", rows=8, theme=theme)
    terminal = live(page)
    page.locator(".xterm").click()
    page.keyboard.type("seq 60; echo mark-$((40+2))\n")
    expect(page.locator(".xterm-rows")).to_contain_text("mark-42")
    ground = style_of(terminal.locator(".pw-screen"), "background-color")
    assert ratio(style_of(page.locator(".xterm .scrollbar.vertical > .slider"), "background-color"), ground) >= 3
    assert "pw-contrast" not in (terminal.get_attribute("class") or "")
    page.close()


@pytest.mark.parametrize("look", USUAL)
def test_the_selection_of_every_theme(look: str, place: Place, browser: Browser) -> None:
    """Selected text is seen as such without high contrast, too, with the focus in the terminal and in its bar, and is readable."""
    scheme, theme, style = USUAL[look]
    page = browser.new_page(color_scheme="light" if scheme == "light" else "dark")
    page.goto(f"{place.url}/healthz")
    if style:
        page.add_style_tag(content=style)
    place.mount(page, "terminal", f"selected-{look}", rows=8, theme=theme)
    terminal = live(page)
    page.locator(".xterm").click()
    page.keyboard.type("printf '\\033[34mblue \\033[33myellow\\033[0m\\n'; echo mark-$((40+2))\n")
    expect(page.locator(".xterm-rows")).to_contain_text("mark-42")
    ground = style_of(terminal.locator(".pw-screen"), "background-color")
    behind, text = select_text(page)
    assert ratio(behind, ground) >= 3
    assert ratio(text, behind) >= 4.5
    SCREENSHOTS.mkdir(exist_ok=True)
    terminal.screenshot(path=SCREENSHOTS / f"selection_{look}.png")
    terminal.get_by_role("button", name="Find").focus()
    assert ratio(style_of(page.locator(".xterm-selection > div").first, "background-color"), ground) >= 3
    assert "pw-contrast" not in (terminal.get_attribute("class") or "")
    page.close()


def test_in_jupyterlab(start_jupyter: Callable[..., JupyterServer], open_lab: Callable[..., Lab]) -> None:
    """Terminal and dashboard follow a switch to JupyterLab's own high-contrast theme, and back, while they are shown."""
    lab = open_lab(start_jupyter(), "notebooks/ops_dashboard.ipynb")
    page = lab.page
    lab.run_all()
    lab.run_code("term = pw.Terminal('contrast', rows=8); term", wait=False)
    lab.expect_screen("$")
    lab.use_theme("dark high contrast")
    terminal, dashboard = lab.terminals().first, page.locator(".pw-dashboard").first
    SCREENSHOTS.mkdir(exist_ok=True)
    for widget, name in ((terminal, "terminal"), (dashboard, "dashboard")):
        expect(widget).to_have_class(re.compile(r"pw-dark.*pw-contrast|pw-contrast.*pw-dark"))
        widget.scroll_into_view_if_needed()
        for button in widget.locator("button:visible").all():
            lined(button, widget)
        page.screenshot(path=SCREENSHOTS / f"contrast_jupyterlab_{name}.png")
        assert serious(page, f".pw-{name}") == []
    lab.use_theme("light")
    expect(terminal).not_to_have_class(re.compile("pw-contrast"))
    expect(dashboard).not_to_have_class(re.compile("pw-contrast"))
