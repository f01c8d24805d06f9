"""Where the service listens: taken before anything else, so that an address that is not free is reported at once."""

import socket

from foreact.errors import ForeactError


def listen_at(host: str, port: int) -> socket.socket:
    """Return a socket that listens at an address, or raise why none can.

    Bound alone, two could hold the same address, and the second to listen would serve nobody and not know it.
    """
    taken = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((host, port))
        taken.listen()
    except OSError as error:
        taken.close()
        why = (error.strerror or str(error)).lower()
        raise ForeactError(f"Nothing can listen at {host}, port {port} ({why}): choose another with --port.") from None
    return taken
