"""Who is in a terminal room: whose window decides the size, and who is put out, over real sockets with real shells."""

from __future__ import annotations

import aiohttp

from .conftest import Serve


async def test_the_new_holders_window_decides(serve: Serve) -> None:
    """Whoever is handed control, or takes it by typing, brings the size of their window; without one the size stays."""
    async with (
        serve() as place,
        place.watch(query="?cols=90&rows=25") as ana,
        place.watch(who="ben", query="?cols=70&rows=20") as ben,
        place.watch(who="cyd") as cyd,
    ):
        await ana.running()
        people = (await ana.until(lambda: next((m for m in ana.of("presence") if len(m["people"]) == 3), None)))["people"]
        connections = {person["name"]: person["connection"] for person in people}
        await ana.tell("lease", action="give", to=connections["Ben"])
        told = await cyd.message("resize", by="Ben")
        assert (told["cols"], told["rows"]) == (70, 20)
        await ana.tell("lease", action="give", to=connections["Cyd"])
        await cyd.message("lease", can_type=True, holder={"connection": connections["Cyd"], "name": "Cyd"})
        await ben.until(lambda: ben.of("lease")[-1]["holder"]["name"] == "Cyd")
        await ana.tell("lease", action="take")
        told = await cyd.message("resize", by="Ana")
        assert (told["cols"], told["rows"]) == (90, 25)
        assert [message["by"] for message in cyd.of("resize")] == ["Ben", "Ana"]


async def test_the_smallest_window_as_an_option(serve: Serve) -> None:
    """With `size: smallest` each direction is the smallest of all that may type; who looks on does not count, who leaves no longer does."""
    async with (
        serve(size="smallest") as place,
        place.watch(query="?cols=100&rows=30") as ana,
        place.watch(who="obi", query="?cols=40&rows=10") as obi,
    ):
        await ana.running()
        async with place.watch(who="ben", query="?cols=80&rows=40") as ben:
            told = await obi.message("resize", cols=80)
            assert (told["rows"], told["by"]) == (30, "Ana and Ben")
            await obi.tell("resize", cols=30, rows=8)
            await ben.tell("resize", cols=70, rows=20)
            told = await obi.message("resize", cols=70)
            assert (told["rows"], told["by"]) == (20, "Ben")
            await ana.type("stty size\r")
            await ana.shows(b"20 70")
        told = await obi.message("resize", cols=100)
        assert (told["rows"], told["by"]) == (30, "Ana")
        assert [message["cols"] for message in obi.of("resize")] == [80, 70, 100]


async def test_who_is_ejected_is_closed_and_stays_out(serve: Serve) -> None:
    """A moderator ejects a person with all their connections: they stay out of this room, are free elsewhere, and nobody else notices."""
    async with (
        serve() as place,
        place.watch() as ana,
        place.watch(who="cyd") as cyd,
        place.watch(who="ben") as ben,
        place.watch(who="ben", dialect=None) as second,
    ):
        await ana.running()
        mine, theirs = [(await viewer.message("welcome"))["connection"] for viewer in (ana, ben)]
        await ben.type("echo by-ben\r")
        await ben.message("lease", can_type=True, holder={"connection": theirs, "name": "Ben"})
        refused = await cyd.ask("eject", connection=theirs)
        assert refused["error"] == "ejecting somebody needs the role moderator; this connection is operator"
        assert "is a moderator" in (await ana.ask("eject", connection=mine))["error"]
        assert "nobody in this room" in (await ana.ask("eject", connection="none"))["error"]
        assert ben.closed is None
        assert (await ana.ask("eject", connection=theirs))["result"] == {"subject": "ben"}
        for gone in (ben, second):
            assert await gone.gone() == (4403, "a moderator ejected you from this terminal")
        async with place.watch(who="ben") as back, place.watch("another", who="ben") as elsewhere:
            assert await back.gone() == (4403, "a moderator ejected you from this terminal")
            await elsewhere.message("welcome")
        # Nor is the screen, or what was recorded of it, read over HTTP by who was put out.
        async with aiohttp.ClientSession(headers={"Authorization": "Bearer ben-token-for-the-tests"}) as http:
            for path, status in (("w1", 403), ("w1?saved=1", 403), ("w1/recordings", 403), ("another", 200)):
                async with http.get(f"{place.url}/parties/terminal-server/{path}") as answer:
                    assert answer.status == status, path
                    assert status == 200 or await answer.text() == "a moderator ejected you from this terminal"
        await cyd.until(lambda: len(cyd.of("presence")[-1]["people"]) == 2 and cyd.of("lease")[-1]["holder"] is None)
        await cyd.type("echo goes-$((1+1))-on\r")
        await ana.shows(b"goes-2-on")
        room = await place.room("w1")
        assert (room.audit.counts["ejected"], room.audit.counts["eject-refused"]) == (1, 1)


async def test_who_is_ejected_stays_out_of_a_room_that_was_started_anew(serve: Serve) -> None:
    """A restart of the host within the ten minutes lets nobody in who was put out, and nobody else is kept out."""
    async with serve() as place, place.watch() as ana, place.watch(who="ben") as ben:
        await ana.running()
        theirs = (await ben.message("welcome"))["connection"]
        assert (await ana.ask("eject", connection=theirs))["ok"] is True
        assert await ben.gone() == (4403, "a moderator ejected you from this terminal")
    async with serve() as place, place.watch(who="ben") as back, place.watch(who="cyd") as cyd:
        assert await back.gone() == (4403, "a moderator ejected you from this terminal")
        await cyd.message("welcome")


async def test_who_is_idle_is_followed_by_whoever_types(serve: Serve) -> None:
    """Everyone who may have control is told when its holder has become idle, may type then, and has it; one who types on in time keeps it,
    and the others are told that, too."""
    async with serve(idle_after=1.0) as place, place.watch(who="ben") as ben, place.watch(who="cyd") as cyd, place.watch(who="obi") as obi:
        await ben.running()
        await ben.type("echo ben\r")
        await cyd.message("lease", can_type=False)
        await cyd.until(lambda: cyd.of("lease")[-1]["can_type"])
        assert cyd.of("lease")[-1]["holder"]["name"] == "Ben"
        told = len(cyd.of("lease"))
        await ben.type("echo still\r")
        await cyd.until(lambda: len(cyd.of("lease")) > told)
        assert cyd.of("lease")[told]["can_type"] is False
        await cyd.until(lambda: cyd.of("lease")[-1]["can_type"])
        await cyd.type("echo cyd-$((1+1))\r")
        await cyd.shows(b"cyd-2")
        await ben.until(lambda: (ben.of("lease")[-1]["holder"] or {}).get("name") == "Cyd")
        assert ben.of("lease")[-1]["can_type"] is False
        assert not any(message["can_type"] for message in obi.of("lease"))


async def test_whoever_is_refused_stands_in_the_audit_log(serve: Serve) -> None:
    """Who has no role in terminals, over either protocol, who asks for a dialect that is none, and who may not restart: each is a line."""
    async with serve() as place, place.watch(who="ben") as ben:
        await ben.running()
        room = await place.room("w1")
        async with place.watch(who="ops") as stranger:
            assert await stranger.gone() == (4403, "this grant has no role in terminals")
        headers = {"Authorization": "Bearer ops-token-for-the-tests"}
        async with aiohttp.ClientSession(headers=headers) as http, http.get(f"{place.url}/parties/terminal-server/w1") as answer:
            assert answer.status == 403
        async with place.watch(who="ben", query="?dialect=klingon") as strange:
            assert (await strange.gone())[0] == 4400
        assert room.audit.counts["refused"] == 3
        assert (await ben.ask("restart"))["ok"] is False
        assert room.audit.counts["restart-refused"] == 1
