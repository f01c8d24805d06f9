"""A proxy that lets a request through to the server and loses the answer on the way back."""

import selectors
import socket
import threading


class LossyProxy:
    """Forwards to a port; the answers to the first `losses` requests that hold a text never arrive."""

    def __init__(self, port: int, text: bytes, losses: int = 1) -> None:
        self.upstream, self.text, self.losses, self.lost = port, text, losses, 0
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.server.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> "LossyProxy":
        return self

    def __exit__(self, *_: object) -> None:
        self.server.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self._forward, args=(client,), daemon=True).start()

    def _forward(self, client: socket.socket) -> None:
        doomed = False
        with (
            client,
            socket.create_connection(("127.0.0.1", self.upstream)) as server,
            selectors.DefaultSelector() as ready,
        ):
            ready.register(client, selectors.EVENT_READ)
            ready.register(server, selectors.EVENT_READ)
            while True:
                for key, _ in ready.select():
                    data = key.fileobj.recv(1 << 16)  # type: ignore[union-attr]
                    if not data:
                        return
                    if key.fileobj is client:
                        doomed = doomed or (self.text in data.lower() and self.lost < self.losses)
                        server.sendall(data)
                    elif doomed:
                        self.lost += 1
                        return
                    else:
                        client.sendall(data)
