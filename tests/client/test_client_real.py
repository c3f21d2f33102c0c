# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""ft-put against the real broker: accidents, and every way to connect."""
import os
import random
import subprocess
import unittest

from clientcase import FT_PUT, ClientCase, data, sha256
from proxy import Proxy

import harness

SEGMENT, WINDOW, FILES = 4096, 8, 20
FREE = 1000  # bytes a file costs beside its segments: init, fin, status


class RealCase(ClientCase):
    def real_broker(self, lines=(), config=(), **options):
        broker = harness.Broker(self._testMethodName, {"durability": "none", **options},
                                config=config, after=list(lines))
        self.addCleanup(self.end, broker)
        return broker.start()

    def end(self, broker):
        try:
            broker.stop()
        finally:
            broker.kill9()
        broker.remove()

    def stored(self, broker, client="dev"):
        """{checksum: count} of what is under files/ of this client."""
        found = {}
        for path in broker.storage.finished_files():
            if path.startswith(b"files/" + client.encode() + b"/"):
                digest = harness_sha256(os.path.join(os.fsencode(broker.storage.path), path))
                found[digest] = found.get(digest, 0) + 1
        return found


def harness_sha256(path):
    with open(path, "rb") as file:
        return sha256(file.read())


class Accidents(RealCase):
    def setUp(self):
        super().setUp()
        self.random = random.Random(7)
        self.paths, self.wanted, self.size = [], {}, 0
        for index in range(FILES):
            size = self.random.randrange(1, 600000)
            self.paths.append(self.file(size, f"file{index}.bin", index))
            self.wanted[sha256(data(size, index))] = 1
            self.size += size
        self.broker_ = self.real_broker()
        self.proxy = Proxy(self.broker_.port)
        self.addCleanup(self.proxy.close)

    def begin(self):
        return self.put(self.proxy, "--segment-size", SEGMENT, "--window", WINDOW, "--rate", "2M",
                        "--reconnect", "always", "--timeout", "60", *self.paths)

    def distances(self, count):
        """From accident to accident, in bytes. All of them happen before the last file is there.

        Together they are less than what has to pass. Some are so short that the link breaks
        before anything was achieved.
        """
        shares = [self.random.uniform(0.3, 1) for _ in range(count)]
        most = 0.9 * self.size / sum(shares)
        return [self.random.randrange(1, 2000) if index % 10 == 7 else int(share * most)
                for index, share in enumerate(shares)]

    def check(self, program, accidents):
        self.assertEqual(program.wait(120), 0, program.err)
        self.assertEqual(self.proxy.ahead, [], "accidents that did not happen")
        self.assertEqual(self.stored(self.broker_), self.wanted)
        overhead = (self.size / SEGMENT + FILES) * 200 + (accidents + 1) * FILES * FREE
        again = self.proxy.up - self.size - overhead
        self.assertLess(again, accidents * WINDOW * SEGMENT, "sent more than once")

    def test_every_file_arrives_though_links_are_cut_50_times(self):
        self.proxy.cut_after(self.distances(50))
        self.check(self.begin(), 50)
        self.assertEqual(self.proxy.cuts, 50)

    def test_every_file_arrives_though_the_broker_is_killed_again_and_again(self):
        self.proxy.hold_after(self.distances(8))
        program = self.begin()
        for _ in range(8):
            with self.proxy.held():
                self.broker_.kill9()
            self.broker_.start(wait_for_sink=False)
            self.proxy.target = self.broker_.port
        self.check(program, 8)

    def test_every_file_arrives_though_the_client_is_killed_again_and_again(self):
        self.proxy.hold_after(self.distances(8))
        program = self.begin()
        for _ in range(8):
            with self.proxy.held():
                self.assertIsNone(program.process.poll())
                program.kill()
            program = self.begin()
        self.check(program, 8)


class ManyFiles(RealCase):
    def test_a_directory_of_small_files_goes_over_one_connection(self):
        for index in range(1000):
            self.file(300, f"tree/{index % 10}/f{index}", index)
        broker = self.real_broker()
        proxy = Proxy(broker.port)
        self.addCleanup(proxy.close)
        self.put_ok(proxy, os.path.join(self.dir, "tree"))
        self.assertEqual(proxy.accepted, 1)
        self.assertEqual(len(self.stored(broker)), 1000)


class Connections(RealCase):
    def delivered(self, broker, *arguments, client="dev"):
        program = self.start([FT_PUT, "-i", client, *map(str, arguments),
                              self.file(100000)])
        self.assertEqual(program.wait(), 0, program.err)
        self.assertEqual(list(self.stored(broker, client)), [sha256(data(100000))])

    def listener(self, *lines):
        port = harness.free_port()
        broker = self.real_broker([f"listener {port} 127.0.0.1", *lines])
        return broker, port

    def test_tls_with_an_authority(self):
        made = self.certificates()
        broker, port = self.listener(f"certfile {made}/broker.crt", f"keyfile {made}/broker.key",
                                     "allow_anonymous true")
        self.delivered(broker, "-h", "127.0.0.1", "-p", port, "--cafile", f"{made}/ca.crt")
        self.delivered(broker, "-L", f"mqtts://127.0.0.1:{port}", "--cafile", f"{made}/ca.crt",
                       client="dev2")

    def test_tls_with_an_unknown_authority_is_refused_with_a_reason(self):
        made = self.certificates()
        _, port = self.listener(f"certfile {made}/broker.crt", f"keyfile {made}/broker.key",
                                "allow_anonymous true")
        program = self.put(port, "--cafile", f"{made}/client.crt", self.file())
        self.assertEqual(program.wait(), 4, program.err)
        self.assertIn("trust", program.err[-1])

    def test_tls_where_the_broker_has_none(self):
        made = self.certificates()
        program = self.put(self.real_broker(), "--cafile", f"{made}/ca.crt", self.file())
        self.assertEqual(program.wait(), 3, program.err)
        self.assertIn("is TLS spoken at that port", program.err[-1])

    def test_no_tls_where_the_broker_has_it(self):
        made = self.certificates()
        _, port = self.listener(f"certfile {made}/broker.crt", f"keyfile {made}/broker.key",
                                "allow_anonymous true")
        program = self.put(port, self.file())
        self.assertEqual(program.wait(), 3, program.err)
        self.assertIn("want TLS at that port", program.err[-1])

    def test_tls_with_a_client_certificate(self):
        made = self.certificates()
        broker, port = self.listener(f"certfile {made}/broker.crt", f"keyfile {made}/broker.key",
                                     f"cafile {made}/ca.crt", "require_certificate true",
                                     "allow_anonymous true")
        self.delivered(broker, "-h", "127.0.0.1", "-p", port, "--cafile", f"{made}/ca.crt",
                       "--cert", f"{made}/client.crt", "--key", f"{made}/client.key")
        program = self.put(port, "--cafile", f"{made}/ca.crt", self.file())
        self.assertNotEqual(program.wait(), 0, "without its certificate")

    def test_tls_with_a_preshared_key(self):
        keys = os.path.join(self.dir, "psk")
        with open(keys, "w", encoding="ascii") as out:
            out.write("me:0123456789abcdef\n")
        os.chmod(keys, 0o644)
        broker, port = self.listener("psk_hint x", f"psk_file {keys}", "allow_anonymous true")
        self.delivered(broker, "-h", "127.0.0.1", "-p", port, "--psk", "0123456789abcdef",
                       "--psk-identity", "me", "--tls-version", "tlsv1.2")

    def test_a_unix_socket(self):
        path = os.path.join(self.dir, "socket")
        broker = self.real_broker([f"listener 0 {path}", "allow_anonymous true"])
        self.delivered(broker, "--unix", path)

    def test_user_name_and_password(self):
        passwords = os.path.join(self.dir, "passwords")
        with open(passwords, "w", encoding="ascii"):
            pass
        subprocess.run(["mosquitto_passwd", "-b", passwords, "me", "se:cr@t"], check=True,
                       stderr=subprocess.DEVNULL)
        os.chmod(passwords, 0o644)
        broker = self.real_broker(config=["allow_anonymous false", f"password_file {passwords}"])
        self.delivered(broker, "-h", "127.0.0.1", "-p", broker.port, "-u", "me", "-P", "se:cr@t")
        self.delivered(broker, f"mqtt://me:se%3Acr%40t@127.0.0.1:{broker.port}", client="dev2")
        self.env["FT_PUT_PASSWORD"] = "se:cr@t"
        self.delivered(broker, "-h", "127.0.0.1", "-p", broker.port, "-u", "me", client="dev3")
        program = self.put(broker, "-u", "me", "-P", "wrong", self.file())
        self.assertEqual(program.wait(), 4)
        self.assertIn("--pw", program.err[-1])

    def test_encrypted_over_tls_with_more_connections_than_the_broker_shares(self):
        made = self.certificates()
        broker, port = self.listener(f"certfile {made}/broker.crt", f"keyfile {made}/broker.key",
                                     "allow_anonymous true")
        path = self.file(3000000)
        self.put_ok(port, "--cafile", f"{made}/ca.crt", "--encrypt", f"{made}/client.crt",
                    "--connections", "3", path)
        found, = (path for path in broker.storage.finished_files() if path.endswith(b".p7m"))
        opened = subprocess.run(
            ["openssl", "cms", "-decrypt", "-inform", "DER", "-in",
             os.path.join(os.fsencode(broker.storage.path), found), "-recip",
             f"{made}/client.crt", "-inkey", f"{made}/client.key"], stdout=subprocess.PIPE, check=True)
        self.assertEqual(sha256(opened.stdout), sha256(data(3000000)))

    def test_mqtt_311(self):
        broker = self.real_broker()
        self.delivered(broker, "-h", "127.0.0.1", "-p", broker.port, "-V", "311")


if __name__ == "__main__":
    unittest.main()
