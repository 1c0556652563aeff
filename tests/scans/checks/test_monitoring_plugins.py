"""The same targets looked at by Debian's monitoring-plugins, run unchanged by the exec check: the same verdicts and the same expiry.

Where they differ, `DIFFERENCES` says how, and docs/how-to/checks.md why.
"""

from __future__ import annotations

import asyncio
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from partywidgets.scans.checks.dns import DnsCheck
from partywidgets.scans.checks.exec import ExecCheck
from partywidgets.scans.checks.http import HttpCheck
from partywidgets.scans.checks.icmp import IcmpCheck
from partywidgets.scans.checks.tcp import TcpCheck
from partywidgets.scans.checks.tls import TlsCheck
from partywidgets.scans.model import CheckResult, Status
from tests.debian_package import unpacked
from tests.node_packages import without
from tests.ports import kept_port

from .servers import Authority, dns_server, look, serving, web_server
from .test_tcp import hold, speak

BASIC = Path("/usr/lib/nagios/plugins")
DOCS = Path(__file__).parents[3] / "docs" / "how-to" / "checks.md"
CERTIFICATE = "an expired, wrong-name or untrusted certificate"
DIFFERENCES: dict[str, tuple[Status, Status, str]] = {
    "/status/404": ("warn", "crit", "an answer of 400 to 499"),
    "/cut": ("ok", "crit", "an answer that ends before its length"),
    "check_http without verification, expired": ("ok", "crit", CERTIFICATE),
    "check_http without verification, other.example": ("ok", "crit", CERTIFICATE),
    "check_http -C, other.example": ("ok", "crit", CERTIFICATE),
    "greets otherwise, and closes": ("warn", "crit", "a banner that does not begin as expected"),
}
"""What the plugin says and what ours says, where that is not the same, and the line of the docs' table that explains it."""


def test_the_docs_explain_each_difference() -> None:
    """The table of the docs has a line for each difference and no other, with a reason in each cell."""
    table = DOCS.read_text().partition("### In place of a plugin")[2].partition("\n## ")[0]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line.startswith("|")]
    assert {line[0] for line in lines[2:]} == {row for _, _, row in DIFFERENCES.values()}
    assert all(len(line) == 3 and all(line) for line in lines)


async def plugin(name: str, *arguments: object) -> CheckResult:
    """The result of one of Debian's plugins."""
    program = BASIC / name
    if not program.exists():
        without(f"{program} is not installed (monitoring-plugins-basic)")
    return await look(ExecCheck(id="plugin", command=(str(program), *map(str, arguments)), timeout=20))


async def standard_plugin(name: str, *arguments: object) -> CheckResult:
    """The same of the package with more plugins, which is unpacked beside the system."""
    root = await asyncio.to_thread(unpacked, "monitoring-plugins-standard", "liburiparser1")
    (library,) = {place.parent for place in root.glob("usr/lib/*/liburiparser.so.*")}
    program = root / "usr/lib/nagios/plugins" / name
    return await look(
        ExecCheck(id="plugin", command=(str(program), *map(str, arguments)), env={"LD_LIBRARY_PATH": str(library)}, timeout=20)
    )


def assert_alike(what: str, theirs: CheckResult, ours: CheckResult) -> None:
    """One verdict, or the difference that is known."""
    expected = DIFFERENCES.get(what, (theirs.status, theirs.status))
    assert (theirs.status, ours.status) == expected[:2], f"{what}: {theirs.summary} / {ours.summary}"


@pytest.fixture
async def authority(tmp_path: Path) -> Authority:
    """The authority that signs what the servers show."""
    return Authority(tmp_path)


def patience(path: str) -> int:
    """Seconds to wait for an answer: few where none comes, many where this machine may be busy."""
    return 1 if path in ("/hang", "/half") else 15


async def test_http() -> None:
    """Healthy, slow, wrong, broken, hung and refused web servers, by check_http and by check_curl."""
    paths = ("/json", "/status/503", "/status/404", "/status/302", "/hang", "/half", "/cut", "/garbage", "/silent", "/chunked")
    async with web_server() as served:
        for path in paths:
            limit = patience(path)
            ours = await look(HttpCheck(id="x", url=f"http://127.0.0.1:{served.port}{path}", timeout=limit))
            assert_alike(path, await plugin("check_http", "-I", "127.0.0.1", "-p", served.port, "-u", path, "-t", limit), ours)
        for path in ("/json", "/status/503", "/hang"):
            limit = patience(path)
            ours = await look(HttpCheck(id="x", url=f"http://127.0.0.1:{served.port}{path}", timeout=limit))
            assert_alike(path, await standard_plugin("check_curl", "-I", "127.0.0.1", "-p", served.port, "-u", path, "-t", limit), ours)
    port = kept_port()
    ours = await look(HttpCheck(id="x", url=f"http://127.0.0.1:{port}/", timeout=15))
    assert_alike("refused", await plugin("check_http", "-I", "127.0.0.1", "-p", port, "-t", 15), ours)
    assert ours.status == "crit"


async def test_thresholds_of_a_slow_answer() -> None:
    """Slower than the warning and than the critical time: warn, crit, by the options there and by expressions here."""

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.6)  # it is slow
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        await writer.drain()

    async with serving(slow) as port:
        for warn, crit, status in ((0.2, 8, "warn"), (0.1, 0.2, "crit"), (8, 9, "ok")):
            theirs = await plugin("check_http", "-I", "127.0.0.1", "-p", port, "-w", warn, "-c", crit, "-t", 10)
            late, too_late = f"duration_ms > {warn * 1000:.0f}", f"duration_ms > {crit * 1000:.0f}"
            ours = await look(HttpCheck(id="x", url=f"http://127.0.0.1:{port}/", timeout=10, warn=late, crit=too_late))
            assert (theirs.status, ours.status) == (status, status)


@pytest.mark.parametrize(("name", "days"), [("localhost", 30), ("localhost", -2), ("other.example", 30)])
async def test_certificates(authority: Authority, name: str, days: int) -> None:
    """A good, an expired and a wrong-name certificate: check_curl verifies as we do, check_http does not; the end is the same."""
    what = "expired" if days < 0 else name
    async with web_server(authority.server_context(name, ends=timedelta(days=days))) as served:
        place = ("-S", "--sni", "-H", "localhost", "-I", "127.0.0.1", "-p", served.port, "-t", 15)
        url = f"https://localhost:{served.port}/json"
        ours = await look(HttpCheck(id="x", url=url, timeout=5, family="ipv4", ca_file=authority.ca_file))
        tls = await look(TlsCheck(id="x", host="localhost", port=served.port, family="ipv4", timeout=15, ca_file=authority.ca_file))
        curl = await standard_plugin("check_curl", *place, "-u", "/json", "-D", f"--ca-cert={authority.ca_file}")
        plain = await plugin("check_http", *place, "-u", "/json")
        dated = await plugin("check_http", *place, "-C", 14)
    assert ours.status == tls.status == ("ok" if what == "localhost" else "crit")
    assert_alike("check_curl", curl, ours)
    assert_alike(f"check_http without verification, {what}", plain, ours)
    assert_alike(f"check_http -C, {what}", dated, ours)
    said = re.search(r"(?:will expire|expired) on (\w{3} \w{3} .\d \d\d:\d\d:\d\d \d{4} \+0000)", dated.summary)
    assert said is not None, dated.summary
    end = datetime.strptime(said[1], "%a %b %d %H:%M:%S %Y %z")
    left = next(metric.value for metric in tls.metrics if metric.name == "certificate_expires_in")
    assert abs((tls.observed_at.astimezone(UTC) + timedelta(seconds=left) - end).total_seconds()) < 60


async def test_tcp() -> None:
    """Ports that accept, refuse, greet, greet with something else and stay silent, by check_tcp; and SSH's greeting by check_ssh."""

    async def ssh(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n")
        await writer.drain()
        await reader.read()

    async def brief(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello\r\n")
        await writer.drain()

    async with serving(speak) as greeting, serving(hold) as silent, serving(ssh) as shell, serving(brief) as closing:
        for what, port, expect in (
            ("accepts", greeting, None),
            ("refused", kept_port(), None),
            ("greets", greeting, "220 "),
            ("greets otherwise", greeting, "SSH-"),
            ("greets otherwise, and closes", closing, "220 "),
            ("silent", silent, "220 "),
        ):
            said = ("-e", expect) if expect else ()
            limit = 2 if what in ("silent", "greets otherwise") else 15
            theirs = await plugin("check_tcp", "-H", "127.0.0.1", "-p", port, "-t", limit, *said)
            assert_alike(what, theirs, await look(TcpCheck(id="x", host="127.0.0.1", port=port, expect=expect, timeout=limit)))
        for what, port in (("ssh", shell), ("no ssh", greeting)):
            limit = 15 if what == "ssh" else 2
            ours = await look(TcpCheck(id="x", host="127.0.0.1", port=port, expect="SSH-", timeout=limit))
            assert_alike(what, await plugin("check_ssh", "-t", limit, "-p", port, "127.0.0.1"), ours)


async def test_dns() -> None:
    """Answers, aliases, absent names, failures, empty answers and silence, by check_dig."""
    if shutil.which("dig") is None:
        without("dig is not installed (bind9-dnsutils): check_dig cannot ask")
    async with dns_server() as resolver:
        host, port = resolver.split(":")
        for name in ("plain", "alias", "missing", "failing", "empty", "silent"):
            asked = f"{name}.example"
            limit = 2 if name == "silent" else 15
            theirs = await standard_plugin("check_dig", "-H", host, "-p", port, "-l", asked, "-t", limit, "-A", "+tries=1")
            ours = await look(DnsCheck(id="x", name=asked, resolver=resolver, timeout=limit, conditions=("count > 0",)))
            assert_alike(name, theirs, ours)


async def test_ping() -> None:
    """Loopback answers, by check_ping."""
    if shutil.which("ping") is None:
        without("ping is not installed (iputils-ping): check_ping cannot ask")
    theirs = await plugin("check_ping", "-H", "127.0.0.1", "-w", "1000,50%", "-c", "2000,60%", "-p", 1)
    ours = await look(IcmpCheck(id="x", host="127.0.0.1", count=1, timeout=15))
    if ours.status == "unknown":
        without(f"no ping socket for this user: {ours.summary}")
    assert_alike("ping", theirs, ours)
