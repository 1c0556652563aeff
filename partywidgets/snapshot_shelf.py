"""Where kernels leave the last states of widgets whose rooms are on another host, so that a notebook that is saved has them.

The Jupyter Server's extension looks into its own rooms when a notebook is saved. It has no way, and no credential, to look into a team's
host; the kernel that shows the widget has both, and tells what it sees.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from .runtime import SHELF

WIDGETS = 64
"""States that are kept, the newest: a notebook has a few."""
STATE_LIMIT = 1024 * 1024
"""Bytes of one. A dashboard's snapshot has 500 rows, a screen's some hundred KiB at most."""
_ID_LENGTH = 64


class SnapshotShelf:
    """An ASGI app: `PUT /snapshots/MODEL` from a kernel, everything else to the rooms behind it."""

    def __init__(self, rooms: ASGIApp, *, kernel: object) -> None:
        """`kernel` is the identity that the transport gives to whoever shows the kernels' secret."""
        self._rooms, self._kernel = rooms, kernel
        self._states: OrderedDict[str, tuple[str, str, datetime]] = OrderedDict()

    def get(self, model_id: str) -> tuple[str, str, datetime] | None:
        """A widget's last state as text and as HTML, and when it was seen."""
        return self._states.get(model_id)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = str(scope.get("path", ""))
        if scope["type"] != "http" or not path.startswith(f"/{SHELF}/"):
            await self._rooms(scope, receive, send)
            return
        await (await self._answer(Request(scope, receive), path.rpartition("/")[2]))(scope, receive, send)

    async def _answer(self, request: Request, model_id: str) -> Response:
        if request.scope.get("partywidgets.identity") != self._kernel:
            return _refusal(403, "only a kernel of this server leaves a snapshot here")
        if request.method != "PUT" or not 0 < len(model_id) <= _ID_LENGTH:
            return _refusal(405, "PUT a widget's state to its model's id")
        try:
            body = await request.body()
        except ClientDisconnect:
            return Response(status_code=400)
        if len(body) > STATE_LIMIT:
            return _refusal(413, f"a state has at most {STATE_LIMIT} bytes")
        if (state := _read(body)) is None:
            return _refusal(400, 'a state is {"text": …, "html": …, "at": an ISO time}')
        self._states[model_id] = state
        self._states.move_to_end(model_id)
        while len(self._states) > WIDGETS:
            self._states.popitem(last=False)
        return JSONResponse({})


def _read(body: bytes) -> tuple[str, str, datetime] | None:
    try:
        told: Any = json.loads(body)
        text, markup, at = told["text"], told["html"], datetime.fromisoformat(told["at"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if not isinstance(text, str) or not isinstance(markup, str):
        return None
    return text, markup, at if at.tzinfo else at.replace(tzinfo=UTC)


def _refusal(status: int, sentence: str) -> Response:
    return JSONResponse({"error": sentence}, status, headers={"Allow": "PUT"} if status == 405 else None)
