# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""What outlives the process: stopping, killing, continuing; files that change meanwhile."""
import glob
import json
import os
import unittest

from clientcase import INT, TERM, ClientCase, data
from fakebroker import HOLD

SIZE = 100000
ARGS = ("--segment-size", "10000", "--window", "2")


class State(ClientCase):
    def setUp(self):
        super().setUp()
        self.path = self.file(SIZE)

    def states(self):
        return glob.glob(f"{self.dir}/.local/state/ft-put/*")

    def saved(self):
        states = self.states()
        self.assertEqual(len(states), 1)
        with open(states[0], encoding="utf-8") as text:
            return json.load(text)["files"]

    def begun(self, broker, *more):
        """Under way: after four segments the window is full, however long this process waits."""
        already = len(broker.segments())
        broker.script = lambda conn, packet: \
            HOLD if packet.command == "segment" and packet.offset >= 20000 else None
        program = self.put(broker, *ARGS, *more, self.path)
        broker.wait(lambda: len(broker.segments()) >= already + 4, "a few segments")
        broker.script = None
        return program

    def stopped_midway(self, broker, *more, with_signal=INT):
        program = self.begun(broker, *more)
        program.signal(with_signal)
        self.assertEqual(program.wait(), 8)
        return program

    def test_a_stopped_upload_says_how_to_continue_and_saves(self):
        for number in (INT, TERM):
            with self.subTest(number):
                program = self.stopped_midway(self.broker(), with_signal=number)
                self.assertIn("same command", program.err[-1])
                saved, = self.saved()
                stat = os.stat(self.path)
                self.assertEqual((saved["path"], saved["size"], saved["mtime_s"]),
                                 (self.path, SIZE, int(stat.st_mtime)))
                self.assertGreaterEqual(saved["hashed"], 40000)
                self.assertEqual(os.stat(self.states()[0]).st_mode & 0o777, 0o600)
                os.unlink(self.states()[0])

    def test_the_next_start_continues_in_another_process(self):
        broker = self.broker()
        self.stopped_midway(broker)
        before = sum(len(s.payload) for s in broker.segments())
        program = self.put_ok(broker, *ARGS, self.path)
        self.holds(broker, data(SIZE))
        total = sum(len(s.payload) for s in broker.segments())
        self.assertLessEqual(total, SIZE + 20000)
        self.assertLess(total - before, SIZE)
        self.assertTrue(any("already" in line for line in program.out), program.out)
        self.assertEqual(self.saved(), [], "nothing is left to continue")

    def test_a_killed_client_continues_too(self):
        broker = self.broker()
        program = self.begun(broker)
        program.kill()
        self.put_ok(broker, *ARGS, self.path)
        self.holds(broker, data(SIZE))
        self.assertLessEqual(sum(len(s.payload) for s in broker.segments()), SIZE + 20000)

    def test_a_file_that_changed_meanwhile_is_sent_under_a_new_id(self):
        broker = self.broker()
        self.stopped_midway(broker)
        old, = broker.transfers
        self.file(SIZE - 1000, seed=2)
        program = self.put_ok(broker, *ARGS, self.path)
        self.assertTrue(any("changed" in line for line in program.out), program.out)
        self.assertNotIn(old, broker.transfers)
        self.assertEqual(len(broker.of("abort")), 1)
        self.holds(broker, data(SIZE - 1000, 2))

    def test_a_change_that_time_and_size_do_not_show_is_noticed_by_the_checksum(self):
        broker = self.broker()
        self.stopped_midway(broker)
        stat = os.stat(self.path)
        self.file(SIZE, seed=2)
        os.utime(self.path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        self.put_ok(broker, *ARGS, self.path)
        done = [t for t in broker.transfers.values() if t.complete]
        self.assertEqual(len(done), 1)
        self.holds(broker, data(SIZE, 2), done[0])
        self.assertEqual(len(broker.of("fin")), 1, "noticed by the client, not by the broker")

    def test_a_file_that_changes_while_it_is_sent_is_sent_anew(self):
        broker = self.broker()
        program = self.begun(broker)
        self.file(SIZE + 5000, seed=2)
        broker.release()
        self.assertEqual(program.wait(), 0, program.err)
        self.holds(broker, data(SIZE + 5000, 2),
                   next(t for t in broker.transfers.values() if t.complete))

    def test_a_file_that_keeps_changing_is_given_up(self):
        state = {"count": 0}

        def script(_conn, packet):
            if packet.command == "segment":
                state["count"] += 1
                with open(self.path, "r+b") as out:
                    out.write(b"%d" % state["count"])
        program = self.put(self.broker(script), *ARGS, self.path)
        self.assertEqual(program.wait(), 2)
        self.assertIn("changes", program.err[-1])

    def test_a_log_that_grows_all_the_time_arrives_as_it_was_at_the_start(self):
        def script(_conn, packet):
            if packet.command == "segment":
                with open(self.path, "ab") as out:
                    out.write(b"x" * 100)
        broker = self.broker(script)
        self.put_ok(broker, *ARGS, self.path)
        self.holds(broker, data(SIZE))
        self.assertEqual(sum(len(s.payload) for s in broker.segments()), SIZE, "sent once")
        self.assertEqual(broker.of("abort"), [])

    def test_one_that_grows_and_changes_is_sent_anew(self):
        state = {"done": False}

        def script(_conn, packet):
            if packet.command == "segment" and packet.offset >= 50000 and not state["done"]:
                state["done"] = True
                with open(self.path, "r+b") as out:
                    out.write(b"CHANGED")
                    out.seek(0, os.SEEK_END)
                    out.write(b"more")
        broker = self.broker(script)
        self.put_ok(broker, *ARGS, self.path)
        self.holds(broker, b"CHANGED" + data(SIZE)[7:] + b"more",
                   next(t for t in broker.transfers.values() if t.complete))

    def test_a_file_that_is_only_touched_is_sent_once(self):
        broker = self.broker(lambda _conn, packet: os.utime(self.path)
                             if packet.command == "segment" else None)
        self.put_ok(broker, *ARGS, self.path)
        self.holds(broker, data(SIZE))
        self.assertEqual(sum(len(s.payload) for s in broker.segments()), SIZE)

    def test_the_same_file_again_costs_one_question(self):
        broker = self.broker()
        self.put_ok(broker, self.path)
        count = len(broker.segments())
        program = self.put_ok(broker, self.path)
        self.assertEqual(len(broker.segments()), count)
        self.assertIn("nothing had to be sent", program.out[-1])

    def test_no_resume_begins_from_scratch(self):
        broker = self.broker()
        self.stopped_midway(broker)
        self.put_ok(broker, *ARGS, "--no-resume", self.path)
        self.holds(broker, data(SIZE))
        self.assertEqual(len(broker.of("abort")), 1)
        self.assertEqual([s.offset for s in broker.segments(conn=1)], list(range(0, SIZE, 10000)))

    def test_a_damaged_state_is_no_obstacle(self):
        broker = self.broker()
        self.stopped_midway(broker)
        state, = self.states()
        for content in (b"", b"{", b"[]", b'{"files":[1,{"path":"x"}]}', os.urandom(1000)):
            with self.subTest(content[:20]):
                with open(state, "wb") as out:
                    out.write(content)
                self.put_ok(broker, *ARGS, self.path)
                self.holds(broker, data(SIZE))

    def test_an_id_that_no_topic_can_have_is_not_taken_from_a_damaged_state(self):
        broker = self.broker()
        self.stopped_midway(broker)
        state, = self.states()
        old, = broker.transfers
        with open(state, "rb") as text:
            content = text.read()
        self.assertIn(old.encode(), content)
        with open(state, "wb") as out:
            out.write(content.replace(old.encode(), old[1:].encode() + b"\xff"))
        self.put_ok(broker, *ARGS, "--timeout", "5", self.path)
        self.holds(broker, data(SIZE))

    def test_a_state_that_cannot_be_written_is_told_and_no_obstacle(self):
        broker = self.broker()
        os.makedirs(f"{self.dir}/.local")
        with open(f"{self.dir}/.local/state", "w", encoding="ascii"):
            pass
        program = self.put_ok(broker, self.path)
        self.assertTrue(any("not noted" in line for line in program.err), program.err)

    def test_the_state_is_replaced_never_rewritten(self):
        """A reader (or a power cut) meets the old one or the new one."""
        broker = self.broker()
        self.stopped_midway(broker)
        state, = self.states()
        with open(state, "rb") as old:
            before = old.read()
            self.stopped_midway_again(broker)
            self.assertEqual(os.pread(old.fileno(), 100000, 0), before)
        self.assertNotEqual(os.stat(state).st_size, 0)
        self.assertEqual(len(self.states()), 1, "no temporary file is left")

    def stopped_midway_again(self, broker):
        count = len(broker.segments())
        program = self.put(broker, *ARGS, "--rate", "20000", self.path)
        broker.wait(lambda: len(broker.segments()) > count + 1, "another segment")
        program.signal(INT)
        self.assertEqual(program.wait(), 8)

    def test_standard_input_cannot_be_continued_and_that_is_said(self):
        broker = self.broker()
        program = self.put(broker, "--rate", "1000", "-")
        program.tell("x" * 5000)
        broker.wait(broker.segments, "a segment")
        program.signal(INT)
        self.assertEqual(program.wait(), 8)
        self.assertIn("cannot be continued", program.err[-1])


if __name__ == "__main__":
    unittest.main()
