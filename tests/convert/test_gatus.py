"""Gatus' config.yaml: what it becomes, and that a scan of it says what Gatus says."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websocket

from partywidgets.config import Config, parse_config
from partywidgets.convert import Conversion, convert
from partywidgets.scan_once import scan_once
from partywidgets.scans.checks import icmp
from partywidgets.scans.checks.dial import DialError
from tests.ports import kept_port
from tests.scans.checks.servers import Authority, dns_server, serving, web_server
from tests.scans.checks.test_starttls import talking


def converted(tmp_path: Path, text: str, **environ: str) -> tuple[Conversion, Config]:
    """What a config of Gatus becomes."""
    path = tmp_path / "gatus.yaml"
    path.write_text(text)
    conversion = convert([path], environ=environ)
    return conversion, parse_config(conversion.text)


def told(conversion: Conversion, kind: str) -> list[str]:
    """The notes of a kind, without the directory."""
    return [str(note).partition("gatus.yaml:")[2] for note in conversion.notes if note.kind == kind]


def check(config: Config, check_id: str) -> dict[str, Any]:
    """What a check of the config says itself."""
    return next(check for check in config.checks if check.id == check_id).model_dump(exclude_unset=True)


async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An SSH server's first line."""
    writer.write(b"SSH-2.0-OpenSSH_9.9\r\n")
    await writer.drain()
    await reader.read(1)


async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says each line back in capitals."""
    while line := await reader.readline():
        writer.write(line.upper())
        await writer.drain()


async def echo(socket: ServerConnection) -> None:
    """Takes whoever comes."""
    await socket.wait_closed()


async def test_a_scan_says_what_gatus_says(tmp_path: Path) -> None:
    """Every kind of endpoint with its conditions against real servers: the verdict is Gatus'; nothing is left out."""
    authority = Authority(tmp_path)
    expired = authority.server_context(begins=timedelta(days=-60), ends=timedelta(days=-1))
    async with (
        web_server() as web,
        web_server(authority.server_context()) as untrusted,
        web_server(expired) as old,
        dns_server() as resolver,
        serving(greet) as ssh,
        serving(talking("smtp", authority.server_context())) as mail,
        serving(shout) as loud,
        serve_websocket(echo, "127.0.0.1", 0) as sockets,
    ):
        site, tcp, shut = f"http://127.0.0.1:{web.port}", f"tcp://127.0.0.1:{web.port}", kept_port()
        websocket = next(iter(sockets.sockets)).getsockname()[1]
        endpoints: list[tuple[bool, dict[str, Any]]] = [
            (
                True,
                {"name": "json", "url": f"{site}/json", "conditions": ["[STATUS] == 200", "[BODY].status == ok", "[BODY].queue.depth < 5"]},
            ),
            (True, {"name": "text", "url": f"{site}/json", "conditions": ['[BODY] == pat(*"depth"*)', "has([BODY].errors) == false"]}),
            (False, {"name": "deep", "url": f"{site}/json", "conditions": ["[STATUS] == 200", "[BODY].queue.depth > 3"]}),
            (False, {"name": "down", "url": f"{site}/status/503", "conditions": ["[STATUS] < 300"]}),
            (True, {"name": "moved", "url": f"{site}/to/json", "conditions": ["[STATUS] == any(200, 204)"]}),
            (True, {"name": "stays", "url": f"{site}/to/json", "client": {"ignore-redirect": True}, "conditions": ["[STATUS] == 302"]}),
            (
                True,
                {
                    "name": "sent",
                    "url": f"{site}/echo",
                    "method": "PUT",
                    "headers": {"X-Wanted": "yes", "Host": "shop.example"},
                    "body": "hello [ENDPOINT_NAME]",
                    "conditions": ["[BODY] == pat(PUT *X-Wanted: yes*hello sent)", "[BODY] == pat(*shop.example*)"],
                },
            ),
            (
                True,
                {
                    "name": "graph",
                    "url": f"{site}/echo",
                    "method": "POST",
                    "graphql": True,
                    "body": "{ a }",
                    "conditions": ['[BODY] == pat(*{"query": "{ a }"})'],
                },
            ),
            (False, {"name": "refused", "url": f"http://127.0.0.1:{shut}/", "conditions": ["[STATUS] == 200"]}),
            (True, {"name": "port", "url": tcp, "conditions": ["[CONNECTED] == true", "[RESPONSE_TIME] < 20000"]}),
            (False, {"name": "port shut", "url": f"tcp://127.0.0.1:{shut}", "conditions": ["[CONNECTED] == true"]}),
            (True, {"name": "port is to be shut", "url": f"tcp://127.0.0.1:{shut}", "conditions": ["[CONNECTED] == false"]}),
            (True, {"name": "shell", "url": f"ssh://127.0.0.1:{ssh}", "conditions": ["[CONNECTED] == true", "[STATUS] == 0"]}),
            (False, {"name": "no shell", "url": f"ssh://127.0.0.1:{shut}", "conditions": ["[CONNECTED] == true"]}),
            (True, {"name": "socket", "url": f"ws://127.0.0.1:{websocket}/", "conditions": ["[CONNECTED] == true"]}),
            (False, {"name": "no socket", "url": f"ws://127.0.0.1:{web.port}/json", "conditions": ["[CONNECTED] == true"]}),
            (False, {"name": "untrusted", "url": f"https://localhost:{untrusted.port}/json", "conditions": ["[STATUS] == 200"]}),
            (
                True,
                {
                    "name": "insecure",
                    "url": f"https://localhost:{untrusted.port}/json",
                    "client": {"insecure": True},
                    "conditions": ["[STATUS] == 200", "[CERTIFICATE_EXPIRATION] > 48h"],
                },
            ),
            (
                True,
                {
                    "name": "talk",
                    "url": f"tcp://127.0.0.1:{loud}",
                    "body": "hello\n",
                    "conditions": ["[BODY] == pat(HELLO*)", "[IP] == 127.0.0.1"],
                },
            ),
            (False, {"name": "other talk", "url": f"tcp://127.0.0.1:{loud}", "body": "hello\n", "conditions": ["[BODY] == hello"]}),
            (False, {"name": "mail", "url": f"starttls://127.0.0.1:{mail}", "conditions": ["[CONNECTED] == true"]}),
            (
                True,
                {
                    "name": "mail insecure",
                    "url": f"starttls://127.0.0.1:{mail}",
                    "client": {"insecure": True},
                    "conditions": ["[CONNECTED] == true", "[CERTIFICATE_EXPIRATION] > 48h"],
                },
            ),
            (False, {"name": "tls", "url": f"tls://localhost:{untrusted.port}", "conditions": ["[CONNECTED] == true"]}),
            (
                True,
                {
                    "name": "tls insecure",
                    "url": f"tls://localhost:{untrusted.port}",
                    "client": {"insecure": True},
                    "conditions": ["[CONNECTED] == true", "[CERTIFICATE_EXPIRATION] > 48h"],
                },
            ),
            (
                False,
                {
                    "name": "tls old",
                    "url": f"tls://localhost:{old.port}",
                    "client": {"insecure": True},
                    "conditions": ["[CERTIFICATE_EXPIRATION] > 48h"],
                },
            ),
            (
                False,
                {
                    "name": "tls plain",
                    "url": f"tls://127.0.0.1:{web.port}",
                    "client": {"insecure": True, "timeout": "1s"},
                    "conditions": ["[CONNECTED] == true"],
                },
            ),
            (
                True,
                {
                    "name": "name",
                    "url": resolver,
                    "dns": {"query-name": "plain.example", "query-type": "A"},
                    "conditions": ["[DNS_RCODE] == NOERROR"],
                },
            ),
            (
                True,
                {
                    "name": "no name",
                    "url": resolver,
                    "dns": {"query-name": "missing.example", "query-type": "A"},
                    "conditions": ["[DNS_RCODE] == NXDOMAIN"],
                },
            ),
            (
                False,
                {
                    "name": "name gone",
                    "url": resolver,
                    "dns": {"query-name": "missing.example", "query-type": "A"},
                    "conditions": ["[DNS_RCODE] == NOERROR"],
                },
            ),
            (True, {"name": "off", "enabled": False, "url": f"{site}/status/503", "conditions": ["[STATUS] == 200"]}),
        ]
        with suppress(DialError):  # where this process may ping
            icmp._opened(socket.AF_INET).sock.close()
            endpoints.append(
                (True, {"name": "ping", "url": "icmp://127.0.0.1", "conditions": ["[CONNECTED] == true", "[RESPONSE_TIME] < 20000"]})
            )
        source = {"endpoints": [{"group": "all", "interval": "30s", "client": {"timeout": "20s"}, **endpoint} for _, endpoint in endpoints]}
        for endpoint in source["endpoints"]:
            endpoint["client"] = {"timeout": "20s", **endpoint["client"]}
        conversion, config = converted(tmp_path, json.dumps(source))
        assert conversion.notes == ()
        assert (conversion.checks, conversion.found) == (len(endpoints), len(endpoints))
        report = await scan_once(config)
        assert check(config, "all_shell")["conditions"] == ("connected",)
        found = {result.title: result.status == "ok" for result in report.results}
        assert found == {f"{endpoint['name']}": healthy for healthy, endpoint in endpoints if endpoint["name"] != "off"}, {
            result.title: result.summary for result in report.results
        }
        assert config.checks[0].every == 30.0
        assert not next(check for check in config.checks if check.id == "all_off").enabled


def test_thresholds_alerts_and_windows(tmp_path: Path) -> None:
    """Alerts give attempts a whole interval apart and a target each; windows are cron; who is told of what goes by labels."""
    conversion, config = converted(
        tmp_path,
        """\
alerting:
  slack:
    webhook-url: "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
    default-alert: { failure-threshold: 5, send-on-resolved: true, description: "look at the runbook" }
  telegram: { token: "123456789:alphabetagammadeltaepsilonzeta12345", id: "-1001" }
  pagerduty: { integration-key: "0123456789abcdef0123456789abcdef" }
  datadog: { api-key: "********" }
maintenance: { start: "23:30", duration: 1h, timezone: Europe/Berlin, every: [Sunday, Thursday] }
concurrency: 7
endpoints:
  - &base
    name: a
    url: "http://a.example/"
    conditions: ["[STATUS] == 200"]
    alerts: [{ type: slack }, { type: pagerduty, minimum-reminder-interval: 5m }, { type: datadog }]
    maintenance-windows: [{ start: "04:00", duration: 30m }]
  - <<: *base
    name: b
    interval: 2m
    alerts: [{ type: telegram, minimum-reminder-interval: 1h }]
    maintenance-windows: []
""",
    )
    assert check(config, "a") | {"url": ""} == {
        "id": "a",
        "type": "http",
        "url": "",
        "follow": True,
        "every": 60.0,
        "attempts": 3,
        "recovery_attempts": 2,
        "retry_delay": 60.0,
        "labels": {"notify-slack": "true", "notify-pagerduty": "true"},
        "conditions": ("status == 200",),
        "remediation": {"text": "look at the runbook"},
    }
    assert (config.checks[1].attempts, config.checks[1].retry_delay, config.checks[1].labels) == (3, 120.0, {"notify-telegram": "true"})
    assert [(target.name, target.url, target.matchers, target.recovery) for target in config.notify] == [
        ("slack", "${env:GATUS_SLACK_URL}", {"notify-slack": "true"}, True),
        ("telegram", "${env:GATUS_TELEGRAM_URL}", {"notify-telegram": "true"}, False),
        ("pagerduty", "${env:GATUS_PAGERDUTY_URL}", {"notify-pagerduty": "true"}, False),
    ]
    assert conversion.variables.values["GATUS_TELEGRAM_URL"] == "tgram://123456789%3Aalphabetagammadeltaepsilonzeta12345/-1001"
    assert [(window.name, window.cron, window.timezone, window.duration, window.matchers) for window in config.maintenance] == [
        ("maintenance a", "0 4 * * *", "UTC", 1800.0, {"check_id": "a"}),
        ("maintenance", "30 23 * * 0,4", "Europe/Berlin", 3600.0, {}),
    ]
    assert config.limits.total == 7
    left = told(conversion, "left out")
    assert [line.split(": ", 1)[0] for line in left] == ["7:3"]
    assert "datadog: nobody is told by it" in left[0]
    assert [target.remind_every for target in config.notify] == [None, 3600.0, None], "PagerDuty reminds people itself"
    assert not conversion.whole


def test_checks_that_are_reminded_of_at_different_times_have_targets_of_their_own(tmp_path: Path) -> None:
    """One provider, its secret once, a target for each interval; who wants no reminders gets none."""
    conversion, config = converted(
        tmp_path,
        """\
alerting: { ntfy: { topic: ops, default-alert: { minimum-reminder-interval: 1h30m, success-threshold: 1 } } }
endpoints:
  - { name: a, url: "tcp://a.example:1", alerts: [{ type: ntfy }] }
  - { name: b, url: "tcp://b.example:1", alerts: [{ type: ntfy, minimum-reminder-interval: 5m }] }
  - { name: c, url: "tcp://c.example:1", alerts: [{ type: ntfy, minimum-reminder-interval: 0, success-threshold: 4 }] }
  - { name: d, url: "tcp://d.example:1", alerts: [{ type: ntfy, minimum-reminder-interval: soon, failure-threshold: 1 }] }
""",
    )
    assert [(target.name, target.url, target.matchers, target.remind_every) for target in config.notify] == [
        ("ntfy", "${env:GATUS_NTFY_URL}", {"notify-ntfy": "true"}, None),
        ("ntfy, again every 5m", "${env:GATUS_NTFY_URL}", {"notify-ntfy-again-every-5m": "true"}, 300.0),
        ("ntfy, again every 90m", "${env:GATUS_NTFY_URL}", {"notify-ntfy-again-every-90m": "true"}, 5400.0),
    ]
    found = [(check.id, check.attempts, check.recovery_attempts, check.retry_delay, list(check.labels)) for check in config.checks]
    assert found == [
        ("a", 3, 1, 60.0, ["notify-ntfy-again-every-90m"]),
        ("b", 3, 1, 60.0, ["notify-ntfy-again-every-5m"]),
        ("c", 3, 4, 60.0, ["notify-ntfy"]),
        ("d", 1, 1, 1.0, ["notify-ntfy"]),
    ]
    assert told(conversion, "left out") == [
        "6:65: left out: minimum-reminder-interval: a duration such as 1h is expected here; nobody is reminded"
    ]


def test_a_directory_is_one_config(tmp_path: Path) -> None:
    """The YAML files of a directory and below are taken together, as Gatus does: what one says of alerts counts for all."""
    (tmp_path / "config/teams").mkdir(parents=True)
    (tmp_path / "config/global.yaml").write_text("metrics: true\nconcurrency: 3\n")
    (tmp_path / "config/alerting.yml").write_text("alerting: { ntfy: { topic: ops } }\n")
    for name in ("a", "b"):
        text = (
            f'endpoints: [{{ name: {name}, url: "http://{name}.example/", conditions: ["[STATUS] == 200"], alerts: [{{ type: ntfy }}] }}]\n'
        )
        (tmp_path / f"config/teams/{name}.yaml").write_text(text)
    conversion = convert([tmp_path / "config"], environ={})
    config = parse_config(conversion.text)
    assert [(check.id, check.attempts) for check in config.checks] == [("a", 3), ("b", 3)]
    assert [target.matchers for target in config.notify] == [{}]
    assert conversion.variables.values == {"GATUS_NTFY_URL": "ntfys://ntfy.sh/ops"}
    assert config.limits.total == 3
    assert conversion.whole


def test_external_endpoints_are_heartbeats(tmp_path: Path) -> None:
    """A job that reports by itself becomes a heartbeat, whose token is a variable; one without an interval is told."""
    conversion, config = converted(
        tmp_path,
        """\
external-endpoints:
  - { name: backup, group: nightly, token: "0123456789abcdef0123", heartbeat: { interval: 30m } }
  - { name: pushed, token: potato }
""",
    )
    assert check(config, "nightly_backup") == {
        "id": "nightly_backup",
        "type": "heartbeat",
        "secret": "${env:GATUS_NIGHTLY_BACKUP_TOKEN}",
        "within": 1800.0,
        "title": "backup",
        "every": 60.0,
        "labels": {"group": "nightly"},
    }
    assert conversion.variables.values == {"GATUS_NIGHTLY_BACKUP_TOKEN": "0123456789abcdef0123"}
    assert [line.split(": ", 1)[0] for line in told(conversion, "left out")] == ["3:5"]
    assert "/api/ops/heartbeat/" in told(conversion, "differs")[0]


def test_a_missing_beat_counts_once_an_interval(tmp_path: Path) -> None:
    """Three failures of a job of every half hour take an hour and a half in Gatus: two minutes after the first, nobody is woken yet."""
    _, config = converted(
        tmp_path,
        """\
alerting: { slack: { webhook-url: "https://hooks.slack.com/services/T1/B1/XXXXXXXX" } }
external-endpoints:
  - { name: backup, token: "0123456789abcdef0123", heartbeat: { interval: 30m }, alerts: [ { type: slack } ] }
""",
    )
    backup = check(config, "backup")
    assert (backup["attempts"], backup["within"], backup["retry_delay"]) == (3, 1800.0, 1800.0)


def test_secrets_and_variables(tmp_path: Path) -> None:
    """What is secret is a variable and stands nowhere else; `$NAME` stays a reference where one is resolved, and is filled in elsewhere."""
    conversion, config = converted(
        tmp_path,
        """\
endpoints:
  - name: api
    url: "https://ops:hunter2hunter2@${DOMAIN}/x?token=ghp_0123456789abcdefghijABCDEFGHIJ012345"
    headers:
      Authorization: "Bearer abcdefghijklmnop"
      X-Api-Key: "$API_KEY"
      X-Auth: "$${SHELL}"
      Price: "5$$"
      Odd: "${env:HOME} and ${file:/etc/passwd}"
      Forged: "$${file:/etc/passwd}"
    body: '{"password": "correct horse"}'
    conditions: ["[STATUS] == 200"]
  - { name: signed, url: "https://signed.example/x?page=2&sig=abc%2Fdef&key=k1#top", conditions: ["[STATUS] == 200"] }
  - { name: "$WHERE", url: "tcp://$WHERE:5432", conditions: ["[CONNECTED] == true"] }
  - { name: "lost", url: "tcp://$NOWHERE:5432", conditions: ["[CONNECTED] == true"] }
""",
        WHERE="db.example",
    )
    api = check(config, "api")
    assert api["url"] == "https://ops:${env:GATUS_API_URL}@${env:DOMAIN}/x?token=${env:GATUS_API_URL_2}"
    assert api["headers"] == {
        "Authorization": "${env:GATUS_API_AUTHORIZATION}",
        "X-Api-Key": "${env:API_KEY}",
        "X-Auth": "${env:GATUS_API_X_AUTH}",
        "Price": "5$",
        "Odd": " and ",  # no such variable can be set, so that Gatus has nothing there
        "Forged": "${env:GATUS_API_FORGED}",
    }
    signed = "https://signed.example/x?page=2&sig=${env:GATUS_SIGNED_URL}&key=${env:GATUS_SIGNED_URL_2}#top"
    assert check(config, "signed")["url"] == signed
    assert "correct horse" not in conversion.text
    values = conversion.variables.values
    assert values["GATUS_API_AUTHORIZATION"] == "Bearer abcdefghijklmnop"
    assert values["GATUS_API_FORGED"] == "${file:/etc/passwd}"  # what a variable holds is not looked into again
    assert {values["GATUS_SIGNED_URL"], values["GATUS_SIGNED_URL_2"]} == {"abc%2Fdef", "k1"}
    for value in values.values():
        assert value not in conversion.text
        assert not any(value in str(note) for note in conversion.notes)
    assert check(config, "db-example")["host"] == "db.example"
    assert "NOWHERE is not set now" in told(conversion, "left out")[0]


def test_what_a_look_needs_and_has_not_turns_it_off(tmp_path: Path) -> None:
    """An endpoint behind a login, a proxy or a tunnel is kept with enabled: false, and each reason has its place."""
    conversion, config = converted(
        tmp_path,
        """\
endpoints:
  - name: login
    url: "https://api.example/"
    client:
      oauth2: { token-url: "https://id.example/", client-id: a, client-secret: b, scopes: [c] }
      dns-resolver: "udp://192.0.2.53:53"
    conditions: ["[STATUS] == 200"]
  - { name: old, url: "https://old.example/", conditions: ["[CONTEXT].id == 1"] }
  - { name: game, url: "udp://game.example:27015", conditions: ["[CONNECTED] == true"] }
  - { name: keys, url: "ssh://h.example:22", ssh: { username: a, password: b }, conditions: ["[STATUS] == 0"] }
web: { port: 8080 }
suites: [{ name: flow, endpoints: [] }]
""",
    )
    assert [(check.id, check.enabled) for check in config.checks] == [("login", False), ("old", False), ("keys", True)]
    assert [line.split(": ", 2)[0] + " " + line.split(": ", 3)[2] for line in told(conversion, "left out")] == [
        "5:7 oauth2",
        "6:7 dns-resolver",
        "8:60 the condition [CONTEXT].id == 1",
        "9:19 there is no check for UDP; an exec check can run a plugin for it",
        "10:46 nobody logs in here",
        "12:1 suites",
    ]
    assert any("web: where a host listens" in line for line in told(conversion, "differs"))
    assert [check.id for check in config.checks if check.id == "keys" and not check.conditions] == ["keys"]


@pytest.mark.parametrize(
    ("endpoint", "why"),
    [
        ('{ name: x, url: "tcp://nowhere", conditions: ["[CONNECTED] == true"] }', "a host and a port"),
        ('{ name: x, url: "http://exa mple/", conditions: ["[STATUS] == 200"] }', "blank"),
        ('{ name: x, url: "nothing", conditions: ["[STATUS] == 200"] }', "no check for this URL"),
        ('{ name: x, url: "http://a.example/", interval: soon, conditions: ["[STATUS] == 200"] }', "a duration"),
        ('{ name: x, url: "http://a.example/", conditions: ["[STATUS] == 200"], surprise: 1 }', "surprise: it is not known"),
        ('{ name: [x], url: "http://a.example/", conditions: ["[STATUS] == 200"] }', "a text is expected"),
        ("x", "a mapping of keys"),
        (
            '{ name: x, url: "http://a.example/", conditions: ["[BODY].key == ghp_0123456789abcdefghijABCDEFGHIJ012345"] }',
            "looks like a secret",
        ),
    ],
)
def test_what_is_not_right_is_told_with_its_place(tmp_path: Path, endpoint: str, why: str) -> None:
    """A fault in one endpoint is a line with its place; the others are there."""
    right = '{ name: y, url: "http://b.example/", conditions: ["[STATUS] == 200"] }'
    conversion, config = converted(tmp_path, f"endpoints:\n  - {endpoint}\n  - {right}\n")
    assert any(why in line and line.startswith("2:") for line in told(conversion, "left out")), conversion.notes
    assert config.checks[-1].id == "y"


def test_the_end_of_a_domain_is_a_check_of_its_own(tmp_path: Path) -> None:
    """`[DOMAIN_EXPIRATION]` of an endpoint becomes a domain check with its labels, thresholds and alerts; the endpoint's others stay."""
    conversion, config = converted(
        tmp_path,
        """
alerting: { discord: { webhook-url: "https://discord.com/api/webhooks/123456789012345678/abcdefghijklmnop" } }
endpoints:
  - name: front
    group: core
    url: https://www.shop.co.uk/
    interval: 5m
    conditions: ["[STATUS] == 200", "[DOMAIN_EXPIRATION] > 720h"]
    alerts: [{ type: discord, failure-threshold: 2 }]
  - { name: alone, url: "https://shop.example/", interval: 1h, conditions: ["[DOMAIN_EXPIRATION] >= 240h"] }
  - { name: inside, url: "http://intranet/", interval: 1h, conditions: ["[STATUS] == 200", "[DOMAIN_EXPIRATION] > 1h"] }
""",
    )
    front = check(config, "core_front-domain")
    assert (front["type"], front["name"], front["conditions"]) == ("domain", "shop.co.uk", ("expires_in > duration('720h')",))
    assert (front["every"], front["attempts"], front["labels"]["group"]) == (43200.0, 2, "core")
    assert (front["warn"], front["crit"]) == (None, None)
    assert check(config, "core_front")["conditions"] == ("status == 200",)
    assert check(config, "alone")["conditions"] == ("status > 0",)
    assert check(config, "alone-domain")["conditions"] == ("expires_in >= duration('240h')",)
    (discord,) = config.notify
    told_of = [one.id for one in config.checks if discord.matchers.items() <= one.labels.items()]
    assert sorted(told_of) == ["core_front", "core_front-domain"]
    assert [note.partition(": ")[2] for note in told(conversion, "left out") if "intranet" in note] == [
        "left out: the condition [DOMAIN_EXPIRATION] > 1h: 'intranet' is not a registered domain, but what domains are registered below: "
        "write for example shop.intranet"
    ]
