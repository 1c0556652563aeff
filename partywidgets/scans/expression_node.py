"""What a part of an expression does: nested closures over plain values, and what one evaluation of them may cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from time import thread_time
from typing import Any

from .cel import EvaluationError, Exhausted, Picked, kind_of

Scope = dict[str, Any]
Run = Callable[[Scope], Any]

STEPS = 50_000
"""How many items one evaluation may visit in macros."""
SECONDS = 0.25
"""How much processor time one evaluation with macros may take: what it does with an item can be as long as the body."""


class Budget:
    """What one evaluation may still do in macros. It stands in the scope under `BUDGET`, so that all macros of it share one."""

    def __init__(self) -> None:
        self.steps = 0
        self.until = 0.0

    def spend(self) -> None:
        """Counts an item. Raises Exhausted at the end of either bound. The clock is the thread's own, so a busy machine changes nothing."""
        self.steps += 1
        if self.steps > STEPS:
            raise Exhausted(f"more than {STEPS} items to look at")
        if self.steps % 4 == 1:
            now = thread_time()
            self.until = self.until or now + SECONDS
            if now > self.until:
                raise Exhausted(f"more than {SECONDS} s of work")


BUDGET = ""
"""The name of the budget in a scope: no name of an expression is empty."""


@dataclass(frozen=True, slots=True)
class Node:
    """A part of an expression: its function, its text, and the parts of it whose values explain the outcome to a person."""

    run: Run
    text: str
    seen: tuple[Node, ...] | None = None
    constant: bool = False

    @property
    def leaves(self) -> tuple[Node, ...]:
        """The parts to show: the node itself where nothing finer is known, nothing for a constant."""
        if self.seen is not None:
            return self.seen
        return () if self.constant else (self,)


def truth(node: Node) -> Callable[[Scope], bool]:
    """The node's function, refusing what is neither true nor false."""
    run, text = node.run, node.text

    def test(scope: Scope) -> bool:
        value = run(scope)
        if value is True or value is False:
            return value
        raise EvaluationError(f"{text} is {kind_of(value)}, not true or false")

    return test


def run_constant(value: Any) -> Run:
    """What is the same whatever the scope holds."""
    return lambda _: value


def run_binary(function: Callable[[Any, Any], Any], left: Node, right: Node) -> Run:
    """A function of two parts; one that is constant is looked at once."""
    first, second = left.run, right.run
    if right.constant:
        fixed = second({})
        return lambda scope: function(first(scope), fixed)
    return lambda scope: function(first(scope), second(scope))


def run_either(first: Callable[[Scope], bool], second: Callable[[Scope], bool], decisive: bool) -> Run:
    """`||` (decisive true) and `&&` (decisive false): one side that decides is enough, even when the other has no value (langdef,
    "Logical Operators")."""

    def run(scope: Scope) -> bool:
        try:
            if first(scope) is decisive:
                return decisive
        except EvaluationError:
            if second(scope) is decisive:
                return decisive
            raise
        return second(scope)

    return run


def run_name(name: str) -> Run:
    """What the scope holds under a name; `now` where it holds none."""

    def run(scope: Scope) -> Any:
        try:
            return scope[name]
        except KeyError:
            if name == "now":
                return datetime.now(UTC)
            raise EvaluationError(f"{name} is missing") from None

    return run


def run_item(run: Run, index: Run, text: str) -> Run:
    """An item of a list or a mapping."""

    def item(scope: Scope) -> Any:
        whole, key = run(scope), index(scope)
        if isinstance(whole, Mapping):
            if isinstance(key, (str, int, bool)) and key in whole:
                return whole[key]
        elif isinstance(whole, (list, tuple)):
            if isinstance(key, int) and not isinstance(key, bool) and 0 <= key < len(whole):
                return whole[key]
        else:
            raise EvaluationError(f"{text} is missing: it would be in {kind_of(whole)}")
        raise EvaluationError(f"{text} is missing")

    return item


def run_picked(over: Run, note: str) -> Run:
    """For a person: the item that decided the macro which wrote the note, else what the macro goes over."""
    return lambda scope: scope[note] if note in scope else over(scope)


def run_macro(name: str, over: Run, variable: str, body: Node, note: str) -> Run:
    """`all`, `exists` and the like. Under `note` the scope is left the item that decided alone, or has no answer."""
    test = body.run if name == "map" else truth(body)

    def run(scope: Scope) -> Any:
        items = over(scope)
        if not isinstance(items, (list, tuple, Mapping)):
            raise EvaluationError(f"{name}() goes over a list or a map, got {kind_of(items)}")
        budget = scope.get(BUDGET)
        if budget is None:  # the first macro of an evaluation brings it: most have none
            budget = scope[BUDGET] = Budget()
        inner = dict(scope)
        answers, failure = [], None
        for place, value in enumerate(items, 1):
            budget.spend()
            inner[variable] = value
            try:
                answer = test(inner)
            except EvaluationError as error:
                if name in ("filter", "map", "exists_one"):
                    raise
                failure, scope[note] = error, Picked(value, place, len(items))
                continue
            if (name == "exists" and answer) or (name == "all" and not answer):
                scope[note] = Picked(value, place, len(items))
                return name == "exists"
            answers.append((value, answer))
        if failure is not None:
            raise failure
        if name == "map":
            return [answer for _, answer in answers]
        if name == "filter":
            return [value for value, answer in answers if answer]
        if name == "exists_one":
            return sum(1 for _, answer in answers if answer) == 1
        return name == "all"

    return run
