"""Where the service listens: taken before anything else, so that an address that is not free is told at once."""

import socket

from foreact.errors import ForeactError


def bind_address(host: str, port: int) -> socket.socket:
    """Bind an address, for whoever serves to listen at; or say in one sentence why not."""
    taken = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((host, port))
    except OSError as error:
        taken.close()
        why = (error.strerror or str(error)).lower()
        raise ForeactError(f"Nothing can listen at {host}, port {port} ({why}): choose another with --port.") from None
    return taken
