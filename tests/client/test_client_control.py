# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The client inside another program: callbacks, pause, throttle, messages beside files."""
import json
import os
import time
import unittest

from clientcase import ClientCase, data, sha256
from fakebroker import BYTES, CUT, HOLD, PINGREQ, SWALLOW, Later


class Control(ClientCase):
    def seconds_for(self, broker, size):
        """How long it takes until so many bytes more have come."""
        begin = broker.segments()[-1]

        def since():
            sent = broker.segments()
            return sent[sent.index(begin) + 1:]
        broker.wait(lambda: sum(len(s.payload) for s in since()) >= size, f"{size} bytes", 60)
        total = 0
        for segment in since():
            total += len(segment.payload)
            if total >= size:
                return segment.time - begin.time
        return None

    def test_starts_no_thread(self):
        broker = self.broker()
        driver = self.driver(broker, "segment=10000", "rate=50000")
        driver.tell(f"add {self.file(100000)}")
        broker.wait(broker.segments, "a segment")
        self.assertEqual(os.listdir(f"/proc/{driver.process.pid}/task"),
                         [str(driver.process.pid)])

    def test_reports_each_file_by_itself_with_code_and_description(self):
        def script(_conn, packet):
            from fakebroker import Answer
            refused = packet.command == "init" and b'"bad"' in packet.payload
            return Answer("name_refused", 0x83) if refused else None
        broker = self.broker(script)
        driver = self.driver(broker)
        for name in ("good", "bad", "better"):
            driver.tell(f"add {self.file(50000, name)}")
        driver.tell("add /nonexistent")
        found = {e["number"]: e for e in (driver.event("finished") for _ in range(4))}
        self.assertEqual([found[n]["result"] for n in (1, 2, 3, 4)], [0, 5, 0, 2])
        self.assertEqual((found[2]["code"], found[1]["code"]), (0x83, 0))
        self.assertIn("name_refused", found[2]["text"])
        self.assertIn("No such file", found[4]["text"])
        self.assertEqual(found[1]["sha256"], sha256(data(50000)))

    def test_a_file_that_is_added_again_from_the_callback_is_tried_again(self):
        """Not failed with the others: that would go on for ever."""
        broker = self.broker(connack=0x86)
        driver = self.driver(broker, "again=3")
        for name in ("a", "b"):
            driver.tell(f"add {self.file(1000, name)}")
        for number in (1, 2, 3, 4, 5):
            driver.event("finished", number=number)
        self.assertGreaterEqual(len(broker.connections), 3)

    def test_one_that_is_added_when_another_runs_out_of_patience_has_its_own(self):
        broker = self.broker(lambda _conn, packet: SWALLOW if packet.command in BYTES else None)
        driver = self.driver(broker, "again=1", "patience=1")
        driver.tell(f"add {self.file(1000)}")
        driver.event("finished", number=1)
        begin = time.monotonic()
        driver.event("finished", number=2)
        self.assertGreater(time.monotonic() - begin, 0.8)

    def test_one_that_is_added_when_the_last_is_cancelled_is_sent(self):
        broker = self.broker(lambda _conn, packet: HOLD if packet.command in BYTES else None)
        driver = self.driver(broker, "segment=1000", "window=2", "again=1")
        driver.tell(f"add {self.file(50000, 'active')}")
        broker.wait(broker.segments, "a segment")
        driver.tell(f"add {self.file(10, 'queued')}")
        driver.tell("cancel 2")
        driver.event("finished", number=2)
        broker.script = None
        broker.release()
        ended = [driver.event("finished", result=0)["number"] for _ in range(2)]
        self.assertEqual(sorted(ended), [1, 3])

    def test_tells_which_segment_was_acknowledged_and_only_then(self):
        for version in (4, 5):
            with self.subTest(version):
                broker = self.broker(
                    lambda c, p: HOLD if p.command == "segment" and p.offset == 2000 else None)
                driver = self.driver(broker, "segment=1000", "window=2", f"version={version}")
                driver.tell(f"add {self.file(5000)}")
                seen = [driver.event("segment")["offset"] for _ in range(4)]
                self.assertEqual(seen, [0, 1000, 3000, 4000])
                self.assertEqual(driver.events("finished"), [])
                broker.release()
                self.assertEqual(driver.event("segment")["offset"], 2000)
                driver.event("finished", result=0)

    def test_files_may_be_added_while_others_are_on_their_way(self):
        broker = self.broker()
        driver = self.driver(broker, "rate=100000")
        driver.tell(f"add {self.file(50000, 'a')}")
        broker.wait(broker.segments, "a segment")
        driver.tell(f"add {self.file(50000, 'b', 2)}")
        for _ in range(2):
            driver.event("finished", result=0)

    def test_a_file_added_after_all_was_given_up_is_tried(self):
        broker = self.broker()
        broker.accepting = False
        driver = self.driver(broker, "reconnect=1")
        driver.tell(f"add {self.file()}")
        driver.event("finished", result=3)
        broker.accepting = True
        driver.tell(f"add {self.file()}")
        driver.event("finished", result=0)

    def test_sends_these_files_within_t_seconds_or_says_that_it_did_not(self):
        broker = self.broker(lambda c, p: HOLD if p.command in BYTES else None)
        driver = self.driver(broker)
        driver.tell(f"add {self.file()}")
        begin = time.monotonic()
        driver.tell("run 1.5")
        driver.event("ran", result=1, unfinished=1)
        self.assertGreaterEqual(time.monotonic() - begin, 1.4)
        self.assertLess(time.monotonic() - begin, 15)
        broker.script = None
        broker.release()
        driver.tell("run 20")
        driver.event("ran", result=0, unfinished=0)

    def test_cancel_forgets_the_file_here_and_there(self):
        broker = self.broker(lambda c, p: HOLD if p.command == "segment" else None)
        driver = self.driver(broker, "segment=1000", "window=2")
        driver.tell(f"add {self.file(50000)}")
        broker.wait(broker.segments, "a segment")
        driver.tell("cancel 1")
        driver.event("finished", number=1, result=6)
        broker.wait(lambda: not broker.transfers, "abort")

    def test_pauses_and_resumes_on_the_same_connection(self):
        broker = self.broker()
        driver = self.driver(broker, "segment=1000", "rate=20000", "keepalive=5")
        driver.tell(f"add {self.file(100000)}")
        broker.wait(lambda: len(broker.segments()) > 5, "some segments")
        driver.tell("pause")
        driver.tell("publish 0 mark 1")  # what was on its way comes before it
        broker.wait(lambda: [p for p in broker.of() if p.topic == "mark"], "the mark")
        broker.wait(lambda: broker.of(kind=PINGREQ), "a ping during the pause")
        seen = [p.topic or p.kind for p in broker.seen]
        self.assertEqual(seen[seen.index("mark") + 1:], [PINGREQ])
        segment, ping = broker.segments()[-1], broker.of(kind=PINGREQ)[-1]
        self.assertGreater(ping.time - segment.time, 2)
        driver.tell("resume")
        driver.tell("rate 0")
        driver.event("finished", result=0)
        self.assertEqual(len(broker.connections), 1)
        self.holds(broker, data(100000))

    def test_a_pause_is_longer_than_patience(self):
        broker = self.broker()
        driver = self.driver(broker, "patience=1", "rate=20000")
        driver.tell(f"add {self.file(50000)}")
        broker.wait(broker.segments, "a segment")
        driver.tell("pause")
        time.sleep(2.5)
        driver.tell("resume")
        driver.tell("rate 0")
        driver.event("finished", result=0)

    def test_the_rate_is_kept_and_can_be_changed_meanwhile(self):
        broker = self.broker()
        driver = self.driver(broker, "rate=100000")
        driver.tell(f"add {self.file(3000000)}")
        broker.wait(broker.segments, "a segment")
        slow = self.seconds_for(broker, 200000)
        driver.tell("rate 400000")
        fast = self.seconds_for(broker, 1600000)
        self.assertGreater(slow, 1.6)
        self.assertGreater(fast, 3.2)
        self.assertLess(fast, 13, "at the old rate it would have been 16")
        driver.tell("rate 0")
        driver.event("finished", result=0)

    def test_other_messages_go_at_once_while_files_are_paused_or_throttled(self):
        broker = self.broker()
        driver = self.driver(broker, "rate=20", "segment=1000")
        driver.tell(f"add {self.file(100000)}")
        broker.wait(broker.segments, "a segment")
        for line in ("rate 20", "pause"):  # the next segment is due in 50 s
            driver.tell(line)
            begin = time.monotonic()
            driver.tell(f"publish 1 telemetry/{line[:4]} 42")
            driver.event("published", acknowledged=True)
            self.assertLess(time.monotonic() - begin, 10)

    def test_other_messages_go_before_all_segments_that_wait(self):
        """The window is full and nothing is acknowledged; the message still gets through."""
        broker = self.broker(lambda c, p: HOLD if p.command == "segment" else None, receive_max=5)
        driver = self.driver(broker, "segment=1000", "window=20")
        driver.tell(f"add {self.file(100000)}")
        broker.wait(lambda: len(broker.segments()) == 4, "a full window")
        driver.tell("publish 1 telemetry 42")
        driver.event("published", acknowledged=True)
        self.assertEqual(broker.of()[-1].topic, "telemetry")

    def test_other_messages_wait_for_one_segment_at_most_on_a_slow_link(self):
        broker = self.broker()
        broker.read_rate = 300000
        driver = self.driver(broker, "segment=16384", "window=20")
        driver.tell(f"add {self.file(2000000)}")
        broker.wait(lambda: len(broker.segments()) > 5, "some segments")
        driver.tell("publish 0 telemetry 42")
        broker.wait(lambda: [p for p in broker.of() if p.topic == "telemetry"], "the message")
        before = [p.topic for p in broker.of()].index("telemetry")
        driver.event("publishing", ok=True)
        told = [json.loads(line)["event"] for line in driver.out]
        acknowledged = told[:told.index("publishing")].count("segment")
        sent = len([p for p in broker.of()[:before] if p.command == "segment"])
        self.assertLessEqual(sent - acknowledged, 20 + 1, "a window that was on its way, and one")

    def test_a_message_that_the_link_took_with_it_is_told(self):
        broker = self.broker(lambda c, p: CUT if p.topic == "telemetry" else None)
        driver = self.driver(broker, "reconnect=2")
        driver.event("note", note=0)
        driver.tell("publish 1 telemetry 42")
        driver.event("published", acknowledged=False)
        driver.event("note", note=0)

    def test_publishing_without_a_connection_is_refused(self):
        broker = self.broker()
        broker.accepting = False
        driver = self.driver(broker, "reconnect=2")
        driver.tell("publish 1 telemetry 42")
        driver.event("publishing", ok=False)

    def test_other_subscriptions_of_the_same_client_work(self):
        broker = self.broker()
        driver = self.driver(broker)
        driver.event("note", note=0)
        driver.tell("subscribe commands/#")
        broker.wait(lambda: "commands/#" in broker.live()[0].subscriptions, "the subscription")
        broker.live()[0].publish("commands/reboot", b"now")
        driver.event("message", topic="commands/reboot", text="now")

    def test_an_idle_client_does_not_spin(self):
        broker = self.broker(lambda c, p: SWALLOW if p.command == "segment" else None)
        driver = self.driver(broker, "segment=1000", "window=2")
        driver.tell(f"add {self.file(50000)}")
        broker.wait(lambda: len(broker.segments()) == 2, "a full window")
        before = self.cpu_ticks(driver)
        time.sleep(2)
        self.assertLess(self.cpu_ticks(driver) - before, 10)

    @staticmethod
    def cpu_ticks(driver):
        with open(f"/proc/{driver.process.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    def test_many_small_files_share_round_trips(self):
        """Each answer takes 50 ms; one after the other, 200 files would take 30 s."""
        broker = self.broker(lambda c, p: Later(0.05) if p.command else None)
        driver = self.driver(broker)
        for index in range(200):
            driver.tell(f"add {self.file(100, f'f{index}', index)}")
        begin = time.monotonic()
        for _ in range(200):
            driver.event("finished", result=0)
        self.assertLess(time.monotonic() - begin, 20)
        self.assertEqual(len(broker.connections), 1)


if __name__ == "__main__":
    unittest.main()
