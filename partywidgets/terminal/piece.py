"""A stretch of a terminal's output on its way to viewers of all dialects, and the frames that stand around it."""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any

from ..party import Frame
from . import cloudflare, protocol


class Piece:
    """A stretch of output, made into each dialect's frames at most once however many viewers get it."""

    def __init__(self, epoch: str, offset: int, output: bytes, text: str, made: float) -> None:
        self.epoch, self.offset, self.output, self.text = epoch, offset, output, text
        self.end = offset + len(output)
        self.made = made
        """The loop's time at which it was ready to be sent."""

    @cached_property
    def rich(self) -> Frame:
        return Frame(protocol.encode_output(self.offset, self.output))

    @cached_property
    def plain(self) -> Frame:
        return Frame(self.text)

    @cached_property
    def bare(self) -> Frame:
        return Frame(self.output)

    @cached_property
    def chunk(self) -> Frame:
        return chunk(self.epoch, self.offset + len(self.output), len(self.output))

    def slim(self, *, text: bool) -> None:
        """Lets go of the frames, and of the text unless it is wanted: what is held for somebody is held once, not once a dialect. Who takes
        it later has its frame made again."""
        for frame in ("rich", "plain", "bare", "chunk"):
            self.__dict__.pop(frame, None)
        if not text:
            self.text = ""


def chunk(epoch: str, end: int, size: int) -> Frame:
    """What announces a binary frame in Cloudflare's 1.0 dialect."""
    return control(type="chunk", cursor=cloudflare.encode_cursor(epoch, end), byteLength=size)


def control(**message: Any) -> Frame:
    """A JSON control frame."""
    return Frame(json.dumps(message, ensure_ascii=False, separators=(",", ":")))
