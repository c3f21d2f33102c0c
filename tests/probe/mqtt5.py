# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Just enough of an MQTT 5 client to see every reason code the broker sends."""

import base64
import os
import socket
import ssl
import struct
import time


class Refused(Exception):
    """The broker said no; args[0] is the reason code, None where it only closed."""


def varint(number):
    out = b""
    while True:
        number, low = number >> 7, number & 0x7F
        out += bytes([low | (0x80 if number else 0)])
        if not number:
            return out


def field(value):
    value = value.encode() if isinstance(value, str) else value
    return struct.pack(">H", len(value)) + value


class WebSocket:
    """The few bytes of RFC 6455 that carry MQTT."""

    def __init__(self, sock):
        self.sock = sock
        self.left = b""
        key = base64.b64encode(os.urandom(16)).decode()
        sock.sendall((
            "GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: mqtt\r\n\r\n").encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            got = sock.recv(4096)
            if not got:
                raise Refused(None)
            answer += got
        head, self.left = answer.split(b"\r\n\r\n", 1)
        if b" 101 " not in head.split(b"\r\n")[0]:
            raise Refused(None)
        self.payload = b""

    def settimeout(self, timeout):
        self.sock.settimeout(timeout)

    def sendall(self, data):
        assert len(data) < 65536
        size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack(">H", len(data))
        self.sock.sendall(b"\x82" + size + b"\0\0\0\0" + data)

    def take(self, count):
        while len(self.left) < count:
            got = self.sock.recv(4096)
            if not got:
                return b""
            self.left += got
        out, self.left = self.left[:count], self.left[count:]
        return out

    def recv(self, count):
        while not self.payload:
            head = self.take(2)
            if not head:
                return b""
            size = head[1] & 0x7F
            if size == 126:
                size = struct.unpack(">H", self.take(2))[0]
            data = self.take(size) if size else b""
            if head[0] & 0x0F in (0, 2):
                self.payload += data
            elif head[0] & 0x0F == 8:
                return b""
        out, self.payload = self.payload[:count], self.payload[count:]
        return out

    def close(self):
        self.sock.close()


class Client:
    def __init__(self, where, client_id="", username=None, password=None, websocket=False,
                 cafile=None, certfile=None, keyfile=None, timeout=5, clean=True, expiry=0, version=5, auth=None):
        self.timeout = timeout
        self.messages = []
        self.version = version
        if isinstance(where, str):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(timeout)
            self.sock.connect(where)
        else:
            self.sock = socket.create_connection(("127.0.0.1", where), timeout)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if cafile:
            context = ssl.create_default_context(cafile=cafile)
            context.check_hostname = False
            if certfile:
                context.load_cert_chain(certfile, keyfile)
            self.sock = context.wrap_socket(self.sock)
        if websocket:
            self.sock = WebSocket(self.sock)
        self.mid = 0
        flags = (2 if clean else 0) | (0x80 if username is not None else 0) | \
            (0x40 if password is not None else 0)
        properties = b"\x11" + struct.pack(">I", expiry) if expiry else b""
        if auth:
            properties += b"\x15" + field(auth[0]) + b"\x16" + field(auth[1])
        body = field("MQTT") + bytes([version, flags]) + struct.pack(">H", 0)
        if version == 5:
            body += varint(len(properties)) + properties
        body += field(client_id)
        body += field(username) if username is not None else b""
        body += field(password) if password is not None else b""
        self.send(0x10, body)
        kind, body = self.packet()
        if kind != 0x20 or body[1] != 0:
            raise Refused(body[1] if kind == 0x20 else None)
        self.present = body[0] & 1

    def send(self, kind, body):
        self.sock.sendall(bytes([kind]) + varint(len(body)) + body)

    def exactly(self, count):
        out = b""
        while len(out) < count:
            got = self.sock.recv(count - len(out))
            if not got:
                raise Refused(None)
            out += got
        return out

    def packet(self):
        kind = self.exactly(1)[0]
        size = shift = 0
        while True:
            byte = self.exactly(1)[0]
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        return kind, self.exactly(size) if size else b""

    def take(self, kind, body):
        """A PUBLISH on the way to something else."""
        size = struct.unpack(">H", body[:2])[0]
        topic, rest = body[2:2 + size].decode(errors="replace"), body[2 + size:]
        if kind & 6:
            self.send(0x40, rest[:2])
            rest = rest[2:]
        if self.version == 5:
            assert rest[0] < 0x80
            rest = rest[1 + rest[0]:]
        self.messages.append((topic, rest))

    def until(self, wanted):
        while True:
            kind, body = self.packet()
            if kind & 0xF0 == 0x30:
                self.take(kind, body)
            elif kind & 0xF0 == wanted:
                return body
            elif kind & 0xF0 == 0xE0:
                raise Refused(body[0] if body else None)

    def subscribe(self, topic, qos=0):
        self.mid += 1
        self.send(0x82, struct.pack(">H", self.mid) + b"\0" + field(topic) + bytes([qos]))
        return self.until(0x90)[-1]

    def publish(self, topic, payload=b"", qos=1, retain=False, wait=True):
        self.mid = self.mid % 65535 + 1
        body = field(topic) + (struct.pack(">H", self.mid) if qos else b"")
        body += b"\0" if self.version == 5 else b""
        self.send(0x30 | qos << 1 | int(retain), body + payload)
        return self.puback() if qos and wait else None

    def puback(self):
        body = self.until(0x40)
        return body[2] if len(body) > 2 else 0

    def message(self, timeout=5):
        """The next message, or None."""
        if self.messages:
            return self.messages.pop(0)
        self.sock.settimeout(timeout)
        try:
            while not self.messages:
                kind, body = self.packet()
                if kind & 0xF0 == 0x30:
                    self.take(kind, body)
        except (socket.timeout, TimeoutError):
            return None
        finally:
            self.sock.settimeout(self.timeout)
        return self.messages.pop(0)

    def collect(self, seconds):
        """All messages that arrive in that time."""
        out, end = [], time.monotonic() + seconds
        while time.monotonic() < end:
            got = self.message(max(0.001, end - time.monotonic()))
            if got:
                out.append(got)
        return out

    def close(self):
        try:
            self.send(0xE0, b"")
        except OSError:
            pass
        self.sock.close()
