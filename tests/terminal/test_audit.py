"""The chain of decisions: it survives restarts, and shows what was changed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from partywidgets.terminal import audit as module
from partywidgets.terminal.audit import AuditFile, verify
from partywidgets.terminal.recording import off_loop


async def write(folder: Path, *events: str) -> None:
    """Adds lines as a host that has just started does."""
    file = AuditFile(folder)
    for event in events:
        file.write({"event": event})
    await off_loop(lambda: None)


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
