"""`pw.ops`, `pw.scan` and `pw.connect`: what a notebook calls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .. import offers
from ..client.arguments import config_path, names
from ..client.arguments import labels as read_labels
from ..client.handle import Handle
from ..runtime import HostAddress, runtime
from ..spelling import says_arguments
from .dashboard import OpsDashboard

if TYPE_CHECKING:
    from ..scans.report import ScanReport


@says_arguments
def ops(
    config: Path | str | None = None,
    *,
    title: str | None = None,
    height: int | None = None,
    columns: Iterable[str] | None = None,
    sort: str | Iterable[str] | None = None,
    group: str | None = None,
    search: str | None = None,
) -> Handle[OpsDashboard]:
    """Loads a config into this notebook's host and returns the ops room: `ops = await pw.ops("partywidgets.yaml"); ops`.

    Without a config it shows what is loaded already. From now on the `@pw.check` functions of this kernel are offered to the host. `title`
    to `search` are how its table is shown, as of `pw.OpsDashboard`. Raises KeywordError for what cannot be shown. Awaiting raises
    ConfigError with the line and column of a mistake, HostError when no host can be reached, and warns (UserWarning) of sections that this
    host takes from no notebook.
    """
    place = None if config is None else config_path("ops", config)
    dashboard = OpsDashboard(title=title, height=height, columns=columns, sort=sort, group=group, search=search)
    watching = offers.watch()

    async def work() -> OpsDashboard:
        try:
            await dashboard._ops.connected()
            if place is not None:
                await dashboard._load(place)
        except BaseException:
            dashboard.close()
            raise
        await watching.settled()
        return dashboard

    return dashboard._start(work(), f"ops {config or ''}".strip())


@says_arguments
def scan(
    config: Path | str,
    *,
    checks: str | Iterable[str] = (),
    labels: Mapping[str, str] | None = None,
    publish: bool = True,
) -> Handle[ScanReport]:
    """Runs a config's checks once, here in this process: `report = await pw.scan("partywidgets.yaml"); report.df`.

    `checks` are ids, one or several; `labels` selects checks that have all of them (`{"team": "web"}`); without both all run. The report is
    published to the ops room of this notebook's host, unless `publish` is False: then no host is needed. Awaiting raises ConfigError with
    the line and column of a mistake, ScanError for a selection that has no check, and for publishing HostError and RefusedError.
    """
    from ..scans.registry import Selection

    selected = Selection(checks=tuple(names("checks", checks)), labels=read_labels("labels", labels))
    own = runtime()
    address: HostAddress | None = own.address if publish else None
    place = config_path("scan", config)

    async def work() -> ScanReport:
        from ..client.ops_http import publish_report
        from ..scan_once import scan_once

        report = await scan_once(place, selected)
        if address is not None:
            await publish_report(report, address.url, token=address.secret or None)
        return report

    return Handle(own.thread.submit(work()), f"scan {config}", loop=own.thread.loop)


@says_arguments
def connect(url: str, token: str | None = None) -> HostAddress:
    """Uses the host at `url` for every widget created from now on: `pw.connect("https://ops.example.com", token)`.

    `url` is the host's root, with scheme and base path; `token` defaults to PARTYWIDGETS_TOKEN. Returns the host's address. Raises
    HostError when it does not answer within 5 s, RefusedError when it refuses the token, or needs one and got none.
    """
    return runtime().connect(url, token)
