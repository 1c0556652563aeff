"""Notifications by mail, received by a real SMTP server; and what the room says of a target that does not take them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from partywidgets.scans.notify_settings import NotifySettings

from .ops_room import Play, ScriptedCheck, ops_room
from .test_server import vector

# Apprise's own import of a module that Python 3.13 has dropped; where that is gone it does without.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
WAIT = 30.0


@dataclass
class Postbox:
    """What an SMTP server took. While `full` it takes nothing."""

    port: int = 0
    full: bool = False
    envelopes: asyncio.Queue[Envelope] = field(default_factory=asyncio.Queue)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # aiosmtpd's name
        """One mail."""
        if self.full:
            return "452 4.2.2 the secret-postbox is full"
        self.envelopes.put_nowait(envelope)
        return "250 OK"

    async def next(self) -> tuple[Envelope, EmailMessage]:
        """The next mail that was taken."""
        async with asyncio.timeout(WAIT):
            envelope = await self.envelopes.get()
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        return envelope, mail

    def resolve(self, text: str) -> str:
        """What the reference of the target holds."""
        place = f"mailto://127.0.0.1:{self.port}?mode=insecure&from=ops@example.test&to=sre@example.test"
        return text.replace("${env:MAIL}", place)


@pytest.fixture
async def postbox() -> AsyncIterator[Postbox]:
    """A mail server."""
    taken = Postbox()
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(taken, hostname="mail.example.test"), "127.0.0.1", 0)
    async with server:
        taken.port = server.sockets[0].getsockname()[1]
        yield taken


def mail() -> NotifySettings:
    """A target that waits for nothing."""
    return NotifySettings.model_validate({"name": "mail", "url": "${env:MAIL}", "group_wait": 0, "retry_delay": "10ms"})


async def test_a_problem_and_its_recovery_by_mail(tmp_path: Path, postbox: Postbox, play: Play) -> None:
    """The mail goes from and to whom the URL names, its subject and its text say what is wrong, and what is over."""
    async with ops_room(tmp_path) as room:
        checks = [ScriptedCheck(id="shop", title="Shop für <alle>")]
        await room.service.load_config("a.yaml", checks, notify=[mail()], resolve=postbox.resolve)
        for status, subject in (("crit", "CRIT: Shop für <alle>"), ("ok", "OK: Shop für <alle>")):
            play.statuses["shop"] = status  # type: ignore[assignment]
            await room.ops.run_scan()
            envelope, told = await postbox.next()
            assert (envelope.mail_from, envelope.rcpt_tos) == ("ops@example.test", ["sre@example.test"])
            assert told["Subject"] == subject
            body = told.get_body(("plain", "html"))
            assert body is not None
            assert f"it is {status}" in body.get_content()


async def test_the_room_says_that_a_target_does_not_take_messages(tmp_path: Path, postbox: Postbox, play: Play) -> None:
    """Who is there hears it live, who comes later by the snapshot, in words without the service's own; and that it is over."""

    def failing(told: dict[str, Any]) -> list[str]:
        return [one["target"] for one in told["failing"]]

    postbox.full = True
    play.statuses["shop"] = "crit"
    async with ops_room(tmp_path) as room, room.join() as person:
        await room.service.load_config("a.yaml", [ScriptedCheck(id="shop")], notify=[mail()], resolve=postbox.resolve)
        await person.snapshot()
        await room.ops.run_scan()
        told = await person.until("notify")
        assert (
            told
            == vector("notify")
            == {"failing": [{"target": "mail", "error": "the service could not be reached, or refused the message"}]}
        )
        async with room.join() as late:
            await late.snapshot()
            assert late.messages[0]["data"]["notify"] == told["failing"]
            postbox.full = False
            assert (await postbox.next())[1]["Subject"] == "CRIT: shop"
            assert failing(await late.until("notify")) == failing(await person.until("notify")) == []
            postbox.full = True
            play.statuses["shop"] = "ok"
            await room.ops.run_scan()
            assert failing(await person.until("notify")) == ["mail"]
            await room.service.load_config("a.yaml", [ScriptedCheck(id="shop")])
            assert failing(await person.until("notify")) == []
