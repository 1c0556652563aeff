"""Two terminals beside each other: one that was given a late viewer's frames, one that was given everything."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.terminal.screens.xterm import Step, Xterm
from tests.terminal.viewers import Place, Viewer

SIZE = (100, 30)


async def everything(place: Place, room: str, first: Viewer, end: int) -> tuple[tuple[int, int], list[Step]]:
    """The size at the start, and all output up to an offset with the resizes in their places.

    Of what a room dropped, the first viewer has all only if it never lagged: behind a flood it is given a screen in place of output. A test
    that floods its room has it keep all (`ring_bytes`), or floods it little by little.
    """
    await first.until(lambda: first.offset >= end)
    ring = (await place.room(room)).stream.ring
    size = first.of("welcome")[-1]["size"]
    steps: list[Step] = []
    start, output = 0, b""
    if ring.base == 0:
        output = ring.read(0)
    else:  # the ring dropped some: what the first viewer was sent
        (start, _, _, drawing), *later = first.screens
        assert not later, "neither the ring nor the first viewer has all output"
        steps, output = [drawing], first.output
    at = start
    for resize in first.of("resize"):
        if resize["offset"] <= end:
            steps += [output[at - start : resize["offset"] - start], (resize["cols"], resize["rows"])]
            at = resize["offset"]
    steps.append(output[at - start : end - start])
    return (size["cols"], size["rows"]), steps


def late_steps(viewer: Viewer) -> tuple[tuple[int, int], list[Step], int]:
    """What a viewer's terminal was given since its last screen: no resize may have come since."""
    offset, cols, rows, drawing = viewer.screens[-1]
    assert not [message for message in viewer.of("resize") if message["offset"] > offset]
    return (cols, rows), [drawing + viewer.output], offset + len(viewer.output)


async def assert_same(
    xterm: Xterm, place: Place, room: str, first: Viewer, late: Viewer, *, scrollback: bool = True, only: str = ""
) -> None:
    """Both terminals show the same at the late viewer's offset; `only` one of their buffers, `normal` or `alternate`."""
    size, steps, end = late_steps(late)
    last = 0 if scrollback else size[1]
    seen = await xterm.shows(size, steps, last=last)
    whole = await xterm.shows(*await everything(place, room, first, end), last=last)
    assert_equal(seen, whole, only=only)


def assert_equal(seen: dict[str, Any], whole: dict[str, Any], *, only: str = "") -> None:
    """Cells, cursor and modes."""
    for name in ("active", "cursor", "modes", "cursorHidden"):
        assert seen[name] == whole[name], name
    for name in [only] if only else ["normal", "alternate"]:
        rows, wanted = seen[name], whole[name]
        assert len(rows) == len(wanted), f"{name}: {len(rows)} rows instead of {len(wanted)}"
        for y, (row, other) in enumerate(zip(rows, wanted, strict=True)):
            differing = [(x, cell, right) for x, (cell, right) in enumerate(zip(row, other, strict=True)) if cell != right]
            assert not differing, f"{name} buffer, row {y}, (column, late, right): {differing[:5]}"


async def on_screen(place: Place, first: Viewer, text: str) -> None:
    """Waits until the room's screen shows a text, however the program painted it, and the viewer has come as far."""
    room = await place.room("w1")
    async with asyncio.timeout(30):
        while True:
            first._changed.clear()
            if text in await room.showing.text():
                break
            await first._changed.wait()
    shown = room.stream.ring.end
    await first.until(lambda: first.offset >= shown)
