"""Conditions: CEL's rules, held against cel-python where it has an answer, and the values that a person is shown."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import celpy
import pytest
from celpy.adapter import json_to_cel
from celpy.evaluation import CELEvalError
from hypothesis import given, settings
from hypothesis import strategies as st

from partywidgets.exceptions import ConfigError
from partywidgets.scans.condition import compile_condition, require_names
from partywidgets.scans.expression_node import STEPS

VALUES: dict[str, Any] = {
    "status": 200,
    "duration_ms": 12.5,
    "used_percent": 81.0,
    "body": {
        "status": "ok",
        "count": 3,
        "share": 0.5,
        "none": None,
        "list": [1, 2, 3],
        "up": True,
        "a-b": "x",
        "nested": {"deep": [{"n": 7}]},
    },
    "headers": {"content-type": "text/html; charset=utf-8"},
    "records": ["192.0.2.1", "192.0.2.2"],
    "text": "line one\nline two",
    "certificate_expires_in": timedelta(days=13, hours=2),
    "not_after": datetime(2026, 12, 1, tzinfo=UTC),
    "empty": [],
    "yes": True,
}

BOTH = [
    "status == 200",
    "status != 200",
    "status >= 200 && status < 300",
    "status == 500 || body.status == 'ok'",
    "duration_ms < 500.0",
    "duration_ms < 500",
    "used_percent > 80",
    "body.count + 1 == 4",
    "body.count * 2 - 1 == 5",
    "7 / 2 == 3",
    "-7 / 2 == -3",
    "-7 % 3 == -1",
    "7 % -3 == 1",
    "body.nested.deep[0].n == 7",
    "body['a-b'] == 'x'",
    "headers['content-type'].startsWith('text/')",
    "headers['content-type'].endsWith('utf-8')",
    "headers['content-type'].contains('html')",
    "text.matches('^line .*$') || text.matches('one')",
    "text.matches('o[a-z]e')",
    "size(records) == 2",
    "records.size() == 2",
    "size('häß') == 3",
    "'192.0.2.1' in records",
    "'192.0.2.9' in records",
    "'status' in body",
    "200 in [200, 204]",
    "records.exists(r, r == '192.0.2.2')",
    "records.all(r, r.startsWith('192.'))",
    "records.exists_one(r, r.endsWith('.1'))",
    "size(records.filter(r, r.endsWith('.1'))) == 1",
    "body.list.map(n, n * 2) == [2, 4, 6]",
    "empty.all(x, x > 1)",
    "empty.exists(x, x > 1)",
    "has(body.status)",
    "has(body.missing)",
    "!has(body.missing)",
    "has(body.missing) && body.missing > 3",
    "body.none == null",
    "body.up",
    "!body.up",
    "!!yes",
    "yes ? status == 200 : status == 500",
    "body.up == true",
    "true || missing == 1",
    "missing == 1 || true",
    "false && missing == 1",
    "missing == 1 && false",
    "certificate_expires_in > duration('336h')",
    "certificate_expires_in > duration('1h30m')",
    "certificate_expires_in - duration('1h') < certificate_expires_in",
    "not_after > timestamp('2026-11-23T00:00:00Z')",
    "not_after - duration('24h') == timestamp('2026-11-30T00:00:00Z')",
    "int('42') == 42",
    "double('1.5') == 1.5",
    "string(status) == '200'",
    "int(12.9) == 12",
    "[1, 2] + [3] == [1, 2, 3]",
    "'a' + 'b' == 'ab'",
    "{'a': 1}.a == 1",
    "{'a': 1}['a'] == 1",
    "'a' < 'b'",
    "1 < 2 == true",
    "0x1F == 31",
    "1e3 == 1000.0",
    "r'a\\b' == 'a\\\\b'",
    '"quote\\"d" == \'quote"d\'',
    "'\\u00e4' == 'ä'",
    "status == 200 // a comment",
    "((status)) == (200)",
]


def by_cel_python(expr: str, values: dict[str, Any]) -> bool | None:
    """cel-python's verdict; None when it has none."""
    environment = celpy.Environment()
    context = {name: json_to_cel(value) for name, value in values.items()}
    try:
        verdict = environment.program(environment.compile(expr)).evaluate(context)
    except CELEvalError:
        return None
    return bool(verdict)


@pytest.mark.parametrize("expr", BOTH)
def test_as_cel_python(expr: str) -> None:
    """The verdict is cel-python's."""
    expected = by_cel_python(expr, VALUES)
    assert expected is not None
    assert compile_condition(expr).verdict(VALUES).holds is expected


@pytest.mark.parametrize(
    ("expr", "holds"),
    [
        ("status < 200.5", True),
        ("body.share < 1", True),
        ("body.count == 3.0", True),
        ("duration_ms / 2 > 6", True),
        ("body.count == 'three'", False),
        ("body.up == 1", False),
        ("body.none == 3", False),
        ("certificate_expires_in > duration('14d')", False),
        ("certificate_expires_in > duration('1w')", True),
        ("not_after > now - duration('9000d')", True),
        ("type(status) == 'int'", True),
        ("' Ab '.trim().lowerAscii() == 'ab'", True),
    ],
)
def test_beyond_cel_python(expr: str, holds: bool) -> None:
    """Numbers compare whatever their type, values of different types are unequal, durations know days; cel-python refuses these."""
    assert compile_condition(expr).verdict(VALUES).holds is holds


@pytest.mark.parametrize(
    ("expr", "reason"),
    [
        ("missing == 1", "missing is missing"),
        ("body.missing == 1", "body.missing is missing"),
        ("text.missing == 1", "text.missing is missing: it would be in string"),
        ("body.list[9] == 1", "body.list[9] is missing"),
        ("body.list[-1] == 1", "body.list[-1] is missing"),
        ("body.none > 3", "null > int has no answer"),
        ("status < '3'", "int < string has no answer"),
        ("status / 0 == 1", "a division by zero"),
        ("status", "status is int, not true or false"),
        ("status && true", "status is int, not true or false"),
        ("int(text) == 1", "int() of line one"),
        ("status.startsWith('2')", "startsWith() needs two texts, got int and string"),
        ("size(status) == 1", "size() of int has no answer"),
        ("status in 5", "'in' needs a list or a map on its right, got int"),
        ("records.all(r, r > 5)", "string > int has no answer"),
    ],
)
def test_without_answer(expr: str, reason: str) -> None:
    """What cannot be evaluated says why, and does not hold."""
    verdict = compile_condition(expr).verdict(VALUES)
    assert verdict.holds is None
    assert verdict.reason.startswith(reason)
    assert compile_condition(expr).evaluate(VALUES).ok is False


@pytest.mark.parametrize(
    ("expr", "actual"),
    [
        ("status == 200", "200"),
        ("200 == status", "200"),
        ("duration_ms < 500", "12.5"),
        ("body.status == 'ok'", "ok"),
        ("certificate_expires_in > duration('14d')", "13d2h"),
        ("not_after > now", f"not_after=2026-12-01T00:00:00Z, now={datetime.now(UTC):%Y-%m-%d}"),
        ("status == 200 && duration_ms < 5", "status=200, duration_ms=12.5"),
        ("status == 200 || status == 204", "200"),
        ("size(records) > 1", "2"),
        ("records.exists(r, r == 'x')", "[192.0.2.1, 192.0.2.2]"),
        ("headers['content-type'].contains('json')", "text/html; charset=utf-8"),
        ("text.matches('x')", "line one line two"),
        ("body.missing == 1", "missing"),
        ("body.none == null", "null"),
        ("!body.up", "true"),
        ("has(body.status)", "true"),
        ("body == 'ok'", "{status: ok, count: 3, share: 0.5, none: null, list: [3 items], up: true, a-b: x, nested: {1 keys}}"),
        ("true", ""),
    ],
)
def test_actual(expr: str, actual: str) -> None:
    """A person is shown the values that decided: bare when there is one, else by name."""
    assert compile_condition(expr).actual(VALUES).startswith(actual)


SERIES = [{"name": f"up{{job={name}}}", "value": value} for name, value in (("web", 1.0), ("node", 0.0), ("db", 0.0))]


@pytest.mark.parametrize(
    ("expr", "actual"),
    [
        ("series.all(s, s.value == 1.0)", "item 2 of 3: {name: up{job=node}, value: 0}"),
        ("series.exists(s, s.value < 1.0)", "item 2 of 3: {name: up{job=node}, value: 0}"),
        ("!series.exists(s, s.value < 1.0)", "item 2 of 3: {name: up{job=node}, value: 0}"),
        ("series.all(s, s.name.startsWith('up'))", "[{2 keys}, {2 keys}, {2 keys}]"),
        ("series.exists(s, s.value > 1.0)", "[{2 keys}, {2 keys}, {2 keys}]"),
        ("series.all(s, s.value < 1.0 || s.labels.x == 1)", "item 1 of 3: {name: up{job=web}, value: 1}"),
        ("series.all(s, s.value >= 0.0) && series.all(s, s.value > 0.0)", "item 2 of 3: {name: up{job=node}, value: 0}"),
        ("series.all(s, series.all(t, t.value == 1.0))", "item 1 of 3: {name: up{job=web}, value: 1}"),
        ("size(series.filter(s, s.value < 1.0)) == 0", "2"),
        ("limits.all(k, limits[k] < 9)", "item 2 of 2: b"),
    ],
)
def test_the_item_that_decides_is_shown(expr: str, actual: str) -> None:
    """Which of the series is down, not that there are three with two keys each."""
    condition, values = compile_condition(expr), {"series": SERIES, "limits": {"a": 1, "b": 9}}
    verdict = condition.verdict(values)
    assert verdict.actual == actual
    assert condition.verdict(values) == verdict


@pytest.mark.parametrize(
    ("expr", "column", "what"),
    [
        ("status ==", 10, "expected a value, got the end"),
        ("status = 200", 8, "'=' means nothing, write '=='"),
        ("a & b", 3, "'&' means nothing, write '&&'"),
        ("a b", 3, "unexpected 'b'"),
        ("a == 'x", 6, '"\'" means nothing'),
        ("foo(1)", 1, "there is no function 'foo'"),
        ("a.foo(1)", 3, "there is no method 'foo'"),
        ("a.contains()", 3, "contains() takes 1 argument here, got 0"),
        ("size(a, b) == 1", 1, "size() takes one argument, got 2"),
        ("a.matches('(')", 3, "is not a regular expression"),
        ("a > duration('x')", 5, "duration() of x has no answer"),
        ("has(a)", 1, "has() asks for a field"),
        ("records.all(1, true)", 13, "all() takes a variable and an expression"),
        ("for == 1", 1, "'for' is a reserved word"),
        ("(" * 200, 61, "more than 60 brackets"),
        ("!" * 2000 + "a", 61, "more than 60 brackets or signs"),
        ("a == 1" + "0" * 5000, 6, "a number of 5001 digits"),
        ("'\\q' == a", 1, "the escape '\\\\q' means nothing"),
        ("a == [1, 2", 11, "expected ']', got the end"),
        ("a ? b", 6, "expected ':', got the end"),
    ],
)
def test_faults(expr: str, column: int, what: str) -> None:
    """An expression that cannot be read is refused with its text, the column of the fault and what is wrong."""
    with pytest.raises(ConfigError) as caught:
        compile_condition(expr)
    assert str(caught.value).startswith(f"the expression {expr!r} cannot be read at column {column}: ")
    assert what in str(caught.value)


def test_names() -> None:
    """The names of an expression are known, bound variables and `now` are none of them, and unknown ones are refused."""
    condition = compile_condition("status == 200 && records.exists(r, r == body.x) && now > not_after")
    assert condition.names == {"status", "records", "body", "not_after"}
    with pytest.raises(ConfigError, match=r"uses 'stauts', which http does not give; did you mean 'status'\? It gives body, status"):
        require_names("stauts == 200", {"status", "body"}, "http")


def test_compiled_once() -> None:
    """The same text is compiled once."""
    assert compile_condition("status == 200") is compile_condition("status == 200")


def test_hostile_body() -> None:
    """A macro over a huge body ends with an answer of none; a pattern that backtracks forever does not; nested bodies do not overflow."""
    body = list(range(1000))
    verdict = compile_condition("body.all(a, body.all(b, body.all(c, a + b + c >= 0)))").verdict({"body": body})
    # Whichever bound a machine meets first.
    assert verdict.holds is None
    assert verdict.reason in (f"more than {STEPS} items to look at", "more than 0.25 s of work")
    assert compile_condition("text.matches('(a+)+$')").verdict({"text": "a" * 50_000 + "b"}).holds is False
    many = {"body": [f"s{n}" for n in range(60_000)], "text": "xz" * 400_000}
    for expr in ("body.all(a, !('q' in body))", "body.all(a, !text.contains('xy'))", "!has(body.filter(a, 'q' in body).x) || true"):
        verdict = compile_condition(expr).verdict(many)
        assert (verdict.holds, verdict.reason) == (None, "more than 0.25 s of work")
    deep = json.loads("[" * 900 + "]" * 900)
    assert compile_condition("body == body").verdict({"body": deep}).holds is True


numbers = st.integers(-1000, 1000)


@settings(max_examples=150, deadline=None)
@given(
    a=numbers,
    b=numbers.filter(bool),
    sign=st.sampled_from(["+", "-", "*", "/", "%"]),
    relation=st.sampled_from(["==", "<", ">="]),
    c=numbers,
)
def test_arithmetic_as_cel_python(a: int, b: int, sign: str, relation: str, c: int) -> None:
    """Whole numbers compute as in cel-python."""
    values = {"a": a, "b": b, "c": c}
    expr = f"a {sign} b {relation} c"
    assert compile_condition(expr).verdict(values).holds is by_cel_python(expr, values)


atoms = st.sampled_from(["true", "false", "yes", "missing", "status == 200", "status < 5", "body.missing == 1"])
logic = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["&&", "||"]), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        inner.map(lambda text: f"!({text})"),
    ),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(expr=logic)
def test_logic_as_cel_python(expr: str) -> None:
    """`&&`, `||` and `!` decide as in cel-python, sides without a value included."""
    values = {"yes": True, "status": 200, "body": {}}
    assert compile_condition(expr).verdict(values).holds is by_cel_python(expr, values)


@settings(max_examples=300, deadline=None)
@given(expr=st.text(alphabet="ab1.'\"\\()[]{}<>=!&|?:+-*/% ,0xeE", max_size=30))
def test_any_text(expr: str) -> None:
    """Any text is compiled or refused, and evaluates without an exception."""
    try:
        condition = compile_condition(expr)
    except ConfigError:
        return
    condition.evaluate(VALUES | {"a": 1, "b": [1, "x"]})
