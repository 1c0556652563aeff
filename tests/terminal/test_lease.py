"""Who types."""

from __future__ import annotations

from partywidgets.terminal.lease import Lease, Person

ANA, BEN, CYD = Person("ana", "c1", "Ana", "moderator"), Person("ben", "c2", "Ben", "operator"), Person("cyd", "c3", "Cyd", "operator")
OBI, PIA = Person("obi", "c4", "Obi", "observer"), Person("pia", "c5", "Pia", "peer")


class Clock:
    """A clock that stands until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_typing_takes_a_free_lease_and_an_idle_one() -> None:
    """An operator's input takes the lease when it is free, and again when the holder was idle for 60 s; not before."""
    clock = Clock()
    lease = Lease(clock=clock)
    assert lease.typed(BEN) == (True, True)
    clock.now = 59.9
    assert lease.typed(CYD) == (False, False)
    assert lease.typed(BEN) == (True, False)
    clock.now += 60
    assert lease.typed(CYD) == (True, True)
    assert lease.holder == CYD


def test_observers_never_and_peers_always() -> None:
    """An observer's input is never taken; a peer's always, without touching the lease."""
    lease = Lease(clock=Clock())
    assert lease.typed(OBI) == (False, False)
    lease.typed(BEN)
    assert lease.typed(PIA) == (True, False)
    assert lease.holder == BEN


def test_a_moderators_typing_asks_like_an_operators_but_taking_over_always_works() -> None:
    """While another has it, a moderator's keys are dropped; the explicit take-over succeeds."""
    lease = Lease(clock=Clock())
    lease.typed(BEN)
    assert lease.typed(ANA) == (False, False)
    assert lease.take(CYD).startswith("Ben has control")
    assert lease.take(ANA) == ""
    assert lease.holder == ANA
    assert lease.take(OBI).startswith("taking control needs")


def test_a_second_connection_of_the_holder_may_type() -> None:
    """The lease is the person's: their other tab types too, and inherits when the first goes."""
    lease = Lease(clock=Clock())
    second = Person("ben", "c9", "Ben", "operator")
    lease.typed(BEN)
    assert lease.typed(second) == (True, False)
    assert lease.left(BEN, [second, ANA]) is True
    assert lease.holder == second
    assert lease.left(second, [ANA]) is True
    assert lease.holder is None


def test_giving_and_releasing() -> None:
    """The holder or a moderator hands it on to somebody who may type; only the holder releases."""
    lease = Lease(clock=Clock())
    lease.typed(BEN)
    assert "only the one who has control" in lease.give(CYD, ANA)
    assert "cannot have control" in lease.give(BEN, OBI)
    assert "nobody in this room" in lease.give(BEN, None)
    assert lease.give(ANA, CYD) == ""
    assert "only the one who has control" in lease.release(BEN)
    assert lease.release(CYD) == ""
    assert lease.holder is None


def test_the_size_is_the_controllers() -> None:
    """The holder decides the size; while nobody holds it, whoever may type."""
    lease = Lease(clock=Clock())
    assert lease.controls(BEN)
    assert lease.controls(PIA)
    assert not lease.controls(OBI)
    lease.typed(BEN)
    assert not lease.controls(PIA)
    assert lease.controls(BEN)


def test_a_subjects_weaker_grant_has_no_part_in_its_lease() -> None:
    """The lease is the subject's, but an observer's token of the same subject neither sizes, releases nor hands on."""
    lease = Lease(clock=Clock())
    lease.typed(BEN)
    watching = Person("ben", "c9", "Ben's screen on the wall", "observer")
    assert not lease.can_type(watching)
    assert not lease.controls(watching)
    assert lease.release(watching) != ""
    assert lease.give(watching, CYD) != ""
    assert lease.holder == BEN
