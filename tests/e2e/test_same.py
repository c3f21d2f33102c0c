# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""deduplicate: what its owner has finished already need not be sent again."""
import json
import os

from device import pieces
from harness import Case
from ondisk import sha256

CONTENT = bytes(range(256)) * 8192
CHECKSUM = sha256(CONTENT)


class Same(Case):
    """One file under two ids."""

    shared = False

    def setUp(self):
        super().setUp()
        self.broker = self.start_broker({"deduplicate": "on"})
        self.device_ = self.device("dev")
        self.ok(self.device_.upload("f", CONTENT))

    def init(self, file, device=None):
        return (device or self.device_).init(file, size=len(CONTENT), checksum=CHECKSUM)

    def send_all(self, file):
        for _ in self.device_.pipeline(file, pieces(CONTENT, 65536)):
            pass
        self.device_.ping()
        self.device_.forget_responses()
        self.ok(self.device_.fin(file, len(CONTENT)))
        self.broker.storage.check_finished(self, "dev", file, "data.bin", CONTENT)

    def test_nothing_has_to_be_sent(self):
        self.ok(self.init("g"), state="complete", received=len(CONTENT))
        self.broker.storage.check_finished(self, "dev", "g", "data.bin", CONTENT)
        self.broker.kill9()
        self.broker.start()
        again = self.device("dev")
        self.ok(again.fin("g", len(CONTENT)), state="complete")
        self.ok(self.init("h", again), state="complete")

    def test_others_send_their_own(self):
        self.ok(self.init("g", self.device("other")), state="receiving", have=[])

    def test_a_client_that_does_not_wait_sends_as_usual(self):
        device = self.device_
        meta = {"name": "data.bin", "size": len(CONTENT), "checksum": CHECKSUM}
        sent = [device.publish(device.topic("g", "init"), json.dumps(meta), 1)]
        sent += [device.publish(device.topic("g", offset), data, 1)
                 for offset, data in pieces(CONTENT, 262144)]
        for mid in sent:  # where the link was begun first, segments are told `busy`
            device.acked(mid)
        device.forget_responses()
        self.ok(device.fin("g", len(CONTENT)), state="complete")
        self.broker.storage.check_finished(self, "dev", "g", "data.bin", CONTENT)

    def test_a_file_that_was_edited_is_not_taken(self):
        path = self.broker.storage.finished("dev", "f", "data.bin")
        with open(path, "r+b") as file:
            file.write(b"edited")
        self.ok(self.init("g"), state="receiving", have=[])
        self.send_all("g")
        with open(path, "rb") as file:
            self.assertEqual(file.read(6), b"edited")

    def test_it_is_off_unless_asked_for(self):
        self.broker.stop()
        self.broker.options["deduplicate"] = "off"
        self.broker.start()
        self.ok(self.init("g", self.device("dev")), state="receiving")
        self.assertFalse(os.path.exists(self.broker.storage.transfer_dir("files", "dev", "g")))
