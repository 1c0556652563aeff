"""A host's directory that is moved, removed or replaced under it."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest

from partywidgets.party import PartyHost, Server
from partywidgets.party.directory_watch import DirectoryWatch

from .serving import until


def watched(storage: Path) -> PartyHost:
    """A host that looks often."""
    host = PartyHost({"room": Server}, storage=storage)
    host._watch = DirectoryWatch(host._directory, every=0.01)
    return host


@pytest.mark.parametrize("way", ["moved", "replaced"])
async def test_a_directory_that_goes_and_comes_back(tmp_path: Path, caplog: pytest.LogCaptureFixture, way: str) -> None:
    """The log says so once, and when it is there again; another host in its place does not count. What was kept meanwhile is found."""
    storage, elsewhere = tmp_path / "state", tmp_path / "elsewhere"
    async with watched(storage) as host:
        room = await host.get_server_by_name("room", "lobby")
        await room.storage.put("a", 1)
        assert not host.storage_lost
        storage.rename(elsewhere)
        if way == "replaced":
            async with PartyHost({"room": Server}, storage=storage) as other:
                assert other.storage_path == storage
        await until(lambda: host.storage_lost)
        await room.storage.put("b", 2)
        assert caplog.text.count(f"the storage directory {storage} was moved or removed under this host") == 1
        shutil.rmtree(storage, ignore_errors=True)
        elsewhere.rename(storage)
        await until(lambda: not host.storage_lost)
        assert f"the storage directory {storage} is there again" in caplog.text
    async with PartyHost({"room": Server}, storage=storage) as host:
        assert await (await host.get_server_by_name("room", "lobby")).storage.list() == {"a": 1, "b": 2}


async def test_a_directory_that_is_removed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What is open goes on, the host ends in order, and nothing is said where nothing was wrong."""
    storage = tmp_path / "state"
    with caplog.at_level(logging.WARNING):
        async with watched(storage) as host:
            room = await host.get_server_by_name("room", "lobby")
            await room.storage.put("a", 1)
            assert not caplog.records
            shutil.rmtree(storage)
            await until(lambda: host.storage_lost)
            assert await room.storage.get("a") == 1
