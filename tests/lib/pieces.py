# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The processes that a run of all tests consists of, and when each of them runs.

    process = Process(command, seconds, log, env={...})     starts it
    status = process.wait()                                 ends what it started, too
    run_all([Piece(name, work), ...], jobs)

work() runs a Process and judges it, and may bring further pieces. What measures time runs first,
with nothing beside it that computes; the rest longest first, as many at once as keep the
processors busy: much of it only waits for timers and disks.
"""
import concurrent.futures
import os
import signal
import subprocess
import threading
import time

PROCESSORS = len(os.sched_getaffinity(0))
GRACE_SECONDS = 3  # between SIGTERM and SIGKILL: C programs pass it on to their tests
LOOK_SECONDS = 0.5
IDLE = 0.15        # of the processors: then there is room for one more

# What judges how long something takes: these groups run one after the other. What only counts
# runs beside others.
QUIET = [
    {"soak/run"},
    {"bench/guard/memory"},  # sends more at once than a busy machine takes in
    {"bench/guard/calls"},  # the catalog's own writes come by the clock, and count with the rest
    # Each waits nearly all the time.
    {"probe/waking", "probe/waking_by_bell", "probe/waking_by_knocks", "probe/waking_by_bell_unix",
     "probe/waking_by_bell_tls", "probe/waking_by_knocks_tls", "probe/idle"},
]
# Seconds on a machine with two processors, about, of what takes more than a few. Downloads are first,
# since they bring pieces.
SECONDS = {
    "brokers/bookworm-backports": 300,
    "brokers/forky": 300,
    "test_brokers_auth": 90,
    "test_restart": 80,
    "test_client_link": 80,
    "test_client_get": 80,
    "fault/test_catalog_faults": 60,
    "test_order": 55,
    "test_clients": 55,
    "property/test_engine_model": 54,
    "unit/test_engine_store": 48,
    "test_expiry": 45,
    "test_s3": 75,
    "fault/test_plugin_calls": 65,
    "test_client_codes": 45,
    "test_client_get_hostile": 45,
    "test_client_put": 45,
    "fault/test_engine_calls": 40,
    "test_client_window": 40,
    "test_client_real": 40,
    "test_downloads": 34,
    "test_client_demo": 32,
    "test_client_get_watch": 28,
    "test_events": 26,
    "test_ft_ctl": 24,
    "test_aws_jobs": 22,
    "test_growth": 35,
    "model": 35,
    "test_versions": 35,
    "bench/guard/instructions": 30,
    "test_assembly": 30,
    "test_client_refused": 30,
    "fuzz/test_corpora": 25,
    "crash/test_catalog_power": 25,
    "crash/powercut": 25,
    "test_done": 25,
    "test_hostile": 25,
    "test_client_control": 22,
    "test_isolation": 20,
    "fault/test_store_calls": 20,
    "soak/kill": 20,
    "bench/guard/calls": 20,
    "unit/test_engine_later": 14,
    "bench/guard/s3": 10,
    "test_options": 20,
    "crash/test_store_crash": 15,
    "test_client_sources": 15,
    "test_frozen": 15,
    "test_brokers_hardened": 15,
    "unit/test_catalog_open": 12,
    "unit/test_engine_restart": 12,
    "probe/crowd": 10,
    "probe/persistence": 9,
    "probe/touches_no_file": 9,
    "probe/wiped": 9,
    "unit/test_engine_bounds": 8,
    "probe/reloads": 7,
    "unit/test_engine": 6,
}


class Process:
    """A process in a session of its own. After so many seconds it is ended."""

    alive = set()

    def __init__(self, command, seconds, log, **more):
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                        start_new_session=True, **more)
        self.is_late, self.processor_seconds = False, 0.0
        Process.alive.add(self)
        self.timer = threading.Timer(seconds, self._take_too_long)
        self.timer.start()

    def _take_too_long(self):
        self.is_late = True
        self.end()

    def signal(self, number):
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            pass

    def end(self):
        self.signal(signal.SIGTERM)
        threading.Timer(GRACE_SECONDS, self._kill).start()

    def _kill(self):
        if self in Process.alive:
            self.signal(signal.SIGKILL)

    def wait(self):
        """Its status, as subprocess has it."""
        # As long as nobody has asked for its status, its number is not another's.
        os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)
        self.timer.cancel()
        Process.alive.discard(self)
        self.signal(signal.SIGKILL)
        _, status, usage = os.wait4(self.process.pid, 0)
        self.processor_seconds = usage.ru_utime + usage.ru_stime
        self.process.returncode = os.waitstatus_to_exitcode(status)
        return self.process.returncode

    @classmethod
    def end_all(cls):
        """Nothing is left behind."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            for process in list(cls.alive):
                process.signal(number)
            end = time.monotonic() + GRACE_SECONDS
            while cls.alive and time.monotonic() < end:
                time.sleep(0.02)


class Piece:
    """Something to run that has a name."""

    def __init__(self, name, work, *arguments):
        self.name, self.work, self.arguments = name, work, arguments
        self.seconds = SECONDS.get(name.partition(" ")[0], 0)

    def run(self):
        """Some bring further pieces."""
        return list(self.work(*self.arguments) or ())


class Processors:
    """How much of them nobody used since the last question."""

    def __init__(self):
        self.before = self._now()

    def _now(self):
        with open("/proc/stat", encoding="ascii") as text:
            ticks = [int(word) for word in text.readline().split()[1:9]]
        return sum(ticks), ticks[3] + ticks[4]  # all, idle and waiting for disks

    def idle(self):
        now = self._now()
        total, idle = (a - b for a, b in zip(now, self.before))
        self.before = now
        return idle / total if total else 0


def run_all(pieces, jobs=0):
    """At most so many at once; 0: by what the processors have to do."""
    for group in QUIET:
        quiet = [one for one in pieces if one.name in group]
        run_side_by_side(quiet, jobs or len(quiet), len(quiet))
        pieces = [one for one in pieces if one not in quiet]
    run_side_by_side(pieces, jobs or PROCESSORS * 2, jobs or PROCESSORS * 4)


def longest_first(pieces):
    return sorted(pieces, key=lambda one: -one.seconds)


def run_side_by_side(pieces, least, most):
    """So many at once, and more while there are idle processors."""
    todo = longest_first(pieces)
    processors, running = Processors(), set()
    with concurrent.futures.ThreadPoolExecutor(max(most, 1)) as pool:
        while todo or running:
            while todo and len(running) < least:
                running.add(pool.submit(todo.pop(0).run))
            done, running = concurrent.futures.wait(
                running, LOOK_SECONDS, concurrent.futures.FIRST_COMPLETED)
            for one in done:
                todo = longest_first([*todo, *(one.result() or ())])
            if not done and todo and len(running) < most and processors.idle() > IDLE:
                running.add(pool.submit(todo.pop(0).run))
