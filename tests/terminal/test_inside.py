"""`run` where its own line brings the marks: in a shell that another command opened, and in one that was not started with ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from partywidgets.terminal import commands
from tests.terminal.conftest import Serve
from tests.ttyd_process import ttyd

SLEEPS = "sh -c 'echo begun-$((1+1)); exec sleep 100'"
"""It says that it has the terminal: a Ctrl-C that comes while a shell makes its children may be lost."""
OPENS = "PS1='inner# ' exec sh"


async def test_a_shell_inside_the_shell(serve: Serve) -> None:
    """What somebody opened with `sudo -i` or `sh` is typed into where that is asked for; code, output and folder are the inner shell's, and
    the outer one goes on where it was."""
    async with serve() as place, place.watch() as ana:
        await ana.running()
        await ana.type(f"cd /; ({OPENS})\r")
        inner = (await ana.ask("run", command="echo in-$0; cd /tmp; (exit 3)", timeout_s=40, inside=True))["result"]
        assert (inner["output"], inner["exit_code"], inner["cwd"]) == ("in-sh", 3, "/tmp")
        several = (await ana.ask("run", command="for n in 1 2; do\n  echo $n\ndone\npwd", timeout_s=40, inside=True))["result"]
        assert (several["output"], several["exit_code"]) == ("1\n2\n/tmp", 0)
        await ana.type("exit 5\r")
        await ana.message("mark", kind="end", command=f"cd /; ({OPENS})", exit_code=5, cwd="/")
        outer = (await ana.ask("run", command="pwd", timeout_s=40, inside=True))["result"]  # nothing is open: the shell itself
        assert (outer["output"], outer["exit_code"]) == ("/", 0)
        ran = (await ana.ask("history"))["result"]["commands"]
        assert [entry["exit_code"] for entry in ran] == [3, 0, 5, 0]


async def test_without_being_asked_nothing_is_typed_inside(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence names what has the terminal, its prompt and both ways on."""
    monkeypatch.setattr(commands, "PROMPT_SECONDS", 1.0)
    async with serve() as place, place.watch() as ana:
        await ana.running()
        await ana.type(f"({OPENS})\r")
        await ana.message("mark", kind="start", command=f"({OPENS})")
        await ana.shows(b"inner# ")
        error = (await ana.ask("run", command="echo no", timeout_s=40))["error"]
        assert f"`({OPENS})` has opened a shell ('inner#')" in error
        assert "leave it" in error
        assert "inside=True" in error
        await ana.type("exec cat\r")
        await ana.until(lambda: ana.drawn().endswith(b"exec cat\r\n"))
        assert "the shell is busy with" in (await ana.ask("run", command="echo no", timeout_s=40, inside=True))["error"]


@pytest.mark.parametrize(
    ("opens", "set_vi", "tells"),
    [
        ("PS1='inner# ' exec bash --norc -i", "set -o vi", "set -o | grep -c '^vi .*on'"),
        ("PS1='inner# ' exec zsh -f -i", "bindkey -v", "bindkey -lL main | grep -c viins"),
    ],
    ids=["bash", "zsh"],
)
async def test_vi_keys_inside(serve: Serve, opens: str, set_vi: str, tells: str) -> None:
    """A command is typed as such where the inner shell has vi's keys, in their command mode too; they stay vi's."""
    async with serve() as place, place.watch() as ana:
        await ana.running()
        await ana.type(f"({opens})\r")
        await ana.shows(b"inner# ")
        assert (await ana.ask("run", command=set_vi, timeout_s=40, inside=True))["result"]["exit_code"] == 0
        for keys in ("", "\x1b"):
            await ana.type(keys)
            result = (await ana.ask("run", command="echo there-$((1+1)); (exit 3)", timeout_s=20, inside=True)).get("result")
            assert result, ana.drawn()[-300:]
            assert (result["output"], result["exit_code"]) == ("there-2", 3)
        assert (await ana.ask("run", command=tells, timeout_s=20, inside=True))["result"]["output"] == "1"


async def test_the_inner_shell_ends_with_the_command(serve: Serve) -> None:
    """A command that leaves the inner shell is told as such; the outer shell is ready."""
    async with serve() as place, place.watch() as ana:
        await ana.running()
        await ana.type(f"({OPENS})\r")
        await ana.message("mark", kind="start", command=f"({OPENS})")
        assert "the shell inside ended" in (await ana.ask("run", command="exit 4", timeout_s=40, inside=True))["error"]
        assert (await ana.ask("run", command="echo out", timeout_s=40))["result"]["output"] == "out"


async def test_ctrl_c_inside(serve: Serve) -> None:
    """An interrupted command comes back without a code, for nothing tells it, and the next one runs."""
    async with serve() as place, place.watch() as ana:
        await ana.running()
        await ana.type(f"({OPENS})\r")
        await ana.message("mark", kind="start", command=f"({OPENS})")
        await ana.tell("run", id="r1", command=SLEEPS, inside=True)
        await ana.shows(b"begun-2")
        await ana.tell("cancel", run="r1", interrupt=True)
        done = await ana.message("reply", id="r1")
        assert (done["result"]["exit_code"], done["result"]["output"].splitlines()[0]) == (None, "begun-2")
        assert (await ana.ask("run", command="echo on", timeout_s=40, inside=True))["result"]["output"] == "on"


@pytest.mark.parametrize(("shell", "late"), [("bash", 0), ("sh", 0), ("bash", 2), ("sh", 2)])
async def test_ctrl_c_where_the_marks_are_typed(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shell: str, late: int
) -> None:
    """In a shell that was not started with our marks Ctrl-C ends the line that would tell the end: the prompt tells it then, to whoever
    asks later, too, and the room goes on. So where the first line was typed before there was a prompt."""
    if late:
        monkeypatch.setattr(commands, "FIRST_SECONDS", 0.5)
    with ttyd(tmp_path, "-W", command=("/bin/sh", "-c", f"sleep {late}; exec /bin/{shell}")) as there:
        async with serve(default=there.address()) as place, place.watch() as ana:
            await ana.live()
            await ana.tell("run", id="r1", command=SLEEPS)
            await ana.shows(b"begun-2")
            await ana.type("\x03")
            done = (await ana.message("reply", id="r1"))["result"]
            assert (done["exit_code"], done["output"].splitlines()[0]) == (None, "begun-2")
            async with place.watch(who="pia") as pia:
                await pia.tell("run", id="p1", command=SLEEPS.replace("1+1", "1+2"))
                await ana.shows(b"begun-3")
            await ana.type("\x03")  # for a command whose owner has left
            assert (await ana.ask("run", command="(exit 6)", timeout_s=40))["result"]["exit_code"] == 6


async def test_half_typed_line_where_the_marks_are_typed(serve: Serve, tmp_path: Path) -> None:
    """There, too, what a person has half-typed is cleared first, also with the cursor in its middle."""
    with ttyd(tmp_path, "-W", command=("/bin/bash", "--norc")) as there:
        async with serve(default=there.address()) as place, place.watch() as ana:
            await ana.live()
            assert (await ana.ask("run", command="echo one", timeout_s=20))["result"]["output"] == "one"
            await ana.type("rm -rf left\x1b[D\x1b[D")
            await ana.shows(b"rm -rf left")
            assert (await ana.ask("run", command="echo two", timeout_s=20))["result"]["output"] == "two"


async def test_after_a_full_screen_program_inside(serve: Serve) -> None:
    """The prompt behind the screen that a program took away is the inner shell's, and is typed into."""
    async with serve() as place, place.watch() as ana:
        await ana.running()
        await ana.type(f"({OPENS})\r")
        await ana.until(lambda: ana.drawn().endswith(b"inner# "))
        await ana.type("vim -u NONE\r")
        await ana.shows(b"?1049h")
        await ana.type(":q!\r")
        await ana.until(lambda: b"?1049l" in ana.output and ana.output.endswith(b"inner# "))
        reply = await ana.ask("run", command="echo there-$((1+1)); (exit 3)", timeout_s=20, inside=True)
        assert reply["ok"], (reply, ana.drawn()[-300:])
        assert (reply["result"]["output"], reply["result"]["exit_code"]) == ("there-2", 3)
