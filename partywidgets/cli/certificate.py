"""The certificate that `partywidgets serve` shows, taken anew while it serves: it is renewed more often than a host is restarted."""

from __future__ import annotations

import ssl
from pathlib import Path

from ..exceptions import ConfigError
from ..party.owner import owner_of


class Certificate:
    """A PEM file with the chain, and one with its key (None: it stands in the same file). Raises ConfigError where they cannot be used."""

    def __init__(self, path: Path, key: Path | None) -> None:
        self.path, self.key = path, key
        self.context = self._loaded(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))

    def reload(self) -> None:
        """Shows what stands in the files now, from the next handshake on. Raises ConfigError, and goes on with the former."""
        self._loaded(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))  # first: half a pair would leave the context without one
        self._loaded(self.context)

    def _loaded(self, context: ssl.SSLContext) -> ssl.SSLContext:
        try:
            context.load_cert_chain(self.path, self.key)
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                fault = f"the key in {self.key or self.path} is not that of this certificate"
            else:
                key = "it" if self.key is None else str(self.key)
                fault = f"its chain and the key in {key} must be PEM, -----BEGIN CERTIFICATE----- and -----BEGIN PRIVATE KEY-----"
            raise ConfigError(f"the certificate cannot be used: {fault}", path=str(self.path)) from None
        except OSError as error:
            raise ConfigError(
                f"the certificate cannot be used: {self._unreadable() or error.strerror or error}", path=str(self.path)
            ) from None
        return context

    def _unreadable(self) -> str | None:
        """Which of the files cannot be read, and whose it is: the library's error is the same for both."""
        for file in filter(None, (self.path, self.key)):
            try:
                file.open("rb").close()
            except OSError as error:
                remedy = ": give it a copy that it may read" if isinstance(error, PermissionError) else ""
                return f"{file} cannot be read ({error.strerror}){owner_of(file)}{remedy}"
        return None


__all__ = ["Certificate"]
