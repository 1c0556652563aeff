"""Real engines."""

from __future__ import annotations

from tests.engines_fixture import docker_engine, podman_engine

__all__ = ["docker_engine", "podman_engine"]
