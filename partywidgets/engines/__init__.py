"""Clients of container engines, Docker, Podman and Kubernetes: terminals and checks share them."""
