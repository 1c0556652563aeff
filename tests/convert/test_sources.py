"""What can be converted, and what cannot."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from partywidgets.convert import convert
from partywidgets.exceptions import ConfigError


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("endpoints: [", "not valid YAML"),
        ("just a text", "not a file that can be converted"),
        ("", "not a file that can be converted"),
        ("{}", "not a file that can be converted"),
        ("checks: []", "a config of partywidgets already"),
        ("services: { web: { image: nginx } }", "not a file that can be converted"),
        ("endpoints: !!python/object:os.system [x]", "the tag"),
        ("endpoints: []", "nothing to look at"),
        (
            "a: &a [x, x, x, x, x, x, x, x, x]\n"
            + "".join(f"{n}: &{n} [{', '.join(['*' + p] * 9)}]\n" for p, n in zip("abcdefgh", "bcdefghi", strict=True))
            + "endpoints: *i\n",
            "500000 values",
        ),
        ("endpoints: &e [*e]", "contains itself"),
        ("endpoints: '" + "x" * (5 << 20) + "'", "longer than"),
        ("endpoints: " + "[" * 100 + "]" * 100, "nested deeper"),
    ],
)
def test_what_cannot_be_converted_is_one_sentence(tmp_path: Path, content: str, why: str) -> None:
    """Not YAML, another tool's file, a bomb of aliases, too much: one sentence."""
    source = tmp_path / "source.yaml"
    source.write_text(content)
    with pytest.raises(ConfigError, match=re.escape(why)) as told:
        convert([source], environ={})
    assert "\n" not in str(told.value)


def test_files_of_two_tools_are_told_apart(tmp_path: Path) -> None:
    """Files of one tool at a time; what a file should be is held against what it is; what is not there is said."""
    gatus, kuma, empty = tmp_path / "gatus.yaml", tmp_path / "kuma.db", tmp_path / "empty"
    gatus.write_text("endpoints: []")
    empty.mkdir()
    with closing(sqlite3.connect(kuma)) as database, database:
        database.execute("create table t (x)")
    with pytest.raises(ConfigError, match="one tool at a time"):
        convert([gatus, kuma], environ={})
    with pytest.raises(ConfigError, match="here kuma"):
        convert([gatus], environ={}, tool="kuma")
    for path, why in ((kuma, "none of Uptime Kuma"), (tmp_path / "gone", "no such file"), (empty, "no YAML file")):
        with pytest.raises(ConfigError, match=why):
            convert([path], environ={})
