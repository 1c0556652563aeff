"""Programs that people use in terminals: how they are started, what shows that they are there, keys, and how they are left."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.terminal.screens.compare import on_screen
from tests.terminal.viewers import Place, Viewer

WIDE = "中文字 かな 한글 e\u0301a\u0300o\u0308 👍 ñ │─┐ ☃ ｆｕｌｌ"
TEXT = "\n".join(f"line {n:03d} {WIDE} {'x' * (n % 90)}" for n in range(200)) + "\n"

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
        # Keys within a millisecond would be taken for pasted ones, and C-b among them for text.
        "tmux -L $TMUX_NAME -f /dev/null new-session \\; set -g assume-paste-time 0 \\; set -g mouse on \\; split-window -h \\; "
        "send-keys 'head -40 text.txt' Enter",
        "line 03",
        [("\x02%", "│"), ("echo pan''e\r", "pane"), ("\x02z", "pane")],
    ),
}


def need(program: str) -> None:
    """Skips the test where the program is not installed."""
    name = PROGRAMS[program][0].split()[0]
    if name != "cat" and shutil.which(name) is None:
        pytest.skip(f"{name} is not installed: ./dev test installs it")


@asynccontextmanager
async def started(program: str, place: Place, first: Viewer, home: Path) -> AsyncIterator[None]:
    """The program runs in the room's shell; what it leaves behind is ended."""
    command, there, _ = PROGRAMS[program]
    try:
        await first.type(f"{command}\r")
        await on_screen(place, first, there)
        yield
    finally:
        if program == "tmux":
            kill = ["tmux", "-L", f"pw-{home.parent.name}", "kill-server"]
            await asyncio.to_thread(subprocess.run, kill, capture_output=True, timeout=20)


async def leave(program: str, place: Place, first: Viewer) -> None:
    """Back to the shell, so that the primary screen comes back."""
    quits = {"vim": "\x1b:qa!\r", "less": "q", "htop": "q", "tmux": "\x02d"}.get(program)
    if quits is not None:
        ended = len(first.of("mark"))
        await first.type(quits)
        await first.until(lambda: b"\x1b[?1049l" in first.drawn())
        await first.until(lambda: any(mark["kind"] == "end" for mark in first.of("mark")[ended:]))  # what it reads last is not the shell's
    await first.type("echo ba''ck\r")
    await on_screen(place, first, "\nback")
