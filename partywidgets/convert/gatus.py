"""Gatus' `config.yaml`: endpoints, external endpoints, maintenance; its alerts are in `gatus_alerts.py`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..config_source import Source
from ..duration import parse_duration
from .draft import Draft, span
from .gatus_alerts import Alerting
from .gatus_target import Endpoint, Targets
from .source import Environment, Section

DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")

_ELSEWHERE = {
    "web": "where a host listens is said by `partywidgets serve --bind --port`",
    "ui": "how a dashboard looks is not configured here",
    "storage": "the history is kept beside the host's rooms; see history.keep_raw",
    "skip-invalid-config-update": "a config that is not right is never taken here",
}
"""Of the server and not of what it looks at: said otherwise here."""
_LEFT = {
    "security": "who may come in is said by auth.tokens",
    "connectivity": "nobody looks here whether the host itself is online",
    "remote": "other hosts' results are not taken in",
    "announcements": "there are no announcements here",
    "suites": "there are no steps that hand values on; a function with @pw.check does it",
    "tunneling": "checks are not made through SSH",
}
_CLIENT = {
    "proxy-url": "checks are not made through a proxy",
    "dns-resolver": "names are resolved as the system does",
    "oauth2": "no token is fetched for a check",
    "identity-aware-proxy": "no token is fetched for a check",
    "kerberos": "no ticket is fetched for a check",
    "tls": "a check shows no certificate of its own",
    "tunnel": "checks are not made through SSH",
}
_FATAL = frozenset(("proxy-url", "oauth2", "identity-aware-proxy", "kerberos", "tls", "tunnel"))
"""Without these a look would fail, or look at something else: the check is kept with `enabled: false`."""


def key_of(group: str, name: str) -> str:
    """An endpoint's key in Gatus' URLs and badges; without a group, the name's part of it."""
    bare = [re.sub(r"[ /_,.#+&]", "-", part.strip().lower()) for part in (group, name)]
    return "_".join(bare) if group else bare[1]


class Gatus:
    """One conversion; several files are one config, as in a directory of Gatus'."""

    def __init__(self, draft: Draft, environ: Mapping[str, str]) -> None:
        self.draft = draft
        self.environment = Environment(draft, environ)
        self.alerting = Alerting(draft, self.environment)
        self.targets = Targets(draft, self.environment)

    def read(self, sources: list[Source]) -> None:
        """Takes everything."""
        roots = [Section(source, (), source.value, self.draft) for source in sources]
        for root in roots:
            self.alerting.read(root.section("alerting"))
        for root in roots:
            for endpoint in root.sections("endpoints"):
                self._endpoint(endpoint)
            for endpoint in root.sections("external-endpoints"):
                self._external(endpoint)
        for root in roots:
            self._window(root.section("maintenance"), "maintenance", {})
            concurrency = root.take("concurrency")
            if isinstance(concurrency, int) and 1 <= concurrency <= 1000:
                self.draft.limits["total"] = concurrency
            if root.take("disable-monitoring-lock") or concurrency == 0:
                self.draft.differs(root.at("concurrency"), "without a limit in Gatus; here 50 at once, see limits.total")
            for name, reason in _ELSEWHERE.items():
                if root.left.get(name):
                    self.draft.differs(root.at(name), f"{name}: {reason}")
            for name in [name for name in root.left if name not in _LEFT]:
                root.take(name)  # Gatus passes such keys over, too: they hold anchors
            root.leave(_LEFT)
        self.alerting.write()

    def _endpoint(self, given: Section) -> None:
        self.draft.found += 1
        name, group = given.text("name"), given.text("group")
        title = self.environment.filled(name, given.at("name"))
        group_name = self.environment.filled(group, given.at("group")) if group else ""
        if title is None or group_name is None:
            return
        client = given.section("client")
        check = self.targets.check_of(Endpoint(given, title, group_name, given.text("url"), client))
        if check is None:
            return
        check = {"id": self.draft.name(key_of(group_name, title)), **check}
        if check["id"] != title:
            check["title"] = title[:200]
        check["every"] = self._duration(given, "interval", 60.0)
        check["timeout"] = self._duration(client, "timeout", 10.0)
        if not given.flag("enabled", True):
            check["enabled"] = False
        labels = given.texts("extra-labels")
        if group_name:
            labels = {"group": group_name, **labels}
        if labels:
            check["labels"] = labels
        fatal = [key for key in client.left if key in _FATAL and client.left[key]]
        client.leave(_CLIENT)
        if fatal and check.get("enabled", True):
            check["enabled"] = False
            self.draft.differs(given.at(), f"kept with enabled: false, since it needs client.{fatal[0]}")
        self.alerting.apply(check, given)
        windows = given.sections("maintenance-windows")
        if given.left.get("ui"):
            self.draft.differs(given.at("ui"), "ui: how a dashboard looks is not configured here; secrets are hidden in any case")
        given.take("ui")
        given.leave({"store": "there are no suites here", "always-run": "there are no suites here"})
        domain = self.targets.domain
        if self.draft.add(check, given.at()):
            for window in windows:
                self._window(window, f"maintenance {check['id']}", {"check_id": check["id"]})
        if domain is not None:
            self._domain(domain, check, given)

    def _domain(self, domain: dict[str, Any], beside: dict[str, Any], given: Section) -> None:
        """The check of an endpoint's domain, told to whom the endpoint is."""
        shared = ("labels", "attempts", "recovery_attempts", "retry_delay", "remediation", "enabled")
        name = self.draft.name(f"{beside['id']}-domain")
        found = {"id": name, "title": f"{domain['name']} (domain)", **domain, **{key: beside[key] for key in shared if key in beside}}
        self.draft.found += 1
        if self.draft.add(found, given.at()):
            self.alerting.also(name, beside["id"])
            self.draft.differs(given.at("conditions"), f"[DOMAIN_EXPIRATION]: {name} asks for it, a check of its own")

    def _duration(self, given: Section, key: str, default: float) -> str:
        value = given.take(key)
        if value in (None, 0, ""):
            return span(default)
        if isinstance(value, str):
            filled = self.environment.filled(value, given.at(key))
            try:
                seconds = parse_duration(filled or "")
                if seconds > 0:
                    return span(seconds)
            except ValueError:
                pass
        self.draft.left_out(given.at(key), f"{key}: a duration such as 30s is expected here; {span(default)} is taken")
        return span(default)

    def _external(self, given: Section) -> None:
        self.draft.found += 1
        name, group = given.text("name"), given.text("group")
        beat = given.section("heartbeat")
        within = beat.take("interval")
        if not isinstance(within, str):
            self.draft.left_out(
                given.at(), f"{name}: results that others push are not taken here; with a heartbeat.interval it would be a heartbeat"
            )
            return
        place, token = given.at("token"), given.text("token")
        secret = self.environment.references(token, place, key_of(group, name), "token", sensitive=True)
        beat.left["interval"] = within
        allowed = self._duration(beat, "interval", 3600.0)
        check: dict[str, Any] = {"id": self.draft.name(key_of(group, name)), "type": "heartbeat", "secret": secret, "within": allowed}
        if name != check["id"]:
            check["title"] = name[:200]
        check["every"] = span(min(parse_duration(allowed), 60.0))
        if group:
            check["labels"] = {"group": group}
        if not given.flag("enabled", True):
            check["enabled"] = False
        self.alerting.apply(check, given)
        given.leave({})
        if self.draft.add(check, given.at()):
            short = "" if len(token) >= 16 or "$" in token else "; its token is too short for one: `partywidgets token` makes another"
            self.draft.differs(
                place, f"{name}: the job sends POST /api/ops/heartbeat/<its token> when it went well, and nothing when it did not{short}"
            )

    def _window(self, given: Section, name: str, matchers: dict[str, str]) -> None:
        if not given.left:
            return
        place, enabled = given.at(), given.flag("enabled", True)
        start, zone = given.text("start"), given.text("timezone", "UTC")
        days = [str(day) for day in given.items("every")]
        duration = self._duration(given, "duration", 3600.0)
        given.leave({})
        if not enabled:
            return
        found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)", start)
        if found is None or any(day not in DAYS for day in days):
            self.draft.left_out(place, "a window has a start such as 23:00, and days such as Monday")
            return
        weekdays = ",".join(str(DAYS.index(day)) for day in days) or "*"
        window: dict[str, Any] = {"name": name, "cron": f"{int(found[2])} {int(found[1])} * * {weekdays}", "duration": duration}
        self.draft.window(
            {**window, **({"timezone": zone} if zone != "UTC" else {}), **({"matchers": matchers} if matchers else {})}, place
        )
