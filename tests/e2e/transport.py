# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""How bytes reach a broker: TCP, TLS, WebSockets, Unix sockets.

An endpoint's connect() returns a channel: fileno(), send(), recv() and close() as a
non-blocking socket has them, and backlog(), true while it holds bytes of its own that
are not sent yet.
"""
import os
import socket
import ssl
import struct
import subprocess


class Tcp:
    """A plain socket, and what the others are made of."""

    def __init__(self, port, host="127.0.0.1"):
        self.address = (host, port)

    def open(self, timeout):
        sock = socket.create_connection(self.address, timeout=timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def connect(self, timeout):
        return Channel(self.open(timeout))


class Unix(Tcp):
    """A Unix socket."""

    def __init__(self, path):
        super().__init__(0)
        self.path = path

    def open(self, timeout):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(timeout)
        sock.connect(self.path)
        return sock


class Tls(Tcp):
    """TLS whose server certificate is `ca`; certificate: (file, key file) of the client."""

    def __init__(self, port, ca, certificate=None):
        super().__init__(port)
        self.context = ssl.create_default_context(cafile=ca)
        if certificate:
            self.context.load_cert_chain(*certificate)

    def connect(self, timeout):
        return TlsChannel(self.context.wrap_socket(self.open(timeout),
                                                   server_hostname=self.address[0]))


class WebSocket(Tcp):
    """MQTT in WebSocket frames (RFC 6455)."""

    def connect(self, timeout):
        sock = self.open(timeout)
        sock.sendall(b"GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                     b"Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                     b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n")
        answer = b""
        while b"\r\n\r\n" not in answer:
            data = sock.recv(1)
            if not data:
                raise ConnectionResetError("closed during the WebSocket handshake")
            answer += data
        if not answer.startswith(b"HTTP/1.1 101"):
            raise ConnectionRefusedError(answer.decode(errors="replace"))
        return WebSocketChannel(sock)


class Channel:
    """A connected socket."""

    def __init__(self, sock):
        sock.setblocking(False)
        self.sock = sock

    def fileno(self):
        return self.sock.fileno()

    def send(self, data):
        return self.sock.send(data)

    def recv(self, size):
        return self.sock.recv(size)

    def backlog(self):
        return False

    def close(self):
        self.sock.close()


class TlsChannel(Channel):
    """TLS may hold decrypted bytes that select() does not see: recv() takes all there are."""

    def send(self, data):
        try:
            return self.sock.send(data)
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            raise BlockingIOError from None

    def recv(self, size):
        found = b""
        try:
            while True:
                data = self.sock.recv(size)
                if not data:
                    return found
                found += data
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            if found:
                return found
            raise BlockingIOError from None
        except OSError:
            if found:
                return found
            raise


class WebSocketChannel(Channel):
    """Binary frames; the masking key is 0, which is allowed and leaves the bytes as they are."""

    def __init__(self, sock):
        super().__init__(sock)
        self._in, self._out, self._closed = bytearray(), bytearray(), False

    def backlog(self):
        return bool(self._out)

    def _flush(self):
        while self._out:
            del self._out[:self.sock.send(self._out)]

    def _frame(self, opcode, data):
        size = len(data)
        head = bytes([0x80 | opcode])
        if size < 126:
            head += bytes([0x80 | size])
        elif size < 65536:
            head += struct.pack("!BH", 0x80 | 126, size)
        else:
            head += struct.pack("!BQ", 0x80 | 127, size)
        self._out += head + bytes(4) + bytes(data)

    def send(self, data):
        self._flush()
        if data:
            self._frame(2, data[:65536])
        try:
            self._flush()
        except BlockingIOError:
            pass
        return min(len(data), 65536)

    def recv(self, size):
        data = self.sock.recv(size) if not self._closed else b""
        # set_tcp_nodelay does not reach WebSockets: without this each answer takes 40 ms.
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        if not data:
            return b""
        self._in += data
        payload = b"".join(self._frames())
        if not payload and not self._closed:
            raise BlockingIOError
        return payload

    def _frames(self):
        while len(self._in) >= 2:
            size, head = self._in[1] & 127, 2
            if size >= 126:
                head = 4 if size == 126 else 10
                size = int.from_bytes(self._in[2:head], "big")
            if len(self._in) < max(head, 2) + size:
                return
            opcode, payload = self._in[0] & 15, bytes(self._in[head:head + size])
            del self._in[:head + size]
            if opcode == 8:
                self._closed = True
            elif opcode == 9:
                self._frame(10, payload)
            elif opcode < 3:
                yield payload


def endpoint(port):
    """`port` may be a number or an endpoint already."""
    return Tcp(port) if isinstance(port, int) else port


def make_certificate(folder, name, *options):
    """A self-signed certificate; returns (file, key file)."""
    made = tuple(os.path.join(folder, f"{name}.{kind}") for kind in ("crt", "key"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-out", made[0], "-keyout", made[1], *options], check=True,
                   stderr=subprocess.DEVNULL)
    for path in made:
        os.chmod(path, 0o644)
    return made
