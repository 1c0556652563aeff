"""No text that was seen keeps a secret, whoever looked."""

from __future__ import annotations

import json

from partywidgets.scans.bounds import SUMMARY_CHARS
from partywidgets.scans.checks.base import CheckModel, Probe, ProbeContext
from partywidgets.scans.judge import RunContext, run_check
from partywidgets.scans.model import CheckResult, ConditionResult, Evidence, Failure
from partywidgets.scans.redaction import remove_secrets

SECRET = "hunter22"


def redact(text: str) -> str:
    """What a host does that knows one secret."""
    return text.replace(SECRET, "***")


class TellsAll(CheckModel):
    """Sees the secret everywhere."""

    type: str = "tells-all"

    @property
    def target(self) -> str:
        return "db:5432"

    async def probe(self, context: ProbeContext) -> Probe:
        """Everything that a probe can say."""
        return Probe(
            self.target,
            values={"body": SECRET},
            details=SECRET,
            evidence=[Evidence("text", "log", f"user=ana {SECRET}")],
            error=("auth", "." * (SUMMARY_CHARS - 4) + SECRET),
            links=[f"https://db.example/?key={SECRET}"],
        )


async def test_a_look_of_this_process() -> None:
    """Summary, details, what a condition saw, evidence, error and links are without it, also where a bound would cut it."""
    result = await run_check(TellsAll(id="db", conditions=("body == 'x'",)), RunContext(redact=redact))
    assert SECRET[:4] not in json.dumps(result.to_wire())
    assert result.conditions[0].actual
    assert result.error is not None
    assert [item.redacted for item in result.evidence] == [True]
    assert result.links == ["https://db.example/?key=***"]


def test_a_result_made_elsewhere() -> None:
    """The same for a runner's result and a published one; what held no secret stays as it was, with its digest."""
    result = CheckResult(
        "db",
        "tcp",
        "db:5432",
        "crit",
        summary=SECRET,
        details=SECRET,
        conditions=[ConditionResult("body == 'x'", False, f"'{SECRET}'")],
        evidence=[Evidence("text", "log", SECRET), Evidence("text", "other", "nothing")],
        error=Failure("auth", f"{SECRET} was refused"),
        links=[f"https://db.example/?key={SECRET}"],
    )
    before = result.evidence[1]
    remove_secrets(result, redact)
    assert SECRET not in json.dumps(result.to_wire())
    assert result.conditions[0].actual == "'***'"
    assert result.evidence[1] == before
    assert result.evidence[0].sha256 not in ("", before.sha256)
