"""What a config would run and when, and what loading it would change."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from partywidgets.config import parse_config
from partywidgets.scans.execution import Loaded, configured
from partywidgets.scans.plan import compare, form_of, plan, present

NOW = datetime(2026, 3, 28, 12, 0, tzinfo=UTC)

CONFIG = """
checks:
  - {id: often, type: tcp, host: a, port: 1, every: 60s}
  - {id: asked, type: tcp, host: b, port: 1}
  - {id: timed, type: tcp, host: b, port: 1, cron: "15 0 9 * * 1-5", timezone: America/New_York}
  - {id: off, type: tcp, host: c, port: 1, every: 60s, enabled: false}
schedule: {full: "30 2 * * *", timezone: Europe/Berlin, jitter: 0}
maintenance:
  - {name: patches, cron: "0 3 * * 0", duration: 1h, timezone: Europe/Berlin}
"""


def loaded(text: str, owner: str) -> list[Loaded]:
    """A config's checks as a host holds them."""
    return [configured(check, owner, resolve=lambda text: text) for check in parse_config(text).checks]


def test_times_are_those_of_the_schedule_in_its_zone() -> None:
    """An interval goes on from the first look, a disabled check and one without `every` have no times, and 2:30 goes by Berlin's clock also
    in the night in which there is no 2:30."""
    config = parse_config(CONFIG)
    found = plan(config.checks, config.schedule, config.maintenance, NOW)
    times = {planned.check.id: planned.runs for planned in found.checks}
    assert (times["asked"], times["off"]) == ((), ())
    assert [moment.isoformat() for moment in times["timed"][:2]] == ["2026-03-30T15:00:15+02:00", "2026-03-31T15:00:15+02:00"]
    first, second, third = times["often"]
    assert 0 <= (first - NOW).total_seconds() <= 10
    assert (second - first).total_seconds() == (third - second).total_seconds() == 60
    assert first.utcoffset() == NOW.astimezone(first.tzinfo).utcoffset()
    assert len(found.full) == 3
    assert found.full[0] > NOW
    assert [moment.strftime("%d %H:%M") for moment in found.full[1:]] == ["30 02:30", "31 02:30"]
    assert [(window.settings.name, window.begin.isoformat()) for window in found.windows] == [("patches", "2026-03-29T01:00:00+00:00")]


def test_what_loading_would_change() -> None:
    """Added, removed, unchanged, changed with the keys that differ, and ids that belong to another config."""
    there = present([*loaded(CONFIG, "a.yaml"), *loaded("checks: [{id: theirs, type: tcp, host: x, port: 1}]", "b.yaml")], "a.yaml")
    fresh = """
checks:
  - {id: often, type: tcp, host: a, port: 2, every: 30s}
  - {id: asked, type: tcp, host: b, port: 1, timeout: 10s}
  - {id: theirs, type: tcp, host: x, port: 1}
  - {id: new, type: tcp, host: x, port: 1}
"""
    found = compare(parse_config(fresh).checks, "a.yaml", there)
    assert (found.added, found.removed, found.unchanged) == (["new"], ["timed", "off"], ["asked"])
    assert found.changed == {"often": ["every", "port"]}
    assert found.taken == {"theirs": "b.yaml"}


def test_a_form_tells_no_value() -> None:
    """What a host answers names the keys of its checks and none of their values, and nothing but the owner of another config's."""
    checks = loaded("checks: [{id: a, type: http, url: 'http://internal.example/secret-path'}]", "a.yaml")
    answer: list[dict[str, Any]] = present(checks, "a.yaml")
    assert "secret-path" not in str(answer)
    assert answer[0]["form"].keys() == {"id", "type", "url"}
    assert present(checks, "b.yaml") == [{"id": "a", "owner": "a.yaml"}]
    assert form_of(checks[0].check) == answer[0]["form"]
