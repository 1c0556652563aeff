"""How a table is looked at, from keywords: the value of the trait `view`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from ..exceptions import KeywordError
from ..scans.columns import COLUMN_KEYS, GROUPINGS, is_grouping

SEARCH = 500
"""Longest `search`, in characters."""


def read_view(
    function: str, *, columns: Iterable[str] | None, sort: str | Iterable[str] | None, group: str | None, search: str | None
) -> dict[str, Any]:
    """Checks the keywords; what is None is left out. Raises KeywordError that names what there is."""
    view: dict[str, Any] = {}
    if columns is not None:
        view["columns"] = [_column(function, "columns", name) for name in columns]
    if sort is not None:
        words = [sort] if isinstance(sort, str) else list(sort)
        view["sort"] = [("-" if word.startswith("-") else "") + _column(function, "sort", word.removeprefix("-")) for word in words]
    if group is not None:
        if not is_grouping(group):
            raise KeywordError(f"{function}(group={group!r}): rows are grouped by {', '.join(GROUPINGS)}, or label:NAME")
        view["group"] = group
    if search is not None:
        if len(search) > SEARCH:
            raise KeywordError(f"{function}(search=…) has {len(search)} characters, at most {SEARCH} are read")
        view["search"] = search
    return view


def _column(function: str, keyword: str, name: str) -> str:
    if name in COLUMN_KEYS:
        return name
    near = difflib.get_close_matches(name, COLUMN_KEYS, n=1)
    remedy = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(COLUMN_KEYS)}"
    raise KeywordError(f"{function}({keyword}=…) has no column {name!r}: {remedy}")
