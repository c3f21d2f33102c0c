# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Offered files, asked for as AWS's clients do: $aws/things/<thing>/streams/<stream>/..."""
import base64
import json
import os
import unittest

from device import REFUSED
from harness import Case
from ondisk import eventually, sha256
from settings import SETTINGS
from test_downloads import Shop

STREAM = "AFR_OTA-1"


def block_of(message):
    """f, l, i, p of a data message of either encoding, whose bytes are just as AWS has them."""
    if message.topic.endswith("json"):
        body = json.loads(message.payload)
        content = base64.b64decode(body["p"], validate=True)
        assert b"\\/" not in message.payload and b" " not in message.payload, message.payload
        return body["f"], body["l"], body["i"], content
    items, at = message.payload, 1
    members = {}

    def head():
        nonlocal at
        info = items[at] & 31
        size = {24: 1, 25: 2, 26: 4}.get(info, 0)
        number = int.from_bytes(items[at + 1:at + 1 + size], "big") if size else info
        at += 1 + size
        return number

    for _ in range(items[0] & 31):
        length = head()
        key = items[at:at + length].decode()
        at += length
        major = items[at] >> 5
        members[key] = head()
        if major in (2, 3):
            length = members[key]
            members[key] = items[at:at + length]
            at += length
    assert at == len(items)
    assert list(members)[-4:] == ["f", "l", "i", "p"], members
    return members["f"], members["l"], members["i"], members["p"]


class Streams(Case):
    """One broker that has a stream of two files."""

    shared = True
    setting = SETTINGS["open"]
    options = {"downloads": "aws", "offers_interval": "1s"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.content = os.urandom(300 * 4096 + 77)

    def setUp(self):
        super().setUp()
        self.shop = Shop(self.broker)
        if not os.path.exists(os.path.join(self.shop.root, f"all/streams/{STREAM}/0")):
            self.shop.put(f"all/streams/{STREAM}/0", self.content)
            self.shop.put(f"all/streams/{STREAM}/1", b"certificate")
        device = self.device("first")
        eventually(lambda: len(self.described(device).get("r", [])) == 2, "a stream", 20)

    def topic(self, device, verb, encoding="json", stream=STREAM, thing=None):
        return f"$aws/things/{thing or device.client_id}/streams/{stream}/{verb}/{encoding}"

    def described(self, device):
        device.publish(self.topic(device, "describe"), qos=0)
        message = device.message(where=lambda m: m.topic.startswith("$aws/"))
        return json.loads(message.payload)

    def test_a_stream_is_described(self):
        device = self.device()
        self.assertEqual(self.described(device), {"s": 1, "d": "", "r": [
            {"f": 0, "z": len(self.content)}, {"f": 1, "z": 11}]})
        device.publish(self.topic(device, "describe", "cbor"), b"\xa1acax")
        message = device.message(self.topic(device, "description", "cbor"))
        self.assertEqual(message.payload, bytes.fromhex("a461636178617301616460617282a2616600617a1a") +
                         len(self.content).to_bytes(4, "big") + bytes.fromhex("a2616601617a0b"))

    def test_the_library_gets_a_file_one_block_at_a_time(self):
        """aws-iot-core-mqtt-file-streams-embedded-c, in both encodings, without a subscription."""
        for version in self.versions:
            for encoding, ask in (
                    ("json", lambda i: b'{"s": 1,"f": 0,"l": 4096,"o": %d,"n": 1}' % i),
                    ("cbor", lambda i: bytes.fromhex("a6616363726479616600616c191000616f") +
                     (bytes([i]) if i < 24 else bytes([24, i]) if i < 256 else b"\x19" + i.to_bytes(2, "big")) +
                     bytes.fromhex("6162444d513d3d616e01"))):
                device = self.device(version=version, responses=False)
                blocks = []
                for index in range(301):
                    mid = device.publish(self.topic(device, "get", encoding), ask(index), qos=index % 2)
                    message = device.message(self.topic(device, "data", encoding))
                    self.assertEqual((message.qos, message.retain), (0, False))
                    blocks.append(block_of(message))
                    if index % 2:
                        self.assertEqual(device.acked(mid), 0)
                self.assertEqual([(f, i) for f, _, i, _ in blocks], [(0, i) for i in range(301)])
                self.assertEqual([size for _, size, _, _ in blocks], [4096] * 300 + [77])
                self.assertEqual(sha256(b"".join(p for *_, p in blocks)), sha256(self.content))
                device.ping()
                self.assertEqual(list(device.messages), [])

    def test_the_ota_agent_gets_a_file_by_bitmaps(self):
        """It asks for what it lacks, from block 0 on, and gets eight blocks each time."""
        device = self.device(responses=False)
        lacking, have, came = (1 << 301) - 1, {}, 0
        while lacking:
            bitmap = lacking.to_bytes(38, "little")
            device.publish(self.topic(device, "get", "cbor"),
                           bytes.fromhex("a6616363726479616600616c191000616f0061625826") + bitmap +
                           bytes.fromhex("616e08"), qos=0)
            for _ in range(min(8, bin(lacking).count("1"))):
                _, _, index, content = block_of(device.message(self.topic(device, "data", "cbor")))
                came += 1
                if came % 3 == 0:
                    continue  # lost on the way
                self.assertNotIn(index, have)
                have[index] = content
                lacking &= ~(1 << index)
            device.ping()
            self.assertEqual(list(device.messages), [])
        content = b"".join(have[i] for i in range(301))
        self.assertEqual(sha256(content), sha256(self.content))

    def test_requests_may_be_pipelined(self):
        for version in self.versions:
            device = self.device(version=version, responses=False)
            for index in range(0, 300, 10):
                device.publish(self.topic(device, "get"),
                               json.dumps({"c": "x", "f": 0, "l": 4096, "o": index, "n": 10}), qos=0)
            blocks = [block_of(device.message(self.topic(device, "data"))) for _ in range(300)]
            self.assertEqual(b"".join(p for *_, p in sorted(blocks, key=lambda b: b[2])),
                             self.content[:300 * 4096])

    def test_a_request_gets_128_kib_at_most(self):
        device = self.device(responses=False)
        device.publish(self.topic(device, "get"), b'{"f":0,"l":256,"n":98304}', qos=0)
        blocks = [block_of(device.message(self.topic(device, "data"))) for _ in range(512)]
        self.assertEqual(b"".join(p for *_, p in blocks), self.content[:131072])
        device.publish(self.topic(device, "get"), b'{"f":0,"l":131072}', qos=0)
        self.assertEqual(block_of(device.message(self.topic(device, "data")))[3], self.content[:131072])
        device.ping()
        self.assertEqual(list(device.messages), [])

    def test_every_wrong_request_is_rejected_once_and_keeps_the_connection(self):
        wrong = (("get", b"", "InvalidJson"), ("get", b"\xff", "InvalidJson"), ("get", b"[]", "InvalidRequest"),
                 ("get", b"{}", "InvalidRequest"), ("get", b'{"f":0}', "InvalidRequest"),
                 ("get", b"x" * 40000, "InvalidRequest"),
                 ("get", b'{"f":0,"l":4096,"o":301}', "InvalidRequest"),
                 ("get", b'{"f":9,"l":4096}', "ResourceNotFound"),
                 ("get", b'{"f":0,"l":4096,"s":2}', "VersionMismatch"),
                 ("get", b'{"f":0,"l":255}', "BlockSizeOutOfBounds"),
                 ("get", b'{"f":0,"l":4096,"o":98305}', "OffsetOutOfBounds"),
                 ("get", b'{"f":0,"l":4096,"n":98305}', "BlockCountLimitExceeded"),
                 ("get", b'{"f":0,"l":4096,"b":"%s"}' % (b"00" * 12288), "BlockBitmapLimitExceeded"),
                 ("describe", b"[", "InvalidJson"), ("describe", b'{"c":1}', "InvalidRequest"))
        watcher = self.device()
        watcher.subscribe("#", "$aws/#")
        for version in self.versions:
            device = self.device(version=version)
            for verb, payload, code in wrong:
                with self.subTest(payload[:40], version=version):
                    self.assertEqual(device.acked(device.publish(self.topic(device, verb), payload)), 0)
                    body = json.loads(device.message(self.topic(device, "rejected")).payload)
                    self.assertEqual(list(body), ["code", "o", "message", "m"])
                    self.assertEqual((body["code"], body["o"]), (code, code))
                    self.assertEqual(body["message"], body["m"])
            for stream, thing, code in (("none", None, "ResourceNotFound"), ("a.b", None, "ResourceNotFound"),
                                        (STREAM, "first", "Unauthorized")):
                for verb in ("describe", "get"):
                    device.publish(self.topic(device, verb, "json", stream, thing),
                                   b'{"c":"t","f":0,"l":256}', qos=0)
                    topic = self.topic(device, "rejected", "json", stream, thing)
                    body = json.loads(device.message(topic).payload)
                    self.assertEqual((body["code"], body["c"], body["clientToken"]), (code, "t", "t"))
            device.publish(self.topic(device, "get", "cbor"), b"\xa0\x00", qos=0)
            self.assertIn(b"InvalidCbor", device.message(self.topic(device, "rejected", "cbor")).payload)
            self.assertTrue(device.is_alive())
            self.assertEqual([m.topic for m in device.messages], [])
        watcher.ping()
        self.assertEqual([m.topic for m in watcher.messages], [])

    def test_what_is_for_others_does_not_exist(self):
        self.shop.put("client/owner/streams/own/0", b"secret")
        self.shop.put("user/joe/streams/own/0", b"joe's")
        owner, other, user = self.device("owner"), self.device("other"), self.device("x", username="joe")

        def is_there():
            owner.publish(self.topic(owner, "get", stream="own"), b'{"f":0,"l":256}', qos=0)
            message = owner.message(where=lambda m: "/own/" in m.topic)
            return message.topic.split("/")[5] == "data"
        eventually(is_there, "the owner's stream", 20)
        user.publish(self.topic(user, "get", stream="own", thing="joe"), b'{"f":0,"l":256}', qos=0)
        message = user.message(self.topic(user, "data", stream="own", thing="joe"))
        self.assertEqual(block_of(message)[3], b"joe's")
        for thing, code in ((None, "ResourceNotFound"), ("owner", "Unauthorized")):
            other.publish(self.topic(other, "get", stream="own", thing=thing), b'{"f":0,"l":256}', qos=0)
            message = other.message(self.topic(other, "rejected", stream="own", thing=thing))
            self.assertEqual(json.loads(message.payload)["code"], code)

    def test_nobody_but_the_broker_publishes_answers(self):
        watcher = self.device()
        watcher.subscribe("$aws/#")
        for version in self.versions:
            device = self.device(version=version)
            for word in ("data", "description", "rejected"):
                topic = self.topic(device, word, "cbor")
                ack = device.acked(device.publish(topic, b"lie", retain=True))
                self.assertEqual(ack, REFUSED if version == 5 else 0)
                device.publish(topic, b"lie", qos=0)
            self.assertTrue(device.is_alive())
        watcher.ping()
        self.assertEqual([m.topic for m in watcher.messages], [])

    def test_other_topics_of_aws_are_ordinary_ones(self):
        watcher, device = self.device(), self.device()
        watcher.subscribe("$aws/#", "$file-get/#")
        for topic in ("$aws/things/x/shadow/update", self.topic(device, "get", "xml"),
                      self.topic(device, "put"), "$file-get/0/1/x"):
            device.publish(topic, b"x", qos=0)
            self.assertEqual(watcher.message(topic).payload, b"x")


class Guarded(Case):
    """acl guard-and-allow"""

    shared = True
    setting = SETTINGS["open"]
    options = {"downloads": "native,aws", "offers_interval": "1s", "acl": "guard-and-allow"}

    def test_answers_are_denied_to_clients(self):
        device = self.device(version=5)
        topic = f"$aws/things/{device.client_id}/streams/s/data/json"
        self.assertEqual(device.acked(device.publish(topic, b"lie")), REFUSED)
        self.assertEqual(device.acked(device.publish(topic.replace("data", "get"), b"{}")), 0)
        self.assertIn(b"InvalidRequest", device.message(topic.replace("data", "rejected")).payload)


if __name__ == "__main__":
    unittest.main()
