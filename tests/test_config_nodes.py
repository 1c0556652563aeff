"""YAML text as nodes: what a plain scalar means, and where it stands."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from partywidgets.config_source import read_yaml
from partywidgets.exceptions import ConfigError


@pytest.fixture(params=["libyaml", "python"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyYAML with libyaml, and as it is where it was built without."""
    if request.param == "python":
        monkeypatch.delattr(yaml, "CSafeLoader")
    else:
        assert hasattr(yaml, "CSafeLoader")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"), ("no", "no"), ("12:30", "12:30"), ("1:30:00", "1:30:00"), ("010", 10), ("0o17", 15), ("-0x1F", -31), ("0b101", 5),
        ("1_000", 1000), ("1.5e-3", 0.0015), (".5", 0.5), ("1e3", 1000.0), ("-.inf", float("-inf")), ("1.2.3", "1.2.3"),
        ("10.0.0.1", "10.0.0.1"), ("'*/5'", "*/5"), ("5m", "5m"), ("", None), ("~", None), ("null", None), ("TRUE", True),
        ("=", "="), ("2026-11-23T10:00:00Z", datetime(2026, 11, 23, 10, tzinfo=UTC)), ("'2026-11-23'", "2026-11-23"), ("!!str 5", "5"),
        ("!!int '5'", 5), ("!!float 3", 3.0), ("http://a:80/x?y=1", "http://a:80/x?y=1"), ("a#b # c", "a#b"), ("1e", "1e"), ("0x", "0x"),
    ],
)  # fmt: skip
def test_plain_scalars_are_those_of_yaml_1_2(parser: None, text: str, value: Any) -> None:
    """Numbers, booleans, null and timestamps; everything else is text, also what YAML 1.1 took for something."""
    found = read_yaml(f"key: {text}\n", path="x.yaml").value["key"]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "line", "column", "sentence"),
    [
        ("a:\n\t- b\n", 2, 1, "a tab stands here: YAML is indented with blanks"),
        ("url: https://x/: y\n", 1, 16, "a second value of one key: quote a text with ': ' in it"),
        ("a: 1\n  b: 2\n", 2, 4, "indent keys of one mapping alike"),
        ("a: {b: 'http://x}\n", 1, 8, "the quote that opens here is never closed"),
        ("a: [1, 2\nb: 3\n", 1, 4, "the [ that opens here is not closed"),
        ("a: {b: 1\nc: 2\n", 1, 4, "the { that opens here is not closed"),
        ("a:\n  - id: a\n    b: c\n   d: e\n", 4, 4, "this line fits no item above it: begin each item with a dash"),
        ("- a\nb: c\n", 2, 1, "this line fits no item above it: begin each item with a dash"),
        ("a: 'it's'\n", 1, 8, "write a quote within quotes twice ('it''s')"),
        ("a: @x\n", 1, 4, "a text does not begin with @: put it into quotes"),
        ("a: b\nx y\n\n", 2, 1, "this line is not a key: it needs a colon"),
    ],
)
def test_what_is_no_yaml_is_told_with_what_to_do(parser: None, text: str, line: int, column: int, sentence: str) -> None:
    """One sentence for who wrote it, at the place that is to be mended, with either parser."""
    with pytest.raises(ConfigError) as refused:
        read_yaml(text, path="x.yaml")
    assert sentence in str(refused.value)
    assert (refused.value.line, refused.value.column) == (line, column)


def test_positions_are_counted_in_characters(parser: None) -> None:
    """Wide and astral characters before a value count one column each."""
    source = read_yaml('é: 1\nlist: ["🙂🙂", 日本, {key: x}]\n', path="x.yaml")
    assert source.position(("list", 1)) == (2, 14)
    assert source.position(("list", 2, "key"), key=True) == (2, 19)
    assert source.position(("list", 2, "key")) == (2, 24)


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a: 1\n--- \nb: 2\n", (2, 1), "expected a single document"),
        ("a: *there\n", (1, 4), "there is no anchor &there"),
        ("a: !!int x\n", (1, 4), "the value 'x' cannot be read as int"),
        ("a: !!timestamp x\n", (1, 4), "cannot be read as timestamp"),
        ("[" * 500_000, (1, 42), "nested deeper than 40 levels"),
        ("- " * 500_000, (1, 83), "nested deeper than 40 levels"),
        ("[" + "1," * 600_000, (1, 1_000_000), "more than 500000 values"),
    ],
)
def test_what_cannot_be_read_has_its_place(text: str, place: tuple[int, int], words: str) -> None:
    """One sentence, however deep or long the text is."""
    with pytest.raises(ConfigError, match=words) as refused:
        read_yaml(text, path="x.yaml")
    assert (refused.value.line, refused.value.column) == place


def test_an_anchor_may_be_used_again(parser: None) -> None:
    """An alias is what its anchor named last."""
    assert read_yaml("a: &x 1\nb: *x\nc: &x 2\nd: *x\n", path="x.yaml").value == {"a": 1, "b": 1, "c": 2, "d": 2}


@pytest.mark.parametrize("indent", [None, 2])
def test_json_is_read_whatever_its_texts_hold(parser: None, indent: int | None) -> None:
    """An emoji that a program wrote as two escapes, as JSON's writers do, is that emoji; a backslash before such letters is a backslash."""
    value = {"title": "\U0001f680\U0001f680 go \ud7ff", "pattern": r"\ud83d\ude80", "odd": "\\\U0001f680"}
    text = json.dumps(value, indent=indent)
    assert "\\ud83d" in text
    assert read_yaml(text, path="x.json").value == value


def test_what_is_no_json_keeps_its_backslashes(parser: None) -> None:
    """In YAML's plain and single-quoted texts an escape is what it looks like."""
    text = r"""a: '\ud83d\ude80'
b: \ud83d\ude80
"""
    assert read_yaml(text, path="x.yaml").value == {"a": r"\ud83d\ude80", "b": r"\ud83d\ude80"}
