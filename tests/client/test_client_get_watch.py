# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""ft-get --watch --exec, its command line, and what a terminal shows."""
import json
import os
import re
import subprocess
import unittest

from clientcase import INT, ROOT, TERM, data, sha256
from getcase import FT_GET, GetCase, RealGetCase, Requests
from test_client_terminal import on_terminal

import ondisk

NOTE = 'echo "$FT_PATH $FT_SIZE $FT_SHA256 $1 $FT_META" >>log; cmp -s "$1" "$FT_FILE" && ! read line'


class Watch(RealGetCase):
    def logged(self):
        try:
            with open(self.path("log"), encoding="utf-8") as log:
                return log.read().splitlines()
        except FileNotFoundError:
            return []

    def wait_for_lines(self, count):
        ondisk.eventually(lambda: len(self.logged()) >= count, f"{count} lines", 30)
        self.assertEqual(len(self.logged()), count, self.logged())

    def watch(self, broker, *arguments, **settings):
        return self.get(broker, "--watch", "--json", *arguments, **settings)

    def report(self, broker, path="app.bin"):
        found = subprocess.run(["mosquitto_sub", "-p", str(broker.port), "-C", "1", "-W", "10", "-t",
                                f"$file-report/dev/{path}"], stdout=subprocess.PIPE, check=True)
        return json.loads(found.stdout)

    def test_each_new_content_is_handled_once(self):
        broker = self.serve({"all/app.bin": b"one", "all/later.not": b"no"})
        proxy = Requests(broker.port)
        self.addCleanup(proxy.close)
        program = self.watch(proxy, "app.bin", "models/", "later", "-o", "d", "--exec", NOTE)
        self.wait_for_lines(1)
        self.assertEqual(self.logged()[0],
                         f"app.bin 3 {sha256(b'one')} {os.path.realpath(self.dir)}/d/app.bin ")
        self.shop.put("all/models/.x.json", b'{"v": 7}')
        self.shop.put("all/models/x", data(200000))
        self.wait_for_lines(2)
        self.assertIn('d/x {"v":7}', self.logged()[1])
        self.shop.put("all/app.bin", b"two")
        self.wait_for_lines(3)
        with open(self.path("d/app.bin"), "rb") as file:
            self.assertEqual(file.read(), b"two")
        program.event("ran", path="app.bin", sha256=sha256(b"two"))
        ondisk.eventually(lambda: self.report(broker)["sha256"] == sha256(b"two"), "the report")
        self.assertEqual(self.report(broker)["state"], "installed")
        program.signal(TERM)
        self.assertEqual(program.wait(), 0, "a watch that has nothing to do is ended so")
        # Another process, though the files are gone: nothing is done again but what is new.
        os.unlink(self.path("d/app.bin"))
        self.shop.put("client/dev/app.bin", b"three")
        program = self.watch(proxy, "app.bin", "models/", "later", "-o", "d", "--exec", NOTE)
        self.wait_for_lines(4)
        self.shop.put("all/later", b"")
        self.wait_for_lines(5)
        self.assertFalse([line for line in broker.plugin_log() if "refused" in line])
        broker.restart()
        proxy.target = broker.port
        self.shop.put("all/later", b"x")
        self.wait_for_lines(6)
        self.assertEqual([line.split()[0] for line in self.logged()],
                         ["app.bin", "models/x", "app.bin", "app.bin", "later", "later"])

    def test_a_command_that_fails_is_reported_and_not_begun_again(self):
        broker = self.serve({"all/app.bin": b"one"})
        program = self.watch(broker, "app.bin", "--exec", "echo $FT_SIZE >>log; echo out; exit 3")
        self.assertIn("exit status 3", program.event("ran")["text"])
        ondisk.eventually(lambda: self.report(broker)["detail"] == "exit status 3", "the report")
        self.assertEqual((self.report(broker)["state"], program.err), ("failed", ["out"]))
        program.signal(TERM)
        program.wait()
        self.watch(broker, "app.bin", "--exec", "echo $FT_SIZE >>log; kill -9 $$")
        self.shop.put("all/app.bin", b"four")
        ondisk.eventually(lambda: self.report(broker).get("detail") == "signal 9", "the report", 30)
        self.assertEqual(self.logged(), ["3", "4"])

    def test_one_at_a_time_and_ctrl_c_waits_for_its_end(self):
        broker = self.serve({"all/a": b"a", "all/b": b"b"})
        program = self.start(["setsid", *self.command(broker), "--watch", "--json", "a", "b", "--exec",
                              "echo begin >>log; while [ ! -e go ]; do sleep 0.02; done; echo end >>log"],
                             cwd=self.dir)
        self.wait_for_lines(1)
        os.killpg(program.process.pid, INT)
        program.event("waits")
        self.assertEqual(self.logged(), ["begin"])
        open(self.path("go"), "w", encoding="ascii").close()
        self.assertEqual(program.wait(), 0, program.err)
        self.assertEqual(self.logged(), ["begin", "end"])
        program = self.watch(broker, "a", "b", "--exec", "echo b >>log")
        self.wait_for_lines(3)

    def test_what_was_interrupted_is_reported_and_not_begun_again(self):
        broker = self.serve({"all/app.bin": b"one"})
        program = self.watch(broker, "app.bin", "--exec", 'echo $$ >>log; exec sleep 60 >&- 2>&-')
        self.wait_for_lines(1)
        program.kill()
        os.kill(int(self.logged()[0]), 9)
        program = self.watch(broker, "app.bin", "--exec", "echo x >>log")
        program.event("interrupted")
        ondisk.eventually(lambda: "interrupted" in self.report(broker).get("detail", ""), "the report")
        self.shop.put("all/app.bin", b"two")
        self.wait_for_lines(2)

    def test_a_watch_goes_on_after_accidents(self):
        content = data(400000)
        broker = self.serve({"all/app.bin": content})
        proxy = Requests(broker.port)
        self.addCleanup(proxy.close)
        proxy.cut_after([500] * 5)
        self.watch(proxy, "app.bin", "--block-size", "4k", "--exec", NOTE)
        self.wait_for_lines(1)
        self.has("app.bin", content)
        self.assertEqual(proxy.cuts, 5)


class Options(GetCase):
    def test_wrong_usage_is_1_and_says_what_is_wrong(self):
        for arguments in ([], ["--nonsense", "x"], ["../x"], ["/x"], ["a//b"], [".x"], ["a+b"], [""], ["/"],
                          ["a" * 600], ["--window", "0", "x"], ["--window", "501", "x"],
                          ["--block-size", "0", "x"], ["--block-size", "257k", "x"], ["--rate", "1", "x"],
                          ["--sha256", "0" * 63, "x"], ["--sha256", "0" * 64, "x", "y"],
                          ["--exec", "true", "x"], ["--watch"], ["--watch", "x", "-o", "-"],
                          ["--aws", "S/0", "x"], ["--aws", "S/256"], ["--aws", "S/01"], ["--aws", "/1"],
                          ["--aws", "a b/1"], ["--aws", "S"], ["--aws", "S/1", "--block-size", "255"],
                          ["-l", "a", "b"], ["-l", "-o", "x"], ["-o", "", "x"], ["-o", "-", "--json", "x"],
                          ["-o", "-", "x", "y"], ["-o", "-", "x/"], ["--config", "/nonexistent", "x"],
                          ["-i", "a+b", "x"], ["--timeout", "x", "x"]):
            with self.subTest(arguments):
                program = self.start([FT_GET, *arguments], cwd=self.dir)
                self.assertEqual(program.wait(), 1)
                self.assertTrue(program.err)

    def test_every_option_is_in_the_manual_and_in_the_help(self):
        program = self.start([FT_GET, "--help"])
        self.assertEqual(program.wait(), 0)
        with open(os.path.join(ROOT, "examples", "ft-get.1"), encoding="utf-8") as text:
            manual = text.read().replace("\\-", "-").replace("\\fR", " ")
        with open(os.path.join(ROOT, "examples", "ft-get", "options.c"), encoding="utf-8") as text:
            table = text.read().split("own_rows[")[1].split("\n};")[0]
        rows = re.findall(r'^\t\{ "([a-z0-9-]+)", (?:\'(.)\'|0),(.*?)\},$', table, re.MULTILINE | re.DOTALL)
        self.assertGreater(len(rows), 15)
        text = "\n".join(program.out)
        for name, letter, rest in rows:
            with self.subTest(name):
                self.assertRegex(manual, rf"--{name}[ \n,\"]")
                self.assertEqual(bool(re.search(rf"--{name}[ =\n]", text)), not re.search(r"\bNULL $", rest))
                if letter:
                    self.assertIn(f"-{letter} ", manual.replace('"', " "))
        self.assertLessEqual(max(map(len, program.out)), 100)

    def test_the_configuration_and_the_environment(self):
        broker = self.offers({"app.bin": b"x"})
        os.makedirs(self.path(".config"))
        with open(self.path(".config/ft-get"), "w", encoding="ascii") as out:
            out.write(f"host 127.0.0.1\nport {broker.port}\nuser me\nid from-config\n")
        self.env["FT_GET_PASSWORD"] = "secret"
        program = self.start([FT_GET, "app.bin"], cwd=self.dir)
        self.assertEqual(program.wait(), 0, program.err)
        self.assertEqual((broker.connections[0].client_id, broker.connections[0].connect["password"]),
                         ("from-config", "secret"))

    def test_ids_that_are_made_up_do_not_collide(self):
        broker = self.offers({"app.bin": data(20)}, script=lambda _c, item: "hold" if item.topic else None)
        command = [FT_GET, "-h", "127.0.0.1", "-p", str(broker.port), "app.bin", "-o"]
        programs = [self.start([*command, name], cwd=self.dir) for name in ("1", "2", "3")]
        broker.wait(lambda: len(broker.of()) >= 3, "three questions")
        self.assertEqual(len({conn.client_id for conn in broker.connections}), 3)
        broker.script = None
        broker.release()
        self.assertEqual([program.wait() for program in programs], [0, 0, 0])


class Terminal(GetCase):
    def test_a_bar_that_fits(self):
        broker = self.offers({"app.bin": data(60000)})
        code, text = on_terminal(self, 70, [*self.command(broker), "--rate", "60k", "app.bin"])
        self.assertEqual(code, 0, text)
        drawn = [part for part in re.sub(r"\x1b\[[0-9;]*m", "", text).split("\r\x1b[K") if "%" in part]
        self.assertTrue(any("[#" in part for part in drawn), text)
        self.assertLess(max(len(part.split("\r\n")[0]) for part in drawn), 70)
        self.assertIn("complete", text)

    def test_with_standard_output_it_is_beside_the_bytes(self):
        broker = self.offers({"app.bin": data(60000)})
        with open(self.path("out"), "wb") as out:
            code, text = on_terminal(self, 70, [*self.command(broker), "--rate", "60k", "app.bin", "-o", "-"],
                                     stdout=out)
        self.assertEqual(code, 0, text)
        self.has("out", data(60000))
        self.assertIn("%", text)


if __name__ == "__main__":
    unittest.main()
