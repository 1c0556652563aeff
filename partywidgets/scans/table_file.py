"""Results as files that other programs read: CSV and Parquet."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ..exceptions import ConfigError, StorageError
from .frame import results_frame

if TYPE_CHECKING:
    from .model import CheckResult

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_text(results: Iterable[CheckResult]) -> str:
    """The columns of `results_frame` with `fingerprint` first, one line a result; `labels` and `metrics` are JSON objects.

    A text that a spreadsheet would run as a formula, since a target may have written it, begins with an apostrophe.
    """
    frame = results_frame(results).reset_index()
    for name in ("labels", "metrics"):
        frame[name] = [json.dumps(value, ensure_ascii=False, sort_keys=True) for value in frame[name]]
    for name in ("check_id", "title", "check_type", "target", "summary", "scan_id", "result_id"):
        frame[name] = [f"'{text}" if text.startswith(_FORMULA) else text for text in frame[name]]
    text: str = frame.to_csv(index=False, date_format="%Y-%m-%dT%H:%M:%S.%fZ")
    return text


def require_parquet() -> None:
    """Raises ConfigError where pyarrow, which writes Parquet, is not installed."""
    if importlib.util.find_spec("pyarrow") is None:
        raise ConfigError("Parquet files are written by pyarrow, which is not installed: pip install 'partywidgets[parquet]'")


def write_parquet(results: Iterable[CheckResult], path: Path | str) -> None:
    """Writes the columns of `results_frame`, with `fingerprint`, to a Parquet file; `labels` and `metrics` are maps.

    Raises ConfigError without pyarrow (extra `parquet`), StorageError when the file cannot be written.
    """
    require_parquet()
    import pyarrow as pa
    import pyarrow.parquet as pq

    frame = results_frame(results).reset_index()
    table = pa.Table.from_pandas(frame.drop(columns=["labels", "metrics"]), preserve_index=False)
    # Maps and not structs: Parquet has no struct without fields, and the names differ from result to result.
    for name, kind in (("labels", pa.string()), ("metrics", pa.float64())):
        column = pa.array([list(value.items()) for value in frame[name]], type=pa.map_(pa.string(), kind))
        table = table.append_column(name, column)
    try:
        pq.write_table(table, path)
    except OSError as error:
        raise unwritable(path, error) from None


def write_text(path: Path | str, text: str) -> None:
    """Writes a file of text, in UTF-8. Raises StorageError when it cannot be written."""
    try:
        Path(path).write_text(text, encoding="utf-8", errors="replace", newline="")
    except OSError as error:
        raise unwritable(path, error) from None


def unwritable(path: Path | str, error: OSError) -> StorageError:
    """The sentence about a file that cannot be written."""
    return StorageError(
        f"{path} cannot be written: {error.strerror or error}; name a file in a directory that exists and that you may write to"
    )
