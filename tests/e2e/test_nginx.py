# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""examples/nginx.conf: finished files over HTTP, read by another user of the broker's group."""
import http.client
import json
import os
import shutil
import subprocess
import unittest
import urllib.parse

from device import pieces
from harness import IS_ROOT, ROOT, Broker, Case, free_port, work_dir
from ondisk import eventually, sha256
from settings import SETTINGS

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
MAIN = """{user}
daemon off;
master_process {master};
pid {dir}/pid;
error_log {dir}/error.log;
events {{ }}
http {{
	access_log off;
	client_body_temp_path {dir}/body;
	proxy_temp_path {dir}/proxy;
	fastcgi_temp_path {dir}/fastcgi;
	uwsgi_temp_path {dir}/uwsgi;
	scgi_temp_path {dir}/scgi;
	include {dir}/site;
}}
"""


@unittest.skipUnless(os.path.exists(NGINX), "nginx is not installed")
class Nginx(Case):
    """The example, but for port and directory."""

    setting = SETTINGS["open"]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.broker = Broker(cls.__name__, user=None if IS_ROOT else "root", setting=cls.setting)
        if IS_ROOT:
            os.mkdir(cls.broker.storage.path, 0o750)
            shutil.chown(cls.broker.storage.path, "mosquitto", "mosquitto")
        cls.broker.start()
        cls.port, cls.dir = free_port(), work_dir("nginx")
        with open(os.path.join(ROOT, "examples", "nginx.conf"), encoding="ascii") as text:
            site = text.read()
        for old, new in (("listen 8080;", f"listen 127.0.0.1:{cls.port};"),
                         ("/var/lib/mosquitto/files/files", cls.broker.storage.path + "/files")):
            assert site.count(old) == 1, old
            site = site.replace(old, new)
        cls.write("site", site)
        cls.write("main", MAIN.format(dir=cls.dir, master="on" if IS_ROOT else "off",
                                      user="user www-data mosquitto;" if IS_ROOT else ""))
        cls.nginx = subprocess.Popen([NGINX, "-c", f"{cls.dir}/main", "-e", f"{cls.dir}/error.log"])
        cls.addClassCleanup(shutil.rmtree, cls.dir, True)
        cls.addClassCleanup(cls.nginx.wait)
        cls.addClassCleanup(cls.nginx.terminate)
        eventually(cls.answers, "nginx to answer")

    @classmethod
    def write(cls, name, text):
        with open(os.path.join(cls.dir, name), "w", encoding="ascii") as out:
            out.write(text)

    @classmethod
    def answers(cls):
        if cls.nginx.poll() is not None:
            with open(f"{cls.dir}/error.log", encoding="utf-8") as log:
                raise AssertionError(f"nginx ended:\n{log.read()}")
        try:
            return cls.ask("GET", "/")
        except OSError:
            return None

    @classmethod
    def ask(cls, method, path, **headers):
        """(status, headers, body) of a request; the path is not escaped yet."""
        connection = http.client.HTTPConnection("127.0.0.1", cls.port, timeout=20)
        try:
            connection.request(method, urllib.parse.quote(path), headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def names(self, path):
        status, _, body = self.ask("GET", path)
        self.assertEqual(status, 200, path)
        return {entry["name"]: entry for entry in json.loads(body)}

    def test_files_are_listed_and_given_out_with_ranges(self):
        content, device = os.urandom(300_000), self.device("camera-7")
        self.ok(device.upload("f 1", content, name="door 42.mp4"))
        self.assertIn("camera-7", self.names("/"))
        self.assertIn("f%201", self.names("/camera-7/"))
        files = self.names("/camera-7/f%201/")
        self.assertEqual(set(files), {"door 42.mp4", "door 42.mp4.manifest.json"})
        self.assertEqual(files["door 42.mp4"]["size"], len(content))
        path = "/camera-7/f%201/door 42.mp4"
        status, headers, body = self.ask("GET", path)
        self.assertEqual((status, body), (200, content))
        self.assertEqual((headers["Content-Type"], headers["X-Content-Type-Options"],
                          headers["Content-Disposition"]),
                         ("application/octet-stream", "nosniff", "attachment"))
        for start, end in ((0, 9), (100_000, 299_999)):
            status, headers, body = self.ask("GET", path, Range=f"bytes={start}-{end}")
            self.assertEqual((status, body), (206, content[start:end + 1]))
        manifest = json.loads(self.ask("GET", path + ".manifest.json")[2])
        self.assertEqual(manifest["sha256"], sha256(content))

    def test_what_is_unfinished_is_not_there(self):
        device = self.device("slow")
        self.ok(device.init("f1", "data.bin"))
        for _ in device.pipeline("f1", pieces(os.urandom(2_000_000), 65536)):
            pass
        self.broker.storage.wait_incoming("slow", "f1")
        self.assertEqual(self.ask("GET", "/slow/")[0], 404)
        self.assertEqual(self.ask("GET", "/slow/f1/data.bin")[0], 404)

    def test_nothing_is_changed_and_nothing_else_is_read(self):
        self.ok(self.device("guarded").upload("f1", b"hello", name="data.bin"))
        path = "/guarded/f1/data.bin"
        for method in ("PUT", "DELETE", "POST", "PATCH"):
            self.assertIn(self.ask(method, path)[0], (403, 405), method)
        os.symlink("/etc/passwd", self.broker.storage.finished("guarded", "f1", "link"))
        self.assertEqual(self.ask("GET", "/guarded/f1/link")[0], 403)
        for outside in ("/../catalog.db", "/guarded/../../catalog.db", "/..%2fcatalog.db"):
            self.assertIn(self.ask("GET", outside)[0], (400, 403, 404), outside)
        self.assertEqual(self.ask("GET", path)[2], b"hello")


if __name__ == "__main__":
    unittest.main()
