# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""A client whose every command, acknowledgement and response is written down.

Commands are sent without waiting; links are cut or taken over with commands on their way.
sync() waits until the broker is at rest, as far as this client is concerned, and lets the
Checker judge all that was seen since the last time.
"""
import json
import socket
import struct
import time

import model
from rawmqtt import DISCONNECT, PUBACK, PUBLISH, SCALE, Client, Timeout, packet
from script import LARGE
from worlds import Checker, Command, Event, Impossible, Link

WINDOW = 19                            # below Mosquitto's Receive Maximum of 20
PATIENCE = 30 * SCALE
NEVER_BEGUN = "sync-%d"                # a file id that is asked for once


def is_told_from_memory(command, body):
    """Such answers come in order. What the catalog has to be asked for comes a moment later."""
    return command.kind not in ("fin", "abort") and \
        body.get("state") not in ("complete", "none") and \
        body["reason_description"] not in ("already_complete", "filemeta_conflict",
                                           "no_such_transfer")


class Patient(Client):
    """Where nothing moves for a while, the disk that the test holds up may be the reason."""

    game = None

    def wait(self, condition, timeout=PATIENCE, what="a condition"):
        try:
            return super().wait(condition, min(timeout, 1), what)
        except Timeout:
            self.game.hold(False)
            return super().wait(condition, timeout, what)


class Recorder:
    def __init__(self, game, spec, files):
        self.game = game
        self.id, self.version, self.durable = spec["id"], spec["version"], spec["durable"]
        self.checker = Checker(game.rules, files, self.version, game.is_21)
        self.shadow = list(next(iter(self.checker.worlds)))  # as if all goes well
        self.client = self.link = None
        self.history, self.open, self.unacked, self.seen = [], {}, {}, {}
        self.late = {}                 # may be answered yet, or once more: by number
        self.releases, self.to_ack = set(), []
        self.session, self.acking = False, True
        self.number = self.links = self.in_order = 0
        self.crowded = False           # Mosquitto has queued responses: new ones may overtake them

    def fail(self, text):
        raise Impossible(f"{self.id} (MQTT {self.version}): {text}")

    # --- links ------------------------------------------------------------------------

    def connect(self, clean=False, resend=False):
        """A new link. Where there is one already, the broker has to end that."""
        old, self.client = self.client, self.new_client(clean)
        try:
            self.client.connect()
        except AssertionError as error:
            self.fail(f"cannot connect: {error}")
        if old:
            self.drain(old)
            self.link_ended(old)
        present = self.client.connack.session_present
        if present != (self.session and not self.client.clean):
            self.fail(f"session present: {present}")
        if not present:
            self.end_session()
        self.session = self.durable if self.version == 5 else not self.client.clean
        self.links += 1
        self.link = Link(self.links)
        if not present and self.client.subscribe(self.response_topic) != [1]:
            self.fail("its subscription was refused")
        self.resume(resend)

    def new_client(self, clean):
        expiry = {"session_expiry": 0xFFFFFFFF} if self.version == 5 and self.durable else {}
        if self.version == 4:
            clean = clean or not self.durable
        client = Patient(self.game.broker.endpoint, self.id, self.version, clean=clean,
                         keepalive=0, **expiry)
        client.game, client.auto_ack = self.game, False
        return client

    @property
    def response_topic(self):
        return "$file-response/" + self.id

    def resume(self, resend):
        """What MQTT wants of a client whose session goes on; some send less again than they should.

        Not with QoS 2: such a command would count against the broker's quota for ever.
        """
        left, releases = list(self.unacked.values()), self.releases
        self.unacked, self.releases = {}, set()
        if self.version == 4:
            self.settle_topics()
        for mid in sorted(releases):
            self.client.recs[mid] = 0      # until PUBCOMP, over as many links as it takes
            self.client.release(mid)
        for command in left:
            if resend or command.qos == 2:
                self.send(command.kind, mid=command.mid, **command.what)

    def drop(self, how):
        """Ends the link, with all that is on its way: cut, reset, half, bye."""
        if not self.client:
            return
        if how == "half":
            whole = packet(PUBLISH, 2, bytes([0, 9]) + b"$file/f/0" + bytes(500))
            self.client.send_raw(whole[:200])
        elif how == "bye":
            self.client.send_raw(packet(DISCONNECT, 0, b""))
        elif how == "reset":
            self.client.sock.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                             struct.pack("ii", 1, 0))
        if how != "reset":
            self.client.pump(0)
            self.collect(self.client)
        old, self.client = self.client, None
        old.drop()
        self.link_ended(old)

    def broker_died(self):
        """Also of a client that was away: the broker may have had its commands in hand."""
        if self.client:
            self.drain(self.client)
            self.client.drop()
        if self.link:
            self.link.cut, self.link.killed = True, self.game.span < LARGE
        self.client = None
        # That they were told may have got lost.
        self.late.update((number, command) for number, command in self.checker.commands.items()
                         if command.kind == "fin" and command.answer)
        self.history.append(Event("kill"))
        self.end_session()

    def link_ended(self, client):
        self.releases, self.to_ack = set(client.recs), []
        self.link.cut = True
        self.history.append(Event("cut", self.link))
        if not self.session:
            self.end_session()

    def end_session(self):
        """Responses that have not come yet may be lost."""
        for command in self.open.values():
            command.owed = False
        self.session = False
        self.seen, self.unacked, self.releases, self.to_ack = {}, {}, set(), []

    def drain(self, client):
        """Reads what the broker had written before it closed the link."""
        end = time.monotonic() + PATIENCE
        while not client.closed and time.monotonic() < end:
            client.pump(0.05)
        self.collect(client)
        if not client.closed:
            self.fail("its old link stays open")

    # --- what comes in ----------------------------------------------------------------

    def collect(self, client):
        for found in (client.recs, client.acks):
            for mid, code in found.items():
                command = self.unacked.pop(mid, None)
                if command:
                    command.ack = code
        client.acks.clear()
        while client.messages:
            self.take(client.messages.popleft())
        if client is self.client and self.acking and not client.closed:
            for mid in self.to_ack:
                client.send_raw(packet(PUBACK, 0, struct.pack("!H", mid)))
            self.to_ack = []

    def take(self, message):
        if message.topic != self.response_topic or message.qos != 1 or message.retain:
            self.fail(f"got {message}")
        self.to_ack.append(message.mid)
        if message.mid in self.seen:
            if not message.dup or self.seen[message.mid] != message.payload:
                self.fail(f"delivered again, but not marked so: {message}")
            return
        self.seen[message.mid] = message.payload
        body = json.loads(message.payload)
        command = self.asked(message, body)
        if not command:
            self.fail(f"a response to nothing that is open: {message}")
        self.check_form(command, message, body)
        if command.answer not in (None, body):
            self.fail(f"told once more, and something else: {message}")
        command.answer = body
        if not self.open.pop(command.number, None):
            return
        if is_told_from_memory(command, body) and not self.asks_the_catalog(command):
            if command.number < self.in_order and not self.crowded:
                self.fail(f"answered after a later one: {command}")
            self.in_order = max(self.in_order, command.number)

    def asks_the_catalog(self, command):
        """Of a transfer whose id was finished before."""
        return command.file is not None and any(w[command.file].known for w in self.checker.worlds)

    def asked(self, message, body):
        """The command that this response answers."""
        waiting = {**self.late, **self.open}
        if self.version == 5:
            known = message.properties.get("correlation_data", b"").decode().partition("/")
            return waiting.get(int(known[2])) if known[0] == self.id else None
        return next((c for c in [*self.open.values(), *waiting.values()]
                     if c.topic == body["topic"]), None)

    def check_form(self, command, message, body):
        properties = {k: v for k, v in message.properties.items() if k != "correlation_data"}
        wanted = {"payload_format": 1, "content_type": "application/json"}
        if body["topic"] != command.topic or body["vsn"] != "0.1" or "packet_id" in body or \
                self.version == 5 and properties != wanted:
            self.fail(f"{message} in answer to {command}")

    def wait(self, condition, what):
        end = time.monotonic() + PATIENCE
        hold_until = time.monotonic() + 1
        while True:
            self.collect(self.client)
            if condition():
                return
            if time.monotonic() > hold_until:
                self.game.hold(False)
            if self.client.closed:
                self.fail(f"its link was closed ({self.client.closed}) while waiting for {what}")
            if time.monotonic() > end:
                self.fail(f"not within {PATIENCE:g} s: {what}; open: "
                          + ", ".join(map(str, self.open.values())))
            self.client.pump(0.02)

    # --- commands ---------------------------------------------------------------------

    def send(self, kind, mid=None, **what):
        """`what` holds fields of a Command that are no default. With `mid` it is sent again."""
        self.number += 1
        command = Command(self.number, self.link, kind, mid=mid, **what)
        command.what = what
        command.topic = self.topic(command)
        self.before(command)
        if command.qos and not mid:
            command.mid = (self.number - 1) % 65535 + 1
        if command.qos:
            self.unacked[command.mid] = command
        self.history.append(command)
        self.open[command.number] = self.checker.commands[command.number] = command
        self.crowded |= len(self.open) + len(self.to_ack) >= WINDOW
        properties = {}
        if self.version == 5:
            properties["correlation_data"] = f"{self.id}/{command.number}"
        self.client.publish(command.topic, command.payload, command.qos, mid=command.mid,
                            dup=bool(mid), **properties)
        self.imagine(command)
        return command

    def before(self, command):
        if command.qos and len(self.unacked) >= WINDOW:
            self.wait(lambda: len(self.unacked) < WINDOW, "room in the window")
        twins = [c for c in self.open.values() if c.topic == command.topic]
        if self.version == 4 and twins and (command.kind in ("init", "abort") or self.crowded):
            self.acking = True
            self.wait(lambda: all(c.answer for c in twins), "the answer to the same command")

    def topic(self, command):
        """MQTT 3.1.1 has nothing but the topic to tell one command from another."""
        prefix = "$file-async" if self.links % 2 else "$file"
        zeros = "0" * (command.number % 499) if self.version == 4 else ""
        checksum = [command.checksum] if command.checksum else []
        levels = {"init": ["init"], "abort": ["abort"], "status": ["status"],
                  "segment": [f"{zeros}{command.offset}", *checksum],
                  "fin": ["fin", f"{zeros}{command.size}", *checksum],
                  "junk": [command.rest]}[command.kind]
        file = "sync" if command.file is None else f"f{command.file}"
        if command.kind == "junk" and not command.bad:
            file = NEVER_BEGUN % command.number
        return "/".join([prefix, file, *levels])

    def imagine(self, command):
        """As if it was carried out, and an assembly ended at once."""
        if command.file is None:
            return
        file = model.outcomes(self.shadow[command.file], command, self.game.rules)[0].file
        if file.state == "assembling":
            file = model.assembled(file)[0]
        self.shadow[command.file] = file

    # --- rest -------------------------------------------------------------------------

    def barrier(self):
        """What was to be answered at once before, has been when this returns."""
        self.acking = True
        self.collect(self.client)
        command = self.send("junk", rest="status")
        self.wait(lambda: command.answer and not any(
            c.link is self.link and c.kind not in ("fin", "abort") for c in self.open.values()),
                  "the answer to a question, and to all before")

    def settle_topics(self):
        """What old links have left open may not be taken for what comes on this one."""
        if self.open:
            self.ask_all()
            self.forget(lambda c: c.kind not in ("fin", "abort"))
            self.settle_aborts()
            self.forget(lambda c: c.kind == "abort")

    def forget(self, condition):
        """Commands of old links that will not be answered any more."""
        for command in list(self.open.values()):
            if command.link is not self.link and condition(command):
                command.owed = False
                self.late[command.number] = self.open.pop(command.number)

    def settle_aborts(self):
        """Nobody knows whether an abort is answered yet that may not have got through."""
        if any(c.kind == "abort" and c.link is not self.link for c in self.open.values()):
            self.rest()
            self.game.wait_for_empty_trash()
            self.barrier()
            self.barrier()

    def rest(self):
        """No file is being assembled."""
        self.game.hold(False)
        for round_ in range(1000):
            asked = self.ask_all()
            if all(c.answer["state"] != "assembling" for c in asked):
                return
            time.sleep(min(0.001 * round_, 0.1))
        self.fail("an assembly does not end")

    def ask_all(self):
        """Such questions are answered behind all that the catalog was asked before."""
        asked = [self.send("status", file=file) for file in range(len(self.shadow))]
        self.barrier()
        return asked

    def flush(self):
        """All of this link is acknowledged and, but for assemblies, answered."""
        self.barrier()
        self.wait(lambda: not self.unacked, "acknowledgements")

    def sync(self):
        self.game.hold(False)
        self.flush()
        self.rest()
        self.wait_for_answers()

    def sync_without_news(self):
        """A question is news, too: none is asked where all fins are known to be over."""
        self.game.hold(False)
        self.flush()
        self.wait(lambda: not any(c.link is self.link for c in self.open.values()), "all answers")
        if any(isinstance(c, Command) and c.kind in ("fin", "abort") and not c.answer
               for c in self.history):
            self.rest()
        self.wait_for_answers()

    def wait_for_answers(self):
        self.settle_aborts()
        self.wait(lambda: not any(c.link is self.link for c in self.open.values()), "all answers")
        self.barrier()
        self.judge()

    def force(self, file, state):
        """What was seen on the disk, or done there."""
        self.checker.force(file, state)
        self.shadow = list(next(iter(self.checker.worlds)))

    def judge(self):
        self.checker.run(self.history)
        self.history = []
        self.open.clear()
        self.crowded = False
        self.shadow = list(next(iter(self.checker.worlds)))
