"""The checks of a scan that wait to be begun: each is begun once, and none waits that could run."""

from __future__ import annotations

import asyncio
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from partywidgets.scans.checks.exec import ExecCheck
from partywidgets.scans.checks.tcp import TcpCheck
from partywidgets.scans.execution import Loaded, Slots, host_of
from partywidgets.scans.lineup import AHEAD, AHEAD_IN_ALL, Lineup
from partywidgets.scans.model import CheckResult
from partywidgets.scans.settings import LimitSettings


async def _never() -> CheckResult:
    raise AssertionError("nobody looks here")


def tcp(number: int, host: str) -> Loaded:
    """A check of a host."""
    return Loaded(TcpCheck(id=f"check-{number}", host=host, port=80), "test", _never, 1.0)


def command(number: int) -> Loaded:
    """A check of a type that has a limit."""
    return Loaded(ExecCheck(id=f"check-{number}", command=("true", str(number))), "test", _never, 1.0)


class Room:
    """What is begun takes a place, holds it until it is told to end, and gives it back."""

    def __init__(self, checks: list[Loaded], limits: LimitSettings) -> None:
        self.limits, self.lineup, self.slots = limits, Lineup(checks, limits), Slots(limits)
        self.waiting = {loaded.id: loaded for loaded in checks}
        self.running: dict[str, tuple[Loaded, asyncio.Event]] = {}
        self.begun: list[str] = []
        self.under_way: set[asyncio.Task[None]] = set()

    async def settle(self) -> None:
        """Begins what may be, until nothing moves any more."""
        for _ in range(8):
            while (loaded := self.lineup.begin()) is not None:
                self.begun.append(loaded.id)
                self.under_way.add(asyncio.ensure_future(self._look(loaded)))
            await asyncio.sleep(0)

    async def end(self, number: int) -> None:
        """Ends one of those that run."""
        _, over = list(self.running.values())[number % len(self.running)]
        over.set()
        await self.settle()

    async def _look(self, loaded: Loaded) -> None:
        place = host_of(loaded.check.target), loaded.check.type
        await self.slots.take(*place)
        del self.waiting[loaded.id]
        over = asyncio.Event()
        self.running[loaded.id] = loaded, over
        await over.wait()
        del self.running[loaded.id]
        self.slots.give_back(*place)
        self.lineup.ended(loaded)

    def could_run(self) -> list[str]:
        """Those that wait though their host, their type and the whole have a place that nobody holds or waits for."""
        if len(self.running) >= self.limits.total:
            return []
        hosts = Counter(host_of(loaded.check.target) for loaded, _ in self.running.values())
        types = Counter(loaded.check.type for loaded, _ in self.running.values())
        return [
            loaded.id
            for loaded in self.waiting.values()
            if hosts[host_of(loaded.check.target)] < self.limits.per_host
            and types[loaded.check.type] < self.limits.per_type.get(loaded.check.type, self.limits.total)
        ]


checks = st.lists(st.sampled_from(["a", "b", "c", "d", "exec"]), min_size=1, max_size=60).map(
    lambda hosts: [command(number) if host == "exec" else tcp(number, host) for number, host in enumerate(hosts)]
)
limits = st.builds(
    lambda total, per_host, commands: LimitSettings(total=total, per_host=per_host, per_type={"exec": commands}),
    st.integers(1, 6),
    st.integers(1, 4),
    st.integers(1, 3),
)


@given(checks, limits, st.lists(st.integers(0, 99), min_size=60, max_size=60))
def test_no_check_waits_that_could_run_and_each_is_begun_once(checks: list[Loaded], limits: LimitSettings, ends: list[int]) -> None:
    """Whatever ends first: so slow hosts and types hold up nobody but their own; and few are begun."""

    async def scan() -> None:
        room = Room(checks, limits)
        await room.settle()
        for number in ends:
            assert room.could_run() == []
            assert len(room.begun) - (len(checks) - len(room.waiting) - len(room.running)) <= AHEAD_IN_ALL * limits.total
            assert [loaded.id in room.lineup for loaded in checks] == [loaded.id not in room.begun for loaded in checks]
            if room.running:
                await room.end(number)
        assert sorted(room.begun) == sorted(loaded.id for loaded in checks)
        assert not room.running
        assert not room.waiting
        assert room.lineup.begin() is None

    asyncio.run(scan())


def test_a_host_with_thousands_is_begun_little_by_little_and_in_order() -> None:
    """One host's checks come in their order, twice as many as it may have at once; those of others are passed on at once."""
    lineup = Lineup([*(tcp(number, "slow") for number in range(3000)), tcp(3000, "quick")], LimitSettings(total=50, per_host=10))
    first = []
    while (loaded := lineup.begin()) is not None:
        first.append(loaded)
    assert [loaded.id for loaded in first] == [*(f"check-{number}" for number in range(AHEAD * 10)), "check-3000"]
    for number in range(20, 3000):
        lineup.ended(first[number % 20])
        follower = lineup.begin()
        assert follower is not None
        assert follower.id == f"check-{number}"
        assert lineup.begin() is None
