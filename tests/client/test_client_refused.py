# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Connections that come to nothing, in any phase: told at once, in plain words, at no cost.

The cost is CPU time: a client that is woken again and again by a dead connection shows there.
"""
import contextlib
import os
import select
import socket
import ssl
import struct
import subprocess
import threading
import time
import unittest

from clientcase import FT_PUT, ClientCase, data
from fakebroker import CONNECT, CUT, FIRST, Answer
from proxy import Proxy

AT_ONCE, CPU = 4, 0.5       # seconds; on a busy machine


class Accident:
    """A server that does something to each connection, and then no more."""

    def __init__(self, act, backlog=50):
        self.act, self.keep = act, []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=backlog)
        self.port = self.listener.getsockname()[1]
        if act:
            threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        with contextlib.suppress(OSError):
            sock = self.act(sock) or sock
        self.keep.append(sock)

    def close(self):
        with contextlib.suppress(OSError):      # so that accept() ends
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def close(sock):
    sock.close()


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def after_hello(act):
    """Once the first bytes are there, which are the ClientHello."""
    def both(sock):
        sock.recv(4096)
        act(sock)
    return both


def talk_nonsense(sock):
    sock.recv(4096)
    sock.sendall(b"220 mail.example ESMTP ready\r\n")


class RefusedCase(ClientCase):
    def accident(self, act, **settings):
        server = Accident(act, **settings)
        self.addCleanup(server.close)
        return server

    def nobody(self):
        """A port where nobody listens, kept for as long as the test lasts."""
        sock = socket.socket()
        self.addCleanup(sock.close)
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]

    def context(self, made, name="broker"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{made}/{name}.crt", f"{made}/{name}.key")
        return context

    def told(self, port, code, words, *arguments, seconds=AT_ONCE):
        got, err, took, cpu = self.measured("-h", "127.0.0.1", "-p", port, "-i", "dev", *arguments,
                                            self.file(), timeout=40)
        self.assertIn(got, code if isinstance(code, tuple) else (code,), err)
        self.assertRegex(err, words)
        self.assertLess(took, seconds, err)
        self.assertLess(cpu, CPU, err)
        return err


class Phases(RefusedCase):
    def setUp(self):
        super().setUp()
        self.made = self.certificates()
        self.tls = ("--cafile", f"{self.made}/ca.crt")

    def secured(self, act):
        """What happens after the TLS handshake."""
        context = self.context(self.made)

        def secure(sock):
            wrapped = context.wrap_socket(sock, server_side=True)
            act(wrapped)
            return wrapped
        return secure

    def test_refused(self):
        for options in ((), self.tls):
            self.told(self.nobody(), 3, "Connection refused.*--port", *options)

    def test_closed_or_reset_as_soon_as_it_is_made(self):
        for act in (close, reset):
            with self.subTest(act):
                self.told(self.accident(act).port, 3, "closed|reset", *self.tls)
                self.told(self.accident(act).port, 3, "closed|reset")

    def test_closed_or_reset_in_the_handshake_asks_whether_tls_is_spoken_there(self):
        for act in (close, reset):
            with self.subTest(act):
                self.told(self.accident(after_hello(act)).port, 3,
                          "during the TLS handshake.*is TLS spoken at that port", *self.tls)

    def test_closed_or_reset_after_the_handshake(self):
        for act in (close, reset):
            with self.subTest(act):
                self.told(self.accident(self.secured(act)).port, 3, "before it lets us in",
                          *self.tls)

    def test_closed_before_connack_asks_for_tls_where_there_is_none(self):
        broker = self.broker(lambda _conn, packet: CUT if packet.kind == CONNECT else None)
        self.told(broker.port, 3, "before it lets us in; does it want TLS")

    def test_something_that_is_no_tls(self):
        self.told(self.accident(talk_nonsense).port, 4, "does not speak TLS", *self.tls)

    def test_silence_in_any_phase_costs_nothing(self):
        """The attempt ends after 20 seconds; the processor has nothing to do until then."""
        wait = threading.Event().wait
        servers = [self.accident(lambda _sock: None),
                   self.accident(after_hello(lambda _sock: None)),
                   self.accident(self.secured(lambda _sock: wait(60)))]
        threads = [threading.Thread(target=self.silent, args=(server.port,)) for server in servers]
        self.wrong = []
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(self.wrong, [])

    def silent(self, port):
        code, err, took, cpu = self.measured("-h", "127.0.0.1", "-p", port, "-i", str(port),
                                             *self.tls, self.file(), timeout=40)
        if (code, took < 30, cpu < CPU, "no answer within 20 s" in err) != (3, True, True, True):
            self.wrong.append((code, err, took, cpu))


class Trust(RefusedCase):
    def setUp(self):
        super().setUp()
        self.made = self.certificates()

    def secure_broker(self, context=None):
        return self.broker(context=context or self.context(self.made))

    def test_a_wrong_authority(self):
        port = self.secure_broker().port
        self.told(port, 4, "no authority of .*client.crt.*--cafile", "--cafile",
                  f"{self.made}/client.crt")

    def test_a_wrong_host_name(self):
        port = self.secure_broker(self.context(self.made, "ec")).port
        self.told(port, 4, 'for another host, not for "127.0.0.1".*--insecure', "--cafile",
                  f"{self.made}/ec.crt")
        self.put_ok(port, "--cafile", f"{self.made}/ec.crt", "--insecure", self.file())

    def test_a_certificate_of_ours_is_wanted(self):
        context = self.context(self.made)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(f"{self.made}/ca.crt")
        port = self.secure_broker(context).port
        # 3 where all is over before libmosquitto has read a word of why: then we guess.
        self.told(port, (3, 4), "certificate of ours.*--cert", "--cafile", f"{self.made}/ca.crt")
        self.told(port, (3, 4), r"does not accept --cert \S*ec.crt|before it lets us in", "--cafile", f"{self.made}/ca.crt",
                  "--cert", f"{self.made}/ec.crt", "--key", f"{self.made}/ec.key")
        self.put_ok(port, "--cafile", f"{self.made}/ca.crt", "--cert", f"{self.made}/client.crt",
                    "--key", f"{self.made}/client.key", self.file())

    def test_an_expired_certificate(self):
        subprocess.run(["sh", "-ec", """
            openssl x509 -req -in broker.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days -1 \
                -extfile ext -out old.crt
            cp broker.key old.key"""], cwd=self.made, check=True, stderr=subprocess.DEVNULL)
        port = self.secure_broker(self.context(self.made, "old")).port
        self.told(port, 4, "has expired", "--cafile", f"{self.made}/ca.crt")

    def test_a_key_that_does_not_fit_is_told_before_anything_is_sent(self):
        port = self.secure_broker().port
        for cert, key in (("client", "broker"), ("broker", "ec")):    # of another kind, and not
            self.told(port, 1, "--key .*mismatch|--key .*does not belong", "--cafile",
                      f"{self.made}/ca.crt", "--cert", f"{self.made}/{cert}.crt", "--key",
                      f"{self.made}/{key}.key")

    def test_large_files_go_through(self):
        broker = self.secure_broker()
        self.put_ok(broker, "--cafile", f"{self.made}/ca.crt", self.file(3000000))
        self.holds(broker, data(3000000))


class Restarts(RefusedCase):
    """A broker with TLS that is restarted: what the client meets meanwhile is no reason to end."""

    def test_all_that_happens_meanwhile_is_tried_again_at_no_cost(self):
        made = self.certificates()
        broker = self.broker(context=self.context(made))
        proxy = Proxy(broker.port)
        self.addCleanup(proxy.close)
        wait = threading.Event().wait
        places = [self.nobody(), self.accident(close).port, self.accident(after_hello(reset)).port,
                  self.accident(after_hello(lambda sock: (wait(0.5), close(sock)))).port]
        program = self.put(proxy, "--cafile", f"{made}/ca.crt", "--rate", "100k",
                           "--segment-size", "10000", self.file(800000))
        broker.wait(lambda: len(broker.segments()) > 3, "segments")
        for place in places:
            before, sent = len(program.out), len(broker.segments())
            proxy.target = place
            proxy.cut()
            broker.wait(lambda: sum("trying again" in line for line in program.out[before:]) > 1,
                        "an attempt there", 40)
            proxy.target = broker.port
            broker.wait(lambda: len(broker.segments()) > sent + 1, "headway", 40)
        cpu = self.cpu_of(program.process.pid)
        self.assertEqual(program.wait(60), 0, program.err)
        self.holds(broker, data(800000))
        self.assertLess(cpu, 1)
        self.assertTrue(any("connected again" in line for line in program.out))

    @staticmethod
    def cpu_of(pid):
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Denied(RefusedCase):
    """The broker lets us in, and then nothing of ours is answered."""

    def test_one_that_may_not_publish_hears_it_quickly(self):
        broker = self.broker(lambda _conn, packet: Answer(None, 0, 0x87)
                             if packet.command in FIRST else None)
        self.told(broker.port, 4, r"may this client publish to \$file/#", seconds=6)

    def test_a_short_timeout_does_not_hide_the_reason(self):
        broker = self.broker(lambda _conn, packet: Answer(None, 0, 0)
                             if packet.command in FIRST else None)
        self.told(broker.port, 4, "no response came; is the file transfer plugin loaded",
                  "--timeout", "4", seconds=8)


def can_have_a_mount_namespace():
    return subprocess.run(["unshare", "--mount", "true"], stderr=subprocess.DEVNULL,
                          check=False).returncode == 0


@unittest.skipUnless(can_have_a_mount_namespace(), "needs root: the test brings its own /etc/hosts")
class Addresses(RefusedCase):
    def put_to(self, addresses, port, *arguments):
        """ft-put on a machine where the name "several" has these addresses."""
        hosts = os.path.join(self.dir, "hosts")
        with open(hosts, "w", encoding="ascii") as out:
            out.writelines(f"{address} several\n" for address in addresses)
        return self.start(["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/hosts && '
                           'exec "$@"', hosts, FT_PUT, "-h", "several", "-p", str(port), "-i",
                           "dev", *arguments])

    def test_the_second_is_tried_where_the_first_refuses(self):
        for first in ("::1", "127.0.0.1"):      # in the order in which the system sorts them
            with self.subTest(first):
                broker = self.broker(address="127.0.0.9")
                program = self.put_to([first, "127.0.0.9"], broker.port, self.file())
                self.assertEqual(program.wait(), 0, program.err)
                self.holds(broker, data(1000))

    def test_with_tls_and_the_certificate_is_compared_with_the_name(self):
        made = self.certificates()
        names = []
        context = self.context(made)
        context.sni_callback = lambda _sock, name, _context: names.append(name)
        broker = self.broker(context=context, address="127.0.0.9")
        program = self.put_to(["127.0.0.1", "127.0.0.9"], broker.port, "--cafile",
                              f"{made}/ca.crt", self.file())
        self.assertEqual(program.wait(), 0, program.err)
        self.assertEqual(names, ["several"])

    def test_one_that_is_silent_leaves_time_for_the_others(self):
        broker = self.broker(address="127.0.0.9")
        hole = socket.socket()
        self.addCleanup(hole.close)
        hole.bind(("127.0.0.1", broker.port))
        hole.listen(0)
        full = [socket.socket() for _ in range(3)]      # no more fits into the queue
        for sock in full:
            self.addCleanup(sock.close)
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", broker.port))
        self.assertEqual(select.select([], [full[-1]], [], 1)[1], [], "that is no hole")
        began = time.monotonic()
        program = self.put_to(["127.0.0.1", "127.0.0.9"], broker.port, self.file())
        self.assertEqual(program.wait(), 0, program.err)
        self.assertLess(time.monotonic() - began, 15)
        self.assertGreater(time.monotonic() - began, 3, "the silent one was not tried")
        self.holds(broker, data(1000))

    def test_where_all_refuse_that_is_told_at_once(self):
        began = time.monotonic()
        program = self.put_to(["::1", "127.0.0.9", "127.0.0.1"], self.nobody(), self.file())
        self.assertEqual(program.wait(), 3)
        self.assertIn("Connection refused", program.err[-1])
        self.assertLess(time.monotonic() - began, AT_ONCE)

    def test_a_name_that_does_not_exist(self):
        program = self.put_to([], 1883, "-h", "nothing.invalid", self.file())
        self.assertEqual(program.wait(), 3)
        self.assertIn('cannot look up "nothing.invalid"', program.err[-1])


if __name__ == "__main__":
    unittest.main()
