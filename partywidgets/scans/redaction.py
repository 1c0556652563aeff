"""What was seen, without the secrets in it: the one place that knows which texts of a result may hold some."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from ..redaction import HIDDEN
from .model import CheckResult, ConditionResult, Evidence, Failure

LOOKED_AT = 16 * 1024
"""Characters of a text that are looked at: more than any bound keeps, so that no secret is cut at what people see."""

_SECRET_NAME = re.compile(r"(?i)(?:password|passwd|passphrase|secret|token|credential|api_?key|access_?key|private_?key)(?![A-Za-z0-9_])")
_HARMLESS = re.compile(r"|true|false|null|missing|\*\*\*|-?[0-9.]{1,9}")


class Seen(NamedTuple):
    """The texts of a result that come from its target, and its name, which may be a command with what was written into it. Those of its
    config (title, labels, remediation) hold references, no secrets."""

    summary: str
    details: str
    conditions: Sequence[ConditionResult]
    evidence: Sequence[Evidence]
    error: Failure | None
    links: Sequence[str]
    target: str

    def redacted(self, redact: Callable[[str], str]) -> Seen:
        """The same after `redact`. Evidence that changed says so, and its digest is of what is left."""
        # Most results hold no secret, and asking once for all of their texts is much cheaper than for each.
        joined = "\n".join([text[:LOOKED_AT] for text in self._texts()])
        if redact(joined) == joined and not any(map(_names_a_secret, self.conditions)):
            return self

        def hidden(text: str) -> str:
            return redact(text[:LOOKED_AT])

        summary, conditions = self.summary, []
        for condition in self.conditions:
            if _names_a_secret(condition):
                summary = summary.replace(f"got {condition.actual}", f"got {HIDDEN}")
                conditions.append(replace(condition, actual=HIDDEN))
            else:
                conditions.append(replace(condition, actual=hidden(condition.actual)))
        return Seen(
            summary=hidden(summary),
            details=hidden(self.details),
            conditions=conditions,
            evidence=[_redacted(item, redact) for item in self.evidence],
            error=None if self.error is None else replace(self.error, message=hidden(self.error.message)),
            links=[hidden(link) for link in self.links],
            target=hidden(self.target),
        )

    def _texts(self) -> list[str]:
        texts = [self.target, self.summary, self.details, *self.links]
        if self.error is not None:
            texts.append(self.error.message)
        texts += [condition.actual for condition in self.conditions]
        for item in self.evidence:
            texts += (item.name, item.value)
        return texts


def remove_secrets(result: CheckResult, redact: Callable[[str], str]) -> None:
    """Takes secrets out of a result that was made elsewhere, by a runner or in a published report."""
    seen = Seen(result.summary, result.details, result.conditions, result.evidence, result.error, result.links, result.target).redacted(
        redact
    )
    result.target = seen.target
    result.summary, result.details, result.error = seen.summary, seen.details, seen.error
    result.conditions, result.evidence, result.links = list(seen.conditions), [item.capped() for item in seen.evidence], list(seen.links)


def _names_a_secret(condition: ConditionResult) -> bool:
    """Whether what a condition saw is a secret by its name, as in `body.db.password == 'x'`; numbers and the like tell nothing."""
    return _about_a_secret(condition.expr) and not _HARMLESS.fullmatch(condition.actual)


@lru_cache(maxsize=20_000)
def _about_a_secret(expr: str) -> bool:
    return _SECRET_NAME.search(expr) is not None


def _redacted(item: Evidence, redact: Callable[[str], str]) -> Evidence:
    head, name = item.value[:LOOKED_AT], redact(item.name)
    value = redact(head)
    if value == head:
        return replace(item, name=name)
    return replace(item, name=name, value=value, truncated=item.truncated or len(item.value) > LOOKED_AT, sha256="", redacted=True)
