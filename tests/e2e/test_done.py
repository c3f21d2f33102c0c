# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""done/: consumers are told of each finished file, whatever is killed, and take turns."""
import json
import os
import random
import re
import shutil
import subprocess
import unittest

from harness import ROOT, Case
from ondisk import eventually, sha256

FILES = int(os.environ.get("FT_DONE_FILES", "400"))


class Done(Case):
    """One small file per finished upload."""

    shared = False
    options = {"done": "on", "gc_interval": "1s"}

    def setUp(self):
        super().setUp()
        self.broker = self.start_broker()
        self.done = os.path.join(self.broker.storage.path, "done")

    def notices(self):
        return sorted(name for name in os.listdir(self.done) if name.endswith(".json"))

    def notice(self, title):
        with open(os.path.join(self.done, title), encoding="utf-8") as text:
            return json.load(text)

    def test_a_finished_file_is_told_of_with_its_manifest_and_its_path(self):
        device = self.device("cam/1")
        self.ok(device.upload("f:1", b"some bytes" * 100_000, name="ä \"x\".bin", user_data=[1]))
        title, = eventually(self.notices, "a notice")
        told = self.notice(title)
        path = os.path.join(self.broker.storage.path, told.pop("path"))
        with open(path, "rb") as file:
            self.assertEqual(sha256(file.read()), told["sha256"])
        with open(path + ".manifest.json", encoding="utf-8") as text:
            self.assertEqual(json.load(text), told)
        self.assertRegex(title, r"^\d{8}T\d{6}\.\d{3}Z-" + re.escape(told["transfer_id"]) + r"\.json$")

    def test_a_failed_upload_is_not_told_of(self):
        device = self.device("dev")
        self.ok(device.init("f"))
        self.ok(device.segment("f", 0, b"some bytes"))
        self.answered(device.fin("f", 10, "1" * 64), "file_checksum_mismatch", ack=0)
        self.ok(device.upload("g", b"other bytes"))
        title, = eventually(self.notices, "a notice")
        self.assertEqual(self.notice(title)["file_id"], "g")

    def test_a_removed_directory_is_made_again(self):
        os.rmdir(self.done)
        self.ok(self.device("dev").upload("f", b"some bytes"))
        eventually(lambda: os.path.isdir(self.done) and self.notices(), "a notice")

    def test_what_cannot_be_told_now_is_told_later(self):
        os.rmdir(self.done)
        with open(self.done, "w", encoding="ascii"):  # in the way
            pass
        device = self.device("dev")
        self.ok(device.upload("f", b"some bytes"))
        eventually(lambda: "place a notice" in self.broker.log() or "directory done" in
                   self.broker.log(), "a line about it")
        os.unlink(self.done)
        eventually(lambda: os.path.isdir(self.done) and self.notices(), "a notice")


class Consumers(Case):
    """The examples, with kills of broker and consumers in between."""

    shared = False

    def setUp(self):
        super().setUp()
        self.broker = self.start_broker({"done": "on", "gc_interval": "1s",
                                         "max_transfers_per_client": "10000"})
        self.handled = os.path.join(self.broker.dir, "handled")
        self.consumers = []
        self.addCleanup(lambda: [consumer.kill() or consumer.wait() for consumer in self.consumers])

    def start_consumer(self, number, script):
        self.consumers[number:number + 1] = [subprocess.Popen(
            [os.path.join(ROOT, script), self.broker.storage.path, f"consumer-{number}", "sh", "-c",
             f'sum=$(sha256sum <"$1") && echo "${{sum%% *}}" >>{self.handled}', "sh"])]

    def put_some(self, contents):
        """Puts that are acknowledged, though the broker dies right behind."""
        device = self.device(self.new_id(), connect=False)
        device.connect()
        mids = [device.publish(device.topic(f"f{number}", "put", f"{number}.bin"), content)
                for number, content in enumerate(contents)]
        for mid in mids:
            self.assertEqual(device.acked(mid), 0)
        device.close()

    def seen(self):
        if not os.path.exists(self.handled):
            return []
        with open(self.handled, encoding="ascii") as lines:
            return lines.read().split()

    def run_with_kills(self, *scripts):
        dice = random.Random(1)
        contents = [b"file %d" % number for number in range(FILES)]
        for number, script in enumerate(scripts):
            self.start_consumer(number, script)
        for start in range(0, FILES, FILES // 8):
            self.put_some(contents[start:start + FILES // 8])
            self.broker.kill9()
            victim = dice.randrange(len(scripts))
            self.consumers[victim].kill()
            self.consumers[victim].wait()
            self.broker.start()
            self.start_consumer(victim, scripts[victim])
        wanted = {sha256(content) for content in contents}
        eventually(lambda: wanted <= set(self.seen()), "all files to be handled", 60 + FILES // 20)
        self.assertEqual(set(self.seen()), wanted, "no other content was ever seen")
        eventually(lambda: not self.broker.storage.finished_files(), "what was handled to be removed")
        twice = len(self.seen()) - len(wanted)
        self.assertLessEqual(twice, 16 * len(scripts), "only what was at work at a kill comes twice")

    def test_python_consumers_handle_every_file(self):
        self.run_with_kills("examples/consumer.py", "examples/consumer.py")

    @unittest.skipUnless(shutil.which("jq"), "jq is not installed")
    def test_shell_and_python_consumers_take_turns(self):
        self.run_with_kills("examples/consumer.sh", "examples/consumer.py")
