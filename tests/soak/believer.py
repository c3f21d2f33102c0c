# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Clients that never ask again, as those written for EMQX.

    believer = Believer(dice, blob, "b1")
    believer.attach(broker.endpoint)     # after each start of the broker
    serve([..., believer], until, seconds)
    believer.promised                    # {file id: File}: fin or put had PUBACK 0x00

init, segments, fin, or put; once the PUBACK of fin or put says 0x00 the file is done, and
whatever happens to the broker then, it must appear under files/ without another command.
What was cut off before is sent again as a whole, or aborted. After a stop the responses
must come, too. Duck-typed as uploader.Uploader, for serve() and check_visible().
"""
import json

from ondisk import sha256
from rawmqtt import Client
from uploader import WINDOW, Broken, Uploader

AT_ONCE = 3                     # files of one client on their way
FOR_EVER = 0xFFFFFFFF


class File:
    """One file of a believer."""

    def __init__(self, dice, blob, number):
        self.id, self.name = f"b{number}", dice.choice(("data.bin", "día 1.log", "a b"))
        self.size = dice.choice((0, dice.randrange(300), int(2 ** dice.uniform(1, 18)),
                                 int(2 ** dice.uniform(10, 21))))
        start = dice.randrange(len(blob) - self.size)
        self.content = blob[start:start + self.size]
        self.sum = sha256(self.content)
        self.is_put = self.size < 300_000 and dice.random() < 0.5
        self.chunk = max(1, self.size // dice.choice((1, 2, 5, 30)))
        self.has_sum, self.responses = dice.random() < 0.5, dice.choice(("all", "errors"))
        self.maybe_complete = False   # fin or put was sent
        self.is_again = False         # a part was sent over an earlier connection, too

    def commands(self):
        """[(kind, levels, payload)] of the whole upload."""
        told = f"/{self.sum}" if self.has_sum else ""
        if self.is_put:
            return [("put", f"put/{self.name}{told}", self.content)]
        meta = {"name": self.name, "size": self.size, "responses": self.responses}
        return [("init", "init", json.dumps(meta).encode()),
                *[("segment", str(at), self.content[at:at + self.chunk])
                  for at in range(0, self.size, self.chunk)],
                ("fin", f"fin/{self.size}{told}", b"")]

    def __repr__(self):
        return f"<{self.id} {self.size} bytes, {'put' if self.is_put else self.chunk}>"


class Believer(Client):
    """A client with a durable session that believes PUBACKs."""

    def __init__(self, dice, blob, client_id):
        super().__init__(0, client_id, 5, clean=False, session_expiry=FOR_EVER)
        self.dice, self.blob = dice, blob
        self.serial, self.quiet, self.total_acks, self.total_fins = 0, False, 0, 0
        self.transfers = {}           # {file id: File}: anything may be visible of these
        self.promised, self.forsaken = {}, {}
        self.finished = {}
        self.untold = set()           # ids of promised files whose response must still come
        self.told = set()             # responses that came before their PUBACK
        self._flying = {}             # packet id -> (file, kind)
        self._todo = {}               # file id -> commands not sent yet, the last one first

    def __repr__(self):
        return f"<{self.client_id}: promised {list(self.promised.values())}, {self.closed}>"

    def attach(self, endpoint):
        """Connects. What was cut off is sent again from its beginning, or aborted."""
        self.drop()
        self.endpoint = endpoint
        self.acks.clear()
        self.recs.clear()
        self._busy.clear()
        self._flying.clear()
        for file in [self.transfers[file_id] for file_id in self._todo]:
            file.is_again = True
            if self.dice.random() < 0.5:
                self.forsaken[file.id] = file
                del self._todo[file.id]
            else:
                self._todo[file.id] = file.commands()[::-1]
        self.connect()
        self.subscribe("$file-response/" + self.client_id)
        for file in self.forsaken.values():
            self._send(file, "abort", "abort", b"")
        self.fill()

    def fill(self):
        while not self.quiet and len(self._todo) < AT_ONCE:
            self.serial += 1
            file = File(self.dice, self.blob, self.serial)
            self.transfers[file.id], self._todo[file.id] = file, file.commands()[::-1]
        for file_id, commands in self._todo.items():
            while commands and len(self._flying) < WINDOW and not self.closed and not self._broken:
                self._send(self.transfers[file_id], *commands.pop())

    def _send(self, file, kind, levels, payload):
        if kind in ("fin", "put"):
            file.maybe_complete = True
            self.total_fins += 1
        self._flying[self.publish(f"$file-async/{file.id}/{levels}", payload)] = file, kind

    def digest(self):
        while self.acks:
            mid, code = self.acks.popitem()
            self.total_acks += 1
            self._acknowledged(*self._flying.pop(mid), code)
        while self.messages:
            body = json.loads(self.messages.popleft().payload)
            _, file_id, verb = body["topic"].split("/")[:3]
            if verb in ("fin", "put"):
                self._answered(file_id, body)

    def _acknowledged(self, file, kind, code):
        if kind == "abort":
            self.forsaken.pop(file.id, None)
        elif code == 0 and kind in ("fin", "put"):
            self._todo.pop(file.id, None)
            self.forsaken.pop(file.id, None)
            self.promised[file.id] = file
            if file.id not in self.told:
                self.untold.add(file.id)
        elif code != 0:
            if not file.is_again:     # else it may be finished, or about to be
                raise Broken(f"{self}: {kind} of {file}: PUBACK {code:#x}")
            self._todo.pop(file.id, None)
            self.forsaken[file.id] = file

    def _answered(self, file_id, body):
        self.told.add(file_id)
        self.untold.discard(file_id)
        if file_id in self.promised and body["reason_description"] != "success":
            raise Broken(f"{self}: {file_id} was accepted, and now {body}")

    def forget_published(self, log):
        """What Mosquitto 2.0 was given in the last pass of its loop is lost when it stops."""
        self.untold -= {file_id for file_id in self.untold
                        if f"client '{self.client_id}', file '{file_id}': " in log}

    def forget_responses(self):
        """A killed broker has lost the messages it had not delivered."""
        self.untold.clear()

    def keep(self, file_id):
        """The file is there, and right."""
        del self.transfers[file_id]
        return self.promised.pop(file_id)

    def is_idle(self):
        return not self._todo and not self._flying

    drain, move = Uploader.drain, Uploader.move
    is_waiting_to_write = Uploader.is_waiting_to_write
