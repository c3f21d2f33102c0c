# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Lost links: found, told, made again, and nothing sent twice that need not be."""
import concurrent.futures
import os
import re
import statistics
import time
import unittest

from clientcase import ClientCase, data
from fakebroker import (CONNECT, BYTES, CUT, CUT_AFTER, FIRST, HOLD, PINGREQ, SUBSCRIBE, SWALLOW, Later)

SIZE = 60000
ARGS = ("--segment-size", "10000", "--window", "2")


class Cuts(ClientCase):
    def deliver(self, script, *more, size=SIZE):
        broker = self.broker(script)
        path = os.path.join(self.dir, "file.bin")
        if not os.path.exists(path):
            self.file(size)
        program = self.put_ok(broker, *ARGS, *more, path)
        self.holds(broker, data(size))
        return broker, program

    def packets_of_a_good_run(self, version):
        broker, _ = self.deliver(None, "-V", version)
        return len(broker.seen)

    def cut_at(self, index, action, version):
        """None, or what went wrong where the packet of this number meets the accident."""
        state = {"count": 0}

        def script(_conn, _packet):
            state["count"] += 1
            return action if state["count"] == index + 1 else None
        try:
            broker, _ = self.deliver(script, "-V", version, "--reconnect", "always",
                                     "--state-dir", os.path.join(self.dir, str(index)))
            sent = sum(len(s.payload) for s in broker.segments())
            self.assertLessEqual(sent, SIZE + 2 * 10000)
        except AssertionError as error:
            return f"packet {index}: {error}"
        return None

    def cut_at_each(self, action, version):
        self.file(SIZE)
        # CONNECT, SUBSCRIBE, init, six segments, fin; what comes behind may not be read yet.
        count = self.packets_of_a_good_run(version) - 1
        self.assertGreaterEqual(count, 9)
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            wrong = list(pool.map(lambda index: self.cut_at(index, action, version),
                                  range(count)))
        self.assertEqual([w for w in wrong if w], [])

    def test_a_link_cut_before_any_packet_costs_a_window_at_most(self):
        self.cut_at_each(CUT, "5")

    def test_a_link_cut_after_any_packet_costs_a_window_at_most(self):
        self.cut_at_each(CUT_AFTER, "5")

    def test_the_same_in_mqtt_311(self):
        self.cut_at_each(CUT_AFTER, "311")

    def test_sends_exactly_the_rest_whatever_mqtt_has_not_acknowledged(self):
        """Segments that were stored, but whose PUBACK was lost, are not sent again."""
        def script(conn, packet):
            if conn.number == 0 and packet.command == "segment":
                return CUT_AFTER if packet.offset == 20000 else HOLD
            return None
        broker = self.broker(script)
        self.put_ok(broker, "--segment-size", "10000", "--window", "5", self.file(SIZE))
        self.holds(broker, data(SIZE))
        stored = [s.offset for s in broker.segments(conn=0) if s.offset <= 20000]
        again = [s.offset for s in broker.segments(conn=1)]
        self.assertEqual(stored, [0, 10000, 20000])
        self.assertEqual(again, [30000, 40000, 50000])

    def test_a_swallowed_segment_is_told_and_solved_by_reconnecting(self):
        for version in ("5", "311"):
            with self.subTest(version):
                def script(conn, packet):
                    first = conn.number == 0 and packet.command == "segment"
                    return SWALLOW if first and packet.offset == 10000 else None
                broker, program = self.deliver(script, "-V", version, "--ack-timeout", "2")
                self.assertTrue(any("no acknowledgement" in line for line in program.out))
                self.assertEqual(len(broker.connections), 2)
                self.assertEqual([s.offset for s in broker.segments(conn=1)], [10000])

    def test_a_swallowed_question_is_asked_again(self):
        for command in ("init", "fin"):
            with self.subTest(command):
                def script(conn, packet, command=command):
                    lost = packet.command in (command, "status") and conn.number == 0
                    return SWALLOW if lost else None
                started = time.monotonic()
                self.deliver(script, "--ack-timeout", "2")
                self.assertLess(time.monotonic() - started, 20)

    def test_late_acknowledgements_are_no_reason_to_reconnect(self):
        broker, _ = self.deliver(lambda c, p: Later(1.0) if p.command == "segment" else None,
                                 "--ack-timeout", "3")
        self.assertEqual(len(broker.connections), 1)


class Policy(ClientCase):
    def test_by_default_a_first_connection_that_fails_ends_it_at_once(self):
        broker = self.broker()
        broker.accepting = False
        started = time.monotonic()
        program = self.put(broker, self.file())
        self.assertEqual(program.wait(), 3)
        self.assertLess(time.monotonic() - started, 15)

    def test_never_means_that_the_first_loss_ends_it(self):
        broker = self.broker(lambda c, p: CUT if p.command in BYTES else None)
        program = self.put(broker, "--reconnect", "never", self.file())
        self.assertEqual(program.wait(), 3)
        self.assertEqual(len(broker.connections), 1)

    def test_always_waits_for_a_broker_that_is_not_there_yet(self):
        broker = self.broker()
        broker.accepting = False
        program = self.put(broker, "--reconnect", "always", self.file())
        time.sleep(1.5)
        broker.accepting = True
        self.assertEqual(program.wait(), 0, program.err)

    def test_a_wrong_password_is_told_and_not_tried_again(self):
        broker = self.broker(connack=0x86)
        program = self.put(broker, "-u", "me", "-P", "wrong", self.file())
        self.assertEqual(program.wait(), 4)
        self.assertEqual(len(broker.connections), 1)

    def test_a_refused_subscription_is_told(self):
        program = self.put(self.broker(suback=0x87), self.file())
        self.assertEqual(program.wait(), 4)
        self.assertIn("$file-response/dev", program.err[-1])

    def test_a_busy_broker_is_tried_again(self):
        broker = self.broker(connack=0x89)
        program = self.put(broker, "--reconnect", "always", self.file())
        broker.wait(lambda: len(broker.connections) > 1, "a second attempt")
        broker.connack = 0
        self.assertEqual(program.wait(), 0, program.err)

    @staticmethod
    def announced(program):
        """The pauses between connections, as the client says them."""
        return [float(found) for found in
                re.findall(r"trying again in ([\d.]+) s", "\n".join(program.out))]

    def check_doubling(self, script):
        """What is announced is exact on any machine; that it is kept shows in the time it took."""
        broker = self.broker(script)
        program = self.put(broker, "--reconnect", "always", self.file())
        broker.wait(lambda: len(broker.of(kind=CONNECT)) > 4, "connections", 60)
        pauses = self.announced(program)[:4]
        for index, pause in enumerate(pauses):
            step = 0.5 * 2 ** index
            self.assertGreaterEqual(pause, step / 2 - 0.05, pauses)
            self.assertLessEqual(pause, step + 0.05, pauses)
        first, *_, last = broker.of(kind=CONNECT)[:5]
        self.assertGreater(last.time - first.time, 0.8 * sum(pauses), pauses)

    def test_backs_off_exponentially(self):
        self.check_doubling(lambda c, p: CUT if p.kind == CONNECT else None)

    def test_backs_off_as_well_where_it_is_let_in_and_then_kicked(self):
        def kick(conn, packet):
            if packet.command in FIRST:
                conn.disconnect(0x98)
                return CUT
            return None
        self.check_doubling(kick)

    def test_pauses_differ(self):
        """Clients that were cut off together must not come back together."""
        path = self.file()

        def gap(_):
            broker = self.broker(lambda c, p: CUT if p.kind == SUBSCRIBE else None)
            self.put(broker, "--reconnect", "always", path)
            broker.wait(lambda: len(broker.of(kind=CONNECT)) > 1, "two connections")
            first, second = broker.of(kind=CONNECT)[:2]
            return round(second.time - first.time, 2)
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            firsts = set(pool.map(gap, range(6)))
        self.assertGreater(len(firsts), 2, firsts)

    def test_begins_with_short_pauses_again_after_headway(self):
        def script(_conn, packet):
            return CUT_AFTER if packet.command == "segment" else None
        broker = self.broker(script)
        program = self.put(broker, *ARGS, self.file(SIZE))
        self.assertEqual(program.wait(60), 0, program.err)
        pauses = self.announced(program)
        self.assertGreater(len(pauses), 5)  # enough for growing ones to be in the majority
        self.assertLess(statistics.median(pauses), 2, pauses)


class HalfOpen(ClientCase):
    TWO_KEEPALIVES = 2 * 5 + 4.5       # the last is for a busy machine

    def lost_after(self, broker, driver, begin):
        driver.event("note", 30, note=1)
        return time.monotonic() - begin

    def test_a_silent_broker_is_found_within_two_keepalives(self):
        """Nothing to send: only the ping can tell."""
        state = {"silent": False}
        broker = self.broker(lambda c, p: SWALLOW if state["silent"] else None)
        driver = self.driver(broker, "keepalive=5")
        driver.event("note", note=0)
        state["silent"] = True
        begin = time.monotonic()
        lost = self.lost_after(broker, driver, begin)
        self.assertTrue(broker.of(kind=PINGREQ), "no ping")
        self.assertLessEqual(lost, self.TWO_KEEPALIVES)

    def test_a_silent_broker_is_found_within_two_keepalives_while_sending(self):
        state = {"silent": False}

        def script(_conn, packet):
            state["silent"] |= packet.command == "segment" and packet.offset >= 20000
            return SWALLOW if state["silent"] else None
        broker = self.broker(script)
        driver = self.driver(broker, "keepalive=5", "segment=10000", "window=3")
        driver.tell(f"add {self.file(SIZE)}")
        broker.wait(lambda: state["silent"], "silence")
        self.assertLessEqual(self.lost_after(broker, driver, time.monotonic()),
                             self.TWO_KEEPALIVES)

    def test_pings_though_messages_come_in_all_the_time(self):
        broker = self.broker()
        driver = self.driver(broker, "keepalive=5")
        driver.event("note", note=0)
        conn = broker.live()[0]
        end = time.monotonic() + 20
        while time.monotonic() < end and not broker.of(kind=PINGREQ):
            conn.publish("some/news", b"x")
            time.sleep(0.1)
        self.assertTrue(broker.of(kind=PINGREQ), "no ping in four keepalives")
        self.assertFalse(conn.closed)

    def test_an_answer_that_never_comes_to_connect_ends_the_attempt(self):
        program = self.put(self.broker(lambda c, p: SWALLOW), self.file())
        self.assertEqual(program.wait(40), 3)
        self.assertIn("no answer", program.err[-1])


if __name__ == "__main__":
    unittest.main()
