"""`/metrics`: the checks under blackbox_exporter's names."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from partywidgets.auth import Identity
from partywidgets.scans.model import CheckResult, Metric, Status, utc_now
from partywidgets.scans.report import ScanReport
from partywidgets.scans.silence import Silence
from tests.debian_package import unpacked
from tests.ports import kept_port

from .party.serving import until, upgrade_request
from .running_app import Running, running
from .scans.checks.servers import Authority, dns_server, web_server

ROOT = Path(__file__).parents[1]
FOUR = ("crit-1", "crit-silenced", "unknown-1", "ok-1")
Samples = dict[tuple[str, str], list[Sample]]


async def scraped(app: Running) -> Samples:
    """The page as a strict reader of OpenMetrics sees it, by sample name and check id."""
    async with app.http.get(f"{app.url}/metrics", headers=app.bearer(app.guest)) as answer:
        assert answer.status == 200
        page = await answer.text()
    found: Samples = {}
    for family in text_string_to_metric_families(page):  # type: ignore[no-untyped-call]
        for sample in family.samples:
            found.setdefault((sample.name, sample.labels.get("check_id", "")), []).append(sample)
    return found


def values(samples: list[Sample]) -> list[float]:
    """What the samples say."""
    return [sample.value for sample in samples]


async def test_probes_have_the_names_of_blackbox_exporter(tmp_path: Path) -> None:
    """Verdicts, phases, status codes and the end of a certificate are there of each check that has them, and of no other."""
    authority = Authority(tmp_path)
    ends = timedelta(days=30)
    async with running(tmp_path / "storage") as app, web_server() as plain, dns_server() as resolver:
        async with web_server(authority.server_context("localhost", ends=ends)) as secure:
            before = datetime.now(UTC) + ends
            config = f"""checks:
  - {{id: plain, type: http, url: "http://127.0.0.1:{plain.port}/status/503"}}
  - {{id: secure, type: http, url: "https://localhost:{secure.port}/json", ca_file: "{authority.ca_file}"}}
  - {{id: leaf, type: tls, host: localhost, port: {secure.port}, ca_file: "{authority.ca_file}"}}
  - {{id: warned, type: host, disk: /, warn: "used_percent >= 0"}}
  - {{id: closed, type: http, url: "http://127.0.0.1:{kept_port()}/"}}
  - {{id: name, type: dns, name: plain.example, resolver: "{resolver}"}}
"""
            status, answer = await app.json("PUT", "/api/ops/config/a.yaml", data=config)
            assert status == 200, answer
            assert (await app.json("POST", "/api/ops/scans", json={"wait": True}))[0] == 200
        seen = await scraped(app)
    success = {check: value for (name, check), found in seen.items() if name == "probe_success" for value in values(found)}
    assert success == {"plain": 0, "secure": 1, "leaf": 1, "warned": 1, "closed": 0, "name": 1}
    assert values(seen["probe_http_status_code", "plain"]) == [503]
    assert values(seen["probe_http_status_code", "secure"]) == [200]
    assert values(seen["probe_http_status_code", "closed"]) == [0]
    assert ("probe_http_status_code", "leaf") not in seen
    assert values(seen["probe_http_ssl", "plain"]) + values(seen["probe_http_ssl", "secure"]) == [0, 1]
    phases = {sample.labels["phase"]: sample.value for sample in seen["probe_http_duration_seconds", "secure"]}
    assert list(phases) == ["resolve", "connect", "tls", "processing", "transfer"]
    assert phases["tls"] > 0
    assert phases["resolve"] == values(seen["probe_dns_lookup_time_seconds", "secure"])[0]
    assert [sample.labels["phase"] for sample in seen["probe_dns_duration_seconds", "name"]] == ["request"]
    assert values(seen["probe_duration_seconds", "plain"])[0] > 0
    (end,) = values(seen["probe_ssl_earliest_cert_expiry", "secure"])
    assert values(seen["probe_ssl_earliest_cert_expiry", "leaf"]) == [end]
    assert abs(end - before.timestamp()) < 60


async def test_who_has_no_role_in_ops_sees_nothing_of_the_checks(tmp_path: Path) -> None:
    """As the ops room: an operator of terminals is shown the host's own figures and no check; a viewer is shown all."""
    olga = "olga-token-for-these-tests"
    async with running(tmp_path, people={olga: Identity("olga", "Olga", frozenset({"operator"}))}) as app:
        report = ScanReport(results=[CheckResult("payments-db", "tcp", "x", "crit")], finished_at=datetime.now(UTC))
        assert (await app.json("POST", "/api/ops/scans", json={"report": report.to_wire(max_bytes=None)}))[0] == 201
        assert (await app.json("GET", "/api/ops/scans/rows", token=olga))[0] == 403
        async with app.http.get(f"{app.url}/metrics", headers=app.bearer(olga)) as answer:
            page = await answer.text()
        assert "partywidgets_connections 0.0" in page
        assert [name for name in ("payments-db", "partywidgets_check", "probe_success", "notifications") if name in page] == []
        assert ("probe_success", "payments-db") in await scraped(app)


async def test_a_page_of_hostile_results_is_still_openmetrics(tmp_path: Path) -> None:
    """Quotes, line breaks, doubled numbers and a type's unexpected shape make no line that a strict reader refuses; icmp has its phases."""
    results = [
        CheckResult('a"b\\\n} 1', "http", "x", "crit", metrics=[Metric("status", 500), Metric("status", 501), Metric('"\n', 1, "{")]),
        CheckResult("pinged", "icmp", "x", "ok", phases_ms={"resolve": 2.0, "processing": 9.0}, metrics=[Metric("rtt_avg_ms", 3.0, "ms")]),
        CheckResult("skipped", "dns", "x", "skip"),
    ]
    report = ScanReport(results=results, finished_at=datetime.now(UTC))
    async with running(tmp_path) as app:
        status, answer = await app.json("POST", "/api/ops/scans", json={"report": report.to_wire(max_bytes=None)})
        assert status == 201, answer
        seen = await scraped(app)
    assert {s.labels["phase"]: s.value for s in seen["probe_icmp_duration_seconds", "pinged"]} == {"resolve": 0.002, "rtt": 0.003}
    assert ("probe_success", "skipped") not in seen
    assert ("probe_duration_seconds", "skipped") in seen
    assert len([name for name, _ in seen if name == "probe_http_status_code"]) == 1


async def test_what_whoever_runs_a_host_looks_at(tmp_path: Path) -> None:
    """Refused requests by their status, the history's size, the room left on its disk, and Prometheus' own figures of the process."""
    async with running(tmp_path) as app:
        before = await scraped(app)
        for headers in ({"Authorization": "Bearer not-a-token-of-this-host"}, {"Origin": "https://elsewhere.example"}):
            async with app.http.get(f"{app.url}/metrics", headers=headers) as answer:
                assert answer.status in (401, 403)
        seen = await scraped(app)
    refused = seen["partywidgets_refused_total", ""]
    assert [sample.labels["status"] for sample in refused] == ["401", "403"]
    assert [now - then for now, then in zip(values(refused), values(before["partywidgets_refused_total", ""]), strict=True)] == [1, 1]
    assert values(seen["partywidgets_history_bytes", ""])[0] >= 4096
    assert values(seen["partywidgets_storage_free_bytes", ""])[0] > 0
    if sys.platform == "linux":
        assert values(seen["process_resident_memory_bytes", ""])[0] > 2**20
        assert values(seen["process_open_fds", ""])[0] > 3


async def test_peers_that_are_behind_are_seen(tmp_path: Path) -> None:
    """What a socket was sent and has not taken stands under its party, and is gone with it."""
    party = "ops-monitor-broadcast"
    async with running(tmp_path) as app:
        room = await app.app.host.get_server_by_name(party, "main")
        reader, writer = await asyncio.open_connection("127.0.0.1", app.port, limit=1024)
        head = f"Authorization: Bearer {app.owner}"
        writer.write(upgrade_request(app.port, f"/parties/{party}/main", [head]))
        async with asyncio.timeout(20):
            assert (await reader.readline()).startswith(b"HTTP/1.1 101")
        [peer] = room.get_connections()
        async with asyncio.timeout(20):
            while True:  # until the kernel takes nothing of it while the page is made
                while not (unread := peer.buffered):
                    room.broadcast(b"x" * 65536)
                    await asyncio.sleep(0)
                seen = (await scraped(app))["partywidgets_unread_bytes", ""]
                if unread == peer.buffered:
                    break
        assert {sample.labels["party"]: sample.value for sample in seen} == {party: unread, "terminal-server": 0}
        writer.transport.abort()
        await until(lambda: not room.get_connections())
        assert sum(values((await scraped(app))["partywidgets_unread_bytes", ""])) == 0


async def test_who_asks_for_plain_text_gets_a_page_that_promtool_takes(tmp_path: Path) -> None:
    """An agent that knows Prometheus' text format alone: promtool reads the page and finds no fault with a name or a type."""
    program = await asyncio.to_thread(lambda: unpacked("prometheus") / "usr/bin/promtool")
    seen = [Metric("status", 503), Metric("size", 9.0, "B"), Metric('q"\n', 1, "{")]
    results = [CheckResult('a"b\n', "http", "x", "crit", phases_ms={"resolve": 2.0}, metrics=seen)]
    report = ScanReport(results=results, finished_at=datetime.now(UTC))
    async with running(tmp_path) as app:
        status, answer = await app.json("POST", "/api/ops/scans", json={"report": report.to_wire(max_bytes=None)})
        assert status == 201, answer
        asks = {**app.bearer(app.guest), "Accept": "text/plain;version=0.0.4;q=1,*/*;q=0.1"}
        async with app.http.get(f"{app.url}/metrics", headers=asks) as plain:
            assert (plain.headers["Content-Type"], plain.headers["Vary"]) == ("text/plain; version=0.0.4; charset=utf-8", "Accept")
            page = await plain.read()
    process = await asyncio.create_subprocess_exec(
        program, "check", "metrics", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    complaints, _ = await asyncio.wait_for(process.communicate(page), 60)
    assert (process.returncode, complaints.decode()) == (0, "")


async def test_the_alert_rules_of_the_docs_fire_for_what_nobody_takes_care_of(tmp_path: Path) -> None:
    """promtool takes the rules. With what a host says they fire for a crit and an unknown check, with title and team, and not for
    a silenced one, or one that is ok."""
    program = await asyncio.to_thread(lambda: unpacked("prometheus") / "usr/bin/promtool")
    rules = (ROOT / "docs/how-to/operate.md").read_text().split("```yaml\n# partywidgets.rules.yml\n")[1].split("```")[0]
    (tmp_path / "rules.yml").write_text(rules)
    web = {"team": "web", "a.b/c": 'with "quotes"'}
    results = [CheckResult(name, "tcp", name, cast("Status", name.split("-")[0]), title=name.upper(), labels=web) for name in FOUR]
    results[1].labels = {"team": "quiet"}
    async with running(tmp_path / "storage") as app:
        now = utc_now()
        await app.app.service.suppressions.silence(Silence({"team": "quiet"}, "deploy", "Ana", now, now + timedelta(hours=1)))
        report = ScanReport(results=results, finished_at=now)
        status, answer = await app.json("POST", "/api/ops/scans", json={"report": report.to_wire(max_bytes=None)})
        assert status == 201, answer
        seen = await scraped(app)
    series = [
        {"series": _series(name, sample), "values": f"{int(name.endswith('_refused')) or sample.value:g}x30"}
        for (name, _), samples in seen.items()
        for sample in samples
        if name.startswith("partywidgets_")
    ]
    fingerprints = {row.check_id: row.fingerprint for row in results}
    unwell = {"exp_labels": {"instance": "ops"}, "exp_annotations": {"summary": "partywidgets_config_refused on ops: its log says why"}}
    expected: list[dict[str, object]] = [
        {"alertname": "PartywidgetsNotWell", "eval_time": "15m", "exp_alerts": [unwell]},
        {"alertname": "PartywidgetsTellsNobody", "eval_time": "15m", "exp_alerts": []},
    ]
    expected += [
        {
            "alertname": alert,
            "eval_time": "15m",
            "exp_alerts": [
                {
                    "exp_labels": {
                        "check_id": name,
                        "fingerprint": fingerprints[name],
                        "type": "tcp",
                        "severity": "medium",
                        "instance": "ops",
                        "title": name.upper(),
                        "label_team": "web",
                    },
                    "exp_annotations": {"summary": summary},
                }
                for name in names
            ],
        }
        for alert, names, summary in (
            ("CheckCrit", ["crit-1"], "CRIT-1 is crit"),
            ("CheckUnknown", ["unknown-1"], "nobody knows how UNKNOWN-1 is"),
        )
    ]
    tests = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": series, "alert_rule_test": expected}],
    }
    (tmp_path / "test.yml").write_text(json.dumps(tests))
    for command in ("check", "test"):
        process = await asyncio.create_subprocess_exec(
            program,
            command,
            "rules",
            "rules.yml" if command == "check" else "test.yml",
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 0, said.decode()


def _series(name: str, sample: Sample) -> str:
    labels = ",".join(f"{label}={json.dumps(value)}" for label, value in {**sample.labels, "instance": "ops"}.items())
    return f"{name}{{{labels}}}"


HALF = "\ud800"
"""Half a surrogate pair: JSON can say it, UTF-8 cannot."""


@pytest.mark.parametrize(
    "part",
    [
        {"fingerprint": f"f{HALF}"},
        {"result_id": f"r{HALF}"},
        {"check_id": f"x{HALF}", "title": HALF, "target": f"t{HALF}", "check_type": HALF},
        {"metrics": [{"name": f"a{HALF}", "value": 1, "unit": ""}]},
        {"metrics": [{"name": "a", "value": 1, "unit": f"\x1b[2J{HALF}", "warn": HALF}]},
        {"phases_ms": {f"p{HALF}": 1.0}, "links": [f"https://x.example/{HALF}"]},
    ],
    ids=["fingerprint", "result", "texts", "name", "unit", "phase"],
)
async def test_a_published_text_that_is_none_breaks_no_page(tmp_path: Path, part: dict[str, object]) -> None:
    """One runner's row with text that no encoding can write is placed and kept as text, and the metrics of all the others stay readable."""
    async with running(tmp_path) as app:
        row = {"check_id": "x", "check_type": "t", "target": "t", "status": "crit", **part}
        status, answer = await app.json("POST", "/api/ops/scans", json={"report": {"scan_id": "s-1", "results": [row]}})
        assert status == 201, answer
        assert [row.status for row in app.app.service.board.rows.values()] == ["crit"]
        assert await scraped(app)
        status, answer = await app.json("GET", "/api/ops/scans/s-1")
        assert status == 200
        assert HALF not in json.dumps(answer, ensure_ascii=False)
