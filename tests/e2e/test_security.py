# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""What docs/SECURITY.md says an attacker can and cannot do, as far as no other module shows
it. What is not defended has a test too: the page must not claim less than is true, or more.
"""
import json
import os
import socket
import subprocess
import threading
import unittest

from harness import IS_ROOT, Case
from ondisk import eventually, sha256
from settings import SETTINGS, OverTls
from transport import Tcp, Tls

SECRET = b"a secret of 26 characters."
PLAIN = SETTINGS["open"]
NOBODY = 65534


def start_with_users(broker, *names, config=()):
    """Each has its name and "pw" for a password."""
    passwords = os.path.join(broker.dir, "passwords")
    for name in names:
        subprocess.run(["mosquitto_passwd", "-b", *([] if os.path.exists(passwords) else ["-c"]),
                        passwords, name, name + "pw"], check=True, stderr=subprocess.DEVNULL)
    os.chmod(passwords, 0o644)
    broker.config = ["allow_anonymous false", "password_file " + passwords, *config]
    return broker.start()


class AnotherClient(Case):
    """With a valid connection, and the file id of somebody else's transfer."""

    def test_no_command_meets_the_transfer_of_another_client(self):
        victim, other = self.device(), self.device()
        self.ok(victim.init("shared", size=len(SECRET)))
        self.ok(victim.segment("shared", 0, SECRET))
        self.ok(other.status("shared"), state="none", received=0, have=[])
        self.answered(other.segment("shared", 0, b"x"), "no_such_transfer")
        self.answered(other.fin("shared", len(SECRET)), "no_such_transfer")
        self.ok(other.abort("shared"))
        self.ok(other.init("shared", "other.bin", size=3), received=0)
        self.ok(other.segment("shared", 0, b"own"))
        self.ok(other.fin("shared", 3))
        self.ok(victim.status("shared"), received=len(SECRET))
        self.ok(victim.fin("shared", len(SECRET), sha256(SECRET)))
        self.broker.storage.check_finished(self, victim.client_id, "shared", "data.bin", SECRET)

    def test_a_finished_file_of_another_client_is_not_even_known(self):
        victim, other = self.device(), self.device()
        self.ok(victim.upload("done", SECRET))
        self.ok(other.status("done"), state="none", received=0)
        self.answered(other.segment("done", 0, SECRET), "no_such_transfer")
        self.answered(other.fin("done", len(SECRET)), "no_such_transfer")
        self.ok(other.abort("done"))
        self.broker.storage.check_finished(self, victim.client_id, "done", "data.bin", SECRET)

    def test_no_answer_tells_what_is_in_a_file(self):
        device = self.device()
        self.ok(device.upload("f", SECRET))
        self.ok(device.init("g"))
        for file in ("f", "g"):
            for answer in (device.segment(file, 0, SECRET), device.status(file),
                           device.segment(file, 0, SECRET, sha256(b"other")),
                           device.fin(file, 10 * len(SECRET)), device.init(file, "other"),
                           device.init(file), device.fin(file, len(SECRET)), device.abort(file)):
                self.assertNotIn(SECRET[:8], answer.message.payload)


class NoGuard(Case):
    """acl none, and no ACLs: responses are topics like any other."""

    setting = PLAIN

    def test_anybody_may_read_the_responses_of_others_without_their_content(self):
        reader, device = self.client(), self.device("watched")
        reader.subscribe("$file-response/#")
        self.ok(device.upload("f", SECRET, "name.bin"))
        seen = reader.message("$file-response/watched",
                              lambda m: b'"topic":"$file/f/fin/' in m.payload)
        self.assertEqual(json.loads(seen.payload)["reason_description"], "success")
        self.assertFalse([m for m in reader.messages if SECRET[:8] in m.payload])

    def test_anybody_may_forge_a_response(self):
        device, forger = self.device("victim"), self.client()
        forged = b'{"topic":"$file/f/fin/1","reason_code":0,"reason_description":"success"}'
        forger.publish("$file-response/victim", forged)
        self.assertEqual(device.message("$file-response/victim").payload, forged)
        self.ok(device.status("f"), state="none")


class ExampleAcl(Case):
    """examples/acl.example, as it is."""

    setting = PLAIN
    shared = False

    def test_it_prevents_both_and_uploads_work(self):
        broker = self.start_broker(start=False)
        path = os.path.join(broker.dir, "acl")
        with open(os.path.join(os.path.dirname(__file__), "../../examples/acl.example"),
                  encoding="utf-8") as example, open(path, "w", encoding="utf-8") as acl:
            acl.write(example.read())
        os.chmod(path, 0o644)
        broker.config = ["acl_file " + path]
        broker.start()
        reader, device = self.client(broker=broker), self.device("victim", broker=broker)
        reader.subscribe("$file-response/#", "$file-response/victim")
        for qos in (1, 2):
            self.assertEqual(reader.acked(reader.publish("$file-response/victim", b"forged", qos)),
                             0x87)
        self.ok(device.upload("f", SECRET))
        reader.ping()
        self.assertEqual(list(reader.messages), [])
        self.assertFalse([m for m in device.messages if m.payload == b"forged"])


class StolenId(Case):
    """Who connects with a client's id is that client."""

    setting = PLAIN

    def begun(self, client):
        device = self.device(client)
        self.ok(device.init("f", size=len(SECRET)))
        self.ok(device.segment("f", 0, SECRET[:13]))
        device.drop()

    def test_the_thief_sees_what_is_held_and_aborts_it(self):
        self.begun("owner1")
        thief = self.device("owner1")
        self.ok(thief.status("f"), received=13)
        self.ok(thief.abort("f"))
        self.assertFalse(self.broker.storage.is_incoming("owner1", "f"))

    def test_the_thief_finishes_it_with_other_bytes_unless_a_checksum_was_announced(self):
        self.begun("owner2")
        thief = self.device("owner2")
        self.ok(thief.segment("f", 0, b"forged"))
        self.ok(thief.fin("f", 6))
        self.broker.storage.check_finished(self, "owner2", "f", "data.bin", b"forged")
        owner = self.device("owner3")
        self.ok(owner.init("f", checksum=sha256(SECRET)))
        owner.drop()
        thief = self.device("owner3")
        self.ok(thief.segment("f", 0, b"forged"))
        self.answered(thief.fin("f", 6), "file_checksum_mismatch")
        self.answered(thief.init("f", checksum=sha256(b"forged")), "filemeta_conflict")

    def test_the_thief_changes_nothing_that_is_finished(self):
        owner = self.device("owner4")
        self.ok(owner.upload("f", SECRET))
        owner.drop()
        thief = self.device("owner4")
        self.answered(thief.segment("f", 0, b"forged"), "already_complete")
        self.answered(thief.fin("f", 6), "already_complete")
        self.answered(thief.init("f", "other.bin"), "filemeta_conflict", ack=0)
        self.answered(thief.abort("f"), "already_complete")
        self.broker.storage.check_finished(self, "owner4", "f", "data.bin", SECRET)

    def test_the_thief_may_try_guesses_but_reads_nothing(self):
        owner = self.device("owner5")
        self.ok(owner.upload("f", SECRET))
        owner.drop()
        thief = self.device("owner5")
        self.answered(thief.segment("f", 0, b"b"), "already_complete")
        answer = self.ok(thief.segment("f", 0, b"a"))
        self.assertNotIn(SECRET[:8], answer.message.payload)

    def test_use_username_as_clientid_leaves_nothing_to_steal(self):
        broker = start_with_users(self.start_broker(start=False), "anna", "bert",
                                  config=["use_username_as_clientid true"])
        anna = self.device("anna", broker=broker, username="anna", password="annapw")
        self.ok(anna.init("f"))
        self.ok(anna.segment("f", 0, SECRET))
        bert = self.device("anna", broker=broker, username="bert", password="bertpw",
                           responses=False)
        self.assertEqual(bert.segment("f", 0, b"x").ack, 0x10)
        bert.abort("f")
        self.ok(anna.fin("f", len(SECRET)))
        broker.storage.check_finished(self, "anna", "f", "data.bin", SECRET)


class OtherUsers(Case):
    """Somebody else who has an account on the broker's machine."""

    setting = PLAIN

    @unittest.skipUnless(IS_ROOT, "needs root, to be somebody else")
    def test_they_can_neither_list_nor_read_nor_write(self):
        device = self.device("owner")
        self.ok(device.upload("f", SECRET))
        self.ok(device.init("g"))
        storage = self.broker.storage
        tries = [f"ls {storage.path}", f"ls {storage.path}/files", f"ls {storage.path}/incoming",
                 f"cat {os.fsdecode(storage.finished('owner', 'f', 'data.bin'))}",
                 f"cat {storage.path}/catalog.db", f"cat {storage.path}/ack-sink",
                 f"touch {storage.path}/x", f"mkdir {storage.path}/files/x",
                 f"ln -s /etc {storage.path}/incoming/x"]
        for command in ["ls " + self.broker.dir] + tries:
            done = subprocess.run(["sh", "-c", command], user=NOBODY, group=NOBODY, extra_groups=[],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            if command not in tries:  # they come as far as the directory
                self.assertEqual(done.returncode, 0, done.stdout)
            else:
                self.assertNotEqual(done.returncode, 0, command)
                self.assertIn(b"Permission denied", done.stdout, command)


class BrokersUser(Case):
    """Who runs as the broker's user owns the files."""

    setting = PLAIN

    def test_bytes_changed_before_fin_are_found_by_the_checksum(self):
        device = self.device("owner")
        self.ok(device.init("f", checksum=sha256(SECRET)))
        self.ok(device.segment("f", 0, SECRET))
        path = self.broker.storage.path + "/incoming/owner/f"
        eventually(lambda: os.path.exists(path) and os.path.getsize(path) == len(SECRET), path)
        with open(path, "r+b") as data:
            data.write(b"forged")
        self.broker.restart()  # what was hashed as it passed is read again
        device = self.device("owner")
        self.answered(device.fin("f", len(SECRET)), "file_checksum_mismatch")

    def test_bytes_changed_after_fin_are_not(self):
        device = self.device("owner")
        self.ok(device.upload("g", SECRET))
        path = self.broker.storage.finished("owner", "g", "data.bin")
        with open(path, "r+b") as data:
            data.write(b"forged")
        self.ok(device.fin("g", len(SECRET)), state="complete")
        # The manifest tells, to who compares.
        self.assertEqual(self.broker.storage.manifest("owner", "g", "data.bin")["sha256"],
                         sha256(SECRET))


class Backups(Case):
    """Who has a copy of storage_dir."""

    shared = False
    setting = PLAIN

    @staticmethod
    def copy_of(storage):
        everything = b""
        for folder, _, files in os.walk(os.fsencode(storage.path)):
            for name in files:
                with open(os.path.join(folder, name), "rb") as file:
                    path = os.path.relpath(os.path.join(folder, name), os.fsencode(storage.path))
                    everything += path + b"\n" + file.read() + b"\n"
        return everything

    def test_it_shows_ids_names_and_content_but_no_user_or_password(self):
        broker = start_with_users(self.start_broker(start=False), "anna")
        device = self.device("camera-7", broker=broker, username="anna", password="annapw")
        self.ok(device.upload("f-1", SECRET, "door.mp4", user_data={"room": "attic"}))
        self.ok(device.init("f-2", "cellar.mp4"))
        self.ok(device.segment("f-2", 0, SECRET[::-1]))
        broker.storage.wait_incoming("camera-7", "f-2")
        everything = self.copy_of(broker.storage)
        for shown in (SECRET, SECRET[::-1], b"camera-7", b"f-1", b"door.mp4", b"attic", b"cellar.mp4"):
            self.assertIn(shown, everything)
        self.assertNotIn(b"anna", everything)


class Relay:
    """Passes TCP on, notes down what goes up, and may change it."""

    def __init__(self, port, change=None):
        self.target, self.change, self.seen = port, change or (lambda data: data), b""
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                below = self.listener.accept()[0]
            except OSError:
                return
            above = socket.create_connection(("127.0.0.1", self.target))
            threading.Thread(target=self._pass, args=(below, above, True), daemon=True).start()
            threading.Thread(target=self._pass, args=(above, below, False), daemon=True).start()

    def _pass(self, source, sink, up):
        try:
            while data := source.recv(65536):
                if up:
                    self.seen += data
                sink.sendall(self.change(data) if up else data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.listener.close()


class Network(Case):
    """Who sees, or changes, what is on the way."""

    shared = False

    def seen(self, setting):
        broker = self.start_broker(setting=setting)
        relay = Relay(broker.port)
        self.addCleanup(relay.close)
        device = self.device("camera-7", broker=broker, connect=False)
        device.endpoint = Tls(relay.port, setting.certificate(broker)[0]) \
            if isinstance(setting, OverTls) else Tcp(relay.port)
        device.connect()
        self.ok(device.upload("file-of-mine", SECRET, "door.mp4"))
        return relay.seen

    def test_plain_tcp_shows_everything(self):
        seen = self.seen(PLAIN)
        for shown in (SECRET, b"camera-7", b"file-of-mine", b"door.mp4"):
            self.assertIn(shown, seen)

    def test_tls_shows_nothing_but_how_much(self):
        seen = self.seen(OverTls())
        self.assertGreater(len(seen), len(SECRET))
        for hidden in (SECRET, b"camera-7", b"file-of-mine", b"door.mp4", b"$file"):
            self.assertNotIn(hidden, seen)

    def changed(self, change):
        broker = self.start_broker(setting=PLAIN)
        relay = Relay(broker.port, change)
        self.addCleanup(relay.close)
        device = self.device("dev", broker=broker, connect=False)
        device.endpoint = Tcp(relay.port)
        device.connect()
        self.ok(device.init("f"))
        return broker, device

    def test_what_breaks_on_the_way_is_found_by_a_checksum(self):
        _, device = self.changed(lambda data: data.replace(SECRET, SECRET[:-1] + b"?"))
        self.answered(device.segment("f", 0, SECRET, sha256(SECRET)), "checksum_mismatch")
        self.ok(device.segment("f", 0, SECRET))
        self.answered(device.fin("f", len(SECRET), sha256(SECRET)), "file_checksum_mismatch")

    def test_who_changes_the_checksum_too_is_not_found(self):
        forged = SECRET[::-1]
        broker, device = self.changed(
            lambda data: data.replace(SECRET, forged).replace(sha256(SECRET).encode(),
                                                              sha256(forged).encode()))
        # Sent by itself: the answer tells the topic as it came.
        device.publish(f"$file/f/0/{sha256(SECRET)}", SECRET)
        device.publish(f"$file/f/fin/{len(SECRET)}/{sha256(SECRET)}")
        device.message(device.response_topic, lambda m: b"/fin/" in m.payload)
        broker.storage.check_finished(self, "dev", "f", "data.bin", forged)
