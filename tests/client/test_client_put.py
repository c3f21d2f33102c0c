# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Small files in one message, brokers that do not know it, and what `init` asks to be told."""
import json
import os
import signal
import unittest

from clientcase import ClientCase, data, sha256
from fakebroker import CUT, CUT_MUTE, HOLD, MUTE, SUBSCRIBE, SWALLOW, Answer
from proxy import Proxy
from test_client_real import RealCase

import harness
from ondisk import eventually

ALL = ("init", "segment", "fin")
NOT_KNOWN = "does not know put"


def once(command, answer):
    """Gives this to the first command of that kind."""
    state = {"done": False}

    def script(_conn, packet):
        if packet.command != command or state["done"]:
            return None
        state["done"] = True
        return answer
    return script


class PutCase(ClientCase):
    @staticmethod
    def commands(broker):
        return [p.command for p in broker.of()]

    def several(self, count=5, size=3000):
        return [self.file(size, f"f{n}", n) for n in range(count)]

    def hold_all(self, broker, count=5, size=3000):
        held = sorted(sha256(t.bytes()) for t in broker.transfers.values() if t.complete)
        self.assertEqual(held, sorted(sha256(data(size, n)) for n in range(count)))


class OneMessage(PutCase):
    def test_a_small_file_is_one_message_with_its_checksum(self):
        for version in ("5", "311"):
            with self.subTest(version):
                broker = self.broker()
                program = self.put_ok(broker, "-V", version, self.file(3000))
                put, = broker.of()
                self.assertEqual(put.topic.split("/")[2:], ["put", "file.bin", sha256(data(3000))])
                self.assertEqual((put.qos, put.payload), (1, data(3000)))
                self.assertIn("2.9 KiB sent", program.out[-1])

    def test_so_are_many_and_empty_ones(self):
        broker = self.broker()
        self.put_ok(broker, *self.several(), self.file(0, "empty"))
        self.assertEqual(self.commands(broker), ["put"] * 6)
        self.assertTrue(all(t.complete for t in broker.transfers.values()))

    def test_many_are_on_their_way_at_once_and_no_more_than_the_broker_takes(self):
        broker = self.broker(lambda _conn, p: HOLD if p.command == "put" and
                             not p.topic.endswith("/f0/" + sha256(data(3000, 0))) else None,
                             receive_max=4)
        program = self.put(broker, *self.several(10))
        broker.wait(lambda: len(broker.of("put")) == 4, "the first one, and three more")
        broker.script = None
        broker.release()
        self.assertEqual(program.wait(), 0, program.err)
        self.hold_all(broker, 10)

    def test_what_only_init_can_tell_goes_by_init(self):
        for option in (("--user-data", '{"a":1}'), ("--expire", "3600"), ("--ttl", "3600")):
            with self.subTest(option):
                broker = self.broker()
                self.put_ok(broker, *option, self.file(3000))
                self.assertEqual(self.commands(broker), list(ALL))

    def test_names_that_are_no_level_of_a_topic_go_by_init(self):
        for name in ("a+b", "c#"):
            with self.subTest(name):
                broker = self.broker()
                self.put_ok(broker, "--name", name, self.file(3000))
                self.assertEqual(self.commands(broker), list(ALL))
                self.assertEqual(broker.only().init["name"], name)

    def test_what_is_larger_than_a_segment_goes_by_init(self):
        broker = self.broker()
        self.put_ok(broker, "--segment-size", "2999", self.file(3000))
        self.assertEqual(self.commands(broker), ["init", "segment", "segment", "fin"])
        broker = self.broker(max_packet=3000)
        self.put_ok(broker, self.file(3000))
        self.assertEqual(self.commands(broker)[0], "init")

    def test_the_longest_id_and_name_fit(self):
        broker = self.broker()
        self.put_ok(broker, "--file-id", "i" * 255, "--name", "n" * 240, self.file(3000))
        self.assertEqual(self.commands(broker), ["put"])
        self.holds(broker, data(3000))

    def test_no_resume_forgets_and_puts(self):
        broker = self.broker()
        self.put_ok(broker, "--no-resume", self.file(3000))
        self.assertEqual(self.commands(broker), ["abort", "put"])


class NotKnown(PutCase):
    ANSWERS = {"an older plugin": Answer("invalid_file_command", 0x83),
               "EMQX": Answer("unspecified_error", 0x80),
               "EMQX, silent": Answer(None, None, 0x80),
               "refused, silent": Answer(None, None, 0x83),
               "accepted, silent": Answer(None, None, 0),
               "no subscriber": Answer(None, None, 0x10)}

    def test_one_attempt_then_all_go_by_init(self):
        for who, answer in self.ANSWERS.items():
            for version in ("5", "311"):
                with self.subTest(who, version=version):
                    broker = self.broker(lambda _c, p, a=answer: a if p.command == "put" else None)
                    program = self.put_ok(broker, "--verbose", "--timeout", "6", "-V", version,
                                          *self.several())
                    self.hold_all(broker)
                    self.assertEqual(len(broker.of("put")), 1)
                    self.assertEqual(sum(NOT_KNOWN in line for line in program.out), 1)

    def test_it_is_told_with_verbose_only(self):
        broker = self.broker(puts=False)
        program = self.put_ok(broker, *self.several())
        self.assertNotIn(NOT_KNOWN, "".join(program.out + program.err))
        program = self.put_ok(self.broker(puts=False), "--json", self.file(10, "new"))
        self.assertIn("in_parts", [json.loads(line).get("event") for line in program.out])

    def test_a_lost_response_is_no_sign_of_it(self):
        """The broker has the file, as init tells: the others go in one message as well."""
        broker = self.broker(once("put", MUTE))
        self.put_ok(broker, *self.several())
        self.hold_all(broker)
        self.assertEqual(sorted(self.commands(broker)), ["fin", "init"] + ["put"] * 5)

    def test_a_broker_without_the_plugin_is_told_as_ever(self):
        broker = self.broker(lambda _conn, p: Answer(None, None, 0x10) if p.command else None)
        program = self.put(broker, self.file())
        self.assertEqual(program.wait(), 4)
        self.assertIn("plugin", program.err[-1])


class Failures(PutCase):
    def upload(self, script, *arguments, code=0):
        broker = self.broker(script)
        program = self.put(broker, *arguments)
        self.assertEqual(program.wait(), code, program.err)
        return broker, program

    def test_after_a_lost_link_the_broker_is_asked_before_anything_is_sent_again(self):
        broker, _ = self.upload(once("put", CUT_MUTE), self.file(3000))
        self.assertEqual(self.commands(broker), ["put", "init", "fin"])
        self.holds(broker, data(3000))

    def test_what_was_lost_with_the_link_is_sent_again(self):
        broker, _ = self.upload(once("put", CUT), self.file(3000))
        self.assertEqual(self.commands(broker), ["put", *ALL])
        self.holds(broker, data(3000))

    def test_silence_is_taken_for_a_dead_link(self):
        broker, program = self.upload(once("put", SWALLOW), "--ack-timeout", "5", self.file(3000))
        self.assertEqual(len(broker.connections), 2)
        self.assertIn("no acknowledgement", "".join(program.out))
        self.holds(broker, data(3000))

    def test_damage_on_the_way_is_repaired_but_not_for_ever(self):
        broken = Answer("file_checksum_mismatch", 0x10)
        broker, _ = self.upload(once("put", broken), self.file(3000))
        self.assertEqual(self.commands(broker), ["put", "put"])
        broker, program = self.upload(lambda _c, p: broken if p.command == "put" else None,
                                      self.file(3000, "other"), code=6)
        self.assertIn("file_checksum_mismatch", program.err[-1])
        self.assertLess(len(broker.of("put")), 6)

    def test_a_pause_stops_this_file_only(self):
        broker, _ = self.upload(once("put", Answer("disk_full", 0x97, None, {"retry_after": 2})),
                                *self.several())
        self.hold_all(broker)
        puts = broker.of("put")
        again = [p for p in puts if p.file == puts[0].file]
        self.assertEqual(len(puts), 6)
        self.assertGreaterEqual(again[1].time - again[0].time, 1.9)
        self.assertLess(max(p.time for p in puts if p.file != puts[0].file) - puts[0].time, 1.9)

    def test_a_rate_is_kept_by_all(self):
        broker, _ = self.upload(once("put", Answer("rate_limited", 0x97, None, {"retry_after": 2})),
                                *self.several())
        times = [p.time for p in broker.of("put")]
        self.assertGreaterEqual(times[1] - times[0], 1.9)

    def test_a_pause_that_only_the_puback_tells_is_kept_too(self):
        broker, _ = self.upload(once("put", Answer(None, None, 0x97)), self.file(3000))
        self.assertEqual(self.commands(broker), ["put", "put"])

    def test_errors_of_the_disk_are_tried_again(self):
        broker, _ = self.upload(once("put", Answer("io_error", 0x80)), self.file(3000))
        self.assertEqual(self.commands(broker), ["put", "put"])

    def test_an_id_that_is_taken_is_changed(self):
        for word in ("filemeta_conflict", "already_complete"):
            with self.subTest(word):
                broker, _ = self.upload(once("put", Answer(word, 0x83)), self.file(3000, word))
                self.assertEqual(self.commands(broker), ["put", "put"])
                self.assertEqual(len({p.file for p in broker.of("put")}), 2)

    def test_what_is_too_large_for_one_message_goes_in_parts(self):
        broker, program = self.upload(once("put", Answer("segment_too_large", 0x83)), "--verbose",
                                      self.file(3000), self.file(1000, "less", 2))
        self.assertEqual(sorted(self.commands(broker)),
                         ["fin", "init", "put", "put", "segment", "segment"])
        self.assertNotIn(NOT_KNOWN, "".join(program.out))

    def test_what_is_refused_is_refused_with_the_reason(self):
        for word in ("name_refused", "file_too_large", "invalid_filemeta"):
            with self.subTest(word):
                broker, program = self.upload(once("put", Answer(word, 0x83)),
                                              self.file(3000, word), code=5)
                self.assertEqual(self.commands(broker), ["put"])
                self.assertIn(word, program.err[-1])

    def test_a_change_that_neither_size_nor_time_shows_is_noticed(self):
        path = self.file(3000)
        stat = os.stat(path)

        def change(_conn, packet):
            if packet.kind == SUBSCRIBE:
                with open(path, "r+b") as out:
                    out.write(data(3000, 2))
                os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        broker, program = self.upload(change, path)
        done, = (t for t in broker.transfers.values() if t.complete)
        self.assertEqual(done.bytes(), data(3000, 2))
        self.assertIn(sha256(data(3000, 2)), broker.of("put")[0].topic)
        self.assertIn("under a new one", "".join(program.out))


class NextRun(PutCase):
    def test_what_was_delivered_is_asked_for_and_not_sent_again(self):
        broker = self.broker()
        files = self.several()
        self.put_ok(broker, *files)
        before = len(broker.seen)
        program = self.put_ok(broker, *files, self.file(3000, "new", 9))
        more = [p.command for p in broker.seen[before:] if p.command]
        self.assertEqual(sorted(more), ["fin"] * 5 + ["init"] * 5 + ["put"])
        self.assertIn("6 of 6", program.out[-1])

    def test_no_resume_does_not_send_again_what_is_finished(self):
        broker = self.broker()
        path = self.file(3000)
        for _ in range(2):
            self.put_ok(broker, "--no-resume", "--state-dir", "", path)
        self.assertEqual(self.commands(broker), ["abort", "put", "abort", "init", "fin"])

    def test_one_that_was_killed_is_asked_for(self):
        broker = self.broker(lambda _conn, p: HOLD if p.command == "put" else None)
        path = self.file(3000)
        program = self.put(broker, path)
        broker.wait(lambda: broker.of("put"), "put")
        program.signal(signal.SIGTERM)
        self.assertEqual(program.wait(), 8)
        broker.script = None
        self.put_ok(broker, path)
        self.assertEqual(self.commands(broker), ["put", "init", "fin"])

    def test_one_that_init_has_begun_is_not_in_conflict(self):
        """Nor the other way round: both say the same checksum."""
        broker = self.broker(lambda _conn, p: SWALLOW if p.command == "segment" else None)
        path = self.file(3000)
        program = self.put(broker, "--user-data", "1", path)
        broker.wait(broker.segments, "a segment")
        program.kill()
        broker.script = None
        self.put_ok(broker, path)
        self.assertEqual(broker.of()[-1].command, "put")
        self.holds(broker, data(3000))
        self.put_ok(broker, "--user-data", "2", path)
        self.assertEqual(len(broker.transfers), 1)


class Responses(PutCase):
    def asked(self, broker):
        return [json.loads(p.payload)["responses"] for p in broker.of("init")]

    def test_of_segments_only_errors_are_answered_where_pubacks_tell(self):
        for version, wanted in (("5", "errors"), ("311", "all")):
            with self.subTest(version):
                broker = self.broker()
                self.put_ok(broker, "-V", version, self.file(50000))
                self.assertEqual(self.asked(broker), [wanted])
                self.holds(broker, data(50000))

    def test_a_broker_that_cannot_say_0_is_asked_for_all(self):
        broker = self.broker(vague=True)
        self.put_ok(broker, self.file(50000), self.file(60000, "two", 2))
        self.assertEqual({t.init["responses"] for t in broker.transfers.values()}, {"all"})
        self.assertLessEqual(len(broker.of("init")), 4)
        took = broker.of("fin")[-1].time - broker.of("init")[0].time
        self.assertLess(took, 1.9, "it waited for responses that it had not asked for")
        broker = self.broker(vague=True)
        self.put_ok(broker, *self.several())
        self.assertEqual(self.commands(broker), ["put"] * 5)

    def test_one_that_loses_the_ability_on_the_way_is_asked_again(self):
        broker = self.broker()

        def script(_conn, packet):
            broker.vague = broker.vague or packet.command == "segment" and packet.offset >= 20000
        broker.script = script
        self.put_ok(broker, "--segment-size", "10000", self.file(50000))
        self.assertEqual(self.asked(broker), ["errors", "all"])
        self.holds(broker, data(50000))


class Real(RealCase):
    def small(self, count=300, most=4096):
        paths = [self.file(n * most // count, f"tree/f{n}", n) for n in range(count)]
        wanted = {sha256(data(n * most // count, n)): 1 for n in range(count)}
        return paths, wanted

    def test_small_files_arrive_once_though_the_broker_is_killed(self):
        paths, wanted = self.small()
        broker = self.real_broker()
        proxy = Proxy(broker.port)
        self.addCleanup(proxy.close)
        program = self.put(proxy, "--rate", "300k", "--reconnect", "always", *paths)
        for share in (4, 2):
            eventually(lambda n=share: len(self.stored(broker)) >= len(paths) // n,
                       f"files; {program.out}")
            broker.kill9()
            broker.start(wait_for_sink=False)
            proxy.target = broker.port
        self.assertEqual(program.wait(60), 0, program.err)
        self.assertEqual(self.stored(broker), wanted)

    def test_put_and_init_of_two_runs_mean_the_same_transfer(self):
        paths, wanted = self.small(10)
        broker = self.real_broker()
        self.put_ok(broker, *paths)
        self.put_ok(broker, "--user-data", "{}", *paths)
        self.put_ok(broker, *paths)
        self.assertEqual(self.stored(broker), wanted)

    def test_mqtt_3_hears_of_its_segments_though_the_operator_is_sparing(self):
        broker = harness.Broker(self._testMethodName,
                                {"durability": "none", "segment_responses": "errors"})
        self.addCleanup(self.end, broker)
        broker.start()
        for version in ("5", "311"):
            self.put_ok(broker, "-V", version, self.file(500000, version, int(version)))
        self.assertEqual(len(self.stored(broker)), 2)


if __name__ == "__main__":
    unittest.main()
