"""Gatus' alerts: how often a failure is seen until it counts, and whom it is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..duration import parse_duration
from .draft import Draft
from .services import INCIDENTS, NATIVE, address, unheard
from .source import Environment, Section

SERVICES: dict[str, tuple[str, dict[str, str]]] = {
    "aws-ses": (
        "aws-ses",
        {"user": "access-key-id", "token": "secret-access-key", "region": "region", "from": "from", "to": "to"},
    ),
    "discord": ("discord", {"webhook": "webhook-url"}),
    "email": ("email", {"host": "host", "port": "port", "user": "username", "password": "password", "from": "from", "to": "to"}),
    "googlechat": ("googlechat", {"webhook": "webhook-url"}),
    "gotify": ("gotify", {"server": "server-url", "token": "token"}),
    "homeassistant": ("home-assistant", {"server": "url", "token": "token"}),
    "ifttt": ("ifttt", {"token": "webhook-key", "event": "event-name"}),
    "ilert": ("ilert", {"token": "integration-key"}),
    "incident-io": ("incident-io", {"webhook": "url", "token": "auth-token"}),
    "line": ("line", {"token": "channel-access-token", "to": "user-ids"}),
    "matrix": ("matrix", {"server": "server-url", "token": "access-token", "room": "internal-room-id"}),
    "mattermost": ("mattermost", {"webhook": "webhook-url"}),
    "messagebird": ("messagebird", {"token": "access-key", "from": "originator", "to": "recipients"}),
    "ntfy": ("ntfy", {"server": "url", "topic": "topic", "token": "token"}),
    "opsgenie": ("opsgenie", {"token": "api-key"}),
    "pagerduty": ("pagerduty", {"token": "integration-key"}),
    "plivo": ("plivo", {"user": "auth-id", "token": "auth-token", "from": "from", "to": "to"}),
    "pushover": ("pushover", {"user": "user-key", "token": "application-token"}),
    "rocketchat": ("rocketchat", {"webhook": "webhook-url"}),
    "sendgrid": ("sendgrid", {"token": "api-key", "from": "from", "to": "to"}),
    "signal": ("signal", {"server": "api-url", "from": "number", "to": "recipients"}),
    "signl4": ("signl4", {"token": "team-secret"}),
    "slack": ("slack", {"webhook": "webhook-url"}),
    "squadcast": ("squadcast", {"webhook": "webhook-url"}),
    "teams": ("teams", {"webhook": "webhook-url"}),
    "teams-workflows": ("teams", {"webhook": "webhook-url"}),
    "telegram": ("telegram", {"token": "token", "chat": "id"}),
    "twilio": ("twilio", {"sid": "sid", "token": "token", "from": "from", "to": "to"}),
    "vonage": ("vonage", {"token": "api-key", "secret": "api-secret", "from": "from", "to": "to"}),
    "webex": ("webex", {"webhook": "webhook-url"}),
    "zulip": ("zulip", {"bot": "bot-email", "token": "bot-api-key", "domain": "domain", "to": "channel-id"}),
}
"""A provider's service, and its keys there by those of services.py."""
BY_HAND = {"github": "github"}
"""Providers whose settings make no URL of Apprise's, though it has their service: its scheme."""
LEFT_OUT = frozenset(("clickup", "custom", "datadog", "gitea", "gitlab", "n8n", "newrelic", "splunk", "zapier"))
"""Providers that Apprise has no service for; Splunk is the HTTP Event Collector."""
_LEFT = {
    "provider-override": "one target has one address: add another under notify",
}


def _text(section: Section, key: str) -> str:
    """A text, or a list as one with commas."""
    given = section.left.get(key)
    return ",".join(map(str, section.items(key))) if isinstance(given, list) else section.text(key)


def _count(given: object, default: int) -> int:
    """How often something is seen, as Gatus reads it: the default for what is not a number above 0."""
    return min(given, 100) if isinstance(given, int) and given > 0 else default


@dataclass
class _Provider:
    """One provider of the source: what its alerts have unless they say otherwise, and who uses it."""

    section: Section
    default: dict[str, Any]
    used: dict[str, float] = field(default_factory=dict)
    """By check, the seconds between reminders, 0 for none."""
    resolved: list[bool] = field(default_factory=list)


class Alerting:
    """All of a source's providers."""

    def __init__(self, draft: Draft, environment: Environment) -> None:
        self.draft, self.environment = draft, environment
        self._providers: dict[str, _Provider] = {}

    def read(self, alerting: Section) -> None:
        """Takes what `alerting` says of providers."""
        for name in list(alerting.left):
            provider = alerting.section(name)
            default = provider.take("default-alert")
            self._providers[name] = _Provider(provider, default if isinstance(default, dict) else {})

    def apply(self, check: dict[str, Any], endpoint: Section) -> None:
        """Gives a check what its alerts say."""
        thresholds, recoveries, words = list[int](), list[int](), list[str]()
        for alert in endpoint.sections("alerts"):
            kind = alert.text("type")
            place = alert.at()
            provider = self._providers.get(kind)
            if provider is None:
                alert.left.clear()
                self.draft.left_out(place, f"the alert {kind}: nothing under alerting says where it goes")
                continue
            given = {**provider.default, **{key: value for key, value in alert.left.items() if value is not None}}
            for key, reason in _LEFT.items():
                if given.get(key):
                    self.draft.left_out(alert.at(key), f"{key}: {reason}")
            alert.left.clear()
            if given.get("enabled") is False:
                continue
            thresholds.append(_count(given.get("failure-threshold"), 3))
            recoveries.append(_count(given.get("success-threshold"), 2))
            if isinstance(text := given.get("description"), str) and text:
                words.append(text)
            reminder = self._reminder(given.get("minimum-reminder-interval"), alert.at("minimum-reminder-interval"))
            provider.used[check["id"]] = min(filter(None, (provider.used.get(check["id"], 0.0), reminder)), default=0.0)
            provider.resolved.append(given.get("send-on-resolved") is True)
        if thresholds:
            attempts, recovery = min(thresholds), min(recoveries)
            if len(set(thresholds)) > 1 or len(set(recoveries)) > 1:
                looks = f"after {attempts} looks, and {recovery}"
                self.draft.differs(endpoint.at("alerts"), f"alerts of one check begin together here, and end together: {looks}")
            check["attempts"] = attempts
            if recovery > 1:
                check["recovery_attempts"] = recovery
            if attempts > 1 or recovery > 1:
                # A beat that is missing fails once an interval there; here it is looked for more often.
                check["retry_delay"] = check["within"] if check["type"] == "heartbeat" else check["every"]
        if words:
            check["remediation"] = {"text": " · ".join(dict.fromkeys(words))[:2000]}

    def also(self, check_id: str, like: str) -> None:
        """Tells of a check whoever is told of another."""
        for provider in self._providers.values():
            if like in provider.used:
                provider.used[check_id] = provider.used[like]

    def write(self) -> None:
        """A target for each provider that is used, and labels for the checks that use it where not all do."""
        for name, provider in self._providers.items():
            section = provider.section
            place = section.at()
            if not provider.used:
                if section.left:
                    self.draft.left_out(place, f"{name}: no alert uses it")
                continue
            url = self._url(name, section)
            if url is None:
                continue
            target: dict[str, Any] = {"name": name, "url": url}
            if not any(provider.resolved):
                target["recovery"] = False
            elif not all(provider.resolved):
                self.draft.differs(place, f"{name}: send-on-resolved is on for some alerts only; here for all of them")
            incidents = SERVICES[name][0] in INCIDENTS
            self.draft.tell_by_reminder(target, place, dict.fromkeys(provider.used, 0.0) if incidents else provider.used)

    def _reminder(self, given: object, place: str) -> float:
        """The seconds between reminders; 0 for none, and for what is not a duration, which is told."""
        if given in (None, "", 0, "0"):
            return 0.0
        try:
            return parse_duration(str(given))
        except ValueError:
            self.draft.left_out(place, "minimum-reminder-interval: a duration such as 1h is expected here; nobody is reminded")
            return 0.0

    def _url(self, name: str, section: Section) -> str | None:
        """The reference to a provider's address at Apprise; None, and told, where there is none."""
        place = section.at()
        service, keys = SERVICES.get(name, ("", {}))
        raw = {ours: _text(section, theirs) for ours, theirs in keys.items()}
        section.take("client")
        if service:
            section.leave({}, f"a target of {name} has no such thing here")
        if list(raw) == ["webhook"] and service in NATIVE and (bare := self.environment.bare(raw["webhook"])):
            return bare
        fields = {}
        for key, value in raw.items():
            filled = self.environment.filled(value, place)
            if filled is None:
                return None
            fields[key] = filled
        url = address(service, fields)
        if url is None:
            self.draft.left_out(place, unheard(name, BY_HAND, own_body=name == "custom"))
            return None
        return self.draft.secret(place, url, name, "url")
