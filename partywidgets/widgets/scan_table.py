"""ScanTable: the live rows of the ops room."""

from __future__ import annotations

from typing import Any, ClassVar

from ._base import refuse_unknown
from .ops_view import OpsView


class ScanTable(OpsView):
    """The latest result of every check, live. `title` stands above it, `height` is in CSS pixels."""

    bundle: ClassVar[str] = "table.js"

    def __init__(self, *, title: str | None = None, height: int | None = None, layout: Any = None, **unknown: Any) -> None:
        refuse_unknown("ScanTable", unknown, ["title", "height", "layout"])
        super().__init__(options={"title": title, "height": height}, layout=layout)

    def __repr__(self) -> str:
        return f"ScanTable(room={self.room!r})"
