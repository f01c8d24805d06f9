"""The address that the service listens at, bound before anything else so that one in use is reported at once."""

import socket

from foreact.errors import ForeactError


def listen_at(host: str, port: int) -> socket.socket:
    """Return a socket that listens at an address; raise ForeactError if none can.

    A socket that is bound but does not listen lets a second one bind the same address and serve nobody.
    """
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()
    except OSError as error:
        listener.close()
        reason = (error.strerror or str(error)).lower()
        raise ForeactError(
            f"Nothing can listen at {host}, port {port} ({reason}): choose another with --port."
        ) from None
    return listener
