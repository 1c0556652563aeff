"""What a type checker says of a user's own code: the examples in the docs, and annotated code that uses what they use."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from .test_partykit_page import BLOCK, documents

ROOT = Path(__file__).parents[1]

ANNOTATED = """
import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, assert_type

import partywidgets as pw
from partywidgets.party import Lobby
from partywidgets.partysocket import CloseEvent, ReconnectingWebSocket
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, Response


@dataclass
class Seen:
    since: str | None


class Plain(pw.Server[Seen]):
    def on_connect(self, connection: pw.Connection[Seen], ctx: pw.ConnectionContext) -> None:
        assert_type(connection.set_state(Seen(ctx.request.query_params.get("since"))), Seen)
        connection.set_state(lambda old: old or Seen(None))
        connection.set_state("now")  # type: ignore[call-overload]

    def on_message(self, connection: pw.Connection[Seen], message: str | bytes) -> None:
        assert_type(connection.state, Seen | None)
        self.broadcast(message, without=[connection.id])

    def on_close(self, connection: pw.Connection[Seen], code: int, reason: str, was_clean: bool) -> None:
        assert_type(self.get_connections(), list[pw.Connection[Seen]])

    def on_exception(self, error: Exception) -> None: ...


class Asynchronous(pw.Server[dict[str, Any]]):
    async def on_start(self, props: object = None) -> None:
        assert_type(await self.sql("SELECT 1 AS one"), list[dict[str, Any]])

    def get_connection_tags(self, connection: pw.Connection[dict[str, Any]], ctx: pw.ConnectionContext) -> list[str]:
        return ["editor" if ctx.grant.has("editor") else "viewer"]

    async def on_message(self, connection: pw.Connection[dict[str, Any]], message: str | bytes) -> None:
        await self.storage.transaction(lambda kept: kept.put("count", kept.get("count", 0) + 1))

    async def on_request(self, request: Request) -> Response:
        return PlainTextResponse("said", status_code=201)

    async def on_alarm(self) -> None:
        await self.storage.delete_all()


class Mistaken(pw.Server):
    def on_message(self, connection: pw.Connection, message: str) -> None: ...  # type: ignore[override]


def who(request: HTTPConnection, lobby: Lobby | None) -> pw.Grant | pw.Refusal:
    return pw.Grant("ada", display_name="Ada", roles=frozenset()) if "token" in request.query_params else pw.Refusal(401, "who are you?")


async def later(request: HTTPConnection, lobby: Lobby | None) -> pw.Grant | pw.Refusal:
    return who(request, lobby)


async def main() -> None:
    async with pw.PartyHost({"Plain": Plain, "Asynchronous": Asynchronous}) as host:
        pw.PartyMiddleware(Starlette(), host=host, auth=later)
        async with pw.serve(host, auth=who, port=8787) as server:
            await server.serve_forever()


async def sockets() -> None:
    async with pw.PartySocket(host="127.0.0.1:8787", party="chat", room="lobby") as socket:
        socket.send("hello")
        async for message in socket:
            assert_type(message, str | bytes)

    async def opened() -> None: ...

    socket.on_open = opened
    socket.on_message = lambda message: assert_type(message, str | bytes)
    socket.on_close = lambda event: assert_type(event, CloseEvent)
    socket.on_error = lambda error: assert_type(error, Exception)
    ReconnectingWebSocket("ws://127.0.0.1:8787", on_open=opened, on_close=lambda event: print(event.code))
    ReconnectingWebSocket("ws://127.0.0.1:8787", on_message=lambda: None)  # type: ignore[arg-type, misc]


@pw.check(every="5m", severity="high", warn="> 50")
def queue_depth() -> int:
    return 70


@pw.check
async def answers() -> None: ...


def kept(depth: Callable[[], int], later: Callable[[], Coroutine[Any, Any, None]]) -> None: ...


kept(queue_depth, answers)
assert_type(queue_depth(), int)


async def cells() -> None:
    terminal = pw.Terminal("db-incident", sandbox="docker:web-1")
    assert_type((await terminal.run("df -P /")).exit_code, int | None)
    assert_type(await terminal.expect("name"), re.Match[str])
    ops = await pw.ops("partywidgets.yaml")
    assert_type(ops, pw.OpsDashboard)
    await ops.promote(queue_depth)
    await ops.promote({"id": "shop", "type": "http", "url": "https://shop.example", "conditions": ["status == 200"]})
    assert_type((await ops.remedy("8c6976e5b5410415").run()).exit_code, int | None)
"""


def checked(folder: Path, *options: str) -> str:
    """What mypy says of the files in a folder, with none of this repository's settings."""
    command = [sys.executable, "-m", "mypy", "--config-file", os.devnull, "--no-pretty", "--cache-dir", ".cache", *options, "."]
    done = subprocess.run(command, cwd=folder, env={**os.environ, "MYPYPATH": ""}, capture_output=True, text=True, timeout=240)
    return done.stdout + done.stderr


def written(folder: Path, page: str) -> None:
    """A page's examples as modules: those that say their file's name, and the others, its cells, one after another in one function."""
    cells = ["async def page():"]
    for block in BLOCK.findall(page):
        plain = re.sub(r"^[ ]*[%!].*$", "", block, flags=re.M)
        if name := re.match(r"# (\w+\.py)\b", plain):
            (folder / name[1]).write_text(plain)
        else:
            cells.append(textwrap.indent(plain, "    "))
    (folder / "cells.py").write_text("\n".join([*cells, "    ..."]))


@pytest.mark.timeout(300)
def test_annotated_code_is_strictly_typed(tmp_path: Path) -> None:
    """Rooms, hooks plain and async, sockets, checks and widgets under `mypy --strict`; each mistake marked in it is refused."""
    (tmp_path / "annotated.py").write_text(ANNOTATED)
    said = checked(tmp_path, "--strict")
    assert "Success: no issues found" in said, said


@pytest.mark.timeout(300)
def test_documented_examples_pass_mypy(tmp_path: Path) -> None:
    """Each page's examples as they stand, bodies without annotations included."""
    for path in documents():
        folder = tmp_path / path.relative_to(ROOT).with_suffix("").as_posix().replace("/", "_").replace("-", "_")
        folder.mkdir()
        written(folder, path.read_text())
        said = checked(
            folder,
            "--check-untyped-defs",
            "--ignore-missing-imports",
            "--disable-error-code=name-defined",
            "--disable-error-code=no-redef",
            "--cache-dir",
            str(tmp_path / ".cache"),
        )
        assert "Success: no issues found" in said, f"{path.name}\n{said}"
