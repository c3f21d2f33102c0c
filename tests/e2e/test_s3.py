# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""store s3: finished files are objects, in a server that is strict, and then in one that is not."""
import datetime
import os
import subprocess
import sys
import time
import unittest
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))

from control import Operator  # noqa: E402
from device import pieces  # noqa: E402
from harness import BUILD, COMMAND, Case  # noqa: E402
from ondisk import eventually, sha256  # noqa: E402
from s3server import KEY, REGION, SECRET, S3Server  # noqa: E402
from s3server import Stored as Object  # noqa: E402
from settings import SETTINGS  # noqa: E402

MIB = 1 << 20
PART = 5 * MIB
SLOW_DOWN = (503, "SlowDown", "please reduce your request rate")


def is_built_in():
    with open(os.path.join(BUILD, "mosquitto_file_transfer.so"), "rb") as plugin:
        return b"AWS_SECRET_ACCESS_KEY" in plugin.read()


@unittest.skipUnless(is_built_in(), "the plugin was made without libcurl's header")
class S3Case(Case):
    """A broker, and a server of its own."""

    shared = False
    setting = SETTINGS["open"]

    def start(self, start=True, server=None, user="root", **options):
        self.server = server or S3Server().start()
        self.addCleanup(lambda: self.server.stop())
        self.broker = self.start_broker({
            "store": "s3", "s3_url": self.server.url + "/pre", "s3_region": REGION,
            "s3_part_size": str(PART), "log_size": "48M", **options}, start=False, user=user)
        self.broker.environment.update(AWS_ACCESS_KEY_ID=KEY, AWS_SECRET_ACCESS_KEY=SECRET)
        return self.broker.start() if start else self.broker

    def finished(self, client, file, name, content):
        """Object and manifest are there, and nothing of it is left on the disk."""
        object_ = self.server.objects[f"pre/{client}/{file}/{name}"]
        self.assertEqual(sha256(object_.body), sha256(content))
        manifest = self.server.objects[f"pre/{client}/{file}/{name}.manifest.json"]
        self.assertIn(sha256(content).encode(), manifest.body)
        self.assertEqual(object_.type, "application/octet-stream")
        self.assertEqual(object_.meta["x-amz-meta-client"], client)
        self.assertEqual(self.broker.storage.finished_files(), [])

    def said(self, text):
        return [line for line in self.broker.plugin_log() if text in line]

    def waits(self):
        return [line for line in self.broker.plugin_log() if "finished files wait" in line]


class Stored(S3Case):
    """What is where."""

    def test_files_become_objects_and_what_is_finished_is_told(self):
        self.start(done="on", files_ttl="1d")
        device = self.device("dev/ü")
        self.ok(device.upload("f 1", b"some bytes", name="a b+c.bin"))
        key = "pre/dev%2Fü/f%201/a b+c.bin"
        self.assertEqual(self.server.objects[key].body, b"some bytes")
        self.assertEqual(self.server.objects[key].meta["x-amz-meta-client"], "dev%2F%C3%BC")
        self.assertEqual(self.server.objects[key].meta["x-amz-meta-sha256"], sha256(b"some bytes"))
        self.ok(device.status("f 1"), state="complete")
        self.ok(device.fin("f 1", 10), state="complete")
        self.ok(device.segment("f 1", 5, b"bytes"), state="complete")
        self.answered(device.segment("f 1", 5, b"other"), "already_complete")
        self.answered(device.init("f 1", "other"), "filemeta_conflict", ack=0)
        eventually(lambda: os.listdir(os.path.join(self.broker.storage.path, "done")), "a notice")
        del self.server.objects[key], self.server.objects[key + ".manifest.json"]  # a consumer
        self.ok(device.status("f 1"), state="none")
        self.ok(device.upload("f 1", b"other bytes", name="a b+c.bin"))
        self.assertEqual(self.server.objects[key].body, b"other bytes")

    def test_files_that_are_kept_here_are_in_both(self):
        self.start(s3_keep_local="true")
        device = self.device("dev")
        big = os.urandom(2 * MIB)
        self.ok(device.upload("small", b"some bytes"))
        self.ok(device.upload("big", big))
        for file, content in (("small", b"some bytes"), ("big", big)):
            self.assertEqual(self.server.objects[f"pre/dev/{file}/data.bin"].body, content)
            self.broker.storage.check_finished(self, "dev", file, "data.bin", content)

    def test_a_large_file_is_sent_while_it_arrives(self):
        self.start()
        device = self.device("dev")
        content = bytearray(os.urandom(3 * PART + MIB))
        self.ok(device.init("f", size=len(content)))
        for offset, data in pieces(bytes(content), MIB):
            self.ok(device.segment("f", offset, data))
        eventually(lambda: len(self.parts()) == 3, "three parts")
        self.assertNotIn("pre/dev/f/data.bin", self.server.objects)
        content[PART + 5:PART + 9] = b"anew"
        self.ok(device.segment("f", PART + 5, b"anew"))
        eventually(lambda: b"anew" == self.parts().get(2, b"")[5:9], "the second part anew")
        self.ok(device.fin("f", len(content), sha256(bytes(content))))
        self.finished("dev", "f", "data.bin", bytes(content))
        self.assertEqual((self.server.uploads, len(self.server.begun)), ({}, 1))
        self.assertEqual(os.listdir(os.path.join(self.broker.storage.path, "s3")), [])

    def parts(self):
        with self.server.lock:
            uploads = list(self.server.uploads.values())
        return uploads[0][2] if uploads else {}

    def test_what_was_sent_ahead_is_taken_back_by_an_abort_and_after_a_kill(self):
        self.start()
        device = self.device("dev")
        content = os.urandom(PART + MIB)
        for file in ("aborted", "killed"):
            self.ok(device.init(file, size=len(content)))
            for offset, data in pieces(content, MIB):
                self.ok(device.segment(file, offset, data))
            eventually(lambda: self.parts(), "a part")
            if file == "aborted":
                self.ok(device.abort(file))
                eventually(lambda: not self.server.uploads, "an end of the upload")
        device.close()
        self.broker.kill9()
        self.broker.start()
        eventually(lambda: not self.server.uploads, "an end of the killed process's upload")
        device = self.device("dev")
        self.ok(device.fin("killed", len(content), sha256(content)))
        self.finished("dev", "killed", "data.bin", content)

    def test_what_is_there_is_not_asked_where_the_server_refuses_to_overwrite(self):
        for condition, expected in (("honoured", ["PUT", "PUT"]), ("ignored", ["GET", "PUT", "PUT"]),
                                    ("refused", ["GET", "PUT", "PUT"])):
            with self.subTest(condition):
                self.start()
                self.server.condition = condition
                device = self.device("dev")
                self.ok(device.upload("first", b"some bytes"))
                before = len(self.server.requests)
                self.ok(device.upload("second", b"some bytes"))
                self.assertEqual([request[0] for request in self.server.requests[before:]], expected)
                self.server.objects["pre/dev/third/data.bin"] = Object(b"another's", {})
                self.answered(device.upload("third", b"some bytes"), "already_complete", ack=0)
                self.assertEqual(self.server.objects["pre/dev/third/data.bin"].body, b"another's")

    def test_every_backend_s_contract_is_kept(self):
        server = S3Server().start()
        self.addCleanup(server.stop)
        server.page = 3
        for condition in ("honoured", "ignored", "refused"):
            server.condition = condition
            server.checksum = "refused" if condition == "refused" else "honoured"
            done = subprocess.run(
                [os.path.join(BUILD, "tests/contract/test_store")], check=False, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                env={**os.environ, "FT_S3_URL": server.url, "AWS_REGION": REGION,
                     "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET})
            self.assertIn("100%", done.stdout)
            self.assertEqual(done.returncode, 0, done.stdout)


class Same(S3Case):
    """Option `deduplicate`: S3 copies what the client would send again."""

    def finish(self, content, **options):
        self.start(deduplicate="on", **options)
        device = self.device("dev")
        self.ok(device.upload("one", content, name="a b+ü.bin"))
        return device

    def again(self, device, file, content, state):
        self.ok(device.init(file, name="n", size=len(content), checksum=sha256(content)), state=state)

    def test_the_same_file_is_copied_there(self):
        for content in (b"some bytes", os.urandom(PART + MIB)):
            with self.subTest(len(content)):
                device = self.finish(content)
                self.again(device, "two", content, "complete")
                self.finished("dev", "two", "n", content)
                one, two = (self.server.objects[f"pre/dev/{key}"].meta for key in ("one/a b+ü.bin", "two/n"))
                self.assertEqual((one["x-amz-meta-file"], two["x-amz-meta-file"]), ("one", "two"))
                self.assertNotEqual(one["x-amz-meta-transfer"], two["x-amz-meta-transfer"])
                self.ok(device.fin("two", len(content)), state="complete")
                del self.server.objects["pre/dev/one/a b+ü.bin"]  # the copy is an object of its own
                self.ok(device.segment("two", 0, content[:5]), state="complete")

    def test_what_is_not_there_as_it_was_is_sent(self):
        content = b"some bytes"
        device = self.finish(content)
        key = "pre/dev/one/a b+ü.bin"
        kept = self.server.objects[key]

        def changed(request):
            if request.command == "GET" and "range" in request.lower:
                self.server.objects[key] = Object(b"other byte", {})

        for number, (change, after) in enumerate((
                (lambda: self.server.objects.update({key: Object(b"SOME BYTES", {})}), None),
                (lambda: self.server.objects.update({key: Object(b"some bytes, and more", {})}), None),
                (lambda: self.server.objects.pop(key), None),
                (lambda: None, changed),  # between the look at it and the copy
                (lambda: setattr(self.server, "copies", "without metadata"), None))):
            self.server.objects[key] = kept
            change()
            self.server.after = after
            self.again(device, f"f{number}", content, "receiving")
            self.server.after = None
            self.assertNotIn(f"pre/dev/f{number}/n", self.server.objects)
            self.ok(device.segment(f"f{number}", 0, content))
            self.ok(device.fin(f"f{number}", len(content)))
            self.assertEqual(self.server.objects[f"pre/dev/f{number}/n"].body, content)

    def test_a_server_that_does_not_copy_is_told_of_and_not_asked_again(self):
        content = b"some bytes"
        device = self.finish(content)
        self.server.copies = "refused"
        self.again(device, "two", content, "receiving")
        self.ok(device.segment("two", 0, content))
        self.ok(device.fin("two", len(content)))
        eventually(lambda: self.said("does not copy objects"), "a line about it")
        asked = len(self.server.requests)
        self.again(device, "three", content, "receiving")
        self.assertNotIn("HEAD", [request[0] for request in self.server.requests[asked:]])
        self.assertEqual(self.waits(), [])


class Urls(S3Case):
    """By which somebody reads a finished file who has no keys."""

    def operator(self):
        operator = Operator(self.broker.endpoint, self.new_id("operator"))
        self._clients.append(operator)
        return operator.connect()

    def read(self, url):
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    def ft_ctl(self, *arguments):
        done = subprocess.run([os.path.join(BUILD, "ft-ctl"), "-h", "127.0.0.1", "-p", str(self.broker.port),
                               *arguments], check=False, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
        return done.returncode, done.stdout, done.stderr

    def test_a_url_reads_one_file_until_its_time_is_over(self):
        self.server = S3Server().start()
        self.server.token = "to+ken/=="
        self.start(start=False, server=self.server, control="trusted")
        self.broker.environment["AWS_SESSION_TOKEN"] = self.server.token
        self.broker.start()
        device, operator = self.device("dev/ü"), self.operator()
        self.ok(device.upload("f 1", b"some bytes", name="a b+c.bin"))
        self.ok(device.upload("f2", b"other bytes"))
        names = {"client_id": "dev/ü", "file_id": "f 1"}
        before = time.time()
        told = operator.do("getFile", **names)
        ends = datetime.datetime.fromisoformat(told["url_expires_at"].replace("Z", "+00:00")).timestamp()
        self.assertLess(abs(ends - before - 3600), 600)
        self.assertNotIn("path", told)
        self.assertEqual(self.read(told["url"]), b"some bytes")
        self.assertEqual(self.read(told["url"].replace("f%25201", "f%25202")), 403)
        code, url, _ = self.ft_ctl("url", "dev/ü", "f 1", "--ttl", "2h")
        self.assertEqual((code, self.read(url.strip())), (0, b"some bytes"))
        self.server.clock_shift = 3700
        self.assertEqual((self.read(told["url"]), self.read(url.strip())), (403, b"some bytes"))
        self.server.clock_shift = 7300
        self.assertEqual(self.read(url.strip()), 403)
        self.server.clock_shift = 0
        for wrong in (0, 604801, "1h"):
            self.assertEqual(operator.error("getFile", url_ttl=wrong, **names), "invalid_command")
        self.assertIn("X-Amz-Expires=604800&", operator.do("getFile", url_ttl=604800, **names)["url"])
        for secret in ("X-Amz-", SECRET, self.server.token):
            self.assertNotIn(secret, self.broker.log())

    def test_without_a_file_or_a_store_that_can_there_is_none(self):
        self.start(control="trusted")
        device, operator = self.device("dev"), self.operator()
        self.ok(device.upload("f", b"some bytes"))
        self.server.stop()
        self.assertIsNone(operator.do("getFile", client_id="dev", file_id="f")["present"])
        self.server.start()
        self.server.objects.clear()
        told = eventually(lambda: next((t for t in [operator.do("getFile", client_id="dev", file_id="f")]
                                        if t["present"] is not None), None), "S3 again")
        self.assertEqual((told["present"], told.get("url")), (False, None))
        code, out, said = self.ft_ctl("url", "dev", "f")
        self.assertEqual((code, out), (5, ""))
        self.assertIn("taken away", said)
        code, out, said = self.ft_ctl("url", "dev", "nothing")
        self.assertEqual((code, out), (5, ""))
        self.assertIn("no_such_transfer", said)
        self.broker = self.start_broker({"control": "trusted"})
        self.ok(self.device("dev", broker=self.broker).upload("f", b"some bytes"))
        code, out, said = self.ft_ctl("url", "dev", "f")
        self.assertEqual((code, out), (5, ""))
        self.assertIn("store s3", said)


class Refused(S3Case):
    """What keeps the broker from starting, and the line that says why."""

    def test_what_is_missing_or_wrong_is_said(self):
        self.start(start=False)
        credentials = os.path.join(self.broker.dir, "credentials")
        with open(credentials, "w", encoding="ascii") as out:
            out.write("[default]\naws_access_key_id = x\n")
        options = dict(self.broker.options)
        for change, text in (
                ({"s3_url": None}, "needs plugin_opt_s3_url"),
                ({"s3_url": "s3://bucket"}, "must be http:// or https://"),
                ({"s3_url": "https://host"}, "has no bucket"),
                ({"s3_key": "<client>/<name>"}, "must have <client> and <file>"),
                ({"s3_credentials_file": credentials}, "has no aws_access_key_id and aws_secret"),
                ({"s3_ca_file": "/nowhere"}, "s3_ca_file cannot be read"),
                ({"store": "fs"}, "is of use with plugin_opt_store s3 only")):
            self.broker.options = {**options, **change}
            status, log = self.broker.run_to_end()
            self.assertNotIn(status, (0, None), text)
            self.assertIn(text, log)
        self.broker.options = options
        del self.broker.environment["AWS_ACCESS_KEY_ID"]
        self.assertIn("there are no keys", self.broker.run_to_end()[1])
        if len(COMMAND) > 1:
            return  # it is started by a loader, which says where libraries are
        self.broker.environment.update(AWS_ACCESS_KEY_ID=KEY, LD_LIBRARY_PATH=self.broker.dir)
        for name in ("libcurl.so.4", "libcurl-gnutls.so.4"):
            with open(os.path.join(self.broker.dir, name), "w", encoding="ascii") as out:
                out.write("none")
        self.assertIn("libcurl.so.4 cannot be loaded", self.broker.run_to_end()[1])


class BadWeather(S3Case):
    """A server that does not take files now: a fin that was accepted waits, and nothing is lost."""

    def outage(self, begin, end, text):
        """A small and a larger file during it, and a restart of the broker in the middle."""
        device = self.device("dev", clean=False, session_expiry=600)
        big = os.urandom(2 * MIB)
        begin()
        self.ok(device.init("big", size=len(big)))
        for offset, data in pieces(big, MIB):
            self.ok(device.segment("big", offset, data))
        tickets = [device.send(device.topic("big", "fin", len(big))),
                   device.send(device.topic("small", "put", "data.bin"), b"some bytes")]
        for ticket in tickets:
            self.assertEqual(device.acked(ticket[0]), 0)
        eventually(self.waits, "a line about it")
        self.assertIn(text, self.waits()[0])
        eventually(lambda: "waits until" in device.status("big").get("detail", ""), "a status that says so")
        self.assertEqual(device.status("big").get("state"), "assembling")
        self.assertEqual(len(self.waits()), 1)
        end()
        for _, topic, correlation in tickets:
            self.assertEqual(device.response(topic, correlation).payload.count(b'"success"'), 1)
        self.finished("dev", "big", "data.bin", big)
        self.finished("dev", "small", "data.bin", b"some bytes")
        eventually(lambda: self.said("takes files again"), "a line about the end")

    def test_what_s3_refuses_for_a_while_waits(self):
        self.start()
        self.outage(lambda: setattr(self.server, "fault", lambda _: SLOW_DOWN),
                    lambda: setattr(self.server, "fault", None), "has too much to do")

    def test_keys_that_are_replaced_are_read_again(self):
        self.start(start=False)
        path = os.path.join(self.broker.dir, "credentials")

        def write(secret):
            with open(path + ".new", "w", encoding="ascii") as out:
                out.write(f"[other]\nx=y\n[device]\naws_access_key_id={KEY}\naws_secret_access_key = "
                          f"{secret}\naws_session_token=tok\n")
            os.rename(path + ".new", path)
        write(SECRET)
        self.server.token = "tok"
        self.broker.options.update(s3_credentials_file=path, s3_profile="device")
        self.broker.start()
        self.outage(lambda: write("wrong"), lambda: write(SECRET), "does not know these keys")
        self.assertNotIn(SECRET, self.broker.log())

    def test_a_wrong_clock_a_missing_bucket_and_a_full_one_are_told(self):
        self.start()
        device = self.device("dev")
        for number, (begin, text) in enumerate((
                (lambda: setattr(self.server, "clock_shift", 3600), "clock"),
                (lambda: setattr(self.server, "buckets", set()), "has no such bucket"),
                (lambda: setattr(self.server, "fault", lambda r: r.command == "PUT" and (507, "x")),
                 "has no room"),
                (lambda: setattr(self.server, "fault", lambda _: (403, "AccessDenied")), "denies it"),
                (lambda: setattr(self.server, "fault", lambda _: (400, "ExpiredToken")), "renew s3_credentials_file"),
                (lambda: setattr(self.server, "fault", lambda r: r.command == "PUT" and (400, "EntityTooLarge")),
                 "lower s3_part_size"),
                (lambda: setattr(self.server, "fault", lambda r: r.command == "PUT" and (403, "QuotaExceeded")),
                 "raise the quota"),
                (lambda: setattr(self.server, "fault", lambda _: (301, "PermanentRedirect")),
                 "correct s3_region and s3_url"),
                (lambda: setattr(self.server, "fault", lambda _: (307, "TemporaryRedirect")),
                 "correct s3_region and s3_url"))):
            begin()
            before = len(self.waits())
            ticket = device.send(device.topic(f"f{number}", "put", "x"), b"some bytes")
            eventually(lambda: [line for line in self.waits()[before:] if text in line], text)
            self.server.clock_shift, self.server.fault, self.server.buckets = 0, None, {"bucket"}
            self.ok(device.answer(ticket))
        # what is finished is not taken for taken, while the bucket is away
        self.server.buckets = set()
        self.assertEqual(device.status("f0").get("state"), "complete")

    def test_an_outage_survives_a_kill_and_a_restart_and_ends_in_time(self):
        self.start()
        device = self.device("dev", clean=False, session_expiry=600)
        self.server.stop()
        ticket = device.send(device.topic("f", "put", "x"), b"some bytes")
        self.assertEqual(device.acked(ticket[0]), 0)
        eventually(self.waits, "a line")
        self.assertIn("cannot be reached", self.waits()[0])
        device.close()
        self.broker.kill9()
        self.broker.start()
        eventually(self.waits, "a line")
        began = time.monotonic()
        self.broker.stop()
        self.assertLess(time.monotonic() - began, 10)
        self.server.start()
        self.broker.start()
        eventually(lambda: "pre/dev/f/x.manifest.json" in self.server.objects, "the file", 60)
        self.finished("dev", "f", "x", b"some bytes")

    def test_a_stalled_server_holds_up_neither_others_nor_the_end(self):
        self.start()
        device, other = self.device("dev"), self.device("other")
        self.server.fault = lambda _: time.sleep(20)
        ticket = device.send(device.topic("f", "put", "x"), b"some bytes")
        self.assertEqual(device.acked(ticket[0]), 0)
        eventually(lambda: self.server.requests, "a request")
        self.ok(other.init("f"))
        self.ok(other.segment("f", 0, b"x"))
        began = time.monotonic()
        self.broker.stop()
        self.assertLess(time.monotonic() - began, 10)
        self.server.fault = None
        self.broker.start()
        eventually(lambda: "pre/dev/f/x.manifest.json" in self.server.objects, "the file", 60)

    def test_answers_that_are_lost_are_no_conflicts(self):
        self.start()
        lost = set()

        def lose_once(request):
            if request.command in ("PUT", "POST") and request.path not in lost:
                lost.add(request.path)
                return "cut"
            return None
        self.server.after = lose_once
        device = self.device("dev")
        big = os.urandom(PART + MIB)
        self.ok(device.upload("small", b"some bytes"))
        self.ok(device.upload("big", big))
        self.finished("dev", "small", "data.bin", b"some bytes")
        self.finished("dev", "big", "data.bin", big)
        self.assertGreater(len(lost), 5)

    def large(self):
        """One in parts, whose last is left for the end."""
        return self.device("dev"), os.urandom(PART + MIB)

    def test_a_part_that_is_cut_off_is_sent_again(self):
        self.start()
        device, big = self.large()
        cut = []

        def cut_once(request):
            if "partNumber" in request.raw_query and request.raw_query not in cut:
                cut.append(request.raw_query)
                return True
            return False
        self.server.cut_in_body = cut_once
        self.ok(device.upload("f", big))
        self.finished("dev", "f", "data.bin", big)
        self.assertEqual((len(cut), self.waits()), (2, []))

    def test_an_error_behind_200_is_none_of_success(self):
        self.start()
        device, big = self.large()
        told = []

        def fail_once(request, status, headers, body):
            if request.command == "POST" and "uploadId" in request.raw_query and not told:
                told.append(request.key)
                # As if it had not been done: it is there again, and its upload, too.
                stored = self.server.objects.pop("pre/dev/f/data.bin")
                half = [stored.body[:PART], stored.body[PART:]]
                self.server.uploads[self.server.begun[-1]] = ("pre/dev/f/data.bin", stored.headers,
                                                              dict(enumerate(half, 1)))
                return status, headers, b"<?xml version='1.0'?>\n  \n<Error><Code>InternalError</Code></Error>"
            return status, headers, body
        self.server.rewrite = fail_once
        self.ok(device.upload("f", big))
        self.finished("dev", "f", "data.bin", big)
        self.assertEqual((len(told), self.waits()), (1, []))

    def test_another_s_object_is_told_of_behind_200_too(self):
        self.start()
        device, big = self.large()

        def other(request, status, headers, body):
            if request.command == "POST" and "uploadId" in request.raw_query:
                self.server.objects["pre/dev/f/data.bin"] = Object(b"another's", {})
                return status, headers, b"<Error><Code>PreconditionFailed</Code></Error>"
            return status, headers, body
        self.server.rewrite = other
        self.answered(device.upload("f", big), "already_complete", ack=0)
        self.assertEqual(self.server.objects["pre/dev/f/data.bin"].body, b"another's")

    def test_bytes_that_arrived_as_others_are_sent_again(self):
        self.start()
        device, told = self.device("dev"), []

        def wrong_once(request, status, headers, body):
            if request.command == "PUT" and not told:
                told.append(request.key)
                return status, {**headers, "ETag": f'"{"0" * 32}"'}, body
            return status, headers, body
        self.server.rewrite = wrong_once
        self.ok(device.upload("f", b"some bytes"))
        self.finished("dev", "f", "data.bin", b"some bytes")
        self.assertEqual(len([r for r in self.server.requests if r[0] == "DELETE"]), 1)
        eventually(lambda: "is not that of what was sent" in "".join(self.waits()), "a line about it")

    def test_an_answer_that_dribbles_holds_up_nobody_else_nor_the_end(self):
        self.start()
        device, other = self.device("dev"), self.device("other")
        self.server.dribble, self.server.dribble_s = 16, 0.02
        self.ok(device.upload("f", b"some bytes"))
        self.finished("dev", "f", "data.bin", b"some bytes")
        self.server.dribble, self.server.dribble_s = 1, 1
        asked = len(self.server.requests)
        ticket = device.send(device.topic("g", "put", "x"), b"some bytes")
        self.assertEqual(device.acked(ticket[0]), 0)
        eventually(lambda: len(self.server.requests) > asked, "a request")
        self.ok(other.init("f"))
        self.ok(other.segment("f", 0, b"x"))
        began = time.monotonic()
        self.broker.stop()
        self.assertLess(time.monotonic() - began, 10)

    def test_an_abort_ends_the_waiting(self):
        self.start()
        device = self.device("dev")
        self.server.fault = lambda _: SLOW_DOWN
        self.ok(device.init("f", size=10))
        self.ok(device.segment("f", 0, b"some bytes"))
        ticket = device.send(device.topic("f", "fin", 10))
        eventually(self.waits, "a line")
        self.ok(device.abort("f"))
        self.answered(device.answer(ticket), "no_such_transfer", ack=0)
        self.server.fault = None
        self.ok(device.status("f"), state="none")
        self.assertEqual(self.server.objects, {})

    def test_another_s_object_is_not_overwritten(self):
        self.start()
        device = self.device("dev")
        for condition in ("honoured", "ignored"):
            self.server.condition = condition
            self.server.objects[f"pre/dev/{condition}/data.bin"] = Object(b"another's", {})
            self.answered(device.upload(condition, b"some bytes"), "already_complete", ack=0)
            self.assertEqual(self.server.objects[f"pre/dev/{condition}/data.bin"].body, b"another's")
