"""What the bar over a terminal does, between two people on two pages: who types, who is put out, search, copy, restart."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from axe import serious
from bare_page import Place, type_into
from conftest import SCREENSHOTS
from playwright.sync_api import Browser, Locator, Page, expect

COPIED = """async text => {
    const copied = await navigator.clipboard.readText();
    return copied.includes(text) && copied;
}"""


@pytest.fixture
def enter(browser: Browser, place: Place) -> Iterator[Callable[..., Locator]]:
    """`enter(room, who)`: somebody's page on a terminal, once its shell shows a prompt."""
    pages: list[Page] = []

    def open_page(room: str, who: str) -> Locator:
        context = browser.new_context(viewport={"width": 1000, "height": 500}, permissions=["clipboard-read", "clipboard-write"])
        pages.append(context.new_page())
        place.mount(pages[-1], "terminal", room, who=who, rows=8)
        terminal = pages[-1].locator(".pw-terminal")
        expect(terminal).to_have_attribute("data-state", "live")
        expect(terminal.locator(".xterm-rows")).to_contain_text("$")
        return terminal

    yield open_page
    for page in pages:
        page.context.close()


def shows(terminal: Locator, text: str) -> None:
    """Waits for output."""
    expect(terminal.locator(".xterm-rows")).to_contain_text(text)


def test_control_is_handed_to_a_chosen_person(enter: Callable[..., Locator]) -> None:
    """The one who has control picks somebody from the list of people; from then on that person's keys count and nobody else's."""
    ana, ben, obi = enter("hand", "ana"), enter("hand", "ben"), enter("hand", "obi")
    type_into(ana, "echo by-ana-$((1+1))\n")
    shows(ben, "by-ana-2")
    expect(obi.get_by_role("button", name="Take control")).to_have_count(0)
    ana.get_by_role("button", name="3 people").click()
    people = ana.get_by_role("list", name="People in this terminal")
    expect(people.get_by_role("listitem")).to_have_text(
        [re.compile("Ana.*you.*has control"), re.compile("Ben.*operator"), re.compile("Obi")]
    )
    expect(people.get_by_role("button", name="Hand over control to Obi")).to_have_count(0)
    people.get_by_role("button", name="Hand over control to Ben").click()
    expect(ben.get_by_role("button", name="Release control")).to_be_visible()
    expect(ana.locator(".pw-bar")).to_contain_text("Ben has control")
    type_into(ben, "echo by-ben-$((1+1))\n")
    shows(ana, "by-ben-2")
    type_into(ana, "echo nobody-sees-this\n")
    ben.get_by_role("button", name="Release control").click()
    ana.get_by_role("button", name="Take control").click()
    expect(ana.get_by_role("button", name="Release control")).to_be_visible()
    type_into(ana, "echo again-$((1+1))\n")
    shows(ben, "again-2")
    expect(ben.locator(".xterm-rows")).not_to_contain_text("nobody-sees-this")


def test_control_is_asked_for(enter: Callable[..., Locator]) -> None:
    """An operator asks in the bar; the holder's page says who, takes no focus, and gives or refuses with one press; the asker is told."""
    ana, ben, obi = enter("ask", "ana"), enter("ask", "ben"), enter("ask", "obi")
    type_into(ana, "echo by-ana-$((1+1))\n")
    shows(ben, "by-ana-2")
    expect(obi.get_by_role("button", name="Ask for control")).to_have_count(0)
    ben.get_by_role("button", name="Ask for control").click()
    expect(ben.locator(".pw-bar")).to_contain_text("you asked Ana for control")
    requests = ana.get_by_role("list", name="Requests for control")
    expect(requests).to_contain_text("Ben asks for control")
    expect(ana.locator('.pw-asks [role="status"]')).to_contain_text("Ben asks for control")
    expect(ana.locator(".xterm-helper-textarea")).to_be_focused()
    expect(obi.get_by_role("list", name="Requests for control")).to_have_count(0)
    SCREENSHOTS.mkdir(exist_ok=True)
    ana.screenshot(path=SCREENSHOTS / "control_asked_holder.png")
    ben.screenshot(path=SCREENSHOTS / "control_asked_asker.png")
    ben.get_by_role("button", name="Withdraw request").click()
    expect(ben.locator(".pw-notice")).to_have_text("the request was withdrawn")
    expect(requests).to_have_count(0)
    ben.get_by_role("button", name="Ask for control").click()
    requests.get_by_role("button", name="Give control to Ben").click()
    expect(ben.get_by_role("button", name="Release control")).to_be_visible()
    expect(ben.locator(".pw-notice")).to_have_text("")
    type_into(ben, "echo by-ben-$((1+1))\n")
    shows(ana, "by-ben-2")
    ana.get_by_role("button", name="Take control").click()
    ben.get_by_role("button", name="Ask for control").click()
    expect(requests).to_contain_text("Ben asks for control")
    ana.locator(".xterm").click()
    ana.page.keyboard.press("Control+Shift+Escape")
    expect(requests.get_by_role("button", name="Give control to Ben")).to_be_focused()
    ana.page.keyboard.press("Tab")
    expect(requests.get_by_role("button", name="Refuse Ben")).to_be_focused()
    ana.page.keyboard.press("Enter")
    expect(ben.locator('.pw-notice[role="status"]')).to_have_text("Ana refused: ask again later")
    expect(requests).to_have_count(0)
    ben.get_by_role("button", name="Ask for control").click()
    expect(ben.locator(".pw-notice")).to_contain_text("ask again in")


def test_every_role_asks_by_keyboard(enter: Callable[..., Locator]) -> None:
    """A peer types beside the holder and asks for control; a moderator sees it and may answer; he asks too, or takes control at once."""
    ben, pia, ana = enter("roles", "ben"), enter("roles", "pia"), enter("roles", "ana")

    def press(terminal: Locator, name: str) -> None:
        """Reaches a button of the bar without a mouse."""
        terminal.locator(".xterm").click()
        terminal.page.keyboard.press("Control+Shift+Escape")
        button = terminal.get_by_role("button", name=name)
        for _ in range(12):
            if button.evaluate("node => node === document.activeElement"):
                break
            terminal.page.keyboard.press("Tab")
        terminal.page.keyboard.press("Enter")

    type_into(ben, "echo by-ben-$((1+1))\n")
    shows(pia, "by-ben-2")
    expect(pia.locator(".pw-hint")).to_have_text("Ben has control, you may type too")
    type_into(pia, "echo by-pia-$((1+1))\n")
    shows(ben, "by-pia-2")
    press(pia, "Ask for control")
    expect(pia.locator(".pw-hint")).to_have_text("you asked Ben for control")
    expect(ana.locator('.pw-asks [role="status"]')).to_have_text("Pia asks Ben for control.")
    SCREENSHOTS.mkdir(exist_ok=True)
    ana.screenshot(path=SCREENSHOTS / "control_asked_moderator.png")
    press(ben, "Give control to Pia")
    expect(pia.locator(".pw-hint")).to_have_text("you have control")
    expect(ana.get_by_role("button", name="Take control")).to_be_visible()
    press(ana, "Ask for control")
    expect(pia.locator('.pw-asks [role="status"]')).to_contain_text("Ana asks for control. Control Shift Escape")
    expect(ana.get_by_role("list", name="Requests for control")).to_have_count(0)
    press(pia, "Refuse Ana")
    expect(ana.locator('.pw-notice[role="status"]')).to_have_text("Pia refused: ask again later")
    press(ben, "Ask for control")
    press(ana, "Give control to Ben")
    expect(ben.locator(".pw-hint")).to_have_text("you have control")
    press(ana, "Take control")
    expect(ana.locator(".pw-hint")).to_have_text("you have control")
    press(ana, "Release control")
    press(pia, "Take control")
    expect(pia.get_by_role("button", name="Release control")).to_be_visible()


def test_a_link_says_where_it_leads(enter: Callable[..., Locator]) -> None:
    """The pointer on a program's link shows its address, which its text may hide, to who joined late too; beside it nothing."""
    ana = enter("links", "ana")
    type_into(ana, "clear; printf '\\033]8;;https://evil.example/%s\\033\\\\https://good.example\\033]8;;\\033\\\\ beside\\n' x\n")
    shows(ana, "good.example beside")
    ben = enter("links", "ben")
    shows(ben, "good.example beside")
    for terminal in (ana, ben):
        box = terminal.locator(".xterm-rows > div", has_text=re.compile("^https://good")).bounding_box()
        assert box is not None
        screen = terminal.locator(".pw-screen")
        terminal.page.mouse.move(box["x"] + 4, box["y"] + 4)
        terminal.page.mouse.move(box["x"] + 30, box["y"] + box["height"] / 2, steps=3)
        expect(screen).to_have_attribute("title", "https://evil.example/x")
        terminal.page.mouse.move(box["x"] + 300, box["y"] + box["height"] / 2, steps=3)
        expect(screen).to_have_attribute("title", "")


def test_somebody_is_put_out(enter: Callable[..., Locator]) -> None:
    """A moderator ejects with a second press; the page of who was ejected says so and stops trying, and an operator has no such button."""
    ana, ben = enter("eject", "ana"), enter("eject", "ben")
    ben.get_by_role("button", name="2 people").click()
    expect(ben.get_by_role("button", name="Eject")).to_have_count(0)
    ana.get_by_role("button", name="2 people").click()
    ana.get_by_role("button", name="Eject Ben").click()
    expect(ben).to_have_attribute("data-state", "live")
    ana.get_by_role("button", name="Really eject Ben?").click()
    expect(ben).to_have_attribute("data-state", "refused")
    expect(ben.locator(".pw-bar")).to_contain_text("ejected")
    expect(ana.get_by_role("button", name=re.compile("people"))).to_have_count(0)
    type_into(ana, "echo goes-on-$((1+1))\n")
    shows(ana, "goes-on-2")


def test_search_and_copy(enter: Callable[..., Locator]) -> None:
    """Find counts what is on the screen and above it, by case and regular expression where wanted; Copy gives the screen with its history
    as text; Escape leads back to the shell."""
    ana = enter("find", "ana")
    type_into(ana, "for n in $(seq 30); do echo needle-$n; done; echo end-$((1+1))\n")
    shows(ana, "end-2")
    ana.get_by_role("button", name="Find").click()
    box = ana.get_by_role("searchbox", name="Find in terminal")
    expect(box).to_be_focused()
    box.fill("needle-1")
    expect(ana.locator(".pw-search [role=status]")).to_have_text(re.compile(r"of 11$"))
    box.fill("no such thing")
    found = ana.locator(".pw-search [role=status]")
    expect(found).to_have_text("nothing found")
    ana.page.keyboard.press("Escape")
    expect(ana.locator(".xterm-helper-textarea")).to_be_focused()
    ana.page.keyboard.press("Control+Shift+F")
    expect(box).to_be_focused()
    box.fill("NEEDLE-3[0-9]")
    expect(found).to_have_text("nothing found")
    ana.get_by_role("button", name="Regular expression").click()
    expect(found).to_have_text("1 of 1")
    ana.get_by_role("button", name="Match case").click()
    expect(found).to_have_text("nothing found")
    box.fill("needle-[")
    expect(found).to_have_text("not a regular expression")
    box.fill("needle-[0-9]0")
    expect(found).to_have_text(re.compile(r"of 3$"))
    here = int((found.text_content() or "").split()[0])
    ana.page.keyboard.press("Enter")
    expect(found).to_have_text(f"{here % 3 + 1} of 3")
    ana.page.keyboard.press("Shift+Enter")
    expect(found).to_have_text(f"{here} of 3")
    ana.screenshot(path=SCREENSHOTS / "search.png")
    box.fill("no such thing")  # what was found last stays selected, and Copy takes a selection before the screen
    expect(found).to_have_text("nothing found")
    ana.get_by_role("button", name="Match case").focus()
    ana.page.keyboard.press("Escape")
    expect(ana.locator(".xterm-helper-textarea")).to_be_focused()
    ana.get_by_role("button", name="Copy").click()
    # Until then the clipboard holds what somebody copied before.
    copied = ana.page.wait_for_function(COPIED, arg="needle-30").json_value()
    assert [f"needle-{n}" for n in range(1, 31)] == [line for line in copied.splitlines() if line.startswith("needle-")]


def test_the_wheel_in_a_pager(enter: Callable[..., Locator]) -> None:
    """Over a full-screen program without a mouse the wheel moves as many lines as it would scroll, and the page stays where it is."""
    ana = enter("wheel", "ana")
    type_into(ana, "seq 100 300 | less\n")
    shows(ana, "106")
    row = ana.locator(".xterm-rows > div").first
    expect(row).to_have_text("100")
    box = row.bounding_box()
    assert box is not None
    ana.page.mouse.move(box["x"] + 20, box["y"] + 5)
    ana.page.mouse.wheel(0, box["height"] * 5 + 1)
    expect(row).to_have_text("105")
    ana.page.mouse.wheel(0, -(box["height"] * 2 + 1))
    expect(row).to_have_text("103")
    assert ana.page.evaluate("() => scrollY") == 0


def test_several_lines_are_not_pasted_by_accident(enter: Callable[..., Locator]) -> None:
    """bash gets pasted lines at once, as text that runs nothing; for a program that would run each the person is asked first."""
    ana = enter("paste", "ana")

    def paste(text: str) -> None:
        ana.page.evaluate("text => navigator.clipboard.writeText(text)", text)
        ana.page.keyboard.press("Control+v")

    ana.locator(".xterm").click()
    paste("echo in-ba''sh\necho sec''ond\n")
    shows(ana, "sec''ond")
    expect(ana.locator(".xterm-rows")).not_to_contain_text("in-bash")
    expect(ana.get_by_role("alertdialog")).to_have_count(0)
    ana.page.keyboard.press("Enter")
    shows(ana, "in-bash")
    type_into(ana, "exec sh\n")
    expect(ana.locator(".xterm-rows")).to_contain_text("exec sh")
    type_into(ana, "echo in-$((1+1))-sh\n")
    shows(ana, "in-2-sh")
    paste("echo never-$((1+1))\necho nei''ther\n")
    question = ana.get_by_role("alertdialog", name="Paste several lines?")
    expect(question).to_contain_text("echo never-$((1+1)) ⏎ echo nei''ther")
    expect(question.get_by_role("button", name="Paste")).to_be_focused()
    SCREENSHOTS.mkdir(exist_ok=True)
    ana.screenshot(path=SCREENSHOTS / "paste_question.png")
    assert serious(ana.page) == []
    ana.page.keyboard.press("Escape")
    expect(question).to_have_count(0)
    expect(ana.locator(".xterm-helper-textarea")).to_be_focused()
    paste("echo yes-$((1+1))\necho al''so\n")
    expect(question.get_by_role("button", name="Paste")).to_be_focused()
    ana.page.keyboard.press("Enter")
    shows(ana, "yes-2")
    shows(ana, "also")
    expect(ana.locator(".xterm-rows")).not_to_contain_text("never-")


def test_restart(enter: Callable[..., Locator]) -> None:
    """A shell that ended says with which code; who may not restart has no button, who may gets a new shell for everybody."""
    ana, ben = enter("again", "ana"), enter("again", "ben")
    type_into(ana, "exit 3\n")
    for page in (ana, ben):
        expect(page.locator(".pw-state")).to_contain_text("ended with code 3")
    expect(ben.get_by_role("button", name="Restart")).to_have_count(0)
    expect(ben.locator(".pw-bar")).to_contain_text("a peer or a moderator can start it again")
    ana.get_by_role("button", name="Restart").click()
    for page in (ana, ben):
        expect(page).to_have_attribute("data-state", "live")
        shows(page, "$")
    type_into(ana, "echo new-$((1+1))\n")
    shows(ben, "new-2")


def test_lines_above_the_screen_that_were_left_out_are_loaded(enter: Callable[..., Locator], place: Place, browser: Browser) -> None:
    """Of a screen that came short, as over a slow line, the bar offers the rest; then the first line can be scrolled to."""
    ana = enter("history", "ana")
    expect(ana.get_by_role("button", name="Load history")).to_be_hidden()
    type_into(ana, "for n in $(seq 1 300); do echo line-$n-of-many; done; echo all-$((40+2))\n")
    shows(ana, "all-42")
    page = browser.new_page(viewport={"width": 1000, "height": 500})
    try:
        place.mount(page, "terminal", "history", who="obi", rows=8, query={"scrollback": "0"})
        obi = page.locator(".pw-terminal")
        shows(obi, "all-42")
        load = obi.get_by_role("button", name="Load history")
        expect(load).to_be_visible()
        assert serious(page, ".pw-terminal") == []
        page.screenshot(path=SCREENSHOTS / "load_history.png")
        load.click()
        expect(obi.get_by_role("button", name=re.compile("history"))).to_be_hidden()
        expect(obi.locator(".xterm-helper-textarea")).to_be_focused()
        obi.locator(".xterm").hover()
        for _ in range(100):  # what has come may still be being drawn
            page.mouse.wheel(0, -1_000_000)
            if "line-1-of-many" in (obi.locator(".xterm-rows").text_content() or ""):
                break
            page.wait_for_timeout(100)
        shows(obi, "line-1-of-many")
    finally:
        page.close()
