"""ScanTable: the live rows of the ops room."""

from __future__ import annotations

from typing import ClassVar

from .ops_view import OpsView


class ScanTable(OpsView):
    """The latest result of every check, live: `pw.ScanTable(sort="-duration_ms", group="label:team")`.

    `title` stands above it, `height` is in CSS pixels. `columns`, `sort` (strongest first, `-` turns around), `group` and `search` are how
    it opens; what people change then is in `view`, which is saved with the widget.
    """

    bundle: ClassVar[str] = "table.js"
