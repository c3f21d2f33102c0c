# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Real files sent by the clients people have, unmodified, and by those written for EMQX."""
import json
import os
import shutil
import subprocess
import tarfile
import threading
import unittest

from device import pieces
from harness import BUILD, HERE, TOOLS, Case, compiled, rows, spread
from ondisk import eventually, sha256, sha256_of
from rawmqtt import SCALE
from settings import SETTINGS

NODE = os.path.join(BUILD, "node")
META = {"expire_at": 4102444800, "segments_ttl": 3600, "user_data": {"by": "a real client"}}


def run(*command, **env):
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, check=False,
                          stderr=subprocess.PIPE, timeout=120 * SCALE, text=True,
                          env=dict(os.environ, **env))
    if done.returncode:
        raise AssertionError(f"{command[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def paho_c():
    """The C client, built once; it needs libpaho-mqtt-dev."""
    if not os.path.exists("/usr/include/MQTTClient.h"):
        raise unittest.SkipTest("libpaho-mqtt-dev is not installed")
    return compiled("paho_c_upload", "-lpaho-mqtt3c")


def mqtt_js():
    """NODE_PATH with MQTT.js in it."""
    modules = os.path.join(NODE, "node_modules")
    if not shutil.which("node"):
        raise unittest.SkipTest("node is not installed")
    if not os.path.exists(os.path.join(modules, "mqtt", "package.json")):
        os.makedirs(NODE, exist_ok=True)
        try:
            run("npm", "install", "--prefix", NODE, "--no-audit", "--no-fund", "--silent", "mqtt@5")
        except (AssertionError, OSError, subprocess.TimeoutExpired) as error:
            raise unittest.SkipTest(f"MQTT.js could not be installed: {error}") from None
    return modules


class ClientCase(Case):
    """Two real files: an archive and a program, to a plain listener."""

    setting = SETTINGS["open"]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        os.makedirs(TOOLS, exist_ok=True)
        cls.archive = os.path.join(TOOLS, f"documents-{os.getpid()}.tar")
        with tarfile.open(cls.archive, "w") as tar:
            for name in sorted(os.listdir("/usr/share/doc"))[:40]:
                tar.add(os.path.join("/usr/share/doc", name))
        cls.program = shutil.which("mosquitto_pub")
        cls.addClassCleanup(os.unlink, cls.archive)

    def path(self, kind):
        return getattr(self, kind)

    def init(self, path, **more):
        return json.dumps({"name": os.path.basename(path), "size": os.path.getsize(path), **META,
                           **more})

    def check(self, client, file, path, **manifest):
        self.broker.storage.check_finished(self, client, file, os.path.basename(path),
                                           sha256_of(path), **manifest)

    def told_success(self, output):
        answer = json.loads(output.strip().splitlines()[-1])
        self.assertEqual((answer["reason_code"], answer["reason_description"]), (0, "success"))


@spread
class Real(ClientCase):
    """Client libraries and tools."""

    @rows(("v3", "mqttv311"), ("v5", "mqttv5"))
    def test_mosquitto_pub_alone(self, version):
        name = self.new_id("shell")
        watcher = self.client()
        watcher.subscribe("$file-response/" + name)
        run(os.path.join(HERE, "mosquitto_pub_upload.sh"), self.broker.port, name, "f1", self.program,
            16384, "-V", version)
        watcher.message(where=lambda m: b"/fin/" in m.payload and b'"success"' in m.payload)
        self.check(name, "f1", self.program)

    @rows(*[(f"v{version}_{kind}", version, kind) for version in (4, 5)
            for kind in ("archive", "program")])
    def test_paho_python(self, version, kind):
        try:
            from paho.mqtt import client as paho
        except ImportError:
            raise unittest.SkipTest("python3-paho-mqtt is not installed") from None
        path, name = self.path(kind), self.new_id("paho")
        client = paho.Client(name, protocol=paho.MQTTv5 if version == 5 else paho.MQTTv311)
        ready, results = threading.Event(), []
        client.on_subscribe = lambda *_: ready.set()
        client.on_message = lambda _c, _u, m: results.append(json.loads(m.payload))
        client.connect("127.0.0.1", self.broker.port)
        client.loop_start()
        self.addCleanup(client.loop_stop)
        client.subscribe("$file-response/" + name, 1)
        self.assertTrue(ready.wait(20 * SCALE))
        client.publish("$file/f1/init", self.init(path, checksum=sha256_of(path)), 1)
        with open(path, "rb") as file:
            for offset, data in pieces(file.read(), 32768):
                client.publish(f"$file/f1/{offset}/{sha256(data)}", data, 1)
        client.publish(f"$file/f1/fin/{os.path.getsize(path)}", b"", 1)
        fin = eventually(lambda: [r for r in results if "/fin/" in r["topic"]], "the result", 60)
        self.assertEqual(fin[0]["reason_description"], "success")
        self.check(name, "f1", path, user_data=META["user_data"], expire_at=META["expire_at"])
        client.disconnect()

    @rows(*[(f"v{version}_{kind}", version, kind) for version in (4, 5)
            for kind in ("archive", "program")])
    def test_paho_c(self, version, kind):
        path, name = self.path(kind), self.new_id("pahoc")
        self.told_success(run(paho_c(), f"tcp://127.0.0.1:{self.broker.port}", name, "f1", path, 65536,
                              self.init(path, checksum=sha256_of(path)), version))
        self.check(name, "f1", path, user_data=META["user_data"])

    @rows(*[(f"v{version}_{kind}", version, kind) for version in (4, 5)
            for kind in ("archive", "program")])
    def test_mqtt_js(self, version, kind):
        modules = mqtt_js()
        path, name = self.path(kind), self.new_id("mqttjs")
        self.told_success(run("node", os.path.join(HERE, "mqttjs_upload.cjs"),
                              f"mqtt://127.0.0.1:{self.broker.port}", name, "f1", path, 65536,
                              self.init(path, checksum=sha256_of(path)), version, NODE_PATH=modules))
        self.check(name, "f1", path, user_data=META["user_data"])


class WrittenForEmqx(ClientCase):
    """What EMQX's reference clients put on the wire."""

    def test_the_node_client(self):
        """The file's SHA-256 as id, 10 KiB segments, all at once, MQTT 3.1.1."""
        modules = mqtt_js()
        digest, name = sha256_of(self.archive), self.new_id("node")
        self.told_success(run("node", os.path.join(HERE, "mqttjs_upload.cjs"),
                              f"mqtt://127.0.0.1:{self.broker.port}", name, digest, self.archive, 10240,
                              self.init(self.archive, checksum=digest), 4, NODE_PATH=modules))
        self.check(name, digest, self.archive)

    def test_the_c_client(self):
        """1 KiB stop and wait, empty user_data, no checksum."""
        name = self.new_id("c")
        init = json.dumps({"name": os.path.basename(self.program), "user_data": {}, "segments_ttl": 3600,
                           "size": os.path.getsize(self.program), "expire_at": 4102444800})
        self.told_success(run(paho_c(), f"tcp://127.0.0.1:{self.broker.port}", name, "f1", self.program,
                              1024, init, 4))
        self.check(name, "f1", self.program, user_data={})

    def java(self, content, checksum):
        device = self.device(version=4)
        answer = device.init("j1", "java.bin", size=len(content), checksum=checksum, user_data=None)
        if answer.word == "success":
            for offset in range(0, len(content) + 1, 10240):
                self.ok(device.segment("j1", offset, content[offset:offset + 10240]))
            self.ok(device.fin("j1", len(content)))
            self.broker.storage.check_finished(self, device.client_id, "j1", "java.bin", content)
        self.assertTrue(device.is_alive())
        return answer

    def test_the_java_client_ends_with_an_empty_segment(self):
        content = os.urandom(10240 * 5)
        self.ok(self.java(content, sha256(content)))

    def test_the_java_client_that_drops_leading_zeros_is_understood(self):
        number = 0
        while not sha256(b"%d" % number).startswith("0"):
            number += 1
        content = b"%d" % number
        self.ok(self.java(content, sha256(content).lstrip("0")))

    def test_the_go_client(self):
        """1 KiB, QoS 1, one after the other, a checksum at each segment."""
        content = os.urandom(100_000)
        device = self.device(version=4, responses=False)
        device.init("g1", "go.bin", size=len(content))
        for _ in device.pipeline("g1", pieces(content, 1024), window=1, checksums=True):
            pass
        device.acked(device.publish(f"$file/g1/fin/{len(content)}/{sha256(content)}"))
        path = self.broker.storage.finished(device.client_id, "g1", "go.bin")
        eventually(lambda: os.path.exists(path), "the file")
        self.broker.storage.check_finished(self, device.client_id, "g1", "go.bin", content)

    def test_emqx_ft(self):
        """MQTT 5 and $file-async, all segments in flight, nobody reads responses."""
        content = os.urandom(500_000)
        device = self.device(prefix="$file-async", responses=False)
        self.assertEqual(device.init("p1", "ft.bin", size=len(content), checksum=sha256(content),
                                     segments_ttl=600, expire_at=4102444800).ack, 0)
        for _ in device.pipeline("p1", pieces(content, 1024 * 10), window=1000):
            pass
        self.assertEqual(device.fin("p1", len(content), sha256(content)).ack, 0)
        path = self.broker.storage.finished(device.client_id, "p1", "ft.bin")
        eventually(lambda: os.path.exists(path), "the file")
        self.broker.storage.check_finished(self, device.client_id, "p1", "ft.bin", content)
