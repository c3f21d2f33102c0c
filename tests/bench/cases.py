# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""What is measured. A case is one server under one load; its name is used by the targets
and in the JSON."""
import dataclasses

from servers import Bare, Mosquitto, Nginx, Offering, Tus, Vsftpd

KIB, MIB = 1 << 10, 1 << 20
CHUNKS = {"4K": 4 * KIB, "64K": 64 * KIB, "256K": 256 * KIB, "1M": MIB}
BASE = "256K/w20/stock"


@dataclasses.dataclass
class Case:
    name: str
    group: str
    label: str
    server: object              # (class, keyword arguments)
    load: list                  # arguments of the load generator
    kind: str = "upload"        # see runner.KINDS
    sink: bool = False          # a subscriber writes what is published
    warm: bool = True           # after a small upload by another client
    quick: bool = False         # part of `make bench-quick`
    slow: bool = False          # there only in the first round


def plugin(**options):
    return Mosquitto, {"options": {"max_transfers": 20000, **options}}


STOCK = (Mosquitto, {"options": None})
NONE, FILE, SEGMENT = (plugin(durability=d) for d in ("none", "file", "segment"))

# word -> (label, server, arguments, sink)
MQTT = {
    "stock": ("stock broker, nothing stored", STOCK, ["--plain"], False),
    "subscriber": ("stock broker + subscriber writing", STOCK, ["--plain", "--confirm"], True),
    "none": ("plugin, durability none", NONE, ["--file-sum"], False),
    "file": ("plugin, durability file", FILE, ["--file-sum"], False),
    "segment": ("plugin, durability segment", SEGMENT, ["--file-sum"], False),
    "file-sums": ("plugin, file, segment checksums", FILE, ["--file-sum", "--segment-sums"], False),
    "file-nosum": ("plugin, file, no checksum given", FILE, [], False),
    "none-responses": ("plugin, none, all responses read", NONE, ["--file-sum", "--responses"],
                       False),
    "none-errors": ("plugin, none, responses to errors only", NONE,
                    ["--file-sum", "--responses", "--errors"], False),
    "none-put": ("plugin, none, each file by one put", NONE, ["--file-sum", "--put"], False),
    "file-put": ("plugin, file, each file by one put", FILE, ["--file-sum", "--put"], False),
    "file-responses": ("plugin, file, all responses read", FILE, ["--file-sum", "--responses"],
                       False),
}
EVERY = tuple(word for word in MQTT if not word.endswith("-put"))
PUTS = ("none-put", "file-put")
MAIN = ("stock", "subscriber", "none", "file")


def with_config(server, *lines):
    kind, arguments = server
    return kind, {**arguments, "config": list(lines)}


def mqtt(name, group, word, load, quick, config=()):
    label, server, arguments, sink = MQTT[word]
    return Case(f"{name}/{word}", group, label, with_config(server, *config),
                ["upload"] + arguments + load, sink=sink, quick=quick)


def sized(chunk, word):
    """4 KiB segments are counted in tens of thousands, and an fdatasync each takes long."""
    size = 256 * MIB if CHUNKS[chunk] >= 64 * KIB else 64 * MIB
    if word == "segment":
        size = min(size, 1024 * CHUNKS[chunk])
    return ["--size", str(size), "--chunk", str(CHUNKS[chunk])]


def by_chunk():
    for chunk in CHUNKS:
        group = f"One file of {'64' if chunk == '4K' else '256'} MiB in segments of {chunk}iB, " \
                "20 in flight"
        for word in EVERY:
            yield mqtt(f"{chunk}/w20", group, word, sized(chunk, word), word in MAIN
                       or chunk == "4K" and word in ("none-responses", "none-errors"))
        if chunk == "256K":
            case = mqtt(f"{chunk}/w20", group, "stock", sized(chunk, "stock"), True)
            yield dataclasses.replace(case, name=case.name + "-first", warm=False,
                                      label="stock broker, first upload after its start")


def by_window():
    for chunk in ("4K", "256K"):
        for window in (1, 100):
            group = f"The same in segments of {chunk}iB, {window} in flight"
            for word in MAIN:
                yield mqtt(f"{chunk}/w{window}", group, word, sized(chunk, word)
                           + ["--window", str(window)], False, ["max_inflight_messages 100"])


def whole_file():
    group = "One file of 256 MiB, other servers (none verifies a checksum)"
    size = ["--size", str(256 * MIB)]
    yield Case("whole/nginx", group, "nginx PUT", (Nginx, {}), ["put"] + size, quick=True)
    yield Case("whole/nginx-sync", group, "nginx PUT + fdatasync", (Nginx, {}),
               ["put", "--dir", "STORAGE"] + size, quick=True)
    yield Case("whole/vsftpd", group, "vsftpd", (Vsftpd, {}), ["ftp"] + size, quick=True)
    yield Case("whole/vsftpd-sync", group, "vsftpd + fdatasync", (Vsftpd, {}),
               ["ftp", "--dir", "STORAGE"] + size)
    for chunk in ("256K", "1M", "256M"):
        label = "tus, one PATCH" if chunk == "256M" else f"tus, PATCHes of {chunk}iB"
        yield Case(f"whole/tus-{chunk}", group, label, (Tus, {}),
                   ["tus", "--chunk", str(CHUNKS.get(chunk, 256 * MIB))] + size,
                   quick=chunk == "1M")


def limits():
    """What the machine gives: nothing that stores and hashes 256 MiB is faster than this."""
    group = "The least that 256 MiB can cost: a socket, a file, SHA-256 on a second thread"
    load = ["tcp", "--size", str(256 * MIB)]
    yield Case("limit/write", group, "TCP to file", (Bare, {"hashing": False}), load)
    yield Case("limit/hash", group, "TCP to file, hashed", (Bare, {}), load, quick=True)
    yield Case("limit/hash-sync", group, "TCP to file, hashed + fdatasync", (Bare, {}),
               load + ["--dir", "STORAGE"], quick=True)


def peers_of_small(name, group, load, tus_load):
    for word, label, more in (("nginx", "nginx PUT", []),
                              ("nginx-sync", "nginx PUT + fdatasync", ["--dir", "STORAGE"])):
        yield Case(f"{name}/{word}", group, label, (Nginx, {}), ["put"] + load + more, quick=True)
    yield Case(f"{name}/vsftpd", group, "vsftpd", (Vsftpd, {}), ["ftp"] + load)
    yield Case(f"{name}/tus", group, "tus, one PATCH", (Tus, {}),
               ["tus", "--chunk", str(64 * KIB)] + tus_load)


def many_clients():
    group = "100 clients, each with 10 files of 64 KiB in segments of 16 KiB, one after the other"
    files = ["--size", str(64 * KIB), "--clients", "100"]
    load = files + ["--files", "10", "--chunk", str(16 * KIB)]
    for word in MAIN:
        yield mqtt("100-clients", group, word, load, True)
    for word in PUTS:
        yield mqtt("100-clients", group, word, files + ["--files", "10", "--chunk", str(64 * KIB)],
                   True)
    yield from peers_of_small("100-clients", group, load, files + ["--files", "2"])


def many_files():
    group = "One client, 1,000 files of 64 KiB in one segment each, 20 in flight"
    one = ["--size", str(64 * KIB), "--chunk", str(64 * KIB)]
    load = one + ["--files", "1000"]
    for word in MAIN:
        yield mqtt("1000-files", group, word, load + ["--parallel", "16"], True)
    for word in PUTS:
        yield mqtt("1000-files", group, word, load + ["--parallel", "16"], True)
    for word in ("none", "file"):
        case = mqtt("1000-files", group, word, load, False)
        yield dataclasses.replace(case, name=case.name + "-alone",
                                  label=case.label + ", one by one")
    yield from peers_of_small("1000-files", group, load, one + ["--files", "200"])
    yield Case("1000-files/nginx-4", group, "nginx PUT, 4 connections", (Nginx, {}),
               ["put", "--clients", "4", "--files", "250"] + one)


def fin():
    group = "From fin to its response, all segments acknowledged before"
    for word in ("none", "file"):
        for name, label, load in (
                ("256M", "256 MiB in segments of 256 KiB",
                 ["--size", str(256 * MIB), "--chunk", str(256 * KIB)]),
                ("100k", "100,000 segments of 1 KiB",
                 ["--size", str(100000 * KIB), "--chunk", str(KIB)])):
            case = mqtt(f"fin/{name}", group, word, load + ["--settle"], word == "none")
            yield dataclasses.replace(case, kind="fin", label=f"{label}, durability {word}",
                                      slow=name == "100k")


def round_trip():
    group = "Round trip (QoS 1) of another client while 1 GiB is uploaded flat out, 256 KiB, " \
            "20 in flight"
    load = ["--size", str(256 * MIB), "--files", "4"]
    for word in MAIN:
        case = mqtt("round-trip", group, word, load, word != "subscriber")
        yield dataclasses.replace(case, kind="round-trip")
    group = "The same at 100 MiB/s"
    for word in MAIN:
        case = mqtt("round-trip-100M", group, word, load + ["--rate", str(100 * MIB)], False)
        yield dataclasses.replace(case, kind="round-trip")


def held_up():
    """The log is in memory, and takes all that comes meanwhile."""
    group = "Round trip (QoS 1) of another client beside an upload at 1 MiB/s, 12 s, durability " \
            "file"
    load = ["upload", "--file-sum", "--size", str(12 * MIB), "--chunk", str(64 * KIB), "--rate",
            str(MIB)]
    server = with_config(FILE, "log_type none")
    for word, label in (("quiet", "the disk of storage_dir is at rest"),
                        ("stalls", "it stalls for 0.3 s each second"),
                        ("frozen", "it is frozen for 10 s")):
        yield Case(f"held-up/{word}", group, label, server, load, f"held-up-{word}", slow=True,
                   warm=False)


def cost():
    group = "Messages that are no file transfer: 200,000 of 100 bytes, QoS 1, 20 in flight"
    load = ["upload", "--plain", "--size", "20000000", "--chunk", "100"]
    yield Case("cost/stock", group, "without the plugin", STOCK, load, "cost", quick=True)
    yield Case("cost/plugin", group, "with the plugin", FILE, load, "cost", quick=True)


def download():
    """Memory is bounded by the windows of the clients; what reads late costs the broker no more."""
    size = 64 * MIB
    group = "100 clients, one file of 64 MiB in blocks of 64 KiB, 8 under way for each"
    load = ["download", "--clients", "100", "--size", str(size), "--chunk", str(64 * KIB), "--window",
            "8", "--timeout", "600"]
    own = {"max_requests_per_client": "64", "downloads": "native"}
    for word, label, server, arguments in (
            ("broadcast", "stock broker, all subscribed, nobody asks",
             (Offering, {"size": size, "options": None}), ["--plain"]),
            ("stock", "stock broker, each asks, a service answers",
             (Offering, {"size": size, "options": None}), ["--relay"]),
            ("plugin", "plugin, each asks for its own", (Offering, {"size": size, "options": own}), [])):
        yield Case(f"download/{word}", group, label, server, load + arguments, "download", warm=False,
                   slow=False)


def idle():
    group = "10,000 unfinished transfers of 100 clients, 1 KiB held of each"
    load = ["upload", "--leave", "--file-sum", "--clients", "100", "--files", "100",
            "--parallel", "100", "--size", str(KIB), "--chunk", str(KIB)]
    yield Case("idle/file", group, "plugin", FILE, load, "idle", quick=True, slow=True)


def all_cases():
    found = []
    for part in (by_chunk, by_window, whole_file, limits, many_clients, many_files, fin, round_trip,
                 held_up, cost, download, idle):
        found.extend(part())
    return found
