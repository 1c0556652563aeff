"""Queries of the past over HTTP: what they may cost the host."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from partywidgets.scans import queries
from partywidgets.scans.history import History
from partywidgets.scans.model import Status

from .ops_room import Play, ScriptedCheck, ops_room


async def test_answers_about_the_past_are_bounded(tmp_path: Path, play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """However much a viewer asks for, an answer has so many rows, the newest, and says so; of many that ask at once two are answered."""
    monkeypatch.setattr(queries, "PAST", 3)
    monkeypatch.setattr(queries, "SLICE", 2)
    at_once, most = 0, 0
    read = History.history

    async def counted(self: History, **asked: Any) -> list[dict[str, Any]]:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        try:
            return await read(self, **asked)
        finally:
            at_once -= 1

    monkeypatch.setattr(History, "history", counted)
    async with ops_room(tmp_path) as room, room.http("val-viewer") as http:
        await room.service.load_config("a.yaml", [ScriptedCheck(id="db")])
        statuses: tuple[Status, ...] = ("ok", "crit", "ok", "crit", "ok")
        for status in statuses:
            play.statuses["db"] = status
            await room.ops.run_scan()
        for what, name in (("history", "results"), ("changes", "changes")):
            answer = (await http.get(f"/api/ops/scans/{what}?limit=999999")).json()
            assert (len(answer[name]), answer["cut"]) == (3, True)
        columns = (await http.get("/api/ops/scans/history?limit=999999&form=columns")).json()
        assert (len(columns["results_by_column"]["seq"]), columns["cut"]) == (3, True)
        hours = (await http.get("/api/ops/scans/hours?limit=999999")).json()
        assert (sum(hour["looks"] for hour in hours["hours"]), hours["cut"]) == (5, False)
        two = (await http.get("/api/ops/scans/history?limit=2")).json()
        assert [row["status"] for row in two["results"]] == ["crit", "ok"]
        answers = await asyncio.gather(*(http.get("/api/ops/scans/history") for _ in range(12)))
        assert [len(answer.json()["results"]) for answer in answers] == [3] * 12
        assert 1 <= most <= 2
