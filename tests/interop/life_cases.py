"""The cases of lives: a connection's from its handshake to its end, and an instance's that comes and goes while its sockets stay."""

from __future__ import annotations

import asyncio

from websockets.frames import Opcode

from tests.party.serving import frame

from .wire import LIMIT, Client, Wire, case, plain

NAP = 13.0
"""Seconds in which nothing happens: workerd drops an idle instance after ten, and so does a host of ours."""
NAPS = 4
"""Naps in which an instance that may be dropped is dropped, on a machine that has other things to do."""


async def listed(watch: Client, id: str) -> None:
    """Waits until a connection is among the room's."""
    async with asyncio.timeout(LIMIT):
        while id not in (await watch.ask("list")).removeprefix("text ").split(","):
            await asyncio.sleep(0.01)


async def slept(to: Wire, client: Client, wake: str = "") -> list[str]:
    """Lets the instance sleep, wakes it by a message, an alarm or a request, and tells what is another instance's and what is as it was."""
    before = await client.ask("instance")
    seen: list[str] = []
    for _ in range(NAPS if to.party == "sleeping-room" else 1):
        if wake == "alarm":
            await client.ask(f"alarm {NAP * 1000:.0f}")
            seen = [await client.next(NAP + LIMIT)]
        else:
            await asyncio.sleep(NAP)
            seen = [*await to.http("what=tell"), await client.next()] if wake == "request" else []
        if (woken := await client.ask("instance")) != before:
            break
    return [*seen, "the same instance" if woken == before else "another instance"]


@case()
async def a_pending_on_connect(to: Wire) -> list[str]:
    async with to.client("_pk=watch") as watch, to.client("_pk=me&connect=wait", answered=False) as client:
        await listed(watch, "me")
        seen = [await watch.ask("all meanwhile"), f"answered {await client.answered(0.2)}", await watch.ask("release")]
        seen.append(f"answered {await client.answered()} {client.status}")
        return [*seen, await client.next(), await client.ask("echo here")]


@case()
async def who_leaves_a_pending_on_connect(to: Wire) -> list[str]:
    seen = []
    for way in ("reset", "end"):
        to.room += f"-{way}"
        async with to.client("_pk=watch") as watch:
            async with to.client("_pk=me&connect=wait", answered=False) as client:
                await listed(watch, "me")
                if way == "end":
                    client.writer.close()
                    await client.writer.wait_closed()
            seen += [way, await watch.ask("release"), (await watch.next()).partition(" 1006")[0]]
            seen.append(await watch.ask("list"))
    return seen


@case()
async def a_close_with_the_upgrade(to: Wire) -> list[str]:
    early = frame(Opcode.CLOSE, (1000).to_bytes(2, "big") + b"bye")
    async with to.client("_pk=watch") as watch, to.client("_pk=me&connect=hello", early=early) as client:
        return [str(client.status), *await client.several(3), await watch.next()]


@case(once=True)
async def a_refused_handshake_runs_no_hook(to: Wire) -> list[str]:
    async with to.client("_pk=watch") as watch:
        without_key = ("Upgrade: websocket", "Sec-WebSocket-Version: 13")
        status, *_ = await to.http("_pk=me&connect=joined", headers=without_key, connection="Upgrade")
        return [status, await watch.ask("echo nothing before")]


@case()
async def handlers_of_one_connection(to: Wire) -> list[str]:
    async with to.client("_pk=a") as a, to.client("_pk=b") as b:
        a.writer.write(frame(Opcode.TEXT, b"hold") + frame(Opcode.TEXT, b"echo behind"))
        async with asyncio.timeout(LIMIT):
            while await b.ask("held") != "text 1":
                await asyncio.sleep(0.01)
        seen = [await b.ask("echo of another"), await a.next(NAP)]
        seen.append(await b.ask("release"))
        a.send("echo last")
        return [*seen, *await a.several(2)]


@case(once=True)
async def a_plain_handler_throws(to: Wire) -> list[str]:
    to.party = "plain-room"
    async with to.client() as client:
        client.send("throw")
        return [await client.ask("echo after")]


@case()
async def a_closed_connection(to: Wire) -> list[str]:
    seen = []
    async with to.client("_pk=watch") as watch:
        for way in ("close-twice", "send-late"):
            async with to.client("_pk=me") as client:
                client.send(way)
                seen += [await client.gone(), await watch.next(), await watch.ask("log")]
    return seen


@case()
async def messages_after_the_rooms_close(to: Wire) -> list[str]:
    async with to.client("_pk=watch") as watch, to.client("_pk=me") as client:
        seen = [await client.ask("close 4000 out")]
        client.send("others late")
        client.close(4000)
        seen.append(await watch.next())
        watch.send("echo last")
        return [*seen, await watch.next()]


@case()
async def frames_behind_a_close(to: Wire) -> list[str]:
    async with to.client("_pk=watch") as watch, to.client("_pk=me") as client:
        client.writer.write(frame(Opcode.CLOSE, (1000).to_bytes(2, "big")) + frame(Opcode.TEXT, b"others late"))
        return [await client.next(), await watch.next(), await watch.ask("echo last")]


@case(once=True)
async def a_start_that_fails_once(to: Wire) -> list[str]:
    to.party = "shaky-room"
    async with to.client() as client:
        seen = [str(client.status), plain(await client.next()), await client.next()]
    async with to.client() as client:
        return [*seen, await client.ask("starts")]


@case()
async def asleep_and_woken_by_a_message(to: Wire) -> list[str]:
    async with to.client(path=to.path("_pk=me&tags=red,blue&q=%C3%A9", rest="/more")) as client, to.client("_pk=other") as other:
        await client.ask('set {"a":[1]}')
        seen = await slept(to, client)
        for question in ("starts", "tags", "state", "uri", "list", "list red", "get me", "log"):
            seen.append((await client.ask(question)).replace(str(to.port), "PORT").replace(to.room, "ROOM"))
        client.send("others awake")
        return [*seen, await other.next(), await other.ask("state")]


@case()
async def asleep_and_woken_by_an_alarm(to: Wire) -> list[str]:
    async with to.client("_pk=me") as client:
        return [*await slept(to, client, "alarm"), await client.ask("starts")]


@case()
async def asleep_and_woken_by_a_request(to: Wire) -> list[str]:
    async with to.client("_pk=me") as client:
        return [*await slept(to, client, "request"), await client.ask("starts")]


@case()
async def asleep_and_woken_by_a_close(to: Wire) -> list[str]:
    async with to.client("_pk=watch") as watch, to.client("_pk=me") as client:
        await asyncio.sleep(NAP)
        client.close(1000, "bye")
        return [await client.next(), await watch.next()]


@case()
async def props_after_a_sleep(to: Wire) -> list[str]:
    async with to.client(prefix="given") as client:
        await slept(to, client)
        return [await client.ask("props")]
