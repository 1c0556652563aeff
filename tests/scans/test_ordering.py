"""Rows sorted, filtered and grouped on the host as the page does it, by vectors that both are tested with."""

from __future__ import annotations

import json
import random
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from partywidgets.scans.columns import COLUMN_KEYS, DEFAULT_SORT, GROUPINGS
from partywidgets.scans.model import CheckResult, State, Status, Suppression, parse_time
from partywidgets.scans.ordering import Look, Ordering
from partywidgets.scans.row_values import host_of

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "table.json").read_text())


def row(wire: dict[str, Any]) -> CheckResult:
    """A row of the vectors."""
    said = wire["suppression"]
    return CheckResult(
        wire["check_id"],
        wire["check_type"],
        wire["target"],
        wire["status"],
        fingerprint=wire["fingerprint"],
        title=wire["title"],
        severity=wire["severity"],
        summary=wire["summary"],
        duration_ms=wire["duration_ms"],
        ttl_s=wire["ttl_s"],
        observed_at=parse_time(wire["observed_at"]),
        state=State(since=parse_time(wire["state"]["since"])),
        labels=wire["labels"],
        suppression=None if said is None else Suppression(said["by"], said["id"] or "", None, said["actor"], said["reason"]),
    )


NOW = parse_time(VECTORS["now"]).timestamp()
ROWS = {item.fingerprint: item for item in map(row, VECTORS["rows"])}


def test_columns_and_groups_have_the_page_s_names() -> None:
    """The names of `columns.py` are those of `ts/rooms/row-values.ts`, in the same order."""
    assert [list(names) for names in (COLUMN_KEYS, GROUPINGS, DEFAULT_SORT)] == [
        VECTORS[name] for name in ("columns", "groupings", "default_sort")
    ]


@pytest.mark.parametrize("view", VECTORS["views"], ids=lambda view: f"{','.join(view['sort'])} {view['group']} {view['search']}".strip())
def test_the_order_is_the_page_s(view: dict[str, Any]) -> None:
    """Each view of the vectors has the order and the groups that the page gives it."""
    ordering = Ordering(Look(tuple(view["sort"]), view["group"], view["search"], tuple(view["statuses"])), clock=lambda: NOW)
    ordering.update(ROWS)
    assert ordering.order == view["order"]
    if "groups" in view:
        assert [[group.name, group.count] for group in ordering.groups] == view["groups"]


def test_the_host_of_a_target() -> None:
    """URLs, host:port, addresses in brackets, and what is none of these."""
    assert {target: host_of(target) for target in VECTORS["hosts"]} == VECTORS["hosts"]


def test_what_changed_is_placed_as_if_all_were_sorted() -> None:
    """Whatever comes, changes and goes, the order is that of an ordering which sees the rows for the first time."""
    chance = random.Random(3)
    look = Look(("-duration_ms", "title"), "label:team", "-status:skip")
    ordering, rows = Ordering(look), dict[str, CheckResult]()
    statuses: tuple[Status, ...] = ("ok", "crit", "skip")
    for _ in range(60):
        for _ in range(chance.randrange(20)):
            name = f"f{chance.randrange(60)}"
            rows[name] = replace(
                ROWS["a"],
                fingerprint=name,
                duration_ms=float(chance.randrange(9)),
                status=chance.choice(statuses),
                labels={"team": chance.choice("xyz")},
            )
        rows.pop(f"f{chance.randrange(60)}", None)
        ordering.update(copy(rows))
        fresh = Ordering(look)
        fresh.update(rows)
        assert (ordering.order, ordering.groups, ordering.counts) == (fresh.order, fresh.groups, fresh.counts)


def test_a_page_leaves_out_what_is_folded_away() -> None:
    """Places count the rows of open groups alone."""
    ordering = Ordering(Look(("title",), "label:team"))
    ordering.update(ROWS)
    assert ordering.order == ["b", "e", "a", "d", "f", "c"]
    assert ordering.page(1, 3) == ["e", "a", "d"]
    assert ordering.page(1, 3, ["web"]) == ["e", "f", "c"]
    assert ordering.page(0, 9, ["data", "web", ""]) == []
    assert ordering.page(50, 3) == []


def test_time_alone_makes_rows_stale() -> None:
    """The number goes by the moment asked for; a filter for them shows, when it is brought up to date, those that became so meanwhile."""
    moment = NOW - 39
    ordering = Ordering(Look(("title",), "", "is:stale"), clock=lambda: moment)
    ordering.update(ROWS)
    assert (ordering.order, ordering.newest) == (["c"], ROWS["d"].observed_at)
    assert [ordering.stale(NOW + later) for later in (-41, -39, 0, 21, 99)] == [0, 1, 2, 3, 4]
    assert ordering.by_time
    moment = NOW
    ordering.update(ROWS)
    assert ordering.order == ["c", "d"]
    assert not Ordering(Look(("title",), "", "stale")).by_time
