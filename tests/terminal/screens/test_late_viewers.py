"""Cell by cell: whoever joins late, reloads or lags has the screen of one who saw everything, in programs that people use."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.terminal.conftest import Serve
from tests.terminal.screens.conftest import Step, Xterm
from tests.terminal.viewers import Place, Viewer

pytest.importorskip("partywidgets.terminal.emulator", reason="pyghostty has no wheel here")

WIDE = "中文字 かな 한글 e\u0301a\u0300o\u0308 👍 ñ │─┐ ☃ ｆｕｌｌ"
TEXT = "\n".join(f"line {n:03d} {WIDE} {'x' * (n % 90)}" for n in range(200)) + "\n"
SIZE = (100, 30)

# How a program is started, what shows that it is there, and keys with what shows that they were taken.
PROGRAMS: dict[str, tuple[str, str, list[tuple[str, str]]]] = {
    "shell": ("cat text.txt; ls -la --color=always; printf '\\033[1;4;38;5;208mdone\\033[0m\\n'", "done", [("echo tw''ice\r", "twice")]),
    "vim": (
        "vim.tiny -u NONE -c 'set nocp nu hls ls=2 mouse=a' text.txt",
        "line 020",
        [("/line 05\r", "line 050"), ("Goinserted 中文 e\u0301 here", "here"), ("\x1b:sp\rgg", "line 001")],
    ),
    "less": ("less -N text.txt", "line 010", [("  ", "line 060"), ("/line 1\r", "line 100"), ("G", "line 199")]),
    "htop": ("htop -d 100", "F10", [("t", "F10"), ("\x1b[B\x1b[B", "F10")]),
    "tmux": (
        "tmux -L $TMUX_NAME -f /dev/null new-session \\; set -g mouse on \\; split-window -h \\; send-keys 'head -40 text.txt' Enter",
        "line 03",
        [("\x02%", "│"), ("echo pan''e\r", "pane"), ("\x02z", "pane")],
    ),
}


async def everything(place: Place, room: str, first: Viewer, end: int) -> tuple[tuple[int, int], list[Step]]:
    """The size at the start, and all output up to an offset with the resizes in their places."""
    ring = (await place.room(room)).stream.ring
    assert ring.base == 0, "the ring dropped output: what everybody saw is not known any more"
    size = first.of("welcome")[-1]["size"]
    steps: list[Step] = []
    at = 0
    for resize in first.of("resize"):
        if resize["offset"] <= end:
            steps += [ring.read(at, resize["offset"]), (resize["cols"], resize["rows"])]
            at = resize["offset"]
    steps.append(ring.read(at, end))
    return (size["cols"], size["rows"]), steps


def late_steps(viewer: Viewer) -> tuple[tuple[int, int], list[Step], int]:
    """What a viewer's terminal was given since its last screen: no resize may have come since."""
    offset, cols, rows, drawing = viewer.screens[-1]
    assert not [message for message in viewer.of("resize") if message["offset"] > offset]
    return (cols, rows), [drawing + viewer.output], offset + len(viewer.output)


async def assert_same(xterm: Xterm, place: Place, room: str, first: Viewer, late: Viewer, scrollback: bool = True) -> None:
    """Both terminals show the same at the late viewer's offset."""
    size, steps, end = late_steps(late)
    seen = await xterm.shows(size, steps)
    whole = await xterm.shows(*await everything(place, room, first, end))
    assert_equal(seen, whole, scrollback=scrollback)


def assert_equal(seen: dict[str, Any], whole: dict[str, Any], *, scrollback: bool = True) -> None:
    """Cells, cursor and modes; scrollback as far back as the late one has it."""
    for name in ("active", "cursor", "modes", "cursorHidden"):
        assert seen[name] == whole[name], name
    for name in ("normal", "alternate"):
        rows, wanted = seen[name], whole[name]
        if scrollback:
            assert len(rows) == len(wanted), f"{name}: {len(rows)} rows instead of {len(wanted)}"
        else:
            rows, wanted = rows[-SIZE[1] :], wanted[-SIZE[1] :]
        for y, (row, other) in enumerate(zip(rows, wanted, strict=True)):
            differing = [(x, cell, right) for x, (cell, right) in enumerate(zip(row, other, strict=True)) if cell != right]
            assert not differing, f"{name} buffer, row {y}, (column, late, right): {differing[:5]}"


@pytest.fixture
def text_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A plain home with a text to look at."""
    home = tmp_path / "home"
    home.mkdir()
    (home / ".bashrc").write_text(f"PS1='$ '; cd {home}\n")
    (home / "text.txt").write_text(TEXT, "utf-8")
    for name, value in {"HOME": str(home), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "TMUX_NAME": f"pw-{tmp_path.name}", "LESS": ""}.items():
        monkeypatch.setenv(name, value)
    return home


@pytest.mark.parametrize("program", PROGRAMS)
async def test_whoever_joins_late_has_the_exact_screen(program: str, serve: Serve, xterm: Xterm, text_home: Path) -> None:
    """After each key, a viewer that joins then has the cells, the cursor and the modes of the first one; and again after more output."""
    command, there, keys = PROGRAMS[program]
    need = command.split()[0]
    if need != "cat" and shutil.which(need) is None:
        pytest.skip(f"{need} is not installed: ./dev test installs it")
    async with serve(default="local:/bin/bash") as place, place.watch(query=f"?cols={SIZE[0]}&rows={SIZE[1]}") as first:
        await first.running()
        try:
            for keystrokes, shown in [(f"{command}\r", there), *keys]:
                await first.type(keystrokes)
                await on_screen(place, first, shown)
                async with place.watch() as late:
                    await late.until(lambda: late.screens)
                    await assert_same(xterm, place, "w1", first, late)
            async with place.watch() as late:
                await late.until(lambda: late.screens)
                await leave(program, place, first)
                await late.until(lambda: late.offset >= first.offset)
                await assert_same(xterm, place, "w1", first, late)
        finally:
            if program == "tmux":
                kill = ["tmux", "-L", f"pw-{text_home.parent.name}", "kill-server"]
                await asyncio.to_thread(subprocess.run, kill, capture_output=True, timeout=20)


async def on_screen(place: Place, first: Viewer, text: str) -> None:
    """Waits until the room's screen shows a text, however the program painted it."""
    room = await place.room("w1")
    async with asyncio.timeout(30):
        while True:
            first._changed.clear()
            if text in await room.screen_text():
                return
            await first._changed.wait()


async def leave(program: str, place: Place, first: Viewer) -> None:
    """Back to the shell, so that the primary screen comes back."""
    quits = {"vim": "\x1b:qa!\r", "less": "q", "htop": "q", "tmux": "\x02d"}.get(program)
    if quits is not None:
        await first.type(quits)
        await first.until(lambda: b"\x1b[?1049l" in first.drawn())
    await first.type("echo ba''ck\r")
    await on_screen(place, first, "\nback")


@pytest.mark.parametrize("program", ["shell", "vim"])
async def test_whoever_lagged_or_was_away_has_the_exact_screen(program: str, serve: Serve, xterm: Xterm, text_home: Path) -> None:
    """A viewer that was too slow, and one whose page was reloaded with a resume, end with the cells of the first one."""
    if program == "vim" and shutil.which("vim.tiny") is None:
        pytest.skip("vim.tiny is not installed: ./dev test installs it")
    (text_home / "flood.txt").write_text("".join(f"\x1b[3{n % 8}m{n} {WIDE}\x1b[0m\n" for n in range(7000)), "utf-8")
    async with (
        serve(default="local:/bin/bash", ring_bytes=8 << 20) as place,
        place.watch(query=f"?cols={SIZE[0]}&rows={SIZE[1]}") as first,
        place.watch() as slow,
    ):
        await first.running()
        await slow.until(lambda: slow.screens)
        await slow.tell("consumed", offset=slow.offset)
        follow = "; vim.tiny -u NONE -c 'set nu' text.txt" if program == "vim" else ""
        async with place.watch() as away:
            await away.until(lambda: away.screens)
            epoch, offset = away.of("welcome")[-1]["epoch"], away.offset
            early = away.screens[-1], away.output
        await first.type("cat text.txt; echo pau''se\r")
        await first.shows(b"pause")
        async with place.watch(query=f"?epoch={epoch}&offset={offset}") as again:
            await again.until(lambda: b"pause" in again.output)
            assert again.of("welcome")[-1]["resumed"]
            assert not again.screens
            (_, cols, rows, drawing), more = early
            output, end = again.output, again.offset  # as they stand together: the prompt may come at any moment
            seen = await xterm.shows((cols, rows), [drawing, more, output])
            assert_equal(seen, await xterm.shows(*await everything(place, "w1", first, end)))
        await first.type(f"cat flood.txt; echo floo''ded{follow}\r")
        await slow.until(lambda: [lag for lag in slow.of("lag") if lag["behind"] > 0])
        await on_screen(place, first, "line 020" if follow else "\nflooded")
        await slow.tell("consumed", offset=slow.offset)
        await slow.until(lambda: len(slow.screens) > 1)
        await assert_same(xterm, place, "w1", first, slow, scrollback=False)
