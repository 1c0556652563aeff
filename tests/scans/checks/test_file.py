"""The file check against files, directories and what is absent."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest
from pydantic import ValidationError

from partywidgets.scans.checks.file import FileCheck

from .servers import look


async def test_there_and_as_it_should_be(tmp_path: Path) -> None:
    """A file's size, mode and content are values."""
    path = tmp_path / "backup"
    path.write_bytes(b"whole")
    path.chmod(0o640)
    digest = hashlib.sha256(b"whole").hexdigest()
    result = await look(FileCheck(id="x", path=str(path), max_age=3600, sha256=digest, conditions=("size == 5", "mode == '0640'")))
    assert result.status == "ok", result.summary
    other = await look(FileCheck(id="x", path=str(path), sha256="0" * 64))
    assert other.status == "crit"


async def test_absent_and_old(tmp_path: Path) -> None:
    """A file that is missing, or older than it may be, is crit."""
    path = tmp_path / "backup"
    missing = await look(FileCheck(id="x", path=str(path)))
    assert (missing.status, missing.conditions[0].actual) == ("crit", "false")
    assert missing.summary == f"{path}: there is no such file", "in words: it is what people are told"
    path.touch()
    os.utime(path, (time.time() - 7200,) * 2)
    old = await look(FileCheck(id="x", path=str(path), max_age=3600))
    assert (old.status, old.summary) == ("crit", f"{path}: changed 2h ago, at most 1h is expected")
    both = await look(FileCheck(id="x", path=str(path), max_age=3600, conditions=("size > 5",)))
    assert both.summary == f"{path}: changed 2h ago, at most 1h is expected; size > 5: got 0"


async def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    """A pipe, whose opening would wait for a writer, is told by its kind and not opened."""
    os.mkfifo(tmp_path / "pipe")
    result = await look(FileCheck(id="x", path=str(tmp_path / "pipe"), conditions=("kind == 'pipe'",), warn="sha256 == ''"))
    assert result.status == "unknown"


def test_refused() -> None:
    """A digest that is none is refused when the config is read."""
    with pytest.raises(ValidationError):
        FileCheck(id="x", path="/x", sha256="abc")
