# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The broker's thread touches no disk: shown by its system calls, and by a disk that freezes."""
import os
import re
import shutil
import subprocess
import time
import unittest

from device import pieces
from harness import IS_ROOT, Case
from ondisk import eventually, sha256
from rawmqtt import SCALE
from settings import SETTINGS
from test_aws_jobs import Desk

# What a broker without the plugin calls, and what the plugin may: its sockets, futexes to wake a
# thread, clocks, signals, memory, randomness, and a process's own numbers.
ALLOWED = {"epoll_wait", "epoll_pwait", "epoll_ctl", "read", "write", "recvfrom", "sendto", "recvmsg",
           "sendmsg", "readv", "writev", "accept", "accept4", "close", "shutdown", "getpeername",
           "getsockname", "getsockopt", "setsockopt", "fcntl", "ioctl", "futex", "clock_gettime",
           "clock_nanosleep", "gettimeofday", "time", "rt_sigprocmask", "rt_sigreturn", "tgkill",
           "restart_syscall", "brk", "mmap", "munmap", "mremap", "madvise", "mprotect", "getrandom",
           "getpid", "getppid", "gettid", "getuid", "poll", "sched_yield"}
OF_THE_BROKER = re.compile(r'^(openat\(.*"|newfstatat\(\d+<|fstat\(\d+<|lseek\(\d+<)/etc/(hosts\.|localtime)')
# A mutex that another thread holds for some instructions, and was interrupted in.
MOMENT_S = 0.05


def frozen(path, freeze):
    subprocess.run(["fsfreeze", "--freeze" if freeze else "--unfreeze", path], check=True)


class SystemCalls(Case):
    """strace on the broker's thread while every command is sent, good and bad."""

    shared = False
    setting = SETTINGS["open"]

    def trace(self, broker):
        path = os.path.join(broker.dir, "calls")
        tracer = subprocess.Popen(["strace", "-y", "-T", "-o", path, "-p", str(broker.process.pid)],
                                  stderr=subprocess.PIPE, text=True)
        self.addCleanup(tracer.kill)
        line = tracer.stderr.readline()
        if "attached" not in line:
            self.skipTest(f"strace: {line.strip()}")
        return tracer, path

    def every_command(self, device):
        big = os.urandom(300_000)
        self.ok(device.init("f", size=len(big), checksum=sha256(big)))
        for offset, data in pieces(big, 50_000):
            self.ok(device.segment("f", offset, data))
        self.ok(device.segment("f", 0, big[:50_000]))
        self.answered(device.fin("f", len(big) + 1), "incomplete")
        self.ok(device.status("f"))
        self.answered(device.init("f", "other"), "filemeta_conflict")
        self.ok(device.init("f", size=len(big), checksum=sha256(big)))
        self.ok(device.fin("f", len(big)))
        for repeat in range(2):  # of a finished id
            self.ok(device.fin("f", len(big)), state="complete")
            self.ok(device.segment("f", 0, big[:50_000]))
            self.answered(device.segment("f", repeat, big[:50_000][::-1]), "already_complete")
            self.ok(device.status("f"), state="complete")
            self.answered(device.abort("f"), "already_complete")
            self.answered(device.init("f", "other"), "filemeta_conflict", ack=0)
            self.ok(device.init("f", size=len(big)), state="complete")
        self.ok(device.command("$file/p/put/photo.jpg", big))
        self.ok(device.command("$file/p/put/photo.jpg", big))
        self.ok(device.init("g"))
        self.ok(device.segment("g", 1 << 40, b"far out"))
        self.ok(device.abort("g"))
        self.ok(device.abort("g"))
        for topic in ("$file/g/0", "$file//init", "$file/g/x", "$file/g/fin/x", "$file/g/put", "$file/g"):
            self.assertNotEqual(device.command(topic, b"x").word, "success")

    def every_job(self, device):
        """What is done about jobs is written by another thread."""
        def ask(rest, payload=b""):
            topic = f"$aws/things/{device.client_id}/jobs/{rest}"
            device.publish(topic, payload)
            return device.message(where=lambda m: m.topic.startswith(topic + "/"))
        eventually(lambda: b'"jobId":"j"' in ask("get").payload, "a job", 20)
        for rest, payload in (("$next/get", b""), ("j/get", b"{}"), ("start-next", b""),
                              ("j/update", b'{"status":"SUCCEEDED","statusDetails":{"a":"b"}}')):
            self.assertTrue(ask(rest, payload).topic.endswith("/accepted"), rest)
        for rest, payload in (("j/get", b""), ("j/update", b'{"status":"FAILED"}'), ("/update", b""), ("get", b"{")):
            self.assertTrue(ask(rest, payload).topic.endswith("/rejected"), rest)

    @unittest.skipUnless(shutil.which("strace"), "needs strace")
    def test_no_command_makes_a_call_that_could_wait(self):
        broker = self.start_broker({"segments_ttl": "2s", "segments_ttl_min": "1s", "gc_interval": "1s",
                                    "downloads": "jobs", "offers_interval": "1s"})
        tracer, path = self.trace(broker)
        Desk(broker).put("all/j.json", b"{}")
        for version in self.versions:
            device = self.device(f"dev{version}", version, broker=broker)
            self.every_command(device)
            self.every_job(device)
        expiring = self.device("expiring", broker=broker)
        self.ok(expiring.init("e"))
        broker.storage.wait_incoming("expiring", "e")
        broker.storage.wait_gone("expiring", "e", 20)
        tracer.terminate()
        tracer.wait(20)
        with open(path, encoding="utf-8", errors="replace") as text:
            calls = [line for line in text if re.match(r"[a-z_0-9]+\(", line)]
        self.assertGreater(len(calls), 500)
        for line in calls:
            name = line.split("(", 1)[0]
            if name in ("read", "write", "close", "fcntl", "readv", "writev"):
                # Sockets, pipes and the log of the broker; no file of ours.
                self.assertNotIn(broker.storage.path, line)
                self.assertNotIn("/dev/shm", line)
            elif name == "futex":
                if "FUTEX_WAIT" in line:
                    self.assertLess(float(line.rsplit("<", 1)[1].rstrip(">\n")), MOMENT_S * SCALE, line)
            elif not OF_THE_BROKER.search(line):
                self.assertIn(name, ALLOWED, line)


@unittest.skipUnless(IS_ROOT and shutil.which("fsfreeze") and shutil.which("mkfs.ext4"),
                     "needs root, to freeze a file system")
class Frozen(Case):
    """A storage disk of its own that is frozen; the log is in memory."""

    shared = False
    setting = SETTINGS["open"]

    def setUp(self):
        super().setUp()
        self.broker = self.start_broker({"log_size": "8M", "durability": "file"}, start=False)
        image, path = os.path.join(self.broker.dir, "image"), self.broker.storage.path
        os.makedirs(path)
        with open(image, "wb") as file:
            file.truncate(300 << 20)
        subprocess.run(["mkfs.ext4", "-q", image], check=True)
        if subprocess.run(["mount", "-o", "loop", image, path], check=False).returncode:
            self.skipTest("no loop device can be mounted here")
        self._cleanups.insert(0, (subprocess.run, (["umount", "-l", path],), {"check": False}))
        self.addCleanup(subprocess.run, ["fsfreeze", "--unfreeze", path], check=False,
                        stderr=subprocess.DEVNULL)
        self.broker.start()
        if "/dev/shm" not in "\n".join(self.broker.plugin_log()):
            self.skipTest("the log is not in memory here")

    def round_trips(self, other, seconds, meanwhile=lambda: None):
        """The round trips of another client's QoS 1 messages, in ms, ascending."""
        found, end = [], time.monotonic() + seconds
        while time.monotonic() < end:
            meanwhile()
            began = time.monotonic()
            other.acked(other.publish("telemetry/x", b"1"))
            found.append((time.monotonic() - began) * 1000)
        return sorted(found)

    def test_nobody_waits_for_a_frozen_disk_and_every_file_is_there_afterwards(self):
        other = self.device("other", responses=False)
        idle = self.round_trips(other, 2)
        devices = [self.device(f"dev{n}") for n in range(3)]
        content = os.urandom(4 << 20)
        self.ok(devices[0].init("f", size=len(content)))
        for offset, data in pieces(content[:1 << 20], 100_000):
            self.ok(devices[0].segment("f", offset, data))
        self.ok(devices[1].upload("done", b"finished before"))
        frozen(self.broker.storage.path, True)
        # Each kind of command once, and bytes until the log is full.
        waiting = [devices[1].send("$file/small/put/a", b"small"),
                   devices[1].send("$file/done/fin/15"), devices[1].send("$file/done/status"),
                   devices[1].send("$file/x/init", b'{"name":"x"}'), devices[1].send("$file/x/abort")]
        todo = iter(pieces(content[1 << 20:], 100_000, 1 << 20))
        words = []

        def one_more():
            piece = next(todo, None)
            if piece:
                words.append(devices[0].segment("f", *piece).word)
            else:
                self.full(devices[2], words)
        during = self.round_trips(other, 4, one_more)
        self.assertIn("busy", words, "the log never filled up")
        self.assertTrue(devices[2].is_alive())
        frozen(self.broker.storage.path, False)
        for ticket in waiting[:2]:
            self.ok(devices[1].answer(ticket))
        self.ok(devices[0].fin("f", len(content), sha256(content)))
        self.broker.storage.check_finished(self, "dev0", "f", "data.bin", content)
        self.broker.storage.check_finished(self, "dev1", "small", "a", b"small")
        # The worst of an idle second, with room for a machine that is not quiet: whoever waited for room
        # in the log longer than it may would do so again and again. For the disk it is four seconds.
        self.assertLess(during[-4], max(3 * idle[-1], 60 * SCALE), (idle[-5:], during[-5:]))
        self.assertLess(during[-1], 1000 * SCALE, (idle[-5:], during[-5:]))

    def full(self, device, words):
        """One segment more of a file of its own, of which some are refused once the log is full."""
        if not getattr(self, "sent", 0):
            self.ok(device.init("g"))
            self.sent = 0
        answer = device.segment("g", self.sent * 500_000, bytes(500_000))
        words.append(answer.word)
        self.sent += answer.word == "success"

    def test_a_stop_does_not_wait_for_a_disk_that_hangs(self):
        device = self.device("dev")
        self.ok(device.init("f", size=300_000))
        self.ok(device.segment("f", 0, bytes(300_000)))
        frozen(self.broker.storage.path, True)
        device.acked(device.publish("$file/f/fin/300000"))
        began = time.monotonic()
        os.kill(self.broker.process.pid, 15)
        eventually(lambda: not os.path.exists(f"/proc/{self.broker.process.pid}/exe")
                   or self.broker.process.poll() is not None, "the broker's end", 20)
        self.assertLess(time.monotonic() - began, 8 * SCALE)
        self.broker.process = None
        frozen(self.broker.storage.path, False)
        self.broker.start()
        eventually(lambda: os.path.exists(self.broker.storage.finished("dev", "f", "data.bin")),
                   "the file whose fin was accepted")


