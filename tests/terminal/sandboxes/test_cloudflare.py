"""Terminals of a Cloudflare Sandbox container, stable and 1.0's preview."""

from __future__ import annotations

import asyncio
import contextlib
import json
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from partywidgets.exceptions import SandboxError
from partywidgets.terminal.sandboxes import cloudflare, cloudflare_preview, open_sandbox
from tests.terminal.conftest import Serve
from tests.terminal.viewers import Viewer

from .cloudflare_container import Container, cloudflare_container
from .conftest import Open, Shell


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits that would only make the tests long."""
    monkeypatch.setattr(cloudflare, "QUIET", 0.05)
    monkeypatch.setattr(cloudflare, "ANSWER", 3.0)
    monkeypatch.setattr(cloudflare_preview, "FIRST_WAIT", 0.05)


def sizes(container: Container) -> list[tuple[int, int]]:
    """Those that clients told."""
    told = [json.loads(message) for message in container.received if isinstance(message, str)]
    return [(message["cols"], message["rows"]) for message in told if message["type"] == "resize"]


async def shows(shell: Shell, text: bytes) -> None:
    """Reads until the output has it."""
    await shell.until(lambda: text in shell.output)


async def test_stable_shell_is_typed_into_and_sized(serve: Serve) -> None:
    """The path alone says which protocol it is; what is typed arrives, sizes count, `run` gives the code, a late room gets the replay."""
    async with cloudflare_container() as container, serve(default=container.stable(), also=container.stable()) as place:
        async with place.watch(query="?cols=91&rows=33") as ana:
            await ana.live()
            await ana.type("echo here-$((20+22))\r")
            await ana.shows(b"here-42")
            assert (await ana.ask("run", command="stty size; (exit 6)", timeout_s=20))["result"]["exit_code"] == 6
            await ana.shows(b"33 91")
            async with place.watch("w2", query="?sandboxId=also&cols=91&rows=33") as late:
                await late.shows(b"here-42")
        assert all(isinstance(message, bytes) or json.loads(message)["type"] == "resize" for message in container.received)


async def test_stable_shell_that_ended_silently_is_told(serve: Serve) -> None:
    """The container says nothing when its shell exits, and `ready` on the dead one: the room finds out both times, and says what to do."""
    async with cloudflare_container() as container, serve(default=container.stable()) as place, place.watch() as ana:
        await ana.live()
        await ana.type("exit 3\r")
        end = await ana.message("exit")
        assert end["code"] is None
        assert "has ended (the container does not say with which code)" in end["reason"]
        assert "another sessionId" in end["reason"]
        assert (await ana.ask("restart"))["ok"] is True
        await ana.until(lambda: len(ana.of("exit")) == 2)
        assert len(container.sockets) == 2


async def test_looking_in_changes_no_size(opened: Open) -> None:
    """The looks at the shell tell the size that counts already, or one that the container refuses."""
    async with cloudflare_container() as container, opened(container.stable(), cols=90, rows=30) as shell:
        shell.sandbox.write(b"echo up-$((1+1))\r")
        await shows(shell, b"up-2")
        await shell.sandbox.resize(100, 40)
        looks = len(sizes(container))
        reading = asyncio.ensure_future(shell.rest())
        async with asyncio.timeout(20):
            while len(told := sizes(container)) < looks + 3:
                # A look comes when it has been quiet: not while keys are typed, and none for keys that come during one.
                shell.sandbox.write(b"\r")
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(1):
                        while sizes(container) == told:
                            await asyncio.sleep(0.01)
        reading.cancel()
        assert set(sizes(container)) <= {(90, 30), (0, 0), (100, 40)}
        assert container.ptys["s1"].sizes[-1] == (100, 40)


async def test_stable_container_that_gave_the_reader_up(opened: Open) -> None:
    """A connection that the container silently forgot is not shown as alive: it ends with the reason."""
    async with cloudflare_container() as container, opened(container.stable()) as shell:
        shell.sandbox.write(b"echo up-$((1+1))\r")
        await shows(shell, b"up-2")
        container.drop_readers = True
        shell.sandbox.write(b"echo lost\r")
        await shell.rest()
        assert "no longer answers on this connection" in (await shell.sandbox.wait_exit()).reason


async def test_preview_shell_ends_with_its_code(serve: Serve) -> None:
    """Output comes by chunks, `run` gives the code, and the exit has its code; who connects to it again hears the same."""
    async with cloudflare_container() as container, serve(default=container.preview()) as place:
        await container.make("t1")
        async with place.watch(query="?cols=91&rows=33") as ana:
            result = (await _run(ana, "stty size; (exit 6)"))["result"]
            assert (result["output"], result["exit_code"]) == ("33 91", 6)
            await ana.type("exit 7\r")
            end = await ana.message("exit")
            assert end["code"] == 7
            assert end["reason"].endswith("/ws/terminal ended with code 7")
            assert (await ana.ask("restart"))["ok"] is True
            await ana.until(lambda: len(ana.of("exit")) == 2)
            assert ana.of("exit")[1]["code"] == 7


async def _run(viewer: Viewer, command: str) -> dict[str, Any]:
    await viewer.live()
    return await viewer.ask("run", command=command, timeout_s=20)


@pytest.mark.parametrize("hazard", ["cut", "slow", "mixed up"])
async def test_preview_goes_on_where_a_lost_connection_was(opened: Open, hazard: str, tmp_path: Path) -> None:
    """After a broken socket, a close for slow reading, or data without its chunk: nothing is missed and nothing comes twice."""
    go = tmp_path / "go"
    async with cloudflare_container() as container:
        await container.make("t1")
        async with opened(container.preview()) as shell:
            shell.sandbox.write(b"echo first-$((1+1))\r")
            await shows(shell, b"first-2")
            wait = f"[ $i = 5 ] && until [ -e {go} ]; do sleep 0.01; done"
            loop = f"i=0; while [ $i -lt 40 ]; do i=$((i+1)); echo line-$i-$((i+100)); {wait}; done; echo over-$((2+2))\r"
            shell.sandbox.write(loop.encode())
            await shows(shell, b"line-5-105\r\n")
            if hazard == "cut":
                container.cut()
            elif hazard == "slow":
                container.drop_readers = True
            else:
                container.mixed_up = 1
            go.touch()
            await shows(shell, b"over-4")
            for number in range(1, 41):
                assert shell.output.count(f"line-{number}-{number + 100}\r\n".encode()) == 1
            assert shell.output.count(b"first-2\r\n") == 1
            assert len(container.sockets) == 2
            shell.sandbox.write(b"echo typed-$((3+3))\r")
            await shows(shell, b"typed-6")


async def test_preview_says_where_output_was_forgotten(opened: Open) -> None:
    """When the container no longer has what came meanwhile, the screen is cleared and says so, and the program is asked to draw anew."""
    async with cloudflare_container(log_bytes=2000) as container:
        pty = await container.make("t1")
        async with opened(container.preview(), cols=90, rows=30) as shell:
            shell.sandbox.write(b"echo first-$((1+1))\r")
            await shows(shell, b"first-2")
            container.refuse = HTTPStatus.SERVICE_UNAVAILABLE
            container.cut()
            pty.sandbox.write(b"i=0; while [ $i -lt 400 ]; do i=$((i+1)); echo line-$i; done; echo over-$((2+2))\r")
            reading = asyncio.ensure_future(shows(shell, b"over-4"))
            async with asyncio.timeout(20):
                while b"over-4" not in b"".join(pty.pieces.values()):
                    await pty.news.wait()
            container.refuse = None
            await reading
            assert b"\x18\x1bc\x1b[2m[some output was lost on the way]" in shell.output
            assert b"line-1\r\n" not in shell.output
            shell.sandbox.write(b"echo back-$((3+3))\r")
            await shows(shell, b"back-6")
            assert pty.sizes[-2:] == [(90, 29), (90, 30)]


async def test_preview_drops_a_cursor_of_another_store(opened: Open) -> None:
    """A cursor that the container refuses is forgotten: the screen is cleared and drawn from the oldest that there is, once."""
    async with cloudflare_container() as container:
        pty = await container.make("t1")
        async with opened(container.preview()) as shell:
            shell.sandbox.write(b"echo first-$((1+1))\r")
            await shows(shell, b"first-2")
            pty.store = "store-2"
            container.cut()
            await shows(shell, b"\x18\x1bc")
            await shell.until(lambda: b"first-2\r\n" in shell.output.partition(b"\x18\x1bc")[2])
            assert "cursor=" in container.urls[1]
            assert "cursor=" not in container.urls[2]
            shell.sandbox.write(b"echo typed-$((3+3))\r")
            await shows(shell, b"typed-6")


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("started anew", "the container was started anew since"),
        ("terminal gone", "closed the terminal (Terminal not found)"),
        ("gone", "could not be made again"),
    ],
)
async def test_preview_end_of_container_or_terminal(serve: Serve, what: str, sentence: str) -> None:
    """When there is nothing to go on with, every viewer hears why, and the terminal is not shown alive."""
    async with cloudflare_container() as container, serve(default=container.preview()) as place:
        pty = await container.make("t1")
        async with place.watch() as ana, place.watch(who="pia") as pia:
            await ana.type("echo up-$((1+1))\r")
            await ana.shows(b"up-2")
            if what == "started anew":
                container.incarnation = "run-2"
            elif what == "terminal gone":
                del container.ptys["t1"]
            else:
                container.refuse = HTTPStatus.SERVICE_UNAVAILABLE
            container.cut()
            for viewer in (ana, pia):
                assert sentence in (await viewer.message("exit"))["reason"]
        pty.task.cancel()
        await pty.sandbox.close()


async def until_said(viewer: Viewer, part: str) -> None:
    """Waits until the shell runs, with this in the reason; "": with none."""
    await viewer.until(lambda: (last := viewer.of("upstream")[-1])["state"] == "running" and bool(part) == (part in last["reason"] != ""))


async def test_a_connection_that_is_being_made_again_is_not_shown_as_live(serve: Serve) -> None:
    """Everyone is told why nothing comes, also who joins meanwhile, and that it is over."""
    async with cloudflare_container() as container, serve(default=container.preview()) as place:
        await container.make("t1")
        async with place.watch() as ana, place.watch(who="pia") as pia:
            await ana.type("echo up-$((1+1))\r")
            await ana.shows(b"up-2")
            container.refuse = HTTPStatus.SERVICE_UNAVAILABLE
            container.cut()
            for viewer in (ana, pia):
                await until_said(viewer, "is being made again")
            async with place.watch() as late:
                assert "is being made again" in (await late.message("welcome"))["reason"]
            container.refuse = None
            for viewer in (ana, pia):
                await until_said(viewer, "")
            await ana.type("echo on-$((2+2))\r")
            await ana.shows(b"on-4")


async def test_what_is_typed_into_a_broken_connection_is_refused(opened: Open) -> None:
    """While it is being made again, typing is answered with a sentence: it could arrive much later, at another prompt."""
    async with cloudflare_container() as container:
        await container.make("t1")
        async with opened(container.preview()) as shell:
            shell.sandbox.write(b"echo up-$((1+1))\r")
            await shows(shell, b"up-2")
            container.refuse = HTTPStatus.SERVICE_UNAVAILABLE
            container.cut()
            reading = asyncio.ensure_future(shell.rest())  # the prompt may still be on its way: one read would end with it
            async with asyncio.timeout(20):
                while len(container.urls) < 2:
                    await asyncio.sleep(0.01)
            with pytest.raises(SandboxError, match="is being made again: wait a moment"):
                shell.sandbox.write(b"rm -r x\r")
            container.refuse = None
            await container.until(2)
            reading.cancel()


async def test_terminate_ends_it_over_there_and_closing_does_not(serve: Serve) -> None:
    """Leaving lets the terminal run; `terminate`, which clients of 1.0 send, ends it in the container, and the exit says how."""
    async with cloudflare_container() as container, serve(default=container.preview(), keep=0.0) as place:
        pty = await container.make("t1")
        async with place.watch() as ana:
            await ana.type("echo up-$((1+1))\r")
            await ana.shows(b"up-2")
        await asyncio.wait_for(container.sockets[0].wait_closed(), 20)
        assert not pty.ended
        async with place.watch() as ana, place.watch(who="pia", dialect=None, query="?dialect=cloudflare-1") as pia:
            await ana.shows(b"up-2")
            await pia.tell("terminate")
            end = await ana.message("exit")
            assert end["code"] == 137
            assert (await pia.message("exit"))["exit"]["code"] == 137
            assert end["reason"].endswith("was ended by SIGKILL")


async def test_refusals_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing key, a wrong incarnation, an unknown terminal, a wrong path and dialect: each names its remedy, and no secret."""
    async with cloudflare_container(key="a+key/of=it") as container:
        for address, sentence in (
            (container.stable(), "status 401: give the bridge's key as ?bearer="),
            (container.preview("&bearer=hush"), "status 401: give the bridge's key as ?bearer="),
            (container.preview().replace("run-1", "run-0") + "&bearer=a%2Bkey/of%3Dit", "status 409: the container was started anew"),
            (container.stable().replace("sessionId", "session") + "&bearer=a+key/of=it", "status 400: it needs sessionId="),
            (container.stable().replace("/ws/pty", "/ws/ptty") + "&bearer=a+key/of=it", "status 401: check its path and query"),
            (container.stable("&dialect=cloudfare"), "has an unknown dialect 'cloudfare'"),
        ):
            with pytest.raises(SandboxError) as raised:
                await open_sandbox(address, cols=80, rows=24)
            assert sentence in str(raised.value)
            assert "hush" not in str(raised.value)
        sandbox = await open_sandbox(container.stable("&bearer=a+key/of=it"), cols=80, rows=24)
        await sandbox.close()
        assert not any("bearer" in url for url in container.urls[-1:])


async def test_stable_container_that_hangs(serve: Serve) -> None:
    """Connections that stay open while nothing comes are not shown as alive for longer than `gone_after`; awake again, it has its shell."""
    async with cloudflare_container() as container, serve(default=container.stable("&gone_after=3")) as place, place.watch() as ana:
        await ana.live()
        assert "gone_after" not in container.urls[0]
        container.hang()
        doubt = await ana.until(lambda: next((m for m in ana.of("upstream") if "has not answered for" in m["reason"]), None))
        assert doubt["state"] == "running"
        await ana.type("x" * 900_000)  # more than the sockets' buffers hold: a ping waits behind it
        end = await ana.message("exit")
        assert "no longer answers" in end["reason"]
        container.wake()
        assert (await ana.ask("restart"))["ok"] is True
        await ana.type("echo up-$((1+1))\r")
        await ana.shows(b"up-2")


async def test_preview_container_that_hangs(serve: Serve) -> None:
    """1.0: the bar says that it no longer answers while the room tries again; when it answers, the room goes on where it was."""
    async with cloudflare_container() as container, serve(default=container.preview("&gone_after=3")) as place:
        await container.make("t1")
        async with place.watch() as ana:
            await ana.live()
            await ana.type("echo before-$((1+1))\r")
            await ana.shows(b"before-2")
            container.hang()
            told = await ana.until(lambda: next((m for m in ana.of("upstream") if "no longer answers" in m["reason"]), None))
            assert (told["state"], "is being made again" in told["reason"]) == ("running", True)
            container.wake()
            await ana.until(lambda: ana.of("upstream")[-1]["reason"] == "")
            await ana.type("echo after-$((2+2))\r")
            await ana.shows(b"after-4")
            assert ana.drawn().count(b"before-2\r\n") == 1


async def test_a_container_that_was_silent_for_a_moment(serve: Serve) -> None:
    """Who answers late is live again, and nothing is lost."""
    async with cloudflare_container() as container, serve(default=container.stable("&gone_after=9")) as place, place.watch() as ana:
        await ana.live()
        container.hang()
        await ana.until(lambda: [m for m in ana.of("upstream") if "has not answered for 6 s" in m["reason"]])
        await ana.type("echo late-$((1+1))\r")
        container.wake()
        await ana.until(lambda: ana.of("upstream")[-1]["reason"] == "")
        await ana.shows(b"late-2")
        assert ana.of("exit") == []


@pytest.mark.parametrize("number", ["0", "nan", "soon", "1e9"])
async def test_gone_after_is_a_number_of_seconds(number: str) -> None:
    """What is not a number from 1 to 600 is one sentence."""
    with pytest.raises(SandboxError, match=r"gone_after of .* is a number of seconds from 1 to 600"):
        await open_sandbox(f"ws://127.0.0.1:9/ws/pty?sessionId=s&gone_after={number}", cols=80, rows=24)
