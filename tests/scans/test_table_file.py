"""Results as CSV and Parquet."""

from __future__ import annotations

import importlib.util
import io
import json
from pathlib import Path

import pandas as pd
import pytest

from partywidgets.exceptions import ConfigError, StorageError
from partywidgets.scans.frame import COLUMNS
from partywidgets.scans.model import CheckResult, Metric
from partywidgets.scans.report import ScanReport


@pytest.fixture
def report() -> ScanReport:
    """Two results with different numbers and labels."""
    return ScanReport(
        results=[
            CheckResult("web", "http", "http://x", "ok", metrics=[Metric("size", 3.0, "B")], labels={"team": "wéb"}, summary='a, "b"'),
            CheckResult("disk", "host", "/", "crit", metrics=[Metric("used", 99.5, "%")], summary="=HYPERLINK(1)"),
        ]
    )


def test_csv(report: ScanReport) -> None:
    """The columns of df with the fingerprint first; dicts are JSON, times ISO; what a spreadsheet would run is text."""
    frame = pd.read_csv(io.StringIO(report.to_csv()))
    assert list(frame.columns) == ["fingerprint", *COLUMNS]
    assert list(frame["fingerprint"]) == [result.fingerprint for result in report.results]
    assert list(frame["summary"]) == ['a, "b"', "'=HYPERLINK(1)"]
    assert [json.loads(text) for text in frame["metrics"]] == [{"size": 3.0}, {"used": 99.5}]
    assert json.loads(frame["labels"][0]) == {"team": "wéb"}
    assert abs(pd.Timestamp(frame["observed_at"][0]) - report.results[0].observed_at) < pd.Timedelta("1ms")
    assert len(ScanReport().to_csv().splitlines()) == 1


@pytest.mark.parametrize("kind", ["csv", "junit"])
def test_a_text_goes_into_a_file_where_one_is_named(kind: str, report: ScanReport, tmp_path: Path) -> None:
    """As pandas' own: with a path there is a file and no answer; one that cannot be written is said with its name."""
    write = getattr(report, f"to_{kind}")
    assert write(tmp_path / "file") is None
    assert (tmp_path / "file").read_bytes().decode() == write()
    with pytest.raises(StorageError, match=r"nowhere/file cannot be written: .*; name a file in a directory that exists"):
        write(str(tmp_path / "nowhere" / "file"))


def test_parquet(report: ScanReport, tmp_path: Path) -> None:
    """What is read back has the rows, ordered statuses, UTC times, and labels and metrics as maps; no results give the same columns."""
    import pyarrow.parquet as pq

    path = tmp_path / "results.parquet"
    report.to_parquet(path)
    frame = pq.read_table(path).to_pandas(maps_as_pydicts="strict")
    assert set(frame.columns) == {"fingerprint", *COLUMNS}
    assert list(frame["status"]) == ["ok", "crit"]
    assert frame["status"].cat.ordered
    assert list(frame["metrics"]) == [{"size": 3.0}, {"used": 99.5}]
    assert list(frame["labels"]) == [{"team": "wéb"}, {}]
    assert str(frame["observed_at"].dtype) == "datetime64[ms, UTC]"
    ScanReport().to_parquet(path)
    assert set(pq.read_table(path).column_names) == {"fingerprint", *COLUMNS}


def test_parquet_mistakes(report: ScanReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A place that is not there, and a missing pyarrow, are one sentence."""
    with pytest.raises(StorageError, match="cannot be written"):
        report.to_parquet(tmp_path / "nowhere" / "a.parquet")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'partywidgets\[parquet\]'"):
        report.to_parquet(tmp_path / "a.parquet")
