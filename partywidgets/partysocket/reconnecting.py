"""A WebSocket client that comes back."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..exceptions import ConnectionClosedError, HostError, PartyError, RefusedError
from ..party.connection import ReadyState
from ..party.hook import begun, outcome
from .attempt import attempt
from .changes import Changes
from .close_event import CloseEvent, reconnects
from .conversation import Conversation
from .dial import Ear, dial, failure_of
from .outbox import Outbox, sendable
from .provided import Provided, provided
from .retries import Retries

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection


MAX_MESSAGE = 33 * 1024 * 1024
"""Bytes of the largest message taken: above a room's own limit of 32 MiB."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Ask:
    """What a caller of reconnect() or close() wants of the runner."""

    code: int
    reason: str
    come_back: bool


class ReconnectingWebSocket:
    """An async context manager, and an async iterator of messages. Everything in it belongs to the loop that entered it.

    `url`, `protocols`, `headers` and `token` (sent as a bearer header) are values, or plain or async functions that are called before
    every attempt. Delays and timeouts are in seconds.

    The wait before retry n is `min_reconnection_delay * reconnection_delay_grow_factor ** (n - 1)`, at most `max_reconnection_delay`,
    times a random factor in `[1 - jitter, 1 + jitter]`. `connection_timeout` bounds one attempt: functions, DNS, TCP, TLS, handshake.
    A connection that was up for `min_uptime` starts the count afresh. `max_retries` follow a failure; None: no limit.

    `max_enqueued_messages` bounds what `send` keeps while the socket is down, newest dropped; `max_buffered` (bytes) that and what is
    queued to an open one. `max_message` (bytes) bounds a received message; a larger one closes with 1009. `max_inbox` messages wait for the
    iterator, then reading stops, and with it the answers to pings: a consumer that stalls for longer than the ping times is cut.
    `ping_interval` and `ping_timeout` find a half-open connection, and one that takes nothing of what is sent; None turns them off.
    Any byte that comes is an answer to a ping: over a thin line the pong waits behind what was on its way before.

    With `on_message` the messages go there, else to the iterator. Callbacks may be plain or async; what one raises is logged and the
    socket stays. `on_open()` may wait for messages, and ends with its connection; `on_close(CloseEvent)` after each connection and each
    failed attempt; `on_error(Exception)` before `on_close` of a failed one; `on_end()` when nothing follows, for which `close()` waits.
    `should_reconnect_on_close(CloseEvent) -> bool` says whether another attempt follows.
    `ssl` is an `ssl.SSLContext` for `wss`; None: the system's.
    """

    def __init__(
        self,
        url: Provided[str],
        protocols: Provided[str | Sequence[str] | None] = None,
        *,
        headers: Provided[Mapping[str, str] | None] = None,
        token: Provided[str | None] = None,
        min_reconnection_delay: float = 3.0,
        max_reconnection_delay: float = 10.0,
        reconnection_delay_grow_factor: float = 1.3,
        jitter: float = 0.2,
        connection_timeout: float = 4.0,
        min_uptime: float = 5.0,
        max_retries: int | None = None,
        max_enqueued_messages: int = 256,
        max_buffered: int = 16 * 1024 * 1024,
        max_message: int = MAX_MESSAGE,
        max_inbox: int = 256,
        ping_interval: float | None = 10.0,
        ping_timeout: float | None = 10.0,
        close_timeout: float = 2.0,
        start_closed: bool = False,
        should_reconnect_on_close: Callable[[CloseEvent], bool | Awaitable[bool]] = reconnects,
        on_open: Callable[[], Any] | None = None,
        on_message: Callable[[str | bytes], Any] | None = None,
        on_close: Callable[[CloseEvent], Any] | None = None,
        on_error: Callable[[Exception], Any] | None = None,
        on_end: Callable[[], Any] | None = None,
        ssl: Any = None,
    ) -> None:
        self._url, self._protocols, self._headers, self._token = url, protocols, headers, token
        self.connection_timeout, self.max_inbox = connection_timeout, max_inbox
        self.start_closed, self.should_reconnect_on_close = start_closed, should_reconnect_on_close
        self.on_open, self.on_message, self.on_close, self.on_error, self.on_end = on_open, on_message, on_close, on_error, on_end
        self._max_message, self._close_timeout, self._ssl = max_message, close_timeout, ssl
        self._ping_interval, self._ping_timeout = ping_interval, ping_timeout
        self._inbox: deque[str | bytes] = deque()
        self._outbox = Outbox(lambda: self.label, max_kept=max_enqueued_messages, max_bytes=max_buffered)
        delays = min_reconnection_delay, max_reconnection_delay, reconnection_delay_grow_factor, jitter
        self._retries = Retries(*delays, min_uptime, max_retries)
        self._state = ReadyState.CLOSED if start_closed else ReadyState.CONNECTING
        self._socket: ClientConnection | None = None
        self._runner: asyncio.Task[None] | None = None
        self._farewell: asyncio.Future[None] | None = None
        """An async on_end that has begun."""
        self._conversation: Conversation | None = None
        self._ear = Ear()
        self._ask: _Ask | None = None
        self._asked, self._changes = asyncio.Event(), Changes()
        self._failure: PartyError | None = None
        self._last_url = ""
        self._last_close: CloseEvent | None = None
        self._told_ended = False

    def _places(self) -> dict[str, tuple[object, str]]:
        """The options that count anew for each attempt and each message, and whose attribute each is."""
        own = ("connection_timeout", "max_inbox", "should_reconnect_on_close", "on_open", "on_message", "on_close", "on_error", "on_end")
        hidden = ("protocols", "headers", "token", "max_message", "ping_interval", "ping_timeout", "close_timeout", "ssl")
        retries = {
            "min_reconnection_delay": "min_delay",
            "max_reconnection_delay": "max_delay",
            "reconnection_delay_grow_factor": "growth",
            "jitter": "jitter",
            "min_uptime": "min_uptime",
            "max_retries": "most",
        }
        outbox = {"max_enqueued_messages": "max_kept", "max_buffered": "max_bytes"}
        places: dict[str, tuple[object, str]] = {name: (self, name) for name in own}
        places |= {name: (self, f"_{name}") for name in hidden}
        places |= {name: (self._retries, attribute) for name, attribute in retries.items()}
        return places | {name: (self._outbox, attribute) for name, attribute in outbox.items()}

    # What it is

    @property
    def ready_state(self) -> ReadyState:
        """CONNECTING before the first connection and during an attempt, OPEN, CLOSING; CLOSED also while waiting for the next attempt."""
        return self._state

    @property
    def retry_count(self) -> int:
        """Retries since the last connection that lasted for `min_uptime`."""
        return self._retries.count

    @property
    def should_reconnect(self) -> bool:
        """True while this socket is connected or will connect by itself."""
        return self._runner is not None and not self._runner.done()

    @property
    def url(self) -> str:
        """The URL of the latest attempt; `""` before the first."""
        return self._last_url

    @property
    def protocol(self) -> str:
        """The subprotocol that the server selected, or `""`."""
        return (self._socket.subprotocol or "") if self._socket is not None else ""

    @property
    def buffered_amount(self) -> int:
        """Bytes given to `send` and not yet written: kept for the next connection, or queued to the open one."""
        return self._outbox.size

    @property
    def heard(self) -> int:
        """Bytes that came over its connections: also of a message of which the end has not come."""
        return self._ear.bytes

    @property
    def last_close(self) -> CloseEvent | None:
        """How the latest connection or attempt ended."""
        return self._last_close

    @property
    def failure(self) -> PartyError | None:
        """Why this socket stopped by itself: RefusedError, or HostError when its retries are used up. Else None."""
        return self._failure

    @property
    def label(self) -> str:
        """What log lines and errors call it."""
        return urlsplit(self._last_url or (self._url if isinstance(self._url, str) else "")).path or "the host"

    # Its life

    async def __aenter__(self) -> ReconnectingWebSocket:
        if not self.start_closed:
            self.reconnect()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    def reconnect(self, code: int = 1000, reason: str = "") -> None:
        """Closes an open connection with `code` and connects again at once, its retries afresh. A wait for the next attempt ends now."""
        self._failure, self._told_ended = None, False
        self._retries.afresh()
        if self.should_reconnect:
            self._request(_Ask(code, reason, come_back=True))
        else:
            self._state = ReadyState.CONNECTING
            self._runner = asyncio.get_running_loop().create_task(self._run(), name=f"{type(self).__name__} {self.label}")
            self._runner.add_done_callback(self._ended)

    def _request(self, ask: _Ask) -> None:
        self._ask = ask
        self._asked.set()
        if self._state is ReadyState.OPEN:
            self._state = ReadyState.CLOSING

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Closes and stays closed; returns when the closing handshake is over, or after its timeout. `reconnect()` starts again."""
        runner = self._runner
        if runner is None or runner.done():
            self._state = ReadyState.CLOSED
            await self._said_farewell()
            return
        self._request(_Ask(code, reason, come_back=False))
        current = asyncio.current_task()
        if current is runner or (self._conversation is not None and self._conversation.includes(current)):
            return  # a callback of ours must not wait for itself
        _, late = await asyncio.wait({runner}, timeout=2 * self._close_timeout + 1.0)
        if late:
            runner.cancel()
            await asyncio.wait({runner}, timeout=1.0)
        await self._said_farewell()

    async def _said_farewell(self) -> None:
        farewell = self._farewell
        if farewell is None or farewell.done() or farewell is asyncio.current_task():
            return
        _, late = await asyncio.wait({farewell}, timeout=self._close_timeout)
        if late:
            logger.warning("%s: on_end took longer than %g s and was cancelled", self.label, self._close_timeout)
            farewell.cancel()

    async def opened(self, timeout: float | None = None) -> None:
        """Waits until it is open. Raises RefusedError or HostError when it gave up, ConnectionClosedError when closed, TimeoutError."""
        async with asyncio.timeout(timeout):
            while self._state is not ReadyState.OPEN:
                if not self.should_reconnect:
                    raise self._failure or ConnectionClosedError(f"the socket to {self.label} is closed: call reconnect() first")
                await self._changes.next()

    # Sending

    def send(self, message: str | bytes | bytearray | memoryview) -> bool:
        """Sends a frame: str as text, with U+FFFD for half of a surrogate pair as a browser has it, bytes as binary.

        True when it was handed to an open socket (with which it may still be lost). False when it was kept for the next connection or, the
        buffer being full, dropped with a log line. Raises TypeError for anything else.
        """
        queued = self._outbox.put(sendable(message), is_open=self._state is ReadyState.OPEN)
        if queued:
            self._changes.tell()
        elif self._runner is not None and self._runner.done() and self._outbox.max_kept and not self._told_ended:
            self._told_ended = True
            logger.warning(
                "%s: send() on a socket that has ended: the message is kept, and goes out when reconnect() is called", self.label
            )
        return queued

    async def drain(self) -> None:
        """Waits until what was handed to the open socket has been written; returns at once when the socket is not open."""
        while self._outbox.queued and self._state is ReadyState.OPEN:
            await self._changes.next()

    def drain_queued_messages(self) -> list[str | bytes]:
        """Empties the buffer of messages kept for the next connection and returns them."""
        return self._outbox.empty()

    # Receiving

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        return self._messages()

    async def _messages(self) -> AsyncIterator[str | bytes]:
        while True:
            try:
                yield await self.receive()
            except ConnectionClosedError:
                return

    async def receive(self) -> str | bytes:
        """The next message, over reconnects. Raises RefusedError or HostError when it gave up, ConnectionClosedError when closed."""
        if self.on_message is not None:
            raise RuntimeError("this socket has an on_message callback and its messages go there: iterate one without")
        while not self._inbox:
            if not self.should_reconnect:
                raise self._failure or ConnectionClosedError(f"the socket to {self.label} is closed")
            await self._changes.next()
        message = self._inbox.popleft()
        self._changes.tell()
        return message

    # The connection

    async def _run(self) -> None:
        try:
            while True:
                self._ask = None
                self._asked.clear()
                self._state = ReadyState.CONNECTING
                event = self._last_close = await self._attempt()
                self._state = ReadyState.CLOSED
                await self._call(self.on_close, event)
                if not self._asked.is_set():
                    if not await self._goes_on(event):
                        return
                    self._changes.tell()
                    await self._wait(self._retries.delay())
                if self._asked.is_set() and self._ask is not None and not self._ask.come_back:
                    return
        finally:
            self._state = ReadyState.CLOSED

    def _ended(self, runner: asyncio.Task[None]) -> None:
        if not runner.cancelled() and (error := runner.exception()) is not None:
            self._failure = HostError(f"{self.label}: this client failed: {error!r}")
            logger.error("%s", self._failure, exc_info=error)
        self._changes.tell()
        # Called at once, not by a task: whoever waits for this socket is woken behind it.
        try:
            result = begun(self.on_end) if self.on_end is not None else None
        except Exception:
            logger.exception("%s: a callback raised", self.label)
            return
        if inspect.isawaitable(result):
            self._farewell = asyncio.ensure_future(self._call(lambda: result))

    async def _wait(self, delay: float) -> None:
        try:
            async with asyncio.timeout(delay):
                await self._asked.wait()
        except TimeoutError:
            return

    async def _goes_on(self, event: CloseEvent) -> bool:
        """Whether another attempt follows; when not, `failure` says why."""
        try:
            verdict = await outcome(begun(self.should_reconnect_on_close, event))
        except Exception:
            logger.exception("%s: should_reconnect_on_close raised; reconnecting", self.label)
            verdict = True
        if not verdict:
            if not reconnects(event):
                remedy = ": look at the party, which is kebab-case in URLs, and at the room" if event.status == 400 else ""
                self._failure = RefusedError(f"{self.label} refused: {event}{remedy}", status=event.status or event.code)
            return False
        if not self._retries.take():
            self._failure = HostError(f"{self.label} cannot be reached, retries used up: {event}")
            logger.warning("%s", self._failure)
            return False
        return True

    async def _attempt(self) -> CloseEvent:
        """One connection from its beginning to its end."""
        made = await attempt(self._connect(), self._asked, patience=self._close_timeout)
        if made is None:
            return CloseEvent(self._ask.code, self._ask.reason) if self._ask is not None else CloseEvent(1006)
        if not isinstance(made, Exception):
            return await self._converse(made)
        reason, status = failure_of(made, self.connection_timeout)
        logger.info("%s: connecting failed: %s", self.label, reason)
        await self._call(self.on_error, made)
        return CloseEvent(1006, reason, False, status)

    async def _connect(self) -> ClientConnection:
        async with asyncio.timeout(self.connection_timeout):
            url = self._last_url = await provided(self._url)
            return await dial(
                url,
                await provided(self._protocols),
                headers=await provided(self._headers) or {},
                token=await provided(self._token),
                label=self.label,
                ear=self._ear,
                close_timeout=self._close_timeout,
                max_message=self._max_message,
                ssl=self._ssl,
            )

    async def _converse(self, socket: ClientConnection) -> CloseEvent:
        self._socket, self._state = socket, ReadyState.OPEN
        self._outbox.opened()
        conversation = self._conversation = Conversation(
            socket,
            self._outbox,
            self._changes,
            label=self.label,
            take=self._take,
            pings=(self._ping_interval, self._ping_timeout),
            ear=self._ear,
            close_timeout=self._close_timeout,
        )
        try:
            await conversation.hold(self._open(), self._asked)
        finally:
            self._state = ReadyState.CLOSING
            ask = self._ask or _Ask(1000, "", come_back=True)
            try:
                event = await conversation.end(ask.code, ask.reason)
            finally:
                self._outbox.closed()
                self._conversation = self._socket = None
        self._retries.lasted(conversation.seconds)
        return event

    async def _open(self) -> None:
        await self._call(self.on_open)
        self._changes.tell()

    async def _take(self, frame: str | bytes) -> None:
        # Before the frame is taken: one that waited for a place and was counted would be missing after a reconnect().
        while self.on_message is None and len(self._inbox) >= self.max_inbox:
            await self._changes.next()
        message = await self._taken(frame)
        if message is None:
            return
        if self.on_message is not None:
            await self._call(self.on_message, message)
            return
        self._inbox.append(message)
        self._changes.tell()

    async def _taken(self, frame: str | bytes) -> str | bytes | None:
        """The message in a frame; None when it is for this client itself."""
        return frame

    async def _call(self, callback: Callable[..., Any] | None, *arguments: Any) -> None:
        if callback is None:
            return
        try:
            await outcome(begun(callback, *arguments))
        except Exception:
            logger.exception("%s: a callback raised", self.label)
