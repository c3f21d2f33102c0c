# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""--connections: several connections share the segments of a file, one window and one rate."""
import time
import unittest

from clientcase import INT, ClientCase, data
from fakebroker import CONNECT, CUT, HOLD, Answer

SIZE = 400000
ARGS = ("--segment-size", "10000", "--window", "8", "--connections", "4")


class Connections(ClientCase):
    @staticmethod
    def by(broker):
        """How many segments came over each connection."""
        counts = {}
        for segment in broker.segments():
            counts[segment.conn] = counts.get(segment.conn, 0) + 1
        return counts

    def stretched(self, delay=0.002):
        """A broker that takes its time, so that no connection can do it all alone."""
        def script(_conn, packet):
            if packet.command == "segment":
                time.sleep(delay)
        return self.broker(script)

    def test_all_of_them_send_segments_and_each_byte_once(self):
        for version in ("5", "311"):
            with self.subTest(version):
                broker = self.stretched()
                self.put_ok(broker, *ARGS, "-V", version, self.file(SIZE))
                self.holds(broker, data(SIZE))
                self.assertEqual(sorted(conn.client_id for conn in broker.connections),
                                 ["dev", "dev-2", "dev-3", "dev-4"])
                self.assertEqual(len(self.by(broker)), 4, self.by(broker))
                self.assertEqual(sum(len(s.payload) for s in broker.segments()), SIZE)

    def test_all_bring_the_user_name(self):
        broker = self.broker()
        self.put_ok(broker, *ARGS, "-u", "me", "-P", "secret", "--rate", "400k", self.file(SIZE))
        self.assertEqual([(c.connect["user"], c.connect["password"]) for c in broker.connections],
                         [("me", "secret")] * 4)

    def test_only_one_asks(self):
        broker = self.stretched()
        self.put_ok(broker, *ARGS, self.file(SIZE))
        self.assertEqual([len(broker.of(command)) for command in ("init", "fin")], [1, 1])

    def test_the_window_is_one_for_all(self):
        broker = self.broker(lambda _conn, packet: HOLD if packet.command == "segment" else None)
        self.put(broker, *ARGS, self.file(SIZE))
        broker.wait(lambda: len(broker.segments()) >= 8, "a full window")
        time.sleep(0.5)         # for more, which must not come
        self.assertEqual(len(broker.segments()), 8)

    def test_each_keeps_the_receive_maximum_of_the_broker(self):
        broker = self.broker(lambda _conn, packet: HOLD if packet.command == "segment" else None,
                             receive_max=3)
        self.put(broker, *ARGS[:2], "--window", "20", "--connections", "4", self.file(SIZE))
        broker.wait(lambda: len(broker.segments()) >= 8, "two on each of four")
        time.sleep(0.5)
        self.assertEqual(self.by(broker), {0: 2, 1: 2, 2: 2, 3: 2})

    def test_the_rate_is_one_for_all(self):
        broker = self.broker()
        began = time.monotonic()
        self.put_ok(broker, *ARGS, "--rate", "200000", self.file(SIZE))
        self.assertGreater(time.monotonic() - began, 1.6)

    def breaking(self, number):
        """A broker that cuts this connection in the middle of the file."""
        def script(conn, packet):
            if packet.command == "segment" and conn.number == number and packet.offset > 50000:
                return CUT
            time.sleep(0.002)
            return None
        return self.broker(script)

    def test_what_one_that_breaks_had_on_its_way_goes_over_the_others(self):
        broker = self.breaking(2)
        program = self.put_ok(broker, *ARGS, self.file(SIZE))
        self.holds(broker, data(SIZE))
        self.assertEqual(len(broker.of("init")), 1, "the others need not ask")
        self.assertNotIn("trying again", "\n".join(program.out))

    def test_where_the_first_breaks_another_one_asks(self):
        broker = self.breaking(0)
        self.put_ok(broker, *ARGS, self.file(SIZE))
        self.holds(broker, data(SIZE))
        self.assertGreater(len(broker.of("init")), 1)
        self.assertLessEqual(sum(len(s.payload) for s in broker.segments()), SIZE + 8 * 10000)

    def test_where_all_break_it_goes_on(self):
        state = {"count": 0}

        def script(_conn, packet):
            if packet.command == "segment":
                state["count"] += 1
                if state["count"] % 12 == 0:
                    for conn in broker.live():
                        conn.cut()
                    return CUT
            return None
        broker = self.broker(script)
        program = self.put(broker, *ARGS, self.file(SIZE))
        self.assertEqual(program.wait(90), 0, program.err)
        self.holds(broker, data(SIZE))

    def test_one_that_hangs_is_not_waited_for_by_the_others(self):
        def script(conn, packet):
            return HOLD if packet.command == "segment" and conn.number == 1 else None
        broker = self.broker(script)
        self.put(broker, *ARGS, self.file(4 * SIZE))
        broker.wait(lambda: len({s.offset for s in broker.segments()}) == 4 * SIZE // 10000,
                    "all segments", 20)
        self.assertLess(self.by(broker)[1], 5)

    def test_a_broker_that_keeps_clients_apart_gets_all_from_one(self):
        for version in ("5", "311"):
            with self.subTest(version):
                broker = self.broker(apart=True)
                size = 20 * SIZE  # so that the others come in time to be told
                program = self.put_ok(broker, *ARGS, "-V", version, self.file(size))
                self.holds(broker, data(size))
                self.assertEqual(list(broker.transfers)[0].split("/")[0], "dev")
                self.assertIn("owner username", "\n".join(program.out))

    def test_connections_that_are_refused_are_missed_and_no_more(self):
        refused = {"ids": []}

        def script(conn, packet):
            if packet.kind == CONNECT and len(broker.connections) > 2:
                refused["ids"].append(conn.number)
                return CUT
            return None
        broker = self.broker(script)
        self.put_ok(broker, *ARGS, "--rate", "400k", self.file(SIZE))
        self.holds(broker, data(SIZE))
        self.assertTrue(refused["ids"])

    def test_a_wrong_password_is_tried_once(self):
        broker = self.broker(connack=0x86)
        program = self.put(broker, *ARGS, "-u", "me", "-P", "wrong", self.file())
        self.assertEqual(program.wait(), 4)
        self.assertEqual(len(broker.connections), 1)

    def test_a_pause_holds_back_all(self):
        state = {"busy": True}

        def script(_conn, packet):
            if packet.command == "segment" and state["busy"] and packet.offset == 100000:
                state["busy"] = False
                return Answer("busy", 0x97, None, {"retry_after": 2})
            return None
        broker = self.broker(script)
        self.put_ok(broker, *ARGS, self.file(SIZE))
        times = [s.time for s in broker.segments()]
        self.assertGreater(max(b - a for a, b in zip(times, times[1:])), 1.5)
        self.holds(broker, data(SIZE))

    def test_stopped_and_continued_with_another_number(self):
        broker = self.broker(lambda _conn, packet: HOLD if packet.command == "segment" and
                             packet.offset >= 100000 else None)
        path = self.file(SIZE)
        program = self.put(broker, *ARGS, path)
        broker.wait(lambda: len(broker.segments()) >= 18, "segments")
        program.signal(INT)
        self.assertEqual(program.wait(), 8)
        broker.script = None
        self.put_ok(broker, *ARGS[:4], path)
        self.holds(broker, data(SIZE))
        self.assertLessEqual(sum(len(s.payload) for s in broker.segments()), SIZE + 8 * 10000)


if __name__ == "__main__":
    unittest.main()
