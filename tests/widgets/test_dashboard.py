"""The dashboard's second room: which terminals its kernel gives the page a ticket for."""

from __future__ import annotations

import asyncio
import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

import partywidgets as pw
from partywidgets.exceptions import ConfigError, MissingNameError
from partywidgets.runtime import Runtime
from partywidgets.testing import party_runtime
from partywidgets.widgets import _base
from partywidgets.widgets.ops_view import OpsView

__all__ = ["party_runtime"]

WAIT = 30.0
CONFIG = """
checks:
  - {id: shop, type: exec, command: [/bin/false], remediation: {text: Restart it, command: "true", sandbox: local}}
  - {id: disk, type: exec, command: [/bin/true], remediation: {text: Look at it}}
"""


async def asked(view: OpsView, **request: Any) -> dict[str, Any]:
    """The kernel's answer to a page's request, over the way that messages of a page take."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[dict[str, Any]] = loop.create_future()

    def tell(content: dict[str, Any], buffers: list[bytes]) -> None:
        if content.get("id") == request["id"]:
            loop.call_soon_threadsafe(answer.set_result, content)

    view._tell_page = tell  # type: ignore[method-assign]
    view._received(None, request, [])
    return await asyncio.wait_for(answer, WAIT)


async def greeting(runtime: Runtime, room: str, ticket: str) -> dict[str, Any]:
    """What a terminal room says to whoever comes with a ticket."""
    url = f"{runtime.address.url.replace('http', 'ws', 1)}parties/terminal-server/{room}?sandboxId={room}"
    protocols: Any = ["partywidgets.terminal.v1", f"partywidgets.ticket.{ticket}"]
    async with connect(url, subprotocols=protocols) as socket, asyncio.timeout(WAIT):
        return dict(json.loads(await socket.recv()))


@pytest.fixture
async def ops(party_runtime: Runtime, tmp_path: Path) -> Any:
    """A dashboard on two checks, one of which names a sandbox."""
    file = tmp_path / "shop.yaml"
    file.write_text(CONFIG)
    view = await pw.ops(file)
    await view.scan(timeout=WAIT)
    yield view
    view.close()


async def test_a_ticket_for_the_terminal_of_a_row(ops: OpsView, party_runtime: Runtime) -> None:
    """The sandbox that a row names is opened by its ticket, once, in the room of that name, on that sandbox."""
    answer = await asked(ops, op="ticket", id="r1", sandbox="local")
    assert answer["expires_in"] == 30
    welcome = await greeting(party_runtime, "local", answer["ticket"])
    assert (welcome["type"], welcome["sandbox"], welcome["role"]) == ("welcome", "local", "moderator")
    with pytest.raises(ConnectionClosed) as closed:
        await greeting(party_runtime, "local", answer["ticket"])
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401


async def test_that_ticket_opens_no_other_room(ops: OpsView, party_runtime: Runtime) -> None:
    """A ticket for one sandbox's terminal is refused at another's."""
    answer = await asked(ops, op="ticket", id="r1", sandbox="local")
    with pytest.raises(ConnectionClosed) as closed:
        await greeting(party_runtime, "default", answer["ticket"])
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401


@pytest.mark.parametrize("sandbox", ["default", "main", "", None, 3, ["local"], "local/../main", "x" * 1000])
async def test_a_terminal_that_no_row_names(ops: OpsView, sandbox: object) -> None:
    """A page gets no ticket for a sandbox that no row names, known to the host or not; the sentence says what to do."""
    answer = await asked(ops, op="ticket", id="r1", sandbox=sandbox)
    assert "ticket" not in answer
    assert "no row names the sandbox" in answer["error"]
    assert "`remediation`" in answer["error"]


async def test_without_a_sandbox_it_is_the_ops_room(ops: OpsView, party_runtime: Runtime) -> None:
    """A request as before is for the widget's own room, whose ticket opens no terminal."""
    answer = await asked(ops, op="ticket", id="r1")
    with pytest.raises(ConnectionClosed):
        await greeting(party_runtime, "local", answer["ticket"])


async def test_other_widgets_open_no_terminal(ops: OpsView, party_runtime: Runtime) -> None:
    """The table has one room, whatever its page asks for."""
    table = pw.ScanTable()
    try:
        answer = await asked(table, op="ticket", id="r1", sandbox="local")
        assert "ticket" not in answer
        assert "opens no terminal" in answer["error"]
    finally:
        table.close()


async def test_what_was_run_for_rows_is_asked_of_the_dashboard(ops: OpsView) -> None:
    """`await ops.remedies()` has the proofs of all rows, and of one those of that one."""
    assert await ops.remedies() == []
    client = await ops._ops.connected()
    rows = {row["check_id"]: fingerprint for fingerprint, row in client.rows.items()}
    proof = await client.prove(rows["shop"], sandbox="local", command="true", exit_code=0)
    assert await ops.remedies(hours=1) == [proof]
    assert await ops.remedies(fingerprint=rows["shop"]) == [proof]
    assert await ops.remedies(fingerprint=rows["disk"]) == []


async def test_what_the_room_tells(ops: OpsView) -> None:
    """A cell follows it with `async for`, beside a scan that it runs itself, and has what the bar says as attributes."""
    assert (ops.failing_targets, ops.unkept, ops.config_refused, ops.removed) == ([], None, None, None)
    heard: list[str] = []

    async def follow() -> None:
        async for kind, _ in ops:
            heard.append(kind)
            if kind == "scan-result":
                return

    following = asyncio.ensure_future(follow())
    while "scan-result" not in heard:
        await ops.scan(timeout=WAIT)
    await following
    client = ops._thread.run(ops._ops.connected())
    async with asyncio.timeout(WAIT):
        while client._readers:  # whoever left the loop keeps nothing
            await asyncio.sleep(0.01)
    assert set(heard) <= {"scan-started", "check-result", "scan-result"}


async def test_names_that_are_not_there(ops: OpsView) -> None:
    """A name of another tool says ours, and where names are completed ipywidgets' fifty do not hide them."""
    for name, instead in (("checks", "df, a DataFrame"), ("acknowledge", r"ack\(\)"), ("histroy", "did you mean 'history'")):
        with pytest.raises(MissingNameError, match=rf"OpsDashboard has no '{name}': .*{instead}"):
            getattr(ops, name)
    with pytest.raises(AttributeError, match=r"Terminal has no 'exec': it is run\(\)"):
        _ = pw.Terminal("names").exec
    shown = {name for name in dir(ops) if not name.startswith("_")}
    assert {"scan", "df", "failing", "history", "close", "layout", "observe", "counts"} <= shown
    assert not {"add_traits", "class_traits", "keys", "send_state", "bundle"} & shown


async def test_a_config_that_is_refused_leaves_no_dashboard(party_runtime: Runtime, tmp_path: Path) -> None:
    """Nobody was given it, so nobody could close it."""
    file = tmp_path / "bad.yaml"
    file.write_text("checks: 3\n")
    before = set(_base._open_widgets)
    with pytest.raises(ConfigError):
        await pw.ops(file)
    assert set(_base._open_widgets) == before


async def test_a_scan_that_is_not_published_needs_no_host(party_runtime: Runtime, tmp_path: Path) -> None:
    """It runs here, and none is started for it."""
    file = tmp_path / "one.yaml"
    file.write_text("checks:\n  - {id: up, type: exec, command: [/bin/true]}\n")
    assert [(result.check_id, result.status) for result in (await pw.scan(file, publish=False)).results] == [("up", "ok")]
    assert party_runtime.known is None


async def test_a_client_that_has_ended_is_made_anew(ops: OpsView) -> None:
    """A cell that runs later finds its room again."""
    ended = ops._thread.run(ops._ops.connected())
    ops._thread.run(ended.close())
    assert not (await ops.scans()).empty
    assert ops._ops.client is not ended


async def test_a_fault_of_ours_is_answered_without_its_text(ops: OpsView, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page hears that there is no answer; what was wrong is for the log."""

    async def fail(*_: object) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(ops._runtime, "hello", fail)
    answer = await asked(ops, op="hello", id="h1", sockets={})
    assert answer == {"op": "hello", "id": "h1", "error": "the kernel could not answer, its log says why"}


async def test_what_fails(ops: OpsView) -> None:
    """`failing` is the rows that need a person, of the board and of a report."""
    report = await ops.scan(["shop", "disk"])
    assert list(report.failing["check_id"]) == ["shop"]
    assert set(ops.failing["check_id"]) & {"shop", "disk"} == {"shop"}
    with pytest.raises(AttributeError, match="ScanReport has no 'failed': it is failing, a DataFrame"):
        _ = report.failed  # type: ignore[attr-defined]
    first = ops.scan(["shop", "disk"])
    assert (await ops.diff(first, ops.scan(["shop", "disk"]))).empty


async def test_a_warning_is_at_the_line_of_whoever_asked(ops: OpsView) -> None:
    """A mistyped id warns where it stands, each time: at a line of ours Python would show it once and say nothing in the next cell."""
    await ops.scan(["shop"])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        await ops.history("shpo")
        ops.history("shpo").wait(30)
        handle = ops.hours("shpo")
        await handle
        await handle
    assert [(warning.filename, "did you mean 'shop'?" in str(warning.message)) for warning in caught] == [(__file__, True)] * 3
    assert len({warning.lineno for warning in caught}) == 3


async def test_sections_that_the_host_leaves_out_are_told(party_runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a config with `auth`, or with addresses for a host that takes none from a notebook, a word says so; the rest is in force."""
    file = tmp_path / "team.yaml"
    file.write_text(CONFIG + "auth: { origins: ['https://ops.example.com'] }\nsandboxes: { web: 'docker:web-1' }\n")
    with pytest.warns(UserWarning, match=r"team.yaml: its `auth` is not in force here: a host reads that when it starts"):
        view = await pw.ops(file)
    try:
        assert party_runtime.app is not None
        assert "web" in party_runtime.app.terminals.sandboxes
        file.write_text(CONFIG + "sandboxes: { db: 'docker:db-1' }\n")
        monkeypatch.setattr(party_runtime.app, "owner_addresses", False)
        with pytest.warns(UserWarning, match="team.yaml: its `sandboxes` are not taken: this host has addresses from its own config alone"):
            await view.load(file)
        assert "db" not in party_runtime.app.terminals.sandboxes
    finally:
        view.close()
