"""From an address to a running terminal."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote, urlsplit

from ...exceptions import SandboxError
from .base import Address, Sandbox

SCHEMES = ("local", "docker", "podman", "kubernetes", "ssh", "ws", "wss", "jupyter+ws", "jupyter+wss", "ttyd+ws", "ttyd+wss")
_OPTIONS = {
    "local": {"cwd"},
    "docker": {"shell", "user", "cwd", "attach", "gone_after"},
    "podman": {"shell", "user", "cwd", "attach", "gone_after"},
    "kubernetes": {"shell", "cwd", "context", "gone_after"},
}
_OPTIONS["ssh"] = {"identity", "key", "passphrase", "known_hosts", "config", "shell", "cwd", "gone_after"}
_OPTIONS["jupyter+ws"] = _OPTIONS["jupyter+wss"] = {"token", "gone_after"}
_OPTIONS["ttyd+ws"] = _OPTIONS["ttyd+wss"] = {"credential", "arg", "gone_after"}


def parse_address(text: str) -> Address:
    """An address in its parts. Raises SandboxError naming what is wrong with it; what may be secret in it is not repeated."""
    scheme, colon, rest = text.partition(":")
    if not colon or scheme not in SCHEMES:
        raise SandboxError(
            f"{scheme[:40]!r} is not a kind of sandbox: write local:, docker:NAME, podman:NAME, kubernetes:NAMESPACE/POD, "
            "ssh:USER@HOST, ws://HOST/PATH, jupyter+ws://HOST/terminals/websocket/NAME or ttyd+ws://HOST:PORT/ws"
        )
    if scheme.endswith(("ws", "wss")):
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError as error:
            raise SandboxError(f"a {scheme}: sandbox needs a valid URL: {error}") from None
        if not parts.hostname:
            raise SandboxError(f"a {scheme}: sandbox needs a host: write {scheme}://HOST:PORT/PATH")
        if scheme.startswith("jupyter+"):
            from .jupyter import route

            route(parts.path)
        if scheme in _OPTIONS:
            _refuse_unknown(scheme, dict(parse_qsl(parts.query, keep_blank_values=True)))
        place = f"{scheme}://{parts.hostname}{f':{port}' if port else ''}{parts.path}"
        return Address(scheme, place, dict(parse_qsl(parts.query, keep_blank_values=True)), text)
    target, _, query = rest.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    _refuse_unknown(scheme, options)
    target = unquote(target)
    if scheme in ("docker", "podman") and not target:
        raise SandboxError(f"a {scheme}: sandbox needs a container: write {scheme}:NAME")
    if "attach" in options and (others := options.keys() - {"attach", "gone_after"}):
        raise SandboxError(f"{scheme}:{target[:80]}?attach joins what runs there: {', '.join(sorted(others))} cannot be chosen with it")
    if options.get("attach"):
        raise SandboxError(f"attach has no value: write {scheme}:{target[:80]}?attach, or leave it out")
    if scheme == "ssh" and not target:
        raise SandboxError("an ssh: sandbox needs a host: write ssh:USER@HOST or ssh:USER@HOST:PORT")
    return Address(scheme, target, options, text)


def _refuse_unknown(scheme: str, options: dict[str, str]) -> None:
    for name in sorted(options.keys() - _OPTIONS[scheme]):
        raise SandboxError(f"a {scheme}: sandbox has no option {name[:40]!r}: it has {', '.join(sorted(_OPTIONS[scheme]))}")


async def open_sandbox(address: Address | str, *, cols: int, rows: int, nonce: str = "") -> Sandbox:
    """Starts or joins the terminal at an address, at this size in cells.

    `nonce` is what its shell proves its marks with (see `shell.py`).
    Raises SandboxError with one sentence that names the place and the remedy.
    """
    if isinstance(address, str):
        address = parse_address(address)
    if address.scheme == "local":
        from .local import open_local

        return await open_local(address, cols=cols, rows=rows, nonce=nonce)
    if address.scheme in ("docker", "podman") and "attach" in address.options:
        from .docker_attach import open_attached

        return await open_attached(address, cols=cols, rows=rows)
    if address.scheme in ("docker", "podman"):
        from .docker import open_container

        return await open_container(address, cols=cols, rows=rows, nonce=nonce)
    if address.scheme == "kubernetes":
        from .kubernetes import open_pod

        return await open_pod(address, cols=cols, rows=rows, nonce=nonce)
    if address.scheme == "ssh":
        from .ssh import open_ssh

        return await open_ssh(address, cols=cols, rows=rows, nonce=nonce)
    if address.scheme.startswith("jupyter+"):
        from .jupyter import open_jupyter

        return await open_jupyter(address, cols=cols, rows=rows)
    if address.scheme.startswith("ttyd+"):
        from .ttyd import open_ttyd

        return await open_ttyd(address, cols=cols, rows=rows)
    from .websocket import open_websocket

    return await open_websocket(address, cols=cols, rows=rows)
