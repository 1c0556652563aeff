"""The reference pages name what there is: whoever adds a command, an option, a key or a metric writes it down."""

from __future__ import annotations

import re
from pathlib import Path
from typing import cast

import pytest
import typer.main
from click import Group
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from partywidgets.cli.commands import app as commands
from partywidgets.config import Config

from .running_app import running

DOCS = Path(__file__).parents[1] / "docs"
COMMANDS = cast("Group", typer.main.get_command(commands)).commands
SUFFIX = {"counter": "_total", "info": "_info"}


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_its_options_on_its_page(name: str) -> None:
    """`partywidgets NAME` and every `--option` of it stand in docs/reference/command-line.md."""
    page = (DOCS / "reference/command-line.md").read_text()
    options = [option for parameter in COMMANDS[name].params for option in parameter.opts if option.startswith("--")]
    assert f"partywidgets {name}" in page
    assert not [option for option in options if not re.search(rf"{option}\b", page)]


def test_each_key_of_a_config_is_on_its_page() -> None:
    """In docs/reference/config.md, those of checks in docs/how-to/checks.md."""
    pages = (DOCS / "reference/config.md").read_text() + (DOCS / "how-to/checks.md").read_text()
    schema = Config.model_json_schema()
    keys = {key for model in (schema, *schema["$defs"].values()) for key in model.get("properties", {})}
    assert len(keys) > 100
    assert not sorted(key for key in keys if not re.search(rf"\b{key}\b", pages))


async def test_each_metric_is_on_its_page(tmp_path: Path) -> None:
    """Every family of `/metrics` stands in docs/reference/routes.md, and none that is not there."""
    page = set(re.findall(r"`((?:partywidgets|probe|process)_\w+)`", (DOCS / "reference/routes.md").read_text()))
    async with running(tmp_path) as host, host.http.get(f"{host.url}/metrics", headers=host.bearer()) as answer:
        families = text_string_to_metric_families(await answer.text())  # type: ignore[no-untyped-call]
        there = {family.name + SUFFIX.get(family.type, "") for family in families}
    assert there <= page
    assert not [name for name in page - there if not name.startswith("process_")]  # those are Linux's
