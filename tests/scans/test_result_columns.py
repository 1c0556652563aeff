"""Results of the past by column: the same frame as of rows, in a smaller answer."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pydantic_core import from_json, to_json

from partywidgets.scans import result_columns
from partywidgets.scans.board import Board
from partywidgets.scans.export import history_columns_frame, history_frame
from partywidgets.scans.history import FILE, History
from partywidgets.scans.model import CheckResult, utc_now

from .ops_room import Play, ScriptedCheck, ops_room


@pytest.mark.parametrize(
    "asked",
    [
        {"hours": 24.0},
        {"hours": 24.0, "check": "db"},
        {"hours": 24.0, "limit": 7},
        {"hours": 0.9},
        {"hours": 24.0, "check": "nothing"},
    ],
)
async def test_columns_make_the_frame_that_rows_make(tmp_path: Path, asked: dict[str, Any]) -> None:
    """Values, dtypes, categories, order and index are equal: of all, of one check, of the newest, of few, and of none."""
    board, begin = Board(), utc_now() - timedelta(hours=20)
    async with History(tmp_path / FILE) as history:
        batch = []
        for number in range(60):
            moment = begin + timedelta(minutes=number * 20, microseconds=number * 333)
            result = CheckResult(
                ("shop", "db", "disk")[number % 3],
                "http",
                "http://shop.example/ü",
                ("ok", "crit", "warn", "unknown", "skip")[number % 5],
                title="Größe" if number % 2 else "",
                severity=("info", "critical")[number % 2],
                summary=f"seen {number}",
                observed_at=moment,
                duration_ms=number / 7,
            )
            batch.append(board.place(result, owner="a.yaml", attempts=2, now=moment).recorded)
        await history.record(batch)
        rows = history_frame(await history.history(**asked))
        columns = await history.columns(**asked)
    frame = history_columns_frame(from_json(to_json(columns)))
    pd.testing.assert_frame_equal(frame, rows)
    assert len(rows) == {0.9: 2}.get(asked["hours"], {"db": 20, "nothing": 0}.get(asked.get("check", ""), asked.get("limit", 60)))


async def test_the_newest_are_kept_of_what_was_read(tmp_path: Path, play: Play) -> None:
    """Over HTTP, by name only: an answer says when older results are left out, and has the newest, as many as asked for."""
    async with ops_room(tmp_path) as room, room.http() as http:
        await room.service.load_config("a.yaml", [ScriptedCheck(id="one")])
        seqs = [(await room.service.run_scan()).results[0].seq for _ in range(3)]
        path = "api/ops/scans/history?form=columns&limit="
        for limit in (2, 3):
            answer = (await http.get(path + str(limit))).json()
            assert answer.keys() == {"results_by_column", "resolution", "cut"}
            columns = answer["results_by_column"]
            assert (columns["seq"], answer["cut"], answer["resolution"]) == (seqs[-limit:], limit == 2, "raw")
            assert columns["check_id"] == [["one"], [0] * limit]
            assert result_columns.count(columns) == limit
        plain = (await http.get("api/ops/scans/history?limit=2")).json()
        assert [row["seq"] for row in plain["results"]] == seqs[-2:]
