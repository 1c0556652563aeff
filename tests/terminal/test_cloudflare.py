"""The Cloudflare Sandbox dialects, as their own addon speaks them."""

from __future__ import annotations

import json

import pytest

from partywidgets.terminal.cloudflare import CursorError, decode_cursor, encode_cursor

from .conftest import Serve


async def test_stable_replays_then_ready_and_takes_binary(serve: Serve) -> None:
    """Stable: a binary replay first, then `ready`; input is binary, text is control, a wrong one gets the container's own error."""
    async with serve() as place, place.watch(who="pia") as pia:
        await pia.running()
        async with place.watch(who="pia", dialect=None, query="?dialect=cloudflare") as addon:
            await addon.message("ready")
            assert isinstance(addon.frames[0], bytes)
            assert b"633;B;" not in addon.frames[0]
            assert json.loads(addon.frames[1]) == {"type": "ready"}
            await addon.socket.send(b"echo cf-$((2+2))\r")
            await addon.until(lambda: b"cf-4" in addon.output)
            await addon.socket.send("ls\r")
            assert (await addon.message("error"))["message"] == "Invalid control message"
            await addon.socket.send(json.dumps({"type": "resize", "cols": 0, "rows": 10}))
            await addon.message("error", message="Invalid dimensions: cols and rows must be positive")
            await addon.socket.send(json.dumps({"type": "resize", "cols": 99, "rows": 31}))
            await pia.message("resize", cols=99, rows=31)
            await addon.socket.send(b"exit 3\r")
            assert (await addon.message("exit"))["code"] == 3


async def test_preview_sends_chunks_and_resumes_by_cursor(serve: Serve) -> None:
    """1.0: `ready` first, each binary frame of the announced length behind its `chunk`; a cursor gives what came after it."""
    async with serve() as place, place.watch(who="pia") as pia:
        await pia.running()
        async with place.watch(who="pia", dialect=None, query="?dialect=cloudflare-1") as addon:
            await addon.until(lambda: len(addon.frames) >= 3)
            assert json.loads(addon.frames[0]) == {"type": "ready"}
            await addon.socket.send(b"echo first-$((1+1))\r")
            await addon.until(lambda: b"first-2" in addon.output)
            for announced, data in zip(addon.frames[1::2], addon.frames[2::2], strict=False):
                assert isinstance(data, bytes)
                assert json.loads(announced)["byteLength"] == len(data)
            cursor = addon.of("chunk")[-1]["cursor"]
        await pia.type("echo second-$((2+2))\r")
        await pia.shows(b"second-4")
        async with place.watch(who="pia", dialect=None, query=f"?dialect=cloudflare-1&cursor={cursor}") as back:
            await back.until(lambda: b"second-4" in back.output)
            assert back.control[0] == {"type": "ready", "cursor": cursor}
            assert b"first-2\r\n" not in back.output
            assert b"\x1bc" not in back.output
            await back.socket.send(b"exit 2\r")
            assert (await back.message("exit"))["exit"] == {"code": 2, "timedOut": False}
            assert (await back.gone())[0] == 1000


async def test_preview_terminates_for_who_may_restart_alone(serve: Serve) -> None:
    """An operator's `terminate` ends nothing, though they may type; a peer's does."""
    async with serve() as place, place.watch(who="ana") as ana:
        await ana.running()
        query = "?dialect=cloudflare-1"
        async with place.watch(who="ben", dialect=None, query=query) as ben, place.watch(who="pia", dialect=None, query=query) as pia:
            await ben.tell("terminate")
            await ben.type(b"echo still-$((1+1))\r")
            await ana.shows(b"still-2")
            await pia.tell("terminate")
            assert (await ana.message("exit"))["reason"]


async def test_preview_refuses_a_foreign_cursor(serve: Serve) -> None:
    """A cursor of another run is an `error` and close 1011, as their container does it."""
    async with serve() as place, place.watch(who="pia") as pia:
        await pia.running()
        async with place.watch(who="pia", dialect=None, query=f"?dialect=cloudflare-1&cursor={encode_cursor('other', 5)}") as addon:
            assert await addon.gone() == (1011, "Byte log cursor belongs to another run or store")
            assert addon.control[0]["type"] == "error"


def test_cursors_are_read_as_strictly_as_theirs() -> None:
    """A cursor comes back as its offset; malformed, foreign and future ones are told apart."""
    assert decode_cursor(encode_cursor("e1", 77), "e1", 100) == 77
    for wrong in ("", "?", "djE", encode_cursor("e1", 0), encode_cursor("e1", 77) + "="):
        with pytest.raises(CursorError, match="Invalid byte log cursor"):
            decode_cursor(wrong, "e1", 100)
    with pytest.raises(CursorError, match="future"):
        decode_cursor(encode_cursor("e1", 101), "e1", 100)
