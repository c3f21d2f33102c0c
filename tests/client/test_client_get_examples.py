# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""examples/download.*: small clients for devices without ft-get."""
import os
import subprocess
import sys
import unittest

from clientcase import BUILD, ROOT, data, sha256
from getcase import Requests, SharedGetCase

CONTENT = data(1000001)


class Examples(SharedGetCase):
    """Each fetches a file, is interrupted and run again, and is told of what is not there."""

    def run_it(self, port, command):
        env = {**self.env, "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run([str(part) for part in command(port)], cwd=self.dir, env=env, timeout=60,
                              capture_output=True, text=True, check=False)

    def try_it(self, command, nothing):
        broker = self.serve({"all/dir/app.bin": CONTENT})
        proxy = Requests(broker.port)
        self.addCleanup(proxy.close)
        proxy.cut_after([1500])
        done = self.run_it(proxy.port, command)
        self.assertEqual(proxy.ahead, [], f"the link was not cut; {done.stdout}{done.stderr}")
        done = self.run_it(proxy.port, command)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.has("app.bin", CONTENT)
        self.assertTrue({name for name in os.listdir(self.dir)} <= {"app.bin", ".local"})
        done = self.run_it(broker.port, nothing)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("no_such_file", done.stdout + done.stderr)

    def test_python(self):
        try:
            import paho.mqtt.client  # noqa: F401
        except ImportError:
            self.skipTest("python3-paho-mqtt is not installed")
        script = ("import sys; sys.path.insert(0, sys.argv[1]); import download; "
                  "download.download(*sys.argv[2:6], port=int(sys.argv[6]))")

        def command(path):
            return lambda port: ["timeout", "20", sys.executable, "-c", script, os.path.join(ROOT, "examples"),
                                 path, "app.bin", "127.0.0.1", "dev", port]
        self.try_it(command("dir/app.bin"), command("nothing"))

    def test_shell(self):
        def command(path):
            return lambda port: [os.path.join(ROOT, "examples", "download.sh"), path, "app.bin", "dev",
                                 "-p", port]
        self.try_it(command("dir/app.bin"), command("nothing"))

    def test_c(self):
        program = os.path.join(BUILD, "tests", "client", f"download-{os.getpid()}")
        subprocess.run([os.environ.get("CC", "cc"), os.path.join(ROOT, "examples", "download.c"), "-o", program,
                        "-lmosquitto"], check=True)
        self.addCleanup(os.unlink, program)

        def command(path):
            return lambda port: [program, path, sha256(CONTENT), "app.bin", "127.0.0.1", port, "dev"]
        self.try_it(command("dir/app.bin"), command("nothing"))


if __name__ == "__main__":
    unittest.main()
