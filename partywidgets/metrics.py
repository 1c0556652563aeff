"""The figures of a host and of its checks for Prometheus, made of what is there when somebody asks."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterable
from typing import TYPE_CHECKING

from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import CollectorRegistry

from . import __version__
from .scans.model import STATUS_CODES, STATUSES, CheckResult
from .scans.report import count_statuses

if TYPE_CHECKING:
    from .app import App

OPENMETRICS = "application/openmetrics-text;version=1.0.0"
CHECK = ("check_id", "fingerprint")
_NO_NAME = re.compile(r"[^a-zA-Z0-9_]")
DIALLED = ("http", "tcp", "tls", "icmp")
"""Types of checks that look up a target's name before they speak to it, and say how long that took."""


class _HostCollector:
    """Reads the host on the room loop; nothing is counted beside the thing itself. `checks`: what they saw, and who is told, are in it."""

    def __init__(self, app: App, *, checks: bool) -> None:
        self._app, self._with_checks = app, checks

    def collect(self) -> Iterable[Metric]:
        app = self._app
        yield InfoMetricFamily("partywidgets", "This host.", {"version": __version__, "host_id": app.host.host_id})
        yield GaugeMetricFamily("partywidgets_connections", "Open sockets over all rooms.", app.host.connection_count())
        rooms = GaugeMetricFamily("partywidgets_rooms", "Rooms that are live or hibernating.", labels=["party"])
        unread = GaugeMetricFamily("partywidgets_unread_bytes", "Bytes that peers are behind.", labels=["party"], unit="bytes")
        for party in app.parties:
            rooms.add_metric([party], len(app.host.rooms(party)))
            unread.add_metric([party], app.host.unread_bytes(party))
        yield from (rooms, unread)
        yield GaugeMetricFamily("partywidgets_tickets", "Tickets that may still be used.", len(app.gate.tickets))
        refusals = CounterMetricFamily("partywidgets_refused", "Requests that went no further, by status.", labels=["status"])
        for status in sorted({401, 403, *app.gate.refused}):
            refusals.add_metric([str(status)], app.gate.refused[status])
        yield refusals
        yield GaugeMetricFamily("partywidgets_scans_running", "Scans under way.", len(app.service.running()))
        yield GaugeMetricFamily(
            "partywidgets_storage_lost", "1 once the storage directory was moved or removed.", int(app.host.storage_lost)
        )
        unkept = int(app.service.snapshot_head()["unkept"] is not None)
        yield GaugeMetricFamily("partywidgets_history_unkept", "1 while results are not kept, as on a full disk.", unkept)
        refused = int(app.service.config_refused is not None)
        yield GaugeMetricFamily("partywidgets_config_refused", "1 while a changed config is refused and the former goes on.", refused)
        yield from self._disk()
        if self._with_checks:
            yield from self._notifications()
            yield from self._checks()

    def _disk(self) -> Iterable[Metric]:
        app = self._app
        # A directory or a file that is gone has no size; storage_lost and history_unkept tell of that.
        with contextlib.suppress(OSError):
            free = shutil.disk_usage(app.host.storage_path).free
            yield GaugeMetricFamily("partywidgets_storage_free_bytes", "Room left on the disk of the storage.", free, unit="bytes")
        if (path := app.service.history.path) is not None:
            size = sum(file.stat().st_size for file in (path, path.with_name(f"{path.name}-wal")) if file.exists())
            yield GaugeMetricFamily("partywidgets_history_bytes", "The history of scans, with its log.", size, unit="bytes")

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
        suppressed = GaugeMetricFamily(
            "partywidgets_check_suppressed", "1 while nobody is told: an ack, a silence, maintenance, a waiver, a dependency.", labels=CHECK
        )
        about = InfoMetricFamily(
            "partywidgets_check", "The title and the labels of a check, for alerts to say and to be routed by.", labels=CHECK
        )
        value = GaugeMetricFamily("partywidgets_check_value", "The numbers that the last look saw.", labels=[*CHECK, "name", "unit"])
        for row in rows:
            names = [row.check_id, row.fingerprint]
            code = STATUS_CODES[row.status]
            if code is not None:
                state.add_metric([*names, row.check_type, row.severity], code)
            duration.add_metric(names, row.duration_ms / 1000)
            observed.add_metric(names, row.observed_at.timestamp())
            suppressed.add_metric(names, int(row.suppression is not None))
            about.add_metric(names, {"title": row.title, **{f"label_{_NO_NAME.sub('_', name)}": text for name, text in row.labels.items()}})
            # Two numbers of one name would make the whole page invalid.
            for metric in {(metric.name, metric.unit): metric for metric in row.metrics}.values():
                value.add_metric([*names, metric.name, metric.unit], metric.value)
        yield from (state, duration, observed, suppressed, about, value)
        yield from probe_families(rows)


def probe_families(rows: Iterable[CheckResult]) -> Iterable[Metric]:
    """The last looks under the names that blackbox_exporter 0.23 gives them, so that its dashboards and alerts go on working.

    `probe_success` is of every check: 1 for ok and warn (a warning is not a failure), 0 for crit and unknown; a skipped check has none. A
    family of one protocol has the checks of that protocol alone.
    """
    success = GaugeMetricFamily("probe_success", "1 while the last look was ok or a warning.", labels=CHECK)
    duration = GaugeMetricFamily("probe_duration_seconds", "How long the last look took.", labels=CHECK, unit="seconds")
    lookup = GaugeMetricFamily("probe_dns_lookup_time_seconds", "How long the target's name took.", labels=CHECK, unit="seconds")
    status = GaugeMetricFamily("probe_http_status_code", "The last answer's status; 0: there was none.", labels=CHECK)
    secure = GaugeMetricFamily("probe_http_ssl", "1 where the last answer came over TLS.", labels=CHECK)
    length = GaugeMetricFamily("probe_http_uncompressed_body_length", "Bytes of the body, at most 1 MiB.", labels=CHECK)
    expiry = GaugeMetricFamily("probe_ssl_earliest_cert_expiry", "When a certificate ends first, in seconds since 1970.", labels=CHECK)
    phased = {
        kind: GaugeMetricFamily(f"probe_{kind}_duration_seconds", "How long each phase took.", labels=[*CHECK, "phase"], unit="seconds")
        for kind in ("http", "dns", "icmp")
    }
    for row in rows:
        names = [row.check_id, row.fingerprint]
        seen = {metric.name: metric.value for metric in row.metrics}
        if row.status != "skip":
            success.add_metric(names, int(row.status in ("ok", "warn")))
        duration.add_metric(names, row.duration_ms / 1000)
        if row.check_type in DIALLED and "resolve" in row.phases_ms:
            lookup.add_metric(names, row.phases_ms["resolve"] / 1000)
        if row.check_type == "http":
            status.add_metric(names, seen.get("status", 0))
            secure.add_metric(names, int("certificate_expires_in" in seen))
            if "size" in seen:
                length.add_metric(names, seen["size"])
        if row.check_type in ("http", "tls") and "certificate_expires_in" in seen:
            left = seen.get("chain_expires_in", seen["certificate_expires_in"])
            # A certificate ends at a whole second; the result was made some milliseconds after its time was read.
            expiry.add_metric(names, round(row.observed_at.timestamp() + left))
        if row.check_type in phased:
            for phase, seconds in _phases(row, seen).items():
                phased[row.check_type].add_metric([*names, phase], seconds)
    yield from (success, duration, lookup, status, secure, length, expiry, *phased.values())


def _phases(row: CheckResult, seen: dict[str, float]) -> dict[str, float]:
    """Seconds of each phase, under blackbox_exporter's names for it."""
    if row.check_type == "http":
        return {phase: ms / 1000 for phase, ms in row.phases_ms.items()}
    if row.check_type == "dns":
        return {"request": row.phases_ms["processing"] / 1000} if "processing" in row.phases_ms else {}
    found = {"resolve": row.phases_ms.get("resolve"), "rtt": seen.get("rtt_avg_ms")}
    return {phase: ms / 1000 for phase, ms in found.items() if ms is not None}


def exposition(app: App, accept: str, *, checks: bool = True) -> tuple[bytes, str]:
    """The page that `/metrics` answers with, and its media type. Call it on the room loop. `checks` False: of the host alone.

    OpenMetrics, except to whom `accept` (the header) names Prometheus' older text format without it: promtool, and agents that know
    that one alone, read not a line of a page with types that they do not know.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_HostCollector(app, checks=checks))
    ProcessCollector(registry=registry)
    encode, media_type = choose_encoder(accept if "text/plain" in accept else OPENMETRICS)
    return encode(registry), media_type
