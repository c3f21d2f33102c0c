# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""ft-get and brokers that lose, delay, and lie."""
import json
import os
import queue
import subprocess
import threading
import time
import unittest

from clientcase import data, sha256
from fakebroker import CUT, SWALLOW
from fakeoffers import BLOCK, offer_of
from getcase import GetCase

SMALL = ("--block-size", "10000")
HURRY = ("--timeout", "3s")


def of_block(item):
    return BLOCK.fullmatch(item.topic or "")


class Lies(GetCase):
    """What was not asked for, or not so, is as if it had not come."""

    def with_lie(self, code, make, content=data(95000), *arguments, saying=""):
        """`make(conn, offset, length, right)` gives the messages before the right block."""
        def lie(conn, item):
            match = of_block(item)
            if not match:
                return None
            offset, length = int(match[1]), int(match[2])
            return make(conn, offset, length, (f"$file-data/{conn.client_id}/{offset}/app.bin",
                                               content[offset:offset + length]))
        broker = self.offers({"app.bin": content}, lie=lie)
        if code:
            return self.fails(code, broker, *SMALL, *arguments, "app.bin", saying=saying)
        self.get_ok(broker, *SMALL, *arguments, "app.bin")
        self.has("app.bin", content)
        return broker

    def test_blocks_that_nobody_asked_for(self):
        def make(conn, offset, length, right):
            topic = f"$file-data/{conn.client_id}/"
            return [(topic + "123456789/app.bin", b"x" * 100), (topic + f"{offset}/other", b"x" * length),
                    (f"$file-data/other/{offset}/app.bin", b"x" * length), (topic + "app.bin", b"x"),
                    (topic + "-1/app.bin", b"x" * length), (topic + f"{2**64 + offset}/app.bin", b"x" * length),
                    (topic + f"{offset}/app.bin/", b"x" * length), ("$file-data", b""), ("", b""),
                    (right[0], b""), (right[0], right[1][:-1]), (right[0], b"x" + right[1]), right, right]
        self.with_lie(0, make)

    def test_answers_that_make_no_sense(self):
        def make(conn, offset, length, right):
            def said(**members):
                return (None, json.dumps({"topic": f"$file-get/{offset}/{length}/app.bin", "reason_code": 0x83,
                                          "reason_description": "no_such_file", **members}).encode())
            return [(None, b""), (None, b"{"), (None, b"[]"), (None, b"\xff" * 100), (None, b"[" * 5000),
                    said(topic="$file-get/1/2/x"), said(topic=5), said(reason_code="x"),
                    said(reason_code=1e300), said(topic="$file-get/list"), said(topic="$file-get/info/app.bin"),
                    said(topic="$file-get/report/app.bin"), said(topic=""), right]
        self.with_lie(0, make)

    def test_other_bytes_are_noticed_at_the_end_and_fetched_once_more(self):
        lies = []

        def make(_conn, offset, _length, right):
            if offset == 20000 and len(lies) < self.most:
                lies.append(offset)
                return [(right[0], b"x" + right[1][1:])]
            return [right]
        self.most = 1
        broker = self.with_lie(0, make)
        self.assertEqual(len([b for b in broker.blocks() if b[0] == 20000]), 2)
        os.unlink(self.path("app.bin"))
        self.most, lies[:] = 9, []
        self.with_lie(6, make, saying="SHA-256")
        self.assertEqual(len(lies), 2)
        self.assertEqual(os.listdir(self.dir), [".local"])

    def test_a_broker_that_only_lies_is_given_up(self):
        self.with_lie(6, lambda _c, _o, _l, right: [(right[0], right[1] + b"x")] * 50, data(95000), *HURRY,
                      saying="gave up")

    def test_sizes_that_cannot_be(self):
        for size in (-1, 2**53 + 2, 1e300, "5", None, 2**52):
            with self.subTest(size):
                def lie(_conn, item):
                    if not item.topic.startswith("$file-get/info"):
                        return None
                    return broker.respond(item, "success", 0, max_block=65536,
                                          **{**offer_of("app.bin", b""), "size": size})
                broker = self.offers({"app.bin": b""}, lie=lie)
                program = self.get(broker, "--timeout", "1s", "app.bin")
                self.assertIn(program.wait(30), (2, 6), program.err)
                self.assertFalse(os.path.exists(self.path("app.bin")))

    def test_nothing_is_written_outside_the_folder(self):
        bad = ("../x", "/etc/x", "m/../../x", "m/./x", "m//x", "m/.x", "m/x\n", "m/a\\b", "m/x/", "x", "m/",
               "m/" + "a/" * 20 + "a", "m/" + "a" * 300, "m/\x1b[2J")
        os.mkdir(self.path("deep"))
        for path in bad:
            with self.subTest(path):
                def lie(_conn, item):
                    if item.topic != "$file-get/list":
                        return None
                    return broker.respond(item, "success", 0, truncated=False,
                                          files=[{**offer_of("m/x", b"x"), "path": path}])
                broker = self.offers({"m/x": b"x"}, lie=lie)
                self.fails(6, broker, "m/", "-o", "deep/", saying="no sense")
                self.assertEqual(broker.blocks(), [])
                self.assertEqual((os.listdir(self.path("deep")), sorted(os.listdir(self.dir))),
                                 ([], [".local", "deep"]))

    def test_lists_without_an_end(self):
        files = [offer_of(f"m/{i:03}", b"") for i in range(3)]
        for answer in ({"files": files}, {"files": []}, {"files": 5}, {"files": files[::-1]},
                       {"files": [{}] * 5}, {"files": files * 2000}, {}):
            with self.subTest(str(answer)[:40]):
                def lie(_conn, item):
                    return broker.respond(item, "success", 0, truncated=True, **answer) \
                        if item.topic == "$file-get/list" else None
                broker = self.offers({}, lie=lie)
                self.fails(6, broker, "-l", "m/", saying="no sense")

    def test_a_terminal_is_not_written_to_by_the_broker(self):
        def lie(_conn, item):
            return broker.respond(item, "invalid_\x1b[2Jpath", 0x83, detail="\x07\x1b]0;x\x07")
        broker = self.offers({}, lie=lie)
        program = self.fails(5, broker, "app.bin")
        self.assertNotRegex("".join(program.err), "[\x00-\x1f\x7f]")

    def test_noise_for_ever_is_no_headway(self):
        def lie(conn, item):
            if not of_block(item):
                return None

            def shout():
                while not conn.closed:
                    conn.publish("$file-data/dev/7/app.bin", b"x" * 1000)
            threading.Thread(target=shout, daemon=True).start()
            return []
        broker = self.offers({"app.bin": data(5)}, lie=lie)
        self.fails(6, broker, *HURRY, "app.bin", saying="gave up")


class Trouble(GetCase):
    def test_blocks_that_get_lost_are_asked_for_again(self):
        seen = set()

        def script(_conn, item):
            match = of_block(item)
            if match and int(match[1]) % 30000 == 0 and match[1] not in seen:
                seen.add(match[1])
                return SWALLOW
            return None
        content = data(95000)
        broker = self.offers({"app.bin": content}, script=script)
        self.get_ok(broker, *SMALL, "app.bin")
        self.has("app.bin", content)
        self.assertGreaterEqual(len(broker.blocks()), 10 + len(seen))

    def test_on_a_line_that_is_slow_nothing_is_asked_for_twice(self):
        """16,000 bytes come in six seconds: more than the patience with one that is silent."""
        def lie(conn, item):
            match = of_block(item)
            if match:
                offset, length = int(match[1]), int(match[2])
                wanted.put((conn, offset, content[offset:offset + length]))
            return [] if match else None

        def trickle():
            for conn, offset, block in iter(wanted.get, None):
                topic = f"$file-data/{conn.client_id}/{offset}/app.bin".encode()
                body = len(topic).to_bytes(2, "big") + topic + b"\0" + block
                size = len(body)
                packet = bytes([0x30, size & 127 | 128, size >> 7 & 127 | 128, size >> 14]) + body
                for at in range(0, len(packet), 800):
                    conn.send(packet[at:at + 800])
                    times.append(time.monotonic())
                    time.sleep(0.3)  # that is how slow it is
        wanted, times = queue.Queue(), []
        threading.Thread(target=trickle, daemon=True).start()
        self.addCleanup(wanted.put, None)
        content = data(48000)
        broker = self.offers({"app.bin": content}, lie=lie)
        self.get_ok(broker, "--block-size", "16000", "app.bin")
        self.has("app.bin", content)
        if max(later - earlier for earlier, later in zip(times, times[1:])) > 3:
            self.skipTest("this machine was silent itself")
        self.assertEqual(len(broker.blocks()), 3)

    def test_a_broker_that_is_busy_is_asked_for_less_at_a_time(self):
        """It takes two requests at a time; what it has taken is answered when no more comes."""
        open_, refused, content = [], [], data(400000)

        def answer():
            time.sleep(0.2)
            while open_:
                conn, item, match = open_.pop(0)
                at = int(match[1])
                conn.publish(f"$file-data/dev/{at}/app.bin", content[at:at + int(match[2])])

        def lie(conn, item):
            if not of_block(item):
                return None
            if len(open_) >= 2:
                refused.append(item)
                return broker.respond(item, "busy", 0x97, retry_after=1)
            open_.append((conn, item, of_block(item)))
            if len(open_) == 1:
                threading.Thread(target=answer, daemon=True).start()
            return []
        for output in ("app.bin", "-"):
            refused.clear()
            broker = self.offers({"app.bin": content}, lie=lie)
            with open(self.path("out"), "wb") as out:
                done = subprocess.run([*self.command(broker), "-q", "--block-size", "40000", "app.bin",
                                       "-o", output],
                                      cwd=self.dir, env=self.env, stdout=out, timeout=60, check=False)
            self.assertEqual(done.returncode, 0)
            self.has(output.replace("-", "out"), content)
            self.assertTrue(refused)
            times = [p.time for p in broker.of() if of_block(p)]
            self.assertTrue(any(later - earlier >= 0.9 for earlier, later in zip(times, times[1:])), times)
            # 4 at a time, then 2.
            self.assertLess(len(refused), 10)

    def test_a_smaller_largest_block_is_learnt(self):
        content = data(95000)
        for info in (2000, 65536):
            def lie(_conn, item):
                return broker.respond(item, "success", 0, max_block=info, **offer_of("app.bin", content)) \
                    if item.topic.startswith("$file-get/info") else None
            broker = self.offers({"app.bin": content}, lie=lie, max_block=2000)
            self.get_ok(broker, "app.bin", "-o", str(info))
            self.has(str(info), content)
            self.assertEqual(max(l for _, l, _ in broker.blocks()[5:]), 2000)

    def test_one_that_is_replaced_again_and_again_is_given_up(self):
        count = [0]

        def lie(_conn, item):
            if item.topic.startswith("$file-get/info"):
                count[0] += 1
                broker.offers["app.bin"] = b"%d" % count[0]
            elif of_block(item):
                broker.offers["app.bin"] = b"x%d" % count[0]
            return None
        broker = self.offers({"app.bin": b""}, lie=lie)
        self.fails(6, broker, "app.bin", saying="again and again")

    def test_what_is_withdrawn_in_the_middle(self):
        def lie(_conn, item):
            if of_block(item) and of_block(item)[1] == "50000":
                broker.offers.clear()
            return None
        broker = self.offers({"app.bin": data(95000)}, lie=lie)
        self.fails(5, broker, *SMALL, "--window", 1, "app.bin", saying="not offered any more")
        self.assertEqual(self.held("app.bin"), 50000)
        # The same is offered again: it goes on.
        broker = self.offers({"app.bin": data(95000)})
        self.get_ok(broker, *SMALL, "app.bin")
        self.assertEqual(min(offset for offset, _, _ in broker.blocks()), 50000)

    def test_states_that_are_damaged_say_nothing(self):
        content = data(95000)
        right = {"path": "app.bin", "size": 95000, "sha256": sha256(content), "have": [[0, 50000]]}
        for state in (b"", b"{", b"[]", {**right, "have": [[0, 95001]]}, {**right, "have": [[5, 2], [0, 2]]},
                      {**right, "have": [[-1, 2]]}, {**right, "have": 5}, {**right, "have": [[1]]},
                      {**right, "size": 1}, {**right, "path": "x"}, {**right, "sha256": "x"}):
            with self.subTest(state):
                with open(self.path("app.bin.part"), "wb") as part:
                    part.write(content)
                with open(self.path("app.bin.part.json"), "wb") as out:
                    out.write(state if isinstance(state, bytes) else json.dumps(state).encode())
                broker = self.offers({"app.bin": content})
                self.get_ok(broker, *SMALL, "app.bin")
                self.has("app.bin", content)
                self.assertEqual(len(broker.blocks()), 10)
                os.unlink(self.path("app.bin"))
        # One that is right, and bytes that are not: once more from the start.
        for flags, asked in (((), 5 + 10), (("--no-resume",), 10)):
            with open(self.path("app.bin.part"), "wb") as part:
                part.write(b"x" * 50000)
            with open(self.path("app.bin.part.json"), "w", encoding="ascii") as out:
                json.dump(right, out)
            broker = self.offers({"app.bin": content})
            self.get_ok(broker, *SMALL, *flags, "app.bin")
            self.has("app.bin", content)
            self.assertEqual(len(broker.blocks()), asked)
            os.unlink(self.path("app.bin"))

    def test_the_rate_is_kept(self):
        broker = self.offers({"app.bin": data(60000)})
        self.get_ok(broker, "--rate", "30k", "app.bin")
        times = [p.time for p in broker.of() if of_block(p)]
        self.assertGreater(times[-1] - times[0], 1.2)

    def test_reconnecting(self):
        cut = []

        def script(_conn, item):
            if of_block(item) and len(cut) < 2 and len(broker.blocks()) % 4 == 3:
                cut.append(item)
                return CUT
            return None
        broker = self.offers({"app.bin": data(95000)}, script=script)
        program = self.get_ok(broker, *SMALL, "app.bin", "--json")
        self.assertEqual(len(program.events("retry")), 2)
        self.has("app.bin", data(95000))
        broker = self.offers({"app.bin": data(95000)}, script=script)
        cut.clear()
        self.fails(3, broker, *SMALL, "--no-resume", "app.bin", "--reconnect", "never", "-o", "y")


class Events(GetCase):
    def test_json(self):
        broker = self.offers({"app.bin": data(95000)})
        program = self.get_ok(broker, "app.bin", "--json", "--report")
        events = [json.loads(line) for line in program.out]
        self.assertEqual([e["event"] for e in events if e["event"] != "progress"],
                         ["connected", "start", "finished", "end"])
        done = events[-2]
        self.assertEqual((done["path"], done["file"], done["size"], done["held"], done["sha256"],
                          done["exit"], done["was_there"]),
                         ("app.bin", "app.bin", 95000, 95000, sha256(data(95000)), 0, False))
        self.assertEqual([(path, r["state"], r["progress"]) for path, r in broker.reports][-1],
                         ("app.bin", "verified", 100))
        failed = self.fails(5, broker, "nothing", "--json")
        self.assertEqual([(e["event"], e.get("exit")) for e in map(json.loads, failed.out)],
                         [("connected", None), ("finished", 5), ("end", 5)])

    def test_small_gaps_only(self):
        content = data(95000)
        with open(self.path("app.bin.part"), "wb") as part:
            part.write(content)
        with open(self.path("app.bin.part.json"), "w", encoding="ascii") as out:
            json.dump({"path": "app.bin", "size": 95000, "sha256": sha256(content),
                       "have": [[0, 1], [7, 50000], [60000, 34990]]}, out)
        broker = self.offers({"app.bin": content})
        self.get_ok(broker, *SMALL, "app.bin")
        self.assertEqual(sorted((o, l) for o, l, _ in broker.blocks()), [(1, 6), (50007, 9993), (94990, 10)])
        self.has("app.bin", content)


if __name__ == "__main__":
    unittest.main()
