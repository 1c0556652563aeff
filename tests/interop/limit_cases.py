"""The cases of limits: how long, how large, how deep, and what does not get through at all."""

from __future__ import annotations

from websockets.frames import Opcode

from .wire import Wire, case, plain


@case()
async def long_ids(to: Wire) -> list[str]:
    seen = []
    for length in (128, 129, 256, 257):
        to.room += "-"
        async with to.client(f"_pk={'x' * length}") as client:
            seen.append(f"{length} {client.status} {plain(await client.ask('echo in')) if client.status == 101 else ''}".rstrip())
    return seen


@case(once=True)
async def long_names(to: Wire) -> list[str]:
    seen = []
    for length in (512, 513, 1024, 1025):
        status, *_ = await to.http(path=f"/parties/memory-room/{'x' * length}")
        seen.append(f"{length} {status}")
    return seen


@case(once=True)
async def names_that_climb(to: Wire) -> list[str]:
    seen = []
    for path in ("../memory-room/climbed", "x/../climbed", "%2e%2e/memory-room/climbed", "climbed\\x", "x%2Fclimbed", "x%00climbed"):
        status, *_, body = await to.http(path=f"/parties/memory-room/{path}")
        seen.append(f"{path} {status} {body.split('|')[1] if '|' in body else '-'}")
    return seen


@case()
async def large_messages(to: Wire) -> list[str]:
    seen = []
    for size in (1024 * 1024, 1024 * 1024 + 1):
        to.room += "-"
        async with to.client() as client:
            client.raw(Opcode.BINARY, b"\x01" * size)
            line = await client.next()
            seen.append(f"{size} {line.partition(' frame')[0]}")
    return seen


@case(once=True)
async def compression_on_offer(to: Wire) -> list[str]:
    async with to.client(headers=("Sec-WebSocket-Extensions: permessage-deflate",)) as client:
        return [str(client.status), client.head.get("sec-websocket-extensions", "none").partition(";")[0]]


@case(once=True)
async def credentials(to: Wire) -> list[str]:
    headers = ("Cookie: session=secret", "Authorization: Bearer secret", "X-Partykit-Room: other", "Origin: https://other.example")
    return (await to.http("what=headers", headers=headers))[-1].split("|")


@case()
async def oversized_state(to: Wire) -> list[str]:
    async with to.client("_pk=me") as client:
        return [await client.ask(question) for question in ("fill 10", "fill 20000", "size")]


@case()
async def state_changed_in_place(to: Wire) -> list[str]:
    async with to.client("_pk=me") as client:
        return [await client.ask(question) for question in ("set [1]", "grow", "state")]
