# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""A broker that has done much is no larger than one that has done half of it."""
import os

from harness import INSTRUMENTED, Case, is_slow_link
from ondisk import eventually


class Growth(Case):
    """Memory and descriptors of the broker process."""

    shared = False
    options = {"durability": "none"}
    COUNT = 300 if INSTRUMENTED or is_slow_link() else 2000

    def measure(self, broker, work):
        """Does the work in two halves; returns (rss growth, descriptors before, after)."""
        for number in range(self.COUNT // 2):
            work(number)
        rss, descriptors = broker.rss(), broker.descriptors()
        for number in range(self.COUNT // 2, self.COUNT):
            work(number)
        return broker.rss() - rss, descriptors, broker.descriptors()

    def check_flat(self, broker, work, allowed):
        growth, before, after = self.measure(broker, work)
        print(f"growth {growth} bytes, descriptors {before} -> {after}", flush=True)
        self.assertLessEqual(after, before + 2)
        if not INSTRUMENTED:
            self.assertLess(growth, allowed)

    def test_finished_transfers_cost_nothing(self):
        broker = self.start_broker()
        device = self.device("dev", broker=broker, version=5)
        content = os.urandom(3000)

        def one(number):
            device.messages.clear()
            self.ok(device.init(f"f{number}", size=3000))
            tickets = [device.send(f"$file/f{number}/{at}", content[at:at + 1000])
                       for at in (0, 1000, 2000)]
            for ticket in tickets:
                self.ok(device.answer(ticket))
            self.ok(device.fin(f"f{number}", 3000))
        self.check_flat(broker, one, 1 << 20)
        self.assertEqual(len(broker.storage.finished_files()), self.COUNT)

    def test_aborted_transfers_cost_nothing(self):
        broker = self.start_broker()
        device = self.device("dev", broker=broker, version=4)

        def one(number):
            device.messages.clear()
            for ticket in [device.send(f"$file/f{number}/init", b'{"name":"a"}'),
                           device.send(f"$file/f{number}/5", b"some bytes"),
                           device.send(f"$file/f{number}/abort")]:
                self.ok(device.answer(ticket))
        self.check_flat(broker, one, 1 << 20)
        eventually(lambda: not [p for p in broker.storage.entries() if p.startswith(b"incoming/dev/")],
                   "aborted bytes to be removed")

    def test_refused_commands_cost_nothing(self):
        broker = self.start_broker()
        device = self.device("dev", broker=broker, version=5)
        bad = ("$file//init", "$file/f", "$file/f/x", "$file/f/0/zz", "$file/f/fin/x", "$file/f/0",
               "$file/f/init", "$file/f/status")

        def one(_):
            for ticket in [device.send(topic, b"not json") for topic in bad]:
                device.answer(ticket)
        self.check_flat(broker, one, 256 << 10)

    def test_clients_that_come_and_go_cost_nothing(self):
        broker = self.start_broker()

        def one(number):
            with self.device(f"dev{number}", 4 + number % 2, broker=broker) as device:
                self.ok(device.status("f"))
            self._clients.clear()
        self.check_flat(broker, one, 512 << 10)
        self.assertLess(broker.descriptors(), 40)
