# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""What the client does with each code: in the response, in the PUBACK alone, in MQTT 3.1.1."""
import unittest

from clientcase import ClientCase, data
from fakebroker import Answer

SIZE = 40000
ARGS = ("--segment-size", "10000", "--window", "2")
PARTS = ("--user-data", "{}")  # which cannot be told in one message


def once(command, answer, index=0):
    """Gives this answer to one command of that kind, once."""
    state = {"count": 0}

    def script(_conn, packet):
        if packet.command != command:
            return None
        state["count"] += 1
        return answer if state["count"] == index + 1 else None
    return script


class Codes(ClientCase):
    def upload(self, script, *more, **settings):
        broker = self.broker(script, **settings)
        program = self.put(broker, *ARGS, *more, self.file(SIZE))
        return broker, program, program.wait()

    def delivered(self, script, *more):
        broker, program, code = self.upload(script, *more)
        self.assertEqual(code, 0, program.err)
        self.holds(broker, data(SIZE))
        return broker, program

    def test_pauses_for_retry_after_and_sends_the_same_again(self):
        for version in ("5", "311"):
            with self.subTest(version):
                broker, program = self.delivered(
                    once("segment", Answer("rate_limited", 0x97, None, {"retry_after": 2}), 1),
                    "-V", version)
                sent = broker.segments()
                again = [s for s in sent if s.offset == 10000]
                self.assertEqual(len(again), 2)
                gap = again[1].time - again[0].time
                self.assertGreaterEqual(gap, 1.95)
                self.assertLess(gap, 15, "no longer than told, but for a busy machine")
                self.assertTrue(any("rate_limited" in line and "pausing" in line
                                    for line in program.out))

    def test_sends_nothing_at_all_during_the_pause(self):
        """No other file either, since the reason concerns the client."""
        broker = self.broker(once("segment", Answer("busy", 0x97, None, {"retry_after": 2})))
        self.put_ok(broker, *ARGS, *PARTS, *(self.file(5000, f"f{n}") for n in range(8)))
        first = broker.segments()[0].time
        early = [p for p in broker.of() if p.time - first < 1.9]
        self.assertEqual([p.command for p in early if p.command not in ("init", "segment")], [])
        self.assertLessEqual(len([p for p in early if p.command == "segment"]), 3,
                             "what was on its way, and no more")

    def test_too_many_transfers_stops_the_new_one_only(self):
        state = {"refused": 0.0}

        def script(_conn, packet):
            if packet.command == "init" and b'"f1"' in packet.payload and not state["refused"]:
                state["refused"] = packet.time
                return Answer("too_many_transfers", 0x97, None, {"retry_after": 4})
            return None
        broker = self.broker(script)
        self.put_ok(broker, *ARGS, *PARTS, *(self.file(5000, f"f{n}") for n in range(3)))
        refused, again = [p for p in broker.of("init") if b'"f1"' in p.payload]
        done = {p.file: p.time for p in broker.of("fin")}
        self.assertGreaterEqual(again.time - refused.time, 3.9)
        self.assertEqual(sum(1 for t in done.values() if t < again.time), 2)

    def test_a_file_that_finds_no_room_holds_up_no_other(self):
        """disk_full for an init tells of its size, busy for a fin of what is being finished."""
        for command in ("init", "fin"):
            with self.subTest(command):
                held = []

                def script(_conn, packet):
                    if packet.command == "init" and b'"large"' in packet.payload:
                        held[:1] = [packet.file]
                    if packet.command != command or packet.file not in held or len(held) > 2:
                        return None
                    held.append(packet.file)
                    return Answer("disk_full", 0x97, None, {"retry_after": 3})
                broker = self.broker(script)
                self.put_ok(broker, *ARGS, *PARTS, self.file(100, "large"), self.file(200000, "small"))
                small, = (f for f, t in broker.transfers.items() if t.init["name"] == "small")
                refused = [p for p in broker.of(command) if p.file == held[0]]
                self.assertGreaterEqual(refused[1].time - refused[0].time, 2.9)
                done, = (p.time for p in broker.of("fin") if p.file == small)
                self.assertLess(done - refused[0].time, 2.9, "it waited")

    def test_a_pause_at_init_and_at_fin_is_kept_too(self):
        for command in ("init", "fin"):
            with self.subTest(command):
                broker, _ = self.delivered(
                    once(command, Answer("busy", 0x97, None, {"retry_after": 1})))
                asked = broker.of(command)
                self.assertGreaterEqual(asked[1].time - asked[0].time, 0.95)

    def test_sends_a_segment_again_on_0x80(self):
        for version in ("5", "311"):
            for word in ("checksum_mismatch", "io_error"):
                with self.subTest(version=version, word=word):
                    broker, _ = self.delivered(once("segment", Answer(word, 0x80), 2),
                                               "-V", version)
                    self.assertEqual(sorted(s.offset for s in broker.segments()),
                                     [0, 10000, 20000, 20000, 30000])

    def test_starts_over_on_0x10(self):
        def script(_conn, packet):
            if packet.command == "segment" and packet.offset == 20000 and not state["lost"]:
                state["lost"] = True
                broker.transfers.clear()
                return Answer("no_such_transfer", 0x10)
            return None
        for version in ("5", "311"):
            with self.subTest(version):
                state = {"lost": False}
                broker = self.broker(script)
                program = self.put(broker, *ARGS, "-V", version, self.file(SIZE))
                self.assertEqual(program.wait(), 0, program.err)
                self.holds(broker, data(SIZE))
                self.assertEqual(len(broker.of("init")), 2)

    def test_starts_over_where_the_checksum_of_the_file_does_not_fit(self):
        broker, _ = self.delivered(once("fin", Answer("file_checksum_mismatch", 0x10)))
        self.assertEqual(len(broker.of("abort")), 1)
        self.assertEqual(len(broker.segments()), 8)

    def test_sends_exactly_what_fin_calls_missing(self):
        broker, _ = self.delivered(
            once("fin", Answer("incomplete", 0x80, None, {"missing": [[5000, 100], [30000, 7]]})))
        self.assertEqual([(s.offset, len(s.payload)) for s in broker.segments()[4:]],
                         [(5000, 100), (30000, 7)])

    def test_gives_up_on_0x83_and_says_why(self):
        for command in ("init", "segment", "fin"):
            for version in ("5", "311"):
                with self.subTest(command=command, version=version):
                    broker, program, code = self.upload(
                        once(command, Answer("file_too_large", 0x83)), "-V", version)
                    self.assertEqual(code, 5)
                    self.assertIn("file_too_large", program.err[-1])
                    count = {"init": 0, "segment": 2, "fin": 4}[command]
                    self.assertLessEqual(len(broker.segments()), count)

    def test_chooses_smaller_segments_where_they_are_too_large_and_ours_to_choose(self):
        def script(_conn, packet):
            if packet.command == "segment" and len(packet.payload) > 7000:
                return Answer("segment_too_large", 0x83)
            return None
        broker = self.broker(script)
        self.put_ok(broker, self.file(SIZE))
        self.holds(broker, data(SIZE))

    def test_says_to_use_a_smaller_segment_size_where_it_was_given(self):
        _, program, code = self.upload(once("segment", Answer("segment_too_large", 0x83)))
        self.assertEqual(code, 5)
        self.assertIn("smaller --segment-size", program.err[-1])

    def test_a_puback_without_a_response_counts_after_a_moment(self):
        for puback, outcome in ((0x80, 0), (0x97, 0), (0x10, 0), (0x83, 5), (0x87, 5)):
            with self.subTest(hex(puback)):
                broker, program, code = self.upload(once("segment", Answer(None, None, puback)))
                self.assertEqual(code, outcome, program.err)
                if outcome == 0:
                    self.holds(broker, data(SIZE))

    def test_waits_for_the_response_to_a_puback_that_says_no(self):
        """0x87 stands for many words; the response tells which."""
        broker, _ = self.delivered(once("segment", Answer("checksum_mismatch", 0x80, 0x87)))
        self.assertEqual(len(broker.segments()), 5)

    def test_uses_a_new_id_where_the_old_one_has_other_content(self):
        broker, _, code = self.upload(once("init", Answer("filemeta_conflict", 0x83)))
        self.assertEqual(code, 0)
        ids = [p.file for p in broker.of("init")]
        self.assertEqual(len(set(ids)), 2)

    def test_does_not_start_over_for_ever(self):
        def script(_conn, packet):
            return Answer("no_such_transfer", 0x10) if packet.command == "segment" else None
        broker, _, code = self.upload(script)
        self.assertEqual(code, 6)
        self.assertLess(len(broker.of("init")), 6)

    def test_tells_a_broker_without_the_plugin(self):
        def script(_conn, packet):
            return Answer(None, None, 0x10) if packet.command else None
        _, program, code = self.upload(script)
        self.assertEqual(code, 4)
        self.assertIn("plugin", program.err[-1])

    def test_patience_ends_where_the_broker_is_busy_for_ever(self):
        def script(_conn, packet):
            return Answer("busy", 0x97, None, {"retry_after": 1}) if packet.command else None
        _, program, code = self.upload(script, "--timeout", "3")
        self.assertEqual(code, 6)
        self.assertIn("busy", program.err[-1])


if __name__ == "__main__":
    unittest.main()
