"""What the ops room's tests share."""

from __future__ import annotations

import pytest

from . import ops_room


@pytest.fixture(autouse=True)
def play() -> ops_room.Play:
    """A script for scripted checks, new for each test."""
    ops_room.PLAY = ops_room.Play()
    return ops_room.PLAY
