"""What an endpoint of Gatus' looks at, as a check of ours with its conditions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ..scans.checks.domain_name import registrable
from .draft import Draft
from .expression import quoted
from .gatus_condition import Names, NoCounterpart, converted
from .request import HANDSHAKE, SECRET_HEADER
from .source import Environment, Section

HTTP = Names(
    "status > 0",
    "error != null",
    status="status",
    ip="ip",
    certificate="certificate_expires_in",
    text="text",
    body="body",
    headers="headers",
)
TCP = Names("connected", "error != null", ip="ip", text="banner")
TLS = Names("chain > 0", "error != null", ip="ip", certificate="certificate_expires_in")
ICMP = Names("received > 0", "received == 0", time="rtt_max_ms", ip="ip")
DOMAIN = Names("registered", "error != null", time=None, domain="expires_in")
WEBSOCKET = Names("status == 101", "error != null || status != 101", ip="ip", certificate="certificate_expires_in", headers="headers")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint, as far as it was read: `given` is what is left of it."""

    given: Section
    name: str
    group: str
    url: str
    client: Section


BANNER_STATUS = "0 == 0"
"""What becomes of `[STATUS] == 0` where an SSH server only has to answer: `expect` says it."""

Made = tuple[dict[str, Any], Names]
"""A check's type and its keys, and what its conditions may name."""


class Targets:
    """Makes checks of endpoints."""

    def __init__(self, draft: Draft, environment: Environment) -> None:
        self.draft, self.environment = draft, environment
        self.domain: dict[str, Any] | None = None
        """What the last endpoint asks of its domain, which is a check of its own here."""

    def check_of(self, endpoint: Endpoint) -> dict[str, Any] | None:
        """The check's type and its keys, with its conditions."""
        given, url, self.domain = endpoint.given, endpoint.url, None
        scheme = "dns" if given.left.get("dns") else url.partition("://")[0].lower() if "://" in url else ""
        makers: dict[str, Callable[[Endpoint], Made | None]] = {
            "http": self._http,
            "https": self._http,
            "ws": self._http,
            "wss": self._http,
            "dns": self._dns,
            "tcp": self._tcp,
            "ssh": self._tcp,
            "tls": self._tls,
            "starttls": self._tls,
            "icmp": self._icmp,
        }
        maker = makers.get(scheme)
        if maker is None:
            what = {"udp": "UDP", "sctp": "SCTP", "grpc": "gRPC", "grpcs": "gRPC"}.get(scheme, "this URL")
            self.draft.left_out(given.at("url"), f"there is no check for {what}; an exec check can run a plugin for it")
            return None
        made = maker(endpoint)
        if made is None:
            return None
        check, names = made
        conditions: list[str] = check.pop("conditions", [])
        lost = self._add_conditions(conditions, endpoint, names)
        if not conditions and lost:
            check["enabled"] = False
            self.draft.differs(given.at(), "kept with enabled: false, since none of its conditions is left")
        if not conditions and not lost and self.domain is not None:
            conditions.append(names.connected)  # Gatus sees whether it answers, too
        if conditions:
            check["conditions"] = conditions
        return check

    def _add_conditions(self, conditions: list[str], endpoint: Endpoint, names: Names) -> bool:
        """Adds those of an endpoint; True when one could not be converted. Those about its domain are noted apart."""
        given = endpoint.given
        lost = False
        for index, condition in enumerate(given.items("conditions")):
            place = given.at("conditions", index)
            filled = self.environment.filled(str(condition), place)
            if filled is None:
                lost = True
                continue
            try:
                if "[DOMAIN_EXPIRATION]" in filled.upper():
                    self._asks_domain(endpoint, converted(filled, DOMAIN))
                    continue
                said = converted(filled, names)
            except NoCounterpart as error:
                lost = True
                self.draft.left_out(place, f"the condition {filled}: {error}")
                continue
            if names.answers is not None and "[BODY]" in filled.upper():
                self.draft.differs(place, f"{filled}: any record may be it here, the last one in Gatus")
            if self.draft.variables.secrets(filled):
                lost = True
                self.draft.left_out(place, "the condition holds what looks like a secret, and a condition takes no reference")
                continue
            if said not in (*conditions, BANNER_STATUS):
                conditions.append(said)
        return lost

    def _asks_domain(self, endpoint: Endpoint, said: str) -> None:
        """Notes a condition on the end of an endpoint's domain. Raises NoCounterpart where there is no such domain."""
        try:
            name = registrable(urlsplit(self.environment.filled(endpoint.url, endpoint.given.at("url")) or "").hostname or "")
        except ValueError as error:
            raise NoCounterpart(str(error)) from None
        if self.domain is None:
            self.domain = {"type": "domain", "name": name, "every": "12h", "warn": None, "crit": None, "conditions": []}
        self.domain["conditions"].append(said)

    def _http(self, endpoint: Endpoint) -> Made:
        given, url = endpoint.given, endpoint.url
        websocket = url.lower().startswith("ws")
        check: dict[str, Any] = {"type": "http"}
        words = (endpoint.group, endpoint.name)
        check["url"] = self.environment.references("http" + url[2:] if websocket else url, given.at("url"), *words, "url")
        method = given.text("method", "GET").upper()
        if method != "GET":
            check["method"] = method
        headers: dict[str, str] = {}
        for header, value in given.texts("headers").items():
            place = given.at("headers", header)
            headers[header] = self.environment.references(value, place, *words, header, sensitive=bool(SECRET_HEADER.search(header)))
        body = self._body(endpoint)
        if given.flag("graphql"):
            body = json.dumps({"query": body}, ensure_ascii=False)
            if "content-type" not in map(str.lower, headers):
                headers["Content-Type"] = "application/json"
        if websocket:
            headers |= HANDSHAKE
            if body:
                self.draft.left_out(given.at("body"), "body: a WebSocket is opened here, and no message sent")
        if headers:
            check["headers"] = headers
        if body and not websocket:
            check["body"] = self.environment.references(body, given.at("body"), *words, "body")
        if not endpoint.client.flag("ignore-redirect") and not websocket:
            check["follow"] = True
        if endpoint.client.flag("insecure"):
            check["verify"] = False
        if websocket:
            check["conditions"] = ["status == 101"]
        return check, WEBSOCKET if websocket else HTTP

    def _body(self, endpoint: Endpoint) -> str:
        body = endpoint.given.text("body")
        for placeholder, value in (("NAME", endpoint.name), ("GROUP", endpoint.group), ("URL", endpoint.url)):
            body = body.replace(f"[ENDPOINT_{placeholder}]", value)
        if found := re.search(r"\[(RANDOM_STRING_\d+|LOCAL_ADDRESS|CONTEXT)\]", body):
            self.draft.differs(endpoint.given.at("body"), f"{found[0]} is sent as it stands")
        return body

    def _tcp(self, endpoint: Endpoint) -> Made | None:
        given, url = endpoint.given, endpoint.url
        ssh = url.lower().startswith("ssh")
        found = self._host_port(given, url, 22 if ssh else None)
        if found is None:
            return None
        check: dict[str, Any] = {"type": "tcp", "host": found[0], "port": found[1]}
        if ssh:
            account = given.section("ssh")
            if any(account.left.get(key) for key in ("username", "password", "private-key")):
                self.draft.left_out(
                    given.at("ssh"), "nobody logs in here: the check sees that an SSH server answers, its conditions are left out"
                )
                given.take("conditions")
            given.take("body")
            check["expect"] = "SSH-"
            return check, Names("connected", "error != null", status="0", ip="ip")
        if body := self._body(endpoint):
            check["send"] = self.environment.references(body, given.at("body"), endpoint.name, "body")
        return check, TCP

    def _tls(self, endpoint: Endpoint) -> Made | None:
        given, url = endpoint.given, endpoint.url
        found = self._host_port(given, url, None)
        if found is None:
            return None
        check: dict[str, Any] = {"type": "tls", "host": found[0], "port": found[1], "warn": None}
        if url.lower().startswith("starttls"):
            check["starttls"] = "smtp"
        if endpoint.client.flag("insecure"):
            check["conditions"] = ["error in [null, 'tls']", "chain > 0"]
        if self._body(endpoint):
            self.draft.left_out(given.at("body"), "body: nothing is sent after the handshake")
        return check, TLS

    def _icmp(self, endpoint: Endpoint) -> Made | None:
        given, url = endpoint.given, endpoint.url
        host = self.environment.filled(url.partition("://")[2].strip("/"), given.at("url"))
        if host is None:
            return None
        check: dict[str, Any] = {"type": "icmp", "host": host.strip("[]"), "count": 1}
        network = endpoint.client.text("network", "ip")
        if network in ("ip4", "ip6"):
            check["family"] = f"ipv{network[-1]}"
        return check, ICMP

    def _dns(self, endpoint: Endpoint) -> Made | None:
        given, url = endpoint.given, endpoint.url
        asked = given.section("dns")
        name = self.environment.filled(asked.text("query-name"), given.at("dns"))
        server = self.environment.filled(url, given.at("url"))
        if name is None or server is None:
            return None
        if "://" in server:
            scheme, _, rest = server.partition("://")
            if scheme.lower() not in ("udp", "tcp", "dns"):
                self.draft.left_out(given.at("url"), f"there is no DNS by {scheme} here")
                return None
            server = rest
        record = asked.text("query-type", "A").upper()
        check: dict[str, Any] = {"type": "dns", "name": name.rstrip(".") or ".", "record": record, "resolver": server}
        if url.lower().startswith("tcp://"):
            check["transport"] = "tcp"
        return check, Names("rcode != ''", "error != null", rcode="rcode", answers=_mail if record == "MX" else _any_record)

    def _host_port(self, given: Section, url: str, default: int | None) -> tuple[str, int] | None:
        filled = self.environment.filled(url, given.at("url"))
        if filled is None:
            return None
        try:
            parts = urlsplit(filled)
            host, port = parts.hostname, parts.port or default
        except ValueError:
            host = port = None
        if not host or port is None:
            self.draft.left_out(given.at("url"), "a host and a port are expected here, as in tcp://host:5432")
            return None
        return host, port


def _any_record(fits: Callable[[str], str]) -> str:
    said = fits("r")
    return f"{said.removeprefix('r == ')} in records" if said.startswith("r == ") else f"records.exists(r, {said})"


def _mail(fits: Callable[[str], str]) -> str:
    """Gatus sees the name of a mail server; a record of ours has its preference before it."""
    said = fits("r")
    if said.startswith("r == "):
        return f"records.exists(r, r.endsWith({quoted(' ')} + {said.removeprefix('r == ')}))"
    if said.startswith(("r.contains(", "r.endsWith(")):
        return f"records.exists(r, {said})"
    raise NoCounterpart("of a mail server's name a whole one, or an end, can be asked for")
