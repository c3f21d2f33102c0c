# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Sequences of operations: made by chance, written as JSON, made smaller.

Operations say nothing that depends on the others ("the right size", not a number), so a
sequence stays one whatever is taken out of it.
"""
import json
import random
import time

DURABILITIES = ("none", "file", "segment")
WEIGHTS = {"connect": 5, "drop": 6, "init": 8, "segment": 18, "fill": 14, "fin": 20, "abort": 4,
           "status": 6, "junk": 2, "sync": 4, "take": 2, "acks": 3, "hold": 5, "pause": 3,
           "kill": 3, "restart": 1.5, "expire": 2, "expire_down": 0.3}
FOR_ALL = ("hold", "pause", "kill", "restart", "expire", "expire_down")
LARGE = 5 << 20                        # the broker hashes ahead from 2 MiB on
SPANS = (40, 300, 300, 5000, 5000, 5000, 70000, 70000, 70000, LARGE)
LONG_TTL, SHORT_TTL, JUMP = 400, 200, 150


def generate(seed):
    dice = random.Random(f"model {seed}")
    span = dice.choice(SPANS)
    script = {
        "seed": seed, "span": span,
        "durability": dice.choice(DURABILITIES if span < LARGE else DURABILITIES[:2]),
        "files": dice.choice((1, 2, 2, 3)),
        "max_segment_size": dice.choice((0, 0, 0, max(1, span // 4))),
        "max_file_size": dice.choice((0, 0, 0, span * 3 // 4)),
        "clients": [{"id": f"c{n}", "version": dice.choice((4, 5, 5)),
                     "durable": dice.random() < 0.6} for n in range(dice.choice((1, 2, 2, 3)))],
    }
    length = dice.choice((15, 30, 60) if span < LARGE else (15,))
    script["ops"] = [operation(dice, script) for _ in range(length)]
    return script


def operation(dice, script):
    """[word, client, ...]"""
    word = dice.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
    client = dice.randrange(len(script["clients"]))
    file, qos = dice.randrange(script["files"]), dice.choice((0, 1, 1, 1, 2))
    more = MAKE.get(word, lambda *_: [])(dice, script)
    if word in ("init", "segment", "fill", "fin", "abort", "status"):
        return [word, client, file, qos, *more]
    if word == "junk":
        return [word, client, qos, *more]
    return [word, *more] if word in FOR_ALL else [word, client, *more]


def make_connect(dice, _script):
    return [dice.random() < 0.25, dice.random() < 0.5]  # clean start, send again


def make_init(dice, _script):
    return [dice.choice((0, 0, 0, 0, 1, 1, 2, 3)), dice.randrange(5),
            dice.choice((0, 0, SHORT_TTL)), dice.choice((0,) * 15 + (1, 2))]


def make_segment(dice, script):
    span = script["span"]
    offset = dice.randrange(span)
    length = dice.randrange(min(span - offset, max(1, span // dice.choice((1, 4, 20)))) + 1)
    pattern = dice.choice((0, 0, 0, 0, 1, 2))
    return [offset, length, pattern, dice.choice(("", "", "", "right", "right", "wrong"))]


def make_fill(dice, _script):
    return [dice.choice((1, 3, 8, 20, 150)), dice.randrange(1 << 16)]  # pieces, their order


def make_fin(dice, _script):
    return [dice.choice(("held",) * 4 + ("init", "init", "short", "long", "far", "none")),
            dice.choice(("", "", "right", "right", "right", "wrong")),
            dice.choice((1, 1, 1, 2, 3))]  # so many times


MAKE = {
    "connect": make_connect, "init": make_init, "segment": make_segment, "fill": make_fill,
    "fin": make_fin,
    "drop": lambda dice, _: [dice.choice(("cut", "cut", "reset", "half", "bye"))],
    "junk": lambda dice, _: [dice.randrange(8)],
    "acks": lambda dice, _: [dice.random() < 0.4],
    "hold": lambda dice, _: [dice.random() < 0.6],
    "kill": lambda dice, _: [round(dice.choice((0, dice.random() * 3)), 2)],
    "pause": lambda dice, _: [round(dice.random() * 3, 2)],
}


def text(script):
    """One operation a line, for people and for a file."""
    head = {k: v for k, v in script.items() if k != "ops"}
    ops = ",\n".join("  " + json.dumps(op) for op in script["ops"])
    return json.dumps(head, indent=1)[:-2] + f',\n "ops": [\n{ops}\n]}}\n'


def shrink(script, fails, seconds):
    """A shorter sequence that fails as well (ddmin), as far as it gets in that time."""
    end, parts = time.monotonic() + seconds, 2
    while len(script["ops"]) > 1 and time.monotonic() < end:
        ops = script["ops"]
        size = max(1, len(ops) // parts)
        for at in range(0, len(ops), size):
            smaller = {**script, "ops": ops[:at] + ops[at + size:]}
            if smaller["ops"] and time.monotonic() < end and fails(smaller):
                script, parts = smaller, max(2, parts - 1)
                break
        else:
            if size == 1:
                break
            parts = min(len(ops), parts * 2)
    return script
