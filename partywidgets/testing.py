"""pytest fixtures for people who test their own runbooks: put `pytest_plugins = ["partywidgets.testing"]` into a conftest.py.

def test_the_web_tier_restarts(party_terminal):
    result = party_terminal("web").run("supervisorctl restart shop").wait(30)
    assert result.ok

def test_the_queue_check(run_check):
    assert run_check(queue_depth).status == "ok"
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .exceptions import CheckError
from .runtime import Runtime, using

if TYPE_CHECKING:
    from .scans.model import CheckResult
    from .widgets.terminal import Terminal


@pytest.fixture
def party_runtime(tmp_path: Path) -> Iterator[Runtime]:
    """A host for this test alone, whatever the environment says; `pw.Terminal`, `pw.ops` and `pw.scan` use it."""
    own = Runtime({}, storage=tmp_path / "partywidgets")
    with using(own):
        try:
            yield own
        finally:
            own.stop()


@pytest.fixture
def party_terminal(party_runtime: Runtime) -> Iterator[Callable[..., Terminal]]:
    """Makes terminals in the test's own host, with `pw.Terminal`'s arguments, and closes them at the end."""
    from .widgets.terminal import Terminal

    made: list[Terminal] = []

    def make(room: str = "main", **options: Any) -> Terminal:
        terminal = Terminal(room, **options)
        made.append(terminal)
        return terminal

    yield make
    for terminal in made:
        terminal.close()


@pytest.fixture
def run_check(party_runtime: Runtime) -> Callable[[Callable[..., Any]], CheckResult]:
    """Runs a `@pw.check` function once, as a host would, and gives its result."""
    from .scans.check_decorator import registered
    from .scans.judge import run_check as look

    def run(function: Callable[..., Any]) -> CheckResult:
        identity = f"{function.__module__}:{function.__qualname__}"
        entry = registered(identity)
        if entry is None:
            raise CheckError(f"{identity} is not a check: decorate it with @pw.check")
        return party_runtime.thread.run(look(entry.check), timeout=None)

    return run
