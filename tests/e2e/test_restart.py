# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The broker is killed or stopped while clients upload: nothing acknowledged is lost."""
import os
import random
import shutil
import struct

from device import merged, pieces
from harness import Case, compiled, rows, spread
from ondisk import eventually, sha256
from rawmqtt import Closed


def covers(have, wanted):
    return merged([tuple(r) for r in have] + list(wanted)) == have


@spread
class Killed(Case):
    """kill -9, at a moment the dice choose."""

    shared = False

    def restarted_device(self, broker):
        broker.start()
        return self.device("dev", broker=broker)

    def upload_until_killed(self, broker, device, todo, after):
        """Returns the pieces that were acknowledged."""
        acked = []
        try:
            for piece in device.pipeline("f", todo, window=20):
                acked.append(piece)
                if len(acked) == after:
                    broker.process.kill()
        except (Closed, OSError):
            pass
        broker.kill9()
        return acked

    @rows(*[(f"durability_{durability}_seed{seed}", durability, seed)
            for durability in ("none", "file", "segment") for seed in range(4)])
    def test_all_that_was_acknowledged_is_held(self, durability, seed):
        dice = random.Random(f"{durability}{seed}")
        content = dice.randbytes(600_000)
        todo = pieces(content, dice.choice((500, 3000, 20_000)))
        if seed % 2:
            dice.shuffle(todo)
        broker = self.start_broker({"durability": durability})
        device = self.device("dev", broker=broker)
        self.ok(device.init("f", size=len(content)))
        held = []
        for _ in range(3):
            rest = [p for p in todo if not covers(merged(held), [(p[0], len(p[1]))])]
            acked = self.upload_until_killed(broker, device, rest,
                                             dice.randrange(1, max(2, len(rest))))
            held += [(offset, len(data)) for offset, data in acked]
            device = self.restarted_device(broker)
            status = self.ok(device.status("f"), state="receiving")
            if not status.get("truncated"):
                self.assertTrue(covers(status.get("have"), held), (status, merged(held)))
            self.assertGreaterEqual(status.get("received"), sum(n for _, n in merged(held)))
        self.fill_and_finish(broker, device, content)

    def fill_and_finish(self, broker, device, content):
        """Sends only what the broker says is missing."""
        for _ in range(100):
            answer = device.fin("f", len(content), sha256(content))
            if answer.word != "incomplete":
                break
            for offset, length in answer.get("missing"):
                for piece in pieces(content[offset:offset + length], 20_000, offset):
                    self.ok(device.segment("f", *piece))
        self.ok(answer)
        broker.storage.check_finished(self, "dev", "f", "data.bin", content)

    def test_overwritten_bytes_are_those_acknowledged_last(self):
        dice = random.Random(8)
        broker = self.start_broker()
        device = self.device("dev", broker=broker)
        self.ok(device.init("f"))
        content = bytearray(20_000)
        for _ in range(40):
            offset, data = dice.randrange(19_000), dice.randbytes(1000)
            self.ok(device.segment("f", offset, data))
            content[offset:offset + 1000] = data
        self.ok(device.segment("f", 0, bytes(content)))
        self.ok(device.segment("f", 5000, b"last"))
        content[5000:5004] = b"last"
        broker.kill9()
        device = self.restarted_device(broker)
        self.ok(device.fin("f", 20_000, sha256(content)))

    @rows(("init", 0), ("abort", 1))
    def test_a_command_that_was_acknowledged_is_not_undone(self, aborted):
        broker = self.start_broker()
        device = self.device("dev", broker=broker)
        for number in range(5):
            device.command(f"$file/f{number}/init", b'{"name":"a","user_data":{"n":%d}}' % number)
            device.segment(f"f{number}", 0, b"x" * number)
            if aborted:
                self.ok(device.abort(f"f{number}"))
        broker.kill9()
        device = self.restarted_device(broker)
        for number in range(5):
            self.ok(device.status(f"f{number}"), state="none" if aborted else "receiving",
                    received=0 if aborted else number)
            if not aborted:
                self.ok(device.fin(f"f{number}", number))
                self.assertEqual(broker.storage.manifest("dev", f"f{number}", "a")["user_data"],
                                 {"n": number})

    def test_user_data_is_kept_to_the_letter(self):
        """As deep as it may be, and whatever a JSON parser would make of its numbers."""
        user_data = b'{"ns": 1795188444618813123, "deep": ' + b'{"a":' * 62 + b"{" + \
            b'"b":1e400,' * 3000 + b'"c":1.10' + b"}" * 63 + b"}"
        broker = self.start_broker()
        device = self.device("dev", broker=broker)
        self.ok(device.command("$file/f1/init", b'{"name":"a","user_data":' + user_data + b"}"))
        self.ok(device.segment("f1", 0, b"held"))
        broker.kill9()
        device = self.restarted_device(broker)
        self.ok(device.status("f1"), state="receiving", received=4)
        self.ok(device.fin("f1", 4))
        with open(broker.storage.finished("dev", "f1", "a.manifest.json"), "rb") as file:
            self.assertIn(user_data, file.read())

    @rows(("seed0", 0), ("seed1", 1), ("seed2", 2))
    def test_an_assembly_cut_off_is_done_by_the_next_start(self, seed):
        dice = random.Random(seed)
        chunk, size = 1 << 20, 48 << 20
        block = dice.randbytes(chunk)
        broker = self.start_broker()
        device = self.device("dev", broker=broker, responses=False)
        device.init("f", size=size)
        for _ in device.pipeline("f", [(at, block) for at in range(chunk, size, chunk)], window=4):
            pass
        device.publish("$file/f/0", block)
        device.acked(device.publish(f"$file/f/fin/{size}"))
        if seed:  # somewhere between at once and about the end
            for _ in range(dice.randrange(1, 2000)):
                device.ping()
                if os.path.exists(broker.storage.finished("dev", "f", "data.bin")):
                    break
        broker.kill9()
        device = self.restarted_device(broker)
        path = broker.storage.finished("dev", "f", "data.bin")
        state = device.status("f").get("state")
        self.assertIn(state, ("assembling", "complete"))
        eventually(lambda: os.path.exists(path), "the file that nobody asked for again")
        self.assertTrue(os.path.exists(path + b".manifest.json"))
        self.ok(device.fin("f", size))
        broker.storage.check_finished(self, "dev", "f", "data.bin", sha256(block * (size // chunk)))
        self.ok(device.status("f"), state="complete")
        broker.storage.wait_gone("dev", "f")

    def test_finished_transfers_are_remembered(self):
        broker = self.start_broker()
        device = self.device("dev", broker=broker)
        for number in range(20):
            self.ok(device.upload(f"f{number}", b"x" * number))
        broker.kill9()
        device = self.restarted_device(broker)
        for number in range(20):
            self.ok(device.status(f"f{number}"), state="complete", received=number)
            self.ok(device.fin(f"f{number}", number))

    def test_unfinished_files_never_appear_under_files(self):
        broker = self.start_broker()
        device = self.device("dev", broker=broker)
        self.ok(device.init("f"))
        self.ok(device.segment("f", 0, b"half of it"))
        self.answered(device.fin("f", 20), "incomplete")
        broker.kill9()
        self.restarted_device(broker)
        self.assertEqual(broker.storage.finished_files(), [])


@spread
class Stopped(Case):
    """SIGTERM, and what a start finds."""

    shared = False

    def test_an_upload_is_resumed_after_a_clean_stop(self):
        content = os.urandom(200_000)
        broker = self.start_broker()
        device = self.device("dev", broker=broker)
        self.ok(device.init("f", size=len(content)))
        for _ in device.pipeline("f", pieces(content[:120_000], 1000)):
            pass
        broker.restart()
        device = self.device("dev", broker=broker)
        self.ok(device.init("f", size=len(content)), state="receiving", received=120_000,
                have=[[0, 120_000]])
        for _ in device.pipeline("f", pieces(content[120_000:], 1000, 120_000)):
            pass
        self.ok(device.fin("f", len(content), sha256(content)))

    def test_a_broker_stops_while_it_assembles(self):
        chunk = 1 << 20
        broker = self.start_broker()
        device = self.device("dev", broker=broker, responses=False)
        device.init("f")
        for _ in device.pipeline("f", [(at * chunk, b"x" * chunk) for at in range(40, -1, -1)],
                                 window=4):
            pass
        device.acked(device.publish(f"$file/f/fin/{41 * chunk}"))
        broker.restart()
        device = self.device("dev", broker=broker)
        eventually(lambda: device.status("f").get("state") == "complete", "what was accepted")
        self.ok(device.fin("f", 41 * chunk, sha256(b"x" * 41 * chunk)))

    def test_a_broker_stops_while_clients_upload(self):
        broker = self.start_broker()
        device = self.device("dev", broker=broker, responses=False)
        device.init("f")
        for at in range(200):
            device.publish(f"$file/f/{at * 1000}", b"x" * 1000)
        broker.stop()

    def test_a_second_broker_on_the_same_storage_does_not_start(self):
        broker = self.start_broker()
        second = self.start_broker(start=False, storage=broker.storage.path)
        status, log = second.run_to_end()
        self.assertNotIn(status, (0, None), log)
        lines = [line for line in log.splitlines() if broker.storage.path in line]
        self.assertEqual(len(lines), 1, log)
        self.assertRegex(lines[0], r"file-transfer: .*storage_dir.*(another|other|in use|lock)")
        self.device("dev", broker=broker).init("f")

    def test_a_killed_brokers_lock_does_not_block_the_next(self):
        broker = self.start_broker()
        broker.kill9()
        broker.start()

    def stored(self, broker, files):
        """A device that has sent 5,000 bytes of each file; they are in incoming/."""
        device = self.device("dev", broker=broker)
        for file in files:
            self.ok(device.init(file))
            self.ok(device.segment(file, 0, file.encode() * 5000))
        for file in files:
            path = broker.storage.transfer_dir("incoming", "dev", file)
            eventually(lambda path=path: os.path.exists(path) and os.path.getsize(path) == 5000,
                       "the bytes on disk")
            broker.storage.wait_incoming("dev", file)
        return device

    @rows(*[(f"{change}_after_{end}", change, end) for end in ("stop", "kill")
            for change in ("memory_to_disk", "disk_to_memory", "larger", "smaller")])
    def test_a_log_that_is_another_one_now_costs_nothing(self, change, end):
        broker = self.start_broker()
        disk, memory, size = {"log_dir": broker.storage.path}, {"log_dir": None}, "log_size"
        before, after = {"memory_to_disk": (memory, disk), "disk_to_memory": (disk, memory),
                         "larger": ({**disk, size: "32M"}, {**disk, size: "64M"}),
                         "smaller": ({**disk, size: "64M"}, {**disk, size: "32M"})}[change]
        broker.stop()
        broker.options.update(before)
        broker.start()
        self.stored(broker, "f")
        (broker.stop if end == "stop" else broker.kill9)()
        broker.options.update(after)
        broker.start()
        self.assertNotIn("power cut", broker.log())
        device = self.device("dev", broker=broker)
        self.ok(device.status("f"), state="receiving", received=5000)
        self.ok(device.fin("f", 5000, sha256(b"f" * 5000)))

    def killed_with_work_in_the_log(self, broker):
        """It has acknowledged a put, a segment and a fin, and stored nothing of them."""
        hold = os.path.join(broker.dir, "hold")
        broker.environment["FT_HOLD"] = hold
        broker.start()
        device = self.device("dev", broker=broker)
        self.ok(device.init("f"))
        broker.storage.wait_incoming("dev", "f")
        with open(hold + ".write", "w", encoding="ascii"):
            pass
        for topic, payload in (("$file/f/0", b"f" * 5000), ("$file/p/put/a", b"whole"),
                               ("$file/f/fin/5000", b"")):
            device.acked(device.publish(topic, payload))
        broker.kill9()
        os.unlink(hold + ".write")
        self.assertFalse(os.path.exists(broker.storage.finished("dev", "p", "a")))

    def test_work_in_the_log_is_done_though_log_dir_is_another_one(self):
        broker = self.start_broker(start=False, preload=compiled("hold_sync.so", "-ldl"))
        first, second = (os.path.join(broker.dir, name) for name in ("a", "b"))
        for place in (first, second):
            os.mkdir(place)
        broker.options["log_dir"] = first
        self.killed_with_work_in_the_log(broker)
        broker.options["log_dir"] = second
        os.rename(first, first + ".away")
        status, log = broker.run_to_end()
        self.assertNotIn(status, (0, None))
        self.assertIn(f"the log was {first}", log)
        self.assertIn("remove log.path in storage_dir", log)
        os.rename(first + ".away", first)
        broker.start()
        for file, name in (("p", "a"), ("f", "data.bin")):
            path = broker.storage.finished("dev", file, name)
            eventually(lambda path=path: os.path.exists(path), "what was acknowledged")
        self.assertNotIn("power cut", broker.log())
        self.assertEqual([os.listdir(first), len(os.listdir(second))], [[], 1])
        broker.stop()
        broker.options.pop("log_dir")
        broker.start()
        self.assertNotIn("power cut", broker.log())
        self.assertEqual(os.listdir(second), [])

    @staticmethod
    def is_empty_log(entry):
        """Whether no record counts: log/log.h."""
        with open(entry.path, "rb") as log:
            size, = struct.unpack_from("<Q", log.read(24), 16)
            log.seek(40)
            salt, tail = struct.unpack("<QQ", log.read(16))
            log.seek(4096 + tail % size)
            return struct.unpack("<Q", log.read(8))[0] != tail ^ salt

    def test_the_log_of_a_storage_that_was_deleted_is_removed(self):
        dead, kept, third = (self.start_broker(start=False) for _ in range(3))
        place = os.path.join(dead.dir, "logs")
        os.mkdir(place)
        for broker in (dead, kept, third):
            broker.options["log_dir"] = place
        for broker in (dead, kept):
            broker.start()
            self.ok(self.device("dev", broker=broker).upload("f", b"x"))
            eventually(lambda: all(map(self.is_empty_log, os.scandir(place))), "an empty log")
            broker.kill9()
        self.assertEqual(len(os.listdir(place)), 2)
        shutil.rmtree(dead.storage.path)
        third.start()
        self.assertIn(f"its storage_dir {dead.storage.path} is not there any more", third.log())
        self.assertEqual(len(os.listdir(place)), 2)
        kept.start()
        self.assertNotIn("power cut", kept.log())

    def test_bytes_removed_by_hand_are_asked_for_again(self):
        broker = self.start_broker()
        self.stored(broker, "f")
        broker.kill9()
        shutil.rmtree(os.path.dirname(broker.storage.transfer_dir("incoming", "dev", "f")))
        broker.start()
        device = self.device("dev", broker=broker)
        self.answered(device.fin("f", 5000, sha256(b"f" * 5000)), "incomplete", ack=0,
                      missing=[[0, 5000]])
        self.ok(device.init("f"), received=0)
        self.ok(device.segment("f", 0, b"f" * 5000))
        self.ok(device.fin("f", 5000, sha256(b"f" * 5000)))

    def test_data_cut_short_is_never_passed_off_as_held(self):
        broker = self.start_broker()
        self.stored(broker, "fg")
        broker.kill9()
        os.truncate(broker.storage.transfer_dir("incoming", "dev", "f"), 100)
        broker.start()
        device = self.device("dev", broker=broker)
        self.ok(device.fin("g", 5000, sha256(b"g" * 5000)))
        self.answered(device.fin("f", 5000), "incomplete", ack=0, missing=[[0, 5000]])
        self.ok(device.segment("f", 0, b"n" * 5000))
        self.ok(device.fin("f", 5000, sha256(b"n" * 5000)))

    @rows(("cut_short", lambda path: os.truncate(path, 100)),
          ("rubbish", lambda path: open(path, "r+b").write(os.urandom(8192))),
          ("removed", os.unlink))
    def test_a_damaged_catalog_is_made_anew_from_the_manifests(self, damage):
        broker = self.start_broker()
        self.stored(broker, "f")
        self.ok(self.device("keeper", broker=broker).upload("kept", b"finished"))
        broker.stop()
        path = os.path.join(broker.storage.path, "catalog.db")
        for name in os.listdir(broker.storage.path):
            if name.startswith("catalog.db-"):
                os.unlink(os.path.join(broker.storage.path, name))
        damage(path)
        broker.start()
        keeper = self.device("keeper", broker=broker)
        self.ok(keeper.status("kept"), state="complete", received=8)
        self.ok(keeper.fin("kept", 8, sha256(b"finished")))
        device = self.device("dev", broker=broker)
        self.answered(device.segment("f", 0, b"x"), "no_such_transfer")
        self.ok(device.upload("f", b"anew"))
        self.assertTrue([name for name in os.listdir(broker.storage.path + "/damaged")])

    def test_many_unfinished_transfers_do_not_slow_the_start(self):
        broker = self.start_broker({"max_transfers_per_client": "5000"})
        device = self.device("dev", broker=broker, responses=False)
        mids = [device.publish(f"$file/f{n}/init", b'{"name":"a"}') for n in range(1000)]
        for mid in mids:
            self.assertEqual(device.acked(mid), 0)
        broker.kill9()
        broker.start()
        device = self.device("dev", broker=broker)
        self.ok(device.status("f999"), state="receiving")
        eventually(lambda: device.is_alive(), "the broker to serve", 2)
