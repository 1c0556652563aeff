"""What was probably meant by a name that does not exist, or by a call that a function does not take."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec, TypeVar

from .exceptions import KeywordError, MissingNameError

P = ParamSpec("P")
R = TypeVar("R")

MAX_NAMES = 20
"""How many valid names are listed when none is near."""

LIKE = {
    "interval": "every",
    "period": "every",
    "frequency": "every",
    "grace": "within",
    "name": "id",
    "description": "title",
    "tags": "labels",
    "priority": "severity",
    "level": "severity",
    "threshold": "crit",
    "critical": "crit",
    "warning": "warn",
    "expect": "conditions",
    "asserts": "conditions",
    "depends": "depends_on",
    "disabled": "enabled",
    "alerts": "notify",
    "notifications": "notify",
    "targets": "checks",
    "endpoints": "checks",
    "monitors": "checks",
    "ping": "icmp",
    "https": "http",
    "web": "http",
    "url": "http",
    "port": "tcp",
    "certificate": "tls",
    "cert": "tls",
    "ssl": "tls",
    "whois": "domain",
    "rdap": "domain",
    "command": "exec",
    "argv": "command",
    "cmd": "command",
    "script": "exec",
    "nagios": "exec",
    "push": "heartbeat",
    "cpu": "host",
    "disk": "host",
    "memory": "host",
    "service": "systemd",
    "unit": "systemd",
    "prometheus": "promql",
    "postgres": "sql",
    "postgresql": "sql",
    "mysql": "sql",
    "database": "sql",
    "container": "docker",
    "k8s": "kubernetes",
    "pod": "kubernetes",
    "python": "function",
}
"""What other monitors, and people, call a key or a kind of check that has another name here."""


def nearest(word: str, valid: Iterable[str]) -> str:
    """What to say after a word that is not among the valid ones: the near ones, else all."""
    valid = list(valid)
    near = difflib.get_close_matches(word, valid, n=2, cutoff=0.55)
    if len(near) == 2 and _likeness(word, near[1]) < _likeness(word, near[0]) - 0.05:
        near.pop()
    meant = LIKE.get(word.lower())
    if meant in valid and (not near or _likeness(word, near[0]) < 0.8):
        near = [meant]
    if near:
        return f"did you mean {' or '.join(map(repr, near))}?"
    listed = ", ".join(valid[:MAX_NAMES]) + (", …" if len(valid) > MAX_NAMES else "")
    return f"expected one of {listed}" if valid else "none is valid here"


def _likeness(word: str, other: str) -> float:
    return difflib.SequenceMatcher(None, other, word).ratio()


class SaysNames:
    """A class that answers a name which it does not have with the one that was probably meant."""

    __slots__ = ()

    _meant: ClassVar[Mapping[str, str]] = {}
    """What people try, as other libraries call it, and what is here in its place: a name, or how to write it."""

    if not TYPE_CHECKING:  # for a type checker the class has what it has

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_"):  # what Python and Jupyter look for
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            if hasattr(type(self), name):  # a property of it raised an AttributeError: that one is to be seen
                return object.__getattribute__(self, name)
            raise missing_name(type(self).__name__, name, [known for known in dir(self) if not known.startswith("_")], self._meant)


def missing_name(owner: str, name: str, known: Iterable[str], meant: Mapping[str, str]) -> MissingNameError:
    """The error for a name that `owner` does not have; `known` are those that it has."""
    if (instead := meant.get(name.lower())) is not None:
        remedy = f"it is {instead}"
    elif near := difflib.get_close_matches(name, known := list(known), n=1, cutoff=0.7):
        remedy = f"did you mean {near[0]!r}?"
    else:
        remedy = f"it has {', '.join(sorted(known))}"
    return MissingNameError(f"{owner} has no {name!r}: {remedy}", name=name)


def says_arguments(function: Callable[P, R]) -> Callable[P, R]:
    """Makes a function refuse arguments that it does not take in one sentence, a KeywordError, in place of Python's TypeError."""

    @functools.wraps(function)
    def call(*given: P.args, **keywords: P.kwargs) -> R:
        try:
            return function(*given, **keywords)
        except TypeError as error:
            if error.__traceback__ is None or error.__traceback__.tb_next is not None:  # it was raised inside
                raise
            complaint = _complaint(function, given, keywords)
        raise KeywordError(complaint)

    return call


def _complaint(function: Callable[..., Any], given: tuple[Any, ...], keywords: Mapping[str, Any]) -> str:
    """What is wrong with a call, and how it is written."""
    parameters = list(inspect.signature(function).parameters.values())
    if parameters and parameters[0].name == "self":
        parameters, given = parameters[1:], given[1:]
    names = [parameter.name for parameter in parameters]
    name = function.__name__
    call = f"{name}({', '.join([*map(_brief, given), *(f'{key}={_brief(value)}' for key, value in keywords.items())])})"
    for keyword in keywords:
        if keyword not in names:
            return f"{name}() has no keyword {keyword!r}: {nearest(keyword, names) if names else 'it takes none'}"
    places = [parameter.name for parameter in parameters if parameter.kind is not inspect.Parameter.KEYWORD_ONLY]
    usage = f"{name}({_parameters(parameters)})"
    if len(given) > len(places):
        if not names:
            return f"{call}: it takes nothing: write {usage}"
        alone = f"only {' and '.join(map(repr, places))} {'stands' if len(places) == 1 else 'stand'}" if places else "nothing stands"
        return f"{call}: {alone} without a keyword: it is {usage}"
    if twice := [place for place in places[: len(given)] if place in keywords]:
        return f"{call}: {twice[0]!r} is given twice: it is {usage}"
    needed = [each.name for each in parameters if each.default is inspect.Parameter.empty]
    lacking = [each for each in needed if each not in keywords and each not in places[: len(given)]]
    return f"{call} lacks {' and '.join(map(repr, lacking))}: it is {usage}"


def _brief(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 40 else f"{shown[:39]}…"


def _parameters(parameters: Iterable[inspect.Parameter]) -> str:
    """As in the source, without the types."""
    shown: list[str] = []
    for parameter in parameters:
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and "*" not in shown:
            shown.append("*")
        has_default = parameter.default is not inspect.Parameter.empty
        shown.append(f"{parameter.name}={parameter.default!r}" if has_default else parameter.name)
    return ", ".join(shown)
