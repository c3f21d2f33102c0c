# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The client id that ft-put makes up, and two ft-put at the same time."""
import getpass
import glob
import os
import socket
import unittest

from clientcase import FT_PUT, INT, ClientCase, data
from fakebroker import BYTES, HOLD

ARGS = ("--segment-size", "10000", "--window", "2")


class Identity(ClientCase):
    def begin(self, broker, *arguments, **settings):
        """ft-put without an id of its own."""
        return self.start([FT_PUT, "-h", "127.0.0.1", "-p", str(broker.port),
                           *map(str, arguments)], **settings)

    def begin_ok(self, broker, *arguments, **settings):
        program = self.begin(broker, *arguments, **settings)
        self.assertEqual(program.wait(), 0, program.err)
        return program

    @staticmethod
    def hold(_conn, packet):
        return HOLD if packet.command in BYTES else None

    def test_it_is_made_of_host_and_user_whatever_is_sent(self):
        broker = self.broker()
        self.begin_ok(broker, self.file(10, "one"))
        self.begin_ok(broker, self.file(10, "one"), self.file(10, "two"))
        self.assertEqual({conn.client_id for conn in broker.connections},
                         {f"ft-put-{socket.gethostname()}-{getpass.getuser()}"})

    def test_one_file_more_resumes_and_sends_nothing_twice(self):
        broker = self.broker()
        files = [self.file(30000, f"{name}.jpg", index) for index, name in enumerate("bcd")]
        self.begin_ok(broker, *ARGS, *files)
        sent = len(broker.segments())
        self.begin_ok(broker, *ARGS, self.file(30000, "a.jpg", 9), *files)
        self.assertEqual(len(broker.transfers), 4)
        self.assertEqual(len(broker.segments()) - sent, 3)

    def test_what_was_stopped_goes_on_though_the_list_is_another(self):
        broker = self.broker(lambda _conn, packet: HOLD if packet.command == "segment" and
                             packet.offset >= 20000 else None)
        path = self.file(100000)
        program = self.begin(broker, *ARGS, path)
        broker.wait(lambda: len(broker.segments()) >= 4, "four segments")
        program.signal(INT)
        self.assertEqual(program.wait(), 8)
        broker.script = None
        before = len(broker.segments())
        self.begin_ok(broker, *ARGS, self.file(10, "another"), path)
        self.assertLess(len(broker.segments()) - before, 10, "all was sent again")

    def test_a_second_one_waits_for_the_first_and_then_sends(self):
        broker = self.broker(self.hold)
        one, two = self.file(10000, "one", 1), self.file(10000, "two", 2)
        first = self.begin(broker, one)
        broker.wait(broker.segments, "a segment")
        second = self.begin(broker, two)
        self.assertIn(str(first.process.pid), self.line_with(second, "waiting"))
        self.assertEqual(len(broker.connections), 1)
        broker.script = None
        broker.release()
        self.assertEqual((first.wait(), second.wait()), (0, 0), first.err + second.err)
        self.assertEqual(len(broker.connections), 2)
        self.assertEqual(sum(1 for t in broker.transfers.values() if t.complete), 2)

    def test_a_second_one_sends_nothing_again_that_the_first_has_sent(self):
        broker = self.broker(self.hold)
        path = self.file(10000)
        first = self.begin(broker, path)
        broker.wait(broker.segments, "a segment")
        second = self.begin(broker, path)
        self.line_with(second, "waiting")
        broker.script = None
        broker.release()
        self.assertEqual((first.wait(), second.wait()), (0, 0))
        self.assertEqual(sum(len(s.payload) for s in broker.segments()), 10000)

    def test_a_killed_one_keeps_nobody_waiting(self):
        broker = self.broker(self.hold)
        first = self.begin(broker, self.file())
        broker.wait(broker.segments, "a segment")
        second = self.begin(broker, self.file(10, "two"))
        self.line_with(second, "waiting")
        broker.script = None
        first.kill()
        self.assertEqual(second.wait(), 0, second.err)

    def test_one_that_waits_can_be_stopped(self):
        broker = self.broker(self.hold)
        self.begin(broker, self.file())
        broker.wait(broker.segments, "a segment")
        second = self.begin(broker, "--json", self.file(10, "two"))
        second.event("queued")
        second.signal(INT)
        self.assertEqual(second.wait(), 8)

    def test_another_id_or_broker_or_standard_input_need_not_wait(self):
        broker, other = self.broker(self.hold), self.broker()
        self.begin(broker, self.file())
        broker.wait(broker.segments, "a segment")
        broker.script = None
        self.begin_ok(broker, "-i", "mine", self.file(10, "two"))
        self.begin_ok(other, self.file(10, "two"))
        with open(self.file(10, "three"), "rb") as stdin:
            self.begin_ok(broker, "-", stdin=stdin)
        self.assertEqual(len({conn.client_id for conn in broker.connections}), 3)

    def test_a_given_id_is_locked_too(self):
        broker = self.broker(self.hold)
        first = self.put(broker, self.file())
        broker.wait(broker.segments, "a segment")
        second = self.put(broker, self.file(10, "two"))
        self.line_with(second, "waiting")
        broker.script = None
        broker.release()
        self.assertEqual((first.wait(), second.wait()), (0, 0))

    def test_nothing_is_left_of_the_lock(self):
        broker = self.broker()
        self.begin_ok(broker, self.file())
        self.assertEqual([os.path.splitext(path)[1] for path in
                          glob.glob(f"{self.dir}/.local/state/ft-put/*")], [".json"])

    def test_many_at_once_all_arrive(self):
        """Locks are removed and made again all the time."""
        broker = self.broker()
        programs = [self.begin(broker, self.file(1000, f"f{index}", index)) for index in range(8)]
        self.assertEqual([program.wait(60) for program in programs], [0] * 8)
        self.assertEqual(sum(1 for t in broker.transfers.values() if t.complete), 8,
                         [program.out for program in programs] + [broker.story()])
        self.assertEqual(len(broker.connections), 8, "somebody was thrown out and came back")
        for index in range(8):
            self.assertIn(data(1000, index), [t.bytes() for t in broker.transfers.values()])


if __name__ == "__main__":
    unittest.main()
