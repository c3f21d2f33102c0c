# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""What the broker must do with one transfer, said again and more simply than in C.

A File is a value: which bytes are held and what they are, in what state. A command leads
from a File to its possible outcomes; nearly always there is one. What happens by itself, an
assembly that ends, a transfer that expires, is in steps(). No clock, no threads, no disk.

    outcomes(file, command, rules)  ->  [Outcome]
    steps(file)                     ->  [(file, {command number: reply})]
    after_kill(file)                ->  [file]
"""
import functools
import hashlib
import re
from typing import NamedTuple, Optional

LIST_MAX, WAITERS_MAX = 100, 16
PAGE = 4096
TTL_MIN = 30                           # segments_ttl_min


class Meta(NamedTuple):
    """What init says and may not change."""

    name: str
    size: Optional[int] = None
    checksum: Optional[str] = None


class File(NamedTuple):
    state: str = "none"                # none, receiving, assembling, complete
    meta: Optional[Meta] = None
    about: int = 0                     # which user_data and expire_at
    ttl: int = 0
    age: int = 0                       # seconds that passed since the last news, at most
    sure_age: int = 0                  # and at least: a restart may have forgotten some
    mask: bytes = b""                  # 1 where a byte is held
    data: bytes = b""                  # 0 where not
    fin_size: int = 0
    fin_checksum: Optional[str] = None
    waiters: tuple = ()                # numbers of the fin commands that wait for the result
    refused: bool = False              # the last init was: another file is meant
    aborting: Optional[int] = None     # the abort that came meanwhile
    known: bool = False                # a file was finished: the catalog is asked before an answer
    hasty: bool = False                # ... and has been asked for anew: it is being asked

    def bytes(self):
        return self.data[:self.fin_size]


class Reply(NamedTuple):
    """What the response says. None: the contract leaves it open."""

    word: str
    state: Optional[str] = None
    received: Optional[int] = None
    have: Optional[list] = None
    missing: Optional[list] = None


class Outcome(NamedTuple):
    file: File
    ack: str                           # the word whose code the PUBACK has
    reply: Optional[Reply] = None      # None: it is given when the assembly ends
    others: tuple = ()                 # (number, reply): what it means for earlier commands


class Rules(NamedTuple):
    """Options of the broker. A File's arrays have `span` bytes."""

    span: int
    ttl: int
    max_file_size: int
    max_segment_size: int


NONE = File()


@functools.lru_cache(maxsize=16)
def sha256(data):
    return hashlib.sha256(data).hexdigest()


def runs(mask):
    return [[m.start(), m.end() - m.start()] for m in re.finditer(b"\1+", mask)]


def gaps(mask, size):
    return [[m.start(), m.end() - m.start()]
            for m in re.finditer(b"\0+", mask[:size].ljust(size, b"\0"))]


def told(word, file):
    """A reply that tells what is held."""
    if file.state == "complete":
        have = [[0, file.fin_size]] if file.fin_size else []
        return Reply(word, "complete", file.fin_size, have)
    return Reply(word, file.state, file.mask.count(1), runs(file.mask))


def covers(file, size):
    return file.mask[:size].count(1) == size


def holds(file, command, size):
    """Whether these bytes are held already, below `size`."""
    end = command.offset + len(command.data)
    return end <= size and 0 not in file.mask[command.offset:end] and \
        file.data[command.offset:end] == command.data


def result(file):
    """What the assembly in progress must come to."""
    right = not file.fin_checksum or sha256(file.bytes()) == file.fin_checksum
    return "success" if right else "file_checksum_mismatch"


def plain(file, word, state=None):
    return [Outcome(file, word, Reply(word, state))]


def news(file):
    return file._replace(age=0, sure_age=0)


def may_be_busy(file):
    """Until the broker knows what the id was finished as, it may put off what comes next."""
    return plain(file, "busy") if file.hasty else []


# --- commands -----------------------------------------------------------------------------

def init(file, command, rules):
    meta = command.meta
    if command.bad:
        return plain(file, command.bad)
    if rules.max_file_size and (meta.size or 0) > rules.max_file_size:
        return plain(file, "file_too_large")
    if file.state == "none":
        new = File("receiving", meta, command.about, ttl_of(command, rules), 0, 0,
                   bytes(rules.span), bytes(rules.span), known=file.known, hasty=file.known)
        later = Outcome(new, "success", Reply("success"))  # with segments that came since
        return [Outcome(new, "success", told("success", new))] + \
            ([later] if file.known else []) + may_be_busy(file)
    if file.aborting is not None:
        return plain(file, "busy")
    if file.state == "complete":
        return init_of_finished(file, command)
    if meta != file.meta:
        file = file._replace(refused=True)
        return plain(file, "filemeta_conflict") + may_be_busy(file)
    file = file._replace(refused=False)
    if file.state == "receiving":
        file = news(file._replace(about=command.about, ttl=ttl_of(command, rules)))
    return told_when_known(file)


def told_when_known(file):
    """What is held, when it is known."""
    later = [Outcome(file, "success", Reply("success"))] if file.hasty else []
    return [Outcome(file, "success", told("success", file))] + later


def init_of_finished(file, command):
    """The catalog is asked after the PUBACK. Who is put off came behind an abort, or has asked
    for something else than the init before: then what follows is refused, too."""
    known = file._replace(refused=not fits(file, command.meta), hasty=True, age=0, sure_age=0)
    reply = Reply("filemeta_conflict") if known.refused else told("success", file)
    return [Outcome(known, "success", reply)] + may_be_busy(known._replace(refused=True)) + \
        may_be_busy(file)


def ttl_of(command, rules):
    return max(command.ttl, TTL_MIN) if command.ttl else rules.ttl


def fits(file, meta):
    """What an init leaves open, a finished file has settled."""
    return meta.name == file.meta.name and meta.size in (None, file.fin_size) and \
        meta.checksum in (None, sha256(file.bytes()))


def segment(file, command, rules):
    end = command.offset + len(command.data)
    if rules.max_segment_size and len(command.data) > rules.max_segment_size:
        return plain(file, "segment_too_large")
    if rules.max_file_size and end > rules.max_file_size:
        return plain(file, "file_too_large")
    if command.bad and command.bad != "checksum_mismatch":
        return plain(file, command.bad)
    if file.state == "none":
        return unknown(file) + (plain(file, command.bad) if file.known and command.bad else [])
    if file.state == "assembling":
        return plain(file, "busy")
    if file.refused:
        return conflicts(file, command)
    if command.bad:
        return plain(file, command.bad) + may_be_busy(file)
    if file.state == "receiving":
        return plain(written(file, command), "success") + may_be_busy(file)
    same = not command.data or holds(file, command, file.fin_size)
    state = "complete" if command.data else None
    return plain(file, "success" if same else "already_complete", state) + may_be_busy(file)


def written(file, command, until=None, held=True):
    """The last write wins, byte by byte."""
    at = command.offset
    end = min(at + len(command.data), until or at + len(command.data))
    data = file.data[:at] + command.data[:end - at] + file.data[end:]
    if held:
        mask = file.mask[:at] + b"\1" * (end - at) + file.mask[end:]
        return news(file._replace(data=data, mask=mask))
    kept = bytes(d if m else 0 for d, m in zip(data[at:end], file.mask[at:end]))
    return news(file._replace(data=data[:at] + kept + data[end:]))


def unknown(file):
    word = "no_such_transfer"
    return plain(file, word) + ([Outcome(file, "success", Reply(word))] if file.known else []) + \
        may_be_busy(file)


def conflicts(file, command):
    """Another file is meant since an init was refused. Of a finished one the broker may not know
    yet when it sends the PUBACK."""
    word = "filemeta_conflict"
    found = plain(file, word)
    if file.hasty:
        found += [Outcome(file, "success", Reply(word))] + may_be_busy(file)
        if command.kind == "segment" and (command.bad or not command.data):
            found += plain(file, command.bad or "success")
    return found


def fin(file, command, rules):
    checksum = command.checksum or (file.meta.checksum if file.meta else None)
    size = command.size
    if file.state == "none":
        return unknown(file)
    if file.refused:
        return conflicts(file, command)
    large = rules.max_file_size and size > rules.max_file_size
    if file.state == "complete":
        same = size == file.fin_size and command.checksum in (None, sha256(file.bytes()))
        return plain(file, "success" if same else "already_complete", "complete") + \
            may_be_busy(file) + (plain(file, "file_too_large") if large else [])
    waiting = news(file._replace(waiters=file.waiters + (command.number,)))
    if file.state == "assembling":
        if (size, checksum) != (file.fin_size, file.fin_checksum) or file.aborting is not None or \
                len(file.waiters) >= WAITERS_MAX:
            return plain(file, "busy", "assembling")
        return [Outcome(waiting, "success")]
    if large:
        return plain(file, "file_too_large")
    if not covers(file, size):
        return [Outcome(file, "incomplete",
                        Reply("incomplete", "receiving", missing=gaps(file.mask, size)))] + \
            ([Outcome(file, "success", Reply("incomplete"))] if file.hasty else []) + \
            may_be_busy(file)
    return [Outcome(waiting._replace(state="assembling", fin_size=size, fin_checksum=checksum),
                    "success")]


def abort(file, command, _rules):
    gone = Reply("success", "none")
    if file.state == "complete":
        return plain(file._replace(refused=False), "already_complete", "complete") + \
            may_be_busy(file)
    if file.state != "assembling":
        return [Outcome(ended(file), "success", gone)] + may_be_busy(file)
    if file.aborting is not None:
        return plain(file, "busy")
    return [Outcome(file._replace(aborting=command.number), "success")]


def status(file, _command, _rules):
    return told_when_known(news(file) if file.state == "receiving" else file)


def junk(file, command, _rules):
    """What is no command at all, and a question for a transfer that nobody began."""
    if command.bad:
        return plain(file, command.bad)
    return [Outcome(file, "success", told("success", NONE))]


COMMANDS = {"init": init, "segment": segment, "fin": fin, "abort": abort, "status": status,
            "junk": junk}


def outcomes(file, command, rules):
    return COMMANDS[command.kind](file, command, rules)


# --- what happens by itself ---------------------------------------------------------------

def steps(file):
    if file.state == "assembling":
        yield assembled(file)
        if file.aborting is not None:
            yield ended(file), {**dict.fromkeys(file.waiters, Reply("no_such_transfer")),
                                file.aborting: Reply("success", "none")}
    elif file.state == "receiving" and file.age >= file.ttl:
        yield ended(file), {}
    elif file.state == "complete" and file.refused and file.age > 0:
        yield file._replace(refused=False), {}  # that is remembered for a while only


def assembled(file):
    word = result(file)
    failed = "receiving" if file.aborting is None else "assembling"  # until the abort is through
    answers = dict.fromkeys(file.waiters, Reply(word, "complete" if word == "success" else failed))
    over = file._replace(waiters=(), aborting=None)
    if word == "success":
        if file.aborting is not None:
            answers[file.aborting] = Reply("already_complete", "complete")
            over = over._replace(refused=False)
        return finished(over), answers
    if file.aborting is not None:
        answers[file.aborting] = Reply("success", "none")
        return ended(file), answers
    return received_again(over), answers


def ended(file):
    """Nothing is left of it."""
    return NONE._replace(known=file.known, hasty=file.hasty)


def finished(file):
    """All that is left to know of it."""
    return news(file._replace(state="complete", mask=b"", data=file.bytes(), fin_checksum=None,
                              ttl=0))


def received_again(file):
    return news(file._replace(state="receiving", fin_size=0, fin_checksum=None))


def reachable(file):
    """[(file, answers)] that it may have become without a command."""
    found = [(file, {})]
    for known, answers in found:
        found += [(next_file, {**answers, **more}) for next_file, more in steps(known)]
    return found


def after_kill(file):
    """What the next broker finds. An accepted fin is carried out by it, and tells those who
    can still be told. Time in which brokers ran counts, but some is left after every start."""
    file = file._replace(age=max(0, min(file.age, file.ttl - TTL_MIN)), sure_age=0, hasty=False)
    forgets = file.refused and file.state in ("assembling", "complete")
    return [file] + ([file._replace(refused=False)] if forgets else [])


def torn(file, command):
    """A segment in the hands of a broker that was killed: bytes that are held may be new already,
    page by page; what was not held is not."""
    if file.state != "receiving" or command.kind != "segment" or command.bad:
        return []
    first, end = command.offset, command.offset + len(command.data)
    edges = [at for at in range(first // PAGE * PAGE + PAGE, end, PAGE)] + [end]
    return [written(file, command, until=edge, held=False) for edge in edges if end > first]
