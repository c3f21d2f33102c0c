# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Every command and every answer in the contract's tables that needs no special option."""
import json

from harness import Case, broker_version, rows, spread
from ondisk import eventually, sha256

WAYS = [(f"{prefix[1:]}_v{version}_qos{qos}", prefix, version, qos)
        for prefix in ("$file", "$file-async") for version in (4, 5) for qos in (0, 1, 2)]
BOTH = (("v3", 4), ("v5", 5))
CONTENT = bytes(range(256)) * 8


@spread
class HappyPath(Case):
    """Each command works on each protocol version, quality of service and prefix."""

    @rows(*WAYS)
    def test_an_upload_ends_as_a_file(self, prefix, version, qos):
        device = self.device(version=version, prefix=prefix)
        answer = self.ok(device.init("f1", "a.bin", qos, size=2048, user_data={"k": [1, None]}))
        self.assertEqual(answer.get("topic"), prefix + "/f1/init")
        self.ok(device.segment("f1", 0, CONTENT[:1000], qos=qos))
        self.ok(device.segment("f1", 1000, CONTENT[1000:], sha256(CONTENT[1000:]), qos))
        self.ok(device.fin("f1", 2048, sha256(CONTENT), qos))
        self.broker.storage.check_finished(self, device.client_id, "f1", "a.bin", CONTENT,
                                           user_data={"k": [1, None]})

    @rows(*WAYS)
    def test_abort_forgets_the_bytes(self, prefix, version, qos):
        device = self.device(version=version, prefix=prefix)
        self.ok(device.init("f1"))
        self.ok(device.segment("f1", 0, b"some bytes"))
        self.broker.storage.wait_incoming(device.client_id, "f1")
        self.ok(device.abort("f1", qos))
        self.broker.storage.wait_gone(device.client_id, "f1")
        self.answered(device.segment("f1", 0, b"x", qos=qos), "no_such_transfer",
                      ack=0 if qos == 2 else None)  # a PUBREC cannot say 0x10
        self.assertEqual(device.status("f1").get("state"), "none")

    @rows(*BOTH)
    def test_init_and_status_tell_what_is_held(self, version):
        device = self.device(version=version)
        first = self.ok(device.init("f1"))
        self.assertEqual((first.get("state"), first.get("received"), first.get("have")),
                         ("receiving", 0, []))
        for offset, length in ((10, 5), (100, 10), (15, 5)):
            self.ok(device.segment("f1", offset, b"x" * length))
        for answer in (device.status("f1"), device.init("f1")):
            self.ok(answer, state="receiving", received=20, have=[[10, 10], [100, 10]])

    def test_a_finished_transfer_tells_that_it_is_complete(self):
        device = self.device()
        self.ok(device.upload("f1", CONTENT))
        for answer in (device.status("f1"), device.init("f1", size=2048)):
            self.ok(answer, state="complete", received=2048, have=[[0, 2048]])

    @rows(*BOTH)
    def test_status_of_an_unknown_transfer_is_none(self, version):
        self.ok(self.device(version=version).status("unheard of"), state="none", received=0,
                have=[])

    def test_abort_of_an_unknown_transfer_is_a_success(self):
        self.ok(self.device().abort("unheard of"))

    def test_abort_of_a_finished_transfer_is_already_complete(self):
        device = self.device()
        self.ok(device.upload("f1", CONTENT))
        self.answered(device.abort("f1"), "already_complete")
        self.broker.storage.check_finished(self, device.client_id, "f1", "data.bin", CONTENT)

    def test_an_aborted_id_can_be_used_anew(self):
        device = self.device()
        self.ok(device.init("f1", "old.bin"))
        self.ok(device.segment("f1", 0, b"old old old"))
        self.ok(device.abort("f1"))
        self.ok(device.init("f1", "new.bin"), received=0)
        self.ok(device.segment("f1", 0, b"new"))
        self.ok(device.fin("f1", 3))
        self.broker.storage.check_finished(self, device.client_id, "f1", "new.bin", b"new")

    def test_at_most_100_ranges_are_told(self):
        device = self.device()
        self.ok(device.init("f1"))
        for _ in device.pipeline("f1", [(i * 10, b"x") for i in range(150)]):
            pass
        answer = self.ok(device.status("f1"), received=150, truncated=True)
        self.assertEqual(answer.get("have"), [[i * 10, 1] for i in range(100)])
        answer = self.answered(device.fin("f1", 2000), "incomplete", truncated=True)
        self.assertEqual(answer.get("missing"), [[i * 10 + 1, 9] for i in range(100)])

    def test_a_short_list_is_not_called_truncated(self):
        device = self.device()
        self.ok(device.init("f1"))
        for _ in device.pipeline("f1", [(i * 10, b"x") for i in range(100)]):
            pass
        answer = self.ok(device.status("f1"), received=100)
        self.assertEqual(len(answer.get("have")), 100)
        self.assertNotEqual(answer.get("truncated"), True)

    def test_commands_are_acknowledged_with_0x00_as_soon_as_the_log_says_so(self):
        """Before that, on brokers older than 2.1, it may be 0x10; the response is right at once."""
        broker = self.start_broker(start=False)
        broker.start(wait_for_sink=False)
        device = self.device("first", broker=broker)
        told = broker_version() >= (2, 1, 0) or broker.has_sink()
        answer = device.init("f1")
        self.assertEqual(answer.word, "success")
        self.assertIn(answer.ack, (0,) if told else (0, 0x10))
        eventually(lambda: broker_version() >= (2, 1, 0) or broker.has_sink(), "the sink")
        self.ok(device.segment("f1", 0, b"x"))

    def test_commands_without_anybody_listening_are_acknowledged_with_0x00(self):
        device = self.device(responses=False)
        self.assertEqual(device.init("f1").ack, 0)
        self.assertEqual(device.segment("f1", 0, b"x").ack, 0)
        self.assertEqual(device.segment("f2", 0, b"x").ack, 0x10)
        self.assertEqual(device.segment("f1", "x", b"x").ack, 0x87)

    def test_two_clients_with_the_same_file_id_do_not_mix(self):
        one, other = self.device(), self.device()
        for device, byte in ((one, b"1"), (other, b"2")):
            self.ok(device.init("same"))
            self.ok(device.segment("same", 0, byte * 10))
        self.ok(one.abort("same"))
        self.ok(other.fin("same", 10))
        self.broker.storage.check_finished(self, other.client_id, "same", "data.bin", b"2" * 10)

    def test_both_prefixes_mean_the_same_transfer(self):
        device = self.device()
        self.ok(device.init("f1"))
        device.prefix = "$file-async"
        self.ok(device.segment("f1", 0, b"ab"))
        self.ok(device.status("f1"), received=2)


@spread
class Metadata(Case):
    """The rules for the payload of init."""

    def refused(self, meta, key=None, word="invalid_filemeta", version=5):
        device = self.device(version=version)
        payload = meta if isinstance(meta, (bytes, str)) else json.dumps(meta)
        answer = self.answered(device.command("$file/f1/init", payload), word)
        if key:
            self.assertIn(key, answer.get("detail", ""))
        self.ok(device.status("f1"), state="none")
        return answer

    @rows(("is_absent", {}), ("is_null", {"name": None}), ("is_empty", {"name": ""}),
          ("is_a_number", {"name": 1}), ("is_an_array", {"name": ["a"]}),
          ("is_a_dot", {"name": "."}), ("is_two_dots", {"name": ".."}),
          ("has_a_slash", {"name": "a/b"}), ("has_a_backslash", {"name": "a\\b"}),
          ("has_a_colon", {"name": "a:b"}), ("has_a_newline", {"name": "a\nb"}),
          ("has_an_escape", {"name": "a\x1bb"}), ("has_a_delete", {"name": "a\x7fb"}),
          ("has_a_c1_control", {"name": "a\x85b"}), ("has_241_bytes", {"name": "x" * 241}),
          ("has_242_bytes_in_121_letters", {"name": "é" * 121}),
          ("ends_as_manifests_do", {"name": "a.manifest.json"}),
          ("has_a_nul", '{"name": "a\\u0000b"}'))
    def test_a_name_is_refused_that(self, meta):
        self.refused(meta, None if "u0000" in str(meta) else "name")

    @rows(("is_negative", -1), ("is_a_fraction", 1.5), ("is_text", "12"), ("is_true", True),
          ("is_above_2_53", 2**53 + 2), ("is_huge", 10**30), ("is_an_object", {}))
    def test_a_size_is_refused_that(self, size):
        self.refused({"name": "a", "size": size}, "size")

    @rows(("is_long", "0" * 65), ("is_no_hex", "g" * 64), ("is_empty", ""),
          ("is_a_number", 7), ("has_a_nul", "0" * 63 + "\0"))
    def test_a_checksum_is_refused_that(self, checksum):
        self.refused({"name": "a", "checksum": checksum}, "checksum" if "\0" not in str(checksum)
                     else None)

    @rows(("is_text", "tomorrow"), ("is_an_array", []), ("is_false", False))
    def test_an_expire_at_is_refused_that(self, expire_at):
        self.refused({"name": "a", "expire_at": expire_at}, "expire_at")

    @rows(("is_0", 0), ("is_negative", -5), ("is_text", "60"), ("is_an_object", {}))
    def test_a_segments_ttl_is_refused_that(self, segments_ttl):
        self.refused({"name": "a", "segments_ttl": segments_ttl}, "segments_ttl")

    @rows(("empty", b""), ("text", b"hello"), ("cut", b'{"name": "a"'), ("unquoted", b"{name: 1}"),
          ("followed_by_more", b'{"name": "a"} x'), ("two_objects", b'{"name":"a"}{"name":"b"}'),
          ("binary", bytes(range(1, 200))), ("deep", b"[" * 30000))
    def test_no_json_is_refused_that_is(self, payload):
        self.refused(payload, word="invalid_filemeta_json")

    @rows(("an_array", b'["name"]'), ("a_string", b'"name"'), ("a_number", b"12"), ("null", b"null"),
          ("true", b"true"))
    def test_json_that_is_no_object_is_refused__(self, payload):
        self.refused(payload)

    @rows(*BOTH)
    def test_a_refusal_is_told_on_each_version(self, version):
        self.refused({"name": "a/b"}, "name", version=version)
        self.refused(b"nonsense", word="invalid_filemeta_json", version=version)

    def test_more_than_64_KiB_is_refused(self):
        self.refused({"name": "a", "user_data": "x" * 65536})

    def test_64_KiB_are_accepted(self):
        head = '{"name": "a", "user_data": "'
        device = self.device()
        self.ok(device.command("$file/f1/init", head + "x" * (65536 - len(head) - 2) + '"}'))

    def test_a_name_of_invalid_utf8_is_refused(self):
        device = self.device()
        answer = device.command("$file/f1/init", b'{"name": "a\xff\xfe"}')
        self.assertIn(answer.word, ("invalid_filemeta", "invalid_filemeta_json"))

    def test_deep_user_data_is_answered(self):
        device = self.device()
        answer = device.command("$file/f1/init",
                                b'{"name":"a","user_data":' + b"[" * 5000 + b"]" * 5000 + b"}")
        self.assertIn(answer.word, ("success", "invalid_filemeta", "invalid_filemeta_json"))
        self.assertTrue(device.is_alive())

    def test_unknown_keys_are_ignored_and_null_is_absent(self):
        device = self.device()
        self.ok(device.init("f1", "a.bin", size=None, checksum=None, expire_at=None,
                            segments_ttl=None, user_data=None, color="red", part=[1]))
        self.ok(device.segment("f1", 0, b"x"))
        self.ok(device.fin("f1", 1))
        self.broker.storage.check_finished(self, device.client_id, "f1", "a.bin", b"x")

    @rows(("the_longest", "x" * 240), ("hidden", ".profile"), ("three_dots", "..."),
          ("an_option", "-rf"), ("blank", " "), ("emoji", "📷 ünïcode.jpg"), ("percent", "100%.txt"),
          ("quotes", "\"'`$(id).txt"), ("nearly_a_manifest", "data.bin.Manifest.json"),
          ("as_the_internals_are_called", "data"), ("120_letters_of_two_bytes", "é" * 120))
    def test_a_name_is_kept_that_is(self, name):
        device = self.device()
        self.ok(device.upload("f1", b"content", name))
        self.broker.storage.check_finished(self, device.client_id, "f1", name, b"content")

    @rows(("name", {"name": "other.bin"}), ("size", {"size": 11}), ("no_size", {"size": None}),
          ("checksum", {"checksum": "b" * 64}), ("no_checksum", {"checksum": None}))
    def test_another_init_conflicts_by_its(self, change):
        device = self.device()
        meta = {"name": "a.bin", "size": 10, "checksum": "a" * 64}
        self.ok(device.init("f1", **meta))
        self.answered(device.init("f1", **{**meta, **change}), "filemeta_conflict")
        self.ok(device.init("f1", **meta), state="receiving")

    def test_a_checksum_in_other_case_is_the_same(self):
        device = self.device()
        self.ok(device.init("f1", checksum="ab" * 32))
        self.ok(device.init("f1", checksum="AB" * 32))

    def test_a_repeated_init_replaces_what_may_change(self):
        device = self.device()
        self.ok(device.init("f1", expire_at=4000000000, segments_ttl=1000, user_data={"a": 1}))
        self.ok(device.segment("f1", 0, b"held"))
        self.ok(device.init("f1", expire_at=4100000000, segments_ttl=2000, user_data={"b": "ü"}),
                received=4)
        self.ok(device.fin("f1", 4))
        self.broker.storage.check_finished(self, device.client_id, "f1", "data.bin", b"held",
                                           expire_at=4100000000, user_data={"b": "ü"})


@spread
class Segments(Case):
    """The rules for segments."""

    @rows(*BOTH)
    def test_a_wrong_checksum_stores_nothing(self, version):
        device = self.device(version=version)
        self.ok(device.init("f1"))
        self.ok(device.segment("f1", 0, b"aaaa"))
        self.answered(device.segment("f1", 2, b"bbbb", sha256(b"cccc")), "checksum_mismatch")
        self.ok(device.status("f1"), received=4, have=[[0, 4]])
        self.ok(device.fin("f1", 4, sha256(b"aaaa")))

    def test_a_right_checksum_is_accepted_in_any_case(self):
        device = self.device()
        self.ok(device.init("f1"))
        self.ok(device.segment("f1", 0, b"aaaa", sha256(b"aaaa").upper()))
        self.ok(device.fin("f1", 4, sha256(b"aaaa").upper()))

    @rows(*BOTH)
    def test_without_an_init_there_is_no_such_transfer(self, version):
        device = self.device(version=version)
        self.answered(device.segment("f1", 0, b"x"), "no_such_transfer")
        self.answered(device.fin("f1", 1), "no_such_transfer")

    def test_an_empty_segment_is_a_success_that_stores_nothing(self):
        device = self.device()
        self.ok(device.init("f1"))
        self.ok(device.segment("f1", 5, b""))
        self.ok(device.segment("f1", 5, b"", sha256(b"")))
        self.ok(device.status("f1"), received=0, have=[])

    @rows(("one_byte_too_far", 2**63 - 1, b"x"), ("2_63", 2**63, b""), ("2_64", 2**64, b"x"),
          ("far_beyond", 10**40, b"x"), ("sum_too_large", 2**63 - 3, b"xxxx"))
    def test_an_offset_is_refused_that_is(self, offset, data):
        device = self.device()
        self.ok(device.init("f1"))
        self.answered(device.segment("f1", offset, data), "invalid_offset")

    def test_a_far_offset_is_answered_and_harmless(self):
        device = self.device()
        self.ok(device.init("f1"))
        self.ok(device.segment("f1", 2**63 - 1, b""))
        answer = device.segment("f1", 2**63 - 2, b"x")
        self.assertIn(answer.word, ("success", "file_too_large"))
        self.ok(device.segment("f1", 0, b"x"))
        self.ok(device.fin("f1", 1))

    def test_leading_zeros_do_not_matter(self):
        device = self.device()
        self.ok(device.init("f1"))
        self.ok(device.segment("f1", "0" * 30 + "3", b"d"))
        self.ok(device.segment("f1", "000", b"abc"))
        self.ok(device.fin("f1", "0" * 40 + "4"))
        self.broker.storage.check_finished(self, device.client_id, "f1", "data.bin", b"abcd")

    def test_segments_of_a_finished_file_are_compared(self):
        device = self.device()
        self.ok(device.upload("f1", b"0123456789"))
        self.ok(device.segment("f1", 3, b"3456"))
        self.answered(device.segment("f1", 3, b"345x"), "already_complete")
        self.answered(device.segment("f1", 8, b"89ab"), "already_complete")
        self.broker.storage.check_finished(self, device.client_id, "f1", "data.bin", b"0123456789")


