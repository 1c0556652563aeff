"""What stands in front of the rooms and answers in ways of its own: an HTTPException, and what is no answer at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.exceptions import HTTPException
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from partywidgets.party import Server

from ..party.serving import running


class Room(Server):
    """An ordinary one."""


async def answers(url: str) -> tuple[int, int, str]:
    """The status of an upgrade (101 when it was let in), of a request, and what the request's answer says."""
    async with httpx.AsyncClient() as http:
        answer = await http.get(url)
    try:
        async with connect(url.replace("http", "ws", 1)):
            return 101, answer.status_code, answer.text
    except InvalidStatus as refused:
        return refused.response.status_code, answer.status_code, answer.text


@pytest.mark.parametrize("where", ["auth", "hook"])
async def test_an_http_exception_is_the_answer(tmp_path: Path, caplog: pytest.LogCaptureFixture, where: str) -> None:
    """As in a room's on_request: its status and its detail, on an upgrade too, and no traceback in the log."""

    def refuse(request: Any, lobby: Any) -> Any:
        raise HTTPException(403, "not you")

    options = {"auth": refuse} if where == "auth" else {"serve_on_before_connect": refuse, "serve_on_before_request": refuse}
    async with running(Room, tmp_path, **options) as run:
        assert await answers(run.url(scheme="http")) == (403, 403, "not you")
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("returned", [None, True, {"roles": []}])
async def test_an_authoriser_that_gives_no_answer_lets_nobody_in(tmp_path: Path, caplog: pytest.LogCaptureFixture, returned: Any) -> None:
    """A 500 for its peer, and a sentence in the log for whoever wrote it."""
    async with running(Room, tmp_path, auth=lambda request, lobby: returned) as run:
        assert (await answers(run.url(scheme="http")))[:2] == (500, 500)
    assert f"auth= returned {type(returned).__name__}: return a Grant or a Refusal" in caplog.text


@pytest.mark.parametrize("returned", [False, "no", 401])
async def test_a_before_hook_that_gives_no_answer_lets_nobody_in(tmp_path: Path, caplog: pytest.LogCaptureFixture, returned: Any) -> None:
    """Whoever writes `return False` wants to keep somebody out: a 500, and a sentence in the log."""

    def hook(request: Any, lobby: Any) -> Any:
        return returned

    async with running(Room, tmp_path, serve_on_before_connect=hook, serve_on_before_request=hook) as run:
        assert (await answers(run.url(scheme="http")))[:2] == (500, 500)
    assert f"returned {type(returned).__name__}: return a Response to answer, a request to go on with, or None" in caplog.text
