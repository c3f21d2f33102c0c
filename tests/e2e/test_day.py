# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""An operator's day, as docs/operate.md tells it: what is seen first, what is done, what devices notice."""
import os
import shutil
import signal

from ondisk import eventually, sha256
from test_ft_ctl import ToolCase
from test_limits import DiskFull

MIB = 1 << 20
HALF = MIB // 2  # the largest segment there


class Day(ToolCase):
    shared = False
    options = {"control": "trusted"}

    small_disk = DiskFull.small_disk

    def stats(self):
        return self.json("stats")[0]

    def logged(self, text):
        eventually(lambda: text in self.broker.log(), f"the log to say: {text}")

    def filled(self, path, left):
        """A file that leaves so many bytes on its file system."""
        with open(path, "wb") as file:
            space = os.fstatvfs(file.fileno())
            os.posix_fallocate(file.fileno(), 0, space.f_bavail * space.f_frsize - left)
        return path

    def test_a_full_disk_is_seen_and_devices_go_on_when_there_is_room(self):
        self.options = {**self.options, "min_free_space": "1M"}
        self.broker = self.small_disk()
        device, content = self.device("cam1"), os.urandom(HALF)
        self.ok(device.init("f", size=2 * HALF))
        self.ok(device.segment("f", 0, content))
        stranger = self.filled(os.path.join(self.broker.storage.path, "stranger"), HALF)
        eventually(lambda: self.stats()["disk_full"], "ft-ctl to say that the disk is full")
        self.assertEqual(self.stats()["disk_left"], 0)
        self.answered(device.segment("f", HALF, content), "disk_full")
        self.assertIn("refused disk_full: client 'cam1', file 'f': 524288 bytes do not fit: "
                      "0 bytes are left above min_free_space", self.broker.log())
        self.assertNotIn("there is room on the disk again", self.broker.log())
        os.unlink(stranger)
        self.logged("there is room on the disk again; 1 client was told disk_full, 1 time")
        self.assertFalse(self.stats()["disk_full"])
        self.ok(device.segment("f", HALF, content))
        self.ok(device.fin("f", 2 * HALF, sha256(content + content)))

    def test_a_disk_that_others_fill_to_the_last_byte_does_not_fill_the_log(self):
        self.broker = self.small_disk()
        device, sent = self.device("cam1"), 0
        self.ok(device.init("f"))
        stranger = self.filled(os.path.join(self.broker.storage.path, "stranger"), 0)
        while device.segment("f", sent, bytes(65536)).word == "success":  # the log takes some
            sent += 65536
        self.logged("the disk of storage_dir is full: ")
        begun = self.stats()["uptime"]
        eventually(lambda: self.stats()["uptime"] >= begun + 3, "it to be tried again")
        self.assertEqual(self.broker.log().count("No space left on device"), 1)
        os.unlink(stranger)
        self.logged("what waited in the log could be stored")
        self.ok(device.fin("f", sent))

    def test_a_stuck_transfer_is_found_and_aborted(self):
        self.broker = self.start_broker()
        stuck, busy = self.device("stuck"), self.device("busy")
        for device in (stuck, busy):
            self.ok(device.init("f" * 36, size=MIB))
            self.ok(device.segment("f" * 36, 0, b"begun"))
        eventually(lambda: max(e["idle"] for e in self.json("list")) >= 1, "seconds without news")
        self.ok(busy.segment("f" * 36, 5, b"more"))
        entry, = [e for e in self.json("list") if e["idle"] >= 1]
        self.assertEqual(entry["client_id"], "stuck")
        self.ctl("abort", entry["client_id"], entry["file_id"])
        self.logged("aborted by an operator")
        self.assertEqual([e["client_id"] for e in self.json("list")], ["busy"])
        self.answered(stuck.segment("f" * 36, 5, b"more"), "no_such_transfer")
        self.ok(stuck.init("f" * 36, size=5))
        self.ok(stuck.segment("f" * 36, 0, b"again"))
        self.ok(stuck.fin("f" * 36, 5))

    def test_a_full_quota_is_freed_by_deletion(self):
        self.broker = self.start_broker({"client_quota": "1M"})
        device, content = self.device("cam1"), os.urandom(600 << 10)
        self.ok(device.upload("old", content))
        self.answered(device.init("new", size=len(content)), "quota_exceeded")
        self.logged("client_quota is 1048576 bytes, 614400 are used")
        self.assertEqual(self.json("files", "cam1")[0]["size"], len(content))
        self.ctl("rm", "cam1", "old")
        self.assertFalse(os.path.exists(self.broker.storage.finished("cam1", "old", "data.bin")))
        self.ok(device.upload("new", content))

    def test_a_copy_of_a_running_broker_is_restored_after_its_disk_was_lost(self):
        self.broker = self.start_broker()
        storage, copy = self.broker.storage.path, os.path.join(self.broker.dir, "copy")
        device, content = self.device("cam1"), os.urandom(MIB)
        self.ok(device.upload("kept", content))
        self.ok(device.init("half", size=MIB))
        self.ok(device.segment("half", 0, content[:1000]))
        self.broker.storage.wait_incoming("cam1", "half")
        shutil.copytree(storage, copy)
        self.ok(device.upload("lost", content))
        self.broker.process.send_signal(signal.SIGKILL)
        self.broker.process.wait()
        shutil.rmtree(storage)
        self.broker.remove_logs()  # the machine is another, or its memory was lost with it
        os.rename(copy, storage)
        self.broker.start()
        device = self.device("cam1")
        self.assertEqual(device.status("kept").get("state"), "complete")
        self.assertEqual([e["file_id"] for e in self.json("list")], ["half"])
        self.assertEqual(device.status("lost").get("state"), "none")
        for file in ("half", "lost"):
            self.ok(device.upload(file, content))
            self.broker.storage.check_finished(self, "cam1", file, "data.bin", content)
        self.ctl("verify")
