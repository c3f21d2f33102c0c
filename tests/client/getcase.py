# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""What the tests of ft-get share."""
import collections
import json
import os
import re
import subprocess
import time

from clientcase import BUILD, ClientCase, sha256
from fakeoffers import OfferBroker
from proxy import Proxy
from test_client_real import RealCase
from test_downloads import Shop

import ondisk

FT_GET = os.path.join(BUILD, "ft-get")
REQUEST = re.compile(rb"\$file-get/(\d+)/(\d+)/[^\x00]+\x00[0-9a-f]{64}")


class GetCase(ClientCase):
    def offers(self, offers=None, **settings):
        broker = OfferBroker(offers, **settings)
        broker.__enter__()
        self.addCleanup(broker.__exit__)
        return broker

    @staticmethod
    def command(broker, client="dev"):
        return [FT_GET, "-h", "127.0.0.1", "-p", str(getattr(broker, "port", broker)), "-i", client]

    def get(self, broker, *arguments, client="dev", **settings):
        """ft-get, running in the folder of the test."""
        settings.setdefault("cwd", self.dir)
        return self.start([*self.command(broker, client), *map(str, arguments)], **settings)

    def get_ok(self, broker, *arguments, **settings):
        program = self.get(broker, *arguments, **settings)
        self.assertEqual(program.wait(60), 0, f"{program.out[-20:]} {program.err}")
        return program

    def fails(self, code, broker, *arguments, saying="", timeout=60, **settings):
        program = self.get(broker, *arguments, **settings)
        self.assertEqual(program.wait(timeout), code, f"{program.out[-20:]} {program.err}")
        self.assertIn(saying, "\n".join(program.err))
        return program

    def path(self, name):
        return os.path.join(self.dir, name)

    def has(self, name, content):
        with open(self.path(name), "rb") as file:
            self.assertEqual(sha256(file.read()), sha256(content), f"{name} is not what was offered")
        self.assertFalse(os.path.exists(self.path(name) + ".part"), "its part is left")
        self.assertFalse(os.path.exists(self.path(name) + ".part.json"), "its state is left")

    def state(self, name):
        """What FILE.part.json says, None where there is none."""
        try:
            with open(self.path(name) + ".part.json", encoding="utf-8") as file:
                return json.load(file)
        except FileNotFoundError:
            return None

    def held(self, name):
        state = self.state(name)
        return sum(length for _, length in state["have"]) if state else 0


class RealGetCase(GetCase, RealCase):
    """Each test has a broker of its own, which may be killed."""

    def serve(self, files=None, downloads="native", **settings):
        """A broker with these offers."""
        broker = self.real_broker(downloads=downloads, offers_interval="1s", **settings)
        self.shop = Shop(broker)
        for below, content in (files or {}).items():
            self.shop.put(below, content)
        for below, content in (files or {}).items():
            if below.startswith("all/"):
                self.wait_for(broker, below[len("all/"):], content)
        return broker

    def listed(self, broker, client="first"):
        """{path: checksum} of what is offered to this client."""
        time.sleep(0.05)  # each look is a process
        lines = subprocess.run([*self.command(broker, client), "--json", "-l"], env=self.env,
                               stdout=subprocess.PIPE, check=False, text=True).stdout.splitlines()
        return {offer["path"]: offer["sha256"] for offer in map(json.loads, lines)}

    def wait_for(self, broker, path, content, client="first"):
        ondisk.eventually(lambda: self.listed(broker, client).get(path) == sha256(content),
                          f"an offer of {path}", 20)


class SharedGetCase(RealGetCase):
    """One broker for all tests of a class; each has offers of its own."""

    shared = None

    def end(self, broker):
        type(self).shared = broker

    @classmethod
    def tearDownClass(cls):
        broker, cls.shared = cls.shared, None
        if broker:
            super().end(cls(), broker)

    def is_there(self, below, content):
        """One that was put there once more would be hashed once more, and busy meanwhile."""
        try:
            with open(os.path.join(self.shop.root, below), "rb") as file:
                return file.read() == content
        except FileNotFoundError:
            return False

    def serve(self, files=None):
        if not self.shared:
            type(self).shared = super().serve(downloads="native,aws")
        self.shop = Shop(self.shared)
        for folder, _, names in os.walk(self.shop.root):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.relpath(path, self.shop.root) not in files:
                    os.unlink(path)
        for below, content in files.items():
            if not self.is_there(below, content):
                self.shop.put(below, content)
        wanted = {below[4:]: sha256(content) for below, content in files.items() if below.startswith("all/")}
        ondisk.eventually(lambda: self.listed(self.shared) == wanted, "just these offers", 20)
        return self.shared


class Requests(Proxy):
    """A proxy that notes which blocks were asked for: what has passed up whole."""

    def __init__(self, target):
        self.asked, self.tails = collections.Counter(), {}
        super().__init__(target)

    def _pass_up(self, data, broker):
        note = self._note

        class Noting:
            @staticmethod
            def sendall(passed):
                note(broker, passed)
                broker.sendall(passed)
        return super()._pass_up(data, Noting)

    def _note(self, broker, passed):
        tail, end = self.tails.get(broker, b"") + passed, 0
        # Each request ends with the 64 digits of its checksum; before them MQTT 5 has properties.
        for match in REQUEST.finditer(tail):
            self.asked[(int(match[1]), int(match[2]))] += 1
            end = match.end()
        self.tails[broker] = tail[end:]
