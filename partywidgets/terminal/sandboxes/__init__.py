"""Where a terminal's shell runs: one file a kind, behind one small interface."""

from .base import Address, Exit, Lasting, MarkSource, Prompt, Renewing, Sandbox
from .opening import open_sandbox, parse_address

__all__ = ["Address", "Exit", "Lasting", "MarkSource", "Prompt", "Renewing", "Sandbox", "open_sandbox", "parse_address"]
