"""Results and reports as a cell or a prompt shows them: a line of text, and a small table of what fails. Pure."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import TYPE_CHECKING

from .text import one_line

if TYPE_CHECKING:
    from .model import CheckResult, Status
    from .report import ScanReport

ROWS = 50
"""Failing rows in a table: it is saved with the notebook. `report.df` has all."""

_FAILING: tuple[Status, ...] = ("crit", "unknown", "warn")
_COLUMNS = ("status", "severity", "check", "target", "summary")


def result_line(result: CheckResult) -> str:
    """`disk is crit: / is 97 % full`."""
    return one_line(f"{result.check_id} is {result.status}" + (f": {result.summary}" if result.summary else ""))


def report_line(report: ScanReport) -> str:
    """`manual, 6 checks: 5 ok, 1 crit, 0.26 s`; `running` stands for the seconds of a scan that has not ended."""
    number = "1 check" if report.total == 1 else f"{report.total} checks"
    took = "running" if report.finished_at is None else f"{(report.finished_at - report.started_at).total_seconds():.2f} s"
    return ", ".join([one_line(report.trigger, 40), ": ".join(part for part in (number, counts_line(report.counts)) if part), took])


def counts_line(counts: Mapping[Status, int]) -> str:
    """`5 ok, 1 crit`, without the statuses that nothing has."""
    return ", ".join(f"{count} {status}" for status, count in counts.items() if count)


def report_html(report: ScanReport) -> str:
    """The line, and a table of the failing rows, at most 50 of them; every text of a result is escaped. No script, no style sheet."""
    failing = sorted((result for result in report.results if result.status in _FAILING), key=lambda result: result.urgency)
    rows = "".join(
        "<tr>"
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in (r.status, r.severity, r.title or r.check_id, r.target, r.summary))
        + "</tr>"
        for r in failing[:ROWS]
    )
    header = "<tr>" + "".join(f"<th>{name}</th>" for name in _COLUMNS) + "</tr>"
    table = f"<table><thead>{header}</thead><tbody>{rows}</tbody></table>" if rows else ""
    # The counts are of the whole scan, the results may be fewer.
    left = max(sum(report.counts.get(status, 0) for status in _FAILING), len(failing)) - len(failing[:ROWS])
    more = f"<p>and {left} more that fail</p>" if left else ""
    return f'<div class="pw-still"><p>Scan {html.escape(report_line(report))}</p>{table}{more}</div>'
