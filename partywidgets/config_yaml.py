"""JSON that YAML's parsers do not read, and what is wrong with a text that is not YAML, for people: the parsers say what they expected, not
what to do."""

from __future__ import annotations

import json
import re
from typing import Any

_PAIR = re.compile(r"(?<!\\)((?:\\\\)*)(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})")

_WORDS: tuple[tuple[str, str, str], ...] = (
    ("quoted scalar", "end of stream", "the quote that opens here is never closed"),
    ("flow sequence", "expected ','", "the [ that opens here is not closed before the next line's key"),
    ("flow mapping", "expected ','", "the { that opens here is not closed before the next line's key"),
    ("", "mapping values are not allowed", "a second value of one key: quote a text with ': ' in it, and indent keys of one mapping alike"),
    ("block collection", "", "this line fits no item above it: begin each item with a dash, and indent the keys of one item alike"),
    ("block mapping", "", "this does not fit the keys above it: indent them alike, and write a quote within quotes twice ('it''s')"),
    ("simple key", "expected ':'", "this line is not a key: it needs a colon, or the one above it is not closed"),
)  # fmt: skip
"""A part of what the parser was about, a part of its complaint, and the sentence. The first that fits counts."""
_BEGUN = ("quoted scalar", "flow sequence", "flow mapping", "simple key")
"""What is at fault where it begins, not where the parser noticed."""


def without_pairs(text: str) -> str:
    """The text; if it is JSON, with the characters themselves for what it writes as two escapes, as Python's and other programs write an
    emoji: to YAML's parsers each of the two is an escape of nothing. What stands behind one, in its line, is found 11 columns to the left.
    """
    if _PAIR.search(text) is None:
        return text
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    return _PAIR.sub(lambda found: found[1] + str(json.loads(f'"{found[2]}"')), text)


def fault_of(error: Any, text: str) -> tuple[str, int | None, int | None]:
    """A sentence, and the line and column (from 1) of what it is about, for PyYAML's MarkedYAMLError."""
    about, problem = (" ".join(str(part or "").split()) for part in (error.context, error.problem))
    mark = error.problem_mark or error.context_mark
    letter = _at(text, mark)
    if letter == "\t":
        sentence = "a tab stands here: YAML is indented with blanks"
    elif "cannot start any token" in problem:
        sentence = f"a text does not begin with {letter}: put it into quotes"
    else:
        # Without libyaml a sequence of a block is named so, and the end of a block is what was expected.
        known = about.replace("block sequence", "block collection")
        fitting = (said for context, part, said in _WORDS if context in known and part in problem)
        sentence = next(fitting, problem or about or "it cannot be read")
    if error.context_mark and any(part in about for part in _BEGUN) and sentence != problem:
        mark = error.context_mark
    return sentence, mark and mark.line + 1, mark and mark.column + 1


def _at(text: str, mark: Any) -> str:
    """The character at a mark; empty behind a line's end."""
    line = next(iter(text.split("\n")[mark.line : mark.line + 1]), "") if mark else ""
    return line[mark.column : mark.column + 1] if mark else ""
