# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""A broker with the file transfer plugin that does what a test tells it to do.

    with FakeBroker(script) as broker: ... broker.port ...

It speaks MQTT 3.1.1 and 5 on raw sockets and keeps files in memory. A script is a
function script(conn, packet) that sees each packet of the client before it is
handled, and returns None (go on) or one of

    SWALLOW                 as if it had never arrived
    CUT                     close the connection, at once
    CUT_AFTER               handle it, then close
    HOLD                    handle it; its answers wait for broker.release()
    MUTE                    handle it and acknowledge it; its response is lost
    CUT_MUTE                handle it, say nothing, and close the connection
    Later(seconds)          handle it; its answers come so much later
    Answer(word, code, ...) answer this instead of handling it

Everything is recorded in broker.seen, in order, with times.
"""
import collections
import contextlib
import hashlib
import json
import os
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "e2e"))
from rawmqtt import _Reader, encode_properties, packet, prefixed  # noqa: E402

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK = 1, 2, 3, 4, 8, 9
PINGREQ, PINGRESP, DISCONNECT = 12, 13, 14
BYTES, FIRST = ("segment", "put"), ("init", "put")  # commands that carry bytes, or begin
SWALLOW, CUT, CUT_AFTER, HOLD = "swallow", "cut", "cut after", "hold"
MUTE, CUT_MUTE = "mute", "cut mute"
Later = collections.namedtuple("Later", "seconds")
Answer = collections.namedtuple("Answer", "word code puback members", defaults=(None, None))
Packet = collections.namedtuple("Packet", "kind topic payload qos mid time conn command offset file")


class Transfer:
    """What is held of one file."""

    def __init__(self, init):
        self.init, self.image, self.ranges, self.complete = init, bytearray(), [], None

    def put(self, offset, payload):
        merged, low, high = [], offset, offset + len(payload)
        for start, end in self.ranges:
            if end < low or start > high:
                merged.append((start, end))
            else:
                low, high = min(low, start), max(high, end)
        self.ranges = sorted(merged + [(low, high)])
        end = offset + len(payload)
        if len(self.image) < end:
            self.image.extend(bytes(end - len(self.image)))
        self.image[offset:end] = payload

    def bytes(self):
        return bytes(self.image)

    def have(self):
        return [[start, end - start] for start, end in self.ranges]


class Connection:
    def __init__(self, broker, sock, number):
        self.broker, self.sock, self.number = broker, sock, number
        self.version, self.client_id, self.subscriptions = 5, "", {}
        self.connect = None
        self.lock, self.held, self.closed = threading.Lock(), [], False
        self.since = time.monotonic()

    def send(self, data):
        with self.lock:
            if not self.closed:
                try:
                    self.sock.sendall(data)
                except OSError:
                    self.closed = True

    def cut(self):
        with self.lock:
            self.closed = True
            try:
                self.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def publish(self, topic, payload, qos=0, mid=1):
        body = prefixed(topic) + (struct.pack("!H", mid) if qos else b"")
        body += b"\0" if self.version == 5 else b""
        self.send(packet(PUBLISH, qos << 1, body + payload))

    def disconnect(self, code):
        self.send(packet(DISCONNECT, 0, bytes([code])) if self.version == 5 else b"")
        self.cut()


class FakeBroker:
    def __init__(self, script=None, receive_max=20, max_packet=0, connack=0, keep_bytes=True,
                 suback=None, apart=False, context=None, address="127.0.0.1", puts=True,
                 vague=False):
        self.script, self.receive_max, self.max_packet = script, receive_max, max_packet
        self.connack, self.keep_bytes, self.suback = connack, keep_bytes, suback
        self.transfers, self.seen, self.connections = {}, [], []
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.segments_out = self.segments_most = 0
        self.vague = vague                      # cannot say 0x00
        self.puts = puts                        # knows the upload in one message
        self.apart = apart                      # transfers belong to client ids
        self.context = context                  # TLS
        self.read_rate = 0                      # bytes a second, 0: as fast as it goes
        self.accepting = True
        self.listener = socket.create_server((address, 0))
        self.port = self.listener.getsockname()[1]

    def __enter__(self):
        self.acceptor = threading.Thread(target=self._accept, daemon=True)
        self.acceptor.start()
        return self

    def __exit__(self, *_):
        # The thread has to be out of accept() before the descriptor's number is another's.
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.acceptor.join(5)
        self.listener.close()
        for conn in list(self.connections):
            conn.cut()

    # --- what tests ask ---------------------------------------------------------------

    def wait(self, condition, what, timeout=20):
        end = time.monotonic() + timeout
        with self.changed:
            while True:
                value = condition()
                if value:
                    return value
                left = end - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"not within {timeout} s: {what}; seen: {self.story()}")
                self.changed.wait(min(left, 0.05))

    def of(self, command=None, kind=PUBLISH, conn=None):
        with self.lock:
            return [p for p in self.seen if p.kind == kind and
                    (command is None or p.command == command) and
                    (conn is None or p.conn == conn)]

    def segments(self, conn=None):
        """What carries bytes."""
        return [p for p in self.of(conn=conn) if p.command in BYTES]

    def story(self):
        return [(p.conn, p.command or p.topic or p.kind, p.offset) for p in self.seen[-60:]]

    def only(self):
        """The one transfer there is."""
        with self.lock:
            if len(self.transfers) != 1:
                raise AssertionError(f"{len(self.transfers)} transfers: {list(self.transfers)}")
            return next(iter(self.transfers.values()))

    def release(self, count=None):
        """Sends answers that were held."""
        for conn in list(self.connections):
            with self.lock:
                ready, conn.held = conn.held[:count], conn.held[count:] if count else []
            for answer in ready:
                answer()

    def live(self):
        with self.lock:
            return [conn for conn in self.connections if not conn.closed]

    # --- connections ------------------------------------------------------------------

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if not self.accepting:
                sock.close()
                continue
            with self.lock:
                conn = Connection(self, sock, len(self.connections))
                self.connections.append(conn)
            threading.Thread(target=self._secure, args=(conn,), daemon=True).start()

    def _secure(self, conn):
        if self.context:
            try:
                conn.sock = self.context.wrap_socket(conn.sock, server_side=True)
            except OSError:
                conn.sock.close()
                return
        self._serve(conn)

    def _serve(self, conn):
        buffer = bytearray()
        try:
            while not conn.closed:
                data = conn.sock.recv(65536 if not self.read_rate else 4096)
                if not data:
                    break
                if self.read_rate:
                    time.sleep(len(data) / self.read_rate)
                buffer += data
                while not conn.closed and (frame := self._frame(buffer)):
                    self._take(conn, *frame)
        except OSError:
            pass
        with self.changed:
            conn.closed = True
            conn.held = []
            self.segments_out = 0
            self.changed.notify_all()
        conn.sock.close()

    @staticmethod
    def _frame(buffer):
        length = shift = 0
        for at in range(1, min(5, len(buffer))):
            length |= (buffer[at] & 0x7F) << shift
            shift += 7
            if not buffer[at] & 0x80:
                end = at + 1 + length
                if len(buffer) < end:
                    return None
                head, body = buffer[0], bytes(buffer[at + 1:end])
                del buffer[:end]
                return head, body
        return None

    def _take(self, conn, head, body):
        kind = head >> 4
        topic = payload = mid = command = offset = file = None
        qos = head >> 1 & 3
        if kind == PUBLISH:
            reader = _Reader(body)
            topic = reader.text()
            mid = reader.number(2) if qos else None
            if conn.version == 5:
                reader.properties()
            payload = reader.take(reader.left())
            command, offset, file = self._parse(topic)
            file = f"{conn.client_id}/{file}" if self.apart and file else file
        item = Packet(kind, topic, payload if self.keep_bytes or command != "segment" else
                      len(payload), qos, mid, time.monotonic(), conn.number, command, offset, file)
        with self.changed:
            self.seen.append(item)
            if command == "segment" and qos:
                self.segments_out += 1
                self.segments_most = max(self.segments_most, self.segments_out)
            self.changed.notify_all()
        action = self.script(conn, item) if self.script else None
        if action == SWALLOW:
            return
        if action == CUT:
            conn.cut()
            return
        answers = self._handle(conn, item, body, action)
        if action == CUT_MUTE:
            conn.cut()
            return
        self._deliver(conn, answers, action)
        if action == CUT_AFTER:
            conn.cut()

    def _deliver(self, conn, answers, action):
        def send():
            for answer in answers:
                answer()
        if action == HOLD:
            with self.lock:
                conn.held.append(send)
        elif isinstance(action, Later):
            timer = threading.Timer(action.seconds, send)
            timer.daemon = True
            timer.start()
        else:
            send()

    @staticmethod
    def _parse(topic):
        parts = topic.split("/")
        if parts[0] != "$file" or len(parts) < 3:
            return None, None, None
        if len(parts) > 3 and parts[2] == "put":
            return "put", 0, parts[1]
        if parts[2].isdigit():
            return "segment", int(parts[2]), parts[1]
        return parts[2], None, parts[1]

    # --- the protocol -----------------------------------------------------------------

    def _handle(self, conn, item, body, action):
        if item.kind == CONNECT:
            return self._connect(conn, body)
        if item.kind == SUBSCRIBE:
            return self._subscribe(conn, body)
        if item.kind == PINGREQ:
            return [lambda: conn.send(packet(PINGRESP, 0, b""))]
        if item.kind == DISCONNECT:
            return [conn.cut]
        if item.kind != PUBLISH:
            return []
        return self._publish(conn, item, action)

    def _connect(self, conn, body):
        reader = _Reader(body)
        reader.text()
        conn.version = reader.number(1)
        flags = reader.number(1)
        keepalive = reader.number(2)
        if conn.version == 5:
            reader.properties()
        conn.client_id = reader.text()
        user = reader.text() if flags & 0x80 else None
        password = reader.text() if flags & 0x40 else None
        conn.connect = {"keepalive": keepalive, "user": user, "password": password,
                        "version": conn.version, "clean": bool(flags & 2)}
        out = bytes([0, self.connack])
        if conn.version == 5:
            out += encode_properties({"receive_maximum": self.receive_max,
                                      "maximum_packet_size": self.max_packet or None})
        return [lambda: conn.send(packet(CONNACK, 0, out))] + \
            ([conn.cut] if self.connack else [])

    def _subscribe(self, conn, body):
        reader = _Reader(body)
        mid = reader.number(2)
        if conn.version == 5:
            reader.properties()
        granted = []
        while reader.left():
            topic = reader.text()
            qos = reader.number(1) & 3
            conn.subscriptions[topic] = qos
            granted.append(qos if self.suback is None else self.suback)
        out = struct.pack("!H", mid) + (b"\0" if conn.version == 5 else b"") + bytes(granted)
        return [lambda: conn.send(packet(SUBACK, 0, out))]

    def _publish(self, conn, item, action):
        if isinstance(action, Answer):
            word, code, puback, members = action
        elif item.command is None:
            word, code, puback, members = None, 0, 0, {}
        else:
            with self.changed:
                word, code, members = getattr(self, "_do_" + item.command)(item)
                self.changed.notify_all()
            puback = None
        if puback is None:
            puback = {0: 0, 0x10: 0x10, 0x97: 0x97}.get(code, 0x87)
            puback = 0x10 if self.vague and not puback else puback
        answers = []
        quiet = item.command == "segment" and code == 0 and word and item.file in self.transfers \
            and self.transfers[item.file].init.get("responses") == "errors"
        if item.mid:
            answers.append(lambda: self._ack(conn, item, puback))
        if word and not quiet and action != MUTE:
            text = json.dumps({"vsn": "0.1", "topic": item.topic, "reason_code": code,
                               "reason_description": word, **(members or {})}).encode()
            qos = conn.subscriptions.get("$file-response/" + conn.client_id)
            if qos is not None:
                answers.append(lambda: conn.publish("$file-response/" + conn.client_id, text, qos))
        return answers

    def _ack(self, conn, item, puback):
        with self.changed:
            if item.command == "segment" and not conn.closed:
                self.segments_out -= 1
            self.changed.notify_all()
        tail = bytes([puback]) if conn.version == 5 and puback else b""
        conn.send(packet(PUBACK, 0, struct.pack("!H", item.mid) + tail))

    def _status(self, transfer, more=None):
        return {"state": "complete" if transfer.complete else "receiving",
                "received": sum(end - start for start, end in transfer.ranges),
                "have": transfer.have()[:100], **(more or {})}

    def _do_init(self, item):
        init = json.loads(item.payload)
        old = self.transfers.setdefault(item.file, Transfer(init))
        if (old.init.get("name"), old.init.get("size"), old.init.get("checksum")) != \
                (init.get("name"), init.get("size"), init.get("checksum")):
            return "filemeta_conflict", 0x83, {}
        old.init = init
        return "success", 0, self._status(old)

    def _do_segment(self, item):
        transfer = self.transfers.get(item.file)
        if not transfer:
            return "no_such_transfer", 0x10, {}
        if not self.keep_bytes:
            transfer.ranges = [(0, max(item.offset + item.payload,
                                       transfer.ranges[0][1] if transfer.ranges else 0))]
        elif not transfer.complete:
            transfer.put(item.offset, item.payload)
        return "success", 0, {}

    def _do_put(self, item):
        parts = item.topic.split("/")
        if not self.puts:
            return "invalid_file_command", 0x83, {}
        if len(parts) > 4 and hashlib.sha256(item.payload).hexdigest() != parts[4]:
            return "file_checksum_mismatch", 0x10, {}
        init = {"name": parts[3], "size": len(item.payload),
                **({"checksum": parts[4]} if len(parts) > 4 else {})}
        old = self.transfers.get(item.file)
        if old and (old.init.get("name"), old.init.get("size"), old.init.get("checksum")) != \
                (init["name"], init["size"], init.get("checksum")):
            return "filemeta_conflict", 0x83, {}
        transfer = self.transfers[item.file] = old or Transfer(init)
        if item.payload and not transfer.complete:
            transfer.put(0, item.payload)
        transfer.complete = True
        return "success", 0, {"state": "complete"}

    def _do_fin(self, item):
        transfer = self.transfers.get(item.file)
        parts = item.topic.split("/")
        size = int(parts[3])
        if not transfer:
            return "no_such_transfer", 0x10, {}
        if size and transfer.ranges != [(0, size)]:
            have, gaps, at = transfer.ranges, [], 0
            for start, end in have + [(size, size)]:
                if start > at:
                    gaps.append([at, start - at])
                at = end
            return "incomplete", 0x80, {"missing": gaps[:100]}
        if self.keep_bytes and len(parts) > 4 and \
                hashlib.sha256(transfer.bytes()).hexdigest() != parts[4]:
            return ("already_complete", 0x83, {}) if transfer.complete else \
                ("file_checksum_mismatch", 0x10, {})
        transfer.complete = True
        return "success", 0, {"state": "complete"}

    def _do_status(self, item):
        transfer = self.transfers.get(item.file)
        return "success", 0, self._status(transfer) if transfer else {"state": "none"}

    def _do_abort(self, item):
        transfer = self.transfers.get(item.file)
        if transfer and transfer.complete:
            return "already_complete", 0x83, {}
        self.transfers.pop(item.file, None)
        return "success", 0, {}
