"""Each type of check in a host as `partywidgets serve CONFIG` starts it: a target that is well, and one that is not."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import time
from contextlib import AsyncExitStack, closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from partywidgets.scans.checks import CHECK_TYPES
from tests.cli.conftest import Serve
from tests.ports import kept_port
from tests.scans.checks.kubernetes_peer import Cluster, cluster, pod
from tests.scans.checks.servers import Authority, answer, dns_server, serving, web_server
from tests.scans.checks.test_domain import registration, registry

SECRET = "a-secret-of-the-tests-"
FUNCTIONS = """
import partywidgets as pw

@pw.check(id="function-well")
async def well():
    return True

@pw.check(id="function-ill")
def ill():
    assert 6 * 7 == 41, "not 41"
"""


async def prometheus(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Two answers of Prometheus' API: a metric that is up, and one that is not."""
    up = b"query=up" in await reader.readuntil(b"\r\n\r\n")
    sample = {"metric": {"job": "shop"}, "value": [1700000000.1, "1" if up else "0"]}
    body = json.dumps({"status": "success", "data": {"resultType": "vector", "result": [sample]}})
    writer.write(answer(body=body.encode(), content_type="application/json"))
    await writer.drain()


async def pairs(stack: AsyncExitStack, folder: Path) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """The targets of each type, and what its two checks have beside type and id."""
    authority = Authority(folder)
    web = await stack.enter_async_context(web_server())
    secure = await stack.enter_async_context(web_server(authority.server_context()))
    expired = await stack.enter_async_context(web_server(authority.server_context(begins=timedelta(days=-60), ends=timedelta(days=-1))))
    names = await stack.enter_async_context(dns_server())
    rdap = await stack.enter_async_context(registry())
    rdap.says("/domain/shop.example", registration("shop.example"))
    metrics = await stack.enter_async_context(serving(prometheus))
    made = Cluster({"pods": [pod("fine"), pod("sick", ready=False, labels={"app": "sick"}), pod("good", labels={"app": "good"})]})
    kube = await stack.enter_async_context(cluster(made, folder))
    with closing(sqlite3.connect(folder / "shop.db")) as database, database:
        database.execute("create table orders (id integer)")
        database.execute("insert into orders values (1)")
    (folder / "fresh.txt").write_text("here")
    (folder / "well.log").write_text("all is fine\n")
    (folder / "ill.log").write_text("the last line of a dead program\n")
    os.utime(folder / "ill.log", (time.time() - 7200,) * 2)
    secrets = {}
    for side in ("well", "ill"):
        (folder / f"{side}.secret").write_text(SECRET + side)
        secrets[side] = f"${{file:{folder / f'{side}.secret'}}}"
    base = f"http://127.0.0.1:{web.port}"
    tls = {"host": "127.0.0.1", "server_name": "localhost", "ca_file": authority.ca_file}
    orders = {"url": f"sqlite:///{folder / 'shop.db'}", "query": "select count(*) from orders"}
    ready = {"kubeconfig": kube, "kinds": ["pods"], "timeout": "30s"}
    return {
        "http": ({"url": f"{base}/json", "conditions": ["body.status == 'ok'"]}, {"url": f"{base}/status/503"}),
        "tcp": ({"host": "127.0.0.1", "port": web.port}, {"host": "127.0.0.1", "port": kept_port()}),
        "dns": ({"name": "shop.example", "resolver": names}, {"name": "missing.example", "resolver": names}),
        "domain": ({"name": "shop.example", "server": rdap.url}, {"name": "gone.example", "server": rdap.url}),
        "tls": ({**tls, "port": secure.port}, {**tls, "port": expired.port}),
        "icmp": ({"host": "127.0.0.1", "count": 1}, {"host": "no-such-host.invalid", "count": 1}),
        "exec": ({"command": ["/bin/sh", "-c", "echo OK"]}, {"command": ["/bin/sh", "-c", "echo CRITICAL; exit 2"]}),
        "heartbeat": ({"secret": secrets["well"], "within": "1h"}, {"secret": secrets["ill"], "within": "1s"}),
        "host": ({"disk": "/", "crit": "used_percent > 100"}, {"disk": "/", "crit": "used_percent >= 0"}),
        "file": ({"path": str(folder / "fresh.txt"), "max_age": "1h"}, {"path": str(folder / "missing.txt")}),
        "log": (
            {"path": str(folder / "well.log"), "pattern": "ERROR", "from_start": True},
            {"path": str(folder / "ill.log"), "max_age": "1h"},
        ),
        "promql": (
            {"url": f"http://127.0.0.1:{metrics}", "query": "up", "conditions": ["value == 1"]},
            {"url": f"http://127.0.0.1:{metrics}", "query": "down", "conditions": ["value == 1"]},
        ),
        "sql": ({**orders, "conditions": ["value == 1"]}, {**orders, "conditions": ["value > 1"]}),
        "kubernetes": ({**ready, "selector": "app=good"}, {**ready, "selector": "app=sick"}),
    }


async def test_each_type_tells_well_from_ill(serve: Serve, tmp_path: Path) -> None:
    """One scan over HTTP: every type is ok on one side and crit on the other; what cannot be looked at here says so."""
    (tmp_path / "well_and_ill.py").write_text(FUNCTIONS)
    async with AsyncExitStack() as stack:
        made = await pairs(stack, tmp_path)
        checks = [
            {"id": f"{kind}-{side}", "type": kind, **keys}
            for kind, both in made.items()
            for side, keys in zip(("well", "ill"), both, strict=True)
        ]
        # Neither has a well side on every machine: tests/scans/checks has docker's on real engines, systemd's on what `systemctl` prints.
        checks += [{"id": "docker-absent", "type": "docker", "container": "web", "url": f"unix://{tmp_path / 'no.sock'}"}]
        checks += [{"id": "systemd-absent", "type": "systemd", "unit": "no-such-unit-of-the-tests.service"}]
        config = tmp_path / "partywidgets.yaml"
        config.write_text(json.dumps({"checks": checks, "modules": ["well_and_ill"]}))
        host = await asyncio.to_thread(serve, config)
        headers = {"Authorization": f"Bearer {host.token}"}
        async with httpx.AsyncClient(base_url=host.url, headers=headers, timeout=60, trust_env=False) as client:
            beat = await client.post(f"/api/ops/heartbeat/{SECRET}well")
            assert beat.status_code < 300, beat.text
            late = await client.post(f"/api/ops/heartbeat/{SECRET}ill")
            heard = time.monotonic()
            assert late.status_code < 300
            while time.monotonic() < heard + 1.1:  # the beat must be older than its second
                await asyncio.sleep(0.1)
            answered = await client.post("/api/ops/scans", json={"wait": True})
            assert answered.status_code == 200, answered.text
    rows = {row["check_id"]: row for row in answered.json()["results"]}
    told = {name: (row["status"], row["summary"]) for name, row in rows.items()}
    kinds = [*made, "function"]
    wrong = {name: told.get(name) for kind in kinds for name in (f"{kind}-well",) if told.get(name, ("",))[0] != "ok"}
    wrong |= {name: told.get(name) for kind in kinds for name in (f"{kind}-ill",) if told.get(name, ("",))[0] != "crit"}
    assert wrong == {}
    assert {*kinds, "docker", "systemd"} == CHECK_TYPES.keys() | {"function"}
    for name in ("docker-absent", "systemd-absent"):
        assert told[name][0] in ("unknown", "crit")
        assert told[name][1]
