# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""What clients may hold and send: quotas, rates, limits_file, names of files."""
import json
import os
import random
import shutil
import signal
import time

from harness import Case, rows, spread
from ondisk import eventually

BOTH = (("v3", 4), ("v5", 5))


def put(device, file, content, name="data.bin"):
    return device.command(device.topic(file, "put", name), content)


@spread
class Quotas(Case):
    """storage_quota, client_quota."""

    shared = False

    @rows(*BOTH)
    def test_all_together_hold_no_more_than_storage_quota(self, version):
        self.broker = self.start_broker({"storage_quota": "1k"})
        one, two = self.device(version=version), self.device(version=version)
        self.ok(one.init("f"))
        self.ok(one.segment("f", 0, b"x" * 1000))
        self.ok(two.init("f"))
        refused = self.answered(two.segment("f", 0, b"x" * 25), "quota_exceeded", retry_after=60)
        self.assertIn("storage_quota", refused.get("detail"))
        self.ok(two.segment("f", 0, b"x" * 24))
        self.ok(one.fin("f", 1000))
        self.answered(two.segment("f", 24, b"x"), "quota_exceeded")
        self.ok(two.segment("f", 0, b"y" * 24))
        self.ok(two.fin("f", 24))

    @rows(*BOTH)
    def test_a_client_holds_no_more_than_client_quota(self, version):
        self.broker = self.start_broker({"client_quota": "1k"})
        one, two = self.device(version=version), self.device(version=version)
        self.ok(put(one, "f", b"x" * 1000))
        self.answered(put(one, "g", b"x" * 25), "quota_exceeded")
        self.answered(one.init("g", size=25), "quota_exceeded")
        self.ok(one.status("g"), state="none")
        self.ok(put(two, "f", b"x" * 1024))
        # What is there already needs no room.
        self.ok(put(one, "f", b"x" * 1000))
        self.ok(one.init("f", size=1000), state="complete")

    def test_an_abort_gives_room_at_once(self):
        self.broker = self.start_broker({"client_quota": "100"})
        device = self.device()
        self.ok(device.init("f"))
        self.ok(device.segment("f", 0, b"x" * 100))
        self.answered(device.init("g", size=100), "quota_exceeded")
        self.ok(device.abort("f"))
        self.ok(device.upload("g", b"x" * 100))

    def test_files_that_consumers_take_give_room(self):
        self.broker = self.start_broker({"client_quota": "100"})
        device = self.device("dev")
        self.ok(device.upload("f", b"x" * 100))
        shutil.rmtree(self.broker.storage.transfer_dir("files", "dev", "f"))
        self.answered(device.init("g", size=100), "quota_exceeded")
        eventually(lambda: device.init("g", size=100).word == "success", "room")
        self.ok(device.upload("g", b"y" * 100))
        self.ok(device.status("f"), state="none")

    def test_owners_share_a_quota_over_their_connections(self):
        self.broker = self.start_broker({"client_quota": "100", "owner": "username"})
        one = self.device("one", username="anna", password="pw")
        two = self.device("two", username="anna", password="pw")
        self.ok(put(one, "f", b"x" * 60))
        self.answered(put(two, "g", b"x" * 60), "quota_exceeded")
        other = self.device("three", username="bert", password="pw")
        self.ok(put(other, "f", b"x" * 60))


class Exact(Case):
    """The sums after kill -9, whatever was on its way."""

    shared = False
    QUOTA = 1 << 20

    def act(self, device, number, rng):
        """Sends one transfer's commands and waits for nothing."""
        file, size = f"f{number}", rng.randrange(1, 3000)
        if rng.random() < 0.3:
            device.send(device.topic(file, "put", "n"), os.urandom(size))
            return
        device.send(device.topic(file, "init"), json.dumps({"name": "n"}))
        for _ in range(rng.randrange(4)):
            at = rng.randrange(size)
            device.send(device.topic(file, at), os.urandom(rng.randrange(1, size - at + 1)))
        end = rng.random()
        if end < 0.3:
            device.send(device.topic(file, 0), os.urandom(size))
            device.send(device.topic(file, "fin", size))
        elif end < 0.5:
            device.send(device.topic(file, "abort"))

    def take_some(self, rng):
        """A consumer at work."""
        for path in self.broker.storage.finished_files():
            if rng.random() < 0.3:
                shutil.rmtree(os.path.dirname(os.path.join(os.fsencode(self.broker.storage.path), path)))

    def on_disk(self):
        storage = self.broker.storage
        return sum(os.path.getsize(os.path.join(os.fsencode(storage.path), path))
                   for path in storage.finished_files())

    def catalog_sums(self):
        """(bytes held, bytes of finished files) as the catalog has them."""
        query = self.broker.storage.catalog
        return (query("SELECT coalesce(sum(until - start), 0) FROM ranges WHERE kind = 1")[0][0],
                query("SELECT coalesce(sum(size), 0) FROM finished")[0][0])

    def counted(self, device, quota):
        """What the broker counts, to the byte: by what it still takes."""
        low, high = 0, quota  # it takes low more, and not high + 1
        while low < high:
            middle = (low + high + 1) // 2
            answer = device.init("probe", size=middle)
            if answer.word == "success":
                self.ok(device.abort("probe"))
                low = middle
            else:
                self.answered(answer, "quota_exceeded")
                high = middle - 1
        return quota - low

    def check_sums(self):
        """Once all that was on its way has arrived, and what consumers took has been found."""
        probe = self.device("probe")

        def all_agree():
            held, finished = self.catalog_sums()
            if self.broker.storage.catalog("SELECT 1 FROM transfers WHERE state = 2"):
                return False
            if finished != self.on_disk():
                probe.init("probe", size=self.QUOTA + 1)  # a refusal makes it look
                return False
            return self.counted(probe, self.QUOTA) == held + finished
        eventually(all_agree, f"{self.catalog_sums()} in the catalog, {self.on_disk()} bytes on disk,"
                   f" {self.counted(probe, self.QUOTA)} counted to agree", 90)

    def test_the_sums_are_those_of_catalog_and_disk_after_each_kill(self):
        rng = random.Random(7)
        self.broker = self.start_broker({"storage_quota": str(self.QUOTA), "log_size": "2M",
                                         "segments_ttl": "1h"})
        for cycle in range(5):
            devices = [self.device(f"dev{n}") for n in range(3)]
            for number in range(30):
                self.act(rng.choice(devices), cycle * 100 + number, rng)
            devices[0].ping()
            self.broker.kill9()
            self.take_some(rng)
            self.broker.start()
            self.check_sums()


@spread
class Rates(Case):
    """client_bandwidth, client_rate."""

    shared = False

    @rows(*BOTH)
    def test_who_sends_too_many_commands_comes_back_when_it_is_told(self, version):
        self.broker = self.start_broker({"client_rate": "5"})
        device, other = self.device(version=version), self.device(version=version)
        answers = [device.status("f") for _ in range(10)]
        refused = [a for a in answers if a.word != "success"]
        self.assertGreaterEqual(len(refused), 3)
        for answer in refused:
            self.answered(answer, "rate_limited", retry_after=1)
        self.ok(other.status("f"))
        time.sleep(1)  # it is what the broker asks for
        self.ok(device.status("f"))

    @rows(*BOTH)
    def test_who_sends_too_many_bytes_comes_back_when_it_is_told(self, version):
        self.broker = self.start_broker({"client_bandwidth": "10k"})
        device, other = self.device(version=version), self.device(version=version)
        self.ok(put(device, "f", b"x" * 25000))
        answer = self.answered(put(device, "g", b"x"), "rate_limited")
        self.assertIn(answer.get("retry_after"), (1, 2))
        self.ok(put(other, "g", b"x"))
        time.sleep(answer.get("retry_after"))
        self.ok(put(device, "g", b"x"))

    def test_what_is_refused_has_no_effect(self):
        self.broker = self.start_broker({"client_rate": "3"})
        device = self.device()
        self.ok(device.init("f"))
        self.ok(device.segment("f", 0, b"held"))
        answers = [device.segment("f", 4, b"more") for _ in range(4)]
        self.answered(answers[-1], "rate_limited")
        taken = any(answer.word == "success" for answer in answers)
        time.sleep(1)
        self.ok(device.status("f"), received=8 if taken else 4)


@spread
class Names(Case):
    """allow_names, deny_names."""

    options = {"allow_names": "*.jpg, *.[pP][nN][gG]", "deny_names": "secret*"}

    @rows(*BOTH)
    def test_names_that_are_not_wanted_are_refused(self, version):
        device = self.device(version=version)
        self.ok(device.upload("a", b"x", name="a.jpg"))
        self.ok(device.upload("b", b"x", name="b.PNG"))
        self.answered(device.init("c", name="a.gif"), "name_refused")
        self.answered(device.init("c", name="secret.jpg"), "name_refused")
        self.answered(put(device, "c", b"x", "a.exe"), "name_refused")
        self.ok(device.status("c"), state="none")


class LimitsFile(Case):
    """limits_file."""

    shared = False

    def write(self, overrides):
        path = os.path.join(self.broker.dir, "limits.json")
        text = overrides if isinstance(overrides, str) else json.dumps({"overrides": overrides})
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path + ".new", 0o644)
        os.rename(path + ".new", path)
        self.broker.options["limits_file"] = path

    def begin(self, overrides, **options):
        self.broker = self.start_broker(options, start=False)
        self.write(overrides)
        self.broker.start()

    def reload(self, overrides, line):
        """Waits until the log says `line`."""
        before = self.broker.log().count(line)
        self.write(overrides)
        self.broker.process.send_signal(signal.SIGHUP)
        eventually(lambda: self.broker.log().count(line) > before, f"{line!r} in the log")

    def test_the_first_override_that_matches_counts(self):
        self.begin([{"client": "cam-1*", "max_file_size": 10},
                    {"client": "cam-*", "max_file_size": "1k", "max_segment_size": 100},
                    {"user": "anna", "max_file_size": None}], max_file_size="5")
        self.answered(self.device("cam-12").init("f", size=11), "file_too_large")
        camera = self.device("cam-2")
        self.ok(camera.init("f", size=1024))
        self.answered(camera.segment("f", 0, b"x" * 101), "segment_too_large")
        self.answered(self.device("x").init("f", size=6), "file_too_large")
        self.ok(self.device("y", username="anna", password="pw").init("f", size=1 << 20))

    def test_a_reload_is_followed_and_logged(self):
        self.begin([{"client": "dev", "client_quota": 100}])
        device = self.device("dev")
        self.ok(put(device, "f", b"x" * 100))
        self.answered(put(device, "g", b"x"), "quota_exceeded")
        self.reload([{"client": "dev", "client_quota": 101}],
                    "limits_file: client 'dev': client_quota 100 -> 101")
        self.ok(put(device, "g", b"x"))
        self.reload([], "client 'dev' is gone: client_quota 101 -> none")
        self.ok(put(device, "h", b"x" * 1000))

    def test_what_is_wrong_on_a_reload_changes_nothing(self):
        self.begin([{"client": "dev", "client_quota": 100}])
        device = self.device("dev")
        self.reload('{"overrides": [\n{"client": "dev", }]}',
                    "limits.json: line 2: is no JSON")
        self.answered(put(device, "f", b"x" * 101), "quota_exceeded")
        self.reload([{"client": "dev", "client_quotas": 100}],
                    "limits.json: override 1: client_quotas: there is no such key")
        self.answered(put(device, "f", b"x" * 101), "quota_exceeded")

    def test_what_is_wrong_at_the_start_keeps_the_broker_from_starting(self):
        self.broker = broker = self.start_broker(start=False)
        self.write([{"client": "dev", "max_segment_size": "100M"}])
        status, log = broker.run_to_end()
        self.assertNotIn(status, (0, None), log)
        lines = [line for line in log.splitlines() if "file-transfer: " in line]
        self.assertEqual(len(lines), 1, log)
        self.assertIn("override 1: max_segment_size: must be at most half of log_size", lines[0])

    def test_rates_follow_the_file_too(self):
        self.begin([{"client": "slow", "client_rate": 1}])
        slow, fast = self.device("slow"), self.device("fast")
        words = {slow.status("f").word for _ in range(5)}
        self.assertIn("rate_limited", words)
        for _ in range(50):
            self.ok(fast.status("f"))
