"""Jobs that report by themselves, and a host that dies."""

from __future__ import annotations

import json
from pathlib import Path

import httpx

from .conftest import LIMIT, Serve


def test_a_killed_host_has_heard_what_it_answered(serve: Serve, tmp_path: Path) -> None:
    """No look came between the beat and kill -9; the next host knows of the beat, and of the other job that none came."""
    secrets = {name: f"the-secret-of-the-job-{name}" for name in ("heard", "silent")}
    checks = []
    for name, secret in secrets.items():
        (tmp_path / name).write_text(secret)
        checks.append({"id": name, "type": "heartbeat", "secret": f"${{file:{tmp_path / name}}}", "within": "1h"})
    config = tmp_path / "partywidgets.yaml"
    config.write_text(json.dumps({"checks": checks}))
    host = serve(config)
    assert httpx.post(f"{host.url}/api/ops/heartbeat/{secrets['heard']}").status_code == 204
    host.process.kill()
    host.process.wait(LIMIT)
    host = serve(config)
    asked = httpx.post(
        f"{host.url}/api/ops/scans", json={"wait": True}, headers={"Authorization": f"Bearer {host.token}"}, timeout=LIMIT
    ).json()
    assert {row["check_id"]: row["status"] for row in asked["results"]} == {"heard": "ok", "silent": "skip"}
