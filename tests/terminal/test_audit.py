"""The chain of decisions: it survives restarts, and shows what was changed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from partywidgets.terminal import audit as module
from partywidgets.terminal.audit import AuditFile, verify
from partywidgets.terminal.recording_thread import off_loop


async def write(folder: Path, *events: str) -> None:
    """Adds lines as a host that has just started does."""
    file = AuditFile(folder)
    for event in events:
        file.write({"event": event})
    await off_loop(lambda: None)


async def test_the_oldest_files_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What all may take bounds them; the chain holds from the first that is left, and shows files that somebody else took away."""
    monkeypatch.setattr(module, "FILE_BYTES", 400)
    path, file = tmp_path / "terminals.jsonl", AuditFile(tmp_path)
    for number in range(60):
        file.write({"event": "typed", "messages": number}, keep_bytes=2000)
    await off_loop(lambda: None)
    aside = await asyncio.to_thread(lambda: list(tmp_path.glob("terminals-*.jsonl")))
    left = sorted(aside, key=lambda found: int(found.stem.partition("-")[2]))
    first = int(left[0].stem.partition("-")[2])
    assert first > 1
    assert sum(found.stat().st_size for found in (*left, path)) <= 2000 + 400
    assert (verify(path).broken, verify(path).dropped) == ("", first - 1)
    await write(tmp_path, "after a restart")
    assert (verify(path).broken, verify(path).dropped) == ("", first - 1)
    begin = await asyncio.to_thread(left[0].read_bytes)
    await asyncio.to_thread(left[0].write_bytes, begin.partition(b"\n")[2])
    assert f"{left[0]}:1: the files before it are gone" in verify(path).broken
    await asyncio.to_thread(left[0].unlink)
    assert f"{left[1]}:1: the files before it are gone" in verify(path).broken


async def test_the_chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes on after a restart, a torn line and a file put aside; a changed or missing line is named."""
    path = tmp_path / "terminals.jsonl"
    await write(tmp_path, "a", "b")
    await write(tmp_path, "c")
    assert (verify(path).lines, verify(path).broken) == (3, "")
    with open(path, "ab") as file:  # noqa: ASYNC230
        file.write(b'{"event": "to')
    await write(tmp_path, "d")
    assert (verify(path).lines, verify(path).broken, len(verify(path).torn)) == (5, "", 1)
    monkeypatch.setattr(module, "FILE_BYTES", 10)
    await write(tmp_path, "e")
    monkeypatch.undo()
    await write(tmp_path, "f")
    assert (tmp_path / "terminals-1.jsonl").exists()
    assert (verify(path).lines, verify(path).broken) == (7, "")
    aside = tmp_path / "terminals-1.jsonl"
    whole = await asyncio.to_thread(aside.read_bytes)
    await asyncio.to_thread(aside.write_bytes, whole.replace(b'"b"', b'"x"'))
    assert f"{aside}:3" in verify(path).broken
    await asyncio.to_thread(aside.write_bytes, b"".join(whole.splitlines(keepends=True)[1:]))
    assert f"{aside}:1" in verify(path).broken
