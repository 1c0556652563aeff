"""TerminalClient: a terminal room from Python."""

from __future__ import annotations

import asyncio
import logging
import re
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Literal, overload

from ..exceptions import CommandError, CommandTimeoutError, ConnectionClosedError, HostError, PartyError, RefusedError, WaitTimeoutError
from ..partysocket import CloseEvent, PartySocket, Provided
from ..terminal.asking import ASK_SECONDS
from ..terminal.protocol import check_seconds, check_text, encode_input
from .command import CommandResult
from .recording import Recording, Recordings
from .room import REPLY_TIMEOUT, refuses
from .stream import Reader
from .terminal_room import KEY_BYTES, TEXTS_KEPT, TerminalRoomClient

if TYPE_CHECKING:
    from pandas import DataFrame

DIALECT = "partywidgets.terminal.v1"

THIN_AFTER = 3.0
"""A connection that is lost when its first screen has been on its way for so many seconds is too bad for a large one."""

logger = logging.getLogger(__name__)


class TerminalClient(TerminalRoomClient):
    """A terminal room: `async with TerminalClient(url, "worker-123", token=…) as term: result = await term.run("df -h /")`.

    `url` is the host's root, with scheme and base path. `token` is a bearer token, or a function that gives a fresh one. `sandbox` is an id
    of the host's config; None takes the one that the room had last, else that of its name, else `default`. `cols` and `rows` (cells) are
    asked for. Entering waits for the room's welcome until nothing of it comes for `timeout` seconds, and raises RefusedError or HostError
    with the reason; `start()` does not wait. After a lost connection it reconnects by itself and continues at the byte where it was
    (`resumed`), or starts again from a snapshot of the screen. `on_change(client)` is called after each change of its attributes.

    Attributes: `state role can_type size people lease asking upstream exit sandbox connection epoch offset resumed host_id`.
    `socket_options` are PartySocket's. Everything in it belongs to the loop that started it.
    """

    def __init__(
        self,
        url: str,
        room: str,
        *,
        token: Provided[str | None] = None,
        sandbox: str | None = None,
        cols: int | None = None,
        rows: int | None = None,
        party: str = "terminal-server",
        timeout: float = 15.0,
        on_change: Callable[[TerminalClient], Any] | None = None,
        **socket_options: Any,
    ) -> None:
        super().__init__(room, timeout, sandbox or "")
        self.on_change = on_change
        self._recordings = Recordings(url, party, room, token)
        self._placement: dict[str, str | int | None] = {"sandboxId": sandbox, "cols": cols, "rows": rows}
        self.socket = PartySocket(
            host=url,
            party=party,
            room=room,
            protocols=DIALECT,
            token=token,
            query=self._query,
            max_enqueued_messages=0,
            on_open=self._opened,
            on_message=self._received,
            on_close=self._closed,
            on_end=self._pulse,
            **socket_options,
        )

    # Its life

    async def close(self) -> None:
        """Leaves the room; the shell keeps running."""
        self._following.close()
        await super().close()

    # What one does with it

    async def run(
        self,
        command: str,
        timeout: float | None = None,
        *,
        inside: bool = False,
        on_waits: Callable[[str], None] | None = None,
        on_asked: Callable[[str], None] | None = None,
    ) -> CommandResult:
        """Runs a command in the shared shell, visible to all, and returns when it has ended.

        `timeout` is in seconds and includes the wait for a shell that is starting; None: no limit. `inside` types it into the shell
        that another command has opened there, such as `sudo -i` or `ssh`, with visible marks around it. `on_waits` is called with a
        sentence when the command seems to wait for a person (a password, a question, a pager), `on_asked` with the id that `withdraw`
        takes.

        Raises CommandTimeoutError; CommandError (this client may not type, a full-screen program is open, the shell tells no exit codes,
        the command is not complete); HostError when the connection is lost meanwhile. The command itself then keeps running, also when
        the call is cancelled; a command that still waits for its turn is withdrawn.
        """
        check_text("a command", command)
        check_seconds(timeout)
        if not isinstance(inside, bool):
            raise CommandError(f"inside is True or False; got {inside!r}")
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            async with asyncio.timeout(timeout):
                await self._shell()
        except TimeoutError:
            state = "is still starting" if self._welcome else "is not connected"
            raise CommandTimeoutError(f"terminal {self.room} {state}: the command was not typed within {timeout:g} s") from None
        left = timeout
        if timeout is not None and (waited := round(clock() - began, 1)):
            left = max(timeout - waited, 0.1)
        try:
            reply = await self._ask(
                "run",
                left + REPLY_TIMEOUT if left is not None else None,
                told=on_waits,
                opened=on_asked,
                command=command,
                timeout_s=left,
                inside=inside,
            )
        except CommandTimeoutError:
            raise
        except CommandError as error:
            if timeout is not None and clock() - began >= timeout:
                raise CommandTimeoutError(str(error)) from None
            raise
        return CommandResult.from_wire(reply)

    async def interrupt(self) -> None:
        """Presses Ctrl-C for this client's running `run` command; those that wait for their turn are withdrawn."""
        await self.ready(self.timeout)
        self._tell("cancel", run="", interrupt=True)

    def withdraw(self, asked: str) -> None:
        """Withdraws a `run` that waits for its turn; a command that was typed runs on."""
        self._tell("cancel", run=asked)

    async def send(self, text: str) -> None:
        """Types text as it is (`"ls\\r"`) and waits until the room confirms it. Raises CommandError when this client may not type."""
        check_text("what is typed", text)
        await self._shell()
        self._following.search_from_here()
        await self._ask("send", REPLY_TIMEOUT, text=text)

    def write(self, keystrokes: bytes) -> bool:
        """Sends keystrokes without a confirmation; False when the socket is down and they are dropped.

        When the connection is lost before they have arrived, `last_error` and the log say so as soon as there is another.
        """
        if not self.socket.send(encode_input(self._sequence + 1, keystrokes)):
            return False
        self._sequence += 1
        if len(keystrokes) > KEY_BYTES:
            self._texts.append(self._sequence)
        return True

    async def expect(self, pattern: str | re.Pattern[str], timeout: float | None = 30.0) -> re.Match[str]:
        """Waits until `pattern` is in the output, and returns the match.

        The search covers what came since the last match or `send`, without escape sequences and with `\\r\\n` as `\\n`; at most the last
        256 KiB. Raises CommandError for a pattern that is not a regular expression, TimeoutError after `timeout` seconds (None: waits for
        ever), RefusedError or HostError when the socket gave up.
        """
        check_seconds(timeout or None)
        text = pattern.pattern if isinstance(pattern, re.Pattern) else pattern
        if not isinstance(text, str):
            raise CommandError(f"expect takes a regular expression as text; got {type(text).__name__}")
        try:
            wanted = re.compile(pattern)
        except re.error as error:
            raise CommandError(
                f"expect({pattern!r}): {error.msg} at position {error.pos}: it is a regular expression; re.escape(…) makes one of a text"
            ) from None
        try:
            async with asyncio.timeout(timeout):
                while (match := self._following.search(wanted)) is None:
                    await self.changed()
        except TimeoutError:
            raise WaitTimeoutError(f"terminal {self.room}: {wanted.pattern!r} did not appear within {timeout:g} s") from None
        return match

    @overload
    async def screen(self, format: Literal["text", "html"] = "text", *, saved: bool = False) -> str: ...

    @overload
    async def screen(self, format: Literal["lines"], *, saved: bool = False) -> DataFrame: ...

    async def screen(self, format: Literal["text", "html", "lines"] = "text", *, saved: bool = False) -> str | DataFrame:
        """The screen as it is now: text, HTML without script, or `lines`, a DataFrame of row (from 1) and text.

        `saved` gives what a file may hold: secrets hidden, and nothing where the host's policy says that nothing is saved.
        """
        if format not in ("text", "html", "lines"):
            raise CommandError(f"a screen comes as text, html or lines; got {format!r}")
        wire = "html" if format == "html" else "text"
        shown = str((await self._ask("screen", REPLY_TIMEOUT, format=wire, saved=saved))[wire])
        if format != "lines":
            return shown
        import pandas as pd

        lines = [line.rstrip() for line in shown.split("\n")] if shown else []
        return pd.DataFrame({"row": range(1, len(lines) + 1), "text": pd.Series(lines, dtype="str")})

    async def commands(self) -> list[dict[str, Any]]:
        """The commands that ran in this terminal, oldest first: `{id, command, actor, exit_code, started_at, duration_s, cwd, offset}`."""
        reply = await self._ask("history", REPLY_TIMEOUT)
        return list(reply["commands"])

    async def history(self) -> DataFrame:
        """`commands()` as a DataFrame; `started_at` is in UTC, `exit_code` nullable."""
        import pandas as pd

        columns = ["id", "command", "actor", "exit_code", "started_at", "duration_s", "cwd", "offset"]
        frame = pd.DataFrame(await self.commands(), columns=columns)
        frame["started_at"] = pd.to_datetime(frame["started_at"], utc=True, format="ISO8601")
        frame["exit_code"] = frame["exit_code"].astype("Int64")
        return frame

    async def recordings(self) -> list[dict[str, Any]]:
        """The recordings of this room, newest first. Raises RefusedError without the role moderator, operator or peer."""
        return await self._recordings.list()

    async def recording(self, identity: str | None = None) -> Recording:
        """The recording with this id; without an id the newest. Raises HostError when there is none."""
        return await self._recordings.read(identity)

    async def restart(self) -> None:
        """Ends the shell and starts another. Raises CommandError without the role for it."""
        await self._ask("restart", 2 * REPLY_TIMEOUT)

    async def take_control(self) -> None:
        """Takes control: only this person types from now on. Raises RefusedError when the room does not allow it."""
        await self._lease("take")

    async def release_control(self) -> None:
        """Releases control."""
        await self._lease("release")

    async def give_control(self, connection: str) -> None:
        """Gives control to another connection of `people`."""
        await self._lease("give", to=connection)

    async def ask_control(self) -> None:
        """Asks for control and returns when this client has it: at once if nobody has it or its holder is idle.

        Raises RefusedError with the holder's no, after about a minute without an answer, and for a role that may not type. A call that is
        cancelled withdraws the request.
        """
        try:
            await self._ask("ask", ASK_SECONDS + REPLY_TIMEOUT)
        except asyncio.CancelledError:
            self._tell("lease", action="withdraw")
            raise
        except CommandError as error:
            raise RefusedError(str(error)) from None

    async def refuse_control(self, connection: str) -> None:
        """Refuses the request of a connection of `asking`; `give_control` grants it."""
        if all(asker != connection for asker, _ in self.asking):
            raise RefusedError(f"terminal {self.room}: nobody with that connection asks for control: take one from asking")
        await self._lease("refuse", to=connection)

    def resize(self, cols: int, rows: int) -> None:
        """Asks for another size. The room decides; `size` is what it decided."""
        self._placement |= {"cols": cols, "rows": rows}
        self._tell("resize", cols=cols, rows=rows)

    def redraw(self) -> None:
        """Asks for a fresh screen; `output()` then starts again with a reset."""
        self._tell("resync")

    async def output(self, *, limit: int = 4 * 1024 * 1024) -> AsyncIterator[bytes]:
        """The terminal's bytes for a terminal emulator: first a reset and the current screen, then all output.

        Without holes: after a loss, or with more than `limit` bytes waiting for this iterator, it goes on with a reset and a fresh screen.
        Ends when the client is closed; raises RefusedError or HostError when its socket gave up.
        """
        with self.reading(limit=limit) as output:
            async for piece in output:
                yield piece

    @contextmanager
    def reading(self, *, limit: int = 4 * 1024 * 1024) -> Iterator[AsyncIterator[bytes]]:
        """`output()` for a block that begins before the client is in its room: there the lines above the screen come behind it, as far as
        the line brings them in a second, with a reset and the screen again."""
        with self._following.reading(limit) as reader:
            yield self._read(reader)

    async def _read(self, reader: Reader) -> AsyncIterator[bytes]:
        while True:
            while output := reader.take():
                yield output
            try:
                await self.changed()
            except ConnectionClosedError:
                return

    async def lines_above(self, timeout: float) -> None:
        """Waits for lines above the screen that follow it by themselves, for so many seconds at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while self._following.more_comes:
                    await self.changed()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self.output()

    async def _shell(self) -> None:
        """Waits until the sandbox's shell runs. Raises CommandError when it ended or could not start, or for who only watches: nobody may
        come to open it."""
        await self.ready(self.timeout)
        if self.role == "observer":
            raise CommandError(f"terminal {self.room}: typing needs the role operator, peer or moderator; you are observer")
        while self.upstream.state == "starting" or not self._welcome:
            await self.changed()
        if self.upstream.state != "running":
            raise CommandError(f"terminal {self.room}: {self.upstream.reason or 'its shell is not running'}; restart() starts it again")

    # Requests

    def _put(self, kind: str, fields: dict[str, Any]) -> bool:
        return self._tell(kind, **fields)

    async def _ask(
        self,
        kind: str,
        timeout: float | None,
        told: Callable[[str], None] | None = None,
        opened: Callable[[str], None] | None = None,
        **fields: Any,
    ) -> Any:
        overdue = CommandTimeoutError if kind == "run" else HostError
        return await self._request(kind, timeout, fields, overdue=overdue, told=told, opened=opened)

    def _gave_up(self, kind: str, request_id: str) -> None:
        if kind == "run":
            self.withdraw(request_id)

    async def _lease(self, action: str, **fields: str) -> None:
        """The change has come when the reply has."""
        try:
            await self._request("lease", REPLY_TIMEOUT, {"action": action, **fields})
        except CommandError as error:
            raise RefusedError(str(error)) from None

    def _pulse(self) -> None:
        super()._pulse()
        if self.on_change is not None:
            try:
                self.on_change(self)
            except Exception:
                logger.exception("terminal %s: on_change raised", self.room)

    # The socket

    def _query(self) -> dict[str, str | int | None]:
        placement: dict[str, str | int | None] = {**self._placement, **self._following.wanted}
        if self.epoch is None:
            return placement
        placement["after"] = self._socket_name or None
        if self._ran_on and self.role != "observer":
            # Who comes back first opens a room that has ended meanwhile: never on another machine than the one that they typed into.
            placement["sandboxId"] = self._ran_on
        if self._thin:
            placement["scrollback"] = 0
        if self._following.screen_comes:
            return {**placement, "epoch": self.epoch}
        return {**placement, "epoch": self.epoch, "offset": self.offset}

    def _opened(self) -> None:
        if self._sequence:
            self._sequence_before, self._sequence = self._sequence, 0
            self._texts_before, self._texts = self._texts, deque[int](maxlen=TEXTS_KEPT)

    def _closed(self, event: CloseEvent) -> None:
        self._welcome = False
        # On a bad line a large screen never comes: the next one is to be small.
        waited = asyncio.get_running_loop().time() - self._screen_since
        self._thin = self._thin or (self._following.screen_comes and waited >= THIN_AFTER)
        self.people, self.lease, self.asking, self.can_type = [], None, [], False
        if self.state != "ended":
            self.state = "refused" if refuses(event) else "lost"
        error: PartyError = HostError(f"terminal {self.room}: the connection was lost ({event}) before the answer came; see history()")
        self._requests.fail(error)
        self._pulse()
