"""A room's last state as text and as HTML without script: what a saved notebook shows. Pure, and free of ipywidgets."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..scans.model import CheckResult

SNAPSHOT_ROWS = 500
"""Rows in a snapshot, the failing ones first: it is saved with the notebook."""


def still(text: str) -> str:
    """Text as a block of HTML that needs neither script nor style sheet."""
    return f'<pre class="pw-still" style="margin:0;line-height:1.35">{html.escape(text)}</pre>'


COLUMNS = ("status", "severity", "check", "summary")
_LEFT = ' style="text-align:left"'
"""Jupyter's own styles put what stands in a table to the right."""
_SIGNS = {"crit": "✖", "warn": "▲", "unknown": "?"}
"""As in the live table."""


def rendered(results: Iterable[CheckResult]) -> tuple[str, str]:
    """Rows as text and as an HTML table, those that nobody takes care of first: the same for the same rows, without times and durations of
    its own."""
    from ..scans.model import SEVERITIES, STATUSES

    order = ("crit", "unknown", "warn", "skip", "ok")

    def place(row: CheckResult) -> tuple[int, bool, int, str, str]:
        return order.index(row.status), row.suppression is not None, -SEVERITIES.index(row.severity), row.check_id, row.target

    rows = sorted(results, key=place)
    counts = {status: sum(row.status == status for row in rows) for status in STATUSES}
    head = ", ".join(f"{count} {status}" for status, count in counts.items() if count) or "no results yet"
    shown = rows[:SNAPSHOT_ROWS]
    more = f"and {len(rows) - len(shown)} more" if len(rows) > len(shown) else ""
    cells = [(row.status, row.severity, row.title or row.check_id, row.summary + _why_quiet(row)) for row in shown]
    widths = [max([len(name), *(len(cell[at]) for cell in cells)]) for at, name in enumerate(COLUMNS[:-1])]
    lines = [head, *(_line(cell, widths) for cell in ([COLUMNS, *cells] if cells else [])), *([more] if more else [])]
    table = "".join("<tr>" + "".join(f"<td{_LEFT}>{part}</td>" for part in _marked(*cell)) + "</tr>" for cell in cells)
    header = "<tr>" + "".join(f"<th{_LEFT}>{name}</th>" for name in COLUMNS) + "</tr>"
    body = f"<table><thead>{header}</thead><tbody>{table}</tbody></table>" if cells else ""
    markup = f'<div class="pw-still"><p>{html.escape(head)}</p>{body}{f"<p>{more}</p>" if more else ""}</div>'
    return "\n".join(lines), markup


def _marked(status: str, *rest: str) -> list[str]:
    """Escaped cells; the eye finds what fails by weight and sign, since a viewer may take colours away."""
    sign = _SIGNS.get(status)
    first = f"<strong>{sign} {html.escape(status)}</strong>" if sign else html.escape(status)
    return [first, *map(html.escape, rest)]


def _why_quiet(row: CheckResult) -> str:
    """Why nobody is told of a row: who is on it, or what it waits for."""
    why = row.suppression
    if why is None:
        return ""
    word = {"ack": "acked", "silence": "silenced"}.get(why.by, why.by)
    return f" [{word}{f' by {why.actor}' if why.actor else ''}{f': {why.reason}' if why.reason else ''}]"


def _line(cell: tuple[str, ...], widths: list[int]) -> str:
    parts = [part.ljust(width) for part, width in zip(cell, widths, strict=False)]
    return "  ".join([*parts, cell[-1]]).rstrip()
