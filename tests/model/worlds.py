# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Which states of a client's files agree with all that was seen.

A world is one possible state of all files of a client. Commands lead from worlds to worlds;
what the broker said throws worlds out; when none is left, the broker has done what no
reading of the contract allows. What is uncertain:

- a link that was cut or a broker that was killed has carried out the first n commands sent
  on it, for some n, all those among them that were answered;
- an assembly may end, a transfer that is due may expire, at any moment.
"""
from dataclasses import dataclass, field
from typing import Optional

import model
from device import RETRY, WORDS

WORLDS_MAX = 20000


class Impossible(AssertionError):
    """What was seen contradicts the contract."""


class TooMany(Exception):
    """More worlds than is worth the time: this sequence is given up."""


@dataclass(eq=False)
class Link:
    """One connection of a client, as the log has it."""

    number: int
    cut: bool = False
    killed: bool = False               # the broker died with, or soon after, this link
    commands: list = field(default_factory=list)


@dataclass(eq=False)
class Command:
    number: int
    link: Link
    kind: str
    file: Optional[int] = None         # None: no transfer is meant
    topic: str = ""
    payload: bytes = b""
    qos: int = 1
    meta: Optional[model.Meta] = None
    about: int = 0
    ttl: int = 0
    offset: int = 0
    data: bytes = b""
    size: int = 0
    checksum: Optional[str] = None
    rest: str = ""                     # junk: what follows the file id
    bad: Optional[str] = None          # the word that says what is wrong with it
    mid: Optional[int] = None
    ack: Optional[int] = None          # the code of PUBACK or PUBREC
    answer: Optional[dict] = None      # the response
    owed: bool = True                  # if it was carried out, then its response has come
    what: dict = field(default_factory=dict)   # to send it again

    def __str__(self):
        return f"#{self.number} {self.topic[:60]} ({len(self.payload)} bytes, qos {self.qos}, " \
               f"ack {self.ack}, answer {brief(self.answer)})"

    def is_certain(self):
        return not self.link.cut or self.ack is not None or self.answer is not None


def brief(answer):
    return {k: v for k, v in (answer or {}).items() if k not in ("vsn", "topic", "reason_code")}


@dataclass(frozen=True)
class Event:
    """What happened between commands: cut, kill, jump (by seconds)."""

    what: str
    link: Optional[Link] = None
    seconds: int = 0


def expected_ack(word, qos, is_21):
    code = WORDS[word][1]
    if code == 0x10 and qos == 2:
        return 0                       # Mosquitto's PUBREC cannot say it
    return (0x97 if is_21 else 0x87) if code == RETRY else code


def agrees(reply, command):
    """Whether the response is this one, or may have got lost."""
    answer = command.answer
    if answer is None:
        return not command.owed
    wanted = {"reason_description": reply.word, "reason_code": WORDS[reply.word][0]}
    if reply.state:
        wanted["state"] = reply.state
    if reply.received is not None:
        wanted["received"] = reply.received
    cut = False
    for member, ranges in (("have", reply.have), ("missing", reply.missing)):
        if ranges is not None:
            wanted[member] = ranges[:model.LIST_MAX]
            cut |= len(ranges) > model.LIST_MAX
    return all(answer.get(key) == value for key, value in wanted.items()) and \
        answer.get("truncated", False) == cut


class Checker:
    """The worlds of one client, and its commands by number."""

    def __init__(self, rules, files, version, is_21):
        self.rules, self.version, self.is_21 = rules, version, is_21
        self.worlds = {(model.NONE,) * files: None}  # a dict: sets have no order of their own
        self.commands = {}
        self.said = []

    # --- one command ------------------------------------------------------------------

    def evolved(self, file):
        """What the file may be by now, as far as responses agree."""
        return [found for found, answers in model.reachable(file)
                if all(self.fits(reply, number) for number, reply in answers.items())]

    def fits(self, reply, number):
        return agrees(reply, self.commands[number])

    def takes(self, outcome, command):
        """Whether the acknowledgement and the responses agree with the outcome."""
        if command.ack is not None:
            code = expected_ack(outcome.ack, command.qos, self.is_21) if self.version == 5 else 0
            if command.ack != code:
                return False
        if outcome.reply is not None and not agrees(outcome.reply, command):
            return False
        return all(self.fits(reply, number) for number, reply in outcome.others)

    def step(self, worlds, command):
        found, self.said = {}, []
        for world in worlds:
            for file in self.evolved(world[command.file or 0]):
                for outcome in model.outcomes(file, command, self.rules):
                    if self.takes(outcome, command):
                        found[self.put(world, command.file, outcome.file)] = None
                    elif len(self.said) < 5:
                        self.said.append((file.state, outcome.ack, outcome.reply, outcome.others))
        if len(found) > WORLDS_MAX:
            raise TooMany()
        return found

    @staticmethod
    def put(world, at, file):
        return world if at is None else world[:at] + (file,) + world[at + 1:]

    # --- a history --------------------------------------------------------------------

    def run(self, history):
        """Takes the worlds through commands and events; Impossible where none is left."""
        running, ended = self.worlds, {}
        last = last_certain(history)
        for item in history:
            if isinstance(item, Command):
                if item.number <= last.get(item.link, -1):
                    ended = {}
                else:
                    ended.update(running)
                    if item.link.killed:
                        ended.update(self.torn(running, item))
                running = self.step(running, item)
            else:
                running, ended = self.happen(item, running, ended)
            if not running and not ended:
                raise Impossible(self.complaint(item, history))
        self.worlds = self.settled(running)
        if not self.worlds:
            raise Impossible("no world in which every command was answered as it was")

    def happen(self, event, running, ended):
        if event.what == "jump":
            return tuple({tuple(aged(f, event.seconds) for f in world): None
                          for world in worlds} for worlds in (running, ended))
        running = {**running, **ended}
        if event.what == "kill":
            running = self.every_file(running, self.killed)
        return running, {}

    def killed(self, file):
        return [left for found in self.evolved(file) for left in model.after_kill(found)]

    def every_file(self, worlds, change):
        for at in range(len(next(iter(worlds), ()))):
            worlds = {world[:at] + (file,) + world[at + 1:]: None
                      for world in worlds for file in change(world[at])}
            if len(worlds) > WORLDS_MAX:
                raise TooMany()
        return worlds

    def torn(self, worlds, command):
        if command.file is None:
            return {}
        return {self.put(world, command.file, file): None for world in worlds
                for known in self.evolved(world[command.file])
                if model.outcomes(known, command, self.rules)[0].ack == "success"
                for file in model.torn(known, command)}

    def settled(self, worlds):
        """Without assemblies that still run."""
        return {tuple(file._replace(hasty=False) for file in world): None
                for world in self.every_file(worlds, self.evolved)
                if all(file.state != "assembling" for file in world)}

    def complaint(self, item, history):
        lines = ["the contract allows no such answer:"]
        at = history.index(item)
        lines += [f"    {'>' if i == at else ' '} {text}" for i, text in
                  enumerate(map(str, history)) if at - 12 <= i <= at + 3]
        lines += [f"    expected, where the file is {state}: ack for {ack}; {reply} {others or ''}"
                  for state, ack, reply, others in self.said]
        return "\n".join(lines)

    def force(self, at, file):
        self.worlds = {self.put(world, at, file): None for world in self.worlds}


def aged(file, seconds):
    return file._replace(age=file.age + seconds, sure_age=file.sure_age + seconds)


def last_certain(history):
    """{link: number of the last command that was carried out for sure}"""
    last = {}
    for item in history:
        if isinstance(item, Command) and item.is_certain():
            last[item.link] = item.number
    return last
