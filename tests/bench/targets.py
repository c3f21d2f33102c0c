# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""What is to be reached. Ratios compare cases of one run, like with like: without fsync
against without, with against with."""
import dataclasses
import statistics


@dataclasses.dataclass
class Target:
    text: str
    case: str
    metric: str
    at_least: bool
    bound: float
    against: str = ""           # the case that is 1; none: the metric itself
    unit: str = "x"
    before: str = ""            # with the disk on the broker's thread


FLOOR, FLOOR_SYNC = "limit/hash", "limit/hash-sync"


def _targets():
    for chunk, was in (("256K", "0.85"), ("1M", "0.85"), ("64K", "0.8")):
        yield Target(f"256 MiB in {chunk}iB, durability none, of the floor", f"{chunk}/w20/none",
                     "mib_s", True, 0.9, FLOOR, before=was)
        yield Target(f"256 MiB in {chunk}iB, durability file, of the floor + fdatasync",
                     f"{chunk}/w20/file", "mib_s", True, 0.9 if chunk == "64K" else 1.0, FLOOR_SYNC,
                     before="1.15" if chunk != "64K" else "")
    for word, what, bound in (("none-responses", "all responses read", 0.7),
                              ("none-errors", "responses to errors only", 0.85)):
        yield Target(f"4KiB segments, {what}, of the stock broker storing nothing",
                     f"4K/w20/{word}", "mib_s", True, bound, "4K/w20/stock", before="0.50-0.58")
    yield Target("4KiB segments, of the subscriber route", "4K/w20/none", "mib_s", True, 3.0,
                 "4K/w20/subscriber")
    sync = "nginx PUT + fdatasync"
    for word, bound, peer, what, was in (
            ("none", 1.0, "nginx", "three commands, none, of nginx PUT", "0.40-0.65"),
            ("none-put", 1.3, "nginx", "put, none, of nginx PUT", "-"),
            ("file", 1.5, "nginx-sync", f"three commands, file, of {sync}", "0.69-1.1"),
            ("file-put", 2.0, "nginx-sync", f"put, file, of {sync}", "-")):
        yield Target(f"1,000 files of 64 KiB, {what}", f"1000-files/{word}", "mib_s", True, bound,
                     f"1000-files/{peer}", before=was)
    for word, bound, what, was in (("none", 0.4, "segments of 16 KiB", "0.17-0.19"),
                                   ("none-put", 1.0, "put", "-")):
        yield Target(f"100 clients, files of 64 KiB, {what}, of nginx PUT", f"100-clients/{word}",
                     "mib_s", True, bound, "100-clients/nginx", before=was)
    for word, bound, what, was in (("none", 200, "three commands", "500"), ("none-put", 150, "put",
                                                                            "-")):
        yield Target(f"CPU of the server for a file of 64 KiB, {what}", f"1000-files/{word}",
                     "us_per_file", False, bound, unit="us", before=was)
    for name, what, was in (("256M", "256 MiB", "9-147"), ("100k", "100,000 segments of 1 KiB",
                                                          "2")):
        yield Target(f"fin to response, {what}, durability none", f"fin/{name}/none", "fin_ms",
                     False, 20, unit="ms", before=was)
    for name, what, bound, was in (("round-trip", "flat out", 1.5, "2.0-3.1"),
                                   ("round-trip-100M", "at 100 MiB/s", 1.2, "2.0-2.7")):
        for word in ("none", "file"):
            yield Target(f"another client's round trip, p99, upload {what}, durability {word}, "
                         "of the stock broker's", f"{name}/{word}", "p99_us", False, bound,
                         f"{name}/stock", before=was)
    for word, what, was in (("stalls", "stalls 0.3 s each second", "361 ms"),
                            ("frozen", "is frozen for 10 s", "10 s")):
        for metric, name in (("p99_us", "p99"), ("max_us", "worst")):
            yield Target(f"another client's round trip, {name}, the disk {what}, of those while it "
                         "is at rest", f"held-up/{word}", metric, False, 1.2, "held-up/quiet",
                         before=was if metric == "max_us" else "")
    yield Target("broker CPU per foreign message, of that without the plugin", "cost/plugin",
                 "us_per_message", False, 1.02, "cost/stock", before="1.03-1.06")
    for metric, what in (("mib_s", "throughput"), ("mib_per_cpu_s", "bytes for a second of the broker's CPU")):
        yield Target(f"100 clients download 64 MiB, {what}, of the stock broker's", "download/plugin",
                     metric, True, 0.8, "download/stock")
    yield Target("the same, memory", "download/plugin", "memory_mib", False, 100, unit="MiB")
    yield Target("the same, another client's round trip, p99", "download/plugin", "p99_us", False, 100000,
                 unit="us")
    yield Target("memory of an unfinished idle transfer", "idle/file", "bytes_per_transfer", False,
                 1024, unit="bytes", before="900")
    yield Target("broker start with 10,000 unfinished transfers", "idle/file", "start_ms", False,
                 1000, unit="ms", before="46-78")


def median(results, case, metric):
    """None: not measured."""
    values = [sample[metric] for sample in results.get(case, []) if metric in sample]
    return statistics.median(values) if values else None


def judge(results):
    """[{text, bound, value or None, met or None}]"""
    verdicts = []
    for target in _targets():
        value = median(results, target.case, target.metric)
        if value is not None and target.against:
            one = median(results, target.against, target.metric)
            value = value / one if one else None
        met = None if value is None else \
            value >= target.bound if target.at_least else value <= target.bound
        verdicts.append({"text": target.text, "at_least": target.at_least, "bound": target.bound,
                         "unit": target.unit, "before": target.before, "value": value,
                         "met": met})
    return verdicts
