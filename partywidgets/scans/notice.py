"""What a target of notifications is told of some rows, in words. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .model import SEVERITIES, CheckResult, one_line

SHOWN = 20
"""Rows named in one message; the others are counted."""
BODY_CHARS = 3500
"""Longest body: below the 4,096 characters that the narrowest of the common chats takes."""

BADNESS = {"ok": 0, "warn": 1, "flapping": 2, "unknown": 2, "crit": 3}
"""How bad a standing is, among those that people are told of."""
_KINDS = {"ok": "success", "warn": "warning", "flapping": "warning", "unknown": "warning", "crit": "failure"}


@dataclass(frozen=True, slots=True)
class Notice:
    """One row that a target is to be told of: `before` is what it was told last, `standing` what is true now."""

    fingerprint: str
    title: str
    before: str
    standing: str
    severity: str
    summary: str
    target: str
    remedy: str
    restless: str = ""
    """What is to be said of a row that comes and goes; empty for others."""

    @property
    def line(self) -> str:
        """The notice on one line."""
        was = "" if self.before == "ok" else f" (was {self.before})"
        return f"{self.standing.upper()}{was} {self.title}: {self.summary}"


@dataclass(frozen=True, slots=True)
class Message:
    """What goes out. `kind` is Apprise's: success, warning or failure."""

    title: str
    body: str
    kind: str


def standing_of(row: CheckResult) -> str | None:
    """What people would be told of a row: its hard status or `flapping`; None while that is open (soft, or skipped)."""
    if row.state.phase == "flapping":
        return "flapping"
    if row.status == "skip" or (row.state.phase == "soft" and row.status != "ok"):
        return None
    return row.status


def compose(notices: Sequence[Notice], *, redact: Callable[[str], str], group: str = "") -> Message:
    """The message about some rows, the worst first, without secrets and within bounds."""
    notices = sorted(notices, key=lambda one: (-BADNESS[one.standing], -SEVERITIES.index(one.severity), one.title))
    worst = notices[0]
    if len(notices) == 1:
        title = f"{worst.standing.upper()}: {worst.title}"
        lines = [worst.line, f"severity {worst.severity}, target {worst.target}", *filter(None, (worst.remedy, worst.restless))]
    else:
        over = sum(one.standing == "ok" for one in notices)
        counted = [f"{len(notices) - over} failing"] * (over < len(notices)) + [f"{over} recovered"] * (over > 0)
        title = ", ".join(counted) + (f" ({group})" if group else "")
        lines = [one.line for one in notices[:SHOWN]]
        if len(notices) > SHOWN:
            lines.append(f"… and {len(notices) - SHOWN} more")
    body = redact("\n".join(lines))
    return Message(one_line(redact(title)), body if len(body) <= BODY_CHARS else body[: BODY_CHARS - 1] + "…", _KINDS[worst.standing])
