"""A real nginx in front of a host, set up by the words of the guide to a team's host."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import trustme

from tests.debian_package import unpacked
from tests.ports import kept_port

GUIDE = Path(__file__).parents[1] / "docs" / "how-to" / "team-host.md"
WAIT = 30.0

CONFIG = """
daemon off; worker_processes 1; pid {place}/pid; error_log {place}/log; {user}
events {{ }}
http {{
  client_body_temp_path {place}/body; proxy_temp_path {place}/proxy;
  fastcgi_temp_path {place}/fastcgi; uwsgi_temp_path {place}/uwsgi; scgi_temp_path {place}/scgi;
  {blocks}
}}
"""


class Nginx:
    """It listens at `port` for `ops.example.com`, with the rooms at its root and below `/ops/`."""

    def __init__(self, port: int, trust: ssl.SSLContext) -> None:
        self.port, self.trust = port, trust
        self.master: asyncio.subprocess.Process | None = None

    def workers(self) -> set[int]:
        """The processes that hold its connections."""
        assert self.master is not None
        return {worker.pid for worker in psutil.Process(self.master.pid).children()}

    async def cut(self) -> None:
        """Kills its workers, and with them every connection; others follow at once."""
        before = self.workers()
        for worker in before:
            os.kill(worker, signal.SIGKILL)
        async with asyncio.timeout(WAIT):
            while not (now := self.workers()) or now & before:
                await asyncio.sleep(0.02)

    async def listens(self) -> None:
        async with asyncio.timeout(WAIT):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    writer.close()
                    return
                await asyncio.sleep(0.05)


def guides(own: int, port: int, certificate: Path) -> str:
    """The guide's blocks for this machine: the server with its location for a path in it, and `/bare/` as nginx has it by itself."""
    whole, below = (str(block) for block in re.findall(r"```nginx\n(.*?)```", GUIDE.read_text(), re.S))
    head, brace, rest = whole.partition("  location / {")
    assert brace
    text = f"{head}{below}  location /bare/ {{ proxy_pass http://127.0.0.1:8787/; proxy_set_header Host ops.example.com; }}\n{brace}{rest}"
    for written, here in (
        ("listen 443 ssl;", f"listen 127.0.0.1:{own} ssl;"),
        ("cert.pem", str(certificate)),
        ("key.pem", str(certificate)),
        ("127.0.0.1:8787", f"127.0.0.1:{port}"),
    ):
        assert written in text
        text = text.replace(written, here)
    return text


@contextlib.asynccontextmanager
async def nginx(place: Path, port: int) -> AsyncIterator[Nginx]:
    """One in front of the rooms at `port`, by a certificate of `authority.pem`; killed at the end."""
    program, own = unpacked("nginx") / "usr/sbin/nginx", kept_port()
    authority, certificate = trustme.CA(), place / "certificate.pem"
    authority.issue_cert("ops.example.com", "127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(certificate))
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    authority.cert_pem.write_to_path(str(place / "authority.pem"))
    user = "user root;" if os.geteuid() == 0 else ""
    config = place / "nginx.conf"
    config.write_text(CONFIG.format(place=place, user=user, blocks=guides(own, port, certificate)))
    front = Nginx(own, trust)
    front.master = await asyncio.create_subprocess_exec(
        program, "-c", config, "-p", place, "-e", place / "log", stderr=asyncio.subprocess.DEVNULL, start_new_session=True
    )
    try:
        await front.listens()
        yield front
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(front.master.pid, signal.SIGKILL)
        await front.master.wait()
