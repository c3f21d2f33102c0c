# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Brokers with the probe in them, and what is counted."""

import fcntl
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zlib

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "lib"))

from ports import free_port  # noqa: E402  it is found by the path set above

SOURCES = [os.path.join(ROOT, path) for path in (
    "tests/probe/probe.c", "plugin/base/buf.c", "plugin/base/logger.c", "plugin/base/system.c",
    "plugin/base/uuid.c")] + \
    [path for word in ("wake", "doorbell", "listeners", "compat", "mqtt_*", "ack_sink*")
     for path in sorted(glob.glob(os.path.join(ROOT, "plugin", "mosquitto", "**", word + ".c"), recursive=True))]
HEADERS = glob.glob(os.path.join(ROOT, "plugin", "**", "*.h"), recursive=True)
passed, failed = [], []


def check(name, good, detail=""):
    (passed if good else failed).append(name)
    print(("ok   " if good else "FAIL ") + name + (f": {detail}" if detail != "" else ""), flush=True)


def until(condition, seconds=10, every=0.02):
    end = time.monotonic() + seconds
    while True:
        got = condition()
        if got or time.monotonic() > end:
            return got
        time.sleep(every)


def compiled(name, sources, *flags):
    """The path of a library, built when its sources are newer; by one of those that run at once."""
    folder = os.path.join(ROOT, os.environ.get("BUILD", "build"), "probe")
    os.makedirs(folder, exist_ok=True)
    target = os.path.join(folder, name)
    with open(target + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        newest = max(os.path.getmtime(path) for path in sources + HEADERS)
        if not os.path.exists(target) or os.path.getmtime(target) < newest:
            subprocess.run(["gcc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-D_GNU_SOURCE",
                            *flags, "-o", target + ".new", *sources, "-ldl"], cwd=ROOT, check=True)
            os.rename(target + ".new", target)
    return target


def build():
    """The path of the plugin that probes."""
    flags = os.environ.get("PROBE_CFLAGS", "").split()
    return os.path.abspath(os.environ["PROBE"]) if "PROBE" in os.environ else compiled(
        f"probe{zlib.crc32(' '.join(flags).encode()):x}.so", SOURCES, "-O2", "-g", "-fvisibility=hidden", "-pthread",
        "-Iinclude", "-Iplugin", "-include", "plugin/base/banned.h", *flags, "-luuid")


def clock_setter():
    """A library that lets a broker's wall clock go wrong."""
    return compiled("set_clock.so", [os.path.join(HERE, "set_clock.c")])


class Suite:
    def __init__(self, name):
        def say(*words):
            return subprocess.run([os.path.join(ROOT, "tests", "brokers"), name, *words], check=True,
                                  capture_output=True, text=True).stdout.strip()
        self.name = name
        self.command = say().split()
        self.version = say("version")
        self.dynsec = say("dynsec")
        self.is_21 = not self.version.startswith("2.0")
        self.ticks_per_listener = self.version != "2.0.11"


class Broker:
    """One broker with the probe; leaving the block stops it and looks at what is left."""

    def __init__(self, suite, lines, folder=None, name="", options="", preload=()):
        self.suite, self.name, self.preload = suite, name, preload
        self.own_folder = folder is None
        self.folder = folder or tempfile.mkdtemp(prefix="probe-")
        self.port = free_port()
        self.log_path = os.path.join(self.folder, f"log-{time.monotonic_ns()}")
        self.storage = os.path.join(self.folder, "storage")
        os.makedirs(self.storage, exist_ok=True)
        os.chmod(self.folder, 0o755)
        plugin = f"plugin {build()}\nplugin_opt_storage_dir {self.storage}\n{options}\n"
        self.began = time.monotonic()
        values = dict(port=self.port, folder=self.folder, plugin=plugin, dynsec=suite.dynsec)
        text = "\n".join(lines).format(**values)
        with open(os.path.join(self.folder, "conf"), "w") as conf:
            # Nagle's algorithm would measure the client's delayed ACK.
            conf.write(f"user root\nset_tcp_nodelay true\nlog_type all\nlog_dest file {self.log_path}\n{text}\n")

    def __enter__(self):
        env = dict(os.environ)
        command = self.suite.command + ["-c", os.path.join(self.folder, "conf")]
        env["LD_PRELOAD"] = " ".join([os.environ.get("PRELOAD", ""), *self.preload]).strip()
        env["SET_CLOCK"] = os.path.join(self.folder, "set-clock")
        if os.environ.get("PRELOAD"):
            # The broker leaks a little of its own at its end.
            quiet = os.path.join(self.folder, "leaks")
            with open(quiet, "w") as out:
                out.write("leak:mosquitto__calloc\nleak:mosquitto__realloc\nleak:mosquitto__strdup\n"
                          "leak:mosquitto__malloc\n")
            env["LSAN_OPTIONS"] = f"suppressions={quiet}:print_suppressions=0"
        self.output = open(os.path.join(self.folder, "output"), "w+")
        self.process = subprocess.Popen(command, env=env, stdout=self.output, stderr=self.output)
        if not until(lambda: f"version {self.suite.version} running" in self.log() or self.process.poll() is not None,
                     seconds=60):
            raise RuntimeError("the broker does not start: " + self.log())
        if self.process.poll() is not None:
            self.output.seek(0)
            raise RuntimeError("the broker ended: " + self.log() + self.output.read())
        return self

    def __exit__(self, kind, value, trace):
        if kind:
            print(self.log())
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = "did not end"
        self.output.seek(0)
        errors = self.output.read()
        name = f"{self.suite.name} {self.name}"
        check(f"{name}: ends cleanly", code == 0 and "ERROR" not in errors and "Sanitizer" not in errors,
              errors[:3000] if code else "")
        check(f"{name}: no SIGURG handler stays", "probe: SIGURG default" in self.log())
        if self.own_folder and not os.environ.get("KEEP"):
            shutil.rmtree(self.folder)

    def log(self):
        try:
            with open(self.log_path, errors="replace") as log:
                return log.read()
        except FileNotFoundError:
            return ""

    def fds(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def rss_kib(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1))

    def ready(self, seconds=10):
        """The sink is there (2.1: from the start)."""
        return self.suite.is_21 or until(lambda: "acknowledged with 0x00 by a session" in self.log(), seconds)

    def stays_free_of_descriptors(self, before):
        check(f"{self.suite.name} {self.name}: descriptors do not leak",
              until(lambda: self.fds() <= before, 3), f"{before} -> {self.fds()}")


def acks(broker, client, name=None):
    label = f"{broker.suite.name} {name or broker.name}"
    check(f"{label}: accepted is 0x00", client.publish("$file/ok/1", b"bytes") == 0x00)
    check(f"{label}: begin again is 0x10", client.publish("$file/no/1", b"bytes") == 0x10)


def sessions(client):
    """(total, offline) as $SYS has it; the client asking is one of total."""
    client.subscribe("$SYS/broker/clients/#")
    seen = {topic: int(payload) for topic, payload in client.collect(2.5) if payload.isdigit()}
    if "$SYS/broker/clients/disconnected" not in seen:  # 2.1 publishes what has changed
        seen["$SYS/broker/clients/disconnected"] = seen["$SYS/broker/clients/total"] - \
            seen["$SYS/broker/clients/connected"]
    return seen["$SYS/broker/clients/total"], seen["$SYS/broker/clients/disconnected"]


def reload(broker, client):
    """SIGHUP, and until the broker is done with it."""
    before = broker.log().count("Reloading config")
    broker.process.send_signal(signal.SIGHUP)
    until(lambda: broker.log().count("Reloading config") > before)


def certificate(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                    "/CN=localhost", "-keyout", f"{folder}/key", "-out", f"{folder}/cert"],
                   check=True, capture_output=True)
    os.chmod(f"{folder}/key", 0o644)
    return [f"certfile {folder}/cert", f"keyfile {folder}/key"]

