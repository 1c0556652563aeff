"""A table of results as they were: of a report, or of a DataFrame."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pandas as pd
import pytest

import partywidgets as pw
from partywidgets.exceptions import KeywordError
from partywidgets.runtime import Runtime
from partywidgets.saved_notebook import ELSEWHERE
from partywidgets.scans.frame import frame_results, results_frame
from partywidgets.scans.model import CheckResult, Evidence, Failure, Metric, State, Suppression, utc_now
from partywidgets.scans.report import ScanReport
from partywidgets.testing import party_runtime
from partywidgets.widgets import scan_table

__all__ = ["party_runtime"]

WAIT = 30.0


def result(check: str, status: Any = "ok", **options: Any) -> CheckResult:
    """A result of a check on a target of its own."""
    return CheckResult(check, "http", f"http://{check}.test/", status, severity="high", **options)


def full(check: str) -> CheckResult:
    """A result that has all that a frame has."""
    return result(
        check,
        "crit",
        title=f"The {check}",
        summary="got 503",
        duration_ms=12.5,
        labels={"team": "web"},
        metrics=[Metric("size", 42.0)],
        error=Failure("http", "503"),
        suppression=Suppression("ack", "x", None, "Ana", "on it"),
        state=State(phase="soft", since=utc_now()),
        evidence=[Evidence("body", "body", "down")],
    )


async def asked(table: pw.ScanTable) -> list[dict[str, Any]]:
    """What the kernel answers a page that asks for the results."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[tuple[dict[str, Any], list[bytes]]] = loop.create_future()

    def tell(content: dict[str, Any], buffers: list[bytes]) -> None:
        if content.get("id") == "r1":
            loop.call_soon_threadsafe(answer.set_result, (content, buffers))

    table._tell_page = tell  # type: ignore[method-assign]
    table._received(None, {"op": "results", "id": "r1"}, [])
    content, buffers = await asyncio.wait_for(answer, WAIT)
    if "error" in content:
        raise RuntimeError(content["error"])
    return list(json.loads(gzip.decompress(buffers[0])))


async def test_a_report(party_runtime: Runtime) -> None:
    """Its rows go to the page that asks, without what a table does not show, and are the widget's rows in Python."""
    report = ScanReport(results=[result("fine"), full("shop")])
    table = pw.ScanTable(report, title="Last night", search="-status:ok")
    try:
        rows = await asked(table)
        assert [(row["check_id"], row["status"], row["ttl_s"], row["evidence"]) for row in rows] == [
            ("fine", "ok", None, []),
            ("shop", "crit", None, []),
        ]
        assert [row.check_id for row in table.results] == ["shop", "fine"]
        assert list(table.df["status"]) == ["crit", "ok"]
        table.selection = [report.results[0].fingerprint]
        assert list(table.selected["check_id"]) == ["fine"]
        options = table.get_state()["_options"]
        assert (options["title"], options["given"]) == ("Last night", "manual, 2 checks: 1 ok, 1 crit, running")
        assert table.view == {"search": "-status:ok"}
    finally:
        table.close()


async def test_a_frame_and_what_was_chosen_of_it(party_runtime: Runtime) -> None:
    """`report.df` comes back as it was, in the table as well; a part of it, and the least that there may be, are shown, too."""
    frame = ScanReport(results=[result("fine"), full("shop")]).df
    pd.testing.assert_frame_equal(results_frame(frame_results(frame)), frame)
    chosen = pw.ScanTable(frame[frame["status"] >= "warn"])
    least = pw.ScanTable(pd.DataFrame({"check_id": ["a", "b"], "status": ["ok", "warn"]}))
    try:
        (row,) = await asked(chosen)
        assert (row["fingerprint"], row["labels"], row["summary"]) == (frame.index[1], {"team": "web"}, "got 503")
        assert (row["suppression"]["by"], row["state"]["phase"], row["error"]["class"]) == ("ack", "soft", "http")
        assert [row["status"] for row in await asked(least)] == ["ok", "warn"]
        assert least.get_state()["_options"]["given"] == "2 results: 1 ok, 1 warn"
    finally:
        chosen.close()
        least.close()


def test_what_is_saved_shows_them_at_once(party_runtime: Runtime) -> None:
    """The rows do not change, so the cell's own output has them, as text and as HTML; the widget's state has the same and not all rows."""
    table = pw.ScanTable(ScanReport(results=[full(f"c{number:04}") for number in range(2000)]))
    try:
        bundle, _ = table._repr_mimebundle_()  # type: ignore[misc]
        assert bundle["text/plain"].splitlines()[:2] == ["ScanTable(2000 results)", "2000 crit"]
        assert "and 1500 more" in bundle["text/html"]
        assert bundle["text/html"].startswith('<div class="pw-still">')
        assert "application/vnd.jupyter.widget-view+json" in bundle
        assert len(json.dumps(table.get_state(), default=str)) < 200_000
    finally:
        table.close()


def test_what_is_saved_says_that_the_host_is_not_jupyters(party_runtime: Runtime) -> None:
    """The Jupyter Server would look for the room among its own: the output tells it not to."""
    table = pw.ScanTable()
    try:
        _, metadata = table._repr_mimebundle_()  # type: ignore[misc]
        assert metadata == {ELSEWHERE: True}
    finally:
        table.close()


async def test_a_table_of_the_room_has_none(party_runtime: Runtime) -> None:
    """Whoever asks a table of the room for given results hears that it has none."""
    table = pw.ScanTable()
    try:
        with pytest.raises(RuntimeError, match="does not know 'results'"):
            await asked(table)
    finally:
        table.close()


HISTORY = pd.DataFrame({"check_id": ["a", "a"], "status": ["ok", "crit"], "fingerprint": ["00000000000000aa"] * 2})


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (pd.DataFrame({"a": [1]}), r"it has no column 'check_id', and a row is a result as in report\.df"),
        (
            pd.DataFrame({"check_id": ["a"], "status": ["down"]}),
            r"row 0: status: expected one of ok, warn, crit, unknown, skip, got 'down'",
        ),
        (pd.DataFrame({"check_id": [3], "status": ["ok"]}), r"row 0: check_id: expected text, got int"),
        (pd.DataFrame({"check_id": ["a"], "status": ["ok"], "observed_at": ["noon"]}), r"row 0: .*noon"),
        (HISTORY, r"row 1 is another of 00000000000000aa \(a\), .*: frame\.groupby\('fingerprint'\)\.tail\(1\)"),
        ("report.json", r"ScanTable\(\) shows the rows of the ops room, a ScanReport or a DataFrame, and takes no str"),
    ],
)
def test_what_cannot_be_shown_is_told(given: Any, sentence: str, party_runtime: Runtime) -> None:
    """One sentence with the row and what is wrong in it; there is no widget then."""
    with pytest.raises(KeywordError, match=sentence):
        pw.ScanTable(given)


def test_so_many_are_too_many(party_runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than a page sorts by itself are refused with what to do."""
    monkeypatch.setattr(scan_table, "MOST", 1)
    with pytest.raises(KeywordError, match=r"at most 1 results, these are 2: choose some, frame\.head\(1\) does"):
        pw.ScanTable(ScanReport(results=[result("a"), result("b")]))
