"""The log check: only what is new counts, through rotation, truncation and lines that are half written."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from partywidgets.scans.checks.log import LogCheck

from .servers import look


async def test_only_new_lines_count(tmp_path: Path) -> None:
    """The first look starts at the end; a line counts once, and only when it is whole."""
    path = tmp_path / "new.log"
    path.write_text("ERROR of before\n")
    check = LogCheck(id="new", path=str(path), pattern="ERROR")
    assert (await look(check)).status == "ok"
    with path.open("a") as log:
        log.write("fine\nERROR one\nERROR tw")
    second = await look(check)
    assert (second.status, second.evidence[0].value) == ("crit", "ERROR one")
    with path.open("a") as log:
        log.write("o\n")
    assert (await look(check)).evidence[0].value == "ERROR two"
    assert (await look(check)).status == "ok"


async def test_rotation_and_truncation(tmp_path: Path) -> None:
    """What was written just before a rotation is not lost, and a log that begins anew is read from its start."""
    path = tmp_path / "rotated.log"
    path.write_text("")
    check = LogCheck(id="rotated", path=str(path), pattern="ERROR", conditions=("rotated",))
    await look(check)
    path.write_text("ERROR last\n")
    path.rename(tmp_path / "rotated.log.1")
    path.write_text("ERROR first\n")
    result = await look(check)
    assert (result.status, result.evidence[0].value) == ("ok", "ERROR last\nERROR first\n".strip())
    path.write_text("ERROR\n")
    assert (await look(check)).status == "ok"


async def test_hostile(tmp_path: Path) -> None:
    """A line without an end is read in bounded pieces, and control characters are shown."""
    path = tmp_path / "hostile.log"
    path.write_bytes(b"\x1b[2JERROR" + b"x" * 3_000_000)
    result = await look(LogCheck(id="hostile", path=str(path), pattern="ERROR", from_start=True, conditions=("count == 1",)))
    assert result.status == "ok"
    assert "\x1b" not in result.evidence[0].value


def test_refused() -> None:
    """A pattern that is none, and retries, are refused with a sentence."""
    with pytest.raises(ValidationError, match="not an RE2 expression"):
        LogCheck(id="x", path="/x", pattern="(")
    with pytest.raises(ValidationError, match="set retries to 0"):
        LogCheck(id="x", path="/x", retries=1)
