"""Configs of other tools as `partywidgets.yaml`: Gatus, Uptime Kuma, and blackbox_exporter with Prometheus' targets.

What a tool's file says is drafted as checks, targets of notifications and maintenance windows (`draft.py`); each is held against the models
that a host loads, so that what is written is always a config. Whatever has no counterpart is told with its place, and nothing is guessed.
"""

from .conversion import Conversion, convert

__all__ = ["Conversion", "convert"]
