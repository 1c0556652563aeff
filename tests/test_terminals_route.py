"""`GET /api/terminals`: which terminals are there, told to whoever has a role in them, and to nobody else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from partywidgets.auth import Identity
from partywidgets.client.terminal import TerminalClient
from partywidgets.party import Grant
from partywidgets.terminal.server import TerminalServer
from partywidgets.terminal.terminal_list import answer

from .running_app import Running, running
from .terminal.viewers import connected

PATH = "/api/terminals"
OLGA, VERA = "olga-token-for-these-tests", "vera-token-for-these-tests"
PEOPLE = {OLGA: Identity("olga", "Olga", frozenset({"operator"})), VERA: Identity("vera", "Vera", frozenset({"viewer", "responder"}))}
SANDBOXES = {"default": "local:/bin/sh", "web": "local:/bin/sh"}


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[Running]:
    """An app with two sandboxes, an operator and somebody without a role in terminals."""
    async with running(tmp_path, people=PEOPLE, sandboxes=dict(SANDBOXES)) as started:
        yield started


async def test_who_may_ask(app: Running) -> None:
    """A credential and a role in terminals; who only looks on is told of no sandbox, for they may open none; a ticket is for a room."""
    assert await app.json("GET", PATH) == (
        200,
        {"role": "moderator", "terminals": [], "more": 0, "sandboxes": ["default", "web"]},
    )
    assert await app.json("GET", PATH, token=OLGA) == (
        200,
        {"role": "operator", "terminals": [], "more": 0, "sandboxes": ["default", "web"]},
    )
    assert await app.json("GET", PATH, token=app.guest) == (200, {"role": "observer", "terminals": [], "more": 0, "sandboxes": []})
    status, said = await app.json("GET", PATH, token=VERA)
    assert (status, list(said)) == (403, ["error"])
    assert "observer, operator, peer, moderator" in said["error"]
    ticket = await app.ticket("terminal-server", "web")
    for headers, query, refused in (
        ({}, "", 401),
        ({"Authorization": "Bearer not-the-token-of-anybody"}, "", 401),
        ({}, f"?ticket={ticket}", 401),
        ({}, f"?token={app.owner}", 401),
        ({**app.bearer(), "Origin": "https://evil.example"}, "", 403),
        ({**app.bearer(), "Host": f"evil.example:{app.port}"}, "", 403),
    ):
        async with app.http.get(f"{app.url}{PATH}{query}", headers=headers) as answer:
            assert (answer.status, list(await answer.json())) == (refused, ["error"]), (headers, query)
    for method in ("POST", "PUT", "DELETE"):
        assert (await app.json(method, PATH))[0] == 405
    async with app.http.get(f"{app.url}{PATH}", headers=app.bearer()) as answer:
        assert answer.headers["Cache-Control"] == "no-store"
    assert app.rooms() == []


async def listed(app: Running, people: list[int]) -> list[dict[str, Any]]:
    """The list, once so many people are told to be in its terminals: a socket that closed is noticed in its own time."""
    async with asyncio.timeout(30):
        while True:
            _, told = await app.json("GET", PATH, token=app.guest)
            found: list[dict[str, Any]] = told["terminals"]
            if [one["people"] for one in found] == people:
                return found
            await asyncio.sleep(0.02)


async def test_what_is_told(app: Running) -> None:
    """Each terminal by its name, with its sandbox's id, its state and its people: one with two pages is one. An address is told to nobody;
    what somebody only asked about is no terminal."""
    place = f"{app.ws}/parties/terminal-server"
    assert (await app.json("GET", "/parties/terminal-server/nobody-opened-it"))[0] == 200
    async with AsyncExitStack() as here:
        opened = await here.enter_async_context(TerminalClient(app.url, "incident", token=app.owner, sandbox="web"))
        assert (await opened.run("true", timeout=30)).ok
        for token in (app.owner, OLGA, app.guest):
            await here.enter_async_context(connected(f"{place}/incident", app.bearer(token)))
        await here.enter_async_context(connected(f"{place}/not%20opened", app.bearer(app.guest)))
        async with TerminalClient(app.url, "a-long-job", token=OLGA) as left:
            assert (await left.run("true", timeout=30)).ok
        assert await listed(app, [3, 1, 0]) == [
            {"room": "incident", "sandbox": "web", "state": "running", "people": 3},
            {"room": "not opened", "sandbox": "", "state": "idle", "people": 1},
            {"room": "a-long-job", "sandbox": "default", "state": "running", "people": 0},
        ]
        assert "local:" not in json.dumps(await app.json("GET", PATH))
        await opened.send("exit 3\r")
        async with asyncio.timeout(30):
            while opened.exit is None:
                await opened.changed()
        assert (await listed(app, [3, 1, 0]))[0]["state"] == "ended"
    assert [one["room"] for one in await listed(app, [0])] == ["a-long-job"]


def test_a_long_list_is_cut() -> None:
    """Those with people first, then by name; how many are left out is told. A grant for one room is told of that room alone."""

    def room(name: str, people: int) -> TerminalServer:
        viewers = {place: SimpleNamespace(person=SimpleNamespace(subject=str(place))) for place in range(people)}
        upstream = SimpleNamespace(alive=True, sandbox_id="web", state="running")
        return cast(TerminalServer, SimpleNamespace(name=name, party="terminal-server", viewers=viewers, upstream=upstream))

    rooms = [room("c", 0), room("b", 0), room("d", 2), room("a", 1)]
    told = answer(rooms, ["x", "z", "y"], Grant("ana", "Ana", frozenset({"peer"})), most=3)
    assert ([one["room"] for one in told["terminals"]], told["more"], told["sandboxes"]) == (["a", "d", "b"], 1, ["x", "y", "z"])
    assert len(answer(rooms, ["x", "z", "y"], Grant("ana", "Ana", frozenset({"peer"})), most=2)["sandboxes"]) == 2
    narrow = answer(rooms, [], Grant("ana", "Ana", frozenset({"observer"}), room="b"))
    assert [one["room"] for one in narrow["terminals"]] == ["b"]
