"""What a type checker says of a user's own code: the examples in the docs, and annotated code that uses what they use."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterable
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
from pandas import DataFrame
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
    assert_type(await terminal.send("ls\\r"), None)
    pw.Terminal("db-incident", sandbx="docker:web-1")  # type: ignore[arg-type]
    pw.ScanTable(hight=300)  # type: ignore[arg-type]
    pw.Terminul("db-incident")  # type: ignore[attr-defined]
    assert_type(pw.terminals().wait(), DataFrame)
    ops = await pw.ops("partywidgets.yaml")
    assert_type(ops, pw.OpsDashboard)
    await pw.ops("partywidgets.yaml", titel="shop")  # type: ignore[call-arg]
    await ops.promote(queue_depth)
    await ops.promote({"id": "shop", "type": "http", "url": "https://shop.example", "conditions": ["status == 200"]})
    assert_type((await ops.remedy("8c6976e5b5410415").run()).exit_code, int | None)
"""


# For what is in the docs, where a reader's function has no annotations, and a cell uses what another page made.
LENIENT = """
check_untyped_defs = true
disallow_untyped_defs = false
disallow_incomplete_defs = false
disallow_untyped_calls = false
disallow_untyped_decorators = false
disallow_any_generics = false
disallow_subclassing_any = false
warn_return_any = false
warn_unused_ignores = false
strict_equality = false
extra_checks = false
disable_error_code = name-defined,no-redef
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What mypy found out of our package and of those below it, half a minute's work, for all that is checked here."""
    return tmp_path_factory.mktemp("mypy")


def checked(folder: Path, cache: Path, *, lenient: Iterable[str] = ()) -> str:
    """What `mypy --strict` says of a folder, with none of this repository's settings; it is less strict with the `lenient` modules."""
    settings = "[mypy]\nstrict = true\nignore_missing_imports = true\n"
    if modules := ",".join(lenient):
        settings += f"[mypy-{modules}]{LENIENT}"
    (folder / "mypy.ini").write_text(settings)
    command = [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "--no-pretty", "--cache-dir", str(cache), "."]
    done = subprocess.run(command, cwd=folder, env={**os.environ, "MYPYPATH": ""}, capture_output=True, text=True, timeout=240)
    return done.stdout + done.stderr


def modules_of(path: Path) -> dict[str, str]:
    """A page's examples as modules: those that say their file's name, and the others, its cells, one after another in one function."""
    files = {}
    cells = ["async def page():"]
    for block in BLOCK.findall(path.read_text()):
        plain = re.sub(r"^[ ]*[%!].*$", "", block, flags=re.M)
        if name := re.match(r"# (\w+)\.py\b", plain):
            files[name[1]] = plain
        else:
            cells.append(textwrap.indent(plain, "    "))
    page = re.sub(r"\W", "_", path.relative_to(ROOT).with_suffix("").as_posix())
    return files | {f"cells_of_{page}": "\n".join([*cells, "    ..."])}


@pytest.mark.timeout(300)
def test_annotated_code_is_strictly_typed(tmp_path: Path, cache: Path) -> None:
    """Rooms, hooks plain and async, sockets, checks and widgets under `mypy --strict`; each mistake marked in it is refused."""
    (tmp_path / "annotated.py").write_text(ANNOTATED)
    said = checked(tmp_path, cache)
    assert "Success: no issues found" in said, said


@pytest.mark.timeout(300)
def test_documented_examples_pass_mypy(tmp_path: Path, cache: Path) -> None:
    """Each page's examples as they stand, bodies without annotations included."""
    groups: list[dict[str, str]] = []  # of pages that have no file's name in common
    for path in documents():
        modules = modules_of(path)
        group = next((group for group in groups if group.keys().isdisjoint(modules)), None)
        if group is None:
            groups.append(modules)
        else:
            group.update(modules)
    for number, group in enumerate(groups):
        folder = tmp_path / str(number)
        folder.mkdir()
        for name, code in group.items():
            (folder / f"{name}.py").write_text(code)
        said = checked(folder, cache, lenient=group)
        assert "Success: no issues found" in said, said
