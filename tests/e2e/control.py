# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""An operator who speaks $CONTROL/file-transfer/v1 over a rawmqtt connection."""
import itertools
import json

from ondisk import eventually
from rawmqtt import Client

TOPIC = "$CONTROL/file-transfer/v1"
RESPONSE = TOPIC + "/response"


class Operator(Client):
    """Subscribes to nothing: answers come to whoever asked."""

    _serial = itertools.count(1)

    def responses(self, *commands):
        """Sends the commands as one message; the list of answers."""
        marks = [f"m{next(self._serial)}" for _ in commands]
        for command, mark in zip(commands, marks):
            command.setdefault("correlationData", mark)
        wanted = commands[0]["correlationData"] if commands else None
        self.acked(self.publish(TOPIC, json.dumps({"commands": list(commands)}).encode()))
        answer = self.message(RESPONSE, lambda m: wanted is None or
                              self._first(m).get("correlationData") == wanted)
        return json.loads(answer.payload)["responses"]

    @staticmethod
    def _first(message):
        return (json.loads(message.payload)["responses"] or [{}])[0]

    def raw(self, payload):
        """Whatever is answered to these bytes."""
        self.acked(self.publish(TOPIC, payload))
        return json.loads(self.message(RESPONSE).payload)["responses"]

    def ask(self, command, **arguments):
        """The answer to one command."""
        return self.responses({"command": command, **arguments})[0]

    def do(self, command, **arguments):
        """The data of a command that succeeds."""
        answer = self.ask(command, **arguments)
        if "error" in answer:
            raise AssertionError(f"{command}: {answer}")
        return answer.get("data", {})

    def error(self, command, **arguments):
        """The error word of a command that does not."""
        answer = self.ask(command, **arguments)
        if "error" not in answer:
            raise AssertionError(f"{command} succeeded: {answer}")
        return answer["error"]

    def pages(self, command, what, **arguments):
        """All entries of all pages."""
        found, cursor = [], None
        while True:
            page = self.do(command, **arguments, **({"cursor": cursor} if cursor else {}))
            found += page[what]
            cursor = page.get("cursor")
            if not cursor:
                return found

    def verified(self):
        """How a verification ended."""
        return eventually(lambda: next((v for v in [self.do("getStatus").get("verify")]
                                        if v and v["state"] != "running"), None), "the end")
