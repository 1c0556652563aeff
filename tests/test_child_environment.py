"""What programs started by a host inherit: nothing that a config named as a secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from partywidgets.child_environment import hidden_variables, hide_variable
from partywidgets.client.terminal import TerminalClient
from partywidgets.config import load_config
from partywidgets.references import Secrets

from .running_app import running

CONFIG = """
auth:
  tokens: [{subject: ci, token: "${env:PW_TEST_CI_TOKEN}", roles: [admin]}]
checks:
  - id: env
    type: exec
    command: ["/bin/sh", "-c", "env | grep PW_TEST_ | sort | tr '\\n' ' '"]
    env: {PW_TEST_GIVEN: "${env:PW_TEST_KEY}"}
"""


async def test_a_variable_that_a_config_names_reaches_neither_shells_nor_checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator who types `env` must not find another's token. A check gets what its own `env` gives it, other variables stay."""
    monkeypatch.setenv("PW_TEST_CI_TOKEN", "ci-token-0123456789")
    monkeypatch.setenv("PW_TEST_KEY", "key-0123456789")
    monkeypatch.setenv("PW_TEST_PLAIN", "plain")
    (tmp_path / "partywidgets.yaml").write_text(CONFIG)
    config = load_config(tmp_path / "partywidgets.yaml")
    async with running(tmp_path / "state", config=config, sandboxes={"default": "local:/bin/sh"}) as app:
        status, report = await app.json("POST", "/api/ops/scans", json={"wait": True})
        assert status == 200
        assert report["results"][0]["summary"] == "PW_TEST_GIVEN=*** PW_TEST_PLAIN=plain"
        async with TerminalClient(app.url, "w1", token=app.owner) as term:
            printed = (await term.run("env | grep -c PW_TEST_; echo $PW_TEST_PLAIN-$PW_TEST_CI_TOKEN-$PW_TEST_KEY", timeout=20)).output
        assert printed.split() == ["1", "plain--"]


def test_whatever_resolves_a_variable_hides_it(tmp_path: Path) -> None:
    """Also a text that no config holds, as a client sends it."""
    assert Secrets({"PW_TEST_LATER": "later-0123456789"}).resolve("${env:PW_TEST_LATER}", base=tmp_path) == "later-0123456789"
    assert "PW_TEST_LATER" in hidden_variables()


@pytest.mark.parametrize("name", ["PATH", "HOME", "LC_ALL"])
def test_what_programs_cannot_do_without_stays(name: str) -> None:
    """A config may say ${env:HOME}; shells still have a home."""
    hide_variable(name)
    assert name not in hidden_variables()
