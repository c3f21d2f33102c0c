# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Jobs, as AWS's clients ask for them: $aws/things/<thing>/jobs/..., and ft-job, which makes them.

What devices send here was recorded from AWS's jobs library, its file streams library and its OTA
agent, built as they are.
"""
import base64
import json
import os
import re
import shutil
import subprocess
import unittest

from device import REFUSED
from harness import ROOT, Case, work_dir
from ondisk import eventually
from settings import SETTINGS
from test_aws_streams import block_of
from test_downloads import Shop

# What the libraries publish. CBOR: c, f, l, o, b (four bytes that are no bitmap), n.
START_NEXT = bytes.fromhex("7b22636c69656e74546f6b656e223a2274657374227d")
GET_CBOR = bytes.fromhex("a6616363726479616600616c191000616f006162444d513d3d616e01")
GET_JSON = bytes.fromhex("7b2273223a20312c2266223a20302c226c223a20343039362c226f223a20302c226e223a20317d")
SUCCEEDED = bytes.fromhex("7b22737461747573223a22535543434545444544222c226578706563746564"
                          "56657273696f6e223a2232227d")
# What the agent publishes: it asks, tells how far it is, is ready for its test, and has passed it.
AGENT_NEXT = b'{"clientToken":":%s"}'
AGENT_BLOCKS = bytes.fromhex("a6616363726479616600616c191000616f0061624101616e08")
AGENT_RECEIVING = bytes.fromhex("7b22737461747573223a22494e5f50524f4752455353222c2273746174757344657461"
                                "696c73223a7b2272656365697665223a22312f3439227d7d")
AGENT_READY = bytes.fromhex("7b22737461747573223a22494e5f50524f4752455353222c2273746174757344657461696c"
                            "73223a7b2273656c665f74657374223a227265616479222c22757064617465644279223a22"
                            "30783030303930303031227d7d")
AGENT_ACTIVE = bytes.fromhex("7b22737461747573223a22494e5f50524f4752455353222c2273746174757344657461696c"
                             "73223a7b2273656c665f74657374223a22616374697665222c22757064617465644279223a"
                             "2230783030306130303031227d7d")
AGENT_ACCEPTED = bytes.fromhex("7b22737461747573223a22535543434545444544222c2273746174757344657461696c73"
                               "223a7b22726561736f6e223a226163636570746564202076302e31302e31222c227570646174"
                               "65644279223a22202076302e392e31227d7d")
DOCUMENT = b'{"afr_ota":{"protocols":["MQTT"],"streamname":"%s","files":[{"filesize":3}]}}'


class Desk(Shop):
    """The folder jobs/ of a broker."""

    def __init__(self, broker):
        super().__init__(broker)
        self.root = os.path.join(broker.storage.path, "jobs")

    def remove(self, below):
        os.unlink(os.path.join(self.root, below))


def timeless(payload):
    """Times of now as T; those of files stay."""
    return re.sub(rb'("(?:timestamp|startedAt|lastUpdatedAt)":)1[1-9]\d{8}', rb"\1T", payload)


def execution(thing, job, document, status="QUEUED", details=b"{}", version=1):
    times = b'"lastUpdatedAt":1000000000' if status == "QUEUED" else b'"startedAt":T,"lastUpdatedAt":T'
    return (b'"execution":{"jobId":"%s","thingName":"%s","status":"%s","statusDetails":%s,'
            b'"queuedAt":1000000000,%s,"versionNumber":%d,"executionNumber":1,"jobDocument":%s}' %
            (job.encode(), thing.encode(), status.encode(), details, times, version, document))


class JobsCase(Case):
    setting = SETTINGS["open"]
    options = {"downloads": "aws,jobs", "offers_interval": "1s"}

    def topic(self, device, rest, thing=None):
        return f"$aws/things/{thing or device.client_id}/jobs/{rest}"

    def told(self, device, rest, thing=None):
        return timeless(device.message(self.topic(device, rest, thing)).payload)

    def ask(self, device, rest, payload=b"{}", qos=1, thing=None):
        """The answer: its word, its payload without the times. PUBACK is a success."""
        topic = self.topic(device, rest, thing)
        mid = device.publish(topic, payload, qos)
        message = device.message(where=lambda m: m.topic.startswith(topic + "/"))
        self.assertEqual((message.qos, message.retain), (0, False))
        if qos:
            self.assertEqual(device.acked(mid), 0)
        return message.topic[len(topic) + 1:], timeless(message.payload)

    def accepted(self, device, rest, payload=b"{}", **options):
        word, answer = self.ask(device, rest, payload, **options)
        self.assertEqual(word, "accepted", answer)
        return answer

    def rejected(self, device, rest, payload=b"{}", **options):
        word, answer = self.ask(device, rest, payload, **options)
        self.assertEqual(word, "rejected", answer)
        body = json.loads(answer.replace(b":T", b":0"))
        self.assertEqual([key for key in body if key not in ("clientToken", "executionState")],
                         ["code", "message", "timestamp"])
        return body["code"]

    def has_job(self, device, job):
        return b'"jobId":"%s"' % job.encode() in self.accepted(device, "get")

    def await_job(self, device, job):
        eventually(lambda: self.has_job(device, job), f"job {job}", 20)
        device.ping()
        device.messages.clear()

    def assert_silent(self, device):
        device.ping()
        self.assertEqual([m.topic for m in device.messages], [])


class Jobs(JobsCase):
    shared = True

    def setUp(self):
        super().setUp()
        self.desk, self.shop = Desk(self.broker), Shop(self.broker)

    def offer(self, device, job, content=b"abc"):
        """A job with its stream, for one device, which is known. Returns the document."""
        self.accepted(device, "get")
        document = DOCUMENT % job.encode()
        self.shop.put(f"client/{device.client_id}/streams/{job}/0", content)
        self.desk.put(f"client/{device.client_id}/{job}.json", document + b"\n")
        self.await_job(device, job)
        return document

    def test_the_libraries_do_a_whole_update(self):
        """Jobs and file streams, without a subscription."""
        for version in self.versions:
            for qos in 0, 1:
                device = self.device(version=version, responses=False)
                me, job = device.client_id, f"J-{version}_{qos}"
                document = self.offer(device, job)
                self.assertEqual(self.accepted(device, "start-next", START_NEXT, qos=qos),
                                 b'{"clientToken":"test","timestamp":T,' +
                                 execution(me, job, document, "IN_PROGRESS", version=2) + b"}")
                for encoding, request in (("cbor", GET_CBOR), ("json", GET_JSON)):
                    device.publish(f"$aws/things/{me}/streams/{job}/get/{encoding}", request, qos=qos)
                    message = device.message(f"$aws/things/{me}/streams/{job}/data/{encoding}")
                    self.assertEqual(block_of(message), (0, 3, 0, b"abc"))
                self.assertEqual(self.accepted(device, f"{job}/update", SUCCEEDED, qos=qos), b'{"timestamp":T}')
                self.assertEqual(self.told(device, "notify"), b'{"timestamp":T,"jobs":{}}')
                self.assertEqual(self.told(device, "notify-next"), b'{"timestamp":T}')
                self.assertEqual(self.accepted(device, "start-next", START_NEXT, qos=qos),
                                 b'{"clientToken":"test","timestamp":T}')
                self.assertEqual(self.ask(device, f"{job}/update", SUCCEEDED, qos=qos)[0], "rejected")
                self.assert_silent(device)

    def test_the_agent_is_brought_through_its_reboot(self):
        for version in self.versions:
            device = self.device(version=version, responses=False)
            me, job = device.client_id, f"agent-{version}"
            document = self.offer(device, job)
            device.subscribe(self.topic(device, "notify-next"))
            asked = AGENT_NEXT % me.encode()
            begin = b'{"clientToken":":%s","timestamp":T,' % me.encode()
            self.assertEqual(self.accepted(device, "$next/get", asked),
                             begin + execution(me, job, document) + b"}")
            device.publish(f"$aws/things/{me}/streams/{job}/get/cbor", AGENT_BLOCKS, qos=0)
            self.assertEqual(block_of(device.message(f"$aws/things/{me}/streams/{job}/data/cbor"))[3], b"abc")
            for update in AGENT_RECEIVING, AGENT_READY:
                self.assertEqual(self.accepted(device, f"{job}/update", update), b'{"timestamp":T}')
            self.assert_silent(device)
            device.close()
            device.connect()
            details = b'{"self_test":"ready","updatedBy":"0x00090001"}'
            self.assertEqual(self.accepted(device, "$next/get", asked),
                             begin + execution(me, job, document, "IN_PROGRESS", details, 3) + b"}")
            for update in AGENT_ACTIVE, AGENT_ACCEPTED:
                self.assertEqual(self.accepted(device, f"{job}/update", update), b'{"timestamp":T}')
            self.assertEqual(self.told(device, "notify-next"), b'{"timestamp":T}')
            self.assertEqual(self.accepted(device, "$next/get", asked), begin[:-1] + b"}")

    def test_requests_may_be_pipelined(self):
        device = self.device(responses=False)
        self.offer(device, "pipe")
        device.publish(self.topic(device, "start-next"), START_NEXT, qos=0)
        for _ in range(20):
            device.publish(self.topic(device, "pipe/update"), AGENT_RECEIVING, qos=0)
        device.publish(self.topic(device, "pipe/update"), b'{"status":"FAILED","expectedVersion":"22",'
                       b'"includeJobExecutionState":true}', qos=0)
        device.message(self.topic(device, "start-next/accepted"))
        for _ in range(20):
            self.assertEqual(self.told(device, "pipe/update/accepted"), b'{"timestamp":T}')
        self.assertEqual(self.told(device, "pipe/update/accepted"),
                         b'{"timestamp":T,"executionState":{"status":"FAILED",'
                         b'"statusDetails":{"receive":"1/49"},"versionNumber":23}}')

    def test_jobs_are_told_of_to_those_that_they_are_for(self):
        """To all that have asked since they are connected, by name: nobody has subscribed."""
        members, others = [self.device(f"news{i}") for i in range(3)], [self.device() for _ in range(3)]
        with open(os.path.join(self.broker.storage.path, "offers", "groups"), "w", encoding="ascii") as groups:
            groups.write("news: client:news?\n")
        watcher, silent = self.device(), self.device()
        watcher.subscribe("$aws/#", "#")
        for device in members + others:
            self.assertEqual(self.accepted(device, "$next/get"), b'{"timestamp":T}')
        self.desk.put("group/news/group-job.json", b'{"a":1}')
        for device in members:
            self.assertEqual(self.told(device, "notify-next"), b'{"timestamp":T,' +
                             execution(device.client_id, "group-job", b'{"a":1}') + b"}")
            self.assertEqual(self.told(device, "notify"),
                             b'{"timestamp":T,"jobs":{"QUEUED":[{"jobId":"group-job","queuedAt":1000000000,'
                             b'"lastUpdatedAt":1000000000,"versionNumber":1,"executionNumber":1}]}}')
        for device in others:
            self.assertEqual(self.accepted(device, "$next/get"), b'{"timestamp":T}')
        # One ends it, one reconnects: each is for itself.
        self.assertEqual(self.accepted(members[0], "group-job/update", b'{"status":"REJECTED"}'), b'{"timestamp":T}')
        self.assertEqual(self.told(members[0], "notify-next"), b'{"timestamp":T}')
        members[1].close()
        members[1].connect()
        self.assertIn(b'"status":"IN_PROGRESS"', self.accepted(members[1], "start-next"))
        self.desk.remove("group/news/group-job.json")
        for device in members[1:]:
            self.assertEqual(self.told(device, "notify-next"), b'{"timestamp":T}')
        self.assertEqual(self.rejected(members[1], "group-job/update", SUCCEEDED), "ResourceNotFound")
        for device in [watcher, silent] + others:
            self.assert_silent(device)

    def test_who_has_subscribed_hears_of_what_it_did_not_ask_for(self):
        """A session that outlives its connection; a client that comes back and asks for nothing."""
        sleeper, back = self.device(version=4, clean=False, responses=False), self.device(responses=False)
        for device in sleeper, back:
            device.subscribe(self.topic(device, "notify-next"), qos=1)
            self.assertNotIn(b"execution", self.accepted(device, "$next/get"))
            device.close()
        back.connect()
        back.subscribe(self.topic(back, "notify-next"), qos=1)
        for device in sleeper, back:
            self.desk.put(f"client/{device.client_id}/asleep.json", b"{}")
        message = back.message(self.topic(back, "notify-next"))
        self.assertEqual((message.qos, message.retain), (1, False))
        self.assertEqual(timeless(message.payload), b'{"timestamp":T,' + execution(back.client_id, "asleep", b"{}") + b"}")
        self.assert_silent(back)
        probe = self.device(sleeper.client_id + "-probe", responses=False)
        self.desk.put(f"client/{probe.client_id}/last.json", b"{}")
        self.await_job(probe, "last")
        sleeper.connect()
        if sleeper.connack.session_present:
            self.assertIn(b'"jobId":"asleep"', sleeper.message(self.topic(sleeper, "notify-next")).payload)
        # From now on by name, and once though it has subscribed.
        self.assertIn(b'"jobId":"asleep"', self.accepted(back, "$next/get"))
        self.desk.remove(f"client/{back.client_id}/asleep.json")
        self.assertEqual(self.told(back, "notify-next"), b'{"timestamp":T}')
        self.assertEqual(self.told(back, "notify"), b'{"timestamp":T,"jobs":{}}')
        self.assert_silent(back)

    def test_every_refused_request_has_one_answer_and_keeps_the_connection(self):
        watcher = self.device()
        watcher.subscribe("#", "$aws/#")
        for version in self.versions:
            device = self.device(version=version)
            self.offer(device, f"hostile-{version}")
            good = f"hostile-{version}"
            wrong = (("get", b"{", "InvalidJson"), ("get", b"\xff", "InvalidJson"), ("get", b"[]", "InvalidRequest"),
                     ("start-next", b'{"clientToken":7}', "InvalidRequest"),
                     ("start-next", b'{"statusDetails":7}', "InvalidRequest"),
                     ("start-next", b" " * 40000, "InvalidRequest"),
                     ("$next/get", b'{"executionNumber":2}', "ResourceNotFound"),
                     ("none/get", b"", "ResourceNotFound"), ("a.b/update", SUCCEEDED, "ResourceNotFound"),
                     ("x" * 200 + "/update", SUCCEEDED, "ResourceNotFound"),
                     ("/update", SUCCEEDED, "InvalidTopic"), ("//update", SUCCEEDED, "InvalidTopic"),
                     ("", b"", "InvalidTopic"), ("get/", b"", "InvalidTopic"), (good, b"", "InvalidTopic"),
                     (f"{good}/delete", b"", "InvalidTopic"), ("$next/update", SUCCEEDED, "InvalidTopic"),
                     (f"{good}/update", b"", "InvalidRequest"),
                     (f"{good}/update", b'{"status":"CANCELED"}', "InvalidRequest"),
                     (f"{good}/update", b'{"status":"FAILED","expectedVersion":"two"}', "InvalidRequest"),
                     (f"{good}/update", SUCCEEDED, "VersionMismatch"))
            for rest, payload, code in wrong:
                for qos in 0, 1:
                    with self.subTest(rest[:40], payload=payload[:40], version=version):
                        self.assertEqual(self.rejected(device, rest, payload, qos=qos), code)
            self.assertEqual(self.rejected(device, "start-next", thing="somebody"), "Unauthorized")
            # An answer's topic would be too long for MQTT.
            for rest, qos in (("/jobs/get", 0), ("/streams/s/get/json", 1)):
                topic = "$aws/things/" + "x" * (65535 - len("$aws/things/" + rest)) + rest
                mid = device.publish(topic, b"{}", qos=qos)
                if qos:
                    self.assertEqual(device.acked(mid), 0)
            self.assert_silent(device)
            self.assertTrue(self.has_job(device, good))
        self.assert_silent(watcher)

    def test_a_job_of_a_user_is_one_for_all_its_clients(self):
        first, second = (self.device(username="joe") for _ in range(2))
        self.desk.put("user/joe/joes.json", b"{}")
        eventually(lambda: b"joes" in self.accepted(first, "get", thing="joe"), "a job", 20)
        self.assertIn(b'"thingName":"joe","status":"IN_PROGRESS"', self.accepted(first, "start-next", thing="joe"))
        self.assertIn(b'"status":"IN_PROGRESS"', self.accepted(second, "$next/get", thing="joe"))
        # As itself it is another thing, which sees the job, too.
        self.assertIn(b'"status":"QUEUED"', self.accepted(second, "$next/get"))

    def test_nobody_but_the_broker_publishes_answers(self):
        watcher = self.device()
        watcher.subscribe("$aws/#")
        for version in self.versions:
            device = self.device(version=version)
            for rest in ("notify", "notify-next", "get/accepted", "$next/get/accepted", "j/update/rejected",
                         "start-next/accepted", "/update/rejected"):
                ack = device.acked(device.publish(self.topic(device, rest), b"lie", retain=True))
                self.assertEqual(ack, REFUSED if version == 5 else 0)
                device.publish(self.topic(device, rest), b"lie", qos=0)
            self.assertTrue(device.is_alive())
        self.assert_silent(watcher)

    def test_other_topics_of_aws_are_ordinary_ones(self):
        watcher, device = self.device(), self.device()
        watcher.subscribe("$aws/#")
        for topic in ("$aws/things/x/jobs", "$aws/things/x/shadow/update", "$aws/things//jobs/get"):
            device.publish(topic, b"x", qos=0)
            self.assertEqual(watcher.message(topic).payload, b"x")


class Made(JobsCase):
    """ft-job, for a broker that looks for jobs."""

    shared = True

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = work_dir("ft-job")
        for command in (["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", cls.path("key.pem")],
                        ["ec", "-in", cls.path("key.pem"), "-pubout", "-out", cls.path("public.pem")]):
            subprocess.run(["openssl", *command], check=True, capture_output=True)
        with open(cls.path("app.bin"), "wb") as file:
            file.write(os.urandom(10000))

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        shutil.rmtree(cls.folder)

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder, name)

    def ft_job(self, *arguments, storage=None):
        return subprocess.run([os.path.join(ROOT, "examples", "ft-job"), "-d",
                               storage or self.broker.storage.path, *arguments],
                              check=False, capture_output=True, text=True)

    def made(self, *arguments, **options):
        done = self.ft_job("-k", self.path("key.pem"), *arguments, **options)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def test_devices_verify_what_it_makes(self):
        device = self.device("made", responses=False)
        self.assertEqual(self.accepted(device, "$next/get"), b'{"timestamp":T}')
        self.assertRegex(self.made("--client", "made", self.path("app.bin")),
                         r"^job app_bin-[0-9a-f]{12} for client/made: app.bin, 10000 bytes, stream app_bin-")
        # The stream can be asked for at once.
        job = json.loads(device.message(self.topic(device, "notify-next")).payload)["execution"]
        ota = job["jobDocument"]["afr_ota"]
        file = ota["files"][0]
        device.publish(f"$aws/things/made/streams/{ota['streamname']}/get/json",
                       json.dumps({"f": file["fileid"], "l": 4096, "n": 3}), qos=0)
        content = b"".join(block_of(device.message(f"$aws/things/made/streams/{ota['streamname']}/data/json"))[3]
                           for _ in range(3))
        self.assertEqual((ota["protocols"], file["filepath"], file["filesize"], file["certfile"], file["fileType"]),
                         (["MQTT"], "/app.bin", len(content), "/cert.pem", 0))
        with open(self.path("signature"), "wb") as signature:
            signature.write(base64.b64decode(file["sig-sha256-ecdsa"], validate=True))
        subprocess.run(["openssl", "dgst", "-sha256", "-verify", self.path("public.pem"), "-signature",
                        self.path("signature")], input=content, check=True, capture_output=True)
        # Again it is the same job, which is there; it can be withdrawn.
        again = self.ft_job("-k", self.path("key.pem"), "-c", "made", self.path("app.bin"))
        self.assertEqual((again.returncode, again.stdout), (1, ""))
        self.assertIn("is there already", again.stderr)
        self.assertEqual(self.ft_job("--remove", job["jobId"]).returncode, 0)
        self.assertEqual(self.told(device, "notify-next"), b'{"timestamp":T}')

    def test_it_has_targets_and_names(self):
        storage = self.path("elsewhere")
        os.mkdir(storage)
        self.made("-a", "-c", "../a b", "-u", "jo", "-g", "trial", "-j", "job_1", "-s", "S-1", "--file-id", "7",
                  "--file-type", "3", "--file-path", 'a"b', "--cert-file", "c\\d", self.path("app.bin"), storage=storage)
        found = sorted(os.path.relpath(os.path.join(folder, name), storage)
                       for folder, _, names in os.walk(storage) for name in names)
        folders = ("all", "client/%2E.%2Fa%20b", "group/trial", "user/jo")
        self.assertEqual(found, [f"jobs/{folder}/job_1.json" for folder in folders] +
                         [f"offers/{folder}/streams/S-1/7" for folder in folders])
        with open(os.path.join(storage, "jobs/all/job_1.json"), encoding="ascii") as document:
            ota = json.load(document)["afr_ota"]
        self.assertEqual((ota["streamname"], ota["files"][0]["fileid"], ota["files"][0]["fileType"],
                          ota["files"][0]["filepath"], ota["files"][0]["certfile"]),
                         ("S-1", 7, 3, 'a"b', "c\\d"))

    def test_it_says_what_is_wrong(self):
        key, app, empty = self.path("key.pem"), self.path("app.bin"), self.path("empty")
        with open(empty, "wb"):
            pass
        self.made("-c", "x", "-s", "taken", app)
        other = self.path("other.bin")
        with open(other, "wb") as file:
            file.write(b"other")
        for arguments, status, text in (
                (("-k", key, app), 2, "for whom?"), (("-a", app), 2, "with which key"), (("-k", key, "-a"), 2, "one FILE"),
                (("-k", key, "-a", "-j", "a.b", app), 2, "a job has A-Z"), (("-k", key, "-a", "--nonsense"), 2, "nonsense"),
                (("-k", key, "-a", "-j", "x" * 65, app), 2, "at most 64"),
                (("-k", key, "-a", "--file-id", "256", app), 2, "at most 255"),
                (("-k", key, "-g", "a/b", app), 2, "no group"), (("-k", key, "-c", "", app), 2, "nobody"),
                (("-k", key, "-a", self.path("none")), 1, "is no file"), (("-k", key, "-a", empty), 1, "is empty"),
                (("-k", self.path("none"), "-a", app), 1, "may not be read"),
                (("-k", self.path("public.pem"), "-a", app), 1, "is no private key"),
                (("-k", key, "-c", "x", "-s", "taken", other), 1, "has another file 0 already"),
                (("--remove", "none"), 1, "there is no job none")):
            with self.subTest(arguments[2:]):
                done = self.ft_job(*arguments)
                self.assertEqual((done.returncode, done.stdout), (status, ""))
                self.assertIn(text, done.stderr)
                self.assertTrue(done.stderr.startswith("ft-job: "), done.stderr)
        self.assertIn("storage_dir", self.ft_job("-k", key, "-a", app, storage=app).stderr)
        shown = self.ft_job("--help")
        self.assertEqual((shown.returncode, shown.stderr), (0, ""))
        self.assertIn('{"afr_ota":{"protocols":["MQTT"],"streamname":"', self.made("-n", "-a", app))
        self.assertFalse(os.path.exists(os.path.join(self.broker.storage.path, "jobs/all", "app_bin")))


class Killed(JobsCase):
    """kill -9 of the broker in the middle."""

    shared = False

    def test_what_was_accepted_is_still_so(self):
        broker = self.start_broker()
        desk = Desk(broker)
        desk.put("all/first.json", b'{"n":1}')
        devices = [self.device(broker=broker, version=version, responses=False) for version in self.versions * 2]
        for device in devices:
            self.await_job(device, "first")
            self.assertIn(b'"status":"IN_PROGRESS"', self.accepted(device, "start-next", START_NEXT))
        self.assertEqual(self.accepted(devices[0], "first/update", SUCCEEDED), b'{"timestamp":T}')
        self.assertEqual(self.accepted(devices[1], "first/update", AGENT_READY), b'{"timestamp":T}')
        # What is under way at this moment is either not known or accepted, never lost once it was.
        mid = devices[2].publish(self.topic(devices[2], "first/update"), SUCCEEDED, qos=1)
        del mid
        broker.kill9()
        broker.start()
        for device in devices:
            device.close()
            device.endpoint = broker.endpoint
            device.connect()
        self.assertEqual(self.accepted(devices[0], "start-next", START_NEXT), b'{"clientToken":"test","timestamp":T}')
        self.assertEqual(self.rejected(devices[0], "first/update", SUCCEEDED), "InvalidStateTransition")
        self.assertIn(b'"statusDetails":{"self_test":"ready","updatedBy":"0x00090001"}',
                      self.accepted(devices[1], "$next/get"))
        word, answer = self.ask(devices[2], "first/update", SUCCEEDED)
        self.assertTrue(word == "accepted" or b"InvalidStateTransition" in answer, answer)
        self.assertEqual(self.accepted(devices[3], "start-next"), b'{"timestamp":T,' + execution(
            devices[3].client_id, "first", b'{"n":1}', "IN_PROGRESS", version=2) + b"}")
        self.assertEqual(self.accepted(devices[3], "first/update", SUCCEEDED), b'{"timestamp":T}')

    def test_without_the_option_jobs_are_ordinary_topics(self):
        broker = self.start_broker({"downloads": "aws"})
        watcher, device = (self.device(broker=broker) for _ in range(2))
        watcher.subscribe("$aws/#")
        for rest in "get", "notify-next", "start-next/accepted":
            device.publish(self.topic(device, rest), b"x", qos=0)
            self.assertEqual(watcher.message(self.topic(device, rest)).payload, b"x")

    def test_with_a_guard_answers_are_denied_to_clients(self):
        broker = self.start_broker({"downloads": "jobs", "acl": "guard-and-allow"})
        device = self.device(version=5, broker=broker)
        self.assertEqual(device.acked(device.publish(self.topic(device, "notify-next"), b"lie")), REFUSED)
        self.assertEqual(self.accepted(device, "$next/get"), b'{"timestamp":T}')
        # What an absent client is told of others do not see.
        other, subscriber = (self.device(version=5, broker=broker, responses=False) for _ in range(2))
        for client in other, subscriber:
            client.subscribe(f"$aws/things/{subscriber.client_id}/jobs/#", qos=1)
        Desk(broker).put(f"client/{subscriber.client_id}/j.json", b"{}")
        self.assertIn(b'"jobId":"j"', self.told(subscriber, "notify-next"))
        self.assert_silent(other)


if __name__ == "__main__":
    unittest.main()
