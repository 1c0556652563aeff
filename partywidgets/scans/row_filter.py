"""The language of the table's filter: words that all must be there. `ts/rooms/row-filter.ts` reads the same, by the same vectors."""

from __future__ import annotations

import operator
import re
import time
from collections.abc import Callable, Collection

from .columns import COLUMN_KEYS
from .model import CheckResult
from .row_values import label_texts, stale_at, text_of

Keep = Callable[[CheckResult], bool]

SEARCHED = ("title", "check_id", "check_type", "target", "summary", "status", "severity")
SHORT = {"check": "title", "id": "check_id", "type": "check_type", "duration": "duration_ms", "ack": "suppression", "label": "labels"}
COMPARE: dict[str, Callable[[float, float], bool]] = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}
WORDS = 50
"""Most words that are read."""
STALE = "is:stale"
"""The word for rows that were not looked at in time."""

_WORD = re.compile(r'-?(?:[\w.]+[:<>]=?)?(?:"[^"]*"?|\S+)', re.ASCII)
_TERM = re.compile(r'(-?)(?:([a-z_]+)(:|[<>]=?))?("?)(.*?)"?', re.IGNORECASE | re.DOTALL)
_NUMBER = re.compile(r"\d+(\.\d+)?", re.ASCII)


def goes_by_time(search: str) -> bool:
    """True when time alone changes which rows a filter keeps."""
    return any(match.group().lower().removeprefix("-") == STALE for match in _WORD.finditer(search))


def compile_filter(search: str, statuses: Collection[str] = (), clock: Callable[[], float] = time.time) -> Keep:
    """A test of rows. `-word` must not be there, `column:word` looks into one column, `duration>500` compares milliseconds, `is:stale` are
    rows that were not looked at in time."""
    terms = [_term(match.group(), clock) for match in _WORD.finditer(search)][:WORDS]
    whole_text = any(term[0] is None for term in terms)

    def keep(row: CheckResult) -> bool:
        if statuses and row.status not in statuses:
            return False
        text = ""
        if whole_text:
            text = "\n".join([*(text_of(row, key) for key in SEARCHED), *label_texts(row)]).lower()
        return all(((part in text) if test is None else test(row)) is wanted for test, part, wanted in terms)

    return keep


def _term(word: str, clock: Callable[[], float]) -> tuple[Keep | None, str, bool]:
    """A test of the row, or a part that its whole text must have; and whether it must, or must not."""
    match = _TERM.fullmatch(word)
    minus, name, sign, _, rest = match.groups("") if match else ("", "", "", "", word)
    key, wanted = _column(name), minus == ""
    if word.lower().removeprefix("-") == STALE:
        return (lambda row: stale_at(row) < clock()), "", wanted
    if key == "duration_ms" and sign in COMPARE and _NUMBER.fullmatch(rest):
        compare, bound = COMPARE[sign], float(rest)
        return (lambda row: compare(row.duration_ms, bound)), "", wanted
    if key is not None and sign == ":":
        part = rest.lower()
        return (lambda row: part in text_of(row, key).lower()), "", wanted
    if len(word) == 1:
        return None, word.lower(), True
    return None, (word if wanted else word[1:]).replace('"', "").lower(), wanted


def _column(name: str) -> str | None:
    key = SHORT.get(name.lower(), name.lower())
    return key if key in COLUMN_KEYS else None
