"""A scan as a JUnit file."""

from __future__ import annotations

from datetime import UTC, datetime
from xml.etree import ElementTree

from partywidgets.scans.junit import junit_text
from partywidgets.scans.model import CheckResult, ConditionResult, Failure, Suppression
from partywidgets.scans.report import ScanReport


def suite_of(*results: CheckResult) -> ElementTree.Element:
    """The file's root, read back."""
    return ElementTree.fromstring(junit_text(ScanReport(results=list(results), finished_at=datetime.now(UTC))).encode())


def test_what_becomes_of_each_status() -> None:
    """crit fails with its conditions and class, unknown is an error, skip and a suppressed crit are skipped, warn passes and says so."""
    ack = Suppression("ack", "1", reason="Ada is on it")
    root = suite_of(
        CheckResult("fine", "http", "x", "ok", duration_ms=1500, labels={"team": "web"}),
        CheckResult("down", "http", "x", "crit", summary="HTTP 503", conditions=[ConditionResult("status < 400", False, "503")]),
        CheckResult("gone", "tcp", "x", "unknown", summary="no such name", error=Failure("dns", "no such name")),
        CheckResult("full", "host", "x", "warn", summary="91 %"),
        CheckResult("known", "host", "x", "crit", summary="99 %", suppression=ack),
        CheckResult("later", "host", "x", "skip", summary="not today"),
    )
    assert {name: root.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "6",
        "failures": "1",
        "errors": "1",
        "skipped": "2",
    }
    assert [(suite.get("name"), suite.get("tests")) for suite in root] == [("http", "2"), ("tcp", "1"), ("host", "3")]
    cases = {case.get("name"): case for case in root.iter("testcase")}
    assert cases["fine"].get("time") == "1.500"
    assert {p.get("name"): p.get("value") for p in cases["fine"].iter("property")}["label.team"] == "web"
    assert [child.tag for child in cases["fine"]] == ["properties"]
    failure, error = cases["down"].find("failure"), cases["gone"].find("error")
    assert failure is not None
    assert error is not None
    assert (failure.get("message"), failure.get("type"), failure.text) == ("HTTP 503", "crit", "status < 400: got 503")
    assert (error.get("message"), error.get("type")) == ("no such name", "dns")
    skipped = cases["known"].find("skipped")
    assert skipped is not None
    assert skipped.get("message") == "crit, under ack: Ada is on it"
    assert cases["full"].findtext("system-out") == "warn: 91 %"
    assert cases["later"].find("skipped") is not None


def test_hostile_text_stays_text() -> None:
    """Markup, and characters that XML cannot hold, leave the file readable and make no element."""
    root = suite_of(CheckResult("a<b", "http", "x", "crit", summary=']]><failure/>\x00\ufffe\ud800"', details="<script>&\x1b[0m"))
    (case,) = root.iter("testcase")
    assert case.get("name") == "a<b"
    assert [child.tag for child in case] == ["properties", "failure"]
    assert "<script>&" in (case.findtext("failure") or "")


def test_no_results() -> None:
    """An empty scan is an empty file of the same form."""
    root = suite_of()
    assert (root.tag, root.get("tests"), len(root)) == ("testsuites", "0", 0)
