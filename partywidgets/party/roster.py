"""The parties of a host: which class stands behind which name of a URL, looked at once, before anybody comes."""

from __future__ import annotations

import difflib
import inspect
import logging
from collections.abc import Mapping

from ..exceptions import ConfigError
from .routing import SEGMENT, kebab
from .server import Server

HOOKS = {
    "on_start": ("props",),
    "get_connection_tags": ("connection", "ctx"),
    "on_connect": ("connection", "ctx"),
    "on_message": ("connection", "message"),
    "on_close": ("connection", "code", "reason", "was_clean"),
    "on_error": ("connection", "error"),
    "on_request": ("request",),
    "on_exception": ("error",),
    "on_alarm": (),
    "on_stop": (),
}
"""What each is called with."""

CAMEL = {"onStart", "getConnectionTags", "onConnect", "onMessage", "onClose", "onError", "onRequest", "onException", "onAlarm"}
"""PartyServer's names of them."""

IN_FRONT = {
    "on_before_connect": "pass a function as on_before_connect= to pw.serve or PartyMiddleware, or as auth= what decides who comes in",
    "on_before_request": "pass a function as on_before_request= to pw.serve or PartyMiddleware, or as auth= what decides who comes in",
    "on_fetch": "what is no room's is a route of the app behind PartyMiddleware",
    "on_cron": "set an alarm in a room, or run it from your app",
}
"""Static methods in PartyKit's own classes (`partykit/server`); here, as in PartyServer, they stand in front of the rooms."""

ELSEWHERE = {"on_disconnect": "on_close", "on_open": "on_connect", "on_receive": "on_message"}
"""What other libraries call a hook."""

FIRST_IN_PARTYKIT = {"message", "msg"}
"""What `partykit/server` calls `onMessage` with first; the connection is second there."""


logger = logging.getLogger("partywidgets.party")


def roster(parties: Mapping[str, type[Server]]) -> dict[str, type[Server]]:
    """The classes by their kebab-case names. Raises ConfigError for what could never work, in one sentence."""
    if not isinstance(parties, Mapping):  # from a cell, where nothing checks types
        raise ConfigError(f"PartyHost takes a mapping of names to Server classes, got {type(parties).__name__}: write {{'chat': Chat}}")
    classes: dict[str, type[Server]] = {}
    for key, server_class in parties.items():
        party = kebab(key)
        if not party or party in classes:
            raise ConfigError(f"the party {key!r} becomes {party!r} in URLs, which is empty or taken: choose another name")
        if not SEGMENT.fullmatch(party):
            raise ConfigError(f"the party {key!r} cannot stand in a URL as it is: use letters and digits of ASCII, '-', '_', '.' and '~'")
        if not (isinstance(server_class, type) and issubclass(server_class, Server)):
            raise ConfigError(f"the party {key!r} needs a class that is derived from Server, got {server_class!r:.60}")
        _check_hooks(server_class)
        _doubt_names(server_class)
        classes[party] = server_class
    return classes


def _check_hooks(server_class: type[Server]) -> None:
    """What is written as it would be for PartyServer is never called, and a hook with other parameters fails at every event."""
    name = server_class.__name__
    for camel in CAMEL:
        if hasattr(server_class, camel):
            raise ConfigError(f"{name}.{camel} would never be called: it is {kebab(camel).replace('-', '_')} here")
    for hook, remedy in IN_FRONT.items():
        for written in (hook, _camel(hook)):
            if hasattr(server_class, written):
                # Whoever wrote it relies on it, to keep somebody out as a rule.
                raise ConfigError(f"{name}.{written} would never be called: {remedy}")
    fetch = inspect.getattr_static(server_class, "fetch", None)
    if inspect.isfunction(fetch) and list(inspect.signature(fetch).parameters)[1:2] == ["request"]:
        # PartyServer's way in, overridden to see each request first; a `fetch` with other parameters is the class' own affair.
        remedy = "give what stands in front of the rooms as auth=, on_before_connect= or on_before_request= to pw.serve or PartyMiddleware"
        raise ConfigError(f"{name}.fetch would never be called: {remedy}")
    options = getattr(server_class, "options", None)
    if isinstance(options, Mapping) and "hibernate" in options:
        raise ConfigError(f"{name}.options says nothing here: write hibernate = {options['hibernate']!r} in its place")
    if isinstance(server_class.subprotocols, str):  # whose letters would be offered by nobody
        raise ConfigError(f"{name}.subprotocols is a tuple of names: write subprotocols = ({server_class.subprotocols!r},)")
    bare = object.__new__(server_class)  # what a hook is called on; none runs here, nor does a constructor
    for hook, arguments in HOOKS.items():
        try:
            inspect.signature(getattr(bare, hook)).bind(*arguments)
        except TypeError:
            raise ConfigError(f"{name}.{hook} is called as {hook}({', '.join(('self', *arguments))}): give it these parameters") from None
    first = next(iter(inspect.signature(bare.on_message).parameters.values()), None)
    if first is not None and first.name in FIRST_IN_PARTYKIT:
        raise ConfigError(f"{name}.on_message is called with the connection first: write on_message(self, connection, message)")


def _doubt_names(server_class: type[Server]) -> None:
    """A method that is nearly a hook, of a class that has not the hook itself, is one that its author waits for. It may be its own."""
    for written in vars(server_class):
        meant = ELSEWHERE.get(written) or next(iter(difflib.get_close_matches(written, HOOKS, n=1, cutoff=0.92)), None)
        if meant is None or hasattr(Server, written) or getattr(server_class, meant) is not getattr(Server, meant):
            continue
        logger.warning("%s.%s is called by nobody but you: the hook is %s", server_class.__name__, written, meant)


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


__all__ = ["roster"]
