"""Without a credential nothing opens: every route, every method, over HTTP and WebSocket, and no room comes into being."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin

from partywidgets.auth import new_token
from partywidgets.party import Server
from partywidgets.party.grant import OPEN_ROLES
from partywidgets.redaction import redact

from .auth.kernel_host import BAD_HOSTS, BAD_ORIGINS, PORT
from .running_app import Running, running

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND")
ROOM_PATHS = (
    "/parties/terminal-server/worker-1",
    "/parties/terminal-server/worker-1?sandboxId=web",
    "/parties/terminal-server/worker-1/anything/below",
    "//parties//terminal-server//worker-1",
    "/parties/terminal%2Dserver/worker-1",
    "/parties/ops-monitor-broadcast/main",
    "/parties/ops-monitor-broadcast/other",
    "/parties/unknown/room",
    "/api/workers/worker-1/terminal",
    "/api/ops/broadcast",
    "/api/ops/scans",
    "/api/ops/scans/latest",
    "/api/ops/scans/0190",
)
APP_PATHS = (
    "/tickets",
    "/metrics",
    "/api/ops/config/partywidgets.yaml",
    "/api/ops/config/",
    "/api/sandboxes/web",
    "/api/sandboxes/",
    "/api/terminals",
    "/api/terminals/recordings",
    "/",
    "/unknown",
    "/parties",
    "/parties/terminal-server",
    "/api",
    "/static",
    "/healthz/more",
    "/hello/more",
    "/static/0000000000000000/loader.js",
    "/static/../app.py",
    "/static/%2e%2e/app.py",
    "/static/0000000000000000/..%2fapp.py",
)
REFUSALS = {400, 401, 403, 404, 405, 501}


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[Running]:
    """An app on a real port."""
    async with running(tmp_path) as started:
        yield started


async def raw_request(port: int, head: str) -> int:
    """The status that a hand-written request gets."""
    import asyncio

    async with asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(head.encode("latin-1"))
            await writer.drain()
            return int((await reader.readline()).split()[1])
        finally:
            writer.close()


async def raw_upgrade(port: int, path: str, *, headers: str) -> int:
    """The status that a hand-written upgrade gets; its Host and all else are in `headers`."""
    standard = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    return await raw_request(port, f"GET {path} HTTP/1.1\r\n{headers}{standard}\r\n")


async def test_no_route_answers_any_method_without_a_credential(app: Running) -> None:
    """Each gives a refusal; what needs a credential says 401; the body is one JSON sentence; no room is created."""
    for path in ROOM_PATHS + APP_PATHS:
        for method in METHODS:
            async with app.http.request(method, f"{app.url}{path}", data=b"{}" if method in ("POST", "PUT", "PATCH") else None) as answer:
                assert answer.status in REFUSALS, (method, path, answer.status)
                if path in (
                    "/tickets",
                    "/metrics",
                    "/api/sandboxes/web",
                    "/api/terminals",
                    "/api/terminals/recordings",
                    "/api/ops/config/partywidgets.yaml",
                    "/api/ops/scans",
                    "/api/ops/broadcast",
                ):
                    assert answer.status == 401, (method, path)
                if method != "HEAD" and answer.status != 501:
                    assert list(await answer.json()) == ["error"], (method, path)
    assert app.rooms() == []


@pytest.mark.parametrize("path", ROOM_PATHS + APP_PATHS)
async def test_no_route_upgrades_without_a_credential(app: Running, path: str) -> None:
    """An upgrade without a credential is refused with an HTTP status, touches no room, and gets no socket."""
    assert await raw_upgrade(app.port, path, headers=f"Host: 127.0.0.1:{app.port}\r\n") in REFUSALS
    assert await raw_upgrade(app.port, path, headers=f"Host: 127.0.0.1:{app.port}\r\nOrigin: {app.url}\r\n") in REFUSALS
    assert app.rooms() == []


@pytest.mark.parametrize("path", ROOM_PATHS[:1] + ROOM_PATHS[5:6] + ROOM_PATHS[8:11])
@pytest.mark.parametrize("credential", ["wrong", "Basic", "", "empty"])
async def test_a_wrong_credential_opens_nothing(app: Running, path: str, credential: str) -> None:
    """Unknown bearers, other schemes and empty ones are as good as none."""
    value = {"wrong": f"Bearer {new_token()}", "Basic": "Basic b3duZXI6b3duZXI=", "": "", "empty": "Bearer "}[credential]
    async with app.http.get(app.url + path, headers={"Authorization": value}) as answer:
        assert answer.status == 401
    assert await raw_upgrade(app.port, path, headers=f"Host: 127.0.0.1:{app.port}\r\nAuthorization: {value}\r\n") == 401
    assert app.rooms() == []


async def test_nearly_right_origins_are_refused_with_a_good_token(app: Running) -> None:
    """Over HTTP and on upgrades, 403 whatever the credential, and no room."""
    for origin in BAD_ORIGINS:
        if origin != origin.strip():
            continue  # HTTP itself strips blanks around a value
        headers = (
            f"Host: 127.0.0.1:{app.port}\r\nOrigin: {origin.replace(str(PORT), str(app.port))}\r\nAuthorization: Bearer {app.owner}\r\n"
        )
        for path in ("/parties/ops-monitor-broadcast/main", "/api/workers/worker-1/terminal"):
            assert await raw_upgrade(app.port, path, headers=headers) == 403, origin
        for path in ("/api/ops/scans", "/tickets", "/metrics", "/hello"):
            assert await raw_request(app.port, f"GET {path} HTTP/1.1\r\n{headers}\r\n") == 403, origin
    assert app.rooms() == []


async def test_nearly_right_hosts_are_refused_with_a_good_token(app: Running) -> None:
    """DNS rebinding ends at the Host: 400 or 403 whatever the credential, and no room."""
    for host in BAD_HOSTS:
        if host != host.strip():
            continue
        host = host.replace(str(PORT + 1), str(app.port + 1)).replace(str(PORT), str(app.port))
        headers = f"Host: {host}\r\nAuthorization: Bearer {app.owner}\r\n"
        for path in ("/parties/ops-monitor-broadcast/main", "/api/workers/worker-1/terminal"):
            assert await raw_upgrade(app.port, path, headers=headers) in (400, 403), host
        for path in ("/api/ops/scans", "/tickets", "/metrics", "/hello"):
            assert await raw_request(app.port, f"GET {path} HTTP/1.1\r\n{headers}\r\n") in (400, 403), host
    for hosts in (
        "",
        f"Host: 127.0.0.1:{app.port}\r\nHost: 127.0.0.1:{app.port}\r\n",
        f"Host: 127.0.0.1:{app.port}\r\nHost: evil.example\r\n",
    ):
        headers = f"{hosts}Authorization: Bearer {app.owner}\r\n"
        assert await raw_upgrade(app.port, "/parties/ops-monitor-broadcast/main", headers=headers) == 400
        assert await raw_request(app.port, f"GET /api/ops/scans HTTP/1.1\r\n{headers}\r\n") == 400
    assert app.rooms() == []


async def test_a_ticket_opens_one_socket_and_no_more(app: Running) -> None:
    """The first handshake is in; the same ticket again finishes its handshake, touches no room, and is closed with 4401."""
    ticket = await app.ticket("ops-monitor-broadcast", "main")
    async with connect(f"{app.ws}/parties/ops-monitor-broadcast/main?ticket={ticket}", origin=Origin("http://localhost:8888")) as first:
        assert '"snapshot"' in str(await first.recv())
        assert app.app.host.connection_count() == 1
        async with connect(f"{app.ws}/parties/ops-monitor-broadcast/main?ticket={ticket}") as second:
            with pytest.raises(ConnectionClosed) as caught:
                await second.recv()
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 4401
            assert "ticket" in caught.value.rcvd.reason
        assert app.app.host.connection_count() == 1


async def test_a_ticket_as_subprotocol_is_never_selected(app: Running) -> None:
    """It is offered beside a dialect; the dialect is what the server selects."""
    ticket = await app.ticket("ops-monitor-broadcast", "main")
    protocols = ["partywidgets.v1", f"partywidgets.ticket.{ticket}"]
    async with connect(f"{app.ws}/api/ops/broadcast", subprotocols=protocols) as socket:  # type: ignore[arg-type]
        assert socket.subprotocol == "partywidgets.v1"
        assert '"snapshot"' in str(await socket.recv())


async def test_a_ticket_is_good_for_one_http_request_to_its_room_and_for_no_other_route(app: Running) -> None:
    """A page may read its room once by it; tickets, configs and metrics it never opens."""
    ticket = await app.ticket("ops-monitor-broadcast", "main")
    for method, path in (("POST", "/tickets"), ("GET", "/metrics"), ("PUT", "/api/ops/config/a"), ("PUT", "/api/sandboxes/a")):
        async with app.http.request(method, f"{app.url}{path}?ticket={ticket}", data=b"{}") as answer:
            assert answer.status == 401, path
    for status in (200, 401):
        async with app.http.get(f"{app.url}/api/ops/scans?ticket={ticket}") as answer:
            assert answer.status == status


@pytest.mark.parametrize("ticket", ["", "x", "x" * 5000, "%00", "..%2f"])
async def test_a_ticket_that_never_was_closes_with_4401_and_touches_no_room(app: Running, ticket: str) -> None:
    """Whatever it looks like."""
    async with connect(f"{app.ws}/parties/terminal-server/worker-1?ticket={ticket}") as socket:
        with pytest.raises(ConnectionClosed) as caught:
            await socket.recv()
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 4401
    assert app.rooms() == []


async def test_a_ticket_for_one_room_opens_no_other(app: Running) -> None:
    """A foreign ticket is 4401 on an upgrade and 401 over HTTP."""
    for path in ("/parties/terminal-server/worker-2", "/api/ops/broadcast"):
        ticket = await app.ticket("terminal-server", "worker-1")
        async with connect(f"{app.ws}{path}?ticket={ticket}") as socket:
            with pytest.raises(ConnectionClosed) as caught:
                await socket.recv()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 4401
        ticket = await app.ticket("terminal-server", "worker-1")
        async with app.http.get(f"{app.url}{path}?ticket={ticket}") as answer:
            assert answer.status == 401
    assert app.rooms() == []


async def test_a_token_in_a_url_is_refused_with_the_remedy(app: Running) -> None:
    """The right token in the query opens nothing, over HTTP and WebSocket; the answer says where it belongs."""
    async with app.http.get(f"{app.url}/api/ops/scans?token={app.owner}") as answer:
        assert answer.status == 401
        assert "bearer of an Authorization header" in (await answer.json())["error"]
    async with connect(f"{app.ws}/api/ops/broadcast?token={app.owner}") as socket:
        with pytest.raises(ConnectionClosed) as caught:
            await socket.recv()
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 4401
    assert app.rooms() == []


async def test_revoking_a_token_closes_what_it_opened_and_opens_nothing_more(app: Running) -> None:
    """Its sockets close with 4401, its tickets and itself are refused; another's stay."""
    doomed = await app.ticket("ops-monitor-broadcast", "main", token=app.guest)
    headers = app.bearer(app.guest)
    async with (
        connect(f"{app.ws}/api/ops/broadcast", additional_headers=app.bearer()) as owner,
        connect(f"{app.ws}/api/ops/broadcast", additional_headers=headers) as guest,
    ):
        await owner.recv()
        await guest.recv()
        grant_ids = {connection.grant.grant_id for connection in (await main(app)).get_connections() if connection.grant.subject == "ada"}
        assert sum(app.app.host.revoke(grant_id) for grant_id in grant_ids) == 1
        with pytest.raises(ConnectionClosed) as caught:
            await guest.recv()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 4401
        with pytest.raises(InvalidStatus):
            await connect(f"{app.ws}/api/ops/broadcast", additional_headers=headers)
        async with connect(f"{app.ws}/api/ops/broadcast?ticket={doomed}") as late:
            with pytest.raises(ConnectionClosed):
                await late.recv()
        assert app.app.host.connection_count() == 1


async def main(app: Running) -> Server:
    """The ops room."""
    return await app.app.host.get_server_by_name("ops-monitor-broadcast", "main")


async def test_no_log_line_holds_a_ticket_or_a_token(app: Running, caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG, over tickets that work, tickets that are spent, tokens in headers and in URLs."""
    caplog.set_level(logging.DEBUG)
    tickets = [await app.ticket("ops-monitor-broadcast", "main") for _ in range(3)]
    for path in (
        f"/api/ops/broadcast?ticket={tickets[0]}",
        f"/api/ops/broadcast?ticket={tickets[0]}",
        f"/api/ops/broadcast?token={app.owner}",
    ):
        async with connect(app.ws + path, additional_headers={"Cookie": "session=s3cr3t-cookie"}) as socket:
            try:
                await socket.recv()
            except ConnectionClosed:
                continue
    for offered in (tickets[1], tickets[1]):
        protocols = ["partywidgets.v1", f"partywidgets.ticket.{offered}"]
        async with connect(f"{app.ws}/api/ops/broadcast", subprotocols=protocols) as socket:  # type: ignore[arg-type]
            try:
                await socket.recv()
            except ConnectionClosed:
                continue
    async with app.http.get(f"{app.url}/api/ops/scans?ticket={tickets[2]}&token={app.owner}") as answer:
        assert answer.status == 401
    async with app.http.get(f"{app.url}/api/ops/scans/none?ticket={tickets[2]}") as answer:
        await answer.read()
    # The client's own debug log shows what it sends: only what the server side wrote counts.
    ours = "\n".join(
        record.getMessage() + str(record.exc_info or "") for record in caplog.records if not record.name.startswith("websockets.client")
    )
    assert "refused" in ours, "something was logged"
    for secret in (*tickets, app.owner, "s3cr3t-cookie"):
        assert secret not in ours


async def test_without_authentication_a_foreign_page_and_a_foreign_name_stay_out(tmp_path: Path) -> None:
    """`--no-auth` opens the rooms to this machine only, and with the roles of a peer."""
    async with running(tmp_path, open_roles=OPEN_ROLES) as app:
        async with app.http.get(f"{app.url}/api/ops/scans") as answer:
            assert answer.status == 200
        async with app.http.get(f"{app.url}/api/ops/scans", headers={"Origin": "http://evil.example"}) as answer:
            assert answer.status == 403
        async with app.http.get(f"{app.url}/api/ops/scans", headers={"Host": f"evil.example:{app.port}"}) as answer:
            assert answer.status == 403
        async with app.http.put(f"{app.url}/api/ops/config/x", data=b"checks: []") as answer:
            assert answer.status == 403, "a responder loads no config"
        with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
            await app.http.ws_connect(f"{app.ws}/api/ops/broadcast", headers={"Origin": "http://evil.example"})


async def test_who_may_less_is_refused_and_named_in_the_log(app: Running, caplog: pytest.LogCaptureFixture) -> None:
    """A role that does not suffice, a foreign page and a foreign name leave a line each, also on routes that the gate alone lets through;
    the lines read as the answers do, though credentials are taken out of a log."""
    guest = app.bearer(app.guest)
    with caplog.at_level(logging.INFO):
        for method, path, headers in (
            ("PUT", "/api/ops/config/x.yaml", guest),
            ("PUT", "/api/sandboxes/web", guest),
            ("POST", "/api/ops/scans", guest),
            ("GET", "/hello", {"Origin": "http://evil.example"}),
            ("GET", "/hello", {"Host": "evil.example"}),
            ("GET", "/metrics", {}),
        ):
            async with app.http.request(method, app.url + path, headers=headers, json={}) as answer:
                said = (await answer.json())["error"]
                assert answer.status in (401, 403)
            line = caplog.messages[-1]
            assert "refused" in line
            assert ("ada" in line) is (headers is guest)
            if path != "/api/ops/scans":
                assert line.endswith(said)
                assert redact(line) == line
