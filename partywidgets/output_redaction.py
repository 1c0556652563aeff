"""Secrets in what a terminal shows, hidden in place: in output that comes in pieces, and in the HTML of a screen.

What stands between their characters (control sequences, tags) stays, and so does the shape of what is shown: each character becomes `*`.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from .redaction import PRIVATE_KEY, SECRET_REST, Span, find_secrets, is_suspicious, merged

T = TypeVar("T")

HELD = 16 * 1024
"""Characters that a stream holds back at most while no line ends."""
OVERLAP = 4 * 1024
"""Characters that stay behind when it lets go without a line's end: a longer secret may be cut."""
KEY_LIMIT = 64 * 1024
"""Characters of a private key that never ends."""

_KEY_END = re.compile(r"-----END[^\n]{0,80}-----")
_MARKUP = re.compile(r"<[^>]*>")
_CONTROL = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\|(?=\x1b)|\Z)"  # OSC
    r"|\x1b[PX^_][^\x1b]*(?:\x1b\\|(?=\x1b)|\Z)"  # DCS, SOS, PM, APC
    r"|\x1b\[[0-?]*[ -/]*[@-~]?"  # CSI
    r"|\x1b[ -/]*[0-~]?"
    r"| ?\r(?!\n)|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f]"
)
_PARTIAL = re.compile(r"\x1b(?:[\]PX^_][^\x07\x1b]*\x1b?|\[[0-?]*[ -/]*|[ -/]*)?\Z")
_MOVES = re.compile(r"\x1b\[[0-9;]*[ABEFHfdJLMST]| ?\r")
_OSC = re.compile(r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\|(?=\x1b)|\Z)")
_VISIBLE = re.compile(r"[^\s\x00-\x1f\x7f]")
_CLIPBOARD_OR_MARK = re.compile(r"\x1b\](?:633|52);")


class _Plain:
    """Terminal output without its control sequences, and where each stretch of it stands in the output."""

    def __init__(self, output: str, *, glued: bool, control: re.Pattern[str] = _CONTROL) -> None:
        parts: list[str] = []
        self._plain: list[int] = []
        self._raw: list[int] = []
        size = at = 0
        for found in control.finditer(output):
            if found.start() > at:
                self._plain.append(size)
                self._raw.append(at)
                parts.append(output[at : found.start()])
                size += found.start() - at
            if not glued and _MOVES.match(found[0]):
                self._plain.append(size)
                self._raw.append(found.start())
                parts.append("\n")
                size += 1
            at = found.end()
        self._plain.append(size)
        self._raw.append(at)
        self.text = "".join((*parts, output[at:]))

    def raw(self, position: int) -> int:
        """Where the character at a position of `text` stands in the output."""
        index = bisect_right(self._plain, position) - 1
        return self._raw[index] + position - self._plain[index]


def redact_html(markup: str, known: Iterable[str] = ()) -> str:
    """HTML with each secret of its text as `*`, also where tags cut it. Its elements stay."""
    parts = re.split(r"(<[^>]*>)", markup)
    parts[::2] = [part.replace("&quot;", '"').replace("&#x27;", "'").replace("&#39;", "'") for part in parts[::2]]
    markup = "".join(parts)
    plain = _Plain(markup, glued=True, control=_MARKUP)
    spans = [(plain.raw(start), plain.raw(stop - 1) + 1) for start, stop in find_secrets(plain.text, known)]
    return _starred(markup, _outside(markup, spans, _MARKUP)) if spans else markup


class StreamRedactor(Generic[T]):
    """Redacts output that comes in pieces, wherever they are cut and whatever control sequences stand in it.

    A secret's characters become `*` in place, so that the screen keeps its shape. It holds the line that has not ended yet, at most 16 KiB.
    Marks of ours (OSC 633) and the clipboard (OSC 52) are left out. Each piece has a tag (a time); tags keep their order, text moves to no
    other tag.
    """

    def __init__(self, known: Callable[[], Iterable[str]] = tuple) -> None:
        self._known = known
        self._held: list[tuple[T, str]] = []
        self._size = 0
        self._key = 0
        """Characters of a private key that may still follow."""
        self._masking = False
        """The text let go ended within a secret."""

    def feed(self, tag: T, text: str) -> list[tuple[T, str]]:
        """Takes a piece; returns what is let go now. An empty text carries its tag in its place."""
        self._held.append((tag, text))
        self._size += len(text)
        if self._size > HELD or "\n" in text or self._size == 0:
            return self._let_go(end=False)
        return []

    def flush(self) -> list[tuple[T, str]]:
        """Lets go of everything."""
        return self._let_go(end=True)

    def _let_go(self, *, end: bool) -> list[tuple[T, str]]:
        output = "".join(text for _, text in self._held)
        spans = self._spans(output)
        cut = len(output) if end else self._cut(output, spans)
        hidden = output
        if cut:
            hidden = _masked(output, [(start, stop if stop < len(output) else cut) for start, stop in spans if start < cut])
            within_key = bool(spans) and self._follow_key(output[:cut])
            self._masking = not within_key and any(start < cut and stop >= len(output) for start, stop in spans)
        return self._split(hidden, cut)

    def _cut(self, output: str, spans: list[Span]) -> int:
        """How much of the output can go: whole lines, or with very long ones all but an overlap."""
        cut = output.rfind("\n") + 1 or (max(0, len(output) - OVERLAP) if len(output) > HELD else 0)
        if len(output) > 2 * HELD:
            return cut
        partial = _PARTIAL.search(output)
        if partial is not None:
            cut = min(cut, partial.start())
        if not self._key and spans and spans[-1][0] < cut and spans[-1][1] >= len(output) and "PRIVATE KEY" not in output:
            cut = spans[-1][0]
        return cut

    def _spans(self, output: str) -> list[Span]:
        """Where secrets stand in the output."""
        known = tuple(self._known())
        if not self._key and not self._masking:
            # Most output holds none: the map of places is made only where one is suspected.
            joined, lines = _CONTROL.sub("", output), _CONTROL.sub("", _MOVES.sub("\n", output))
            if not any(is_suspicious(text) or any(value in text for value in known) for text in {joined, lines}):
                return []
        spans: list[Span] = []
        for glued in (False, True) if _MOVES.search(output) else (False,):
            plain = _Plain(output, glued=glued)
            found = find_secrets(plain.text, known)
            if not glued and self._masking and (rest := SECRET_REST.match(plain.text)):
                found.insert(0, rest.span())
            if not glued and self._key:
                ending = _KEY_END.search(plain.text)
                found.insert(0, (0, ending.end() if ending else len(plain.text)))
            spans += [(plain.raw(start), plain.raw(stop - 1) + 1) for start, stop in found if stop > start]
        return merged(spans)

    def _follow_key(self, gone: str) -> bool:
        """Whether what was let go ends within a private key."""
        text = _Plain(gone, glued=False).text
        if self._key:
            ending = _KEY_END.search(text)
            self._key = 0 if ending else max(0, self._key - len(text))
            text = text[ending.end() :] if ending else ""
        if any(begun.end() == len(text) and not _KEY_END.search(begun[0]) for begun in PRIVATE_KEY.finditer(text)):
            self._key = KEY_LIMIT
        return self._key > 0

    def _split(self, output: str, cut: int) -> list[tuple[T, str]]:
        """Deals the redacted output out to the pieces that it came in; what is behind `cut` stays."""
        gone: list[tuple[T, str]] = []
        kept: list[tuple[T, str]] = []
        at = 0
        for tag, text in self._held:
            stop = at + len(text)
            if stop <= cut and (text or not kept):
                gone.append((tag, output[at:stop]))
            elif at >= cut:
                kept.append((tag, output[at:stop]))
            else:
                gone.append((tag, output[at:cut]))
                kept.append((tag, output[cut:stop]))
            at = stop
        self._held, self._size = kept, len(output) - min(cut, len(output))
        return [(tag, text.replace("\0", "")) for tag, text in gone]


def _quiet(found: re.Match[str]) -> str:
    """An OSC without secrets, as long as it was; NUL, which a terminal ignores, is what goes."""
    sequence = found[0]
    if _CLIPBOARD_OR_MARK.match(sequence):
        return "\0" * len(sequence)
    spans = find_secrets(sequence[2:])
    return _starred(sequence, [(start + 2, stop + 2) for start, stop in spans]) if spans else sequence


def _starred(text: str, spans: list[Span]) -> str:
    parts, at = [], 0
    for start, stop in spans:
        parts += [text[at:start], _VISIBLE.sub("*", text[start:stop])]
        at = stop
    return "".join((*parts, text[at:]))


def _outside(output: str, spans: list[Span], control: re.Pattern[str]) -> list[Span]:
    """What of the spans is text."""
    found: list[Span] = []
    for start, stop in spans:
        for sequence in control.finditer(output, start, stop):
            found.append((start, sequence.start()))
            start = sequence.end()
        found.append((start, max(start, stop)))
    return found


def _masked(output: str, spans: list[Span]) -> str:
    """The output with each printable character of the spans as `*`; their control sequences stay."""
    if spans:
        output = _starred(output, _outside(output, spans, _CONTROL))
    return _OSC.sub(_quiet, output) if "\x1b]" in output else output
