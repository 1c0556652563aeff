"""Coming and going leaves nothing behind. `./dev bench soak` does it for longer, and measures the memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.soak import Soak, slope, soak


def check(seen: Soak, *, connections: int) -> None:
    """No more files and tasks than there were, and it was not for want of a crowd."""
    assert seen.came > connections
    before, most, after = seen.files
    assert after <= before
    assert most >= before + connections
    assert seen.tasks[2] <= seen.tasks[0]


async def test_a_few_come_and_go(tmp_path: Path) -> None:
    """Twenty connections, three seconds: tasks and files are back where they were, and nobody who stayed missed a message."""
    seen = await soak(tmp_path, connections=20, churn=20, seconds=3.0)
    check(seen, connections=20)
    assert len(seen.lines()) == 3


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_two_hundred_come_and_go_for_a_minute(tmp_path: Path) -> None:
    """Twenty a second of two hundred: the same."""
    told: list[float] = []
    seen = await soak(tmp_path, connections=200, churn=20, seconds=61.0, tell=lambda so_far: told.append(so_far.seconds))
    check(seen, connections=200)
    assert len(told) == 1
    print("\n".join(seen.lines()))


def test_the_slope_of_a_line_is_found() -> None:
    """Without noise exactly, and with noise that stands evenly around it within what is said."""
    grows, unsure = slope([(x / 10, 3.0 * x / 10 + 7) for x in range(50)])
    assert grows == pytest.approx(3.0)
    assert unsure == pytest.approx(0.0, abs=1e-6)
    grows, unsure = slope([(x / 10, 3.0 * x / 10 + 7 + (-1) ** x) for x in range(50)])
    assert abs(grows - 3.0) <= unsure < 1.0
