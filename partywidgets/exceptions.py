"""Every error that partywidgets raises.

PartyError
├── ConfigError              a config file or an option is wrong: says the place and the remedy
├── RoomNameError            a room name that no room can have
├── UnknownPartyError        no class is registered under that party
├── ConnectionIdError        a connection id that is malformed
│   └── ConnectionIdTakenError  … or in use by somebody else
├── ConnectionClosedError    a frame was given to a connection that is closed
├── StartError               a room's on_start failed; the next event tries again
├── HookError                a hook or a callback awaited a task that was cancelled
├── StorageError             the room's database cannot be used
│   └── SchemaError          … because another version of partywidgets wrote it
├── HostError                no room host can be reached or started
│   └── PortInUseError       … because the port is taken
├── RefusedError             the host refused the credential or the role
├── SandboxError             a terminal's sandbox cannot be opened
│   ├── UnknownSandboxError  … because its id is not in the config
│   └── SandboxGoneError     … because it ended
├── EngineError              a container engine does not answer
├── CommandError             a command cannot be run in the terminal
│   └── CommandTimeoutError  … or did not end in time (a TimeoutError, too)
├── WaitTimeoutError         what was waited for did not come in time (a TimeoutError, too)
├── CheckError               a check is defined in a way that cannot run
├── ScanError                a scan cannot start, or is not found
├── KeywordError             a function was given a keyword that it does not have
└── MissingNameError         an object was asked for a name that it does not have
"""

from __future__ import annotations

import linecache


class PartyError(Exception):
    """Base of all errors of this package. Its text is one sentence that names the place and the remedy."""

    def _render_traceback_(self) -> list[str]:
        """What IPython shows in a cell: the sentence, without the frames of this package above it, and in a cell of several lines which."""
        sentence = f"{type(self).__name__}: {self}"
        place = _cell_line(self)
        return [sentence] if place is None else [place, sentence]


class ConfigError(PartyError):
    """A config file or an option is wrong.

    `path`, `line` and `column` (both counted from 1) say where, when that is known. `faults` is a sentence with its place for each thing
    that is wrong, where more than one was looked for.
    """

    def __init__(
        self,
        message: str,
        *,
        path: str | None = None,
        line: int | None = None,
        column: int | None = None,
        faults: tuple[str, ...] = (),
    ) -> None:
        self.faults = faults
        place = ":".join(str(part) for part in (path, line, column) if part is not None)
        super().__init__(f"{place}: {message}" if place else message)
        self.path, self.line, self.column = path, line, column


class RoomNameError(PartyError):
    """A room name is empty, `.`, `..`, longer than 512 bytes, or holds `/`, `\\` or a control character."""


class UnknownPartyError(PartyError):
    """No server class is registered under that party."""


class ConnectionIdError(PartyError):
    """A connection id is over 128 characters."""


class ConnectionIdTakenError(ConnectionIdError):
    """A connection id is in use by another subject."""


class ConnectionClosedError(PartyError):
    """A frame was given to a connection that is closing or closed."""


class StartError(PartyError):
    """A room's `on_start` raised; the cause is chained. The next event starts the room again."""


class HookError(PartyError):
    """A hook of a room's, an authoriser, a before-hook or a client's callback awaited a task that was cancelled: it failed by itself."""


class StorageError(PartyError):
    """A room's database cannot be opened, read or written."""


class SchemaError(StorageError):
    """A database was written by a version of partywidgets that this one does not know."""


class HostError(PartyError):
    """No room host can be reached or started."""


class PortInUseError(HostError):
    """The port that a host was told to bind is taken."""


class RefusedError(PartyError):
    """The host refused the credential, the Origin, or the role for this operation. `status` is the HTTP status, if any."""

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class SandboxError(PartyError):
    """A terminal's sandbox cannot be opened."""


class UnknownSandboxError(SandboxError):
    """A sandbox id is not in the config's `sandboxes`."""


class SandboxGoneError(SandboxError):
    """The sandbox's process ended and nothing more can be written to it."""


class EngineError(PartyError):
    """A container engine (Docker, Podman) cannot be reached or refused."""


class CommandError(PartyError):
    """A command cannot be run in the terminal: no shell integration, a full-screen program, or nobody may type."""


class CommandTimeoutError(CommandError, TimeoutError):
    """A command did not end within its time."""


class WaitTimeoutError(PartyError, TimeoutError):
    """What was waited for did not come within its time: a result, the end of a scan, a text on a screen. What was begun goes on."""


class CheckError(PartyError):
    """A check is defined in a way that cannot run."""


class KeywordError(PartyError, TypeError):
    """A function was given a keyword that it does not have (the nearest one is named), or a value that it cannot take."""


class ScanError(PartyError):
    """A scan cannot start or be found: no such check, an id that is taken, or too many under way."""


class MissingNameError(PartyError, AttributeError):
    """An object, or the package, does not have the name that it was asked for: the one that was probably meant is named."""


def _cell_line(error: BaseException) -> str | None:
    """The line of the cell that led to an error, where a cell has several: `line 3: await ops.scan("shop")`."""
    trace, place = error.__traceback__, None
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if "ipykernel_" in name or name.startswith("<ipython-input-"):
            place = name, trace.tb_lineno
        trace = trace.tb_next
    if place is None:
        return None
    lines = [line for line in linecache.getlines(place[0]) if line.strip()]
    return f"line {place[1]}: {linecache.getline(*place).strip()}" if len(lines) > 1 else None
