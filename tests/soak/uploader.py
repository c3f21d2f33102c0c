# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Clients that upload, remember what was acknowledged, and insist on it.

    uploader = Uploader(dice, blob, "c1", version=5)
    uploader.attach(broker.endpoint)     # after each start of the broker
    serve(uploaders, seconds)            # moves bytes
    uploader.finished                    # {file id: Transfer}, success was seen
    check_visible(storage, uploaders, kept)

What the broker may not say or forget raises Broken.
"""
import json
import os
import select
import time

from device import merged
from ondisk import sha256
from rawmqtt import Client, Closed

WINDOW = 20  # Mosquitto's receive maximum
LARGEST_SEGMENT, LARGEST_FILE, MOST_SEGMENTS = 256 << 10, 3 << 20, 300


class Broken(AssertionError):
    """The broker's word does not hold."""


def end(piece):
    return piece[0] + piece[1]


def outside(ranges, size):
    """What of [0, size) is in none of these ascending, merged ranges."""
    gaps, at = [], 0
    for offset, length in ranges:
        if offset > at:
            gaps.append((at, offset - at))
        at = max(at, offset + length)
    if at < size:
        gaps.append((at, size - at))
    return gaps


def common(some, others):
    """The first range of `some` that overlaps one of `others`, or None."""
    for one in some:
        for other in others:
            if one[0] < end(other) and other[0] < end(one):
                return one
    return None


class Transfer:
    """One file on its way: what to say next, and what must be true."""

    def __init__(self, dice, blob, number):
        self.dice = dice
        self.id, self.name = f"t{number}", dice.choice(("data.bin", "día 1.log", ".x", "a b"))
        self.size = dice.choice((1, dice.randrange(1, 300), int(2 ** dice.uniform(1, 20)),
                                 int(2 ** dice.uniform(10, 20)), dice.randrange(LARGEST_FILE)))
        start = dice.randrange(len(blob) - self.size)
        self.content = blob[start:start + self.size]
        self.sum = sha256(self.content)
        self.chunk = max(int(2 ** dice.uniform(6.6, 18)), self.size // MOST_SEGMENTS)
        self.chunk = min(self.chunk, LARGEST_SEGMENT)
        self.sum_at = dice.choice(("init", "fin", "both", "none"))
        self.segment_sums = dice.random() < 0.3
        self.order = dice.choice(("ascending", "shuffled", "descending"))
        self.eager = dice.random() < 0.5     # fin before the last segments are acknowledged
        self.surprises = [name for name, odds in (("abort", 0.1), ("early", 0.2), ("wrong", 0.1))
                          if dice.random() < odds]
        self.drafts = self.size < 50_000 and dice.random() < 0.2
        self.refins = dice.choice((0, 0, 1, 2))
        self.acked = []                      # ranges told to be held, since begun
        self.promised = []                   # the same when the last fin was sent
        self.dirty = set()                   # pieces that may hold a draft's bytes
        self.begun = self.maybe_complete = self.maybe_aborted = self.done = False
        self.sent_wrong = False              # fin with a wrong checksum
        self.accepted = False                # fin had PUBACK 0x00: it is carried out
        self.detach()

    def detach(self):
        """The connection is gone: ask anew."""
        self.state, self.flying, self.todo = ("done" if self.done else "ask"), 0, []
        self.asked_in_vain = self.refins_flying = 0

    # --- what to send -----------------------------------------------------------------

    def next(self):
        """(kind, levels, payload, piece) of the next command, or None: wait."""
        if self.state == "ask":
            self.state = "asking"
            if self.begun and self.dice.random() < 0.4:
                return "status", "status", b"", None
            return "init", "init", self.meta(), None
        if self.state == "sending":
            return self.next_segment()
        if self.state == "done" and self.refins > 0:
            self.refins -= 1
            self.refins_flying += 1
            return "refin", f"fin/{self.size}", b"", None
        return None

    def meta(self):
        meta = {"name": self.name, "size": self.size}
        if self.sum_at in ("init", "both"):
            meta["checksum"] = self.sum
        if self.dice.random() < 0.3:
            meta["user_data"] = {"n": self.dice.randrange(1000)}
        return json.dumps(meta).encode()

    def next_segment(self):
        if self.surprises and self.flying == 0 and len(self.todo) <= 3 * (
                self.surprises[-1] != "wrong"):
            return self.surprise(self.surprises.pop())
        if self.todo:
            piece, draft = self.todo.pop()
            data = self.content[piece[0]:end(piece)]
            if draft:
                data = bytes(255 - byte for byte in data)
                self.dirty.add(piece)
            levels = f"{piece[0]:0{self.dice.choice((1, 1, 20))}d}"
            levels += "/" + sha256(data) if self.segment_sums else ""
            self.flying += 1
            return ("draft" if draft else "segment"), levels, data, piece
        if self.flying == 0 or (self.eager and not self.dirty):
            self.state, self.maybe_complete, self.promised = "finishing", True, list(self.acked)
            levels = f"fin/{self.size}" + (f"/{self.sum}" if self.sum_at in ("fin", "both") else "")
            return "fin", levels, b"", None
        return None

    def surprise(self, kind):
        self.promised = list(self.acked)
        if kind == "early":     # never complete: one byte more than there is
            return "early", f"fin/{self.size + 1}", b"", None
        if kind == "wrong":
            self.state, self.sent_wrong = "wrong", True
            return "wrong", f"fin/{self.size}/{'0' * 64}", b"", None
        self.state, self.maybe_aborted = "aborting", True
        return "abort", "abort", b"", None

    # --- what came back -----------------------------------------------------------------

    def acknowledged(self, kind, piece, code):
        """A PUBACK; `code` is None where the protocol has none."""
        if kind in ("segment", "draft"):
            self.flying -= 1
            if code not in (0, None):
                raise Broken(f"{self}: segment {piece}: PUBACK {code:#x}")
            self.acked.append(piece)
            if kind == "segment":
                self.dirty.discard(piece)
        elif kind == "init" and code in (0, None):
            self.begun = True
        elif kind == "fin" and code == 0:
            self.accepted = True

    def answered(self, kind, body):
        word = body["reason_description"]
        self.refins_flying -= kind == "refin"
        if word == "busy" and kind != "segment":
            return self.turned_away(kind)
        handler = getattr(self, "on_" + kind)
        return handler(word, body)

    def turned_away(self, kind):
        self.asked_in_vain += 1
        if self.asked_in_vain > 1000:
            raise Broken(f"{self}: busy for ever")
        if kind in ("init", "status"):
            self.state = "ask"
        elif kind in ("fin", "abort", "wrong"):
            self.state = "sending"
        if kind == "abort":
            self.surprises.append("abort")

    def on_segment(self, word, body):
        if word != "success":
            raise Broken(f"{self}: segment: {body}")

    def on_init(self, word, body):
        state = body.get("state")
        if word != "success" or state not in ("none", "receiving", "assembling", "complete"):
            raise Broken(f"{self}: {body}")
        if state == "complete":
            return self.succeeded("init or status", body)
        if self.done:
            raise Broken(f"{self}: its success was told, and now {body}")
        if state == "assembling":
            return self.wait_for_result(body)
        if self.accepted:
            raise Broken(f"{self}: its fin was accepted, and now {body}")
        if self.maybe_aborted and not body["received"]:
            self.forget()
        self.maybe_aborted = False
        if state == "none":
            if self.begun:
                raise Broken(f"{self}: acknowledged, and unknown now")
            self.state = "ask"
            return None
        self.begun = True
        return self.resume(body)

    on_status = on_init

    def wait_for_result(self, body):
        """An earlier broker has accepted fin, this one carries it out: fin again tells how."""
        if not self.maybe_complete and not self.sent_wrong:
            raise Broken(f"{self}: assembling without fin: {body}")
        self.state, self.todo, self.surprises = "sending", [], []

    def forget(self):
        self.begun, self.acked, self.dirty = False, [], set()

    def resume(self, body):
        """What was acknowledged must be in `have`, as far as that goes."""
        have = [tuple(entry) for entry in body["have"]]
        self.acked = [tuple(entry) for entry in merged(self.acked)]
        known = end(have[-1]) if have and body.get("truncated") else self.size
        lost = common(outside(have, known), self.acked)
        if lost or sum(n for _, n in self.acked) > body["received"]:
            raise Broken(f"{self}: lost {lost}: acknowledged {self.acked}, held {body}")
        if have and end(have[-1]) > self.size:
            raise Broken(f"{self}: more than was sent: {body}")
        self.acked += have
        self.plan(outside(have, self.size))

    def plan(self, gaps):
        """Pieces of the gaps, and of what drafts have left wrong; todo is taken from its end."""
        pieces = []
        for offset, length in gaps:
            while length > 0:
                step = min(length, max(1, int(self.chunk * self.dice.choice((1, 1, 1, 0.5)))))
                pieces.append((offset, step))
                offset, length = offset + step, length - step
        drafts = []
        if self.drafts and pieces:
            self.drafts, drafts = False, self.dice.sample(pieces, min(5, len(pieces)))
        pieces += [piece for piece in self.dirty if piece not in pieces]
        for offset, length in self.dice.sample(pieces, min(len(pieces), 3)):  # overlaps, repeats
            start = max(0, offset - self.dice.randrange(length + 1))
            pieces.append((start, min(length, self.size - start)))
        if self.order == "shuffled":
            self.dice.shuffle(pieces)
        else:
            pieces.sort(reverse=self.order == "ascending")
        self.todo = [(piece, False) for piece in pieces] + [(piece, True) for piece in drafts]
        self.state = "sending"

    def on_early(self, word, body):
        if word == "success" or self.done:
            raise Broken(f"{self}: one byte was never sent: {body}")
        self.on_incomplete(word, body)

    def on_incomplete(self, word, body):
        if word != "incomplete":
            raise Broken(f"{self}: {body}")
        lost = common([tuple(entry) for entry in body["missing"]], self.promised)
        if lost:
            raise Broken(f"{self}: {lost} was acknowledged: {merged(self.promised)}, {body}")

    def on_fin(self, word, body):
        if word == "success":
            return self.succeeded("fin", body)
        if self.accepted:
            raise Broken(f"{self}: its fin was accepted, and now {body}")
        self.on_incomplete(word, body)
        return self.plan([tuple(entry) for entry in body["missing"]])

    def on_wrong(self, word, body):
        if word != "file_checksum_mismatch":
            raise Broken(f"{self}: fin with a wrong checksum: {body}")
        self.state = "sending"

    def on_abort(self, word, body):
        if word != "success":
            raise Broken(f"{self}: abort: {body}")
        self.forget()
        self.maybe_aborted, self.state = False, "ask"

    def on_refin(self, word, body):
        if word != "success":
            raise Broken(f"{self}: finished, but fin again: {body}")

    def succeeded(self, how, body):
        if not self.maybe_complete:
            raise Broken(f"{self}: complete by {how} without fin: {body}")
        self.done, self.state, self.todo = True, "done", []

    def is_over(self):
        return self.done and not self.refins and not self.refins_flying and not self.flying

    def __repr__(self):
        return (f"<{self.id} {self.size} bytes in {self.chunk}, {self.state}, {self.flying} and "
                f"{self.refins_flying} flying, {self.refins} to ask>")


class Uploader(Client):
    """Uploads one file after the other, some at a time, over connections that break."""

    def __init__(self, dice, blob, client_id, version, qos=1):
        super().__init__(0, client_id, version)
        self.dice, self.blob, self.qos = dice, blob, qos
        self.parallel = dice.choice((1, 2, 3))
        self.prefix = dice.choice(("$file", "$file-async"))
        self.serial, self.transfers, self.finished = 0, {}, {}
        self.total_acks = self.total_fins = 0
        self.quiet = False            # begin nothing new
        self._sent = {}               # packet id -> (transfer, kind, piece)
        self._asked = {}              # topic -> [(transfer, kind)], in order

    def __repr__(self):
        return (f"<{self.client_id} v{self.version} {list(self.transfers.values())}, sent "
                f"{self._sent}, asked {self._asked}, {self.closed}>")

    def attach(self, endpoint):
        """Connects, and lets every transfer ask what is held."""
        self.drop()
        self.endpoint = endpoint
        self.acks.clear()
        self.recs.clear()
        self.messages.clear()
        self._busy.clear()
        self._sent.clear()
        self._asked.clear()
        for transfer in self.transfers.values():
            transfer.detach()
        self.connect()
        self.subscribe("$file-response/" + self.client_id)
        self.fill()

    def fill(self):
        """Sends what the window has room for."""
        self.set_aside_finished()
        while not self.quiet and len(self.transfers) < self.parallel:
            self.serial += 1
            fresh = Transfer(self.dice, self.blob, self.serial)
            self.transfers[fresh.id] = fresh
        for transfer in list(self.transfers.values()):
            while len(self._sent) < WINDOW and not self.closed and not self._broken:
                command = transfer.next()
                if not command:
                    break
                self._send(transfer, *command)

    def _send(self, transfer, kind, levels, payload, piece):
        topic = f"{self.prefix}/{transfer.id}/{levels}"
        known = "segment" if kind == "draft" else kind
        self._asked.setdefault(topic, []).append((transfer, known))
        self.total_fins += kind == "fin"
        self._sent[self.publish(topic, payload, self.qos)] = (transfer, kind, piece)

    def digest(self):
        """Takes in what has arrived."""
        while self.acks:
            mid, code = self.acks.popitem()
            transfer, kind, piece = self._sent.pop(mid)
            self.total_acks += 1
            transfer.acknowledged(kind, piece, code if self.version == 5 else None)
        while self.messages:
            body = json.loads(self.messages.popleft().payload)
            waiting = self._asked.get(body["topic"])
            if not waiting:
                self.check_late(body)
                continue
            transfer, kind = waiting.pop(0)
            if not waiting:
                del self._asked[body["topic"]]
            transfer.answered(kind, body)
        self.set_aside_finished()

    def check_late(self, body):
        """An earlier broker has accepted it, this one has carried it out."""
        _, file, verb = body["topic"].split("/")[:3]
        transfer = self.transfers.get(file)
        if verb != "fin" or transfer and not transfer.maybe_complete and \
                body["reason_description"] == "success":
            raise Broken(f"{self.client_id}: nobody asked for {body}")

    def set_aside_finished(self):
        for transfer in [t for t in self.transfers.values() if t.is_over()]:
            self.finished[transfer.id] = self.transfers.pop(transfer.id)

    def drain(self):
        """After the broker's death: what it had sent before counts."""
        while self.sock and not self.closed:
            self.pump(1)
        self.digest()

    def is_idle(self):
        return not self.transfers and not self._asked and not self._sent

    def is_waiting_to_write(self):
        return bool(self._unsent())

    def move(self, events):
        if events & select.POLLOUT:
            self._write()
        if events & ~select.POLLOUT:
            self._read()
        self.digest()
        if not self.closed:
            self.fill()


def serve(uploaders, until, seconds):
    """Moves bytes until `until()`, or a connection ends. Returns whether until() came true."""
    stop = time.monotonic() + seconds
    while not until():
        poll, by_fd = select.poll(), {}
        for uploader in uploaders:
            if uploader.closed or uploader._broken:
                return False
            by_fd[uploader.sock.fileno()] = uploader
            poll.register(uploader.sock, select.POLLIN |
                          (select.POLLOUT if uploader.is_waiting_to_write() else 0))
        if time.monotonic() > stop:
            raise Closed(f"no end within {seconds} s")
        for fd, events in poll.poll(100):
            by_fd[fd].move(events)
    return True


# --- what is under files/, while no broker runs ---------------------------------------------

def check_finished(storage, client, transfer):
    path = storage.finished(client, transfer.id, transfer.name)
    with open(path, "rb") as file:
        if file.read() != transfer.content:
            raise Broken(f"{transfer}: wrong bytes in {path!r}")
    manifest = storage.manifest(client, transfer.id, transfer.name)
    if (manifest["sha256"], manifest["size"]) != (transfer.sum, transfer.size):
        raise Broken(f"{transfer}: {manifest}")


def check_visible(storage, uploaders, kept):
    """What is visible is one of `kept`, {(client, file): Transfer}, or it is whole and its fin
    was sent. Returns how many of these there are."""
    maybe = {(uploader.client_id, transfer.id): transfer for uploader in uploaders
             for transfer in uploader.transfers.values() if transfer.maybe_complete}
    compared = 0
    for path in storage.finished_files():
        _, client, file, _ = path.decode().split("/")
        key = client.replace("%2F", "/"), file
        if key in maybe:
            check_finished(storage, key[0], maybe[key])
            compared += 1
        elif key not in kept:
            raise Broken(f"{path!r} is visible, and nobody has sent its fin")
    return compared


def take_away(storage, client, transfer):
    """As an operator does, the file's manifest last."""
    path = storage.finished(client, transfer.id, transfer.name)
    os.unlink(path)
    os.unlink(path + b".manifest.json")
    os.rmdir(os.path.dirname(path))
