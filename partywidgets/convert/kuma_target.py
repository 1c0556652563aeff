"""What a monitor of Uptime Kuma looks at, as a check of ours with its conditions."""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Any
from urllib.parse import urlsplit

from .draft import Draft, span
from .expression import negated, place, quoted, split_path
from .kuma_file import Backup, Record
from .request import HANDSHAKE, SECRET_HEADER

_CONTENT = {"json": "application/json", "xml": "text/xml; charset=utf-8", "form": "application/x-www-form-urlencoded"}
_NONE = {
    "real-browser": "no browser is driven here",
    "grpc-keyword": "there is no check for gRPC",
    "kafka-producer": "there is no check for Kafka",
    "mqtt": "there is no check for MQTT",
    "radius": "there is no check for RADIUS",
    "steam": "there is no check for game servers",
    "gamedig": "there is no check for game servers",
    "snmp": "there is no check for SNMP; an exec check runs check_snmp",
    "sqlserver": "sql asks SQLite and PostgreSQL only",
    "mongodb": "there is no check for MongoDB",
    "rabbitmq": "ask its HTTP API with an http check",
    "tailscale-ping": "an icmp check does it inside of the network",
    "manual": "a state that people set has no counterpart",
}


class Targets:
    """Makes checks of monitors."""

    def __init__(self, draft: Draft, backup: Backup) -> None:
        self.draft, self.backup = draft, backup

    def check_of(self, monitor: Record) -> dict[str, Any] | None:
        """The check's type and its keys; None, and told, where there is no counterpart."""
        kind = monitor.text("type")
        maker = {
            "http": self._http,
            "keyword": self._http,
            "json-query": self._http,
            "websocket-upgrade": self._http,
            "port": self._port,
            "ping": self._ping,
            "dns": self._dns,
            "push": self._push,
            "docker": self._docker,
            "postgres": self._postgres,
            "mysql": self._mysql,
            "redis": self._redis,
            "smtp": self._smtp,
            "system-service": self._service,
        }.get(kind)
        if maker is None:
            self.draft.left_out(monitor.place, f"{kind}: {_NONE.get(kind, 'there is no check for it')}")
            return None
        check = maker(monitor)
        if check is None:
            return None
        rules = monitor.json("conditions")
        if rules and kind != "dns":
            self.draft.left_out(monitor.place, "its conditions on the answer")
        if monitor.flag("upside_down"):
            self._turn(check, monitor)
        return check

    def _turn(self, check: dict[str, Any], monitor: Record) -> None:
        """Upside down: what fails is well."""
        if check["type"] == "heartbeat":
            check["enabled"] = False
            self.draft.left_out(monitor.place, "upside down: a heartbeat that must not come; kept with enabled: false")
            return
        implied = {
            "tcp": "connected" if "expect" not in check else f"banner.contains({quoted(check.pop('expect'))})",
            "icmp": "received > 0",
            "docker": "running && health != 'unhealthy'",
            "systemd": "active_state == 'active'",
        }.get(check["type"], "error == null")
        wanted = check.pop("conditions", [implied])
        check.pop("warn", None)
        said = wanted[0] if len(wanted) == 1 else " && ".join(f"({one})" if "||" in one else one for one in wanted)
        check["conditions"] = [f"error != null || {negated(said)}"]

    def _http(self, monitor: Record) -> dict[str, Any] | None:
        words = (monitor.text("name"),)
        websocket = monitor.text("type") == "websocket-upgrade"
        url = monitor.text("url")
        if websocket and url.lower().startswith(("ws://", "wss://")):
            url = "http" + url[2:]
        check: dict[str, Any] = {"type": "http", "url": self.draft.guarded(monitor.place, url, *words, "url")}
        method = monitor.text("method", "GET").upper()
        if method not in ("GET", ""):
            check["method"] = method
        headers = self._headers(monitor, websocket)
        if body := monitor.text("body"):
            check["body"] = self.draft.guarded(monitor.place, body, *words, "body")
            content = _CONTENT.get(monitor.text("http_body_encoding", "json"))
            if content and "content-type" not in map(str.lower, headers):
                headers["Content-Type"] = content
        if headers:
            check["headers"] = headers
        if not websocket:
            self._redirects(check, monitor)
        if monitor.flag("ignore_tls"):
            check["verify"] = False
        elif url.lower().startswith("https") and monitor.flag("expiry_notification"):
            check["warn"] = "certificate_expires_in < duration('21d')"  # the first of the days that Kuma tells of one, unless set otherwise
        check["conditions"] = ["status == 101"] if websocket else [_codes(monitor.json("accepted_statuscodes_json") or ["200-299"])]
        self._content(check, monitor)
        self._needs(check, monitor)
        if monitor.text("ip_family") in ("ipv4", "ipv6"):
            check["family"] = monitor.text("ip_family")
        if monitor.flag("cache_bust"):
            self.draft.left_out(monitor.place, "a random value in the URL, against caches")
        if monitor.flag("retry_only_on_status_code_failure"):
            self.draft.differs(monitor.place, "retries: each problem is looked at again here, not the status alone")
        return check

    def _redirects(self, check: dict[str, Any], monitor: Record) -> None:
        redirects = monitor.number("maxredirects")
        if redirects:
            check["follow"] = True
            if redirects != 10:
                self.draft.differs(monitor.place, f"redirects: at most {redirects:.0f} in Kuma, at most 10 here")

    def _content(self, check: dict[str, Any], monitor: Record) -> None:
        """What the answer's body must say, of the two kinds that look into it."""
        kind = monitor.text("type")
        if kind == "keyword" and (keyword := monitor.text("keyword")):
            said = f"text.contains({quoted(keyword)})"
            check["conditions"].append(negated(said) if monitor.flag("invert_keyword") else said)
            if re.search(r"[\"{}\[\]:,]", keyword):
                self.draft.differs(
                    monitor.place, "the keyword is looked for in the text as it comes; Kuma takes the blanks out of JSON first"
                )
        if kind == "json-query":
            query = _query(monitor)
            if query is None:
                check["enabled"] = False
                self.draft.left_out(
                    monitor.place, f"the query {monitor.text('json_path')!r} is more than one place; kept with enabled: false"
                )
            else:
                check["conditions"].append(query)

    def _headers(self, monitor: Record, websocket: bool) -> dict[str, str]:
        given, headers, words = monitor.json("headers"), dict[str, str](), (monitor.text("name"),)
        for name, value in (given if isinstance(given, dict) else {}).items():
            if isinstance(value, (str, int, float)):
                sensitive = bool(SECRET_HEADER.search(str(name)))
                headers[str(name)] = self.draft.guarded(monitor.place, str(value), *words, str(name), sensitive=sensitive)
        if monitor.text("headers") and not isinstance(given, dict):
            self.draft.left_out(monitor.place, "its headers are not JSON")
        user, password = monitor.text("basic_auth_user"), monitor.text("basic_auth_pass")
        if user and monitor.text("auth_method", "basic") in ("basic", ""):
            encoded = b64encode(f"{user}:{password}".encode()).decode()
            headers["Authorization"] = "Basic " + self.draft.secret(monitor.place, encoded, *words, "basic")
        elif (token := monitor.text("bearer_token")) and monitor.text("auth_method") == "bearer":
            headers["Authorization"] = "Bearer " + self.draft.secret(monitor.place, token, *words, "token")
        if websocket:
            headers |= HANDSHAKE
            if protocol := monitor.text("ws_subprotocol"):
                headers["Sec-WebSocket-Protocol"] = protocol
        return headers

    def _needs(self, check: dict[str, Any], monitor: Record) -> None:
        """What a request would fail without."""
        method = monitor.text("auth_method")
        missing = ""
        if method not in ("", "basic", "bearer", "null"):
            missing = f"the login by {method}"
        elif monitor.number("proxy_id"):
            missing = "the proxy"
        if missing:
            check["enabled"] = False
            self.draft.left_out(monitor.place, f"{missing} has no counterpart; kept with enabled: false")

    def _port(self, monitor: Record) -> dict[str, Any]:
        return {"type": "tcp", "host": monitor.text("hostname"), "port": int(monitor.number("port"))}

    def _ping(self, monitor: Record) -> dict[str, Any]:
        check: dict[str, Any] = {
            "type": "icmp",
            "host": monitor.text("hostname"),
            "count": max(1, min(int(monitor.number("ping_count", 1)), 20)),
        }
        size = int(monitor.number("packet_size", 56))
        if size != 56:
            check["size"] = max(16, min(size, 1400))
            if check["size"] != size:
                self.draft.differs(monitor.place, f"a packet of {size} bytes has {check['size']} here")
        return check

    def _dns(self, monitor: Record) -> dict[str, Any]:
        port = int(monitor.number("port", 53))
        server = monitor.text("dns_resolve_server")
        servers = [part.strip() for part in server.split(",") if part.strip()]
        if len(servers) > 1:
            self.draft.differs(monitor.place, f"one server is asked here: {servers[0]}")
        check: dict[str, Any] = {"type": "dns", "name": monitor.text("hostname"), "record": monitor.text("dns_resolve_type", "A")}
        if servers:
            bare = servers[0]
            check["resolver"] = bare if port == 53 else f"[{bare}]:{port}" if ":" in bare else f"{bare}:{port}"
        check["conditions"] = ["rcode == 'NOERROR'", "count > 0"]
        rules = monitor.json("conditions")
        for rule in rules if isinstance(rules, list) else ():
            said = _record_rule(rule)
            if said is None:
                self.draft.left_out(monitor.place, "one of its conditions on the record")
            else:
                check["conditions"].append(said)
        return check

    def _push(self, monitor: Record) -> dict[str, Any]:
        token = monitor.text("push_token")
        short = "" if len(token) >= 16 else "; its token is too short for one: `partywidgets token` makes another"
        self.draft.differs(
            monitor.place, f"the job sends to /api/ops/heartbeat/<its token>, not to /api/push/, and nothing when it went wrong{short}"
        )
        within = monitor.number("interval", 60.0) + 1  # the second that Kuma allows, too
        secret = self.draft.secret(monitor.place, token or "a token is missing", monitor.text("name"), "token")
        return {"type": "heartbeat", "secret": secret, "within": span(within)}

    def _docker(self, monitor: Record) -> dict[str, Any]:
        check: dict[str, Any] = {"type": "docker", "container": monitor.text("docker_container")}
        host = self.backup.docker_hosts.get(int(monitor.number("docker_host")))
        if host is None:
            self.draft.differs(monitor.place, "its Docker host is not in the source: the usual socket is asked")
        elif host.text("docker_type") == "socket":
            if host.text("docker_daemon") not in ("", "/var/run/docker.sock"):
                check["url"] = f"unix://{host.text('docker_daemon')}"
        else:
            check["url"] = self.draft.guarded(host.place, host.text("docker_daemon"), "docker", host.text("name"))
        return check

    def _postgres(self, monitor: Record) -> dict[str, Any]:
        secret = self.draft.secret(monitor.place, monitor.text("database_connection_string"), monitor.text("name"), "url")
        return {"type": "sql", "url": secret, "query": monitor.text("database_query") or "SELECT 1"}

    def _mysql(self, monitor: Record) -> dict[str, Any] | None:
        found = _place_of(monitor.text("database_connection_string"), 3306)
        if found is None:
            self.draft.left_out(monitor.place, "its connection string names no host")
            return None
        self.draft.left_out(monitor.place, "sql asks SQLite and PostgreSQL only: of MySQL is seen here whether its port answers")
        return {"type": "tcp", "host": found[0], "port": found[1]}

    def _redis(self, monitor: Record) -> dict[str, Any] | None:
        url = monitor.text("database_connection_string")
        found = _place_of(url, 6379)
        if found is None:
            self.draft.left_out(monitor.place, "its connection string names no host")
            return None
        parts, words = urlsplit(url), (monitor.text("name"), "password")
        check: dict[str, Any] = {"type": "tcp", "host": found[0], "port": found[1]}
        if parts.password:
            user = f"{parts.username} " if parts.username else ""
            check["send"] = f"AUTH {user}{self.draft.secret(monitor.place, parts.password, *words)}\r\nPING\r\n"
        else:
            check["send"] = "PING\r\n"
        check["expect"] = "+PONG"
        if parts.scheme == "rediss":
            check["tls"] = True
            if monitor.flag("ignore_tls"):
                check["verify"] = False
        return check

    def _smtp(self, monitor: Record) -> dict[str, Any]:
        security = monitor.text("smtp_security")
        check: dict[str, Any] = {"type": "tcp", "host": monitor.text("hostname"), "port": int(monitor.number("port", 25))}
        if security == "starttls":
            check["starttls"] = "smtp"
        else:
            check["expect"] = "220"
            if security == "secure":
                check["tls"] = True
        return check

    def _service(self, monitor: Record) -> dict[str, Any]:
        return {"type": "systemd", "unit": monitor.text("system_service_name")}


def _codes(accepted: Any) -> str:
    """`["200-299", "404"]` as an expression."""
    parts, single = [], []
    for code in accepted if isinstance(accepted, list) else []:
        if found := re.fullmatch(r"(\d{3})-(\d{3})", str(code)):
            parts.append(f"status >= {found[1]} && status <= {found[2]}")
        elif re.fullmatch(r"\d{3}", str(code)):
            single.append(str(code))
    if single:
        parts.append(f"status in [{', '.join(single)}]" if len(single) > 1 else f"status == {single[0]}")
    return " || ".join(parts) or "status < 400"


def _query(monitor: Record) -> str | None:
    """A JSON query that is one place, compared as Kuma does: as texts, by size as numbers."""
    path, wanted, sign = monitor.text("json_path").strip(), monitor.text("expected_value"), monitor.text("json_path_operator", "==")
    steps = None if path in ("", "$") else split_path(path)
    if path in ("", "$"):
        value = "body.trim()"  # a list or a mapping has none, and is down in Kuma, too
    elif steps:
        value = place("body", steps)
    else:
        return None
    if sign in ("<", "<=", ">", ">="):
        return f"double({value}) {sign} {wanted}" if re.fullmatch(r"-?\d+(\.\d+)?", wanted) else None
    text = value if value == "body.trim()" else f"string({value})"
    if sign == "contains":
        return f"{text}.contains({quoted(wanted)})"
    if sign == "!=":
        return f"{text} != {quoted(wanted)}"  # what is missing has no answer: down, as in Kuma
    return f"{text} == {quoted(wanted)}" if sign == "==" else None


def _record_rule(rule: Any) -> str | None:
    """One condition on a DNS record; None for what has no counterpart."""
    if not isinstance(rule, dict) or rule.get("type") != "expression" or rule.get("variable") != "record" or rule.get("andOr") == "or":
        return None
    operator = str(rule.get("operator"))
    value, bare = quoted(str(rule.get("value"))), operator.removeprefix("not_")
    said = {
        "equals": f"r == {value}",
        "contains": f"r.contains({value})",
        "starts_with": f"r.startsWith({value})",
        "ends_with": f"r.endsWith({value})",
    }.get(bare)
    if said is None:
        return None
    # One record is enough, for what is not so as well.
    return f"records.exists(r, {said if operator == bare else negated(said) if bare != 'equals' else f'r != {value}'})"


def _place_of(url: str, port: int) -> tuple[str, int] | None:
    try:
        parts = urlsplit(url)
        return (parts.hostname, parts.port or port) if parts.hostname else None
    except ValueError:
        return None
