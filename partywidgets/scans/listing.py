"""All rows of a large board as one table looks at them, for a file: the columns of its CSV, in frames that each fit their bound."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic_core import to_json

from .model import CheckResult, wire_time

COLUMNS = ("fingerprint", "check_id", "title", "target", "status", "severity", "summary", "duration_ms", "observed_at")
"""As `ts/views/csv.ts` has them."""
PART_BYTES = 48 * 1024
"""What a frame is filled to: a few milliseconds of the loop, and six seconds of a line of 64 kbit/s. A page waits 15 s for the next."""


def parts(request_id: Any, rows: Sequence[CheckResult]) -> Iterator[str]:
    """The `rows` messages, each made when it is asked for. `from` is the place of a part's first row; the last part says so."""
    head = to_json(request_id).decode()
    begin = 0
    while begin < len(rows):
        texts: list[str] = []
        left = PART_BYTES
        while begin + len(texts) < len(rows) and (left > 0 or not texts):
            row = rows[begin + len(texts)]
            values = [wire_time(row.observed_at) if name == "observed_at" else getattr(row, name) for name in COLUMNS]
            line = to_json(values)
            left -= len(line) + 1
            texts.append(line.decode())
        last = "true" if begin + len(texts) == len(rows) else "false"
        yield f'{{"type":"rows","data":{{"id":{head},"from":{begin},"last":{last},"rows":[{",".join(texts)}]}}}}'
        begin += len(texts)
