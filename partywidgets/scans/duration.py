"""The package's durations, under the name that the scans' modules use."""

from ..duration import PositiveSeconds, Seconds, format_duration, parse_duration

__all__ = ["PositiveSeconds", "Seconds", "format_duration", "parse_duration"]
