"""Results and reports: what they hold, how large they may be, how they go over the wire and into a DataFrame."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partywidgets.duration import format_duration, parse_duration
from partywidgets.scans import bounds
from partywidgets.scans.board import Board
from partywidgets.scans.frame import COLUMNS, results_frame
from partywidgets.scans.model import (
    CheckResult,
    ConditionResult,
    Evidence,
    Failure,
    Metric,
    Runner,
    State,
    Status,
    fingerprint,
    parse_time,
    uuid7,
    wire_time,
)
from partywidgets.scans.packing import packed, unpacked
from partywidgets.scans.report import ScanReport, bounded_wires

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "ops.json").read_text())


def result(status: Status = "ok", **more: Any) -> CheckResult:
    """A small result."""
    return CheckResult(more.pop("check_id", "shop"), "http", more.pop("target", "http://127.0.0.1/"), status, **more)


def message(kind: str) -> Any:
    """The data of the first example message of a type."""
    return next(item["message"]["data"] for item in VECTORS if item["message"]["type"] == kind)


FIXED = result()
texts = st.text(st.sampled_from("ab|ä \t\n\x1b\u2028\u202e€😀"), max_size=6) | st.sampled_from(["x" * 99, "x" * 101, "x" * 201, "a b", ""])
numbers = st.floats() | st.integers(-5, 5)


@given(
    st.data(),
    st.lists(st.builds(ConditionResult, texts, st.booleans(), texts), max_size=10),
    st.lists(st.builds(Metric, texts, numbers, texts, st.none() | texts), max_size=10),
    st.lists(st.builds(Evidence, texts, texts, texts | st.just("é" * 5000)), max_size=10),
    st.dictionaries(texts, texts, max_size=10),
    st.dictionaries(texts, numbers, max_size=10),
)
def test_what_is_passed_as_tidy_needed_no_cut(
    data: st.DataObject,
    conditions: list[ConditionResult],
    metrics: list[Metric],
    evidence: list[Evidence],
    labels: dict[str, str],
    phases: dict[str, float],
) -> None:
    """The quick way and the whole way give the same result, whatever is in it."""
    most = data.draw(st.sampled_from([1, 10]), "items in it")
    drawn: dict[str, Any] = {name: data.draw(texts, name) for name in ("check_id", "check_type", "target", "title", "summary", "scan_id")}
    drawn["details"] = data.draw(st.just("") | texts, "details")
    drawn["error"] = data.draw(st.none() | st.builds(Failure, st.just("http"), texts), "error")
    drawn["runner"] = data.draw(st.none() | st.builds(Runner, texts, texts, st.none() | texts), "runner")

    def unbounded() -> CheckResult:
        made = unpacked(packed(FIXED))
        for name, value in drawn.items():
            setattr(made, name, value)
        made.conditions, made.metrics, made.evidence = conditions[:most], metrics[:most], evidence[:most]
        made.labels, made.phases_ms = dict(list(labels.items())[:most]), dict(list(phases.items())[:most])
        return made

    quick, whole = unbounded(), unbounded()
    bounds.apply(quick)
    bounds.cut(whole)
    bounds._shrink(whole)
    assert quick.to_wire() == whole.to_wire()


def test_result_as_in_the_vectors() -> None:
    """A result of the vectors is read and written back the same, key for key."""
    wire = message("check-result")["results"][0]
    assert CheckResult.from_wire(wire).to_wire() == wire
    assert list(CheckResult.from_wire(wire).to_wire()) == list(wire)


def test_report_as_in_the_vectors() -> None:
    """A report of the vectors is read and written back the same, with counts and total of the whole scan."""
    wire = message("scan-result")
    report = ScanReport.from_wire(wire)
    assert report.to_wire() == wire
    assert (report.total, len(report.results), report.counts["ok"]) == (4, 1, 3)


def test_uuid7() -> None:
    """Ids are UUIDs of version 7 that sort as they were made and hold the time."""
    ids = [uuid7() for _ in range(5000)]
    assert ids == sorted(set(ids))
    parsed = uuid.UUID(ids[0])
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert abs((parsed.int >> 80) / 1000 - time.time()) < 60


def test_times() -> None:
    """Times are UTC with milliseconds, whatever zone they came in; one without a zone is refused."""
    moment = datetime(2026, 11, 23, 7, 0, 0, 13_999, tzinfo=timezone(timedelta(hours=1)))
    assert wire_time(moment) == "2026-11-23T06:00:00.013Z"
    assert parse_time("2026-11-23T06:00:00.013Z") == datetime(2026, 11, 23, 6, 0, 0, 13_000, tzinfo=UTC)
    with pytest.raises(ValueError, match="has no zone"):
        parse_time("2026-11-23T06:00:00")


def test_fingerprint() -> None:
    """The fingerprint depends on id, target and identity labels, on nothing else, and not on the order of labels."""
    base = fingerprint("shop", "http://x/")
    assert len(base) == 16
    assert int(base, 16) >= 0
    assert fingerprint("shop", "http://x/", {"a": "1", "b": "2"}) == fingerprint("shop", "http://x/", {"b": "2", "a": "1"})
    assert (
        len({base, fingerprint("shop", "http://y/"), fingerprint("s", "hophttp://x/"), fingerprint("shop", "http://x/", {"a": "1"})}) == 4
    )
    assert result(summary="a", target="http://x/").fingerprint == result("crit", summary="b", target="http://x/").fingerprint == base


def test_evidence() -> None:
    """Evidence keeps 4 KiB of UTF-8 cut between characters and the digest of the whole; capping again changes nothing."""
    whole = "ä" * 5000 + "\x1b[2J"
    kept = Evidence("text", "body", whole).capped()
    assert (len(kept.value.encode()), kept.truncated) == (4096, True)
    assert kept.sha256 == hashlib.sha256(whole.encode()).hexdigest()
    assert kept.capped() == kept
    shown = Evidence("text", "body", "a\x00b\x1b[31mred\u202etxt\r\nnext\tcell\x9b").capped()
    assert (shown.value, shown.truncated) == ("a␀b␛[31mred\ufffdtxt\nnext\tcell\ufffd", False)


def test_summary() -> None:
    """A summary is one line of at most 200 characters."""
    made = result(summary="<script>\n\x07 alert(1)\u2028" + "x" * 300)
    assert made.summary.startswith("<script> ␇ alert(1)")
    assert (len(made.summary), made.summary[-1]) == (200, "…")


def hostile(count: int = 1000) -> CheckResult:
    """A result with too much of everything."""
    return result(
        "crit",
        check_id="\x00" * 500,
        title="😀" * 500,
        details="😀" * 100_000,
        labels={f"😀{i}" * 50: "😀" * 500 for i in range(count)},
        conditions=[ConditionResult("😀" * 2000, False, "😀" * 10_000)] * count,
        metrics=[Metric("😀" * 500, 1.0, "😀" * 50, "😀" * 500, "😀" * 500)] * count,
        evidence=[Evidence("k" * 500, "n" * 500, "😀" * 300_000)] + [Evidence("k", "n", '"\\' * 100_000)] * count,
        links=["javascript:alert(1)", "https://x.example/" + "x" * 5000, "https://x.example/"] * count,
        phases_ms={f"p{i}": 1.0 for i in range(count)},
        error=Failure("internal", "😀" * 10_000),
    )


def test_hostile_result() -> None:
    """Whatever is put into a result, its JSON stays within the bound, and no link is a script."""
    made = hostile()
    assert len(json.dumps(made.to_wire())) <= bounds.RESULT_BYTES
    assert made.links == ["https://x.example/"] * 3
    assert (made.title[-1], len(made.labels), len(made.phases_ms)) == ("…", 8, 16)
    assert CheckResult.from_wire(made.to_wire()).to_wire() == made.to_wire()


def test_no_number() -> None:
    """A metric that is infinite or not a number is left out: JSON has none."""
    made = result(metrics=[Metric("a", float("nan")), Metric("b", float("inf")), Metric("c", 1.0)])
    assert [metric.name for metric in made.metrics] == ["c"]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"schema": "partywidgets.result/2"}, "expected the schema"),
        ({"status": "fine"}, "status: expected one of ok, warn, crit, unknown, skip, got 'fine'"),
        ({"status": None}, "status: expected one of"),
        ({"status": ["ok"]}, "status: expected one of"),
        ({"check_id": 5}, "check_id: expected text, got int"),
        ({"duration_ms": "5"}, "duration_ms: expected a finite number"),
        ({"duration_ms": True}, "duration_ms: expected a finite number"),
        ({"labels": ["a"]}, "labels: expected an object"),
        ({"labels": {"a": 5}}, "labels: expected an object of str"),
        ({"evidence": {"a": 5}}, "evidence: expected a list"),
        ({"evidence": [5]}, "expected an object, got int"),
        ({"metrics": [{"name": "a"}]}, "value: expected a finite number"),
        ({"observed_at": "yesterday"}, "observed_at: "),
        ({"observed_at": "2026-11-23T06:00:00"}, "observed_at: "),
        ({"error": {"class": "odd", "message": ""}}, "class: expected one of"),
        ({"state": {"phase": "odd"}}, "phase: expected one of"),
        ({"suppression": {"by": "me"}}, "by: expected one of"),
    ],
)
def test_malformed(change: dict[str, Any], complaint: str) -> None:
    """A result from a peer that is none is refused, and the complaint names the field."""
    with pytest.raises(ValueError, match=complaint.replace("(", r"\(")):
        CheckResult.from_wire({**result().to_wire(), **change})


def test_sparse() -> None:
    """A result needs only check, type, target and status; a null stands for what it leaves out."""
    made = CheckResult.from_wire(
        {"check_id": "a", "check_type": "http", "target": "t", "status": "ok", "state": None, "labels": None, "error": None}
    )
    assert (made.title, made.severity, made.state) == ("a", "medium", State())


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None)
@given(change=st.dictionaries(st.sampled_from(sorted(result().to_wire())), json_values, max_size=4))
def test_any_wire(change: dict[str, Any]) -> None:
    """Any JSON is read as a result or refused with ValueError, and what was read can be written as strict JSON."""
    try:
        made = CheckResult.from_wire({**result().to_wire(), **change})
    except ValueError:
        return
    json.dumps(made.to_wire(), allow_nan=False).encode()


def test_bounded_report() -> None:
    """A report over the bound keeps failing results first, then changed ones, tells the true counts, and where the rest is."""
    results = [result("ok", check_id=f"ok-{i}", change="unchanged", details="x" * 500) for i in range(500)]
    results += [result("ok", check_id="changed", change="updated")]
    results += [
        result("crit", check_id="down", severity="low"),
        result("warn", check_id="slow"),
        result("crit", check_id="worse", severity="high"),
    ]
    report = ScanReport(results=results)
    wire = report.to_wire()
    assert len(json.dumps({"type": "scan-result", "data": wire})) <= bounds.FRAME_BYTES
    assert [item["check_id"] for item in wire["results"][:5]] == ["worse", "down", "slow", "changed", "ok-0"]
    assert 5 < len(wire["results"]) < 504
    assert (wire["total"], wire["more"], wire["counts"]["ok"]) == (504, f"/api/ops/scans/{report.scan_id}", 501)
    whole = report.to_wire(max_bytes=None)
    assert (len(whole["results"]), whole["more"]) == (504, None)
    assert ScanReport.from_wire(whole).to_wire() == wire


def test_bounded_wires_of_hostile_results() -> None:
    """A frame always has room for at least one result."""
    wires, complete = bounded_wires([hostile(50)] * 10)
    assert wires
    assert not complete


def test_ten_thousand() -> None:
    """A report of ten thousand results still makes one bounded frame."""
    report = ScanReport(results=[result(check_id=f"c{i}") for i in range(10_000)])
    assert len(json.dumps(report.to_wire())) <= bounds.FRAME_BYTES
    assert report.to_wire()["counts"]["ok"] == 10_000


def test_add() -> None:
    """Adding a result counts it."""
    report = ScanReport(total=3)
    report.add(result("crit"))
    assert (report.counts, report.total) == ({"ok": 0, "warn": 0, "crit": 1, "unknown": 0, "skip": 0}, 3)


def test_what_a_cell_shows_of_a_report() -> None:
    """A report as a cell's last expression is one line of text, and its counts with the failing rows as an escaped table."""
    began = datetime(2026, 1, 1, tzinfo=UTC)
    report = ScanReport("s", started_at=began, finished_at=began + timedelta(seconds=0.26))
    assert repr(report) == "ScanReport(manual, 0 checks, 0.26 s)"
    for number in range(5):
        report.add(CheckResult(f"good-{number}", "host", "/", "ok"))
    report.add(CheckResult("disk", "host", "<b>", "crit", title="<script>alert(1)</script>", summary="a & b"))
    assert repr(report) == "ScanReport(manual, 6 checks: 5 ok, 1 crit, 0.26 s)"
    markup = report._repr_html_()
    assert "Scan manual, 6 checks: 5 ok, 1 crit, 0.26 s" in markup
    assert "&lt;script&gt;alert(1)&lt;/script&gt;</td><td>&lt;b&gt;</td><td>a &amp; b</td>" in markup
    assert "good-" not in markup
    assert "<script" not in markup
    assert repr(ScanReport("s", started_at=began, results=report.results[5:])) == "ScanReport(manual, 1 check: 1 crit, running)"
    assert repr(report.results[5]) == "CheckResult(disk is crit: a & b)"


def test_what_a_cell_shows_is_bounded() -> None:
    """A thousand failing rows are fifty and a count, also in a copy that has only some of them; hostile texts stay one line."""
    report = ScanReport("s", trigger="m\n\x1b[31m", results=[hostile(), *(CheckResult(f"c{n}", "host", "/", "warn") for n in range(999))])
    assert report._repr_html_().count("<tr>") == 51
    assert "and 950 more that fail" in report._repr_html_()
    copied = ScanReport.from_wire(ScanReport("s", results=report.results[1:]).to_wire(max_bytes=20_000))
    assert 0 < len(copied.results) < 50
    assert f"and {999 - len(copied.results)} more that fail" in copied._repr_html_()
    for text in (repr(report), *map(repr, report.results)):
        assert len(text) < 300
        assert text.isprintable()


def test_frame() -> None:
    """A report is a DataFrame: UTC times, ordered categoricals, one row a result by fingerprint."""
    report = ScanReport(
        results=[
            result(
                "crit",
                check_id="down",
                severity="high",
                metrics=[Metric("lag", 7.0)],
                error=Failure("timeout", "x"),
                labels={"team": "web"},
            ),
            result("ok", check_id="up", state=State(since=datetime(2026, 11, 23, tzinfo=UTC))),
            result("skip", check_id="off"),
        ]
    )
    frame = report.df
    assert list(frame.columns) == list(COLUMNS)
    assert list(frame.index) == [item.fingerprint for item in report.results]
    assert list(frame[frame["status"] >= "warn"]["check_id"]) == ["down"]
    assert list(frame.sort_values("status")["check_id"]) == ["up", "off", "down"]
    assert frame["severity"].max() == "high"
    assert str(frame["observed_at"].dtype) == str(frame["since"].dtype) == "datetime64[ms, UTC]"
    assert frame.iloc[0]["metrics"] == {"lag": 7.0}
    assert frame.iloc[0]["error"] == "timeout"
    assert pd.isna(frame.iloc[1]["error"])
    assert pd.isna(frame.iloc[0]["since"])


def test_empty_frame() -> None:
    """Without results the columns and their types are the same."""
    assert dict(results_frame([]).dtypes.astype(str)) == dict(results_frame([result()]).dtypes.astype(str))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("30s", 30),
        ("1m", 60),
        ("1h30m", 5400),
        ("7d", 604_800),
        ("2w", 1_209_600),
        ("1.5h", 5400),
        (5, 5),
        ("-5s", -5),
        (" 5s ", 5),
    ],
)
def test_durations(text: str | float, seconds: float) -> None:
    """Durations are read as people write them; a number is seconds."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "5 s", "s", "5sm", "1h 30m", "5y", "--5s", "1e3s", None, True, [5]])
def test_no_durations(text: Any) -> None:
    """What is not a duration is refused."""
    with pytest.raises(ValueError, match=r"not a duration|expected a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.25, "250ms"),
        (5, "5s"),
        (90, "1m30s"),
        (3600, "1h"),
        (3601, "1h"),
        (1_209_540, "13d23h"),
        (-90, "-1m30s"),
        (86_400, "1d"),
    ],
)
def test_durations_for_people(seconds: float, text: str) -> None:
    """Durations are shown in their two largest units."""
    assert format_duration(seconds) == text


def test_half_a_surrogate_pair_does_not_stop_a_row() -> None:
    """A text that UTF-8 cannot hold goes out as the escape that JSON has for it; all others as ASCII too."""
    odd = CheckResult("a", "http", "http://shop/", "ok", summary="fünf", links=["http://shop/\ud800", "http://shop/é"])
    text = Board().encoded(odd)
    assert text.isascii()
    assert json.loads(text) == odd.to_wire()
    odd.links.pop(0)
    text = Board().encoded(odd)
    assert text.isascii()
    assert json.loads(text) == odd.to_wire()
