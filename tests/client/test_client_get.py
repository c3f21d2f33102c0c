# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""ft-get against the real broker: files, lists, accidents, refusals, places that cannot be written."""
import json
import os
import random
import subprocess
import unittest

from clientcase import INT, data, sha256
from getcase import FT_GET, RealGetCase, Requests, SharedGetCase

import ondisk

BLOCK = 4096
SLOW = ("--block-size", BLOCK, "--window", 8, "--reconnect", "always")


class Files(SharedGetCase):
    def test_a_file_a_folder_and_a_list(self):
        big, small = data(300001, 1), data(70, 2)
        broker = self.serve({"all/app.bin": big, "all/models/a/m1": small, "all/models/empty": b""})
        for version in ("5", "311"):
            program = self.get_ok(broker, "-V", version, "app.bin")
            self.assertIn("app.bin: complete", program.out[-1])
            self.has("app.bin", big)
            os.unlink(self.path("app.bin"))
        os.mkdir(self.path("into"))
        self.get_ok(broker, "app.bin", "models/", "-o", "into", "-q")
        for name, content in (("app.bin", big), ("a/m1", small), ("empty", b"")):
            self.has("into/" + name, content)
        listed = [json.loads(line) for line in self.get_ok(broker, "-l", "--json", "models/").out]
        self.assertEqual([(f["path"], f["size"], f["sha256"]) for f in listed],
                         [("models/a/m1", 70, sha256(small)), ("models/empty", 0, sha256(b""))])
        shown = self.get_ok(broker, "-l").out
        self.assertEqual(len(shown), 3)
        self.assertRegex(shown[0], r"^ +300001  2001-09-09T01:46:40  app.bin$")
        self.assertEqual(self.get_ok(broker, "-l", "nothing").out, [])
        self.assertIn("here already", self.get_ok(broker, "app.bin", "-o", "into/").out[-1])
        self.get_ok(broker, "app.bin", "-o", "other.name")
        self.has("other.name", big)

    def test_a_list_of_many_pages(self):
        broker = self.offers({f"many/{i:04}": b"%d" % i for i in range(301)})
        self.assertEqual([line.split()[-1] for line in self.get_ok(broker, "-l", "many/").out],
                         [f"many/{i:04}" for i in range(301)])
        self.get_ok(broker, "many/", "-q", "-o", "d/")
        self.assertEqual(sorted(os.listdir(self.path("d"))), [f"{i:04}" for i in range(301)])

    def test_what_a_client_and_a_user_have_of_their_own(self):
        broker = self.serve({"all/app.bin": b"all"})
        self.shop.put("client/mine/app.bin", b"mine")
        self.wait_for(broker, "app.bin", b"mine", "mine")
        self.get_ok(broker, "app.bin", "-o", "1", client="mine")
        self.get_ok(broker, "app.bin", "-o", "2", client="other")
        self.has("1", b"mine")
        self.has("2", b"all")

    def test_standard_output(self):
        content = data(3000000)
        broker = self.serve({"all/app.bin": content})
        reader = subprocess.Popen(["sh", "-c", "sleep 0.3; exec sha256sum"], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True)
        done = subprocess.run([*self.command(broker), "app.bin", "-o", "-", "--window", "30"],
                              env=self.env, cwd=self.dir, stdout=reader.stdin, stderr=subprocess.PIPE,
                              timeout=60, check=False)
        reader.stdin.close()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(reader.stdout.read().split()[0], sha256(content))
        reader.wait(60)
        reader.stdout.close()
        self.assertEqual(os.listdir(self.dir), [".local"])
        gone = subprocess.run(f"{FT_GET} -h 127.0.0.1 -p {broker.port} -i dev app.bin -o - | head -c 1 "
                              ">/dev/null; echo ${PIPESTATUS[0]}", shell=True, executable="/bin/bash",
                              env=self.env, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(gone.stdout.strip(), "2", gone.stderr)
        self.assertIn("standard output", gone.stderr)

    def test_the_protocol_of_aws(self):
        content = data(700001)
        broker = self.serve({"all/streams/S-1/7": content})
        self.get_ok(broker, "--aws", "S-1/7", "--sha256", sha256(content))
        self.has("S-1-7", content)
        for size in ("256", "1000", "131072"):
            self.get_ok(broker, "--aws", "S-1/7", "--block-size", size, "-o", size)
            self.has(size, content)
        self.fails(5, broker, "--aws", "S-1/8", saying="not offered")
        self.fails(6, broker, "--aws", "S-1/7", "-o", "x", "--sha256", "0" * 64, saying="SHA-256")
        # What is held of other blocks is used, too.
        program = self.get(broker, "--aws", "S-1/7", "-o", "y", "--block-size", "300", "--rate", "100k",
                           "--json")
        ondisk.eventually(lambda: self.held("y") > 1000, "a part")
        program.signal(INT)
        self.assertEqual(program.wait(), 8)
        program = self.get_ok(broker, "--aws", "S-1/7", "-o", "y", "--json")
        self.assertTrue(program.events("resumes"))
        self.has("y", content)

    def test_reports_reach_the_fleet(self):
        broker = self.serve({"all/app.bin": b"content"})
        self.get_ok(broker, "app.bin", "--report")
        listener = subprocess.run(["mosquitto_sub", "-p", str(broker.port), "-C", "1", "-W", "10", "-t",
                                   "$file-report/dev/app.bin"], stdout=subprocess.PIPE, check=True)
        report = json.loads(listener.stdout)
        self.assertEqual((report["state"], report["progress"], report["current"]), ("verified", 100, True))

    def test_what_is_not_offered_and_what_is_another(self):
        broker = self.serve({"all/app.bin": b"content"})
        self.fails(5, broker, "nothing", saying="not offered")
        self.fails(5, broker, "nothing/", saying="nothing is offered")
        self.fails(5, broker, "app.bin", "--sha256", "0" * 64, saying="--sha256")
        self.assertEqual(os.listdir(self.dir), [".local"])
        self.get_ok(broker, "app.bin", "--sha256", sha256(b"content").upper())
        # One that fails does not keep the others.
        os.unlink(self.path("app.bin"))
        self.fails(5, broker, "nothing", "app.bin")
        self.has("app.bin", b"content")


class Accidents(RealGetCase):
    """A slow download, through a proxy that notes which blocks were asked for."""

    def begin(self, size):
        self.content = data(size)
        self.broker_ = self.serve({"all/app.bin": self.content})
        self.proxy = Requests(self.broker_.port)
        self.addCleanup(self.proxy.close)

    def wait_for_state(self):
        """All that has passed up is answered, and noted. No more passes."""
        wanted = sum(length for _, length in self.proxy.asked)
        ondisk.eventually(lambda: self.held("app.bin") == wanted, f"{wanted} bytes in the state")

    def check_once(self):
        self.has("app.bin", self.content)
        twice = {ask: count for ask, count in self.proxy.asked.items() if count > 1}
        self.assertEqual(twice, {}, "asked for twice")
        self.assertEqual(sum(length for _, length in self.proxy.asked), len(self.content))

    def test_the_client_is_killed_and_no_block_is_asked_for_twice(self):
        self.begin(500000)
        self.proxy.hold_after([3000] * 3)
        program = self.get(self.proxy, *SLOW, "app.bin")
        for _ in range(3):
            with self.proxy.held():
                self.wait_for_state()
                program.kill()
            program = self.get(self.proxy, *SLOW, "app.bin")
        self.assertEqual(program.wait(60), 0, program.err)
        self.check_once()

    def test_the_broker_is_killed_and_no_block_is_asked_for_twice(self):
        self.begin(500000)
        self.proxy.hold_after([3000] * 3)
        program = self.get(self.proxy, *SLOW, "app.bin")
        for _ in range(3):
            with self.proxy.held():
                self.wait_for_state()
                self.broker_.kill9()
            self.broker_.start(wait_for_sink=False)
            # Before it has looked it is busy, and blocks are asked for once more.
            self.wait_for(self.broker_, "app.bin", self.content)
            self.proxy.target = self.broker_.port
        self.assertEqual(program.wait(60), 0, program.err)
        self.check_once()

    def test_links_are_cut_50_times_in_one_download(self):
        self.begin(3000000)
        rng = random.Random(3)
        self.proxy.cut_after([rng.randrange(400, 1500) for _ in range(50)])
        program = self.get(self.proxy, *SLOW, "app.bin")
        self.assertEqual(program.wait(120), 0, program.err)
        self.assertEqual((self.proxy.ahead, self.proxy.cuts), ([], 50))
        self.has("app.bin", self.content)
        again = sum(count - 1 for count in self.proxy.asked.values())
        self.assertLessEqual(again, 50 * 8, "more than what was on its way")

    def test_a_file_that_is_replaced_in_the_middle_is_had_whole(self):
        self.begin(500000)
        new = data(400000, 9)
        self.proxy.hold_after([3000])
        program = self.get(self.proxy, *SLOW, "app.bin", "--json")
        with self.proxy.held():
            self.shop.put("all/app.bin", new)
            self.wait_for(self.broker_, "app.bin", new)
        self.assertEqual(program.wait(60), 0, program.err)
        self.assertEqual(len(program.events("changed")), 1)
        self.has("app.bin", new)
        # And between two runs.
        old = data(500000, 10)
        self.shop.put("all/app.bin", old)
        self.wait_for(self.broker_, "app.bin", old)
        self.proxy.hold_after([3000])
        program = self.get(self.proxy, *SLOW, "app.bin", "--json")
        with self.proxy.held():
            ondisk.eventually(lambda: self.held("app.bin"), "a part")
            program.kill()
        self.shop.put("all/app.bin", new + b"!")
        self.wait_for(self.broker_, "app.bin", new + b"!")
        program = self.get_ok(self.proxy, *SLOW, "app.bin")
        self.assertIn("another content", "\n".join(program.out))
        self.has("app.bin", new + b"!")

    def test_ctrl_c_says_how_to_go_on_and_the_same_command_does(self):
        self.begin(500000)
        self.proxy.hold_after([3000])
        program = self.get(self.proxy, *SLOW, "app.bin")
        with self.proxy.held():
            self.wait_for_state()
            program.signal(INT)
            self.assertEqual(program.wait(), 8)
        self.assertIn("run the same command again", program.err[-1])
        program = self.get_ok(self.proxy, *SLOW, "app.bin")
        self.assertTrue(any("are here already" in line for line in program.out), program.out)
        self.check_once()


class Refusals(RealGetCase):
    def test_rights_that_are_lacking(self):
        acl = self.path("acl")
        with open(acl, "w", encoding="ascii") as out:
            out.write("pattern write $file-get/info/%c\n")
        os.chmod(acl, 0o644)
        broker = self.serve(config=["allow_anonymous true", f"acl_file {acl}"])
        for version in ("5", "311"):
            self.fails(4, broker, "-V", version, "app.bin", saying="$file-get/#")

    def test_a_broker_that_offers_nothing_to_anybody(self):
        self.fails(4, self.real_broker(), "app.bin", saying='"downloads native"')

    def test_no_connection(self):
        self.fails(3, 1, "app.bin", saying="Connection refused; does the broker listen there?")

    def test_a_password_and_tls(self):
        made = self.certificates()
        port = self.harness_port()
        self.serve({}, lines=[f"listener {port} 127.0.0.1", f"certfile {made}/broker.crt",
                              f"keyfile {made}/broker.key", "allow_anonymous true"])
        content = data(2000000)
        self.shop.put("all/app.bin", content)
        ondisk.eventually(lambda: self.get(port, "--cafile", f"{made}/ca.crt", "app.bin").wait() == 0,
                          "the offer")
        self.has("app.bin", content)
        self.fails(4, port, "--cafile", f"{made}/client.crt", "app.bin", saying="--cafile")

    @staticmethod
    def harness_port():
        import harness
        return harness.free_port()


class Places(SharedGetCase):
    """Disks that are full, and what must not be written."""

    def test_places_that_cannot_be_written(self):
        broker = self.serve({"all/app.bin": b"content"})
        os.mkdir(self.path("app.bin"))
        self.fails(2, broker, "app.bin", "-o", "app.bin/no/such/\0".rstrip("\0") + "x",
                   saying="No such file or directory")
        self.fails(2, broker, "app.bin", "-o", "/dev/null", saying="no regular file")
        self.fails(2, broker, "app.bin", "-o", "/proc/app.bin", saying="/proc/app.bin")
        os.symlink("/etc/passwd", self.path("link.part"))
        self.fails(2, broker, "app.bin", "-o", "link", saying="link.part")

    def test_a_disk_that_is_full(self):
        content = data(3000000)
        broker = self.serve({"all/app.bin": content})
        limited = subprocess.run(["sh", "-c", f"ulimit -f 2000; exec {FT_GET} -h 127.0.0.1 -p {broker.port} "
                                  "-i dev app.bin"], env=self.env, cwd=self.dir, capture_output=True,
                                 text=True, timeout=60, check=False)
        self.assertEqual(limited.returncode, 2, limited.stderr)
        self.assertIn("File too large", limited.stderr)
        self.get_ok(broker, "app.bin")
        self.has("app.bin", content)

    @unittest.skipUnless(os.geteuid() == 0, "mounts a small file system")
    def test_a_small_file_system(self):
        broker = self.serve({"all/app.bin": data(3000000)})
        small = self.path("small")
        os.mkdir(small)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", small],
                          stderr=subprocess.DEVNULL, check=False).returncode:
            self.skipTest("mount is not allowed")
        self.addCleanup(subprocess.run, ["umount", "-l", small], check=False)
        self.fails(2, broker, "app.bin", "-o", "small/", saying="No space left")
        self.assertEqual(os.listdir(small), [], "what cannot be of use is left")

    def test_a_part_belongs_to_one_process_and_a_mode_stays(self):
        broker = self.serve({"all/app.bin": data(400000)})
        proxy = Requests(broker.port)
        self.addCleanup(proxy.close)
        with open(self.path("app.bin"), "wb") as old:
            old.write(b"old")
        os.chmod(old.name, 0o751)
        proxy.hold_after([2000])
        first = self.get(proxy, *SLOW, "app.bin")
        with proxy.held():
            ondisk.eventually(lambda: self.state("app.bin"), "a part")
            self.fails(2, broker, "app.bin", client="dev2", saying="another ft-get writes it")
            with open(self.path("app.bin"), "rb") as old:
                self.assertEqual(old.read(), b"old")
        self.assertEqual(first.wait(60), 0, first.err)
        self.has("app.bin", data(400000))
        self.assertEqual(os.stat(self.path("app.bin")).st_mode & 0o777, 0o751)


if __name__ == "__main__":
    unittest.main()
