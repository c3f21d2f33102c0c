# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Nothing of a transfer reaches anybody else; nothing of anybody else changes."""
import json
import os
import unittest

from harness import Case, dynamic_security_plugin, rows, spread
from ondisk import sha256
from settings import SETTINGS, dynamic_security_client

SNOOPING = ("#", "$file/#", "$file/+/+", "$file/+/+/+", "$file-async/#", "+/+/+", "$share/g/$file/#",
            "$share/g/$file-async/#", "$share/g/#")
OWN_ACL = ("topic readwrite #", "topic readwrite $file/#", "topic readwrite $file-async/#",
           "topic readwrite $file-response/#", "topic readwrite $file-event/#",
           "topic readwrite $share/#")


@spread
class Silence(Case):
    """With acl none, subscriptions are accepted and stay silent."""

    def run_everything(self, device, retain=False):
        for prefix in ("$file", "$file-async"):
            device.prefix = prefix
            file = prefix[1:] + str(retain)
            for topic, payload in (
                    (f"{file}/init", b'{"name":"a"}'), (f"{file}/0", b"secret"),
                    (f"{file}/6/{sha256(b'x')}", b"x"), (f"{file}/6/{sha256(b'y')}", b"x"),
                    (f"{file}/status", b""), (f"{file}/fin/6", b""), (f"{file}/bad", b"secret"),
                    ("", b"secret"), ("a/b/c/d/e", b"secret"), (f"{file}2/abort", b"")):
                for qos in (0, 1, 2):
                    device.command(f"{prefix}/{topic}", payload, qos, retain=retain)

    @rows(("v3", 4, False), ("v5", 5, False), ("v3_with_retain", 4, True),
          ("v5_with_retain", 5, True))
    def test_nothing_reaches_a_subscriber(self, version, retain):
        snoops = [self.client(version=5) for _ in SNOOPING]
        for snoop, pattern in zip(snoops, SNOOPING):
            self.assertIn(snoop.subscribe(pattern), ([1], [0x87]))
        self.run_everything(self.device(version=version), retain)
        late = self.client(version=5)
        late.subscribe(*SNOOPING)
        for snoop in [*snoops, late]:
            snoop.subscribe("end/of/test")
            snoop.publish("end/of/test", b"x")
            snoop.ping()
            self.assertEqual({m.topic for m in snoop.messages} - {"end/of/test"}, set())

    def test_nothing_is_retained(self):
        device = self.device()
        self.run_everything(device, retain=True)
        late = self.client()
        late.subscribe("#", "$file/#", "$file-async/#", device.response_topic, "$file-response/#")
        late.ping()
        self.assertEqual(list(late.messages), [])

    def test_nothing_is_kept_for_a_durable_subscriber(self):
        keeper = self.client("keeper", 4, clean=False)
        keeper.subscribe(*SNOOPING)
        keeper.drop()
        self.run_everything(self.device())
        keeper.connect()
        keeper.ping()
        self.assertEqual(list(keeper.messages), [])

    def test_what_the_topic_is_turned_into_cannot_be_overheard(self):
        snoop = self.client()
        snoop.subscribe("$\u00a1", "$", "+", "+/#", "$/#", "$share/g/+")
        self.run_everything(self.device())
        snoop.ping()
        self.assertEqual(list(snoop.messages), [])


@spread
class Wills(Case):
    """The plugin API does not show wills; they must do no harm."""

    @rows(*[(f"{kind}_v{version}_retain{int(retain)}", topic, version, retain)
            for kind, topic in (("segment", "$file/w/0"), ("init", "$file/w/init"),
                                ("fin", "$file/w/fin/0"), ("bad", "$file/w/x/y/z"),
                                ("async", "$file-async/w/0"))
            for version in (4, 5) for retain in (False, True)])
    def test_a_will_does_no_harm(self, topic, version, retain):
        device = self.device(version=version, will=(topic, b'{"name":"w"}', 1, retain))
        self.ok(device.init("g"))
        device.drop()
        again = self.device(device.client_id, version)
        self.ok(again.status("g"), state="receiving")
        self.ok(again.upload("w2", b"still working"))


@spread
class Guard(Case):
    """acl guard-and-allow: refuses what would overhear or forge, allows all else."""

    options = {"acl": "guard-and-allow"}

    @rows(*[(f"{number:02}_v{version}", pattern, version) for version in (4, 5)
            for number, pattern in enumerate((
                "$file/#", "$file/+/+", "$file/f/0", "$file/+/init", "$file/f", "$file-async/#",
                "$file-async/+/fin/+", "$share/g/$file/#", "$share/g/$file-async/f/0",
                "$file-response/other", "$file-response/#", "$file-response/+",
                "$file-response/other/#", "$file-response/me/#", "$file-response/me/x",
                "$file-response/+/x", "$share/g/$file-response/other", "$share/g/$file-response/#",
                "$ft-ack", "$ft-ack/#", "$share/g/$ft-ack"))])
    def test_a_subscription_is_refused(self, pattern, version):
        client = self.client("me", version)
        self.assertEqual(client.subscribe(pattern), [0x87 if version == 5 else 0x80], pattern)
        self.assertEqual(client.subscribe("allowed", pattern, "also/allowed")[::2], [1, 1])

    @rows(*[(f"{number:02}", pattern) for number, pattern in enumerate((
        "#", "+/+", "a/b", "$file-response/me", "$SYS/#", "$share/g/a/#", "$files/#",
        "$file-responses/#", "file/#", "$filex", "$ft-acks/#"))])
    def test_a_subscription_is_allowed(self, pattern):
        self.assertEqual(self.client("me").subscribe(pattern), [1])

    @rows(("response_of_another", "$file-response/other"), ("own_response", "$file-response/me"),
          ("response_below", "$file-response/other/x"), ("event", "$file-event/other/f"))
    def test_a_forged_message_is_refused(self, topic):
        victim = self.device("other")
        forger = self.client("me")
        for qos in (1, 2):
            self.assertEqual(forger.acked(forger.publish(topic, b"forged", qos)), 0x87)
        forger.publish(topic, b"forged", 0, retain=True)
        forger.ping()
        self.ok(victim.command("$file/f/status"))
        self.assertEqual(list(victim.messages), [])

    def test_uploads_work_and_other_topics_are_allowed(self):
        for version in (4, 5):
            device, reader = self.device(version=version), self.client(version=version)
            self.ok(device.upload("f", b"guarded"))
            self.assertEqual(reader.subscribe("telemetry/#"), [1])
            device.publish("telemetry/x", b"1", retain=True)
            self.assertEqual(reader.message("telemetry/x").payload, b"1")

    def test_a_response_published_by_a_will_is_refused(self):
        victim = self.device("other")
        forger = self.client("me", will=("$file-response/other", b"forged", 1, False),
                             connect=False)
        forger.connect(expect=None)  # a broker may refuse the will at once
        forger.drop()
        self.client("me")
        self.ok(victim.command("$file/f/status"))
        self.assertEqual(list(victim.messages), [])


class GuardWithOthers(Case):
    """acl guard beside an acl_file: the guard refuses, the file decides the rest."""

    shared = False

    def start(self, lines):
        folder_acl = "user anna\n" + "\n".join(lines) + "\n"
        broker = self.start_broker({"acl": "guard"}, start=False, setting=SETTINGS["open"])
        path = os.path.join(broker.dir, "acl")
        with open(path, "w", encoding="utf-8") as acl:
            acl.write(folder_acl)
        os.chmod(path, 0o644)
        broker.config = ["acl_file " + path]
        self.broker = broker.start()

    def test_the_guard_refuses_what_the_acl_file_would_allow(self):
        self.start(OWN_ACL)
        client = self.client("me", username="anna")
        for pattern in ("$file/#", "$file-response/other", "$share/g/$file/+/+"):
            self.assertEqual(client.subscribe(pattern), [0x87])
        self.assertEqual(client.acked(client.publish("$file-response/other")), 0x87)
        device = self.device("up", username="anna")
        self.ok(device.upload("f", b"allowed"))

    def test_the_acl_file_decides_who_may_upload(self):
        self.start(["topic readwrite data/#", "topic read $file-response/up"])
        device = self.device("up", username="anna")
        self.assertEqual(device.acked(device.publish("$file/f/init", b'{"name":"a"}')), 0x87)
        device.ping()
        self.assertEqual(list(device.messages), [])
        self.assertFalse(self.broker.storage.is_incoming("up", "f"))


def foreign_script(case, broker, version):
    """What happens to ordinary clients; the same with the plugin and without."""
    happened = []
    users = {name: case.client(f"{name}-{version}", version, broker, username=name,
                               password=name + "pw")
             for name in ("anna", "bert", "nobody")}
    topics = ("data/1", "data/secret", "anna/x", "bert/x", "$SYS/forged", "$other/x", "files/f/0",
              "$files/f/0", "$file", "a", "private/1")
    for name, client in users.items():
        for pattern in ("data/#", "anna/+", "bert/x", "#", "private/1", "$other/#", "$share/s/data/1"):
            happened.append((name, "subscribe", pattern, client.subscribe(pattern)))
    for name, client in users.items():
        for topic in topics:
            for qos in (0, 1, 2):
                code = client.acked(client.publish(topic, f"{name} {qos}".encode(), qos,
                                                   retain=topic == "data/1"))
                happened.append((name, "publish", topic, qos, code))
        client.ping()
    for name, client in users.items():
        for _ in range(3):
            client.ping()
        happened.append((name, "received", sorted(
            (m.topic, m.payload, m.qos, m.retain) for m in client.messages)))
        happened.append((name, "unsubscribe", client.unsubscribe("data/#", "#")))
    late = case.client(f"late-{version}", version, broker, username="anna", password="annapw")
    late.subscribe("data/#", "$file/#")
    late.ping()
    happened.append(("late", sorted((m.topic, m.payload, m.retain) for m in late.messages)))
    return happened


def dynamic_security_config():
    def acl(kind, topic, allow=True):
        return {"acltype": kind, "topic": topic, "allow": allow, "priority": 0 if allow else 1}

    kinds = ("publishClientSend", "publishClientReceive", "subscribePattern", "unsubscribePattern")
    roles = [{"rolename": name, "acls": [acl(kind, topic) for kind in kinds for topic in
                                         ("data/#", f"{name}/#", "#")]
              + [acl("publishClientSend", "data/secret", False)]}
             for name in ("anna", "bert")] + [{"rolename": "nobody", "acls": []}]
    roles[0]["acls"] += [acl(kind, "$file/#") for kind in kinds[:1]] + \
        [acl(kind, "$file-response/#") for kind in kinds[1:]]
    return {"defaultACLAccess": {"publishClientSend": False, "publishClientReceive": True,
                                 "subscribe": False, "unsubscribe": True},
            "clients": [dynamic_security_client(name, name + "pw", name)
                        for name in ("anna", "bert", "nobody")],
            "groups": [], "roles": roles}


@spread
class ForeignTopics(Case):
    """A script of ordinary traffic ends the same with the plugin as without."""

    shared = False
    maxDiff = None

    def acl_file(self, broker):
        path = os.path.join(broker.dir, "acl")
        with open(path, "w", encoding="utf-8") as acl:
            acl.write("topic read data/#\nuser anna\ntopic readwrite data/#\ntopic anna/#\n"
                      "topic read bert/#\ntopic deny data/secret\nuser bert\n"
                      "topic write data/1\npattern readwrite %u/#\ntopic $other/#\n")
        os.chmod(path, 0o644)
        return ["acl_file " + path], []

    def dynamic_security(self, broker):
        plugin = dynamic_security_plugin()
        if not plugin:
            raise unittest.SkipTest("this broker has no dynamic-security plugin")
        path = os.path.join(broker.dir, "dynamic-security.json")
        with open(path, "w", encoding="utf-8") as out:
            json.dump(dynamic_security_config(), out)
        os.chmod(path, 0o644)
        return ["allow_anonymous false"], [f"plugin {plugin}", f"plugin_opt_config_file {path}"]

    def outcome(self, plugin, acl, setup, after, version):
        broker = self.start_broker({"acl": acl}, start=False, setting=SETTINGS["open"],
                                   **({} if plugin else {"plugin": None}))
        config, security = setup(broker) if setup else ([], [])
        broker.config = config + ([] if after else security)
        broker.after = security if after else []
        return foreign_script(self, broker.start(), version)

    @rows(*[(f"{label}_v{version}", *row, version) for label, *row in (
        ("nothing_configured", "none", None, False),
        ("guard_and_allow", "guard-and-allow", None, False),
        ("acl_file_without_guard", "none", "acl_file", False),
        ("acl_file_and_guard", "guard", "acl_file", False),
        ("dynamic_security_without_guard", "none", "dynamic_security", True),
        ("dynamic_security_after_guard", "guard", "dynamic_security", True),
        ("dynamic_security_before_guard", "guard", "dynamic_security", False))
        for version in (4, 5)])
    def test_all_is_the_same_with(self, acl, setup, after, version):
        setup = getattr(self, setup) if setup else None
        without = self.outcome(False, acl, setup, after, version)
        self.assertEqual(self.outcome(True, acl, setup, after, version), without)
        received = [h for h in without if h[1] == "received"]
        self.assertTrue(any(r[2] for r in received), "the script shows nothing")

    def test_uploads_work_with_dynamic_security_and_guard(self):
        broker = self.start_broker({"acl": "guard"}, start=False, setting=SETTINGS["open"])
        broker.config, broker.after = self.dynamic_security(broker)
        broker.start()
        device = self.device("d", broker=broker, username="anna", password="annapw")
        self.ok(device.upload("f", b"with dynamic security"))
        other = self.client("o", broker=broker, username="bert", password="bertpw")
        self.assertEqual(other.acked(other.publish("$file/f/init", b'{"name":"a"}')), 0x87)

    @rows(("first_refuses_what_the_other_allows", True), ("second_is_never_asked_what_it_allows", False))
    def test_a_guard_that_dynamic_security_is_loaded_with(self, guard_first):
        broker = self.start_broker({"acl": "guard"}, start=False, setting=SETTINGS["open"])
        config, security = self.dynamic_security(broker)
        with open(security[1].split()[1], "w", encoding="utf-8") as out:
            json.dump({**dynamic_security_config(), "defaultACLAccess": dict.fromkeys(
                ("publishClientSend", "publishClientReceive", "subscribe", "unsubscribe"), True)}, out)
        broker.config, broker.after = (config, security) if guard_first else (config + security, [])
        client = self.client("me", broker=broker.start(), username="bert", password="bertpw")
        self.assertEqual(client.subscribe("$file-response/other"), [0x87 if guard_first else 1])
        self.assertEqual(client.acked(client.publish("$file-response/x", b"forged")) == 0x87,
                         guard_first)
