"""How a table is looked at, from keywords: the value of the trait `view`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from ..client.arguments import names
from ..exceptions import KeywordError
from ..scans.columns import COLUMN_KEYS, GROUPINGS, is_grouping

SEARCH = 500
"""Longest `search`, in characters."""


HEIGHTS = (40, 10_000)
"""Least and most `height`, in CSS pixels."""


def check_frame(function: str, title: object, height: object) -> None:
    """Raises KeywordError for a title that is no text, and for a height that no table has."""
    if title is not None and not isinstance(title, str):
        raise KeywordError(f"{function}(title={title!r}): it takes text")
    least, most = HEIGHTS
    if height is not None and (isinstance(height, bool) or not isinstance(height, int) or not least <= height <= most):
        raise KeywordError(f"{function}(height={height!r}): it takes a whole number of pixels from {least} to {most:,}")


def read_view(
    function: str, *, columns: str | Iterable[str] | None, sort: str | Iterable[str] | None, group: str | None, search: str | None
) -> dict[str, Any]:
    """Checks the keywords; what is None is left out. Raises KeywordError that names what there is."""
    view: dict[str, Any] = {}
    if columns is not None:
        view["columns"] = [_column(function, "columns", name) for name in names(f"{function}(columns=…)", columns)]
    if sort is not None:
        words = names(f"{function}(sort=…)", sort)
        view["sort"] = [("-" if word.startswith("-") else "") + _column(function, "sort", word.removeprefix("-")) for word in words]
    if group is not None:
        if not isinstance(group, str) or not is_grouping(group):
            raise KeywordError(f"{function}(group={group!r}): rows are grouped by {', '.join(GROUPINGS)}, or label:NAME")
        view["group"] = group
    if search is not None:
        if not isinstance(search, str):
            raise KeywordError(f"{function}(search={search!r}): it takes text, as the filter field does")
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
