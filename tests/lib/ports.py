# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Ports for servers of tests that run at the same time."""
import collections
import random
import socket

HELD = 200  # the last ones; a soak starts thousands
_held = collections.deque(maxlen=HELD)


def free_port():
    """One that stays this process's: servers, who say SO_REUSEADDR, may listen there, and nobody
    else gets it meanwhile. Below those that the kernel gives to outgoing connections."""
    while True:
        held = socket.socket()
        try:
            held.bind(("", random.SystemRandom().randrange(5000, 32768)))
        except OSError:
            held.close()
            continue
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _held.append(held)
        return held.getsockname()[1]
