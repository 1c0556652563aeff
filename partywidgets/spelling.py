"""What was probably meant by a name that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from .exceptions import MissingNameError

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
