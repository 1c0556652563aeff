"""The promql check against a real Prometheus, from Debian's package, that scrapes itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from partywidgets.scans.checks.promql import PromqlCheck
from tests.debian_package import unpacked
from tests.ports import kept_port

from .servers import look

START = 60.0


@pytest.fixture
async def prometheus(tmp_path: Path) -> AsyncIterator[str]:
    """The address of a Prometheus that is ready."""
    program, port = unpacked("prometheus") / "usr/bin/prometheus", kept_port()
    scrapes = [{"job_name": "itself", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}]
    config = tmp_path / "prometheus.yml"
    await asyncio.to_thread(config.write_text, json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": scrapes}))
    process = await asyncio.create_subprocess_exec(
        program,
        f"--config.file={config}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(START):
            while b"Server is ready" not in (line := await process.stderr.readline()):
                assert line, "Prometheus ended at its start"
        draining = asyncio.create_task(process.stderr.read())
        yield f"http://127.0.0.1:{port}/"
        process.kill()
        await draining
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_what_prometheus_answers(prometheus: str) -> None:
    """Scraped series, a scalar, no series, what is not a number, both ways to ask, and each refusal, told as what it is."""

    async def ask(query: str, *conditions: str) -> Any:
        return await look(PromqlCheck(id="x", url=prometheus, query=query, conditions=conditions))

    async with asyncio.timeout(START):
        while (up := await ask("up", "series.all(s, s.value == 1.0)", "count == 1")).status != "ok":
            await asyncio.sleep(0.1)  # its own clock says when it scrapes
    assert up.evidence[0].value.startswith('up{instance="127.0.0.1:')
    assert (await ask("1 + 2", "value == 3.0")).status == "ok"
    assert (await ask("no_such_metric")).status == "crit"
    padded = "up or " + " or ".join(f"missing_{number}" for number in range(300))
    assert len(padded) > 2000
    assert (await ask(padded, "value == 1.0")).status == "ok"
    for query in ("vector(0) / 0", "vector(1) / 0"):
        odd = await ask(query, "value < 100.0")
        assert odd.status == "crit"
        json.dumps(odd.to_wire(), allow_nan=False)

    told = {query: (await ask(query)).error for query in ("up[1m]", "'text'", "up +", "sum(up) by", "up * on(job) group_left")}
    assert [error.kind for error in told.values()] == ["parse", "parse", "http", "http", "http"]
    assert "take for example last_over_time" in told["up[1m]"].message
    assert "parse error" in told["up +"].message


async def test_another_path_is_said_to_be_no_api(prometheus: str) -> None:
    """An address that is not Prometheus' base gives the sentence with the remedy."""
    result = await look(PromqlCheck(id="x", url=f"{prometheus}graph", query="up"))
    assert result.status == "crit"
    assert result.error is not None
    assert "is the url its base?" in result.error.message
