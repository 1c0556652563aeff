"""HTTP checks a second on a loopback nginx, beside blackbox_exporter and bare aiohttp.

Ours is `partywidgets serve` with conditions, evidence, redaction, history on disk, and dashboards connected that read everything; a scan
ends when the last dashboard has its `scan-result`. nginx and blackbox_exporter are Debian's, unpacked beside the system.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

from tests.debian_package import unpacked

from .peer import HERE, PEERS, compiled, plain_shells, started

REPLICAS = [{"name": f"shop-{number}", "ready": True} for number in range(4)]
BODY = {"status": "ok", "version": "2026.11.1", "queue": {"length": 3}, "replicas": REPLICAS}
NGINX = """daemon off; pid nginx.pid; error_log stderr; worker_processes 1; events {{ worker_connections 1024; }}
http {{ access_log off; types {{ application/json json; }}
client_body_temp_path t; proxy_temp_path t; fastcgi_temp_path t; uwsgi_temp_path t; scgi_temp_path t;
server {{ listen 127.0.0.1:{port}; root www; }} }}
"""
MODULE = {
    "prober": "http",
    "timeout": "5s",
    "http": {
        "preferred_ip_protocol": "ip4",
        "valid_status_codes": [200],
        "fail_if_body_not_matches_regexp": ['"status": *"ok"'],
    },
}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextlib.contextmanager
def listening(command: list[str | Path], port: int, cwd: Path) -> Iterator[None]:
    """Runs a server until the block ends; the block begins when its port answers."""
    with tempfile.TemporaryFile(mode="w+") as said:
        process = subprocess.Popen([str(part) for part in command], cwd=cwd, stdout=said, stderr=said)
        try:
            deadline = time.monotonic() + 20
            while True:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                if process.poll() is not None or time.monotonic() > deadline:
                    said.seek(0)
                    raise RuntimeError(f"{command[0]} does not listen: {said.read()[-2000:]}")
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait(10)


@contextlib.contextmanager
def nginx(folder: Path) -> Iterator[int]:
    """nginx with one JSON file; yields its port."""
    port = free_port()
    (folder / "www").mkdir()
    (folder / "www" / "health.json").write_text(json.dumps(BODY))
    user = "user root;\n" if os.geteuid() == 0 else ""  # the folder is this user's alone
    (folder / "nginx.conf").write_text(user + NGINX.format(port=port))
    with listening([unpacked("nginx") / "usr/sbin/nginx", "-p", folder, "-c", "nginx.conf", "-e", "stderr"], port, folder):
        yield port


@contextlib.contextmanager
def blackbox(folder: Path) -> Iterator[int]:
    """blackbox_exporter with one module; yields its port."""
    port = free_port()
    (folder / "blackbox.yml").write_text(json.dumps({"modules": {"http": MODULE}}))
    program = unpacked("prometheus-blackbox-exporter") / "usr/bin/prometheus-blackbox-exporter"
    command: list[str | Path] = [program, "--config.file=blackbox.yml", f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
    with listening(command, port, folder):
        yield port


def probed(exporter: int, target: int, checks: int, concurrency: int) -> float:
    """Probes a second of the exporter, asked over kept connections as Prometheus does."""
    return asyncio.run(_probed(exporter, target, checks, concurrency))


async def _probed(exporter: int, target: int, checks: int, concurrency: int) -> float:
    paths = iter([f"/probe?module=http&target={quote(url(target, number), safe='')}" for number in range(checks)])

    async def ask() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", exporter)
        for path in paths:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            size = re.search(rb"(?i)content-length: (\d+)", head)
            if size is not None:
                body = await reader.readexactly(int(size[1]))
            else:
                body = b""
                while length := int(await reader.readline(), 16):
                    body += (await reader.readexactly(length + 2))[:-2]
                await reader.readline()
            if b"\nprobe_success 1\n" not in body:
                raise RuntimeError(f"the exporter's probe failed:\n{body.decode()}")
        writer.close()

    begin = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(ask())
    return checks / (time.perf_counter() - begin)


def url(port: int, number: int) -> str:
    """The target of a check."""
    return f"http://127.0.0.1:{port}/health.json?check={number}"


def config(port: int, checks: int, concurrency: int) -> str:
    """The config of ours, as YAML (which JSON is)."""
    return json.dumps(
        {
            "limits": {"total": concurrency, "per_host": concurrency},
            "sandboxes": {"default": "local:/bin/bash"},
            "checks": [
                {
                    "id": f"shop-{number}",
                    "type": "http",
                    "url": url(port, number),
                    "labels": {"team": f"team-{number % 20}"},
                    "conditions": ["status == 200", "body.status == 'ok'", "duration_ms < 5000"],
                }
                for number in range(checks)
            ],
        }
    )


PRESSES = 400
"""Keys of which the echo is measured, alone and beside scans."""


class Ours:
    """A running host with its dashboards."""

    def __init__(self, port: int, token: str, dashboards: subprocess.Popen[str], checks: int) -> None:
        self.port, self.token, self.dashboards, self.checks = port, token, dashboards, checks

    def scan(self) -> float:
        """Checks a second of one scan: from the request to the last dashboard's `scan-result`."""
        address, headers = f"http://127.0.0.1:{self.port}/api/ops/scans", {"Authorization": f"Bearer {self.token}"}
        begin = time.monotonic()
        with urllib.request.urlopen(urllib.request.Request(address, b"{}", headers), timeout=60) as response:
            scan_id = json.loads(response.read())["scan_id"]
        assert self.dashboards.stdout is not None
        told = json.loads(self.dashboards.stdout.readline())
        with urllib.request.urlopen(urllib.request.Request(f"{address}/{scan_id}", headers=headers), timeout=60) as response:
            report = json.loads(response.read())
        if report["counts"]["ok"] != self.checks or told["fewest"] != self.checks:
            said = next((result["summary"] for result in report["results"] if result["status"] != "ok"), "")
            raise RuntimeError(f"{self.checks} checks, {report['counts']} in the history, {told['fewest']} at a dashboard; {said}")
        return self.checks / float(told["at"] - begin)

    def echo(self, presses: int) -> list[float]:
        """Milliseconds from each key to its echo, of a person at a shell of the same host."""
        terminal = ("rich", "127.0.0.1", self.port, f"/parties/terminal-server/echo-{secrets.token_hex(4)}")
        command = [compiled(HERE / "terminal_client.c"), *terminal, "echo", presses, 1]
        said = subprocess.run(
            [str(part) for part in command],
            capture_output=True,
            text=True,
            env={**os.environ, "TERMINAL_HEADER": f"Authorization: Bearer {self.token}"},
        )
        if said.returncode != 0:
            raise RuntimeError(said.stderr.strip())
        return sorted(json.loads(said.stdout)["ms"])

    def echo_beside_scans(self, presses: int) -> list[float]:
        """The same while scans run."""
        over = threading.Event()

        def scans() -> None:
            while not over.is_set():
                self.scan()

        scanning = threading.Thread(target=scans)
        scanning.start()
        try:
            return self.echo(presses)
        finally:
            over.set()
            scanning.join()


@contextlib.contextmanager
def ours(folder: Path, target: int, checks: int, concurrency: int, dashboards: int) -> Iterator[Ours]:
    """`partywidgets serve` on the config, and a process with the dashboards' sockets."""
    token = secrets.token_urlsafe(32)
    (folder / "checks.yaml").write_text(config(target, checks, concurrency))
    os.environ["PARTYWIDGETS_TOKEN"] = token
    command: list[str | Path] = [sys.executable, "-m", "partywidgets", "serve", folder / "checks.yaml", "--port", "0"]
    with started([*command, "--storage", folder / "state"], timeout=60) as (_, port):
        channel = f"ws://127.0.0.1:{port}/api/ops/broadcast"
        people = subprocess.Popen([sys.executable, PEERS / "dashboards.py", channel, str(dashboards)], stdout=subprocess.PIPE, text=True)
        try:
            assert people.stdout is not None
            if people.stdout.readline() != "ready\n":
                raise RuntimeError("the dashboards could not connect")
            yield Ours(port, token, people, checks)
        finally:
            people.terminate()
            people.wait(10)


def bare(target: int, checks: int, concurrency: int) -> float:
    """Requests a second of aiohttp alone."""
    command = [sys.executable, PEERS / "bare_aiohttp.py", str(target), str(checks), str(concurrency)]
    return float(subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True).stdout)


def main(argv: list[str]) -> None:
    """Prints the median of the rounds of each, and ours in multiples of the peers, round by round."""
    parser = argparse.ArgumentParser(prog="./dev bench checks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--checks", type=int, default=3000)
    parser.add_argument("--concurrency", type=int, default=50)
    parser.add_argument("--dashboards", type=int, default=20)
    given = parser.parse_args(argv)
    plain_shells()
    amount = (given.checks, given.concurrency)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        target = stack.enter_context(nginx(folder))
        exporter = stack.enter_context(blackbox(folder))
        host = stack.enter_context(ours(folder, target, *amount, given.dashboards))
        name = f"ours, {given.dashboards} dashboards"
        measures: dict[str, Callable[[], float]] = {
            name: host.scan,
            "blackbox_exporter": lambda: probed(exporter, target, *amount),
            "bare aiohttp": lambda: bare(target, *amount),
        }
        for measure in measures.values():
            measure()  # the first one imports, opens files, makes rows
        quiet, beside = host.echo(PRESSES), host.echo_beside_scans(PRESSES)
        figures: dict[str, list[float]] = {name: [] for name in measures}
        for _ in range(given.rounds):
            for measured, measure in measures.items():
                figures[measured].append(measure())
    print(f"\n{given.checks:,} HTTP checks, concurrency {given.concurrency}, median of {given.rounds} rounds")
    print(f"{'':26}{'checks/s':>10}{'lowest':>10}{'highest':>10}{'ours x':>8}")
    for measured, rates in figures.items():
        ratio = statistics.median(own / other for own, other in zip(figures[name], rates, strict=True))
        print(f"{measured:26}{statistics.median(rates):>10,.0f}{min(rates):>10,.0f}{max(rates):>10,.0f}{ratio:>8.2f}", flush=True)
    print(f"\nEcho in a terminal of the same host, {PRESSES} keys{'p50 ms':>16}{'p90 ms':>10}{'p99 ms':>10}")
    for when, took in (("while nothing else happens", quiet), ("while scans run", beside)):
        shares = "".join(f"{took[min(int(len(took) * part), len(took) - 1)]:>10.2f}" for part in (0.5, 0.9, 0.99))
        print(f"{when:50}{shares}", flush=True)
