# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""What README.md tells a newcomer to type, typed."""
import os
import re
import subprocess
import unittest

from clientcase import BUILD, ROOT, data, sha256
from ondisk import eventually
from test_client_real import RealCase

NAME = "two words.jpg"


class Readme(RealCase):
    def setUp(self):
        super().setUp()
        with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
            self.blocks = re.findall(r"^```sh\n(.*?)^```", file.read(), re.M | re.S)
        self.broker_ = self.real_broker()
        self.put_programs()
        self.env["PATH"] = self.dir + ":" + self.env["PATH"]

    def put_programs(self):
        """The port, and the programs, are not those of a newcomer."""
        for program in ("mosquitto_pub", "mosquitto_rr", "ft-put", "ft-get"):
            with open(os.path.join(self.dir, program), "w", encoding="ascii") as script:
                real = os.path.join(BUILD, program) if "ft-" in program else f"/usr/bin/{program}"
                script.write(f'#!/bin/sh\nexec {real} -p {self.broker_.port} "$@"\n')
            os.chmod(script.name, 0o755)

    def block(self, *words):
        found, = (b for b in self.blocks if all(word in b for word in words))
        return found.replace("broker.example", "127.0.0.1")

    def sh(self, text, *arguments):
        return subprocess.run(["sh", "-ec", text, "sh", *arguments], env=self.env, cwd=self.dir,
                              capture_output=True, text=True, timeout=60, check=False)

    def has(self, client, content):
        eventually(lambda: sha256(content) in self.stored(self.broker_, client), "the file")

    def test_the_first_line_of_all(self):
        self.file(5000, "door-42.jpg")
        done = self.sh(self.block("put/door-42.jpg"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.has("camera-7", data(5000))
        path, = self.broker_.storage.finished_files()
        self.assertEqual(path, b"files/camera-7/door-42/door-42.jpg")

    def test_the_small_script_tells_whether_the_file_has_arrived(self):
        self.file(5000, NAME)
        for _ in range(2):
            done = self.sh(self.block("mosquitto_rr", "fin/"), NAME)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertIn('"state":"complete"', done.stdout)
        self.has("dev1", data(5000))
        self.assertEqual(len(self.stored(self.broker_, "dev1")), 1)
        # One that the broker cannot take: a name that no file may have.
        self.file(50, "a.manifest.json")
        self.assertNotEqual(self.sh(self.block("mosquitto_rr", "fin/"), "a.manifest.json").returncode, 0)

    def offer(self, content):
        """app.bin, to all."""
        self.broker_.stop()
        self.broker_.options["downloads"] = "native"
        self.broker_.start()
        self.put_programs()
        offers = os.path.join(self.broker_.storage.path, "offers", "all")
        eventually(lambda: os.path.isdir(offers), "the place for offers")
        with open(os.path.join(offers, "app.bin.part"), "wb") as part:
            part.write(content)
        os.rename(part.name, os.path.join(offers, "app.bin"))

    def has_fetched(self, content, text, *arguments):
        """The same line again, until the broker has looked."""
        eventually(lambda: self.sh(text, *arguments).returncode == 0, "the offer")
        with open(os.path.join(self.dir, "app.bin"), "rb") as file:
            self.assertEqual(file.read(), content)
        os.unlink(file.name)

    def test_files_for_devices(self):
        content = data(200000)
        self.offer(content)
        once, watch = self.block("ft-get").splitlines()
        self.has_fetched(content, once)
        self.has_fetched(content, self.block("$file-get", "id=dev1"), "app.bin", sha256(content))
        os.mkdir(os.path.join(self.dir, "opt"))
        watch = watch.replace("/var/tmp/", self.dir + "/").replace("/opt/app/bin", self.dir + "/opt/bin")
        watcher = self.start(["sh", "-c", "exec " + watch], cwd=self.dir)
        installed = os.path.join(self.dir, "opt", "bin")
        eventually(lambda: os.path.exists(installed) and os.path.getsize(installed) == len(content),
                   "the installation")
        watcher.kill()

    def test_the_client(self):
        self.file(300000, "door-42.mp4", 1)
        self.file(2000, "photos/one.jpg", 2)
        self.file(3000, "photos/more/two.jpg", 3)
        done = self.sh(self.block("ft-put -h"))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(len(self.stored(self.broker_, "camera-7")), 3)


if __name__ == "__main__":
    unittest.main()
