"""Checks in a process that may open no more files."""

from __future__ import annotations

import subprocess
import sys

from partywidgets.party.database import MORE_FILES

SCRIPT = """
import asyncio, logging, os, resource, sys
from partywidgets.config import parse_config
from partywidgets.scans.judge import run_check

CHECKS = '''
checks:
  - { id: address, type: http, url: "http://127.0.0.1:9/" }
  - { id: name, type: tcp, host: localhost, port: 9 }
  - { id: program, type: exec, command: ["/bin/true"] }
  - { id: file, type: file, path: /etc/passwd, sha256: "%s" }
'''

async def main():
    checks = parse_config(CHECKS % ("0" * 64)).checks
    for check in checks:  # what is imported late, and threads, are there by now
        await run_check(check)
    logging.basicConfig(stream=sys.stdout, format="log %(levelname)s %(message)s")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    probe = os.open(os.devnull, os.O_RDONLY)
    os.close(probe)
    resource.setrlimit(resource.RLIMIT_NOFILE, (probe, hard))
    results = [await run_check(check) for check in checks]
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    for result in results:
        print(result.check_id, result.status, result.summary)
    print(*[(await run_check(check)).status for check in checks])

asyncio.run(main())
"""


def test_what_checks_say_without_open_files() -> None:
    """It is unknown, and says what helps: no target is at fault, not even its name. The log says it once, without a traceback."""
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    logged = [line for line in done.stdout.splitlines() if line.startswith("log ")]
    assert logged == [f"log ERROR check address, and others maybe, could not look: {MORE_FILES}"]
    *rows, after = done.stdout.splitlines()[len(logged) :]
    assert rows == [f"{check} unknown {MORE_FILES}" for check in ("address", "name", "program", "file")]
    assert after == "crit crit ok crit"
