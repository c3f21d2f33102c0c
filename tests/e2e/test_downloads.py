# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Files for devices: $file-get/... and what is offered."""
import json
import os
import shutil
import subprocess
import time
import unittest

from device import REFUSED, WORDS
from harness import Case, broker_version, compiled
from ondisk import eventually, sha256
from rawmqtt import SCALE, Timeout
from settings import SETTINGS

BLOCK = 65536
MIB = 1 << 20


class Shop:
    """The folder offers/ of a broker."""

    def __init__(self, broker):
        self.root = os.path.join(broker.storage.path, "offers")

    def put(self, below, content):
        """By rename, as it should be."""
        path = os.path.join(self.root, below)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + ".part", "wb") as file:
            file.write(content)
        os.utime(path + ".part", (1e9, 1e9))
        os.rename(path + ".part", path)

    def remove(self, below):
        os.unlink(os.path.join(self.root, below))


def ask(device, topic, payload=b"", qos=1):
    """The acknowledgement and the response, if it has one; in order, since PINGRESP comes last."""
    ticket = device.send(topic, payload, qos)
    return device.answer(ticket)


def wait_for(device, path, content):
    def is_there():
        body = ask(device, f"$file-get/info/{path}").body
        return body.get("sha256") == sha256(content)
    eventually(is_there, f"an offer of {path}", 20)


def download(device, path, size, expected=b"", block=BLOCK, window=8, have=None):
    """Asks for what is lacking, some at a time. Returns the content, and what came beside."""
    have = {} if have is None else have
    todo = [at for at in range(0, size, block) if at not in have]
    open_, beside = {}, []
    while todo or open_:
        while todo and len(open_) < window:
            at = todo.pop(0)
            open_[at] = time.monotonic()
            device.publish(f"$file-get/{at}/{block}/{path}", expected, qos=0)
        message = device.message(where=lambda m: m.topic.startswith(("$file-data/", "$file-response/")))
        if message.topic.startswith("$file-response/"):
            beside.append(json.loads(message.payload))
            if beside[-1]["reason_description"] != "busy":
                return None, beside
            time.sleep(0.05)
            at = int(beside[-1]["topic"].split("/")[1])
            del open_[at]
            todo.append(at)
            continue
        at = int(message.topic.split("/")[2])
        assert at in open_, f"a block at {at} came twice"
        del open_[at]
        have[at] = message.payload
    return b"".join(have[at] for at in sorted(have)), beside


class Downloads(Case):
    """One broker with some offers."""

    shared = True
    setting = SETTINGS["open"]
    options = {"downloads": "native", "offers_interval": "1s"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.content = os.urandom(3 * MIB + 1234)

    def setUp(self):
        super().setUp()
        self.shop = Shop(self.broker)
        if not os.path.exists(os.path.join(self.shop.root, "all/app.bin")):
            self.shop.put("all/app.bin", self.content)
        wait_for(self.device("first"), "app.bin", self.content)

    def check(self, device, answer, word):
        code, puback = WORDS[word]
        self.assertEqual((answer.word, answer.body["reason_code"]), (word, code), answer.body)
        self.assertEqual((answer.message.qos, answer.message.retain), (0, False))
        if device.version == 5 and answer.ack is not None:
            wanted = {"retry": 0x97 if broker_version() >= (2, 1, 0) else REFUSED}.get(puback, puback)
            self.assertEqual(answer.ack, wanted)
            self.assertEqual(answer.message.properties.get("content_type"), "application/json")

    def test_a_device_that_subscribed_to_nothing_gets_the_whole_file(self):
        for version in self.versions:
            device = self.device(version=version, responses=False)
            content, beside = download(device, "app.bin", len(self.content), sha256(self.content))
            self.assertEqual(beside, [])
            self.assertEqual(sha256(content), sha256(self.content))

    def test_a_block_is_acknowledged_with_success_and_comes_to_nobody_else(self):
        other = self.device()
        other.subscribe("#", "$file-data/#", "$file-get/#", "$file-response/#")
        for version in self.versions:
            device = self.device(version=version)
            device.subscribe(f"$file-data/{device.client_id}/#")
            for qos in (0, 1, 2):
                mid = device.publish("$file-get/10/20/app.bin", qos=qos, retain=True)
                block = device.message(f"$file-data/{device.client_id}/10/app.bin")
                self.assertEqual(block.payload, self.content[10:30])
                self.assertEqual((block.qos, block.retain), (0, False))
                if qos:
                    self.assertEqual(device.acked(mid), 0)
            device.ping()
            self.assertEqual([m.topic for m in device.messages], [], "a block came twice")
        other.ping()
        self.assertEqual([m.topic for m in other.messages], [])
        late = self.device()
        late.subscribe("$file-get/#", "$file-data/#")
        late.ping()
        self.assertEqual(list(late.messages), [])

    def test_the_end_of_a_file_is_a_short_block_and_then_an_empty_one(self):
        device = self.device()
        size = len(self.content)
        for offset, expected in ((size - 5, self.content[-5:]), (size, b""), (2**63 - 1, b"")):
            device.publish(f"$file-get/{offset}/100/app.bin", qos=0)
            self.assertEqual(device.message(f"$file-data/{device.client_id}/{offset}/app.bin").payload,
                             expected)

    def test_every_wrong_request_has_one_answer_and_keeps_the_connection(self):
        wrong = [("0", b"", "invalid_file_command"), ("0/1", b"", "invalid_file_command"),
                 ("x", b"", "invalid_file_command"), ("list/x", b"", "invalid_file_command"),
                 ("list", b"[]", "invalid_file_command"), ("info", b"", "invalid_file_command"),
                 ("-1/1/app.bin", b"", "invalid_offset"), ("1e3/1/app.bin", b"", "invalid_offset"),
                 ("9223372036854775808/1/app.bin", b"", "invalid_offset"),
                 ("/1/app.bin", b"", "invalid_offset"), ("0/0/app.bin", b"", "invalid_length"),
                 ("0//app.bin", b"", "invalid_length"), ("0/-5/app.bin", b"", "invalid_length"),
                 ("0/65537/app.bin", b"", "block_too_large"),
                 ("0/9223372036854775807/app.bin", b"", "block_too_large"),
                 ("0/1/", b"", "invalid_path"), ("0/1/..", b"", "invalid_path"),
                 ("0/1/../all/app.bin", b"", "invalid_path"), ("0/1//etc/passwd", b"", "invalid_path"),
                 ("0/1/a/../../../catalog.db", b"", "invalid_path"), ("0/1/.app.bin.json", b"", "invalid_path"),
                 ("0/1/a\\b", b"", "invalid_path"), ("0/1/" + "a/" * 16 + "a", b"", "invalid_path"),
                 ("info/..", b"", "invalid_path"), ("0/1/nothing", b"", "no_such_file"),
                 ("info/nothing", b"", "no_such_file"), ("0/1/app.bin/x", b"", "no_such_file"),
                 ("0/1/app.bin", b"x", "invalid_checksum"), ("0/1/app.bin", b"0" * 63, "invalid_checksum"),
                 ("0/1/app.bin", b"0" * 64, "file_changed"),
                 ("report/app.bin", b"x", "invalid_report"),
                 ("report/app.bin", b'{"state":"done"}', "invalid_report"),
                 ("report/nothing", b'{"state":"failed"}', "no_such_file"),
                 ("18446744073709551617/1/app.bin", b"", "invalid_offset"), ("0x1/1/app.bin", b"", "invalid_offset"),
                 ("1 /1/app.bin", b"", "invalid_offset"), ("0/18446744073709551617/app.bin", b"", "invalid_length"),
                 ("0/1e3/app.bin", b"", "invalid_length"), ("0/1/" + "a" * 241, b"", "invalid_path"),
                 ("0/1/" + "/".join(["a" * 128] * 4), b"", "invalid_path"), ("0/1/a/./b", b"", "invalid_path"),
                 ("0/1/app.bin/", b"", "invalid_path"), ("0/1/" + "b" * 240, b"", "no_such_file"),
                 ("0/1/app.bin", b"0" * 65, "invalid_checksum"), ("0/1/app.bin", b"g" * 64, "invalid_checksum"),
                 ("list", b'{"prefix":1}', "invalid_file_command"), ("list", b"{", "invalid_file_command"),
                 ("list", b"\xff", "invalid_file_command"), ("report/app.bin", b"", "invalid_report"),
                 ("report/app.bin", b"[]", "invalid_report"), ("report/app.bin", b'{"state":1}', "invalid_report"),
                 ("report/app.bin", b'{"state":"failed","progress":101}', "invalid_report"),
                 ("report/app.bin", b'{"state":"failed","sha256":"x"}', "invalid_report"),
                 ("report/app.bin", b'{"state":"failed","detail":"%s"}' % (b"x" * 4096), "invalid_report"),
                 ("report", b'{"state":"failed"}', "invalid_file_command"),
                 ("report/..", b'{"state":"failed"}', "invalid_path")]
        watcher = self.device()
        watcher.subscribe("#", "$file-get/#", "$file-report/#")
        for version in self.versions:
            device = self.device(version=version)
            for rest, payload, word in wrong:
                with self.subTest(rest, version=version):
                    self.check(device, ask(device, "$file-get/" + rest, payload), word)
            device.publish("$file-get/000/0005/app.bin", sha256(self.content).upper(), qos=0)
            self.assertEqual(device.message(f"$file-data/{device.client_id}/000/app.bin").payload, self.content[:5])
            device.publish("$file-get/0/1/nothing", qos=0)
            self.assertEqual(json.loads(device.message(device.response_topic).payload)["reason_description"],
                             "no_such_file")
            self.assertTrue(device.is_alive())
            self.assertEqual([m.topic for m in device.messages], [])
        watcher.ping()
        self.assertEqual([m.topic for m in watcher.messages], [])

    def test_topics_without_a_request_are_ordinary_ones(self):
        watcher = self.device()
        watcher.subscribe("$file-get/#", "$file-get")
        device = self.device()
        for topic in ("$file-get", "$file-get/"):
            device.acked(device.publish(topic, b"x"))
            self.assertEqual(watcher.message(topic).payload, b"x")

    def test_what_is_for_others_does_not_exist(self):
        self.shop.put("client/owner/secret.bin", b"secret")
        self.shop.put("user/joe/secret2.bin", b"secret")
        wait_for(self.device("owner"), "secret.bin", b"secret")
        wait_for(self.device("any", username="joe"), "secret2.bin", b"secret")
        other = self.device("joe")
        for path in ("secret.bin", "secret2.bin", "client/owner/secret.bin"):
            self.check(other, ask(other, f"$file-get/0/1/{path}"), "no_such_file")
            self.check(other, ask(other, f"$file-get/info/{path}"), "no_such_file")
        paths = [file["path"] for file in ask(other, "$file-get/list").get("files")]
        self.assertIn("app.bin", paths)
        self.assertFalse({"secret.bin", "secret2.bin"} & set(paths))

    def test_offers_are_announced_retained_and_withdrawn(self):
        watcher = self.device()
        watcher.subscribe("$file-offer/#")
        self.shop.put("all/models/.m1.json", b'{"hardware": "x"}')
        self.shop.put("all/models/m1", b"model")
        offer = json.loads(watcher.message("$file-offer/all/models/m1", timeout=20).payload)
        self.assertEqual(offer, {"path": "models/m1", "size": 5, "sha256": sha256(b"model"),
                                 "modified_at": "2001-09-09T01:46:40.000Z", "meta": {"hardware": "x"}})
        late = self.device()
        late.subscribe("$file-offer/all/#")
        self.assertTrue(late.message("$file-offer/all/models/m1").retain)
        self.shop.remove("all/models/m1")
        self.assertEqual(watcher.message("$file-offer/all/models/m1", timeout=20).payload, b"")
        late = self.device()
        late.subscribe("$file-offer/all/#")
        late.ping()
        topics = [m.topic for m in late.messages]
        self.assertIn("$file-offer/all/app.bin", topics)
        self.assertNotIn("$file-offer/all/models/m1", topics)

    def test_a_file_that_is_replaced_in_the_middle_is_never_mixed(self):
        old, new = os.urandom(MIB), os.urandom(MIB + 5)
        device = self.device()
        self.shop.put("all/replaced", old)
        wait_for(device, "replaced", old)
        have = {}
        device.publish(f"$file-get/0/{BLOCK}/replaced", sha256(old))
        have[0] = device.message(f"$file-data/{device.client_id}/0/replaced").payload
        self.shop.put("all/replaced", new)
        wait_for(device, "replaced", new)
        content, beside = download(device, "replaced", len(old), sha256(old), window=1, have=have)
        self.assertIsNone(content)
        self.assertEqual(beside[-1]["reason_description"], "file_changed")
        self.assertEqual((beside[-1]["size"], beside[-1]["sha256"]), (len(new), sha256(new)))
        content, _ = download(device, "replaced", len(new), beside[-1]["sha256"])
        self.assertEqual(content, new)
        # In place: not one block that has bytes of both.
        with open(os.path.join(self.shop.root, "all/replaced"), "r+b") as file:
            file.write(old)
        for _ in range(20):
            answer = ask_block(device, "replaced", sha256(new))
            self.assertNotEqual(answer, "block")
        newest = old + new[-5:]
        wait_for(device, "replaced", newest)
        self.assertEqual(download(device, "replaced", len(newest))[0], newest)

    def test_reports_of_all_devices_are_retained(self):
        for device in (self.device("r1", version=4), self.device("r2", version=5, username="joe")):
            answer = ask(device, "$file-get/report/app.bin",
                         json.dumps({"state": "installed", "sha256": sha256(self.content), "x": [1]}))
            self.check(device, answer, "success")
            self.check(device, ask(device, "$file-get/report/app.bin", b'{"state":"failed"}'), "rate_limited")
        operator = self.device()
        operator.subscribe("$file-report/#")
        report = json.loads(operator.message("$file-report/r2/app.bin").payload)
        self.assertEqual((report["client_id"], report["user"], report["current"], report["state"], report["x"]),
                         ("r2", "joe", True, "installed", [1]))
        self.assertTrue(operator.message("$file-report/r1/app.bin").retain)

    def test_nobody_but_the_broker_publishes_blocks_offers_and_reports(self):
        watcher = self.device()
        watcher.subscribe("$file-data/#", "$file-offer/client/#", "$file-report/#")
        watcher.ping()
        watcher.messages.clear()
        for version in self.versions:
            device = self.device(version=version)
            for topic in ("$file-data/x/0/a", "$file-offer/client/x/a", "$file-report/x/a"):
                ack = device.acked(device.publish(topic, b"lie", retain=True))
                self.assertEqual(ack, REFUSED if version == 5 else 0)
                device.publish(topic, b"lie", qos=0, retain=True)
            self.assertTrue(device.is_alive())
        watcher.ping()
        self.assertEqual([m.topic for m in watcher.messages], [])

    @unittest.skipUnless(shutil.which("mosquitto_rr"), "needs mosquitto_rr")
    def test_mosquitto_rr_is_a_client(self):
        loop = ('o=0; : >$dir/part; while :; do mosquitto_rr -p $port -V $version -i $id -t '
                '"\\$file-get/$o/65536/app.bin" -m $sum -e "\\$file-data/$id/$o/app.bin" -N -W 10 '
                '>$dir/block || exit 1; n=$(stat -c %s $dir/block); cat $dir/block >>$dir/part; '
                'o=$((o+n)); [ $n = 65536 ] || break; done; sha256sum <$dir/part')
        for version in ("mqttv311", "mqttv5"):
            done = subprocess.run(["bash", "-c", loop], check=True, stdout=subprocess.PIPE, text=True,
                                  timeout=60 * SCALE,
                                  env={**os.environ, "dir": self.broker.dir, "port": str(self.broker.port),
                                       "version": version, "id": "shell", "sum": sha256(self.content)})
            self.assertEqual(done.stdout.split()[0], sha256(self.content))


def ask_block(device, path, expected=b""):
    """The word of the response, or "block"."""
    device.publish(f"$file-get/0/{BLOCK}/{path}", expected, qos=0)
    message = device.message(where=lambda m: m.topic.startswith(("$file-data/", "$file-response/")))
    if message.topic.startswith("$file-data/"):
        return "block"
    return json.loads(message.payload)["reason_description"]


class OnItsOwn(Case):
    """Brokers that are killed, stalled, or full of clients."""

    shared = False
    setting = SETTINGS["open"]
    options = {"downloads": "native", "offers_interval": "1s"}

    def serve(self, content, options=None, **settings):
        broker = self.start_broker(options, start=False, **settings)
        broker.config.append(f"persistence_location {broker.dir}/")
        broker.start()
        shop = Shop(broker)
        shop.put("all/app.bin", content)
        wait_for(self.device("first", broker=broker), "app.bin", content)
        return broker, shop

    def test_a_download_goes_on_after_a_kill_without_one_block_twice(self):
        content = os.urandom(4 * MIB)
        broker, _ = self.serve(content)
        device, have = self.device("dev", broker=broker), {}
        for at in range(0, 2 * MIB, BLOCK):
            device.publish(f"$file-get/{at}/{BLOCK}/app.bin", sha256(content), qos=0)
            have[at] = device.message(f"$file-data/dev/{at}/app.bin").payload
        device.publish(f"$file-get/{2 * MIB}/{BLOCK}/app.bin", sha256(content), qos=0)
        broker.kill9()
        broker.start()
        device = self.device("dev", broker=broker)
        wait_for(device, "app.bin", content)
        asked = len(have)
        result, _ = download(device, "app.bin", len(content), sha256(content), have=have)
        self.assertEqual(sha256(result), sha256(content))
        self.assertEqual(len(have) - asked, 2 * MIB // BLOCK)

    def test_what_went_while_the_broker_was_dead_is_withdrawn(self):
        broker, shop = self.serve(b"content", config=["persistence true"])
        watcher = self.device(broker=broker)
        watcher.subscribe("$file-offer/#")
        watcher.message("$file-offer/all/app.bin", timeout=20)
        broker.stop()
        shop.remove("all/app.bin")
        broker.start()
        eventually(lambda: not self.retained(broker), "the withdrawal", 20)

    def retained(self, broker):
        late = self.device(broker=broker)
        late.subscribe("$file-offer/#")
        late.ping()
        return [m.topic for m in late.messages]

    def test_a_file_on_a_stalled_disk_delays_nobody_else(self):
        cold, warm = os.urandom(MIB), os.urandom(MIB)
        broker = self.start_broker({"sys_interval": "1s"}, start=False, preload=compiled("hold_sync.so", "-ldl"))
        hold = os.path.join(broker.dir, "hold")
        broker.environment["FT_HOLD"] = hold
        broker.start()
        shop, first = Shop(broker), self.device("first", broker=broker)
        for name, content in (("cold", cold), ("warm", warm)):
            shop.put("all/" + name, content)
            wait_for(first, name, content)
        for _ in range(2):
            self.assertEqual(download(first, "warm", len(warm))[0], warm)
        if not self.is_cached(first):
            self.skipTest("this file system has no RWF_NOWAIT")
        with open(os.path.join(shop.root, "all/cold"), "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        with open(hold + ".stall", "wb"):
            pass
        waiting, other = self.device("waiting", broker=broker), self.device("other", broker=broker)
        for at in range(0, len(cold), BLOCK):
            waiting.publish(f"$file-get/{at}/{BLOCK}/cold", qos=0)
        waiting.ping()
        began, worst = time.monotonic(), 0
        while time.monotonic() - began < 2:
            start = time.monotonic()
            self.assertEqual(download(other, "warm", len(warm), window=16)[0], warm)
            other.ping()
            worst = max(worst, time.monotonic() - start)
        self.assertEqual([m.topic for m in waiting.messages], [])
        self.assertLess(worst, 0.5 * SCALE)
        os.unlink(hold + ".stall")
        for at in range(0, len(cold), BLOCK):
            self.assertEqual(waiting.message(f"$file-data/waiting/{at}/cold").payload, cold[at:at + BLOCK])

    @unittest.skipUnless(shutil.which("strace"), "needs strace")
    def test_the_brokers_thread_reads_only_what_is_in_memory(self):
        content = os.urandom(4 * MIB)
        broker, shop = self.serve(content)
        path = os.path.join(broker.dir, "calls")
        tracer = subprocess.Popen(["strace", "-y", "-o", path, "-p", str(broker.process.pid)],
                                  stderr=subprocess.PIPE, text=True)
        self.addCleanup(tracer.kill)
        if "attached" not in (line := tracer.stderr.readline()):
            self.skipTest(f"strace: {line.strip()}")
        device = self.device(broker=broker)
        with open(os.path.join(shop.root, "all/app.bin"), "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        for _ in range(2):
            self.assertEqual(download(device, "app.bin", len(content))[0], content)
        shop.put("all/app.bin", content[::-1])  # the open file is closed
        wait_for(device, "app.bin", content[::-1])
        self.assertEqual(download(device, "app.bin", len(content))[0], content[::-1])
        shop.remove("all/app.bin")
        eventually(lambda: ask(device, "$file-get/info/app.bin").word == "no_such_file", "the end", 20)
        tracer.terminate()
        tracer.wait(20)
        with open(path, encoding="utf-8", errors="replace") as text:
            ours = [line for line in text if broker.storage.path in line]
        self.assertGreater(len(ours), 100)
        for line in ours:
            self.assertRegex(line, r"^(preadv2\(.*RWF_NOWAIT|fstat\(|newfstatat\(\d+<[^>]*>, \"\",)", line)

    def is_cached(self, device):
        """Whether the broker serves anything without a worker."""
        device.subscribe("$SYS/broker/file-transfer/downloads/cached")
        try:
            device.message("$SYS/broker/file-transfer/downloads/cached", lambda m: int(m.payload) > 0, 5)
        except Timeout:
            return False
        return True

    def test_a_client_that_has_gone_costs_nothing(self):
        content = os.urandom(MIB)
        broker, _ = self.serve(content, {"client_download_bandwidth": "64k"})
        before = broker.rss()
        for _ in range(100):
            device = self.device("hasty", broker=broker, responses=False)
            for at in range(0, MIB, BLOCK):
                device.publish(f"$file-get/{at}/{BLOCK}/app.bin", qos=0)
            device.drop()
        other = self.device(broker=broker)
        other.ping()
        self.assertLess(broker.rss() - before, 16 * MIB * SCALE)

    def test_a_client_that_asks_and_never_reads_is_bounded_and_holds_up_nobody(self):
        content = os.urandom(4 * MIB)
        broker, _ = self.serve(content, config=["max_queued_messages 50"])
        other, deaf = self.device("other", broker=broker), self.device("deaf", broker=broker, responses=False)
        self.assertEqual(download(other, "app.bin", len(content), sha256(content))[0], content)
        before = broker.rss()
        # 96 MiB. What a broker drops of messages by name it never frees.
        for _ in range(24):
            for at in range(0, len(content), BLOCK):
                deaf.publish(f"$file-get/{at}/{BLOCK}/app.bin", qos=0)
            self.assertEqual(download(other, "app.bin", BLOCK, sha256(content))[0], content[:BLOCK])
        self.assertEqual(download(other, "app.bin", len(content), sha256(content))[0], content)
        self.assertLess(broker.rss() - before, 16 * MIB * SCALE)
        # It is served again once it reads.
        def is_served():
            deaf.publish("$file-get/7/3/app.bin", qos=0)
            deaf.ping()
            return [m.payload for m in deaf.messages if m.topic == "$file-data/deaf/7/app.bin"]
        self.assertEqual(eventually(is_served, "a block for who reads again", 20)[0], content[7:10])

    def test_too_many_open_requests_are_answered_busy(self):
        content = os.urandom(MIB)
        broker, _ = self.serve(content, {"client_download_bandwidth": "1", "max_requests_per_client": "3"})
        device = self.device(broker=broker)
        for _ in range(10):
            device.publish(f"$file-get/0/{BLOCK}/app.bin", qos=0)

        def words():
            return [json.loads(m.payload)["reason_description"] for m in device.messages
                    if m.topic == device.response_topic]

        device.wait(lambda: len(words()) >= 6, what="the answers")  # what plugins publish comes after a PINGRESP
        device.ping()
        self.assertIn(words(), (["busy"] * 6, ["busy"] * 7))

    def test_100_clients_get_one_file(self):
        content = os.urandom(2 * MIB)
        broker, _ = self.serve(content)
        before = broker.rss()
        clients = [self.device(f"fleet{n}", broker=broker, responses=False) for n in range(100)]
        other = self.device("other", broker=broker)
        trips, got = [], {client: {} for client in clients}
        for at in range(0, len(content), BLOCK):
            for client in clients:
                client.publish(f"$file-get/{at}/{BLOCK}/app.bin", sha256(content), qos=0)
            start = time.monotonic()
            other.ping()
            trips.append(time.monotonic() - start)
            for client in clients:
                got[client][at] = client.message(f"$file-data/{client.client_id}/{at}/app.bin").payload
        for client in clients:
            self.assertEqual(sha256(b"".join(got[client][at] for at in sorted(got[client]))), sha256(content))
        self.assertLess(broker.rss() - before, 100 * MIB * SCALE)
        self.assertLess(sorted(trips)[-2], 0.5 * SCALE)

    def test_a_group_sees_what_is_for_it(self):
        broker, shop = self.serve(b"for all")
        with open(os.path.join(shop.root, "groups"), "w", encoding="utf-8") as file:
            file.write("trial: client:gw-* user:lab\n")
        shop.put("group/trial/app.bin", b"for some")
        wait_for(self.device("gw-1", broker=broker), "app.bin", b"for some")
        wait_for(self.device("x", broker=broker, username="lab"), "app.bin", b"for some")
        other = self.device("gx-1", broker=broker)
        self.assertEqual(ask(other, "$file-get/info/app.bin").get("sha256"), sha256(b"for all"))

    def test_an_upload_only_broker_knows_nothing_of_it(self):
        broker = self.start_broker({"downloads": "off"})
        device, watcher = self.device(broker=broker), self.device(broker=broker)
        watcher.subscribe("$file-get/#", "$file-data/#")
        device.acked(device.publish("$file-get/0/1/x", b"1"))
        device.acked(device.publish("$file-data/x/0/x", b"2"))
        self.assertEqual(watcher.message("$file-get/0/1/x").payload, b"1")
        self.assertEqual(watcher.message("$file-data/x/0/x").payload, b"2")
        self.assertFalse(os.path.exists(os.path.join(broker.storage.path, "offers")))


class Guarded(Case):
    """acl guard-and-allow: clients read only what is for them."""

    shared = True
    setting = SETTINGS["open"]
    options = {"downloads": "native", "offers_interval": "1s", "acl": "guard-and-allow"}

    def test_subscriptions_to_what_is_for_others_are_refused(self):
        shop = Shop(self.broker)
        os.makedirs(shop.root, exist_ok=True)
        with open(os.path.join(shop.root, "groups"), "w", encoding="utf-8") as file:
            file.write("trial: client:me\n")
        shop.put("group/trial/app.bin", b"content")
        me, other = self.device("me", username="joe"), self.device("other")
        wait_for(me, "app.bin", b"content")
        for device, topic, allowed in (
                (me, "$file-data/me/#", True), (other, "$file-data/me/#", False),
                (me, "$file-offer/all/#", True), (me, "$file-offer/client/me/#", True),
                (other, "$file-offer/client/me/#", False), (me, "$file-offer/user/joe/#", True),
                (other, "$file-offer/user/joe/#", False), (me, "$file-offer/group/trial/#", True),
                (other, "$file-offer/group/trial/#", False), (me, "$file-offer/#", False),
                (me, "$file-offer/+/me/#", False), (me, "$file-get/#", False),
                (me, "$share/g/$file-data/me/#", False)):
            self.assertEqual(device.subscribe(topic)[0] < 0x80, allowed, (device.client_id, topic))
        for topic in ("$file-data/me/0/x", "$file-offer/all/x", "$file-report/me/x"):
            self.assertEqual(me.acked(me.publish(topic, b"lie")), REFUSED)
        self.assertEqual(ask_block(me, "app.bin"), "block")
