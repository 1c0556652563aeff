"""`./dev bench [NAME …]`: every figure, or those named."""

from __future__ import annotations

import importlib
import sys

NAMES = (
    "fanout",
    "conditions",
    "terminal",
    "idle",
    "wake",
    "herd",
    "jupyter-fanout",
    "first-row",
    "first-write",
    "checks",
    "history",
    "scheduler",
    "table",
    "soak",
)


def main() -> None:
    """Runs the benchmarks named, with the options that follow them."""
    names = [argument for argument in sys.argv[1:] if argument in NAMES]
    options = [argument for argument in sys.argv[1:] if argument not in NAMES]
    for name in names or NAMES:
        importlib.import_module(f"benchmarks.{name.replace('-', '_')}").main(options)


if __name__ == "__main__":
    main()
