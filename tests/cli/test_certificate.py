"""A certificate that is renewed under a `partywidgets serve` that runs."""

from __future__ import annotations

import asyncio
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme
from cryptography.x509 import load_pem_x509_certificate
from websockets.asyncio.client import connect

from .conftest import LIMIT


def renew(authority: trustme.CA, folder: Path) -> str:
    """Writes a new pair in place of the old one, as a renewal does; returns its serial number."""
    pair = authority.issue_cert("127.0.0.1")
    chain = b"".join(part.bytes() for part in pair.cert_chain_pems)
    for name, content in (("cert.pem", chain), ("key.pem", pair.private_key_pem.bytes())):
        (folder / f"{name}.new").write_bytes(content)
        (folder / f"{name}.new").rename(folder / name)
    return serial(chain)


def serial(chain: bytes) -> str:
    """The number of the first certificate in it."""
    return f"{load_pem_x509_certificate(chain).serial_number:X}"


class Secure:
    """A host with a certificate and no config."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, client: ssl.SSLContext) -> None:
        self.process, self.port, self.client = process, port, client

    async def shown(self) -> str:
        """The serial number of the certificate that a new connection gets."""
        async with asyncio.timeout(LIMIT):
            _, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.client)
        found = writer.get_extra_info("ssl_object").getpeercert()["serialNumber"]
        writer.transport.abort()
        return str(found).lstrip("0")

    async def logged(self, part: str) -> str:
        """Waits for a log line."""
        assert self.process.stderr is not None
        async with asyncio.timeout(LIMIT):
            while line := (await self.process.stderr.readline()).decode():
                if part in line:
                    return line
        raise AssertionError(f"the host ended without {part!r}")


@pytest.fixture
def authority() -> trustme.CA:
    """Whom the client trusts."""
    return trustme.CA()


@pytest.fixture
async def host(authority: trustme.CA, environment: dict[str, str], tmp_path: Path) -> AsyncIterator[Secure]:
    """`partywidgets serve --certificate … --key …`."""
    renew(authority, tmp_path)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    arguments = ["--port", "0", "--no-auth", "--certificate", str(tmp_path / "cert.pem"), "--key", str(tmp_path / "key.pem")]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "partywidgets", "serve", *arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        port = 0
        async with asyncio.timeout(LIMIT):
            while line := (await process.stdout.readline()).decode():
                if line.strip().startswith("rooms"):
                    port = int(line.split()[1].rstrip("/").rpartition(":")[2])
                if line.startswith("Ctrl-C"):
                    break
        yield Secure(process, port, client)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_a_renewed_certificate_is_shown_after_sighup(host: Secure, authority: trustme.CA, tmp_path: Path) -> None:
    """Who comes then gets the new one, who is there stays; a key that does not fit is refused in the log, and the former pair goes on."""
    first = await host.shown()
    url = f"wss://127.0.0.1:{host.port}/parties/ops-monitor-broadcast/main"
    async with connect(url, ssl=host.client) as there:
        await asyncio.wait_for(there.recv(), LIMIT)
        second = renew(authority, tmp_path)
        assert second != first
        host.process.send_signal(signal.SIGHUP)
        await host.logged("was reloaded: new connections get it")
        assert await host.shown() == second

        fitting = (tmp_path / "key.pem").read_bytes()
        renew(authority, tmp_path)
        (tmp_path / "key.pem").write_bytes(fitting)
        host.process.send_signal(signal.SIGHUP)
        refusal = await host.logged("the certificate was not reloaded, the former one stays in use")
        assert str(tmp_path / "cert.pem") in refusal
        assert await host.shown() == second

        (tmp_path / "cert.pem").unlink()
        host.process.send_signal(signal.SIGHUP)
        assert "No such file" in await host.logged("the certificate was not reloaded")
        assert await host.shown() == second
        await asyncio.wait_for(await there.ping(), LIMIT)
    os.kill(host.process.pid, signal.SIGTERM)
    assert await asyncio.wait_for(host.process.wait(), LIMIT) == 0
