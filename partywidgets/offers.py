"""The kernel as a runner: its `@pw.check` functions, offered to the host that this kernel uses and run here when the host says so."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .exceptions import PartyError
from .runtime import Runtime, runtime

if TYPE_CHECKING:
    from .partysocket import PartySocket
    from .scans.check_decorator import RegisteredCheck
    from .scans.runner import RunnerClient

log = logging.getLogger("partywidgets.runner")

DIALECT = "partywidgets.runner.v1"
SETTLE_TIMEOUT = 5.0
"""Seconds that a scan waits for the host to have taken the checks just defined."""
CELL_TIMEOUT = 1.0
"""Seconds that a cell with a new check waits for the host's answer; one that comes later is told below the next cell."""


class Offers:
    """Keeps what this kernel offers up to date. Lives on the room loop; `changed` may be called from any thread."""

    def __init__(self, own: Runtime) -> None:
        self._runtime = own
        self._client: RunnerClient | None = None
        self._socket: PartySocket | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._wanted = 0
        self._taken = 0
        self._in_flight: list[int] = []
        self._pulse = asyncio.Event()
        self._fresh = False
        self._told: str | None = None

    @property
    def complaint(self) -> str | None:
        """Why the host did not take the last offer; None when it did, or has not answered."""
        return None if self._client is None else self._client.complaint

    def news(self) -> str | None:
        """The complaint, once for each offer, and None after that: for the cell that just ran. Call it from the kernel's main thread.

        Waits up to CELL_TIMEOUT seconds for the answer to an offer that was made since the last call.
        """
        if self._fresh:
            self._fresh, self._told = False, None
            try:
                self._runtime.thread.run(self.settled(CELL_TIMEOUT))
            except (PartyError, TimeoutError) as error:
                log.warning("whether the host took the checks of this kernel is not known: %s", error)
        complaint = self.complaint
        if complaint == self._told:
            return None
        self._told = complaint
        return complaint

    def changed(self) -> None:
        """A function was defined or replaced."""
        try:
            _ = self._runtime.address  # here, since finding the host would block the room loop
        except PartyError as error:
            log.warning("the checks of this kernel are not offered: %s", error)
            return
        self._fresh = True
        self._runtime.thread.call_soon(self._offer)

    def _offer(self) -> None:
        self._wanted += 1
        if self._socket is None:
            self._open()
        else:
            self._send()

    def _open(self) -> None:
        from .partysocket import PartySocket
        from .scans.channel import PARTY, ROOM
        from .scans.runner import RunnerClient

        address = self._runtime.address
        self._client = RunnerClient(os.environ.get("JPY_SESSION_NAME") or f"kernel {os.getpid()}")
        self._socket = PartySocket(
            host=address.url,
            party=PARTY,
            room=ROOM,
            protocols=DIALECT,
            token=address.secret or None,
            max_enqueued_messages=0,
            on_open=self._opened,
            on_message=self._received,
        )
        self._socket.reconnect()

    def _opened(self) -> None:
        self._in_flight.clear()
        self._send()

    def _send(self) -> None:
        assert self._client is not None
        assert self._socket is not None
        if self._socket.send(self._client.offer_message()):
            self._in_flight.append(self._wanted)

    def _received(self, message: str | bytes) -> None:
        # A run takes as long as its check: each has a task, or they would wait for one another.
        task = asyncio.get_running_loop().create_task(self._handle(message), name="kernel check")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _handle(self, message: str | bytes) -> None:
        assert self._client is not None
        assert self._socket is not None
        answer = await self._client.handle(message)
        if answer is not None:
            self._socket.send(answer)
        elif _is_reply(message) and self._in_flight:
            self._taken = self._in_flight.pop(0)
            self._pulse.set()

    async def settled(self, timeout: float = SETTLE_TIMEOUT) -> None:
        """Waits until the host has answered the last offer; one that does not holds nothing up for longer than `timeout` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while self._taken < self._wanted and (self._socket is None or self._socket.should_reconnect):
                    self._pulse.clear()
                    await self._pulse.wait()

    async def close(self) -> None:
        """Takes the offer back."""
        for task in list(self._tasks):
            task.cancel()
        if self._socket is not None:
            await self._socket.close()


def _is_reply(message: str | bytes) -> bool:
    try:
        frame: Any = json.loads(message)
        return bool(frame["type"] == "reply" and frame["data"]["id"] == "offer")
    except (ValueError, KeyError, TypeError):
        return False


_offers: Offers | None = None
_stop_listening: Callable[[], None] | None = None


def watch() -> Offers:
    """Offers every `@pw.check` function that is there or comes. A kernel without any starts nothing."""
    global _offers, _stop_listening
    from .scans.check_decorator import on_registration, registered_checks

    own = runtime()
    if _offers is not None and _offers._runtime is own:
        return _offers
    offers = _offers = Offers(own)

    def defined(_: RegisteredCheck) -> None:
        offers.changed()

    _stop_listening = on_registration(defined)
    if registered_checks():
        offers.changed()
    return offers


def refusal() -> str | None:
    """What to tell people of the last offer, at any time."""
    return _sentence(None if _offers is None else _offers.complaint)


def after_cell() -> str | None:
    """What to tell people below the cell that just ran."""
    return _sentence(None if _offers is None else _offers.news())


def _sentence(complaint: str | None) -> str | None:
    return None if complaint is None else f"the host did not take this kernel's checks, none of them is scheduled: {complaint}"


def unwatch() -> None:
    """Ends that, and takes back what was offered."""
    global _offers, _stop_listening
    offers, _offers = _offers, None
    if _stop_listening is not None:
        _stop_listening()
        _stop_listening = None
    if offers is not None and offers._runtime.thread.running:
        offers._runtime.thread.submit(offers.close())
