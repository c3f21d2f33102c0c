# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""A device that speaks the file transfer protocol over a rawmqtt connection."""
import itertools
import json

from ondisk import sha256
from rawmqtt import PATIENCE, Client

# reason_description: (reason_code, what the PUBACK of an MQTT 5 command says)
REFUSED, RETRY = 0x87, "retry"
# already_complete: the PUBACK has gone by the time that the catalog was asked.
WORDS = {
    "success": (0x00, 0x00),
    "no_such_transfer": (0x10, 0x10),
    "file_checksum_mismatch": (0x10, 0x00),
    "checksum_mismatch": (0x80, REFUSED), "incomplete": (0x80, REFUSED),
    "io_error": (0x80, REFUSED), "timeout": (0x80, REFUSED), "internal_error": (0x80, REFUSED),
    "invalid_fileid": (0x83, REFUSED), "invalid_file_command": (0x83, REFUSED),
    "invalid_offset": (0x83, REFUSED), "invalid_size": (0x83, REFUSED),
    "invalid_checksum": (0x83, REFUSED), "invalid_filemeta": (0x83, REFUSED),
    "invalid_filemeta_json": (0x83, REFUSED), "filemeta_conflict": (0x83, REFUSED),
    "already_complete": (0x83, 0), "file_too_large": (0x83, REFUSED),
    "segment_too_large": (0x83, REFUSED), "name_refused": (0x83, REFUSED),
    "file_changed": (0x10, 0x10), "no_such_file": (0x83, REFUSED), "invalid_path": (0x83, REFUSED),
    "invalid_length": (0x83, REFUSED), "invalid_report": (0x83, REFUSED),
    "block_too_large": (0x83, REFUSED),
    "rejected": (0x83, REFUSED),
    "quota_exceeded": (0x97, RETRY), "disk_full": (0x97, RETRY),
    "too_many_transfers": (0x97, RETRY), "rate_limited": (0x97, RETRY), "busy": (0x97, RETRY),
    "paused": (0x97, RETRY),
}


class Answer:
    """What came back for one command: the acknowledgement and the response."""

    def __init__(self, ack, message, version):
        self.ack, self.message, self.version = ack, message, version
        self.body = json.loads(message.payload) if message else None
        self.word = self.body["reason_description"] if message else None

    def get(self, member, default=None):
        return self.body.get(member, default)

    def __repr__(self):
        return f"<ack {self.ack} {self.body}>"


class Device(Client):
    """`prefix` is $file or $file-async; responses=False subscribes to nothing."""

    def __init__(self, port, client_id="", version=5, prefix="$file", responses=True, **options):
        super().__init__(port, client_id, version, **options)
        self.prefix, self.responses = prefix, responses
        self._serial = itertools.count(1)
        self.sent = {}  # correlation data -> topic

    @property
    def response_topic(self):
        return "$file-response/" + self.client_id

    def connect(self, expect=0):
        super().connect(expect)
        if expect == 0 and self.connack.properties.get("assigned_client_id"):
            self.client_id = self.connack.properties["assigned_client_id"]
        if expect == 0 and self.responses and not self.connack.session_present:
            codes = self.subscribe(self.response_topic, qos=1)
            if codes != [1]:
                raise AssertionError(f"subscription to responses: SUBACK {codes}")
        return self

    # --- commands -------------------------------------------------------------------

    def send(self, topic, payload=b"", qos=1, **options):
        """Sends one command, waits for nothing. Returns a ticket for answer()."""
        correlation = None
        if self.version == 5:
            correlation = options.setdefault("correlation_data", b"c%d" % next(self._serial))
        return self.publish(topic, payload, qos, **options), topic, correlation

    def answer(self, ticket, timeout=PATIENCE):
        """The acknowledgement and the response to what send() sent."""
        mid, topic, correlation = ticket
        ack = self.acked(mid, timeout)
        if not self.responses:
            return Answer(ack, None, self.version)
        return Answer(ack, self.response(topic, correlation, timeout), self.version)

    def response(self, topic, correlation=None, timeout=PATIENCE):
        def ours(message):
            if correlation is not None:
                return message.properties.get("correlation_data") == correlation
            return json.loads(message.payload)["topic"] == topic
        return self.message(self.response_topic, ours, timeout)

    def command(self, topic, payload=b"", qos=1, timeout=PATIENCE, **options):
        return self.answer(self.send(topic, payload, qos, **options), timeout)

    def topic(self, *levels):
        return "/".join([self.prefix, *map(str, levels)])

    def init(self, file, name="data.bin", qos=1, **meta):
        meta = {"name": name, **meta}
        return self.command(self.topic(file, "init"), json.dumps(meta), qos)

    def segment(self, file, offset, data, checksum=None, qos=1):
        levels = [file, offset] + ([checksum] if checksum else [])
        return self.command(self.topic(*levels), data, qos)

    def fin(self, file, size, checksum=None, qos=1, timeout=PATIENCE):
        levels = [file, "fin", size] + ([checksum] if checksum else [])
        return self.command(self.topic(*levels), b"", qos, timeout)

    def status(self, file):
        return self.command(self.topic(file, "status"))

    def abort(self, file, qos=1):
        return self.command(self.topic(file, "abort"), b"", qos)

    # --- whole uploads --------------------------------------------------------------

    def pipeline(self, file, pieces, window=20, checksums=False, qos=1):
        """Sends (offset, bytes) pieces with `window` in flight; yields each acknowledged one.

        Responses, if subscribed to, are dropped: their number is the caller's business.
        """
        flying = {}
        for offset, data in pieces:
            levels = [file, offset] + ([sha256(data)] if checksums else [])
            flying[self.publish(self.topic(*levels), data, qos)] = (offset, data)
            if len(flying) >= window:
                self.wait(lambda: flying.keys() & self.acks.keys(), what="an acknowledgement")
                yield from self._landed(flying)
        while flying:
            self.wait(lambda: flying.keys() & self.acks.keys(), what="an acknowledgement")
            yield from self._landed(flying)

    def _landed(self, flying):
        for mid in flying.keys() & self.acks.keys():
            code = self.acks.pop(mid)
            if code != 0:
                raise AssertionError(f"segment at {flying[mid][0]}: PUBACK {code:#x}")
            yield flying.pop(mid)

    def upload(self, file, content, name="data.bin", chunk=65536, checksum=None, window=20,
               **meta):
        """init, all segments in order, fin; returns the answer to fin."""
        begun = self.init(file, name, size=len(content), **meta)
        if begun.word not in ("success", None):
            return begun
        for _ in self.pipeline(file, pieces(content, chunk), window):
            pass
        self.ping()
        self.forget_responses()
        return self.fin(file, len(content), checksum)

    def forget_responses(self):
        keep = [m for m in self.messages if m.topic != self.response_topic]
        self.messages.clear()
        self.messages.extend(keep)


def pieces(content, chunk, start=0):
    return [(start + at, content[at:at + chunk]) for at in range(0, len(content), chunk)]


def merged(ranges):
    """[(offset, length)] as the wire writes it: [[offset, length]], ascending, merged."""
    out = []
    for offset, length in sorted(r for r in ranges if r[1]):
        if out and offset <= out[-1][0] + out[-1][1]:
            out[-1][1] = max(out[-1][1], offset + length - out[-1][0])
        else:
            out.append([offset, length])
    return out
