"""The gate alone: tokens, and what stands before them, without a server."""

from __future__ import annotations

import logging

import pytest

from partywidgets.auth import Gate, Identity, Refusal, new_token
from partywidgets.exceptions import ConfigError
from partywidgets.party import Grant
from partywidgets.party.grant import GUEST_ROLES, OWNER_ROLES

from .kernel_host import LOBBY, OWNER, kernel_gate, request_of


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


def test_two_authorization_headers_are_refused() -> None:
    """Whoever stands in front may have looked at the other one: both are 400, also where each of them would do."""
    token = new_token()
    for bearers in ([token, token], [token, "wrong-wrong-wrong-wrong"], ["wrong-wrong-wrong-wrong", token]):
        decision = kernel_gate(token)(request_of(bearer=bearers), LOBBY)
        assert isinstance(decision, Refusal)
        assert decision.status == 400


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
