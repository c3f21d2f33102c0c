# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Ids made to escape from the storage directory, or to collide in it."""
import os
import stat

from harness import Case, rows, spread
from ondisk import escaped, eventually

CLIENTS = (
    ("dot", "."), ("dot_dot", ".."), ("up_and_up", "../.."), ("absolute", "/etc/passwd"),
    ("home", "~root"), ("hidden", ".ssh"), ("spaces", "  "), ("percent", "%2e%2E"),
    ("percent_slash", "a%2Fb"), ("backslash", "..\\..\\x"), ("shell", "$(touch x);`id`|&"),
    ("quotes", "'\""), ("emoji", "🤖🔥"), ("combining", "e\u0301"), ("right_to_left", "\u202etxt"),
    ("255_bytes", "c" * 255), ("256_bytes", "c" * 256), ("86_bytes_escaped", "/" * 86),
    ("85_bytes_escaped", "/" * 85), ("60_kB", "k" * 60000),
    ("60_kB_of_dots", "../" * 150 + "." * 59500),
    ("like_a_digest", "%sha256-" + "0" * 64), ("ours", "$file"), ("as_a_file", "manifest.json"),
    ("as_a_directory", "incoming"), ("dollar_sys", "$SYS"), ("dots_only", "....."),
)
FILES = ("..", ".", "...", ".hidden", "🚀", "f" * 255, "%2e%2e", "~", "\\..\\", "-rf", "a b", "data",
         "%sha256-" + "f" * 64, "*", "é" * 127)
OURS = (b"lock", b"format", b"incoming", b"files", b"damaged", b"tmp", b"ack-sink", b"catalog.db",
        b"catalog.db-wal", b"catalog.db-shm", b"log")
SECRET = b"ack-sink"  # who the acknowledgement sink is; nobody else is to be


def levels_ok(file):
    return not set(file) & set("+#")


@spread
class Ids(Case):
    """Every path is inside storage_dir, at the place the contract names."""

    def setUp(self):
        super().setUp()
        self.beside = sorted(os.listdir(self.broker.dir))

    def check_tree(self):
        for path, mode in self.broker.storage.entries().items():
            self.assertFalse(stat.S_ISLNK(mode), path)
            levels = path.split(b"/")
            self.assertIn(levels[0], OURS, path)
            self.assertLessEqual(len(levels), 4, path)
            wanted = 0o750 if stat.S_ISDIR(mode) else 0o600 if path == SECRET else 0o640
            self.assertEqual(stat.S_IMODE(mode), wanted, path)
        self.assertEqual(sorted(os.listdir(self.broker.dir)), self.beside)

    @rows(*[(f"v{version}_{label}", client, version) for label, client in CLIENTS
            for version in (4, 5)])
    def test_a_client_id_is_harmless(self, client, version):
        device = self.device(client, version)
        file = f"f{version}"
        self.ok(device.upload(file, b"content of " + client.encode()[:99]))
        self.broker.storage.check_finished(self, client, file, "data.bin",
                                           b"content of " + client.encode()[:99])
        self.ok(device.init("open"))
        self.ok(device.segment("open", 0, b"x"))
        self.broker.storage.wait_incoming(client, "open")
        self.check_tree()
        self.ok(device.abort("open"))

    @rows(*[(f"{number:02}", file) for number, file in enumerate(f for f in FILES if levels_ok(f))])
    def test_a_file_id_is_harmless(self, file):
        for client in ("..", "plain"):
            device = self.device(client)
            self.ok(device.upload(file, file.encode(), ".name"))
            self.broker.storage.check_finished(self, client, file, ".name", file.encode())
        self.check_tree()

    @rows(("dot_and_its_escape", ".", "%2E"), ("case", "Dev", "dev"), ("case_of_hex", "%2f", "%2F"),
          ("slash_and_its_escape", "a/b", "a%2Fb"), ("composed", "é", "e\u0301"),
          ("long_by_one_byte", "l" * 300, "l" * 299 + "m"))
    def test_ids_do_not_collide(self, one, other):
        self.assertNotEqual(escaped(one), escaped(other))
        for client in (one, other):
            device = self.device(client)
            self.ok(device.init("shared-name"), received=0)
            self.ok(device.segment("shared-name", 0, client.encode()))
        for client in (one, other):
            device = self.device(client)
            self.ok(device.fin("shared-name", len(client.encode())))
            self.broker.storage.check_finished(self, client, "shared-name", "data.bin",
                                               client.encode())

    @rows(("plus", "a+b"), ("hash", "#"), ("both", "+/#"),
          ("300_levels", "/" * 300))
    def test_a_client_whose_responses_cannot_be_published_is_served(self, client):
        for version in (4, 5):
            device = self.device(client, version, responses=False)
            file = f"f{version}"
            for answer in (device.init(file, size=4), device.segment(file, 0, b"wild"),
                           device.fin(file, 4)):
                self.assertEqual(answer.ack, 0)
            path = self.broker.storage.finished(client, file, "data.bin")
            eventually(lambda path=path: os.path.exists(path), "the file")
            self.broker.storage.check_finished(self, client, f"f{version}", "data.bin", b"wild")

    @rows(("199_slashes", 199, True), ("200_slashes", 200, False))
    def test_a_response_is_published_only_where_a_client_could_publish_to(self, slashes, possible):
        """A bridge could not get rid of one that the broker behind it refuses."""
        topic, watcher = "$file-response/" + "/" * slashes, self.client()
        watcher.subscribe("$file-response/#")
        device = self.device("/" * slashes, responses=False)
        self.assertEqual(device.status("f").ack, 0)
        self.ok(self.device("sentinel").status("f"))
        watcher.message("$file-response/sentinel")
        self.assertEqual([message.topic for message in watcher.messages], [topic] * possible)
        device.publish(topic)
        self.assertEqual(device.is_alive(), possible)

    @rows(("v3", 4), ("v5", 5))
    def test_a_client_without_an_id_is_served_under_the_one_it_is_given(self, version):
        device = self.device("", version, responses=False)
        self.assertEqual(device.init("f").ack, 0)
        self.assertEqual(device.segment("f", 0, b"x").ack, 0)
        if version == 5:
            self.assertTrue(device.connack.properties["assigned_client_id"])
            self.broker.storage.wait_incoming(device.client_id, "f")

    def test_control_characters_are_escaped_where_the_broker_lets_them_through(self):
        for client in ("a\nb", "tab\t", "\x1b[2J", "\x7f", "\u0085"):
            device = self.device(client, connect=False, responses=False)
            try:
                device.connect()
            except AssertionError:
                continue
            self.assertEqual(device.init("f").ack, 0)
            self.broker.storage.wait_incoming(client, "f")
            self.check_tree()
        self.broker.check_serving()

    def test_client_ids_that_are_no_utf8_are_escaped_where_the_broker_lets_them_through(self):
        client = b"\xff\xfeid\xc0\xaf".decode("utf-8", "surrogateescape")
        device = self.device(client, connect=False, responses=False)
        try:
            device.connect()
        except AssertionError:
            return
        self.assertEqual(device.init("f").ack, 0)
        self.broker.storage.wait_incoming(client, "f")


class Names(Case):
    """A name can't collide with what the plugin writes beside it."""

    def test_a_file_named_like_a_manifest_is_refused(self):
        """It would pass for one, where a catalog is made anew."""
        device = self.device("clash")
        self.answered(device.init("f2", "a.manifest.json"), "invalid_filemeta")
        self.ok(device.upload("f3", b"three", "a.Manifest.json"))
        self.broker.storage.check_finished(self, "clash", "f3", "a.Manifest.json", b"three")

    def test_a_symbolic_link_in_the_storage_directory_is_not_followed(self):
        self.broker = self.start_broker()
        target = os.path.join(self.broker.dir, "target")
        os.mkdir(target)
        incoming = os.path.join(self.broker.storage.path, "incoming")
        os.symlink(target, os.path.join(incoming, "linked"))
        device = self.device("linked")
        device.init("f")
        device.segment("f", 0, b"x")
        self.assertEqual(os.listdir(target), [])
