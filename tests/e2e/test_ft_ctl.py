# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""ft-ctl, the command line of the admin API, against a real broker."""
import json
import os
import re
import shutil
import subprocess

from harness import (BUILD, COMMAND, ROOT, Case, Clock, broker_version, compiled, eventually, rows,
                     spread)
from settings import SETTINGS
from test_control import CONTENT

TOOL = os.path.join(BUILD, "ft-ctl")
OK, USAGE, LINK, DENIED, REFUSED = 0, 1, 3, 4, 5


class ToolCase(Case):
    setting = SETTINGS["open"]
    options = {"control": "trusted"}

    def ctl(self, *arguments, broker=None, status=OK, environment=None):
        """What it prints; its exit status must be `status`."""
        broker = broker or self.broker
        done = subprocess.run([TOOL, "-h", "127.0.0.1", "-p", str(broker.port), *arguments],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False,
                              env={**os.environ, "LC_ALL": "C.UTF-8", "COLUMNS": "80",
                                   **(environment or {})})
        self.assertEqual(done.returncode, status, (arguments, done.stdout, done.stderr))
        self.said = done.stderr.decode()
        return done.stdout.decode()

    def json(self, *arguments, **options):
        return [json.loads(line) for line in
                self.ctl("--json", *arguments, **options).splitlines()]

    def begun(self, device, file="f1", name="door.mp4", size=4000):
        self.ok(device.init(file, name, size=size))
        self.ok(device.segment(file, 0, CONTENT[:1000]))
        return device


class Offers(ToolCase):
    """What devices may fetch, and what they do about jobs."""

    options = {"control": "trusted", "downloads": "native,jobs", "offers_interval": "1s"}

    def test_a_file_is_offered_listed_and_withdrawn(self):
        device = self.device()
        self.ok(device.upload("f1", CONTENT, "door.mp4"))
        self.assertRegex(self.ctl("offer", device.client_id, "f1", "all", "a/door.mp4"), r"(?m)^name +a/door.mp4$")
        eventually(lambda: "yes" in self.ctl("offers", "all"), "its checksum", 20)
        self.assertRegex(self.ctl("offers"), r"all +a/door.mp4 +10.0k yes")
        self.assertEqual([offer["name"] for offer in self.json("offers", "--name", "*.mp4")], ["a/door.mp4"])
        self.ok(device.upload("f2", CONTENT[::-1], "other.mp4"))
        self.ctl("offer", device.client_id, "f2", "all", "a/door.mp4", status=REFUSED)
        self.assertIn("already_offered", self.said)
        self.ctl("offer", device.client_id, "f2", "all", "a/door.mp4", "--replace")
        self.assertRegex(self.ctl("withdraw", "all", "a/door.mp4"), r"(?m)^last +false$")
        self.ctl("withdraw", "all", "a/door.mp4", status=REFUSED)
        self.ctl("offer", device.client_id, "f1", status=USAGE)
        self.ctl("offer", device.client_id, "f1", "nobody", status=REFUSED)

    def test_jobs_are_listed(self):
        device = self.device("thing")
        folder = os.path.join(self.broker.storage.path, "jobs", "all")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "j1.json"), "w", encoding="ascii") as document:
            document.write("{}")

        def started():
            device.publish("$aws/things/thing/jobs/start-next", b"")
            return b'"j1"' in device.message("$aws/things/thing/jobs/start-next/accepted").payload
        eventually(started, "the job", 20)
        self.assertRegex(self.ctl("jobs"), r"thing +j1 +IN_PROGRESS")
        self.assertEqual(self.ctl("jobs", "--status", "FAILED"), "")
        self.assertEqual([job["job"] for job in self.json("jobs", "thing")], ["j1"])


@spread
class Tool(ToolCase):
    """Each command does what it says."""

    def test_list_shows_what_is_on_its_way(self):
        device = self.begun(self.device())
        line = self.ctl("list", device.client_id).splitlines()[1]
        self.assertRegex(line, rf"^{device.client_id} +f1 +door.mp4 +3.9k +25% .*receiving")

    def test_tables_fit_80_columns_whatever_the_names(self):
        device = self.device("c" * 70 + "ü😀")
        for file, name in (("f" * 100, "n" * 200), ("\u4e2d" * 60, "\u4e2d" * 70), ("e", "a\u0301" * 60)):
            self.begun(device, file, name, 4 * 10**9)
            self.ok(device.upload("d" + file, CONTENT, name))
        for command in ("list", "files", "clients", "pauses", "top --count 1"):
            self.ctl("pause", device.client_id)
            for line in self.ctl(*command.split()).splitlines():
                wide = sum(2 if c in "\u4e2d😀" else 0 if c == "\u0301" else 1 for c in line)
                self.assertLessEqual(wide, 80, line)
        self.ctl("resume", device.client_id)

    def test_wide_tables_have_ids_that_other_commands_take(self):
        device = self.begun(self.device("c" * 40), "f" * 40)
        self.ok(device.upload("d" * 40, CONTENT, "n" * 60))
        self.assertNotIn("c" * 40, self.ctl("list"))
        client, file = self.ctl("list", "--wide", device.client_id).splitlines()[1].split()[:2]
        self.ctl("abort", client, file)
        line = self.ctl("files", "--wide", device.client_id).splitlines()[1]
        self.assertIn(f"{'c' * 40} {'d' * 40} {'n' * 60} ", line)

    def test_list_says_for_how_long_a_device_has_been_silent(self):
        broker = self.start_broker(start=False, preload=compiled(*Clock.PRELOAD))
        clock = Clock(broker)
        broker.start()
        device = self.begun(self.device(broker=broker))
        self.assertIn("receiving", self.ctl("list", broker=broker))
        clock.forward(70)
        eventually(lambda: re.search(r"idle 1m[1-3]", self.ctl("list", broker=broker)),
                   "the list to say that the device is silent")
        self.ok(device.segment("f1", 1000, CONTENT[1000:2000]))
        self.assertIn("receiving", self.ctl("list", broker=broker))

    def test_show_tells_of_a_transfer_and_of_a_file(self):
        device = self.begun(self.device())
        self.assertRegex(self.ctl("show", device.client_id, "f1"), r"received +1000\n")
        self.ok(device.upload("f2", CONTENT, "x.bin"))
        self.assertRegex(self.ctl("show", device.client_id, "f2"), r"path +files/.*/f2/x.bin\n")
        self.ctl("show", device.client_id, "f3", status=REFUSED)
        self.assertIn("neither an unfinished transfer nor a finished file has this id", self.said)

    def test_abort_ends_a_transfer(self):
        device = self.begun(self.device())
        self.ctl("abort", device.client_id, "f1")
        self.answered(device.segment("f1", 0, b"x"), "no_such_transfer")
        self.ctl("abort", device.client_id, "f1", status=REFUSED)

    def test_pause_and_resume(self):
        broker = self.start_broker()
        device = self.begun(self.device(broker=broker))
        for whom in ((device.client_id, "f1"), (device.client_id,), ("--all",)):
            self.ctl("pause", *whom, broker=broker)
            self.answered(device.segment("f1", 0, b"x"), "paused")
            self.assertEqual(len(self.ctl("pauses", broker=broker).splitlines()), 2)
            self.ctl("resume", *whom, broker=broker)
            self.ok(device.segment("f1", 0, b"x"))
        self.assertEqual(self.ctl("pauses", broker=broker), "")

    def test_pause_of_everybody_has_to_be_said(self):
        self.ctl("pause", status=USAGE)
        self.ctl("pause", "--all", "somebody", status=USAGE)

    def test_files_are_listed_and_filtered(self):
        device = self.device()
        for i in range(3):
            self.ok(device.upload(f"f{i}", CONTENT, f"n{i}.bin"))
        self.assertEqual([entry["file_id"] for entry in self.json("files", device.client_id)],
                         ["f2", "f1", "f0"])
        self.assertEqual(len(self.json("files", device.client_id, "-n", "2")), 2)
        self.assertEqual(len(self.json("files", device.client_id, "--name", "n1.*")), 1)
        self.assertEqual(len(self.json("files", device.client_id, "--since", "1h")), 3)
        self.assertEqual(len(self.json("files", device.client_id, "--until", "1h")), 0)
        self.assertEqual(len(self.json("files", device.client_id, "--until", "2020-01-31")), 0)
        self.assertEqual(len(self.json("files", device.client_id, "--min-size", "1M")), 0)

    def test_files_are_sorted(self):
        device = self.device()
        for file, name, size in (("f1", "b", 20), ("f2", "a", 10), ("f3", "c", 30)):
            self.ok(device.upload(file, CONTENT[:size], name))
        self.assertEqual([[entry["file_id"] for entry in
                           self.json("files", device.client_id, "--sort", by)]
                          for by in ("time", "name", "size")],
                         [["f3", "f2", "f1"], ["f2", "f1", "f3"], ["f3", "f1", "f2"]])

    def test_clients_show_who_holds_how_much(self):
        broker = self.start_broker({"client_quota": "10M"})
        device = self.begun(self.device("cam", broker=broker))
        self.ok(device.upload("f2", CONTENT, "x.bin"))
        self.ok(self.device("gate", broker=broker).upload("f1", CONTENT, "y.bin"))
        self.ctl("pause", "cam", broker=broker)
        lines = self.ctl("clients", broker=broker).splitlines()
        self.assertRegex(lines[1], r"^cam +1 +1.0k +1 +10.0k +10.0M +20\d\d-\d\d-\d\d +paused")
        self.assertRegex(lines[2], r"^gate +0 +0B +1 +10.0k +10.0M ")
        self.assertEqual([entry["client_id"] for entry in
                          self.json("clients", "g*", broker=broker)], ["gate"])

    def test_more_files_than_a_page_has_are_all_listed(self):
        device = self.device()
        tickets = []
        for i in range(520):
            tickets.append(device.send(f"$file/p{i}/put/x", b"x"))
            if len(tickets) == 20:
                self.ok(device.answer(tickets.pop(0)))
        for ticket in tickets:
            self.ok(device.answer(ticket))
        self.assertEqual(len({entry["file_id"] for entry in self.json("files", device.client_id)}),
                         520)

    def test_rm_deletes_a_file(self):
        device = self.device()
        self.ok(device.upload("f1", CONTENT, "x.bin"))
        self.ctl("rm", device.client_id, "f1")
        self.assertFalse(os.path.exists(self.broker.storage.finished(device.client_id, "f1",
                                                                     "x.bin")))
        self.ctl("rm", device.client_id, "f1", status=REFUSED)

    def test_stats_tell_status_and_metrics(self):
        text = self.ctl("stats")
        self.assertRegex(text, r"(?m)^version +\d")
        self.assertRegex(text, r"(?m)^transfers/active +\d")

    def test_top_shows_bars(self):
        device = self.begun(self.device())
        text = self.ctl("top", device.client_id, "--count", "2", "--interval", "1")
        self.assertEqual(len(re.findall(r"door.mp4 +3.9k +25% \[###\.{9}\]", text)), 2)

    def test_verify_follows_to_the_end_and_tells_of_damage(self):
        broker = self.start_broker()
        device = self.device(broker=broker)
        self.ok(device.upload("f1", CONTENT, "x.bin"))
        self.assertRegex(self.ctl("verify", broker=broker), r"damaged +0\n")
        with open(broker.storage.finished(device.client_id, "f1", "x.bin"), "r+b") as file:
            file.write(b"!")
        self.assertRegex(self.ctl("verify", broker=broker, status=REFUSED), r"damaged +1\n")

    def test_adopt_takes_in_what_was_put_back(self):
        broker = self.start_broker()
        device = self.device(broker=broker)
        self.ok(device.upload("f1", CONTENT, "x.bin"))
        folder = os.path.dirname(broker.storage.finished(device.client_id, "f1", "x.bin"))
        backup = os.path.join(broker.dir, "backup")
        shutil.copytree(folder, os.fsencode(backup))
        self.ctl("-u", "root", "rm", device.client_id, "f1", broker=broker)
        self.assertRegex(broker.log(), r"deleteFile by an operator \(client 'ft-ctl-.*', user 'root'\)")
        shutil.copytree(os.fsencode(backup), folder)
        self.assertRegex(self.ctl("verify", broker=broker), r"unknown +1\n")
        self.assertRegex(self.ctl("adopt", broker=broker), r"adopted +1\n")
        self.ok(device.fin("f1", len(CONTENT)))
        self.assertRegex(self.ctl("verify", broker=broker), r"missing +0\n(.*\n)*unknown +0\n")
        os.unlink(os.path.join(folder, b"x.bin.manifest.json"))
        self.ctl("rm", device.client_id, "f1", broker=broker)
        os.makedirs(folder)
        with open(os.path.join(folder, b"lone"), "wb"):
            pass
        self.ctl("adopt", broker=broker, status=REFUSED)

    def test_limits_are_set_and_unset(self):
        broker = self.start_broker(start=False)
        broker.options["limits_file"] = path = os.path.join(broker.dir, "limits.json")
        with open(path, "w", encoding="ascii") as file:
            file.write('{"overrides": []}')
        broker.start()
        device = self.device(broker=broker)
        given = ("--for-client", device.client_id)
        self.ctl("-u", "root", "limits", "set", *given, "max_file_size=5", "client_rate=none",
                 broker=broker)
        self.assertRegex(broker.log(), r"max_file_size none -> 5, by an operator \(.*, user 'root'\)")
        self.answered(device.upload("f1", CONTENT, "x.bin"), "file_too_large")
        broker.restart()
        self.assertRegex(self.ctl("limits", device.client_id, broker=broker), r"max_file_size +5\n")
        self.ctl("limits", "unset", *given, "max_file_size", broker=broker)
        self.assertNotIn("max_file_size", self.ctl("limits", device.client_id, broker=broker))
        with open(path, "a", encoding="ascii") as file:
            file.write("\n")
        self.ctl("limits", "unset", *given, broker=broker, status=REFUSED)
        self.assertIn("limits_changed", self.said)
        self.ctl("reload", broker=broker)
        eventually(lambda: "was read again" in broker.log(), "the file to be read")
        self.ctl("limits", "unset", *given, broker=broker)
        with open(path, encoding="ascii") as file:
            self.assertEqual(json.load(file), {"overrides": []})

    def test_gc_says_nothing(self):
        self.assertEqual(self.ctl("gc"), "")

    @rows(("no_command",), ("an_unknown_command", "lst"), ("too_few", "show", "c"),
          ("too_many", "gc", "now"), ("an_option", "--nonsense", "list"),
          ("a_time", "files", "--since", "tomorrow"), ("a_size", "files", "--min-size", "1X"),
          ("whose_limits", "limits", "set", "client_rate=5"),
          ("which_limits", "limits", "set", "--for-client", "c"),
          ("a_limit_without_a_value", "limits", "set", "--for-client", "c", "client_rate"),
          ("too_many_limits", "limits", "a", "b", "c"),
          ("a_limit", "files", "-n", "0"), ("an_order", "files", "--sort", "age"), ("a_password_alone", "-P", "x", "list"))
    def test_wrong_usage_is_told__(self, *arguments):
        self.ctl(*arguments, status=USAGE)
        self.assertTrue(self.said.startswith("ft-ctl: "), self.said)

    def test_mosquitto_ctrl_does_the_same(self):
        self.begun(self.device("by-ctrl"))
        tool = [*COMMAND[:-1], os.path.join(os.path.dirname(os.path.dirname(COMMAND[-1])), "bin",
                                            "mosquitto_ctrl")]
        if len(tool) > 1:
            self.skipTest("this broker's is started by a loader, which is part of its command line")
        done = subprocess.run([*tool, "-h", "127.0.0.1", "-p", str(self.broker.port),
                               "file-transfer", "list", "by-ctrl", "--json"], check=True,
                              stdout=subprocess.PIPE, timeout=60,
                              env={**os.environ, "LD_LIBRARY_PATH": BUILD,
                                   "PATH": BUILD + ":" + os.environ["PATH"]})
        self.assertEqual(json.loads(done.stdout)["file_id"], "f1")

    @rows(("as_an_option", "--help"), ("as_a_command", "help"))
    def test_help_is_told(self, how):
        text = self.ctl(how)
        self.assertIn("verify", text)
        self.assertLessEqual(max(map(len, text.splitlines())), 80)

    def test_every_option_and_command_is_in_the_manual(self):
        with open(os.path.join(ROOT, "examples", "ft-ctl.1"), encoding="utf-8") as text:
            manual = text.read().replace("\\-", "-")
        text = self.ctl("--help")
        for option in re.findall(r"--([a-z-]+)", text):
            self.assertIn("--" + option, manual)
        for command in re.findall(r"(?m)^  ([a-z]+) .*", text.split("Connection:")[0]):
            self.assertRegex(manual, rf"(?m)^\.BR? {command}\b")

    def test_it_speaks_mqtt_3_1_1(self):
        self.assertRegex(self.ctl("-V", "311", "stats"), r"version +\d")


class Denied(ToolCase):
    """What it says where it gets no answer."""

    options = {}

    def test_a_broker_without_the_api_is_told_of(self):
        # 2.1 says at once that nobody serves the topic.
        self.ctl("list", status=DENIED)
        self.assertIn("control on", self.said)

    def test_no_broker_is_told_of(self):
        broker = self.start_broker()
        broker.stop()
        self.ctl("list", broker=broker, status=LINK)

    def test_who_may_not_is_told_so(self):
        broker = self.start_broker({"control": "on", "acl": "guard"}, start=False)
        path = os.path.join(broker.dir, "acl")
        with open(path, "w", encoding="ascii") as out:
            out.write("user root\ntopic write $CONTROL/file-transfer/v1\n")
        os.chmod(path, 0o644)
        broker.config = ["acl_file " + path, "allow_anonymous true"]
        broker.start()
        self.assertRegex(self.ctl("-u", "root", "stats", broker=broker), r"version +\d")
        self.assertRegex(self.ctl("-u", "root", "stats", broker=broker,
                                  environment={"FT_CTL_PASSWORD": "x"}), r"version +\d")
        self.ctl("-u", "other", "list", broker=broker, status=DENIED)
        self.assertIn("denied" if broker_version() else "", self.said)
