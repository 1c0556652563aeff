"""What a terminal room can be told: the `terminal:` part of a config, and what an app lends its rooms at run time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from ..duration import PATTERN, PositiveSeconds, parse_duration
from ..exceptions import UnknownSandboxError
from ..party.grant import Grant
from .asking import ASK_SECONDS
from .lease import IDLE_SECONDS

DEFAULT_SANDBOX = "default"


def _seconds(value: object) -> object:
    """A duration as seconds; a number stands for itself; `forever` for None."""
    if not isinstance(value, str):
        return value
    if value.strip() == "forever":
        return None
    try:
        return parse_duration(value)
    except ValueError as error:
        raise ValueError(f"{error}, or 'forever'") from None


class TerminalConfig(BaseModel):
    """`terminal:` in a config."""

    model_config = ConfigDict(extra="forbid")

    keep: Annotated[
        float | None, BeforeValidator(_seconds), WithJsonSchema({"type": ["string", "number", "null"], "pattern": f"{PATTERN}|^forever$"})
    ] = Field(default=900.0, ge=0)
    """How long a terminal lives after its last viewer left: `15m`, `1h30m`, seconds, or `forever`."""
    cols: int = Field(default=120, ge=20, le=1000)
    rows: int = Field(default=30, ge=5, le=1000)
    scrollback: int = Field(default=10_000, ge=0, le=100_000)
    """Lines kept above the screen for whoever joins late."""
    history: int = Field(default=1000, ge=1, le=100_000)
    """Commands kept in a room's ledger."""
    size: Literal["controller", "smallest"] = "controller"
    """Whose window decides the size: the controller's, or the smallest of all that may type."""


class RecordingSettings(BaseModel):
    """`recording:` in a config: what is saved of terminals."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = True
    """False: no recordings. The ledger of commands and the screens in saved notebooks stay."""
    keep: PositiveSeconds = 30 * 86_400.0
    """How long a recording is kept: `30d`, or seconds."""
    input: bool = False
    """Keystrokes too."""
    room_bytes: int = Field(default=64 << 20, ge=32 << 20, le=1 << 40)
    """What a room's recordings take together; the oldest go."""
    audit_bytes: int | None = Field(default=1 << 30, ge=64 << 20, le=1 << 40)
    """What the host's audit log takes, in files of 16 MiB; the oldest go. None: nothing of it is deleted."""
    unsaved: tuple[Annotated[str, Field(min_length=1, max_length=128)], ...] = Field(default=(), max_length=10_000)
    """Ids of sandboxes of which nothing is saved: no recording, no ledger, no screen in a notebook."""


IssueTicket = Callable[[Grant, str, str], tuple[str, float]]
"""`(grant, party, room)` → a resume ticket and for how many seconds it lives after its socket."""


@dataclass
class TerminalSettings:
    """What an app lends its terminal rooms, as `Environment(TerminalSettings(…))`. Changes count for whatever starts later."""

    sandboxes: dict[str, str] = field(default_factory=dict)
    """Sandbox id → address. Clients give ids; addresses come from here alone."""
    keep: float | None = 900.0
    """Seconds that a terminal lives after its last viewer left; None: for ever."""
    cols: int = 120
    rows: int = 30
    """The size in cells when the first viewer gives none."""
    ring_bytes: int = 1 << 20
    """Output kept for viewers who come back; at least 256 KiB."""
    scrollback: int = 10_000
    """Lines kept above the screen for whoever joins late."""
    history: int = 1000
    """Commands kept in a room's ledger."""
    idle_after: float = IDLE_SECONDS
    """Seconds without input after which another may take the lease by typing."""
    ask_for: float = ASK_SECONDS
    """Seconds that a request for control waits for its answer; clients wait 15 more than its default. As long as `idle_after`, so that who
    is away and answers nobody is followed."""
    size: Literal["controller", "smallest"] = "controller"
    """Whose window decides the size."""
    recording: RecordingSettings = field(default_factory=RecordingSettings)
    """What is saved."""
    known_secrets: Callable[[], Iterable[str]] = tuple
    """Values that are hidden in whatever is saved, beside those that look like a secret."""
    host_id: str = ""
    """What `welcome` says; the app puts the host's own."""
    issue_ticket: IssueTicket | None = None
    """Makes a resume ticket for a rich viewer; None: viewers get none."""
    release_ticket: Callable[[str], None] | None = None
    """Told when the socket of a resume ticket closed."""

    def apply(self, config: TerminalConfig) -> None:
        """Takes over what a config says."""
        self.keep, self.cols, self.rows = config.keep, config.cols, config.rows
        self.scrollback, self.history, self.size = config.scrollback, config.history, config.size

    def address(self, sandbox_id: str) -> str:
        """The address of a sandbox id. Raises UnknownSandboxError naming those there are."""
        try:
            return self.sandboxes[sandbox_id]
        except KeyError:
            known = f"known: {', '.join(sorted(self.sandboxes))}): name one of those, or" if self.sandboxes else "none is configured):"
            raise UnknownSandboxError(
                f"no sandbox has the id {sandbox_id[:64]!r} ({known} add it under `sandboxes:` in the config"
            ) from None
