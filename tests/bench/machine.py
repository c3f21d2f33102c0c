# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""What the machine is, whether it is quiet, and what a process has cost."""
import mmap
import os
import platform
import re
import shutil
import subprocess

TICK = os.sysconf("SC_CLK_TCK")
CPUS = os.cpu_count() or 1
MAP_POPULATE = 0x8000  # Linux; a name of Python's only since 3.10


def _read(path):
    with open(path, encoding="utf-8", errors="replace") as text:
        return text.read()


def _stat_fields(pid):
    """Fields of /proc/PID/stat from the third on; the name before may hold anything."""
    return _read(f"/proc/{pid}/stat").rpartition(")")[2].split()


def tree(pid):
    """A process and its descendants."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                children.setdefault(int(_stat_fields(entry)[1]), []).append(int(entry))
            except OSError:
                pass
    found = [pid]
    for each in found:
        found.extend(children.get(each, []))
    return found


def _process_cpu_s(pid):
    """Nanoseconds of each thread, where the kernel counts them, and the children it buried."""
    fields = _stat_fields(pid)
    buried = (int(fields[13]) + int(fields[14])) / TICK
    try:
        ns = sum(int(_read(f"/proc/{pid}/task/{task}/schedstat").split()[0])
                 for task in os.listdir(f"/proc/{pid}/task"))
        return ns / 1e9 + buried
    except OSError:
        return (int(fields[11]) + int(fields[12])) / TICK + buried


def cpu_s(pid):
    """CPU seconds that a process and its descendants have used."""
    total = 0.0
    for each in tree(pid):
        try:
            total += _process_cpu_s(each)
        except OSError:
            pass
    return total


def anonymous_bytes(pid):
    """Memory of its own: heap, stacks; not what is shared or backed by files."""
    return int(re.search(r"^Anonymous:\s+(\d+) kB", _read(f"/proc/{pid}/smaps_rollup"),
                         re.MULTILINE).group(1)) * 1024


def resident_bytes(pid, peak=False):
    """Memory that is in use, of which the page cache is no part; or the most that ever was."""
    return int(re.search(rf"^Vm{'HWM' if peak else 'RSS'}:\s+(\d+) kB", _read(f"/proc/{pid}/status"),
                         re.MULTILINE).group(1)) * 1024


def user_s():
    """User, nice and stolen time of the whole machine. What the kernel does in threads
    of its own (writeback, the loop device) is ours, so system time says nothing."""
    fields = _read("/proc/stat").split("\n", 1)[0].split()
    return (int(fields[1]) + int(fields[2]) + int(fields[8])) / TICK


class Watch:
    """Finds out whether others have used the processors meanwhile."""

    def __init__(self, pids):
        self.pids, self.before, self.ours = pids, user_s(), self._ours(pids)

    @staticmethod
    def _ours(pids):
        total = sum(os.times()[i] for i in (0, 2))
        for pid in (p for root in pids for p in tree(root)):
            try:
                fields = _stat_fields(pid)
                total += (int(fields[11]) + int(fields[13])) / TICK
            except OSError:
                pass
        return total

    def foreign_s(self):
        return (user_s() - self.before) - (self._ours(self.pids) - self.ours)


def is_noise(foreign_s, wall_s):
    """More than 5 %, and more than the clock's two ticks of either kind may hide."""
    return foreign_s > max(0.05 * wall_s * CPUS, 4 / TICK)


def prewarm(wanted=3 << 30):
    """Touches memory once, so that a virtual machine's host has given it already."""
    available = int(re.search(r"MemAvailable:\s+(\d+)", _read("/proc/meminfo")).group(1)) * 1024
    mmap.mmap(-1, min(wanted, available // 2), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
              | MAP_POPULATE).close()


def _model():
    found = re.search(r"^model name\s*:\s*(.*)", _read("/proc/cpuinfo"), re.MULTILINE)
    return found.group(1) if found else platform.machine()


def facts():
    memory = int(re.search(r"MemTotal:\s+(\d+)", _read("/proc/meminfo")).group(1)) / (1 << 20)
    return {
        "cpu": f"{CPUS} x {_model()}",
        "sha_instructions": " sha_ni " in f" {_read('/proc/cpuinfo')} ",
        "memory_gib": round(memory, 1),
        "kernel": platform.release(),
        "system": re.search(r'PRETTY_NAME="(.*)"', _read("/etc/os-release")).group(1),
        "mosquitto": _version(["mosquitto", "-h"], r"version (\S+)"),
    }


def _version(command, pattern):
    path = shutil.which(command[0]) or f"/usr/sbin/{command[0]}"
    shown = subprocess.run([path] + command[1:], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           check=False, text=True).stdout
    found = re.search(pattern, shown)
    return found.group(1) if found else "unknown"
