"""Functions of a config's modules, in real processes of their own: what they say, how they end, and what they take along."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest

from partywidgets.app import create_app
from partywidgets.auth import Gate
from partywidgets.child_environment import hide_variable
from partywidgets.config import parse_config
from partywidgets.exceptions import ConfigError
from partywidgets.party.grant import OPEN_ROLES
from partywidgets.scans import module_functions
from partywidgets.scans.history import FILE, History
from partywidgets.scans.model import CheckResult
from partywidgets.scans.modules import ModuleProcesses
from partywidgets.scans.service import OpsMonitorService, Selection

WAIT = 30.0


def hide(text: str) -> str:
    """A redactor that knows one secret."""
    return text.replace("hunter2-of-the-host", "***")


@dataclass
class Team:
    """A directory with a config's modules, a service and its processes."""

    base: Path
    service: OpsMonitorService
    processes: ModuleProcesses

    async def load(self, *code: str) -> None:
        """Writes the module and loads a config that names it."""
        name = "team_checks"
        text = "import asyncio, os, re, sys, time\nfrom pathlib import Path\nimport partywidgets as pw\n" + "".join(map(dedent, code))
        await asyncio.to_thread((self.base / f"{name}.py").write_text, text)
        async with self.processes.loading("team.yaml", [name], self.base) as functions:
            await self.service.load_config("team.yaml", [], functions=functions)

    async def scan(self, *ids: str) -> dict[str, CheckResult]:
        """The results of one scan by id, without the module's name."""
        async with asyncio.timeout(WAIT):
            report = await self.service.run_scan(Selection(checks=tuple(f"team_checks.{one}" for one in ids)))
        return {result.check_id.rpartition(".")[2]: result for result in report.results}

    async def process_of(self, function: str = "pid") -> int:
        """What a function that returns its process id says."""
        return int((await self.scan(function))[function].metrics[0].value)


@pytest.fixture
async def team(tmp_path: Path) -> AsyncIterator[Team]:
    """A service with processes, ended after the test."""
    async with ModuleProcesses(hide) as processes, OpsMonitorService() as service:
        yield Team(tmp_path, service, processes)


async def gone(pid: int) -> None:
    """Waits until a process has ended and was reaped."""
    async with asyncio.timeout(WAIT):
        with contextlib.suppress(ProcessLookupError):
            while True:
                os.kill(pid, 0)
                await asyncio.sleep(0.02)


PID = """
    @pw.check
    def pid():
        return os.getpid()
"""

OTHER_PID = """
    import partywidgets as pw

    @pw.check(id="team_checks.pid")
    def pid():
        ...
"""


async def test_what_functions_say(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their results are those of any check; they run beside their config, without this process's secrets, in a process of their own."""
    monkeypatch.setenv("PARTYWIDGETS_TOKEN", "hunter2-of-the-host")
    monkeypatch.setenv("NAMED_IN_A_CONFIG", "hunter2-of-the-host")
    monkeypatch.setenv("HARMLESS", "yes")
    hide_variable("NAMED_IN_A_CONFIG")
    await team.load(
        """
        @pw.check(severity="high", crit="> 5")
        def queue():
            "How many orders wait"
            return 7

        @pw.check
        async def sums():
            assert 1 + 1 == 3, "sums are off"

        @pw.check
        def place():
            seen = [os.environ.get(name) for name in ("PARTYWIDGETS_TOKEN", "NAMED_IN_A_CONFIG", "HARMLESS")]
            return pw.Result("ok", f"{Path.cwd()} {sys.path[0]} {seen}")
        """,
        PID,
    )
    results = await team.scan()
    assert (results["queue"].status, results["queue"].summary) == ("crit", "value > 5: got 7")
    assert (results["queue"].title, results["queue"].severity) == ("How many orders wait", "high")
    assert results["queue"].target == "team_checks:queue"
    assert (results["sums"].status, results["sums"].summary) == ("crit", "sums are off")
    assert results["place"].summary == f"{team.base} {team.base} [None, None, 'yes']"
    assert results["pid"].metrics[0].value != os.getpid()


async def test_a_function_that_hangs_is_ended(team: Team, caplog: pytest.LogCaptureFixture) -> None:
    """At its time it is reported; what runs beside it ends in peace, then the process is killed; the next look has another one."""
    await team.load(
        """
        @pw.check(timeout="0.5s")
        def hangs():
            while True:
                pass

        @pw.check
        async def beside():
            await asyncio.sleep(1.5)
            return os.getpid()
        """,
        PID,
    )
    results = await team.scan("hangs", "beside")
    assert (results["hangs"].status, results["hangs"].error and results["hangs"].error.kind) == ("unknown", "timeout")
    assert "did not return within 500ms" in results["hangs"].summary
    assert results["beside"].status == "ok"
    former = int(results["beside"].metrics[0].value)
    await gone(former)
    assert await team.process_of() != former
    assert "hangs did not return within" in caplog.text


async def test_a_function_that_holds_up_its_process(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that never lets go of the interpreter is killed by the host, and what was lost with it says so."""
    monkeypatch.setattr(module_functions, "GRACE", 0.5)
    await team.load(
        """
        @pw.check(timeout="1s")
        def regex():
            re.match("(a+)+$", "a" * 64 + "b")

        @pw.check(timeout="20s")
        async def beside():
            await asyncio.sleep(15)
        """
    )
    results = await team.scan()
    assert results["regex"].summary == "did not return within 1s and was killed"
    assert results["regex"].error is not None
    assert results["regex"].error.kind == "timeout"
    assert results["beside"].status == "unknown"
    assert results["beside"].summary == "its process was killed because team_checks.regex held it up"


async def test_a_function_that_ends_its_process(team: Team, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """The crash is a result and a log line; until the process may start again, results say that; then it works again."""
    monkeypatch.setattr(module_functions, "BACKOFF", 8.0)
    await team.load(
        """
        @pw.check
        def exits():
            os._exit(3)
        """,
        PID,
    )
    results = await team.scan("exits")
    assert (results["exits"].status, results["exits"].summary) == (
        "unknown",
        "the process of team_checks ended with exit code 3 while this ran in it",
    )
    results = await team.scan("pid")
    assert results["pid"].status == "unknown"
    assert "ended with exit code 3, and is started again in" in results["pid"].summary
    assert "it is started again in 8 s at the earliest" in caplog.text
    async with asyncio.timeout(WAIT):
        while (await team.scan("pid"))["pid"].status != "ok":
            await asyncio.sleep(0.05)


async def test_a_program_in_the_background_holds_nothing_up(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that a function left behind, with its output, does not keep the end of its process from being seen."""
    monkeypatch.setattr(module_functions, "BACKOFF", 0.05)
    await team.load(
        """
        @pw.check(timeout="20s")
        def leaves():
            import subprocess
            left = subprocess.Popen(["sleep", "600"], start_new_session=True)
            Path("left").write_text(str(left.pid))
            os._exit(5)
        """,
        PID,
    )
    try:
        assert "ended with exit code 5" in (await team.scan("leaves"))["leaves"].summary
        async with asyncio.timeout(WAIT):
            while (await team.scan("pid"))["pid"].status != "ok":
                await asyncio.sleep(0.05)
    finally:
        os.kill(int(await asyncio.to_thread((team.base / "left").read_text)), signal.SIGKILL)


@pytest.mark.parametrize(
    ("code", "line", "sentence"),
    [
        ("x = 1\ny = x / 0\n", 2, "ZeroDivisionError: division by zero"),
        ("def broken(:\n", 1, "SyntaxError"),
        ("import sys\nsys.exit(4)\n", 2, "SystemExit: 4"),
        ("import partywidgets as pw\n\n@pw.check(evry='5m')\ndef a(): ...\n", 3, "there is no keyword 'evry'"),
        ("import no_such_module_anywhere\n", 1, "No module named 'no_such_module_anywhere'"),
    ],
)
async def test_a_module_that_cannot_be_imported(team: Team, code: str, line: int, sentence: str) -> None:
    """One sentence with file and line, and the functions of before go on in their process."""
    await team.load(PID)
    before = await team.process_of()
    path = team.base / "broken.py"
    await asyncio.to_thread(path.write_text, code)
    with pytest.raises(ConfigError, match=sentence) as caught:
        async with team.processes.loading("team.yaml", ["team_checks", "broken"], team.base):
            pytest.fail("the module was imported")
    assert (caught.value.path, caught.value.line) == (str(path), line)
    assert await team.process_of() == before


async def test_a_module_that_is_not_there(team: Team) -> None:
    """The config is named, since there is no file to name; so it is for a directory that is not on this machine."""
    with pytest.raises(ConfigError, match=r"^team.yaml: the module team.missing cannot be imported: there is no such module$"):
        async with team.processes.loading("team.yaml", ["team.missing"], team.base):
            pytest.fail("the module was imported")
    with pytest.raises(ConfigError, match="there is no directory"):
        async with team.processes.loading("team.yaml", ["team.missing"], team.base / "nowhere"):
            pytest.fail("the module was imported")


async def test_a_module_that_does_not_end(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    """An import that hangs is given up after its time, and its process is gone."""
    monkeypatch.setattr(module_functions, "START_TIMEOUT", 10.0)
    code = "import os\nopen('begun', 'w').write(str(os.getpid()))\nwhile True: ...\n"
    await asyncio.to_thread((team.base / "endless.py").write_text, code)
    with pytest.raises(ConfigError, match="endless could not be imported within 10 s"):
        async with team.processes.loading("team.yaml", ["endless"], team.base):
            pytest.fail("the module was imported")
    await gone(int(await asyncio.to_thread((team.base / "begun").read_text)))


async def test_a_host_that_stops_sees_no_failure(tmp_path: Path) -> None:
    """What its end cuts off was not seen: no row turns unknown by it, nor in the history, also where one process takes longer to go."""
    for name, left in (("one", "subprocess.Popen(['sleep', '20'], start_new_session=True)"), ("two", "...")):
        module = "import subprocess, time\nimport partywidgets as pw\n\n@pw.check\ndef slow():\n"
        module += f"    {left}\n    open('{name}', 'w').close()\n    time.sleep(600)\n"
        await asyncio.to_thread((tmp_path / f"{name}_checks.py").write_text, module)
    one, two = (parse_config(f"modules: [{name}_checks]", path=str(tmp_path / f"{name}.yaml")) for name in ("one", "two"))
    async with create_app(gate=Gate(open_roles=OPEN_ROLES), config=one, storage=tmp_path / "state") as app:
        await app.load(two)
        app.service.start_scan()
        async with asyncio.timeout(WAIT):
            while not await asyncio.to_thread(lambda: (tmp_path / "one").exists() and (tmp_path / "two").exists()):
                await asyncio.sleep(0.02)
    assert app.service.board.rows == {}
    async with History(tmp_path / "state" / FILE) as history:
        assert await history.history() == []
        assert [scan["state"] for scan in await history.scans()] == ["cancelled"]


async def test_a_host_that_stops_while_a_process_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The process ends with it, wherever its start is, and nothing of it is left."""
    monkeypatch.setattr(module_functions, "BACKOFF", 0.0)
    for waited_for in ("", "begun"):
        base = tmp_path / (waited_for or "at-once")
        base.mkdir()
        caplog.clear()
        async with ModuleProcesses() as processes, OpsMonitorService() as service:
            team = Team(base, service, processes)
            await team.load(
                """
                if Path("crashed").exists():
                    Path("writing").write_text(str(os.getpid()))
                    Path("writing").rename("begun")
                    time.sleep(600)

                @pw.check
                def crashes():
                    Path("crashed").touch()
                    os._exit(3)
                """
            )
            await team.scan("crashes")
            scan = asyncio.create_task(team.scan("crashes"))
            async with asyncio.timeout(WAIT):
                while not any(task.get_name() == "start team_checks" for task in asyncio.all_tasks()):
                    await asyncio.sleep(0)
                while waited_for and not (base / waited_for).exists():
                    await asyncio.sleep(0.02)
            scan.cancel()
            await asyncio.wait({scan})
        if waited_for:
            with pytest.raises(ProcessLookupError):
                os.kill(int((base / waited_for).read_text()), 0)
        assert not [task for task in asyncio.all_tasks() if "team_checks" in task.get_name()]
        assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
            "the process of team_checks ended with exit code 3; it is started again in 0 s at the earliest"
        ]


async def test_a_config_that_is_refused_changes_nothing(team: Team) -> None:
    """The new process ends with the refusal, and the old one goes on."""
    await team.load(PID)
    before = await team.process_of()
    await asyncio.to_thread((team.base / "other_checks.py").write_text, dedent(OTHER_PID))
    with pytest.raises(ConfigError, match="is used twice"):
        async with team.processes.loading("team.yaml", ["team_checks", "other_checks"], team.base) as functions:
            await team.service.load_config("team.yaml", [], functions=functions)
    assert await team.process_of() == before


async def test_loading_again_reads_the_module_anew(team: Team) -> None:
    """An edited module runs as it is now; a look that is under way ends as it began."""
    await team.load(
        """
        @pw.check
        async def slow():
            Path("begun").touch()
            while not Path("go").exists():
                await asyncio.sleep(0.01)
            return pw.Result("ok", "of before")
        """,
        PID,
    )
    before = await team.process_of()
    looking = asyncio.create_task(team.scan("slow"))
    async with asyncio.timeout(WAIT):
        while not (team.base / "begun").exists():
            await asyncio.sleep(0.01)
    await team.load(
        """
        @pw.check
        async def slow():
            return pw.Result("ok", "of now")
        """,
        PID,
    )
    assert await team.process_of() != before
    (team.base / "go").touch()
    assert (await looking)["slow"].summary == "of before"
    await gone(before)
    assert (await team.scan("slow"))["slow"].summary == "of now"
    async with team.processes.loading("team.yaml", [], team.base) as functions:
        assert functions == []


async def test_cancelling_a_scan_ends_its_function(team: Team) -> None:
    """A plain function that nobody waits for any more does not run on."""
    await team.load(
        """
        @pw.check(timeout="5m")
        def hangs():
            Path("begun").write_text(str(os.getpid()))
            while True:
                pass
        """
    )
    scan = team.service.start_scan()
    begun = team.base / "begun"
    async with asyncio.timeout(WAIT):
        while not (begun.exists() and begun.read_text()):
            await asyncio.sleep(0.01)
    scan.cancel()
    await gone(int(begun.read_text()))


async def test_retries_of_one_that_hangs(team: Team) -> None:
    """The further look is in a process of its own, where nothing hangs from before."""
    await team.load(
        """
        @pw.check(timeout="2s", retries=1, retry_delay="0s")
        def second_time():
            if not Path("hung").exists():
                Path("hung").touch()
                time.sleep(600)
        """
    )
    assert (await team.scan())["second_time"].status == "ok"


async def test_what_functions_print(team: Team, caplog: pytest.LogCaptureFixture) -> None:
    """It goes to the log, bounded and without secrets, and never between the messages; what they read is empty."""
    caplog.set_level(logging.INFO, "partywidgets.modules")
    await team.load(
        """
        @pw.check
        def talks():
            print("the password is hunter2-of-the-host")
            os.system("echo a program says this too")
            os.write(1, b"x" * 100_000)
            return len(sys.stdin.read())
        """
    )
    assert (await team.scan())["talks"].summary == "value 0"
    async with asyncio.timeout(WAIT):
        while not all(said in caplog.text for said in ("team_checks: the password is ***", "a program says this too", "xxx")):
            await asyncio.sleep(0.01)
    assert "hunter2" not in caplog.text
    assert max(len(record.getMessage()) for record in caplog.records) < 600
