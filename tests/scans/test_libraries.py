"""What looks load is loaded before the first of them."""

from __future__ import annotations

import json
import subprocess
import sys

from partywidgets.scans.checks import CHECK_TYPES

CONFIG = """
checks:
  - { id: http, type: http, url: "http://127.0.0.1:1/" }
  - { id: https, type: http, url: "https://127.0.0.1:1/" }
  - { id: tcp, type: tcp, host: 127.0.0.1, port: 1 }
  - { id: dns, type: dns, name: shop.test, record: A, resolver: 127.0.0.1, timeout: 1s }
  - { id: tls, type: tls, host: 127.0.0.1, port: 1 }
  - { id: host, type: host, disk: / }
  - { id: file, type: file, path: /etc/passwd }
  - { id: log, type: log, path: /etc/passwd }
  - { id: exec, type: exec, command: [/bin/true] }
  - { id: promql, type: promql, url: "http://127.0.0.1:1", query: up }
  - { id: sql, type: sql, url: "postgresql://shop@127.0.0.1:1/shop", query: select 1 }
  - { id: icmp, type: icmp, host: 127.0.0.1, count: 1, timeout: 1s }
  - { id: docker, type: docker, container: shop }
  - { id: systemd, type: systemd, unit: shop.service }
  - { id: kubernetes, type: kubernetes, namespace: shop }
"""
ELSEWHERE = {"function", "heartbeat", "domain"}
"""A function is the author's own, a beat comes by itself, and a registry is not asked from a test."""

SCAN = """
import asyncio, json, sys
from datetime import UTC, datetime
from partywidgets.config import parse_config
from partywidgets.scans.execution import Bench, Loaded, configured
from partywidgets.scans.round import Round

async def main():
    loop, at_first = asyncio.get_running_loop(), []
    own = lambda work, name: loop.create_task(work, name=name)

    def noted(loaded):
        async def look():
            at_first or at_first.append(set(sys.modules))
            return await loaded.look()
        return Loaded(loaded.check, loaded.owner, look, loaded.limit, loaded.own)

    checks = [noted(configured(check, "test", resolve=lambda text: text)) for check in parse_config(sys.argv[1]).checks]
    seen = []
    whole = Round(checks, Bench(own), own, lambda loaded, result: seen.append(loaded.check.type))
    await whole.run(scan_id="", scheduled_at=datetime.now(UTC))
    print(json.dumps({"types": sorted(set(seen)), "imported": sorted(set(sys.modules) - at_first[0])}))

asyncio.run(main())
"""


def test_a_look_imports_nothing() -> None:
    """In a process that has just started a scan of every type imports nothing once its first look has begun: it would count as the target's
    time, and hold up what is asked at the same time."""
    done = subprocess.run([sys.executable, "-c", SCAN, CONFIG], capture_output=True, text=True, timeout=60, check=True)
    answer = json.loads(done.stdout)
    assert set(answer["types"]) == set(CHECK_TYPES) - ELSEWHERE
    assert answer["imported"] == []
