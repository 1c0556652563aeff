"""ScanTable: the live rows of the ops room."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from ._base import refuse_positional, refuse_unknown
from .ops_view import OpsView


class ScanTable(OpsView):
    """The latest result of every check, live: `pw.ScanTable(sort="-duration_ms", group="label:team")`.

    `title` stands above it, `height` is in CSS pixels. `columns`, `sort` (strongest first, `-` turns around), `group` and `search` are how
    it opens; what people change then is in `view`, which is saved with the widget.
    """

    bundle: ClassVar[str] = "table.js"

    def __init__(
        self,
        *given: object,
        title: str | None = None,
        height: int | None = None,
        columns: Iterable[str] | None = None,
        sort: str | Iterable[str] | None = None,
        group: str | None = None,
        search: str | None = None,
        layout: Any = None,
        **unknown: Any,
    ) -> None:
        refuse_positional("ScanTable", given)
        refuse_unknown("ScanTable", unknown, ["title", "height", "columns", "sort", "group", "search", "layout"])
        super().__init__(options={"title": title, "height": height}, columns=columns, sort=sort, group=group, search=search, layout=layout)

    def __repr__(self) -> str:
        return f"ScanTable(room={self.room!r})"
