"""Evaluations of a condition a second, beside the libraries that speak CEL, and how long a hostile body makes everything else wait.

cel-python comes with the `dev` extra; common-expression-language and cel-expr-python are measured when they are installed.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

Evaluate = Callable[[Mapping[str, Any]], object]

EXPRESSIONS = (
    "status == 200",
    "body.status == 'ok'",
    "duration_ms < 500.0",
    "certificate_expires_in > duration('336h')",
    "status >= 200 && status < 300 && body.status == 'ok'",
    "body.records.exists(r, r.id == 99)",
)
HOSTILE: dict[str, dict[str, Any]] = {
    "body.all(a, body.all(b, body.all(c, a + b + c >= 0)))": {"body": list(range(100))},
    "body.all(a, !('q' in body))": {"body": [f"s{number}" for number in range(20_000)]},
}
SECONDS = 0.5
"""How long each one is measured."""


def values() -> dict[str, Any]:
    """What an http check sees."""
    records = [{"id": i, "name": f"record {i}"} for i in range(100)]
    body = {"status": "ok", "records": records}
    return {"status": 200, "body": body, "duration_ms": 12.5, "certificate_expires_in": timedelta(days=20), "headers": {"server": "nginx"}}


def own(expr: str) -> Evaluate:
    from partywidgets.scans.condition import compile_condition

    return compile_condition(expr).verdict


def cel_python(expr: str) -> Evaluate:
    import celpy
    from celpy.adapter import json_to_cel

    environment = celpy.Environment()
    program = environment.program(environment.compile(expr))
    return lambda given: program.evaluate({name: json_to_cel(value) for name, value in given.items()})


def common_expression_language(expr: str) -> Evaluate:
    import cel

    program = cel.compile(expr)
    return lambda given: program.execute(dict(given))


def cel_expr_python(expr: str) -> Evaluate:
    from cel_expr_python import cel

    kinds = {name: cel.Type.DURATION if isinstance(value, timedelta) else cel.Type.DYN for name, value in values().items()}
    program = cel.NewEnv(variables=kinds).compile(expr)
    return lambda given: program.eval(data=given).value()


PEERS = {
    "partywidgets": own,
    "cel-python": cel_python,
    "common-expression-language": common_expression_language,
    "cel-expr-python": cel_expr_python,
}


def rate(evaluate: Evaluate, given: Mapping[str, Any]) -> float:
    """Evaluations a second. The body is new each time, so what a library converts counts."""
    count, begin = 0, time.perf_counter()
    while (took := time.perf_counter() - begin) < SECONDS:
        for _ in range(10):
            evaluate(given)
        count += 10
    return count / took


def wait(evaluate: Evaluate, given: Mapping[str, Any]) -> float:
    """The longest time that another thread did not get to run while this one evaluated, in seconds."""
    done, gaps = threading.Event(), [0.0]

    def tick() -> None:
        last = time.perf_counter()
        while not done.wait(0.002):
            now = time.perf_counter()
            gaps.append(now - last)
            last = now

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        evaluate(given)
    except Exception as error:  # a bound of the library's own: how long it took to get there is the figure
        print(f"  ({type(error).__name__}: {error})"[:100])
    finally:
        done.set()
        thread.join()
    return max(gaps)


def main(options: Sequence[str]) -> None:
    """Prints a line for each library and expression."""
    seen = values()
    for name, peer in PEERS.items():
        before, begin = len(sys.modules), time.perf_counter()
        try:
            peer("true")(seen)
        except ImportError:
            print(f"{name}: not installed")
            continue
        print(f"{name}: first condition after {(time.perf_counter() - begin) * 1000:.0f} ms, {len(sys.modules) - before} modules")
        for expr in EXPRESSIONS:
            print(f"  {expr:60}{rate(peer(expr), seen):14,.0f} a second")
        for expr, given in HOSTILE.items():
            print(f"  {expr:60}{wait(peer(expr), given):14.2f} s of waiting for the rest")
