"""Text from a target, made safe to show: one line, bounded, without what a terminal would obey."""

from __future__ import annotations

import re

_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
LINE_CHARS = 200
"""Most characters of a line where its place says no other number: a summary, a title."""
_BLANKS = re.compile(r"\s+")


def safe_text(text: str) -> str:
    """The text with what a terminal or a reader's eye could be tricked by made visible.

    Control characters other than tab and newline become their pictures (U+2400…), C1 controls, direction overrides and lone surrogates
    U+FFFD.
    """
    if text.isprintable():
        return text
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    return _UNSAFE.sub(_picture, text)


def _picture(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else "\ufffd"


def one_line(text: str, limit: int = LINE_CHARS) -> str:
    """The text on one line of at most `limit` characters, an ellipsis where it was cut."""
    if len(text) <= limit and text.isprintable() and "  " not in text and text[:1] != " " and text[-1:] != " ":
        return text  # nearly all texts are: three times faster than the patterns
    line = _BLANKS.sub(" ", safe_text(text)).strip()
    return line if len(line) <= limit else line[: limit - 1] + "…"


def capped(text: str, limit: int) -> str:
    """The text's first `limit` bytes of UTF-8, cut between characters."""
    if len(text) * 4 <= limit:
        return text
    raw = text.encode("utf-8", "replace")
    return text if len(raw) <= limit else raw[:limit].decode("utf-8", "ignore")
