"""Why no connection was made, in words with what to do."""

from __future__ import annotations

import errno
import os
import socket
import ssl

IS_IT_RUNNING = "is the host running there?"


def unreachable(error: Exception) -> str:
    """What the system says of a connection that failed, and the remedy: asyncio and aiohttp tell of their calls and tuples.

    `error` is what `websockets` or aiohttp raised; of aiohttp's the system's own error is looked at.
    """
    error = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message}): SSL_CERT_FILE names a file with the certificates to trust"
    if isinstance(error, ssl.SSLError):
        return f"TLS fails there ({error.reason or error}): if the host has no certificate, write http:// in place of https://"
    if isinstance(error, UnicodeError):  # of the codec that names are looked up by, which says its own name
        fault = "a part of it is empty, or has more than 63 characters" if "label" in str(error) else "it has characters that no name has"
        return f"its name cannot be looked up ({fault}): is the URL right?"
    if isinstance(error, socket.gaierror):
        return f"its name cannot be looked up ({error.strerror or error}): is the URL right?"
    if not isinstance(error, OSError):
        return str(error) or type(error).__name__
    # asyncio says a call and a tuple of an address that refuses, or several of them.
    if error.errno == errno.ECONNREFUSED or f"[Errno {errno.ECONNREFUSED}]" in str(error):
        return f"connection refused: {IS_IT_RUNNING}"
    said = os.strerror(error.errno) if error.errno is not None and error.errno > 0 else str(error) or type(error).__name__
    return f"{said}: {IS_IT_RUNNING}"
