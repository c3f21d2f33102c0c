# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""What the contract says about files on disk, said once more, independently of the plugin."""
import contextlib
import hashlib
import json
import os
import re
import sqlite3
import stat
import time

from rawmqtt import PATIENCE, SCALE, Timeout, octets

MANIFEST_KEYS = {"client_id", "file_id", "name", "size", "sha256", "received_at", "completed_at",
                 "expire_at", "user_data", "transfer_id"}
_UUID = re.compile(r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def escaped(identity):
    """The directory name of a client or file id, as bytes."""
    raw = octets(identity)
    try:
        raw.decode("utf-8")
        keep_high = True
    except UnicodeDecodeError:
        keep_high = False
    out = bytearray()
    for index, byte in enumerate(raw):
        plain = byte in _PLAIN and not (index == 0 and byte == ord("."))
        out += bytes([byte]) if plain or (byte >= 0x80 and keep_high) else b"%%%02X" % byte
    if len(out) > 255:
        return b"%sha256-" + hashlib.sha256(raw).hexdigest().encode()
    return bytes(out) or b"%"


def eventually(condition, what, timeout=PATIENCE):
    """Polls what nobody announces (a file, a process) until it is true, and returns it."""
    end = time.monotonic() + timeout * SCALE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Timeout(f"not within {timeout * SCALE:g} s: {what}")
        time.sleep(0.005)


class Storage:
    """One storage_dir."""

    def __init__(self, path):
        self.path = path
        self._raw = os.fsencode(path)

    def transfer_dir(self, kind, client, file):
        return os.path.join(self._raw, kind.encode(), escaped(client), escaped(file))

    def finished(self, client, file, name):
        return os.path.join(self.transfer_dir("files", client, file), octets(name))

    def manifest(self, client, file, name):
        with open(self.finished(client, file, name) + b".manifest.json", encoding="utf-8") as text:
            return json.load(text)

    def catalog(self, query, *values):
        """Rows of the catalog, read as an operator would."""
        with contextlib.closing(sqlite3.connect(f"file:{self.path}/catalog.db?mode=ro",
                                                uri=True, timeout=10)) as database:
            return database.execute(query, values).fetchall()

    def is_incoming(self, client, file):
        """Whether the catalog has it as unfinished. A moment before it may be in the log only."""
        try:
            return self.catalog("SELECT 1 FROM transfers WHERE CAST(owner AS BLOB) = ?"
                                " AND CAST(file AS BLOB) = ?", octets(client), octets(file)) != []
        except sqlite3.OperationalError:  # there is no catalog yet
            return False

    def wait_incoming(self, client, file, timeout=PATIENCE):
        eventually(lambda: self.is_incoming(client, file), f"{file!r} in the catalog", timeout)

    def wait_gone(self, client, file, timeout=PATIENCE):
        """Neither in the catalog nor in the store; whoever asks has seen it there."""
        eventually(lambda: not self.is_incoming(client, file) and
                   not os.path.exists(self.transfer_dir("incoming", client, file)),
                   f"{file!r} gone", timeout)

    def entries(self):
        """{path below storage_dir: mode} of everything there."""
        found = {}
        for folder, directories, files in os.walk(self._raw):
            for entry in directories + files:
                path = os.path.join(folder, entry)
                try:
                    found[os.path.relpath(path, self._raw)] = os.lstat(path).st_mode
                except FileNotFoundError:  # the broker is at work
                    pass
        return found

    def finished_files(self):
        """Every path under files/ that is not a manifest."""
        return sorted(path for path, mode in self.entries().items()
                      if path.startswith(b"files/") and stat.S_ISREG(mode)
                      and not path.endswith(b".manifest.json"))

    def check_finished(self, case, client, file, name, content, **manifest):
        """The file and its manifest are as the contract says. `content`: bytes, or a sha256."""
        path = self.finished(client, file, name)
        if not os.path.isfile(path):
            case.fail(f"no {path!r}; there is {self.finished_files()!r}")
        digest = content if isinstance(content, str) else sha256(content)
        case.assertEqual(sha256_of(path), digest, "the bytes on disk")
        case.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o640)
        case.assertEqual(stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode), 0o750)
        found = self.manifest(client, file, name)
        wanted = {"file_id": file, "name": name, "size": os.path.getsize(path), "sha256": digest}
        if is_utf8(client):
            wanted["client_id"] = client
        for key, value in {**wanted, **manifest}.items():
            case.assertEqual(found.get(key), value, f"manifest member {key}")
        for key in ("received_at", "completed_at"):
            case.assertRegex(found[key], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")
        case.assertLessEqual(found["received_at"], found["completed_at"])
        case.assertRegex(found["transfer_id"], _UUID)
        case.assertEqual(set(found) - MANIFEST_KEYS, set(), "members nobody asked for")


def is_utf8(text):
    try:
        octets(text).decode("utf-8")
        return True
    except UnicodeDecodeError:
        return False
