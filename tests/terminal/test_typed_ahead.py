"""`run` beside somebody who types before the shell shows its prompt."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from partywidgets.terminal import shell_state

from .conftest import Serve, shell_path


@pytest.mark.parametrize("looks", [True, False], ids=["", "slow"])
@pytest.mark.parametrize("name", ["bash", "zsh"])
async def test_lines_that_were_typed_ahead_come_first(serve: Serve, name: str, looks: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are their typist's commands, with their own codes; that of `run` follows, and its result is its own. So where the shell is too
    slow for the look at its prompt."""
    if not looks:
        monkeypatch.setattr(shell_state, "AHEAD_SECONDS", 0.0)
    path = shell_path(name)
    async with serve(default=f"local:{path}") as place, place.watch() as ana, place.watch(who="pia") as pia:
        await ana.running()
        await pia.type("sh -c 'echo begun-$((1+1)); sleep 1'\r")
        await ana.shows(b"begun-2")
        await pia.type("(exit 5)\r")
        await pia.type("echo ahead; sh -c 'exit 6'\r")
        done = (await ana.ask("run", command="echo mine; (exit 3)", timeout_s=60))["result"]
        assert (done["output"], done["exit_code"]) == ("mine", 3)
        ran = (await ana.ask("history"))["result"]["commands"]
        assert [(entry["exit_code"], entry["actor"]) for entry in ran] == [(0, "Pia"), (5, "Pia"), (6, "Pia"), (3, "Ana")]


MINE = "sh -c 'echo mine-$((1+1)); {}'"
"""It says that it has the terminal: a Ctrl-C that comes while a shell makes its children may be lost."""


@pytest.mark.parametrize("ends", ["", "\x03"], ids=["", "interrupted"])
@pytest.mark.parametrize("name", ["dash", "busybox"])
async def test_lines_typed_ahead_of_a_plain_sh(serve: Serve, name: str, ends: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It tells no beginning, and a slow one begins late with them: their codes and output are not those of `run`, which types its own
    marks then, and none for the next command."""
    monkeypatch.setattr(shell_state, "AHEAD_SECONDS", 0.0)
    path = Path(shell_path(name))
    if name == "busybox":
        (tmp_path / "ash").symlink_to(path)
        path = tmp_path / "ash"
    async with serve(default=f"local:{path}") as place, place.watch() as ana, place.watch(who="pia") as pia:
        await ana.running()
        await pia.type("sh -c 'echo begun-$((1+1)); sleep 1'\r")
        await ana.shows(b"begun-2")
        await pia.type("sh -c 'sleep 0.3; exit 5'\r")
        await pia.type("echo ahead; sh -c 'sleep 0.3; exit 6'\r")
        asked = asyncio.ensure_future(ana.ask("run", command=MINE.format("exec sleep 60" if ends else "exit 3"), timeout_s=60))
        if ends:
            await ana.until(lambda: b"mine-2\r\n" in ana.drawn())
            await ana.type(ends)
        done = (await asked)["result"]
        assert (done["output"].removesuffix("^C"), done["exit_code"]) == ("mine-2" + ("\n" if ends else ""), 130 if ends else 3)
        after = (await ana.ask("run", command="echo after; (exit 4)", timeout_s=60))["result"]
        assert (after["output"], after["exit_code"]) == ("after", 4)
        ran = [entry for entry in (await ana.ask("history"))["result"]["commands"] if entry["actor"] == "Ana"]
        assert [(entry["command"], entry["exit_code"]) for entry in ran] == [(done["command"], done["exit_code"]), (after["command"], 4)]
        assert not any("633" in entry["command"] for entry in (await ana.ask("history"))["result"]["commands"])


async def test_what_a_program_read_is_no_line_of_the_shell(serve: Serve) -> None:
    """An answer to a question looks like a line typed ahead: `run` is typed all the same."""
    async with serve() as place, place.watch() as ana:
        await ana.running()
        await ana.type("read -p 'su're'? ' x; read -p 'real'ly'? ' y\r")  # an echo that is not the question
        await ana.shows(b"sure? ")
        await ana.type("yes\r")
        await ana.shows(b"really? ")
        await ana.type("yes\r")
        done = (await ana.ask("run", command="echo $x-$y", timeout_s=60))["result"]
        assert (done["output"], done["exit_code"]) == ("yes-yes", 0)
