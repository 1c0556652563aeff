"""Output that is data by itself (JSON, CSV, tabs), and what common commands print without a header. Pure functions."""

from __future__ import annotations

import csv
import json
import re
from typing import Any

_SIZE = r"\d[\d.,]*(?:[KMGTPEZY]i?)?B?"
_ROW = re.compile(
    rf"{_SIZE}|[~.]{{0,2}}/.*|\d+(?:\.\d+){{3}}\S*|(?=\S*\d)[0-9a-f]{{7,40}}|[^\w%#]+|\S+:|\S+=\S*"
    r"|\S+\.(?:service|socket|timer|mount|target|slice|scope)"
)
"""A word that is of a row, not the name of a column: a size, a path, an address, a commit, a sign, a key, a unit."""
_SHAPES = (
    (re.compile(r"\bdu\b"), re.compile(rf"(?P<size>{_SIZE})\t(?P<path>.+)")),
    (re.compile(r"\bwc\b"), re.compile(r" *(?P<lines>\d+) +(?P<words>\d+) +(?P<bytes>\d+)(?: (?P<file>.+))?")),
    (re.compile(r"\bwc +-l\b"), re.compile(r" *(?P<lines>\d+) (?P<file>.+)")),
    (re.compile(r"\buniq +(?:-\w+ +)*-\w*c"), re.compile(r" *(?P<count>\d+) (?P<value>.*)")),
    (re.compile(r"\bgit\b.* status\b"), re.compile(r"(?P<status>##|[ MTADRCU?!]{2}) (?P<path>.+)")),
    (re.compile(r"\bgit\b.* --name-status\b"), re.compile(r"(?P<status>[ACDMRTUXB]\d*)\t(?P<path>.+)")),
    (re.compile(r"\bgit\b.* remote\b"), re.compile(r"(?P<name>\S+)\t(?P<url>\S+) \((?P<direction>fetch|push)\)(?: \[.*\])?")),
    (re.compile(r"\bmount\b"), re.compile(r"(?P<source>.+?) on (?P<target>.+) type (?P<fstype>\S+) \((?P<options>.*)\)")),
)
"""What a command prints that has no header: by its name, since two of them look the same, and by its lines."""


def parse_json(text: str) -> list[dict[str, Any]] | None:
    """The records of JSON, whole or a value a line; of an object with one list of objects (kubectl's `items`) its. None: no JSON."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        values = json.loads(text)
    except ValueError:
        try:
            values = [json.loads(line) for line in text.splitlines() if line.strip()]
        except ValueError:
            return None
    if isinstance(values, dict):
        lists = [value for value in values.values() if _records(value)]
        values = lists[0] if len(lists) == 1 else [values]
    return values if _records(values) else None


def parse_shape(text: str, command: str) -> tuple[list[str], list[list[str]]] | None:
    """Column names and rows of what `command` prints without a header; None where it is not one of those, or prints something else."""
    lines = text.splitlines()
    for name, shape in _SHAPES:
        if name.search(command):
            found = [shape.fullmatch(line) for line in lines]
            rows = [list(match.groups("")) for match in found if match is not None]
            if rows and len(rows) == len(lines):
                return list(shape.groupindex), rows
    return None


def parse_separated(text: str) -> tuple[list[str], list[list[str]]] | None:
    """Column names and rows where tabs, commas or semicolons part every line alike, quotes as in CSV; None where they do not."""
    lines = [line for line in text.splitlines() if line]
    if len(lines) < 2:
        return None
    for separator in "\t,;":
        if separator not in lines[0] or (separator != "\t" and f"{separator} " in lines[0]):  # a sentence has them, too
            continue
        names, *rows = csv.reader(lines, delimiter=separator, quoting=csv.QUOTE_NONE if separator == "\t" else csv.QUOTE_MINIMAL)
        if all(name.strip() for name in names) and all(len(row) == len(names) for row in rows):
            return (names, rows) if row_word(names) is None else None
    return None


def row_word(names: list[str]) -> str | None:
    """The first of some column names that is none, but a word of a row: the output has no header."""
    return next((name for name in names if name and _ROW.fullmatch(name)), None)


def _records(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)
