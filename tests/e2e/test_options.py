# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Options the plugin refuses: the broker does not start and one line says why."""
import os
import shutil
import signal
import subprocess
import unittest

from harness import IS_ROOT, Case, broker_version, rows, spread
from settings import SETTINGS

BAD = (
    ("unknown", "no_such_option", "1"), ("misspelt", "storage-dir", "/x"), ("case", "Workers", "1"),
    ("store_unknown", "store", "s3"), ("durability_unknown", "durability", "maximum"),
    ("workers_0", "workers", "0"), ("workers_text", "workers", "many"),
    ("workers_negative", "workers", "-1"), ("workers_absurd", "workers", "100000"),
    ("timeout_text", "assemble_timeout", "soon"), ("timeout_unit", "assemble_timeout", "5x"),
    ("timeout_0", "assemble_timeout", "0"),
    ("file_size_text", "max_file_size", "big"), ("file_size_unit", "max_file_size", "1X"),
    ("file_size_negative", "max_file_size", "-1"),
    ("file_size_overflow", "max_file_size", "99999999999G"),
    ("file_size_fraction", "max_file_size", "1.5G"), ("segment_size", "max_segment_size", "x"),
    ("segment_size_trailing", "max_segment_size", "1k1"), ("transfers", "max_transfers", "lots"),
    ("transfers_negative", "max_transfers", "-3"), ("free_space", "min_free_space", "10%"),
    ("per_client", "max_transfers_per_client", "1.0"),
    ("ttl", "segments_ttl", "forever"), ("ttl_0", "segments_ttl", "0"),
    ("ttl_overflow", "segments_ttl", "99999999999999999999d"), ("ttl_min", "segments_ttl_min", "1y"),
    ("ttl_max", "segments_ttl_max", "soon"), ("gc", "gc_interval", "x"), ("gc_0", "gc_interval", "0"),
    ("acl", "acl", "guards"), ("control", "control", "yes"), ("control_unguarded", "control", "on"), ("ack_sink", "ack_sink", "on"),
    ("log_size_small", "log_size", "1k"), ("log_size_text", "log_size", "large"),
    ("log_dir_relative", "log_dir", "log"), ("memory_small", "max_memory", "10"),
    ("segment_beyond_half_of_the_log", "max_segment_size", "17M"), ("owner", "owner", "user"),
    ("finished_ids", "finished_ids", "new"), ("responses", "segment_responses", "none"),
    ("topics_no_filter", "response_topics", "a/#/b"),
    ("topics_of_commands", "response_topics", "$file/%c/init"),
    ("of_a_later_version", "cluster", "on"),
    ("storage_quota", "storage_quota", "1T"), ("client_quota", "client_quota", "0"),
    ("bandwidth", "client_bandwidth", "fast"), ("rate", "client_rate", "1k"),
    ("limits_file_relative", "limits_file", "limits.json"),
    ("limits_file_absent", "limits_file", "/nowhere/limits.json"),
    ("allow_names", "allow_names", "a/b"), ("deny_names", "deny_names", ","),
)


@spread
class Refused(Case):
    """run_to_end() starts a broker that must not stay."""

    shared = False

    def refused(self, broker, *words):
        status, log = broker.run_to_end()
        self.assertNotIn(status, (0, None), f"the broker started:\n{log}")
        self.assertGreater(status, 0, f"the broker crashed:\n{log}")
        lines = [line for line in log.splitlines() if "file-transfer: " in line]
        self.assertEqual(len(lines), 1, log)
        for word in words:
            self.assertIn(word, lines[0])
        broker.check_log()
        return lines[0]

    @rows(*BAD)
    def test_a_bad_option_is_named(self, option, value):
        broker = self.start_broker({option: value}, start=False)
        line = self.refused(broker, option)
        self.assertGreater(len(line.split("file-transfer: ")[1]), len(option) + 10, "no remedy")

    def test_an_option_that_is_there_twice_is_named(self):
        broker = self.start_broker({"workers": "1"}, start=False)
        broker.after = ["plugin_opt_workers 2"]
        self.refused(broker, "workers 2", "second time")

    def test_the_minimum_ttl_above_the_maximum_is_refused(self):
        self.refused(self.start_broker({"segments_ttl_min": "2h", "segments_ttl_max": "1h"},
                                       start=False), "segments_ttl_m")

    def test_a_missing_storage_dir_is_named(self):
        self.refused(self.start_broker({"storage_dir": None}, start=False), "storage_dir")

    def test_a_storage_dir_that_is_a_file_is_named(self):
        broker = self.start_broker(start=False)
        with open(broker.storage.path, "w", encoding="ascii") as file:
            file.write("x")
        self.refused(broker, "storage_dir", broker.storage.path)

    @rows(("incoming", "incoming"), ("files", "files"), ("lock", "lock"))
    def test_something_else_in_the_place_is_named_of(self, name):
        broker = self.start_broker(start=False)
        os.makedirs(broker.storage.path)
        path = os.path.join(broker.storage.path, name)
        if name == "lock":
            os.mkdir(path)
        else:
            with open(path, "w", encoding="ascii") as file:
                file.write("x")
        self.refused(broker, "storage_dir", name)

    def test_a_storage_dir_the_user_cannot_write_to_is_named_with_the_user(self):
        if not IS_ROOT:
            raise unittest.SkipTest("needs a broker that drops privileges")
        broker = self.start_broker(start=False, user=None)
        os.makedirs(broker.storage.path, 0o755)
        self.refused(broker, "storage_dir", broker.storage.path, "mosquitto")

    def test_a_storage_dir_that_cannot_be_made_is_named(self):
        broker = self.start_broker({"storage_dir": "/proc/nothing/here"}, start=False)
        self.refused(broker, "storage_dir", "/proc/nothing/here")

    def test_a_second_line_without_per_listener_settings_is_named_before_2_1(self):
        """On 2.1 it starts, and the first one has all the commands."""
        broker = self.start_broker(start=False, setting=SETTINGS["open"])
        broker.after = [f"plugin {broker.plugin}",
                        f"plugin_opt_storage_dir {os.path.join(broker.dir, 'second')}"]
        if broker_version() >= (2, 1, 0):
            self.ok(self.device("dev", broker=broker.start()).upload("f", b"first"))
            broker.storage.check_finished(self, "dev", "f", "data.bin", b"first")
            return
        status, log = broker.run_to_end()
        self.assertNotIn(status, (0, None), log)
        self.assertRegex(log, "file-transfer: .*per_listener_settings.*only one line")


@spread
class Accepted(Case):
    """Values that are allowed, and what a start does with the directory."""

    shared = False

    def test_a_storage_dir_is_made_with_its_parents_missing_or_there(self):
        broker = self.start_broker(start=False)
        os.makedirs(os.path.dirname(broker.storage.path), exist_ok=True)
        broker.start()
        self.assertTrue(os.path.isdir(broker.storage.path))
        self.ok(self.device("dev", broker=broker).upload("f", b"x"))

    def test_an_unprivileged_broker_keeps_files_of_its_own(self):
        if not IS_ROOT:
            raise unittest.SkipTest("needs a broker that drops privileges")
        broker = self.start_broker(start=False, user=None)
        os.makedirs(broker.storage.path)
        shutil.chown(broker.storage.path, "mosquitto")
        os.chmod(broker.storage.path, 0o700)
        broker.start()
        self.ok(self.device("dev", broker=broker).upload("f", b"x"))
        self.assertNotEqual(os.stat(broker.storage.finished("dev", "f", "data.bin")).st_uid, 0)
        os.chmod(broker.storage.path, 0o755)

    @rows(("k", "64k", 65536), ("M", "1M", 1 << 20), ("plain", "1000", 1000),
          ("kilo_upper", "2K", 2048))
    def test_a_size_is_read_in_units_of_1024(self, text, number):
        broker = self.start_broker({"max_file_size": text})
        device = self.device("dev", broker=broker)
        self.ok(device.init("a", size=number))
        self.answered(device.init("b", size=number + 1), "file_too_large")

    def test_every_option_at_once(self):
        broker = self.start_broker({
            "store": "fs", "durability": "segment", "workers": "2", "assemble_timeout": "1m",
            "max_file_size": "10G", "max_segment_size": "10M", "max_transfers": "5",
            "max_transfers_per_client": "5", "min_free_space": "1k",
            "segments_ttl": "1d", "segments_ttl_min": "1m", "segments_ttl_max": "2d",
            "gc_interval": "10s", "response_topics": "replies/%c", "acl": "guard-and-allow",
            "ack_sink": "auto", "log_dir": "auto", "log_size": "24M", "owner": "client_id",
            "finished_ids": "replace", "segment_responses": "all", "max_memory": "32M",
            "tune_malloc": "true"})
        for version in (4, 5):
            device = self.device(f"dev{version}", version, broker=broker)
            self.ok(device.upload("f", b"content"))

    def test_without_an_ack_sink_responses_still_tell_all(self):
        broker = self.start_broker({"ack_sink": "off"})
        device = self.device("dev", broker=broker)
        begun = device.init("f")
        self.assertEqual((begun.word, begun.ack), ("success", 0x10))
        self.assertEqual(device.segment("f", 0, b"x").word, "success")
        self.assertEqual(device.fin("f", 1).word, "success")

    def test_a_reload_changes_nothing(self):
        broker = self.start_broker()
        device = self.device("dev", broker=broker)
        self.ok(device.init("f"))
        broker.process.send_signal(signal.SIGHUP)
        self.ok(device.segment("f", 0, b"x"))
        device.ping()
        self.ok(device.fin("f", 1))

    @rows(*[(name, name) for name in SETTINGS])
    def test_uploads_work_in_a_broker_set_up_as(self, name):
        broker = self.start_broker(setting=SETTINGS[name])
        for version in (4, 5):
            device = self.device(f"dev{version}", version, broker=broker)
            self.ok(device.upload("f", os.urandom(300_000)))

    def test_a_password_file_does_not_keep_the_plugin_from_working(self):
        broker = self.start_broker(start=False, config=["allow_anonymous false"],
                                   setting=SETTINGS["open"])
        path = os.path.join(broker.dir, "passwords")
        subprocess.run(["mosquitto_passwd", "-b", "-c", path, "anna", "pw"], check=True,
                       stderr=subprocess.DEVNULL)
        os.chmod(path, 0o644)
        broker.config.append("password_file " + path)
        broker.start()
        device = self.device("dev", broker=broker, username="anna", password="pw")
        self.ok(device.upload("f", b"with a password"))
        stranger = self.client("x", broker=broker, connect=False)
        stranger.connect(expect=0x87)
