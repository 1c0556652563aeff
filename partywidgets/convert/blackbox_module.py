"""A module of blackbox_exporter and one target, as a check of ours with its conditions."""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Any

from ..exceptions import ConfigError
from ..scans.condition import compile_condition
from .draft import Draft
from .expression import negated, quoted
from .request import HANDSHAKE, SECRET_HEADER
from .source import Section

MISSING = "its module has no counterpart"
_FATAL = {
    "proxy_url": "checks are not made through a proxy",
    "proxy_from_environment": "checks are not made through a proxy",
    "oauth2": "no token is fetched for a check",
    "cert_file": "a check shows no certificate of its own",
    "key_file": "a check shows no certificate of its own",
    "body_file": "a body is written into the config",
    "dns_over_tls": "there is no DNS over TLS here",
}
"""Without these a look would fail, or look at something else: the check is kept with `enabled: false`."""
_LEFT = {
    "valid_http_versions": "checks speak HTTP/1.1",
    "enable_http2": "checks speak HTTP/1.1",
    "enable_http3": "checks speak HTTP/1.1",
    "source_ip_address": "the address that a look comes from is the system's",
    "compression": "an answer is unpacked by what it says itself",
    "body_size_limit": "1 MiB of a body is read",
    "dont_fragment": "packets are sent as the system does",
    "ttl": "packets are sent as the system does",
    "validate_authority_rrs": "conditions see the answer's records",
    "validate_additional_rrs": "conditions see the answer's records",
    "query_class": "questions are of class IN",
    "recursion_desired": "questions ask for recursion",
    "skip_resolve_phase_with_proxy": "checks are not made through a proxy",
    "use_proxy_dns": "checks are not made through a proxy",
    "proxy_connect_header": "checks are not made through a proxy",
    "no_proxy": "checks are not made through a proxy",
    "min_version": "the versions of TLS are the system's",
    "max_version": "the versions of TLS are the system's",
}
_STARTTLS = (("AAAACATSFi8=", "postgres"), ("STLS", "pop3"), ("AUTH TLS", "ftp"), ("EHLO", "smtp"), ("STARTTLS", "imap"))
"""What is sent before TLS tells the protocol; PostgreSQL's SSLRequest is bytes, which YAML has in base64."""


class Modules:
    """Makes checks of one module."""

    def __init__(self, draft: Draft, name: str) -> None:
        self.draft, self.name = draft, name
        self._disabled = False

    def check_of(self, module: Section, target: str, place: str) -> dict[str, Any] | None:
        """The check's type and its keys; None, and told, where there is no counterpart."""
        prober = module.text("prober")
        maker = {"http": self._http, "tcp": self._tcp, "dns": self._dns, "icmp": self._icmp, "websocket": self._websocket}.get(prober)
        if maker is None:
            self.draft.left_out(module.at("prober"), f"there is no check for {prober}")
            return None
        given = module.section(prober)
        check = maker(given, target, place)
        if check is None:
            return None
        self._family(given, check)
        self._rest(given)
        if self._disabled:
            check["enabled"] = False
            self.draft.differs(module.at(), f"{self.name}: kept with enabled: false")
        conditions = [said for said in check.pop("conditions", []) if self._is_right(said, given)]
        if conditions:
            check["conditions"] = conditions
        return check

    def _is_right(self, said: str, given: Section) -> bool:
        try:
            compile_condition(said)
        except ConfigError as error:
            self.draft.left_out(given.at(), str(error))
            return False
        return True

    def _rest(self, given: Section) -> None:
        for key in list(given.left):
            if key in _FATAL and given.left[key]:
                self._disabled = True
            if key == "valid_http_versions" and "HTTP/1.1" in map(str, given.left[key] or ["HTTP/1.1"]):
                del given.left[key]
        given.leave({**_FATAL, **_LEFT})

    def _family(self, given: Section, check: dict[str, Any]) -> None:
        family, fallback = given.text("preferred_ip_protocol"), given.flag("ip_protocol_fallback", True)
        if family in ("ip4", "ip6") and not fallback and check["type"] != "dns":
            check["family"] = f"ipv{family[-1]}"

    def _tls(self, given: Section, check: dict[str, Any]) -> None:
        tls = given.section("tls_config")
        if tls.flag("insecure_skip_verify"):
            check["verify"] = False
        for key in ("ca_file", "server_name"):
            if value := tls.text(key):
                check[key] = value
        self._rest(tls)

    def _http(self, given: Section, target: str, place: str) -> dict[str, Any]:
        url = target if re.match(r"https?://", target, re.IGNORECASE) else f"http://{target}"
        check: dict[str, Any] = {"type": "http", "url": self.draft.guarded(place, url, self.name, "url")}
        method = given.text("method", "GET").upper()
        if method != "GET":
            check["method"] = method
        headers = self._headers(given)
        self._login(given, headers)
        if headers:
            check["headers"] = headers
        if body := given.text("body"):
            check["body"] = self.draft.guarded(given.at("body"), body, self.name, "body")
        unfollowed = given.flag("no_follow_redirects")
        if given.flag("follow_redirects", True) and not unfollowed:
            check["follow"] = True
        self._tls(given, check)
        codes = [str(code) for code in given.items("valid_status_codes") if isinstance(code, int)]
        conditions = (
            ["status >= 200 && status < 300"]
            if not codes
            else [f"status in [{', '.join(codes)}]" if len(codes) > 1 else f"status == {codes[0]}"]
        )
        if given.flag("accept_any_response"):
            conditions = ["status > 0"]
        if given.flag("fail_if_ssl"):
            conditions.append("certificate_expires_in == null")
        if given.flag("fail_if_not_ssl"):
            conditions.append("certificate_expires_in != null")
        conditions += [f"!text.matches({quoted(str(pattern))})" for pattern in given.items("fail_if_body_matches_regexp")]
        conditions += [f"text.matches({quoted(str(pattern))})" for pattern in given.items("fail_if_body_not_matches_regexp")]
        if said := given.text("fail_if_body_json_matches_cel"):
            conditions.append(negated(said))
        if said := given.text("fail_if_body_json_not_matches_cel"):
            conditions.append(said)
        for key, wanted in (("fail_if_header_matches", False), ("fail_if_header_not_matches", True)):
            for matcher in given.sections(key):
                name = quoted(matcher.text("header").lower())
                said = f"{'' if wanted else '!'}headers[{name}].matches({quoted(matcher.text('regexp'))})"
                allowed = matcher.flag("allow_missing")
                conditions.append(f"!({name} in headers) || {said}" if allowed else f"{name} in headers && {said}")
        check["conditions"] = conditions
        return check

    def _websocket(self, given: Section, target: str, place: str) -> dict[str, Any]:
        url = target if re.match(r"wss?://", target, re.IGNORECASE) else f"ws://{target}"
        check: dict[str, Any] = {"type": "http", "url": self.draft.guarded(place, "http" + url[2:], self.name, "url")}
        headers, client = self._headers(given), given.section("http_config")
        self._login(client, headers)
        self._tls(client, check)
        client.take("follow_redirects")  # no WebSocket opens behind one
        self._rest(client)
        if given.items("query_response"):
            self.draft.left_out(given.at("query_response"), "query_response: a WebSocket is opened here, and no message sent")
        return {**check, "headers": headers | HANDSHAKE, "conditions": ["status == 101"]}

    def _headers(self, given: Section) -> dict[str, str]:
        """A module's headers: texts, or lists of values, secrets and files."""
        headers: dict[str, str] = {}
        for key in ("headers", "http_headers"):
            listed = given.section(key)
            for name in list(listed.left):
                where = listed.at(name)
                if not isinstance(listed.left[name], dict):
                    value = listed.text(name)
                    headers[name] = self.draft.guarded(where, value, self.name, name, sensitive=bool(SECRET_HEADER.search(name)))
                    continue
                parts = listed.section(name)
                values = [self.draft.guarded(where, str(value), self.name, name) for value in parts.items("values")]
                values += [self.draft.secret(where, str(value), self.name, name) for value in parts.items("secrets")]
                values += [f"${{file:{path}}}" for path in parts.items("files")]
                headers[name] = ", ".join(values)
        return headers

    def _login(self, given: Section, headers: dict[str, str]) -> None:
        basic = given.section("basic_auth")
        if user := basic.text("username"):
            if basic.left.get("password_file") or basic.left.get("username_file"):
                self._disabled = True
                self.draft.left_out(
                    basic.at(),
                    "a user and a password from files: put user:password in base64 into a variable, and it into the header Authorization",
                )
                basic.left.clear()
            else:
                encoded = b64encode(f"{user}:{basic.text('password')}".encode()).decode()
                headers["Authorization"] = f"Basic {self.draft.secret(basic.at(), encoded, self.name, 'basic')}"
        login = given.section("authorization")
        kind = login.text("type", "Bearer")
        for section, key, file in ((given, "bearer_token", "bearer_token_file"), (login, "credentials", "credentials_file")):
            where = section.at(key if key in section.left else file)
            if token := section.text(key):
                headers["Authorization"] = f"{kind} {self.draft.secret(where, token, self.name, 'token')}"
            elif path := section.text(file):
                headers["Authorization"] = f"{kind} ${{file:{path}}}"

    def _tcp(self, given: Section, target: str, place: str) -> dict[str, Any] | None:
        host, colon, port = target.rpartition(":")
        if not colon or not port.isdigit():
            self.draft.left_out(place, f"{target}: a host and a port are expected here")
            return None
        check: dict[str, Any] = {"type": "tcp", "host": host.strip("[]"), "port": int(port)}
        if given.flag("tls"):
            check["tls"] = True
        self._tls(given, check)
        steps = given.sections("query_response")
        if steps:
            self._dialogue(steps, check)
        return check

    def _dialogue(self, steps: list[Section], check: dict[str, Any]) -> None:
        """A dialogue of one question and one answer, or one that leads to TLS."""
        told = [(step.text("expect"), step.text("send"), step.flag("starttls"), step.at()) for step in steps]
        upgrade = next((index for index, step in enumerate(told) if step[2]), None)
        if upgrade is not None:
            said = " ".join(send for _, send, _, _ in told[:upgrade])
            protocol = next((name for word, name in _STARTTLS if word in said), None)
            if protocol is None:
                self._disabled = True
                self.draft.left_out(told[upgrade][3], "this way to TLS is not known here")
                return
            check["starttls"] = protocol
            for _, _, _, where in told[upgrade + 1 :][:1]:
                self.draft.left_out(where, "what is said after TLS has begun")
            return
        questions = [index for index, step in enumerate(told) if step[1]]
        answers = [index for index, step in enumerate(told) if step[0]]
        if questions and answers and questions[0] >= answers[0]:
            questions = []  # said after the answer: the look is over by then
            if len(answers) > 1 or any(send.strip("\r").upper() not in ("", "QUIT") for _, send, _, _ in told):
                self.draft.left_out(told[answers[0]][3], "of this dialogue the first answer is looked at")
        elif len(answers) > 1 or len(questions) > len([index for index in questions if not answers or index < answers[0]]):
            self.draft.left_out(told[answers[0]][3], "of this dialogue the first answer is looked at")
        sent = [told[index][1] for index in questions if not answers or index < answers[0]]
        if any(sent):
            check["send"] = self.draft.guarded(steps[0].at(), "".join(f"{line}\n" for line in sent), self.name, "send")
        if answers:
            pattern = told[answers[0]][0]
            literal = re.fullmatch(r"\^?([A-Za-z0-9 ._:@#%&=,;<>/'\"-]+)", pattern)
            if literal is not None:  # read until it is there; a dot means any letter to the condition
                check["expect"] = literal[1]
            check["conditions"] = [f"banner.matches({quoted('(?m)' + pattern)})"]
            if literal is None:
                self.draft.differs(told[answers[0]][3], "the first line is looked at; the exporter reads on until one fits")

    def _dns(self, given: Section, target: str, place: str) -> dict[str, Any] | None:
        name, record = given.text("query_name"), given.text("query_type", "ANY").upper()
        server = target if not re.fullmatch(r"\[[^\]]*\]", target) else target.strip("[]")
        check: dict[str, Any] = {"type": "dns", "name": name, "record": record, "resolver": server}
        if given.text("transport_protocol", "udp") == "tcp":
            check["transport"] = "tcp"
        codes = [str(code) for code in given.items("valid_rcodes")] or ["NOERROR"]
        conditions = [f"rcode in [{', '.join(map(quoted, codes))}]" if len(codes) > 1 else f"rcode == {quoted(codes[0])}"]
        rules = given.section("validate_answer_rrs")
        # As the exporter writes a record. All of ours are of the kind that was asked for, and `ttl` is the least.
        line = f"({quoted(name.rstrip('.') + '.' + chr(9))} + string(ttl) + {quoted(f'{chr(9)}IN{chr(9)}{record}{chr(9)}')} + r)"
        for key, said in (
            ("fail_if_matches_regexp", "!records.exists(r, {})"),
            ("fail_if_all_match_regexp", "records.all(r, {})"),  # so it does: it fails where one does not match
            ("fail_if_not_matches_regexp", "count > 0 && records.all(r, {})"),
        ):
            conditions += [said.replace("{}", f"{line}.matches({quoted(str(pattern))})") for pattern in rules.items(key)]
        if patterns := [str(pattern) for pattern in rules.items("fail_if_none_matches_regexp")]:
            conditions.append(f"records.exists(r, {' || '.join(f'{line}.matches({quoted(pattern)})' for pattern in patterns)})")
        self._rest(rules)
        check["conditions"] = conditions
        tls = given.section("tls_config")
        tls.left.clear()
        return check

    def _icmp(self, given: Section, target: str, place: str) -> dict[str, Any]:
        check: dict[str, Any] = {"type": "icmp", "host": target.strip("[]"), "count": 1}
        size = given.take("payload_size")
        if isinstance(size, int) and size:
            check["size"] = max(16, min(size, 1400))
            if check["size"] != size:
                self.draft.differs(given.at("payload_size"), f"a packet of {size} bytes has {check['size']} here")
        return check
