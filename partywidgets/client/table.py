"""Tables as programs print them (df, ps, docker, kubectl, free, ss), read by their columns. Pure functions."""

from __future__ import annotations

import re

# Column names of several words; every other single space in a header separates two columns.
_TWO_WORDS = (
    "Mounted on",
    "CONTAINER ID",
    "IMAGE ID",
    "NETWORK ID",
    "VOLUME NAME",
    "NOMINATED NODE",
    "READINESS GATES",
    "CLUSTER IP",
    "EXTERNAL IP",
    "LAST SEEN",
    "ACCESS MODES",
    "RECLAIM POLICY",
    "NODE SELECTOR",
    "LAST SCHEDULE",
    "MIN AVAILABLE",
    "MAX UNAVAILABLE",
    "ALLOWED DISRUPTIONS",
    "APP VERSION",
    "MEM USAGE / LIMIT",
    "CPU %",
    "MEM %",
    "NET I/O",
    "BLOCK I/O",
    "Local Address:Port",
    "Peer Address:Port",
    "Local Address",
    "Foreign Address",
    "PID/Program name",
)
_JOIN = "\u00a0"


def parse_table(text: str) -> tuple[list[str], list[list[str]]]:
    """Column names and rows of the table in `text`, whose first line is the header. Raises ValueError when it cannot be read as one.

    A table whose header has gaps of two spaces or more everywhere is cut where the names start (docker, kubectl); any other, and any whose
    rows have just as many words as the header, is split at white space, the last column taking the rest (df, ps).
    """
    lines = [line.expandtabs().rstrip() for line in text.splitlines() if line.strip()]
    if len(lines) < 2:
        raise ValueError("there is no table: it takes a header and at least one line below it")
    header, body = lines[0], lines[1:]
    for name in _TWO_WORDS:
        header = re.sub(rf"(?<!\S){re.escape(name)}(?!\S)", name.replace(" ", _JOIN), header)  # not in ps's `%CPU %MEM`
    words = [(match.start(), match.group()) for match in re.finditer(r"[^ ]+", header)]
    if header.startswith(" ") and not any(line.startswith(" ") for line in body):
        words.insert(0, (0, ""))  # free: the first column has no name
    names = [word.replace(_JOIN, " ") for _, word in words]
    if len(names) < 2:
        raise ValueError("there is no table: its first line has one word only")

    split = [line.split(None, len(names) - 1) for line in body]
    if all(len(line.split()) == len(names) for line in body):
        return names, split
    wide = all(words[i + 1][0] - (words[i][0] + len(words[i][1])) >= 2 for i in range(len(words) - 1))
    starts = [start for start, _ in words]
    if wide and all(_cuts(line, starts) for line in body):
        return names, [_cut(line, starts) for line in body]
    if all(len(row) == len(names) for row in split):
        return names, split
    ends = [start + len(word) for start, word in words]
    ends[0] = max(ends[0], *(len(line.split()[0]) for line in body))
    if not names[0] and all(_ends(line, ends) for line in body):
        return names, [[line[start:end].strip() for start, end in zip([0, *ends], ends, strict=False)] for line in body]
    raise ValueError(f"there is no table: its header names {len(names)} columns and a line below has {min(map(len, split))} words")


def _cuts(line: str, starts: list[int]) -> bool:
    """True when `line` has a space before every column's start."""
    return all(start == 0 or start > len(line) or line[start - 1] == " " for start in starts)


def _ends(line: str, ends: list[int]) -> bool:
    """True when `line` has a space behind every column's end: a table whose numbers stand to the right (free)."""
    return len(line) <= ends[-1] and all(end >= len(line) or line[end] == " " for end in ends)


def _cut(line: str, starts: list[int]) -> list[str]:
    return [line[start:end].strip() for start, end in zip(starts, [*starts[1:], None], strict=True)]
