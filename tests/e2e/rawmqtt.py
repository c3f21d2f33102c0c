# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""An MQTT 3.1.1 and 5 client on a bare socket that hides nothing.

Client libraries repair, retry and drop what a test wants to see or to do wrong:
reason codes of acknowledgements, every property, duplicates, broken packets.
This one is single threaded: bytes move only inside publish(), wait() and what
calls them, so what a test sees happens in an order the test decides.

    device = Client(port, "dev1", version=5).connect()
    code = device.acked(device.publish("a/b", b"x", qos=1))

Text is UTF-8 with surrogateescape: any byte sequence survives str.
"""
import collections
import itertools
import os
import select
import struct
import time

from transport import endpoint

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, SUBACK, UNSUBSCRIBE, \
    UNSUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH = range(1, 16)

SCALE = float(os.environ.get("FT_TIMEOUT_SCALE", "10" if os.environ.get("FT_VALGRIND") else
                             "4" if os.environ.get("FT_PRELOAD") else "1"))
PATIENCE = 20.0  # seconds until a wait gives up; only a failing test ever waits that long

_PROPERTIES = {
    "payload_format": (0x01, "byte"), "message_expiry": (0x02, "u32"),
    "content_type": (0x03, "text"), "response_topic": (0x08, "text"),
    "correlation_data": (0x09, "binary"), "subscription_id": (0x0B, "varint"),
    "session_expiry": (0x11, "u32"), "assigned_client_id": (0x12, "text"),
    "server_keepalive": (0x13, "u16"), "authentication_method": (0x15, "text"),
    "authentication_data": (0x16, "binary"), "request_problem": (0x17, "byte"),
    "will_delay": (0x18, "u32"), "request_response": (0x19, "byte"),
    "response_information": (0x1A, "text"), "server_reference": (0x1C, "text"),
    "reason_string": (0x1F, "text"), "receive_maximum": (0x21, "u16"),
    "topic_alias_maximum": (0x22, "u16"), "topic_alias": (0x23, "u16"),
    "maximum_qos": (0x24, "byte"), "retain_available": (0x25, "byte"),
    "user_property": (0x26, "pair"), "maximum_packet_size": (0x27, "u32"),
    "wildcard_available": (0x28, "byte"), "subscription_id_available": (0x29, "byte"),
    "shared_available": (0x2A, "byte"),
}
_PROPERTY_BY_ID = {code: (name, kind) for name, (code, kind) in _PROPERTIES.items()}

Connack = collections.namedtuple("Connack", "session_present code properties")
Message = collections.namedtuple("Message", "topic payload qos retain dup mid properties")


class Timeout(AssertionError):
    """A condition did not come true before its deadline."""


class Closed(AssertionError):
    """The broker closed the connection while a test waited for something on it."""


def octets(text):
    return text if isinstance(text, (bytes, bytearray, memoryview)) else \
        text.encode("utf-8", "surrogateescape")


def prefixed(text):
    raw = octets(text)
    return struct.pack("!H", len(raw)) + raw


def varint(number):
    out = bytearray()
    while True:
        number, low = divmod(number, 128)
        out.append(low | (0x80 if number else 0))
        if not number:
            return bytes(out)


def packet(kind, flags, body):
    return bytes([kind << 4 | flags]) + varint(len(body)) + body


def _property(name, value):
    code, kind = _PROPERTIES[name]
    head = bytes([code])
    if kind == "byte":
        return head + bytes([value])
    if kind == "u16":
        return head + struct.pack("!H", value)
    if kind == "u32":
        return head + struct.pack("!I", value)
    if kind == "varint":
        return head + varint(value)
    if kind == "pair":
        return b"".join(head + prefixed(k) + prefixed(v) for k, v in value)
    return head + prefixed(value)


def encode_properties(properties):
    body = b"".join(_property(name, value) for name, value in properties.items()
                    if value is not None)
    return varint(len(body)) + body


class _Reader:
    """A cursor over one packet's bytes."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        self.at += count
        if self.at > len(self.data):
            raise AssertionError("the broker sent a packet that is too short")
        return self.data[self.at - count:self.at]

    def number(self, size):
        return int.from_bytes(self.take(size), "big")

    def binary(self):
        return bytes(self.take(self.number(2)))

    def text(self):
        return self.binary().decode("utf-8", "surrogateescape")

    def varint(self):
        value = shift = 0
        while True:
            byte = self.number(1)
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value

    def left(self):
        return len(self.data) - self.at

    def properties(self):
        found = {}
        end = self.varint() + self.at
        while self.at < end:
            name, kind = _PROPERTY_BY_ID[self.number(1)]
            if kind == "pair":
                found.setdefault(name, []).append((self.text(), self.text()))
            else:
                found[name] = self._value(kind)
        return found

    def _value(self, kind):
        return {"byte": lambda: self.number(1), "u16": lambda: self.number(2),
                "u32": lambda: self.number(4), "varint": self.varint,
                "text": self.text, "binary": self.binary}[kind]()


class Client:
    """One connection. `port` is a number or an endpoint, `version` 4 (MQTT 3.1.1) or 5."""

    def __init__(self, port, client_id="", version=5, clean=True, username=None, password=None,
                 will=None, keepalive=600, **properties):
        self.endpoint, self.client_id, self.version = endpoint(port), client_id, version
        self.clean, self.username, self.password = clean, username, password
        self.will, self.keepalive, self.connect_properties = will, keepalive, properties
        self.auto_ack = True       # acknowledge what the broker sends
        self.auto_release = True   # answer PUBREC with PUBREL
        self.sock = self.connack = self.closed = self.disconnect_code = None
        self.messages = collections.deque()
        self.acks = {}             # mid -> reason code, once its flow has ended
        self.recs = {}             # mid -> reason code of PUBREC
        self.subacks = {}
        self.pongs = 0
        self._in, self._out = bytearray(), bytearray()
        self._mids = itertools.cycle(range(1, 65536))
        self._busy = set()
        self._broken = None

    def __enter__(self):
        return self if self.sock else self.connect()

    def __exit__(self, *_):
        self.close()

    # --- connection -----------------------------------------------------------------

    def connect(self, expect=0):
        self.open()
        self.send_raw(self.connect_packet())
        self.wait(lambda: self.connack, what="CONNACK")
        if expect is not None and self.connack.code != expect:
            raise AssertionError(f"CONNACK {self.connack.code:#x}, not {expect:#x}")
        return self

    def open(self):
        """Connects the socket, sends nothing."""
        self.sock = self.endpoint.connect(PATIENCE)
        self.closed = self.connack = self.disconnect_code = None
        self._broken = None
        self._in.clear()
        self._out.clear()
        return self

    def connect_packet(self):
        flags = 0x02 if self.clean else 0
        payload = prefixed(self.client_id)
        if self.will:
            topic, body, qos, retain = self.will
            flags |= 0x04 | qos << 3 | (0x20 if retain else 0)
            payload += (b"\0" if self.version == 5 else b"") + prefixed(topic) + prefixed(body)
        if self.username is not None:
            flags |= 0x80
            payload += prefixed(self.username)
        if self.password is not None:
            flags |= 0x40
            payload += prefixed(self.password)
        head = prefixed("MQTT") + bytes([self.version, flags]) + struct.pack("!H", self.keepalive)
        if self.version == 5:
            head += encode_properties(self.connect_properties)
        return packet(CONNECT, 0, head + payload)

    def reconnect(self, clean=None):
        """Drops the connection without goodbye and connects again, keeping mids in flight."""
        self.drop()
        if clean is not None:
            self.clean = clean
        return self.connect()

    def drop(self):
        """Closes the socket without DISCONNECT: the broker publishes the will."""
        if self.sock:
            self.sock.close()
        self.sock, self.closed = None, "dropped by the test"

    def close(self):
        if self.sock and not self.closed:
            try:
                self.send_raw(packet(DISCONNECT, 0, b""))
            except (OSError, AssertionError):
                pass
        self.drop()

    # --- sending --------------------------------------------------------------------

    def send_raw(self, data):
        self._out += data
        self._write()

    def new_mid(self):
        return next(m for m in self._mids if m not in self._busy)

    def publish(self, topic, payload=b"", qos=1, retain=False, dup=False, mid=None,
                **properties):
        """Sends a PUBLISH and returns its packet id (None for QoS 0)."""
        if qos and mid is None:
            mid = self.new_mid()
        if qos:
            self._busy.add(mid)
        body = prefixed(topic) + (struct.pack("!H", mid) if qos else b"")
        if self.version == 5:
            body += encode_properties(properties)
        flags = (8 if dup else 0) | qos << 1 | (1 if retain else 0)
        self.send_raw(packet(PUBLISH, flags, body + octets(payload)))
        return mid

    def subscribe(self, *filters, qos=1, options=0):
        """Subscribes and returns the list of SUBACK codes."""
        mid = self.new_mid()
        body = struct.pack("!H", mid) + (b"\0" if self.version == 5 else b"")
        body += b"".join(prefixed(f) + bytes([qos | options]) for f in filters)
        self.send_raw(packet(SUBSCRIBE, 2, body))
        return self.wait(lambda: self.subacks.pop(mid, None), what=f"SUBACK for {filters}")

    def unsubscribe(self, *filters):
        mid = self.new_mid()
        body = struct.pack("!H", mid) + (b"\0" if self.version == 5 else b"")
        self.send_raw(packet(UNSUBSCRIBE, 2, body + b"".join(prefixed(f) for f in filters)))
        return self.wait(lambda: self.subacks.pop(mid, None), what=f"UNSUBACK for {filters}")

    # --- waiting --------------------------------------------------------------------

    def wait(self, condition, timeout=PATIENCE, what="a condition"):
        """Moves bytes until condition() is true and returns its value."""
        end = time.monotonic() + timeout * SCALE
        while True:
            value = condition()
            if value:
                return value
            if self.closed:
                raise Closed(f"{self.client_id[:40]!r}: connection closed ({self.closed}) "
                             f"while waiting for {what}")
            left = end - time.monotonic()
            if left <= 0:
                raise Timeout(f"{self.client_id[:40]!r}: no {what} within {timeout * SCALE:g} s")
            self.pump(left)

    def acked(self, mid, timeout=PATIENCE):
        """The reason code that ended the flow of this packet; None for QoS 0."""
        if mid is None:
            return None
        self.wait(lambda: mid in self.acks, timeout, f"acknowledgement of {mid}")
        return self.acks.pop(mid)

    def message(self, topic=None, where=None, timeout=PATIENCE):
        """Takes the first message (received or to come) on this topic / that matches."""
        def found():
            for index, message in enumerate(self.messages):
                if (topic is None or message.topic == topic) and (not where or where(message)):
                    del self.messages[index]
                    return message
            return None
        return self.wait(found, timeout, f"message on {topic if topic else 'any topic'}")

    def ping(self, timeout=PATIENCE):
        """A round trip. What the broker sent before is in `messages` when it returns."""
        before = self.pongs
        self.send_raw(packet(PINGREQ, 0, b""))
        self.wait(lambda: self.pongs > before, timeout, "PINGRESP")
        return self

    def is_alive(self):
        try:
            self.ping()
            return True
        except (AssertionError, OSError):
            return False

    def wait_closed(self, timeout=PATIENCE):
        self.wait(lambda: self.closed, timeout, "end of the connection")
        return self.closed

    def idle(self, seconds):
        """Lets time pass, for tests of what time does; bytes still move."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.pump(left)

    # --- moving bytes ---------------------------------------------------------------

    def pump(self, timeout):
        """Sends what is queued and handles what has arrived, waiting at most `timeout`."""
        if self.closed:
            return
        if self._broken:
            self._read()
            self.closed = self.closed or self._broken
            return
        readable, writable, _ = select.select([self.sock], [self.sock] if self._unsent() else [], [],
                                              max(0, timeout))
        if writable:
            self._write()
        if readable:
            self._read()

    def _unsent(self):
        return self._out or self.sock.backlog()

    def _write(self):
        if self.closed or self._broken or not self.sock:
            return
        try:
            while self._unsent():
                with memoryview(self._out)[:1 << 18] as part:
                    sent = self.sock.send(part)
                del self._out[:sent]
        except BlockingIOError:
            pass
        except OSError as error:  # what the broker said last may still be there
            self._broken = str(error)

    def _read(self):
        try:
            data = self.sock.recv(1 << 18)
        except BlockingIOError:
            return
        except OSError as error:
            self.closed = str(error)
            return
        self._in += data
        self._handle_all()
        if not data:
            self.closed = "end of stream" if self.disconnect_code is None else \
                f"DISCONNECT {self.disconnect_code:#x}"

    def _handle_all(self):
        at, size = 0, len(self._in)
        while size - at >= 2:
            length = shift = 0
            head = at + 1
            while head < size:
                byte = self._in[head]
                length |= (byte & 0x7F) << shift
                shift += 7
                head += 1
                if not byte & 0x80:
                    break
            else:
                break
            if size - head < length:
                break
            self._handle(self._in[at] >> 4, self._in[at] & 15, bytes(self._in[head:head + length]))
            at = head + length
        del self._in[:at]

    def _handle(self, kind, flags, body):
        if kind == PUBLISH:
            self._handle_publish(flags, _Reader(body))
        elif kind in (PUBACK, PUBREC, PUBREL, PUBCOMP):
            self._handle_flow(kind, int.from_bytes(body[:2], "big"), body[2] if len(body) > 2 else 0)
        elif kind == PINGRESP:
            self.pongs += 1
        elif kind in (SUBACK, UNSUBACK):
            reader = _Reader(body)
            mid = reader.number(2)
            if self.version == 5:
                reader.properties()
            self.subacks[mid] = list(reader.take(reader.left())) or [0]
        elif kind == CONNACK:
            reader = _Reader(body)
            present, code = reader.number(1), reader.number(1)
            self.connack = Connack(bool(present), code,
                                   reader.properties() if self.version == 5 and reader.left()
                                   else {})
        elif kind == DISCONNECT:
            self.disconnect_code = body[0] if body else 0

    def _handle_publish(self, flags, reader):
        topic, qos = reader.text(), flags >> 1 & 3
        mid = reader.number(2) if qos else None
        properties = reader.properties() if self.version == 5 else {}
        self.messages.append(Message(topic, bytes(reader.take(reader.left())), qos,
                                     bool(flags & 1), bool(flags & 8), mid, properties))
        if qos and self.auto_ack:
            self.send_raw(packet(PUBACK if qos == 1 else PUBREC, 0, struct.pack("!H", mid)))

    def _handle_flow(self, kind, mid, code):
        if kind == PUBREL:
            self.send_raw(packet(PUBCOMP, 0, struct.pack("!H", mid)))
        elif kind == PUBREC and code < 0x80:
            self.recs[mid] = code
            if self.auto_release:
                self.release(mid)
        else:
            self.acks[mid] = self.recs.pop(mid, code) if kind == PUBCOMP else code
            self._busy.discard(mid)

    def release(self, mid):
        self.send_raw(packet(PUBREL, 2, struct.pack("!H", mid)))
