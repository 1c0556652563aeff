"""The sql check against a real PostgreSQL, run as an unprivileged user on loopback."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from partywidgets.scans.checks.sql import SqlCheck
from tests.ports import kept_port

from .servers import look

pytest.importorskip("asyncpg")
PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
pytestmark = pytest.mark.skipif(not PROGRAMS, reason="no PostgreSQL server is installed (Debian's postgresql package)")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A cluster made for these tests; PostgreSQL refuses to run as root."""
    user = "nobody" if os.geteuid() == 0 else None
    place, port = Path(tempfile.mkdtemp(prefix="pw-pg-", dir="/tmp")), kept_port()
    if user is not None:
        os.chown(place, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
    password = place / "password"
    password.write_text("hush")
    password.chmod(0o644)
    programs, cluster = PROGRAMS[-1].parent, place / "cluster"
    options = f"-c listen_addresses=127.0.0.1 -p {port} -c unix_socket_directories={place} -c fsync=off"
    try:
        make: list[str | Path] = [
            programs / "initdb",
            "-D",
            cluster,
            "-U",
            "u",
            "-A",
            "scram-sha-256",
            f"--pwfile={password}",
            "--no-locale",
        ]
        subprocess.run(make, user=user, cwd=place, check=True, capture_output=True, timeout=120)
        start: list[str | Path] = [programs / "pg_ctl", "-D", cluster, "-w", "-t", "60", "-l", place / "log", "-o", options, "start"]
        subprocess.run(start, user=user, cwd=place, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=90)
        try:
            yield f"postgresql://u:hush@127.0.0.1:{port}/postgres"
        finally:
            subprocess.run([programs / "pg_ctl", "-D", cluster, "-m", "immediate", "stop"], user=user, cwd=place, check=True, timeout=60)
    finally:
        shutil.rmtree(place)


async def test_rows(url: str) -> None:
    """Numbers, texts, times and nulls of a real answer are values; a long answer is cut and says so."""
    query = "select i as n, i::numeric / 2 as half, 'x' || i as name, now() as at, null as nothing from generate_series(1, 5000) i"
    conditions = ("value == 1", "rows[0].half == 0.5", "rows[1].name == 'x2'", "now - rows[0].at < duration('1h')", "count == 100 && more")
    result = await look(SqlCheck(id="x", url=url, query=query, timeout=30, conditions=conditions))
    assert result.status == "ok", result.summary
    assert "hush" not in str(result.to_wire())


@pytest.mark.parametrize(("query", "kind"), [("create table t ()", "parse"), ("select nonsense", "parse"), ("select 1; select 2", "parse")])
async def test_refused_by_the_server(url: str, query: str, kind: str) -> None:
    """A query that writes, makes no sense or is two is crit with PostgreSQL's sentence."""
    result = await look(SqlCheck(id="x", url=url, query=query, timeout=30))
    assert (result.status, result.error and result.error.kind) == ("crit", kind), result.summary


async def test_wrong_password(url: str) -> None:
    """A wrong password is told from a server that is away."""
    result = await look(SqlCheck(id="x", url=url.replace("hush", "wrong"), query="select 1", timeout=30))
    assert (result.status, result.error and result.error.kind) == ("crit", "auth")


async def test_hung(url: str) -> None:
    """A query that hangs is given up at the timeout."""
    hung = await look(SqlCheck(id="x", url=url, query="select pg_sleep(600)", timeout=3))
    assert (hung.status, hung.error and hung.error.kind) == ("crit", "timeout"), hung.summary
