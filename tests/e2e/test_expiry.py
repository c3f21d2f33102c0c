# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Unfinished transfers without news are forgotten; others are not."""
import time

from harness import Case, Clock, compiled

FAST = {"segments_ttl": "2s", "segments_ttl_min": "1s", "segments_ttl_max": "1h",
        "gc_interval": "1s"}


class Expiry(Case):
    """segments_ttl and its limits."""

    shared = False
    options = FAST

    def setUp(self):
        super().setUp()
        self.broker = self.start_broker()

    def gone(self, client, file):
        self.broker.storage.wait_gone(client, file, 15)

    def begun(self, client="dev", file="f", **meta):
        device = self.device(client)
        self.ok(device.init(file, **meta))
        self.ok(device.segment(file, 0, b"some bytes"))
        self.broker.storage.wait_incoming(client, file)
        return device

    def test_a_transfer_without_news_is_gone_and_can_be_begun_anew(self):
        device = self.begun()
        self.gone("dev", "f")
        self.answered(device.segment("f", 0, b"x"), "no_such_transfer")
        self.answered(device.fin("f", 1), "no_such_transfer")
        self.ok(device.status("f"), state="none")
        self.ok(device.upload("f", b"anew"))

    def test_what_the_client_asks_for_is_honoured(self):
        device = self.begun(segments_ttl=3600)
        self.begun("other", "g")
        self.gone("other", "g")
        self.broker.storage.wait_incoming("dev", "f")
        self.ok(device.fin("f", 10))

    def test_a_later_init_changes_it(self):
        device = self.begun(segments_ttl=3600)
        self.ok(device.init("f", segments_ttl=1))
        self.gone("dev", "f")

    def test_a_transfer_not_touched_since_a_restart_expires(self):
        self.begun()
        self.broker.kill9()
        self.broker.start()
        self.gone("dev", "f")
        self.answered(self.device("dev").segment("f", 0, b"x"), "no_such_transfer")

    def test_what_expired_while_the_broker_was_down_is_gone_soon(self):
        self.begun()
        self.broker.stop()
        time.sleep(2.5)  # nobody is there who could tell that the time is over
        self.broker.start()
        self.gone("dev", "f")

    def test_a_restart_is_no_news(self):
        """A broker that is restarted all the time forgets, too: after segments_ttl_min more."""
        self.broker.stop()
        self.broker.options["segments_ttl"] = "6s"
        self.broker.start()
        self.begun()
        for _ in range(10):
            self.broker.kill9()
            self.broker.start()
            self.client().idle(3)
            if not self.broker.storage.is_incoming("dev", "f"):
                return
        self.fail("10 restarts have kept it alive")

    def test_finished_files_stay(self):
        device = self.begun("keeper", "f")
        self.ok(device.fin("f", 10))
        self.begun("other", "g")
        self.gone("other", "g")
        self.broker.storage.check_finished(self, "keeper", "f", "data.bin", b"some bytes")
        self.ok(device.status("f"), state="complete")

    def test_room_for_transfers_is_given_back(self):
        self.broker.stop()
        self.broker.options["max_transfers"] = "1"
        self.broker.start()
        device = self.begun()
        self.answered(device.init("g"), "too_many_transfers")
        self.gone("dev", "f")
        self.ok(device.init("g"))


class News(Case):
    """With a clock of the test's own, so that a machine that stands still changes nothing."""

    shared = False

    def test_a_transfer_with_news_stays(self):
        broker = self.start_broker({"segments_ttl": "100s", "gc_interval": "1s"}, start=False,
                                   preload=compiled(*Clock.PRELOAD))
        clock = Clock(broker)
        broker.start()
        device = self.device("dev", broker=broker)
        for file in ("f", "silent"):
            self.ok(device.init(file))
            broker.storage.wait_incoming("dev", file)
        for number in range(5):
            clock.forward(60)
            self.ok(device.segment("f", number * 4, b"news"))
        broker.storage.wait_gone("dev", "silent", 15)
        self.ok(device.fin("f", 20))


class Clamped(Case):
    """The operator's limits win over what clients ask."""

    shared = False

    def test_a_client_cannot_ask_for_more_than_the_maximum(self):
        self.broker = self.start_broker({**FAST, "segments_ttl": "1s", "segments_ttl_max": "2s"})
        device = self.device("dev")
        self.ok(device.init("f", segments_ttl=100_000))
        self.broker.storage.wait_incoming("dev", "f")
        self.broker.storage.wait_gone("dev", "f", 15)

    def test_a_client_cannot_ask_for_less_than_the_minimum(self):
        self.broker = self.start_broker({**FAST, "segments_ttl_min": "1h"})
        device = self.device("dev")
        self.ok(device.init("f", segments_ttl=1))
        device.idle(4)
        self.ok(device.status("f"), state="receiving")
