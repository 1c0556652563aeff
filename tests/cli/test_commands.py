"""`partywidgets scan | token | validate | doctor`."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import stat
import sys
import time
from pathlib import Path
from typing import Any

import pexpect  # type: ignore[import-untyped]
import pytest
import typer
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from partywidgets.cli.commands import app
from partywidgets.cli.doctor import _shell
from partywidgets.config_source import read_yaml
from partywidgets.engines.docker import DockerEngine, EngineKind
from partywidgets.exceptions import EngineError
from partywidgets.terminal.shell import local_start
from tests.nginx_process import nginx

from .conftest import LIMIT, Run, Serve

CONFIG = """\
checks:
  - {{id: disk, type: host, disk: /, labels: {{team: web}}, warn: "used_percent > 100", crit: "used_percent > 100"}}
  - {{id: verdict, type: exec, command: ["/bin/sh", "-c", "echo {text}; exit {code}"]}}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A config whose checks are ok."""
    path = tmp_path / "partywidgets.yaml"
    path.write_text(CONFIG.format(text="FINE", code=0))
    return path


@pytest.mark.parametrize("code", [0, 1, 2, 3])
def test_scan_ends_with_the_worst_status(run: Run, config: Path, code: int) -> None:
    """The exit code is the worst status, in Nagios' numbers; the table shows every check."""
    config.write_text(CONFIG.format(text="[red]VERDICT[/red]", code=code))
    ended = run("scan", config)
    assert ended.code == code, ended.err
    assert "disk" in ended.out
    assert "[red]VERDICT[/red]" in ended.out
    assert ended.err == ""


def test_scan_on_a_narrow_terminal(run: Run, config: Path) -> None:
    """In 40 columns the words that say what is wrong stay whole: severity and milliseconds make room for them."""
    config.write_text(CONFIG.format(text="A SENTENCE", code=1))
    ended = run("scan", config, COLUMNS="40")
    assert "A SENTENCE" in ended.out
    assert "severity" not in ended.out
    assert "severity" in run("scan", config, COLUMNS="80").out
    assert max(map(len, ended.out.splitlines())) <= 40


def test_the_worst_row_is_the_last_one(run: Run, config: Path) -> None:
    """Above the counts at the end, where a terminal that scrolled stands; long ids leave room for what is wrong, in 80 columns too."""
    checks = [{"id": f"fine-{number}", "type": "exec", "command": ["true"]} for number in range(3)]
    broken = {"id": "broken-" + "x" * 60, "type": "exec", "command": ["sh", "-c", "echo THE-DISK-IS-FULL; exit 2"]}
    config.write_text(json.dumps({"checks": [broken, *checks]}))
    lines = run("scan", config, COLUMNS="80").out.splitlines()
    assert "✗ crit" in lines[-3]
    assert "THE-DISK-IS-FULL" in lines[-3]
    assert lines[-1].startswith("3 ok, 1 crit")


def test_scan_on_a_terminal(config: Path, environment: dict[str, str]) -> None:
    """On a terminal the table is live while checks run, and the last one stays."""
    config.write_text(CONFIG.format(text="VERDICT", code=1).replace('["/bin/sh", "-c", "', '["/bin/sh", "-c", "sleep 1; '))
    child = pexpect.spawn(
        sys.executable,
        ["-m", "partywidgets", "scan", str(config)],
        env={**environment, "TERM": "xterm-256color"},
        dimensions=(30, 120),
        timeout=40,
        encoding="utf-8",
    )
    child.expect_exact("1 of 2 checks")
    child.expect_exact("VERDICT")
    child.expect_exact("1 ok, 1 warn in")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 1


def test_scan_as_json(run: Run, config: Path) -> None:
    """--json prints the report and nothing else."""
    ended = run("scan", config, "--json", "--label", "team=web")
    report = json.loads(ended.out)
    assert (ended.code, report["schema"], [result["check_id"] for result in report["results"]]) == (0, "partywidgets.scan/1", ["disk"])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--check", "dsk"], "did you mean 'disk'"),
        (["--label", "team=db"], "no check has the labels team=db"),
        (["--label", "team"], "key=value"),
        (["--publish", "ftp://x"], "scheme"),
    ],
)
def test_scan_mistakes(run: Run, config: Path, arguments: list[str], sentence: str) -> None:
    """What cannot be run is one sentence and exit code 3, which no ok, warn or crit has."""
    ended = run("scan", config, *arguments)
    assert ended.code == 3
    assert sentence in ended.sentence


def test_scan_writes_files(run: Run, config: Path, tmp_path: Path) -> None:
    """--junit, --csv and --parquet write the report beside what is shown; the exit code stays the worst status."""
    config.write_text(CONFIG.format(text="DOWN", code=2))
    junit, csv, parquet = tmp_path / "scan.xml", tmp_path / "scan.csv", tmp_path / "scan.parquet"
    ended = run("scan", config, "--junit", junit, "--csv", csv, "--parquet", parquet)
    assert (ended.code, ended.err) == (2, "")
    assert '<failure message="DOWN"' in junit.read_text()
    assert len(csv.read_text().splitlines()) == 3
    assert parquet.read_bytes()[:4] == b"PAR1"


def test_scan_into_a_place_that_is_not_there(run: Run, config: Path, tmp_path: Path) -> None:
    """A file that cannot be written is told before the checks run."""
    marker = tmp_path / "ran"
    config.write_text(f"checks:\n  - {{id: a, type: exec, command: [touch, {marker}]}}\n")
    ended = run("scan", config, "--junit", tmp_path / "nowhere" / "scan.xml")
    assert (ended.code, marker.exists()) == (3, False)
    assert "there is no directory" in ended.sentence


def test_scan_usage(run: Run, config: Path) -> None:
    """A wrong option of scan is not mistaken for a crit."""
    assert run("scan", config, "--nope").code == 3
    assert run("scan").code == 3
    assert run("validate").code == 2
    for port in ("80000", "-1", "abc"):
        assert f"a port is a number from 0 to 65535, got '{port}'" in run("serve", "--port", port).err


def test_scan_with_modules(run: Run, config: Path) -> None:
    """`modules` bring their @check functions, found beside the config."""
    (config.parent / "team_checks.py").write_text(
        "import partywidgets as pw\n\n@pw.check\ndef answer():\n    assert 6 * 7 == 41, 'not 41'\n"
    )
    config.write_text("modules: [team_checks]\n")
    ended = run("scan", config)
    assert (ended.code, "not 41" in ended.out) == (2, True), ended.err
    config.write_text("modules: [missing_checks]\n")
    ended = run("scan", config)
    assert ended.code == 3
    assert "missing_checks cannot be imported" in ended.sentence


def test_scan_publishes(run: Run, serve: Serve, config: Path) -> None:
    """--publish puts the report into the room; a host that refuses turns a good scan into exit code 3."""
    host = serve()
    ended = run("scan", config, "--publish", host.url, "--token-file", host.token_file)
    assert ended.code == 0, ended.err
    ended = run("scan", config, "--publish", host.url, PARTYWIDGETS_TOKEN="not-the-token-of-this-host")
    assert ended.code == 3
    assert "the report was not published" in ended.sentence


def test_a_scan_that_is_not_published_is_not_lost(run: Run, config: Path, tmp_path: Path) -> None:
    """A good scan whose host is away still prints its JSON and writes its files, and ends with 3."""
    junit = tmp_path / "results.xml"
    ended = run("scan", config, "--json", "--junit", junit, "--publish", "http://127.0.0.1:9", PARTYWIDGETS_TOKEN="a-token-for-nobody")
    assert ended.code == 3
    assert json.loads(ended.out)["counts"]["ok"] == 2
    assert junit.read_text().startswith("<?xml")
    assert "is the host running there?" in ended.err


@pytest.mark.parametrize("text", ["", "checks: []\n", "checks:\n  - {id: a, type: host, disk: /, enabled: false}\n"])
def test_a_scan_of_nothing_is_not_ok(run: Run, config: Path, text: str) -> None:
    """A config that lost its checks does not look like a healthy site: 3, and a sentence."""
    config.write_text(text)
    ended = run("scan", config)
    assert ended.code == 3
    assert "has no check that is enabled" in ended.sentence


def test_help_says_what_a_command_is_for_in_a_whole_line(run: Run) -> None:
    """No line of the list of commands is cut off."""
    listed = run("--help").out.partition("Commands:")[2].strip().splitlines()
    assert len(listed) == 10
    assert all(line.endswith(".") and not line.endswith("...") for line in listed), listed


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("checks:\n  - {id: a, type: htpp}\n", ":2:"),
        ("cheks: []\n", ":1:1"),
        ("checks: [\n", "partywidgets.yaml:"),
        ("checks:\n\t- id: a\n", ":2:1: this is not valid YAML: a tab stands here"),
        (
            "checks:\n  - id: a\n    type: http\n    url: http://x\n    conditions:\n      - duration_ms < 5\n      - stauts == 200\n",
            ":7:9: check 'a', conditions[1]: the expression 'stauts == 200' uses 'stauts', which a check of type http does not give; "
            "did you mean 'status'?",
        ),
        ("checks: [{id: a, type: tcp, host: a, port: 1, crit: 'eror'}]\n", ":1:53: check 'a', crit: the expression 'eror'"),
        ("checks:\n  - {id: a, type: http, url: 'http://x', headers: {A: '${env:NOT_SET_HERE}'}}\n", "NOT_SET_HERE"),
    ],
)
def test_validate_mistakes(run: Run, config: Path, text: str, sentence: str) -> None:
    """A mistake in a config is one sentence with its place."""
    config.write_text(text)
    ended = run("validate", config)
    assert ended.code == 1
    assert sentence in ended.sentence


def test_validate_says_every_fault(run: Run, config: Path) -> None:
    """Each fault of a config has a line with its place, so that all are mended in one go."""
    twice = "  - { id: b, type: host, measure: disk }\n"
    config.write_text("chekcs: []\nchecks:\n  - { id: a, type: tcp, host: h, prot: 1 }\n  - { id: b, type: htp }\n" + twice)
    ended = run("validate", config)
    assert ended.code == 1
    places = [line.partition(": ")[2].partition(": ")[0].removeprefix(f"{config}") for line in ended.err.splitlines()]
    assert places == [":1:1", ":3:34", ":4:20", ":5:11", ":5:26", ":3:5"], ended.err
    own = next(line for line in ended.err.splitlines() if "unknown key 'measure'" in line)
    assert "expected one of type, disk" in own  # the check's own keys first


def test_validate(run: Run, config: Path) -> None:
    """A right config is summed up in one line."""
    ended = run("validate", config)
    assert (ended.code, ended.err) == (0, "")
    assert "2 checks (1 exec, 1 host)" in ended.out
    assert "no such file" in run("validate", config.parent / "nope.yaml").sentence


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "checks:\n  - { id: a, type: domain, name: shop.example, every: 1m }",
            ["2:48: check 'a' looks every 1m, and its registry is asked once"],
        ),
        (
            "defaults: { every: 1m }\nchecks:\n  - { id: a, type: domain, name: a.example }\n  - { id: b, type: domain, name: b.example }",
            ["1:13: check 'a' looks every 1m, and its registry is asked once an hour at most: `every: 12h` is plenty (2 checks, of which"],
        ),
        ("checks:\n  - { id: a, type: domain, name: shop.example, every: 1h }", []),
        ("checks:\n  - { id: a, type: tcp, host: h, port: 1, every: 1m, retry_delay: 5s }", ["2:54: check 'a' is never looked at again"]),
        ("checks:\n  - { id: a, type: tcp, host: h, port: 1, every: 1m, attempts: 3 }", ["2:54: `attempts` without `retry_delay`"]),
        ("defaults: { attempts: 3 }\nchecks:\n  - { id: a, type: tcp, host: h, port: 1, every: 1m }", ["1:13: `attempts` without"]),
        (
            "checks:\n  - { id: a, type: tcp, host: h, port: 1, attempts: 2, retry_delay: 5s }",
            ["2:56: check 'a' has neither `every` nor `cron`"],
        ),
        ("defaults: { attempts: 3, retry_delay: 5s }\nchecks:\n  - { id: a, type: tcp, host: h, port: 1, every: 1m }", []),
        ("checks:\n  - { id: a, type: tcp, host: h, port: 1, every: 1m, retries: 2, retry_delay: 5s }", []),
        ("checks:\n  - { id: a, type: tcp, host: h, port: 1, every: 1m, recovery_attempts: 2, retry_delay: 5s }", []),
    ],
)
def test_validate_says_where_looking_again_does_not_go_together(run: Run, tmp_path: Path, text: str, expected: list[str]) -> None:
    """A delay that nothing waits for, attempts that a delay of a second makes hasty, and attempts that no schedule repeats."""
    path = tmp_path / "again.yaml"
    path.write_text(text)
    notes = [line for line in run("validate", path).out.splitlines() if line.startswith("note: ")]
    assert len(notes) == len(expected)
    for note, begin in zip(notes, expected, strict=True):
        assert note.startswith(f"note: {path}:{begin}")


def test_validate_notes(run: Run, config: Path) -> None:
    """Names that nothing in the config has are told, and are no mistake: another config may have them."""
    config.write_text(
        "checks:\n  - {id: shop, type: host, load: true, depends_on: [databse, elsewhere], remediation: {command: ls, sandbox: web}}\n"
        "  - {id: database, type: host, load: true, depends_on: [shop]}\n"
        "maintenance:\n  - {name: night, cron: '0 2 * * *', duration: 1h, matchers: {check_id: shpo}}\n"
        "waivers:\n  - {name: old, until: 2099-01-01, reason: bought, matchers: {check_id: nix}}\n"
        "notify:\n  - {name: chat, url: '${file:chat}'}\n  - {name: mail, url: '${file:mail}'}\n"
    )
    (config.parent / "chat").write_text("slakc://s3cret")
    (config.parent / "mail").write_text("json://localhost/s3cret")
    ended = run("validate", config)
    assert "s3cret" not in ended.out + ended.err
    assert ended.code == 0
    assert ended.out.splitlines()[1:] == [
        "note: the maintenance 'night' is for the check 'shpo', which is not in this config; did you mean 'shop'?",
        "note: the waiver 'old' is for the check 'nix', which is not in this config: only another config of the host may have it",
        "note: Apprise does not know the URL of the notify target 'chat', so nobody would be notified; see https://appriseit.com/services/",
        "note: check 'shop' depends on 'databse', which is not in this config; did you mean 'database'?",
        "note: check 'shop' depends on 'elsewhere', which is not in this config: another config of the host must have it",
        "note: the remedy of check 'shop' needs the sandbox 'web', which is not under `sandboxes:` in this config",
    ]


def test_schema(run: Run, config: Path, tmp_path: Path) -> None:
    """The JSON Schema that an editor reads takes what a config takes, and says where one is wrong."""
    file = tmp_path / "partywidgets.schema.json"
    ended = run("schema", file)
    assert (ended.code, ended.out) == (
        0,
        f"{file}: written. The first line of a config beside it: # yaml-language-server: $schema=partywidgets.schema.json\n",
    )
    schema = json.loads(file.read_text())
    assert json.loads(run("schema").out) == schema
    Draft202012Validator.check_schema(schema)
    judge = Draft202012Validator(schema)
    right = read_yaml(
        """
        sandboxes: { default: "local:", web: "docker:web-1" }
        defaults:  { every: 1m, timeout: 5s, attempts: 3 }
        checks:
          - { id: shop, type: http, url: "https://shop.example/health", severity: critical, labels: {team: web}, retry_delay: 0.5,
              conditions: ["status == 200"], remediation: { text: "Restart", command: "ls", sandbox: web } }
          - { id: root-disk, type: host, disk: /, warn: "used_percent > 80", every: 1h30m }
          - { id: plugin, type: exec, command: "check_disk -w 20%" }
          - { id: list, type: exec, command: ["check_disk", "-w", "20%"] }
        schedule:  { full: "*/5 * * * *" }
        limits:    { total: 50, per_type: { exec: 4 } }
        history:   { keep_raw: 7d }
        recording: { keep: 30d }
        terminal:  { keep: forever }
        modules:   [team.checks]
        maintenance: [{ name: night, cron: "0 2 * * *", duration: 1h }]
        """,
        path="x",
    ).value
    assert [error.message for error in judge.iter_errors(right)] == []
    mistakes: tuple[dict[str, object], ...] = (
        {"cheks": []},
        {"checks": [{"id": "a", "type": "htp"}]},
        {"terminal": {"keep": "soon"}},
        {"limits": {"total": "many"}},
    )
    for wrong in mistakes:
        assert list(judge.iter_errors(wrong)), wrong


def test_token(run: Run, tmp_path: Path) -> None:
    """A token has 256 bits; in a file only its owner can read it, and no file is overwritten."""
    one, two = run("token").out.strip(), run("token").out.strip()
    assert len(one) == len(two) == 43
    assert one != two
    path = tmp_path / "secret"
    ended = run("token", "--file", path)
    assert (ended.code, ended.out) == (0, "")
    assert len(path.read_text().strip()) == 43
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "exists already" in run("token", "--file", path).sentence


def test_the_reference_has_every_option() -> None:
    """Each option of each command stands in the part of the command line's reference that is about it."""
    page = (Path(__file__).parents[2] / "docs" / "reference" / "command-line.md").read_text()
    parts = dict(re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", page, re.M | re.S))
    commands: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    options = {
        name: {option for given in command.params for option in given.opts if option.startswith("--")} - {"--help"}
        for name, command in commands.items()
    }
    assert {name: sorted(option for option in given if option not in parts[name]) for name, given in options.items()} == {
        name: [] for name in options
    }


def test_no_token_on_the_command_line(run: Run) -> None:
    """There is no --token: every process on the machine could read it."""
    for command in ("serve", "scan", "attach", "doctor"):
        assert " --token " not in run(command, "--help").out


def test_doctor(run: Run, serve: Serve) -> None:
    """doctor looks at everything, one line each; a host that does not answer or refuses is bad."""
    host = serve()
    ended = run("doctor", "--url", host.url, "--token-file", host.token_file)
    assert all(line.split()[0] in ("ok", "note", "bad") for line in ended.out.splitlines())
    assert ended.code == (1 if "\nbad " in f"\n{ended.out}" else 0)
    for word in (
        "Python",
        "websockets",
        "front end",
        "Jupyter Server extension",
        "pseudo terminals",
        "shell",
        "Docker",
        "Podman",
        "accepts the token",
    ):
        assert word in ended.out, ended.out
    assert "failed to look" not in ended.out
    ended = run("doctor", "--url", host.url, PARTYWIDGETS_TOKEN="not-the-token-of-this-host")
    assert "refuses this token" in ended.out
    assert run("doctor", "--url", "http://127.0.0.1:9").code == 1


def test_doctor_repeats_why_a_host_refuses_a_name(run: Run, serve: Serve) -> None:
    """The host's own sentence has the remedy: behind a proxy that sends on another Host, auth.hosts."""
    host = serve("--bind", "0.0.0.0")
    port = host.url.rstrip("/").rpartition(":")[2]
    ended = run("doctor", "--url", f"http://127.0.0.2:{port}", "--token-file", host.token_file)
    assert f"the Host '127.0.0.2:{port}' is not a name of this server" in ended.out
    assert "auth.hosts" in ended.out


async def test_doctor_finds_a_proxy_that_keeps_websockets_out(run: Run, serve: Serve, tmp_path: Path) -> None:
    """Requests alone come through it, so that every other look is well; what to write into its config stands there."""
    config = tmp_path / "partywidgets.yaml"
    config.write_text("auth: {hosts: [ops.example.com]}")
    host = serve(config)
    async with nginx(tmp_path, int(host.url.rstrip("/").rpartition(":")[2])) as front:

        async def doctor(path: str) -> str:
            options = ("--url", f"https://127.0.0.1:{front.port}{path}", "--token-file", host.token_file)
            return (await asyncio.to_thread(run, "doctor", *options, SSL_CERT_FILE=str(tmp_path / "authority.pem"))).out

        assert "no WebSocket" not in await doctor("/ops")
        found = await doctor("/bare")
    assert "accepts the token" in found
    assert f"bad  no WebSocket comes through to https://127.0.0.1:{front.port}/bare: " in found
    assert "proxy_http_version 1.1" in found


def test_doctor_says_what_ails_a_host(run: Run, serve: Serve, config: Path, tmp_path: Path) -> None:
    """A directory that is gone and a config that is refused are findings, each with what helps; a host that is well has none."""
    storage = tmp_path / "storage"
    host = serve(config, "--storage", storage)
    options = ("--url", host.url, "--token-file", host.token_file)
    assert "that host" not in run("doctor", *options).out
    config.write_text("checks: [{id: root}]")
    host.process.send_signal(signal.SIGHUP)
    storage.rename(tmp_path / "elsewhere")
    deadline = time.monotonic() + LIMIT
    while (ended := run("doctor", *options)).out.count("bad  that host: ") < 2 and time.monotonic() < deadline:
        pass
    assert ended.code == 1
    assert "bad  that host: it refuses its config as the file is now" in ended.out
    assert "bad  that host: its storage directory was moved or removed: put it back, or restart the host" in ended.out


@pytest.mark.parametrize("shell", ["bash", "zsh", "dash", "ash", "sh", "fish", "nu"])
def test_doctor_knows_the_shells_that_tell_exit_codes(shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """doctor promises exit codes for exactly the shells whose prompts a terminal can mark."""
    path = tmp_path / shell
    path.touch(mode=0o755)
    monkeypatch.setenv("SHELL", str(path))
    finding = _shell()
    assert (finding.kind == "ok") == local_start(str(path), "nonce", {}).marked
    assert "fish" not in finding.text.replace(str(path), "")


def test_version(run: Run) -> None:
    """--version says it."""
    assert run("--version").out.startswith("partywidgets 0.")


@pytest.mark.parametrize("text", ['? !!int "\\e]0;mine\\a"\n: 1\n', 'sandboxes: {"\\e[2J": "foo:"}\n'])
def test_a_strangers_file_says_nothing_to_the_terminal(run: Run, config: Path, text: str) -> None:
    """What is told of a config that somebody sent is text: its control characters are shown as pictures."""
    config.write_text(text)
    ended = run("validate", config)
    assert ended.code == 1
    assert "␛" in ended.err
    assert "\x1b" not in ended.err


@pytest.mark.parametrize(("kind", "variable"), [("docker", "DOCKER_HOST"), ("podman", "CONTAINER_HOST")])
def test_doctor_knows_engines_as_sandboxes_do(run: Run, kind: EngineKind, variable: str) -> None:
    """It looks where a sandbox would, and names the same remedy as the sandbox's error."""
    ended = run("doctor", **{variable: "unix:///nowhere/engine.sock"})
    (line,) = [line for line in ended.out.splitlines() if "/nowhere/engine.sock" in line]
    assert line.startswith(f"note {kind.title()} is not running here")
    error = asyncio.run(refused(kind, "unix:///nowhere/engine.sock"))
    assert line.rpartition("; ")[2] == error.rpartition(": ")[2]


async def refused(kind: EngineKind, url: str) -> str:
    """What opening an engine says."""
    with pytest.raises(EngineError) as caught:
        async with DockerEngine(url, kind=kind):
            pass
    return str(caught.value)
