"""The ops room over real sockets: snapshots, who may do what, acks and silences, hibernation, bounds."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from partywidgets.party import Environment, PartyHost
from partywidgets.scans.channel import PARTY, ROOM
from partywidgets.scans.checks.base import CheckModel, Probe, ProbeContext
from partywidgets.scans.model import FRAME_BYTES, Evidence, parse_time, utc_now, wire_time
from partywidgets.scans.report import ScanReport
from partywidgets.scans.requests import read_message, read_selection
from partywidgets.scans.server import OpsMonitorBroadcastServer
from partywidgets.scans.service import OpsMonitorService
from partywidgets.scans.settings import ScheduleSettings
from partywidgets.scans.silence import Silence

from .ops_room import Play, ScriptedCheck, ops_room

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "ops.json").read_text())


def shape(value: Any) -> Any:
    """A message's keys, nested, without values."""
    return {key: shape(item) for key, item in value.items()} if isinstance(value, dict) else "…"


def vector(kind: str, source: str = "server") -> dict[str, Any]:
    """The data of the vector of a kind."""
    return next(item["message"]["data"] for item in VECTORS if item["from"] == source and item["message"]["type"] == kind)


async def test_messages_have_the_keys_of_the_vectors(tmp_path: Path, play: Play) -> None:
    """Every message of the room has exactly the keys that the shared vectors have."""
    async with ops_room(tmp_path) as room, room.join("rob-responder") as person:
        await room.service.load_config("a.yaml", [ScriptedCheck(id="one", labels={"team": "web"})])
        play.statuses["one"] = "crit"
        report = await room.ops.run_scan()
        fingerprint = report.results[0].fingerprint
        await person.ask("ack", fingerprint=fingerprint, reason="deploy under way", until=None)
        await person.ask("silence", matchers={"team": "web"}, until="2099-01-01T00:00:00Z", reason="maintenance")
        async with room.join() as late:
            await late.snapshot()
    seen = {message["type"]: message["data"] for message in person.messages}
    seen["snapshot"] = late.messages[0]["data"]
    for kind in ("snapshot", "scan-started", "check-result", "scan-result", "state-change", "ack", "silence"):
        assert shape(seen[kind]).keys() == shape(vector(kind)).keys(), kind
    assert shape(seen["snapshot"]["results"][0]).keys() == shape(vector("snapshot")["results"][0]).keys()
    assert seen["snapshot"]["scan"].keys() == vector("snapshot")["scan"].keys()


def test_client_vectors_are_read() -> None:
    """The client's messages in the shared vectors are understood."""
    for item in VECTORS:
        if item["from"] == "client":
            kind, data = read_message(json.dumps(item["message"]))
            assert kind in ("ack", "silence", "recheck", "scan", "window", "rows", "ticket")
            assert isinstance(data["id"], str)
    assert read_selection(vector("scan", "client")).checks == ()


async def test_ack_is_seen_by_all(tmp_path: Path, play: Play) -> None:
    """An ack, its actor and its reason reach everyone, stay on the row for who joins later, and end with the recovery."""
    play.statuses["db"] = "crit"
    async with ops_room(tmp_path) as room, room.join("val-viewer") as viewer, room.join("rob-responder") as responder:
        await room.service.load_config("a.yaml", [ScriptedCheck(id="db")])
        fingerprint = (await room.ops.run_scan()).results[0].fingerprint
        reply = await responder.ask("ack", fingerprint=fingerprint, reason="I am on it", until=None)
        assert reply["ok"] is True
        ack = await viewer.until("ack")
        assert (ack["fingerprint"], ack["actor"], ack["reason"]) == (fingerprint, "Rob", "I am on it")
        row = (await viewer.until("check-result"))["results"][0]
        assert (row["suppression"]["by"], row["suppression"]["actor"]) == ("ack", "Rob")
        async with room.join() as late:
            assert (await late.snapshot())[0]["suppression"]["reason"] == "I am on it"
        play.statuses["db"] = "ok"
        await room.ops.run_scan()
        assert (await viewer.until("ack"))["reason"] is None
        assert (await viewer.until("scan-result"))["results"][0]["suppression"] is None


async def test_silence_and_its_end(tmp_path: Path, play: Play) -> None:
    """A silence suppresses the rows that its matchers match, now and in later scans, until it is lifted."""
    play.statuses.update(web="crit", db="crit")
    async with ops_room(tmp_path) as room, room.join("rob-responder") as person:
        await room.service.load_config("a.yaml", [ScriptedCheck(id="web", labels={"team": "web"}), ScriptedCheck(id="db")])
        await room.ops.run_scan()
        reply = await person.ask("silence", matchers={"team": "web"}, until="2099-01-01T00:00:00Z", reason="moving house")
        assert reply["ok"] is True
        report = await room.ops.run_scan()
        suppressed = {result.check_id: result.suppression and result.suppression.by for result in report.results}
        assert suppressed == {"web": "silence", "db": None}
        assert (await person.ask("silence", matchers={"team": "web"}, until=None))["result"] == {"lifted": 1}
        async with room.join() as late:
            assert [row["suppression"] for row in await late.snapshot()] == [None, None]


@pytest.mark.parametrize(
    ("who", "kind", "data", "sentence"),
    [
        ("val-viewer", "ack", {"fingerprint": "x", "reason": "r"}, "ack needs the role responder or admin, you are viewer"),
        ("val-viewer", "silence", {"matchers": {"a": "b"}, "reason": "r"}, "silence needs the role responder or admin, you are viewer"),
        ("val-viewer", "recheck", {"fingerprints": ["x"]}, "recheck needs the role responder or admin, you are viewer"),
        ("rob-responder", "recheck", {"fingerprints": []}, "`fingerprints` is empty: name the rows to look at again"),
        ("rob-responder", "scan", {}, "scan needs the role admin, you are responder, viewer"),
        ("rob-responder", "ack", {"fingerprint": "no", "reason": "r"}, "no row is 'no': take its check_id or fingerprint from the table"),
        ("rob-responder", "silence", {"matchers": {}, "until": "2099-01-01T00:00:00Z", "reason": "r"}, "a silence needs at least one"),
        ("rob-responder", "silence", {"matchers": {"a": "b"}, "until": "tomorrow", "reason": "r"}, "`until` must be a time with a zone"),
        ("rob-responder", "silence", {"matchers": {"a": "b"}, "until": "2020-01-01T00:00:00Z", "reason": "r"}, "`until` is past"),
        ("ana-admin", "scan", {"checks": ["shopp"]}, "no check is called 'shopp': did you mean 'shop'?"),
        ("ana-admin", "scan", {"labels": {"team": "nobody"}}, "no check has the labels team=nobody"),
        ("ana-admin", "scan", {"checks": "shop"}, "`checks` must be a list of strings"),
        ("ana-admin", "dance", {}, "the ops room knows no message of type 'dance'"),
        ("ana-admin", "offer", {"runner": "r", "checks": []}, "the ops room knows no message of type 'offer'"),
    ],
)
async def test_refusals_are_one_sentence(tmp_path: Path, who: str, kind: str, data: dict[str, Any], sentence: str) -> None:
    """Who may not, or asks for what is not there, gets a reply with one sentence, and nothing happens."""
    async with ops_room(tmp_path) as room, room.join(who) as person:
        await room.service.load_config("a.yaml", [ScriptedCheck(id="shop")])
        reply = await person.ask(kind, **data)
        assert reply["ok"] is False
        assert reply["error"].startswith(sentence)
        assert room.service.running() == []
        assert room.service.board.silences == {}


MAY_SEND = {
    "past": "viewer responder runner admin",
    "window": "viewer responder runner admin",
    "rows": "viewer responder runner admin",
    "ticket": "viewer responder runner admin",
    "ack": "responder admin",
    "silence": "responder admin",
    "recheck": "responder admin",
    "remedy": "responder admin",
    "scan": "admin",
    "cancel": "admin",
}


@pytest.mark.parametrize("name", ["val-viewer", "rob-responder", "kim-runner", "ana-admin"])
async def test_each_message_is_for_the_roles_that_may_send_it(tmp_path: Path, name: str) -> None:
    """Who may send a message that lacks what it needs is told what is missing, everybody else that they may not; no others are known."""
    role = name.partition("-")[2]
    async with ops_room(tmp_path) as room, room.join(name) as person:
        for kind, roles in MAY_SEND.items():
            reply = await person.ask(kind, checks="none", fingerprint=1)
            assert f"{kind} needs the role" in reply.get("error", "") or role in roles.split(), (kind, reply)
            assert f"{kind} needs the role" not in reply.get("error", "") or role not in roles.split(), (kind, reply)
        known = (await person.ask("dance"))["error"]
        assert known.endswith(f"send {', '.join([*MAY_SEND][:-1])} or {[*MAY_SEND][-1]}")
        assert room.service.running() == []


@pytest.mark.parametrize("frame", ["{", "[1]", '{"type": 1}', '{"type": "scan", "data": []}', b"\x00", "[" * 100_000])
async def test_what_cannot_be_read_is_answered(tmp_path: Path, frame: str | bytes) -> None:
    """A frame that is not a message gets an error reply; the socket stays open."""
    async with ops_room(tmp_path) as room, room.join("ana-admin") as person:
        await person.socket.send(frame)
        assert (await person.until("reply"))["ok"] is False
        assert (await person.ask("silence", matchers={"a": "b"}, reason="r", until="2099-01-01T00:00:00Z"))["ok"] is True


async def test_no_ops_role_stays_outside(tmp_path: Path) -> None:
    """Somebody with terminal roles only is closed with 4403 and hears nothing; without a credential no room is made."""
    async with ops_room(tmp_path) as room:
        with pytest.raises(InvalidStatus):
            async with room.join("nobody-we-know"):
                pass
        assert room.host.rooms(PARTY) == []
        async with room.join("tom-terminal") as person:
            with pytest.raises(ConnectionClosed) as closed:
                await person.receive()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 4403
            assert person.messages == []


async def test_recheck_looks_at_the_row_alone(tmp_path: Path, play: Play) -> None:
    """A responder's recheck runs the check of that fingerprint and no other; the reply names the scan that everyone sees."""
    async with ops_room(tmp_path) as room, room.join("rob-responder") as person:
        await room.service.load_config("a.yaml", [ScriptedCheck(id="one"), ScriptedCheck(id="two")])
        report = await room.ops.run_scan()
        await person.until("scan-result")
        one = next(result.fingerprint for result in report.results if result.check_id == "one")
        play.statuses["one"] = "warn"
        await person.send("recheck", id="q", fingerprints=[one])
        finished = await person.until("scan-result")
        assert finished["trigger"] == "recheck"
        assert [(row["check_id"], row["status"], row["change"]) for row in finished["results"]] == [("one", "warn", "updated")]
        replies = [message["data"] for message in person.messages if message["type"] == "reply"]
        assert replies[0]["result"]["scan_id"] == finished["scan_id"]
    assert play.looks == {"one": 2, "two": 1}


async def test_a_fingerprint_never_looked_at_can_be_rechecked(tmp_path: Path) -> None:
    """A check of the config is found by the fingerprint its results will have, also before its first look."""
    async with ops_room(tmp_path) as room, room.join("rob-responder") as person:
        check = ScriptedCheck(id="one")
        await room.service.load_config("a.yaml", [check])
        await person.send("recheck", id="q", fingerprints=[check.fingerprint])
        assert (await person.until("scan-result"))["results"][0]["fingerprint"] == check.fingerprint


async def test_hibernation_keeps_rows_and_sockets(tmp_path: Path, play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """The instance goes when idle; sockets stay, a scan wakes it and reaches them, and who joins then gets the rows."""
    slept = asyncio.Event()

    async def on_stop(room: OpsMonitorBroadcastServer) -> None:
        slept.set()

    monkeypatch.setattr(OpsMonitorBroadcastServer, "on_stop", on_stop)
    play.statuses["one"] = "crit"
    async with ops_room(tmp_path, hibernate_after=0.05) as room, room.join() as person:
        await room.service.load_config("a.yaml", [ScriptedCheck(id="one")])
        await person.snapshot()
        await room.ops.run_scan()
        await person.until("scan-result")
        slept.clear()
        before = await room.host.get_server_by_name(PARTY, ROOM)
        async with asyncio.timeout(20):
            await slept.wait()
        assert room.host.connection_count() == 1
        report = await room.ops.run_scan()
        assert (await person.until("scan-result"))["scan_id"] == report.scan_id
        assert await room.host.get_server_by_name(PARTY, ROOM) is not before
        async with room.join() as late:
            rows = await late.snapshot()
        assert [(row["check_id"], row["status"], row["change"]) for row in rows] == [("one", "crit", "unchanged")]


async def test_rows_acks_and_scans_survive_a_restart(tmp_path: Path, play: Play) -> None:
    """A new host on the same directory shows the same rows, acks and last scan, under a new epoch, and goes on counting seq."""
    play.statuses["one"] = "crit"
    checks = [ScriptedCheck(id="one", attempts=2), ScriptedCheck(id="two")]
    async with ops_room(tmp_path) as room:
        await room.service.load_config("a.yaml", checks)
        report = await room.ops.run_scan()
        async with room.join("rob-responder") as person:
            before = {row["fingerprint"]: row for row in await person.snapshot()}
            failing = next(row for row in before.values() if row["status"] == "crit")
            assert (await person.ask("ack", fingerprint=failing["fingerprint"], reason="mine"))["ok"] is True
            epoch, seq = person.messages[0]["data"]["epoch"], person.messages[0]["data"]["seq"]
    async with ops_room(tmp_path) as room:
        async with room.join() as person:
            after = {row["fingerprint"]: row for row in await person.snapshot()}
            head = person.messages[0]["data"]
        assert after.keys() == before.keys()
        assert after[failing["fingerprint"]]["suppression"]["reason"] == "mine"
        assert head["scan"]["scan_id"] == report.scan_id
        assert head["epoch"] != epoch
        assert head["seq"] >= seq
        await room.service.load_config("a.yaml", checks)
        again = await room.ops.run_scan()
        states = {result.check_id: (result.state.phase, result.change) for result in again.results}
        assert states == {"one": ("hard", "unchanged"), "two": ("hard", "unchanged")}
        assert min(result.seq for result in again.results) > seq


class Talkative(CheckModel):
    """A check whose evidence fills its bound."""

    type: str = "talkative"

    @property
    def target(self) -> str:
        return f"talkative:{self.id}"

    async def probe(self, context: ProbeContext) -> Probe:
        failing = int(self.id) % 50 == 0
        return Probe(self.target, status="crit" if failing else "ok", evidence=[Evidence("text", "log", "é<script>" * 100)])


async def test_no_frame_over_its_bound_with_10000_checks(tmp_path: Path) -> None:
    """10,000 checks with evidence: every frame fits 256 KiB, the scan-result has failing ones alone, and `more` has the rest."""
    async with ops_room(tmp_path) as room, room.join() as person:
        await room.service.load_config("big.yaml", [Talkative(id=str(number)) for number in range(10_000)])
        scan = asyncio.create_task(room.ops.run_scan())
        finished = await person.until("scan-result")
        await scan
        assert finished["total"] == 10_000
        assert finished["counts"]["crit"] == 200
        failing = [row["status"] for row in finished["results"]]
        assert 0 < len(failing) < 200
        assert set(failing) == {"crit"}
        streamed = [
            row["check_id"] for message in person.messages if message["type"] == "check-result" for row in message["data"]["results"]
        ]
        assert len(set(streamed)) == 10_000
        async with room.join() as late:
            rows = await late.snapshot()
            assert len({row["fingerprint"] for row in rows}) == 10_000
            assert [row["status"] for row in rows[:200]] == ["crit"] * 200
        assert max(person.sizes + late.sizes) <= FRAME_BYTES
        async with room.http("val-viewer") as http:
            whole = (await http.get(finished["more"])).json()
        assert len(whole["results"]) == 10_000
        assert ScanReport.from_wire(whole).counts["crit"] == 200


async def test_a_thousand_silences_fit_the_snapshot(tmp_path: Path) -> None:
    """However many silences are in force, the snapshot's first part fits a frame, and one more than the most is refused."""
    async with ops_room(tmp_path) as room:
        for number in range(1000):
            matchers = {f"label-{key}": f"{number} " + "x" * 150 for key in range(16)}
            room.service.board.silence(Silence(matchers, "r" * 400, "Ana", utc_now(), utc_now() + timedelta(days=1)))
        async with room.join("rob-responder") as person:
            await person.snapshot()
            assert max(person.sizes) <= FRAME_BYTES
            assert person.messages[0]["data"]["silences"][0]["matchers"]["label-0"].startswith("999 ")
            reply = await person.ask("silence", matchers={"a": "b"}, until="2099-01-01T00:00:00Z", reason="r")
            assert reply["error"].startswith("1000 silences are in force")


async def test_without_an_entry_point_the_room_still_serves(tmp_path: Path) -> None:
    """A host that was given the service alone: the room broadcasts through itself and stays awake for its scan."""
    service = OpsMonitorService()
    async with PartyHost({PARTY: OpsMonitorBroadcastServer}, storage=tmp_path, env=Environment(service)) as host, service:
        await service.load_config("a.yaml", [ScriptedCheck(id="one")])
        room = await host.get_server_by_name(PARTY, ROOM)
        assert isinstance(room, OpsMonitorBroadcastServer)
        told: list[str] = []
        room.publish = lambda kind, message: told.append(kind)  # type: ignore[method-assign]
        report = await service.run_scan(broadcast=room.publish)
        assert told == ["scan-started", "check-result", "scan-result"]
        assert wire_time(report.started_at).endswith("Z")


async def test_when_things_run_next(tmp_path: Path) -> None:
    """Who joins is told of the next full scan, everyone of the one after it when a scan starts, and a row's past says its next look."""
    soon, later = ScriptedCheck(id="soon", every=3600.0), ScriptedCheck(id="later")
    async with ops_room(tmp_path) as room:
        await room.service.load_config("a.yaml", [soon, later], schedule=ScheduleSettings(full="0 0 1 1 *"))
        await room.service.load_config("b.yaml", [off := ScriptedCheck(id="off")])
        async with room.join() as person:
            await person.snapshot()
            told = parse_time(person.messages[0]["data"]["next"])
            assert (told.month, told.day, told.hour, told > utc_now()) == (1, 1, 0, True)
            await room.ops.run_scan()
            assert parse_time((await person.until("scan-started"))["next"]) == told
            await person.until("scan-result")
            nexts = {}
            for check in (soon, later, off):
                nexts[check.id] = (await person.ask("past", fingerprint=check.fingerprint))["result"]["next"]
            assert (parse_time(nexts["later"]), nexts["off"]) == (told, None)
            assert timedelta(0) < parse_time(nexts["soon"]) - utc_now() <= timedelta(seconds=3700)


async def test_past_of_a_row(tmp_path: Path, play: Play) -> None:
    """A viewer may ask for a row's hours, looks, changes and last proof; of a row that is not there it gets a sentence."""
    play.statuses["db"] = "crit"
    async with ops_room(tmp_path) as room, room.join("val-viewer") as viewer, room.join("rob-responder") as responder:
        await room.service.load_config("a.yaml", [ScriptedCheck(id="db"), ScriptedCheck(id="web")])
        rows = {result.check_id: result for result in (await room.ops.run_scan()).results}
        fingerprint = rows["db"].fingerprint
        before = (await viewer.ask("past", fingerprint=fingerprint))["result"]
        assert before["remedy"] is None
        assert [(hour["fingerprint"], hour["looks"], hour["crit"], hour["uptime"]) for hour in before["hours"]] == [
            (fingerprint, 1, 1, 0.0)
        ]
        assert [(change["from"], change["to"], change["summary"]) for change in before["changes"]] == [(None, "crit", "it is crit")]
        assert before["changes"][0].keys() == vector("state-change").keys()
        assert [(look[0], look[2]) for look in before["looks"]] == [(wire_time(rows["db"].observed_at), "crit")]
        play.statuses["db"] = "ok"
        room.service.redact = lambda text: text.replace("hunter22", "***")
        asked = {"fingerprint": fingerprint, "sandbox": "box", "command": "fix it --key hunter22", "exit_code": 0, "duration_s": 1.5}
        told = await responder.ask("remedy", **asked, before=rows["db"].seq)
        await viewer.until("remedy")
        proof = (await viewer.ask("past", fingerprint=fingerprint))["result"]["remedy"]
        assert (proof["id"], proof["actor"], proof["before"]["status"], proof["after"]["status"]) == (
            told["result"]["remedy"],
            "Rob",
            "crit",
            "ok",
        )
        assert proof["command"] == "fix it --key ***"
        for status in ("crit", "crit", "crit", "ok"):  # confirmed by the third, which is not a change
            play.statuses["db"] = status
            await room.ops.run_scan()
        last = (await viewer.ask("past", fingerprint=fingerprint))["result"]
        assert [change["to"] for change in last["changes"]] == ["ok", "crit", "ok", "crit"]
        assert [look[2] for look in last["looks"]] == ["crit", "ok", "crit", "crit", "crit", "ok"]
        refused = await viewer.ask("past", fingerprint="nothing")
        assert (refused["ok"], "names no row" in refused["error"]) == (False, True)
