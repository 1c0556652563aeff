"""The header fields of an answer, looked at before they are written (RFC 9110 §5)."""

from __future__ import annotations

import re
from collections.abc import Iterable

NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


def check_fields(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Raises ValueError for what no header may hold.

    An end of a line in one would begin another header, or another answer: an app may have put there what a client sent.
    """
    for name, value in headers:
        if not NAME.fullmatch(name):
            raise ValueError(f"{name[:40]!r} is no name of a header: use letters, digits and '-'")
        if CONTROL.search(value):
            raise ValueError(f"the value of the header {name.decode()} holds a control character, as an end of a line is: leave it out")


__all__ = ["check_fields"]
