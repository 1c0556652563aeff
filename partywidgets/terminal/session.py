"""The session of a terminal room: one process in one sandbox, from its start to its end, and how long it stays without viewers."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from ..exceptions import SandboxError, StorageError
from .ring import Ring
from .sandboxes import parse_address
from .screen import Screen, open_screen
from .settings import DEFAULT_SANDBOX
from .shell import new_nonce

if TYPE_CHECKING:
    from .server import TerminalServer

log = logging.getLogger(__name__)

HAD_SANDBOX = "sandbox"
"""The storage's key of the sandbox that ran last."""
END_TIMEOUT = 5.0
"""Seconds that a process has to end by itself when it is asked to."""
RESTART_TIMEOUT = 10.0
"""Seconds that a restart waits for the process before it."""
STOP_TIMEOUT = 4.5
"""Seconds that a room which stops waits for its process."""


class Session:
    """Starts the room's process, ends it, and remembers its sandbox. At most one process runs at a time."""

    def __init__(self, room: TerminalServer) -> None:
        self._room = room
        self._life: asyncio.Task[None] | None = None
        self._restarting: asyncio.Task[None] | None = None
        """The restart that is under way: the room's, since whoever asked for it may leave."""
        self._leaving: asyncio.TimerHandle | None = None
        self.preparing = False
        """True while the ring and the screen of a new process are made: its viewers are greeted when they are there."""
        self.had = ""
        """The sandbox that ran here last: whoever names none means this one, also after a restart of the host. "" for the usual one."""
        self.nonce = ""
        """What the marks of this process's shell carry."""

    @property
    def usual(self) -> str:
        """What a room opens on at first for whoever names no sandbox: the one of its own name, as a row's remedy does, else `default`."""
        return self._room.name if self._room.name in self._room.settings.sandboxes else DEFAULT_SANDBOX

    async def recall(self) -> None:
        """Reads which sandbox ran here last."""
        storage = self._room.storage
        try:
            self.had = str(await storage.get(HAD_SANDBOX, "")) if storage.exists else ""
        except StorageError as error:
            log.warning("room %s: which sandbox it had is not known, it opens on the one that is usual: %s", self._room.name, error)

    def opened(self) -> None:
        """The sandbox is open: from now on it is the one that the room had."""
        sandbox_id = self._room.upstream.sandbox_id
        ran = "" if sandbox_id == self.usual else sandbox_id
        if self.had != ran:  # a room that only ever had the usual one needs no file for it
            self.had = ran
            self._room.spawn(self._keep(ran), name="sandbox-kept")

    async def _keep(self, ran: str) -> None:
        try:
            await self._room.storage.put(HAD_SANDBOX, ran)
        except StorageError as error:
            log.error("room %s: a restart of the host will not know its sandbox: %s", self._room.name, error)

    def start(self, sandbox_id: str, size: tuple[int, int] | None = None) -> None:
        """Starts a process in the background. `size` is columns and rows; None: the size that the room has."""
        room = self._room
        self.preparing = True
        room.upstream.starting(sandbox_id)
        self._life = room.spawn(self._live(sandbox_id, size or (room.stream.cols, room.stream.rows)), name="terminal")
        if not room.viewers:  # whoever asked for it has left
            self.last_viewer_left()

    async def _live(self, sandbox_id: str, size: tuple[int, int]) -> None:
        """One process from its start to its end."""
        room, epoch, nonce = self._room, secrets.token_hex(6), new_nonce()

        async def screen_of(ring: Ring) -> Screen:
            return await open_screen(ring, *size, scrollback=room.settings.scrollback, room=f"{room.party}/{room.name}")

        async with room.awake(), self._settled():
            try:
                await room.stream.begin(epoch, *size, screen_of)
            finally:
                self.preparing = False
            room.greet_all()
            try:
                address = parse_address(room.settings.address(sandbox_id))
            except SandboxError as error:
                had = "; it is the one that this room had last: give its address anew, or name another" if sandbox_id == self.had else ""
                room.upstream.fail(f"{error}{had}")
                return
            self.nonce = nonce
            room.record(epoch, sandbox_id, size)
            await room.upstream.run(address, cols=size[0], rows=size[1], nonce=nonce)

    @asynccontextmanager
    async def _settled(self) -> AsyncIterator[None]:
        """Never leaves a room saying that it starts when nothing does."""
        try:
            yield
        finally:
            if self._room.upstream.state == "starting":
                self._room.upstream.fail("the terminal was closed while it started")

    def end(self) -> bool:
        """Ends what runs; False when nothing does. What was asked to end itself has 5 s for it, and tells its exit code."""
        if self._life is None or self._life.done():
            return False
        if not self._room.upstream.end():
            return self._life.cancel()
        life = self._life
        life.get_loop().call_later(END_TIMEOUT, life.cancel)
        return True

    async def restart(self) -> None:
        """Ends what runs and starts the same sandbox again, once for all who ask meanwhile; it is done also when they leave."""
        if self._restarting is None or self._restarting.done():
            self._restarting = self._room.spawn(self._again(), name="restart")
        await asyncio.shield(self._restarting)

    async def _again(self) -> None:
        life = self._life
        async with self._room.awake():
            await self._cut(RESTART_TIMEOUT)
            if self._life is life:  # else whoever came just then has started it
                self.start(self._room.upstream.sandbox_id or self.had or self.usual)

    async def close(self) -> None:
        """The room stops: ends what runs."""
        self.viewer_came()
        if self._restarting is not None:
            self._restarting.cancel()
        await self._cut(STOP_TIMEOUT)

    async def _cut(self, timeout: float) -> None:
        if self._life is not None and not self._life.done():
            self._life.cancel()
            await asyncio.wait([self._life], timeout=timeout)

    def viewer_came(self) -> None:
        """Somebody watches again: the process stays."""
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None

    def last_viewer_left(self) -> None:
        """Nobody watches: the process stays `keep` seconds; None: until it ends by itself."""
        self.viewer_came()
        keep = self._room.settings.keep
        if self._room.upstream.alive and keep is not None:
            self._leaving = asyncio.get_running_loop().call_later(keep, self._nobody_came)

    def _nobody_came(self) -> None:
        self._leaving = None
        if not self._room.viewers and self._life is not None:
            log.info("room %s: its terminal is closed, nobody watched for %g s", self._room.name, self._room.settings.keep)
            self._life.cancel()
