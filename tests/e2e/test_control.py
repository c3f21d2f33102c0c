# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The operator's commands on $CONTROL/file-transfer/v1."""
import json
import os

from control import RESPONSE, TOPIC, Operator
from harness import Case, rows, spread
from ondisk import eventually, sha256
from settings import SETTINGS

PLAIN = SETTINGS["open"]
CONTENT = bytes(range(256)) * 40


class ControlCase(Case):
    """Whoever can publish may."""

    setting = PLAIN
    options = {"control": "trusted"}

    def operator(self, client_id=None, broker=None, version=5, **options):
        broker = broker or self.broker
        operator = Operator(broker.endpoint, client_id or self.new_id("operator"), version, **options)
        self._clients.append(operator)
        return operator.connect()

    def begun(self, device, file, **meta):
        self.ok(device.init(file, **meta))
        self.ok(device.segment(file, 0, CONTENT[:1000]))
        return device


class Transfers(ControlCase):
    """What is seen of unfinished transfers."""

    def test_a_transfer_is_listed_with_what_is_known_of_it(self):
        device, operator = self.device(), self.operator()
        self.begun(device, "f1", name="door.mp4", size=5000)
        entry, = operator.pages("listTransfers", "transfers", client_id=device.client_id)
        self.assertEqual([entry[key] for key in ("client_id", "file_id", "name", "size", "received",
                                                 "state", "paused")],
                         [device.client_id, "f1", "door.mp4", 5000, 1000, "receiving", False])

    def test_one_transfer_is_told_with_its_ranges(self):
        device, operator = self.device(), self.operator()
        self.begun(device, "f1")
        self.ok(device.segment("f1", 4000, CONTENT[:500]))
        told = operator.do("getTransfer", client_id=device.client_id, file_id="f1")
        self.assertEqual(told["have"], [[0, 1000], [4000, 500]])
        self.assertLess(told["idle"], 60)
        self.assertGreater(told["expires_in"], 80000)

    def test_pages_show_each_transfer_once_while_others_come(self):
        broker = self.start_broker()
        device, operator = self.device(broker=broker), self.operator(broker=broker)
        old = {f"old{i}" for i in range(60)}
        for file in old:
            self.ok(device.init(file))
        seen, cursor = [], None
        while True:
            more = {"cursor": cursor} if cursor else {}
            page = operator.do("listTransfers", limit=7, **more)
            self.assertLessEqual(len(page["transfers"]), 7)
            seen += [entry["file_id"] for entry in page["transfers"]]
            cursor = page.get("cursor")
            if not cursor:
                break
            self.ok(self.device(broker=broker).init("new"))
        self.assertEqual(old - set(seen), set())
        self.assertEqual(len([f for f in seen if f in old]), len(old))

    def test_a_list_is_filtered(self):
        device, operator = self.device(), self.operator()
        for file, name in (("a", "a.jpg"), ("b", "b.jpg"), ("c", "c.mp4")):
            self.begun(device, file, name=name)

        def found(**filters):
            return sorted(entry["file_id"] for entry in operator.pages(
                "listTransfers", "transfers", client_id=device.client_id, **filters))
        self.assertEqual(found(), ["a", "b", "c"])
        self.assertEqual(found(name="*.jpg"), ["a", "b"])
        self.assertEqual(found(name="[bc].*"), ["b", "c"])
        self.assertEqual(found(min_size=1001), [])
        self.assertEqual(found(since=4000000000), [])

    def test_the_device_hears_that_an_aborted_transfer_is_none_and_stays_connected(self):
        device, operator = self.device(), self.operator()
        self.begun(device, "f1")
        self.broker.storage.wait_incoming(device.client_id, "f1")
        self.assertEqual(operator.do("abortTransfer", client_id=device.client_id,
                                     file_id="f1"), {"received": 1000})
        self.answered(device.segment("f1", 1000, b"x"), "no_such_transfer")
        self.broker.storage.wait_gone(device.client_id, "f1")
        self.ok(device.init("f1"), received=0)

    def test_what_is_not_there_is_no_such_transfer(self):
        operator = self.operator()
        for command in ("getTransfer", "abortTransfer", "pauseTransfer", "resumeTransfer"):
            self.assertEqual(operator.error(command, client_id="nobody", file_id="none"),
                             "no_such_transfer")

    def test_the_metrics_are_those_that_are_published(self):
        device, operator = self.device(), self.operator()
        before = operator.do("getMetrics")
        self.begun(device, "f1")
        operator.do("abortTransfer", client_id=device.client_id, file_id="f1")
        after = operator.do("getMetrics")
        self.assertEqual(after["transfers/aborted"], before["transfers/aborted"] + 1)
        self.assertEqual(after["bytes/received"], before["bytes/received"] + 1000)

    def test_the_status_tells_how_the_plugin_does(self):
        device, operator = self.device(), self.operator()
        before = operator.do("getStatus")
        self.begun(device, "f1")
        after = operator.do("getStatus")
        self.assertEqual(after["transfers"], before["transfers"] + 1)
        self.assertFalse(after["all_paused"])
        self.assertGreater(after["memory"], 0)


@spread
class Pauses(ControlCase):
    """A pause is answered with retry_after, and lasts."""

    shared = False

    def setUp(self):
        super().setUp()
        self.one = self.start_broker()
        self.operator_ = self.operator(broker=self.one)

    def held_back(self, device, file="f1"):
        for answer in (device.segment(file, 1000, b"x"), device.init(file), device.fin(file, 1000)):
            self.answered(answer, "paused")
            self.assertEqual(answer.get("retry_after"), 30)

    @rows(("transfer", "Transfer", {"client_id": "cam", "file_id": "f1"}),
          ("client", "Client", {"client_id": "cam"}), ("all", "All", {}))
    def test_a_pause_outlives_a_restart(self, what, whom):
        device = self.begun(self.device("cam", broker=self.one), "f1")
        self.operator_.do("pause" + what, **whom)
        self.held_back(device)
        self.one.restart()
        device, operator = self.device("cam", broker=self.one), self.operator(broker=self.one)
        self.held_back(device)
        operator.do("resume" + what, **whom)
        self.ok(device.fin("f1", 1000))
        self.one.kill9()
        self.one.start()
        self.ok(self.device("cam", broker=self.one).init("f2"))

    def test_a_pause_survives_a_kill(self):
        device = self.begun(self.device("cam", broker=self.one), "f1")
        self.operator_.do("pauseTransfer", client_id="cam", file_id="f1")
        self.one.kill9()
        self.one.start()
        device = self.device("cam", broker=self.one)
        self.held_back(device)

    def test_status_and_abort_go_on(self):
        device = self.begun(self.device("cam", broker=self.one), "f1")
        self.operator_.do("pauseClient", client_id="cam")
        self.ok(device.status("f1"), received=1000)
        self.ok(device.abort("f1"))

    def test_only_what_is_paused_is_held_back(self):
        device = self.begun(self.device("cam", broker=self.one), "f1")
        other = self.begun(self.device("other", broker=self.one), "f1")
        self.operator_.do("pauseTransfer", client_id="cam", file_id="f1")
        self.held_back(device)
        self.ok(device.init("f2"))
        self.operator_.do("pauseClient", client_id="cam")
        self.answered(device.init("f3"), "paused")
        self.ok(other.fin("f1", 1000))

    def test_the_id_of_a_paused_transfer_that_is_over_is_not_paused(self):
        device = self.begun(self.device("cam", broker=self.one), "f1")
        self.operator_.do("pauseTransfer", client_id="cam", file_id="f1")
        self.ok(device.abort("f1"))
        self.one.restart()
        device, operator = self.device("cam", broker=self.one), self.operator(broker=self.one)
        self.begun(device, "f1")
        self.assertEqual(operator.do("listPauses"), {"pauses": []})

    def test_pauses_are_listed(self):
        self.begun(self.device("cam", broker=self.one), "f1")
        self.operator_.do("pauseTransfer", client_id="cam", file_id="f1")
        self.operator_.do("pauseClient", client_id="cam")
        self.operator_.do("pauseClient", client_id="cam")
        self.operator_.do("pauseAll")
        self.assertEqual([(p["scope"], p.get("client_id"), p.get("file_id"))
                          for p in self.operator_.do("listPauses")["pauses"]],
                         [("transfer", "cam", "f1"), ("client", "cam", None), ("all", None, None)])
        self.assertTrue(self.operator_.do("getStatus")["all_paused"])


class Files(ControlCase):
    """Finished files."""

    def finished(self, device, *files):
        for file in files:
            self.ok(device.upload(file, CONTENT, file + ".bin"))

    def test_files_are_listed_the_newest_first_in_pages(self):
        device, operator = self.device(), self.operator()
        files = [f"f{i}" for i in range(12)]
        self.finished(device, *files)
        found = operator.pages("listFiles", "files", client_id=device.client_id, limit=5)
        self.assertEqual([entry["file_id"] for entry in found], files[::-1])
        self.assertEqual((found[0]["name"], found[0]["size"], found[0]["sha256"]),
                         ("f11.bin", len(CONTENT), sha256(CONTENT)))

    def test_files_are_filtered(self):
        device, operator = self.device(), self.operator()
        self.finished(device, "a", "b")
        self.ok(device.upload("c", b"small", "c.txt"))

        def found(**filters):
            return sorted(entry["file_id"] for entry in operator.pages(
                "listFiles", "files", client_id=device.client_id, **filters))
        self.assertEqual(found(), ["a", "b", "c"])
        self.assertEqual(found(name="*.bin"), ["a", "b"])
        self.assertEqual(found(max_size=100), ["c"])
        self.assertEqual(found(since=4000000000), [])
        self.assertEqual(found(until=1000), [])

    def test_files_are_sorted(self):
        device, operator = self.device(), self.operator()
        for name, size in (("b", 30), ("a", 20), ("c", 300), ("B", 1)):
            self.ok(device.upload("id-" + name, CONTENT[:size], name))
        for sort, names in (("name", "Babc"), ("size", "cbaB"), ("time", "Bcab")):
            for limit in (1, 3, 4, 100):
                found = operator.pages("listFiles", "files", client_id=device.client_id, sort=sort,
                                       limit=limit)
                self.assertEqual("".join(entry["name"] for entry in found), names)

    def test_clients_are_listed_with_their_figures_and_limits(self):
        broker = self.start_broker(start=False)
        broker.options["limits_file"] = path = os.path.join(broker.dir, "limits.json")
        with open(path, "w", encoding="ascii") as file:
            json.dump({"overrides": [{"client": "cam-*", "client_quota": "7M"}]}, file)
        broker.options["client_quota"] = "5M"
        broker.start()
        operator = self.operator(broker=broker)
        cam, gate = self.device("cam-1", broker=broker), self.device("gate", broker=broker)
        self.finished(cam, "f1", "f2")
        self.finished(gate, "f1")
        self.begun(gate, "f3")
        entries = eventually(lambda: next((found for found in [operator.pages(
            "listClients", "clients", limit=1)] if len(found) == 2), None), "both clients")
        self.assertEqual([(entry["client_id"], entry["files"], entry["file_bytes"], entry["transfers"],
                           entry["received"], entry["limits"]["client_quota"], entry["overridden"])
                          for entry in entries],
                         [("cam-1", 2, 2 * len(CONTENT), 0, 0, 7 << 20, True),
                          ("gate", 1, len(CONTENT), 1, 1000, 5 << 20, False)])
        self.assertEqual([entry["client_id"] for entry in
                          operator.do("listClients", client="g*")["clients"]], ["gate"])
        operator.do("deleteFile", client_id="cam-1", file_id="f1")
        self.assertEqual(operator.do("listClients", client_id="cam-1")["clients"][0]["files"], 1)

    def test_one_file_is_told_with_its_path(self):
        device, operator = self.device(), self.operator()
        self.finished(device, "f 1")
        told = operator.do("getFile", client_id=device.client_id, file_id="f 1")
        self.assertTrue(told["present"])
        path = os.path.join(self.broker.storage.path, told["path"])
        with open(path, "rb") as file:
            self.assertEqual(file.read(), CONTENT)
        os.unlink(path)
        os.unlink(path + ".manifest.json")
        self.assertFalse(operator.do("getFile", client_id=device.client_id,
                                     file_id="f 1")["present"])

    def test_one_file_is_told_with_what_its_client_said_of_it(self):
        device, operator = self.device(), self.operator()
        data = {"path": "a/b \u202e", "n": [1.50, None]}
        self.ok(device.init("f1", "n.bin", size=3, user_data=data))
        self.ok(device.segment("f1", 0, b"abc"))
        self.ok(device.fin("f1", 3))
        self.finished(device, "f2")
        told = operator.do("getFile", client_id=device.client_id, file_id="f1")
        self.assertEqual(told["user_data"], data)
        manifest = os.path.join(self.broker.storage.path, told["path"] + ".manifest.json")
        for text in (b"", b"{", b'{"user_data":"\xff"}', b"[]", b"x" * 200000):
            with open(manifest, "wb") as file:
                file.write(text)
            self.assertNotIn("user_data", operator.do("getFile", client_id=device.client_id,
                                                      file_id="f1"))
        self.assertNotIn("user_data", operator.do("getFile", client_id=device.client_id, file_id="f2"))

    def test_a_deleted_file_is_gone_and_its_id_unknown(self):
        device, operator = self.device(), self.operator()
        self.finished(device, "f1", "f2")
        self.assertEqual(operator.do("deleteFile", client_id=device.client_id, file_id="f1"),
                         {"size": len(CONTENT)})
        self.assertFalse(os.path.exists(self.broker.storage.finished(device.client_id, "f1",
                                                                     "f1.bin")))
        self.ok(device.status("f1"), state="none")
        self.ok(device.status("f2"), state="complete")
        self.assertEqual(operator.error("deleteFile", client_id=device.client_id, file_id="f1"),
                         "no_such_transfer")
        self.ok(device.upload("f1", b"anew"))

    def test_what_an_operator_ends_is_told_by_events(self):
        broker = self.start_broker({"events": "on"})
        device, operator = self.device(broker=broker), self.operator(broker=broker)
        self.finished(device, "f1")
        self.begun(device, "f2")
        watcher = self.client(broker=broker)
        watcher.subscribe("$file-event/#")
        operator.do("deleteFile", client_id=device.client_id, file_id="f1")
        operator.do("abortTransfer", client_id=device.client_id, file_id="f2")
        told = [json.loads(watcher.message().payload) for _ in range(2)]
        self.assertEqual([(event["type"], event["file_id"]) for event in told],
                         [("deleted", "f1"), ("aborted", "f2")])
        self.assertEqual(told[0]["sha256"], sha256(CONTENT))

    def test_a_file_is_not_deleted_while_its_id_is_uploaded_again(self):
        broker = self.start_broker({"finished_ids": "replace"})
        device, operator = self.device(broker=broker), self.operator(broker=broker)
        self.finished(device, "f1")
        self.ok(device.init("f1", "other.bin"))
        self.assertEqual(operator.error("deleteFile", client_id=device.client_id, file_id="f1"),
                         "busy")

    def test_a_verification_finds_damaged_and_missing_files(self):
        broker = self.start_broker()
        device, operator = self.device(broker=broker), self.operator(broker=broker)
        self.finished(device, "good", "damaged", "cut", "gone")
        self.ok(device.upload("empty", b""))
        place = {file: broker.storage.finished(device.client_id, file, file + ".bin")
                 for file in ("damaged", "cut", "gone")}
        with open(place["damaged"], "r+b") as file:
            file.seek(5000)
            file.write(b"!")
        os.truncate(place["cut"], 10)
        os.unlink(place["gone"])
        operator.do("verifyFiles")
        told = operator.verified()
        self.assertEqual([told[k] for k in ("state", "total", "files", "damaged", "missing")],
                         ["done", 5, 5, 2, 1])
        self.assertIn("file 'damaged'", broker.log())
        self.assertIn("file 'cut'", broker.log())

    def test_a_verification_can_be_cancelled_and_leaves_room_for_commands(self):
        broker = self.start_broker({"min_free_space": 0})
        device, operator = self.device(broker=broker), self.operator(broker=broker)
        self.ok(device.upload("f1", b"x"))
        path = broker.storage.finished(device.client_id, "f1", "data.bin")
        os.truncate(path, 1)
        self.ok(device.upload("huge", bytes(1000)))
        # What the catalog says takes long to read.
        broker.stop()
        broker.storage.catalog("select 1")
        with_size = 300 * 2**30
        import sqlite3
        with sqlite3.connect(os.path.join(broker.storage.path, "catalog.db")) as db:
            db.execute("update finished set size = ? where file = 'huge'", (with_size,))
        os.truncate(broker.storage.finished(device.client_id, "huge", "data.bin"), with_size)
        broker.start()
        operator = self.operator(broker=broker)
        operator.do("verifyFiles")
        self.assertEqual(operator.error("verifyFiles"), "busy")
        for _ in range(5):
            self.assertEqual(len(operator.do("listFiles")["files"]), 2)
        self.assertEqual(operator.do("getStatus")["verify"]["state"], "running")
        operator.do("cancelVerify")
        self.assertEqual(operator.verified()["state"], "cancelled")
        operator.do("verifyFiles")  # and one that the end of the broker ends


@spread
class Messages(ControlCase):
    """The shape of messages."""

    def test_commands_are_answered_in_order_by_one_message(self):
        operator = self.operator()
        answers = operator.responses({"command": "getStatus"}, {"command": "listFiles"},
                                     {"command": "nonsense"}, {"command": "listTransfers"})
        self.assertEqual([a["command"] for a in answers],
                         ["getStatus", "listFiles", "nonsense", "listTransfers"])
        self.assertEqual(answers[2]["error"], "invalid_command")
        self.assertEqual([a["correlationData"] for a in answers],
                         [f"m{int(answers[0]['correlationData'][1:]) + i}" for i in range(4)])

    @rows(("no_json", b"hello"), ("nothing", b""), ("an_array", b"[]"), ("no_commands", b"{}"),
          ("commands_of_another_kind", b'{"commands":{}}'), ("no_utf8", b'{"commands":["\xff"]}'),
          ("deep", b'{"commands":' + b"[" * 30000 + b"]" * 30000 + b"}"),
          ("too_many", json.dumps({"commands": [{"command": "getStatus"}] * 33}).encode()),
          ("too_large", b'{"commands":[' + b" " * 65536 + b"]}"),
          ("a_nul", b'{"commands":[{"command":"abortTransfer","client_id":"a\\u0000b","file_id":"x"}]}'))
    def test_a_message_is_refused_that_is(self, payload):
        answer, = self.operator().raw(payload)
        self.assertEqual(answer["error"], "invalid_command")
        self.assertTrue(answer["detail"])

    @rows(("no_object", 1), ("no_name", {}), ("a_number_for_a_name", {"command": 1}),
          ("an_unknown_name", {"command": "getstatus"}), ("no_client", {"command": "getFile"}),
          ("no_file", {"command": "getFile", "client_id": "c"}),
          ("a_client_of_another_kind", {"command": "getFile", "client_id": 1, "file_id": "f"}),
          ("an_empty_file", {"command": "getFile", "client_id": "c", "file_id": ""}),
          ("a_long_file", {"command": "getFile", "client_id": "c", "file_id": "f" * 256}),
          ("an_odd_hex", {"command": "getFile", "client_id_hex": "abc", "file_id": "f"}),
          ("no_hex", {"command": "getFile", "client_id_hex": "xx", "file_id": "f"}),
          ("limit_0", {"command": "listFiles", "limit": 0}),
          ("limit_1001", {"command": "listFiles", "limit": 1001}),
          ("limit_1.5", {"command": "listFiles", "limit": 1.5}),
          ("a_negative_size", {"command": "listFiles", "min_size": -1}),
          ("a_cursor_of_another_kind", {"command": "listFiles", "cursor": 5}),
          ("a_cursor_of_no_page", {"command": "listFiles", "cursor": "next"}),
          ("a_long_pattern", {"command": "listFiles", "name": "*" * 256}))
    def test_a_command_is_refused_that_has(self, command):
        answer, = self.operator().raw(json.dumps({"commands": [command]}).encode())
        self.assertEqual(answer["error"], "invalid_command", answer)

    def test_patterns_with_many_stars_hold_up_nobody(self):
        device, operator = self.device(), self.operator()
        self.ok(device.init("f1", "a" * 240))
        self.ok(device.upload("f2", b"x", "a" * 240))
        pattern = "*a" * 120 + "b"
        self.assertEqual(operator.pages("listTransfers", "transfers", name=pattern), [])
        self.assertEqual(operator.pages("listFiles", "files", name=pattern), [])

    def test_ids_of_any_text_are_told_and_understood(self):
        device, operator = self.device('"\\ü😀'), self.operator()
        self.begun(device, ".. é")
        entry, = operator.pages("listTransfers", "transfers", client_id=device.client_id)
        self.assertEqual((entry["client_id"], entry["file_id"]), (device.client_id, ".. é"))
        operator.do("abortTransfer", client_id=device.client_id, file_id=".. é")
        self.ok(device.status(".. é"), state="none")

    def test_an_answer_goes_to_nobody_else(self):
        spy = self.client()
        spy.subscribe(RESPONSE)
        spy.subscribe("$CONTROL/#")
        self.operator().do("getStatus")
        spy.ping()
        self.assertEqual(list(spy.messages), [])

    def test_clients_of_mqtt_3_1_1_are_answered(self):
        self.assertIn("version", self.operator(version=4).do("getStatus"))

    def test_more_messages_than_wait_are_told_so(self):
        operator = self.operator()
        for i in range(40):
            operator.publish(TOPIC, json.dumps({"commands": [
                {"command": "listFiles", "correlationData": str(i)}] * 32}).encode(), qos=0)
        operator.wait(lambda: len([m for m in operator.messages if m.topic == RESPONSE]) == 40,
                      what="40 answers")
        errors = {json.loads(m.payload)["responses"][0].get("error") for m in operator.messages}
        self.assertLessEqual(errors, {None, "busy"})
        self.assertIn("version", operator.do("getStatus"))


class Safe(ControlCase):
    """Nobody may use it unless the operator has said who."""

    shared = False
    options = {}

    def unanswered(self, operator, command="getStatus"):
        operator.acked(operator.publish(TOPIC, json.dumps({"commands": [
            {"command": command}]}).encode()))
        operator.ping()
        # 2.1 has an answer of its own where nobody serves the topic.
        self.assertEqual([m for m in operator.messages if b"responses" in m.payload], [])

    def test_it_is_off_unless_asked_for(self):
        broker = self.start_broker()
        self.unanswered(self.operator(broker=broker))

    def test_on_without_a_guard_does_not_start(self):
        for acl in ("none", "guard-and-allow"):
            status, log = self.start_broker({"control": "on", "acl": acl}, start=False).run_to_end()
            self.assertNotIn(status, (0, None))
            self.assertIn("plugin_opt_control on: needs plugin_opt_acl guard", log)

    def test_on_without_anything_that_decides_is_denied_to_all(self):
        broker = self.start_broker({"control": "on", "acl": "guard"})
        self.unanswered(self.operator(broker=broker))

    def acl_broker(self, *lines):
        broker = self.start_broker({"control": "on", "acl": "guard"}, start=False)
        path = os.path.join(broker.dir, "acl")
        with open(path, "w", encoding="ascii") as out:
            out.write("\n".join(lines) + "\n")
        os.chmod(path, 0o644)
        broker.config = ["acl_file " + path, "allow_anonymous true"]
        return broker.start()

    def test_an_acl_file_that_allows_all_topics_does_not_allow_this_one(self):
        broker = self.acl_broker("topic readwrite #", "pattern readwrite $file/#")
        self.unanswered(self.operator(broker=broker))

    def test_who_is_named_in_the_acl_file_is_answered(self):
        broker = self.acl_broker("topic readwrite #", "user root",
                                 "topic write $CONTROL/file-transfer/v1")
        self.assertIn("version", self.operator(broker=broker, username="root").do("getStatus"))
        self.unanswered(self.operator(broker=broker, username="other"))
        self.unanswered(self.operator(broker=broker))


class Limits(ControlCase):
    """What clients may use."""

    shared = False

    def test_limits_are_those_of_the_file_once_it_is_read_again(self):
        broker = self.start_broker({"client_rate": "50"}, start=False)
        path = os.path.join(broker.dir, "limits")
        broker.options["limits_file"] = path

        def write(rate):
            with open(path, "w", encoding="ascii") as out:
                json.dump({"overrides": [{"client": "cam*", "user": "anna", "client_rate": rate}]}, out)
            os.chmod(path, 0o644)
        write(5)
        broker.start()
        operator = self.operator(broker=broker)

        def rate(**whose):
            told = operator.do("getLimits", **whose)
            return told.get("client_rate"), told["overridden"]
        self.assertEqual(rate(), (50, False))
        self.assertEqual(rate(client_id="cam1", user="anna"), (5, True))
        self.assertEqual(rate(client_id="cam1"), (50, False))
        write(7)
        operator.do("reloadLimits")
        eventually(lambda: rate(client_id="cam1", user="anna") == (7, True), "the new limit")

    def test_without_a_file_there_is_nothing_to_read(self):
        broker = self.start_broker()
        self.assertEqual(self.operator(broker=broker).error("reloadLimits"), "invalid_file_command")


class Answers(ControlCase):
    """Over a wait: nothing is lost, nobody is held up."""

    def test_an_operator_who_leaves_harms_nobody(self):
        operator = self.operator("leaver")
        operator.publish(TOPIC, json.dumps({"commands": [{"command": "listFiles"}] * 30}).encode())
        operator.drop()
        self.assertIn("version", self.operator().do("getStatus"))

    def test_gc_is_run_when_asked_for(self):
        broker = self.start_broker({"segments_ttl_min": "1s", "gc_interval": "1h"})
        device, operator = self.device(broker=broker), self.operator(broker=broker)
        self.ok(device.init("f1", segments_ttl=1))

        def expired():
            operator.do("runGc")
            return device.status("f9").word and operator.do("getStatus")["transfers"] == 0
        eventually(expired, "the transfer to expire")
