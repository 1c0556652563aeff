"""Secrets in texts that are saved: found by their looks, and hidden. Terminals and scans share it.

The patterns are those of detect-secrets' plugins, a kept list of what providers' keys look like; what they leave out of a terminal's life
(assignments without quotes, bearer headers, `--password x`, the body of a private key) is added here.
"""

from __future__ import annotations

import logging
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Span = tuple[int, int]

HIDDEN = "***"
HELD = 16 * 1024
"""Characters that a stream holds back at most while no line ends."""
OVERLAP = 4 * 1024
"""Characters that stay behind when it lets go without a line's end: a longer secret may be cut."""
KEY_LIMIT = 64 * 1024
"""Characters of a private key that never ends."""

_SECOND_PART = frozenset({"BasicAuthDetector", "AWSKeyDetector"})
"""Plugins whose group is the secret, the rest being where it stands; of the others all is hidden."""
_NOT_SECRET = frozenset({"IPPublicDetector"})
_WORDS = ("token", "passphrase", "credential", "access_?key")
_KEY = re.compile(r"-----BEGIN[^\n]{0,60}PRIVATE KEY[^\n]{0,20}-----.*?(?:-----END[^\n]{0,80}-----|\Z)", re.DOTALL)
_KEY_END = re.compile(r"-----END[^\n]{0,80}-----")
_LOOKS = re.compile(r"\(\?:\(\?<=\\W\)\|\(\?<=\^\)\)|\(\?!(?:\\w|\[[^\]]*\])\)|\(\?!\\\$[^()]*\)")
_REST = re.compile(r"[A-Za-z0-9_+/=.~-]*")
_SLOW = (
    ("(?: *)(?:=|:|:=|=>| +|::)(?: *)", "(?: *(?:=>|:=|::|=|:) *| +)"),
    (r"\/\/.+\/:_authToken=", r"\/\/.{1,300}\/:_authToken="),
    (r"eyJ[A-Za-z0-9-_=]+\.", r"eyJ[A-Za-z0-9-_=]{1,1000}\."),
)
"""Parts of patterns as detect-secrets writes them, and the same in a form whose time grows with the text alone. Three runs of blanks behind
each other take a second for 400 blanks and a day for some thousands, in which Python does nothing else; `.+` and `[…]+` are bounded by more
than any registry's address or token's header has."""
_OURS = (
    r"(?i)\bauthorization:(?: *(?:basic|bearer|token))? +[^\s'\"]+",
    r"(?i)\bbearer +[A-Za-z0-9_+/=.~-]{16,}",
    r"(?i)--?(?:password|passwd|token|secret|api-?key)[ =]+[^\s'\"&|;-][^\s'\"&|;]*",
)


@cache
def _patterns() -> tuple[tuple[Any, int], ...]:
    """`(pattern, group)`, the group being what is hidden."""
    import importlib
    import logging
    import pkgutil
    import warnings

    shown = warnings.showwarning
    import detect_secrets.plugins as plugins
    from detect_secrets.plugins.base import RegexBasedDetector
    from detect_secrets.plugins.keyword import DENYLIST

    if warnings.showwarning is not shown:  # its import takes the warnings of the whole process, a notebook's too, into a log
        logging.captureWarnings(False)

    found: list[tuple[Any, int]] = []
    for module in pkgutil.iter_modules(plugins.__path__):
        for detector in vars(importlib.import_module(f"{plugins.__name__}.{module.name}")).values():
            if not isinstance(detector, type) or not issubclass(detector, RegexBasedDetector) or detector.__name__ in _NOT_SECRET:
                continue
            listed = detector.denylist
            if detector.__module__.endswith(module.name) and isinstance(listed, (list, tuple)):
                found += [(_quick(pattern), int(detector.__name__ in _SECOND_PART and pattern.groups > 0)) for pattern in listed]
    words = "|".join((*DENYLIST, *_WORDS))
    value = r"""("[^"\n]+"|'[^'\n]+'|(?!\$|\*\*\*|null\b|none\b|true\b|false\b)[^\s"'`,;&|()<>{}\[\]]{3,})"""
    found.append((re.compile(rf"(?:{words})[\w-]{{0,40}}[\]'\"]{{0,2}} *(?::=|=>|[:=]) *{value}", re.IGNORECASE), 1))
    found += [(re.compile(pattern), 0) for pattern in _OURS]
    return tuple(found)


def _quick(pattern: re.Pattern[str]) -> re.Pattern[str]:
    source = pattern.pattern
    for slow, quick in _SLOW:
        source = source.replace(slow, quick)
    return re.compile(source, pattern.flags)


@cache
def _suspicion() -> tuple[Any, tuple[tuple[Any, int] | None, ...], tuple[tuple[Any, int], ...]]:
    """A set of all patterns that RE2 knows, matched in one pass; those patterns by their number in it (None: a key's beginning); and those
    that RE2 does not know."""
    import re2

    options = re2.Options()
    options.log_errors = False
    options.max_mem = 64 << 20  # its automaton is made as texts need it: with too little room it would see nothing, and say nothing
    quick, numbered, slow = re2.Set.SearchSet(options), [], []
    for pattern, group in _patterns():
        # What RE2 does not know only narrows a pattern: without it, more is suspected.
        source = re.sub(r"\{(50|1),\d{3,}\}", r"{\1,}", _LOOKS.sub("", pattern.pattern))
        try:
            re2.compile(source, options)
        except re2.error:
            slow.append((pattern, group))
        else:
            quick.Add(f"(?i){source}" if pattern.flags & re.IGNORECASE else source)
            numbered.append((pattern, group))
    quick.Add("-----BEGIN|PuTTY-User-Key")
    quick.Compile()
    return quick, (*numbered, None), tuple(slow)


def _suspects(text: str) -> list[tuple[Any, int] | None]:
    """The patterns that may be found in a text."""
    quick, numbered, slow = _suspicion()
    return [*(numbered[index] for index in sorted(quick.Match(text) or ())), *(entry for entry in slow if entry[0].search(text))]


def _suspicious(text: str) -> bool:
    return bool(_suspects(text))


def find_secrets(text: str, known: Iterable[str] = ()) -> list[Span]:
    """Where secrets stand in a text, in order and without overlaps: by their looks, and the values of `known`."""
    spans: list[Span] = []
    for value in known:
        at = text.find(value) if value else -1
        while at >= 0:
            spans.append((at, at + len(value)))
            at = text.find(value, at + len(value))
    for suspect in _suspects(text):
        if suspect is None:
            spans += [found.span() for found in _KEY.finditer(text)]
            continue
        pattern, group = suspect
        for found in pattern.finditer(text):
            start, end = found.span(group)
            if group == 0 and (rest := _REST.match(text, end)):
                end = rest.end()
            spans.append((start, end))
    return _merged(spans)


def _merged(spans: list[Span]) -> list[Span]:
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        elif end > start:
            merged.append((start, end))
    return merged


def redact(text: str, known: Iterable[str] = ()) -> str:
    """A text with each secret as `***`."""
    parts, at = [], 0
    for start, end in find_secrets(text, known):
        parts += [text[at:start], HIDDEN]
        at = end
    return "".join((*parts, text[at:])) if parts else text


class RedactingFormatter(logging.Formatter):
    """A log's lines, tracebacks too, without secrets; `known` gives the values that are secret whatever they look like."""

    known: Callable[[], Iterable[str]] = staticmethod(tuple)

    def format(self, record: logging.LogRecord) -> str:
        """The whole text of a record."""
        return redact(super().format(record), self.known())


_MARKUP = re.compile(r"<[^>]*>")


def redact_html(markup: str, known: Iterable[str] = ()) -> str:
    """HTML with each secret of its text as `*`, also where tags cut it. Its elements stay."""
    parts = re.split(r"(<[^>]*>)", markup)
    parts[::2] = [part.replace("&quot;", '"').replace("&#x27;", "'").replace("&#39;", "'") for part in parts[::2]]
    markup = "".join(parts)
    plain = _Plain(markup, glued=True, control=_MARKUP)
    spans = [(plain.raw(start), plain.raw(stop - 1) + 1) for start, stop in find_secrets(plain.text, known)]
    return _starred(markup, _outside(markup, spans, _MARKUP)) if spans else markup


# A stream

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
            if not any(_suspicious(text) or any(value in text for value in known) for text in {joined, lines}):
                return []
        spans: list[Span] = []
        for glued in (False, True) if _MOVES.search(output) else (False,):
            plain = _Plain(output, glued=glued)
            found = find_secrets(plain.text, known)
            if not glued and self._masking and (rest := _REST.match(plain.text)):
                found.insert(0, rest.span())
            if not glued and self._key:
                ending = _KEY_END.search(plain.text)
                found.insert(0, (0, ending.end() if ending else len(plain.text)))
            spans += [(plain.raw(start), plain.raw(stop - 1) + 1) for start, stop in found if stop > start]
        return _merged(spans)

    def _follow_key(self, gone: str) -> bool:
        """Whether what was let go ends within a private key."""
        text = _Plain(gone, glued=False).text
        if self._key:
            ending = _KEY_END.search(text)
            self._key = 0 if ending else max(0, self._key - len(text))
            text = text[ending.end() :] if ending else ""
        if any(begun.end() == len(text) and not _KEY_END.search(begun[0]) for begun in _KEY.finditer(text)):
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
