"""Evaluations of a condition a second, beside cel-python's two runners, on the values of an http check with a body of 100 records."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

EXPRESSIONS = (
    "status == 200",
    "body.status == 'ok'",
    "duration_ms < 500.0",
    "certificate_expires_in > duration('336h')",
    "status >= 200 && status < 300 && body.status == 'ok'",
    "body.records.exists(r, r.id == 99)",
)
SECONDS = 0.5
"""How long each one is measured."""


def values() -> dict[str, Any]:
    """What an http check sees."""
    records = [{"id": i, "name": f"record {i}"} for i in range(100)]
    body = {"status": "ok", "records": records}
    return {"status": 200, "body": body, "duration_ms": 12.5, "certificate_expires_in": timedelta(days=20), "headers": {"server": "nginx"}}


def rate(evaluate: Callable[[], object]) -> float:
    """Calls a second."""
    count, begin = 0, time.perf_counter()
    while (took := time.perf_counter() - begin) < SECONDS:
        for _ in range(10):
            evaluate()
        count += 10
    return count / took


def main(options: Sequence[str]) -> None:
    """Prints a line for each expression. Its values are converted once (`given`) or, as a new body needs, each time (`converted`)."""
    begin = time.perf_counter()
    from partywidgets.scans.condition import compile_condition

    compile_condition("true")
    ours = time.perf_counter() - begin
    begin = time.perf_counter()
    import celpy
    from celpy.adapter import json_to_cel

    environment = celpy.Environment()
    peer = time.perf_counter() - begin
    print(f"first condition after: partywidgets {ours * 1000:.0f} ms, cel-python {peer * 1000:.0f} ms")
    print(f"{'expression':56}{'partywidgets':>14}{'given':>10}{'converted':>11}{'ratio':>8}")
    seen = values()
    for expr in EXPRESSIONS:
        condition, program = compile_condition(expr), environment.program(environment.compile(expr))
        converted = {name: json_to_cel(value) for name, value in seen.items()}
        own = rate(lambda condition=condition: condition.verdict(seen))  # type: ignore[misc]
        given = rate(lambda program=program, converted=converted: program.evaluate(converted))  # type: ignore[misc]
        fresh = rate(lambda program=program: program.evaluate({n: json_to_cel(v) for n, v in seen.items()}))  # type: ignore[misc]
        print(f"{expr:56}{own:14,.0f}{given:10,.0f}{fresh:11,.0f}{own / given:8.1f}")
