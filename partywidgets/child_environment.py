"""Which variables programs that this process starts do not inherit: those that a config named as secrets."""

from __future__ import annotations

import threading

_PLAIN = frozenset({"HOME", "HOSTNAME", "LANG", "LOGNAME", "PATH", "PWD", "SHELL", "TERM", "TMPDIR", "TZ", "USER"})
"""Nobody's secrets, and programs need them: a config may name them all the same."""

_named: frozenset[str] = frozenset()
_lock = threading.Lock()


def hide_variable(name: str) -> None:
    """Keeps an environment variable from shells and checks that are started from now on. Any thread may call it."""
    global _named
    if name not in _PLAIN and not name.startswith("LC_"):
        with _lock:
            _named |= {name}


def hidden_variables() -> frozenset[str]:
    """The names that were hidden. They stay set in this process itself."""
    return _named
