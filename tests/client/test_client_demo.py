# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The show of `make demo`: on a terminal, as its picture has it, and where something fails."""
import os
import re
import subprocess
import unittest

from clientcase import BUILD, FT_PUT, ROOT, ClientCase


class Demo(ClientCase):
    def run_it(self, *command):
        self.env["TMPDIR"] = os.path.join(self.dir, "tmp")
        os.makedirs(self.env["TMPDIR"], exist_ok=True)
        return subprocess.run(command, env=self.env, cwd=self.dir, capture_output=True, text=True,
                              timeout=180, check=False)

    def demo(self, build):
        return self.run_it(os.path.join(ROOT, "scripts", "demo"), build)

    def nothing_is_left(self):
        self.assertEqual(os.listdir(self.env["TMPDIR"]), [])

    def test_it_is_a_show_with_a_bar_and_an_accident(self):
        picture = os.path.join(self.dir, "demo.svg")
        done = self.run_it(os.path.join(ROOT, "scripts", "demo-picture"), BUILD, picture)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        with open(picture, encoding="utf-8") as file:
            lines = [re.sub("<[^>]*>", "", line) for line in file]
        shown = "".join(lines)
        self.assertRegex(shown, r"\[#+\.+\] +\d+%")
        order = [next(i for i, line in enumerate(lines) if text in line) for text in (
            "ft-put", "the broker is gone", "the broker is started again", "connected again",
            "door-42.mp4: complete", "byte for byte", "camera-7/ID/photo.jpg.manifest.json")]
        self.assertEqual(order, sorted(order), shown)
        self.assertLess(len({line for line in lines if "%" not in line}), 35, "it is not quiet")
        self.nothing_is_left()

    def test_without_a_terminal_it_has_lines_instead_of_a_bar(self):
        done = self.demo(BUILD)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertNotIn("\x1b", done.stdout)
        self.assertNotIn("\r", done.stdout)
        self.assertIn("50%", done.stdout)
        self.assertLess(done.stdout.count("\n"), 35, "it is not quiet")
        self.nothing_is_left()

    def test_where_it_fails_the_log_is_shown(self):
        broken = os.path.join(self.dir, "broken")
        os.makedirs(broken)
        with open(os.path.join(broken, "mosquitto_file_transfer.so"), "w", encoding="ascii"):
            pass
        os.symlink(FT_PUT, os.path.join(broken, "ft-put"))
        done = self.demo(broken)
        self.assertEqual(done.returncode, 1)
        self.assertIn("the broker does not start", done.stderr)
        self.assertIn("Unable to load", done.stderr)
        self.nothing_is_left()


if __name__ == "__main__":
    unittest.main()
