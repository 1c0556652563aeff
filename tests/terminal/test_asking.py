"""Asking for control, over real sockets: who may ask whom, what becomes of a request, and how it ends by itself."""

from __future__ import annotations

import asyncio
from typing import Any

from .conftest import Serve
from .viewers import Viewer


async def connection_of(viewer: Viewer) -> str:
    """Its own connection id."""
    return str((await viewer.message("welcome"))["connection"])


async def hold(viewer: Viewer) -> None:
    """Takes control by typing."""
    await viewer.type(" ")
    await viewer.message("lease", holder={"connection": await connection_of(viewer), "name": (await me(viewer))["name"]})


async def me(viewer: Viewer) -> dict[str, Any]:
    """Its own entry in the presence."""
    mine = await connection_of(viewer)
    found: dict[str, Any] = await viewer.until(
        lambda: next((p for m in viewer.of("presence") for p in m["people"] if p["connection"] == mine), None)
    )
    return found


async def asked(viewer: Viewer, *names: str) -> None:
    """Waits until exactly these people wait for an answer, in this order."""
    await viewer.until(lambda: viewer.of("lease") and [person["name"] for person in viewer.of("lease")[-1]["asking"]] == list(names))


async def test_the_holder_gives_what_is_asked_for(serve: Serve) -> None:
    """Everyone hears who asks, a late one by the welcome; when the holder gives, the asker's request is answered and keys go through."""
    async with serve() as place, place.watch(who="ben") as ben, place.watch(who="cyd") as cyd:
        await ben.running()
        await hold(ben)
        asking = asyncio.create_task(cyd.ask("ask"))
        await asked(ben, "Cyd")
        async with place.watch(who="obi") as obi:
            welcome = await obi.message("welcome")
            assert welcome["lease"]["asking"] == [{"connection": await connection_of(cyd), "name": "Cyd"}]
            await ben.tell("lease", action="give", to=await connection_of(cyd))
            assert (await asking)["ok"]
            await asked(obi)
        await cyd.type("echo by-$((1+1))-cyd\r")
        await ben.shows(b"by-2-cyd")


async def test_a_refusal_is_told_and_not_asked_again_at_once(serve: Serve) -> None:
    """The asker hears who refused; the same person may not ask again in that moment; nobody but the holder or a moderator refuses."""
    async with serve() as place, place.watch(who="ben") as ben, place.watch(who="cyd") as cyd, place.watch(who="pia") as pia:
        await ben.running()
        await hold(ben)
        asking = asyncio.create_task(cyd.ask("ask"))
        await asked(ben, "Cyd")
        await pia.tell("lease", action="refuse", to=await connection_of(cyd))
        assert "can refuse" in (await pia.message("error"))["message"]
        assert not asking.done()
        await ben.tell("lease", action="refuse", to=await connection_of(cyd))
        assert (await asking)["error"] == "Ben refused: ask again later"
        assert (await cyd.ask("ask"))["error"].startswith("control was refused a moment ago: ask again in ")
        await asked(pia)
        await ben.tell("lease", action="refuse", to=await connection_of(cyd))
        assert "nobody in this room has that request" in (await ben.message("error"))["message"]
        counts = (await place.room("w1")).audit.counts
        assert (counts["lease-refuse"], counts["lease-refuse-refused"], counts["control-asked"]) == (1, 2, 2)


async def test_who_may_not_type_may_not_ask(serve: Serve) -> None:
    """An observer is told which roles ask; the holder that they have it; the dialects without control messages type what they send."""
    async with serve() as place, place.watch(who="ben") as ben, place.watch(who="obi") as obi:
        await ben.running()
        await hold(ben)
        assert (await obi.ask("ask"))["error"] == (
            "asking for control needs the role operator, peer or moderator; this connection is observer"
        )
        assert (await ben.ask("ask"))["error"] == "you have control already"
        assert all(message["asking"] == [] for message in ben.of("lease"))


async def test_a_request_ends_by_itself(serve: Serve) -> None:
    """Without an answer after `ask_for` seconds the asker is told and nobody waits any more; the holder was not disturbed."""
    async with serve(ask_for=0.2) as place, place.watch(who="ben") as ben, place.watch(who="cyd") as cyd:
        await ben.running()
        await hold(ben)
        assert (await cyd.ask("ask"))["error"] == "Ben did not answer within 0.2 s: ask again"
        await asked(ben)
        assert [len(message["asking"]) for message in ben.of("lease")][-2:] == [1, 0]
        assert ben.of("lease")[-1]["holder"]["name"] == "Ben"


async def test_who_is_away_answers_by_being_idle(serve: Serve) -> None:
    """A holder who neither answers nor types is followed by the one who asked; one who is idle already is followed at once."""
    async with serve(ask_for=0.2, idle_after=0.2) as place, place.watch(who="ben") as ben, place.watch(who="cyd") as cyd:
        await ben.running()
        await hold(ben)
        assert (await cyd.ask("ask"))["ok"]
        await ben.message("lease", holder={"connection": await connection_of(cyd), "name": "Cyd"})
        room = await place.room("w1")
        async with asyncio.timeout(20):
            while not room.control.lease.idle:
                await asyncio.sleep(0.02)
        assert (await ben.ask("ask"))["ok"]
        assert room.audit.counts["lease-passed"] == 2


async def test_release_passes_control_to_the_first_who_asked(serve: Serve) -> None:
    """When the holder releases, or goes, the first who asked has control; the others wait on, for the new holder's answer."""
    async with serve() as place, place.watch(who="cyd") as cyd, place.watch(who="pia") as pia, place.watch(who="ana") as ana:
        await cyd.running()
        async with place.watch(who="ben") as ben:
            await hold(ben)
            first = asyncio.create_task(cyd.ask("ask"))
            await asked(ben, "Cyd")
            second = asyncio.create_task(pia.ask("ask"))
            await asked(ben, "Cyd", "Pia")
            await ben.tell("lease", action="release")
            assert (await first)["ok"]
            await asked(ben, "Pia")
            third = asyncio.create_task(ben.ask("ask"))
            await asked(cyd, "Pia", "Ben")
        # Ben left: nobody answers a request of his.
        third.cancel()
        await asked(cyd, "Pia")
        await ana.tell("lease", action="take")
        await ana.message("lease", holder={"connection": await connection_of(ana), "name": "Ana"})
        await asked(cyd, "Pia")
        await pia.tell("lease", action="withdraw")
        assert (await second)["error"] == "the request was withdrawn"
        await asked(cyd)


async def test_two_pages_of_one_person_ask_once(serve: Serve) -> None:
    """A person's second page joins their request; it lives on when the first page goes, and both hear the answer."""
    async with serve() as place, place.watch(who="ben") as ben, place.watch(who="cyd") as second:
        await ben.running()
        await hold(ben)
        async with place.watch(who="cyd") as first:
            gone = asyncio.create_task(first.ask("ask"))
            await asked(ben, "Cyd")
            asking = asyncio.create_task(second.ask("ask"))
            await first.until(lambda: len(first.of("lease")) and len(first.of("lease")[-1]["asking"]) == 1)
            mine = await connection_of(second)
            await second.message("lease", asking=[{"connection": await connection_of(first), "name": "Cyd"}])
            # The second request is there when the room answers something asked behind it.
            await second.ask("screen")
        gone.cancel()
        await ben.until(lambda: ben.of("lease")[-1]["asking"] == [{"connection": mine, "name": "Cyd"}])
        await ben.tell("lease", action="give", to=mine)
        assert (await asking)["ok"]
