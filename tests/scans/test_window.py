"""A board of more than ten thousand rows over real sockets: tables get windows, everyone else all of it as before."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from partywidgets.client.ops import OpsClient
from partywidgets.scans.columns import COLUMN_KEYS
from partywidgets.scans.model import FRAME_BYTES, CheckResult, Evidence, Status, parse_time, utc_now, uuid7, wire_time
from partywidgets.scans.report import ScanReport
from partywidgets.scans.server import OpsMonitorBroadcastServer
from partywidgets.scans.window import WindowQuery

from .ops_room import OpsRoom, Person, ops_room, token_of

ROWS = 10_400
LIMIT = "?window=10000"
STATUSES: tuple[Status, ...] = ("ok", "ok", "ok", "warn", "crit")


VECTOR = {
    (item["message"]["type"], item["from"]): item["message"]["data"]
    for item in json.loads((Path(__file__).parent.parent / "vectors" / "ops.json").read_text())
}


def row(number: int, **change: Any) -> CheckResult:
    """One of many rows; each fifth is crit."""
    result = CheckResult(
        f"check-{number:05}",
        "http",
        f"https://host-{number % 7}.example/{number}",
        STATUSES[number % 5],
        title=f"Check {number:05}",
        duration_ms=float(number),
        labels={"team": "web" if number % 2 else "data"},
    )
    return replace(result, result_id=uuid7(), **change)


async def publish(room: OpsRoom, results: list[CheckResult]) -> None:
    """Puts rows on the board, in reports as large as the room takes."""
    for first in range(0, len(results), 2_000):
        report = ScanReport(scan_id=uuid7(), results=results[first : first + 2_000])
        await room.service.publish(report, broadcast=room.ops.broadcast, actor="test")


async def window(person: Person, **query: Any) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Asks for a window; the last `window` message before the reply, and the rows that came, by fingerprint."""
    begin = len(person.messages)
    reply = await person.ask("window", **query)
    assert reply["ok"], reply
    told = [message["data"] for message in person.messages[begin:] if message["type"] == "window"]
    assert told[-1]["rows"] == reply["result"]["rows"]
    return told[-1], {result["fingerprint"]: result for data in told for result in data["results"]}


async def test_a_large_board_is_looked_at_by_windows(tmp_path: Path) -> None:
    """Sorted, filtered, grouped and paged by the host; what changes is told of the rows in view alone, and no frame is over its bound."""
    rows = [row(number) for number in range(ROWS)]
    async with ops_room(tmp_path) as room:
        await publish(room, rows)
        async with room.join(path=f"parties/ops-monitor-broadcast/main{LIMIT}") as person, room.join("rob-responder") as plain:
            first = await person.until("snapshot")
            assert (first["results"], first["of"], first["total"], first["role"], first["name"]) == ([], 1, ROWS, "viewer", "Val")
            assert len(await plain.snapshot()) == ROWS  # who does not ask for windows has every row, as on any board

            told, here = await window(person, sort=["-duration_ms"], **{"from": 0, "count": 50})
            assert [here[name]["duration_ms"] for name in told["order"]] == [float(ROWS - 1 - place) for place in range(50)]
            assert (told["rows"], told["total"], told["counts"]["crit"]) == (ROWS, ROWS, ROWS // 5)
            assert told.keys() == VECTOR["window", "server"].keys()

            told, here = await window(person, sort=["title"], search="check-0001 -status:ok", **{"from": 2, "count": 10})
            assert ([here[name]["title"] for name in told["order"]], told["rows"]) == (["Check 00018", "Check 00019"], 4)
            told, here = await window(person, sort=["title"], group="label:team", folded=["data"], **{"from": 0, "count": 3})
            assert [here[name]["title"] for name in told["order"]] == ["Check 00001", "Check 00003", "Check 00005"]
            assert [group[:2] for group in told["groups"]] == [["data", ROWS // 2], ["web", ROWS // 2]]

            told, here = await window(person, sort=["status", "title"], statuses=["crit"], **{"from": 0, "count": 5})
            assert told["rows"] == ROWS // 5
            outside, inside = rows[9_000], rows[int(here[told["order"][0]]["title"][6:])]
            begin = len(person.messages)
            await publish(room, [row(9_000, summary="far away")])
            assert (await plain.until("check-result"))["results"][0]["fingerprint"] == outside.fingerprint
            await publish(room, [row(int(inside.title[6:]), summary="in view")])
            update = await person.until("window")
            assert [(result["fingerprint"], result["summary"]) for result in update["results"]] == [(inside.fingerprint, "in view")]
            # Of what is out of view the window has nothing; that a scan ended is told all the same.
            others = [message for message in person.messages[begin:] if message["type"] in ("check-result", "scan-result")]
            assert others
            assert not [message for message in others if message["data"]["results"]]

            # A selected row is told of wherever it stands.
            await window(
                person, sort=["status", "title"], statuses=["crit"], pinned=[outside.fingerprint, "gone"], **{"from": 0, "count": 5}
            )
            await publish(room, [row(9_000, summary="selected")])
            update = await person.until("window", lambda data: bool(data["results"]))
            assert [(result["fingerprint"], result["summary"]) for result in update["results"]] == [(outside.fingerprint, "selected")]
            assert (outside.fingerprint in update["order"], update["gone"]) == (False, ["gone"])

            ack = await plain.ask("ack", fingerprint=inside.fingerprint, reason="on it", until=None)
            assert ack["ok"]
            seen = await person.until("window", lambda data: bool(data["results"]))
            assert seen["results"][0]["suppression"]["actor"] == "Rob"
            assert max(person.sizes) <= FRAME_BYTES

        async with OpsClient(room.url, token=token_of("val-viewer")) as client:
            assert len(client.rows) == ROWS


async def test_a_window_says_how_fresh_the_board_is(tmp_path: Path) -> None:
    """When the newest row was looked at and how many are stale comes with each window; `is:stale` shows them, whatever is in view."""
    long_ago = utc_now() - timedelta(hours=1)
    rows = [row(number, observed_at=long_ago, ttl_s=60.0 if number < 3 else None) for number in range(ROWS)]
    async with ops_room(tmp_path) as room:
        await publish(room, rows)
        async with room.join(path=f"parties/ops-monitor-broadcast/main{LIMIT}") as person:
            told, _ = await window(person, sort=["title"], **{"from": 0, "count": 5})
            assert (parse_time(told["newest"]), told["stale"]) == (parse_time(wire_time(long_ago)), 3)
            # A row out of view is looked at: nothing in view is another, and the window says so all the same.
            await publish(room, [row(9_000, observed_at=utc_now())])
            update = await person.until("window", lambda data: data["newest"] != told["newest"])
            assert (update["results"], update["order"], update["stale"]) == ([], told["order"], 3)
            told, _ = await window(person, sort=["title"], search="is:stale", **{"from": 0, "count": 5})
            assert told["order"] == [one.fingerprint for one in rows[:3]]
            # Time alone makes one stale: who asks again is told.
            soon = utc_now()
            await publish(room, [row(5, observed_at=soon, ttl_s=0.5)])
            while told["rows"] == 3:
                told, _ = await window(person, sort=["title"], search="is:stale", **{"from": 0, "count": 5})
                await asyncio.sleep(0.1)
            assert told["order"][3] == row(5).fingerprint
            assert (told["rows"], told["stale"]) == (4, 4)


async def listed(person: Person, **query: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Asks for all rows; the reply, and the rows of all parts that follow, by column."""
    reply = await person.ask("rows", **query)
    assert reply["ok"], reply
    rows: list[dict[str, Any]] = []
    last = reply["result"]["rows"] == 0
    while not last:
        part = await person.until("rows")
        assert part.keys() == VECTOR["rows", "server"].keys()
        assert (part["id"], part["from"]) == (reply["id"], len(rows))
        rows += [dict(zip(reply["result"]["columns"], values, strict=True)) for values in part["rows"]]
        last = part["last"]
    return reply["result"], rows


async def test_all_rows_of_a_large_board_for_a_file(tmp_path: Path) -> None:
    """Every row that the filter keeps, in order, in bounded frames to the one who asked, a viewer, and to nobody else."""
    async with ops_room(tmp_path) as room:
        await publish(room, [row(number, summary="é" * 100) for number in range(ROWS)])
        async with room.join(path=f"parties/ops-monitor-broadcast/main{LIMIT}") as person, room.join() as other:
            await person.until("snapshot")
            await other.snapshot()
            told, rows = await listed(person, sort=["-duration_ms"])
            assert (told["rows"], len(rows)) == (ROWS, ROWS)
            assert [item["duration_ms"] for item in rows] == [float(number) for number in reversed(range(ROWS))]
            assert (rows[0]["title"], rows[0]["status"], rows[0]["summary"]) == (f"Check {ROWS - 1:05}", "crit", "é" * 100)
            parts = [size for size, message in zip(person.sizes, person.messages, strict=True) if message["type"] == "rows"]
            assert len(parts) > 5
            assert max(parts) <= FRAME_BYTES
            _, rows = await listed(person, sort=["title"], search="team=data", statuses=["crit"], group="host")
            assert len(rows) == ROWS // 10
            hosts = [item["target"].split("/")[2] for item in rows]
            assert hosts == sorted(hosts)
            assert await listed(person, search="no such row") == ({"rows": 0, "columns": list(told["columns"])}, [])
            assert (await person.ask("rows", sort=["nothing"]))["error"].startswith("`sort` has no column 'nothing'")
            assert not [message for message in other.messages if message["type"] == "rows"]


async def test_one_listing_at_a_time(tmp_path: Path) -> None:
    """Who asks again before the rows have come is told so, and gets those of the first question."""
    async with ops_room(tmp_path) as room, room.join() as person:
        await publish(room, [row(number) for number in range(5_000)])
        await person.snapshot()
        for name in ("first", "second"):
            await person.send("rows", id=name)
        second = await person.until("reply", lambda data: data["id"] == "second")
        assert second["error"] == "the rows that you asked for last are still on their way: wait for their end"
        await person.until("rows", lambda data: data["last"])
        assert {message["data"]["id"] for message in person.messages if message["type"] == "rows"} == {"first"}
        assert (await listed(person))[0]["rows"] == 5_000


async def test_a_window_of_long_rows_comes_in_several_frames(tmp_path: Path) -> None:
    """Each within the bound, together all of the window; and a window that nothing changed in is not told again."""
    long = [Evidence("body", "body", "x" * 4000) for _ in range(4)]
    async with ops_room(tmp_path) as room, room.join() as person:
        await publish(room, [row(number, evidence=long) for number in range(150)])
        await person.snapshot()
        told, here = await window(person, sort=["title"], **{"from": 0, "count": 150})
        assert sorted(here) == sorted(told["order"])
        assert len([message for message in person.messages if message["type"] == "window"]) > 1
        assert max(person.sizes) <= FRAME_BYTES
        begin = len(person.messages)
        _, again = await window(person, sort=["title"], **{"from": 0, "count": 150})
        assert again == {}
        assert len([message for message in person.messages[begin:] if message["type"] == "window"]) == 1


async def test_a_window_outlives_hibernation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The room sleeps and wakes, and who had a window is told of its rows, and of no others."""
    slept = asyncio.Event()

    async def on_stop(server: OpsMonitorBroadcastServer) -> None:
        slept.set()

    monkeypatch.setattr(OpsMonitorBroadcastServer, "on_stop", on_stop)
    async with ops_room(tmp_path, hibernate_after=0.05) as room, room.join() as person:
        await publish(room, [row(number) for number in range(20)])
        await person.snapshot()
        told, _ = await window(person, sort=["title"], **{"from": 0, "count": 2})
        slept.clear()
        async with asyncio.timeout(20):
            await slept.wait()
        begin = len(person.messages)
        await publish(room, [row(1, summary="woken"), row(15, summary="out of view")])
        update = await person.until("window", lambda data: any(result["summary"] == "woken" for result in data["results"]))
        assert {result["fingerprint"] for result in update["results"]} <= set(told["order"])
        assert not [message for message in person.messages[begin:] if message["type"] == "check-result" and message["data"]["results"]]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"sort": ["no"]}, "`sort` has no column 'no': there are status"),
        ({"sort": "title"}, "`sort` must be a list of strings"),
        ({"group": "colour"}, "`group` must be status, severity, check_type, host or label:NAME"),
        ({"search": "x" * 501}, "`search` must be a text of at most 500 characters"),
        ({"from": -1}, "`from` must be a place from 0 on"),
        ({"count": 201}, "`count` a number of rows up to 200"),
        ({"count": True}, "`count` a number of rows up to 200"),
        ({"folded": ["x"] * 201}, "`folded` has 201 items, at most 200 are read"),
        ({"folded": ["x" * 200] * 100}, "a window's query has at most 12288 bytes of JSON: unfold some groups"),
    ],
)
def test_what_a_window_cannot_be_asked_for(query: dict[str, Any], sentence: str) -> None:
    """Each mistake is one sentence for the sender."""
    with pytest.raises(ValueError, match=sentence):
        WindowQuery.from_wire(query)


def test_a_query_is_kept_as_it_was_asked() -> None:
    """What a hibernating connection keeps is read back as it was; what was left out is as usual."""
    query = {"sort": [COLUMN_KEYS[-1]], "group": "host", "search": "a", "statuses": ["crit"], "folded": ["x"], "from": 3, "count": 4}
    read = WindowQuery.from_wire(query)
    assert WindowQuery.from_wire(json.loads(json.dumps(read.to_wire()))) == read
    asked = {name: value for name, value in VECTOR["window", "client"].items() if name != "id"}
    assert json.loads(json.dumps(WindowQuery.from_wire(asked).to_wire())) == asked
    assert WindowQuery.from_wire({}).look.sort == ("status", "suppression", "-severity", "title")
