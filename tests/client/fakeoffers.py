# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The fake broker, with offers: it answers $file-get/, or what a test makes of it.

    with OfferBroker({"app.bin": b"..."}) as broker: ... broker.asked("app.bin") ...

Scripts are those of fakebroker. Besides, `lie(conn, item)` may return a list of (topic, payload)
that are sent instead of the answer; None: it is answered as it should be.
"""
import hashlib
import json
import re

from fakebroker import FakeBroker

BLOCK = re.compile(r"\$file-get/(\d+)/(\d+)/(.+)")


def offer_of(path, content):
    return {"path": path, "size": len(content), "sha256": hashlib.sha256(content).hexdigest(),
            "modified_at": "2026-11-28T13:00:00.000Z"}


class OfferBroker(FakeBroker):
    def __init__(self, offers=None, script=None, lie=None, max_block=65536, **settings):
        super().__init__(script, **settings)
        self.offers, self.lie, self.max_block = dict(offers or {}), lie, max_block
        self.reports = []

    def blocks(self, conn=None):
        """(offset, length, path) of each block that was asked for."""
        found = [BLOCK.fullmatch(p.topic) for p in self.of(conn=conn) if p.topic]
        return [(int(m[1]), int(m[2]), m[3]) for m in found if m]

    def topics(self):
        return [p.topic for p in self.of()]

    def respond(self, item, word, code, **members):
        body = {"vsn": "0.1", "topic": item.topic, "reason_code": code, "reason_description": word,
                **members}
        return [(None, json.dumps(body).encode())]

    def _publish(self, conn, item, action):
        if not item.topic.startswith("$file-get/") or not isinstance(action, (str, type(None))):
            return super()._publish(conn, item, action)
        messages = self.lie(conn, item) if self.lie else None
        if messages is None:
            messages = self.answer(conn, item)
        answers = [lambda: self._ack(conn, item, 0)] if item.mid else []
        for topic, payload in messages:
            topic = topic or f"$file-response/{conn.client_id}"
            answers.append(lambda topic=topic, payload=payload: conn.publish(topic, payload))
        return answers

    def answer(self, conn, item):
        block = BLOCK.fullmatch(item.topic)
        if block:
            return self._block(conn, item, block[1], int(block[2]), block[3])
        verb, _, path = item.topic[len("$file-get/"):].partition("/")
        if verb == "list":
            return self._list(item)
        if path not in self.offers:
            return self.respond(item, "no_such_file", 0x83)
        if verb == "info":
            return self.respond(item, "success", 0, max_block=self.max_block,
                                **offer_of(path, self.offers[path]))
        self.reports.append((path, json.loads(item.payload)))
        return self.respond(item, "success", 0)

    def _block(self, conn, item, offset, length, path):
        if path not in self.offers:
            return self.respond(item, "no_such_file", 0x83)
        content = self.offers[path]
        offer = offer_of(path, content)
        if length > self.max_block:
            return self.respond(item, "block_too_large", 0x83, max_block=self.max_block)
        if item.payload and item.payload.decode() != offer["sha256"]:
            return self.respond(item, "file_changed", 0x10, size=offer["size"],
                                sha256=offer["sha256"])
        return [(f"$file-data/{conn.client_id}/{offset}/{path}",
                 content[int(offset):int(offset) + length])]

    def _list(self, item):
        wanted = json.loads(item.payload or b"{}")
        paths = [p for p in sorted(self.offers, key=str.encode) if p.startswith(wanted.get("prefix", "")) and
                 p > wanted.get("after", "")]
        return self.respond(item, "success", 0, truncated=len(paths) > 100,
                            files=[offer_of(p, self.offers[p]) for p in paths[:100]])
