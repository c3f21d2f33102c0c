# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Offers as operators make them: by commands, and by moving and linking files. What changes in the
folders is noticed at once: offers_interval is an hour here, so nothing is found by looking again."""
import json
import os
import shutil

from control import Operator
from harness import Case
from ondisk import eventually, sha256
from settings import SETTINGS
from test_aws_jobs import Desk
from test_downloads import Shop, ask, download, wait_for

CONTENT = bytes(range(256)) * 40


class OffersCase(Case):
    setting = SETTINGS["open"]
    options = {"downloads": "native,jobs", "offers_interval": "1h", "control": "trusted"}

    def setUp(self):
        super().setUp()
        if self.broker:
            self.shop = Shop(self.broker)

    def operator(self, broker=None):
        operator = Operator((broker or self.broker).endpoint, self.new_id("operator"), 5)
        self._clients.append(operator)
        return operator.connect()

    def finished(self, device, file="f1", name="door.mp4", content=CONTENT, broker=None):
        self.ok(device.upload(file, content, name))
        return (broker or self.broker).storage.finished(device.client_id, file, name)

    def gone(self, device, path):
        eventually(lambda: ask(device, f"$file-get/info/{path}").word == "no_such_file", "the end", 20)


class Commands(OffersCase):
    """offerFile, withdrawOffer, listOffers."""

    def test_a_finished_file_is_offered_by_a_link_and_withdrawn(self):
        camera, operator, other = self.device(), self.operator(), self.device()
        path = self.finished(camera)
        for to, name, device in (("all", "door.mp4", other), (f"client/{camera.client_id}", "a/b.mp4", camera)):
            with self.subTest(to):
                answer = operator.do("offerFile", client_id=camera.client_id, file_id="f1", to=to,
                                     **({} if name == "door.mp4" else {"name": name}))
                self.assertEqual(answer, {"to": to, "name": name, "size": len(CONTENT), "sha256": sha256(CONTENT)})
                place = os.path.join(self.shop.root, to, name)
                self.assertTrue(os.path.samefile(path, place))
                wait_for(device, name, CONTENT)
                self.assertEqual(download(device, name, len(CONTENT), sha256(CONTENT))[0], CONTENT)
        # What is there is there; it is the same file.
        operator.do("offerFile", client_id=camera.client_id, file_id="f1", to="all")
        listed = {(offer["to"], offer["name"]): offer for offer in operator.pages("listOffers", "offers", limit=1)}
        self.assertLessEqual({("all", "door.mp4"), (f"client/{camera.client_id}", "a/b.mp4")}, set(listed))
        self.assertEqual(len(operator.pages("listOffers", "offers", to=f"client/{camera.client_id}")), 1)
        self.assertEqual(operator.pages("listOffers", "offers", name="*.bin"), [])
        only = {"to": "all", "name": "door.*"}
        eventually(lambda: operator.do("listOffers", **only)["offers"][0]["offered"], "its checksum", 20)
        offer = operator.do("listOffers", **only)["offers"][0]
        self.assertEqual((offer["size"], offer["sha256"]), (len(CONTENT), sha256(CONTENT)))
        # Deleted, it is still offered; withdrawn, it is gone, and the folders with it.
        operator.do("deleteFile", client_id=camera.client_id, file_id="f1")
        wait_for(other, "door.mp4", CONTENT)
        answer = operator.do("withdrawOffer", to=f"client/{camera.client_id}", name="a/b.mp4")
        self.assertEqual((answer["size"], answer["last"]), (len(CONTENT), False))
        self.assertTrue(operator.do("withdrawOffer", to="all", name="door.mp4")["last"])
        self.gone(other, "door.mp4")
        self.assertEqual(os.listdir(os.path.join(self.shop.root, "client")), [])
        self.assertTrue(os.path.isdir(os.path.join(self.shop.root, "all")))
        log = "\n".join(self.broker.plugin_log())
        self.assertIn(f"offers/all/door.mp4 is offered by an operator (client '{operator.client_id}'", log)
        self.assertIn("offers/all/door.mp4 is withdrawn by an operator", log)

    def test_another_file_is_replaced_only_where_that_is_said(self):
        camera, operator, device = self.device(), self.operator(), self.device()
        self.finished(camera, "old", "old.bin")
        self.finished(camera, "new", "new.bin", CONTENT[::-1])
        offer = {"client_id": camera.client_id, "to": "all", "name": "replaced.bin"}
        operator.do("offerFile", file_id="old", **offer)
        wait_for(device, "replaced.bin", CONTENT)
        self.assertEqual(operator.error("offerFile", file_id="new", **offer), "already_offered")
        self.assertEqual(sorted(os.listdir(os.path.join(self.shop.root, "all"))), ["replaced.bin"])
        operator.do("offerFile", file_id="new", replace=True, **offer)
        wait_for(device, "replaced.bin", CONTENT[::-1])
        operator.do("withdrawOffer", to="all", name="replaced.bin")

    def test_ids_of_any_kind_have_offers(self):
        operator, name = self.operator(), "\u00fc/..%20/x y"
        camera = self.device()
        self.finished(camera)
        answer = operator.do("offerFile", client_id=camera.client_id, file_id="f1", to="client/" + name, name="x")
        self.assertEqual(answer["to"], "client/" + name)
        self.assertTrue(os.path.isfile(os.path.join(self.shop.root, "client/\u00fc%2F..%2520%2Fx%20y/x")))
        eventually(lambda: [offer["to"] for offer in operator.pages("listOffers", "offers", to="client/" + name)]
                   == ["client/" + name], "the offer", 20)
        wait_for(self.device(name), "x", CONTENT)
        operator.do("withdrawOffer", to="client/" + name, name="x")

    def test_what_cannot_be_is_refused_and_changes_nothing(self):
        camera, operator = self.device(), self.operator()
        self.finished(camera)
        self.finished(camera, "plus", "a+b")
        self.finished(camera, "taken", "taken.bin")
        os.unlink(self.broker.storage.finished(camera.client_id, "taken", "taken.bin"))
        os.makedirs(os.path.join(self.shop.root, "all"), exist_ok=True)
        outside = os.path.join(self.broker.dir, "outside")
        os.makedirs(outside)
        os.symlink(outside, os.path.join(self.shop.root, "all/link"))
        self.addCleanup(os.unlink, os.path.join(self.shop.root, "all/link"))
        mine = {"client_id": camera.client_id, "file_id": "f1"}
        wrong = [("offerFile", {**mine}, "invalid_command"), ("offerFile", {"to": "all"}, "invalid_command")]
        wrong += [("offerFile", {**mine, "to": to}, "invalid_command")
                  for to in ("", "some", "client", "client/", "group/a/b", "group/.a", "group/..", "../all", 1)]
        wrong += [("offerFile", {**mine, "to": "all", "name": name}, "invalid_command")
                  for name in ("", "..", "../x", "a/../../x", "/etc/passwd", ".x", "a/.x", "x.part", "x.tmp", "x~",
                               "a+b", "a\\b", "a//b", "x" * 241, 5)]
        wrong += [("offerFile", {**mine, "file_id": "none", "to": "all"}, "no_such_transfer"),
                  ("offerFile", {**mine, "file_id": "plus", "to": "all"}, "invalid_path"),
                  ("offerFile", {**mine, "file_id": "taken", "to": "all"}, "no_such_transfer"),
                  ("offerFile", {**mine, "to": "all", "name": "link/x"}, "invalid_path"),
                  ("offerFile", {**mine, "to": "all", "replace": 1}, "invalid_command"),
                  ("withdrawOffer", {"to": "all"}, "invalid_command"),
                  ("withdrawOffer", {"name": "x"}, "invalid_command"),
                  ("withdrawOffer", {"to": "all", "name": "none"}, "no_such_file"),
                  ("withdrawOffer", {"to": "client/none", "name": "a/b"}, "no_such_file"),
                  ("withdrawOffer", {"to": "all", "name": "link/x"}, "invalid_path"),
                  ("listOffers", {"cursor": "x"}, "invalid_file_command"),
                  ("listOffers", {"cursor": "1/x"}, "invalid_file_command"),
                  ("listJobs", {"cursor": "3/a/b"}, "invalid_file_command"),
                  ("listJobs", {"status": "DONE"}, "invalid_file_command")]
        for command, arguments, word in wrong:
            with self.subTest(command, **arguments):
                self.assertEqual(operator.error(command, **arguments), word)
        self.assertEqual(os.listdir(os.path.join(self.shop.root, "all")), ["link"])
        self.assertEqual(os.listdir(outside), [])

    def test_without_the_option_there_are_none(self):
        broker = self.start_broker({"downloads": "off"})
        operator, camera = self.operator(broker), self.device(broker=broker)
        self.finished(camera, broker=broker)
        self.assertEqual(operator.error("offerFile", client_id=camera.client_id, file_id="f1", to="all"),
                         "invalid_file_command")
        for command in ("listOffers", "listJobs"):
            self.assertEqual(operator.error(command), "invalid_file_command")


class Folders(OffersCase):
    """What people do in the folders."""

    def test_an_upload_is_offered_where_it_is_moved_or_linked_to(self):
        camera, device = self.device(), self.device()
        for verb, act in (("moved", os.rename), ("linked", os.link)):
            with self.subTest(verb):
                content = os.urandom(100_000)
                path = self.finished(camera, verb, verb + ".bin", content)
                os.makedirs(os.path.join(self.shop.root, "all/sub"), exist_ok=True)
                act(path, os.path.join(self.shop.root, "all/sub", verb))
                wait_for(device, "sub/" + verb, content)
                self.assertEqual(download(device, "sub/" + verb, len(content), sha256(content))[0], content)
        # A link by name, below offers/ and out of it.
        os.symlink("sub/moved", os.path.join(self.shop.root, "all/symbolic"))
        os.symlink(self.broker.storage.finished(camera.client_id, "linked", "linked.bin"),
                   os.path.join(self.shop.root, "all/outside"))
        eventually(lambda: ask(device, "$file-get/info/symbolic").word == "success", "the link", 20)
        self.assertEqual(ask(device, "$file-get/info/outside").word, "no_such_file")

    def test_what_changes_in_folders_that_are_new_is_noticed(self):
        device, watcher = self.device(), self.device()
        watcher.subscribe("$file-offer/all/deep/#")
        for content in (b"one", b"two"):
            self.shop.put("all/deep/er/x", content)
            offer = json.loads(watcher.message("$file-offer/all/deep/er/x", timeout=20).payload)
            self.assertEqual(offer["sha256"], sha256(content))
        self.shop.put("all/deep/er/.x.json", b'{"v":1}')
        watcher.message("$file-offer/all/deep/er/x", lambda m: b'"v":1' in m.payload, 20)
        os.rename(os.path.join(self.shop.root, "all/deep"), os.path.join(self.shop.root, "all/other"))
        self.assertEqual(watcher.message("$file-offer/all/deep/er/x", timeout=20).payload, b"")
        wait_for(device, "other/er/x", b"two")
        shutil.rmtree(os.path.join(self.shop.root, "all/other"))
        self.gone(device, "other/er/x")
        # The file `groups`, too.
        self.shop.put("group/g/only", b"for some")
        with open(os.path.join(self.shop.root, "groups"), "w", encoding="utf-8") as groups:
            groups.write(f"g: client:{device.client_id}\n")
        wait_for(device, "only", b"for some")


class Jobs(OffersCase):
    """listJobs."""

    def ask(self, device, rest, payload, thing=None):
        topic = f"$aws/things/{thing or device.client_id}/jobs/{rest}"
        device.publish(topic, payload)
        return device.message(where=lambda m: m.topic.startswith(topic + "/"))

    def test_what_devices_have_done_is_listed(self):
        operator, desk = self.operator(), Desk(self.broker)
        desk.put("all/first.json", b"{}")
        desk.put("all/second.json", b"{}")
        devices = [self.device(self.new_id("thing")) for _ in range(4)] + [self.device(username="joe")]
        things = [device.client_id for device in devices[:4]] + ["joe"]
        for device, thing in zip(devices, things):
            eventually(lambda device=device, thing=thing: b"second" in self.ask(device, "get", b"", thing).payload,
                       "the jobs", 20)
            self.ask(device, "start-next", b"", thing)
        self.ask(devices[0], "first/update", b'{"status":"SUCCEEDED","statusDetails":{"v":"7"}}')
        self.ask(devices[0], "second/update", b'{"status":"FAILED"}')
        found = operator.pages("listJobs", "jobs")
        self.assertEqual(found, operator.pages("listJobs", "jobs", limit=1))
        self.assertEqual(sorted((job.get("client_id") or "user " + job["user"], job["job"], job["status"])
                                for job in found),
                         sorted([(things[0], "first", "SUCCEEDED"), (things[0], "second", "FAILED"),
                                 *((thing, "first", "IN_PROGRESS") for thing in things[1:4]),
                                 ("user joe", "first", "IN_PROGRESS")]))
        done = operator.pages("listJobs", "jobs", client_id=things[0], status="SUCCEEDED")
        self.assertEqual([(job["version"], job["details"]) for job in done], [(3, {"v": "7"})])
        self.assertEqual(len(operator.pages("listJobs", "jobs", client_id=things[0], limit=1)), 2)
        self.assertEqual(len(operator.pages("listJobs", "jobs", user="joe")), 1)
        self.assertEqual(len(operator.pages("listJobs", "jobs", name="sec*")), 1)
        self.assertEqual(operator.pages("listJobs", "jobs", client_id="nobody"), [])
        self.assertEqual(operator.pages("listJobs", "jobs", until=1000), [])
