"""Terminal: a shared terminal in a cell, and the same shell from Python."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Never, overload
from urllib.parse import quote

from ..client.handle import Handle
from ..client.terminal import TerminalClient
from ..exceptions import CommandError, KeywordError, PartyError
from ._base import PartyWidget, refuse_unknown
from .recording import Recording, list_recordings, recording_answer
from .rendering import still

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pandas import DataFrame

    from ..client.command import CommandResult

log = logging.getLogger("partywidgets.widgets")

VALUES: dict[str, tuple[int, int]] = {"cols": (20, 1000), "rows": (1, 1000), "font_size": (7, 40), "scrollback": (0, 1_000_000)}
"""The least and the most of each keyword that is a number."""
_ADDRESS = re.compile(r"(?:local|docker|podman|kubernetes|ssh|(?:jupyter\+|ttyd\+)?wss?):")
"""A room called so would have the shell of `default`, and commands would run on another machine than whoever wrote it means."""
CLIENT_IDLE = 60.0
"""Seconds that Python stays in the room after it was last used: whoever stays longer keeps the sandbox's process alive."""


class Terminal(PartyWidget):
    """An xterm on a terminal room, shared with everybody who opens the same name: `Terminal("worker-123", sandbox="docker:web-1")`.

    `sandbox` is an id of the host's config, or an address (`local:`, `docker:NAME`, `ssh:USER@HOST`, …), which only a host's owner may
    give; None takes the one that the room had last, at first that of the room's own name, else the id `default`. `rows` is the height of
    the view, `cols` and `rows` (cells) the size that a terminal starts with. `scrollback` is in lines, `font_size` in CSS pixels.
    `screen_reader` turns xterm's accessible tree on, `paste_with_ctrl_v` makes Ctrl+V paste instead of sending it. Closing the widget
    leaves the room; the shell runs on in the host. Raises KeywordError for what no terminal has, RoomNameError for a name that no room can
    have, HostError when no host can be reached.
    """

    _meant: ClassVar = {
        **dict.fromkeys(("exec", "execute", "command", "cmd", "call", "sh", "system", "popen", "run_command"), "run()"),
        **dict.fromkeys(("output", "stdout", "text", "result"), "`(await term.run(…)).output` of a command, or term.screen()"),
        **dict.fromkeys(("exit_code", "returncode"), "`(await term.run(…)).exit_code`"),
        **dict.fromkeys(("write", "type", "input", "keys", "sendline", "send_keys"), "send()"),
        **dict.fromkeys(("read", "show", "display", "contents"), "screen()"),
        **dict.fromkeys(("wait_for", "wait", "wait_until", "read_until"), "expect()"),
        **dict.fromkeys(("kill", "cancel", "ctrl_c", "stop", "abort"), "interrupt()"),
        **dict.fromkeys(("reset", "reconnect"), "restart()"),
        **dict.fromkeys(("lock", "acquire", "control", "take"), "take_control()"),
        **dict.fromkeys(("unlock", "release"), "release_control()"),
        **dict.fromkeys(("request_control", "ask"), "ask_control()"),
        **dict.fromkeys(("commands", "log"), "history()"),
        **dict.fromkeys(("name", "id", "title"), "room"),
        **dict.fromkeys(("cwd", "pwd"), "`(await term.run('true')).cwd`"),
        "sandbox": "what the terminal was opened with; `await pw.terminals()` lists it by room",
    }

    bundle: ClassVar[str] = "terminal.js"
    party: ClassVar[str] = "terminal-server"

    def __init__(
        self,
        room: str = "main",
        *surplus: Never,
        sandbox: str | None = None,
        cols: int | None = None,
        rows: int | None = None,
        font_size: int | None = None,
        scrollback: int | None = None,
        screen_reader: bool | None = None,
        paste_with_ctrl_v: bool | None = None,
        layout: Any = None,
        **unknown: Never,
    ) -> None:
        view = {
            "rows": rows,
            "font_size": font_size,
            "scrollback": scrollback,
            "screen_reader": screen_reader,
            "paste_with_ctrl_v": paste_with_ctrl_v,
        }
        if surplus:
            raise KeywordError(
                f"Terminal({', '.join(map(repr, (room, *surplus)))}): only the room stands without a keyword: "
                f"write Terminal({room!r}, sandbox={surplus[0]!r})"
            )
        refuse_unknown("Terminal", unknown, ["room", "sandbox", "cols", "layout", *view])
        _check_values({"cols": cols, **view})
        if sandbox is not None and (not isinstance(sandbox, str) or not sandbox):
            raise KeywordError(f"Terminal(sandbox={sandbox!r}): a sandbox is an id of the config, or an address such as docker:web-1")
        if sandbox is None and isinstance(room, str) and _ADDRESS.match(room):
            raise KeywordError(f"Terminal({room!r}): that is a sandbox's address and no name: write Terminal(NAME, sandbox={room!r})")
        self._sandbox = sandbox
        self._client: TerminalClient | None = None
        self._opening: asyncio.Lock | None = None
        self._users = 0
        self._seen: tuple[str | None, int] = (None, 0)
        self._idle: asyncio.TimerHandle | None = None
        self._placement: dict[str, Any] = {"cols": cols, "rows": rows}
        self._sandbox_id = None if sandbox is None else sandbox_id(sandbox)
        query = {"sandboxId": self._sandbox_id, "cols": cols, "rows": rows}
        super().__init__(
            room,
            query={name: str(value) for name, value in query.items() if value is not None},
            options={name: value for name, value in view.items() if value is not None},
            layout=layout,
        )

    def _prepare(self) -> None:
        if self._sandbox is not None and self._sandbox_id is not None and self._sandbox_id != self._sandbox:
            self._thread.run(self._runtime.put_sandbox(self._sandbox_id, self._sandbox, address=self._address))

    def __repr__(self) -> str:
        return f"Terminal(room={self.room!r})" if self._sandbox is None else f"Terminal(room={self.room!r}, sandbox={self._sandbox!r})"

    # the shell, from Python

    def run(self, command: str, *, timeout: float | None = None, inside: bool = False) -> Handle[CommandResult]:
        """Runs a command in the visible shell: `result = await term.run("df -h /")`, or `.wait()` in a plain script.

        `timeout` is in seconds, None: no limit. `inside` types it into the shell that another command has opened there (`sudo -i`,
        `ssh`). Awaiting raises CommandTimeoutError, or CommandError (one may not type, a full-screen program is open, the command is not
        complete). When the command seems to wait for a person, at a password or in a pager, the cell that awaits it says so. Giving up
        on it leaves it running, and `interrupt()` presses Ctrl-C; while it waits for its turn, it is withdrawn.
        """
        asked: list[str] = []

        def withdraw() -> None:
            if asked and self._client is not None:
                self._client.withdraw(asked[0])
            elif not asked:
                handle.cancel()

        handle: Handle[CommandResult] = self._start(
            lambda client: client.run(
                command, timeout, inside=inside, on_waits=lambda sentence: handle.note(sentence), on_asked=asked.append
            ),
            command,
            left=f"{command!r} goes on in the terminal {self.room!r}: interrupt() presses Ctrl-C there; had it to wait for its turn, it is "
            "withdrawn",
            given_up=lambda: self._thread.call_soon(withdraw),
        )
        return handle

    def interrupt(self) -> Handle[None]:
        """Presses Ctrl-C for the running `run` command of Python; those that wait for their turn are withdrawn."""
        return self._start(lambda client: client.interrupt(), "interrupt")

    @overload
    def send(self, content: str) -> Handle[None]: ...

    @overload
    def send(self, content: dict[str, Any], buffers: Sequence[Any] | None = None) -> None: ...

    def send(self, content: str | dict[str, Any], buffers: Sequence[Any] | None = None) -> Handle[None] | None:
        """Types text as it is (`term.send("ls\\r")`) and returns a handle. A dict is ipywidgets' own message to the page."""
        if isinstance(content, dict):
            super().send(content, buffers)
            return None
        if not isinstance(content, str):
            raise CommandError(f"send takes text, such as 'ls\\r'; got {type(content).__name__}")
        return self._start(lambda client: client.send(content), f"send {content!r}")

    def expect(self, pattern: str | re.Pattern[str], *, timeout: float | None = 30.0) -> Handle[re.Match[str]]:
        """Waits until `pattern` is in the output since the last match or `send`; awaiting gives the match, or TimeoutError.

        `timeout` is in seconds, None: no limit.
        """
        return self._start(lambda client: client.expect(pattern, timeout), f"expect {pattern!r}")

    @overload
    def screen(self, format: Literal["text", "html"] = "text") -> str: ...

    @overload
    def screen(self, format: Literal["lines"]) -> DataFrame: ...

    def screen(self, format: Literal["text", "html", "lines"] = "text") -> str | DataFrame:
        """The screen as it is now: text, HTML without script, or `lines`, a DataFrame of row and text. Blocks for one round trip."""
        shown: str | DataFrame = self._thread.run(self._with_client(lambda client: client.screen(format)))
        return shown

    def history(self) -> Handle[DataFrame]:
        """The commands that ran in this terminal as a DataFrame: command, actor, exit_code, started_at (UTC), duration_s, cwd, offset."""
        return self._start(lambda client: client.history(), "history")

    def restart(self) -> Handle[None]:
        """Ends the shell and starts another, for everybody in the room."""
        return self._start(lambda client: client.restart(), "restart")

    def take_control(self) -> Handle[None]:
        """Takes the keyboard: only Python types until `release_control`."""
        return self._start(lambda client: client.take_control(), "take control")

    def ask_control(self) -> Handle[None]:
        """Asks for the keyboard; awaiting returns when Python has it, and raises RefusedError when the holder refuses."""
        return self._start(lambda client: client.ask_control(), "ask for control")

    def release_control(self) -> Handle[None]:
        """Releases the keyboard."""
        return self._start(lambda client: client.release_control(), "release control")

    def snapshot(self) -> None:
        """Displays the screen as it is now, as text and as HTML without script: an output that stays readable everywhere.

        It is saved with the notebook, so secrets are hidden in it, and it is empty where the host's policy says that nothing is saved.
        """
        from IPython.display import display

        text, html = self._thread.run(self._refresh())
        display({"text/plain": text, "text/html": html or still(text)}, raw=True)  # type: ignore[no-untyped-call]

    def recording(self, id: str | None = None) -> Recording:
        """A player of this terminal's newest recording, or of the one with this id."""
        return Recording(self.room, id=id)

    def recordings(self) -> Handle[DataFrame]:
        """What was recorded in this room, as a DataFrame, the newest first; `recording(id)` plays one."""
        return list_recordings(self._runtime, self._address, self.room)

    async def _answer(self, message: dict[str, Any]) -> None:
        if message.get("op") != "recording":
            return await super()._answer(message)
        self._tell_page(*await recording_answer(self._runtime, self._address, self.room, None, message))

    # its client, on the room loop

    def _start(self, work: Any, label: str, left: str = "", given_up: Callable[[], None] | None = None) -> Handle[Any]:
        return Handle(self._thread.submit(self._with_client(work)), label, loop=self._thread.loop, left=left, given_up=given_up)

    async def _with_client(self, work: Any) -> Any:
        self._users += 1
        try:
            return await work(await self._connected())
        finally:
            self._users -= 1
            self._leave_later()

    async def _connected(self) -> TerminalClient:
        if self._opening is None:
            self._opening = asyncio.Lock()
        async with self._opening:
            if self._client is not None and not self._client.socket.should_reconnect:
                await self._leave()
            if self._client is None:
                client = TerminalClient(
                    self._address.url,
                    self.room,
                    token=self._address.secret or None,
                    sandbox=self._sandbox_id,
                    on_change=self._changed,
                    **self._placement,
                )
                await client.__aenter__()
                self._client = client
            return self._client

    def _leave_later(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._idle = asyncio.get_running_loop().call_later(CLIENT_IDLE, self._leave_when_idle)

    def _leave_when_idle(self) -> None:
        if not self._users:
            self._hold(self._leave(), "leaves the room")

    async def _leave(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    # the saved notebook

    def _changed(self, client: TerminalClient) -> None:
        # Not for every frame: the answer to a snapshot is one too.
        if (client.epoch, client.offset) != self._seen:
            self._touch()

    async def _look(self) -> tuple[str, str] | None:
        """The screen, when Python is in the room or a page watches it."""
        try:
            if self._client is not None:
                return await self._both(self._client)
            if self.state not in ("live", "lagging"):
                return None
            # A plain request: whoever joins to look would be seen there, and would keep the sandbox's process alive.
            seen = await self._runtime.request(self._address, "GET", f"parties/{self.party}/{quote(self.room, safe='')}?saved=1")
        except (PartyError, TimeoutError) as error:
            log.debug("%r has no fresh snapshot: %s", self, error)
            return None
        text = str(seen.get("screen") or "").rstrip("\n")
        return (text, still(text)) if text else None

    async def _both(self, client: TerminalClient) -> tuple[str, str]:
        self._seen = (client.epoch, client.offset)
        return await client.screen("text", saved=True), await client.screen("html", saved=True)

    async def _refresh(self) -> tuple[str, str]:
        text, html = await self._with_client(self._both)
        self._keep(text, html)
        return text, html


def _check_values(given: dict[str, Any]) -> None:
    """Raises KeywordError for what the page would take for nothing, or not draw."""
    for name, value in given.items():
        if value is None:
            continue
        if name not in VALUES:
            if not isinstance(value, bool):
                raise KeywordError(f"Terminal({name}={value!r}): it takes True or False")
            continue
        least, most = VALUES[name]
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise KeywordError(f"Terminal({name}={value!r}): it takes a whole number from {least} to {most:,}")


def sandbox_id(sandbox: str) -> str:
    """An id as it is; an address (it has a colon) as an id made of it, the same one every time."""
    if ":" not in sandbox:
        return sandbox
    plain = re.sub(r"[^a-z0-9]+", "-", sandbox.lower()).strip("-")[:40]
    return f"{plain}-{hashlib.sha256(sandbox.encode()).hexdigest()[:8]}"
