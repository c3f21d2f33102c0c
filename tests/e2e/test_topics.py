# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Topics that are almost commands, and the properties of requests and responses."""
from harness import Case, rows, spread
from ondisk import sha256

QUIRKS = (
    ("", "invalid_fileid"), ("/init", "invalid_fileid"), ("/0", "invalid_fileid"),
    ("/fin/1", "invalid_fileid"), ("f" * 256 + "/init", "invalid_fileid"),
    ("é" * 128 + "/0", "invalid_fileid"),
    ("f", "invalid_file_command"), ("f/fin/1/2/3", "invalid_file_command"),
    ("f/0/" + "a" * 64 + "/x", "invalid_file_command"), ("a/b/c/d", "invalid_file_command"),
    ("a/b/c/d/e/f/g", "invalid_file_command"), ("f/init/x/y", "invalid_file_command"),
    ("f/", "invalid_offset"), ("f/offset", "invalid_offset"), ("f/fin", "invalid_offset"),
    ("f/INIT", "invalid_offset"), ("f/init/x", "invalid_offset"), ("X/Y/Z", "invalid_offset"),
    ("f/abort/x", "invalid_offset"), ("f/status/x", "invalid_offset"), ("f/Abort", "invalid_offset"),
    ("f/-1", "invalid_offset"), ("f/ 1", "invalid_offset"), ("f/1 ", "invalid_offset"),
    ("f/0x10", "invalid_offset"), ("f/1.0", "invalid_offset"), ("f/1e3", "invalid_offset"),
    ("f/١", "invalid_offset"), ("f/9223372036854775808", "invalid_offset"),
    ("f/fin/x", "invalid_size"), ("f/fin/", "invalid_size"), ("f/fin/-1", "invalid_size"),
    ("f/fin/9223372036854775808", "invalid_size"), ("f/fin/x/" + "a" * 64, "invalid_size"),
    ("f/fin/42/xyz", "invalid_checksum"), ("f/fin/42/", "invalid_checksum"),
    ("f/fin/42/" + "a" * 63, "invalid_checksum"), ("f/fin/42/" + "a" * 65, "invalid_checksum"),
    ("f/0/xyz", "invalid_checksum"), ("f/0/" + "g" * 64, "invalid_checksum"),
)


@spread
class Quirks(Case):
    """Whatever comes under the prefixes is answered, and the connection stays."""

    @rows(*[(f"{number:02}_{rest[:12]}", rest, word) for number, (rest, word) in enumerate(QUIRKS)])
    def test_a_bad_topic_is_named(self, rest, word):
        for version in (4, 5):
            for prefix in ("$file", "$file-async"):
                device = self.device(version=version)
                self.ok(device.init("f"))
                topic = f"{prefix}/{rest}"
                answer = self.answered(device.command(topic, b"payload"), word)
                self.assertEqual(answer.get("topic"), topic)
                self.ok(device.status("f"), received=0)

    @rows(("bare", "$file"), ("bare_async", "$file-async"), ("longer_word", "$files/f/init"),
          ("other_word", "$file-response-x/f"), ("capital", "$FILE/f/init"), ("inside", "x/$file/f/init"),
          ("no_dollar", "file/f/init"), ("async_longer", "$file-async2/f/init"))
    def test_a_topic_is_not_ours_that_is(self, topic):
        device, other = self.device(), self.client()
        other.subscribe(topic)
        device.acked(device.publish(topic, b'{"name": "a"}'))
        self.assertEqual(other.message(topic).payload, b'{"name": "a"}')
        device.ping()
        self.assertEqual(list(device.messages), [])

    @rows(("255_bytes", "f" * 255), ("dots", ".."), ("dot", "."), ("emoji", "🚀🛰"), ("blank", " "),
          ("255_bytes_of_emoji", "🚀" * 63 + "abc"), ("init", "init"), ("fin", "fin"), ("zero", "0"),
          ("percent", "%2F%00"), ("quote", "\"'\\"), ("dollar", "$file"), ("replacement", "\ufffd"))
    def test_a_file_id_works_that_is(self, file):
        device = self.device()
        self.ok(device.upload(file, b"content"))
        self.broker.storage.check_finished(self, device.client_id, file, "data.bin", b"content")

    def test_the_longest_topic_is_answered(self):
        device = self.device()
        topic = "$file/" + "x" * 65529
        self.assertIn(device.command(topic).word, ("invalid_file_command", "invalid_fileid"))
        self.assertTrue(device.is_alive())

    def test_a_topic_of_slashes_is_answered(self):
        device = self.device()
        answer = device.command("$file/f" + "/" * 190)
        self.answered(answer, "invalid_file_command")

    def test_a_broken_topic_is_the_brokers_to_refuse(self):
        for topic in (b"$file/\xff\xfe/init", b"$file/a\0b/init"):
            device = self.device()
            device.publish(topic, b"{}")
            device.wait_closed()
            self.broker.check_serving()


@spread
class Properties(Case):
    """MQTT 5 properties of requests and responses."""

    options = {"response_topics": "replies/%c,users/%u/answers"}

    def test_correlation_data_is_echoed(self):
        device = self.device()
        for data in (b"\0\xff binary", b"\0", b"x" * 1000):
            answer = device.command("$file/f/status", correlation_data=data)
            self.assertEqual(answer.message.properties.get("correlation_data"), data)

    def test_empty_correlation_data_is_echoed_or_left_out(self):
        device = self.device()
        device.acked(device.publish("$file/f/status", correlation_data=b""))
        message = device.message(device.response_topic)
        self.assertIn(message.properties.get("correlation_data"), (b"", None))

    def test_without_correlation_data_there_is_none(self):
        device = self.device()
        device.publish("$file/f/status")
        message = device.message(device.response_topic)
        self.assertNotIn("correlation_data", message.properties)
        self.assertEqual(message.properties["content_type"], "application/json")
        self.assertEqual(message.properties["payload_format"], 1)

    def test_correlation_data_is_echoed_in_the_result_of_fin(self):
        device = self.device()
        answer = device.upload("f", b"data")
        self.assertTrue(answer.message.properties["correlation_data"].startswith(b"c"))

    def test_a_response_topic_that_is_allowed_is_used(self):
        device = self.device("honoured")
        device.subscribe("replies/honoured")
        device.publish("$file/f/init", b'{"name":"a"}', response_topic="replies/honoured",
                       correlation_data=b"1")
        message = device.message("replies/honoured")
        self.assertEqual((message.qos, message.properties["correlation_data"]), (1, b"1"))
        device.ping()
        self.assertEqual(list(device.messages), [])

    def test_a_response_topic_of_the_user_is_used_also_for_the_result_of_fin(self):
        device = self.device(username="anna")
        device.subscribe("users/anna/answers")
        self.ok(device.init("f"))
        self.ok(device.segment("f", 0, b"x"))
        device.publish("$file/f/fin/1", response_topic="users/anna/answers")
        self.assertIn(b"success", device.message("users/anna/answers").payload)

    @rows(("of_another_client", "replies/somebody"), ("of_another_user", "users/bert/answers"),
          ("of_no_user", "users//answers"), ("below", "replies/%c/more"), ("literal", "replies/%c "),
          ("unrelated", "commands/reboot"), ("of_the_broker", "$SYS/broker/version"),
          ("of_another_response", "$file-response/somebody"), ("of_commands", "$file/f/abort"))
    def test_a_response_topic_is_not_used_that_is(self, topic):
        device, watcher = self.device(username="anna"), self.client()
        watcher.subscribe("#", "$file-response/somebody", "sentinel")
        answer = device.command("$file/f/status", response_topic=topic)
        self.ok(answer, state="none")
        watcher.publish("sentinel")
        self.assertEqual(watcher.message().topic, "sentinel")

    def test_without_a_user_no_user_pattern_matches(self):
        device, watcher = self.device(), self.client()
        watcher.subscribe("users/#")
        self.ok(device.command("$file/f/status", response_topic="users//answers"))
        watcher.ping()
        self.assertEqual(list(watcher.messages), [])


class NoResponseTopics(Case):
    """Without the option no Response Topic is used."""

    def test_a_response_topic_is_ignored_by_default(self):
        device, watcher = self.device("plain"), self.client()
        watcher.subscribe("replies/#", "plain")
        self.ok(device.command("$file/f/status", response_topic="replies/plain"), state="none")
        watcher.ping()
        self.assertEqual(list(watcher.messages), [])


class Aliases(Case):
    """Topic aliases survive that the plugin swallows the message."""

    def test_an_alias_stands_for_a_command(self):
        device = self.device()
        self.ok(device.init("f"))
        mid = device.publish("$file/f/status", topic_alias=3)
        self.assertEqual(device.acked(mid), 0)
        self.assertIn(b'"$file/f/status"', device.message(device.response_topic).payload)
        for _ in range(3):
            self.ok(device.command("", topic_alias=3), state="receiving")

    def test_an_alias_for_a_segment_topic_can_be_changed(self):
        device = self.device()
        self.ok(device.init("f"))
        for offset in (0, 1):
            device.publish(f"$file/f/{offset}", b"x", topic_alias=1)
            self.assertIn(b"success", device.message(device.response_topic).payload)
        self.ok(device.fin("f", 2, sha256(b"xx")))

    def test_an_alias_of_other_topics_works_beside_it(self):
        device = self.device()
        device.subscribe("telemetry")
        device.publish("$file/f/status", topic_alias=1)
        device.publish("telemetry", b"1", topic_alias=2)
        device.publish("", topic_alias=1)
        device.publish("", b"2", topic_alias=2)
        self.assertEqual([device.message("telemetry").payload for _ in range(2)], [b"1", b"2"])
        for _ in range(2):
            self.assertIn(b'"none"', device.message(device.response_topic).payload)
