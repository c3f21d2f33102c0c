# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""A TCP relay whose connections can be cut and whose target can move.

Accidents can be bound to progress instead of time, so that as many as are wanted happen
on any machine: cut_after([1000, 50]) cuts all links once 1000 bytes have passed upwards, and
again after 50 more. hold_after() stops the flow at such points instead, for accidents that
the test makes itself:

    proxy.hold_after([5000])
    with proxy.held():          # 5000 bytes have passed, no more do
        broker.kill9()
"""
import contextlib
import queue
import socket
import threading


class Proxy:
    def __init__(self, target):
        self.target, self.up, self.lock = target, 0, threading.Lock()
        self.pairs, self.cuts, self.accepted = set(), 0, 0
        self.ahead, self.holds, self.stopped = [], False, queue.Queue()
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

    def cut_after(self, distances):
        self.ahead, self.holds = list(distances), False

    def hold_after(self, distances):
        self.ahead, self.holds = list(distances), True

    @contextlib.contextmanager
    def held(self, timeout=120):
        """Waits for the next point. What is on its way when the block ends is lost."""
        go_on = self.stopped.get(timeout=timeout)
        try:
            yield
        finally:
            self.cut()
            go_on.set()

    def _may_pass(self, count):
        """How many of so many bytes go on, and whether an accident stops the others."""
        with self.lock:
            self.up += count
            if not self.ahead:
                return count, False
            self.ahead[0] -= count
            return (count, False) if self.ahead[0] > 0 else (count + self.ahead.pop(0), True)

    def _accident(self):
        if not self.holds:
            self.cut()
            return
        go_on = threading.Event()
        self.stopped.put(go_on)
        go_on.wait()

    def _pass_up(self, data, broker):
        """False where the rest is lost."""
        count, accident = self._may_pass(len(data))
        broker.sendall(data[:count])
        if accident:
            self._accident()
        return not accident

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
            for one, other, upwards in ((client, broker, True), (broker, client, False)):
                threading.Thread(target=self._relay, args=(pair, one, other, upwards),
                                 daemon=True).start()

    def _relay(self, pair, one, other, upwards):
        try:
            while data := one.recv(65536):
                if not upwards:
                    other.sendall(data)
                elif not self._pass_up(data, other):
                    break
        except OSError:
            pass
        with self.lock:
            self.pairs.discard(pair)
        self._shut(one)
        self._shut(other)
        one.close()  # the other direction closes the other one
