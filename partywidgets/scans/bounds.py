"""How large a result may be: applied when it is made, whoever made it (a check, a peer's kernel, an old database)."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from .text import capped, one_line, safe_text

if TYPE_CHECKING:
    from .model import CheckResult, ConditionResult

T = TypeVar("T")

TARGET_CHARS = 2048
DETAILS_BYTES = 16 * 1024
EVIDENCE_BYTES = 4 * 1024
"""One item's value, in UTF-8."""
EVIDENCE_ITEMS = 8
METRICS = 100
CONDITIONS = 50
LABELS = 32
LINKS = 10
PHASES = 16
RESULT_BYTES = 96 * 1024
"""A whole result as JSON, in ASCII; so a frame holds at least two."""
FRAME_BYTES = 256 * 1024
"""A frame of the ops room."""

_ESCAPED = 12
"""Bytes that one character can take in ASCII JSON: an astral one is two escapes."""


def apply(result: CheckResult) -> None:
    """Cuts every text and every list of a result to its bound, and then what is largest until the whole fits RESULT_BYTES."""
    if tidy(result):
        result.title = result.title or result.check_id
        result.evidence = [item.capped() for item in result.evidence]
    else:
        cut(result)
    _shrink(result)


def tidy(result: CheckResult) -> bool:
    """Whether all but evidence is within its bounds: nearly all results are, and asking for all texts at once costs a third."""
    conditions, labels, error, who = result.conditions, result.labels, result.error, result.runner
    if (
        result.details
        or result.links
        or result.remediation is not None
        or result.suppression is not None
        or (who is not None and len(who.host) + len(who.version) + len(who.zone or "") > 200)
        or max(len(result.evidence), len(conditions), len(result.metrics), len(labels), len(result.phases_ms)) > EVIDENCE_ITEMS
        or max(len(result.check_type), len(result.scan_id), len(result.result_id), len(result.fingerprint)) > 40
    ):
        return False
    lines = [result.check_id, result.check_type, result.target, result.title, result.summary, "" if error is None else error.message]
    lines += (result.scan_id, result.result_id, result.fingerprint)
    for condition in conditions:
        lines += (condition.expr, condition.actual)
    for metric in result.metrics:
        if metric.warn is not None or metric.crit is not None or len(metric.unit) > 20 or not math.isfinite(metric.value):
            return False
        lines += (metric.name, metric.unit)
    for name, ms in result.phases_ms.items():
        if len(name) > 40 or not math.isfinite(ms) or not name.isprintable():
            return False
    if labels:
        if max(map(len, labels)) > 64 or max(map(len, labels.values())) > 128:
            return False
        lines += labels
        lines += labels.values()
    if max(map(len, lines)) > 100:
        return False
    joined = "|".join(lines)
    blanks = "  " in joined or "| " in joined or " |" in joined or joined[0] == " " or joined[-1] == " "
    return not blanks and joined.isprintable()


def cut(result: CheckResult) -> None:
    """Cuts every text and every list to its bound."""
    result.check_id, result.check_type = one_line(result.check_id), one_line(result.check_type, 40)
    # In every text, in that of ids too: a half surrogate pair alone keeps all rows from being written in UTF-8, as for /metrics.
    result.scan_id, result.result_id = one_line(result.scan_id[:64]), one_line(result.result_id[:64])
    result.fingerprint = one_line(result.fingerprint[:64])
    result.target = one_line(result.target, TARGET_CHARS)
    result.title = one_line(result.title or result.check_id)
    result.summary = one_line(result.summary)
    result.details = capped(safe_text(capped(result.details, DETAILS_BYTES)), DETAILS_BYTES)
    result.conditions = [_bounded_condition(c) for c in result.conditions[:CONDITIONS]]
    result.metrics = [
        replace(m, name=one_line(m.name, 100), unit=one_line(m.unit[:20]), warn=_line(m.warn), crit=_line(m.crit))
        if len(m.name) > 100 or len(m.unit) > 20 or not (m.name + m.unit).isprintable() or m.warn is not None or m.crit is not None
        else m
        for m in result.metrics[:METRICS]
        if math.isfinite(m.value)  # JSON has no NaN and no infinity
    ]
    result.evidence = [item.capped() for item in result.evidence[:EVIDENCE_ITEMS]]
    result.labels = {one_line(k, 64): one_line(v, 128) for k, v in _first(result.labels, LABELS).items()}
    # Only what a browser may open from a click: no javascript:, no data:.
    links = [link for link in result.links[:LINKS] if link.startswith(("https://", "http://")) and len(link) <= 1000]
    result.links = [link for link in links if link.isprintable()]
    result.phases_ms = {one_line(name[:40]): ms for name, ms in _first(result.phases_ms, PHASES).items() if math.isfinite(ms)}
    if result.error is not None:
        result.error = replace(result.error, message=one_line(result.error.message, 400))
    if (remedy := result.remediation) is not None:
        result.remediation = replace(
            remedy,
            text=capped(safe_text(remedy.text), 2000),
            command=None if remedy.command is None else capped(remedy.command, 4000),
            sandbox=_cut(remedy.sandbox, 200),
            runbook=_cut(remedy.runbook, 1000),
            cell_id=_cut(remedy.cell_id, 100),
        )
    if (why := result.suppression) is not None:
        result.suppression = replace(why, id=why.id[:100], actor=_cut(why.actor, 200), reason=one_line(why.reason, 400))
    if (who := result.runner) is not None and len(who.host) + len(who.version) + len(who.zone or "") > 200:
        result.runner = replace(who, host=one_line(who.host, 100), version=who.version[:40], zone=_cut(who.zone, 60))


def _shrink(result: CheckResult) -> None:
    characters = (
        sum(len(item.value) for item in result.evidence)
        + len(result.details)
        + sum(len(c.expr) + len(c.actual) for c in result.conditions)
        + 120 * len(result.metrics)
        + 200 * len(result.labels)
    )
    if characters * _ESCAPED < RESULT_BYTES // 2:
        return
    for cut in (_drop_details, _shorten_evidence, _fewer_metrics, _fewer_conditions, _drop_evidence, _fewer_labels):
        if len(json.dumps(result.to_wire())) <= RESULT_BYTES:
            return
        cut(result)


def _drop_details(result: CheckResult) -> None:
    result.details = capped(result.details, 1024)


def _shorten_evidence(result: CheckResult) -> None:
    result.evidence = [replace(item, value=capped(item.value, 1024), truncated=True) for item in result.evidence]


def _fewer_metrics(result: CheckResult) -> None:
    result.metrics = [
        replace(m, name=one_line(m.name, 40), unit=m.unit[:10], warn=_cut(m.warn, 20), crit=_cut(m.crit, 20)) for m in result.metrics[:20]
    ]


def _fewer_conditions(result: CheckResult) -> None:
    result.conditions = [replace(c, expr=one_line(c.expr, 100), actual=one_line(c.actual, 60)) for c in result.conditions[:20]]


def _drop_evidence(result: CheckResult) -> None:
    result.evidence = []


def _fewer_labels(result: CheckResult) -> None:
    result.labels = _first(result.labels, 8)


def _bounded_condition(condition: ConditionResult) -> ConditionResult:
    expr, actual = one_line(condition.expr, 400), one_line(condition.actual)
    return condition if (expr, actual) == (condition.expr, condition.actual) else replace(condition, expr=expr, actual=actual)


def _line(text: str | None) -> str | None:
    return None if text is None else one_line(text, 100)


def _cut(text: str | None, limit: int) -> str | None:
    return text if text is None or len(text) <= limit else text[: limit - 1] + "…"


def _first(mapping: dict[str, T], count: int) -> dict[str, T]:
    return mapping if len(mapping) <= count else dict(list(mapping.items())[:count])
