# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""on_complete: a program of the operator's judges files before they are visible."""
import os
import shutil
import unittest

from harness import ROOT, Case
from ondisk import eventually


class OnComplete(Case):
    """Programs that behave, and programs that do not."""

    shared = False

    def judge(self, script, **options):
        """A broker whose program is these lines of shell."""
        self.broker = self.start_broker({"assemble_timeout": "2s", **options}, start=False)
        self.path = os.path.join(self.broker.dir, "judge")
        self.broker.options["on_complete"] = self.path
        self.write(script)
        return self.broker.start()

    def write(self, script):
        with open(self.path + ".new", "w", encoding="utf-8") as out:
            out.write("#!/bin/sh\n" + script + "\n")
        os.chmod(self.path + ".new", 0o755)
        os.rename(self.path + ".new", self.path)

    def test_what_it_refuses_is_rejected_until_it_is_not(self):
        self.judge("echo scanning; echo 'no such files, please'; exit 3")
        device = self.device("dev")
        self.answered(device.upload("f", b"some bytes"), "rejected", ack=0, state="receiving",
                      detail="no such files, please")
        self.assertEqual(self.broker.storage.finished_files(), [])
        self.ok(device.status("f"), received=10)
        self.write("exit 0")
        self.ok(device.fin("f", 10))
        self.broker.storage.check_finished(self, "dev", "f", "data.bin", b"some bytes")

    def test_it_may_give_another_name_and_data(self):
        self.judge('echo \'{"name": "judged.bin", "user_data": {"by": "judge"}}\'')
        device = self.device("dev")
        self.ok(device.upload("f", b"x" * 3_000_000, user_data=1))
        manifest = self.broker.storage.manifest("dev", "f", "judged.bin")
        self.assertEqual((manifest["init_name"], manifest["user_data"]),
                         ("data.bin", {"by": "judge"}))
        self.ok(device.init("f", size=3_000_000), state="complete")

    def test_others_go_on_while_it_takes_its_time(self):
        self.judge('[ "$4" != slow.bin ] || sleep 1000')
        slow, quick = self.device("slow"), self.device("quick")
        self.ok(slow.init("f", "slow.bin"))
        self.ok(slow.segment("f", 0, b"some bytes"))
        waiting = slow.send(slow.topic("f", "fin", 10))
        self.ok(quick.upload("f", b"some bytes"))
        self.answered(slow.answer(waiting), "timeout", ack=0)

    def test_one_that_misbehaves_harms_nobody(self):
        self.judge("exit 0")
        device = self.device("dev")
        for number, (script, word) in enumerate((
                ("kill -SEGV $$", "internal_error"), ("yes | head -c 5000000", "success"),
                ("yes >&2 & yes", "timeout"), ("sleep 1000 & exit 0", "success"),
                ("exec <&- >&- 2>&-; exit 0", "success"), ("echo '{\"name\":\"a/b\"}'", "internal_error"),
                ("echo more >>\"$1\"", "internal_error"))):
            with self.subTest(script):
                self.write(script)
                self.assertEqual(device.upload(f"f{number}", b"some bytes").word, word)
        os.unlink(self.path)
        self.answered(device.upload("gone", b"some bytes"), "internal_error", ack=0)
        self.broker.check_serving()
        eventually(lambda: not any("memfd:file-transfer-input" in target
                                   for target in self.broker.open_files()), "nothing stays open")
        with open(f"/proc/{self.broker.process.pid}/task/{self.broker.process.pid}/children",
                  encoding="ascii") as children:
            self.assertEqual(children.read(), "", "no zombies")

    def test_it_runs_again_behind_a_kill_and_its_answer_is_told(self):
        self.judge(f"echo x >>{'$(dirname $0)'}/runs; sleep 1000", assemble_timeout="1m")
        device = self.device("dev", clean=False, session_expiry=300)
        self.ok(device.init("f"))
        self.ok(device.segment("f", 0, b"some bytes"))
        device.send(device.topic("f", "fin", 10))
        runs = os.path.join(self.broker.dir, "runs")
        eventually(lambda: os.path.exists(runs), "the program to run")
        self.broker.kill9()
        self.write(f"echo x >>{'$(dirname $0)'}/runs")
        self.broker.start()
        eventually(lambda: self.broker.storage.finished_files(), "the file")
        with open(runs, encoding="ascii") as lines:
            self.assertEqual(len(lines.readlines()), 2)

    def test_a_program_that_cannot_be_run_is_refused_at_the_start(self):
        broker = self.start_broker({"on_complete": "/nowhere/judge"}, start=False)
        status, log = broker.run_to_end()
        self.assertNotEqual(status, 0)
        self.assertIn("plugin_opt_on_complete /nowhere/judge", log)

    @unittest.skipUnless(shutil.which("file") and shutil.which("jq"), "file or jq is not installed")
    def test_the_example_judges_types_and_names(self):
        self.broker = self.start_broker({"on_complete": os.path.join(ROOT, "examples/on_complete.sh")})
        device = self.device("dev")
        with open(os.path.realpath("/bin/sh"), "rb") as file:
            program = file.read()
        self.answered(device.upload("f", program), "rejected", ack=0)
        self.ok(device.upload("g", b"some text\n", name="two words.txt"))
        self.assertTrue(os.path.exists(self.broker.storage.finished("dev", "g", "two_words.txt")))
