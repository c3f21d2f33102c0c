# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Runs a case once: a fresh server, an empty folder, the load, what both have cost."""
import json
import os
import subprocess
import threading
import time

import machine
from peers import Missing
from servers import die_with_parent

TRIES = 3
MOST_RETRIES = 0.2  # of all runs: on a machine that is never quiet they only cost time
MIB = 1 << 20


class Failed(Exception):
    """The run has no result; says why."""


class Load:
    """A load generator that has said "ready"."""

    def __init__(self, bench, arguments, port, go=True):
        self.errors = os.path.join(bench.disk.path, "load.log")
        with open(self.errors, "ab") as log:
            self.process = subprocess.Popen(
                [bench.load] + arguments + ["--port", str(port)] + (["--go"] if go else []),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                preexec_fn=die_with_parent)
        if self.process.stdout.readline() != "ready\n":
            self._fail()
        self.pid = self.process.pid

    def _fail(self):
        self.process.kill()
        self.process.wait()
        with open(self.errors, encoding="utf-8", errors="replace") as text:
            raise Failed(text.read()[-1000:].strip() or "the load generator has died")

    def go(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def line(self):
        return self.process.stdout.readline()

    def end(self, line):
        """The result that the line tells, if the process ends well."""
        self.process.stdout.close()
        self.process.stdin.close()
        if self.process.wait() != 0 or not line:
            self._fail()
        return json.loads(line)

    def stop(self):
        self.process.terminate()
        return self.end(self.line())

    def discard(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def _arguments(case, server):
    return [server.storage if word == "STORAGE" else word for word in case.load]


def _sink(bench, case, server):
    """The subscriber needs to know the sizes, not the rest."""
    arguments = ["sink", "--id", "sink", "--dir", bench.disk.folder("sink")]
    for name in ("--size", "--clients", "--files"):
        if name in case.load:
            arguments += [name, case.load[case.load.index(name) + 1]]
    return Load(bench, arguments, server.port, go=False)


def _drive(load, server, sink, ping):
    """Lets the load loose; its result, with what the server's side has cost."""
    side = [server.process.pid] + ([sink.pid] if sink else [])
    watch = machine.Watch(side + [load.pid] + ([ping.pid] if ping else []))
    begun, before = time.monotonic(), sum(map(machine.cpu_s, side))
    if ping:
        ping.go()
    load.go()
    line = load.line()
    cpu = sum(map(machine.cpu_s, side)) - before
    foreign, wall = watch.foreign_s(), time.monotonic() - begun
    result = load.end(line)
    result.update(server_cpu_s=cpu, foreign_s=foreign, noisy=machine.is_noise(foreign, wall))
    if ping:
        result.update(ping.stop())
    return result


def _upload(bench, case, server, ping=None):
    sink = _sink(bench, case, server) if case.sink else None
    load = None
    try:
        load = Load(bench, _arguments(case, server), server.port)
        result = _drive(load, server, sink, ping)
        if sink:
            sink.stop()
    finally:
        for each in (load, sink):
            if each:
                each.discard()
    result["mib_s"] = result["bytes"] / MIB / result["seconds"]
    result["us_per_file"] = result["server_cpu_s"] / result["files"] * 1e6
    return result


def _fin(bench, case, server):
    result = _upload(bench, case, server)
    result["fin_ms"] = result["fin_ms"]["max"]
    return result


def _round_trip(bench, case, server):
    ping = Load(bench, ["ping", "--id", "ping"], server.port)
    try:
        result = _upload(bench, case, server, ping)
    finally:
        ping.discard()
    spread = result.pop("round_trip_us")
    result.update(p50_us=spread["p50"], p99_us=spread["p99"], max_us=spread["max"],
                  pings=spread["count"])
    return result


def _download(bench, case, server):
    """With the round trips of another client, and what the broker's memory grew by at most."""
    ping = Load(bench, ["ping", "--id", "ping", "--pause-us", "5000"], server.port)
    load = None
    try:
        before = machine.resident_bytes(server.process.pid)
        load = Load(bench, case.load, server.port)
        result = _drive(load, server, None, ping)
    finally:
        for each in (load, ping):
            if each:
                each.discard()
    spread = result.pop("round_trip_us")
    result.update(mib_s=result["bytes"] / MIB / result["seconds"],
                  mib_per_cpu_s=result["bytes"] / MIB / result["server_cpu_s"],
                  memory_mib=(machine.resident_bytes(server.process.pid, peak=True) - before) / MIB,
                  p50_us=spread["p50"], p99_us=spread["p99"], max_us=spread["max"])
    return result


def _held_up(stalls):
    """stalls: ((seconds until it is frozen, seconds until it is thawed), ...)"""
    def run(bench, case, server):
        if stalls and not bench.disk.mounted:
            raise Missing("needs a file system that nobody else uses, so root and loop devices")
        holder = threading.Thread(target=bench.disk.hold_up, args=(stalls,))
        holder.start()
        try:
            return _round_trip(bench, case, server)
        finally:
            holder.join()
    return run


def _cost(bench, case, server):
    result = _upload(bench, case, server)
    result["us_per_message"] = result["server_cpu_s"] / result["messages"] * 1e6
    return result


def _idle(bench, case, server):
    """Memory of unfinished transfers, and how long a broker takes to start with them."""
    empty_start_s = server.start_s
    before = machine.anonymous_bytes(server.process.pid)
    result = _upload(bench, case, server)
    held = machine.anonymous_bytes(server.process.pid) - before
    server.stop()
    again = type(server)(bench, server.work, options=server.options).start()
    try:
        # All are there: init and the segment of each are accepted again.
        _upload(bench, case, again)
    finally:
        again.stop()
    result.update(bytes_per_transfer=held / result["files"], start_ms=again.start_s * 1000,
                  empty_start_ms=empty_start_s * 1000)
    return result


WARM_UP_BYTES = 4 * MIB
NOT_IN_WARM_UP = {"--size": 1, "--clients": 1, "--files": 1, "--parallel": 1, "--rate": 1,
                  "--dir": 1, "--confirm": 0, "--settle": 0, "--leave": 0}


def _warm_up(bench, case, server):
    """A little of the same by another client, since no server in service is new.

    It matters most to the stock broker: whether freed payloads go back to the kernel
    depends on what lies behind them in the heap, and the first upload after its start
    is up to six times as fast as all later ones.
    """
    words, arguments = iter(case.load), []
    for word in words:
        if word in NOT_IN_WARM_UP:
            if NOT_IN_WARM_UP[word]:
                next(words)
        else:
            arguments.append(word)
    load = Load(bench, arguments + ["--id", "warm", "--size", str(WARM_UP_BYTES)], server.port)
    load.go()
    load.end(load.line())
    server.forget()


KINDS = {"upload": _upload, "fin": _fin, "round-trip": _round_trip, "cost": _cost, "idle": _idle,
         "download": _download,
         "held-up-quiet": _held_up(()), "held-up-stalls": _held_up(((0.7, 0.3),) * 11),
         "held-up-frozen": _held_up(((1, 10),))}


def _once(bench, case):
    bench.disk.empty()
    kind, arguments = case.server
    server = kind(bench, bench.disk.folder("server"), **arguments).start()
    try:
        if case.warm:
            _warm_up(bench, case, server)
        return KINDS[case.kind](bench, case, server)
    except Failed as error:
        raise Failed(f"{error}\n{server.log_text()[-1000:]}") from None
    finally:
        server.stop()


class Runner:
    """Runs cases, again where others kept the machine busy."""

    def __init__(self, bench):
        self.bench, self.runs, self.retries = bench, 0, 0

    def run(self, case):
        """The result; of some tries that of the quietest."""
        self.runs += 1
        best = _once(self.bench, case)
        for _ in range(TRIES - 1):
            if not best["noisy"] or self.retries > 3 + self.runs * MOST_RETRIES:
                break
            self.retries += 1
            result = _once(self.bench, case)
            if result["foreign_s"] < best["foreign_s"]:
                best = result
        return best
