"""`partywidgets audit verify`."""

from __future__ import annotations

from pathlib import Path

import pytest

from partywidgets.terminal import audit
from partywidgets.terminal.audit import AuditFile
from partywidgets.terminal.recording_thread import recording_thread

from .conftest import Run


def test_verify(run: Run, tmp_path: Path) -> None:
    """A whole log ends with 0 and its number of lines; a changed line with 1 and its place; what is not a file with a sentence."""
    file = AuditFile(tmp_path)
    for event in ("joined", "typed", "left"):
        file.write({"event": event})
    recording_thread().submit(lambda: None).result(30)
    path = tmp_path / "terminals.jsonl"
    whole = run("audit", "verify", path)
    assert (whole.code, whole.out, whole.err) == (0, "3 lines, the chain holds\n", "")
    path.write_bytes(path.read_bytes() + b'{"event": "to')
    torn = run("audit", "verify", path)
    assert torn.code == 0
    assert "not a whole line; its host was killed while it wrote" in torn.out
    path.write_bytes(path.read_bytes().replace(b'"typed"', b'"TYPED"'))
    broken = run("audit", "verify", path)
    assert broken.code == 1
    assert f"{path}:3" in broken.out.replace("\n", "")
    missing = run("audit", "verify", tmp_path / "none")
    assert missing.code == 1
    assert "cannot be read" in missing.sentence
    other = tmp_path / "partywidgets.yaml"
    other.write_text("checks:\n  - { id: disk, type: host, disk: / }\n")
    wrong = run("audit", "verify", other)
    assert wrong.code == 1
    assert "this was never a line of an audit log" in wrong.out


def test_verify_says_that_the_oldest_are_gone(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that the host shortened is whole, and the answer says by how many files; one that somebody else shortened ends with 1."""
    monkeypatch.setattr(audit, "FILE_BYTES", 200)
    file = AuditFile(tmp_path)
    for number in range(30):
        file.write({"event": "typed", "messages": number}, keep_bytes=1500)
    recording_thread().submit(lambda: None).result(30)
    path = tmp_path / "terminals.jsonl"
    oldest = min(tmp_path.glob("terminals-*.jsonl"), key=lambda found: int(found.stem.partition("-")[2]))
    gone = int(oldest.stem.partition("-")[2]) - 1
    assert gone > 0
    shortened = run("audit", "verify", path)
    assert shortened.code == 0
    assert f"the {gone} oldest files were deleted by the host (recording.audit_bytes)" in shortened.out
    oldest.unlink()
    robbed = run("audit", "verify", path)
    assert robbed.code == 1
    assert "the files before it are gone, and no line says that the host deleted them" in robbed.out.replace("\n", " ")
