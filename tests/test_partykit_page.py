"""The page for people who know PartyKit: its examples are run as the files that they say they are."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

import partywidgets as pw
from partywidgets.partysocket import PartySocket

from .party.serving import received
from .ports import kept_port

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/topics/partykit.md").read_text()
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.M | re.S)
PORT = "8787"
WAIT = 30.0

IN_FRONT = """
import asyncio
from app import app, pw

async def main():
    async with pw.serve(app, port=8787) as server:
        await server.serve_forever()

asyncio.run(main())
"""


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, str]:
    """The page's examples in a folder, under the names in their first lines, and the port that they have there for 8787."""
    port = str(kept_port())
    for block in BLOCK.findall(PAGE):
        name = re.match(r"# (\w+\.py)\b", block)
        assert name, f"an example without a file's name: {block[:60]}"
        (tmp_path / name[1]).write_text(block.replace(PORT, port))
    (tmp_path / "in_front.py").write_text(IN_FRONT.replace(PORT, port))
    return tmp_path, port


@contextlib.asynccontextmanager
async def run(folder: Path, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python …` in that folder."""
    with (folder / "log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments,
            cwd=folder, env={**os.environ, "PARTYWIDGETS_HOME": str(folder / "home")}, stdout=asyncio.subprocess.PIPE, stderr=log,
            start_new_session=True,
        )  # fmt: skip
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with hypercorn's workers
            await process.communicate()
            print((folder / "log").read_text())


async def answers(port: str, path: str) -> httpx.Response:
    """A GET, as soon as somebody listens."""
    async with asyncio.timeout(WAIT), httpx.AsyncClient(timeout=WAIT) as http:
        while True:
            try:
                return await http.get(f"http://127.0.0.1:{port}{path}")
            except httpx.TransportError:
                await asyncio.sleep(0.05)


def joining(port: str, **query: str) -> Any:
    """A client of the example's room."""
    return connect(f"ws://127.0.0.1:{port}/parties/chat/lobby?{'&'.join(f'{k}={v}' for k, v in query.items())}")


async def test_the_room_and_the_socket(files: tuple[Path, str]) -> None:
    """chat.py serves, talk.py hears what another talk.py says and not what it says itself, and the room's end is 1012."""
    folder, port = files
    async with run(folder, "chat.py") as chat:
        assert (await answers(port, "/parties/chat/lobby")).text == "Not implemented"
        async with joining(port, _pk="me", since="monday") as me, run(folder, "talk.py") as first:
            assert await received(me) == "hello"
            async with run(folder, "talk.py"):
                assert await received(me) == "hello"
                assert first.stdout is not None
                async with asyncio.timeout(WAIT):
                    assert await first.stdout.readline() == b"hello\n"
            await me.send("and I")
            async with asyncio.timeout(WAIT):
                assert await first.stdout.readline() == b"and I\n"
            chat.send_signal(signal.SIGINT)
            with pytest.raises(ConnectionClosed):
                await received(me)
            assert me.close_code == 1012


@pytest.mark.parametrize("server", ["-m uvicorn app:app --port {}", "-m hypercorn app:app --bind 127.0.0.1:{}", "in_front.py"])
async def test_the_middleware_in_front_of_an_app(files: tuple[Path, str], server: str) -> None:
    """app.py under the three servers that the page names: the rooms are there, what is not a room's is the app's."""
    folder, port = files
    async with run(folder, *server.format(port).split()):
        assert (await answers(port, "/docs")).status_code == 200
        assert (await answers(port, "/parties/chat/lobby")).status_code == 404
        async with joining(port, _pk="a") as a, joining(port, _pk="b") as b:
            await a.send("to all others")
            assert await received(b) == "to all others"
            await b.send("back")
            assert await received(a) == "back"
        async with PartySocket(host=f"127.0.0.1:{port}", party="chat", room="lobby") as one, joining(port, _pk="c") as c:
            one.send("kept until it is open")
            assert await received(c) == "kept until it is open"


def documents() -> list[Path]:
    """Every page with examples in Python."""
    return [path for path in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))) if "```python" in path.read_text()]


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_examples_name_what_there_is(path: Path) -> None:
    """Each example in the docs is Python, imports of this package work, and `pw.…` has that name."""
    for block in BLOCK.findall(path.read_text()):
        plain = "\n".join(line for line in block.splitlines() if not line.lstrip().startswith(("%", "!")))
        tree = compile(plain, path.name, "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "partywidgets":
                exec(compile(ast.Module([node], []), path.name, "exec"), {})
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "pw":
                assert hasattr(pw, node.attr), f"{path.name}: pw.{node.attr} in {ast.unparse(node)}"
