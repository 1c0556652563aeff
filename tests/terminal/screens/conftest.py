"""A real xterm beside the room, and a home with a text to look at."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.node_packages import installed
from tests.terminal.conftest import serve
from tests.terminal.screens.programs import TEXT
from tests.terminal.screens.xterm import Xterm

__all__ = ["serve"]

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def xterm_place() -> Path:
    """A directory with cells.mjs and the locked npm packages, installed once and kept."""
    return installed(HERE, "screens", "cells.mjs", untried="screens beside xterm.js")


@pytest.fixture
async def xterm(xterm_place: Path) -> AsyncIterator[Xterm]:
    """A process that answers until the test ends."""
    process = await asyncio.create_subprocess_exec(
        "node", "cells.mjs", cwd=xterm_place, stdin=subprocess.PIPE, stdout=subprocess.PIPE, limit=256 << 20
    )
    try:
        yield Xterm(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


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
