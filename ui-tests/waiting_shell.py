"""A shell that prints while its page is away, and what must be on the screen when the page is back."""

from __future__ import annotations

from pathlib import Path

from lab import Lab
from laptop import LONG, wait_for
from playwright.sync_api import Locator, expect

LINES = 2_000


def waiting_shell(lab: Lab, tmp_path: Path, lines: int = LINES) -> tuple[Locator, Path, Path]:
    """A terminal whose shell prints its lines once a file is there, and makes another one when it has."""
    lab.run_code('import partywidgets as pw\nterm = pw.Terminal("lid"); term')
    terminal = lab.terminals().first
    expect(terminal).to_have_attribute("data-state", "live", timeout=LONG)
    lab.expect_screen("$")
    go, done = tmp_path / "go", tmp_path / "done"
    # Three columns of a line, so that every cell of the screen has its number.
    print_all = f"seq 1 {lines} | while read n; do echo line-$n-is-$n-of-$n; done"
    lab.type(f"clear; echo begins-$((6*7)); until [ -e {go} ]; do sleep 0.1; done; {print_all}; touch {done}; echo waits-$((6*7))\n")
    lab.expect_screen("begins-42")  # the shell has all of the line: nothing of it is on its way any more
    return terminal, go, done


def rows_of(terminal: Locator) -> list[str]:
    """What stands on the screen, without what is empty below it."""
    rows = [row.rstrip("\xa0 ") for row in terminal.locator(".xterm-rows > div").all_inner_texts()]
    while rows and rows[-1] == "":
        rows.pop()
    return rows or [""]


def expect_exact(lab: Lab, terminal: Locator, lines: int = LINES, *, timeout: int = LONG) -> None:
    """The terminal is live within `timeout` milliseconds, its screen has every line once, and what is typed is answered."""
    expect(terminal).to_have_attribute("data-state", "live", timeout=timeout)
    lab.expect_screen("waits-42", timeout=timeout)
    expect(terminal.locator(".pw-bar .pw-state")).to_have_text("live")
    wait_for(lambda: rows_of(terminal)[-1].endswith("$"), "the prompt did not come")
    rows = rows_of(terminal)
    assert rows[-2] == "waits-42"
    assert rows[-1].endswith("$")
    first = lines - len(rows) + 3
    assert rows[:-2] == [f"line-{n}-is-{n}-of-{n}" for n in range(first, lines + 1)]
    lab.type("echo typed-$((40+2))\n")
    lab.expect_screen("typed-42")
