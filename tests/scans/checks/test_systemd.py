"""The systemd check without systemctl, and with a program that prints as `systemctl show` does: no real systemd is needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from partywidgets.scans.checks.systemd import SystemdCheck

from .servers import look


async def test_no_systemd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without systemctl the status is unknown, with the reason."""
    monkeypatch.setenv("PATH", str(tmp_path))
    result = await look(SystemdCheck(id="x", unit="nginx"))
    assert result.status == "unknown"
    assert "no systemctl here" in result.summary


@pytest.mark.parametrize(("state", "status"), [("active", "ok"), ("failed", "crit")])
async def test_states(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, state: str, status: str) -> None:
    """The states that systemctl prints are values; a number that it does not know is null."""
    program = tmp_path / "systemctl"
    lines = f"LoadState=loaded\\nActiveState={state}\\nSubState=running\\nNRestarts=2\\nMainPID=7\\nMemoryCurrent=[not set]\\n"
    program.write_text(f"#!/bin/sh\nprintf '{lines}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    result = await look(SystemdCheck(id="x", unit="nginx"))
    assert (result.status, result.target) == (status, "nginx.service")
    assert {metric.name: metric.value for metric in result.metrics} == {"restarts": 2.0}


async def test_hung(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A systemctl whose bus does not answer is ended at the timeout."""
    program = tmp_path / "systemctl"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    result = await look(SystemdCheck(id="x", unit="nginx", timeout=0.5))
    assert (result.status, result.error and result.error.kind) == ("unknown", "timeout")
