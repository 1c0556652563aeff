"""BacktestFrame: what a backtest found, and first of all what came of it in words."""

from __future__ import annotations

import html

import pandas as pd


class BacktestFrame(pd.DataFrame):
    """A frame of `backtest_frame` that shows `summary` before its rows; without rows that alone. What is made from it is a plain frame."""

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return pd.DataFrame

    @property
    def summary(self) -> str:
        """How often the condition would have fired, for how long, and what that was made out from."""
        return str(self.attrs["summary"])

    def __repr__(self) -> str:
        return f"{self.summary}\n{super().__repr__()}" if len(self) else self.summary

    def _repr_html_(self) -> str:
        shown = self.to_html(max_rows=pd.get_option("display.max_rows"), notebook=True) if len(self) else ""
        return f"<p>{html.escape(self.summary)}</p>{shown}"
