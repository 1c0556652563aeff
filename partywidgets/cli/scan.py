"""`partywidgets scan`: the checks of a config, once, in this process."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..exceptions import ConfigError, PartyError
from . import Verdict
from .running import run_to_end
from .tokens import read_token

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ..config import Config
    from ..scans.model import CheckResult
    from ..scans.report import ScanReport

CODES = (("crit", 2), ("unknown", 3), ("warn", 1))
"""Exit codes by the worst status, worst first: Nagios' numbers, and a crit is worse than not knowing."""
STYLES = {"ok": "green", "warn": "yellow", "crit": "bold red", "unknown": "magenta", "skip": "dim"}
NARROW = 60
"""Columns below which the table leaves room for the summary."""
MARKS = {"ok": "✓", "warn": "!", "crit": "✗", "unknown": "?", "skip": "-"}


@dataclass(frozen=True, slots=True)
class Files:
    """The files that the report is written to."""

    junit: Path | None = None
    csv: Path | None = None
    parquet: Path | None = None

    def require(self) -> None:
        """Raises ConfigError for what cannot be written, as far as it can be known before the scan."""
        from ..scans.table_file import require_parquet

        if self.parquet is not None:
            require_parquet()
        for path in filter(None, (self.junit, self.csv, self.parquet)):
            if path.is_dir() or not path.parent.is_dir():
                fault = "it is a directory" if path.is_dir() else f"there is no directory {path.parent}"
                raise ConfigError(f"{path} cannot be written: {fault}")

    def write(self, report: ScanReport) -> None:
        """Raises StorageError for a file that cannot be written."""
        if self.junit is not None:
            report.to_junit(self.junit)
        if self.csv is not None:
            report.to_csv(self.csv)
        if self.parquet is not None:
            report.to_parquet(self.parquet)


def run(
    config: Path, *, checks: list[str], labels: list[str], as_json: bool, publish: str | None, token_file: Path | None, files: Files
) -> None:
    """Runs and shows the checks; ends with the worst status as exit code. Raises PartyError when it cannot run."""
    from ..config import load_config
    from ..partysocket.address import root_url

    wanted = dict(_label(text) for text in labels)
    token = None
    if publish is not None:
        token = read_token(token_file)
        try:
            root_url(publish)  # before the scan, which may take minutes
        except ValueError as error:
            raise ConfigError(f"--publish: {error}") from None
    files.require()
    # Before there is a loop, which a config that does not come (a pipe, a network's file) would keep from Ctrl-C.
    loaded = load_config(config, environ=os.environ)
    report, published = run_to_end(_scan(loaded, checks, wanted, publish=publish, token=token, as_json=as_json))
    files.write(report)
    if not report.results:
        raise ConfigError(f"{config} has no check that is enabled, so nothing was looked at: add one under `checks:`")
    raise Verdict(exit_code(report.results) or (0 if published else 3))


def exit_code(results: list[CheckResult]) -> int:
    """2 when a check is crit, else 3 when one is unknown, else 1 when one warns, else 0. What is suppressed does not count."""
    seen = {result.status for result in results if result.suppression is None}
    return next((code for status, code in CODES if status in seen), 0)


def _label(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise ConfigError(f"--label takes key=value, got {text!r}")
    return key, value


async def _scan(
    config: Config, checks: list[str], labels: dict[str, str], *, publish: str | None, token: str | None, as_json: bool
) -> tuple[ScanReport, bool]:
    """The report, and whether it came where it should be published."""
    from ..client.ops_http import publish_report
    from ..scan_once import scan_once
    from ..scans.service import Selection

    selection = Selection(checks=tuple(checks), labels=labels)
    if as_json:
        report = await scan_once(config, selection)
    else:
        from rich.console import Console

        report = await _shown(config, selection, Console())
    published = True
    if publish is not None:
        try:
            await publish_report(report, publish, token=token)
        except PartyError as error:
            # The scan itself stands: its result is shown and is the exit code, unless it was good.
            print(f"partywidgets: the report was not published: {error}", file=sys.stderr)
            published = False
    if as_json:
        print(json.dumps(report.to_wire(max_bytes=None), indent=2, ensure_ascii=False))
    return report, published


async def _shown(config: Config, selection: Any, console: Console) -> ScanReport:
    """Runs with a live table on a terminal, and with one table at the end elsewhere."""
    from rich.live import Live
    from rich.text import Text

    from ..client.board import Board
    from ..scan_once import scan_once
    from ..scans.model import CheckResult

    board = Board()
    progress = {"done": 0, "total": 0}
    live = Live(console=console, auto_refresh=False, transient=True)

    def told(kind: str, content: dict[str, Any]) -> None:
        if kind == "scan-started":
            progress["total"] = content["total"]
        elif kind == "check-result":
            board.put(content["results"])
            progress["done"] = content["done"]
        results = sorted(map(CheckResult.from_wire, board.rows.values()), key=lambda result: result.urgency)
        caption = f"{progress['done']} of {progress['total']} checks"
        table = _table(results[: max(console.size.height - 6, 5)], width=console.width, caption=caption)
        live.update(table, refresh=True)

    if console.is_terminal and os.environ.get("TERM") != "dumb":
        with live:
            report = await scan_once(config, selection, broadcast=told)
    else:
        report = await scan_once(config, selection)
    # The worst last: in a terminal the end is what stands before one's eyes.
    console.print(_table(report.results[::-1], width=console.width))
    counted = ", ".join(f"{count} {status}" for status, count in report.counts.items() if count) or "no checks"
    duration = (report.finished_at - report.started_at).total_seconds() if report.finished_at else 0.0
    console.print(Text(f"{counted} in {duration:.1f} s"))
    return report


def _table(results: list[CheckResult], *, width: int, caption: str | None = None) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(caption=caption, caption_justify="left", expand=False)
    table.add_column("status", no_wrap=True)
    table.add_column("check", no_wrap=True, overflow="ellipsis", max_width=min(32, max(16, width // 4)))
    roomy = width >= NARROW
    if roomy:
        table.add_column("severity", no_wrap=True)
        table.add_column("ms", justify="right", no_wrap=True)
    table.add_column("summary", overflow="fold")
    for result in results:
        # Text, never markup: a summary holds what a target said.
        status = Text(f"{MARKS[result.status]} {result.status}", style=STYLES[result.status])
        rest = [Text(result.severity), Text(f"{result.duration_ms:.0f}")] if roomy else []
        suppression = result.suppression
        why = "" if suppression is None else f" ({' '.join(filter(None, (suppression.by, suppression.id)))}: {suppression.reason})"
        table.add_row(status, Text(result.title), *rest, Text(result.summary + why))
    return table
