"""Gatus' conditions, held against its own evaluation."""

from __future__ import annotations

from datetime import timedelta

import pytest

from partywidgets.convert.gatus_condition import NoCounterpart, converted
from partywidgets.convert.gatus_target import HTTP
from partywidgets.scans.checks.http import HttpCheck, parsed
from partywidgets.scans.condition import compile_condition, require_names

from .gatus_rules import Seen, holds

CONDITIONS = [
    "[STATUS] == 200",
    "200 == [STATUS]",
    "[STATUS] != 200",
    "[STATUS] < 300",
    "300 > [STATUS]",
    "[STATUS] >= 500",
    "[STATUS] == any(200, 429)",
    "[STATUS] != any(200, 429)",
    "[STATUS] == pat(2*)",
    "[RESPONSE_TIME] < 13",
    "[RESPONSE_TIME] <= 12",
    "[RESPONSE_TIME] > 12",
    "[RESPONSE_TIME] < 1s",
    "[CONNECTED] == true",
    "[IP] == 192.0.2.1",
    "[IP] == pat(192.0.*)",
    "[IP] != any(192.0.2.1, 192.0.2.2)",
    "[CERTIFICATE_EXPIRATION] > 48h",
    "[CERTIFICATE_EXPIRATION] >= 172800000",
    "[CERTIFICATE_EXPIRATION] == 0",
    "[CERTIFICATE_EXPIRATION] != 0",
    "[BODY] == 1",
    "[BODY] == up",
    "[BODY] != up",
    "[BODY] == pat(*name*)",
    "[BODY] == pat({*})",
    "[BODY] == pat(u?)",
    "[BODY] == pat([tu]p)",
    "[BODY].name == john.doe",
    "[BODY].name != john.doe",
    "[BODY].name == pat(john*)",
    "[BODY].name != pat(*doe)",
    "[BODY].name == any(john.doe, bob)",
    "[BODY].id == 1",
    "[BODY].id != 1",
    "[BODY].id == any(1, 2)",
    "[BODY].ok == true",
    "[BODY].ok != true",
    "[BODY].age == [BODY].id",
    "[BODY].age != [BODY].id",
    "[BODY].data[0].id == 1",
    "[BODY].data[1].id == 1",
    "[BODY][0].id == 5",
    "[BODY].a-b == x",
    "[BODY].ratio == 0.5",
    "len([BODY].data) > 1",
    "len([BODY].data) == 1",
    "len([BODY].name) == 8",
    "has([BODY].errors) == false",
    "has([BODY].errors) == true",
    "has([BODY].errors) != true",
    "has([BODY].data[0].id) == true",
    "has([BODY].data[1]) == true",
    "has([BODY].data[1]) == false",
    "has([BODY].a-b) == true",
    "has([BODY].deep.er.still) == false",
    "has([BODY]) == true",
    "[BODY].data[*].id == 1",
    "[BODY].data[*].id == any(1, 5)",
    "[HEADER].Content-Type == pat(application/json*)",
    "[HEADER].X-Missing != something",
    "has([HEADER].x-missing) == false",
]
SEEN = [
    Seen(body='{"name": "john.doe", "id": 1, "age": 1, "ok": true, "data": [{"id": 1}], "errors": [], "a-b": "x", "ratio": 0.5}'),
    Seen(503, '{"name": "bob", "id": "1", "age": 2, "ok": false, "data": [{"id": 1}, {"id": 2}], "errors": null}', time_ms=13.0),
    Seen(429, ' {"name": "", "id": 3, "data": []}\n', time_ms=12.9, ip="192.0.2.2", certificate_ms=172_800_001),
    Seen(204, "", certificate_ms=172_799_999),
    Seen(body="up"),
    Seen(body=" 1\n", headers={"content-type": "application/json; charset=utf-8"}),
    Seen(body='[{"id": 5}]'),
    Seen(body='it\'s <b>"name"</b>\\'),
]


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_condition_holds_where_it_does_in_gatus(condition: str) -> None:
    """The expression uses names of an http check, and holds for each answer for which Gatus' condition does, and for no other."""
    expression = converted(condition, HTTP)
    require_names(expression, HttpCheck.value_names or frozenset(), "http")
    for seen in SEEN:
        values = {
            "status": seen.status,
            "body": parsed(seen.body),
            "text": seen.body,
            "duration_ms": seen.time_ms,
            "ip": seen.ip,
            "headers": seen.headers,
            "certificate_expires_in": timedelta(milliseconds=seen.certificate_ms) if seen.certificate_ms else None,
            "error": None,
        }
        said = compile_condition(expression).verdict(values)
        assert (said.holds is True) is holds(condition, seen), f"{condition} → {expression} of {seen}: {said}"


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        ("[STATUS]", "compares nothing"),
        ("[DOMAIN_EXPIRATION] > 720h", "when a domain expires"),
        ("[CONTEXT].id == 1", "no suites"),
        ("[DNS_RCODE] == NOERROR", "not known of this check"),
        ("[BODY].a.*.b == 1", "not a path"),
        ("[BODY].count > many", "neither a number nor a duration"),
        ("[BODY].a == pat([x)", "not closed"),
        ("1 == 1", "two texts"),
        ("[CONNECTED] == maybe", "true or false"),
        ("age([HEADER].Date) < 5m", "RFC 3339"),
    ],
)
def test_a_condition_without_a_counterpart_is_told(condition: str, why: str) -> None:
    """Nothing is guessed: what cannot be said is refused with the reason."""
    with pytest.raises(NoCounterpart, match=why):
        converted(condition, HTTP)


def test_a_missing_number_is_no_zero() -> None:
    """The one difference that is meant: by size a missing value is 0 in Gatus, and has no answer here, so the check is crit."""
    assert holds("[BODY].count < 5", Seen(body="{}"))
    assert compile_condition(converted("[BODY].count < 5", HTTP)).verdict({"body": {}}).holds is None
