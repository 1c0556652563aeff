"""The cases of what a room keeps, of its alarm, and of rooms that call each other."""

from __future__ import annotations

from .wire import Wire, case, plain


@case()
async def storage_lists(to: Wire) -> list[str]:
    async with to.client() as client:
        for key in ("b", "a2", "a1", "a%", "c"):
            await client.ask(f"put {key} 1")
        asked = (
            "{}",
            '{"prefix":"a"}',
            '{"prefix":"a","reverse":true}',
            '{"reverse":true,"limit":2}',
            '{"start":"a2"}',
            '{"end":"b"}',
            '{"start":"a2","end":"c"}',
            '{"prefix":"a","start":"a1","limit":1}',
        )
        return [await client.ask(f"keys {options}") for options in asked]


@case()
async def everything_deleted(to: Wire) -> list[str]:
    async with to.client() as client:
        questions = ("put a 1", "sql one", "alarm 60000", "tables", "wipe", "value a", "tables", "alarm?", "put a 2", "value a", "sql two")
        return [await client.ask(question) for question in questions]


@case()
async def a_transaction(to: Wire) -> list[str]:
    async with to.client() as client:
        return [await client.ask(question) for question in ("move throw", "value moved", "move", "value moved")]


@case()
async def events_while_storage_is_read(to: Wire) -> list[str]:
    async with to.client("_pk=a") as a, to.client("_pk=b") as b:
        await b.ask("tags")
        a.send("busy")
        b.send("release")
        return [await a.next(), await b.next()]


@case()
async def an_alarm_that_fails_once(to: Wire) -> list[str]:
    async with to.client() as client:
        return [await client.ask("alarm-that-fails"), await client.ask("alarm?")]


@case()
async def an_alarm_that_sets_another(to: Wire) -> list[str]:
    async with to.client() as client:
        return [await client.ask("alarm-again"), await client.next(), await client.ask("alarm?")]


@case()
async def rooms_that_call_rooms(to: Wire) -> list[str]:
    room = f"{to.room}-called"
    async with to.client(path=f"/parties/memory-room/{room}") as called, to.client() as caller:
        await called.ask("tags")
        return [(await caller.ask(f"elsewhere {room} by me")).replace(room, "ROOM"), await called.next()]


@case()
async def bytes_to_all(to: Wire) -> list[str]:
    async with to.client("_pk=a") as a, to.client("_pk=b") as b:
        await b.ask("tags")
        a.send("bytes")
        return [await a.next(), await b.next()]


@case()
async def tags_that_throw(to: Wire) -> list[str]:
    async with to.client("tags=throw&_pk=me") as client:
        seen = [str(client.status), plain(await client.next()), await client.next()]
    async with to.client("_pk=other") as other:
        return [*seen, await other.ask("list")]


@case()
async def a_close_in_on_close(to: Wire) -> list[str]:
    async with to.client("_pk=watch") as watch, to.client("_pk=me") as client:
        client.close(1000, "replace")
        return [await client.next(), await watch.next()]
