# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""--encrypt: nobody but the owners of the certificates has the content; `openssl cms` opens it."""
import glob
import os
import stat
import subprocess
import unittest

from clientcase import INT, ClientCase, data
from fakebroker import FIRST, HOLD, Answer

ARGS = ("--segment-size", "10000", "--window", "2")


class Encrypt(ClientCase):
    def setUp(self):
        super().setUp()
        self.made = self.certificates()
        self.to = ("--encrypt", f"{self.made}/client.crt")

    def opened(self, ciphertext, name="client"):
        path = os.path.join(self.dir, "arrived")
        with open(path, "wb") as out:
            out.write(ciphertext)
        return subprocess.run(
            ["openssl", "cms", "-decrypt", "-inform", "DER", "-in", path, "-recip",
             f"{self.made}/{name}.crt", "-inkey", f"{self.made}/{name}.key"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout

    def sealed(self):
        return glob.glob(f"{self.dir}/.local/state/ft-put/*.sealed/*")

    def stopped(self, broker, *arguments):
        """After some segments, with ciphertext left behind."""
        already = len(broker.segments())
        broker.script = lambda _conn, packet: HOLD if packet.command == "segment" and \
            packet.offset >= 20000 else None
        program = self.put(broker, *ARGS, *self.to, *arguments)
        broker.wait(lambda: len(broker.segments()) >= already + 4, "a few segments")
        program.signal(INT)
        self.assertEqual(program.wait(), 8)
        broker.script = None

    def test_openssl_opens_what_arrives_whatever_its_size(self):
        for size in (0, 1, 1000, 65536, 300000, 5000000):
            with self.subTest(size):
                broker = self.broker()
                self.put_ok(broker, *self.to, self.file(size))
                transfer = broker.only()
                self.assertTrue(transfer.complete)
                self.assertEqual(self.opened(transfer.bytes()), data(size))
                self.assertEqual(transfer.init["name"], "file.bin.p7m")

    def test_each_of_several_owners_can_open_it(self):
        broker = self.broker()
        self.put_ok(broker, *self.to, "--encrypt", f"{self.made}/ec.crt", self.file(100000))
        ciphertext = broker.only().bytes()
        for name in ("client", "ec"):
            self.assertEqual(self.opened(ciphertext, name), data(100000))
        with self.assertRaises(subprocess.CalledProcessError):
            self.opened(ciphertext, "broker")

    def test_it_is_authenticated(self):
        broker = self.broker()
        self.put_ok(broker, *self.to, self.file(100000))
        ciphertext = bytearray(broker.only().bytes())
        ciphertext[len(ciphertext) // 2] ^= 1
        with self.assertRaises(subprocess.CalledProcessError):
            self.opened(ciphertext)

    def test_no_byte_of_the_file_leaves_or_is_left(self):
        broker = self.broker()
        path = os.path.join(self.dir, "secret")
        with open(path, "wb") as out:
            out.write(b"A SECRET OF OURS" * 10000)
        self.stopped(broker, path)
        sealed, = self.sealed()
        self.assertEqual(stat.S_IMODE(os.stat(sealed).st_mode), 0o600)
        with open(sealed, "rb") as text:
            self.assertNotIn(b"A SECRET", text.read())
        for packet in broker.seen:
            self.assertNotIn(b"A SECRET", packet.payload or b"")

    def test_an_interrupted_upload_goes_on_with_the_same_ciphertext(self):
        broker = self.broker()
        path = self.file(100000)
        self.stopped(broker, path)
        sent = len(broker.segments())
        self.assertEqual(len(self.sealed()), 1)
        self.put_ok(broker, *ARGS, *self.to, path)
        self.assertEqual(self.opened(broker.only().bytes()), data(100000))
        self.assertLess(len(broker.segments()), sent + 10)
        self.assertEqual(broker.of("abort", conn=1), [])
        self.assertEqual(self.sealed(), [])
        self.assertEqual([path for path in glob.glob(f"{self.dir}/.local/state/ft-put/*")
                          if not path.endswith(".json")], [])

    def test_a_killed_client_goes_on_too(self):
        broker = self.broker()
        path = self.file(100000)
        broker.script = lambda _conn, packet: HOLD if packet.command == "segment" and \
            packet.offset >= 20000 else None
        program = self.put(broker, *ARGS, *self.to, path)
        broker.wait(lambda: len(broker.segments()) >= 4, "a few segments")
        program.kill()
        broker.script = None
        self.put_ok(broker, *ARGS, *self.to, path)
        self.assertEqual(self.opened(broker.only().bytes()), data(100000))
        self.assertLess(len(broker.segments()), 16)

    def test_where_the_ciphertext_is_lost_it_begins_anew(self):
        broker = self.broker()
        path = self.file(100000)
        self.stopped(broker, path)
        os.unlink(self.sealed()[0])
        self.put_ok(broker, *ARGS, *self.to, path)
        self.assertEqual(self.opened(broker.only().bytes()), data(100000))
        self.assertEqual(len(broker.of("fin")), 1, "bytes of two ciphertexts were mixed")

    def test_what_the_broker_has_is_not_encrypted_again(self):
        broker = self.broker()
        path = self.file(100000)
        self.put_ok(broker, *self.to, path)
        count = len(broker.segments())
        program = self.put_ok(broker, *self.to, path)
        self.assertEqual((len(broker.segments()), len(broker.transfers)), (count, 1))
        self.assertIn("nothing had to be sent", program.out[-1])

    def test_a_changed_file_is_another_one_and_its_old_ciphertext_goes(self):
        broker = self.broker()
        path = self.file(100000)
        self.stopped(broker, path)
        self.file(100000, seed=2)
        os.utime(path, (1, 1))
        self.put_ok(broker, *ARGS, *self.to, path)
        self.assertEqual(self.opened(next(t for t in broker.transfers.values()
                                          if t.complete).bytes()), data(100000, 2))
        self.assertEqual(self.sealed(), [])

    def test_other_owners_mean_another_file(self):
        broker = self.broker()
        path = self.file(1000)
        self.put_ok(broker, *self.to, path)
        self.put_ok(broker, "--encrypt", f"{self.made}/ec.crt", path)
        self.assertEqual(sorted(self.opens(t.bytes()) for t in broker.transfers.values()),
                         ["client", "ec"])

    def opens(self, ciphertext):
        for name in ("client", "ec"):
            try:
                self.opened(ciphertext, name)
                return name
            except subprocess.CalledProcessError:
                pass
        return None

    def test_a_directory_and_a_file_named_twice(self):
        broker = self.broker()
        for index in range(100):
            self.file(1000 + index, f"tree/f{index}", index)
        self.put_ok(broker, *self.to, f"{self.dir}/tree", f"{self.dir}/tree/f7")
        self.assertEqual(len(broker.transfers), 100)
        for transfer in list(broker.transfers.values())[:5]:
            index = int(transfer.init["name"][1:-4])
            self.assertEqual(self.opened(transfer.bytes()), data(1000 + index, index))

    def test_standard_input(self):
        broker = self.broker()
        program = self.put(broker, *self.to, "--name", "log.p7m", "-")
        program.tell("one")
        program.tell("two")
        program.process.stdin.close()
        self.assertEqual(program.wait(), 0, program.err)
        self.assertEqual(self.opened(broker.only().bytes()), b"one\ntwo\n")
        self.assertEqual(broker.only().init["name"], "log.p7m")

    def test_a_large_stream_that_comes_in_pieces(self):
        broker = self.broker()
        program = self.start(["sh", "-c", '(head -c 3000000 "$0"; sleep 0.5; tail -c 2000000 "$0") '
                              '| "$@"', self.file(5000000), *self.command(broker), *self.to, "-"])
        self.assertEqual(program.wait(), 0, program.err)
        self.assertEqual(self.opened(broker.only().bytes()), data(5000000))

    def test_a_refused_file_leaves_no_ciphertext(self):
        broker = self.broker(lambda _conn, packet: Answer("name_refused", 0x83)
                             if packet.command in FIRST else None)
        self.assertEqual(self.put(broker, *self.to, self.file()).wait(), 5)
        self.assertEqual(self.sealed(), [])

    def test_a_broker_without_status_gets_it_too(self):
        broker = self.broker(lambda _conn, packet: Answer("invalid_file_command", 0x83)
                             if packet.command == "status" else None)
        self.put_ok(broker, *self.to, self.file(1000))
        self.assertEqual(self.opened(broker.only().bytes()), data(1000))

    def test_no_room_for_ciphertext_is_told(self):
        os.makedirs(f"{self.dir}/small")
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none",
                                  f"{self.dir}/small"], check=False, stderr=subprocess.DEVNULL)
        if mounted.returncode:
            self.skipTest("needs root: a small file system")
        self.addCleanup(subprocess.run, ["umount", f"{self.dir}/small"], check=True)
        program = self.put(self.broker(), *self.to, "--state-dir", f"{self.dir}/small",
                           self.file(3000000), self.file(10, "other"))
        self.assertEqual(program.wait(), 2)
        self.assertIn("No space left", program.err[0])
        self.assertIn("1 of 2", program.out[-1])

    def test_without_a_place_for_ciphertext_it_is_wrong_usage(self):
        program = self.put(self.broker(), *self.to, "--state-dir", "", self.file())
        self.assertEqual(program.wait(), 1)
        self.assertIn("--encrypt", program.err[0])

    def test_what_is_no_certificate_is_told(self):
        program = self.put(self.broker(), "--encrypt", f"{self.made}/ec.key", self.file())
        self.assertEqual(program.wait(), 1)
        self.assertIn(f"--encrypt {self.made}/ec.key: no certificate", program.err[0])

    def test_a_key_that_cannot_be_encrypted_for_is_told(self):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=x",
                        "-keyout", f"{self.made}/ed.key", "-out", f"{self.made}/ed.crt"],
                       check=True, stderr=subprocess.DEVNULL)
        program = self.put(self.broker(), "--encrypt", f"{self.made}/ed.crt", self.file())
        self.assertEqual(program.wait(), 1)
        self.assertIn(f"--encrypt {self.made}/ed.crt", program.err[0])


if __name__ == "__main__":
    unittest.main()
