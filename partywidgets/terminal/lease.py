"""Who types: the lease of a terminal's keyboard. Pure; the clock is given."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from ..party import Grant

IDLE_SECONDS = 60.0
"""A holder who typed nothing for this long may be followed by whoever types next."""


@dataclass(frozen=True, slots=True)
class Person:
    """One connection of a subject, with the role that its grant gives in this room."""

    subject: str
    connection: str
    name: str
    role: str
    """Empty: none in terminals."""

    @classmethod
    def of(cls, grant: Grant, connection: str) -> Person:
        """Whose grant it is, by this connection."""
        return cls(grant.subject, connection, grant.display_name, grant.terminal_role() or "")

    @property
    def may_hold(self) -> bool:
        """True when this role can ever have the keyboard."""
        return self.role in ("operator", "moderator", "peer")

    @property
    def may_restart(self) -> bool:
        """True when this role may start an ended terminal again."""
        return self.role in ("moderator", "peer")


class Lease:
    """At most one holder. It belongs to the subject, so that a person's second tab and their notebook's `run` do not lock each other out.

    `idle_after` is in seconds. A peer needs no lease and takes none by typing.
    """

    def __init__(self, *, idle_after: float = IDLE_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._idle_after, self._clock = idle_after, clock
        self._typed_at = 0.0
        self.holder: Person | None = None

    @property
    def idle(self) -> bool:
        """True when there is a holder who has typed nothing for `idle_after` seconds."""
        return self.holder is not None and self._clock() - self._typed_at >= self._idle_after

    @property
    def idle_in(self) -> float | None:
        """Seconds until the holder counts as idle, 0 from then on; None without a holder."""
        return None if self.holder is None else max(self._typed_at + self._idle_after - self._clock(), 0.0)

    def can_type(self, person: Person) -> bool:
        """True when input from `person` would be taken now."""
        if person.role == "peer":
            return True
        return person.may_hold and (self.holder is None or self.holder.subject == person.subject or self.idle)

    def controls(self, person: Person) -> bool:
        """True when `person` decides the terminal's size: the holder, or, while nobody holds the lease, whoever may type."""
        if self.holder is not None:
            return person.may_hold and self.holder.subject == person.subject
        return self.can_type(person)

    def typed(self, person: Person) -> tuple[bool, bool]:
        """Input came: whether it is taken, and whether the holder changed."""
        if not self.can_type(person):
            return False, False
        held = self.holder is not None and self.holder.subject == person.subject
        if person.role == "peer" and not held:
            return True, False
        self._typed_at = self._clock()
        if held:
            return True, False
        self.holder = person
        return True, True

    def take(self, person: Person) -> str:
        """An explicit take-over; "" when it worked, else one sentence why not."""
        if not person.may_hold:
            return f"taking control needs the role operator, peer or moderator; this connection is {person.role}"
        held = self.holder
        if person.role != "moderator" and held is not None and held.subject != person.subject and not self.idle:
            return f"{held.name} has control: ask for it, or wait until they were idle for {self._idle_after:g} s"
        self._hand(person)
        return ""

    def ask(self, person: Person) -> str:
        """Whether `person` may ask the holder for it; "" when so, else one sentence why not."""
        if not person.may_hold:
            return f"asking for control needs the role operator, peer or moderator; this connection is {person.role}"
        if self.holder is not None and self.holder.subject == person.subject:
            return "you have control already"
        return ""

    def answers(self, person: Person) -> bool:
        """True for whoever decides about the lease: its holder, or a moderator."""
        holds = person.may_hold and self.holder is not None and self.holder.subject == person.subject
        return holds or person.role == "moderator"

    def release(self, person: Person) -> str:
        """Gives the lease back; "" when it worked."""
        if self.holder is None or self.holder.subject != person.subject or not person.may_hold:
            return "only the one who has control can release it"
        self.holder = None
        return ""

    def give(self, person: Person, to: Person | None) -> str:
        """Hands the lease on; "" when it worked."""
        if not self.answers(person):
            return "only the one who has control, or a moderator, can hand it on"
        if to is None:
            return "nobody in this room has that connection: take one from presence"
        if not to.may_hold:
            return f"{to.name} is {to.role} and cannot have control"
        self._hand(to)
        return ""

    def left(self, person: Person, remaining: list[Person]) -> bool:
        """`person`'s connection ended; `remaining` are the others. True when the holder changed."""
        if self.holder is None or self.holder.subject != person.subject:
            return False
        heir = next((other for other in remaining if other.subject == person.subject and other.may_hold), None)
        if heir is not None and self.holder.connection != person.connection:
            return False
        self.holder = heir
        return True

    def _hand(self, person: Person) -> None:
        self.holder = person
        self._typed_at = self._clock()
