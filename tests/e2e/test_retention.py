# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Finished files go when their time has come: by their client's word, or the operator's."""
import os
import sqlite3
import time

from harness import Case
from ondisk import eventually

PAST, FUTURE = 1_000_000_000, 4_000_000_000
DAY_MS = 86_400_000


class Retention(Case):
    """expire_at and files_ttl."""

    shared = False
    options = {"gc_interval": "1s"}

    def is_there(self, client, file, name="data.bin"):
        return os.path.exists(self.broker.storage.finished(client, file, name))

    def wait_removed(self, client, file):
        eventually(lambda: not os.path.exists(self.broker.storage.transfer_dir("files", client, file)),
                   f"{file} to be removed")

    def test_a_file_goes_when_its_client_said_so(self):
        self.broker = self.start_broker()
        device = self.device("dev")
        soon = int(time.time()) + 3
        self.ok(device.upload("kept", b"some bytes", expire_at=FUTURE))
        self.ok(device.upload("plain", b"some bytes"))
        self.ok(device.upload("soon", b"some bytes", expire_at=soon))
        self.assertTrue(self.is_there("dev", "soon"))
        self.wait_removed("dev", "soon")
        self.assertGreaterEqual(time.time(), soon)
        # Until the broker's thread has heard of it, whoever asks is told to come back.
        eventually(lambda: device.upload("soon", b"other bytes", name="other.bin").word == "success",
                   "the id to be free")
        self.assertTrue(self.is_there("dev", "kept") and self.is_there("dev", "plain"))
        self.ok(device.status("kept"), state="complete")

    def test_files_ttl_is_for_the_rest(self):
        self.broker = self.start_broker({"files_ttl": "2s"})
        device = self.device("dev")
        self.ok(device.upload("kept", b"some bytes", expire_at=FUTURE))
        self.ok(device.upload("plain", b"some bytes"))
        self.wait_removed("dev", "plain")
        self.assertTrue(self.is_there("dev", "kept"))

    def test_it_goes_on_behind_a_kill(self):
        self.broker = self.start_broker({"gc_interval": "1h"})
        device = self.device("dev")
        for number in range(150):
            self.ok(device.upload(f"f{number}", b"some bytes", expire_at=PAST))
        self.broker.kill9()
        self.broker.options["gc_interval"] = "1s"
        for _ in range(3):
            self.broker.start()
            self.broker.kill9()
        self.broker.start()
        eventually(lambda: not self.broker.storage.catalog("SELECT 1 FROM finished"), "all rows to go")
        self.assertEqual(self.broker.storage.finished_files(), [])

    def test_a_wrong_clock_removes_nothing(self):
        self.broker = self.start_broker({"gc_interval": "1h"})
        self.ok(self.device("dev").upload("f", b"some bytes", expire_at=PAST))
        self.broker.kill9()
        with sqlite3.connect(os.path.join(self.broker.storage.path, "catalog.db")) as catalog:
            catalog.execute("UPDATE reckoning SET time_ms = time_ms - ?", (30 * DAY_MS,))
        catalog.close()
        self.broker.options["gc_interval"] = "1s"
        self.broker.start()
        eventually(lambda: "no finished file expires" in self.broker.log(), "a line about the clock")
        self.client().idle(3)
        self.assertTrue(self.is_there("dev", "f"))
