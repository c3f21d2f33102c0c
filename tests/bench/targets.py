# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""What is to be reached. Ratios compare cases of one run, like with like: without fsync
against without, with against with."""
import dataclasses
import statistics

from cases import BASE


@dataclasses.dataclass
class Target:
    text: str
    case: str
    metric: str
    at_least: bool
    bound: float
    against: str = ""           # the case that is 1; none: the metric itself
    unit: str = "x"


def _targets():
    base, sync = "the base", "nginx PUT + fdatasync"
    for chunk in ("256K", "1M"):
        yield Target(f"256 MiB in {chunk}iB, durability none, of {base}", f"{chunk}/w20/none",
                     "mib_s", True, 2.0, BASE)
        yield Target(f"256 MiB in {chunk}iB, durability file, of {sync}", f"{chunk}/w20/file",
                     "mib_s", True, 1.0, "whole/nginx-sync")
    for chunk in ("64K", "4K"):
        for word in ("none", "file"):
            yield Target(f"{chunk}iB segments, durability {word}, of the stock broker storing "
                         "nothing", f"{chunk}/w20/{word}", "mib_s", True, 0.85,
                         f"{chunk}/w20/stock")
    for word in ("none", "file"):
        yield Target(f"4KiB segments, durability {word}, of the subscriber route",
                     f"4K/w20/{word}", "mib_s", True, 3.0, "4K/w20/subscriber")
    for name, what in (("100-clients", "100 clients, files of 64 KiB"),
                       ("1000-files", "1,000 files of 64 KiB")):
        yield Target(f"{what}, durability none, of nginx PUT", f"{name}/none", "mib_s", True, 2.0,
                     f"{name}/nginx")
        yield Target(f"{what}, durability file, of {sync}", f"{name}/file", "mib_s", True, 2.0,
                     f"{name}/nginx-sync")
    for name, what in (("256M", "256 MiB"), ("100k", "100,000 segments of 1 KiB")):
        yield Target(f"fin to response, {what}, durability none", f"fin/{name}/none", "fin_ms",
                     False, 20, unit="ms")
    for name, what in (("round-trip", "flat out"), ("round-trip-100M", "at 100 MiB/s")):
        for word in ("none", "file"):
            yield Target(f"another client's round trip, p99, upload {what}, durability {word}, "
                         "of the stock broker's", f"{name}/{word}", "p99_us", False, 1.2,
                         f"{name}/stock")
    yield Target("broker CPU per foreign message, of that without the plugin", "cost/plugin",
                 "us_per_message", False, 1.02, "cost/stock")
    yield Target("memory of an unfinished idle transfer", "idle/file", "bytes_per_transfer", False,
                 1024, unit="bytes")
    yield Target("broker start with 10,000 unfinished transfers", "idle/file", "start_ms", False,
                 1000, unit="ms")


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
                         "unit": target.unit, "value": value, "met": met})
    return verdicts
