"""Output and sizes that no well-behaved program sends: the room says what it does with them, and goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from partywidgets.terminal import protocol
from partywidgets.terminal.sandboxes.pty_output import CHUNK, READ_BYTES

from .conftest import Serve
from .viewers import WAIT, Viewer

FLOOD = 50_000_000
CUT = "é€\N{GRINNING FACE}e\u0301".encode()
WRONG = b"\xff\xfe\xc0\x80\xed\xa0\x80\xf5\x80\xe2\x82z\xf0\x9f\x98z\xc3"
"""Bytes that are never UTF-8, an overlong zero, half a surrogate pair, and characters that another one breaks off."""


@pytest.mark.timeout(180)
async def test_fifty_megabytes_without_a_newline(serve: Serve) -> None:
    """One endless line reaches a viewer whole or as a fresh screen, costs the room its bounded ring, and the shell is there afterwards."""
    async with serve(ring_bytes=1 << 20) as place, place.watch(who="pia", read=False) as pia:
        await asyncio.wait_for(pia.socket.send(protocol.encode_input(1, _flood())), WAIT)
        seen, tail = 0, b""
        async with asyncio.timeout(90):
            while b"over-2" not in tail:
                frame = await pia.socket.recv()
                if isinstance(frame, str):
                    continue
                if frame[0] == protocol.OUTPUT:
                    offset, output = protocol.decode_output(frame)
                    assert offset == seen
                    seen, tail = offset + len(output), (tail + output)[-4096:]
                else:
                    seen, _, _, drawing = protocol.decode_snapshot(frame)
                    tail = drawing[-4096:]
                await pia.tell("consumed", offset=seen)
        assert seen > FLOOD
        stream = (await place.room("w1")).stream
        assert stream.ring.end - stream.ring.base < (1 << 20) + CHUNK + READ_BYTES  # the largest piece that a PTY gives
        async with place.watch(who="ana") as late:
            await late.shows(b"over-2")
            assert len(late.screens[0][3]) <= 1 << 20
            result = await late.ask("run", command="echo fine; (exit 4)", timeout_s=60)
            assert (result["result"]["output"], result["result"]["exit_code"]) == ("fine", 4)


def _flood() -> bytes:
    return f"head -c {FLOOD} /dev/zero | tr '\\0' x; echo over-$((1+1))\r".encode()


async def test_utf8_that_is_wrong_and_cut_at_every_byte(serve: Serve) -> None:
    """Byte by byte, plain viewers get each character whole and one replacement for each wrong part; who joins within a character too."""
    sent = CUT + WRONG
    async with serve() as place, place.watch(who="pia") as pia, place.watch(who="obi", dialect=None) as obi:
        await pia.running()
        await obi.until(lambda: "\x1bc" in obi.text)  # its screen, whether the prompt stood on it already or came then
        await pia.type(f"stty raw -echo; echo rea''dy; dd bs=1 count={len(sent)} status=none; stty sane; echo over-$((1+1))\r")
        await pia.shows(b"ready\n")
        await _byte_by_byte(pia, CUT[:7])
        async with place.watch(who="obi", dialect=None) as late, place.watch(who="ana") as rich:
            await late.until(lambda: "ready" in late.text)
            await rich.until(lambda: rich.screens)
            await _byte_by_byte(pia, sent[7:])
            for viewer, since in ((obi, 0), (late, 5)):
                await _shows_text(viewer, "over-2")
                assert sent[since:].decode("utf-8", "replace") in viewer.text
            await rich.shows(b"over-2")
            assert sent[5:] in rich.drawn()
        assert CUT.decode() in await (await place.room("w1")).showing.text()
        assert (await pia.ask("run", command="true", timeout_s=60))["result"]["exit_code"] == 0


async def _byte_by_byte(viewer: Viewer, sent: bytes) -> None:
    """Types each byte when the one before has come out again."""
    for byte in sent:
        at = viewer.offset + 1
        await viewer.type(bytes([byte]))
        await viewer.until(lambda at=at: viewer.offset >= at)  # type: ignore[misc]


async def _shows_text(viewer: Viewer, text: str) -> None:
    await viewer.until(lambda: text in viewer.text)


@pytest.mark.parametrize(
    ("asked", "given"),
    [((0, 0), (20, 5)), ((-1, -(10**30)), (20, 5)), ((10_000, 10_000), (1000, 1000)), ((0, 10**30), (20, 1000))],
)
async def test_sizes_that_no_terminal_has(serve: Serve, asked: tuple[int, int], given: tuple[int, int]) -> None:
    """Asked for by a message or by the address, they become the nearest that there is; the shell and everyone have it, and a next one."""
    cols, rows = given
    async with serve() as place:
        async with place.watch("w1", who="pia") as pia:
            await pia.running()
            await pia.tell("resize", cols=asked[0], rows=asked[1])
            await pia.message("resize", cols=cols, rows=rows)
            assert (await pia.ask("run", command="stty size", timeout_s=60))["result"]["output"] == f"{rows} {cols}"
            assert str(rows) in (await pia.ask("screen"))["result"]["text"]
            async with place.watch("w1", who="obi") as late:
                await late.until(lambda: late.screens)
                assert late.screens[0][1:3] == given
            await pia.tell("resize", cols=81, rows=25)
            await pia.message("resize", cols=81, rows=25)
            assert (await pia.ask("run", command="stty size", timeout_s=60))["result"]["output"] == "25 81"
        if asked in ((0, 0), (10_000, 10_000)):
            async with place.watch("w2", who="pia", query=f"?cols={asked[0]}&rows={asked[1]}") as pia:
                await pia.running()
                assert (await pia.ask("run", command="stty size", timeout_s=60))["result"]["output"] == f"{rows} {cols}"


READER = """
import os, sys, time, tty
tty.setraw(0)
print("READY", flush=True)
while not os.path.exists(sys.argv[1]):
    time.sleep(0.02)
got, said = b"", False
while not got.endswith(b"END"):
    got += os.read(0, 65536)
    if len(got) > 1000000 and not said:
        said = print("CAUGHT-UP", flush=True) is None
lines = got[:-3].split()
print("WITHOUT-HOLES" if lines == [b"%07d" % number for number in range(len(lines))] else "WITH-HOLES", flush=True)
"""
"""A program that is busy at first, then reads all that was typed, up to END."""


async def test_what_is_pasted_behind_a_hole_is_not_typed(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More is pasted than a busy program may have unread: of the paste it gets the beginning alone, though it reads on before the rest
    has come. After a silence one types as ever."""
    monkeypatch.setattr("partywidgets.terminal.viewer.HOLE_SECONDS", 3600.0)
    program, go = tmp_path / "reader.py", tmp_path / "go"
    program.write_text(READER)
    pieces = [b"".join(b"%07d\n" % number for number in range(at, at + 512)) for at in range(0, 400 * 512, 512)]
    async with serve() as place, place.watch(who="ana") as ana:
        await ana.running()
        await ana.type(f"python3 {program} {go}\r")
        await ana.shows(b"READY\n")
        for piece in pieces[:300]:
            await ana.type(piece)
        refusal = await ana.message("error")
        assert "input unread" in refusal["message"]
        go.touch()
        await ana.shows(b"CAUGHT-UP")
        for piece in pieces[300:]:
            await ana.type(piece)
        room = await place.room("w1")
        async with asyncio.timeout(WAIT):
            while room.audit.counts["input-dropped"] < 140:
                await asyncio.sleep(0.01)
        monkeypatch.setattr("partywidgets.terminal.viewer.HOLE_SECONDS", 0.0)
        await ana.type(b"END")
        await ana.shows(b"WITHOUT-HOLES")
        assert len(ana.of("error")) == 1
