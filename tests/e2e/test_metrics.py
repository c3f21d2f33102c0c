# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""What is published under $SYS/broker/file-transfer/."""
import os
import re
import shutil
import subprocess
import unittest
import urllib.request

from harness import ROOT, Case, free_port, work_dir
from ondisk import eventually
from settings import SETTINGS

PREFIX = "$SYS/broker/file-transfer/"


def documented():
    """The topics of the table in docs/operate.md."""
    with open(os.path.join(ROOT, "docs", "operate.md"), encoding="utf-8") as text:
        section = text.read().split("\n## Metrics\n", 1)[1].split("\n## ", 1)[0]
    return set(re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE))


class Metrics(Case):
    """With an interval of a second."""

    options = {"sys_interval": "1s"}

    def watch(self):
        """A client, and what it has been told so far: topic behind the prefix -> text."""
        client = self.client()
        client.subscribe(PREFIX + "#")
        told = {}

        def look():
            client.ping()
            for message in list(client.messages):
                told[message.topic[len(PREFIX):]] = message.payload.decode()
            return told
        return look

    def test_who_subscribes_later_gets_all_that_is_documented_and_nothing_else(self):
        device = self.device()
        self.ok(device.upload("f1", b"hello"))
        refused = device.fin("f2", 1)
        self.assertEqual(refused.word, "no_such_transfer")
        told = eventually(lambda: self.watch()() if "refusals/no_such_transfer" in self.watch()()
                          else None, "the metrics")
        plain = {topic for topic in documented() if "{word}" not in topic}
        words = {topic for topic in documented() if "{word}" in topic}
        self.assertEqual(words, {"refusals/{word}", "transfers/failed/{word}"})
        prefixes = tuple(topic[:-len("{word}")] for topic in words)
        self.assertEqual({topic for topic in told if not topic.startswith(prefixes)}, plain)

    def test_a_file_is_counted_on_its_way(self):
        look, device = self.watch(), self.device()
        before = {k: int(v) for k, v in eventually(lambda: look() and dict(look()), "metrics").items()
                  if k != "version"}
        self.ok(device.init("g1", "data.bin", size=10))
        eventually(lambda: int(look()["transfers/active"]) == before["transfers/active"] + 1,
                   "an active transfer")
        self.ok(device.segment("g1", 0, b"0123456789"))
        self.ok(device.segment("g1", 5, b"56789"))
        self.ok(device.fin("g1", 10))
        grown = {"transfers/completed": 1, "segments/received": 2, "bytes/received": 15,
                 "bytes/duplicate": 5, "bytes/stored": 10, "transfers/active": 0}
        eventually(lambda: all(int(look()[topic]) == before[topic] + more
                               for topic, more in grown.items()), f"{grown} more")
        self.assertGreater(int(look()["latency/fin/p99"]), 0)
        self.assertGreater(int(look()["latency/fsync/p50"]), 0)
        self.assertGreater(int(look()["disk/free"]), 0)

    def test_only_what_has_changed_is_told_again(self):
        look, client = self.watch(), self.client()
        eventually(lambda: "version" in look(), "the metrics")
        client.subscribe(PREFIX + "log/size")
        client.message(where=lambda m: m.retain)
        client.subscribe(PREFIX + "transfers/aborted")
        device = self.device()
        for number in range(2):
            self.ok(device.init(f"a{number}", "data.bin"))
            self.ok(device.abort(f"a{number}"))
            client.message(where=lambda m: m.topic.endswith("aborted") and not m.retain)
        self.assertFalse([m for m in client.messages if m.topic.endswith("log/size") and not m.retain])


EXPORTER = shutil.which("prometheus-mqtt-exporter")
EXAMPLE = os.path.join(ROOT, "examples", "prometheus-mqtt-exporter.yaml")


class Prometheus(Case):
    """The example for Debian's exporter."""

    setting = SETTINGS["open"]
    options = {"sys_interval": "1s"}

    def test_the_example_has_all_that_is_documented(self):
        with open(EXAMPLE, encoding="ascii") as text:
            listed = set(re.findall(r"^    mqtt_name: (\S+)$", text.read(), re.MULTILINE))
        words = ("refusals/", "transfers/failed/")
        self.assertEqual({topic for topic in listed if not topic.startswith(words)},
                         {topic for topic in documented() if "{" not in topic} - {"version"})

    @unittest.skipUnless(EXPORTER, "prometheus-mqtt-exporter is not installed")
    def test_the_exporter_shows_what_the_broker_publishes(self):
        folder, port = work_dir("exporter"), free_port()
        self.addCleanup(shutil.rmtree, folder, True)
        with open(EXAMPLE, encoding="ascii") as text:
            config = text.read().replace("localhost:1883", f"127.0.0.1:{self.broker.port}")
        with open(os.path.join(folder, "config"), "w", encoding="ascii") as out:
            out.write(config)
        with open(os.path.join(folder, "log"), "wb") as log:
            exporter = subprocess.Popen(
                [EXPORTER, "-config", f"{folder}/config", "-listen-address", "127.0.0.1",
                 "-listen-port", str(port)], stdout=log, stderr=log)
        self.addCleanup(exporter.wait)
        self.addCleanup(exporter.kill)
        self.ok(self.device().upload("f1", b"hello"))

        def shown():
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
                    lines = page.read().decode().splitlines()
            except OSError:
                return {}
            return {line.split("{")[0]: float(line.split("} ")[1].split()[0]) for line in lines
                    if line.startswith("mosquitto_file_transfer_")}
        eventually(lambda: shown().get("mosquitto_file_transfer_transfers_completed_total") == 1,
                   "the exporter to show a file")
        metrics = shown()
        self.assertEqual(metrics["mosquitto_file_transfer_bytes_stored_total"], 5)
        self.assertGreater(metrics["mosquitto_file_transfer_latency_fin_p99_us"], 0)


class NoMetrics(Case):
    """With an interval of 0."""

    options = {"sys_interval": "0"}

    def test_nothing_is_published(self):
        client, device = self.client(), self.device()
        client.subscribe(PREFIX + "#")
        self.ok(device.upload("f1", b"hello"))
        client.subscribe("$SYS/broker/uptime")
        client.message(where=lambda m: m.topic == "$SYS/broker/uptime" and not m.retain, timeout=30)
        self.assertFalse([m for m in client.messages if m.topic.startswith(PREFIX)])


if __name__ == "__main__":
    unittest.main()
