"""Secrets in texts that are saved: found by their looks, and hidden. Terminals and scans share it.

The patterns are those of detect-secrets' plugins, a kept list of what providers' keys look like; what they leave out of a terminal's life
(assignments without quotes, bearer headers, `--password x`, the body of a private key) is added here.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

Span = tuple[int, int]

HIDDEN = "***"

_SECOND_PART = frozenset({"BasicAuthDetector", "AWSKeyDetector"})
"""Plugins whose group is the secret, the rest being where it stands; of the others all is hidden."""
_NOT_SECRET = frozenset({"IPPublicDetector"})
_WORDS = ("token", "passphrase", "credential", "access_?key")
PRIVATE_KEY = re.compile(r"-----BEGIN[^\n]{0,60}PRIVATE KEY[^\n]{0,20}-----.*?(?:-----END[^\n]{0,80}-----|\Z)", re.DOTALL)
_LOOKS = re.compile(r"\(\?:\(\?<=\\W\)\|\(\?<=\^\)\)|\(\?!(?:\\w|\[[^\]]*\])\)|\(\?!\\\$[^()]*\)")
SECRET_REST = re.compile(r"[A-Za-z0-9_+/=.~-]*")
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


def is_suspicious(text: str) -> bool:
    """True where `find_secrets` may find something by its looks; takes a small part of its time."""
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
            spans += [found.span() for found in PRIVATE_KEY.finditer(text)]
            continue
        pattern, group = suspect
        for found in pattern.finditer(text):
            start, end = found.span(group)
            if group == 0 and (rest := SECRET_REST.match(text, end)):
                end = rest.end()
            spans.append((start, end))
    return merged(spans)


def merged(spans: list[Span]) -> list[Span]:
    """The same places in order, without overlaps and empty ones."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        elif end > start:
            found.append((start, end))
    return found


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
