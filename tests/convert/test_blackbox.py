"""blackbox_exporter's modules with Prometheus' targets: what they become, and that a scan says what the real exporter says beside it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from partywidgets.config import Config, parse_config
from partywidgets.convert import Conversion, convert
from partywidgets.exceptions import ConfigError
from partywidgets.scan_once import scan_once
from tests.ports import kept_port
from tests.scans.checks.exporter import running_exporter
from tests.scans.checks.servers import Authority, dns_server, serving, web_server
from tests.scans.checks.test_starttls import talking

USUAL = [
    {"source_labels": ["__address__"], "target_label": "__param_target"},
    {"source_labels": ["__param_target"], "target_label": "instance"},
    {"target_label": "__address__", "replacement": "127.0.0.1:9115"},
]


STARTTLS: dict[str, list[dict[str, Any]]] = {
    "smtp": [
        {"expect": "^220 "},
        {"send": "EHLO prober\r"},
        {"expect": "^250[ -]STARTTLS"},
        {"send": "STARTTLS\r"},
        {"expect": "^220"},
        {"starttls": True},
    ],
    "imap": [{"expect": "^. OK"}, {"send": "a1 STARTTLS\r"}, {"expect": "^a1 OK"}, {"starttls": True}],
    "pop3": [{"expect": "OK"}, {"send": "STLS\r"}, {"expect": "OK"}, {"starttls": True}],
}
"""What is said before TLS, as modules have it."""


def job(module: str, *targets: str, **more: Any) -> dict[str, Any]:
    """A scrape config as the exporter's own documentation has it."""
    return {
        "job_name": f"probe-{module}",
        "metrics_path": "/probe",
        "params": {"module": [module]},
        "static_configs": [{"targets": list(targets), "labels": {"team": "web"}}],
        "relabel_configs": USUAL,
        **more,
    }


def converted(tmp_path: Path, modules: dict[str, Any], *jobs: dict[str, Any], **more: Any) -> tuple[Conversion, Config]:
    """What the exporter's config and Prometheus' become."""
    exporter, prometheus = tmp_path / "blackbox.yml", tmp_path / "prometheus.yml"
    # A client's first bytes to PostgreSQL, as the exporter's own config has them.
    exporter.write_text(json.dumps({"modules": modules}, indent=1).replace('"SSLREQUEST"', "!!binary AAAACATSFi8="))
    prometheus.write_text(json.dumps({"global": {"scrape_interval": "15s"}, **more, "scrape_configs": list(jobs)}, indent=1))
    conversion = convert([exporter, prometheus], environ={})
    return conversion, parse_config(conversion.text)


async def mail(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A greeting in two lines, and an answer to each line."""
    writer.write(b"220-wait\r\n220 mail.example ESMTP ready\r\n")
    while line := await reader.readline():
        writer.write(b"250 " + line)
        await writer.drain()


async def test_a_scan_says_what_the_exporter_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules of each kind and their targets, looked at by both: the same verdict for each pair."""
    authority = Authority(tmp_path)
    trusted = {"ca_file": authority.ca_file}
    long, four = {"timeout": "15s"}, {"preferred_ip_protocol": "ip4"}
    record = {"prober": "dns", **long}
    question = {"query_name": "plain.example", "query_type": "A"}
    modules: dict[str, dict[str, Any]] = {
        "http_2xx": {"prober": "http", **long, "http": four},
        "http_codes": {"prober": "http", **long, "http": {"valid_status_codes": [302, 503], "follow_redirects": False}},
        "http_plain": {"prober": "http", **long, "http": {"fail_if_ssl": True, **four}},
        "http_tls": {"prober": "http", **long, "http": {"fail_if_not_ssl": True, "tls_config": trusted, **four}},
        "http_insecure": {"prober": "http", **long, "http": {"tls_config": {"insecure_skip_verify": True}, **four}},
        "http_body": {
            "prober": "http",
            **long,
            "http": {"fail_if_body_not_matches_regexp": ['"status":\\s+"ok"'], "fail_if_body_matches_regexp": ["(?i)ERROR"]},
        },
        "http_no_body": {"prober": "http", **long, "http": {"fail_if_body_matches_regexp": ["depth"]}},
        "http_header": {
            "prober": "http",
            **long,
            "http": {
                "fail_if_header_not_matches": [{"header": "Content-Type", "regexp": "^application/json"}],
                "fail_if_header_matches": [{"header": "Set-Cookie", "regexp": ".*", "allow_missing": True}],
            },
        },
        "http_missing_header": {"prober": "http", **long, "http": {"fail_if_header_matches": [{"header": "Set-Cookie", "regexp": ".*"}]}},
        "http_post": {
            "prober": "http",
            **long,
            "http": {
                "method": "POST",
                "headers": {"X-Wanted": "yes", "Host": "shop.example"},
                "body": "hello",
                "basic_auth": {"username": "ops", "password": "correct horse"},
                "fail_if_body_not_matches_regexp": [
                    "POST ",
                    "(?i)x-wanted: yes",
                    "(?i)host: shop.example",
                    "(?i)authorization: basic b3BzOmNvcnJlY3QgaG9yc2U=",
                    "hello",
                ],
            },
        },
        "tcp": {"prober": "tcp", **long},
        "tcp_tls": {"prober": "tcp", **long, "tcp": {"tls": True, "tls_config": trusted}},
        "tcp_banner": {"prober": "tcp", **long, "tcp": {"query_response": [{"expect": "^220 "}, {"send": "QUIT\r"}]}},
        "tcp_no_banner": {"prober": "tcp", "timeout": "1s", "tcp": {"query_response": [{"expect": "^SSH-2.0-"}]}},
        "tcp_asked": {"prober": "tcp", **long, "tcp": {"query_response": [{"send": "NOOP"}, {"expect": "^250 NOOP"}]}},
        **{
            f"tcp_{protocol}": {
                "prober": "tcp",
                **long,
                "tcp": {"query_response": dialogue, "tls_config": {**trusted, "server_name": "localhost"}},
            }
            for protocol, dialogue in STARTTLS.items()
        },
        "tcp_untrusted": {"prober": "tcp", **long, "tcp": {"query_response": STARTTLS["smtp"]}},
        "dns": {**record, "dns": question},
        "dns_nxdomain": {**record, "dns": {**question, "query_name": "missing.example"}},
        "dns_nxdomain_wanted": {**record, "dns": {**question, "query_name": "missing.example", "valid_rcodes": ["NXDOMAIN", "NOERROR"]}},
        "dns_matches": {**record, "dns": {**question, "validate_answer_rrs": {"fail_if_matches_regexp": [".*192.0.2.1"]}}},
        "dns_not_matches": {
            **record,
            "dns": {**question, "validate_answer_rrs": {"fail_if_not_matches_regexp": ["plain.example.\t300\tIN\tA\t192\\.0\\.2\\.[12]"]}},
        },
        "dns_none_matches": {
            **record,
            "dns": {**question, "validate_answer_rrs": {"fail_if_none_matches_regexp": ["192.0.2.2$", "nothing"]}},
        },
        "dns_all_match": {**record, "dns": {**question, "validate_answer_rrs": {"fail_if_all_match_regexp": ["192.0.2.1"]}}},
        "dns_empty": {
            **record,
            "dns": {**question, "query_name": "empty.example", "validate_answer_rrs": {"fail_if_not_matches_regexp": ["192"]}},
        },
        "dns_tcp": {**record, "dns": {**question, "transport_protocol": "tcp"}},
    }
    tls_context = authority.server_context()
    async with (
        web_server() as web,
        web_server(tls_context) as secure,
        dns_server() as resolver,
        serving(mail) as greeting,
        serving(talking("smtp", tls_context)) as smtp,
        serving(talking("imap", tls_context)) as imap,
        serving(talking("pop3", tls_context)) as pop3,
    ):
        site, tls, shut = f"http://127.0.0.1:{web.port}", f"https://localhost:{secure.port}", kept_port()
        targets = {
            "http": [
                f"{site}/json",
                f"127.0.0.1:{web.port}/status/503",
                f"{site}/to/json",
                f"{site}/gzip",
                f"{tls}/json",
                f"http://127.0.0.1:{shut}/",
            ],
            "http_post": [f"{site}/echo"],
            "tcp": [f"127.0.0.1:{web.port}", f"localhost:{secure.port}", f"127.0.0.1:{shut}"],
            "tcp_tls": [f"localhost:{secure.port}", f"127.0.0.1:{shut}"],
            "tcp_smtp": [f"127.0.0.1:{smtp}"],
            "tcp_imap": [f"127.0.0.1:{imap}"],
            "tcp_pop3": [f"127.0.0.1:{pop3}"],
            "tcp_untrusted": [f"127.0.0.1:{smtp}"],
            "tcp_banner": [f"127.0.0.1:{greeting}"],
            "tcp_no_banner": [f"127.0.0.1:{greeting}"],
            "tcp_asked": [f"127.0.0.1:{greeting}"],
            "dns": [resolver],
        }
        pairs = {name: targets.get(name) or targets[module["prober"]] for name, module in modules.items()}
        conversion, config = converted(
            tmp_path, modules, *(job(name, *pairs[name], scrape_timeout="15s", scrape_interval="30s") for name in modules)
        )
        assert [str(note) for note in conversion.notes if note.kind != "secret"] == []
        for variable, value in conversion.variables.values.items():
            monkeypatch.setenv(variable, value)
        report = await scan_once(config)
        ours = {(result.labels["job"].removeprefix("probe-"), result.title): result for result in report.results}
        async with running_exporter(modules, tmp_path) as exporter:
            for name, listed in pairs.items():
                for target in listed:
                    theirs = (await exporter.probe(name, target))["probe_success"]
                    assert theirs == (ours[name, target].status == "ok"), (name, target, ours[name, target].summary)
        assert {result.labels["team"] for result in report.results} == {"web"}
        assert len(ours) == sum(map(len, pairs.values()))
        verdicts = {result.status for result in report.results}
        assert verdicts == {"ok", "crit"}


async def test_headers_of_lists_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Headers as later exporters have them: a secret is a variable, a file stays a file, several values go as one."""
    token, wanted = tmp_path / "token", ["(?i)x-token: very secret", "(?i)x-file: from a file", "(?i)x-both: a, b"]
    token.write_text("from a file\n")
    headers = {"X-Token": {"secrets": ["very secret"]}, "X-File": {"files": [str(token)]}, "X-Both": {"values": ["a", "b"]}}
    modules = {"h": {"prober": "http", "timeout": "15s", "http": {"http_headers": headers, "fail_if_body_not_matches_regexp": wanted}}}
    async with web_server() as web:
        conversion, config = converted(tmp_path, modules, job("h", f"http://127.0.0.1:{web.port}/echo", scrape_timeout="15s"))
        assert conversion.variables.values == {"BLACKBOX_H_X_TOKEN": "very secret"}
        monkeypatch.setenv("BLACKBOX_H_X_TOKEN", "very secret")
        (result,) = (await scan_once(config)).results
    assert result.status == "ok", result.summary


def test_targets_from_files_and_what_is_told(tmp_path: Path) -> None:
    """Targets come from files of JSON and YAML, too; what has no counterpart is told once, at its place in either file."""
    (tmp_path / "hosts").mkdir()
    (tmp_path / "hosts/a.json").write_text('[{"targets": ["a.example"], "labels": {"site": "a"}}]')
    (tmp_path / "hosts/b.yml").write_text("- targets: [b.example, c.example]\n")
    modules = {
        "proxied": {"prober": "http", "http": {"proxy_url": "http://127.0.0.1:3128", "valid_http_versions": ["HTTP/2.0"]}},
        "ping": {"prober": "icmp", "timeout": "3s", "icmp": {"payload_size": 4000}},
        "talk": {"prober": "tcp", "tcp": {"query_response": [{"expect": "^PING (.*)"}, {"send": "PONG ${1}"}, {"expect": "001"}]}},
        "starttls": {
            "prober": "tcp",
            "tcp": {
                "query_response": [
                    {"expect": "^220"},
                    {"send": "EHLO x\r"},
                    {"expect": "^250-STARTTLS"},
                    {"send": "STARTTLS\r"},
                    {"expect": "^220"},
                    {"starttls": True},
                ]
            },
        },
        "postgres": {"prober": "tcp", "tcp": {"query_response": [{"send": "SSLREQUEST"}, {"expect_bytes": "S"}, {"starttls": True}]}},
        "socket": {
            "prober": "websocket",
            "websocket": {"http_config": {"basic_auth": {"username": "u", "password": "p"}}, "query_response": [{"send": "hello"}]},
        },
        "remote": {"prober": "grpc"},
        "unused": {"prober": "icmp"},
    }
    files: dict[str, Any] = {"static_configs": [], "file_sd_configs": [{"files": ["hosts/*.json", "hosts/*.yml", "gone/*.yml"]}]}
    conversion, config = converted(
        tmp_path,
        modules,
        job("proxied", "x.example", "y.example"),
        job("ping", **files, scrape_timeout="10s"),
        job("talk", "irc.example:6667"),
        job("starttls", "mail.example:25"),
        job("postgres", "db.example:5432"),
        job("socket", "wss://ws.example/live"),
        job("remote", "r.example:1"),
        job("nowhere", "n.example"),
        {"job_name": "node", "static_configs": [{"targets": ["n:9100"]}]},
        {**job("ping"), "static_configs": [], "kubernetes_sd_configs": [{"role": "service"}]},
    )
    assert [(check.id, check.enabled) for check in config.checks] == [
        ("probe-proxied-x-example", False),
        ("probe-proxied-y-example", False),
        ("probe-ping-a-example", True),
        ("probe-ping-b-example", True),
        ("probe-ping-c-example", True),
        ("probe-talk-irc-example-6667", True),
        ("probe-starttls-mail-example-25", True),
        ("probe-postgres-db-example-5432", True),
        ("probe-socket-wss-ws-example-live", True),
    ]
    ping = config.checks[2].model_dump(exclude_unset=True)
    assert (ping["labels"], ping["timeout"], ping["every"], ping["size"]) == ({"job": "probe-ping", "site": "a"}, 3.0, 15.0, 1400)
    assert config.checks[6].model_dump()["starttls"] == "smtp"
    assert config.checks[7].model_dump()["starttls"] == "postgres"
    socket = config.checks[8].model_dump(exclude_unset=True)
    assert (socket["url"], socket["conditions"]) == ("https://ws.example/live", ("status == 101",))
    assert socket["headers"]["Authorization"] == "Basic ${env:BLACKBOX_SOCKET_BASIC}"
    assert conversion.found == 11
    left = [f"{Path(note.place.split(':')[0]).name}: {note.text}" for note in conversion.notes if note.kind == "left out"]
    assert left == [
        "blackbox.yml: proxy_url: checks are not made through a proxy",
        "blackbox.yml: valid_http_versions: checks speak HTTP/1.1",
        "blackbox.yml: of this dialogue the first answer is looked at",
        "blackbox.yml: query_response: a WebSocket is opened here, and no message sent",
        "blackbox.yml: there is no check for grpc",
        "blackbox.yml: unused: nothing is looked at with it",
        "prometheus.yml: gone/*.yml: no such file here",
        "prometheus.yml: the module 'nowhere' is not among those of the exporter",
        "prometheus.yml: kubernetes_sd_configs: targets are found by it while it runs; write those that you know as static_configs",
    ]


def test_both_files_are_needed(tmp_path: Path) -> None:
    """Modules without targets, or targets without modules, are one sentence that says which file to add."""
    modules, targets = tmp_path / "blackbox.yml", tmp_path / "prometheus.yml"
    modules.write_text("modules: {a: {prober: icmp}}")
    targets.write_text("scrape_configs: []")
    with pytest.raises(ConfigError, match="name the Prometheus config too"):
        convert([modules], environ={})
    with pytest.raises(ConfigError, match="name the exporter's config too"):
        convert([targets], environ={})
