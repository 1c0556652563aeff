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


def rendered(results: Iterable[CheckResult]) -> tuple[str, str]:
    """Rows as text and as an HTML table: the same for the same rows, without times and durations of its own."""
    from ..scans.model import SEVERITIES, STATUSES

    order = ("crit", "unknown", "warn", "skip", "ok")
    rows = sorted(results, key=lambda row: (order.index(row.status), -SEVERITIES.index(row.severity), row.check_id, row.target))
    counts = {status: sum(row.status == status for row in rows) for status in STATUSES}
    head = ", ".join(f"{count} {status}" for status, count in counts.items() if count) or "no results yet"
    shown = rows[:SNAPSHOT_ROWS]
    more = f"and {len(rows) - len(shown)} more" if len(rows) > len(shown) else ""
    cells = [(row.status, row.severity, row.title or row.check_id, row.summary) for row in shown]
    widths = [max([len(name), *(len(cell[at]) for cell in cells)]) for at, name in enumerate(COLUMNS[:-1])]
    lines = [head, *(_line(cell, widths) for cell in ([COLUMNS, *cells] if cells else [])), *([more] if more else [])]
    table = "".join("<tr>" + "".join(f"<td>{html.escape(part)}</td>" for part in cell) + "</tr>" for cell in cells)
    header = "<tr>" + "".join(f"<th>{name}</th>" for name in COLUMNS) + "</tr>"
    body = f"<table><thead>{header}</thead><tbody>{table}</tbody></table>" if cells else ""
    markup = f'<div class="pw-still"><p>{html.escape(head)}</p>{body}{f"<p>{more}</p>" if more else ""}</div>'
    return "\n".join(lines), markup


def _line(cell: tuple[str, ...], widths: list[int]) -> str:
    parts = [part.ljust(width) for part, width in zip(cell, widths, strict=False)]
    return "  ".join([*parts, cell[-1]]).rstrip()
