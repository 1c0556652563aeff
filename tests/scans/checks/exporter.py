"""A running prometheus-blackbox-exporter."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.debian_package import unpacked
from tests.ports import kept_port


class Exporter:
    """A running exporter."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def probe(self, module: str, target: str) -> dict[str, float]:
        """The metrics of one probe."""
        path = f"/probe?module={module}&target={quote(target, safe='')}"
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"GET {path} HTTP/1.0\r\nhost: x\r\nx-prometheus-scrape-timeout-seconds: 20\r\n\r\n".encode())
        text = (await asyncio.wait_for(reader.read(), 30)).decode()
        writer.transport.abort()
        return {name: float(value) for name, value in re.findall(r"^(probe_[^\s]+) (\S+)$", text, re.M)}


@asynccontextmanager
async def running_exporter(modules: Mapping[str, Mapping[str, Any]], directory: Path) -> AsyncIterator[Exporter]:
    """An exporter with these modules, ready."""
    program = unpacked("prometheus-blackbox-exporter") / "usr/bin/prometheus-blackbox-exporter"
    config, port = directory / "exporter.yml", kept_port()
    await asyncio.to_thread(config.write_text, json.dumps({"modules": modules}))
    process = await asyncio.create_subprocess_exec(
        program, f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}", stderr=asyncio.subprocess.PIPE
    )
    try:
        assert process.stderr is not None
        while line := await asyncio.wait_for(process.stderr.readline(), 30):
            if b"Listening on" in line or b"TLS is disabled" in line:
                break
        else:
            raise AssertionError("the exporter ended at its start")
        yield Exporter(port)
    finally:
        process.kill()
        await process.wait()
