"""TerminalClient against the real terminal room with a real shell."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from partywidgets.auth import Identity
from partywidgets.client.terminal import TerminalClient
from partywidgets.exceptions import CommandError, CommandTimeoutError, ConnectionClosedError, HostError, RefusedError
from partywidgets.terminal.protocol import decode_output, decode_snapshot, encode_input
from partywidgets.terminal.sandboxes import websocket
from partywidgets.terminal.screen import Capture, EmulatedScreen

from ..running_app import Running, running

WAIT = 20.0
SANDBOXES = {"default": "local:/bin/bash", "other": "local:/bin/bash"}
FAST: dict[str, Any] = {"min_reconnection_delay": 0.01, "max_reconnection_delay": 0.05}


def client_of(app: Running, room: str = "worker-1", **options: Any) -> TerminalClient:
    """A client with the owner's token, unless told otherwise."""
    return TerminalClient(app.url, room, **{"token": app.owner, **FAST, **options})


async def until(client: TerminalClient, reached: Callable[[], bool]) -> None:
    """Waits for a state of the client."""
    async with asyncio.timeout(WAIT):
        while not reached():
            await client.changed()


def cut(client: TerminalClient) -> None:
    """Drops the client's TCP connection without a Close."""
    assert client.socket._socket is not None
    client.socket._socket.transport.abort()


async def test_run(tmp_path: Path) -> None:
    """A command runs in the shared shell and comes back with its exit code, output and directory."""
    async with running(tmp_path, sandboxes=SANDBOXES) as app, client_of(app) as term:
        assert (term.role, term.can_type, term.state) == ("moderator", True, "live")
        result = await term.run("cd /tmp && echo out && ls /no/such/folder", timeout=WAIT)
        assert (result.ok, result.exit_code, result.cwd, result.output_lost) == (False, 2, "/tmp", 0)
        assert result.lines[0] == "out"
        assert result.duration_s > 0
        assert (await term.run("pwd", timeout=WAIT)).output.strip() == "/tmp"


async def test_what_is_no_command(tmp_path: Path) -> None:
    """What a room would refuse is refused at once with a sentence, instead of waiting for an answer that never comes."""
    async with running(tmp_path, sandboxes=SANDBOXES) as app, client_of(app) as term, asyncio.timeout(WAIT):
        wrong: list[tuple[Any, str]] = [(5, "text, got int"), ("x" * 70_000, "put it into a file"), ("\ud800", "half a surrogate pair")]
        for given, sentence in wrong:
            with pytest.raises(CommandError, match=sentence):
                await term.run(given)
            with pytest.raises(CommandError, match=sentence):
                await term.send(given)
        times: list[Any] = [0, -1, float("nan"), float("inf"), "5", True]
        for seconds in times:
            with pytest.raises(CommandError, match="positive number of seconds"):
                await term.run("true", timeout=seconds)
        wordy: Any = "yes"
        unlike: list[Any] = [5, b"x", re.compile(b"x")]
        for pattern in unlike:
            with pytest.raises(CommandError, match=r"a regular expression as text; got (int|bytes)"):
                await term.expect(pattern)
        with pytest.raises(CommandError, match="positive number of seconds"):
            await term.expect("x", timeout=times[-2])
        with pytest.raises(CommandError, match="inside is True or False; got 'yes'"):
            await term.run("true", inside=wordy)
        with pytest.raises(CommandError, match="text, html or lines; got 'json'"):
            await term.screen("json")  # type: ignore[call-overload]
        assert (await term.run("echo fine")).output.strip() == "fine"


async def test_run_as_a_table(tmp_path: Path) -> None:
    """`df -P /` is a DataFrame with numbers."""
    async with running(tmp_path, sandboxes=SANDBOXES) as app, client_of(app) as term:
        frame = (await term.run("df -P /", timeout=WAIT)).check().df
        assert list(frame["Mounted on"]) == ["/"]
        assert frame["Capacity"].dtype.kind in "if"


async def test_a_command_that_does_not_end(tmp_path: Path) -> None:
    """A time-out says that the command still runs; Ctrl-C from here ends it."""
    async with running(tmp_path, sandboxes=SANDBOXES) as app, client_of(app) as term:
        await term.run("true", timeout=WAIT)
        with pytest.raises(CommandTimeoutError, match="did not end within 2 s"):
            await term.run("sleep 600", timeout=2)
        term.write(b"\x03")
        assert (await term.run("echo free", timeout=WAIT)).output.strip() == "free"


async def test_a_shell_that_does_not_start_counts_in_the_time_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a host that takes the connection and says nothing, run ends when its time is over, not when the room gives the host up."""
    monkeypatch.setattr(websocket, "OPEN_TIMEOUT", 40.0)
    left = asyncio.Event()

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()
        left.set()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as silent:
        address = f"ws://127.0.0.1:{silent.sockets[0].getsockname()[1]}/?gone_after=300"
        async with running(tmp_path, sandboxes={"default": address}) as app, client_of(app) as term:
            with pytest.raises(CommandTimeoutError, match=r"still starting: the command was not typed within 0\.3 s"):
                await term.run("true", timeout=0.3)
        await asyncio.wait_for(left.wait(), WAIT)


async def test_send_and_expect(tmp_path: Path) -> None:
    """What is typed appears for expect, without escape sequences; each match is found once."""
    async with running(tmp_path, sandboxes=SANDBOXES) as app, client_of(app) as term:
        await term.send("printf '\\e[31mred-%s\\e[0m\\n' 42 é\r")
        match = await term.expect(r"red-(\d+)\n", WAIT)
        assert match[1] == "42"
        assert await term.expect("red-é\n", WAIT)
        with pytest.raises(TimeoutError, match=r"did not appear within 0\.2 s"):
            await term.expect(re.compile("red-"), 0.2)
        with pytest.raises(CommandError, match=r"missing \), unterminated subpattern at position 0: it is a regular expression"):
            await term.expect("(", 0.2)


async def test_screen_and_history(tmp_path: Path) -> None:
    """The screen is text or HTML without script; the history a DataFrame in UTC."""
    async with running(tmp_path, sandboxes=SANDBOXES) as app, client_of(app) as term:
        await term.run("echo '<b>seen</b>'", timeout=WAIT)
        assert "<b>seen</b>" in await term.screen()
        html = await term.screen("html")
        assert "&lt;b&gt;seen" in html
        assert "<script" not in html
        history = await term.history()
        assert list(history["command"]) == ["echo '<b>seen</b>'"]
        assert list(history["exit_code"]) == [0]
        assert isinstance(history["started_at"].dtype, pd.DatetimeTZDtype)


async def test_output_is_what_a_terminal_is_written(tmp_path: Path) -> None:
    """The output iterator begins with a reset and the present screen, then goes on live, to two readers alike."""
    async with running(tmp_path, sandboxes=SANDBOXES) as app, client_of(app) as term:
        await term.run("echo before", timeout=WAIT)
        seen = [b"", b""]

        async def follow(index: int) -> None:
            async for output in term.output():
                seen[index] += output
                if b"after-42" in seen[index]:
                    return

        async with asyncio.timeout(WAIT), asyncio.TaskGroup() as group:
            for index in range(2):
                group.create_task(follow(index))
            while not all(seen):
                await asyncio.sleep(0.01)
            await term.run("echo after-$((6*7))", timeout=WAIT)
        for output in seen:
            assert output.startswith(b"\x1bc")
            assert b"before" in output


async def test_it_resumes_at_the_byte_where_it_was(tmp_path: Path) -> None:
    """Cut again and again while the shell prints, the client has every line exactly once, without a new screen."""
    async with running(tmp_path, sandboxes=SANDBOXES) as app, client_of(app) as term:
        seen = bytearray()

        async def follow() -> None:
            async for output in term.output():
                seen.extend(output)
                if b"the-end-42" in seen:
                    return

        following = asyncio.ensure_future(follow())
        await term.run("true", timeout=WAIT)
        await until(term, lambda: bool(seen))
        resets = seen.count(b"\x1bc")
        term.write(b"for n in $(seq 300); do echo line-$n; sleep 0.005; done; echo the-end-$((6*7))\r")
        for number in (30, 90, 150, 210):
            async with asyncio.timeout(WAIT):
                while f"line-{number}\r\n".encode() not in seen:
                    await asyncio.sleep(0.005)
            cut(term)
            await until(term, lambda: term.state == "lost")
            await until(term, lambda: term.state == "live")
            assert term.resumed

        await asyncio.wait_for(following, WAIT)
        assert re.findall(rb"line-(\d+)\r\n", bytes(seen)) == [str(number).encode() for number in range(1, 301)]
        assert seen.count(b"\x1bc") == resets


async def test_a_new_epoch_begins_with_a_screen(tmp_path: Path) -> None:
    """After restart() nothing of the old process is resumed: a new epoch, and offsets from its start."""
    async with running(tmp_path, sandboxes=SANDBOXES) as app, client_of(app) as term:
        await term.run("marker=old", timeout=WAIT)
        before = term.epoch
        await term.restart()
        assert (await term.run("echo [$marker]", timeout=WAIT)).output.strip() == "[]"
        assert term.epoch != before
        assert not term.resumed


async def test_a_slow_reader_gets_a_fresh_screen(tmp_path: Path) -> None:
    """A reader that falls behind its limit loses no memory and no meaning: it goes on with a reset and a screen."""
    async with running(tmp_path, sandboxes=SANDBOXES) as app, client_of(app) as term:
        iterator = term.output(limit=20_000)
        first = await asyncio.wait_for(anext(iterator), WAIT)
        assert first.startswith(b"\x1bc")
        await term.run("seq 100000", timeout=WAIT)
        await term.run("echo last-line-$((6*7))", timeout=WAIT)
        rest = b""
        async with asyncio.timeout(WAIT):
            while b"last-line-42" not in rest:
                rest += await anext(iterator)
        assert b"\x1bc" in rest
        assert len(rest) < 400_000
        await iterator.aclose()  # type: ignore[attr-defined]


async def test_two_people_see_the_same(tmp_path: Path) -> None:
    """Everyone in the room sees who is there and what runs; the lease goes where it is taken."""
    async with running(tmp_path, sandboxes=SANDBOXES) as app, client_of(app) as one, client_of(app) as two:
        await until(one, lambda: len(one.people) == 2)
        await one.run("echo shared", timeout=WAIT)
        assert await two.expect("\nshared", WAIT)
        assert "shared" in await two.screen()
        await two.take_control()
        await until(one, lambda: one.lease is not None and one.lease[0] == two.connection)
        assert two.has_control
        assert not one.has_control
        await two.give_control(one.connection)
        await until(one, lambda: one.has_control)
        await one.release_control()
        await until(two, lambda: two.lease is None)


async def test_another_error_is_no_answer_to_the_lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that the room sends meanwhile for something else refuses nobody the lease; one's own refusal is raised with its sentence."""
    ben_token = "ben-token-for-the-tests"
    people = {ben_token: Identity("ben", "Ben", frozenset({"operator"}))}
    async with running(tmp_path, sandboxes=SANDBOXES, people=people) as app, client_of(app) as one, client_of(app, token=ben_token) as ben:
        send, late = one.socket.send, list[Any]()

        def behind_an_error(message: Any) -> bool:
            late.append(message)
            return send(json.dumps({"type": "dance"}))

        monkeypatch.setattr(one.socket, "send", behind_an_error)
        taking = asyncio.create_task(one.take_control())
        await until(one, lambda: "dance" in one.last_error)
        assert send(late[0])
        await taking
        assert one.has_control
        with pytest.raises(RefusedError, match="has control"):
            await ben.take_control()


async def test_control_is_asked_for(tmp_path: Path) -> None:
    """Who has control sees who asks, refuses or gives; the asker hears of it, and a call that is cancelled withdraws its request."""
    tokens = {name: f"{name}-token-for-the-tests" for name in ("Ben", "Cyd")}
    people = {token: Identity(name.lower(), name, frozenset({"operator"})) for name, token in tokens.items()}
    async with (
        running(tmp_path, sandboxes=SANDBOXES, people=people) as app,
        client_of(app, token=tokens["Ben"]) as ben,
        client_of(app, token=tokens["Cyd"]) as cyd,
    ):
        await ben.ask_control()
        assert ben.has_control
        asking = asyncio.create_task(cyd.ask_control())
        await until(ben, lambda: ben.asking == [(cyd.connection, "Cyd")])
        await ben.refuse_control(cyd.connection)
        with pytest.raises(RefusedError, match="Ben refused"):
            await asking
        with pytest.raises(RefusedError, match="ask again in"):
            await cyd.ask_control()
        with pytest.raises(RefusedError, match="nobody with that connection"):
            await ben.refuse_control(cyd.connection)
        await ben.give_control(cyd.connection)
        await until(cyd, lambda: cyd.has_control)
        asking = asyncio.create_task(ben.ask_control())
        await until(cyd, lambda: cyd.asking == [(ben.connection, "Ben")])
        asking.cancel()
        await until(cyd, lambda: cyd.asking == [])
        asking = asyncio.create_task(ben.ask_control())
        await until(cyd, lambda: cyd.asking != [])
        await cyd.release_control()
        await asking
        assert ben.has_control


async def test_who_has_entered_misses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Output that comes while a room still draws the screen for a newcomer is on that screen: one is in when it is here, not before."""
    drawn, go = EmulatedScreen.capture, asyncio.Event()

    async def slowly(screen: EmulatedScreen, limit: int, scrollback: int | None = None) -> Capture:
        await go.wait()
        return await drawn(screen, limit, scrollback)

    async with running(tmp_path, sandboxes=SANDBOXES) as app, client_of(app) as one:
        await one.run("true", timeout=WAIT)
        monkeypatch.setattr(EmulatedScreen, "capture", slowly)
        async with asyncio.timeout(WAIT):
            two = client_of(app)
            entering = asyncio.ensure_future(two.__aenter__())
            await until(one, lambda: len(one.people) == 2)
            await one.run("echo before-$((1+1))", timeout=WAIT)
            assert not entering.done()
            go.set()
            await entering
        try:
            await one.run("echo behind-$((1+1))", timeout=WAIT)
            assert await two.expect("behind-2", WAIT)
            assert "before-2" in await two.screen()
        finally:
            await two.close()


async def test_an_observer_only_looks(tmp_path: Path) -> None:
    """An observer's input is dropped; what needs typing is refused with the reason."""
    async with running(tmp_path, sandboxes=SANDBOXES) as app, client_of(app) as owner, client_of(app, token=app.guest) as guest:
        await owner.run("echo ready", timeout=WAIT)
        assert (guest.role, guest.can_type) == ("observer", False)
        guest.write(b"echo intruder\r")
        with pytest.raises(CommandError, match="observer"):
            await guest.run("echo intruder")
        with pytest.raises(RefusedError):
            await guest.take_control()
        await owner.run("echo done", timeout=WAIT)
        assert "intruder" not in await owner.screen()


async def test_resize(tmp_path: Path) -> None:
    """The size is the room's; everyone hears of it."""
    async with running(tmp_path, sandboxes=SANDBOXES) as app, client_of(app, cols=90, rows=25) as term:
        assert (term.size.cols, term.size.rows) == (90, 25)
        await term.run("true", timeout=WAIT)
        term.resize(101, 33)
        await until(term, lambda: (term.size.cols, term.size.rows) == (101, 33))
        assert (await term.run("stty size", timeout=WAIT)).output.strip() == "33 101"


async def test_the_end_of_the_shell(tmp_path: Path) -> None:
    """When the shell ends the client knows how; commands say so, and a restart brings it back."""
    async with running(tmp_path, sandboxes=SANDBOXES) as app, client_of(app) as term:
        await term.run("true", timeout=WAIT)
        await term.send("exit 3\r")
        await until(term, lambda: term.exit is not None)
        assert term.exit is not None
        assert (term.exit.code, term.state) == (3, "ended")
        with pytest.raises(CommandError, match="restart"):
            await term.run("true")
        await term.restart()
        assert (await term.run("true", timeout=WAIT)).ok


async def test_who_only_watches_is_told_so_where_nobody_has_opened_the_terminal(tmp_path: Path) -> None:
    """A command of an observer does not wait for a shell that they could not type into."""
    async with running(tmp_path, sandboxes=SANDBOXES) as app, client_of(app, token=app.guest) as guest:
        async with asyncio.timeout(WAIT):
            with pytest.raises(CommandError, match="typing needs the role operator, peer or moderator; you are observer"):
                await guest.run("true")
            with pytest.raises(CommandError, match="you are observer"):
                await guest.send("true\r")


async def test_who_named_no_sandbox_comes_back_to_the_one_that_ran(tmp_path: Path) -> None:
    """Whoever joined what another had opened and comes back first, when nothing runs there any more, opens nothing on `default`."""
    async with running(tmp_path, sandboxes=SANDBOXES) as app:
        async with client_of(app, sandbox="other") as opener:
            await opener.run("true", timeout=WAIT)
            joined = client_of(app)
            await joined.__aenter__()
        try:
            await joined.send("exit\r")
            await until(joined, lambda: joined.exit is not None)
            cut(joined)
            await until(joined, lambda: not joined._welcome)
            await until(joined, lambda: joined._welcome)
            assert (joined.upstream.state, joined.upstream.sandbox) == ("ended", "other")
            await joined.restart()
            assert (await joined.run("true", timeout=WAIT)).ok
            assert joined.upstream.sandbox == "other"
        finally:
            await joined.close()


async def test_an_unknown_sandbox(tmp_path: Path) -> None:
    """A sandbox that the config does not know fails with its sentence; another than the open one is refused."""
    async with running(tmp_path, sandboxes=SANDBOXES) as app:
        async with client_of(app, "worker-9", sandbox="nope") as term:
            with pytest.raises(CommandError, match="nope"):
                await term.run("true")
        async with client_of(app) as term:
            await term.run("true", timeout=WAIT)
            with pytest.raises(RefusedError, match="4409"):
                async with client_of(app, sandbox="other"):
                    pass


async def test_a_lost_connection_ends_a_run(tmp_path: Path) -> None:
    """A run whose connection is lost says so; the command itself goes on, and the client comes back."""
    async with running(tmp_path, sandboxes=SANDBOXES) as app, client_of(app) as term:
        await term.run("true", timeout=WAIT)
        go = tmp_path / "go"
        run = asyncio.ensure_future(term.run(f"until [ -e {go} ]; do sleep 0.05; done; echo went-on", timeout=WAIT))
        await term.expect("went-on", WAIT)
        cut(term)
        with pytest.raises(HostError, match="history"):
            await run
        go.touch()
        assert await term.expect("\nwent-on", WAIT)


async def test_wrong_token(tmp_path: Path) -> None:
    """A token that the host does not know is refused at once, and no room is made."""
    async with running(tmp_path, sandboxes=SANDBOXES) as app:
        with pytest.raises(RefusedError, match="401"):
            async with client_of(app, token="not-a-token-of-this-host"):
                pass
        assert app.rooms() == []


async def test_a_closed_client(tmp_path: Path) -> None:
    """Iteration ends when the client is closed; requests then say so."""
    async with running(tmp_path, sandboxes=SANDBOXES) as app:
        async with client_of(app) as term:
            iterator = term.output()
            await asyncio.wait_for(anext(iterator), WAIT)
        async with asyncio.timeout(WAIT):
            async for _ in iterator:
                pass
        with pytest.raises(ConnectionClosedError):
            await term.run("true")


async def test_on_change(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """on_change hears of each change; what it raises is logged and harms nothing."""
    states: list[str] = []

    def changed(client: TerminalClient) -> None:
        states.append(client.state)
        if len(states) == 1:
            raise RuntimeError("boom")

    async with running(tmp_path, sandboxes=SANDBOXES) as app, client_of(app, on_change=changed) as term:
        await term.run("true", timeout=WAIT)
    assert "live" in states
    assert "on_change raised" in caplog.text


def test_vectors() -> None:
    """The frames of tests/vectors are read and written as there."""
    vectors = json.loads((Path(__file__).parents[1] / "vectors" / "terminal.json").read_text())
    for vector in vectors["binary"]:
        frame, payload = bytes.fromhex(vector["frame_hex"]), bytes.fromhex(vector["bytes_hex"])
        if vector["kind"] == "input":
            assert encode_input(vector["sequence"], payload) == frame
        elif vector["kind"] == "output":
            assert decode_output(frame) == (vector["offset"], payload)
        else:
            assert decode_snapshot(frame) == (vector["offset"], vector["cols"], vector["rows"], payload)


async def test_every_server_frame_is_known() -> None:
    """The client has a handler for each control frame that a server may send."""
    vectors = json.loads((Path(__file__).parents[1] / "vectors" / "terminal.json").read_text())
    term = TerminalClient("http://127.0.0.1:9", "worker-1")
    for vector in vectors["control"]:
        if vector["from"] == "server":
            term._received(json.dumps(vector["message"]))
    assert (term.size.cols, term.behind, term.exit is not None) == (100, 600_000, True)


async def test_recording(tmp_path: Path) -> None:
    """What was run is read back as a recording with its commands, and saved."""
    async with running(tmp_path, sandboxes=SANDBOXES) as app, client_of(app) as term:
        await term.run("echo recorded; false", timeout=WAIT)
        recording = await term.recording()
        assert list(recording.commands["command"]) == ["echo recorded; false"]
        assert list(recording.commands["exit_code"]) == [1]
        assert [known["id"] for known in await term.recordings()] == [recording.facts["id"]]
        assert recording.save(tmp_path / "a.cast").read_text() == recording.cast


async def test_the_screen_as_lines(tmp_path: Path) -> None:
    """The lines of the screen are a DataFrame, numbered from the top."""
    async with running(tmp_path, sandboxes=SANDBOXES) as app, client_of(app) as term:
        await term.run("printf 'alpha\\n  beta\\n'", timeout=WAIT)
        lines = await term.screen("lines")
        assert list(lines.columns) == ["row", "text"]
        assert list(lines["row"]) == list(range(1, len(lines) + 1))
        first = list(lines["text"]).index("alpha")
        assert lines["text"][first + 1] == "  beta"
