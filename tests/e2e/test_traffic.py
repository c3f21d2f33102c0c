# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Other clients' messages arrive, all of them and once, while uploads run.

Not always in order: a broker 2.0 lets new messages overtake queued ones of a slow subscriber.
"""
import collections
import itertools
import os
import threading

from device import pieces
from harness import Case, rows, spread
from ondisk import sha256
from rawmqtt import SCALE


class Listener(threading.Thread):
    """Takes messages as they come, so that the broker never has to queue many."""

    def __init__(self, client, topic):
        super().__init__(daemon=True)
        self.client = client
        self.client.subscribe(topic, qos=2)
        self.expected, self.error = None, None
        self.heard, self.counted, self.news = collections.Counter(), 0, threading.Condition()

    def run(self):
        try:
            while self.expected is None or len(self.client.messages) < self.expected:
                self.client.pump(0.05)
                self.count()
                if self.client.closed:
                    raise AssertionError(f"the listener lost its connection: {self.client.closed}")
        except (AssertionError, OSError) as error:
            self.error = error

    def count(self):
        fresh = len(self.client.messages) - self.counted
        if fresh:
            with self.news:
                for index in range(-fresh, 0):
                    self.heard[self.client.messages[index].topic] += 1
                self.counted += fresh
                self.news.notify_all()

    def wait_until_heard(self, topic, number):
        with self.news:
            if not self.news.wait_for(lambda: self.heard[topic] >= number, 20 * SCALE):
                raise AssertionError(f"{topic}: {self.heard[topic]} heard, not {number}")

    def finish(self, expected):
        self.expected = expected
        self.join(30 * SCALE)
        return self.client.messages


class Telemetry(threading.Thread):
    """Publishes numbers until told to stop; each client has its own thread."""

    AHEAD = 200  # of what was heard; a broker drops what a slow subscriber lets pile up

    def __init__(self, client, topic, qos, listener):
        super().__init__(daemon=True)
        self.publisher, self.listener = client, listener
        self.topic, self.qos = topic, qos
        self.ended, self.sent, self.error = threading.Event(), 0, None

    def run(self):
        try:
            while not self.ended.is_set():
                self.publisher.acked(self.publisher.publish(self.topic, b"%d" % self.sent, self.qos))
                if self.qos == 0:
                    self.publisher.ping()
                self.sent += 1
                self.listener.wait_until_heard(self.topic, self.sent - self.AHEAD)
        except (AssertionError, OSError) as error:
            self.error = error


@spread
class Others(Case):
    """Three publishers, one subscriber, two uploaders."""

    # A subscriber that a busy machine makes slow is no reason for the broker to drop messages.
    config = ["max_queued_messages 0"]

    @rows(("v3", 4), ("v5", 5))
    def test_telemetry_arrives_while_uploads_run(self, version):
        listener = Listener(self.client(version=version), "telemetry/#")
        listener.start()
        talkers = [Telemetry(self.client(version=version), f"telemetry/{version}/{qos}", qos, listener)
                   for qos in (0, 1, 2)]
        for talker in talkers:
            talker.start()
        content = os.urandom(24 << 20)
        devices = [self.device(version=v) for v in (4, 5)]
        files = 0
        while files == 0 or files < 50 and min(talker.sent for talker in talkers) <= 20:
            for device in devices:
                self.ok(device.upload(f"f{files}", content, checksum=sha256(content)))
            files += 1
        for talker in talkers:
            talker.ended.set()
        for talker in talkers:
            talker.join(30)
            self.assertIsNone(talker.error)
            self.assertGreater(talker.sent, 20)
        total = sum(t.sent for t in talkers)
        messages = listener.finish(total)
        self.assertIsNone(listener.error)
        self.assertEqual(len(messages), total)
        for talker in talkers:
            heard = [int(m.payload) for m in messages if m.topic == talker.topic]
            self.assertEqual(sorted(heard), list(range(talker.sent)))
        for device, number in itertools.product(devices, range(files)):
            self.broker.storage.check_finished(self, device.client_id, f"f{number}", "data.bin",
                                               sha256(content))

    def test_a_client_can_do_both(self):
        device = self.device()
        device.subscribe("own/#")
        self.ok(device.init("f"))
        content = os.urandom(100_000)
        for number, (offset, data) in enumerate(pieces(content, 1000)):
            device.publish("own/topic", b"%d" % number)
            device.publish(f"$file/f/{offset}", data)
        heard = [int(device.message("own/topic").payload) for _ in range(100)]
        self.assertEqual(heard, list(range(100)))
        device.ping()
        self.ok(device.fin("f", len(content), sha256(content)))

    def test_a_retained_message_and_a_will_of_others_work(self):
        watcher = self.client()
        watcher.subscribe("state/#")
        self.client(will=("state/gone", b"1", 1, True)).drop()
        self.assertEqual(watcher.message("state/gone").payload, b"1")
        late = self.client()
        late.subscribe("state/#")
        self.assertTrue(late.message("state/gone").retain)
