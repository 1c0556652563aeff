"""Failures that somebody accepted, until a day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from partywidgets.config import parse_config
from partywidgets.exceptions import ConfigError
from partywidgets.scans.model import utc_now
from partywidgets.scans.service import OpsMonitorService
from partywidgets.scans.waiver import WaiverSettings

from .ops_room import Play, ScriptedCheck


def waiver(**given: Any) -> WaiverSettings:
    """A waiver of the team db's failures."""
    return WaiverSettings.model_validate({"name": "old-db", "matchers": {"team": "db"}, "reason": "it goes in May", **given})


async def test_a_waived_failure_says_so_and_counts_again_when_it_is_over(play: Play) -> None:
    """Failing rows that match carry it, others and good ones do not; when its day is over nothing is left of it."""
    checks = [ScriptedCheck(id=name, labels={"team": team}) for name, team in (("a", "db"), ("b", "db"), ("c", "web"))]
    play.statuses.update(a="crit", b="ok", c="crit")
    soon = utc_now() + timedelta(hours=1)
    async with OpsMonitorService() as service:
        await service.load_config("a.yaml", checks, maintenance=[waiver(until=soon, by="Ada")])
        await service.run_scan()
        rows = {row.check_id: row for row in service.board.rows.values()}
        found = rows["a"].suppression
        assert found is not None
        assert (found.by, found.id, found.until, found.actor, found.reason) == ("waiver", "old-db", soon, "Ada", "it goes in May")
        assert rows["b"].suppression is None
        assert rows["c"].suppression is None
        await service.load_config("a.yaml", checks, maintenance=[waiver(until=utc_now() - timedelta(seconds=1))])
        assert [row.suppression for row in service.board.rows.values()] == [None, None, None]
        assert [row["kind"] for row in await service.history.events()] == ["waiver-began", "waiver-ended"]
        assert service.board.resuppress(soon + timedelta(hours=1), lambda check_id: ()) == []


@pytest.mark.parametrize(
    ("until", "end"),
    [
        ("2027-05-31", datetime(2027, 6, 1, tzinfo=UTC)),
        ("'2027-05-31'", datetime(2027, 6, 1, tzinfo=UTC)),
        ("2027-05-31T18:00:00Z", datetime(2027, 5, 31, 18, tzinfo=UTC)),
        ("2027-05-31T18:00:00+02:00", datetime(2027, 5, 31, 18, tzinfo=timezone(timedelta(hours=2)))),
    ],
)
def test_until(until: str, end: datetime) -> None:
    """A day counts to its end; a time is that moment."""
    config = parse_config(f"waivers: [{{name: a, matchers: {{check_id: x}}, reason: y, until: {until}}}]")
    assert config.waivers[0].until == end
    assert config.waivers[0].window_at(end) is None
    assert config.waivers[0].window_at(end - timedelta(seconds=1)) is not None


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{name: a, matchers: {check_id: x}, reason: y, until: soon}", r":1:64: waivers\[0\].until: `until` is a day such as 2026-12-31"),
        ("{name: a, matchers: {check_id: x}, until: 2027-01-01}", "the key 'reason' is missing"),
        ("{name: a, matchers: {check_id: x}, reason: y}", "the key 'until' is missing"),
        ("{name: a, matchers: {}, reason: y, until: 2027-01-01}", "matchers"),
    ],
)
def test_a_waiver_has_an_end_a_reason_and_a_scope(text: str, sentence: str) -> None:
    """Nothing is waived for ever, for no reason, or altogether."""
    with pytest.raises(ConfigError, match=sentence):
        parse_config(f"waivers: [{text}]")
