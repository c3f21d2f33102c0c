# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""What the operator's limits refuse, and that what was begun before still ends well."""
import os
import subprocess
import unittest

from harness import IS_ROOT, Case, rows, spread
from ondisk import eventually, sha256

BOTH = (("v3", 4), ("v5", 5))


@spread
class Sizes(Case):
    """max_file_size, max_segment_size."""

    options = {"max_file_size": "1k", "max_segment_size": "100"}

    @rows(*BOTH)
    def test_a_file_that_says_it_is_too_large_is_refused_at_init(self, version):
        device = self.device(version=version)
        self.answered(device.init("f", size=1025), "file_too_large")
        self.ok(device.status("f"), state="none")
        self.ok(device.init("f", size=1024))

    @rows(*BOTH)
    def test_a_segment_beyond_the_largest_file_is_refused(self, version):
        device = self.device(version=version)
        self.ok(device.init("f"))
        self.answered(device.segment("f", 1024, b"x"), "file_too_large")
        self.answered(device.segment("f", 1000, b"x" * 25), "file_too_large")
        self.ok(device.segment("f", 1000, b"x" * 24))

    def test_a_fin_beyond_the_largest_file_is_refused(self):
        device = self.device()
        self.ok(device.init("f"))
        self.assertIn(device.fin("f", 1025).word, ("file_too_large", "incomplete"))

    @rows(*BOTH)
    def test_a_segment_that_is_too_large_is_refused(self, version):
        device = self.device(version=version)
        self.ok(device.init("f"))
        self.answered(device.segment("f", 0, b"x" * 101), "segment_too_large")
        self.ok(device.status("f"), received=0)
        self.ok(device.segment("f", 0, b"x" * 100))


@spread
class Transfers(Case):
    """max_transfers, max_transfers_per_client."""

    shared = False

    @rows(*BOTH)
    def test_the_broker_keeps_only_so_many_unfinished_transfers(self, version):
        self.broker = self.start_broker({"max_transfers": "2"})
        one, two = self.device(version=version), self.device(version=version)
        self.ok(one.init("a"))
        self.ok(two.init("b"))
        self.answered(two.init("c"), "too_many_transfers")
        self.answered(one.init("d"), "too_many_transfers")
        self.ok(one.init("a"))
        self.ok(one.abort("a"))
        self.ok(two.init("c"))
        self.ok(two.fin("c", 0))
        self.ok(one.init("d"))
        self.answered(one.init("e"), "too_many_transfers")

    @rows(*BOTH)
    def test_a_client_keeps_only_so_many_unfinished_transfers(self, version):
        self.broker = self.start_broker({"max_transfers_per_client": "1"})
        one, two = self.device(version=version), self.device(version=version)
        self.ok(one.init("a"))
        self.answered(one.init("b"), "too_many_transfers")
        self.ok(two.init("a"))
        self.ok(one.fin("a", 0))
        self.ok(one.init("b"))

    def test_finished_transfers_do_not_count(self):
        self.broker = self.start_broker({"max_transfers": "1"})
        device = self.device()
        for number in range(5):
            self.ok(device.upload(f"f{number}", b"x"))

    def test_transfers_of_before_a_restart_count(self):
        self.broker = self.start_broker({"max_transfers": "2"})
        device = self.device("counted")
        self.ok(device.init("a"))
        self.ok(device.init("b"))
        self.broker.kill9()
        self.broker.start()
        device = self.device("counted")

        def is_refused():  # the count is read from disk in the background
            answer = device.init("c")
            if answer.word == "too_many_transfers":
                return True
            self.ok(answer)
            self.ok(device.abort("c"))
            return False
        eventually(is_refused, "transfers on disk to be counted")


class DiskFull(Case):
    """A file system without room."""

    shared = False

    def test_below_min_free_space_new_bytes_are_refused(self):
        self.broker = self.start_broker()
        device = self.device("before")
        self.ok(device.init("f"))
        self.ok(device.segment("f", 0, b"held"))
        self.broker.stop()
        self.broker.options["min_free_space"] = "1000000G"
        self.broker.start()
        for version in (4, 5):
            device = self.device("before", version=version)
            self.answered(device.segment("f", 4, b"more"), "disk_full")
            self.ok(device.status("f"), received=4)
        self.ok(device.fin("f", 4))

    def small_disk(self):
        if not IS_ROOT:
            raise unittest.SkipTest("mounting a small file system needs root")
        broker = self.start_broker({"log_size": "1M"}, start=False)
        os.makedirs(broker.storage.path)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "ft-e2e",
                               broker.storage.path], check=False, stderr=subprocess.PIPE)
        if done.returncode:
            raise unittest.SkipTest(f"cannot mount: {done.stderr.decode()}")
        self._cleanups.insert(0, (subprocess.run, (["umount", broker.storage.path],),
                                  {"check": True}))
        return broker.start()

    def test_a_full_disk_is_told_and_what_was_held_stays(self):
        self.broker = self.small_disk()
        for version in (4, 5):
            device = self.device(f"full{version}", version=version)
            self.ok(device.init("f"))
            # What the former one held is freed in the background.
            eventually(lambda d=device: d.segment("f", 0, os.urandom(65536)).word == "success",
                       "room for a segment")
            held, answer = 65536, None
            while held < 16 << 20:
                answer = device.segment("f", held, os.urandom(65536))
                if answer.word != "success":
                    break
                held += 65536
            self.answered(answer, "disk_full")
            self.ok(device.status("f"), received=held, have=[[0, held]])
            self.ok(device.abort("f"))
            eventually(lambda d=device: d.init("g").word == "success", "room after abort")
            eventually(lambda d=device: d.segment("g", 0, b"fits").word == "success", "room")
            self.ok(device.fin("g", 4))

    def test_init_on_a_full_disk_is_told_and_works_when_there_is_room(self):
        self.broker = self.small_disk()
        filler = os.path.join(self.broker.storage.path, "filler")
        out = os.open(filler, os.O_CREAT | os.O_WRONLY)
        try:
            while os.write(out, b"x" * 4096):
                pass
        except OSError:
            os.close(out)
        device = self.device()
        answer, held = device.init("f"), 0
        while answer.word == "success" and held < 1 << 20:  # the log takes some
            answer = device.segment("f", held, b"x" * 8192)
            held += 8192 * (answer.word == "success")
        self.answered(answer, "disk_full")
        os.unlink(filler)
        eventually(lambda: device.segment("f", held, b"more").word == "success", "room")
        self.ok(device.fin("f", held + 4, sha256(b"x" * held + b"more")))


class MemoryStore(Case):
    """store memory: the same protocol without files."""

    options = {"store": "memory"}

    def test_an_upload_is_complete_and_told_again(self):
        device = self.device()
        self.ok(device.upload("f", b"content", chunk=3))
        self.ok(device.status("f"), state="complete", received=7)
        self.ok(device.fin("f", 7))
        self.answered(device.segment("f", 0, b"Content"), "already_complete")
        self.assertEqual(self.broker.storage.finished_files(), [])

    def test_gaps_and_checksums_are_noticed(self):
        device = self.device()
        self.ok(device.init("f", checksum="0" * 64))
        self.ok(device.segment("f", 2, b"cd"))
        self.assertEqual(self.answered(device.fin("f", 4), "incomplete").get("missing"), [[0, 2]])
        self.ok(device.segment("f", 0, b"ab"))
        self.answered(device.fin("f", 4), "file_checksum_mismatch")
        self.ok(device.abort("f"))
        self.answered(device.fin("f", 4), "no_such_transfer")
