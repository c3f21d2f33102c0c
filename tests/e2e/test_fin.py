# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""fin: what it checks, who is told, and what is there afterwards."""
import os
import random

from harness import Case, rows, spread
from ondisk import eventually, sha256
from rawmqtt import DISCONNECT, packet

BOTH = (("v3", 4), ("v5", 5))
A, B = b"0123456789", b"abcdefghij"


@spread
class Fin(Case):
    """One transfer each."""

    def begun(self, content=A, version=5, **meta):
        device = self.device(version=version)
        self.ok(device.init("f", **meta))
        if content:
            self.ok(device.segment("f", 0, content))
        return device

    def finished(self, device, content, **manifest):
        self.broker.storage.check_finished(self, device.client_id, "f", "data.bin", content,
                                           **manifest)

    @rows(*BOTH)
    def test_missing_bytes_are_named(self, version):
        device = self.begun(b"", version)
        self.answered(device.fin("f", 10), "incomplete", missing=[[0, 10]])
        self.ok(device.segment("f", 2, b"23"))
        self.ok(device.segment("f", 6, b"67"))
        self.answered(device.fin("f", 10), "incomplete", missing=[[0, 2], [4, 2], [8, 2]])
        self.answered(device.fin("f", 7), "incomplete", missing=[[0, 2], [4, 2]])
        self.answered(device.fin("f", 2**63 - 1), "incomplete",
                      missing=[[0, 2], [4, 2], [8, 2**63 - 9]])
        for offset, data in ((0, b"01"), (4, b"45"), (8, b"89")):
            self.ok(device.segment("f", offset, data))
        self.ok(device.fin("f", 10))
        self.finished(device, A)

    @rows(*BOTH)
    def test_a_wrong_checksum_keeps_the_bytes_and_a_better_fin_succeeds(self, version):
        device = self.begun(A, version)
        self.answered(device.fin("f", 10, sha256(B)), "file_checksum_mismatch")
        self.assertEqual(self.broker.storage.finished_files(), self.others(device))
        self.ok(device.status("f"), state="receiving", received=10)
        for offset in range(0, 10, 5):
            self.ok(device.segment("f", offset, B[offset:offset + 5]))
        self.ok(device.fin("f", 10, sha256(B)))
        self.finished(device, B)

    def others(self, device):
        own = b"/%s/" % device.client_id.encode()
        return [path for path in self.broker.storage.finished_files() if own not in path]

    def test_the_checksum_of_init_is_verified(self):
        device = self.begun(A, checksum=sha256(B))
        self.answered(device.fin("f", 10), "file_checksum_mismatch")
        self.ok(device.segment("f", 0, B))
        self.ok(device.fin("f", 10))
        self.finished(device, B)

    def test_the_checksum_of_fin_wins_over_that_of_init(self):
        device = self.begun(A, checksum=sha256(B))
        self.ok(device.fin("f", 10, sha256(A)))
        self.finished(device, A)

    def test_a_right_checksum_of_init_does_not_help_a_wrong_one_of_fin(self):
        device = self.begun(A, checksum=sha256(A))
        self.answered(device.fin("f", 10, sha256(B)), "file_checksum_mismatch")

    @rows(("with_nothing_held", b""), ("with_bytes_held", A))
    def test_fin_0_makes_an_empty_file(self, content):
        device = self.begun(content)
        self.ok(device.fin("f", 0, sha256(b"")))
        self.finished(device, b"")

    def test_bytes_beyond_the_size_are_cut_off(self):
        device = self.begun(A + B)
        self.ok(device.fin("f", 10, sha256(A)))
        self.finished(device, A)
        self.ok(device.status("f"), state="complete", received=10, have=[[0, 10]])

    def test_the_size_of_init_is_only_informational(self):
        device = self.begun(A, size=100)
        self.ok(device.fin("f", 10))
        self.finished(device, A)

    @rows(*BOTH)
    def test_a_repeated_fin_is_answered_again_and_another_is_not(self, version):
        device = self.begun(A, version)
        for _ in range(3):
            self.ok(device.fin("f", 10))
        self.ok(device.fin("f", 10, sha256(A)))
        for size, checksum in ((9, None), (11, None), (10, sha256(B)), (0, None)):
            self.answered(device.fin("f", size, checksum), "already_complete")
        self.finished(device, A)

    def test_the_result_is_told_again_after_a_restart(self):
        broker = self.start_broker()
        device = self.device("again", broker=broker)
        self.ok(device.upload("f", A, checksum=sha256(A)))
        for stop in (broker.stop, broker.kill9):
            stop()
            broker.start()
            device = self.device("again", broker=broker)
            self.ok(device.status("f"), state="complete", received=10, have=[[0, 10]])
            self.ok(device.init("f", size=10), state="complete")
            self.ok(device.fin("f", 10, sha256(A)))
            self.answered(device.fin("f", 11), "already_complete")
            self.ok(device.segment("f", 3, b"34"))
            self.answered(device.segment("f", 3, b"xx"), "already_complete")
            self.answered(device.abort("f"), "already_complete")
        broker.storage.check_finished(self, "again", "f", "data.bin", A)

    @rows(*BOTH)
    def test_two_fins_at_once_are_both_answered(self, version):
        device = self.begun(A, version)
        tickets = [device.send("$file/f/fin/10") for _ in range(2)]
        for ticket in tickets:
            self.ok(device.answer(ticket))
        self.finished(device, A)

    @rows(*BOTH)
    def test_two_different_fins_at_once_are_answered_by_the_result_or_told_to_wait(self, version):
        device = self.begun(A, version)
        tickets = [device.send("$file/f/fin/10"), device.send("$file/f/fin/10/" + sha256(A)),
                   device.send("$file/f/fin/9")]
        first, second, third = [device.answer(ticket) for ticket in tickets]
        self.ok(first)
        self.answered(second, "busy" if second.word == "busy" else "success")
        self.answered(third, "busy" if third.word == "busy" else "already_complete")
        self.finished(device, A)

    def test_a_place_that_is_taken_costs_no_bytes_and_is_left_alone(self):
        """A file without its manifest is not ours to replace; nor is it a disk that failed."""
        device = self.begun(A)
        place = os.path.join(self.broker.storage.path, "files", device.client_id, "f")
        os.makedirs(place, 0o750)
        path = os.path.join(place, "data.bin")
        with open(path, "wb") as other:
            other.write(B)
        for _ in range(2):
            self.answered(device.fin("f", 10), "already_complete")
            self.ok(device.status("f"), state="receiving", received=10)
        with open(path, "rb") as other:
            self.assertEqual(other.read(), B)
        os.remove(path)
        self.ok(device.fin("f", 10))
        self.finished(device, A)

    def test_nothing_is_visible_before_it_is_complete(self):
        device = self.begun(A[:5])
        self.answered(device.fin("f", 10), "incomplete")
        self.assertEqual(self.broker.storage.finished_files(), self.others(device))

    def test_nothing_is_left_in_incoming_afterwards(self):
        device = self.begun()
        self.ok(device.fin("f", 10))
        self.broker.storage.wait_gone(device.client_id, "f")

    def test_an_id_finished_under_one_name_refuses_another(self):
        device = self.begun()
        self.ok(device.fin("f", 10))
        self.assertIn(device.init("f", "other.bin").word, ("filemeta_conflict", "already_complete"))

    def test_times_and_ids_are_in_the_manifest(self):
        device = self.begun(expire_at=4102444800, user_data={"ü": [1.5, None, "x"]})
        self.ok(device.fin("f", 10))
        self.finished(device, A, expire_at=4102444800, user_data={"ü": [1.5, None, "x"]})


@spread
class Vanishing(Case):
    """The client is gone while the broker assembles."""

    def uploaded(self, client_id, version, size=1 << 20, **options):
        content = random.Random(version).randbytes(size)
        device = self.device(client_id, version, **options)
        self.ok(device.init("f", checksum=sha256(content)))
        for _ in device.pipeline("f", [(at, content[at:at + 65536])
                                       for at in range(0, size, 65536)]):
            pass
        device.ping()
        return device, content

    @rows(("v3_qos1", 4, 1), ("v5_qos1", 5, 1), ("v3_qos0", 4, 0), ("v5_qos2", 5, 2))
    def test_a_durable_session_finds_the_result_when_it_returns(self, version, qos):
        options = {"session_expiry": 300} if version == 5 else {}
        device, content = self.uploaded(f"away{version}{qos}", version, clean=False, **options)
        topic = f"$file/f/fin/{len(content)}"
        mid = device.publish(topic, qos=qos)
        if qos == 2:
            device.acked(mid)
        device.send_raw(packet(DISCONNECT, 0, b""))
        device.wait_closed()
        device.drop()
        eventually(lambda: os.path.exists(
            self.broker.storage.finished(device.client_id, "f", "data.bin")), "the file")
        device.messages.clear()
        self.assertTrue(device.connect().connack.session_present)
        if self.keeps_messages_for_absent_clients(self.broker):
            message = device.message(device.response_topic, lambda m: b"/fin/" in m.payload)
            self.assertIn(b'"success"', message.payload)
        self.ok(device.fin("f", len(content)))
        self.broker.storage.check_finished(self, device.client_id, "f", "data.bin", content)

    @rows(*BOTH)
    def test_a_fin_is_carried_out_though_the_client_vanished(self, version):
        device, content = self.uploaded(self.new_id(), version)
        device.acked(device.publish(f"$file/f/fin/{len(content)}"))
        device.drop()
        path = self.broker.storage.finished(device.client_id, "f", "data.bin")
        eventually(lambda: os.path.exists(path), "the file")
        self.broker.storage.check_finished(self, device.client_id, "f", "data.bin", content)
        again = self.device(device.client_id, version)
        self.ok(again.fin("f", len(content)))
