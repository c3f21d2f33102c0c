# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Between fin and its result: a disk that stalls holds the assembly until the test lets go."""
import os
import signal
import time

from device import pieces
from harness import Case, compiled, rows, spread
from ondisk import eventually, sha256
from rawmqtt import DISCONNECT, SCALE, Timeout, packet

CONTENT = os.urandom(50_000)
SIZE = len(CONTENT)
FIN = f"$file/f/fin/{SIZE}"
BOTH = (("v3", 4), ("v5", 5))


class StalledDisk(Case):
    """One broker each, with a disk that stalls when the test wants it."""

    shared = False

    def setUp(self):
        super().setUp()
        self.broker = self.start_broker(start=False, preload=compiled("hold_sync.so", "-ldl"))
        self.hold = os.path.join(self.broker.dir, "hold")
        self.broker.environment["FT_HOLD"] = self.hold
        self.broker.start()
        self.addCleanup(self.release)

    def hold_sync(self, suffix=""):
        with open(self.hold + suffix, "w", encoding="ascii"):
            pass

    def release(self):
        for path in (self.hold, self.hold + ".read"):
            if os.path.exists(path):
                os.unlink(path)

    def uploaded(self, client="dev", version=5, file="f", **options):
        device = self.device(client, version, **options)
        self.ok(device.init(file, size=SIZE, checksum=sha256(CONTENT)))
        for offset, data in pieces(CONTENT, 10_000):
            self.ok(device.segment(file, offset, data))
        return device

    def assembling(self, version=5, **options):
        """A device whose fin was accepted and is held; returns it and the ticket of fin."""
        device = self.uploaded(version=version, **options)
        self.hold_sync()
        ticket = device.send(FIN)
        device.wait(lambda: ticket[0] in device.acks, what="PUBACK of fin")
        return device, ticket

    def finished(self):
        self.broker.storage.check_finished(self, "dev", "f", "data.bin", CONTENT)

    def path(self):
        return self.broker.storage.finished("dev", "f", "data.bin")


@spread
class Held(StalledDisk):
    """fsync is held once the bytes are there."""

    @rows(*BOTH)
    def test_fin_is_acknowledged_before_its_result_is_told(self, version):
        device, ticket = self.assembling(version)
        self.assertEqual(device.acks[ticket[0]], 0)
        device.ping()
        self.assertEqual(list(device.messages), [])
        self.assertFalse(os.path.exists(self.path()))
        self.release()
        self.ok(device.answer(ticket))
        self.finished()

    @rows(*BOTH)
    def test_a_segment_is_busy(self, version):
        device, ticket = self.assembling(version)
        self.answered(device.segment("f", 0, CONTENT[:999]), "busy")
        self.answered(device.segment("f", 0, b"x" * 999), "busy")
        self.answered(device.segment("f", SIZE, b"beyond"), "busy")
        self.release()
        self.ok(device.answer(ticket))
        self.finished()

    @rows(*BOTH)
    def test_init_and_status_say_assembling(self, version):
        device, ticket = self.assembling(version)
        for answer in (device.status("f"), device.init("f", size=SIZE, checksum=sha256(CONTENT))):
            self.ok(answer, state="assembling", received=SIZE, have=[[0, SIZE]])
        self.answered(device.init("f", "other"), "filemeta_conflict")
        self.release()
        self.ok(device.answer(ticket))

    @rows(*BOTH)
    def test_one_result_answers_every_fin(self, version):
        device, ticket = self.assembling(version)
        more = [device.send(FIN), device.send(FIN.replace("$file", "$file-async")), device.send(FIN)]
        device.ping()
        self.assertEqual(list(device.messages), [])
        self.release()
        for each in [ticket, *more]:
            self.ok(device.answer(each))
        self.finished()

    @rows(*BOTH)
    def test_others_are_served_while_the_disk_stalls(self, version):
        device, ticket = self.assembling(version)
        other = self.device("other", version)
        began = time.monotonic()
        self.ok(other.init("g"))
        for offset, data in pieces(CONTENT, 5000):
            self.ok(other.segment("g", offset, data))
        asked = other.send("$file/g/abort")
        other.ping()
        self.assertLess(time.monotonic() - began, 20 * SCALE)
        self.release()
        self.ok(other.answer(asked))
        self.ok(device.answer(ticket))

    def test_files_that_wait_their_turn_are_all_finished(self):
        devices = [self.uploaded(f"dev{n}", file=f"f{n}") for n in range(12)]
        self.hold_sync()
        tickets = [device.send(f"$file/f{n}/fin/{SIZE}") for n, device in enumerate(devices)]
        for device in devices:
            device.ping()
        self.release()
        for number, (device, ticket) in enumerate(zip(devices, tickets)):
            answer = device.answer(ticket)
            while answer.word == "busy":
                answer = device.fin(f"f{number}", SIZE)
            self.ok(answer)
            self.broker.storage.check_finished(self, f"dev{number}", f"f{number}", "data.bin",
                                               CONTENT)

    @rows(("v3", 4), ("v5", 5))
    def test_a_durable_session_that_was_away_finds_the_result(self, version):
        options = {"session_expiry": 300} if version == 5 else {}
        device, _ = self.assembling(version, clean=False, **options)
        device.send_raw(packet(DISCONNECT, 0, b""))
        device.wait_closed()
        device.drop()
        self.release()
        eventually(lambda: os.path.exists(self.path()), "the file")
        self.assertTrue(device.connect().connack.session_present)
        if self.keeps_messages_for_absent_clients(self.broker):
            self.assertIn(b'"success"', device.message(device.response_topic).payload)
        self.ok(device.fin("f", SIZE))
        self.finished()

    def test_a_client_that_comes_back_hears_the_result_of_its_new_fin(self):
        device, _ = self.assembling()
        device.drop()
        again = self.device("dev")
        self.ok(again.status("f"), state="assembling")
        ticket = again.send(FIN)
        again.ping()
        self.release()
        self.ok(again.answer(ticket))

    def test_what_was_accepted_is_carried_out_after_kill_9(self):
        """Nobody asks for it again, and the result is told where it was to go."""
        self.assembling()
        self.broker.kill9()
        self.release()
        self.assertFalse(os.path.exists(self.path()))
        self.broker.start()
        eventually(lambda: os.path.exists(self.path()), "the file")
        self.finished()
        self.ok(self.device("dev").fin("f", SIZE))

    def test_a_stop_waits_for_the_disk_and_fin_again_succeeds(self):
        self.assembling()
        self.broker.process.send_signal(signal.SIGTERM)
        self.release()
        self.broker.stop()
        self.broker.start()
        device = self.device("dev")
        self.ok(device.fin("f", SIZE))
        self.finished()

    def test_an_abort_is_final_or_comes_too_late(self):
        device, ticket = self.assembling()
        asked = device.send("$file/f/abort")
        device.ping()
        self.release()
        abort = device.answer(asked)  # what is said to be gone is gone from the disk
        if abort.word != "success":
            # Its acknowledgement could not know yet.
            self.answered(abort, "already_complete", ack=0)
            self.ok(device.answer(ticket))
            self.finished()
            return
        self.ok(device.status("f"), state="none")
        self.assertNotEqual(device.answer(ticket).word, "success")
        self.ok(device.init("f", "again.bin"))
        self.ok(device.segment("f", 0, b"other"))
        self.ok(device.fin("f", 5))
        self.broker.storage.check_finished(self, "dev", "f", "again.bin", b"other")
        self.assertFalse(os.path.exists(self.path()))

    def test_a_stalled_disk_ends_in_a_timeout_and_the_bytes_stay(self):
        self.broker.stop()
        self.broker.options["assemble_timeout"] = "1s"
        self.broker.start()
        device, ticket = self.assembling()
        self.told_timeout(device, ticket)

    def test_slow_reading_ends_in_a_timeout_and_the_bytes_stay(self):
        self.broker.stop()
        self.broker.options["assemble_timeout"] = "1s"
        self.broker.start()
        device = self.device("dev")
        chunk = bytes(1 << 20)
        self.ok(device.init("f"))
        self.hold_sync(".read")
        for offset in range(24, -1, -1):
            self.ok(device.segment("f", offset << 20, chunk))
        ticket = device.send(f"$file/f/fin/{25 << 20}")
        self.told_timeout(device, ticket, 25 << 20)

    def told_timeout(self, device, ticket, size=SIZE):
        try:
            answer = device.answer(ticket, 4)
        except Timeout:  # the word may have to wait for the disk
            self.release()
            answer = self.answer_again(device, ticket)
        self.release()
        self.answered(answer, "timeout", ack=0)
        self.assertFalse(os.path.exists(self.path()))
        self.ok(device.status("f"), received=size)

        def finished():
            again = device.fin("f", size)
            # Its own second may be too short for a slow disk: that is another timeout.
            return again.word == "success" \
                or again.word not in ("busy", "timeout") and self.fail(again)
        eventually(finished, "a second fin")

    @staticmethod
    def answer_again(device, ticket):
        device.acks[ticket[0]] = 0  # was taken by the first attempt
        return device.answer(ticket)

    def test_the_broker_thread_never_waits_for_the_disk(self):
        """durability file: init, segments and status are answered while no fsync returns, and
        an abort, whose answer waits for the disk, keeps nobody waiting."""
        self.hold_sync()
        device = self.device("dev")
        self.ok(device.init("f"))
        for number in range(300):
            self.ok(device.segment("f", number * 1000, b"x" * 1000))
        self.ok(device.status("f"), received=300_000)
        self.answered(device.fin("f", 400_000), "incomplete")
        self.ok(device.init("f"))
        asked = device.send("$file/f/abort")
        device.ping()
        self.release()
        self.ok(device.answer(asked))


@spread
class Checkpointed(StalledDisk):
    """What a checkpoint covers counts after a power cut. What takes that back waits for the disk
    first, but in a thread that no client waits for."""

    def checkpointed(self):
        device = self.device("dev")
        self.ok(device.init("f", "n"))
        self.ok(device.segment("f", 0, b"hello"))
        eventually(lambda: self.broker.storage.catalog(
            "SELECT durable FROM unfinished WHERE file = 'f'") == [(5,)], "a checkpoint", 20)
        return device

    def test_an_init_that_says_something_new_waits_for_no_disk(self):
        """As of clients that compute expire_at anew when they resume."""
        device = self.checkpointed()
        self.hold_sync()
        self.ok(device.init("f", "n", expire_at=4102444800), state="receiving", received=5)
        self.broker.kill9()
        self.release()
        device = self.device("dev", broker=self.broker.start())
        self.ok(device.fin("f", 5))
        self.broker.storage.check_finished(self, "dev", "f", "n", b"hello", expire_at=4102444800)

    @rows(("overwrite", ["0"], b"jello"), ("begin_anew", ["init"], b'{"name":"n"}'))
    def test_a_change_of_it_keeps_nobody_waiting(self, commands, payload):
        other, device = self.device("other"), self.checkpointed()
        self.hold_sync()
        tickets = [device.send(f"$file/f/{command}", payload) for command in commands]
        for ticket in tickets:
            self.ok(device.answer(ticket))
        for _ in range(20):
            other.ping(5)
        self.release()


class SegmentDurability(StalledDisk):
    """durability segment is the exception: a segment waits for the disk."""

    options = {"durability": "segment"}

    def test_a_segment_waits_for_the_disk(self):
        device = self.device("dev")
        self.ok(device.init("f"))
        self.hold_sync()
        ticket = device.send("$file/f/0", b"x" * 1000)
        with self.assertRaises(Timeout):
            device.ping(0.5 / SCALE)
        self.release()
        self.ok(device.answer(ticket))

