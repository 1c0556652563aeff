"""The fixtures for people's own runbooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import partywidgets as pw
from partywidgets.exceptions import CheckError
from partywidgets.runtime import Runtime
from partywidgets.runtime import runtime as of_the_process
from partywidgets.testing import party_runtime, party_terminal, run_check

__all__ = ["party_runtime", "party_terminal", "run_check"]


@pw.check(severity="high")
def three_wait() -> Any:
    """Orders that wait."""
    return pw.Result("warn", "3 wait")


def test_a_terminal_of_the_test(party_terminal: Callable[..., Any], party_runtime: Runtime) -> None:
    """A terminal runs a command in a host that is the test's own."""
    terminal = party_terminal("web")
    assert terminal.host_id == party_runtime.address.host_id
    assert of_the_process() is party_runtime
    result = terminal.run("printf done; exit_code() { return 3; }; exit_code").wait(30)
    assert (result.output, result.exit_code) == ("done", 3)


def test_a_check_is_run_once(run_check: Callable[..., Any]) -> None:
    """A check function gives its result; any other function is told apart."""
    result = run_check(three_wait)
    assert (result.status, result.severity, result.summary, result.title) == ("warn", "high", "3 wait", "Orders that wait.")
    with pytest.raises(CheckError, match="decorate it"):
        run_check(len)
