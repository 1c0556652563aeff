"""The page of `partywidgets serve`, as people without a notebook have it: a real host in a process of its own, real checks, real people."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from axe import serious
from conftest import PATIENCE, SCREENSHOTS
from playwright.sync_api import Browser, Locator, Page, Response, WebSocket, expect
from team_host import Host
from test_hostile_results import host as live_host

from partywidgets import bundles
from partywidgets.auth import Identity
from partywidgets.front_page import FrontPage

pytestmark = pytest.mark.skipif("page.js" not in bundles.bundle_names(), reason="the front end is not built here")

VERA, MARA = "vera-token-for-these-tests", "mara-token-for-these-tests"


def config(folder: Path, *, people: tuple[str, ...] = ("vera", "mara")) -> str:
    """Two checks that look whether a file is there, each second; a viewer and a responder."""
    roles = {"vera": ["viewer", "observer"], "mara": ["responder", "operator"]}
    tokens = [{"subject": who, "token": f"${{env:{who.upper()}_TOKEN}}", "roles": roles[who]} for who in people]
    remedy = {"command": f"touch {folder}/shop", "sandbox": "web"}
    checks = [
        {
            "id": "shop",
            "type": "file",
            "title": "The shop answers",
            "path": f"{folder}/shop",
            "severity": "critical",
            "remediation": remedy,
        },
        {"id": "pay", "type": "file", "title": "Payments settle", "path": f"{folder}/pay", "severity": "high"},
    ]
    sandboxes = {"default": "local:/bin/bash", "web": "local:/bin/bash"}
    return json.dumps({"auth": {"tokens": tokens}, "defaults": {"every": "1s"}, "checks": checks, "sandboxes": sandboxes})


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """A host that looks: the shop answers, payments do not settle."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".bashrc").write_text("PS1='$ '\n")
    (tmp_path / "shop").touch()
    environ = {"VERA_TOKEN": VERA, "MARA_TOKEN": MARA, "HOME": str(tmp_path / "home")}
    started = Host(tmp_path, config=config(tmp_path), environ=environ)
    started.start()
    yield started
    started.stop()


class Visitor:
    """Somebody's page, and what their browser complained of."""

    def __init__(self, page: Page) -> None:
        self.page, self.complaints = page, list[str]()
        page.on("console", lambda message: self.complaints.append(message.text) if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.answers: list[Response] = []
        page.on("response", lambda answer: self.answers.append(answer))

    def sign_in(self, token: str) -> None:
        """By keyboard alone."""
        expect(self.page.get_by_label("Token")).to_be_focused()
        self.page.keyboard.insert_text(token)
        self.page.keyboard.press("Enter")

    def row(self, title: str) -> Locator:
        """The line of a check."""
        return self.page.locator(".pw-row", has_text=title)


@pytest.fixture
def visit(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Callable[..., Visitor]]:
    """Opens pages, each in a browser of its own; at the end their pictures are kept, and no policy was offended."""
    visitors: list[Visitor] = []

    def open_page(url: str, *, width: int = 1300, height: int = 850, dark: bool = False) -> Visitor:
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light")
        context.set_default_timeout(PATIENCE)
        visitors.append(Visitor(context.new_page()))
        visitors[-1].page.goto(url)
        return visitors[-1]

    yield open_page
    SCREENSHOTS.mkdir(exist_ok=True)
    for index, visitor in enumerate(visitors):
        visitor.page.screenshot(path=SCREENSHOTS / f"{request.node.name}-{index}.png")
        visitor.page.context.close()
        assert [said for said in visitor.complaints if "Content Security Policy" in said or "'Trusted" in said or "Uncaught" in said] == []


def test_signing_in_and_a_live_change(host: Host, visit: Callable[..., Visitor], tmp_path: Path) -> None:
    """A wrong token is told where the right one is; the right one shows the board, which changes by itself. The token is in no address, no
    storage and no header but the one to this host's tickets."""
    visitor = visit(host.url)
    page = visitor.page
    assert serious(page, "body") == []
    visitor.sign_in("not-the-token-of-anybody")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("does not know that token")
    expect(page.get_by_text("cat FILE")).to_be_visible()
    expect(page.get_by_label("Token")).to_be_focused()
    page.keyboard.press("Control+A")
    visitor.sign_in(f" {MARA} ")
    expect(visitor.row("Payments settle")).to_contain_text("crit")
    expect(page.get_by_role("grid")).to_be_focused()
    expect(visitor.row("The shop answers")).to_contain_text("ok")
    expect(page).to_have_title(f"1 crit · 127.0.0.1:{host.port}")
    icon = page.locator('link[rel="icon"]').get_attribute("href")
    (tmp_path / "shop").unlink()
    expect(visitor.row("The shop answers")).to_contain_text("crit")
    expect(page).to_have_title(f"2 crit · 127.0.0.1:{host.port}")
    (tmp_path / "shop").touch()
    (tmp_path / "pay").touch()
    expect(page).to_have_title(f"all ok · 127.0.0.1:{host.port}")
    assert page.locator('link[rel="icon"]').get_attribute("href") != icon
    assert serious(page, "body") == []
    assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]
    assert page.evaluate("document.documentElement.outerHTML").find(MARA) < 0
    for answer in visitor.answers:
        assert MARA not in answer.url
        carried = MARA in (answer.request.all_headers().get("authorization") or "")
        assert not carried or answer.url == f"{host.url}tickets"


def test_a_viewer_looks_and_a_responder_acks(host: Host, visit: Callable[..., Visitor]) -> None:
    """What a token does not allow is not offered; what one does, everybody sees at once."""
    looking, helping = visit(host.url), visit(host.url)
    looking.sign_in(VERA)
    helping.sign_in(MARA)
    expect(looking.page.locator(".pw-role")).to_have_text("viewer")
    expect(looking.page.locator(".pw-name")).to_have_text("vera")
    expect(helping.page.locator(".pw-role")).to_have_text("responder")
    for visitor in (looking, helping):
        visitor.row("Payments settle").click()
        expect(visitor.page.locator(".pw-detail")).to_be_visible()
    for name in ("Ack…", "Silence…", "Re-check", "Scan now"):
        expect(looking.page.get_by_role("button", name=name)).to_have_count(0)
    helping.page.get_by_role("button", name="Ack…").click()
    helping.page.keyboard.type("on it")
    helping.page.keyboard.press("Enter")
    expect(looking.page.locator(".pw-detail")).to_contain_text("acked by mara: on it")


def test_signing_out(host: Host, visit: Callable[..., Visitor]) -> None:
    """Leaves nothing of the board, and the sockets go."""
    visitor = visit(host.url)
    sockets: list[WebSocket] = []
    visitor.page.on("websocket", lambda socket: sockets.append(socket))
    visitor.sign_in(MARA)
    expect(visitor.row("Payments settle")).to_be_visible()
    visitor.page.get_by_role("button", name="Sign out").click()
    expect(visitor.page.get_by_label("Token")).to_be_focused()
    expect(visitor.page.get_by_label("Token")).to_have_value("")
    expect(visitor.page.get_by_role("alert")).to_have_text("You are signed out.")
    expect(visitor.page.locator(".pw-row")).to_have_count(0)
    expect(visitor.page).to_have_title(re.compile("^sign in"))
    assert sockets
    for socket in sockets:
        if not socket.is_closed():
            socket.wait_for_event("close")


def test_an_ended_token_leads_back_to_the_form(host: Host, visit: Callable[..., Visitor], tmp_path: Path) -> None:
    """A host that was started without it says so, and another token goes on where the first one looked."""
    visitor = visit(host.url)
    visitor.sign_in(MARA)
    visitor.row("Payments settle").click()
    expect(visitor.page).to_have_url(re.compile("#check=[0-9a-f]{16}$"))
    host.stop()
    expect(visitor.page).to_have_title(f"not live · 127.0.0.1:{host.port}")
    (tmp_path / "partywidgets.yaml").write_text(config(tmp_path, people=("vera",)))
    host.start()
    expect(visitor.page.get_by_role("alert")).to_contain_text("Your token opens nothing here any more")
    expect(visitor.page.locator(".pw-row")).to_have_count(0)
    visitor.sign_in(VERA)
    expect(visitor.page.locator(".pw-detail")).to_contain_text("Payments settle")


def test_a_grant_that_is_revoked_leads_back_to_the_form(visit: Callable[..., Visitor], tmp_path: Path) -> None:
    """While the host runs: nothing of the board stays, and the other person's goes on."""
    people = {VERA: Identity("vera", "Vera", frozenset({"viewer"})), MARA: Identity("mara", "Mara", frozenset({"responder"}))}
    with live_host(tmp_path, page=FrontPage(), people=people) as app:
        leaving, staying = visit(app["url"]), visit(app["url"])
        leaving.sign_in(VERA)
        staying.sign_in(MARA)
        for visitor in (leaving, staying):
            expect(visitor.page.locator(".pw-row").first).to_be_visible()
        app["revoke"](VERA)
        expect(leaving.page.get_by_role("alert")).to_contain_text("Your token opens nothing here any more")
        expect(leaving.page.locator(".pw-row")).to_have_count(0)
        expect(staying.page.locator(".pw-state")).to_have_text("live")


def test_a_token_without_a_role_here_says_so(visit: Callable[..., Visitor], tmp_path: Path) -> None:
    """Who may type in terminals alone sees no board, and why; their terminal opens. Who has no role in terminals is told so there."""
    people = {MARA: Identity("mara", "Mara", frozenset({"operator"})), VERA: Identity("vera", "Vera", frozenset({"viewer"}))}
    with live_host(tmp_path, page=FrontPage(), people=people, sandboxes={"default": "local:/bin/bash"}) as app:
        watching = visit(f"{app['url']}#terminal")
        watching.sign_in(VERA)
        expect(watching.page.get_by_role("status")).to_contain_text("listing terminals needs one of the roles observer")
        expect(watching.page.get_by_role("button", name="Open", exact=True)).to_have_count(0)
        visitor = visit(app["url"])
        visitor.sign_in(MARA)
        expect(visitor.page.locator(".pw-state")).to_contain_text("the ops room needs one of the roles")
        expect(visitor.page).to_have_title(f"not live · {app['url'].removeprefix('http://')}")
        visitor.page.evaluate("location.hash = '#terminal=shell'")
        expect(visitor.page.locator(".pw-terminal")).to_have_attribute("data-state", "live")


def test_a_restart_with_the_same_tokens_needs_nobody(host: Host, visit: Callable[..., Visitor]) -> None:
    """The board comes back by itself."""
    visitor = visit(host.url)
    visitor.sign_in(VERA)
    expect(visitor.page).to_have_title(f"1 crit · 127.0.0.1:{host.port}")
    host.kill()
    expect(visitor.page.locator(".pw-state")).to_contain_text(re.compile("reconnecting|does not answer"))
    expect(visitor.page).to_have_title(f"not live · 127.0.0.1:{host.port}")
    host.start()
    expect(visitor.page).to_have_title(f"1 crit · 127.0.0.1:{host.port}")
    expect(visitor.page.locator(".pw-state")).to_have_text("live")


def test_links_lead_to_rows_and_terminals(host: Host, visit: Callable[..., Visitor]) -> None:
    """By a check's id or a row's fingerprint, on a phone too, where nothing is wider than the screen; what is not there says so."""
    visitor = visit(f"{host.url}#check=pay", width=390, height=844, dark=True)
    page = visitor.page
    visitor.sign_in(VERA)
    detail = page.locator(".pw-detail")
    expect(detail).to_contain_text("Payments settle")
    expect(detail).to_be_focused()
    expect(page).to_have_url(re.compile("#check=[0-9a-f]{16}$"))
    page.wait_for_function("document.documentElement.scrollWidth === 390")
    link = page.url
    page.evaluate("location.hash = '#check=shop'")
    expect(detail).to_contain_text("The shop answers")
    page.evaluate("link => { location.href = link; }", link)
    expect(detail).to_contain_text("Payments settle")
    page.evaluate("location.hash = '#check=no-such-check'")
    answer = page.locator(".pw-actions .pw-answer")
    expect(answer).to_be_visible()
    expect(answer).to_contain_text("no row here is called no-such-check")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.evaluate("location.hash = '#terminal=web&sandbox=web'")
    expect(page.locator(".pw-terminal .pw-bar")).to_contain_text("observer")
    page.wait_for_function("document.documentElement.scrollWidth === 390")
    page.get_by_role("link", name="Checks").click()
    expect(visitor.row("Payments settle")).to_be_visible()


def test_who_goes_to_a_terminal_as_a_row_is_chosen_gets_there(host: Host, visit: Callable[..., Visitor]) -> None:
    """The row's link is put into the address before the page has heard that somebody goes elsewhere: they had stayed on the board."""
    mara = visit(host.url)
    mara.sign_in(MARA)
    expect(mara.row("The shop answers")).to_be_visible()
    mara.page.evaluate("() => { location.hash = '#terminal=shell'; history.replaceState(null, '', '#check=shop'); }")
    expect(mara.page.locator(".pw-terminal")).to_have_attribute("data-state", "live")
    assert mara.page.url == f"{host.url}#terminal=shell"
    mara.page.go_back()
    expect(mara.row("The shop answers")).to_be_visible()


def test_from_a_row_to_its_proof_while_somebody_watches(host: Host, visit: Callable[..., Visitor], tmp_path: Path) -> None:
    """An operator runs the remedy in the row's terminal; an observer sees the same screen at its own address, and cannot type."""
    (tmp_path / "shop").unlink()
    helping, looking = visit(host.url), visit(f"{host.url}#terminal=web&sandbox=web")
    helping.sign_in(MARA)
    helping.row("The shop answers").click()
    helping.page.get_by_role("button", name="Open terminal").click()
    expect(helping.page.locator(".pw-terminal .xterm-rows")).to_contain_text("$")
    looking.sign_in(VERA)
    expect(looking.page.locator(".pw-terminal")).to_have_attribute("data-state", "live")
    helping.page.get_by_role("button", name="Run in web").click()
    expect(helping.page.locator(".pw-remedy .pw-said")).to_contain_text("→ ok")
    assert (tmp_path / "shop").exists()
    expect(looking.page.locator(".xterm-rows")).to_contain_text("touch")
    looking.page.locator(".xterm").click()
    looking.page.keyboard.type("rm nothing")
    expect(looking.page.locator(".pw-notice")).to_contain_text("not sent")
    expect(looking.page).to_have_title("web · terminal")


def test_a_new_terminal(host: Host, visit: Callable[..., Visitor]) -> None:
    """By keyboard: in a sandbox of the config, by a name or by the sandbox's own."""
    visitor = visit(host.url)
    page = visitor.page
    visitor.sign_in(MARA)
    page.get_by_role("link", name="Terminals").click()
    expect(page.get_by_role("heading", name="Terminals")).to_be_focused()
    expect(page.get_by_text("No terminal is open.")).to_be_visible()
    assert serious(page, "body") == []
    expect(page.locator(".pw-role")).to_have_text("operator")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Sandbox")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_label("Name")).to_be_focused()
    page.keyboard.type("db incident")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{host.url}#terminal=db+incident")
    expect(page.locator(".pw-terminal .xterm-rows")).to_contain_text("$")
    expect(page.locator(".pw-name")).to_have_text("mara")
    page.get_by_role("link", name="Terminals").click()
    page.get_by_label("Sandbox").select_option("web")
    page.get_by_role("button", name="Open", exact=True).click()
    expect(page).to_have_url(f"{host.url}#terminal=web&sandbox=web")
    expect(page.locator(".pw-terminal .xterm-rows")).to_contain_text("$")


def test_the_terminals_that_are_open(host: Host, visit: Callable[..., Visitor]) -> None:
    """On a phone: whoever watches is shown them as they come, joins by one press, and is offered none to open; and who leaves a terminal
    comes back to them."""
    helping, looking = (
        visit(f"{host.url}#terminal=db+incident&sandbox=web"),
        visit(f"{host.url}#terminal", width=390, height=844, dark=True),
    )
    page = looking.page
    looking.sign_in(VERA)
    expect(page.get_by_text("No terminal is open. You watch here: others open them.")).to_be_visible()
    expect(page.get_by_role("button", name="Open", exact=True)).to_have_count(0)
    helping.sign_in(MARA)
    expect(helping.page.locator(".pw-terminal .xterm-rows")).to_contain_text("$")
    link = page.get_by_role("link", name=re.compile("^db incident.*running · in web · 1 person$"))
    expect(link).to_be_visible(timeout=15_000)
    expect(page.get_by_text("One terminal is open.")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert serious(page, "body") == []
    page.screenshot(path=SCREENSHOTS / "open_terminals_phone.png")
    link.press("Enter")
    expect(page).to_have_url(f"{host.url}#terminal=db+incident")
    expect(page.locator(".pw-terminal .xterm-rows")).to_contain_text("$")
    expect(page.locator(".pw-terminal .pw-bar")).to_contain_text("observer")
    page.get_by_role("link", name="Terminals").click()
    expect(page.get_by_role("link", name=re.compile("^db incident"))).to_be_visible()


def test_without_authentication_nobody_is_asked(host: Host, visit: Callable[..., Visitor]) -> None:
    """The board is there at once, and there is nothing to sign out of."""
    host.stop()
    host.start(auth=False)
    visitor = visit(host.url)
    expect(visitor.row("Payments settle")).to_contain_text("crit")
    expect(visitor.page.get_by_role("button", name="Sign out")).to_have_count(0)


def test_another_site_cannot_frame_it(host: Host, browser: Browser, tmp_path: Path) -> None:
    """No page around it that would catch clicks meant for it; what is no page of ours is framed, so that it is not the network's doing."""
    around = tmp_path / "around"
    around.mkdir()
    (around / "index.html").write_text(f'<iframe src="{host.url}"></iframe><iframe src="{host.url}healthz"></iframe>')
    site = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(around)))
    serving = threading.Thread(target=site.serve_forever)
    serving.start()
    page = browser.new_page()
    try:
        page.goto(f"http://localhost:{site.server_port}/")
        ours, other = page.frame_locator("iframe").nth(0), page.frame_locator("iframe").nth(1)
        expect(other.locator("body")).to_contain_text("ok")
        refused, shown = page.frames[1:]
        refused.wait_for_url(re.compile("^chrome-error:"), wait_until="commit")
        assert not shown.url.startswith("chrome-error:")
        expect(ours.get_by_label("Token")).to_have_count(0)
    finally:
        page.close()
        site.shutdown()
        serving.join(20)
        site.server_close()
