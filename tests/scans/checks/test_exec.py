"""The exec check: the plugin protocol, programs that hang, and what they leave behind."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
from pathlib import Path

import psutil
import pytest
from pydantic import ValidationError

from partywidgets.scans import judge
from partywidgets.scans.checks.exec import STDOUT_BYTES, ExecCheck, _Stream, parse_metrics, parse_output
from partywidgets.scans.model import CheckResult, Metric
from tests.ports import kept_port

from .servers import look, serving
from .test_tcp import hold

PLUGINS = Path("/usr/lib/nagios/plugins")


async def gone(pid_file: Path) -> None:
    """Returns when none of those is left; the test's time limit is the bound."""
    while children(pid_file):
        await asyncio.sleep(0.01)


def run(*command: str, **more: object) -> ExecCheck:
    """A check of a command."""
    return ExecCheck.model_validate({"id": "plugin", "command": command, "timeout": 10, **more})


@pytest.mark.parametrize(("code", "status"), [(0, "ok"), (1, "warn"), (2, "crit"), (3, "unknown"), (4, "unknown"), (127, "unknown")])
async def test_exit_codes(code: int, status: str) -> None:
    """The exit code is the status; one that no plugin uses is unknown, and said."""
    result = await look(run("sh", "-c", f"echo LINE; exit {code}"))
    assert result.status == status
    assert result.summary == ("LINE" if code < 4 else f"sh ended with {code}, which is not a plugin's exit code: LINE")


async def test_output() -> None:
    """The first line is the summary, what follows the bar are metrics, the lines after it details."""
    text = "DISK WARNING - / 85% | /=85%;80;90;0;100 'a b'=1.5s\nlong one\nlong two | inodes=12c\nmore=3KB;;;0\n"
    result = await look(run("printf", "%s", text, warn="metrics['/'] > 80.0"))
    assert (result.status, result.summary) == ("warn", "metrics['/'] > 80.0: got 85")
    assert result.details == "long one\nlong two"
    assert result.metrics[:4] == [
        Metric("/", 85.0, "%", "80", "90", 0.0, 100.0),
        Metric("a b", 1.5, "s"),
        Metric("inodes", 12.0, "c"),
        Metric("more", 3.0, "KB", None, None, 0.0),
    ]


async def test_own_status_and_conditions() -> None:
    """Conditions can make a plugin's status worse, never better."""
    assert (await look(run("sh", "-c", "exit 0", conditions=["exit_code == 1"]))).status == "crit"
    assert (await look(run("sh", "-c", "exit 2", conditions=["exit_code == 2"]))).status == "crit"
    assert (await look(run("sh", "-c", "exit 2", warn="true"))).status == "crit"


async def test_errors_when_nothing_is_printed() -> None:
    """Without output the errors are the summary."""
    result = await look(run("sh", "-c", "echo 'no such thing' >&2; exit 3"))
    assert (result.status, result.summary) == ("unknown", "no such thing")
    assert [item.name for item in result.evidence] == ["stderr"]


async def test_not_there() -> None:
    """A program that cannot be started is unknown, with the reason."""
    result = await look(run("/nonexistent/check_it"))
    assert result.error is not None
    assert (result.status, result.error.kind) == ("unknown", "internal")
    assert result.summary == "/nonexistent/check_it cannot be run: no such file or directory"
    assert (await look(run("true", cwd="/nonexistent"))).status == "unknown"


async def test_no_shell(tmp_path: Path) -> None:
    """Arguments reach the program as they are; a text is split, not interpreted."""
    check = ExecCheck.model_validate({"id": "plugin", "command": f"echo '$HOME' ; touch {tmp_path}/made"})
    assert check.command == ("echo", "$HOME", ";", "touch", f"{tmp_path}/made")
    assert (await look(check)).summary == f"$HOME ; touch {tmp_path}/made"
    assert not (tmp_path / "made").exists()


async def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program sees the environment without our secrets and Jupyter's, and the check's own variables."""
    monkeypatch.setenv("PARTYWIDGETS_SECRET", "s3cret")
    monkeypatch.setenv("JUPYTER_TOKEN", "s3cret")
    monkeypatch.setenv("JPY_API_TOKEN", "s3cret")
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "s3cret")
    result = await look(run("sh", "-c", "env | grep -c s3cret; echo $OWN", env={"OWN": "mine"}))
    assert result.summary == "0"
    assert result.details == "mine"


def children(pid_file: Path) -> list[int]:
    """The processes that a plugin wrote down and that still run."""
    pids = [int(line) for line in pid_file.read_text().split()]
    return [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


async def test_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program over its time is ended with everything that it started, even when it ignores SIGTERM; what it printed is kept."""
    monkeypatch.setattr(judge, "GRACE", 20.0)  # on a busy machine the program's end takes longer than the half second there is
    child = f"trap '' TERM; echo $$ >> {tmp_path}/pids; sleep 1000"
    script = f"trap '' TERM; echo partial; sh -c \"{child.replace('$', chr(92) + '$')}\" & echo $$ >> {tmp_path}/pids; wait; sleep 1000"
    result = await look(run("sh", "-c", script, timeout=3))
    assert result.error is not None
    assert (result.status, result.error.kind) == ("unknown", "timeout")
    assert result.summary == "sh did not end within 3s"
    assert result.evidence[0].value == "partial\n"
    await gone(tmp_path / "pids")


async def test_leaves_nothing_behind(tmp_path: Path) -> None:
    """A program that ends is judged at once, although a child of it holds its output; the child is ended."""
    result = await look(run("sh", "-c", f"sleep 1000 & echo $! > {tmp_path}/pids; echo fine"))
    assert (result.status, result.summary) == ("ok", "fine")
    await gone(tmp_path / "pids")


async def test_much_output() -> None:
    """Output beyond the bound is dropped without blocking the program."""
    result = await look(run("sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x; exit 1"))
    assert result.status == "warn"
    assert len(result.summary) == 200
    assert result.evidence[0].truncated
    assert STDOUT_BYTES < 3_000_000


async def test_killed() -> None:
    """A program ended by a signal is unknown, and the signal is named."""
    result = await look(run("sh", "-c", "kill -KILL $$"))
    assert (result.status, result.summary) == ("unknown", "sh was ended by SIGKILL: no output, exit code -9")


async def test_no_descriptors_leak() -> None:
    """Runs leave no open descriptor."""
    await look(run("true"))
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        await look(run("true"))
        await look(run("/nonexistent/x"))
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("text", "metrics"),
    [
        ("time=0.012s;;;0.000;10.000", [Metric("time", 0.012, "s", None, None, 0.0, 10.0)]),
        ("'it''s'=1;@5:10;~:20", [Metric("it's", 1.0, "", "@5:10", "~:20")]),
        ("a=U b=2", [Metric("b", 2.0)]),
        ("a=1,5 c=-2e3", [Metric("a", 1.5), Metric("c", -2000.0)]),
        ("nothing to see", []),
        ("a=1 garbage b=2", [Metric("a", 1.0)]),
        ("a=1;2;3;4;5;6;7", [Metric("a", 1.0, "", "2", "3", 4.0, 5.0)]),
    ],
)
def test_metrics(text: str, metrics: list[Metric]) -> None:
    """Performance data in all its forms; reading stops at what is none."""
    assert parse_metrics(text) == metrics


def test_empty_output() -> None:
    """No output is not a summary."""
    assert parse_output("") == parse_output("\n")


@pytest.mark.parametrize("command", [[], "", "a 'b", ["a\0b"], [""]])
def test_faults_of_the_author(command: object) -> None:
    """What the author got wrong is refused when the config is read."""
    with pytest.raises(ValidationError):
        ExecCheck.model_validate({"id": "plugin", "command": command})


@pytest.mark.skipif(not PLUGINS.is_dir(), reason="Debian's monitoring-plugins-basic is not installed")
async def test_monitoring_plugins() -> None:
    """Debian's own plugins run unchanged."""
    assert shutil.which("check_tcp", path=str(PLUGINS))
    async with serving(hold) as port:
        result = await look(run(f"{PLUGINS}/check_tcp", "-H", "127.0.0.1", "-p", str(port)))
    assert (result.status, result.summary[:6]) == ("ok", "TCP OK")
    assert (result.metrics[0].name, result.metrics[0].unit, result.metrics[0].max) == ("time", "s", 10.0)
    result = await look(run(f"{PLUGINS}/check_tcp", "-H", "127.0.0.1", "-p", str(kept_port())))
    assert result.status == "crit"
    result = await look(run(f"{PLUGINS}/check_dummy", "1", "as asked"))
    assert (result.status, result.summary) == ("warn", "WARNING: as asked")
    result = await look(run(f"{PLUGINS}/check_load", "-w", "1000,1000,1000", "-c", "2000,2000,2000"))
    assert [metric.name for metric in result.metrics[:3]] == ["load1", "load5", "load15"]


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_each_descriptor_is_closed_once(loop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second close, as uvloop does it to a pipe that it was given as a file, would meet what another thread has opened under the number
    meanwhile: a database, or a socket."""
    make = asyncio.new_event_loop if loop == "asyncio" else pytest.importorskip("uvloop").new_event_loop
    twice: list[int] = []
    close = os.close

    def note(descriptor: int) -> None:
        try:
            os.fstat(descriptor)
        except OSError:
            twice.append(descriptor)

    def noting_close(descriptor: int) -> None:
        note(descriptor)
        close(descriptor)

    class NotingFile(io.FileIO):
        def close(self) -> None:
            if not self.closed:
                note(self.fileno())
            super().close()

    monkeypatch.setattr(os, "close", noting_close)
    monkeypatch.setattr(os, "fdopen", lambda descriptor, *_, **__: NotingFile(descriptor))

    async def looks() -> list[CheckResult]:
        found = [await look(run("sh", "-c", text)) for text in ("echo LINE", "sleep 30 & echo LINE", "yes | head -c 300000")]
        await asyncio.sleep(0)
        return found

    with asyncio.Runner(loop_factory=make) as runner:
        found = runner.run(looks())
    assert [result.summary for result in found] == ["LINE", "LINE", "y"]
    assert twice == []


async def test_a_look_that_is_ended_in_the_moment_of_its_last_output(caplog: pytest.LogCaptureFixture) -> None:
    """A host stops while programs end: whoever waited for the end of a pipe is gone by then, and nothing is said of it."""
    stream = _Stream(100)
    waiting = asyncio.ensure_future(_ended(stream))
    await asyncio.sleep(0)
    waiting.cancel()
    stream.close_inlet()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    for _ in range(5):  # turns of the loop, in which it sees the end of the pipe
        await asyncio.sleep(0)
    stream.close()
    assert stream.ended.cancelled()
    assert caplog.text == ""


async def _ended(stream: _Stream) -> None:
    await stream.ended
