"""What a terminal room tells of itself: its size, its people, what runs behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

State: TypeAlias = Literal["connecting", "live", "lagging", "ended", "refused", "lost"]
"""Of a client: its connection, and of what it shows while there is one."""


@dataclass(frozen=True, slots=True)
class Size:
    """A terminal's size in cells, and who set it."""

    cols: int
    rows: int
    by: str = ""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in the room."""

    connection: str
    name: str
    role: str
    subject: str


@dataclass(frozen=True, slots=True)
class Upstream:
    """The sandbox behind the room: `starting`, `running`, `ended` or `failed`, and why."""

    state: str
    reason: str
    sandbox: str


@dataclass(frozen=True, slots=True)
class Exit:
    """How the shell ended."""

    code: int | None
    reason: str
