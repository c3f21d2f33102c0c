#!/usr/bin/python3
# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Handles each finished file once: consumer.py STORAGE_DIR NAME COMMAND [ARGUMENT...]

Wants plugin_opt_done on. Runs COMMAND ARGUMENT... FILE for each; where that succeeds, file, manifest and
notice are removed, else it is tried again. Any number of consumers take turns, each with a NAME of its
own. COMMAND may see a file twice, where a consumer or the broker was killed in between.
"""
import contextlib
import json
import os
import subprocess
import sys
import time

storage, name, command = sys.argv[1], sys.argv[2], sys.argv[3:]
done, mine = os.path.join(storage, "done"), os.path.join(storage, "done", name)


def handle(notice):
    with open(notice, encoding="utf-8") as text:
        path = os.path.join(storage, json.load(text)["path"])
    if os.path.exists(path) and subprocess.run([*command, path], check=False).returncode != 0:
        return  # the notice stays in `mine`
    for used in (path, path + ".manifest.json", notice):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(used)


while True:
    os.makedirs(mine, exist_ok=True)
    for title in sorted(os.listdir(mine)):  # what an earlier life or try left
        handle(os.path.join(mine, title))
    for title in sorted(os.listdir(done)):
        with contextlib.suppress(FileNotFoundError):  # another consumer was faster
            if title.endswith(".json"):
                os.rename(os.path.join(done, title), os.path.join(mine, title))
                handle(os.path.join(mine, title))
    time.sleep(0.5)
