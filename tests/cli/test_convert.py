"""`partywidgets convert`."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import subprocess
from pathlib import Path

from tests.scans.checks.servers import web_server

from .conftest import Run

GATUS = """\
endpoints:
  - name: front
    group: core
    url: "URL/json"
    headers: { Authorization: "Bearer it's a secret" }
    conditions: ["[STATUS] == 200", "[BODY].status == ok"]
  - name: down
    url: "URL/status/503"
    conditions: ["[STATUS] == 200"]
"""


async def test_from_gatus_to_a_scan(run: Run, tmp_path: Path) -> None:
    """One command writes the config and the secrets; validate, plan and scan take them as they are, and say what Gatus would."""
    async with web_server() as web:
        source, config, secrets = tmp_path / "gatus.yaml", tmp_path / "pw.yaml", tmp_path / "ops.env"
        source.write_text(GATUS.replace("URL", f"http://127.0.0.1:{web.port}"))
        ended = await asyncio.to_thread(run, "convert", source, "-o", config, "--secrets", secrets)
        assert (ended.code, ended.out) == (0, ""), ended.err
        assert ended.err.splitlines() == [
            f"{source}:5:16: secret: now ${{env:GATUS_CORE_FRONT_AUTHORIZATION}}",
            f"partywidgets: 2 checks of 2; 0 left out, 0 different; 1 secret is in {secrets}",
        ]
        assert os.stat(secrets).st_mode & 0o777 == 0o600
        script = f'. {shlex.quote(str(secrets))}; printf %s "$GATUS_CORE_FRONT_AUTHORIZATION"'
        sourced = await asyncio.to_thread(subprocess.run, ["sh", "-c", script], capture_output=True, text=True, timeout=20)
        assert sourced.stdout == "Bearer it's a secret"
        environ = {"GATUS_CORE_FRONT_AUTHORIZATION": sourced.stdout}
        assert "a secret" not in config.read_text()
        assert (await asyncio.to_thread(run, "validate", config)).code == 1  # the variable is not set
        assert (await asyncio.to_thread(lambda: run("validate", config, **environ))).code == 0
        assert (await asyncio.to_thread(run, "plan", config)).code == 0
        ended = await asyncio.to_thread(lambda: run("scan", config, "--json", **environ))
        assert ended.code == 2
        assert {row["check_id"]: row["status"] for row in json.loads(ended.out)["results"]} == {"core_front": "ok", "down": "crit"}
        assert any("authorization: bearer it's a secret" in head.lower() for head in web.seen)


def test_what_is_left_out_is_the_exit_code(run: Run, tmp_path: Path) -> None:
    """Without -o the config is printed; what has no counterpart is a line on stderr and exit code 3."""
    source = tmp_path / "gatus.yaml"
    source.write_text(
        'endpoints: [{ name: a, url: "http://a.example/", conditions: ["[STATUS] == 200", "[CONTEXT].id == 1"], body: "$BODY" }]\n'
    )
    secrets = tmp_path / "ops.env"
    ended = run("convert", source, "--secrets", secrets)
    assert ended.code == 3
    assert secrets.read_text() == ""  # there for the shell that reads it next
    assert ended.out.startswith("# Converted by partywidgets ")
    first, last = ended.err.splitlines()
    assert first.startswith(f"{source}:1:")
    assert "left out: the condition [CONTEXT].id == 1" in first
    assert last == "partywidgets: 1 check of 1; 1 left out, 0 different; as before it needs BODY"


def test_no_file_is_written_over(run: Run, tmp_path: Path) -> None:
    """A file that is there stays as it is, for the config and for the secrets."""
    source, there = tmp_path / "gatus.yaml", tmp_path / "there"
    source.write_text(GATUS.replace("URL", "http://a.example"))
    there.write_text("mine")
    for arguments in (("-o", there), ("-o", tmp_path / "new.yaml", "--secrets", there)):
        ended = run("convert", source, *arguments)
        assert (ended.code, "exists already" in ended.sentence) == (1, True)
    assert there.read_text() == "mine"
    assert not (tmp_path / "new.yaml").exists()


def test_nothing_left_is_no_config(run: Run, tmp_path: Path) -> None:
    """Where nothing became a check the reasons are told, and nothing is written."""
    source, out = tmp_path / "gatus.yaml", tmp_path / "out.yaml"
    source.write_text("endpoints: !!binary eA==\n")
    ended = run("convert", source, "-o", out)
    assert (ended.code, ended.out, out.exists()) == (1, "", False)
    assert [line.rpartition(": ")[2] for line in ended.err.splitlines()] == [
        "a mapping of keys is expected here",
        "none of it became a check, so nothing is written",
    ]


def test_a_mistake_is_one_sentence(run: Run, tmp_path: Path) -> None:
    """A file that cannot be converted, a tool that is not known, a directory that is not there: exit code 1, and nothing is written."""
    source, out = tmp_path / "source.yaml", tmp_path / "out.yaml"
    source.write_text("services: { web: { image: nginx } }")
    assert "not a file that can be converted" in run("convert", source, "-o", out).sentence
    assert "gatus, kuma, blackbox" in run("convert", source, "--from", "nagios").sentence
    ended = run("convert", source, "-o", tmp_path / "nowhere/out.yaml")
    assert (ended.code, "there is no directory" in ended.sentence) == (1, True)
    assert not out.exists()
