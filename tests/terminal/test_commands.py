"""`run` in the shared, visible shell."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from partywidgets.terminal import commands, requests
from tests.engines_fixture import Engine

from ..debian_package import unpacked
from .conftest import Serve, shell_path
from .viewers import Viewer


async def gives(ana: Viewer, command: str, code: int, output: str) -> dict[str, Any]:
    """Runs a command, which ends with that code and that output; its result."""
    done: dict[str, Any] = (await ana.ask("run", command=command, timeout_s=60))["result"]
    assert (done["exit_code"], done["output"]) == (code, output)
    return done


@pytest.mark.parametrize("name", ["bash", "zsh", "dash"])
async def test_run_gives_output_code_and_folder(serve: Serve, name: str) -> None:
    """The result has the command's own output without prompt or escapes, its code, duration, folder and offset; marks and ledger agree."""
    path = shell_path(name)
    async with serve(default=f"local:{path}") as place, place.watch() as ana, place.watch(who="obi") as obi:
        done = (await ana.ask("run", command=r"printf '\033[31mred\033[0m\nlast'; cd /; (exit 3)", timeout_s=60))["result"]
        assert (done["output"], done["exit_code"], done["cwd"]) == ("red\nlast", 3, "/")
        assert done["duration_s"] >= 0
        several = (await ana.ask("run", command="echo 'it'\"'\"'s'\nprintf '%s\\n' a\\\\b\nfalse", timeout_s=60))["result"]
        assert (several["output"], several["exit_code"]) == ("it's\na\\b", 1)
        wide = "echo " + "long-" * 60
        assert (await ana.ask("run", command=wide, timeout_s=60))["result"]["output"] == "long-" * 60
        end = await obi.message("mark", kind="end", id=done["id"])
        assert (end["exit_code"], end["actor"], end["offset"]) == (3, "Ana", done["offset"])
        ledger = (await obi.ask("history"))["result"]["commands"]
        assert [entry["exit_code"] for entry in ledger] == [3, 1, 0]
        assert ledger[0]["actor"] == "Ana"


async def test_typed_commands_are_in_the_ledger(serve: Serve) -> None:
    """What a person types is marked and kept with their name, exit code and text."""
    async with serve() as place, place.watch(who="pia") as pia:
        await pia.running()
        await pia.type("sh -c 'exit 5' # typed\r")
        mark = await pia.message("mark", kind="end")
        assert (mark["command"], mark["exit_code"], mark["actor"]) == ("sh -c 'exit 5' # typed", 5, "Pia")


async def test_a_ledger_without_room_says_so_once(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """While its disk is full commands run on and are missing: one sentence with the remedy, no traceback, and one when it goes on."""
    async with serve() as place, place.watch() as ana:
        await ana.running()
        assert (await ana.ask("run", command="echo kept", timeout_s=60))["result"]["exit_code"] == 0
        await ana.ask("history")
        room = await place.room("w1")
        await room.sql("PRAGMA max_page_count = 1")
        for number in range(3):
            done = (await ana.ask("run", command=f"echo {number} # {'x' * 9000}", timeout_s=60))["result"]
            assert done["output"] == str(number)
        entries = (await ana.ask("history"))["result"]["commands"]
        assert [entry["command"] for entry in entries] == ["echo kept"]
        await room.sql("PRAGMA max_page_count = 100000")
        await ana.ask("run", command="echo again", timeout_s=60)
        entries = (await ana.ask("history"))["result"]["commands"]
        assert [entry["command"] for entry in entries] == ["echo kept", "echo again"]
    said = [record for record in caplog.records if record.levelname in ("ERROR", "WARNING")]
    assert not any(record.exc_info for record in said)
    first, last = (record.getMessage() for record in said)
    assert "its ledger misses commands (1 by now)" in first
    assert first.endswith("(database or disk is full): make room on its disk")
    assert last.endswith("its ledger is written again: it misses 3 commands")


async def test_concurrent_runs_queue(serve: Serve) -> None:
    """Runs asked for at once follow one another, each with its own output."""
    async with serve() as place, place.watch() as ana, place.watch(who="pia") as pia:
        asked = [
            viewer.ask("run", command=f"echo {n}; sleep 0.02; (exit {n})", timeout_s=60) for n, viewer in enumerate((ana, pia, ana, pia))
        ]
        done = [reply["result"] for reply in await asyncio.gather(*asked)]
        assert [(result["output"], result["exit_code"]) for result in done] == [(str(n), n) for n in range(4)]


async def test_timeout_leaves_the_command_alone(serve: Serve) -> None:
    """Past its time, `run` answers an error; no Ctrl-C is sent, the command goes on, and its end is in the ledger."""
    async with serve() as place, place.watch() as ana:
        await ana.running()
        late = await ana.ask("run", command="read line; echo got-$line", timeout_s=0.5)
        assert late["ok"] is False
        assert "did not end within 0.5 s" in late["error"]
        await ana.type("still-there\r")
        await ana.shows(b"got-still-there")
        assert (await ana.message("mark", kind="end"))["exit_code"] == 0


async def test_run_is_refused_where_it_cannot_work(serve: Serve) -> None:
    """Blanks, a full-screen program, an observer, and a dead shell: one sentence each."""
    async with serve() as place, place.watch() as ana, place.watch(who="obi") as obi:
        await ana.running()
        assert (await ana.ask("run", command="  "))["error"] == "run needs a command, got only blanks"
        assert "needs the role operator" in (await obi.ask("run", command="ls"))["error"]
        await ana.type("printf '\\033[?1049hfull'; read x; printf '\\033[?1049l'\r")
        await ana.shows(b"\x1b[?1049hfull")
        assert "full-screen program" in (await ana.ask("run", command="ls", timeout_s=60))["error"]
        await ana.type("\r")
        await ana.message("mark", kind="end")
        dying = await ana.ask("run", command="exit 4", timeout_s=60)
        assert "the shell ended with code 4" in dying["error"]
        assert "restart" in (await ana.ask("run", command="ls", timeout_s=60))["error"] or ana.of("exit")


@pytest.mark.parametrize(("name", "code", "words"), [("bash", 2, "syntax error"), ("zsh", 1, "parse error"), ("dash", 2, "Syntax error")])
async def test_syntax_error_comes_back(serve: Serve, name: str, code: int, words: str) -> None:
    """A line that the shell cannot parse is a result, not a wait for ever, and failed whatever ran before it."""
    shell = shell_path(name)
    async with serve(default=f"local:{shell}") as place, place.watch() as ana:
        for before in ("true", "(exit 9)"):
            await ana.ask("run", command=before, timeout_s=60)
            done = (await ana.ask("run", command="echo )", timeout_s=60))["result"]
            assert done["exit_code"] == code
            assert words in done["output"]


@pytest.mark.parametrize("name", ["bash", "zsh", "dash"])
async def test_comments(serve: Serve, name: str) -> None:
    """A comment is none of a command's arguments, and alone it is a command that did nothing; a person's own zsh is as before."""
    shell = shell_path(name)
    async with serve(default=f"local:{shell}") as place, place.watch() as ana:
        for command, code, output in (
            ("echo a # b", 0, "a"),
            ("(exit 3) # c", 3, ""),
            ("# alone", 0, ""),
            ("# two\n  # lines", 0, ""),
            ("echo d\n# e\n", 0, "d"),
        ):
            await gives(ana, command, code, output)
        if name == "zsh":
            await ana.type("echo as-$((1+1)) # before\r")
            await ana.shows(b"as-2 # before")


@pytest.mark.parametrize("name", ["bash", "zsh", "dash"])
async def test_what_the_shell_would_take_for_keys_or_history(serve: Serve, name: str) -> None:
    """An exclamation mark and control characters reach the command as they are: none recalls an earlier one, or is pressed as a key."""
    shell = shell_path(name)
    async with serve(default=f"local:{shell}") as place, place.watch() as ana:
        for command, output in (
            ('echo "wow!x" hi!', "wow!x hi!"),
            ("echo 'it'\"'\"'s!x'", "it's!x"),
            ('echo "!!"\necho two', "!!\ntwo"),
            ("printf 'a\x03\x1bb' | od -An -c", "a 003 033 b"),
            ("printf 'a\tb' | od -An -c", "a \\t b"),
            ("echo one\r\necho two\r", "one\ntwo"),
        ):
            reply = await ana.ask("run", command=command, timeout_s=30)
            assert reply.get("error") is None
            shown = reply["result"]["output"]
            assert (" ".join(shown.split()) if " od " in command else shown) == output


@pytest.mark.parametrize("name", ["bash", "zsh", "dash"])
async def test_a_command_that_is_not_whole_is_taken_back(serve: Serve, name: str) -> None:
    """A line for which the shell wants more (its PS2) is refused in a moment, and the next command finds a prompt; whole ones of several
    lines, and a program that prints the prompts' variables, are none."""
    shell = shell_path(name)
    async with serve(default=f"local:{shell}") as place, place.watch() as ana:
        for command in ("echo 'no end", "if true; then", "echo $("):
            assert "is not a complete command" in (await ana.ask("run", command=command, timeout_s=60))["error"]
        for command, output in (
            ("for i in 1 2; do\n  echo $i\ndone", "1\n2"),
            ("cat <<END\nin it\nEND", "in it"),
            ("env >/dev/tty; echo ok", "ok"),
        ):
            done = await ana.ask("run", command=command, timeout_s=60)
            assert done["result"]["output"].endswith(output)


@pytest.mark.parametrize("name", ["bash", "dash"])
async def test_run_says_what_it_waits_for(serve: Serve, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who ran a command that asks something, or opened a full-screen program, is told so, once for each; so is who waited too long."""
    monkeypatch.setattr(commands, "QUIET_SECONDS", 0.3)
    shell = shell_path(name)
    async with serve(default=f"local:{shell}") as place, place.watch() as ana, place.watch(who="pia") as pia:
        await ana.running()
        await ana.tell(
            "run", id="r1", command="printf 'Pass''word: '; read x; printf '\\033[?1049h'; read x; printf '\\033[?1049l'; echo done-$x"
        )
        first = await ana.message("waits", id="r1")
        assert first["reason"].endswith("shows 'Password:': it seems to wait for somebody in the terminal")
        await ana.type("it\r")
        await ana.until(lambda: len(ana.of("waits")) == 2)
        assert "has opened a full-screen program" in ana.of("waits")[1]["reason"]
        await ana.type("now\r")
        done = await ana.message("reply", id="r1")
        assert done["result"]["output"].endswith("done-now")
        assert len(ana.of("waits")) == 2
        assert pia.of("waits") == []
        late = await ana.ask("run", command="printf 'sure? [y/''n] '; read x", timeout_s=5)
        assert "still runs in the terminal and shows 'sure? [y/n]'" in late["error"]


DRAWS = r"""
import select, sys
print("\x1b[?1h", flush=True)
while not select.select([sys.stdin], [], [], 0.1)[0]:
    print(flush=True)
sys.stdin.readline()
"""


async def test_run_says_that_a_program_draws(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who ran one that draws without end on the primary screen and reads keys, as top does, is told so; what comes later is no such."""
    monkeypatch.setattr(commands, "QUIET_SECONDS", 0.3)
    (tmp_path / "draws.py").write_text(DRAWS)
    async with serve() as place, place.watch() as ana:
        await ana.running()
        await ana.tell("run", id="r1", command=f"{sys.executable} {tmp_path / 'draws.py'}")
        assert "has opened a full-screen program" in (await ana.message("waits", id="r1"))["reason"]
        await ana.type("q\r")
        await ana.message("reply", id="r1", ok=True)
        await ana.tell("run", id="r2", command="printf 'sure? [y/''n] '; read x")
        assert "shows 'sure? [y/n]'" in (await ana.message("waits", id="r2"))["reason"]
        await ana.type("y\r")
        await ana.message("reply", id="r2", ok=True)


async def test_run_says_what_it_waits_behind(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who runs a command in a shell that is busy is told with what, and that theirs has not begun."""
    monkeypatch.setattr(commands, "QUIET_SECONDS", 0.3)
    async with serve() as place, place.watch() as ana, place.watch(who="pia") as pia:
        await ana.running()
        await ana.type("read x; echo $x\r")
        await ana.message("mark", kind="start", command="read x; echo $x")
        await pia.tell("run", id="p1", command="echo mine")
        told = await pia.message("waits", id="p1")
        assert told["reason"] == "the shell is busy with `read x; echo $x`; `echo mine` waits for its turn"
        await ana.type("on\r")
        assert (await pia.message("reply", id="p1"))["result"]["output"] == "mine"


async def test_cancel(serve: Serve) -> None:
    """Of one's own commands those that are not typed yet are withdrawn, and the one that runs is interrupted; others' are left alone."""
    async with serve() as place, place.watch() as ana, place.watch(who="pia") as pia:
        await ana.running()
        await pia.tell("run", id="p1", command="read -p g''o? x; echo $x")
        await ana.shows(b"go?")
        await ana.tell("run", id="a1", command="echo never")
        await ana.tell("cancel", run="", interrupt=True)
        assert "withdrawn" in (await ana.message("reply", id="a1"))["error"]
        await pia.type("on\r")
        assert (await pia.message("reply", id="p1"))["result"]["output"].endswith("on")
        await ana.tell("run", id="a2", command="sh -c 'echo in''side; exec sleep 60'")
        await ana.shows(b"inside")  # a Ctrl-C that comes while bash makes its children may be lost
        await ana.tell("cancel", run="a2")
        await pia.tell("cancel", run="", interrupt=True)
        await ana.tell("cancel", run="a2", interrupt=True)
        assert (await ana.message("reply", id="a2"))["result"]["exit_code"] == 130
        assert "never" not in [entry["command"] for entry in (await ana.ask("history"))["result"]["commands"]]


async def test_ctrl_c_that_is_not_pressed(serve: Serve) -> None:
    """Whose command it is and who has control may be two: then interrupt() says why nothing was pressed."""
    async with serve() as place, place.watch(who="ben") as ben, place.watch() as ana:
        await ben.running()
        await ben.tell("run", id="b1", command="read x; echo $x")
        await ben.message("mark", kind="start")
        await ana.tell("lease", action="take")
        await ben.until(lambda: ben.of("lease") and ben.of("lease")[-1]["can_type"] is False)
        await ben.tell("cancel", run="", interrupt=True)
        told = await ben.message("waits", id="b1")
        assert told["reason"].startswith("Ctrl-C was not pressed: Ana has control of the terminal")
        await ana.type("on\r")
        assert (await ben.message("reply", id="b1"))["result"]["output"].endswith("on")


async def test_half_typed_line_is_not_mixed_in(serve: Serve) -> None:
    """What a person has half-typed at the prompt is cleared before a command is typed."""
    async with serve() as place, place.watch() as ana:
        await ana.running()
        await ana.type("rm -rf ")
        await ana.shows(b"rm -rf ")
        assert (await ana.ask("run", command="echo safe", timeout_s=60))["result"]["output"] == "safe"


THEME = """
bindkey -v
setopt PROMPT_SUBST
autoload -U add-zsh-hook
theme() { PROMPT=$'\\n%F{blue}╭─%n@%m%f %~ \\n╰─%(?..%F{red}%? )❯ '; RPROMPT='%*' }
add-zsh-hook precmd theme
timer() { began=$SECONDS }
add-zsh-hook preexec timer
zle-line-init() { zle reset-prompt }
zle -N zle-line-init
"""


async def test_run_in_a_zsh_with_a_theme(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hooks, a prompt of several lines that is set anew each time, one on the right and vi keys change nothing."""
    shell = shell_path("zsh")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".zshrc").write_text(THEME)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    async with serve(default=f"local:{shell}") as place, place.watch() as ana:
        await ana.running()
        for command, code, output in (
            ("echo one", 0, "one"),
            ("(exit 7)", 7, ""),
            ("for i in 1 2; do\n  echo $i\ndone", 0, "1\n2"),
            ("printf 'no newline'", 0, "no newline"),
            ("cd /; pwd", 0, "/"),
        ):
            await gives(ana, command, code, output)


@pytest.mark.parametrize("keys", ["rm -rf x\x1b", "rm -rf x\x1b0", "rm -rf x\x1b0i", "rm -rf x"])
@pytest.mark.parametrize("name", ["bash", "zsh"])
async def test_half_typed_line_of_vi(serve: Serve, name: str, keys: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With vi's keys a half-typed line is cleared whole, in the mode for commands and wherever the cursor is, and the keys stay vi's."""
    shell = shell_path(name)
    for file, setting in ((".bashrc", "set -o vi"), (".zshrc", "bindkey -v")):
        (tmp_path / file).write_text(f"{setting}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    async with serve(default=f"local:{shell}") as place, place.watch() as ana:
        await ana.running()
        await ana.type(keys.partition("\x1b")[0])
        await ana.shows(b"rm -rf x")
        for key in keys.removeprefix("rm -rf x"):
            await ana.type(key)
            await asyncio.sleep(0.6)  # an Escape is one only when nothing follows it for a moment: readline waits 0.5 s
        for command in ("echo whole", "echo again"):
            done = (await ana.ask("run", command=command, timeout_s=20))["result"]
            assert (done["exit_code"], done["output"]) == (0, command.removeprefix("echo "))
        held = "set -o | grep '^vi '" if name == "bash" else "bindkey -lL main"
        assert ("on" if name == "bash" else "viins") in (await ana.ask("run", command=held, timeout_s=20))["result"]["output"]


@pytest.mark.docker
async def test_run_in_a_busybox_container(serve: Serve, docker_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container with nothing but busybox `run` works too: long lines, several lines, exit codes, also behind a printed PS1."""
    monkeypatch.setenv("DOCKER_HOST", docker_engine.url)
    name = docker_engine.start()
    async with serve(default=f"docker:{name}") as place, place.watch(query="?cols=60&rows=20") as ana:
        assert (await ana.ask("run", command="echo one; (exit 9)", timeout_s=30))["result"]["output"] == "one"
        wide = "echo " + "abcdefghi " * 20
        assert (await ana.ask("run", command=wide, timeout_s=30))["result"]["output"] == ("abcdefghi " * 20).strip()
        done = (await ana.ask("run", command="env\nset\nfalse", timeout_s=30))["result"]
        assert done["exit_code"] == 1
        assert "HOSTNAME=" in done["output"]
    docker_engine.remove(name)


async def test_what_waits_its_turn_is_typed_by_who_may_type_then(serve: Serve) -> None:
    """A command behind another is not typed once control went to somebody else, nor for who was put out and never answers the Close."""
    async with serve() as place, place.watch() as ana, place.watch(who="pia") as pia, place.watch(who="ben") as ben:
        await ana.running()
        await ben.tell("run", id="b1", command="read x; echo $x")
        await ben.message("mark", kind="start", command="read x; echo $x")
        await ben.tell("run", id="b2", command="echo second-$((1+1))")
        await ben.tell("history", id="h")
        await ben.message("reply", id="h")
        await ana.tell("lease", action="take")
        await ben.until(lambda: ben.of("lease")[-1]["can_type"] is False)
        await ana.type("on\r")
        refused = await ben.message("reply", id="b2")
        assert refused["error"] == ("Ana has control of the terminal: ask for it, in Python by ask_control(), or wait until they are idle")
        await ana.tell("lease", action="release")
        await ben.until(lambda: ben.of("lease")[-1]["can_type"])
        await ben.tell("run", id="b3", command="read y; echo $y")
        await ben.message("mark", kind="start", command="read y; echo $y")
        await ben.tell("run", id="b4", command="echo fourth-$((2+2))")
        await ben.tell("history", id="h2")
        await ben.message("reply", id="h2")
        ben.socket.transport.pause_reading()
        theirs = (await ben.message("welcome"))["connection"]
        await ana.ask("eject", connection=theirs)
        # Control is still with him, which alone would let him type: a peer needs none.
        await pia.type("on\r")
        assert (await pia.ask("run", command="echo third-$((1+2))", timeout_s=60))["result"]["output"] == "third-3"
        assert [entry["command"] for entry in (await pia.ask("history"))["result"]["commands"]] == [
            "read x; echo $x",
            "read y; echo $y",
            "echo third-$((1+2))",
        ]
        ben.socket.transport.resume_reading()


async def test_a_viewer_has_so_many_requests_open(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """One more is answered with a sentence, and does nothing; when one has ended, the next is taken."""
    monkeypatch.setattr(requests, "REQUESTS_PER_VIEWER", 2)
    async with serve() as place, place.watch() as ana:
        await ana.running()
        await ana.tell("run", id="first", command="read x; echo $x")
        await ana.message("mark", kind="start")
        await ana.tell("run", id="second", command="echo second")
        assert (await ana.ask("run", command="echo third"))["error"] == "more than 2 requests are open: wait for one"
        await ana.type("on\r")
        assert (await ana.message("reply", id="second"))["result"]["output"] == "second"
        assert (await ana.ask("run", command="echo fourth", timeout_s=60))["result"]["output"] == "fourth"


BASHRCS = {
    "a string with a comment": "PROMPT_COMMAND='true # mine'",
    "an array": "PROMPT_COMMAND=('true' 'false')",
    "an empty array, set -u": "set -u; declare -a PROMPT_COMMAND=()",
    "nothing set, set -u": "set -u; unset PROMPT_COMMAND PS1 PS2 PS0",
    "set -e": "set -e",
    "a DEBUG trap": "set -T; began() { T=${T:-$SECONDS}; }; trap began DEBUG; PROMPT_COMMAND='unset T'",
    "an ERR trap": "trap 'true' ERR",
    "functions of our names": "printf() { echo no; }; history() { echo no; }; alias echo='echo -e'",
    "a history that keeps nothing": "set +o history; HISTCONTROL=ignoreboth:erasedups; HISTTIMEFORMAT='%F '",
}
ZSHRCS = {
    "plugins and a prompt on the right": "RPROMPT='%F{red}%T%f'; source autosuggestions; source syntax-highlighting",
    "plugins, vi keys": "bindkey -v; KEYTIMEOUT=1; source autosuggestions; source syntax-highlighting",
    "a theme": "autoload -Uz promptinit && promptinit && prompt bart; setopt transient_rprompt",
    "options": "setopt nounset ksh_arrays sh_word_split correct_all share_history hist_ignore_space",
    "hooks that fail": "precmd() { return 1 }; preexec() { return 1 }; TRAPDEBUG() { : }",
}


@pytest.mark.parametrize(
    ("name", "setting"), [*(("bash", setting) for setting in BASHRCS), *(("zsh", setting) for setting in ZSHRCS)], ids=lambda value: value
)
async def test_run_beside_what_people_set(serve: Serve, name: str, setting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a start file says: output, exit code and folder are the command's, and what people type is in the ledger."""
    shell = shell_path(name)
    said = (BASHRCS | ZSHRCS)[setting]
    for plugin in re.findall("source ([a-z-]+)", said):
        tree = await asyncio.to_thread(unpacked, f"zsh-{plugin}")
        said = said.replace(f"source {plugin}", f"source {tree}/usr/share/zsh-{plugin}/zsh-{plugin}.zsh")
    (tmp_path / f".{name}rc").write_text(said)
    monkeypatch.setenv("HOME", str(tmp_path))
    async with serve(default=f"local:{shell}") as place, place.watch() as ana:
        await ana.live()
        for command, code, output in (
            ("echo one; echo two", 0, "one\ntwo"),
            *([] if "set -e" in said else [("(exit 7)", 7, "")]),
            ("for i in 1 2\ndo echo n$i!\ndone", 0, "n1!\nn2!"),
            ("cd / && pwd", 0, "/"),
        ):
            done = await gives(ana, command, code, output)
        assert done["cwd"] == "/"
        await ana.type("echo $((40+2))\r")
        await ana.message("mark", kind="end", command="echo $((40+2))")


@pytest.mark.parametrize("name", ["bash", "zsh"])
async def test_what_set_x_prints_is_the_command_s_alone(serve: Serve, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of what makes the marks, their nonce above all, is on the screen or in the output."""
    shell = shell_path(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".zshrc").touch()
    async with serve(default=f"local:{shell}") as place, place.watch() as ana:
        await ana.live()
        assert (await ana.ask("run", command="set -x", timeout_s=20))["result"]["output"] == ""
        done = (await ana.ask("run", command="echo one", timeout_s=20))["result"]
        assert re.fullmatch(r"\+\S* echo one\none", done["output"])
        await ana.type("(exit 3)\r")
        assert (await ana.message("mark", kind="end", command="(exit 3)"))["exit_code"] == 3
        screen = (await ana.ask("screen"))["result"]["text"]
        assert "633" not in screen
        assert not re.search("[0-9a-f]{16}", screen)


async def test_a_start_file_that_is_read_again(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`source ~/.bashrc` sets PROMPT_COMMAND and PS1 anew: `run` goes on, each of what is set runs once a prompt, with the right status."""
    if await asyncio.to_thread(subprocess.check_output, ["/bin/bash", "-c", "echo $((BASH_VERSINFO[0]*100+BASH_VERSINFO[1]))"]) < b"501":
        pytest.skip("a bash before 5.1 runs one prompt command only")
    (tmp_path / ".bashrc").write_text("seen() { SEEN=$?; TIMES=$((TIMES+1)); }\nPS1='again$ '\nPROMPT_COMMAND=seen\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    async with serve(default="local:/bin/bash") as place, place.watch() as ana:
        await ana.live()
        for command, code, output in (
            (". ~/.bashrc; (exit 3)", 3, ""),
            ("echo $SEEN", 0, "3"),
            ("PROMPT_COMMAND='true; '$PROMPT_COMMAND; TIMES=0; (exit 4)", 4, ""),
            ("PROMPT_COMMAND+=('LAST=$?'); echo $SEEN $TIMES; (exit 5)", 5, "4 1"),
            ("echo $SEEN $TIMES $LAST", 0, "5 2 5"),
        ):
            await gives(ana, command, code, output)
        await ana.type("echo $((40+2))\r")
        await ana.message("mark", kind="end", command="echo $((40+2))")


async def test_a_bash_that_may_not_be_told_of_prompts(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read-only PROMPT_COMMAND of a hardened machine: nothing complains at the start, and `run` says what helps."""
    (tmp_path / ".bashrc").write_text("readonly PROMPT_COMMAND='true'\nPS1='hard$ '\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    async with serve(default="local:/bin/bash") as place, place.watch() as ana:
        await ana.shows(b"hard$ ")
        assert b"readonly" not in ana.drawn()
        refused = await ana.ask("run", command="echo one", timeout_s=1)
        assert "a prompt without marks ('hard$'): run(…, inside=True)" in refused["error"]
        done = await ana.ask("run", command="echo one; (exit 4)", timeout_s=20, inside=True)
        assert (done["result"]["output"], done["result"]["exit_code"]) == ("one", 4)
