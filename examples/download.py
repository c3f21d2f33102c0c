#!/usr/bin/env python3
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Downloads an offered file; run it again after an interruption and it asks for what is missing.

    examples/download.py PATH FILE HOST CLIENT_ID    (Paho 1 or 2; Debian: python3-paho-mqtt)
"""
import hashlib
import json
import os
import queue
import sys

import paho.mqtt.client as mqtt

BLOCK, WINDOW, PATIENCE = 65536, 16, 5


def download(path, file, host, client_id, port=1883):
    came, version = queue.Queue(), getattr(mqtt, "CallbackAPIVersion", None)
    client = mqtt.Client(*[version.VERSION2] if version else [], client_id=client_id)
    client.on_message = lambda _client, _data, message: came.put(message)
    client.connect(host, port)
    client.loop_start()
    client.publish(f"$file-get/info/{path}", qos=1)  # answers come without a subscription
    offer = json.loads(came.get(timeout=30).payload)
    if offer["reason_code"]:
        raise RuntimeError(offer["reason_description"])
    part = f"{file}.{offer['sha256'][:16]}.part"  # of this content, so that none is mixed
    with open(part, "ab") as out:
        while out.tell() < offer["size"]:
            first, blocks = out.tell(), {}  # asked for together, written in order
            for at in range(first, min(offer["size"], first + BLOCK * WINDOW), BLOCK):
                client.publish(f"$file-get/{at}/{BLOCK}/{path}", offer["sha256"])
                blocks[f"$file-data/{client_id}/{at}/{path}"] = None
            try:
                while None in blocks.values():
                    message = came.get(timeout=PATIENCE)
                    if message.topic in blocks:
                        blocks[message.topic] = message.payload
                    elif b'"file_changed"' in message.payload:
                        raise RuntimeError("replaced meanwhile; run it again")
            except queue.Empty:
                pass  # what is missing is asked for again
            for block in blocks.values():
                if block is None:
                    break
                out.write(block)
    with open(part, "rb") as whole:
        digest = hashlib.sha256()
        for block in iter(lambda: whole.read(BLOCK), b""):
            digest.update(block)
    if digest.hexdigest() != offer["sha256"]:
        os.unlink(part)
        raise RuntimeError("damaged; run it again")
    os.replace(part, file)
    client.disconnect()


if __name__ == "__main__":
    download(*sys.argv[1:])
