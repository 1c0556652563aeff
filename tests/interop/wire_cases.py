"""The cases: routing, handshakes, frames, closes, requests, hooks, tags, state, storage and alarms."""

from __future__ import annotations

from websockets.frames import Opcode

from tests.party.serving import frame

from .wire import Wire, answer, case, plain


@case(once=True)
async def routing(to: Wire) -> list[str]:
    seen = []
    for path in (
        "/",
        "/parties/memory-room",
        "/parties/memory-room/",
        "/Parties/memory-room/x",
        "/parties/nobody/x",
        "/parties/Memory-Room/x",
        "/parties/MEMORY_ROOM/x",
        "/parties/main/x",
        "//parties///memory-room////routed//",
        "/parties/memory-room/routed/a/b%20c?x=1&x=2",
        "/a/b/memory-room/routed",
        "/a/memory-room/routed",
        "/parties/sleeping-room/routed",
        "/parties/h-t-t-p-server/routed",
        "/parties/httpserver/routed",
    ):
        status, *_, body = await to.http(path=path)
        seen.append(f"{path} {status} {body}")
    return seen


@case(once=True)
async def upgrades_to_nowhere(to: Wire) -> list[str]:
    seen = []
    for path in ("/parties/nobody/x", "/parties/memory-room", "/elsewhere"):
        async with to.client(path=path) as client:
            seen.append(f"{path} {client.status}")
    return seen


@case(once=True)
async def prototype_names(to: Wire) -> list[str]:
    return [(await to.http(path=f"/parties/{name}/x"))[0] for name in ("constructor", "__proto__", "toString")]


@case(once=True)
async def encoded_names(to: Wire) -> list[str]:
    seen = []
    for name in ("a+b", "a%20b", "%E6%97%A5", "...", "a,b;c@d:e~f*g"):
        async with to.client(path=f"/parties/memory-room/{name}") as client:
            seen.append(f"{name} {await client.ask('name')}")
    return seen


@case()
async def handshake(to: Wire) -> list[str]:
    async with to.client("_pk=me") as client:
        return [str(client.status), *sorted(f"{name}: {client.head[name]}" for name in client.head)]


@case(once=True)
async def bad_handshakes(to: Wire) -> list[str]:
    lines = ("Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
    seen = []
    for left_out in lines[1:]:
        status, *_ = await to.http(headers=tuple(line for line in lines if line != left_out), connection="Upgrade")
        seen.append(f"without {left_out.partition(':')[0]} {status}")
    return seen


@case(once=True)
async def subprotocol(to: Wire) -> list[str]:
    async with to.client(headers=("Sec-WebSocket-Protocol: chat, superchat",)) as client:
        return [str(client.status), client.head.get("sec-websocket-protocol", "none selected")]


@case()
async def ids(to: Wire) -> list[str]:
    seen = []
    for query in ("_pk=a%20b%2Bc+d", "_pk=first&_pk=second", "x=1&_pk=behind"):
        async with to.client(query) as client:
            seen += [await client.ask("tags"), await client.ask("list")]
            client.close()
            await client.next()
    async with to.client("_pk=") as client:
        seen.append(f"generated {len(await client.ask('tags')) > 15}")
    return seen


@case()
async def uri(to: Wire) -> list[str]:
    async with to.client(path=to.path("_pk=a%20b&q=%C3%A9+x", rest="/more/%2Fx")) as client:
        return [(await client.ask("uri")).replace(str(to.port), "PORT").replace(to.room, "ROOM")]


@case()
async def sends_in_on_connect(to: Wire) -> list[str]:
    async with to.client("connect=hello&_pk=me") as client:
        return [str(client.status), *await client.several(2)]


@case()
async def the_joiner_hears_itself(to: Wire) -> list[str]:
    async with to.client("_pk=a") as first, to.client("_pk=b&connect=joined") as second:
        return [await first.next(), await second.next(), await first.ask("list")]


@case()
async def close_in_on_connect(to: Wire) -> list[str]:
    async with to.client("_pk=watch") as watch:
        async with to.client("connect=close&_pk=me") as client:
            seen = [str(client.status), await client.next(), await client.gone()]
        return [*seen, await watch.next()]


@case()
async def on_connect_throws(to: Wire) -> list[str]:
    async with to.client("connect=throw&_pk=me") as client:
        return [str(client.status), plain(await client.next()), await client.next()]


@case()
async def a_failed_connection_is_listed(to: Wire) -> list[str]:
    async with to.client("connect=throw&_pk=lost") as client:
        await client.several(2)
    async with to.client("_pk=me") as other:
        return [await other.ask("list")]


@case()
async def early_frames_wait(to: Wire) -> list[str]:
    early = frame(Opcode.TEXT, b"echo one") + frame(Opcode.TEXT, b"echo two")
    async with to.client("connect=hello", early=early) as client:
        return await client.several(4)


@case(once=True)
async def a_room_that_cannot_start(to: Wire) -> list[str]:
    to.party = "broken"
    async with to.client() as client:
        seen = [str(client.status), plain(await client.next()), await client.next()]
    return [*seen, *answer(await to.http())[:1]]


@case()
async def text_and_binary(to: Wire) -> list[str]:
    async with to.client() as client:
        client.raw(Opcode.BINARY, b"\x00\xff\x10")
        client.raw(Opcode.BINARY, b"")
        client.send("echo ünïcode 日本")
        client.send("echo ")
        client.send("echo " + "x" * 100_000)
        return await client.several(5)


@case()
async def fragments_and_pings(to: Wire) -> list[str]:
    async with to.client() as client:
        client.raw(Opcode.TEXT, b"echo one ", fin=False)
        client.raw(Opcode.PING, b"between")
        client.raw(Opcode.CONT, b"two ", fin=False)
        client.raw(Opcode.PONG, b"unasked")
        client.raw(Opcode.CONT, b"three")
        return await client.several(2)


@case()
async def order_of_many(to: Wire) -> list[str]:
    async with to.client("_pk=a") as first, to.client("_pk=b") as second:
        await second.ask("tags")
        first.send("many")
        one, two = await first.several(200), await second.several(200)
        return [f"{one == [f'text {number}' for number in range(200)]} {one == two}"]


@case()
async def broadcast(to: Wire) -> list[str]:
    async with to.client("_pk=a") as a, to.client("_pk=b") as b, to.client("_pk=c") as c:
        a.send("all one")
        seen = [await a.next(), await b.next(), await c.next()]
        a.send("others two")
        seen += [await b.next(), await c.next()]
        a.send("without b nobody")
        seen += [await a.next(), await c.next()]
        a.send("all three")
        return [*seen, await a.next(), await b.next(), await c.next()]


@case()
async def broadcast_by_request(to: Wire) -> list[str]:
    async with to.client("_pk=a") as client:
        return [*await to.http("what=tell"), await client.next()]


@case()
async def connections_by_tag(to: Wire) -> list[str]:
    async with to.client("_pk=a&tags=red,a,blue") as a, to.client("_pk=b&tags=blue,a") as b:
        await b.ask("tags")
        questions = ("tags", "list", "list red", "list blue", "list a", "list green", "get a", "get b", "get x")
        return [await a.ask(question) for question in questions]


@case()
async def too_many_tags(to: Wire) -> list[str]:
    seen = []
    for tags in (",".join("abcdefghi"), ",".join("abcdefghij"), "a,,b", "x" * 257):
        to.room += "-"  # What is broadcast when the last one has left is not for the next.
        async with to.client(f"_pk=me&tags={tags}") as client:
            seen.append(plain(await client.ask("tags")))
    return seen


@case()
async def state(to: Wire) -> list[str]:
    async with to.client("_pk=me") as client:
        questions = ("state", 'set {"a":[1,"é"]}', "state", "set null", "add", "add", "state")
        return [await client.ask(question) for question in questions]


@case()
async def state_is_of_the_socket(to: Wire) -> list[str]:
    async with to.client("_pk=me") as client:
        await client.ask("set 1")
        client.close()
        await client.next()
    async with to.client("_pk=me") as client:
        return [await client.ask("state")]


@case()
async def one_id_twice(to: Wire) -> list[str]:
    async with to.client("_pk=me") as old, to.client("_pk=other") as other, to.client("_pk=me") as new:
        seen = [await new.ask("list")]
        other.send("all one")
        seen += ["other", await other.next(), "newer", await new.next()]
        seen += ["older", await old.next(to.silence)]
        old.close(1000, "older")
        seen += [await old.next()]
        await new.next(to.silence)
        other.send("all two")
        return [*seen, "newer", await new.next(to.silence)]


@case()
async def a_rejected_message(to: Wire) -> list[str]:
    async with to.client() as client:
        client.send("reject")
        return [await client.ask("echo still here")]


@case()
async def client_closes(to: Wire) -> list[str]:
    seen = []
    async with to.client("_pk=watch") as watch:
        for code, reason in ((1000, "bye"), (1001, ""), (1011, "x"), (3000, "three"), (4999, "ünï"), (1000, "answer"), (1000, "throw")):
            async with to.client("_pk=me") as client:
                client.close(code, reason)
                while (line := await client.next()) != "end":
                    seen.append(line)
                    if line.startswith("close"):
                        break
            if reason != "throw":
                seen.append(await watch.next())
        seen.append(await watch.ask("log"))
    return seen


@case()
async def a_close_without_a_code(to: Wire) -> list[str]:
    async with to.client("_pk=watch") as watch, to.client("_pk=me") as client:
        client.raw(Opcode.CLOSE)
        return [await watch.next(), await client.next(to.silence)]


@case()
async def close_codes_that_none_may_send(to: Wire) -> list[str]:
    seen = []
    for code in (999, 1005, 1016, 2999, 5000):
        to.room += "-"
        async with to.client("_pk=me") as client:
            client.close(code)
            seen.append(f"{code} {await client.next(to.silence)}")
    return seen


@case()
async def dropped(to: Wire) -> list[str]:
    async with to.client("_pk=watch") as watch:
        async with to.client("_pk=me") as client:
            await client.ask("echo here")
        line = await watch.next()
        return [" ".join(line.split(" ")[:4]), "not clean" if " false " in line else "clean", await watch.ask("list")]


@case()
async def server_closes(to: Wire) -> list[str]:
    seen = []
    async with to.client("_pk=watch") as watch:
        for words in ("close 4000 gone", "close 1000", "close"):
            async with to.client("_pk=me") as client:
                client.send(words)
                seen += [await client.gone(), await watch.next()]
    return seen


@case()
async def close_arguments(to: Wire) -> list[str]:
    seen = []
    for words in ("999", "1004", "1005", "1006", "1015", "5000", f"4000 {'x' * 124}", f"4000 {'x' * 123}", "1016", "2999"):
        to.room += "-"
        async with to.client() as client:
            line = await client.ask(f"try-close {words}")
            seen.append(f"{words[:6]} {line if len(line) < 60 else 'close with all of the reason'}")
    return seen


@case()
async def close_all(to: Wire) -> list[str]:
    async with to.client("_pk=a") as a, to.client("_pk=b") as b:
        a.send("close-all")
        return [await a.next(), await b.next()]


@case()
async def protocol_errors(to: Wire) -> list[str]:
    seen = []
    for name, data in {
        "reserved opcode": b"\x83\x80\x00\x00\x00\x00",
        "RSV1": b"\xc1\x80\x00\x00\x00\x00",
        "fragmented ping": b"\x09\x80\x00\x00\x00\x00",
        "stray continuation": b"\x80\x80\x00\x00\x00\x00",
    }.items():
        to.room += "-"
        async with to.client("_pk=me") as client:
            client.writer.write(data)
            line = await client.next()
            seen.append(f"{name} {' '.join(line.split(' ')[:2])}")
    return seen


@case()
async def the_room_hears_of_protocol_errors(to: Wire) -> list[str]:
    async with to.client("_pk=watch") as watch, to.client("_pk=me") as client:
        client.writer.write(b"\x83\x80\x00\x00\x00\x00")
        return [await watch.next(), await watch.next(to.silence)]


@case(once=True)
async def unmasked_frames(to: Wire) -> list[str]:
    async with to.client() as client:
        client.writer.write(b"\x81\x06echo x")
        return [(await client.next()).partition("  ")[0][:10]]


@case(once=True)
async def invalid_utf8(to: Wire) -> list[str]:
    async with to.client() as client:
        client.raw(Opcode.TEXT, b"echo \xff")
        return [(await client.next())[:10]]


@case()
async def requests(to: Wire) -> list[str]:
    seen = []
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        body = b"" if method in ("GET", "OPTIONS") else b"a body"
        status, *_, text = await to.http(path=to.path("x=1&y=%20", rest="/sub/%41"), method=method, body=body)
        seen.append(f"{status} {text.replace(to.room, 'ROOM')}")
    seen.append((await to.http(method="HEAD"))[0])
    for what in ("status", "redirect", "empty", "cookies"):
        seen += await to.http(f"what={what}")
    return seen


@case(once=True)
async def on_request_throws(to: Wire) -> list[str]:
    return [*answer([line.split(" (log")[0] for line in await to.http("what=throw")]), (await to.http("what=status"))[0]]


@case(once=True)
async def a_room_without_hooks(to: Wire) -> list[str]:
    to.party = "h-t-t-p-server"
    async with to.client() as client:
        client.send("nobody listens")
        client.close(1000, "done")
        return [*await to.http(), str(client.status), await client.next()]


@case(once=True)
async def cors(to: Wire) -> list[str]:
    seen = []
    for prefix in ("open", "custom", "bare", "parties"):
        for method in ("OPTIONS", "GET"):
            lines = await to.http("what=status", method=method, prefix=prefix, headers=("Origin: https://other.example",))
            seen.append(f"{prefix} {method}: {' | '.join(lines)}")
    return seen


@case(once=True)
async def cors_elsewhere(to: Wire) -> list[str]:
    seen = [await to.http(path="/open/nobody/x"), await to.http(path="/open/nobody/x", method="OPTIONS")]
    seen.append(await to.http("before=deny", prefix="hooked"))
    async with to.client("before=deny", prefix="hooked") as client:
        allowed = client.head.get("access-control-allow-origin", "no CORS")
        seen.append([str(client.status), allowed, client.head.get("x-why", "-")])
    return [" | ".join(lines) for lines in seen]


@case()
async def before_connect(to: Wire) -> list[str]:
    seen = []
    for way in ("deny", "redirect"):
        async with to.client(f"before={way}", prefix="hooked") as client:
            seen.append(f"{client.status} {client.head.get('location', '-')}")
    async with to.client("before=header&connect=header", prefix="hooked") as client:
        seen.append(await client.next())
    to.room += "-2"
    async with to.client("before=query&_pk=me", prefix="hooked") as client:
        seen += await client.several(2)
        seen.append(await client.ask("tags"))
        seen.append((await client.ask("uri")).partition("?")[2])
    to.room += "-3"
    async with to.client("before=pass&_pk=me", prefix="hooked") as client:
        seen.append(await client.ask("tags"))
    return seen


@case(once=True)
async def before_request(to: Wire) -> list[str]:
    seen = []
    for way in ("deny", "redirect", "header", "pass"):
        status, *lines = await to.http(f"before={way}", prefix="hooked")
        seen.append(f"{status} {lines[-1].replace(to.room, 'ROOM')}")
    async with to.client("before=throw", prefix="hooked") as client:
        seen.append(str(client.status))
    return seen


@case()
async def props(to: Wire) -> list[str]:
    async with to.client(prefix="given") as client:
        seen = [await client.ask("props")]
    to.room += "-other"
    async with to.client() as client:
        seen.append(await client.ask("props"))
    return seen


@case(once=True)
async def props_in_a_header(to: Wire) -> list[str]:
    return [(await to.http("what=props", headers=('x-partykit-props: {"evil":1}',)))[-1]]


@case()
async def storage(to: Wire) -> list[str]:
    async with to.client() as client:
        questions = ("value a", 'put a {"b":[1,null]}', "value a", "delete a", "delete a", "value a")
        return [await client.ask(question) for question in questions]


@case()
async def sql(to: Wire) -> list[str]:
    async with to.client() as client:
        return [await client.ask("sql it's"), await client.ask("sql 日本")]


@case()
async def alarms(to: Wire) -> list[str]:
    async with to.client() as client:
        seen = [await client.ask("alarm?"), await client.ask("alarm 60000"), await client.ask("alarm?"), await client.ask("no-alarm")]
        seen += [await client.ask("alarm?"), await client.ask("alarm 60000")]
        client.send("alarm -5")
        seen += sorted(await client.several(2))
        return [*seen, await client.ask("alarm?")]


@case()
async def one_start(to: Wire) -> list[str]:
    async with to.client("_pk=a") as a, to.client("_pk=b"):
        await to.http()
        return [await a.ask("starts")]
