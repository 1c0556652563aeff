"""OpsDashboard: the rows of the ops room with their details, history and actions; what `pw.ops` gives."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from ._base import refuse_unknown
from .ops_view import OpsView


class OpsDashboard(OpsView):
    """The ops room in a cell. `title` stands above it, `height` of its table is in CSS pixels; the others are those of `ScanTable`."""

    bundle: ClassVar[str] = "dashboard.js"

    def __init__(
        self,
        *,
        title: str | None = None,
        height: int | None = None,
        columns: Iterable[str] | None = None,
        sort: str | Iterable[str] | None = None,
        group: str | None = None,
        search: str | None = None,
        layout: Any = None,
        **unknown: Any,
    ) -> None:
        refuse_unknown("OpsDashboard", unknown, ["title", "height", "columns", "sort", "group", "search", "layout"])
        super().__init__(options={"title": title, "height": height}, columns=columns, sort=sort, group=group, search=search, layout=layout)

    def __repr__(self) -> str:
        return f"OpsDashboard(room={self.room!r})"
