# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""What the tests of the client share: its programs, a home of their own, files to send."""
import atexit
import functools
import hashlib
import json
import os
import queue
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from fakebroker import FakeBroker

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.abspath(os.environ.get("FT_BUILD", os.path.join(ROOT, "build")))
FT_PUT = os.path.join(BUILD, "ft-put")
DRIVER = os.path.join(BUILD, "tests", "client", "driver")
WORK = os.path.abspath(os.environ.get("FT_WORK", os.path.join(BUILD, "client-tests")))
PATIENCE = 30


def data(size, seed=1):
    return random.Random(seed).randbytes(size)


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@functools.cache
def all_certificates():
    """Made once: keys take their time."""
    os.makedirs(WORK, exist_ok=True)
    made = tempfile.mkdtemp(prefix="tls-", dir=WORK)
    atexit.register(shutil.rmtree, made, True)
    subprocess.run(["sh", "-ec", """
        ec='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1'
        openssl req -x509 $ec -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.crt
        printf 'subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:several' >ext
        for name in broker client; do
            test $name = broker && kind=$ec || kind='-newkey rsa:2048'
            openssl req $kind -nodes -subj /CN=$name -keyout $name.key -out $name.csr
            openssl x509 -req -in $name.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 \
                -extfile ext -out $name.crt
        done
        openssl req -x509 $ec -nodes -days 2 -subj /CN=ec -keyout ec.key -out ec.crt
        chmod 644 *"""], cwd=made, check=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return made


class Program:
    """A process whose output is read as it comes."""

    def __init__(self, command, env, stdin=subprocess.PIPE, cwd=None):
        self.process = subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, cwd=cwd,
                                        stderr=subprocess.PIPE, env=env, text=True)
        self.lines, self.out, self.err = queue.Queue(), [], []
        self.threads = [threading.Thread(target=self._read, args=args, daemon=True)
                        for args in ((self.process.stdout, self.out),
                                     (self.process.stderr, self.err))]
        for thread in self.threads:
            thread.start()

    def _read(self, stream, into):
        for line in stream:
            into.append(line.rstrip("\n"))
            if into is self.out:
                self.lines.put(line.rstrip("\n"))

    def tell(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def event(self, name, timeout=PATIENCE, **members):
        """The next JSON line with this event (and these members)."""
        end = time.monotonic() + timeout
        while True:
            try:
                line = self.lines.get(timeout=max(0.001, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {name} {members} within {timeout} s; "
                                     f"{self.out[-30:]} {self.err}") from None
            event = json.loads(line)
            if event["event"] == name and all(event.get(k) == v for k, v in members.items()):
                return event

    def events(self, name):
        return [e for e in map(json.loads, self.out) if e["event"] == name]

    def wait(self, timeout=PATIENCE):
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"did not end within {timeout} s; {self.out[-30:]} "
                                 f"{self.err}") from None
        for thread in self.threads:
            thread.join()
        return self.process.returncode

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream:
                try:
                    stream.close()
                except OSError:
                    pass

    def peak_rss(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024


class ClientCase(unittest.TestCase):
    def setUp(self):
        os.makedirs(WORK, exist_ok=True)
        self.dir = tempfile.mkdtemp(prefix="client-", dir=WORK)
        self.addCleanup(shutil.rmtree, self.dir, True)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("XDG_")}
        self.env.update(HOME=self.dir, ASAN_OPTIONS="detect_leaks=1")

    def broker(self, script=None, **settings):
        broker = FakeBroker(script, **settings)
        broker.__enter__()
        self.addCleanup(broker.__exit__)
        return broker

    def file(self, size=1000, name="file.bin", seed=1):
        path = os.path.join(self.dir, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as out:
            out.write(data(size, seed))
        return path

    def start(self, command, **settings):
        program = Program(command, self.env, **settings)
        self.addCleanup(program.kill)
        return program

    @staticmethod
    def command(broker, client="dev"):
        return [FT_PUT, "-h", "127.0.0.1", "-p", str(getattr(broker, "port", broker)), "-i", client]

    def put(self, broker, *arguments, client="dev", **settings):
        """ft-put, running."""
        return self.start([*self.command(broker, client), *map(str, arguments)], **settings)

    def put_ok(self, broker, *arguments, **settings):
        program = self.put(broker, *arguments, **settings)
        code = program.wait()
        self.assertEqual(code, 0, f"{program.out[-20:]} {program.err}")
        return program

    def measured(self, *arguments, timeout=PATIENCE):
        """(exit status, errors, seconds, seconds of CPU) of ft-put with these arguments."""
        began = time.monotonic()
        with tempfile.TemporaryFile() as err:
            process = subprocess.Popen([FT_PUT, *map(str, arguments)], env=self.env,
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                       stderr=err)
            timer = threading.Timer(timeout, process.kill)
            timer.start()
            _, status, usage = os.wait4(process.pid, 0)
            timer.cancel()
            process.returncode = os.waitstatus_to_exitcode(status)
            err.seek(0)
            text = err.read().decode()
        return (process.returncode, text, time.monotonic() - began,
                usage.ru_utime + usage.ru_stime)

    def certificates(self):
        """A folder with an authority, a certificate for the broker and two for clients."""
        made = os.path.join(self.dir, "tls")
        shutil.copytree(all_certificates(), made)
        return made

    def driver(self, broker, *options, client="dev"):
        self.assertTrue(os.path.exists(DRIVER), f"no {DRIVER}: build it with make tests")
        return self.start([DRIVER, str(broker.port), client, *options])

    @staticmethod
    def line_with(program, text):
        """The next line of output that has this in it."""
        while True:
            line = program.lines.get(timeout=20)
            if text in line:
                return line

    def holds(self, broker, content, transfer=None):
        transfer = transfer or broker.only()
        self.assertTrue(transfer.complete, "not finished")
        self.assertEqual(sha256(transfer.bytes()), sha256(content), "the bytes at the broker")


INT, TERM, USR1 = signal.SIGINT, signal.SIGTERM, signal.SIGUSR1
if __name__ == "__main__":
    sys.exit("this is no test")
