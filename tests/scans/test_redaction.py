"""No text that was seen keeps a secret, whoever looked."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from partywidgets.redaction import RedactingFormatter
from partywidgets.references import Secrets
from partywidgets.scans.bounds import EVIDENCE_BYTES
from partywidgets.scans.checks.base import CheckModel, Probe, ProbeContext
from partywidgets.scans.checks.exec import ExecCheck
from partywidgets.scans.checks.http import HttpCheck
from partywidgets.scans.checks.log import LogCheck
from partywidgets.scans.judge import RunContext, run_check
from partywidgets.scans.model import CheckResult, ConditionResult, Evidence, Failure
from partywidgets.scans.notice import Notice, compose
from partywidgets.scans.redaction import Seen, remove_secrets
from partywidgets.scans.service import OpsMonitorService
from partywidgets.scans.text import LINE_CHARS

SECRET = "hunter22"


def redact(text: str) -> str:
    """What a host does that knows one secret."""
    return text.replace(SECRET, "***")


class TellsAll(CheckModel):
    """Sees the secret everywhere."""

    type: str = "tells-all"

    @property
    def target(self) -> str:
        return "db:5432"

    async def probe(self, context: ProbeContext) -> Probe:
        """Everything that a probe can say."""
        return Probe(
            self.target,
            values={"body": SECRET},
            details=SECRET,
            evidence=[Evidence("text", "log", f"user=ana {SECRET}")],
            error=("auth", "." * (LINE_CHARS - 4) + SECRET),
            links=[f"https://db.example/?key={SECRET}"],
        )


async def test_a_look_of_this_process() -> None:
    """Summary, details, what a condition saw, evidence, error and links are without it, also where a bound would cut it."""
    result = await run_check(TellsAll(id="db", conditions=("body == 'x'",)), RunContext(redact=redact))
    assert SECRET[:4] not in json.dumps(result.to_wire())
    assert result.conditions[0].actual
    assert result.error is not None
    assert [item.redacted for item in result.evidence] == [True]
    assert result.links == ["https://db.example/?key=***"]


def test_a_result_made_elsewhere() -> None:
    """The same for a runner's result and a published one; what held no secret stays as it was, with its digest."""
    result = CheckResult(
        "db",
        "tcp",
        "db:5432",
        "crit",
        summary=SECRET,
        details=SECRET,
        conditions=[ConditionResult("body == 'x'", False, f"'{SECRET}'")],
        evidence=[Evidence("text", "log", SECRET), Evidence("text", "other", "nothing")],
        error=Failure("auth", f"{SECRET} was refused"),
        links=[f"https://db.example/?key={SECRET}"],
    )
    before = result.evidence[1]
    remove_secrets(result, redact)
    assert SECRET not in json.dumps(result.to_wire())
    assert result.conditions[0].actual == "'***'"
    assert result.evidence[1] == before
    assert result.evidence[0].sha256 not in ("", before.sha256)


LOOKS = "ghp_0123456789abcdefghij0123456789ABCDEF"
"""Nothing that this host knows; it looks like a token of GitHub's."""


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    body = json.dumps({"status": "failed", "filler": "x" * 3000, "db": {"password": "tr0ub4dor"}, "token": LOOKS}).encode()
    writer.write(b"HTTP/1.1 500 No\r\nX-Debug: Bearer abcdefghijklmnop0123456789\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    await writer.drain()
    writer.close()
    await writer.wait_closed()


async def test_what_looks_like_a_secret(tmp_path: Path) -> None:
    """Bodies, headers, programs' output and functions' evidence are kept and told without it, by the redactor of saved terminals."""
    seen: list[dict[str, Any]] = []
    server = await asyncio.start_server(_answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    conditions = ("status == 200", "headers['x-debug'] == 'x'", "body.db.password == 'x'", f"body.token == '{LOOKS[:4]}'")
    command = ("sh", "-c", f"echo 'DISK CRITICAL - login with --password tr0ub4dor'; echo '{LOOKS}'; exit 2")
    async with server, OpsMonitorService(directory=tmp_path, redact=Secrets({}).redact) as service:
        http = HttpCheck(id="http", url=f"http://127.0.0.1:{port}/", conditions=conditions)
        await service.load_config("a.yaml", [http, ExecCheck(id="exec", command=command)])
        report = await service.run_scan(broadcast=lambda kind, message: seen.append({kind: message}))
        past = await service.history.history()
    told = compose([Notice("f", "exec", "ok", "crit", "high", f"it said {LOOKS}", "sh", "")], redact=Secrets({}).redact)
    kept = b"".join([await asyncio.to_thread(path.read_bytes) for path in await asyncio.to_thread(lambda: list(tmp_path.iterdir()))])
    assert b"DISK CRITICAL" in kept
    for where in (json.dumps(report.to_wire(max_bytes=None)), json.dumps(seen), json.dumps(past), f"{told}", kept.decode(errors="replace")):
        for secret in (LOOKS[:12], "tr0ub4dor", "abcdefghijklmnop"):
            assert secret not in where
    results = {result.check_id: result for result in report.results}
    assert results["http"].evidence[0].redacted
    assert '"status": "failed"' in results["http"].evidence[0].value
    assert results["exec"].summary == "DISK CRITICAL - login with ***"
    assert "it said ***" in told.body


def test_a_secret_at_the_edge_of_what_is_kept() -> None:
    """Evidence of any size is looked at beyond its bound, and no further: ten megabytes cost no more than their head."""
    item = Evidence("http-body", "body", "x" * (EVIDENCE_BYTES - 10) + " " + LOOKS + " y" * 5_000_000)
    result = CheckResult("db", "http", "db", "ok", evidence=[item.capped()])
    seen = Seen("", "", [], [item], None, [], "db").redacted(Secrets({}).redact)
    result.evidence = [one.capped() for one in seen.evidence]
    assert LOOKS[:4] not in result.evidence[0].value
    assert result.evidence[0].truncated
    assert result.evidence[0].redacted


def test_what_is_logged() -> None:
    """A log's lines, and the tracebacks in it, hold neither what the host knows nor what looks like a secret."""
    lines = RedactingFormatter("%(levelname)s %(message)s")
    lines.known = lambda: [SECRET]
    try:
        raise ValueError(f"cannot log in with {SECRET} and {LOOKS}")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "", 1, "check %s raised: password=tr0ub4dor", ("db",), sys.exc_info())
    text = lines.format(record)
    assert "ERROR check db raised: password=***" in text
    assert "ValueError: cannot log in with *** and ***" in text


@pytest.mark.parametrize("before", [LINE_CHARS - 40, LINE_CHARS - 20, LINE_CHARS - 7, 394, 496])
async def test_a_secret_where_a_line_is_cut(before: int, tmp_path: Path) -> None:
    """What conditions saw, a program's line, a log's line and a redirect are cut for people when their secrets are out, never before."""
    said = "." * (before - 1) + " " + SECRET + " and more" * 100
    log = tmp_path / "shop.log"
    log.write_text(f"{said}\n")

    class Says(CheckModel):
        type: str = "says"

        @property
        def target(self) -> str:
            return "db:5432"

        async def probe(self, context: ProbeContext) -> Probe:
            return Probe(self.target, values={"text": said, "body": {"said": said}, "list": [said]})

    conditions = ("text == 'x'", "body.said.contains('zzz')", "text == 'x' || body.said == 'y'", "size(list) > 1 || list == []")
    program = tmp_path / "plugin"
    program.write_text(f"#!/bin/sh\necho '{said}'\necho '{said}' >&2\nexit 2\n")
    program.chmod(0o755)
    checks: list[CheckModel] = [
        Says(id="says", conditions=conditions),
        ExecCheck(id="exec", command=(str(program),), conditions=("output == ''",)),
        LogCheck(id="log", path=str(log), pattern="more", from_start=True),
    ]
    for check in checks:
        result = await run_check(check, RunContext(redact=redact))
        assert result.status != "ok"
        assert SECRET[:4] not in json.dumps(result.to_wire()), check.id
        assert len(result.summary) <= LINE_CHARS
