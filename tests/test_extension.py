"""The Jupyter Server extension, in a real server."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from traitlets import TraitError
from traitlets.config import Config
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from partywidgets import bundles
from partywidgets.extension import PartyWidgetsApp
from partywidgets.saved_notebook import ELSEWHERE, WIDGET_VIEW, kept
from partywidgets.scans.model import CheckResult
from partywidgets.scans.report import ScanReport

from .jupyter_process import TOKEN, Jupyter, jupyter_server

ROUTES = [
    "parties/terminal-server/secret-room",
    "parties/terminal-server/secret-room?sandboxId=local",
    "parties/ops-monitor-broadcast/main",
    "parties/nobody/secret-room",
    "api/workers/secret-room/terminal",
    "api/ops/broadcast",
    "api/ops/scans",
    "api/ops/scans/latest",
    "api/ops/config/x.yaml",
    "api/sandboxes/x",
    "api/terminals",
    "tickets",
    "metrics",
    "hello",
    "",
    "no/such/route",
]
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    with jupyter_server(tmp_path_factory.mktemp("jupyter"), "--ServerApp.base_url=/user/ana/") as running:
        yield running


def terminal_rooms(jupyter: Jupyter) -> int:
    metrics = jupyter.as_owner("GET", "metrics").body.decode()
    found = re.search(r'partywidgets_rooms\{party="terminal-server"\} (\S+)', metrics)
    return int(float(found[1])) if found else 0


def ws_url(jupyter: Jupyter, path: str) -> str:
    return jupyter.rooms.replace("http", "ws", 1) + path


async def first_frame(jupyter: Jupyter, path: str = "parties/ops-monitor-broadcast/main", **options: Any) -> Any:
    options.setdefault("proxy", None)
    async with asyncio.timeout(20), connect(ws_url(jupyter, path), **options) as socket:
        return await socket.recv()


# closed


def test_without_a_credential_everything_refuses(jupyter: Jupyter) -> None:
    """No route and no method answers anybody who is not logged in, plain or as an upgrade, and no room is made."""
    before = terminal_rooms(jupyter)
    for route in ROUTES:
        for method in METHODS:
            answer = jupyter.ask(method, route, body=b"{}" if method in ("POST", "PUT", "PATCH") else None)
            assert answer.status in (400, 401, 403, 404, 405), (method, route, answer.status)
            if not route.startswith(("no/", "parties/nobody")) and route and method != "OPTIONS":
                assert answer.status in (401, 403), (method, route, answer.status, answer.body)
        assert jupyter.ask("GET", route, headers=UPGRADE).status in (400, 401, 403, 404), route
    for wrong in (
        {"Authorization": "Bearer x"},
        {"Authorization": "token x"},
        {"Authorization": f"Bearer {'x' * 43}"},
        {"Cookie": "username-x=y"},
    ):
        assert jupyter.ask("GET", "api/ops/scans", headers=wrong).status in (401, 403), wrong
    assert jupyter.ask("GET", "api/ops/scans?token=wrong").status == 401
    assert terminal_rooms(jupyter) == before


def test_the_open_routes_are_open(jupyter: Jupyter) -> None:
    """healthz needs no login and says nothing of the rooms."""
    answer = jupyter.ask("GET", "healthz")
    assert (answer.status, answer.json()) == (200, {"status": "ok"})


def test_the_secret_of_a_heartbeat_is_in_no_log(jupyter: Jupyter) -> None:
    """Neither of a job that reports before its check is loaded, nor of one that asks in another way."""
    secret = "a-heartbeat-of-the-backup-job"
    assert jupyter.ask("GET", f"api/ops/heartbeat/{secret}").status == 404
    assert jupyter.ask("PUT", f"api/ops/heartbeat/{secret}?x={secret}").status == 405
    assert "api/ops/heartbeat/***" in jupyter.log
    assert secret not in jupyter.log


def test_the_token_opens_and_a_foreign_origin_closes(jupyter: Jupyter) -> None:
    """Jupyter's token, as header or in the URL, is the owner's; with a foreign Origin even that is refused."""
    assert jupyter.as_owner("GET", "hello").json()["host_id"]
    assert jupyter.ask("GET", f"hello?token={TOKEN}").status == 200
    own = jupyter.url.split("/user")[0]
    assert jupyter.as_owner("GET", "hello", headers={"Origin": own}).status == 200
    for origin in (
        "http://evil.example",
        own + ".evil.example",
        own.replace("http:", "https:") + "1",
        "null",
        own + "/",
        "http://localhost",
    ):
        assert jupyter.as_owner("GET", "hello", headers={"Origin": origin}).status == 403, origin


def test_a_browser_session(jupyter: Jupyter) -> None:
    """The login cookie opens on the same origin; what another site makes a browser send with it is refused."""
    cookie, own = jupyter.login_cookie(), jupyter.url.split("/user")[0]
    ticket = json.dumps({"party": "terminal-server", "room": "r"}).encode()
    assert jupyter.ask("GET", "api/ops/scans", headers={"Cookie": cookie}).status == 200
    assert jupyter.ask("POST", "tickets", headers={"Cookie": cookie, "Origin": own}, body=ticket).status == 200
    assert jupyter.ask("GET", "hello", headers={"Cookie": cookie, "Origin": "http://evil.example"}).status == 403
    assert jupyter.ask("POST", "tickets", headers={"Cookie": cookie, "Origin": "http://evil.example"}, body=ticket).status == 403
    assert jupyter.ask("GET", "hello", headers={"Cookie": cookie, "Sec-Fetch-Site": "cross-site"}).status == 403
    assert jupyter.ask("POST", "tickets", headers={"Cookie": cookie}, body=ticket).status == 403
    xsrf = next(part.split("=", 1)[1] for part in cookie.split("; ") if part.startswith("_xsrf"))
    assert jupyter.ask("POST", "tickets", headers={"Cookie": cookie, "X-XSRFToken": xsrf}, body=ticket).status == 200


@pytest.mark.skipif("page.js" not in bundles.bundle_names(), reason="the front end is not built here")
def test_the_page_stands_behind_jupyters_login(jupyter: Jupyter) -> None:
    """Who is logged in gets the page, which knows where the routes are; a browser without a login is sent to it and back, nowhere else.
    A login that has outlived Jupyter's other cookie gets that anew: behind a Hub no `fetch` is answered without it."""
    browse = {"Accept": "text/html"}
    login = "; ".join(pair for pair in jupyter.login_cookie().split("; ") if not pair.startswith("_xsrf="))
    page = jupyter.ask("GET", "", headers={**browse, "Cookie": login})
    base = urlsplit(jupyter.url).path
    assert page.headers["Set-Cookie"].startswith("_xsrf=")
    assert page.status == 200
    assert f'data-base-url="{base}"'.encode() in page.body
    assert b"data-sign-in" not in page.body
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    sent = jupyter.ask("GET", "", headers=browse)
    assert sent.status == 200
    assert f'data-login="{base}login?next={quote(base + "partywidgets/", safe="")}"'.encode() in sent.body
    assert b"data-base-url" not in sent.body
    assert sent.headers["Content-Security-Policy"] == page.headers["Content-Security-Policy"]
    assert sent.headers["Cache-Control"] == "no-store"
    assert jupyter.ask("GET", "").status == 401
    assert jupyter.ask("GET", "", headers={**browse, "Host": "rebound.example"}).status == 403
    assert jupyter.as_owner("POST", "", body=b"x").status == 405


def test_a_connection_is_kept_or_said_to_end(jupyter: Jupyter) -> None:
    """A proxy sends its next request where the last answer said nothing of an end: else it answers that one itself, with an error."""
    where = urlsplit(jupyter.rooms)
    refused: list[tuple[str, dict[str, str]]] = [
        ("hello", {}),
        ("", {}),
        ("", {"Accept": "text/html"}),
        ("hello", {"Origin": "http://x.example"}),
    ]
    for path, headers in [*refused, ("healthz", {}), ("api/ops/scans", {})]:
        connection = HTTPConnection(str(where.hostname), where.port, timeout=30)
        connection.request("GET", where.path + path, headers=headers)
        answer = connection.getresponse()
        answer.read()
        if answer.getheader("Connection") != "close":
            connection.auto_open = 0
            connection.request("GET", where.path + "healthz")
            assert connection.getresponse().status == 200
        connection.close()


def test_the_terminals_are_listed_to_whoever_is_logged_in(jupyter: Jupyter) -> None:
    """With the login's cookie, as the page asks; not where another site makes a browser ask."""
    cookie = jupyter.login_cookie()
    listed = jupyter.ask("GET", "api/terminals", headers={"Cookie": cookie, "Sec-Fetch-Site": "same-origin"})
    assert (listed.status, listed.json()["role"]) == (200, "moderator")
    assert {"default", "local"} <= set(listed.json()["sandboxes"])
    assert jupyter.ask("GET", "api/terminals", headers={"Cookie": cookie, "Sec-Fetch-Site": "cross-site"}).status == 403


def test_a_wrong_host_is_jupyters_to_refuse(jupyter: Jupyter) -> None:
    """Jupyter's own Host check stands before everything, the open routes included."""
    for path in ("hello", "healthz", "parties/terminal-server/x"):
        assert jupyter.as_owner("GET", path, headers={"Host": "rebound.example"}).status == 403


def test_a_body_has_a_limit(jupyter: Jupyter) -> None:
    """A body of nine megabytes is refused instead of kept."""
    try:
        status = jupyter.as_owner("POST", "tickets", body=b"x" * 9 * 1024 * 1024).status
    except OSError:
        return  # cut while it was sent
    assert status in (400, 413)


# rooms


async def test_a_room_over_the_detached_socket(jupyter: Jupyter) -> None:
    """A terminal runs through the extension's WebSocket: dialect chosen, welcome, keystrokes, output, close code."""
    headers = {"Authorization": f"token {TOKEN}"}
    url = ws_url(jupyter, "parties/terminal-server/detached")
    dialect = [Subprotocol("partywidgets.terminal.v1")]
    async with asyncio.timeout(30), connect(url, additional_headers=headers, subprotocols=dialect, proxy=None) as socket:
        assert socket.subprotocol == "partywidgets.terminal.v1"
        welcome = json.loads(await socket.recv())
        assert (welcome["type"], welcome["role"], welcome["host_id"]) == (
            "welcome",
            "moderator",
            jupyter.as_owner("GET", "hello").json()["host_id"],
        )
        await socket.send(
            json.dumps({"type": "run", "id": "1", "command": "echo $((6*7)); echo ${PARTYWIDGETS_KERNEL_SECRET-none}", "timeout_s": 20})
        )
        while True:
            message = await socket.recv()
            if isinstance(message, str) and json.loads(message)["type"] == "reply":
                break
    reply = json.loads(message)
    assert reply["ok"], reply
    assert reply["result"]["output"].split() == ["42", "none"], "the shell does not have the kernels' secret"


async def test_upgrades_are_judged_as_requests_are(jupyter: Jupyter) -> None:
    """No login 401, a foreign Origin 403 also with the token, an unknown party 400, a broken handshake 400."""
    token = {"Authorization": f"token {TOKEN}"}
    assert "snapshot" in str(await first_frame(jupyter, additional_headers=token))
    assert "snapshot" in str(await first_frame(jupyter, additional_headers=token, origin=jupyter.url.split("/user")[0]))
    assert "snapshot" in str(await first_frame(jupyter, f"api/ops/broadcast?token={TOKEN}"))
    for options, status in (({}, 401), ({"additional_headers": token, "origin": "http://evil.example"}, 403)):
        with pytest.raises(InvalidStatus) as refused:
            await first_frame(jupyter, **options)  # type: ignore[arg-type]
        assert refused.value.response.status_code == status
    with pytest.raises(InvalidStatus) as unknown:
        await first_frame(jupyter, "parties/nobody/x", additional_headers=token)
    assert unknown.value.response.status_code == 400
    assert await asyncio.to_thread(_status_of_broken_upgrade, jupyter) in (400, 426)


def _status_of_broken_upgrade(jupyter: Jupyter) -> int:
    place = urlsplit(jupyter.url)
    assert place.hostname is not None
    asked = HTTPConnection(place.hostname, place.port, timeout=30)  # urllib sends a Connection of its own
    with closing(asked):
        headers = {**UPGRADE, "Sec-WebSocket-Version": "12", "Authorization": f"token {TOKEN}"}
        asked.request("GET", f"{place.path.rstrip('/')}/partywidgets/api/ops/broadcast", headers=headers)
        return asked.getresponse().status


async def test_a_ticket_opens_one_socket(jupyter: Jupyter) -> None:
    """A ticket from the owner opens its room once, without a login; then the socket closes with 4401."""
    wanted = json.dumps({"party": "ops-monitor-broadcast", "room": "main"}).encode()
    answer = await asyncio.to_thread(jupyter.as_owner, "POST", "tickets", body=wanted)
    offer = [f"partywidgets.ticket.{answer.json()['ticket']}", "partywidgets.v1"]
    assert "snapshot" in str(await first_frame(jupyter, subprotocols=offer))
    async with connect(ws_url(jupyter, "api/ops/broadcast"), subprotocols=offer, proxy=None) as spent:  # type: ignore[arg-type]
        await asyncio.wait_for(spent.wait_closed(), 20)
    assert spent.close_code == 4401
    assert answer.json()["ticket"] not in jupyter.log


# kernels

SECRET = "import os; print(os.environ['PARTYWIDGETS_KERNEL_SECRET'])"
KERNEL_CODE = """
import json, os
from partywidgets.runtime import runtime
mine = runtime()
address = mine.address
print(json.dumps({
    "kind": address.kind,
    "host_id": address.host_id,
    "path": address.jupyter_path,
    "secret": os.environ["PARTYWIDGETS_KERNEL_SECRET"],
    "ticket": bool(mine.thread.run(mine.ticket("terminal-server", "r"))["ticket"]),
}))
"""


@contextmanager
def client_of(jupyter: Jupyter, kernel: str) -> Iterator[BlockingKernelClient]:
    """A client of a kernel that the server has started, once it answers."""
    client = BlockingKernelClient(connection_file=str(jupyter.folder / "runtime" / f"kernel-{kernel}.json"))
    client.load_connection_file()
    # Its heartbeat would be taken as lost after one second without an answer, and the kernel as dead.
    client.start_channels(hb=False)
    try:
        client.wait_for_ready(timeout=40)
        yield client
    finally:
        client.stop_channels()


def run_in_kernel(jupyter: Jupyter, code: str) -> str:
    """Starts a kernel by the server's API and runs code in it."""
    kernel = jupyter.as_owner("POST", "/api/kernels", body=b"{}").json()
    printed: list[str] = []

    def hook(message: dict[str, Any]) -> None:
        if message["msg_type"] in ("stream", "error"):
            printed.append(message["content"].get("text") or str(message["content"]["evalue"]))

    try:
        with client_of(jupyter, kernel["id"]) as client:
            client.execute_interactive(code, timeout=40, output_hook=hook)
        return "".join(printed)
    finally:
        jupyter.as_owner("DELETE", f"/api/kernels/{kernel['id']}")


def test_a_kernel_of_the_server_uses_its_rooms(jupyter: Jupyter) -> None:
    """A kernel finds the server's host by its environment and acts as its owner and as a runner; the secret is in no log."""
    printed = run_in_kernel(jupyter, KERNEL_CODE)
    assert printed.startswith('{"kind"'), printed
    told = json.loads(printed)
    assert (told["kind"], told["path"], told["ticket"]) == ("jupyter", "partywidgets/", True)
    assert told["host_id"] == jupyter.as_owner("GET", "hello").json()["host_id"]
    secret = {"Authorization": f"Bearer {told['secret']}"}
    assert jupyter.ask("GET", "api/ops/scans", headers=secret).status == 200
    assert jupyter.ask("GET", "api/ops/scans", headers={**secret, "Origin": "http://evil.example"}).status == 403
    assert jupyter.ask("GET", "/api/contents", headers=secret).status in (302, 403), "the secret opens our routes only"
    offered = asyncio.run(_offer(jupyter, secret))
    assert offered["ok"] is True, offered
    assert told["secret"] not in jupyter.log


async def _offer(jupyter: Jupyter, secret: dict[str, str]) -> dict[str, Any]:
    url = ws_url(jupyter, "parties/ops-monitor-broadcast/main")
    async with asyncio.timeout(20), connect(url, additional_headers=secret, subprotocols=["partywidgets.runner.v1"], proxy=None) as socket:  # type: ignore[list-item]
        await socket.send(json.dumps({"type": "offer", "data": {"id": "1", "runner": "test", "checks": []}}))
        while True:
            frame = json.loads(await socket.recv())
            if frame["type"] == "reply":
                return dict(frame["data"])


def test_a_saved_notebook_shows_the_room(jupyter: Jupyter) -> None:
    """Saving by Jupyter's API puts the room's screen beside the widget; a room that is not there is not made."""
    asyncio.run(_type_something(jupyter, "saved"))
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "1", "version_major": 2, "version_minor": 0}}
    outputs = [
        {
            "output_type": "display_data",
            "metadata": {},
            "data": {**view, "text/plain": f"Terminal(room={room!r})", "text/html": "<i>old</i>"},
        }
        for room in ("saved", "never-made")
    ]
    cell = {"cell_type": "code", "id": "a1", "execution_count": 1, "metadata": {}, "source": "term", "outputs": outputs}
    content = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]}
    body = json.dumps({"type": "notebook", "format": "json", "content": content}).encode()
    before = terminal_rooms(jupyter)
    assert jupyter.as_owner("PUT", "/api/contents/saved.ipynb", body=body).status == 201
    assert terminal_rooms(jupyter) == before
    kept = json.loads((jupyter.folder / "root" / "saved.ipynb").read_text())["cells"][0]["outputs"]
    assert "a2b" in "".join(kept[0]["data"]["text/html"])
    name, *screen = "".join(kept[0]["data"]["text/plain"]).splitlines()
    assert name == "Terminal(room='saved')"
    assert "a2b" in screen
    assert "".join(kept[1]["data"]["text/html"]) == "<i>old</i>"
    assert "".join(kept[1]["data"]["text/plain"]) == "Terminal(room='never-made')"


def test_a_saved_dashboard_shows_the_board(jupyter: Jupyter) -> None:
    """Beside a dashboard stand the counts and the failing rows first, as text and as HTML; a second save changes nothing.

    JupyterLab saves its model, too, where it is told to save widget state: that is left out, or nbconvert would show nothing offline."""
    results = [
        CheckResult("fine", "tcp", "a:1", "ok"),
        CheckResult("shop", "http", "http://b/", "crit", severity="high", summary="got 503"),
    ]
    body = json.dumps({"report": ScanReport(results=results).to_wire()}).encode()
    assert jupyter.as_owner("POST", "api/ops/scans", body=body).status == 201
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "1", "version_major": 2, "version_minor": 0}}
    shown = {**view, "text/plain": "OpsDashboard(room='main')", "text/html": "<i>old</i>"}
    outputs = [{"output_type": "display_data", "metadata": {}, "data": shown}]
    cell = {"cell_type": "code", "id": "a1", "execution_count": 1, "metadata": {}, "source": "ops", "outputs": outputs}
    state = {"_party": "p", "_room": "main", "_bundle": {}, "_snapshot": {}}
    models = {"1": {"model_module": "anywidget", "model_name": "AnyModel", "state": state}}
    widgets = {"application/vnd.jupyter.widget-state+json": {"version_major": 2, "version_minor": 0, "state": models}}
    saved = jupyter.folder / "root" / "board.ipynb"
    content: dict[str, Any] = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]}
    for _ in range(2):
        content["metadata"]["widgets"] = widgets
        body = json.dumps({"type": "notebook", "format": "json", "content": content}).encode()
        assert jupyter.as_owner("PUT", "/api/contents/board.ipynb", body=body).status in (200, 201)
        content = json.loads(saved.read_text())
        assert "widgets" not in content["metadata"]
        data = content["cells"][0]["outputs"][0]["data"]
        lines = "".join(data["text/plain"]).splitlines()
        assert lines[0] == "OpsDashboard(room='main')"
        assert "1 crit" in lines[1]
        assert lines[3].split() == ["crit", "high", "shop", "got", "503"]
        assert "".join(data["text/html"]).count("pw-still") == 1
        assert ">got 503</td>" in "".join(data["text/html"])


def test_a_widget_of_another_host_is_saved_as_its_kernel_saw_it(jupyter: Jupyter) -> None:
    """A kernel leaves what it sees of a team's host; nobody else may, a state that is none is refused, and the notebook gets it."""
    secret = {"Authorization": f"Bearer {run_in_kernel(jupyter, SECRET).strip()}"}
    state = {"text": "1 crit", "html": "<p>1 crit</p>", "at": "2026-11-29T12:00:00.000Z"}
    body = json.dumps(state).encode()
    assert jupyter.ask("PUT", "snapshots/m1", headers=secret, body=body).status == 200
    assert jupyter.ask("PUT", "snapshots/m2", body=body).status == 403
    assert jupyter.as_owner("PUT", "snapshots/m2", body=body).status == 403
    assert jupyter.ask("GET", "snapshots/m1", headers=secret).status == 405
    late, deep = json.dumps({**state, "at": "now"}).encode(), b'{"text": ' + b"[" * 100_000
    for bad, status in ((b"{", 400), (b'{"text": 1}', 400), (late, 400), (deep, 400), (b"x" * 2_000_000, 413)):
        assert jupyter.ask("PUT", "snapshots/m2", headers=secret, body=bad).status == status
    outputs = [
        {
            "output_type": "display_data",
            "metadata": {ELSEWHERE: True},
            "data": {WIDGET_VIEW: {"model_id": model}, "text/plain": "OpsDashboard(room='main')", "text/html": "<i>old</i>"},
        }
        for model in ("m1", "m2")
    ]
    cell = {"cell_type": "code", "id": "a1", "execution_count": 1, "metadata": {}, "source": "ops", "outputs": outputs}
    content = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]}
    body = json.dumps({"type": "notebook", "format": "json", "content": content}).encode()
    assert jupyter.as_owner("PUT", "/api/contents/team.ipynb", body=body).status == 201
    saved = json.loads((jupyter.folder / "root" / "team.ipynb").read_text())["cells"][0]["outputs"]
    told, unknown = ("".join(output["data"]["text/html"]) for output in saved)
    assert "as it was at 2026-11-29 12:00:00 UTC, not live</p><p>1 crit</p>" in told
    assert unknown == "<i>old</i>"


def test_a_notebook_is_read_with_the_widgets_that_its_kernel_has(jupyter: Jupyter) -> None:
    """A widget stays one while its kernel has it, though a cell runs there; its last state stands in once the kernel was restarted."""
    body = json.dumps({"path": "w.ipynb", "type": "notebook", "name": "w", "kernel": {"name": "python3"}}).encode()
    session = jupyter.as_owner("POST", "/api/sessions", body=body).json()
    kernel = session["kernel"]["id"]
    try:
        with client_of(jupyter, kernel) as client:
            said: list[str] = []
            code = "from ipywidgets import IntSlider; a = IntSlider(); print(a.model_id)"
            client.execute_interactive(code, timeout=40, output_hook=lambda message: said.append(message["content"].get("text", "")))
            view, state = {WIDGET_VIEW: {"model_id": "".join(said).strip()}}, kept("Terminal(room='nobody-is-here')", "$ ", "<pre>$ </pre>")
            output = {"output_type": "display_data", "metadata": {}, "data": view | state}
            cell = {"cell_type": "code", "id": "a1", "execution_count": 1, "metadata": {}, "source": "a", "outputs": [output]}
            content = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]}
            body = json.dumps({"type": "notebook", "format": "json", "content": content}).encode()
            assert jupyter.as_owner("PUT", "/api/contents/w.ipynb", body=body).status == 201

            def opened() -> dict[str, Any]:
                return dict(jupyter.as_owner("GET", "/api/contents/w.ipynb").json()["content"]["cells"][0]["outputs"][0]["data"])

            client.execute("open('busy', 'w').close(); import time; time.sleep(600)")
            deadline = time.monotonic() + 40
            while not (jupyter.folder / "root" / "busy").exists():
                assert time.monotonic() < deadline
                time.sleep(0.05)
            assert WIDGET_VIEW in opened()
            assert jupyter.as_owner("POST", f"/api/kernels/{kernel}/restart", body=b"{}").status == 200
            deadline = time.monotonic() + 40
            while WIDGET_VIEW in (bundle := opened()):  # a kernel that was just started may not answer in time
                assert time.monotonic() < deadline
            assert "not live: run this cell to go on" in "".join(bundle["text/html"])
    finally:
        jupyter.as_owner("DELETE", f"/api/sessions/{session['id']}")


# options


def test_without_a_login_nothing_is_served(tmp_path: Path) -> None:
    """With Jupyter's auth off the rooms refuse, and the sentence names the option."""
    with jupyter_server(tmp_path, token="") as open_jupyter:
        answer = open_jupyter.ask("GET", "hello")
        assert answer.status == 403
        assert "allow_unauthenticated" in answer.json()["error"]
        assert open_jupyter.ask("GET", "api/ops/broadcast", headers=UPGRADE).status == 403
        assert open_jupyter.ask("GET", "healthz").status == 200


def test_without_a_login_when_told_so(tmp_path: Path) -> None:
    """allow_unauthenticated serves on loopback, with the roles of an open host, and still to the own origin only."""
    config = "c.PartyWidgetsApp.allow_unauthenticated = True\nc.ServerApp.terminals_enabled = False\n"
    with jupyter_server(tmp_path, token="", config=config) as open_jupyter:
        assert open_jupyter.ask("GET", "hello").status == 200
        assert open_jupyter.ask("GET", "hello", headers={"Origin": "http://evil.example"}).status == 403
        assert open_jupyter.ask("GET", "hello", headers={"Sec-Fetch-Site": "cross-site"}).status == 403
        assert open_jupyter.ask("PUT", "api/sandboxes/x", body=b'{"address": "local:"}', headers={"X-Requested-With": "x"}).status == 403
        state = asyncio.run(_upstream_state(open_jupyter))
        assert state["state"] == "failed", "without Jupyter's terminals there is no local shell"


def test_without_a_login_every_address_is_too_many(tmp_path: Path) -> None:
    """`--ip=*` listens everywhere: then nobody is let in without a login, whatever was allowed."""
    config = "c.PartyWidgetsApp.allow_unauthenticated = True\n"
    with jupyter_server(tmp_path, "--ip=*", token="", config=config) as everywhere:
        for route in ("hello", "api/ops/scans", "parties/terminal-server/x"):
            answer = everywhere.ask("GET", route)
            assert answer.status == 403, route
            assert "127.0.0.1 only" in answer.json()["error"]
        assert everywhere.ask("GET", "parties/terminal-server/x", headers=UPGRADE).status == 403


def test_without_a_login_only_this_machines_names_are_answered(tmp_path: Path) -> None:
    """A page whose name was made to point here is refused, also where Jupyter itself was told to accept every Host."""
    config = "c.PartyWidgetsApp.allow_unauthenticated = True\nc.ServerApp.allow_remote_access = True\n"
    with jupyter_server(tmp_path, token="", config=config) as open_jupyter:
        port = open_jupyter.url.split(":")[2].split("/")[0]
        assert open_jupyter.ask("GET", "hello", headers={"Host": f"localhost:{port}"}).status == 200
        for host in (f"rebound.example:{port}", f"localhost.rebound.example:{port}", f"127.0.0.1.:{port}", "rebound.example"):
            headers = {"Host": host, "Origin": f"http://{host}"}
            for route in ("hello", "api/ops/scans", "parties/terminal-server/x"):
                assert open_jupyter.ask("GET", route, headers=headers).status == 403, (host, route)
            assert open_jupyter.ask("GET", "parties/terminal-server/x", headers={**headers, **UPGRADE}).status == 403, host


async def _upstream_state(jupyter: Jupyter) -> dict[str, Any]:
    url = ws_url(jupyter, "parties/terminal-server/none")
    async with asyncio.timeout(20), connect(url, subprotocols=["partywidgets.terminal.v1"], proxy=None) as socket:  # type: ignore[list-item]
        while True:
            frame = await socket.recv()
            if isinstance(frame, str) and json.loads(frame).get("state") in ("failed", "running"):
                return dict(json.loads(frame))


PROVIDER = """
from jupyter_server.auth import IdentityProvider, User

class People(IdentityProvider):
    def get_user(self, handler):
        name = handler.request.headers.get("X-Person")
        return User(name) if name else None

    @property
    def auth_enabled(self):
        return True

c.ServerApp.identity_provider_class = People
"""


def test_another_user_looks_on(tmp_path: Path) -> None:
    """Where Jupyter knows several people, its owner may do everything and another one only watch."""
    with jupyter_server(tmp_path, config=PROVIDER, env={"JUPYTERHUB_USER": "ana"}) as hub:
        sandbox, headers = b'{"address": "local:"}', {"Origin": hub.url.rstrip("/")}
        assert hub.ask("GET", "hello", headers={"X-Person": "bob"}).status == 200
        assert hub.ask("GET", "hello").status == 401
        assert hub.ask("PUT", "api/sandboxes/x", body=sandbox, headers={"X-Person": "bob", **headers}).status == 403
        assert hub.ask("PUT", "api/sandboxes/x", body=sandbox, headers={"X-Person": "ana", **headers}).status == 200


def test_a_list_as_python_writes_it_is_no_owner() -> None:
    """To Jupyter `--PartyWidgetsApp.owners=['ben']` is one name: said, since else ben is a guest and nobody knows why."""
    assert PartyWidgetsApp(config=Config(PartyWidgetsApp={"owners": ["ben"]})).owners == ["ben"]
    with pytest.raises(TraitError, match=r"give --PartyWidgetsApp\.owners=NAME once for each"):
        PartyWidgetsApp(config=Config(PartyWidgetsApp={"owners": ["['ben']"]}))


def test_it_stops_in_order(tmp_path: Path) -> None:
    """SIGTERM ends the server with its rooms in order; an open terminal does not hold it up."""
    with jupyter_server(tmp_path) as running:
        asyncio.run(_type_something(running))
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(40) == 0
        assert "Traceback" not in running.log
        assert "did not stop" not in running.log


async def _type_something(jupyter: Jupyter, room: str = "t") -> None:
    url = ws_url(jupyter, f"parties/terminal-server/{room}?token={TOKEN}")
    async with asyncio.timeout(40), connect(url, proxy=None) as socket:
        await socket.send("echo a$((1+1))b\r")
        shown = ""
        while "a2b" not in shown:
            shown += str(await socket.recv())
