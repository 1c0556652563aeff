"""OpenMetrics of a host and of its checks, made of what is there when somebody asks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import CollectorRegistry

from . import __version__
from .scans.model import STATUS_CODES, STATUSES, count_statuses

if TYPE_CHECKING:
    from .app import App

CONTENT_TYPE = CONTENT_TYPE_LATEST
CHECK = ("check_id", "fingerprint")


class _HostCollector:
    """Reads the host on the room loop; nothing is counted beside the thing itself."""

    def __init__(self, app: App) -> None:
        self._app = app

    def collect(self) -> Iterable[Metric]:
        app = self._app
        yield InfoMetricFamily("partywidgets", "This host.", {"version": __version__, "host_id": app.host.host_id})
        yield GaugeMetricFamily("partywidgets_connections", "Open sockets over all rooms.", app.host.connection_count())
        rooms = GaugeMetricFamily("partywidgets_rooms", "Rooms that are live or hibernating.", labels=["party"])
        for party in app.parties:
            rooms.add_metric([party], len(app.host.rooms(party)))
        yield rooms
        yield GaugeMetricFamily("partywidgets_tickets", "Tickets that may still be used.", len(app.gate.tickets))
        yield GaugeMetricFamily("partywidgets_scans_running", "Scans under way.", len(app.service.running()))
        yield from self._notifications()
        yield from self._checks()

    def _notifications(self) -> Iterable[Metric]:
        messages = CounterMetricFamily("partywidgets_notifications", "Messages to a target of notifications.", labels=["target", "outcome"])
        waiting = GaugeMetricFamily("partywidgets_notifications_waiting", "Rows that a target is still to be told of.", labels=["target"])
        failing = GaugeMetricFamily("partywidgets_notifications_failing", "1 while the last message did not arrive.", labels=["target"])
        for target in self._app.service.notifier.targets:
            messages.add_metric([target.key, "sent"], target.sent)
            messages.add_metric([target.key, "failed"], target.failed)
            waiting.add_metric([target.key], len(target.waiting))
            failing.add_metric([target.key], int(target.last_error is not None))
        yield from (messages, waiting, failing)

    def _checks(self) -> Iterable[Metric]:
        rows = list(self._app.service.board.rows.values())
        by_status = GaugeMetricFamily("partywidgets_checks", "Rows on the board by their last status.", labels=["status"])
        counts = count_statuses(rows)
        for status in STATUSES:
            by_status.add_metric([status], counts[status])
        yield by_status
        state = GaugeMetricFamily(
            "partywidgets_check_status",
            "The last status: 0 ok, 1 warn, 2 crit, 3 unknown; a skipped check has none.",
            labels=[*CHECK, "type", "severity"],
        )
        duration = GaugeMetricFamily("partywidgets_check_duration_seconds", "How long the last look took.", labels=CHECK, unit="seconds")
        observed = GaugeMetricFamily(
            "partywidgets_check_observed_timestamp_seconds", "When the last look was.", labels=CHECK, unit="seconds"
        )
        suppressed = GaugeMetricFamily("partywidgets_check_suppressed", "1 while nobody is told, by an ack or a silence.", labels=CHECK)
        value = GaugeMetricFamily("partywidgets_check_value", "The numbers that the last look saw.", labels=[*CHECK, "name", "unit"])
        for row in rows:
            names = [row.check_id, row.fingerprint]
            code = STATUS_CODES[row.status]
            if code is not None:
                state.add_metric([*names, row.check_type, row.severity], code)
            duration.add_metric(names, row.duration_ms / 1000)
            observed.add_metric(names, row.observed_at.timestamp())
            suppressed.add_metric(names, int(row.suppression is not None))
            # Two numbers of one name would make the whole page invalid.
            for metric in {(metric.name, metric.unit): metric for metric in row.metrics}.values():
                value.add_metric([*names, metric.name, metric.unit], metric.value)
        yield from (state, duration, observed, suppressed, value)


def exposition(app: App) -> bytes:
    """The page that `/metrics` answers with, in OpenMetrics text. Call it on the room loop."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_HostCollector(app))
    page: bytes = generate_latest(registry)  # type: ignore[no-untyped-call]
    return page
