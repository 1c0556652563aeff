"""What was probably meant by a name that does not exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

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
