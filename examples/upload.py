#!/usr/bin/env python3
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Uploads a file; run it again after an interruption and it sends what is missing.

    examples/upload.py FILE HOST CLIENT_ID

Needs Paho (Debian: python3-paho-mqtt), version 1 or 2.
"""
import hashlib
import json
import os
import queue
import sys

import paho.mqtt.client as mqtt

SEGMENT, WINDOW = 256 * 1024, 20


def gaps(have, size):
    """What is not in have, a list of [offset, length] in ascending order."""
    end = 0
    for offset, length in have + [[size, 0]]:
        if offset > end:
            yield [end, offset - end]
        end = max(end, offset + length)


def upload(path, host, client_id, port=1883):
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        digest = hashlib.sha256()
        for block in iter(lambda: file.read(SEGMENT), b""):
            digest.update(block)
    checksum, name = digest.hexdigest(), os.path.basename(path)
    # Of name and content: a second run meets what the first has left, and another file never does.
    file_id = hashlib.sha256(f"{name} {checksum}".encode()).hexdigest()[:32]
    answers, pending = queue.Queue(), set()
    version = [mqtt.CallbackAPIVersion.VERSION2] if hasattr(mqtt, "CallbackAPIVersion") else []
    client = mqtt.Client(*version, client_id=client_id, protocol=mqtt.MQTTv5)
    client.on_message = lambda client, data, message: answers.put(json.loads(message.payload))

    def send(command, payload=b""):
        pending.add(f"$file/{file_id}/{command}")
        client.publish(f"$file/{file_id}/{command}", payload, qos=1)

    def answer(*accepted):
        """The next one to what was sent; others are of an earlier connection."""
        response = answers.get(timeout=300)
        while response["topic"] not in pending:
            response = answers.get(timeout=300)
        pending.remove(response["topic"])
        if response["reason_code"] and response["reason_description"] not in accepted:
            raise RuntimeError(response)
        return response

    client.connect(host, port)
    client.subscribe(f"$file-response/{client_id}", qos=1)
    client.loop_start()
    send("init", json.dumps({"name": name, "size": size, "checksum": checksum}))
    answered = answer()
    missing = list(gaps(answered["have"], size))
    with open(path, "rb") as file:
        while answered.get("state") != "complete":
            for offset, length in missing:
                file.seek(offset)
                for at in range(offset, offset + length, SEGMENT):
                    segment = file.read(min(SEGMENT, offset + length - at))
                    if not segment:
                        raise RuntimeError("the file has become shorter")
                    send(at, segment)
                    if len(pending) == WINDOW:
                        answer()
            while pending:
                answer()
            send(f"fin/{size}")
            answered = answer("incomplete")
            missing = answered.get("missing", [])
    client.disconnect()
    client.loop_stop()


if __name__ == "__main__":
    upload(*sys.argv[1:4])
    print("complete")
