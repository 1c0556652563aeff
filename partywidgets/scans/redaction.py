"""What was seen, without the secrets in it: the one place that knows which texts of a result may hold some."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from .model import CheckResult, ConditionResult, Evidence, Failure


@dataclass(frozen=True, slots=True)
class Seen:
    """The texts of a result that come from its target. Those of its config (title, labels, remediation) hold references, no secrets."""

    summary: str
    details: str
    conditions: Sequence[ConditionResult]
    evidence: Sequence[Evidence]
    error: Failure | None
    links: Sequence[str]

    def redacted(self, redact: Callable[[str], str]) -> Seen:
        """The same after `redact`. Evidence that changed says so, and its digest is of what is left."""
        return Seen(
            summary=redact(self.summary),
            details=redact(self.details),
            conditions=[replace(condition, actual=redact(condition.actual)) for condition in self.conditions],
            evidence=[_redacted(item, redact) for item in self.evidence],
            error=None if self.error is None else replace(self.error, message=redact(self.error.message)),
            links=[redact(link) for link in self.links],
        )


def remove_secrets(result: CheckResult, redact: Callable[[str], str]) -> None:
    """Takes secrets out of a result that was made elsewhere, by a runner or in a published report."""
    seen = Seen(result.summary, result.details, result.conditions, result.evidence, result.error, result.links).redacted(redact)
    result.summary, result.details, result.error = seen.summary, seen.details, seen.error
    result.conditions, result.evidence, result.links = list(seen.conditions), [item.capped() for item in seen.evidence], list(seen.links)


def _redacted(item: Evidence, redact: Callable[[str], str]) -> Evidence:
    value = redact(item.value)
    return item if value == item.value else replace(item, value=value, sha256="", redacted=True)
