# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""What is sent: files named twice, links, files without a size, standard input of all kinds."""
import json
import os
import signal
import subprocess
import time
import unittest

from clientcase import FT_PUT, ClientCase, data
from fakebroker import FIRST, HOLD, Answer


class Twins(ClientCase):
    """Two paths of one file."""

    def test_a_file_named_twice_is_sent_once(self):
        broker = self.broker()
        path = self.file(100000)
        program = self.put_ok(broker, "--ack-timeout", "5", path, path)
        self.holds(broker, data(100000))
        self.assertEqual(sum(len(s.payload) for s in broker.segments()), 100000)
        self.assertEqual(len(broker.connections), 1)
        self.assertIn("2 of 2", program.out[-1])

    def test_a_file_in_a_directory_that_is_named_too_is_sent_once(self):
        broker = self.broker()
        path = self.file(100000, "tree/a.log")
        self.put_ok(broker, "--ack-timeout", "5", f"{self.dir}/tree", path)
        self.holds(broker, data(100000))
        self.assertEqual(sum(len(s.payload) for s in broker.segments()), 100000)

    def test_one_that_is_refused_is_refused_twice(self):
        broker = self.broker(lambda _conn, packet: Answer("name_refused", 0x83)
                             if packet.command in FIRST else None)
        path = self.file()
        program = self.put(broker, "--ack-timeout", "5", path, path)
        self.assertEqual(program.wait(), 5)
        self.assertEqual(len(broker.of("put")), 2)

    def test_cancelling_one_leaves_the_other_alone(self):
        path = self.file(50000)
        broker = self.broker(lambda _conn, packet: HOLD if packet.command == "segment" else None)
        driver = self.driver(broker, "segment=10000", "window=2")
        driver.tell(f"add {path}")
        broker.wait(broker.segments, "a segment")
        for line in (f"add {path}", f"add {path}", "cancel 2"):
            driver.tell(line)
        driver.event("finished", number=2)
        broker.script = None
        broker.wait(lambda: broker.release() or len(driver.events("finished")) == 3, "all are over")
        self.assertEqual(sorted(event["result"] for event in driver.events("finished"))[:2], [0, 0])
        self.assertEqual(broker.of("abort"), [])

    def test_a_link_beside_the_file_aborts_nothing(self):
        """The state knows one name for the file, which may be the other one's."""
        path = self.file(50000)
        os.symlink(path, f"{self.dir}/link")
        broker = self.broker(lambda _conn, packet: HOLD if packet.command == "segment" else None)
        driver = self.driver(broker, "segment=10000", "window=2", f"state={self.dir}/state")
        driver.tell(f"add {path}")
        broker.wait(broker.segments, "a segment")
        driver.tell("save")
        broker.wait(lambda: os.path.exists(f"{self.dir}/state"), "the state")
        driver.tell(f"add {self.dir}/link")
        broker.script = None
        broker.wait(lambda: broker.release() or len(driver.events("finished")) == 2, "both are sent")
        self.assertEqual([event["result"] for event in driver.events("finished")], [0, 0])
        self.assertEqual(broker.of("abort"), [])


class WithoutSize(ClientCase):
    def test_a_file_of_proc_is_not_taken_for_an_empty_one(self):
        program = self.put(self.broker(), "/proc/self/status")
        self.assertEqual(program.wait(), 2)
        self.assertIn("standard input", program.err[-1])

    def test_it_can_be_given_as_standard_input(self):
        broker = self.broker()
        with open("/proc/version", "rb") as stdin:
            self.put_ok(broker, "-", stdin=stdin)
        with open("/proc/version", "rb") as same:
            self.holds(broker, same.read())

    def test_an_empty_file_is_one(self):
        broker = self.broker()
        self.put_ok(broker, self.file(0))
        self.holds(broker, b"")


class StandardInput(ClientCase):
    def test_a_file_is_sent_from_where_it_stands(self):
        broker = self.broker()
        with open(self.file(5000), "rb", buffering=0) as stdin:
            stdin.seek(3000)
            self.put_ok(broker, "-", stdin=stdin)
        self.holds(broker, data(5000)[3000:])

    def test_a_writer_may_take_longer_than_the_timeout(self):
        broker = self.broker()
        program = self.put(broker, "--timeout", "1", "-")
        program.tell("one")
        broker.wait(broker.segments, "a segment")
        time.sleep(2.5)     # the silence itself is what is tried
        program.tell("two")
        program.process.stdin.close()
        self.assertEqual(program.wait(), 0, program.err)
        self.holds(broker, b"one\ntwo\n")

    def test_a_broker_that_is_silent_may_not(self):
        broker = self.broker(lambda _conn, packet: HOLD if packet.command == "segment" else None)
        program = self.put(broker, "--timeout", "1", "-")
        program.tell("one")
        self.assertEqual(program.wait(), 6)

    def test_it_cannot_be_sent_twice(self):
        self.assertEqual(self.put(self.broker(), "-", "-").wait(), 1)

    def closed(self, broker, closing, *arguments):
        command = [FT_PUT, "-h", "127.0.0.1", "-p", str(broker.port), "-i", "dev", *arguments]
        return subprocess.run(["sh", "-c", f'exec "$@" {closing}', "sh", *command], env=self.env,
                              stderr=subprocess.PIPE, timeout=20, check=False)

    def test_where_it_is_closed_that_is_said(self):
        ended = self.closed(self.broker(), "<&-", "--timeout", "5", "-")
        self.assertEqual(ended.returncode, 2, ended.stderr)


class Interrupted(ClientCase):
    def begun(self, broker, *options, prefix=()):
        program = self.start([*prefix, FT_PUT, "-h", "127.0.0.1", "-p", str(broker.port), "-i",
                              "dev", *options, "--segment-size", "10000", self.file(100000)])
        broker.wait(broker.segments, "a segment")
        return program

    def test_nohup_is_honoured(self):
        broker = self.broker()
        program = self.begun(broker, "--rate", "50000", prefix=("nohup",))
        program.signal(signal.SIGHUP)
        self.assertEqual(program.wait(), 0, program.err)
        self.holds(broker, data(100000))

    def test_without_it_a_hangup_ends(self):
        broker = self.broker()
        program = self.begun(broker, "--rate", "20000")
        program.signal(signal.SIGHUP)
        self.assertEqual(program.wait(), 8)

    def test_a_stopped_process_has_not_lost_its_patience(self):
        broker = self.broker()
        program = self.begun(broker, "--rate", "20000", "--timeout", "2")
        program.signal(signal.SIGSTOP)
        time.sleep(4)       # more than the timeout
        program.signal(signal.SIGCONT)
        self.assertEqual(program.wait(), 0, program.err)
        self.holds(broker, data(100000))


class Ids(ClientCase):
    def stopped(self, broker, *options, mtime=1):
        path = self.file(100000)
        os.utime(path, (mtime, mtime))
        program = self.put(broker, "--segment-size", "10000", "--rate", "20000", *options, path)
        count = len(broker.segments())
        broker.wait(lambda: len(broker.segments()) > count + 1, "two segments")
        program.signal(signal.SIGINT)
        self.assertEqual(program.wait(), 8)
        return path

    def test_a_given_id_wins_over_the_one_that_was_begun(self):
        broker = self.broker()
        path = self.stopped(broker, "--file-id", "A")
        self.put_ok(broker, "--file-id", "B", path)
        self.assertEqual(list(broker.transfers), ["B"])
        self.holds(broker, data(100000))

    def test_a_time_before_1970_is_one(self):
        broker = self.broker()
        path = self.stopped(broker, mtime=-3600)
        program = self.put_ok(broker, path)
        self.assertTrue(any("already" in line for line in program.out), program.out)
        self.assertEqual(broker.of("abort"), [])


class Words(ClientCase):
    """What goes into topics and JSON."""

    def test_numbers_in_user_data_stay_as_they_are(self):
        self.file(10, "tree/a")
        for given, wanted in (('{"n":9007199254740993,"x":1.10}',
                               '{"path":"tree/a","n":9007199254740993,"x":1.10}'),
                              (" {} ", '{"path":"tree/a"} '),
                              ("9007199254740993", '{"data":9007199254740993,"path":"tree/a"}'),
                              ('{"path":1,"b":2}', '{"b":2,"path":"tree/a"}')):
            broker = self.broker()
            self.put_ok(broker, "--user-data", given, f"{self.dir}/tree")
            self.assertIn('"user_data":' + wanted, broker.of("init")[0].payload.decode())

    def test_other_control_characters_become_underscores_too(self):
        broker = self.broker()
        self.put_ok(broker, self.file(10, "a\u0085b\u00a0c"))
        self.assertEqual(broker.only().init["name"], "a_b\u00a0c")

    def test_json_is_utf_8_whatever_the_path(self):
        path = os.fsencode(self.file(10)) + b"\xff"
        os.rename(path[:-1], path)
        broker = self.broker()
        ended = subprocess.run([FT_PUT, "-h", "127.0.0.1", "-p", str(broker.port), "--json", path],
                               env=self.env, stdout=subprocess.PIPE, timeout=20, check=True)
        done, = (event for event in map(json.loads, ended.stdout.decode("utf-8").splitlines())
                 if event["event"] == "finished")
        self.assertEqual(done["path"], os.fsdecode(path[:-1]) + "_")

    def test_a_refused_file_is_not_said_to_be_held(self):
        broker = self.broker(lambda _conn, packet: Answer("name_refused", 0x83)
                             if packet.command in FIRST else None)
        program = self.put(broker, self.file())
        self.assertEqual(program.wait(), 5)
        self.assertNotIn("held", "".join(program.out))


if __name__ == "__main__":
    unittest.main()
