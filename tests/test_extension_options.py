"""The options of the Jupyter Server extension, and a config that it loads at its start, in a real server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import partywidgets as pw
from partywidgets.exceptions import RefusedError
from partywidgets.runtime import Runtime

from .jupyter_process import Jupyter, jupyter_server

ADA = "ada-token-for-these-tests"
CONFIG = """
sandboxes: { web: "local:/bin/sh" }
checks:
  - { id: closed, type: tcp, host: 127.0.0.1, port: 9, conditions: ["error == 'refused'"] }
auth:
  origins: ["https://board.example.com"]
  tokens:
    - { subject: ada, token: "${env:ADA_TOKEN}", roles: [operator, responder] }
"""


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jupyter]:
    """A server whose extension has every option."""
    folder = tmp_path_factory.mktemp("jupyter")
    (folder / "team.yaml").write_text(CONFIG)
    options = {
        "config_yaml": str(folder / "team.yaml"),
        "storage": str(folder / "rooms"),
        "sandboxes": {"mine": "local:/bin/sh"},
        "origins": ["https://pages.example.com"],
        "owners": ["ana"],
    }
    lines = "".join(f"c.PartyWidgetsApp.{name} = {value!r}\n" for name, value in options.items())
    with jupyter_server(folder / "server", config=lines, env={"ADA_TOKEN": ADA}) as running:
        yield running


def test_the_config_of_the_server_is_loaded(jupyter: Jupyter) -> None:
    """Its checks and sandboxes are there, beside the server's own; rooms are kept where `storage` says; a login that is none of the
    `owners` watches."""
    listed = jupyter.ask("GET", "api/terminals", headers={"Authorization": f"Bearer {ADA}"})
    assert (listed.status, listed.json()["role"]) == (200, "operator")
    assert listed.json()["sandboxes"] == ["default", "local", "mine", "web"]
    assert jupyter.as_owner("GET", "api/terminals").json()["role"] == "observer"
    assert (jupyter.folder.parent / "rooms" / "ops-history.sqlite").exists()
    for origin, status in (("https://pages.example.com", 200), ("https://board.example.com", 200), ("https://other.example.com", 403)):
        assert jupyter.as_owner("GET", "hello", headers={"Origin": origin}).status == status


def test_a_token_of_the_config_is_as_good_as_a_login(jupyter: Jupyter) -> None:
    """It opens rooms and says hello, so that a colleague's notebook connects by it; a wrong one, a ticket and none are refused."""
    runtime = Runtime({})
    try:
        address = runtime.connect(jupyter.rooms, ADA)
        assert address.host_id == jupyter.as_owner("GET", "hello").json()["host_id"]
        with pytest.raises(RefusedError, match="refused the credential"):
            Runtime({}).connect(jupyter.rooms, "not-the-token-of-anybody")

        async def work() -> tuple[str, str | None, int | None]:
            async with (
                pw.TerminalClient(jupyter.rooms, "w1", token=ADA, sandbox="web") as terminal,
                pw.OpsClient(jupyter.rooms, token=ADA) as ops,
            ):
                result = await terminal.run("echo here-$ADA_TOKEN-")
                assert list(ops.counts) == ["ok", "warn", "crit", "unknown", "skip"]
                return result.output.strip(), terminal.role, result.exit_code

        assert runtime.thread.run(work(), timeout=60) == ("here--", "operator", 0)
    finally:
        runtime.stop()
    ticket = jupyter.ask(
        "POST", "tickets", headers={"Authorization": f"Bearer {ADA}"}, body=b'{"party": "terminal-server", "room": "w1"}'
    ).json()["ticket"]
    assert jupyter.ask("GET", f"hello?ticket={ticket}").status == 401
    assert jupyter.ask("GET", "hello").status == 401
    assert ADA not in jupyter.log
