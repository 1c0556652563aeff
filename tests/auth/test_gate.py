"""The gate alone: Hosts, Origins, tokens and tickets, without a server."""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import Any

import pytest
from starlette.requests import HTTPConnection

from partywidgets.auth import LOOPBACK_ORIGINS, Gate, Identity, Refusal, TicketBook, new_token
from partywidgets.exceptions import ConfigError
from partywidgets.party import Grant, Lobby, Server
from partywidgets.party.grant import GUEST_ROLES, OPEN_ROLES, OWNER_ROLES

PORT = 41234
OWNER = Identity("owner", "Owner", OWNER_ROLES)
LOBBY = Lobby("chat", "lobby", Server)


def request_of(
    *,
    host: str | list[str] = f"127.0.0.1:{PORT}",
    origin: str | list[str] | None = None,
    bearer: str | None = None,
    protocols: tuple[str, ...] = (),
    query: str = "",
    kind: str = "websocket",
    scheme: str | None = None,
    identity: Identity | None = None,
) -> HTTPConnection:
    """A request as an ASGI server would describe it."""
    headers = [(b"host", value.encode("latin-1")) for value in ([host] if isinstance(host, str) else host)]
    headers += [(b"origin", value.encode("latin-1")) for value in ([origin] if isinstance(origin, str) else origin or [])]
    if bearer is not None:
        headers.append((b"authorization", f"Bearer {bearer}".encode()))
    if protocols:
        headers.append((b"sec-websocket-protocol", ", ".join(protocols).encode()))
    scope: dict[str, Any] = {
        "type": kind,
        "scheme": scheme or ("ws" if kind == "websocket" else "http"),
        "path": "/parties/chat/lobby",
        "query_string": query.encode(),
        "headers": headers,
        "client": ("127.0.0.1", 50000),
    }
    if kind == "http":
        scope["method"] = "GET"
    if identity is not None:
        scope["partywidgets.identity"] = identity
    return HTTPConnection(scope)


def kernel_gate(token: str) -> Gate:
    """A gate as a kernel host has it."""
    gate = Gate(tokens={token: OWNER}, any_port_origins=LOOPBACK_ORIGINS)
    gate.bind_address(PORT)
    return gate


GOOD_ORIGINS = [
    "http://localhost",
    "http://localhost:8888",
    "http://127.0.0.1",
    "http://127.0.0.1:1",
    "http://127.0.0.1:65535",
    f"http://127.0.0.1:{PORT}",
    "http://[::1]",
    "http://[::1]:8889",
]

BAD_ORIGINS = [
    "",
    "null",
    "http://localhost.evil.example",
    "http://localhost.evil.example:8888",
    "http://evil-localhost:8888",
    "http://evil.localhost:8888",
    "http://localhost:8888.evil.example",
    "http://localhost:",
    "http://localhost:0",
    "http://localhost:08888",
    "http://localhost:65536",
    "http://localhost:888888",
    "http://localhost:-1",
    "http://localhost:٨٨٨٨".encode().decode("latin-1"),
    "http://localhost:8888/",
    "http://localhost:8888/path",
    "http://localhost:8888#fragment",
    "http://localhost:8888?query",
    "http://localhost:8888 ",
    " http://localhost:8888",
    "http://localhost:8888, http://evil.example",
    "http://localhost.:8888",
    "http://LOCALHOST:8888",
    "HTTP://localhost:8888",
    "https://localhost:8888",
    "https://127.0.0.1",
    "ws://localhost:8888",
    "file://",
    "file://localhost",
    "chrome-extension://abcdef",
    "localhost:8888",
    "//localhost:8888",
    "http://user@localhost:8888",
    "http://localhost:8888@evil.example",
    "http://localhost@evil.example",
    "http://127.0.0.1.evil.example:8888",
    "http://127.0.0.2:8888",
    "http://127.1:8888",
    "http://2130706433:8888",
    "http://0x7f.0.0.1:8888",
    "http://0.0.0.0:8888",
    "http://127.0.0.1.:8888",
    "http://::1:8888",
    "http://[::1%25lo]:8888",
    "http://[0:0:0:0:0:0:0:1]:8888",
    "http://[::ffff:127.0.0.1]:8888",
    "http://evil.example",
    f"http://evil.example:{PORT}",
]

BAD_HOSTS = [
    "",
    "localhost",
    "127.0.0.1",
    f"localhost:{PORT + 1}",
    f"127.0.0.1:{PORT}0",
    f"127.0.0.1:0{PORT}",
    f"LOCALHOST:{PORT}",
    f"localhost.:{PORT}",
    f"127.0.0.1.:{PORT}",
    f"[::1]:{PORT}",
    f"::1:{PORT}",
    f"0.0.0.0:{PORT}",
    f"127.0.0.2:{PORT}",
    f"127.1:{PORT}",
    f"evil.example:{PORT}",
    f"localhost.evil.example:{PORT}",
    f"evil-localhost:{PORT}",
    f"evil.localhost:{PORT}",
    f"user@localhost:{PORT}",
    f"localhost:{PORT}@evil.example",
    f"localhost:{PORT}, evil.example",
    f"localhost:{PORT} ",
    f"http://localhost:{PORT}",
    f"localhost:{PORT}/",
]


@pytest.mark.parametrize("origin", GOOD_ORIGINS)
def test_a_kernel_host_allows_loopback_origins_on_any_port(origin: str) -> None:
    """A page of this machine passes with a good credential, whatever its port."""
    token = new_token()
    assert isinstance(kernel_gate(token)(request_of(origin=origin, bearer=token), LOBBY), Grant)


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("origin", BAD_ORIGINS)
def test_a_nearly_right_origin_is_refused_even_with_a_good_token(origin: str, kind: str) -> None:
    """Origins are compared as strings: suffix, prefix, case, port and scheme tricks are 403, on HTTP and on an upgrade."""
    token = new_token()
    decision = kernel_gate(token)(request_of(origin=origin, bearer=token, kind=kind), LOBBY)
    assert isinstance(decision, Refusal)
    assert (decision.status, decision.close_code) == (403, None)


@pytest.mark.parametrize("host", [f"127.0.0.1:{PORT}", f"localhost:{PORT}"])
def test_the_two_names_of_a_kernel_host_are_allowed(host: str) -> None:
    """A kernel host answers to 127.0.0.1:PORT and localhost:PORT."""
    token = new_token()
    assert isinstance(kernel_gate(token)(request_of(host=host, bearer=token), LOBBY), Grant)


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("host", BAD_HOSTS)
def test_a_nearly_right_host_is_refused(host: str, kind: str) -> None:
    """Hosts are compared as strings, so DNS rebinding ends in 403 also with a good token."""
    token = new_token()
    decision = kernel_gate(token)(request_of(host=host, bearer=token, kind=kind), LOBBY)
    assert isinstance(decision, Refusal)
    assert decision.status == 403


@pytest.mark.parametrize("hosts", [[], [f"127.0.0.1:{PORT}", f"127.0.0.1:{PORT}"], [f"127.0.0.1:{PORT}", "evil.example"]])
def test_any_number_of_hosts_but_one_is_a_bad_request(hosts: list[str]) -> None:
    """Exactly one Host header, also where a proxy or Jupyter checks its value."""
    token = new_token()
    for gate in (kernel_gate(token), Gate(tokens={token: OWNER}, hosts=None, same_origin=True)):
        decision = gate(request_of(host=hosts, bearer=token), LOBBY)
        assert isinstance(decision, Refusal)
        assert decision.status == 400


def test_two_origins_are_refused() -> None:
    """A second Origin header does not hide behind an allowed first one."""
    token = new_token()
    decision = kernel_gate(token)(request_of(origin=["http://localhost:8888", "http://evil.example"], bearer=token), LOBBY)
    assert isinstance(decision, Refusal)
    assert decision.status == 403


@pytest.mark.parametrize(
    ("host", "origin", "scheme", "allowed"),
    [
        ("hub.example", "https://hub.example", "ws", True),
        ("hub.example", "http://hub.example", "ws", True),
        ("hub.example:8888", "http://hub.example:8888", "ws", True),
        ("hub.example", "https://hub.example", "wss", True),
        ("hub.example", "http://hub.example", "wss", False),
        ("hub.example:8888", "http://hub.example", "ws", False),
        ("hub.example", "http://hub.example:8888", "ws", False),
        ("hub.example", "http://hub.example.evil.example", "ws", False),
        ("hub.example", "http://user@hub.example", "ws", False),
        ("hub.example", "http://HUB.example", "ws", False),
        ("hub.example", "null", "ws", False),
        ("[::1]:8888", "http://[::1]:8888", "ws", True),
        ("hub.example", "https://portal.example", "ws", True),
        ("hub.example", "https://portal.example:8443", "ws", False),
    ],
)
def test_under_jupyter_the_origin_is_the_request_s_own_host(host: str, origin: str, scheme: str, allowed: bool) -> None:
    """Jupyter checked the Host; the Origin must equal it, or be configured."""
    gate = Gate(hosts=None, same_origin=True, origins=["https://portal.example"])
    decision = gate(request_of(host=host, origin=origin, scheme=scheme, identity=OWNER), LOBBY)
    assert isinstance(decision, Grant) is allowed


def test_no_origin_passes_with_a_credential_and_not_without() -> None:
    """A program sends no Origin: its bearer, identity or ticket decides."""
    token = new_token()
    gate = kernel_gate(token)
    ticket = gate.tickets.issue(Grant("owner", "Owner", OWNER_ROLES), party="chat", room="lobby")
    assert isinstance(gate(request_of(bearer=token), LOBBY), Grant)
    assert isinstance(gate(request_of(identity=OWNER), LOBBY), Grant)
    assert isinstance(gate(request_of(query=f"ticket={ticket}"), LOBBY), Grant)
    for kind in ("http", "websocket"):
        decision = gate(request_of(kind=kind), LOBBY)
        assert isinstance(decision, Refusal)
        assert decision.status == 401
        assert "PARTYWIDGETS_TOKEN" in decision.reason


def test_a_bearer_token_says_who_it_is_and_for_which_room_the_grant_is() -> None:
    """The grant carries the identity, the room asked for, and one grant_id for everything a token opens."""
    token = new_token()
    gate = kernel_gate(token)
    first, second = gate(request_of(bearer=token), LOBBY), gate(request_of(bearer=token, kind="http"), None)
    assert isinstance(first, Grant)
    assert isinstance(second, Grant)
    assert (first.subject, first.display_name, first.roles, first.party, first.room) == ("owner", "Owner", OWNER_ROLES, "chat", "lobby")
    assert (second.party, second.room) == ("*", "*")
    assert first.grant_id == second.grant_id


@pytest.mark.parametrize("header", ["", "wrong-wrong-wrong-wrong", "é".encode().decode("latin-1")])
def test_a_wrong_bearer_token_is_401(header: str) -> None:
    """An unknown token is a refusal on HTTP and on an upgrade, not a crash."""
    for kind in ("http", "websocket"):
        decision = kernel_gate(new_token())(request_of(bearer=header, kind=kind), LOBBY)
        assert isinstance(decision, Refusal)
        assert (decision.status, decision.close_code) == (401, None)


def test_a_token_in_the_url_is_refused_and_says_what_to_do_instead() -> None:
    """`?token=` is no credential outside Jupyter, whether it is right or wrong and whatever comes with it."""
    token = new_token()
    gate = kernel_gate(token)
    for decision in (gate(request_of(query=f"token={token}"), LOBBY), gate(request_of(query="a=1&token=x", bearer=token), LOBBY)):
        assert isinstance(decision, Refusal)
        assert (decision.status, decision.close_code) == (401, 4401)
        assert "bearer" in decision.reason
        assert token not in decision.reason
    assert isinstance(gate(request_of(query=f"token={token}", identity=OWNER), LOBBY), Grant), "Jupyter's own login has read it already"


def test_jupyter_s_own_authorization_header_does_not_hide_its_login() -> None:
    """`Authorization: Bearer <Jupyter's token>` is Jupyter's: the identity that it gave is used."""
    gate = Gate(hosts=None, same_origin=True, tokens={new_token(): OWNER})
    guest = Identity("ada", "Ada", GUEST_ROLES)
    decision = gate(request_of(bearer="jupyter-token-jupyter-token", identity=guest), LOBBY)
    assert isinstance(decision, Grant)
    assert (decision.subject, decision.roles) == ("ada", GUEST_ROLES)


def test_the_kernel_secret_goes_before_jupyter_s_login() -> None:
    """A bearer that the gate knows decides, not the weaker identity beside it."""
    secret = new_token()
    gate = Gate(hosts=None, same_origin=True, tokens={secret: Identity("owner", "Owner", OWNER_ROLES | {"runner"})})
    decision = gate(request_of(bearer=secret, identity=Identity("ada", "Ada", GUEST_ROLES)), LOBBY)
    assert isinstance(decision, Grant)
    assert decision.has("runner")


@pytest.mark.parametrize("way", ["query", "subprotocol"])
def test_a_ticket_works_once(way: str) -> None:
    """The first handshake gets the grant, narrowed to the room; the second is finished and closed 4401."""
    gate = kernel_gate(new_token())
    grant = Grant("ada", "Ada", GUEST_ROLES)
    ticket = gate.tickets.issue(grant, party="chat", room="lobby")
    shown: dict[str, Any] = (
        {"query": f"ticket={ticket}"} if way == "query" else {"protocols": ("partywidgets.v1", f"partywidgets.ticket.{ticket}")}
    )
    assert gate(request_of(**shown), LOBBY) == replace(grant, party="chat", room="lobby")
    spent = gate(request_of(**shown), LOBBY)
    assert isinstance(spent, Refusal)
    assert (spent.status, spent.close_code) == (401, 4401)
    over_http = gate(request_of(**shown, kind="http"), LOBBY)
    assert isinstance(over_http, Refusal)
    assert over_http.close_code is None


def test_a_ticket_for_another_room_is_spent_by_the_try() -> None:
    """A foreign ticket touches no room, and guessing rooms with it is not possible."""
    gate = kernel_gate(new_token())
    ticket = gate.tickets.issue(Grant("ada", "Ada", GUEST_ROLES), party="chat", room="other")
    assert isinstance(gate(request_of(query=f"ticket={ticket}"), LOBBY), Refusal)
    assert isinstance(gate(request_of(query=f"ticket={ticket}"), Lobby("chat", "other", Server)), Refusal)


def test_two_tickets_in_one_request_are_refused_and_a_ticket_opens_only_rooms() -> None:
    """No picking among tickets, and none on routes that are not a room."""
    gate = kernel_gate(new_token())
    grant = Grant("ada", "Ada", GUEST_ROLES)
    one, two = (gate.tickets.issue(grant, party="chat", room="lobby") for _ in range(2))
    assert isinstance(gate(request_of(query=f"ticket={one}&ticket={two}"), LOBBY), Refusal)
    assert isinstance(gate(request_of(query=f"ticket={one}", kind="http"), None), Refusal)
    assert isinstance(gate(request_of(query=f"ticket={one}"), LOBBY), Grant), "neither try reached the book"


def test_a_fetched_ticket_expires_after_its_lifetime() -> None:
    """30 s by default, counted by a clock that cannot be set back."""
    now = 100.0
    book = TicketBook(clock=lambda: now)
    grant = Grant("ada", "Ada", GUEST_ROLES)
    early, late = (book.issue(grant, party="chat", room="lobby") for _ in range(2))
    now += 29.9
    assert book.redeem(early, party="chat", room="lobby") is not None
    now += 0.1
    assert book.redeem(late, party="chat", room="lobby") is None


def test_a_resume_ticket_lives_with_its_socket_and_ten_minutes_more() -> None:
    """No clock runs while the socket is open; `release` starts the ten minutes; the grant_id stays."""
    now = 0.0
    book = TicketBook(clock=lambda: now)
    grant = Grant("ada", "Ada", GUEST_ROLES)
    tickets = [book.issue_resume(grant, party="chat", room="lobby") for _ in range(3)]
    now += 86_400
    resumed = book.redeem(tickets[0], party="chat", room="lobby")
    assert resumed is not None
    assert resumed.grant_id == grant.grant_id
    assert book.redeem(tickets[0], party="chat", room="lobby") is None
    for ticket in (*tickets, "unknown"):
        book.release(ticket)
    now += 599
    book.release(tickets[1])
    assert book.redeem(tickets[1], party="chat", room="lobby") is not None
    now += 1
    assert book.redeem(tickets[2], party="chat", room="lobby") is None, "a second release does not prolong"


def test_a_ticket_does_not_outlive_its_grant() -> None:
    """An expired grant makes its tickets void."""
    book = TicketBook()
    ticket = book.issue_resume(Grant("ada", "Ada", GUEST_ROLES, expires_at=time.time() - 1), party="chat", room="lobby")
    assert book.redeem(ticket, party="chat", room="lobby") is None


def test_a_grant_for_one_room_makes_no_ticket_for_another() -> None:
    """Tickets narrow, never widen."""
    with pytest.raises(ValueError, match="not for chat/other"):
        TicketBook().issue(Grant("ada", "Ada", GUEST_ROLES, party="chat", room="lobby"), party="chat", room="other")


def test_the_ticket_book_is_bounded_and_drops_the_expired_first() -> None:
    """At the limit expired tickets go, then the oldest of whoever holds the most: a flood pushes out its own."""
    now = 0.0
    book = TicketBook(limit=3, clock=lambda: now)
    grant = Grant("ada", "Ada", GUEST_ROLES)
    lasting = book.issue(grant, party="chat", room="lobby", lifetime=1000)
    short = book.issue(grant, party="chat", room="lobby", lifetime=1)
    newer = book.issue(grant, party="chat", room="lobby", lifetime=1000)
    now = 2.0
    newest = book.issue(grant, party="chat", room="lobby")
    assert len(book) == 3
    overflow = book.issue(grant, party="chat", room="lobby")
    assert len(book) == 3
    assert [book.redeem(ticket, party="chat", room="lobby") is not None for ticket in (lasting, short, newer, newest, overflow)] == [
        False,
        False,
        True,
        True,
        True,
    ]
    quiet = book.issue(Grant("bob", "Bob", GUEST_ROLES), party="chat", room="lobby")
    flood = [book.issue(grant, party="chat", room="lobby") for _ in range(100)]
    assert len(book) == 3
    assert book.redeem(quiet, party="chat", room="lobby") is not None
    assert book.redeem(flood[-1], party="chat", room="lobby") is not None
    assert book.redeem(flood[0], party="chat", room="lobby") is None


def test_revoking_a_grant_forgets_its_token_and_tickets() -> None:
    """After `revoke` neither the token nor a ticket it made opens anything; other tokens stay."""
    doomed, other = new_token(), new_token()
    gate = Gate(tokens={other: OWNER})
    gate.bind_address(PORT)
    grant_id = gate.add_token(doomed, OWNER)
    grant = gate(request_of(bearer=doomed), LOBBY)
    assert isinstance(grant, Grant)
    assert grant.grant_id == grant_id
    ticket = gate.tickets.issue_resume(grant, party="chat", room="lobby")
    gate.revoke(grant_id)
    assert isinstance(gate(request_of(bearer=doomed), LOBBY), Refusal)
    assert isinstance(gate(request_of(query=f"ticket={ticket}"), LOBBY), Refusal)
    assert isinstance(gate(request_of(bearer=other), LOBBY), Grant)


def test_a_gate_without_authentication_still_checks_host_and_origin_and_stays_on_loopback() -> None:
    """`--no-auth` gives peer and responder to this machine, not to a page of another site or to the network."""
    gate = Gate(open_roles=OPEN_ROLES, any_port_origins=LOOPBACK_ORIGINS)
    gate.bind_address(PORT)
    grant = gate(request_of(origin="http://localhost:3000"), LOBBY)
    assert isinstance(grant, Grant)
    assert grant.roles == OPEN_ROLES
    assert isinstance(gate(request_of(origin="http://evil.example"), LOBBY), Refusal)
    assert isinstance(gate(request_of(host=f"evil.example:{PORT}"), LOBBY), Refusal)
    with pytest.raises(ConfigError, match="loopback only"):
        gate.bind_address(PORT, address="0.0.0.0")
    with pytest.raises(ConfigError, match="loopback only"):
        gate.bind_address(PORT, address="192.0.2.7")


@pytest.mark.parametrize(
    ("address", "port", "scheme", "hosts", "origins"),
    [
        ("127.0.0.1", 8787, "http", ["127.0.0.1:8787", "localhost:8787"], ["http://localhost:8787"]),
        ("::1", 8787, "http", ["[::1]:8787", "localhost:8787"], ["http://[::1]:8787"]),
        ("192.0.2.7", 8787, "http", ["192.0.2.7:8787"], ["http://192.0.2.7:8787"]),
        ("192.0.2.7", 443, "https", ["192.0.2.7", "192.0.2.7:443"], ["https://192.0.2.7"]),
        ("0.0.0.0", 8787, "http", ["127.0.0.1:8787", "localhost:8787"], ["http://127.0.0.1:8787"]),
    ],
)
def test_a_bound_address_is_allowed_as_host_and_origin(address: str, port: int, scheme: str, hosts: list[str], origins: list[str]) -> None:
    """`serve` allows its own address; a port that the scheme implies may be left out."""
    token = new_token()
    gate = Gate(tokens={token: OWNER})
    assert isinstance(gate(request_of(host=hosts[0], bearer=token), LOBBY), Refusal)
    gate.bind_address(port, address=address, scheme=scheme)
    for host in hosts:
        assert isinstance(gate(request_of(host=host, bearer=token), LOBBY), Grant)
    for origin in origins:
        assert isinstance(gate(request_of(host=hosts[0], origin=origin, bearer=token), LOBBY), Grant)


@pytest.mark.parametrize(
    "origin", ["null", "*", "https://*.example", "example.com", "https://example.com/", "https://a@b", "javascript://x"]
)
def test_an_origin_that_no_page_has_cannot_be_configured(origin: str) -> None:
    """A wildcard or a URL with a path in the config is an error, not a rule that never matches."""
    with pytest.raises(ConfigError, match="is not an Origin"):
        Gate().allow(origins=[origin])


def test_a_short_token_cannot_be_configured() -> None:
    """A token that can be guessed is refused with the remedy."""
    with pytest.raises(ConfigError, match="partywidgets token"):
        Gate(tokens={"secret": OWNER})
    assert len(new_token()) >= 43
    assert new_token() != new_token()


def test_refusals_are_logged_without_credentials(caplog: pytest.LogCaptureFixture) -> None:
    """A log line says who was refused where and why, and holds no token or ticket."""
    gate = kernel_gate(new_token())
    secret = "s3cr3t-s3cr3t-s3cr3t-s3cr3t"
    with caplog.at_level(logging.DEBUG):
        gate(request_of(query=f"ticket={secret}"), LOBBY)
        gate(request_of(query=f"token={secret}"), LOBBY)
        gate(request_of(bearer=secret), LOBBY)
        gate(request_of(protocols=("partywidgets.v1", f"partywidgets.ticket.{secret}")), LOBBY)
    assert len(caplog.records) == 4
    assert "/parties/chat/lobby" in caplog.text
    assert secret not in caplog.text
