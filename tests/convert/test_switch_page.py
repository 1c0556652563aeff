"""What docs/how-to/switch.md says, tried."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from partywidgets.config import parse_config
from partywidgets.convert import gatus_alerts, kuma_services
from partywidgets.convert.gatus_condition import converted
from partywidgets.convert.gatus_target import HTTP
from partywidgets.scan_once import scan_once
from partywidgets.scans.checks import rdap
from tests.scans.checks.test_domain import registration, registry

PAGE = (Path(__file__).parents[2] / "docs/how-to/switch.md").read_text()


@pytest.mark.parametrize(("days", "status"), [(200, "ok"), (20, "warn")])
async def test_the_end_of_a_domain(days: int, status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check that the page gives warns when a registry's answer says that the domain ends within 30 days."""
    monkeypatch.setattr("partywidgets.scans.checks.rdap.REGISTRIES", rdap.Registries())
    entry = next(block for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL) if "type: domain" in block)
    async with registry() as one:
        one.says("/domain/shop.example", registration("shop.example", days))
        config = parse_config("checks:\n" + entry.replace("shop.example,", f"shop.example, server: '{one.url}',"))
        (result,) = (await scan_once(config)).results
    assert result.status == status, result.summary


def test_the_table_of_gatus_terms() -> None:
    """Each condition of the table becomes what stands beside it."""
    rows = re.findall(r"^\| (`.*?) \| (`.*?) \|$", PAGE, re.MULTILINE)
    tried = 0
    for theirs, ours in rows:
        conditions, expressions = (re.findall(r"`([^`]+)`", cell) for cell in (theirs, ours))
        if not all(re.search(r"\[[A-Z_]+\]", one) and re.search(r" [=<>!]", one) for one in conditions):
            continue
        for condition, expression in zip(conditions, expressions, strict=False):
            assert converted(condition, HTTP) == expression
            tried += 1
    assert tried >= 7


def test_the_services_that_are_left_out_are_those_that_the_page_names() -> None:
    """Each under its own name, with the scheme that Apprise has for it; none of them is converted."""
    section = PAGE.partition("## Whom nobody is told by")[2].partition("\n## ")[0]
    by_hand, without = ([cell for cell in line.split("|")[2:4]] for line in section.splitlines() if line.startswith("| Apprise"))
    for tool, scheme_cell, name_cell in zip((gatus_alerts, kuma_services), by_hand, without, strict=True):
        named = dict(re.findall(r"`([^`]+)` \(`([^`:]+)://`\)", scheme_cell))
        assert named == tool.BY_HAND
        assert set(re.findall(r"`([^`]+)`", name_cell)) == tool.LEFT_OUT
        assert not (named.keys() | tool.LEFT_OUT) & tool.SERVICES.keys()


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
def test_apprise_has_what_is_to_be_added_by_hand() -> None:
    """The schemes that people are sent to are Apprise's."""
    import apprise

    known = {
        str(scheme)
        for details in apprise.Apprise().details()["schemas"]
        for name in ("protocols", "secure_protocols")
        for scheme in details[name] or ()
    }
    assert {*gatus_alerts.BY_HAND.values(), *kuma_services.BY_HAND.values()} <= known
