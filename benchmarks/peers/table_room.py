"""A host whose ops room has many rows: `table_room.py ROWS`. Prints "ready PORT" and leaves `{token, bundle}` beside the builds."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
from pathlib import Path

from benchmarks.peer import BUILD
from partywidgets import bundles
from partywidgets.app import create_app
from partywidgets.auth import LOOPBACK_ORIGINS, Gate, Identity, new_token
from partywidgets.party.grant import OWNER_ROLES
from partywidgets.scans.model import CheckResult, ConditionResult, Metric, Status, utc_now, uuid7
from partywidgets.scans.report import ScanReport
from partywidgets.scans.service import OpsMonitorService
from partywidgets.transport.server import serve

AT_ONCE = 2_000
STATUSES: tuple[Status, ...] = ("ok", "ok", "ok", "ok", "ok", "ok", "ok", "warn", "crit", "unknown")


def row(number: int, chance: random.Random) -> CheckResult:
    """What an HTTP check gives."""
    status = chance.choice(STATUSES)
    duration = chance.random() * 900
    return CheckResult(
        f"service-{number}",
        "http",
        f"https://host-{number % 40}.example/{number}",
        status,
        title=f"Service {number}",
        severity=chance.choice(("low", "medium", "high", "critical")),
        summary=f"{status} after {duration:.0f} ms",
        duration_ms=duration,
        phases_ms={"resolve": 0.1, "connect": 0.3, "tls": 2.0, "processing": duration, "transfer": 0.2},
        conditions=[ConditionResult("status == 200", status == "ok", "200" if status == "ok" else "503")],
        metrics=[Metric("duration_ms", duration, "ms")],
        labels={"team": chance.choice(("web", "data", "infra"))},
    )


async def main() -> None:
    """Serves until killed."""
    chance = random.Random(7)
    token = new_token()
    gate = Gate(tokens={token: Identity("owner", "Owner", OWNER_ROLES | {"runner"})}, any_port_origins=LOOPBACK_ORIGINS)
    with tempfile.TemporaryDirectory() as folder:
        async with create_app(gate=gate, storage=Path(folder)) as app, serve(app.asgi, port=0) as server:
            gate.bind_address(server.port)
            service = app.host.env[OpsMonitorService]
            count = int(sys.argv[1])
            for first in range(0, count, AT_ONCE):
                results = [row(number, chance) for number in range(first, min(first + AT_ONCE, count))]
                report = ScanReport(uuid7(), "manual", utc_now(), utc_now(), results)
                await service.publish(report, broadcast=service.announcer.broadcast, actor="bench")
            told = {"token": token, "bundle": f"/static/{bundles.static_hash()}/dashboard.js"}
            (BUILD / f"table_room-{server.port}.json").write_text(json.dumps(told))
            print(f"ready {server.port}", flush=True)
            await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
