"""A scan as a JUnit file, which every CI server shows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from .model import wire_time

if TYPE_CHECKING:
    from .model import CheckResult
    from .report import ScanReport

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 (section 2.2) has no way to write, not even escaped."""


def junit_text(report: ScanReport) -> str:
    """The report as JUnit XML: a suite a type of check, a case a result, in the report's order.

    crit is a failure and unknown an error; skip, and what is suppressed by an ack, a silence or a window, is skipped with the reason.
    A warn passes, for JUnit has no word for it: its summary stands in `system-out`. Conditions that did not hold are the text of a failure.
    """
    by_type: dict[str, list[CheckResult]] = {}
    for result in report.results:
        by_type.setdefault(result.check_type, []).append(result)
    root = ElementTree.Element("testsuites", _counts(report.results), name="partywidgets")
    for kind, results in by_type.items():
        timestamp = wire_time(report.started_at)
        suite = ElementTree.SubElement(root, "testsuite", _counts(results), name=_xml(kind), timestamp=timestamp)
        suite.extend(map(_case, results))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _counts(results: Iterable[CheckResult]) -> dict[str, str]:
    verdicts = [_verdict(result) for result in results]
    seconds = sum(result.duration_ms for result in results) / 1000
    counts = {"failures": "failure", "errors": "error", "skipped": "skipped"}
    return {
        "tests": str(len(verdicts)),
        **{name: str(verdicts.count(verdict)) for name, verdict in counts.items()},
        "time": f"{seconds:.3f}",
    }


def _verdict(result: CheckResult) -> str | None:
    if result.status == "skip" or (result.suppression is not None and result.status != "ok"):
        return "skipped"
    return {"crit": "failure", "unknown": "error"}.get(result.status)


def _case(result: CheckResult) -> ElementTree.Element:
    # The id and not the title names it: a CI server follows a case over builds by its name.
    case = ElementTree.Element(
        "testcase", classname=_xml(result.check_type), name=_xml(result.check_id), time=f"{result.duration_ms / 1000:.3f}"
    )
    properties = ElementTree.SubElement(case, "properties")
    told = {"fingerprint": result.fingerprint, "target": result.target, "title": result.title, "severity": result.severity}
    for name, value in {**told, **{f"label.{key}": value for key, value in result.labels.items()}}.items():
        ElementTree.SubElement(properties, "property", name=_xml(name), value=_xml(value))
    verdict = _verdict(result)
    if verdict is not None:
        message, kind = result.summary, result.error.kind if result.error is not None else result.status
        if verdict == "skipped" and result.suppression is not None:
            message = f"{result.status}, under {result.suppression.by}: {result.suppression.reason or result.summary}"
        attributes = {"message": _xml(message)} if verdict == "skipped" else {"message": _xml(message), "type": kind}
        ElementTree.SubElement(case, verdict, attributes).text = _xml(_reasons(result)) or None
    elif result.status == "warn":
        ElementTree.SubElement(case, "system-out").text = _xml(f"warn: {result.summary}\n{_reasons(result)}".strip())
    return case


def _reasons(result: CheckResult) -> str:
    failed = [f"{condition.expr}: got {condition.actual}" for condition in result.conditions if not condition.ok]
    return "\n".join([*failed, *filter(None, [result.details])])


def _xml(text: str) -> str:
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", text)
