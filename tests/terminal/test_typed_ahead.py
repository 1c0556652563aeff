"""`run` beside somebody who types before the shell shows its prompt."""

from __future__ import annotations

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
