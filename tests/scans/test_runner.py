"""Runners: functions in a kernel, scheduled by the host, over a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from partywidgets.exceptions import ConfigError
from partywidgets.scans.check_decorator import check, forget, registered_checks
from partywidgets.scans.execution import configured
from partywidgets.scans.model import utc_now
from partywidgets.scans.runner import RunnerClient
from partywidgets.scans.server import RUNNER
from partywidgets.scans.silence import Ack

from .ops_room import OpsRoom, Person, ScriptedCheck, ops_room


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    """Functions of a test are gone after it."""
    yield
    for entry in registered_checks([__name__]):
        forget(entry.check.function)


class Kernel:
    """A RunnerClient on a real socket, as the kernel's transport drives it."""

    def __init__(self, person: Person, name: str) -> None:
        self.person = person
        self.client = RunnerClient(name, modules=[__name__])
        self.tasks: set[asyncio.Task[None]] = set()
        self.replies: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def offer(self) -> dict[str, Any]:
        """Offers what is registered and gives the reply."""
        await self.person.socket.send(self.client.offer_message())
        async with asyncio.timeout(20):
            return await self.replies.get()

    async def serve(self) -> None:
        """Until the socket closes: each message in a task of its own."""
        try:
            async for frame in self.person.socket:
                message = json.loads(frame)
                if message["type"] == "reply":
                    self.replies.put_nowait(message["data"])
                task = asyncio.create_task(self.answer(frame))
                self.tasks.add(task)
                task.add_done_callback(self.tasks.discard)
        except ConnectionClosed:
            pass

    async def answer(self, frame: str | bytes) -> None:
        """One message's answer."""
        answer = await self.client.handle(frame)
        if answer is not None:
            await self.person.socket.send(answer)


@asynccontextmanager
async def kernel(room: OpsRoom, name: str = "kernel-1", who: str = "kim-runner") -> AsyncIterator[Kernel]:
    """A kernel in the room; leaving the block is its end."""
    async with room.join(who, subprotocols=[RUNNER]) as person:
        one = Kernel(person, name)
        serving = asyncio.create_task(one.serve())
        try:
            yield one
        finally:
            for task in [serving, *one.tasks]:
                task.cancel()


async def test_functions_run_when_a_scan_asks(tmp_path: Path) -> None:
    """A kernel's functions are checks of the room: their returns become results that everyone sees, with the kernel as runner."""

    @check(severity="high", labels={"team": "queue"})
    async def depth() -> int:
        """Messages that wait."""
        return 12

    @check(crit="> 5")
    def errors() -> int:
        return 7

    @check
    def broken() -> None:
        raise RuntimeError("no database")

    async with ops_room(tmp_path) as room, room.join("ana-admin") as person, kernel(room) as runner:
        assert (await runner.offer())["result"]["checks"] == [entry.check.id for entry in registered_checks([__name__])]
        await person.send("scan", id="q", checks=[], labels={})
        rows = {row["title"]: row for row in (await person.until("scan-result"))["results"]}
        assert rows["Messages that wait."]["status"] == "ok"
        assert rows["Messages that wait."]["severity"] == "high"
        assert rows["Messages that wait."]["labels"] == {"team": "queue"}
        assert [metric["value"] for metric in rows["Messages that wait."]["metrics"] if metric["name"] == "value"] == [12]
        errors_row = next(row for row in rows.values() if row["check_id"].endswith("errors"))
        assert (errors_row["status"], errors_row["conditions"][0]["actual"]) == ("crit", "7")
        broken_row = next(row for row in rows.values() if row["check_id"].endswith("broken"))
        assert (broken_row["status"], broken_row["error"]["class"]) == ("unknown", "internal")
        assert {row["check_type"] for row in rows.values()} == {"function"}
        for entry in registered_checks([__name__]):
            assert entry.check.fingerprint in room.service.board.rows


async def test_functions_run_on_the_schedule(tmp_path: Path) -> None:
    """A function with `every` is run by the host's schedule."""
    calls = asyncio.Event()
    loop = asyncio.get_running_loop()
    count = 0

    @check(every=0.2)
    def often() -> bool:
        nonlocal count
        count += 1
        if count == 3:
            loop.call_soon_threadsafe(calls.set)
        return True

    async with ops_room(tmp_path) as room, room.join() as person, kernel(room) as runner:
        await runner.offer()
        assert (await person.until("scan-result"))["trigger"] == "interval"
        async with asyncio.timeout(20):
            await calls.wait()


async def test_a_runner_that_leaves_turns_its_checks_unknown(tmp_path: Path) -> None:
    """When the kernel goes, its rows turn unknown with a sentence, for everyone; configured checks stay as they are."""

    @check(every=3600)
    def mine() -> bool:
        return True

    async with ops_room(tmp_path) as room, room.join("ana-admin") as person:
        await room.service.load_config("a.yaml", [ScriptedCheck(id="theirs")])
        async with kernel(room) as runner:
            await runner.offer()
            await room.ops.run_scan()
            await person.until("scan-result", lambda data: data["total"] == 2)
        left = await person.until("check-result", lambda data: data["results"][0]["status"] == "unknown")
        row = left["results"][0]
        assert row["check_id"].endswith("mine")
        assert row["error"]["class"] == "internal"
        assert row["summary"].endswith("has left: run its notebook again")
        change = await person.until("state-change")
        assert (change["from"], change["to"]) == ("ok", "unknown")
        assert len(room.service.scheduler.schedule) == 0
        assert list(room.service.registry.checks) == ["theirs"]
        reply = await person.ask("scan", checks=[row["check_id"]])
        assert reply["error"].startswith("no check is called")


async def test_a_runner_that_leaves_in_the_middle_of_a_run(tmp_path: Path) -> None:
    """A scan that waits for a kernel which goes away ends at once, with that check unknown."""
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    @check(timeout=3600)
    async def slow() -> None:
        loop.call_soon_threadsafe(begun.set)
        await asyncio.sleep(3600)

    async with ops_room(tmp_path) as room:
        async with kernel(room) as runner:
            await runner.offer()
            scan = room.ops.start_scan()
            async with asyncio.timeout(20):
                await begun.wait()
        async with asyncio.timeout(20):
            report = await scan.wait()
    assert [(result.status, result.error and result.error.kind) for result in report.results] == [("unknown", "internal")]
    assert "has left" in report.results[0].summary


async def test_a_kernel_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A runner that never sends a result costs its deadline, then the check is unknown with the reason."""
    monkeypatch.setattr("partywidgets.scans.runner.GRACE", 0.1)

    async with ops_room(tmp_path) as room, room.join("kim-runner", subprotocols=[RUNNER]) as person:
        reply = await person.ask("offer", runner="mute", checks=[{"id": "mute", "timeout": 0.1}])
        assert reply["ok"] is True
        report = await room.ops.run_scan()
        run = next(message["data"] for message in [await person.receive()] if message["type"] == "run")
        assert run["check_id"] == "mute"
        await person.send("result", run_id=run["run_id"], check_id="mute", result={})
    assert [(result.status, result.error and result.error.kind) for result in report.results] == [("unknown", "timeout")]


async def test_running_the_cell_again_replaces(tmp_path: Path) -> None:
    """A function defined again, and one dropped, are what the next offer says; the row of the dropped one leaves."""

    def define(value: bool) -> None:
        @check
        def again() -> bool:
            return value

    define(True)

    @check
    def dropped() -> bool:
        return True

    async with ops_room(tmp_path) as room, kernel(room) as runner:
        await runner.offer()
        assert (await room.ops.run_scan()).counts["ok"] == 2
        define(False)
        gone = next(entry.check for entry in registered_checks([__name__]) if entry.check.id.endswith("dropped"))
        forget(gone.function)
        await runner.offer()
        report = await room.ops.run_scan()
        assert [(result.check_id.rpartition(".")[2], result.status) for result in report.results] == [("again", "crit")]
        assert gone.fingerprint not in room.service.board.rows


async def test_a_promoted_function_keeps_its_row(tmp_path: Path) -> None:
    """A config that has a runner's function under its id and name takes its row over, with its ack; another function is refused."""

    @check(id="depth", crit="> 5")
    def depth() -> int:
        return 7

    model = next(entry.check for entry in registered_checks([__name__]))
    moved = model.model_copy(update={"function": f"checks.depth:{model.function.rpartition(':')[2]}"})
    other = model.model_copy(update={"function": "checks.depth:something_else"})
    async with ops_room(tmp_path) as room, kernel(room) as one:
        await one.offer()
        (seen,) = (await room.service.run_scan()).results
        await room.service.suppressions.acknowledge(Ack(seen.fingerprint, "known", "Ana", utc_now()))
        with pytest.raises(ConfigError, match="the check id 'depth' belongs to runner"):
            await room.service.load_config("a.yaml", [], functions=[configured(other, "a.yaml", resolve=str)])
        await room.service.load_config("a.yaml", [], functions=[configured(moved, "a.yaml", resolve=str)])
        forget(model.function)
        assert (await one.offer())["ok"]
        (row,) = room.service.board.rows.values()
        assert (row.fingerprint, room.service.board.owner_of(row.fingerprint)) == (seen.fingerprint, "a.yaml")
        (again,) = (await room.service.run_scan()).results
        assert (again.fingerprint, again.target) == (seen.fingerprint, moved.function)
        assert again.suppression is not None
        assert again.suppression.reason == "known"
        changes = await room.service.history.changes(hours=1)
        assert {change["fingerprint"] for change in changes} == {seen.fingerprint}


async def test_the_newest_connection_of_a_runner_counts(tmp_path: Path) -> None:
    """A kernel that comes back before its old socket is known to be dead takes over; the old one's end changes nothing."""

    @check
    def steady() -> bool:
        return True

    async with ops_room(tmp_path) as room, kernel(room, "k") as old, kernel(room, "k") as new:
        await old.offer()
        await new.offer()
        await old.person.socket.close()
        async with asyncio.timeout(20):
            while len(room.service.runners) > 1:
                await asyncio.sleep(0.01)
        assert (await room.ops.run_scan()).counts["ok"] == 1


async def test_a_host_that_starts_anew_says_that_its_runners_are_not_back(tmp_path: Path) -> None:
    """After a restart the rows of a kernel's functions are unknown until the kernel has joined and the function has run."""

    @check
    def here() -> bool:
        return True

    async with ops_room(tmp_path) as room, kernel(room) as runner:
        await runner.offer()
        assert (await room.ops.run_scan()).counts["ok"] == 1
    async with ops_room(tmp_path) as room:
        async with room.join() as person:
            rows = await person.snapshot()
        assert [(row["status"], row["change"]) for row in rows] == [("unknown", "updated")]
        assert rows[0]["summary"].endswith("run its notebook again")
        async with kernel(room) as runner:
            await runner.offer()
            assert [result.change for result in (await room.ops.run_scan()).results] == ["resolved"]


@pytest.mark.parametrize(
    ("offer", "sentence"),
    [
        ({"runner": "r"}, "an offer is"),
        ({"runner": "", "checks": []}, "an offer is"),
        ({"runner": "r", "checks": [{"id": "shop"}]}, "runner kim/r: the check id 'shop' belongs to a.yaml"),
        ({"runner": "r", "checks": [{"id": "x", "every": "soon"}]}, "the offered check 'x': every:"),
        ({"runner": "r", "checks": [{"title": "no id"}]}, "the offered check 'None': id:"),
        ({"runner": "r", "checks": ["x"]}, "each check of an offer"),
        ({"runner": "r", "checks": [{"id": str(n)} for n in range(1001)]}, "a runner offers at most 1000 checks"),
    ],
)
async def test_bad_offers_change_nothing(tmp_path: Path, offer: dict[str, Any], sentence: str) -> None:
    """An offer that cannot be gets one sentence; the checks that are there stay."""
    async with ops_room(tmp_path) as room, room.join("kim-runner", subprotocols=[RUNNER]) as person:
        await room.service.load_config("a.yaml", [ScriptedCheck(id="shop")])
        reply = await person.ask("offer", **offer)
        assert reply["error"].startswith(sentence)
        assert list(room.service.registry.checks) == ["shop"]


@pytest.mark.parametrize(
    "result", [None, [], {"status": "great"}, {"check_type": "x", "target": "t", "status": "ok", "duration_ms": "long"}]
)
async def test_a_result_that_cannot_be_read(tmp_path: Path, result: Any) -> None:
    """A malformed result is answered with a sentence and shown as unknown; nothing else of it is kept."""
    async with ops_room(tmp_path) as room, room.join("kim-runner", subprotocols=[RUNNER]) as person:
        await person.ask("offer", runner="r", checks=[{"id": "odd"}])
        scan = room.ops.start_scan()
        run = await person.until("run")
        reply = await person.ask("result", run_id=run["run_id"], check_id="odd", result=result)
        assert reply["error"].startswith("the result of odd cannot be read")
        report = await scan.wait()
    assert report.results[0].status == "unknown"
    assert "cannot be read" in report.results[0].summary


async def test_a_runner_speaks_for_its_own_checks_alone(tmp_path: Path) -> None:
    """A result for somebody else's run, or under another check's name, changes nothing of theirs."""
    async with (
        ops_room(tmp_path) as room,
        room.join("kim-runner", subprotocols=[RUNNER]) as first,
        room.join("kim-runner", subprotocols=[RUNNER]) as second,
    ):
        await first.ask("offer", runner="a", checks=[{"id": "a"}])
        await second.ask("offer", runner="b", checks=[{"id": "b"}])
        scan = room.ops.start_scan()
        run_a, run_b = await first.until("run"), await second.until("run")
        forged = {"check_id": "a", "check_type": "tcp", "target": "t", "status": "crit", "fingerprint": "0" * 16}
        await second.send("result", run_id=run_a["run_id"], check_id="a", result=forged)
        await second.send("result", run_id=run_b["run_id"], check_id="a", result=forged)
        await first.send("result", run_id=run_a["run_id"], check_id="a", result={**forged, "status": "ok"})
        report = await scan.wait()
    seen = {result.check_id: (result.status, result.check_type, result.target) for result in report.results}
    assert seen == {"a": ("ok", "function", "a"), "b": ("crit", "function", "b")}


async def test_a_viewer_cannot_be_a_runner(tmp_path: Path) -> None:
    """The runner's subprotocol needs the role; a runner hears no broadcasts, only what is for it."""
    async with ops_room(tmp_path) as room:
        async with room.join("val-viewer", subprotocols=[RUNNER]) as person:
            with pytest.raises(ConnectionClosed) as closed:
                await person.receive()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 4403
        await room.service.load_config("a.yaml", [ScriptedCheck(id="one")])
        async with room.join("kim-runner", subprotocols=[RUNNER]) as runner:
            await room.ops.run_scan()
            await runner.ask("offer", runner="r", checks=[])
            assert [message["type"] for message in runner.messages] == ["reply"]


@pytest.mark.parametrize(
    "frame", ["{", "[]", '{"type": "run"}', '{"type": "run", "data": {}}', '{"type": "scan-result", "data": {}}', b"\xff"]
)
async def test_the_kernels_end_reads_strictly(frame: str | bytes) -> None:
    """What is not a run is not answered, and nothing raises."""
    assert await RunnerClient("k", modules=[]).handle(frame) is None


async def test_the_kernels_end_knows_what_it_has(caplog: pytest.LogCaptureFixture) -> None:
    """A run of a function that is gone is an unknown result with the remedy; a refused offer is remembered."""
    client = RunnerClient("k", modules=[])
    answer = await client.handle(json.dumps({"type": "run", "data": {"run_id": "r", "check_id": "gone", "deadline_s": 1}}))
    assert answer is not None
    assert json.loads(answer)["data"]["result"]["summary"].endswith("run its cell again")
    await client.handle(json.dumps({"type": "reply", "data": {"id": "offer", "ok": False, "error": "taken"}}))
    assert client.complaint == "taken"
    await client.handle(json.dumps({"type": "reply", "data": {"id": "offer", "ok": True, "result": {}}}))
    assert client.complaint is None
