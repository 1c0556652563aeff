"""Uptime Kuma: its monitors as checks, its tags and groups as labels, its notifications and windows."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from ..scans.checks.domain_name import registrable
from .draft import Draft, labelled, slug, span
from .kuma_file import Backup, Record
from .kuma_services import BY_HAND, SERVICES
from .kuma_target import Targets
from .services import INCIDENTS, address, unheard

_NAMED_BY = {
    **dict.fromkeys(("http", "keyword", "json-query", "real-browser", "websocket-upgrade"), "url"),
    **dict.fromkeys(("port", "ping", "dns", "smtp", "snmp", "gamedig", "steam", "mqtt", "radius", "tailscale-ping"), "hostname"),
    "grpc-keyword": "grpc_url",
}
"""The monitors whose domain Kuma knows, and what names it."""


class Kuma:
    """One conversion."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self._reminders: dict[str, float] = {}
        """By check, the seconds between reminders, 0 for none."""
        self._asked: dict[str, set[int]] = {}
        """By the check of a domain, the monitors that ask for it."""

    def read(self, backup: Backup) -> None:
        """Takes everything."""
        groups = {int(row.number("id")): row for row in backup.monitors if row.text("type") == "group"}
        ids: dict[int, str] = {}
        for monitor in backup.monitors:
            number = int(monitor.number("id"))
            if number in groups:
                continue
            self.draft.found += 1
            check = Targets(self.draft, backup).check_of(monitor)
            if check is None:
                continue
            check = {"id": self.draft.name(slug(monitor.text("name")) if monitor.text("name") else f"monitor-{number}"), **check}
            self._common(check, monitor, self._labels(monitor, groups, backup), check["type"] == "heartbeat")
            if self.draft.add(check, monitor.place):
                ids[number] = check["id"]
        self._domains(backup)
        children = _children(backup, groups)
        for number, group in groups.items():
            if backup.notified and any(number in users for users in backup.notified.values()):
                self.draft.left_out(group.place, "a group is the label `group` here, which has no state: nobody is told of it")
        for notification in backup.notifications:
            self._notification(notification, backup, ids)
        for window in backup.windows:
            self._window(window, backup, ids, children)

    def _domains(self, backup: Backup) -> None:
        """A check for each domain whose end somebody watches."""
        found: dict[str, list[Record]] = {}
        for monitor in backup.monitors:
            key = _NAMED_BY.get(monitor.text("type"))
            if key is None or not monitor.flag("domain_expiry_notification") or not monitor.flag("active"):
                continue
            text = monitor.text(key)
            try:
                found.setdefault(registrable(urlsplit(text).hostname or "" if "://" in text else text), []).append(monitor)
            except ValueError:
                continue  # an address, or a name inside of a network: Kuma passes it over, too
        for domain, monitors in found.items():
            name, warn = self.draft.name(f"domain-{domain}"), f"expires_in < duration('{backup.domain_days}d')"
            check = {"id": name, "type": "domain", "name": domain, "title": f"{domain} (domain)", "every": "12h", "warn": warn}
            self.draft.found += 1
            if self.draft.add(check, monitors[0].place):
                self._asked[name], self._reminders[name] = {int(one.number("id")) for one in monitors}, 0.0
        if found:
            first = next(iter(found.values()))[0]
            words = f"the end of its domain is a check of its own here, {next(iter(self._asked), '')}"
            self.draft.differs(first.place, f"{words}: unknown where the registry does not tell, which Kuma does not say")

    def _common(self, check: dict[str, Any], monitor: Record, labels: dict[str, str], beats: bool) -> None:
        name = monitor.text("name")
        if name and name != check["id"]:
            check["title"] = name[:200]
        interval = monitor.number("interval", 60.0)
        check["every"] = span(min(interval, 60.0) if beats else interval)
        if not beats:
            given = monitor.number("timeout") or interval * 0.8  # what Kuma takes where a monitor says nothing
            check["timeout"] = span(given)
        retries = min(int(monitor.number("maxretries")), 99)
        if retries:
            check["attempts"] = retries + 1
            check["retry_delay"] = span(monitor.number("retry_interval") or interval)
        if labels:
            check["labels"] = labels
        if not monitor.flag("active"):
            check["enabled"] = False
        if words := monitor.text("description"):
            check["remediation"] = {"text": words[:2000]}
        self._reminders[check["id"]] = monitor.number("resend_interval") * interval

    def _labels(self, monitor: Record, groups: dict[int, Record], backup: Backup) -> dict[str, str]:
        labels: dict[str, str] = {}
        names, seen = list[str](), set[int]()
        number = int(monitor.number("parent"))
        while number in groups and number not in seen:
            seen.add(number)
            names.insert(0, groups[number].text("name"))
            number = int(groups[number].number("parent"))
        if names:
            labels["group"] = " / ".join(names)
        for name, value in backup.tags.get(int(monitor.number("id")), []):
            labels[name] = f"{labels[name]}, {value}" if name in labels and value else value or labels.get(name, "true")
        return dict(list(labels.items())[:24])

    def _notification(self, given: Record, backup: Backup, ids: dict[int, str]) -> None:
        told = backup.notified.get(int(given.number("id")), set())
        users = {ids[number] for number in told if number in ids} | {name for name, asked in self._asked.items() if asked & told}
        config = given.json("config")
        if not isinstance(config, dict):
            self.draft.left_out(given.place, "its settings cannot be read")
            return
        if not users or not given.flag("active"):
            self.draft.left_out(given.place, "no monitor uses it" if not users else "it is turned off")
            return
        kind = str(config.get("type") or "")
        settings = Record(given.place, config)
        service, keys = SERVICES.get(kind, ("", {}))
        fields = {ours: "true" if config.get(theirs) is True else settings.text(theirs) for ours, theirs in keys.items()}
        url = address(service, fields)
        if url is None:
            self.draft.left_out(given.place, unheard(kind, BY_HAND, own_body=kind == "webhook"))
            return
        name = (given.text("name") or config.get("name") or kind)[:100]
        target: dict[str, Any] = {"name": name, "url": self.draft.secret(given.place, url, name, "url")}
        if any(other["name"] == name for other in self.draft.notify):
            target["name"] = f"{name[:80]} {int(given.number('id'))}"
        self.draft.tell_by_reminder(target, given.place, {name: 0.0 if service in INCIDENTS else self._reminders[name] for name in users})

    def _window(self, given: Record, backup: Backup, ids: dict[int, str], children: dict[int, set[int]]) -> None:
        if not given.flag("active"):
            return
        strategy = given.text("strategy")
        if strategy in ("manual", "single"):
            self.draft.left_out(given.place, "a window here comes again and again; make a silence in the dashboard for this one")
            return
        numbers = backup.under.get(int(given.number("id")), set())
        for number in list(numbers):
            numbers |= children.get(number, set())
        covered = {ids[number] for number in numbers if number in ids}
        if not covered:
            self.draft.left_out(given.place, "it covers no monitor that is here")
            return
        cron, duration = given.text("cron") or _cron(given, strategy), given.number("duration") or _length(given)
        if not cron or not duration:
            self.draft.left_out(given.place, f"when it begins cannot be said ({strategy})")
            return
        zone = given.text("timezone")
        zone = backup.timezone if zone in ("", "SAME_AS_SERVER") else zone
        try:
            ZoneInfo(zone)
        except (OSError, ValueError, KeyError):
            self.draft.differs(given.place, f"the time zone {zone!r} is not known here: UTC is taken")
            zone = "UTC"
        end = given.text("end_date")
        if _is_over(end, zone):
            self.draft.left_out(given.place, f"it is over since {end[:10]}")
            return
        if end:
            self.draft.differs(given.place, f"it ends in Kuma on {end[:10]}; here it goes on until you take it out")
        window: dict[str, Any] = {"name": given.text("title") or "maintenance", "cron": cron, "duration": span(duration)}
        if zone != "UTC":
            window["timezone"] = zone
        if matchers := labelled(self.draft.checks, covered, f"maintenance-{slug(window['name'])}"):
            window["matchers"] = matchers
        if words := given.text("description"):
            window["reason"] = words[:500]
        self.draft.window(window, given.place)


def _is_over(end: str, zone: str) -> bool:
    """Whether a local time has passed; what is not a time has not."""
    try:
        return datetime.fromisoformat(end).replace(tzinfo=ZoneInfo(zone)) < datetime.now(UTC)
    except ValueError:
        return False


def _children(backup: Backup, groups: dict[int, Record]) -> dict[int, set[int]]:
    """By group, all monitors below it."""
    below: dict[int, set[int]] = {number: set() for number in groups}
    parents = {int(row.number("id")): int(row.number("parent")) for row in backup.monitors}
    for number in parents:
        seen, at = set[int](), parents[number]
        while at in below and at not in seen:
            below[at].add(number)
            seen.add(at)
            at = parents.get(at, 0)
    return below


def _cron(given: Record, strategy: str) -> str:
    """What a window says beside `cron`, which versions before 1.22 did not keep."""
    found = re.match(r"(\d{1,2}):(\d{2})", given.text("start_time"))
    if found is None:
        return ""
    at = f"{int(found[2])} {int(found[1])}"
    days = given.json("weekdays") or []
    if strategy == "recurring-weekday" and days:
        return f"{at} * * {','.join(str(int(day) % 7) for day in days)}"
    if strategy == "recurring-interval" and given.number("interval_day"):
        return f"{at} */{int(given.number('interval_day'))} * *"
    return ""


def _length(given: Record) -> float:
    times = [re.match(r"(\d{1,2}):(\d{2})", given.text(key)) for key in ("start_time", "end_time")]
    if None in times:
        return 0.0
    start, end = (int(found[1]) * 3600 + int(found[2]) * 60 for found in times if found is not None)
    return float((end - start) % 86_400)
