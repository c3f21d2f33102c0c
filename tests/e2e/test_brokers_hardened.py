# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Brokers in hardened systemd units: nothing is needed beyond what Mosquitto itself calls. The
units' settings are put in force by hardened.c."""
import functools
import os
import pwd
import shutil
import subprocess
import unittest

from harness import Case, compiled, rows, spread
from ondisk import eventually, sha256
from test_downloads import Shop, download, wait_for
from test_s3 import S3Case, is_built_in

AF_UNIX, AF_INET, AF_INET6, AF_NETLINK = 1, 2, 10, 16
NOT_HERE = 77


@functools.cache
def system_calls(*words):
    """The names that SystemCallFilter=WORDS comes to, in the order of systemd.exec(5)."""
    if not shutil.which("systemd-analyze"):
        raise unittest.SkipTest("no systemd-analyze that knows systemd's sets")
    names = set(expanded("@default"))
    for word in words:
        if word.startswith("~"):
            names -= expanded(word[1:])
        else:
            names |= expanded(word)
    return sorted(names)


@functools.cache
def expanded(word):
    if not word.startswith("@"):
        return {word}
    shown = subprocess.run(["systemd-analyze", "--no-pager", "syscall-filter", word], check=True,
                           stdout=subprocess.PIPE, text=True).stdout.split("\n")[1:]
    names = [line.strip() for line in shown if line.strip() and "#" not in line]
    return set().union(*(expanded(name) for name in names))


def allow(*words):
    return [f"allow {name}" for name in system_calls(*words)]


def refuse(*sets):
    return [f"refuse {name}" for name in sorted(set().union(*(expanded(s) for s in sets)))]


FAMILIES = [f"family {number}" for number in (AF_UNIX, AF_INET, AF_INET6, AF_NETLINK)]
SERVICE = ("@system-service", "~@privileged", "~@resources")

# name: rules (see hardened.c), made when they are needed
UNITS = {
    "debian": lambda: ["user"],
    "system_service": lambda: ["user", *allow("@system-service")],
    "without_privileged_and_resources": lambda: ["user", *allow(*SERVICE)],
    "those_refused_with_eperm": lambda: ["user", *refuse("@privileged", "@resources", "@memlock",
                                                         "@keyring", "@aio")],
    "without_memlock": lambda: ["user", "memlock", *allow(*SERVICE, "~@memlock")],
    "proc_subset_pid": lambda: ["subset", "user"],
    "protect_system_strict": lambda: ["strict", "write", "user"],
    "address_families": lambda: ["user", *FAMILIES],
    "no_netlink_no_unix": lambda: ["user", f"family {AF_INET}", f"family {AF_INET6}"],
    "deny_write_execute": lambda: ["user", "nowx"],
    "nixos": lambda: ["strict", "write", "subset", "memlock", "user", "nowx", *FAMILIES,
                      *allow(*SERVICE)],
}


class Hardened:
    """A broker that is started as a unit of that kind starts it."""

    def wrap(self, broker, rules):
        user = pwd.getpwnam("mosquitto" if self.has_user("mosquitto") else "nobody")
        path = os.path.join(broker.dir, "rules")
        words = {"user": f"user {user.pw_uid} {user.pw_gid}", "write": f"write {broker.dir}"}
        with open(path, "w", encoding="ascii") as out:
            out.writelines(words.get(rule, rule) + "\n" for rule in rules)
        os.chown(broker.dir, user.pw_uid, user.pw_gid)
        broker.wrapper = [compiled("hardened", "-lseccomp"), path]

    @staticmethod
    def has_user(name):
        try:
            return bool(pwd.getpwnam(name))
        except KeyError:
            return False

    def starts(self, rules):
        """Whether the broker by itself does so here: else the kernel, or it, does not let us."""
        broker = self.start_broker(start=False, plugin=None, user=None)
        self.wrap(broker, rules)
        broker._launch()
        try:
            broker.process.wait(0.5)
        except subprocess.TimeoutExpired:
            broker.stop()
            return True
        broker.process = None
        return False

    def put_into(self, broker, rules):
        if os.geteuid() != 0:
            self.skipTest("units are set up by root")
        if not self.starts(rules):
            self.skipTest("the kernel, or the broker without the plugin, refuses")
        self.wrap(broker, rules)
        return broker

    @staticmethod
    def write_judge(broker):
        """A program of the operator's, which needs processes of its own."""
        path = broker.options["on_complete"] = os.path.join(broker.dir, "judge")
        with open(path, "w", encoding="ascii") as out:
            out.write("#!/bin/sh\nset -e\nsize=$(wc -c <\"$1\")\n"
                      "echo \"{\\\"user_data\\\": {\\\"counted\\\": $size}}\"\n")
        os.chmod(path, 0o755)


@spread
class Units(Hardened, Case):
    """Everything that a broker does with files, and a restart, in each."""

    shared = False
    options = {"durability": "file", "done": "on", "events": "on", "downloads": "native,aws,jobs",
               "offers_interval": "1s"}

    @rows(*UNITS.items())
    def test_files_come_and_go_in_a_unit(self, rules):
        rules = rules()
        broker = self.start_broker(start=False, user=None)
        self.write_judge(broker)
        self.put_into(broker, rules).start()
        content = os.urandom(300_000)
        device = self.device("dev", broker=broker)
        self.ok(device.upload("f", content))
        manifest = broker.storage.manifest("dev", "f", "data.bin")
        self.assertEqual(manifest["user_data"], {"counted": len(content)}, "on_complete ran")
        done = os.path.join(broker.storage.path, "done")
        eventually(lambda: [n for n in os.listdir(done) if n.endswith(".json")], "a notice")
        Shop(broker).put("all/app.bin", content)
        wait_for(device, "app.bin", content)
        self.assertEqual(download(device, "app.bin", len(content), sha256(content)), (content, []))
        self.ok(device.init("g", size=len(content), checksum=sha256(content)))
        self.ok(device.segment("g", 0, content[:100_000]))
        broker.restart()
        device = self.device("dev", broker=broker)
        # Where the boot id is hidden, the restart may pass for one of the machine.
        held = self.ok(device.init("g", size=len(content), checksum=sha256(content))).get("received")
        self.assertIn(held, (0, 100_000) if "subset" in rules else (100_000,))
        self.ok(device.segment("g", held, content[held:]))
        self.ok(device.fin("g", len(content)))
        broker.storage.check_finished(self, "dev", "f", "data.bin", content)


@spread
@unittest.skipUnless(is_built_in(), "the plugin was made without libcurl's header")
class UnitsWithS3(Hardened, S3Case):
    """libcurl, its threads and its connections, in those that leave least."""

    @rows(*((name, UNITS[name]) for name in ("those_refused_with_eperm", "no_netlink_no_unix",
                                             "nixos")))
    def test_files_become_objects_in_a_unit(self, rules):
        broker = self.start(start=False, user=None)
        self.put_into(broker, rules()).start()
        content = os.urandom(300_000)
        self.ok(self.device("dev", broker=broker).upload("f", content))
        self.finished("dev", "f", "data.bin", content)
