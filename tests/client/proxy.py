# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""A TCP relay whose connections can be cut and whose target can move."""
import socket
import threading


class Proxy:
    def __init__(self, target):
        self.target, self.up, self.lock = target, 0, threading.Lock()
        self.pairs, self.cuts, self.accepted = set(), 0, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.close()
        self.cut()

    def cut(self):
        """Ends every connection; what is on its way is lost."""
        with self.lock:
            pairs, self.pairs = self.pairs, set()
        self.cuts += len(pairs)
        for pair in pairs:
            for sock in pair:
                self._shut(sock)
        return len(pairs)

    @staticmethod
    def _shut(sock):
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                broker = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                client.close()
                continue
            for sock in (client, broker):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pair = (client, broker)
            with self.lock:
                self.pairs.add(pair)
                self.accepted += 1
            for one, other, counted in ((client, broker, True), (broker, client, False)):
                threading.Thread(target=self._relay, args=(pair, one, other, counted),
                                 daemon=True).start()

    def _relay(self, pair, one, other, counted):
        try:
            while data := one.recv(65536):
                if counted:
                    self.up += len(data)
                other.sendall(data)
        except OSError:
            pass
        with self.lock:
            self.pairs.discard(pair)
        self._shut(one)
        self._shut(other)
        one.close()  # the other direction closes the other one
