# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""What others than the client hear of its files, on $file-event/<client>/<file>."""
import json
import os
import subprocess
import unittest

from harness import HERE, Case, rows, spread, work_dir
from ondisk import escaped, eventually, sha256
from rawmqtt import SCALE
from settings import SETTINGS
from test_clients import mqtt_js


class EventCase(Case):
    options = {"events": "on"}

    def listen(self, filter_="$file-event/#", broker=None, **options):
        client = self.client(broker=broker, **options)
        client.subscribe(filter_)
        return client

    @staticmethod
    def event(client, type_, **members):
        """The next event of a type, and with these members, out of order."""
        def fits(message):
            if not message.topic.startswith("$file-event/"):
                return False
            event = json.loads(message.payload)
            return event["type"] == type_ and all(event.get(k) == v for k, v in members.items())
        message = client.message(where=fits)
        return message, json.loads(message.payload)

    def types(self, client):
        client.ping()
        return [json.loads(m.payload)["type"] for m in client.messages
                if m.topic.startswith("$file-event/")]


class Events(EventCase):
    """Told to who subscribes."""

    def test_a_file_is_heard_of_from_its_start_to_its_end(self):
        listener, device = self.listen(), self.device()
        self.ok(device.init("f1", "data.bin", size=5, user_data={"k": [1]}))
        _, event = self.event(listener, "started", client_id=device.client_id)
        self.assertEqual((event["file_id"], event["name"], event["size"], event["received"]),
                         ("f1", "data.bin", 5, 0))
        self.ok(device.segment("f1", 0, b"hello"))
        self.ok(device.init("f1", "data.bin", size=5, user_data={"k": [1]}))
        self.event(listener, "resumed", client_id=device.client_id, received=5)
        self.ok(device.fin("f1", 5))
        message, event = self.event(listener, "completed", client_id=device.client_id)
        self.assertEqual((message.topic, message.qos, message.retain),
                         (f"$file-event/{device.client_id}/f1", 1, False))
        self.assertEqual(message.properties.get("content_type"), "application/json")
        self.assertEqual((event["sha256"], event["user_data"]), (sha256(b"hello"), {"k": [1]}))
        path = os.path.join(self.broker.storage.path, event["path"])
        with open(path, "rb") as file:
            self.assertEqual(file.read(), b"hello")
        self.assertEqual(self.broker.storage.manifest(device.client_id, "f1", "data.bin")
                         ["transfer_id"], event["transfer_id"])

    def test_what_does_not_end_well_is_heard_of(self):
        listener, device = self.listen(), self.device()
        self.ok(device.init("f1", "data.bin", size=5))
        self.ok(device.segment("f1", 0, b"hello"))
        self.answered(device.fin("f1", 5, sha256(b"other")), "file_checksum_mismatch", ack=0)
        _, event = self.event(listener, "failed", client_id=device.client_id)
        self.assertEqual((event["reason_code"], event["reason_description"], event["received"]),
                         (0x10, "file_checksum_mismatch", 5))
        self.ok(device.abort("f1"))
        self.event(listener, "aborted", client_id=device.client_id)

    def test_ids_of_any_kind_are_two_levels_of_the_topic(self):
        listener = self.listen("$file-event/+/+")
        for client_id, file in (("a/b", "f 1"), ("+#", "..."), ("/", "ä€"), ("$share", "$file")):
            device = self.device(client_id, responses=False)
            device.acked(device.publish(f"$file/{file}/put/n", b"x"))
            message, _ = self.event(listener, "completed", client_id=client_id, file_id=file)
            self.assertEqual(message.topic, "$file-event/" + "/".join(escaped(i).decode()
                                                                    for i in (client_id, file)))

    def test_a_session_that_is_away_hears_of_what_was_completed(self):
        listener = self.client("rules-away", version=4, clean=False)
        listener.subscribe("$file-event/#")
        listener.close()
        device = self.device()
        self.ok(device.upload("f1", b"hello"))
        if not self.keeps_messages_for_absent_clients(self.broker):
            raise unittest.SkipTest("this broker keeps nothing for who is away")
        listener.connect()
        self.event(listener, "completed", client_id=device.client_id)


class NoEvents(Case):
    """Without the option."""

    def test_nothing_is_told(self):
        listener, device = self.client(), self.device()
        listener.subscribe("$file-event/#")
        self.ok(device.upload("f1", b"hello"))
        listener.ping()
        self.assertFalse(listener.messages)


class Kills(EventCase):
    """kill -9 while files come in. What waits in the broker for an acknowledgement dies with it:
    here nothing does."""

    shared = False
    config = ["max_inflight_messages 0"]
    options = {"events": "on", "durability": "none", "max_transfers_per_client": "1000"}

    def test_each_completed_file_is_heard_of_across_a_kill(self):
        broker = self.start_broker()
        listener = self.listen(broker=broker)
        device = self.device(broker=broker, responses=False)
        accepted = [device.publish(f"$file/f{number}/put/n", b"x" * 100) for number in range(400)]
        device.acked(accepted[199])
        _, first = self.event(listener, "completed")
        broker.kill9()
        heard = self.completed(listener) | {first["file_id"]}
        broker.start()
        listener = self.listen(broker=broker)
        heard |= self.heard_in_the_end(broker, listener)
        done = {row[0] for row in broker.storage.catalog("select file from finished")}
        self.assertGreaterEqual(len(done), 200)
        self.assertEqual((done - heard, heard - done), (set(), set()))

    def heard_in_the_end(self, broker, listener):
        # The kill may fall into a put, of which nothing was acknowledged: its bytes are there, its fin is not.
        eventually(lambda: not broker.storage.catalog("select 1 from transfers where fin_size is not null"),
                   "all to be finished")
        eventually(lambda: not broker.storage.catalog("select 1 from outbox"), "an empty outbox", 60)
        return self.completed(listener)

    @staticmethod
    def completed(listener):
        try:
            listener.ping()
        except (OSError, AssertionError):
            pass  # the broker is dead, and what it had sent is read
        return {event["file_id"] for event in (json.loads(m.payload) for m in listener.messages
                                               if m.topic.startswith("$file-event/"))
                if event["type"] == "completed"}


class GuardedAlone(EventCase):
    """Without any other ACL nobody has allowed anybody to read what others do."""

    setting = SETTINGS["open"]
    options = {"events": "on", "acl": "guard-and-allow"}

    def test_a_client_reads_its_own_events_only(self):
        device, other = self.device(), self.client()
        own = f"$file-event/{device.client_id}/+"
        self.assertEqual(device.subscribe(own), [1])
        for filter_ in ("$file-event/#", own, f"$share/group/{own}"):
            self.assertEqual(other.subscribe(filter_), [0x87], filter_)
        self.ok(device.upload("f1", b"hello"))
        self.event(device, "completed")

    def test_nobody_forges_them(self):
        client = self.client()
        self.assertEqual(client.acked(client.publish(f"$file-event/{client.client_id}/f1", b"{}")), 0x87)


class GuardedBesideAcls(EventCase):
    """With an ACL file that lets the rule engine read them."""

    setting = SETTINGS["open"]
    options = {"events": "on", "acl": "guard"}
    shared = False

    def test_who_is_allowed_reads_all_and_a_device_its_own(self):
        acl = os.path.join(work_dir("acl"), "acl")
        with open(acl, "w", encoding="ascii") as out:
            out.write("topic write $file/#\npattern read $file-response/%c\n"
                      "user rules\ntopic read $file-event/#\n")
        os.chmod(acl, 0o644)
        broker = self.start_broker(config=["allow_anonymous true", f"acl_file {acl}"])
        rules = self.client("rules", broker=broker, username="rules")
        rules.subscribe("$file-event/#")
        other = self.client("other", broker=broker)
        other.subscribe("$file-event/#")
        device = self.device("dev", broker=broker)
        device.subscribe("$file-event/dev/#")
        self.ok(device.upload("f1", b"hello"))
        self.event(rules, "completed", client_id="dev")
        self.event(device, "completed")
        self.assertEqual(self.types(other), [])


@spread
class RuleEngine(EventCase):
    """MQTT.js, which Node-RED's nodes are made of, with a session that is kept."""

    setting = SETTINGS["open"]
    shared = False

    @rows(("v4", 4), ("v5", 5))
    def test_mqtt_js_hears_of_a_file(self, version):
        modules = mqtt_js()
        broker = self.start_broker()
        listener = subprocess.Popen(
            ["node", os.path.join(HERE, "mqttjs_events.cjs"), f"mqtt://127.0.0.1:{broker.port}",
             "rules", str(version), "completed"], stdout=subprocess.PIPE, text=True,
            env=dict(os.environ, NODE_PATH=modules))
        self.addCleanup(listener.kill)
        self.assertEqual(listener.stdout.readline(), "ready\n")
        device = self.device(broker=broker)
        self.ok(device.upload("f1", b"hello", name="data.bin"))
        out, _ = listener.communicate(timeout=60 * SCALE)
        told = [json.loads(line) for line in out.splitlines()]
        self.assertEqual([t["event"]["type"] for t in told], ["started", "completed"])
        self.assertEqual((told[-1]["qos"], told[-1]["retain"]), (1, False))
        self.assertEqual(told[-1]["event"]["path"], f"files/{device.client_id}/f1/data.bin")


if __name__ == "__main__":
    unittest.main()
