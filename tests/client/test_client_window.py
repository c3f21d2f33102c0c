# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""How much is on its way, how large segments are, what is read and kept in memory."""
import os
import subprocess
import time
import unittest

from clientcase import ClientCase, data
from fakebroker import HOLD, Later
from harness import INSTRUMENTED


def hold_segments(_conn, packet):
    return HOLD if packet.command == "segment" else None


class Window(ClientCase):
    def held_back(self, broker, count):
        """As many segments as may be on their way, and no more though time passes."""
        broker.wait(lambda: len(broker.segments()) >= count, f"{count} segments")
        time.sleep(0.5)
        self.assertEqual(len(broker.segments()), count)

    def test_at_most_n_segments_are_on_their_way(self):
        broker = self.broker(hold_segments)
        program = self.put(broker, "--window", "3", "--segment-size", "1000", self.file(20000))
        self.held_back(broker, 3)
        broker.script = None
        broker.release()
        self.assertEqual(program.wait(), 0)
        self.assertEqual(broker.segments_most, 3)

    def test_the_next_goes_out_on_an_acknowledgement(self):
        for version in ("5", "311"):
            with self.subTest(version):
                broker = self.broker(hold_segments)
                self.put(broker, "-V", version, "--window", "3", "--segment-size", "1000",
                         self.file(20000))
                for count in range(3, 7):
                    self.held_back(broker, count)
                    broker.release(1)

    def test_several_files_share_one_window(self):
        broker = self.broker(hold_segments)
        paths = [self.file(3000, f"f{i}") for i in range(5)]
        self.put(broker, "--window", "4", "--segment-size", "1000", *paths)
        self.held_back(broker, 4)

    def test_never_more_than_the_brokers_receive_maximum(self):
        for receive_max, allowed in ((1, 1), (2, 1), (5, 4)):
            with self.subTest(receive_max):
                broker = self.broker(hold_segments, receive_max=receive_max)
                self.put(broker, "--window", "100", "--segment-size", "1000", self.file(50000))
                self.held_back(broker, allowed)

    def test_never_above_the_brokers_maximum_packet_size(self):
        for size in ("auto", "100k"):
            with self.subTest(size):
                broker = self.broker(max_packet=3000)
                self.put_ok(broker, "--segment-size", size, self.file(50000))
                self.holds(broker, data(50000))
                self.assertLess(max(len(s.payload) + len(s.topic) for s in broker.segments()), 3000)

    def test_fixed_segments_are_all_of_that_size(self):
        broker = self.broker()
        self.put_ok(broker, "--segment-size", "7000", self.file(50000))
        self.assertEqual([len(s.payload) for s in broker.segments()], [7000] * 7 + [1000])

    def test_adaptive_segments_shrink_on_a_poor_link(self):
        broker = self.broker()
        broker.read_rate = 60000
        self.put(broker, "--window", "4", self.file(3000000))
        broker.wait(lambda: [s for s in broker.segments() if len(s.payload) <= 4096],
                    "smaller segments", 40)

    def test_adaptive_segments_grow_on_a_good_link(self):
        broker = self.broker(keep_bytes=False)
        path = os.path.join(self.dir, "sparse")
        with open(path, "wb") as out:
            out.truncate(300 << 20)
        self.put(broker, path)
        broker.wait(lambda: [s for s in broker.segments() if s.payload == 256 * 1024],
                    "larger segments", 40)
        self.assertEqual(broker.segments()[0].payload, 16384)

    def test_adaptive_segments_shrink_when_the_link_breaks(self):
        state = {"cuts": 0}

        def script(conn, packet):
            if packet.command == "segment" and state["cuts"] == conn.number < 3:
                state["cuts"] += 1
                return "cut"
            return None
        broker = self.broker(script)
        self.put_ok(broker, "--reconnect", "always", self.file(200000))
        firsts = [broker.segments(conn=n)[0] for n in range(4)]
        self.assertEqual([len(s.payload) for s in firsts], [16384, 8192, 4096, 2048])


class Input(ClientCase):
    def test_a_path(self):
        broker = self.broker()
        self.put_ok(broker, self.file(100000))
        self.holds(broker, data(100000))

    def test_an_empty_file(self):
        broker = self.broker()
        self.put_ok(broker, self.file(0))
        self.holds(broker, b"")

    def test_an_open_descriptor(self):
        broker = self.broker()
        driver = self.driver(broker)
        driver.tell(f"open {self.file(100000)}")
        driver.event("finished", result=0)
        self.holds(broker, data(100000))

    def stream(self, size, chunk=None, pause=0.0, *options, **settings):
        broker = self.broker(settings.pop("script", None))
        program = self.put(broker, "--name", "stream", *options, "-", stdin=subprocess.PIPE)
        content = data(size)
        raw = program.process.stdin.buffer
        for at in range(0, size, chunk or size or 1):
            raw.write(content[at:at + (chunk or size)])
            raw.flush()
            time.sleep(pause)
        program.process.stdin.close()
        self.assertEqual(program.wait(), 0, program.err)
        self.holds(broker, content)
        return broker

    def test_a_stream_of_unknown_length(self):
        broker = self.stream(1000000)
        self.assertNotIn("size", broker.only().init)

    def test_a_stream_that_comes_in_drops(self):
        self.stream(500, 50, 0.05)

    def test_an_empty_stream(self):
        self.stream(0)

    def test_a_stream_survives_cuts(self):
        def script(conn, packet):
            return "cut" if packet.command == "segment" and conn.number < 4 and \
                packet.offset > 100000 * conn.number else None
        self.stream(1000000, 50000, 0.02, "--segment-size", "20000", script=script)

    def test_standard_input_that_is_a_file(self):
        broker = self.broker()
        with open(self.file(100000), "rb") as source:
            program = self.put(broker, "-", stdin=source)
            self.assertEqual(program.wait(), 0, program.err)
        self.holds(broker, data(100000))

    def test_reads_no_more_of_a_stream_than_it_is_about_to_send(self):
        broker = self.broker(hold_segments)
        program = self.put(broker, "--window", "2", "--segment-size", "1000", "--name", "x", "-",
                           stdin=subprocess.PIPE)
        raw = program.process.stdin.buffer
        os.set_blocking(raw.fileno(), False)
        fed = os.write(raw.fileno(), bytes(50000))
        broker.wait(lambda: len(broker.segments()) == 2, "two segments")
        time.sleep(0.5)
        self.assertEqual(fed, 50000)
        self.assertGreaterEqual(self.waiting(raw.fileno()), 50000 - 3000)

    @staticmethod
    def waiting(descriptor):
        import array
        import fcntl
        import termios
        count = array.array("i", [0])
        fcntl.ioctl(descriptor, termios.FIONREAD, count)
        return count[0]

    @unittest.skipIf(INSTRUMENTED, "sanitizers keep what is freed for a while")
    def test_memory_stays_flat(self):
        """A gibibyte, read once, in the memory that a few segments take."""
        broker = self.broker(keep_bytes=False)
        path = os.path.join(self.dir, "sparse")
        with open(path, "wb") as out:
            out.truncate(1 << 30)
        program = self.put(broker, path)
        peak = 0
        while program.process.poll() is None:
            try:
                peak = max(peak, program.peak_rss())
            except (OSError, StopIteration):
                break
            time.sleep(0.02)
        self.assertEqual(program.wait(300), 0, program.err)
        self.assertGreater(peak, 1 << 20)
        self.assertLess(peak, 40 << 20)

    def test_reads_a_file_once(self):
        path = self.file(5000000)
        broker = self.broker()
        trace = os.path.join(self.dir, "io")
        self.start_traced(broker, path, trace)
        self.assertLess(self.read_bytes, 5000000 + 600000)

    def start_traced(self, broker, path, _trace):
        """What the kernel counted for the process, asked for while it waits for `fin`."""
        broker.script = lambda c, p: Later(1.0) if p.command == "fin" else None
        program = self.put(broker, path)
        broker.wait(lambda: broker.of("fin"), "fin")
        with open(f"/proc/{program.process.pid}/io", encoding="ascii") as io:
            self.read_bytes = int(io.readline().split()[1])
        self.assertEqual(program.wait(), 0)


if __name__ == "__main__":
    unittest.main()
