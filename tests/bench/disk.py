# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Where the servers write: a file system with a journal.

ext4 without a journal scans its table of deleted inodes whenever a file is made, which
slows down some peers and not others. Where the build directory is on such a file system
and we are root, an image of its own is mounted through a loop device.
"""
import ctypes
import fcntl
import os
import shutil
import subprocess
import time

FREEZE, THAW = 0xC0045877, 0xC0045878  # FIFREEZE, FITHAW, linux/fs.h
IMAGE_BYTES = 8 << 30
JOURNALED = ("xfs", "btrfs", "f2fs", "jfs", "zfs", "reiserfs")


def _mount_of(path):
    """(device, type) of the file system that a path is on."""
    best = ("", "", "")
    real = os.path.realpath(path)
    with open("/proc/mounts", encoding="utf-8") as mounts:
        for line in mounts:
            device, point, kind = line.split()[:3]
            if (real + "/").startswith(point.rstrip("/") + "/") and len(point) >= len(best[0]):
                best = (point, device, kind)
    return best[1], best[2]


def has_journal(path):
    device, kind = _mount_of(path)
    if kind in JOURNALED:
        return True
    if kind not in ("ext3", "ext4"):
        return False
    name = os.path.basename(os.path.realpath(device))
    return any(entry.startswith(name + "-") for entry in os.listdir("/proc/fs/jbd2")) \
        if os.path.isdir("/proc/fs/jbd2") else False


class Disk:
    """`path` is an empty directory until close()."""

    def __init__(self, build):
        self.path = os.path.join(build, "bench", "disk")
        self.image = os.path.join(build, "bench", "disk.img")
        self.mounted = False
        self.close()  # what a killed run has left
        os.makedirs(self.path)
        if has_journal(self.path):
            self.kind = f"{_mount_of(self.path)[1]}, with a journal"
        elif os.geteuid() == 0 and self._mount():
            self.kind = "ext4 with a journal, in a file through a loop device"
        else:
            self.kind = f"{_mount_of(self.path)[1]} WITHOUT A JOURNAL"

    def _mount(self):
        room = shutil.disk_usage(os.path.dirname(self.image)).free
        if room < IMAGE_BYTES + (1 << 30):
            return False
        steps = (["fallocate", "-l", str(IMAGE_BYTES), self.image],
                 ["/sbin/mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0",
                  self.image],
                 ["mount", "-o", "loop", self.image, self.path])
        for step in steps:
            if subprocess.run(step, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              check=False).returncode != 0:
                return False
        self.mounted = True
        return True

    def empty(self):
        """Forgets all files, and leaves nothing to be written back behind the next run."""
        for name in os.listdir(self.path):
            if name != "lost+found":
                shutil.rmtree(os.path.join(self.path, name), ignore_errors=True)
        self.sync()

    def sync(self):
        fd = os.open(self.path, os.O_RDONLY)
        try:
            ctypes.CDLL(None).syncfs(fd)
        finally:
            os.close(fd)

    def hold_up(self, stalls):
        """Whoever writes waits, again and again: ((seconds before, seconds held), ...)."""
        fd = os.open(self.path, os.O_RDONLY)
        try:
            for before, held in stalls:
                time.sleep(before)
                fcntl.ioctl(fd, FREEZE, 0)
                try:
                    time.sleep(held)
                finally:
                    fcntl.ioctl(fd, THAW, 0)
        finally:
            os.close(fd)

    def folder(self, name):
        path = os.path.join(self.path, name)
        os.makedirs(path, exist_ok=True)
        return path

    def close(self):
        if os.path.ismount(self.path):
            subprocess.run(["umount", self.path], check=False)
        if not os.path.ismount(self.path):
            shutil.rmtree(self.path, ignore_errors=True)
            if os.path.exists(self.image):
                os.unlink(self.image)
