"""partywidgets/config_words.py: a wrong value in words of its reader."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from partywidgets.config import AnyCheck, Config, parse_config
from partywidgets.config_words import WORDS, words
from partywidgets.exceptions import ConfigError

HTTP = "id: a, type: http, url: 'http://a'"
SAID_OF_KEYS = {"extra_forbidden", "missing", "union_tag_invalid", "union_tag_not_found"}
"""What `config_complaint` says itself: these are about keys."""

OF_TYPE = {
    "str": {"string_type", "string_unicode"},
    "int": {"int_type", "int_parsing", "int_parsing_size", "int_from_float"},
    "float": {"float_type", "float_parsing"},
    "bool": {"bool_type", "bool_parsing"},
    "dict": {"dict_type"},
    "tuple": {"tuple_type"},
    "list": {"list_type"},
    "model": {"model_type"},
    "model-fields": {"model_attributes_type", "missing", "extra_forbidden"},
    "literal": {"literal_error"},
    "tagged-union": {"union_tag_invalid", "union_tag_not_found"},
    "datetime": set(),  # a validator before it makes one or raises
    "nullable": set(),
    "default": set(),
    "model-field": set(),
    "definitions": set(),
    "definition-ref": set(),
    "function-before": {"value_error"},
    "function-after": {"value_error"},
    "no-info": set(),
}
"""Which errors each type of pydantic-core's schema raises for what YAML can hold."""
OF_BOUND = {
    ("str", "min_length"): "string_too_short",
    ("str", "max_length"): "string_too_long",
    ("str", "pattern"): "string_pattern_mismatch",
    ("tuple", "min_length"): "too_short",
    ("tuple", "max_length"): "too_long",
    ("dict", "min_length"): "too_short",
    ("dict", "max_length"): "too_long",
    **{(kind, name): error for kind in ("int", "float") for name, error in
       (("ge", "greater_than_equal"), ("gt", "greater_than"), ("le", "less_than_equal"), ("lt", "less_than"))},
}  # fmt: skip


def nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """Every node of a schema of pydantic-core."""
    if isinstance(schema, dict):
        if isinstance(schema.get("type"), str):
            yield schema
        for name, value in schema.items():
            if name not in ("metadata", "default", "serialization", "expected", "ref"):
                yield from nodes(value)
    elif isinstance(schema, (list, tuple)):
        for item in schema:
            yield from nodes(item)


def test_every_kind_of_error_that_a_config_can_raise_has_words_of_its_own() -> None:
    """The schema is walked: a key of a new type, or with a new bound, needs its sentence."""
    kinds: set[str] = set()
    for node in nodes(TypeAdapter(Config).core_schema):
        assert node["type"] in OF_TYPE, node["type"]
        kinds |= OF_TYPE[node["type"]]
        kinds |= {error for (kind, name), error in OF_BOUND.items() if kind == node["type"] and node.get(name) is not None}
    assert {"literal_error", "string_pattern_mismatch", "too_short", "less_than_equal"} <= kinds
    assert kinds - SAID_OF_KEYS <= WORDS.keys()


def test_a_pattern_is_said_in_words() -> None:
    """A key with a pattern has a description: nobody is to read a regular expression at night."""
    checks: Any = AnyCheck
    for model in checks.__args__[0].__args__:
        for name, field in model.model_fields.items():
            if any(getattr(one, "pattern", None) for one in field.metadata):
                assert field.description, f"{model.__name__}.{name}"


def test_an_error_that_nobody_thought_of_is_no_sentence_of_pydantic() -> None:
    """The value is shown, and that it is not valid."""
    with pytest.raises(ValidationError) as raised:
        TypeAdapter(bytes).validate_python(5)
    assert words(raised.value.errors()[0], None) == "5 is not valid here"


@pytest.mark.parametrize(
    ("text", "line", "column", "said"),
    [
        ("checks:\n", 1, 8, "checks: expected a list, got nothing"),
        ("checks: {id: a}\n", 1, 9, "checks: expected a list, got a mapping of keys: take the keys away and begin each item with a dash"),
        ("schedule: [1]\n", 1, 11, "schedule: expected a mapping of keys, got a list: take the dashes away"),
        ("terminal: 5\n", 1, 11, "terminal: expected a mapping of keys, got 5"),
        ("defaults:\n", 1, 10, "defaults: expected a mapping of keys, got nothing"),
        ("terminal: {cols: wide}\n", 1, 18, "terminal.cols: expected a whole number, got 'wide'"),
        ("terminal: {cols: 80.5}\n", 1, 18, "terminal.cols: expected a whole number, got 80.5"),
        ("terminal: {cols: 5}\n", 1, 18, "terminal.cols: expected 20 to 1,000, got 5"),
        ("terminal: {cols: }\n", 1, 18, "terminal.cols: expected a whole number, got nothing"),
        ("terminal: {keep: -1}\n", 1, 18, "terminal.keep: expected 0 or more, got -1"),
        ("terminal: {size: small}\n", 1, 18, "terminal.size: 'small' is not valid here, did you mean 'smallest'?"),
        ("recording: {input: maybe}\n", 1, 20, "recording.input: expected true or false, got 'maybe'"),
        ("recording: {input: 7}\n", 1, 20, "recording.input: expected true or false, got 7"),
        ("schedule: {jitter: high}\n", 1, 20, "schedule.jitter: expected a number, got 'high'"),
        ("schedule: {jitter: 4}\n", 1, 20, "schedule.jitter: expected 0 to 1, got 4"),
        ("limits: {total: 0}\n", 1, 17, "limits.total: expected 1 to 1,000, got 0"),
        ("limits: {per_type: {http: 5000}}\n", 1, 27, "limits.per_type.http: expected at most 1,000, got 5000"),
        ("limits: {per_type: {ping: 5}}\n", 1, 20, "limits.per_type: unknown check type 'ping', did you mean 'icmp'?"),
        ("limits: {per_type: 5}\n", 1, 20, "limits.per_type: expected a mapping of keys, got 5"),
        ("modules: team.checks\n", 1, 10, "modules: expected a list, got 'team.checks': write ['team.checks']"),
        ("sandboxes: {'': 'local:'}\n", 1, 13, "sandboxes: the key '': expected text, got an empty one"),
        ("sandboxes: {web: 5}\n", 1, 18, "sandboxes.web: expected text, got 5: write '5'"),
        ("sandboxes: {web: true}\n", 1, 18, "sandboxes.web: expected text, got true: write 'true'"),
        ("auth: {tokens: [{subject: '', token: '${env:T}'}]}\n", 1, 27, "auth.tokens[0].subject: expected text, got an empty one"),
        ("notify: [{name: p, url: '${env:U}', on: []}]\n", 1, 41, "notify[0].on: expected at least one item, got an empty list"),
        ("notify: [{name: p, url: '${env:U}', on: [critical]}]\n", 1, 42,
         "notify[0].on[0]: 'critical' is not valid here, did you mean 'crit'?"),
        ("notify: [{name: p, url: '${env:U}', on: crit}]\n", 1, 41, "notify[0].on: expected a list, got 'crit': write ['crit']"),
        ("notify: [{name: p, url: '${env:U}', group_wait: 2h}]\n", 1, 49, "notify[0].group_wait: expected 0s to 1h, got '2h'"),
        ("waivers: [{name: w, matchers: {}, reason: r, until: 2030-01-01}]\n", 1, 31,
         "waivers[0].matchers: expected at least one key, got an empty mapping"),
        ("waivers: [{name: w, matchers: {a: b}, reason: r, until: soon}]\n", 1, 57,
         "waivers[0].until: `until` is a day such as 2026-12-31"),
        ("maintenance: [{name: m, cron: '0 2 * * *', duration: 60d}]\n", 1, 54, "maintenance[0].duration: expected at most 31d, got '60d'"),
        (f"checks:\n- {{{HTTP}, conditions: 'status == 200'}}\n", 2, 52,
         "check 'a', conditions: expected a list, got 'status == 200': write ['status == 200']"),
        (f"checks:\n- {{{HTTP}, labels: [web]}}\n", 2, 48,
         "check 'a', labels: expected a mapping of keys, got a list: take the dashes away"),
        (f"checks:\n- {{{HTTP}, labels: {{tier: 1}}}}\n", 2, 55, "check 'a', labels.tier: expected text, got 1: write '1'"),
        (f"checks:\n- {{{HTTP}, labels: {{since: 2026-01-31}}}}\n", 2, 56,
         "check 'a', labels.since: expected text, got 2026-01-31: write '2026-01-31'"),
        (f"checks:\n- {{{HTTP}, retry_delay: -5}}\n", 2, 53, "check 'a', retry_delay: expected 0s or more, got -5s"),
        (f"checks:\n- {{{HTTP}, attempts: three}}\n", 2, 50, "check 'a', attempts: expected a whole number, got 'three'"),
        ("checks:\n- {id: a, type: heartbeat, grace: 30s}\n", 2, 28, "check 'a': unknown key 'grace', did you mean 'within'? (and 2 more)"),
        (f"checks:\n- {{{HTTP}, interval: 30s}}\n", 2, 40, "check 'a': unknown key 'interval', did you mean 'every'?"),
        (f"checks:\n- {{{HTTP}, tags: {{a: b}}}}\n", 2, 40, "check 'a': unknown key 'tags', did you mean 'labels'?"),
        (f"checks:\n- {{{HTTP}, remediation: restart it}}\n", 2, 53,
         "check 'a', remediation: expected a mapping of keys, got 'restart it'"),
        (f"checks:\n- {{{HTTP}, method: 'GET /'}}\n", 2, 48, "check 'a', method: 'GET /' is not a method of HTTP, for example GET"),
        ("checks:\n- {id: a, type: ping, host: b}\n", 2, 17, "check 'a': unknown check type 'ping', did you mean 'icmp'?"),
        ("checks:\n- {id: a, type: tcp, host: b, port: 99999}\n", 2, 37, "check 'a', port: expected 1 to 65,535, got 99999"),
        ("checks:\n- {id: a, type: exec, command: []}\n", 2, 32, "check 'a', command: expected at least one item, got an empty list"),
        ("checks:\n- {id: a, type: docker, container: 'web 1'}\n", 2, 36,
         "check 'a', container: 'web 1' is not the name or id of a container, for example web-1"),
        ("checks:\n- {id: a, type: function, function: foo}\n", 2, 37,
         "check 'a', function: 'foo' is not a module and a function, for example team.checks:queue_depth"),
        ("checks:\n- {id: a, type: }\n", 2, 17, "check 'a': expected a check type, got nothing: expected one of http, tcp,"),
        ("checks:\n- {id: a, type: 5}\n", 2, 17, "check 'a': unknown check type 5, expected one of http, tcp,"),
        (f"checks:\n- {{{HTTP}, severity: }}\n", 2, 50,
         "check 'a', severity: expected one of info, low, medium, high, critical, got nothing"),
        (f"checks:\n- {{{HTTP}, every: true}}\n", 2, 47, "check 'a', every: expected a duration such as '30s' or '5m', got true"),
        (f"checks:\n- {{{HTTP}, conditions: [{{status: 200}}]}}\n", 2, 53,
         "check 'a', conditions[0]: expected text, got a mapping of keys: put the whole into quotes"),
        ("notify:\n- {name: a, url: '${env:X}'}\n- {name: a, url: '${env:X}'}\n", 3, 10,
         "notify[1].name: the name 'a' is used a second time: a name means one entry"),
        ("checks:\n- {id: a, type: kubernetes, kinds: [pod]}\n", 2, 37,
         "check 'a', kinds[0]: 'pod' is not valid here, did you mean 'pods'?"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_said_in_plain_words(text: str, line: int, column: int, said: str) -> None:
    """Where it stands, what is expected, what is there, and how to write it where that can be told."""
    with pytest.raises(ConfigError) as raised:
        parse_config(text)
    place = f"partywidgets.yaml:{line}:{column}: "
    assert str(raised.value).startswith(place + said), str(raised.value)
    assert "Input should" not in str(raised.value)
    assert "validation" not in str(raised.value)
