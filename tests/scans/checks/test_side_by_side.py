"""The same targets looked at by prometheus-blackbox-exporter: the same verdicts, the same expiry, the same answer codes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from partywidgets.metrics import probe_families
from partywidgets.scans.checks.dns import DnsCheck
from partywidgets.scans.checks.http import HttpCheck
from partywidgets.scans.checks.tcp import TcpCheck
from tests.ports import kept_port

from .exporter import Exporter, running_exporter
from .servers import Authority, dns_server, look, serving, web_server
from .test_tcp import hold, speak


@pytest.fixture
async def authority(tmp_path: Path) -> Authority:
    """The authority that both trust."""
    return Authority(tmp_path)


@pytest.fixture
async def exporter(tmp_path: Path, authority: Authority) -> AsyncIterator[Exporter]:
    """An exporter with a module for each kind of check, ready."""
    trusted = {"tls_config": {"ca_file": authority.ca_file}, "preferred_ip_protocol": "ip4"}
    modules: dict[str, dict[str, Any]] = {
        "http": {"prober": "http", "http": {**trusted, "follow_redirects": False, "valid_status_codes": [200]}},
        "tcp": {"prober": "tcp"},
        "banner": {"prober": "tcp", "tcp": {"query_response": [{"expect": "^220 "}]}},
        "dns": {"prober": "dns", "dns": {"query_name": "plain.example", "query_type": "A"}},
        "nxdomain": {"prober": "dns", "dns": {"query_name": "missing.example", "query_type": "A"}},
    }
    # One second where no answer comes, many where this machine may be busy.
    modules |= {f"{name}-hung": {**module, "timeout": "1s"} for name, module in modules.items()}
    modules |= {name: {**module, "timeout": "15s"} for name, module in modules.items() if "timeout" not in module}
    async with running_exporter(modules, tmp_path) as running:
        yield running


async def test_http(exporter: Exporter, authority: Authority) -> None:
    """Healthy, wrong status, broken, hung and refused web servers get the same verdict; the phases have the same names."""
    async with web_server() as served:
        for path in ("/json", "/status/503", "/status/302", "/hang", "/half", "/garbage", "/silent", "/chunked"):
            url = f"http://127.0.0.1:{served.port}{path}"
            hung = path in ("/hang", "/half")
            theirs = await exporter.probe("http-hung" if hung else "http", url)
            ours = await look(HttpCheck(id="x", url=url, timeout=1 if hung else 15, conditions=("status == 200",)))
            assert theirs["probe_success"] == (ours.status == "ok"), path
            for phase in ours.phases_ms:
                assert f'probe_http_duration_seconds{{phase="{phase}"}}' in theirs
    url = f"http://127.0.0.1:{kept_port()}/"
    assert (await exporter.probe("http", url))["probe_success"] == 0
    assert (await look(HttpCheck(id="x", url=url, timeout=15))).status == "crit"


@pytest.mark.parametrize(("name", "days"), [("localhost", 30), ("localhost", -2), ("other.example", 30)])
async def test_certificates(exporter: Exporter, authority: Authority, name: str, days: int) -> None:
    """Good, expired and wrong certificates get the same verdict, and a good one the same end."""
    async with web_server(authority.server_context(name, ends=timedelta(days=days))) as served:
        url = f"https://localhost:{served.port}/json"
        theirs = await exporter.probe("http", url)
        ours = await look(HttpCheck(id="x", url=url, timeout=15, ca_file=authority.ca_file))
    assert theirs["probe_success"] == (ours.status == "ok")
    if ours.status == "ok":
        left = next(metric.value for metric in ours.metrics if metric.name == "certificate_expires_in")
        assert abs(theirs["probe_ssl_earliest_cert_expiry"] - (ours.observed_at.timestamp() + left)) < 5


async def test_tcp(exporter: Exporter) -> None:
    """Ports that accept, refuse, greet and stay silent get the same verdict."""
    async with serving(speak) as greeting, serving(hold) as silent:
        for module, port, expect in (
            ("tcp", greeting, None),
            ("tcp", kept_port(), None),
            ("banner", greeting, "220 "),
            ("banner-hung", silent, "220 "),
        ):
            theirs = await exporter.probe(module, f"127.0.0.1:{port}")
            ours = await look(TcpCheck(id="x", host="127.0.0.1", port=port, expect=expect, timeout=1 if "hung" in module else 15))
            assert theirs["probe_success"] == (ours.status == "ok"), (module, port)


async def test_dns(exporter: Exporter) -> None:
    """Answers and absent names are told apart alike. A stray datagram before the answer fails the exporter's probe, ours passes it over."""
    async with dns_server() as resolver:
        for module, name, rcode in (("dns", "plain.example", "NOERROR"), ("nxdomain", "missing.example", "NXDOMAIN")):
            theirs = await exporter.probe(module, resolver)
            ours = await look(DnsCheck(id="x", name=name, resolver=resolver, timeout=15, conditions=(f"rcode == '{rcode}'",)))
            assert ours.status == "ok"
            assert theirs["probe_dns_query_succeeded"] == 1
            assert theirs["probe_success"] == (rcode == "NOERROR")


async def test_metrics_have_the_names_of_the_exporter(exporter: Exporter, authority: Authority) -> None:
    """Every probe_ name and phase that `/metrics` gives of a look over TLS and of a DNS answer is one of the exporter's."""
    async with web_server(authority.server_context("localhost")) as served, dns_server() as resolver:
        url = f"https://localhost:{served.port}/json"
        theirs = await exporter.probe("http", url) | await exporter.probe("dns", resolver)
        web = await look(HttpCheck(id="web", url=url, timeout=15, ca_file=authority.ca_file))
        name = await look(DnsCheck(id="name", name="plain.example", resolver=resolver, timeout=15))
    ours: dict[str, float] = {}
    for family in probe_families([web, name]):
        for sample in family.samples:
            phase = sample.labels.get("phase")
            ours[sample.name if phase is None else f'{sample.name}{{phase="{phase}"}}'] = sample.value
    assert ours.keys() <= theirs.keys()
    for same in ("probe_success", "probe_http_status_code", "probe_http_ssl", "probe_ssl_earliest_cert_expiry"):
        assert ours[same] == theirs[same], same
    assert ours["probe_http_uncompressed_body_length"] == theirs["probe_http_uncompressed_body_length"]
