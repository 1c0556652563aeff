"""Conditions: one expression over a probe's values, with what was seen in it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

from ..exceptions import ConfigError
from .cel import SEEN_CHARS, EvaluationError, Exhausted, show
from .expression import Parser
from .expression_node import BUDGET, Node, truth
from .model import ConditionResult, one_line

NO_ANSWER = (EvaluationError, Exhausted, RecursionError, ArithmeticError, ValueError, TypeError)
"""What an evaluation may end with; all but the first two come from values of a kind that no probe gives."""


class Verdict(NamedTuple):
    """What an expression said: true, false, or None with the reason why it has no answer. `actual` are the seen values as one line of text,
    longer than people are shown: a result cuts it when its secrets are out."""

    holds: bool | None
    actual: str
    reason: str = ""


@dataclass(frozen=True)
class Condition:
    """A compiled expression. `names` are those that it takes from the values."""

    expr: str
    node: Node
    names: frozenset[str]

    def verdict(self, values: Mapping[str, Any]) -> Verdict:
        """Evaluates over `values`. Never raises: what cannot be evaluated has `holds` None."""
        scope, reason = dict(values), ""
        holds: bool | None
        try:
            holds = self._holds(scope)
        except NO_ANSWER as error:
            known = isinstance(error, (EvaluationError, Exhausted))
            holds, reason = None, str(error) if known else f"{type(error).__name__}: {error}"
        scope.pop(BUDGET, None)  # what is shown has one of its own
        return Verdict(holds, self._seen(scope), reason)

    @cached_property
    def _holds(self) -> Callable[[dict[str, Any]], bool]:
        return truth(self.node)

    def evaluate(self, values: Mapping[str, Any]) -> ConditionResult:
        """The condition as a result keeps it; one that has no answer does not hold."""
        verdict = self.verdict(values)
        return ConditionResult(self.expr, verdict.holds is True, verdict.actual)

    def actual(self, values: Mapping[str, Any]) -> str:
        """The seen values: bare when the expression has one (`503`), else named (`status=503, duration_ms=12.4`)."""
        return self._seen(dict(values))

    @cached_property
    def _leaves(self) -> tuple[Node, ...]:
        return tuple({leaf.text: leaf for leaf in self.node.leaves}.values())

    def _seen(self, scope: dict[str, Any]) -> str:
        leaves = self._leaves
        if len(leaves) == 1:
            return one_line(_shown(leaves[0], scope), SEEN_CHARS)
        return one_line(", ".join([f"{leaf.text}={_shown(leaf, scope)}" for leaf in leaves]), SEEN_CHARS)


def _shown(leaf: Node, scope: dict[str, Any]) -> str:
    try:
        return show(leaf.run(scope))
    except NO_ANSWER:
        return "missing"


@lru_cache(maxsize=20_000)
def compile_condition(expr: str) -> Condition:
    """The expression, ready to evaluate; the same text is compiled once. Raises ConfigError naming the expression and the column of its
    fault."""
    parser = Parser(expr)
    node = parser.parse()
    return Condition(expr, node, frozenset(parser.names) - {"now"})


def require_names(expr: str, known: Collection[str], where: str) -> None:
    """Raises ConfigError if the expression uses a name that no probe of this kind gives."""
    for name in sorted(compile_condition(expr).names - set(known)):
        near = get_close_matches(name, sorted(known), 1)
        hint = f"did you mean {near[0]!r}? It" if near else "it"
        raise ConfigError(f"the expression {expr!r} uses {name!r}, which {where} does not give; {hint} gives {', '.join(sorted(known))}")
