# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Plays a script against a broker of its own."""
import functools
import json
import os
import random
import shutil
import stat
import time
import unittest

import harness
import model
from ondisk import eventually, escaped
from recorder import Patient, Recorder
from script import JUMP, LARGE, LONG_TTL
from worlds import Event, Impossible

EVERYTHING = ("#", "$file/#", "$file-async/#", "+/#")
EXPIRE_BASE = 4000000000               # far from now
JUNK = (  # topic behind the file id, payload, the word; without one it asks for an unknown file
    ("status", b"", None), ("nonsense", b"x", "invalid_offset"), ("fin/-1", b"", "invalid_size"),
    ("init/x/y", b"", "invalid_file_command"), ("0/abc", b"x", "invalid_checksum"),
    ("9223372036854775807", b"xx", "invalid_offset"),
    ("init", b"{", "invalid_filemeta_json"), ("init", b'{"name":"a/b"}', "invalid_filemeta"),
)


def content(pattern, offset, length):
    """The bytes at this place, in one of several contents."""
    return whole(pattern)[offset:offset + length]


@functools.lru_cache
def whole(pattern):
    return random.Random(pattern).randbytes(LARGE)


class Game:
    def __init__(self, script):
        self.script, self.span = script, script["span"]
        self.rules = model.Rules(self.span, LONG_TTL, script["max_file_size"],
                                 script["max_segment_size"])
        options = {"durability": script["durability"], "segments_ttl": LONG_TTL,
                   "segments_ttl_min": model.TTL_MIN, "gc_interval": 1}
        for name in ("max_file_size", "max_segment_size"):
            if script[name]:
                options[name] = script[name]
        self.is_21 = harness.broker_version() >= (2, 1, 0)
        self.broker = harness.Broker(f"model-{script['seed']}", options, preload=preloads(),
                                     config=["max_packet_size 20000000"])
        self.held = os.path.join(self.broker.dir, "hold")
        self.clock = harness.Clock(self.broker)
        self.broker.environment["FT_HOLD"] = self.held
        self.spy, self.count = None, 0
        self.devices = []

    def play(self):
        try:
            self.start()
            self.devices = [Recorder(self, spec, self.script["files"])
                            for spec in self.script["clients"]]
            for word, *arguments in self.script["ops"]:
                self.count += 1
                getattr(self, "do_" + word)(*arguments)
                self.check_alive()
            self.finish()
        except (OSError, AssertionError):
            self.check_alive()
            raise
        finally:
            self.end()
        self.broker.remove()

    def end(self):
        for client in [d.client for d in self.devices] + [self.spy]:
            if client:
                client.drop()
        self.broker.kill9()

    # --- the broker -------------------------------------------------------------------

    def start(self):
        self.broker.start()
        self.spy = Patient(self.broker.endpoint, "spy")
        self.spy.game = self
        self.spy.connect()
        self.spy.subscribe(*EVERYTHING)

    def check_alive(self):
        self.broker.check_log()
        if self.broker.process and not self.broker.is_running():
            raise Impossible(f"the broker died:\n{self.broker.log()[-2000:]}")

    def check_spy(self):
        self.spy.ping()
        if self.spy.messages:
            raise Impossible(f"a message reached somebody else: {self.spy.messages[0]}")

    def hold(self, on):
        """While it is on no fsync returns. With durability `segment` the broker would wait, too;
        with `file` it does, rarely: before it writes over bytes that a checkpoint covers."""
        if on and self.script["durability"] == "file":
            with open(self.held, "wb"):
                pass
        elif os.path.exists(self.held):
            os.unlink(self.held)

    def trash(self):
        return [p for p in self.broker.storage.entries() if p.startswith(b"trash/")]

    def wait_for_empty_trash(self):
        eventually(lambda: not self.trash(), "an empty trash/", 30)

    def broker_ends(self, how):
        if self.span == LARGE:         # too many pages to think of where a kill has torn one
            for device in self.devices:
                if device.client:
                    device.flush()
        self.check_spy()
        if how == "kill":
            self.broker.process.kill()
        else:
            self.hold(False)
            self.broker.stop()
        for device in self.devices:
            device.broker_died()
        self.broker.kill9()
        self.hold(False)
        self.spy.drop()

    # --- operations -------------------------------------------------------------------

    def do_connect(self, client, clean, resend):
        self.devices[client].connect(clean, resend)

    def do_drop(self, client, how):
        self.devices[client].drop(how)

    def online(self, client):
        """One that was cut off comes back when it has something to say."""
        if not self.devices[client].client:
            self.devices[client].connect()
        return self.devices[client]

    def send(self, client, kind, qos, **what):
        self.online(client).send(kind, qos=qos, **what)

    def do_init(self, client, file, qos, variant, about, ttl, bad):
        size = self.span * 2 // 3
        checksum = model.sha256(content(0, 0, size))
        meta = (model.Meta("a.bin"), model.Meta("a.bin", size, checksum), model.Meta("b.bin", size),
                model.Meta("a.bin", self.span))[variant]
        members = {"name": meta.name, "size": meta.size, "checksum": meta.checksum,
                   "user_data": {"about": about}, "expire_at": EXPIRE_BASE + about}
        payload = json.dumps({**members, **({"segments_ttl": ttl} if ttl else {})}).encode()
        payload = (payload, payload[:-1], payload.replace(b"bin", b"b:n"))[bad]
        self.send(client, "init", qos, file=file, payload=payload, meta=meta, about=about, ttl=ttl,
                  bad=(None, "invalid_filemeta_json", "invalid_filemeta")[bad])

    def do_segment(self, client, file, qos, offset, length, pattern, checksum):
        data = content(pattern, offset, length)
        total = model.sha256(data)
        self.send(client, "segment", qos, file=file, offset=offset, data=data, payload=data,
                  checksum={"": None, "right": total, "wrong": model.sha256(b"?" + data)}[checksum],
                  bad="checksum_mismatch" if checksum == "wrong" else None)

    def do_fill(self, client, file, qos, pieces, order):
        """What is missing, in pieces, shuffled; begun where it was not."""
        dice = random.Random(order)
        if self.online(client).shadow[file].state == "none":
            self.do_init(client, file, qos, order % 2, 0, 0, 0)
        mask = self.devices[client].shadow[file].mask
        size = self.span * 2 // 3
        todo = []
        for offset, length in model.gaps(mask, size):
            step = max(1, -(-length // pieces))
            todo += [(at, min(step, offset + length - at))
                     for at in range(offset, offset + length, step)]
        dice.shuffle(todo)
        for offset, length in todo[:300]:
            self.do_segment(client, file, qos, offset, length, 0, "")

    def do_fin(self, client, file, qos, which, checksum, times):
        shadow = self.devices[client].shadow[file]
        held = (model.runs(shadow.mask) or [[0, 0]])[0]
        most = shadow.fin_size if shadow.state == "complete" else 0 if held[0] else held[1]
        size = {"held": most, "init": self.span * 2 // 3, "short": most * 2 // 3,
                "long": most + 1, "far": self.span * 2, "none": 0}[which]
        right = model.sha256(shadow.data[:size])
        said = {"": None, "right": right, "wrong": model.sha256(b"?" + right.encode())}[checksum]
        for _ in range(times):
            self.send(client, "fin", qos, file=file, size=size, checksum=said)

    def do_abort(self, client, file, qos):
        self.send(client, "abort", qos, file=file)

    def do_status(self, client, file, qos):
        self.send(client, "status", qos, file=file)

    def do_junk(self, client, qos, which):
        rest, payload, bad = JUNK[which]
        self.send(client, "junk", qos, rest=rest, payload=payload, bad=bad)

    def do_sync(self, client):
        self.online(client).sync()

    def do_take(self, client):
        """The operator takes finished files away, with their manifests."""
        device = self.online(client)
        device.sync()
        for file in range(self.script["files"]):
            if all(world[file].state == "complete" for world in device.checker.worlds):
                shutil.rmtree(self.broker.storage.transfer_dir("files", device.id, f"f{file}"))
                device.force(file, model.NONE._replace(known=True))

    def do_acks(self, client, on):
        self.devices[client].acking = on

    def do_hold(self, on):
        self.hold(on)

    def do_pause(self, milliseconds):
        """Chance decides where it catches the broker."""
        time.sleep(milliseconds / 1000)

    def do_kill(self, after):
        self.do_pause(after)
        self.broker_ends("kill")
        self.start()

    def do_restart(self):
        self.broker_ends("stop")
        self.start()

    def do_expire(self):
        """Time passes for all. What must have gone by then is waited for."""
        for device in self.devices:
            if device.client:
                device.sync_without_news()
                self.wait_for_unfinished(device)
        self.spy.ping().ping()         # what links had left behind when they were cut is read
        self.clock.forward(JUMP)
        for device in self.devices:
            device.history.append(Event("jump", seconds=JUMP))
            if device.client:
                device.judge()
                self.wait_for_expired(device)

    def wait_for_unfinished(self, device):
        """One that is young may be in the log only: nobody would see it go."""
        for file in range(self.script["files"]):
            if all(w[file].state == "receiving" for w in device.checker.worlds):
                self.broker.storage.wait_incoming(device.id, f"f{file}", 30)

    def wait_for_expired(self, device):
        for file in range(self.script["files"]):
            if all(w[file].state == "receiving" and w[file].sure_age >= w[file].ttl
                   for w in device.checker.worlds):
                self.broker.storage.wait_gone(device.id, f"f{file}", 30)
                known = any(world[file].known for world in device.checker.worlds)
                device.force(file, model.NONE._replace(known=known))

    def do_expire_down(self):
        """However long the broker was not there, and whatever the age of files: nothing expires."""
        self.broker_ends("stop")
        past = time.time() - 10 * LONG_TTL
        for path, mode in self.broker.storage.entries().items():
            if path.startswith(b"incoming/") and stat.S_ISREG(mode):
                os.utime(os.path.join(os.fsencode(self.broker.storage.path), path), (past, past))
        self.start()

    # --- the end ----------------------------------------------------------------------

    def finish(self):
        self.hold(False)
        for device in self.devices:
            if not device.client:
                device.connect()
            device.sync()
        self.check_spy()
        self.wait_for_empty_trash()
        self.broker.stop()
        for device in self.devices:
            self.check_disk(device)
        self.check_nothing_else()

    def check_disk(self, device):
        """What is left is what one of the worlds has."""
        wrong = []
        for world in device.checker.worlds:
            try:
                for number, file in enumerate(world):
                    self.check_file(device, f"f{number}", file)
                return
            except AssertionError as error:
                wrong.append(str(error))
        raise Impossible(f"{device.id}: files are not as they should be: {wrong[0]}")

    def check_file(self, device, name, file):
        case, storage = unittest.TestCase(), self.broker.storage
        if not file.refused or file.state != "complete":  # else that is kept in mind there
            case.assertEqual(storage.is_incoming(device.id, name), file.state == "receiving",
                             f"unfinished in the catalog: {name}, which is {file.state}")
        case.assertEqual(self.published(device, name),
                         [file.meta.name.encode()] if file.state == "complete" else [],
                         f"files/ of {name}, which is {file.state}")
        if file.state == "complete":
            storage.check_finished(case, device.id, name, file.meta.name, file.bytes(),
                                   user_data={"about": file.about},
                                   expire_at=EXPIRE_BASE + file.about)
        elif file.state == "receiving":
            found = self.stored(device, name).ljust(self.span, b"\0")
            for offset, length in model.runs(file.mask):
                case.assertEqual(found[offset:offset + length], file.data[offset:offset + length],
                                 f"bytes of {name} from {offset}")

    def stored(self, device, name):
        """What is in incoming/; nothing may be there where nothing is held."""
        path = self.broker.storage.transfer_dir("incoming", device.id, name)
        if not os.path.exists(path):
            return b""
        with open(path, "rb") as data:
            return data.read()

    def published(self, device, name):
        """Names without their manifests: one of those may be alone, after a kill."""
        folder = self.broker.storage.transfer_dir("files", device.id, name)
        found = os.listdir(folder) if os.path.exists(folder) else []
        return [entry for entry in found if not entry.endswith(b".manifest.json")]

    def check_nothing_else(self):
        entries = self.broker.storage.entries()
        for kind in (b"files", b"incoming"):
            for path in entries:
                parts = path.split(b"/")
                if parts[0] == kind and len(parts) > 2 and not any(
                        parts[1] == escaped(d.id) and parts[2][:1] == b"f" and
                        int(parts[2][1:]) < self.script["files"] for d in self.devices):
                    raise Impossible(f"nobody asked for {path!r}")
        if any(path.startswith(b"damaged/") for path in entries):
            raise Impossible("a transfer was set aside as damaged")


def preloads():
    return " ".join((harness.compiled("hold_sync.so", "-ldl"),
                     harness.compiled(*harness.Clock.PRELOAD)))
