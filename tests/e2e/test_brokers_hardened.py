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
from ondisk import sha256

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


@spread
class Units(Case):
    """An upload, and a restart, in each."""

    shared = False

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

    @rows(*UNITS.items())
    def test_uploads_in_a_unit(self, rules):
        if os.geteuid() != 0:
            self.skipTest("units are set up by root")
        rules = rules()
        if not self.starts(rules):
            self.skipTest("the kernel, or the broker without the plugin, refuses")
        broker = self.start_broker({"durability": "file"}, start=False, user=None)
        self.wrap(broker, rules)
        broker.start()
        content = os.urandom(300_000)
        device = self.device("dev", broker=broker)
        self.ok(device.upload("f", content))
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
