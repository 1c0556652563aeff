"""What terminal tests share: a real server with terminal rooms, and real engines."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import partywidgets
from partywidgets.auth import Gate, Identity
from partywidgets.party import Environment, PartyHost
from partywidgets.terminal.server import TerminalServer
from partywidgets.terminal.settings import TerminalSettings
from partywidgets.transport.limits import Limits
from tests.engines_fixture import docker_engine, podman_engine
from tests.terminal.viewers import Place

__all__ = ["docker_engine", "podman_engine"]

PEOPLE = {
    "ana-token-for-the-tests": Identity("ana", "Ana", frozenset({"moderator"})),
    "ben-token-for-the-tests": Identity("ben", "Ben", frozenset({"operator"})),
    "cyd-token-for-the-tests": Identity("cyd", "Cyd", frozenset({"operator"})),
    "obi-token-for-the-tests": Identity("obi", "Obi", frozenset({"observer"})),
    "pia-token-for-the-tests": Identity("pia", "Pia", frozenset({"peer"})),
    "ops-token-for-the-tests": Identity("ops", "Ops", frozenset({"viewer"})),
}

Serve = Callable[..., AbstractAsyncContextManager[Place]]


def shell_path(name: str) -> str:
    """Where a shell is; skips the test where it is not installed."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed: apt-get install {name}")
    return path


@pytest.fixture
def serve(tmp_path: Path) -> Serve:
    """`async with serve(default="local:/bin/bash", keep=…) as place`: a real server with terminal rooms and six people's tokens.

    `limits` are those of the server.
    """

    @asynccontextmanager
    async def start(settings: TerminalSettings | None = None, *, limits: Limits | None = None, **options: Any) -> AsyncIterator[Place]:
        known = TerminalSettings.__dataclass_fields__
        sandboxes = {name: value for name, value in options.items() if name not in known} or {"default": "local:/bin/bash"}
        settings = settings or TerminalSettings(sandboxes=sandboxes, host_id="h1", **{k: v for k, v in options.items() if k in known})
        host = PartyHost({"terminal-server": TerminalServer}, storage=tmp_path / "rooms", env=Environment(settings))
        gate = Gate(tokens=PEOPLE, hosts=None)
        async with host, partywidgets.serve(host, bind="127.0.0.1", port=0, auth=gate, limits=limits) as server:
            yield Place(server.url.rstrip("/"), host, settings, gate)

    return start
