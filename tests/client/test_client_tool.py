# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The command line of ft-put: options, configuration, what it prints, exit statuses."""
import json
import os
import re
import socket
import time
import unittest

from clientcase import FT_PUT, INT, ROOT, USR1, ClientCase, data, sha256
from fakebroker import Answer


class Options(ClientCase):
    def run_with(self, *arguments):
        program = self.start([FT_PUT, *map(str, arguments)], cwd=self.dir)
        return program.wait(), program

    def test_a_url_names_the_broker(self):
        broker = self.broker()
        for arguments in (["-L", f"mqtt://me:p%40ss@127.0.0.1:{broker.port}", self.file()],
                          [self.file(), f"mqtt://me:p%40ss@127.0.0.1:{broker.port}/"]):
            code, program = self.run_with(*arguments)
            self.assertEqual(code, 0, program.err)
            self.assertEqual((broker.connections[-1].connect["user"],
                              broker.connections[-1].connect["password"]), ("me", "p@ss"))

    def test_wrong_usage_is_1_and_says_what_is_wrong(self):
        path = self.file()
        for arguments in ([], ["--nonsense", path], ["-p", "0", path], ["-p", "65536", path],
                          ["-V", "4", path], ["--window", "0", path], ["-q", "2", path],
                          ["--segment-size", "0", path], ["--segment-size", "1x", path],
                          ["--rate", "1", path], ["--user-data", "{", path],
                          ["--ttl", "x", path], ["--cert", "x", path], ["--psk", "ab", path],
                          ["--name", "x", path, path], ["-i", "a+b", path], ["-P", "x", path],
                          ["--file-id", "a/b", path], ["--file-id", "a\tb", path],
                          ["-i", "a\tb", path], ["--insecure", path],
                          ["--tls-version", "tlsv1.2", path], ["mqtt://", path],
                          ["mqtt://h:99999", path], ["mqtt://a%zz@h", path],
                          ["-L", "http://h", path], ["--reconnect", "maybe", path],
                          ["--config", "/nonexistent", path]):
            with self.subTest(arguments):
                code, program = self.run_with(*arguments)
                self.assertEqual(code, 1)
                self.assertTrue(program.err)

    def table(self):
        """(name, letter, is shown in --help) of every option, as the source has them."""
        found = []
        for folder, source, head in (("lib", "connection.c", "connection_options["),
                                     ("lib", "command.c", "common_rows["),
                                     ("ft-put", "options.c", "own_rows[")):
            with open(os.path.join(ROOT, "examples", folder, source), encoding="utf-8") as text:
                table = text.read().split(head)[1].split("= {", 1)[1].split("\n};")[0]
            found += re.findall(r'^\t\{ "([a-z-]+)", (?:\'(.)\'|0),(.*?)\},$', table,
                                re.MULTILINE | re.DOTALL)
        self.assertGreater(len(found), 40)
        return [(name, letter, not re.search(r"\bNULL $", rest)) for name, letter, rest in found]

    def test_every_option_is_in_the_manual_and_those_that_count_are_in_the_help(self):
        code, program = self.run_with("--help")
        self.assertEqual(code, 0)
        with open(os.path.join(ROOT, "examples", "ft-put.1"), encoding="utf-8") as text:
            manual = text.read().replace("\\-", "-").replace("\\fR", " ")
        text = "\n".join(program.out)
        for name, letter, shown in self.table():
            with self.subTest(name):
                self.assertRegex(manual, rf"--{name}[ \n,\"]")
                self.assertEqual(bool(re.search(rf"--{name}[ =\n]", text)), shown)
                if letter:
                    self.assertIn(f"-{letter} ", manual.replace('"', " "))
        self.assertLessEqual(max(map(len, program.out)), 100)

    def test_a_bad_value_is_told_with_its_option(self):
        for option, value in (("--port", "0"), ("--mqtt", "4"), ("--window", "0"),
                              ("--segment-size", "1x"), ("--rate", "1"), ("--ttl", "x"),
                              ("--user-data", "{"), ("--id", "a+b"), ("--file-id", "a/b"),
                              ("--reconnect", "maybe"), ("--connections", "65")):
            with self.subTest(option):
                code, program = self.run_with(option, value, self.file())
                self.assertEqual(code, 1)
                self.assertIn(f'{option} "{value}"', program.err[0])
                self.assertIn("wanted", program.err[0])

    def test_files_of_options_are_looked_at_first(self):
        broker, nothing = self.broker(), os.path.join(self.dir, "nothing")
        for options in (("--cafile", nothing), ("--capath", nothing), ("--encrypt", nothing)):
            with self.subTest(options[0]):
                code, program = self.run_with(*options, "-h", "127.0.0.1", "-p", broker.port,
                                              self.file())
                self.assertEqual(code, 1)
                self.assertIn(f"{options[0]} {nothing}: No such file or directory", program.err[0])
        code, program = self.run_with("--cafile", self.file(), self.file())
        self.assertEqual(code, 1)
        self.assertIn("--cafile " + self.file(), program.err[0])
        self.assertEqual(broker.connections, [])

    def test_the_configuration_file_comes_first_and_the_command_line_wins(self):
        broker = self.broker()
        os.makedirs(f"{self.dir}/.config")
        with open(f"{self.dir}/.config/ft-put", "w", encoding="ascii") as out:
            out.write(f"# ours\nhost 127.0.0.1\n--port {broker.port}\nid = from-config\n\n"
                      "-u me\npw secret\n")
        code, program = self.run_with(self.file())
        self.assertEqual(code, 0, program.err)
        self.assertEqual((broker.connections[0].client_id, broker.connections[0].connect["user"]),
                         ("from-config", "me"))
        code, _ = self.run_with("-i", "from-line", self.file())
        self.assertEqual(broker.connections[1].client_id, "from-line")

    def test_a_wrong_line_in_the_configuration_is_told_with_its_file(self):
        path = self.file(1, "conf")
        with open(path, "w", encoding="ascii") as out:
            out.write("port nonsense\n")
        code, program = self.run_with("--config", path, self.file())
        self.assertEqual(code, 1)
        self.assertIn(path, "".join(program.err))

    def configured(self, text, *arguments):
        path = self.file(1, "conf")
        with open(path, "w", encoding="ascii") as out:
            out.write(text)
        return self.run_with("--config", path, *arguments, self.file())

    def test_a_switch_with_a_value_is_refused(self):
        """Else "insecure false" would switch it on."""
        port = self.broker().port
        code, program = self.configured(f"host 127.0.0.1\nport {port}\nquiet false\n")
        self.assertEqual(code, 1)
        self.assertIn('"false"', program.err[0])

    def test_a_value_may_begin_with_an_equals_sign(self):
        broker = self.broker()
        for text, wanted in (("pw = =x=", "=x="), ("pw==x=", "=x="), ("pw x", "x"), ("pw=x", "x")):
            code, program = self.configured(f"host 127.0.0.1\nport {broker.port}\nuser me\n{text}\n")
            self.assertEqual(code, 0, program.err)
            self.assertEqual(broker.connections[-1].connect["password"], wanted)

    def test_a_directory_in_place_of_the_configuration_is_called_one(self):
        code, program = self.run_with("--config", self.dir, self.file())
        self.assertEqual(code, 1)
        self.assertIn("directory", program.err[0])

    def test_two_quotes_are_nothing_there_too(self):
        port = self.broker().port
        code, program = self.configured(f'host 127.0.0.1\nport {port}\nstate-dir ""\n')
        self.assertEqual(code, 0, program.err)
        self.assertEqual(program.err, [])
        self.assertFalse(os.path.exists(f"{self.dir}/.local"), "nothing is noted")
        self.assertFalse(os.path.exists(self.dir + '/""'), "a directory of that name")

    def test_a_host_on_the_command_line_wins_over_a_socket_in_the_configuration(self):
        port = self.broker().port
        for where in (("-h", "127.0.0.1", "-p", port), (f"mqtt://127.0.0.1:{port}",)):
            code, program = self.configured("unix /nonexistent\n", *where)
            self.assertEqual(code, 0, program.err)

    def test_no_file_is_2(self):
        code, program = self.run_with("-p", self.broker().port, "-h", "127.0.0.1", "/nonexistent")
        self.assertEqual(code, 2)
        self.assertIn("/nonexistent: No such file", program.err[0])

    def test_no_broker_is_3_with_a_remedy(self):
        with socket.socket() as nobody:  # bound, but nobody listens
            nobody.bind(("127.0.0.1", 0))
            program = self.put(nobody.getsockname()[1], self.file())
            self.assertEqual(program.wait(), 3)
        self.assertIn("--port", program.err[-1])


class Files(ClientCase):
    def init_of(self, *arguments):
        broker = self.broker()
        self.put_ok(broker, *arguments)
        return broker.only().init

    def test_what_is_said_about_a_file(self):
        before = time.time()
        init = self.init_of("--name", "other.txt", "--user-data", '{"a":[1]}', "--ttl", "2h",
                            "--expire", "1d", self.file(1000))
        self.assertEqual((init["name"], init["size"], init["user_data"], init["segments_ttl"]),
                         ("other.txt", 1000, {"a": [1]}, 7200))
        self.assertAlmostEqual(init["expire_at"], before + 86400, delta=30)

    def test_the_id_can_be_given(self):
        broker = self.broker()
        self.put_ok(broker, "--file-id", "my-id", self.file())
        self.assertEqual(list(broker.transfers), ["my-id"])

    def test_a_given_id_that_is_taken_is_5(self):
        broker = self.broker()
        self.put_ok(broker, "--file-id", "my-id", self.file(10, "a"))
        program = self.put(broker, "--file-id", "my-id", self.file(20, "b"))
        self.assertEqual(program.wait(), 5)
        self.assertIn("--file-id", program.err[-1])

    def test_a_directory_keeps_its_paths_in_user_data(self):
        for name in ("tree/a.txt", "tree/sub/b.txt", "tree/sub/deep/a.txt"):
            self.file(100, name, hash(name) & 0xffff)
        os.symlink(self.dir, f"{self.dir}/tree/loop")
        broker = self.broker()
        self.put_ok(broker, "--user-data", '{"run":7}', f"{self.dir}/tree/")
        inits = [t.init for t in broker.transfers.values()]
        self.assertEqual(sorted((i["name"], i["user_data"]["path"]) for i in inits),
                         [("a.txt", "tree/a.txt"), ("a.txt", "tree/sub/deep/a.txt"),
                          ("b.txt", "tree/sub/b.txt")])
        self.assertEqual({i["user_data"]["run"] for i in inits}, {7})

    def test_names_that_no_broker_takes_are_made_ones_that_it_does(self):
        raw = os.fsencode(self.dir) + b"/tree"
        os.makedirs(raw)
        for name in (b"a:b\\c", b"bad\xff\xfeutf", b"new\nline", b"x" * 255,
                     "ünï😀".encode(), ("é" * 127).encode()):
            with open(raw + b"/" + name, "wb") as out:
                out.write(name)
        broker = self.broker()
        self.put_ok(broker, f"{self.dir}/tree")
        names = {t.init["name"] for t in broker.transfers.values()}
        self.assertEqual(names, {"a_b_c", "bad__utf", "new_line", "x" * 240, "ünï😀", "é" * 120})

    def test_files_with_the_same_content_and_time_do_not_meet(self):
        for name in ("tree/a/same", "tree/b/same"):
            os.utime(self.file(100, name), (1, 1))
        broker = self.broker()
        self.put_ok(broker, f"{self.dir}/tree")
        self.assertEqual(len(broker.transfers), 2)

    def test_the_first_failure_decides_and_the_others_arrive(self):
        def script(_conn, packet):
            refused = packet.command == "put" and "/put/bad/" in packet.topic
            return Answer("name_refused", 0x83) if refused else None
        broker = self.broker(script)
        program = self.put(broker, self.file(10, "one"), self.file(10, "bad"),
                           self.file(10, "two", 2))
        self.assertEqual(program.wait(), 5)
        self.assertEqual(sum(1 for t in broker.transfers.values() if t.complete), 2)
        self.assertIn("2 of 3", program.out[-1])

    def test_segment_checksums_are_sent_where_asked_for(self):
        broker = self.broker()
        self.put_ok(broker, "--segment-checksums", self.file(20000))
        segment = broker.segments()[0]
        self.assertEqual(segment.topic.split("/")[-1], sha256(segment.payload))

    def test_fin_carries_the_checksum_of_the_whole(self):
        broker = self.broker()
        self.put_ok(broker, self.file(20000))
        self.assertTrue(broker.of("fin")[0].topic.endswith(f"/fin/20000/{sha256(data(20000))}"))


class Output(ClientCase):
    def test_json_tells_of_a_file_that_is_not_there(self):
        program = self.put(self.broker(), "--json", self.file(10, "a"), "/nonexistent/b")
        self.assertEqual(program.wait(), 2)
        events = [json.loads(line) for line in program.out]
        self.assertEqual((events[0]["event"], events[0]["files"]), ("start", 2))
        told, = (e for e in events if e["event"] == "finished" and e["exit"])
        self.assertEqual((told["path"], told["name"], told["exit"], told["text"]),
                         ("/nonexistent/b", "b", 2, "No such file or directory"))

    def test_a_finished_line_fits_80_columns_and_keeps_both_ends_of_the_name(self):
        for name in ("x" * 100 + ".jpg", "é" * 100 + ".jpg", "a.jpg"):
            program = self.put_ok(self.broker(), self.file(1000, name))
            line, = (line for line in program.out if ": complete" in line)
            self.assertLessEqual(len(line), 80)
            self.assertEqual(line[0], name[0])
            self.assertIn(".jpg: complete, 1000 bytes, 1000 bytes sent in", line)
            self.assertNotIn(sha256(data(1000)), "".join(program.out))

    def test_the_checksum_and_ids_are_told_where_asked_for(self):
        program = self.put_ok(self.broker(), "--verbose", "--file-id", "my-id", self.file(1000))
        text = "\n".join(program.out)
        for word in (sha256(data(1000)), "my-id", "as client dev"):
            self.assertIn(word, text)

    def test_json_for_programs(self):
        program = self.put_ok(self.broker(), "--json", self.file(1000, "a"), self.file(10, "b"))
        events = [json.loads(line) for line in program.out]
        self.assertEqual((events[0]["event"], events[0]["files"], events[0]["bytes"]),
                         ("start", 2, 1010))
        done = {e["name"]: e for e in events if e["event"] == "finished"}
        self.assertEqual((done["a"]["exit"], done["a"]["size"], done["a"]["sha256"]),
                         (0, 1000, sha256(data(1000))))
        self.assertEqual((events[-1]["event"], events[-1]["exit"], events[-1]["delivered"]),
                         ("end", 0, 2))

    def test_quiet_prints_nothing_but_errors(self):
        program = self.put_ok(self.broker(), "--quiet", self.file())
        self.assertEqual((program.out, program.err), ([], []))
        program = self.put(self.broker(connack=0x86), "--quiet", self.file())
        program.wait()
        self.assertEqual(program.out, [])
        self.assertTrue(program.err)

    def test_plain_lines_where_there_is_no_terminal(self):
        program = self.put_ok(self.broker(), "--rate", "500k", "--verbose", self.file(300000))
        self.assertNotIn("\r", "".join(program.out))
        self.assertTrue(any("100%" in line for line in program.out), program.out)
        self.assertIn(sha256(data(300000)), program.out[-1])

    def test_the_password_is_in_no_output(self):
        program = self.put(self.broker(connack=0x86), "-u", "me", "-P", "topsecret", self.file())
        program.wait()
        self.assertNotIn("topsecret", "".join(program.out + program.err))

    def test_a_signal_pauses_and_resumes(self):
        broker = self.broker()
        program = self.put(broker, "--rate", "20000", self.file(60000))
        broker.wait(broker.segments, "a segment")
        program.signal(USR1)
        self.assertIn("paused", self.line_with(program, "paused"))
        time.sleep(1)
        count = len(broker.segments())
        time.sleep(1.5)
        self.assertEqual(len(broker.segments()), count)
        program.signal(USR1)
        self.assertEqual(program.wait(), 0, program.err)
        self.holds(broker, data(60000))

    def test_a_paused_upload_can_be_stopped(self):
        broker = self.broker()
        program = self.put(broker, "--rate", "20000", self.file(60000))
        broker.wait(broker.segments, "a segment")
        program.signal(USR1)
        self.line_with(program, "paused")
        program.signal(INT)
        self.assertEqual(program.wait(), 8)


if __name__ == "__main__":
    unittest.main()
