"""A time in which the history takes no results."""

from __future__ import annotations

import logging
import sqlite3

import pytest

from partywidgets.exceptions import StorageError
from partywidgets.scans import lapse
from partywidgets.scans.lapse import Lapse


class Disk:
    """What writings find: room for those that are not larger."""

    def __init__(self) -> None:
        self.room = 0
        self.told: list[str | None] = []
        self.lapse = Lapse(self._tell)

    async def _tell(self) -> None:
        self.told.append(self.lapse.reason)

    async def _write(self, size: int) -> None:
        if size > self.room:
            raise StorageError("the ops history cannot be used") from sqlite3.OperationalError("database or disk is full")

    async def results(self) -> bool:
        """A scan's results come."""
        return await self.lapse.kept(self._write(10), results=True)

    async def note(self) -> bool:
        """A scan begins."""
        return await self.lapse.kept(self._write(1))


async def test_what_is_small_ends_no_lapse(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A full disk that has room for the beginning of each scan, and not for what it saw: people are told once, and once that it is over."""
    monkeypatch.setattr(lapse, "QUIET", 0.0)
    disk = Disk()
    disk.room = 5
    for _ in range(3):
        assert await disk.note()
        assert not await disk.results()
    assert disk.told == ["database or disk is full"]
    disk.room = 10
    assert await disk.results()
    assert await disk.results()
    assert disk.told == ["database or disk is full", None]
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert said == [
        "scans go on without their history (1 times by now): the ops history cannot be used",
        "the history is written again: it lacks what came 3 times meanwhile",
    ]


async def test_nothing_is_lost_by_what_is_done_later(caplog: pytest.LogCaptureFixture) -> None:
    """Figures that cannot be summed up now are so later: it is in the log once a minute, and nobody is told that results are lost."""
    disk = Disk()
    assert not await disk.note()
    assert not await disk.note()
    disk.room = 10
    assert await disk.results()
    assert disk.told == []
    assert len(caplog.records) == 1


async def test_a_few_that_find_room_end_it_after_a_while_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Results that are written right after others were not may be fewer: it is over when none failed for some seconds."""
    monkeypatch.setattr(lapse, "QUIET", 3600.0)
    disk = Disk()
    assert not await disk.results()
    disk.room = 10
    assert await disk.results()
    assert disk.told == ["database or disk is full"]
    monkeypatch.setattr(lapse, "QUIET", 0.0)
    assert await disk.results()
    assert disk.told == ["database or disk is full", None]
