"""Hosts and Origins: which the gate lets by."""

from __future__ import annotations

import pytest

from partywidgets.auth import LOOPBACK_ORIGINS, Gate, Refusal, new_token
from partywidgets.exceptions import ConfigError
from partywidgets.party import Grant
from partywidgets.party.grant import OPEN_ROLES, OWNER_ROLES

from .kernel_host import BAD_HOSTS, BAD_ORIGINS, LOBBY, OWNER, PORT, kernel_gate, request_of

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
        ("::", 8787, "http", ["[::1]:8787", "127.0.0.1:8787", "localhost:8787"], ["http://[::1]:8787"]),
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
