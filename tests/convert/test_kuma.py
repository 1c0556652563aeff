"""Uptime Kuma's database and backup: what they become, and that a scan of it says what Kuma says."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from partywidgets.config import Config, parse_config
from partywidgets.convert import Conversion, convert, kuma_file
from partywidgets.exceptions import ConfigError
from partywidgets.scan_once import scan_once
from tests.ports import kept_port
from tests.scans.checks.servers import dns_server, serving, web_server

from .kuma_database import kuma_database


def converted(path: Path) -> tuple[Conversion, Config]:
    """What a Kuma becomes."""
    conversion = convert([path], environ={})
    return conversion, parse_config(conversion.text)


def told(conversion: Conversion, kind: str) -> list[str]:
    """The notes of a kind, without the file."""
    return [f"{note.place.partition(': ')[2]}: {note.text}" for note in conversion.notes if note.kind == kind]


def check(config: Config, check_id: str) -> dict[str, Any]:
    """What a check of the config says itself."""
    return next(check for check in config.checks if check.id == check_id).model_dump(exclude_unset=True)


@pytest.mark.parametrize("version", [1, 2])
async def test_a_scan_says_what_kuma_says(tmp_path: Path, version: int) -> None:
    """Monitors of each kind against real servers: up is ok, down is crit, and upside down turns both."""

    async def redis(reader: Any, writer: Any) -> None:
        while line := await reader.readline():
            writer.write(b"+PONG\r\n" if line.strip() == b"PING" else b"-ERR\r\n")
            await writer.drain()

    async with web_server() as web, dns_server() as resolver, serving(redis) as pong:
        site, shut = f"http://127.0.0.1:{web.port}", kept_port()
        host, _, port = resolver.partition(":")
        dns = {"type": "dns", "dns_resolve_server": host, "port": int(port), "dns_resolve_type": "A"}
        monitors: list[tuple[bool, dict[str, Any]]] = [
            (True, {"name": "web", "type": "http", "url": f"{site}/json"}),
            (False, {"name": "web down", "type": "http", "url": f"{site}/status/503"}),
            (True, {"name": "web 503", "type": "http", "url": f"{site}/status/503", "accepted_statuscodes_json": ["200-299", "503"]}),
            (False, {"name": "web gone", "type": "http", "url": f"http://127.0.0.1:{shut}/"}),
            (True, {"name": "moved", "type": "http", "url": f"{site}/to/json"}),
            (False, {"name": "stays", "type": "http", "url": f"{site}/to/json", "maxredirects": 0}),
            (True, {"name": "turned", "type": "http", "url": f"{site}/status/503", "upside_down": 1}),
            (True, {"name": "turned gone", "type": "http", "url": f"http://127.0.0.1:{shut}/", "upside_down": 1}),
            (False, {"name": "turned up", "type": "http", "url": f"{site}/json", "upside_down": 1}),
            (True, {"name": "word", "type": "keyword", "url": f"{site}/json", "keyword": "queue"}),
            (False, {"name": "no word", "type": "keyword", "url": f"{site}/json", "keyword": "qeue"}),
            (True, {"name": "not the word", "type": "keyword", "url": f"{site}/json", "keyword": "qeue", "invert_keyword": 1}),
            (
                True,
                {
                    "name": "sent",
                    "type": "keyword",
                    "url": f"{site}/echo",
                    "method": "POST",
                    "body": '{"a": 1}',
                    "headers": {"X-A": "b"},
                    "keyword": "X-A",
                },
            ),
            (True, {"name": "query", "type": "json-query", "url": f"{site}/json", "json_path": "queue.depth", "expected_value": "3"}),
            (False, {"name": "other query", "type": "json-query", "url": f"{site}/json", "json_path": "$.status", "expected_value": "up"}),
            (True, {"name": "port", "type": "port", "hostname": "127.0.0.1", "port": web.port}),
            (False, {"name": "port shut", "type": "port", "hostname": "127.0.0.1", "port": shut}),
            (True, {"name": "port turned", "type": "port", "hostname": "127.0.0.1", "port": shut, "upside_down": 1}),
            (True, {"name": "name", "hostname": "plain.example", **dns}),
            (False, {"name": "no name", "hostname": "missing.example", **dns}),
            (False, {"name": "no record", "hostname": "empty.example", **dns}),
            (True, {"name": "cache", "type": "redis", "database_connection_string": f"redis://127.0.0.1:{pong}"}),
            (False, {"name": "no cache", "type": "redis", "database_connection_string": f"redis://127.0.0.1:{shut}"}),
        ]
        if version == 2:
            query = {"type": "json-query", "url": f"{site}/json", "json_path": "queue.depth", "expected_value": "3"}
            rule = {"type": "expression", "variable": "record", "operator": "equals", "andOr": "and"}
            monitors += [
                (True, {"name": "at most", **query, "json_path_operator": "<="}),
                (False, {"name": "less", **query, "json_path_operator": "<"}),
                (True, {"name": "record", "hostname": "plain.example", **dns, "conditions": [{**rule, "value": "192.0.2.1"}]}),
                (False, {"name": "no such record", "hostname": "plain.example", **dns, "conditions": [{**rule, "value": "192.0.2.9"}]}),
                (
                    True,
                    {
                        "name": "another record",
                        "hostname": "plain.example",
                        **dns,
                        "conditions": [{**rule, "value": "192.0.2.1", "operator": "not_equals"}],
                    },
                ),
                (
                    False,
                    {
                        "name": "no other",
                        "hostname": "plain.example",
                        **dns,
                        "conditions": [{**rule, "value": "192", "operator": "not_contains"}],
                    },
                ),
                (False, {"name": "not missing", **query, "json_path": "nosuch", "json_path_operator": "!="}),
                (False, {"name": "mail", "type": "smtp", "hostname": "127.0.0.1", "port": shut}),
            ]
        common = {"interval": 60, "timeout": 20}
        conversion, config = converted(
            kuma_database(tmp_path / "kuma.db", version, monitor=[{**common, **monitor} for _, monitor in monitors])
        )
        assert conversion.whole, conversion.notes
        report = await scan_once(config)
        found = {result.title: result.status == "ok" for result in report.results}
        assert found == {monitor["name"]: up for up, monitor in monitors}, {result.title: result.summary for result in report.results}


def test_the_whole_of_a_kuma(tmp_path: Path) -> None:
    """Groups and tags are labels, retries attempts, notifications targets, windows cron; secrets are variables; the rest is told."""
    slack = "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
    path = kuma_database(
        tmp_path / "kuma.db",
        monitor=[
            {"name": "Shop", "type": "group"},
            {
                "name": "Shop API",
                "type": "http",
                "url": "https://api.example/v1",
                "parent": 1,
                "interval": 30,
                "maxretries": 2,
                "retry_interval": 10,
                "basic_auth_user": "ops",
                "basic_auth_pass": "correct horse",
                "auth_method": "basic",
                "headers": {"X-Api-Key": "an-api-key"},
                "description": "restart the pods",
            },
            {"name": "Nightly", "type": "push", "interval": 3600, "push_token": "abcdefghijklmnopqrstuvwxyz012345", "parent": 1},
            {
                "name": "db",
                "type": "postgres",
                "database_connection_string": "postgres://u:p4ssw0rd@db.example/shop",
                "database_query": "select 1",
            },
            {"name": "box", "type": "docker", "docker_container": "shop-1", "docker_host": 1},
            {"name": "old db", "type": "mysql", "database_connection_string": "mysql://u:p4ssw0rd@my.example/shop"},
            {"name": "broker", "type": "mqtt", "hostname": "mqtt.example"},
            {"name": "ntlm", "type": "http", "url": "https://intra.example/", "auth_method": "ntlm"},
            {"name": "count", "type": "json-query", "url": "https://api.example/", "json_path": "$count(items)", "expected_value": "3"},
            {"name": "sshd", "type": "system-service", "system_service_name": "ssh.service", "active": 0},
        ],
        tag=[{"name": "team", "color": "#fff"}, {"name": "public", "color": "#000"}],
        monitor_tag=[{"monitor_id": 2, "tag_id": 1, "value": "web"}, {"monitor_id": 2, "tag_id": 2, "value": ""}],
        docker_host=[{"docker_daemon": "tcp://dock.example:2375", "docker_type": "tcp", "name": "dock"}],
        notification=[
            {"name": "Ops Slack", "config": {"type": "slack", "slackwebhookURL": slack}},
            {"name": "Unused", "config": {"type": "discord", "discordWebhookUrl": "https://discord.com/api/webhooks/1/abc"}},
            {"name": "Hook", "config": {"type": "webhook", "webhookURL": "https://hook.example/0123456789"}},
        ],
        monitor_notification=[{"monitor_id": 2, "notification_id": 1}, {"monitor_id": 2, "notification_id": 3}],
        maintenance=[
            {
                "title": "Backups",
                "description": "nightly",
                "strategy": "recurring-weekday",
                "cron": "0 2 * * 1,3",
                "duration": 5400,
                "timezone": "SAME_AS_SERVER",
            },
            {"title": "Once", "description": "", "strategy": "single"},
            {
                "title": "Past",
                "description": "",
                "strategy": "cron",
                "cron": "0 2 * * *",
                "duration": 60,
                "timezone": "UTC",
                "end_date": "2020-01-01 00:00:00",
            },
        ],
        monitor_maintenance=[
            {"monitor_id": 1, "maintenance_id": 1},
            {"monitor_id": 2, "maintenance_id": 2},
            {"monitor_id": 2, "maintenance_id": 3},
        ],
        setting=[{"key": "serverTimezone", "value": '"Europe/Berlin"'}],
    )
    conversion, config = converted(path)
    assert check(config, "shop-api") == {
        "id": "shop-api",
        "type": "http",
        "url": "https://api.example/v1",
        "headers": {"X-Api-Key": "${env:KUMA_SHOP_API_X_API_KEY}", "Authorization": "Basic ${env:KUMA_SHOP_API_BASIC}"},
        "follow": True,
        "warn": "certificate_expires_in < duration('21d')",
        "conditions": ("status >= 200 && status <= 299",),
        "title": "Shop API",
        "every": 30.0,
        "timeout": 24.0,
        "attempts": 3,
        "retry_delay": 10.0,
        "labels": {"group": "Shop", "team": "web", "public": "true", "notify-ops-slack": "true", "maintenance-backups": "true"},
        "remediation": {"text": "restart the pods"},
    }
    nightly = check(config, "nightly")
    assert (nightly["secret"], nightly["within"], nightly["every"]) == ("${env:KUMA_NIGHTLY_TOKEN}", 3601.0, 60.0)
    assert check(config, "db")["url"] == "${env:KUMA_DB_URL}"
    assert check(config, "box")["url"] == "tcp://dock.example:2375"
    assert [check.id for check in config.checks if not check.enabled] == ["ntlm", "count", "sshd"]
    assert [(target.name, target.url, target.matchers) for target in config.notify] == [
        ("Ops Slack", "${env:KUMA_OPS_SLACK_URL}", {"notify-ops-slack": "true"})
    ]
    assert [
        (window.name, window.cron, window.timezone, window.duration, window.matchers, window.reason) for window in config.maintenance
    ] == [("Backups", "0 2 * * 1,3", "Europe/Berlin", 5400.0, {"maintenance-backups": "true"}, "nightly")]
    assert [line.rpartition(": ")[0] for line in told(conversion, "left out")] == [
        "monitor 6 'old db': sql asks SQLite and PostgreSQL only",
        "monitor 7 'broker': mqtt",
        "monitor 8 'ntlm': the login by ntlm has no counterpart; kept with enabled",
        "monitor 9 'count': the query '$count(items)' is more than one place; kept with enabled",
        "notification 2 'Unused'",
        "notification 3 'Hook': webhook: what it sends is made for its receiver; json:// or form:// under notify sends Apprise's own",
        "maintenance 2 'Once'",
        "maintenance 3 'Past'",
    ]
    values = conversion.variables.values
    assert {"abcdefghijklmnopqrstuvwxyz012345", "an-api-key", slack, "postgres://u:p4ssw0rd@db.example/shop"} <= set(values.values())
    for secret in (*values.values(), "correct horse", "p4ssw0rd"):
        assert secret not in conversion.text
        assert not any(secret in str(note) for note in conversion.notes)


def test_a_problem_is_resent(tmp_path: Path) -> None:
    """Every N beats is N times the interval; monitors of one notification that differ in it have a target each."""
    monitor = {"type": "port", "hostname": "h.example", "port": 1}
    monitors = [{**monitor, "name": name, "interval": 60, "resend_interval": beats} for name, beats in (("a", 30), ("b", 30), ("c", 0))]
    notification = [{"name": "Ops", "config": {"type": "ntfy", "ntfytopic": "ops", "ntfyserverurl": "https://n.example"}}]
    uses = [{"monitor_id": number, "notification_id": 1} for number in (1, 2, 3)]
    path = kuma_database(tmp_path / "kuma.db", monitor=monitors, notification=notification, monitor_notification=uses)
    conversion, config = converted(path)
    assert [(target.name, target.matchers, target.remind_every) for target in config.notify] == [
        ("Ops", {"notify-ops": "true"}, None),
        ("Ops, again every 30m", {"notify-ops-again-every-30m": "true"}, 1800.0),
    ]
    assert {target.url for target in config.notify} == {"${env:KUMA_OPS_URL}"}
    assert [list(check.labels) for check in config.checks] == [["notify-ops-again-every-30m"]] * 2 + [["notify-ops"]]
    assert conversion.whole, conversion.notes


def test_what_later_versions_have(tmp_path: Path) -> None:
    """Columns that came with 2.1 and later: a bearer token, the address family, the end of domains; the latter is one line for all."""
    path = kuma_database(tmp_path / "kuma.db")
    with closing(sqlite3.connect(path)) as database, database:
        for column in ("bearer_token", "domain_expiry_notification", "retry_only_on_status_code_failure"):
            database.execute(f"ALTER TABLE monitor ADD {column}")
        added = (
            "INSERT INTO monitor (name, type, url, interval, auth_method, bearer_token, ip_family, domain_expiry_notification, cache_bust)"
        )
        database.execute(f"{added} VALUES ('api', 'http', 'https://api.example/', 60, 'bearer', 'a-bearer-token', 'ipv6', 1, 1)")
        database.execute(f"{added} VALUES ('web', 'http', 'https://web.example/', 60, NULL, NULL, NULL, 1, 0)")
    conversion, config = converted(path)
    api = check(config, "api")
    assert (api["headers"], api["family"]) == ({"Authorization": "Bearer ${env:KUMA_API_TOKEN}"}, "ipv6")
    assert told(conversion, "left out") == [
        "monitor 1 'api': a random value in the URL, against caches",
    ]


def test_the_end_of_domains(tmp_path: Path) -> None:
    """A check for each registered domain that monitors ask for, told to whom they are told; names inside of a network are passed over."""
    path = kuma_database(tmp_path / "kuma.db")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("ALTER TABLE monitor ADD domain_expiry_notification")
        for url in ("https://api.shop.co.uk/health", "https://www.shop.co.uk/", "http://intranet/", "http://192.0.2.1/"):
            database.execute(
                "INSERT INTO monitor (name, type, url, interval, domain_expiry_notification) VALUES (?, 'http', ?, 60, 1)", (url[-8:], url)
            )
        config = json.dumps({"type": "gotify", "gotifyserverurl": "https://g.example", "gotifyapplicationToken": "AbCdEf123"})
        database.execute("INSERT INTO notification (name, active, config) VALUES ('ops', 1, ?)", (config,))
        database.execute("INSERT INTO monitor_notification (monitor_id, notification_id) VALUES (2, 1)")
        database.execute("INSERT INTO setting (key, value) VALUES ('domainExpiryNotifyDays', '[10, 30]')")
    conversion, config_ = converted(path)
    asked = [check for check in config_.checks if check.type == "domain"]
    assert [check.id for check in asked] == ["domain-shop.co.uk"]
    given = check(config_, "domain-shop.co.uk")
    assert (given["name"], given["warn"], given["every"]) == ("shop.co.uk", "expires_in < duration('30d')", 43200.0)
    assert given["labels"] == {"notify-ops": "true"}
    assert [words.partition(", ")[2] for words in told(conversion, "differs")] == [
        "domain-shop.co.uk: unknown where the registry does not tell, which Kuma does not say"
    ]


def test_a_backup_says_the_same(tmp_path: Path) -> None:
    """A version 1 backup in JSON gives the checks, targets and labels that the database gives."""
    backup = {
        "version": "1.23.16",
        "notificationList": [
            {
                "id": 4,
                "name": "Gotify",
                "active": True,
                "config": json.dumps({"type": "gotify", "gotifyserverurl": "https://g.example", "gotifyapplicationToken": "AbCdEf123"}),
            }
        ],
        "monitorList": [
            {
                "id": 7,
                "name": "Web",
                "type": "keyword",
                "url": "http://web.example/",
                "active": True,
                "interval": 45,
                "retryInterval": 15,
                "maxretries": 1,
                "timeout": 9,
                "keyword": "fine",
                "invertKeyword": True,
                "ignoreTls": False,
                "upsideDown": False,
                "maxredirects": 10,
                "accepted_statuscodes": ["200-299", "404"],
                "notificationIDList": {"4": True},
                "tags": [{"name": "team", "value": "web"}],
                "headers": None,
            }
        ],
        "proxyList": [],
    }
    path = tmp_path / "backup.json"
    path.write_text(json.dumps(backup, indent=4))
    conversion, config = converted(path)
    assert check(config, "web") == {
        "id": "web",
        "type": "http",
        "url": "http://web.example/",
        "follow": True,
        "conditions": ("status >= 200 && status <= 299 || status == 404", "!text.contains('fine')"),
        "title": "Web",
        "every": 45.0,
        "timeout": 9.0,
        "attempts": 2,
        "retry_delay": 15.0,
        "labels": {"team": "web"},
    }
    assert conversion.whole
    assert conversion.variables.values == {"KUMA_GOTIFY_URL": "gotifys://g.example/AbCdEf123"}
    assert [target.matchers for target in config.notify] == [{}]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"SQLite format 3\x00" + b"\xff" * 5000, "cannot be read"),
        (b'{"version": "1", "notificationList": [], "monitorList": [', "not JSON"),
        (b'{"version": "1", "notificationList": [], "monitorList": ' + b"[" * 100_000, "nested too deeply"),
        (b'{"version": "1", "monitorList": 5}', "nothing to look at"),
    ],
)
def test_what_is_no_kuma_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    """A broken database, half a backup and a hostile one are one sentence each."""
    path = tmp_path / "kuma"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=why):
        convert([path], environ={})


def test_another_database_is_refused(tmp_path: Path) -> None:
    """SQLite of something else is said to be that, and a database that may not be written beside is read."""
    with closing(sqlite3.connect(tmp_path / "other.db")) as other, other:
        other.execute("create table monitor (id)")
    with pytest.raises(ConfigError, match="none of Uptime Kuma"):
        convert([tmp_path / "other.db"], environ={})


def test_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backup, a table and a cell beyond their bounds are one sentence each."""
    backup, database = tmp_path / "backup.json", kuma_database(tmp_path / "kuma.db", monitor=[{"name": "x" * 2000}] * 3)
    backup.write_text(json.dumps({"monitorList": [{"name": "x" * 2000}]}))
    monkeypatch.setattr(kuma_file, "MAX_BACKUP", 1000)
    monkeypatch.setattr(kuma_file, "MAX_ROWS", 2)
    for path, why in ((backup, "larger than"), (database, "more than 2 rows")):
        with pytest.raises(ConfigError, match=why):
            convert([path], environ={})
    monkeypatch.setattr(kuma_file, "MAX_CELL", 1000)
    with pytest.raises(ConfigError, match="cannot be read"):
        convert([database], environ={})


def test_hostile_values_are_checks_or_told(tmp_path: Path) -> None:
    """Rows with values that nobody can set in Kuma's pages end in a line, never in a traceback."""
    rows: list[dict[str, Any]] = [
        {"name": None, "type": "http", "url": None},
        {"name": "x" * 5000, "type": "http", "url": "http://a.example/", "accepted_statuscodes_json": "[[[["},
        {"name": "\x1b[2J\nlong", "type": "port", "hostname": "h", "port": 99999999},
        {"name": "blob", "type": "keyword", "url": b"\xff\xfe", "keyword": b"\x00"},
        {"name": "times", "type": "ping", "hostname": "h", "interval": -5, "timeout": "soon", "packet_size": 10**9, "maxretries": 10**12},
        {"name": "parent", "type": "ping", "hostname": "h", "parent": 6},
        {"name": "kind", "type": None},
        {"name": "wild", "type": "dns", "hostname": "h", "dns_resolve_type": "NOPE", "conditions": '{"a": 1}'},
        {
            "name": "refs",
            "type": "http",
            "url": "http://a.example/${file:/etc/passwd}",
            "headers": {"A": "${env:HOME}"},
            "body": "${env:PATH}",
        },
    ]
    conversion, config = converted(kuma_database(tmp_path / "kuma.db", monitor=[{"interval": 60, **row} for row in rows]))
    assert conversion.found == len(rows)
    for note in map(str, conversion.notes):
        assert note.isprintable()
    refs = check(config, "refs")
    assert refs["url"] == "http://a.example/${env:KUMA_REFS_URL}"
    assert refs["headers"] == {"A": "${env:KUMA_REFS_A}", "Content-Type": "application/json"}


def test_a_name_with_accents_stays_readable_as_an_id(tmp_path: Path) -> None:
    """Letters lose their accents and are not cut out."""
    backup = tmp_path / "backup.json"
    names = ("Büro-Drucker", "Straße 🚀 Été", "Магазин")
    monitors = [{"id": number, "name": name, "type": "port", "hostname": "127.0.0.1", "port": 9} for number, name in enumerate(names)]
    backup.write_text(json.dumps({"version": "1.23.16", "monitorList": monitors, "notificationList": []}))
    _, config = converted(backup)
    assert [check.id for check in config.checks] == ["buro-drucker", "strasse-ete", "x"]


def test_a_header_that_is_called_a_key_is_a_secret(tmp_path: Path) -> None:
    """Its value is in no config, whatever stands before the word."""
    backup = tmp_path / "backup.json"
    headers = json.dumps({"X-Key": "not-for-everybody", "X-Request-Signature": "nor-this", "X-Keyboard": "qwertz"})
    monitor = {"id": 1, "name": "shop", "type": "http", "url": "http://127.0.0.1/", "headers": headers}
    backup.write_text(json.dumps({"version": "1.23.16", "monitorList": [monitor], "notificationList": []}))
    conversion, config = converted(backup)
    assert sorted(conversion.variables.values.values()) == ["nor-this", "not-for-everybody"]
    assert check(config, "shop")["headers"]["X-Keyboard"] == "qwertz"
