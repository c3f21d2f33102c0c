# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The wake-up: one function per scenario, called once per suite."""

import os
import statistics
import tempfile
import time

from harness import Broker, check, sessions, certificate, reload
from ports import free_port
from mqtt5 import Client


def wakes(broker, count=100, connect=None, limit=5):
    label = f"{broker.suite.name} {broker.name}"
    client = connect() if connect else Client(broker.port)
    client.subscribe("probe/#", 1)
    before = None
    for _ in range(20):  # a bell is hung when it is first needed, which takes a while with TLS
        client.publish("$file/work/1")
        client.message(5)
        if broker.fds() == before:
            break
        before = broker.fds()
    late = []
    for _ in range(count):
        client.publish("$file/work/1")
        got = client.message(5)
        if got is None:
            late.append(9999)
            continue
        late.append((time.monotonic_ns() - int(got[1])) / 1e6)
    late.sort()
    text = f"median {statistics.median(late):.2f} ms, 95% {late[int(len(late) * .95)]:.2f}, max {late[-1]:.2f}"
    check(f"{label}: woken within {limit} ms", statistics.median(late) < limit and late[-1] < 1000, text)
    broker.stays_free_of_descriptors(before)
    client.close()
    return text


def timers(broker, connect=None):
    label = f"{broker.suite.name} {broker.name}"
    client = connect() if connect else Client(broker.port)
    client.subscribe("probe/#", 1)
    client.publish("$file/at/1")
    began = time.monotonic()
    got = client.message(5)
    check(f"{label}: a timer comes in time", got is not None and 0.38 < time.monotonic() - began < 0.7,
          f"{time.monotonic() - began:.3f} s" if got else "never")
    client.close()


def waking(suite):
    with Broker(suite, ["listener {port}", "allow_anonymous true", "{plugin}"], name="wake") as broker:
        wakes(broker)
        timers(broker)


def crowd(suite):
    """More at once than are worked on: each takes 30 ms."""
    with Broker(suite, ["listener {port}", "allow_anonymous true", "{plugin}"], name="crowd") as broker:
        client = Client(broker.port)
        client.subscribe("probe/#", 1)
        for _ in range(300):
            client.publish("$file/work/1", wait=False)
        got = []
        while len(got) < 300:
            message = client.message(10)
            if message is None:
                break
            got.append(message)
        check(f"{suite.name} wake: nothing is lost in a crowd", len(got) == 300, len(got))


def idle(suite):
    """Nothing goes on turning after work."""
    with Broker(suite, ["listener {port}", "allow_anonymous true", "{plugin}"], name="idle") as broker:
        client = Client(broker.port)
        client.subscribe("probe/#", 1)
        client.publish("$file/work/1")
        check(f"{suite.name} idle: woken", client.message(10) is not None)
        ticks = os.sysconf("SC_CLK_TCK")

        def cpu():
            with open(f"/proc/{broker.process.pid}/stat") as stat:
                fields = stat.read().rsplit(")", 1)[1].split()
            return (int(fields[11]) + int(fields[12])) / ticks
        before = cpu()
        time.sleep(3)
        check(f"{suite.name} wake: idle when idle", cpu() - before < 0.1, f"{cpu() - before:.2f} s of 3 s")


def wakes_per_listener(suite, name, lines, options="", **connection):
    """2.0.11 does not tick here: there is a bell, and where that fails a knock at the door."""
    with Broker(suite, ["sys_interval 1", "per_listener_settings true", f"listener {free_port()}",
                        "allow_anonymous true", "listener {port}", *lines], options=options,
                name=f"wake per_listener {name}") as broker:
        label = f"{suite.name} {broker.name}"

        def connect():
            return Client(broker.port, **connection)
        check(f"{label}: sink is made", broker.ready())
        time.sleep(0.5)
        before = broker.log().count("New connection from")
        limit = 40 if "knocks" in name and not suite.ticks_per_listener else 5
        wakes(broker, 50, connect, limit)
        timers(broker, connect)
        check(f"{label}: ticks are as expected",
              ("probe: ticks" in broker.log()) == suite.ticks_per_listener)
        visitors = broker.log().count("New connection from") - before - 2
        few = visitors == 0 if suite.ticks_per_listener else visitors < 70 if "knocks" in name else visitors < 6
        check(f"{label}: visitors only where it must", few, visitors)
        if "bell" in name and not suite.ticks_per_listener:
            reload(broker, connect())
            wakes(broker, 5, connect, limit)
            check(f"{label}: the bell is no client", sessions(connect())[0] == 2)


def waking_by_bell(suite):
    wakes_per_listener(suite, "with bell", ["allow_anonymous true", "{plugin}"])


def waking_by_knocks(suite):
    wakes_per_listener(suite, "with knocks", ["allow_anonymous true", "{plugin}"], "plugin_opt_no_bell 1")


def waking_by_bell_unix(suite):
    wakes_per_listener(suite, "with bell, unix", ["allow_anonymous true", "{plugin}",
                                                  "listener 0 {folder}/sock", "allow_anonymous true"])


def waking_by_bell_tls(suite):
    with tempfile.TemporaryDirectory(prefix="probe-") as folder:
        wakes_per_listener(suite, "with bell, tls", [*certificate(folder), "allow_anonymous true", "{plugin}"],
                           cafile=f"{folder}/cert")


def waking_by_knocks_tls(suite):
    with tempfile.TemporaryDirectory(prefix="probe-") as folder:
        wakes_per_listener(suite, "with knocks, tls", [*certificate(folder), "allow_anonymous true", "{plugin}"],
                           "plugin_opt_no_bell 1", cafile=f"{folder}/cert")
