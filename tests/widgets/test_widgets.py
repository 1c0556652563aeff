"""The widgets' Python side, without a browser."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pytest
import traitlets

import partywidgets as pw
from partywidgets import bundles
from partywidgets.exceptions import CommandError, HostError, KeywordError, PartyError, ScanError
from partywidgets.runtime import Runtime
from partywidgets.saved_notebook import never_kept
from partywidgets.scans.model import CheckResult, Suppression
from partywidgets.scans.report import ScanReport
from partywidgets.testing import party_runtime, party_terminal
from partywidgets.widgets.rendering import SNAPSHOT_ROWS, rendered, still
from partywidgets.widgets.terminal import sandbox_id

from ..running_app import running

__all__ = ["party_runtime", "party_terminal"]

HEAVY = [
    "pandas",
    "numpy",
    "aiohttp",
    "aiodocker",
    "kubernetes_asyncio",
    "cryptography",
    "dns",
    "celpy",
    "uvicorn",
    "pydantic",
    "websockets",
    "IPython",
]


def test_importing_is_light() -> None:
    """`import partywidgets` brings in nothing heavy, neither ours nor others': public names are imported when they are used."""
    code = "import sys, json, partywidgets; print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout)
    assert not [name for name in HEAVY if name in loaded]
    assert [name for name in loaded if name.startswith("partywidgets")] == ["partywidgets"]


def test_loading_the_extension_is_light() -> None:
    """%load_ext adds ipywidgets and anywidget, but no DataFrame, no container engine, no HTTP server and no check library."""
    code = (
        "import sys, json, anywidget, IPython; before = set(sys.modules); import partywidgets.kernel;"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    loaded = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout)
    assert not [name for name in HEAVY if name in loaded and name not in ("websockets",)]


def test_every_public_name_is_there() -> None:
    """Each name of __all__ can be used, is listed by dir(), and a wrong one names the right ones."""
    for name in pw.__all__:
        assert getattr(pw, name) is not None
        assert name in dir(pw)
    with pytest.raises(AttributeError, match="partywidgets has no 'terminal_'"):
        _ = pw.terminal_  # type: ignore[attr-defined]


def test_what_a_cell_shows_is_stable(party_terminal: Callable[..., Any]) -> None:
    """Two widgets on one room show the same text and HTML, without an address of memory, a port or an id; no script in it."""
    first, second = party_terminal("w", sandbox="local"), party_terminal("w", sandbox="local")
    bundle, _ = first._repr_mimebundle_()
    other, _ = second._repr_mimebundle_()
    assert bundle["text/plain"] == "Terminal(room='w', sandbox='local')" == repr(second)
    assert bundle["text/html"] == other["text/html"]
    assert "<script" not in bundle["text/html"]
    assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == first.model_id


def test_traits_are_those_of_the_contract(party_terminal: Callable[..., Any], party_runtime: Runtime) -> None:
    """The synced state has the contract's traits and no secret in any of them."""
    terminal = party_terminal("w", sandbox="local", rows=30, font_size=15)
    state = terminal.get_state()
    assert state["_party"] == "terminal-server"
    assert state["_query"] == {"sandboxId": "local", "rows": "30"}
    assert state["_options"] == {"rows": 30, "font_size": 15}
    assert state["_bundle"] == {"name": "terminal.js", "hash": bundles.static_hash()}
    assert state["_endpoints"][-1] == {"kind": "comm", "host_id": party_runtime.address.host_id}
    for name in ("_snapshot", "state", "role", "transport"):
        assert name in state
    assert party_runtime.address.secret not in json.dumps({key: value for key, value in state.items() if key != "layout"}, default=str)
    with pytest.raises(traitlets.TraitError):
        terminal.state = "nonsense"


def test_ops_traits(party_runtime: Runtime) -> None:
    """The table and the dashboard add selection and counts; both work with observe and link."""
    for widget, bundle in ((pw.ScanTable(height=300), "table.js"), (pw.OpsDashboard(title="Shop"), "dashboard.js")):
        state = widget.get_state()
        assert (state["_party"], state["_room"], state["_bundle"]["name"]) == ("ops-monitor-broadcast", "main", bundle)
        seen: list[Any] = []
        widget.observe(lambda change, seen=seen: seen.append(change["new"]), "selection")
        widget.selection = ["8c6976e5b5410415"]
        assert seen == [["8c6976e5b5410415"]]
        widget.close()


def test_how_a_table_is_looked_at(party_runtime: Runtime) -> None:
    """Columns, order, groups and filter are keywords of the widgets, and a trait that the page changes."""
    table = pw.ScanTable(columns=["status", "title", "labels"], sort=["-duration_ms", "title"], group="label:team", search="-status:ok")
    assert table.get_state()["view"] == {
        "columns": ["status", "title", "labels"],
        "sort": ["-duration_ms", "title"],
        "group": "label:team",
        "search": "-status:ok",
    }
    assert pw.OpsDashboard().view == {}
    table.close()


async def test_selected_rows_are_a_frame(party_runtime: Runtime, tmp_path: Path) -> None:
    """What is selected in the table comes as a DataFrame in that order, without rows that are not there any more."""
    file = tmp_path / "three.yaml"
    file.write_text("checks:\n" + "".join(f"  - {{ id: sel-{name}, type: exec, command: [/bin/true] }}\n" for name in "abc"))
    ops = await pw.ops(file)
    try:
        rows = {row.check_id: row.fingerprint for row in (await ops.scan(timeout=60)).results}
        assert len(ops.selected) == 0
        ops.selection = [rows["sel-c"], "0000000000000000", rows["sel-a"]]
        assert ops.selected["check_id"].to_list() == ["sel-c", "sel-a"]
        assert list(ops.selected.columns) == list(ops.df.columns)
    finally:
        ops.close()


async def test_a_room_belongs_to_its_credential(party_runtime: Runtime, tmp_path: Path) -> None:
    """Widgets made after connect() with another token act with that token, on the same host too; the same token shares its room."""
    async with running(tmp_path / "shared") as host:

        def look() -> None:
            pw.connect(host.url, host.owner)
            before, beside = pw.ScanTable(), pw.ScanTable()
            assert before._ops is beside._ops
            before.scan().wait(30)
            pw.connect(host.url, host.guest)
            after = pw.OpsDashboard()
            assert after._ops is not before._ops
            with pytest.raises(PartyError, match="role"):
                after.scan().wait(30)
            for widget in (before, beside, after):
                widget.close()

        await asyncio.to_thread(look)


async def test_the_remedy_of_a_row(party_runtime: Runtime, tmp_path: Path) -> None:
    """The line that a row's details show runs its command in the shared terminal, and the row is looked at again."""
    flag, file = tmp_path / "flag", tmp_path / "flag.yaml"
    file.write_text(
        f"checks:\n  - id: flag\n    type: exec\n    command: ['/usr/bin/test', '-f', '{flag}']\n"
        f"    remediation: {{ text: Make it, command: 'touch {flag}', sandbox: local }}\n"
    )
    ops = await pw.ops(file)
    try:
        (row,) = [row for row in (await ops.scan(timeout=60)).results if row.check_id == "flag"]  # the host may have other configs too
        assert row.status != "ok"
        proof = await ops.remedy(row.fingerprint).run(timeout=60)
        assert (flag.exists(), proof.exit_code, proof.mended) == (True, 0, True)
        with pytest.raises(ScanError, match="has no row 'nothing'"):
            await ops.remedy("nothing").run()
    finally:
        ops.close()


def test_what_was_comes_as_frames(party_runtime: Runtime) -> None:
    """Scans, results, changes and hours of the past are handles on DataFrames, typed also where there is nothing yet."""
    table = pw.ScanTable()
    frames = [table.scans(), table.history(hours=1), table.changes(check="disk"), table.hours(check="disk", hours=48)]
    assert [(len(handle.wait(30)), handle.wait(30).columns[0]) for handle in frames] == [
        (0, "scan_id"),
        (0, "observed_at"),
        (0, "at"),
        (0, "hour"),
    ]
    table.close()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: pw.Terminal("w", sandbx="x"), r"Terminal\(\) has no keyword 'sandbx': did you mean 'sandbox'\?"),  # type: ignore[arg-type]
        (lambda: pw.Terminal("w", rows=cast("int", "24")), r"Terminal\(rows='24'\): it takes a whole number from 1 to 1,000"),
        (lambda: pw.Terminal("w", scrollback=-1), r"Terminal\(scrollback=-1\): it takes a whole number from 0 to 1,000,000"),
        (lambda: pw.Terminal("w", screen_reader=cast("bool", "no")), r"Terminal\(screen_reader='no'\): it takes True or False"),
        (lambda: pw.Terminal("w", sandbox=""), r"Terminal\(sandbox=''\): a sandbox is an id of the config, or an address"),
        (lambda: pw.Terminal("w", "web"), r"Terminal\('w', 'web'\): only the room .*: write Terminal\('w', sandbox='web'\)"),  # type: ignore[arg-type]
        (lambda: pw.Terminal("docker:web-1"), r"Terminal\('docker:web-1'\): that is .* write Terminal\(NAME, sandbox='docker:web-1'\)"),
        (lambda: pw.Terminal("ttyd+ws://h:1/ws"), r"Terminal\('ttyd\+ws://h:1/ws'\): that is a sandbox's address"),
        (lambda: pw.ScanTable(hight=3), r"ScanTable\(\) has no keyword 'hight': did you mean 'height'\?"),  # type: ignore[arg-type]
        (lambda: pw.OpsDashboard(zzz=3), r"OpsDashboard\(\) has no keyword 'zzz': it takes columns, group, height, layout"),  # type: ignore[arg-type]
        (lambda: pw.ScanTable(sort="-duration"), r"ScanTable\(sort=…\) has no column 'duration': did you mean 'duration_ms'\?"),
        (lambda: pw.ScanTable(columns=["zzz"]), r"ScanTable\(columns=…\) has no column 'zzz': there are status, severity, title"),
        (lambda: pw.OpsDashboard(group="label:"), r"OpsDashboard\(group='label:'\): rows are grouped by status, .*, or label:NAME"),
        (lambda: pw.OpsDashboard(title=3), r"OpsDashboard\(title=3\): it takes text"),  # type: ignore[arg-type]
        (lambda: pw.OpsDashboard(height=-3), r"OpsDashboard\(height=-3\): it takes a whole number of pixels from 40 to 10,000"),
        (lambda: pw.OpsDashboard(columns=3), r"OpsDashboard\(columns=…\) are texts, one or a list of them, got 3"),  # type: ignore[arg-type]
        (lambda: pw.OpsDashboard(sort=[3]), r"OpsDashboard\(sort=…\) are texts, one or a list of them, got 3"),  # type: ignore[list-item]
        (lambda: pw.OpsDashboard(group=3), r"OpsDashboard\(group=3\): rows are grouped by status"),  # type: ignore[arg-type]
        (lambda: pw.OpsDashboard(search=3), r"OpsDashboard\(search=3\): it takes text"),  # type: ignore[arg-type]
        (lambda: pw.OpsDashboard().scan(timeout=-1), r"scan\(timeout=-1\): it takes seconds above 0, or None for no limit"),
        (lambda: pw.OpsDashboard().load(3), r"load\(\) takes the path of a config, as 'partywidgets\.yaml', got 3"),  # type: ignore[arg-type]
        (lambda: pw.ops(3), r"ops\(\) takes the path of a config, as 'partywidgets\.yaml', got 3"),  # type: ignore[arg-type]
        (lambda: pw.scan(3), r"scan\(\) takes the path of a config"),  # type: ignore[arg-type]
        (lambda: pw.Recording(id=3), r"Recording\(id=3\): it takes an id of `await pw\.recordings\(\)`"),  # type: ignore[arg-type]
        (lambda: pw.Recording(idle_time_limit="x"), r"Recording\(idle_time_limit='x'\): it takes seconds above 0"),  # type: ignore[arg-type]
        (lambda: pw.ops("c.yaml", titel="x"), r"ops\(\) has no keyword 'titel': did you mean 'title'\?"),  # type: ignore[call-arg]
        (lambda: pw.scan("c.yaml", publsh=True), r"scan\(\) has no keyword 'publsh': did you mean 'publish'\?"),  # type: ignore[call-arg]
    ],
)
def test_keywords_are_refused_by_name(party_runtime: Runtime, make: Callable[[], Any], sentence: str) -> None:
    """A keyword that does not exist is one sentence that names the right one, a value that it does not take says which it does; it is a
    TypeError as everywhere in Python."""
    with pytest.raises(KeywordError, match=sentence) as refused:
        make()
    assert isinstance(refused.value, TypeError)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda w: w.run("ls", 5),
            "run('ls', 5): only 'command' stands without a keyword: it is run(command, *, timeout=None, inside=False)",
        ),
        (lambda w: w.run(), "run() lacks 'command': it is run(command, *, timeout=None, inside=False)"),
        (lambda w: w.run("ls", timout=5), "run() has no keyword 'timout': did you mean 'timeout'?"),
        (lambda w: w.run("ls", command="x"), "run('ls', command='x'): 'command' is given twice: it is run("),
        (lambda w: w.history("web"), "history('web'): it takes nothing: write history()"),
        (lambda w: w.restart(now=True), "restart() has no keyword 'now': it takes none"),
        (lambda _: pw.connect(), "connect() lacks 'url': it is connect(url, token=None)"),  # type: ignore[call-arg]
        (lambda _: pw.ops("a", "b"), "ops('a', 'b'): only 'config' stands without a keyword: it is ops(config=None, *, title=None"),  # type: ignore[call-arg]
        (lambda _: pw.terminals("web"), "terminals('web'): it takes nothing: write terminals()"),  # type: ignore[call-arg]
        (lambda _: pw.OpsDashboard().ack("x"), "ack('x') lacks 'reason': it is ack(fingerprint, reason, *, until=None)"),  # type: ignore[call-arg]
        (lambda _: pw.OpsDashboard().remedy("x").run("df", "web"), "run('df', 'web'): only 'command' stands without a keyword"),  # type: ignore[call-arg]
    ],
)
def test_a_call_that_does_not_fit_says_how_it_is_written(
    party_runtime: Runtime, party_terminal: Callable[..., Any], make: Callable[[Any], Any], sentence: str
) -> None:
    """Too many arguments, too few, or one that is not there: one sentence with the call's own form, and nothing has begun."""
    with pytest.raises(KeywordError, match=f"^{re.escape(sentence)}") as refused:
        make(party_terminal("fits"))
    assert isinstance(refused.value, TypeError)


def test_a_mistake_of_ours_is_not_taken_for_the_caller_s(party_terminal: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A TypeError that is raised inside a method stays what it is."""
    monkeypatch.setattr(pw.Terminal, "_start", lambda: None)
    with pytest.raises(TypeError, match="positional argument") as raised:
        party_terminal("ours").history()
    assert not isinstance(raised.value, KeywordError)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: pw.ScanTable([1, 2]), r"a ScanReport or a DataFrame, and takes no list: write ScanTable\(\), ScanTable\(report\)"),  # type: ignore[arg-type]
        (lambda: pw.ScanTable(ScanReport(), 3), r"ScanTable\(\) shows the rows of the ops room and takes no int"),
        (lambda: pw.OpsDashboard("c.yaml"), r"`await pw\.ops\(CONFIG\)` loads checks"),
        (lambda: pw.Terminal(5), r"a room's name is text, got int: write it like 'db-incident'"),  # type: ignore[arg-type]
    ],
)
def test_what_a_widget_cannot_show_is_refused_with_the_remedy(make: Callable[[], Any], sentence: str) -> None:
    """A DataFrame for the table, a file for the dashboard, a number for a room: one sentence that says what to write."""
    with pytest.raises(PartyError, match=sentence):
        make()


def test_a_sandbox_by_address(party_terminal: Callable[..., Any], party_runtime: Runtime) -> None:
    """The owner may give an address: it is mapped to an id made of it; a malformed one is a sentence, and there is no widget."""
    terminal = party_terminal("addressed", sandbox="local:/bin/sh")
    assert terminal.run("echo $0").wait(30).output.strip() == "/bin/sh"
    assert terminal._query["sandboxId"] == sandbox_id("local:/bin/sh") == sandbox_id("local:/bin/sh")
    assert ":" not in terminal._query["sandboxId"]
    with pytest.raises(HostError, match="floppy") as refused:
        party_terminal("w", sandbox="floppy:A")
    assert "answered" not in str(refused.value)


def test_bundles_are_a_sentence_when_not_built(tmp_path: Path) -> None:
    """Without built bundles the cell says how to build them instead of staying blank."""
    assert "not built" in bundles.loader(tmp_path)


def test_send_is_for_text_and_for_the_page(party_terminal: Callable[..., Any]) -> None:
    """send(text) types; expect() finds the answer; send of a dict is still ipywidgets' message, of anything else an error."""
    terminal = party_terminal("typed")
    terminal.run("true").wait(30)
    terminal.send("echo a$((20+3))b\r").wait(30)
    assert terminal.expect(r"a(\d+)b\b").wait(30)[1] == "23"
    assert terminal.send({"op": "nothing"}) is None
    for keys in (b"ls\r", ["ls\r"], None):
        with pytest.raises(CommandError, match="send takes text"):
            terminal.send(keys)


def test_restart_gives_a_new_shell(party_terminal: Callable[..., Any]) -> None:
    """restart() ends the shell for everybody and starts another."""
    first, second = party_terminal("again"), party_terminal("again")
    before = first.run("echo $$").wait(30).output
    second.restart().wait(30)
    assert first.run("echo $$").wait(30).output != before


def test_a_snapshot_is_displayed_on_its_own(party_terminal: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    """snapshot() displays the screen as an output of its own, as text and as HTML without script."""
    terminal = party_terminal("shot")
    terminal.run("echo '<b>bold</b>'").wait(30)
    terminal.snapshot()
    shown = capsys.readouterr().out
    assert "<b>bold</b>" in shown
    assert "&lt;b&gt;bold&lt;/b&gt;" in shown
    assert terminal._snapshot["text"].count("bold") >= 1


def result(check: str, status: Any, severity: Any = "medium", summary: str = "") -> CheckResult:
    return CheckResult(check, "exec", check, status, severity=severity, summary=summary)


def test_rows_are_rendered_in_one_order() -> None:
    """A snapshot of rows is the same whatever order they came in, the failing ones first, and everything in it is escaped."""
    rows = [result("b", "ok"), result("a", "ok"), result("c", "crit", "high", "<script>x</script>"), result("d", "crit", "critical")]
    text, markup = rendered(rows)
    assert (text, markup) == rendered(reversed(rows))
    assert text.splitlines()[0] == "2 ok, 2 crit"
    assert [line.split()[2] for line in text.splitlines()[2:]] == ["d", "c", "a", "b"]
    assert "<script" not in markup
    assert "&lt;script&gt;" in markup
    assert rendered([])[0] == "no results yet"
    assert "&lt;b&gt;" in still("<b>")
    many, table = rendered(result(f"check-{number}", "ok") for number in range(SNAPSHOT_ROWS + 2))
    assert many.endswith("and 2 more"), "what is saved with a notebook is bounded"
    assert (len(many.splitlines()), table.count("<tr>")) == (SNAPSHOT_ROWS + 3, SNAPSHOT_ROWS + 1)


def test_a_kept_row_says_who_is_on_it() -> None:
    """Of two rows that fail alike the one that nobody takes care of stands first, and the other says why nobody is told."""
    acked, open_ = result("a", "crit", summary="down"), result("b", "crit", summary="down")
    acked.suppression = Suppression("ack", "a", actor="<Ana>", reason="on it")
    text, markup = rendered([acked, open_])
    assert [line.split(maxsplit=3)[2:] for line in text.splitlines()[2:]] == [["b", "down"], ["a", "down [acked by <Ana>: on it]"]]
    assert "down [acked by &lt;Ana&gt;: on it]" in markup
    assert markup.count("<strong>✖ crit</strong>") == 2, "not by colour alone, which a viewer may take away"


def test_a_name_that_no_room_can_have_is_refused_in_the_cell(party_terminal: Callable[..., Any]) -> None:
    """A room name with `..` or 10,000 characters is one sentence where it was written, not a widget that never opens."""
    from partywidgets.exceptions import RoomNameError

    for name in ("../x", "", "x" * 10_000):
        with pytest.raises(RoomNameError):
            party_terminal(name)


def test_a_host_s_recordings_are_listed(party_runtime: Runtime, party_terminal: Any) -> None:
    """`pw.recordings()` is a frame of every room's, `term.recordings()` of its room's; one of its ids is one to play."""
    assert pw.recordings().wait(30).empty
    term = party_terminal("taped")
    other = party_terminal("else")
    assert term.run("true").wait(30).ok
    assert other.run("true").wait(30).ok
    other.send("exit 4\r").wait(30)
    frame = _until(lambda: pw.recordings().wait(30), lambda frame: len(frame) == 2 and frame.complete.any())
    ended, runs = frame[frame.complete].iloc[0], frame[~frame.complete].iloc[0]
    assert (ended.room, ended.exit_code, ended.commands) == ("else", 4, 2)
    assert ended.ended_at >= ended.started_at
    assert (runs.room, runs.sandbox) == ("taped", "default")
    assert pd.isna(runs.ended_at)
    assert str(frame.started_at.dtype).startswith("datetime64[")
    assert list(term.recordings().wait(30).id) == [runs.id]
    player: Any = pw.Recording("else")
    assert player._repr_mimebundle_()[0]["text/html"] == never_kept("Recording(room='else')")
    assert repr(pw.Recording("else", id=ended.id)) == f"Recording(room='else', id={ended.id!r})"
    with pytest.raises(KeywordError, match="did you mean 'room'"):
        pw.recordings(rooms="web")  # type: ignore[call-arg]


def test_a_host_s_terminals_are_listed(party_runtime: Runtime, party_terminal: Any) -> None:
    """`pw.terminals()` is a frame of those that are open, with the sandboxes in which one may be opened; it opens none."""
    none = pw.terminals().wait(30)
    assert (list(none.columns), len(none)) == (["room", "sandbox", "state", "people"], 0)
    assert none.attrs == {"sandboxes": ["default", "local"], "more": 0}
    assert party_terminal("web").run("true").wait(30).ok
    assert pw.terminals().wait(30).values.tolist() == [["web", "default", "running", 1]]


def _until(ask: Callable[[], Any], good: Callable[[Any], bool]) -> Any:
    """Asks until the answer is good: what is written is written within half a second."""
    end = time.monotonic() + 30
    while not good(answer := ask()):
        assert time.monotonic() < end, answer
        time.sleep(0.05)
    return answer


async def test_an_interrupted_cell_leaves_nothing_to_be_typed(
    party_terminal: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Giving up on a command that waits for its turn withdraws it: it was typed behind the cell's back. One that was typed runs on."""
    term = party_terminal("queue")
    busy = term.run("echo be''gun; read x")
    await term.expect("begun")
    waiting = term.run("echo never")
    for handle in (busy, waiting):
        cell = asyncio.ensure_future(_awaited(handle))
        await term.history()  # the room has what was asked before
        cell.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cell
    assert (
        "'echo never' goes on in the terminal 'queue': interrupt() presses Ctrl-C there; had it to wait for its turn"
        in capsys.readouterr().err
    )
    with pytest.raises(CommandError, match="was withdrawn before it was typed"):
        await waiting
    await term.send("\r")
    assert (await busy).ok
    assert "never" not in (await term.run("true")).output + term.screen()


async def _awaited(handle: Any) -> Any:
    return await handle
