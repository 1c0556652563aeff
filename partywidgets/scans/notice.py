"""What a target of notifications is told of some rows, in words. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ..duration import format_duration
from .model import SEVERITIES, CheckResult, one_line

SHOWN = 20
"""Rows named in one message; the others are counted."""
REMEDIES = 3
"""Most different remedies that are told in one message: of a whole outage they would hide what fails."""
LABELS_CHARS = 200
BODY_CHARS = 3500
"""Longest body: below the 4,096 characters that the narrowest of the common chats takes."""

BADNESS = {"ok": 0, "warn": 1, "flapping": 2, "unknown": 2, "crit": 3}
"""How bad a standing is, among those that people are told of."""
_MENTION = re.compile(r"@(?=(?:all|channel|everyone|here|online|room)\b|_?\*\*)|<(?=[@!]|users/)", re.IGNORECASE)
"""What makes a chat page a whole company: `@everyone`, `<!channel>`, `<@U12>`, `@**all**`."""
_NOTHING = "\u200b"
"""A space without width."""
_KINDS = {"ok": "success", "warn": "warning", "flapping": "warning", "unknown": "warning", "crit": "failure"}


@dataclass(frozen=True, slots=True)
class Known:
    """What a target was told of a row that fails, when it was told so the last time, and the key of the incident that it was told in.

    `sure` False: nobody knows whether the last message about it arrived. It is under way, the host ended over it, or a service that opens
    incidents gave no answer. Where such a row stands is told in any case: a message too many is better than an incident that nobody ends.
    """

    status: str
    at: datetime
    incident: str = ""
    sure: bool = True


@dataclass(frozen=True, slots=True)
class Notice:
    """One row that a target is to be told of: `before` is what it was told last, `standing` what is true now; equal: it is reminded."""

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
    since: datetime | None = None
    """When it began to stand like this."""
    gone: bool = False
    """It has not recovered: its check is there no more."""
    check_id: str = ""
    labels: str = ""
    """Where it is, as its labels say."""
    lasted: float | None = None
    """Of a problem that is over, or that people are reminded of, for how many seconds it lasted, where that is known."""

    @property
    def reminds(self) -> bool:
        """True of what was told before."""
        return self.before == self.standing

    @property
    def heading(self) -> str:
        """How it stands, in capitals."""
        return "GONE" if self.gone else f"STILL {self.standing.upper()}" if self.reminds else self.standing.upper()

    @property
    def line(self) -> str:
        """The notice on one line."""
        lasted = "" if self.lasted is None else f" for {format_duration(max(1, round(self.lasted)))}"
        was = lasted if self.reminds else "" if self.before == "ok" else f" (was {self.before}{lasted})"
        return f"{self.heading}{was} {self.title}: {self.summary}"


@dataclass(frozen=True, slots=True)
class Message:
    """What goes out. `kind` is Apprise's: success, warning or failure."""

    title: str
    body: str
    kind: str


def standing_of(row: CheckResult) -> str | None:
    """What people would be told of a row: its hard status or `flapping`; None while that is open (soft, a recovery too, or skipped)."""
    if row.state.phase == "flapping":
        return "flapping"
    if row.status == "skip" or row.state.phase == "soft":
        return None
    return row.status


def urgency(notice: Notice) -> tuple[int, int, str]:
    """The key by which notices are in order, the worst first."""
    return -BADNESS[notice.standing], -SEVERITIES.index(notice.severity), notice.title


def unmade(count: int) -> Message:
    """What goes out where `compose` has a fault: nothing of the rows, which nobody has redacted."""
    rows = f"{count} checks" if count != 1 else "1 check"
    return Message(
        f"{rows} changed: look at the dashboard", "What they say could not be put into words; the host's log says why.", "failure"
    )


def compose(notices: Sequence[Notice], *, redact: Callable[[str], str], group: str = "", others: int = 0, page: str = "") -> Message:
    """The message about some rows, the worst first, without secrets and within bounds.

    `page` is the URL of the host's page, "" where there is none: of one row that is there the message ends with a link to it, else to all.
    `others` of the group fail beside them, of which was told before: who reads that something recovered must not take it for all.
    """
    notices = sorted(notices, key=urgency)
    worst = notices[0]
    title, lines = _of_one(worst, others) if len(notices) == 1 else _of_several(notices, others, group)
    kind = "warning" if worst.standing == "ok" and others else _KINDS[worst.standing]
    one_row = len(notices) == 1 and not worst.gone
    link = "" if not page else f"\n{page}#check={worst.fingerprint}" if one_row else f"\n{page}"
    body, most = redact("\n".join(lines)), BODY_CHARS - len(link)
    body, title = unpaged(body), unpaged(redact(title))
    return Message(one_line(title), (body if len(body) <= most else body[: most - 1] + "…") + link, kind)


def _of_one(notice: Notice, others: int) -> tuple[str, list[str]]:
    """The title and the lines of a message about one row."""
    title = f"{notice.heading}: {notice.title}" + (f" ({others} more still failing)" if others else "")
    since = _since([notice] if notice.standing != "ok" else [], "since ")
    about = [f"severity {notice.severity}, target {notice.target}", *filter(None, [notice.labels]), *since]
    return title, [notice.line, ", ".join(about), *filter(None, (notice.remedy, notice.restless))]


def _of_several(notices: Sequence[Notice], others: int, group: str) -> tuple[str, list[str]]:
    """Those of a message about several: how many are what, then a line for each of the worst."""
    failing = [one for one in notices if one.standing != "ok"]
    titles = Counter(one.title for one in notices)
    lines = [(replace(one, title=f"{one.title} ({one.check_id})") if titles[one.title] > 1 else one).line for one in notices[:SHOWN]]
    if len(notices) > SHOWN:
        lines.append(f"… and {len(notices) - SHOWN} more")
    lines += _since(failing, "the first since " if len(failing) > 1 else "since ")
    return _counted(notices, failing, others) + (f" ({group})" if group else ""), lines + _remedies(failing)


def _counted(notices: Sequence[Notice], failing: Sequence[Notice], others: int) -> str:
    """How many fail anew, recovered, were taken out, and fail in all."""
    gone, fresh = sum(one.gone for one in notices), sum(not one.reminds for one in failing)
    over = len(notices) - len(failing) - gone
    still = others + len(failing) - fresh
    counted = [f"{fresh} more failing" if still else f"{fresh} failing"] if fresh else []
    counted += [f"{over} recovered"] if over else []
    counted += [f"{gone} taken out"] if gone else []
    if still:
        counted.append(f"{fresh + still} failing in all" if fresh else f"{still} still failing")
    return ", ".join(counted)


def _remedies(failing: Sequence[Notice]) -> list[str]:
    """The one remedy of all of them, else each with its title, where they are few."""
    remedies = {one.remedy: one.title for one in failing if one.remedy}
    if len(remedies) == 1 and len(failing) > 1 and all(one.remedy for one in failing):
        return list(remedies)
    return [f"{title}: {remedy}" for remedy, title in remedies.items()] if len(remedies) <= REMEDIES else []


def labels_of(row: CheckResult) -> str:
    """A row's labels, as people read them; without those that say who is told."""
    return one_line(", ".join(f"{name}={value}" for name, value in row.labels.items() if not name.startswith("notify-")), LABELS_CHARS)


def unpaged(text: str) -> str:
    """A text in which no chat finds a mention: what a target answered must not page everybody who is in a channel."""
    return _MENTION.sub(lambda found: found[0] + _NOTHING, text)


def _since(failing: Sequence[Notice], words: str) -> list[str]:
    """When the first of some problems began."""
    moments = [one.since for one in failing if one.since is not None]
    return [f"{words}{min(moments).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"] if moments else []
