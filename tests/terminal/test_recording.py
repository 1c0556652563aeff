"""Recordings of a room's shells, read as a moderator does."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import re
import resource
import stat
import threading
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from partywidgets.client.recording import Recordings
from partywidgets.terminal import recording
from partywidgets.terminal.cast import Written
from partywidgets.terminal.recording import Recorder
from partywidgets.terminal.recording_access import described, listed
from partywidgets.terminal.recording_budget import Budget
from partywidgets.terminal.recording_list import newest
from partywidgets.terminal.recording_thread import recording_thread
from partywidgets.terminal.settings import RecordingSettings
from tests.slow_line import SlowLine
from tests.terminal.conftest import Serve
from tests.terminal.viewers import Place

KEY = "AKIA" + "IOSFODNN7EXAMPLE"


async def get(place: Place, path: str, who: str = "ana") -> tuple[int, str]:
    """An HTTP answer of the room w1: status and text."""
    url = f"{place.url}/parties/terminal-server/w1{path}"
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {who}-token-for-the-tests"}) as session,
        session.get(url) as answer,
    ):
        return answer.status, await answer.text()


def events(cast: str) -> list[Any]:
    """The events of an asciicast."""
    return [json.loads(line) for line in cast.splitlines()[1:] if line.startswith("[")]


async def test_a_session(serve: Serve, tmp_path: Path) -> None:
    """What a shell showed is a valid asciicast with its commands, without secrets and marks, in a file of the owner's alone."""
    async with serve() as place:
        async with place.watch() as ana:
            await ana.running()
            command = f"printf '{KEY[:9]}\\033[31m{KEY[9:]}\\n'; echo {KEY}; false"
            assert (await ana.ask("run", command=command))["result"]["output"] == f"{KEY}\n{KEY}"
            await ana.tell("resize", cols=90, rows=20)
            await ana.message("resize", cols=90)
            await ana.type("exit 3\r")
            await ana.message("exit")
        status, answer = await get(place, "/recordings")
        assert status == 200
        (facts,) = json.loads(answer)["recordings"]
        assert (facts["room"], facts["sandbox"], facts["exit_code"], facts["complete"], facts["gaps"]) == ("w1", "default", 3, True, 0)
        _, cast = await get(place, f"/recordings/{facts['id']}.cast")
        head, happened = json.loads(cast.splitlines()[0]), events(cast)
        assert (head["version"], head["term"]["cols"]) == (3, 120)
        shown = "".join(text for _, code, text in happened if code == "o")
        assert KEY not in cast
        assert KEY not in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown)
        assert "633;" not in shown
        assert "*" * 20 in shown
        assert [text for _, code, text in happened if code == "r"] == ["90x20"]
        assert {code for _, code, _ in happened} == {"o", "m", "r", "x"}
        assert happened[-1][1:] == ["x", "3"]
        commands = json.loads((await get(place, f"/recordings/{facts['id']}.json"))[1])["commands"]
        assert commands[0]["command"].endswith("echo ***; false")
        assert (commands[0]["exit_code"], commands[0]["actor"]) == (1, "Ana")
        assert 0 < commands[0]["time"] <= facts["duration_s"]
    (file,) = (tmp_path / "rooms" / "recordings").glob("*/*.cast")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in (file.parent, file.parent.parent)] == [0o700, 0o700]


async def test_who_may_read(serve: Serve, tmp_path: Path) -> None:
    """An observer and somebody without a role in terminals get 403; a name that is not a recording's gets 404, and so does the path of
    another room's recording, whose room may be closed to whoever asks."""
    async with serve() as place, place.watch() as ana, place.watch("w2") as elsewhere:
        await ana.running()
        await elsewhere.running()
        await (await place.room("w2")).recorder.flushed()
        theirs = next(file for file in (tmp_path / "rooms" / "recordings").glob("*/*.cast") if '"room":"w2"' in file.read_text())
        for kind in ("cast", "json"):
            assert (await get(place, f"/recordings/..%2F{theirs.parent.name}%2F{theirs.stem}.{kind}"))[0] == 404
        for who, expected in {"ana": 200, "ben": 200, "pia": 200, "obi": 403, "ops": 403}.items():
            assert (await get(place, "/recordings", who))[0] == expected
        for name in ("none.cast", "none", ".cast", "x%2e%2e.json"):
            assert (await get(place, f"/recordings/{name}"))[0] in (400, 404)


async def test_who_looks_on_may_read_the_ledger(serve: Serve) -> None:
    """An observer is told which commands ran before he came, without their secrets."""
    async with serve() as place, place.watch() as ana:
        await ana.running()
        await ana.ask("run", command=f"echo {KEY}; false")
        async with place.watch(who="obi") as obi:
            (command,) = (await obi.ask("history"))["result"]["commands"]
        assert (command["command"], command["actor"], command["exit_code"]) == ("echo ***; false", "Ana", 1)


@pytest.mark.parametrize("policy", [RecordingSettings(enabled=False), RecordingSettings(unsaved=("default",))])
async def test_off(serve: Serve, tmp_path: Path, policy: RecordingSettings) -> None:
    """Nothing is recorded where the policy says so; of an unsaved sandbox there is no ledger and no screen for a notebook either."""
    async with serve(recording=policy) as place, place.watch() as ana:
        await ana.running()
        await ana.ask("run", command="echo hello")
        room = await place.room("w1")
        assert bool(await room.showing.html(saved=True)) == (not policy.unsaved)
        for form in ("text", "html"):
            assert bool((await ana.ask("screen", format=form, saved=True))["result"][form]) == (not policy.unsaved)
            assert (await ana.ask("screen", format=form))["result"][form]
        assert bool(json.loads((await get(place, "?saved=1"))[1])["screen"].strip()) == (not policy.unsaved)
        assert bool(await room.history()) == (not policy.unsaved)
        assert json.loads((await get(place, "/recordings"))[1]) == {"recordings": []}
    assert not (tmp_path / "rooms" / "recordings").exists()


async def test_a_saved_screen(serve: Serve) -> None:
    """What is asked for to be saved holds no secret; what is asked for to be looked at is the screen as it is."""
    async with serve() as place, place.watch() as ana:
        await ana.running()
        await ana.ask("run", command=f"echo {KEY} told")
        for form in ("text", "html"):
            saved = (await ana.ask("screen", format=form, saved=True))["result"][form]
            assert KEY not in saved
            assert "told" in saved
        assert KEY in (await ana.ask("screen"))["result"]["text"]
        assert KEY not in (await get(place, "?saved=1"))[1]
        assert KEY in (await get(place, ""))[1]


async def test_input(serve: Serve) -> None:
    """Keystrokes are kept only when the policy says so, and pass the redactor too."""
    async with serve(recording=RecordingSettings(input=True)) as place, place.watch() as ana:
        await ana.running()
        for key in f"echo {KEY}\r":
            await ana.type(key)
        await ana.shows(KEY.encode())
        await ana.type("exit\r")
        await ana.message("exit")
        (facts,) = json.loads((await get(place, "/recordings"))[1])["recordings"]
        typed = "".join(text for _, code, text in events((await get(place, f"/recordings/{facts['id']}.cast"))[1]) if code == "i")
        assert typed.startswith(f"echo {'*' * 20}\r")


def recorder(folder: Path, asked: list[str] | None = None) -> Recorder:
    """One that writes into a folder; what it asks for is appended to `asked`."""
    return Recorder(folder, room="w1", want_screen=(asked if asked is not None else []).append)


def begin(writer: Recorder, **policy: Any) -> None:
    writer.begin(RecordingSettings(**policy), epoch="abc", sandbox="s", cols=80, rows=24)


async def test_faster_than_the_disk(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be kept up with is a gap: said in the file and the log, followed by a whole screen as soon as the output pauses."""
    asked: asyncio.Queue[str] = asyncio.Queue()
    writer = Recorder(tmp_path / "r", room="w1", want_screen=asked.put_nowait)
    begin(writer)
    writer.output(b"first\r\n")
    for _ in range(20):
        writer.output(b"x" * 65_536)
    assert await asyncio.wait_for(asked.get(), 30) == "lagged"
    assert asked.empty()
    writer.screen("lagged", b"the screen\r\n")
    writer.output(b"last\r\n")
    await writer.close()
    (facts,) = listed(tmp_path / "r")
    assert facts["gaps"] == 1
    (file,) = (tmp_path / "r").glob("*.cast")
    happened = events(file.read_text())
    gap = next(index for index, event in enumerate(happened) if event[1] == "m")
    assert re.fullmatch(r"gap: [0-9]+ bytes were not recorded", happened[gap][2])
    assert "".join(event[2] for event in happened[gap + 1 :]) == "\x1bcthe screen\r\nlast\r\n"
    assert "the recording has a gap" in caplog.text


def test_the_work_of_a_recording_is_bounded() -> None:
    """A flood is recorded up to a burst and then at a twentieth of a core, less the harder it is to redact; a silence refills the burst."""
    now = [0.0]
    budget = Budget(lambda: now[0])

    def taken(seconds: float) -> int:
        pieces = 0
        for _ in range(int(seconds * 1000)):
            now[0] += 0.001
            pieces += sum(budget.take(1000) for _ in range(50))
        return pieces * 1000

    budget.measured(Written(0, 1_000_000, 0.1))
    now[0] += 60
    assert taken(10) == pytest.approx(0.03 * 10e6 + 10 * 0.05 * 10e6, rel=0.02)
    budget.measured(Written(0, 1_000_000, 2.0))
    now[0] += 60
    assert taken(10) == pytest.approx(65_536 + 10 * 0.05 * 0.5e6, rel=0.02)
    assert budget.screen_seconds == pytest.approx(393_216 / 0.5e6 / 0.05)


async def test_a_restart_while_the_disk_is_slow(tmp_path: Path) -> None:
    """A shell that ends while its recording is being written, and the next that begins meanwhile, have a file each, both whole."""
    writer, slow = recorder(tmp_path / "r"), threading.Event()
    begin(writer)
    recording_thread().submit(slow.wait, 20)
    writer.output(b"old\r\n")
    flushing = asyncio.ensure_future(writer.flushed())
    await asyncio.sleep(0)
    writer.output(b"its last\r\n")
    writer.end(3)
    writer.begin(RecordingSettings(), epoch="def", sandbox="s", cols=80, rows=24)
    writer.output(b"new\r\n")
    slow.set()
    await flushing
    await writer.close()
    old, new = (next((tmp_path / "r").glob(f"*-{epoch}.cast")) for epoch in ("abc", "def"))
    assert [event[1:] for event in events(old.read_text())] == [["o", "old\r\n"], ["o", "its last\r\n"], ["x", "3"]]
    assert [event[1:] for event in events(new.read_text())] == [["o", "new\r\n"]]
    assert [described(file)["complete"] for file in (old, new)] == [True, True]


async def test_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large recording goes on in another file, which begins with a screen; the oldest go when the room's are too many."""
    monkeypatch.setattr(recording, "PART_BYTES", 10_000)
    asked: list[str] = []
    writer = recorder(tmp_path / "r", asked)
    begin(writer)
    writer.output(b"word \r\n" * 3000)
    await writer.flushed()
    assert asked == ["continued"]
    writer.screen("continued", b"the screen\r\n")
    writer.output(b"more\r\n")
    await writer.close()
    newest, oldest = listed(tmp_path / "r")
    assert newest["id"].endswith("-002")
    assert oldest["complete"]
    happened = events((tmp_path / "r" / f"{newest['id']}.cast").read_text())
    assert happened[0][1:] == ["m", f"continued from {oldest['id']}"]
    assert "".join(event[2] for event in happened[1:]) == "\x1bcthe screen\r\nmore\r\n"


async def test_kept_as_long_as_configured(tmp_path: Path) -> None:
    """What is older than `keep` goes when the next recording begins, in other rooms too."""
    old = tmp_path / "recordings" / "other" / "20200101T000000Z-a.cast"
    old.parent.mkdir(parents=True)
    old.write_text("{}\n")
    os.utime(old, (time.time() - 100, time.time() - 100))
    writer = recorder(tmp_path / "recordings" / "mine")
    begin(writer, keep=50)
    await writer.close()
    assert not old.exists()
    assert len(listed(tmp_path / "recordings" / "mine")) == 1


async def test_a_host_that_was_killed(tmp_path: Path) -> None:
    """A file that ends anywhere is read up to its last whole line, and is not complete."""
    writer = recorder(tmp_path / "r")
    begin(writer)
    writer.output(b"one\r\n")
    writer.mark({"kind": "start", "id": "c1", "command": "sleep 9", "actor": "Ana", "offset": 5})
    writer.output(b"two\r\n")
    await writer.flushed()
    (file,) = (tmp_path / "r").glob("*.cast")
    file.write_bytes(file.read_bytes() + b'[0.1,"o","cut')
    facts = described(file)
    assert (facts["complete"], facts["exit_code"], facts["commands"][0]["exit_code"]) == (False, None, None)
    await writer.close()


async def test_a_disk_that_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """What cannot be written is one line in the log; the recording goes on with a screen when the disk takes it, and says what it lacks."""
    monkeypatch.setattr(recording, "RETRY_SECONDS", 0.05)
    (tmp_path / "r").write_text("no directory")
    asked: asyncio.Queue[str] = asyncio.Queue()
    writer = Recorder(tmp_path / "r", room="w1", want_screen=asked.put_nowait)
    begin(writer)
    for words in (b"one\r\n", b"two\r\n"):
        writer.output(words)
        await writer.flushed()
        assert await asyncio.wait_for(asked.get(), 30) == "lagged"
        writer.screen("lagged", b"a screen\r\n")
        await writer.flushed()
    assert caplog.text.count("room w1: its recording has a gap from here on") == 1
    assert await asyncio.wait_for(asked.get(), 30) == "lagged"
    (tmp_path / "r").unlink()
    writer.screen("lagged", b"the screen\r\n")
    writer.output(b"three\r\n")
    await writer.close()
    assert "room w1: it is recorded again" in caplog.text
    (facts,) = listed(tmp_path / "r")
    assert (facts["gaps"], facts["complete"]) == (1, True)
    (file,) = (tmp_path / "r").glob("*.cast")
    gap, *rest = events(file.read_text())
    assert re.fullmatch(r"gap: [0-9]+ bytes were not recorded", gap[2])
    assert "".join(event[2] for event in rest) == "\x1bcthe screen\r\nthree\r\n"


async def test_a_disk_that_is_full_in_a_line(tmp_path: Path) -> None:
    """Of a writing that the disk takes in part nothing stays, so that every line of the file is whole."""
    writer = recorder(tmp_path / "r")
    begin(writer)
    writer.output(b"one\r\n")
    await writer.flushed()
    (file,) = (tmp_path / "r").glob("*.cast")
    whole = file.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 100, limits[1]))
    try:
        writer.output(b"x" * 1000 + b"\r\n")
        await writer.flushed()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert file.read_bytes() == whole
    await writer.close()


async def test_a_host_s_list_says_what_each_recording_says(serve: Serve, tmp_path: Path) -> None:
    """Without reading them whole: one that ended, one that runs, one of a host that was killed, one from before commands were counted;
    the newest first, and what is no recording is left out."""
    async with serve() as place:
        for room in ("w1", "w2"):
            async with place.watch(room) as ana:
                await ana.running()
                for _ in range(3):
                    await ana.ask("run", command="true")
                if room == "w1":
                    await ana.type("exit 3\r")
                    await ana.message("exit")
                else:
                    await (await place.room(room)).recorder.flushed()
                    found, older = newest(tmp_path / "rooms" / "recordings")
                    assert [(one["room"], one["complete"], one["exit_code"], one["commands"]) for one in found] == [
                        ("w2", False, None, 3),
                        ("w1", True, 3, 4),
                    ]
                    assert older == 0
    folder = tmp_path / "rooms" / "recordings"
    [ended, killed] = [next(file for file in folder.glob("*/*.cast") if f'"room":"{room}"' in file.read_text()) for room in ("w1", "w2")]
    facts = described(ended)
    [summary] = [one for one in newest(folder)[0] if one["room"] == "w1"]
    assert summary == {**facts, "commands": 4}
    assert newest(ended.parent, "w1") == ([summary], 0)
    ended.write_text(ended.read_text().replace(',"commands":4', ""))
    killed.write_text(killed.read_text()[:-20])
    (folder / "none").mkdir()
    (folder / "none" / "99.cast").write_text("what is this")
    found, older = newest(folder, most=2)
    assert (len(found), older) == (1, 1)
    assert {one["room"]: (one["complete"], one["commands"]) for one in newest(folder)[0]} == {"w1": (True, 4), "w2": (False, 3)}


async def test_a_recording_over_a_slow_line(serve: Serve) -> None:
    """It comes packed to whoever takes that, and for as long as something comes no clock of half a minute ends it."""
    async with serve() as place, place.watch() as ana:
        await ana.running()
        await ana.ask("run", command="seq -f %060g 1 1500")
        _, cast = await get(place, "/recordings")
        identity = json.loads(cast)["recordings"][0]["id"]
        url = f"{place.url}/parties/terminal-server/w1/recordings/{identity}.cast"
        async with aiohttp.ClientSession(headers={"Authorization": "Bearer ana-token-for-the-tests"}, auto_decompress=False) as session:
            async with session.get(url, headers={"Accept-Encoding": "identity"}) as answer:
                plain = await answer.read()
                assert "Content-Encoding" not in answer.headers
            async with session.get(url, headers={"Accept-Encoding": "gzip"}) as answer:
                packed = await answer.read()
                assert answer.headers["Content-Encoding"] == "gzip"
        assert len(packed) < len(plain) / 4
        assert gzip.decompress(packed) == plain
        async with SlowLine.before(int(place.url.rsplit(":", 1)[1]), rate=8_000) as line:
            far = Recordings(f"http://127.0.0.1:{line.port}", "terminal-server", "w1", "ana-token-for-the-tests")
            assert (await far.read(identity)).cast.encode()[: len(plain)] == plain
