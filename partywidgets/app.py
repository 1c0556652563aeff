"""config → PartyHost + ASGI app: the only composition, called by runtime, extension and cli."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .auth import Gate
from .config import Config
from .party import PartyHost
from .scans.service import OpsMonitorService

Scope = MutableMapping[str, Any]
ASGIApp = Callable[[Scope, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]


@dataclass
class App:
    """A host, its ops service and the ASGI app in front of both. `async with app` starts and stops them in order."""

    host: PartyHost
    asgi: ASGIApp
    gate: Gate
    service: OpsMonitorService

    async def __aenter__(self) -> App:
        raise NotImplementedError

    async def __aexit__(self, *error: object) -> None:
        raise NotImplementedError


def create_app(
    *,
    gate: Gate,
    config: Config | None = None,
    storage: Path | str | None = None,
    sandboxes: dict[str, str] | None = None,
    owner_addresses: bool = False,
) -> App:
    """Both rooms on every route of the design: `/parties/…`, `/api/workers/…`, `/api/ops/…`, `/tickets`, `/healthz`, `/hello`, `/static`, `/metrics`.

    `sandboxes` is the map of ids to addresses that the config's own is laid over. `owner_addresses`: a `PUT /api/sandboxes/:id` by an admin may set any address.
    """
    raise NotImplementedError
