# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Segments in every order, size and number."""
import os
import random
import time

from device import merged, pieces
from harness import INSTRUMENTED, Case, rows, spread
from ondisk import sha256
from rawmqtt import Closed

SEEDS = tuple((f"seed{n}", n) for n in range(6))


def drain(pipeline):
    for _ in pipeline:
        pass


@spread
class Order(Case):
    """The file is what was written last, byte by byte."""

    def check(self, device, content, file="f"):
        device.ping()
        device.forget_responses()
        self.ok(device.fin(file, len(content), sha256(content)))
        self.broker.storage.check_finished(self, device.client_id, file, "data.bin", content)

    @rows(*SEEDS)
    def test_shuffled_segments_of_changing_size(self, seed):
        dice = random.Random(seed)
        content, cut, at = dice.randbytes(300_000), [], 0
        while at < len(content):
            length = dice.choice((1, 7, 100, 1000, 4096, 20_000))
            cut.append((at, content[at:at + length]))
            at += length
        cut += dice.sample(cut, len(cut) // 3)
        dice.shuffle(cut)
        device = self.device(version=dice.choice((4, 5)))
        self.ok(device.init("f"))
        drain(device.pipeline("f", cut, window=dice.choice((1, 5, 20)),
                              checksums=dice.random() < 0.5))
        self.check(device, content)

    @rows(*SEEDS)
    def test_overlaps_of_other_bytes_leave_the_last_written(self, seed):
        dice = random.Random(100 + seed)
        content = bytearray(dice.randbytes(5000))
        device = self.device()
        self.ok(device.init("f"))
        self.ok(device.segment("f", 0, bytes(content)))
        held = [(0, 5000)]
        for _ in range(60):
            offset, data = dice.randrange(6000), dice.randbytes(dice.randrange(0, 900))
            if offset + len(data) > len(content):
                content.extend(b"\0" * (offset + len(data) - len(content)))
            content[offset:offset + len(data)] = data
            held.append((offset, len(data)))
            self.ok(device.segment("f", offset, data))
            self.assertEqual(device.status("f").get("have"), merged(held))
        size = merged(held)[0][1]
        self.check(device, bytes(content[:size]))

    @rows(*SEEDS[:3])
    def test_what_is_missing_is_what_was_never_sent(self, seed):
        dice = random.Random(200 + seed)
        device = self.device()
        self.ok(device.init("f"))
        sent = [(dice.randrange(100_000), dice.randrange(1, 3000)) for _ in range(30)]
        for offset, length in sent:
            self.ok(device.segment("f", offset, b"\1" * length))
        held = merged(sent)
        ends = [0] + [o + n for o, n in held]
        missing = [[a, b - a] for a, b in zip(ends, [o for o, _ in held] + [200_000]) if b > a]
        self.answered(device.fin("f", 200_000), "incomplete", missing=missing)
        for offset, length in missing:
            self.ok(device.segment("f", offset, b"\2" * length))
        self.ok(device.fin("f", 200_000))

    @rows(*[(f"{size}_bytes_at_{at}", size, at) for size in (1, 2, 10, 300_000)
            for at in sorted({0, 1, size // 2, size - 1}) if at < size])
    def test_one_other_byte_among_equal_ones(self, size, at):
        device, content = self.device(), bytearray(b"a" * size)
        self.ok(device.init("f"))
        self.ok(device.segment("f", 0, bytes(content)))
        content[at] = ord("b")
        self.ok(device.segment("f", 0, bytes(content)))
        self.check(device, bytes(content))

    def test_backwards_byte_by_byte(self):
        device, content = self.device(version=4), bytes(range(256)) * 4
        self.ok(device.init("f"))
        drain(device.pipeline("f", reversed(pieces(content, 1))))
        self.check(device, content)

    def test_every_segment_three_times(self):
        device, content = self.device(), os.urandom(100_000)
        self.ok(device.init("f"))
        drain(device.pipeline("f", [p for p in pieces(content, 10_000) for _ in range(3)]))
        self.ok(device.status("f"), received=100_000)
        self.check(device, content)

    def test_the_same_content_in_other_sizes_again(self):
        device, content = self.device(), os.urandom(100_000)
        self.ok(device.init("f"))
        for chunk in (10_000, 7_777, 100_000, 333):
            drain(device.pipeline("f", pieces(content, chunk)))
        self.check(device, content)

    def test_empty_segments_in_between(self):
        device, content = self.device(), os.urandom(20_480)
        self.ok(device.init("f"))
        drain(device.pipeline("f", [(20_480, b""), *pieces(content, 1024), (0, b""), (99_999, b"")]))
        self.check(device, content)

    def test_both_prefixes_in_turn(self):
        device, content = self.device(), os.urandom(50_000)
        self.ok(device.init("f"))
        for number, piece in enumerate(pieces(content, 1000)):
            device.prefix = ("$file", "$file-async")[number % 2]
            self.ok(device.segment("f", *piece))
        self.check(device, content)

    def test_many_transfers_of_one_client_interleaved(self):
        device = self.device()
        contents = {f"f{n}": os.urandom(20_000 + n) for n in range(50)}
        for file in contents:
            self.ok(device.init(file))
        work = [(file, piece) for file, content in contents.items()
                for piece in pieces(content, 4096)]
        random.Random(5).shuffle(work)
        for file, piece in work:
            drain(device.pipeline(file, [piece]))
        for file, content in contents.items():
            self.check(device, content, file)

    def test_one_segment_of_a_megabyte(self):
        device, content = self.device(), os.urandom(1 << 20)
        self.ok(device.init("f"))
        self.ok(device.segment("f", 0, content, sha256(content)))
        self.check(device, content)

    def test_a_connection_taken_over_in_the_middle(self):
        for version in (4, 5):
            content = os.urandom(400_000)
            todo = pieces(content, 1000)
            name = self.new_id("taken")
            device = self.device(name, version)
            self.ok(device.init("f"))
            for start in range(0, len(todo), 100):
                drain(device.pipeline("f", todo[start:start + 100]))
                for offset, data in todo[start + 50:start + 100]:
                    device.publish(f"$file/f/{offset}", data)
                previous, device = device, self.device(name, version)
                with self.assertRaises((Closed, OSError)):
                    previous.ping()
                    previous.wait_closed()
                    raise Closed
            self.check(device, content)

    def test_two_connections_that_fight_for_the_same_id(self):
        content = os.urandom(60_000)
        name = self.new_id("fight")
        device = self.device(name)
        self.ok(device.init("f"))
        for piece in pieces(content, 1000):
            device = self.device(name)
            self.ok(device.segment("f", *piece))
        self.check(device, content)


class Open(Case):
    """Many transfers at a time."""

    options = {"max_transfers_per_client": "5000"}

    def test_2000_open_transfers_do_not_mix(self):
        count = 2000 if not INSTRUMENTED else 300
        device = self.device()
        files = [f"f{number:04}" for number in range(count)]
        for start in range(0, count, 100):
            some = files[start:start + 100]
            commands = [(f"$file/{file}/init", b'{"name":"a"}') for file in some]
            commands += [(f"$file/{file}/{int(file[1:])}", b"x") for file in some]
            for ticket in [device.send(*command) for command in commands]:
                self.ok(device.answer(ticket))
        for start in range(0, count, 100):
            some = files[start:start + 100]
            for file, ticket in [(file, device.send(f"$file/{file}/status")) for file in some]:
                self.ok(device.answer(ticket), have=[[int(file[1:]), 1]])


class Many(Case):
    """Sizes that show what costs too much."""

    def test_100_000_segments_of_1_KiB(self):
        count = 100_000 if not INSTRUMENTED else 10_000
        content = random.Random(9).randbytes(1 << 20)
        device = self.device(version=4, responses=False)
        self.assertEqual(device.init("f", size=count * 1024).ack, 0)
        began = time.monotonic()
        sent = ((n * 1024, content[n % 1024 * 1024:][:1024]) for n in range(count))
        drain(device.pipeline("f", sent, window=100))
        segments = time.monotonic() - began
        device.subscribe(device.response_topic)
        device.responses = True
        began = time.monotonic()
        self.ok(device.fin("f", count * 1024))
        fin = time.monotonic() - began
        print(f"{count} segments: {segments:.1f} s, fin {fin * 1000:.0f} ms", flush=True)
        self.assertLess(fin, segments / 3, "as if every byte were copied")
        whole = (content * (count // 1024 + 1))[:count * 1024]
        self.broker.storage.check_finished(self, device.client_id, "f", "data.bin", sha256(whole))

    def seconds(self, device, file, pieces_):
        began = time.monotonic()
        drain(device.pipeline(file, pieces_, window=100))
        return time.monotonic() - began

    def test_20_000_separate_ranges(self):
        count = 20_000 if not INSTRUMENTED else 3000
        device = self.device(version=4, responses=False)
        device.init("f")
        device.init("in-order")
        in_order = self.seconds(device, "in-order", ((n, b"a") for n in range(count)))
        apart = self.seconds(device, "f", ((n * 2, b"a") for n in range(count)))
        joined = self.seconds(device, "f", ((n * 2 + 1, b"b") for n in range(count)))
        print(f"{count} in order {in_order:.1f} s, apart {apart:.1f} s, joined {joined:.1f} s")
        self.assertLess(apart + joined, 8 * in_order + 2)
        device.subscribe(device.response_topic)
        device.responses = True
        self.ok(device.fin("f", count * 2, sha256(b"ab" * count)))

    def test_holes_of_a_sparse_5_GiB_file_are_missing(self):
        far = 5 << 30
        device = self.device()
        self.ok(device.init("f"))
        self.ok(device.segment("f", far, b"end"))
        self.ok(device.segment("f", 0, b"begin"))
        self.answered(device.fin("f", far + 3), "incomplete", missing=[[5, far - 5]])
        self.ok(device.status("f"), received=8, have=[[0, 5], [far, 3]])
        self.ok(device.fin("f", 5, sha256(b"begin")))
        self.broker.storage.check_finished(self, device.client_id, "f", "data.bin", b"begin")

    def test_50_clients_at_once(self):
        content = os.urandom(40_000)
        devices = [self.device(version=4 + n % 2, responses=False) for n in range(50)]
        for device in devices:
            device.init("f")
        for offset, data in pieces(content, 4000):
            mids = [device.publish(f"$file/f/{offset}", data) for device in devices]
            for device, mid in zip(devices, mids):
                self.assertEqual(device.acked(mid), 0)
        for device in devices:
            device.subscribe(device.response_topic)
            device.responses = True
        tickets = [device.send(f"$file/f/fin/{len(content)}/{sha256(content)}")
                   for device in devices]
        for device, ticket in zip(devices, tickets):
            self.ok(device.answer(ticket))
            self.broker.storage.check_finished(self, device.client_id, "f", "data.bin", content)
