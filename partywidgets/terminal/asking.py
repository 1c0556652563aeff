"""Who asks for the keyboard, and what becomes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from ..exceptions import CommandError
from .lease import Lease, Person

ASK_SECONDS = 60.0
"""How long a request waits for its answer. As long as a holder may be idle: who is away answers nobody, and is followed then."""
AGAIN_SECONDS = 10.0
"""After a refusal the same person is not asked for again at once."""


@dataclass(eq=False)
class _Request:
    """A subject's wish. It lives as long as one of their connections waits for the answer."""

    until: float
    answer: asyncio.Future[str]
    """"" when they have control now, else the sentence why not."""
    waiting: list[Person] = field(default_factory=list)


class Asking:
    """Requests for the lease, one a subject, in the order in which they came.

    `changed` is called when the list is another, `passed(person)` when somebody got the lease without an answer: nobody had it, or its
    holder was idle. `seconds` is how long a request waits.
    """

    def __init__(self, lease: Lease, *, seconds: float, changed: Callable[[], None], passed: Callable[[Person], None]) -> None:
        self._lease, self._seconds, self._changed, self._passed = lease, seconds, changed, passed
        self._open: dict[str, _Request] = {}
        self._refused: dict[str, float] = {}
        """Subject → the loop's time from which on they may ask again."""

    @property
    def people(self) -> list[Person]:
        """Who waits for an answer, the first first; one connection each."""
        return [request.waiting[0] for request in self._open.values()]

    async def ask(self, person: Person) -> None:
        """Returns when `person` has control; raises CommandError with the sentence why they have it not. Bounded by `seconds`."""
        loop = asyncio.get_running_loop()
        if refusal := self._lease.ask(person):
            raise CommandError(refusal)
        if (wait := self._refused.get(person.subject, 0.0) - loop.time()) > 0:
            raise CommandError(f"control was refused a moment ago: ask again in {max(wait, 1.0):.0f} s")
        if not self._open and self._take(person):
            self._passed(person)
            return
        request = self._open.get(person.subject)
        if request is None:
            request = self._open[person.subject] = _Request(loop.time() + self._seconds, loop.create_future())
        request.waiting.append(person)
        self._changed()
        try:
            async with asyncio.timeout_at(request.until):
                refusal = await asyncio.shield(request.answer)
        except TimeoutError:
            holder = self._lease.holder
            if holder is not None and holder.subject == person.subject:
                return
            if self._take(person):
                self._passed(person)
                return
            name = "whoever has control" if holder is None else holder.name
            raise CommandError(f"{name} did not answer within {self._seconds:g} s: ask again") from None
        finally:
            request.waiting.remove(person)
            if self._open.get(person.subject) is request:
                if not request.waiting:
                    del self._open[person.subject]
                self._changed()
        if refusal:
            raise CommandError(refusal)

    def withdraw(self, person: Person) -> str:
        """`person` wants it no more; "" when there was a request."""
        return self._end(person.subject, "the request was withdrawn")

    def refuse(self, person: Person, subject: str | None) -> str:
        """`person` refuses a subject's request; "" when it worked, else one sentence why not."""
        if not self._lease.answers(person):
            return "only the one who has control, or a moderator, can refuse a request for it"
        if refusal := self._end(subject, f"{person.name} refused: ask again later"):
            return refusal
        now = asyncio.get_running_loop().time()
        self._refused = {who: until for who, until in self._refused.items() if until > now} | {subject or "": now + AGAIN_SECONDS}
        return ""

    def settle(self) -> Person | None:
        """The lease changed: whoever has it need not wait; while nobody has it, the first who asked gets it, and is returned."""
        first = self.people[0] if self._lease.holder is None and self._open else None
        if first is not None:
            self._take(first)
        if self._lease.holder is not None:
            self._end(self._lease.holder.subject, "")
        return first

    def _take(self, person: Person) -> bool:
        """Takes a lease that is free, or whose holder is idle."""
        if self._lease.holder is not None and not self._lease.idle:
            return False
        return self._lease.take(person) == ""

    def _end(self, subject: str | None, sentence: str) -> str:
        request = self._open.pop(subject or "", None)
        if request is None:
            return "nobody in this room has that request: take one from the lease"
        request.answer.set_result(sentence)
        return ""
