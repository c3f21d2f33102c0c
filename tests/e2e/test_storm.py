# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The connection never drops, whatever comes under the prefixes."""
import json
import random

from harness import Case, rows, spread
from ondisk import sha256
from transport import Unix

LEVELS = ("f", "g", "init", "fin", "abort", "status", "0", "1", "100", "-1", "9" * 30, "", " ", ".",
          "..",
          "é", "🚀", "%00", "x" * 255, "x" * 256, "a" * 64, "A" * 64, "g" * 64, "$file", "INIT",
          "9223372036854775807", "9223372036854775808", "0x1", "1e9", "\u2028", "\ufffd", "'\";--")
WORDS = ({"name": "a"}, {"name": "b", "size": 3}, {"name": 1}, {"name": "../x"}, {}, [], None, 1, "x",
         {"name": "a", "size": -1}, {"name": "a", "checksum": "zz"},
         {"name": "a", "segments_ttl": 1e300},
         {"name": "a", "user_data": {"deep": [[[[]]]]}}, {"name": "a", "expire_at": "soon"})


def random_topic(dice):
    prefix = dice.choice(("$file", "$file-async"))
    if dice.random() < 0.4:  # almost right
        tail = dice.choice(("f/init", "g/init", "f/fin/3", "f/abort", "f/status", "g/0", "f/0", "f/2",
                            "f/fin/3/" + sha256(b"abc"), "f/0/" + sha256(b"abc"), "g/5"))
        return f"{prefix}/{tail}"
    return "/".join([prefix] + [dice.choice(LEVELS) for _ in range(dice.randrange(1, 7))])


def random_payload(dice):
    kind = dice.randrange(6)
    if kind == 0:
        return json.dumps(dice.choice(WORDS)).encode()
    if kind == 1:
        text = json.dumps(dice.choice(WORDS)).encode()
        return text[:dice.randrange(len(text) + 1)]
    if kind == 2:
        return b""
    return dice.choice((b"abc", dice.randbytes(dice.randrange(1, 40)), dice.randbytes(70_000),
                        b"[" * 3000, b'{"name":' * 500))


def random_properties(dice, version):
    if version == 4:
        return {}
    choice = {"correlation_data": dice.randbytes(dice.randrange(50)), "response_topic": "a/b",
              "content_type": "x", "message_expiry": dice.randrange(100),
              "user_property": [("k", "v")] * dice.randrange(3), "topic_alias": dice.randrange(1, 10)}
    return {k: v for k, v in choice.items() if dice.random() < 0.3}


@spread
class Storm(Case):
    """Seeded nonsense; the same connection lives at the end and an upload works on it."""

    options = {"max_transfers_per_client": "50", "max_segment_size": "60000"}

    @rows(*[(f"v{version}_seed{seed}", version, seed) for version in (4, 5) for seed in range(6)])
    def test_the_connection_outlives(self, version, seed):
        dice = random.Random(f"{version} {seed}")
        device = self.device(version=version)
        for number in range(600):
            qos = dice.randrange(3)
            mid = device.publish(random_topic(dice), random_payload(dice), qos,
                                 retain=dice.random() < 0.2, **random_properties(dice, version))
            if dice.random() < 0.5:
                device.acked(mid)
            if number % 50 == 0:
                device.ping()
                self.answers_are_sound(device)
        device.wait(lambda: not device._busy, what="all acknowledgements")
        self.answers_are_sound(device)
        self.ok(device.upload("real", b"still works"))
        self.broker.storage.check_finished(self, device.client_id, "real", "data.bin", b"still works")

    def answers_are_sound(self, device):
        device.ping()
        for message in device.messages:
            self.assertEqual(message.topic, device.response_topic)
            answer = json.loads(message.payload)
            self.assertLessEqual({"vsn", "topic", "reason_code", "reason_description"}, set(answer))
        device.messages.clear()

    @rows(("seed0", 0), ("seed1", 1))
    def test_every_command_of_qos_1_is_answered(self, seed):
        dice = random.Random(seed)
        device = self.device()
        for _ in range(300):
            answer = device.command(random_topic(dice), random_payload(dice))
            self.assertEqual(answer.body["reason_code"] == 0, answer.ack == 0 and
                             answer.word != "file_checksum_mismatch", answer)

    @rows(("v3", 4), ("v5", 5))
    def test_a_flood_without_waiting(self, version):
        dice = random.Random(version)
        device = self.device(version=version, responses=False)
        # A broker 2.0 without the plugin, too, stops answering when a Unix socket is full.
        window = 3000 if not isinstance(device.endpoint, Unix) else 100
        for _ in range(0, 3000, window):
            mids = [device.publish(random_topic(dice), random_payload(dice)[:100])
                    for _ in range(window)]
            for mid in mids:
                device.acked(mid)
        self.assertTrue(device.is_alive())


@spread
class Redelivery(Case):
    """Packets sent again after a lost connection change nothing."""

    @rows(("v3_qos1", 4, 1), ("v5_qos1", 5, 1), ("v3_qos2", 4, 2), ("v5_qos2", 5, 2))
    def test_commands_sent_again_as_duplicates(self, version, qos):
        options = {"session_expiry": 60} if version == 5 else {}
        device = self.device(version=version, clean=False, **options)
        device.auto_release = False
        steps = (("$file/f/init", b'{"name":"a"}'), ("$file/f/0", b"abc"), ("$file/f/fin/3", b""))
        for number, (topic, payload) in enumerate(steps):
            mid = 1000 + number
            device.publish(topic, payload, qos, mid=mid)
            device.ping()
            device.reconnect()
            device.publish(topic, payload, qos, dup=True, mid=mid)
            if qos == 2:
                device.wait(lambda m=mid: m in device.recs, what="PUBREC")
                device.release(mid)
            self.assertIn(device.acked(mid), (0,))
        device.response("$file/f/fin/3")
        device.auto_release = True
        self.broker.storage.check_finished(self, device.client_id, "f", "a", b"abc")
        self.ok(device.status("f"), state="complete")

    @rows(("v3", 4), ("v5", 5))
    def test_a_segment_left_between_pubrec_and_pubrel_is_held(self, version):
        device = self.device(version=version)
        self.ok(device.init("f"))
        device.auto_release = False
        mid = device.publish("$file/f/0", b"abc", qos=2)
        device.wait(lambda: mid in device.recs, what="PUBREC")
        device.auto_release = True
        self.ok(device.status("f"), received=3)
        device.release(mid)
        self.assertEqual(device.acked(mid), 0)

    def test_qos_2_refused_by_pubrec_needs_no_pubrel(self):
        device = self.device()
        answer = device.command("$file/f/nonsense", qos=2)
        self.answered(answer, "invalid_offset")
        self.assertTrue(device.is_alive())

    def test_a_hundred_qos_2_flows_interleaved(self):
        for version in (4, 5):
            device = self.device(version=version, responses=False)
            device.init("f")
            for start in range(0, 100, 20):  # the broker's receive maximum
                mids = [device.publish(f"$file/f/{n * 10}", b"0123456789", qos=2)
                        for n in range(start, start + 20)]
                self.assertEqual([device.acked(mid) for mid in mids], [0] * 20)
            device.subscribe(device.response_topic)
            device.responses = True
            self.ok(device.fin("f", 1000, sha256(b"0123456789" * 100)))
