"""Tables as programs print them (df, ps, docker, kubectl, free, ss, systemctl, psql), read by their columns. Pure functions."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

from .records import parse_separated, parse_shape, row_word

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
    "DISK USAGE",
    "CONTENT SIZE",
    "UNIT FILE",
    "Local Address:Port",
    "Peer Address:Port",
    "Local Address",
    "Foreign Address",
    "PID/Program name",
)
_TITLE = re.compile(r"(?:Active (?:Internet|UNIX) |Kernel (?:IP|Interface) |procs -+).*|.* load average: .*")
"""What stands over a header: netstat, route, vmstat, w."""
_LEGEND = re.compile(r"LOAD +=|top - |\d+ (?:loaded units|unit files|timers|sockets) listed")
"""How a part begins that is not a table: below systemctl's, above top's."""
_SOCKETS = ["Peer Address:Port", "Process"]
_RULE = re.compile(r"[-=+| ]*[-=]{2}[-=+| ]*|-")
_FOOTER = re.compile(r"\(\d+ rows?\)")
_FILE = re.compile(
    r"(?P<mode>[-bcdlps][-rwxsStT]{9}[.+@]?) +(?P<links>\d+) +(?P<owner>\S+) +(?P<group>\S+) +(?P<size>\d\S*|\d+, *\d+) "
    r"+(?P<modified>\S+ +\d+ +\d[\d:]*|\d{4}-\d\d-\d\d \S+(?: [-+]\d{4})?|\d\d-\d\d \S+) (?P<name>.+)"
)


def parse_table(text: str, command: str = "") -> tuple[list[str], list[list[str]]]:
    """Column names and rows of the table in `text`, whose first line is the header. Raises ValueError when it cannot be read as one.

    Columns are parted where every line is blank, so that cells may be empty or have blanks (docker, kubectl, ss, systemctl). Where a cell
    is wider than its column, lines are split at white space, the last column taking the rest (ps). A line of dashes below the header shows
    the columns (psql, mysql, sqlite3), and of `ls -l` they are known, as of what `command` is known to print without a header. Two
    tables, parted by an empty line, are none, and nor is an output whose first line is a row.
    """
    if (known := parse_shape(text, command) or parse_separated(text)) is not None:
        return known
    parts = [part.strip("\n").expandtabs() for part in re.split(r"\n(?:[ \t]*\n)+", f"\n{text}\n")]
    parts = [part for part in parts if part.strip() and not _LEGEND.match(part.lstrip())]
    if len(parts) > 1:
        raise ValueError(f"there are {len(parts)} parts with an empty line between them: print one table")
    lines = [line.rstrip() for line in parts[0].split("\n")] if parts else []
    if (files := _files(lines)) is not None:
        return files
    if lines and _TITLE.fullmatch(lines[0]):
        del lines[0]
    if len(lines) == 1 and (names := _header_alone(lines[0])):
        return names, []
    if len(lines) < 2:
        raise ValueError("there is no table: it takes a header and at least one line below it")
    names, rows = _ruled(lines) or _plain(lines)
    if (word := row_word(names)) is not None:
        raise ValueError(f"there is no table: its first line is a row, with {word!r} in it, and no header names the columns")
    return names, rows


def _header_alone(line: str) -> list[str] | None:
    """The names of a table without rows, as `docker ps` prints where nothing runs: all in capitals, or ss's."""
    names = [word for _, word in _words(line.strip())]
    capitals = len(names) > 1 and not re.search(r"[a-z.:,;]", line)
    return names if capitals or names[-2:] == _SOCKETS else None


def _files(lines: list[str]) -> tuple[list[str], list[list[str]]] | None:
    """The table of `ls -l`, which has no header."""
    if lines and re.fullmatch(r"total \S+", lines[0]):
        lines = lines[1:]
    found = [_FILE.fullmatch(line) for line in lines]
    rows = [list(match.groups()) for match in found if match is not None]
    return (list(_FILE.groupindex), rows) if rows and len(rows) == len(lines) else None


def _ruled(lines: list[str]) -> tuple[list[str], list[list[str]]] | None:
    """A table with lines of dashes, cut where they have gaps; None where there are none with a gap."""
    rule = next((line for line in lines[:2] if _RULE.fullmatch(line)), "")
    starts = [found.start() for found in re.finditer(r"[-=]+", rule)]
    if len(starts) < 2:
        return None
    cells = [
        [line[start:end].strip(" |") for start, end in _pairs(starts)]
        for line in lines
        if not _RULE.fullmatch(line) and not _FOOTER.fullmatch(line.strip())
    ]
    return cells[0], cells[1:]


def _plain(lines: list[str]) -> tuple[list[str], list[list[str]]]:
    lines = [line for line in lines if not _RULE.fullmatch(line)]
    header = lines[0]
    # systemctl's dot before what failed stands in no column.
    body = [re.sub(r"^[^\w\s/.-] ", "  ", line) for line in lines[1:]] if header.startswith("  ") else lines[1:]
    words = _words(header)
    if header.startswith(" ") and not any(line.startswith(" ") for line in body) and len(body[0].split()) > len(words):
        words.insert(0, (0, ""))  # free: the first column has no name
    names = [word for _, word in words]
    if len(names) < 2:
        raise ValueError("there is no table: its first line has one word only")
    split = [line.split(None, len(names) - 1) for line in body]
    if names[-2:] == _SOCKETS:
        return names, _sockets(split, len(names))
    if all(len(line.split()) == len(names) for line in body):
        return names, split
    starts = [start for start, _ in words]
    wide = all(behind - before - len(word) >= 2 for (before, word), (behind, _) in pairwise(words))
    if wide and all(_cuts(line, starts) for line in body):
        return names, [_cut(line, starts) for line in body]
    # Prose has no gaps.
    parted = _parted(words, header, body) if "  " in header.strip() else None
    if parted is not None and parted.sure:
        return parted.names, parted.rows
    if all(len(row) == len(names) for row in split):
        return names, split
    if parted is not None:
        return parted.names, parted.rows
    raise ValueError(f"there is no table: its header names {len(names)} columns and a line below has {min(map(len, split))} words")


def _sockets(rows: list[list[str]], count: int) -> list[list[str]]:
    """The rows of ss, whose names stand beside their columns; that of the process may be empty."""
    if any(len(row) < count - 1 or ":" not in row[count - 3] or ":" not in row[count - 2] for row in rows):
        raise ValueError("there is no table: its addresses are not HOST:PORT")
    return [[*row, ""][:count] for row in rows]


def _words(header: str) -> list[tuple[int, str]]:
    """The names of a header with their places. A name of several words stands by itself, not in ps's `%CPU %MEM`."""
    several = "|".join(re.escape(name) for name in _TWO_WORDS)
    found = re.finditer(rf"(?<!\S)(?:{several})(?!\S)|(?<!\S)Peer Address:Port(?=Process)|[^ ]+", header)
    return [(match.start(), match.group()) for match in found]


class _Parted(NamedTuple):
    """A table that was cut where all of its lines are blank."""

    names: list[str]
    rows: list[list[str]]
    sure: bool
    """No cell may be two: those with a blank are their lines' last, or all of their column begin below its name."""


def _parted(words: list[tuple[int, str]], header: str, body: list[str]) -> _Parted | None:
    """The table cut so; None where that does not part its names."""
    taken = 0
    for line in (header, *body):
        for run in re.finditer(r"[^ ]+", line):
            taken |= ((1 << (run.end() - run.start())) - 1) << run.start()
    names: list[list[str]] = []
    starts: list[int] = []
    below: list[bool] = []
    for run in re.finditer("1+", bin(taken)[:1:-1]):
        inside = [(start, word) for start, word in words if run.start() <= start < run.end()]
        if inside:
            names.append([word for _, word in inside])
            starts.append(run.start() if starts else 0)
            beside = [line[run.start() : run.end()] for line in body]
            below.append(inside[0][0] == run.start() and not any(cell.startswith(" ") and cell.strip() for cell in beside))
    rows = [_cut(line, starts) for line in body]
    blank = [any(" " in row[at] for row in rows) for at in range(len(names))]
    if len(names) < 2 or any(len(inside) > 1 and has for inside, has in zip(names, blank, strict=True)):
        return None
    sure = all(begins or not has for begins, has in zip(below[:-1], blank[:-1], strict=True))
    return _Parted([" ".join(inside) for inside in names], rows, sure)


def _pairs(starts: list[int]) -> list[tuple[int, int | None]]:
    """From each start to the next."""
    return list(zip(starts, [*starts[1:], None], strict=True))


def _cuts(line: str, starts: list[int]) -> bool:
    """True when `line` has a space before every column's start."""
    return all(start == 0 or start > len(line) or line[start - 1] == " " for start in starts)


def _cut(line: str, starts: list[int]) -> list[str]:
    return [line[start:end].strip() for start, end in _pairs(starts)]
