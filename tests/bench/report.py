# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The results as a table for people and as an SVG chart."""
import statistics
from xml.sax.saxutils import escape

from cases import BASE
from targets import judge, median

# kind -> ((heading, metric, format, with min and max), ...); "ratio" is against the base
SPEED = (("MiB/s", "mib_s", "{:.0f}", True), ("x base", "ratio", "{:.2f}", False))
CPU = (("CPU server ms", "server_cpu_s", "{:.0f}", False),
       ("us/file", "us_per_file", "{:.0f}", False),
       ("client ms", "cpu_s", "{:.0f}", False))
COLUMNS = {
    "upload": SPEED + CPU,
    "fin": (("ms", "fin_ms", "{:.1f}", True),) + CPU,
    "round-trip": (("p99 us", "p99_us", "{:.0f}", True), ("p50 us", "p50_us", "{:.0f}", True),
                   ("pings", "pings", "{:.0f}", False), ("upload MiB/s", "mib_s", "{:.0f}", False)),
    "held-up": (("p99 us", "p99_us", "{:.0f}", True), ("worst us", "max_us", "{:.0f}", True),
                ("pings", "pings", "{:.0f}", False)),
    "download": SPEED[:1] + (("MiB/CPU s", "mib_per_cpu_s", "{:.0f}", True),
                             ("memory MiB", "memory_mib", "{:.1f}", True),
                             ("p99 us", "p99_us", "{:.0f}", True), ("worst us", "max_us", "{:.0f}", False)),
    "cost": (("broker us/message", "us_per_message", "{:.3f}", True),
             ("messages/s", "per_s", "{:.0f}", False)),
    "idle": (("bytes each", "bytes_per_transfer", "{:.0f}", True),
             ("start ms", "start_ms", "{:.0f}", True),
             ("empty start ms", "empty_start_ms", "{:.0f}", False)),
}


def _values(sample_list, metric, base):
    scale = 1000 if metric in ("server_cpu_s", "cpu_s") else 1
    if metric == "ratio":
        return [s["mib_s"] / base for s in sample_list] if base else []
    if metric == "per_s":
        return [s["messages"] / s["seconds"] for s in sample_list]
    return [s[metric] * scale for s in sample_list if metric in s]


def _columns(kind):
    return COLUMNS["held-up" if kind.startswith("held-up") else kind]


def _cells(case, sample_list, base):
    cells = []
    for _, metric, form, spread in _columns(case.kind):
        values = _values(sample_list, metric, base)
        if not values:
            cells += ["-", ""] if spread else ["-"]
            continue
        cells.append(form.format(statistics.median(values)))
        if spread:
            cells.append(f"{form.format(min(values))}..{form.format(max(values))}")
    return cells


def _headings(kind):
    for heading, _, _, spread in _columns(kind):
        yield heading
        if spread:
            yield "min..max"


def _notes(sample_list, rounds):
    notes = []
    noisy = sum(1 for sample in sample_list if sample["noisy"])
    if noisy:
        notes.append(f"{noisy} noisy")
    if len(sample_list) != rounds:
        notes.append(f"{len(sample_list)} runs")
    return ", ".join(notes)


def _table(rows):
    """The first column and the last to the left, numbers to the right."""
    last = len(rows[0]) - 1
    widths = [max(len(row[i]) for row in rows) for i in range(last)]
    for row in rows:
        cells = [cell.ljust(width) if i == 0 else cell.rjust(width)
                 for i, (cell, width) in enumerate(zip(row, widths))]
        yield "  " + "  ".join(cells + row[last:]).rstrip()


def table(cases, results, missing, rounds):
    """All cases, group by group."""
    base = median(results, BASE, "mib_s")
    groups = {}
    for case in cases:
        groups.setdefault(case.group, []).append(case)
    for group, members in groups.items():
        yield ""
        yield group
        rows = [["", *_headings(members[0].kind), ""]]
        for case in members:
            if case.name in missing:
                rows.append([case.label] + [""] * (len(rows[0]) - 2)
                            + [f"not measured: {missing[case.name]}"])
            else:
                samples = results[case.name]
                rows.append([case.label] + _cells(case, samples, base) + [_notes(samples, rounds)])
        yield from _table(rows)


def verdicts(results):
    rows = []
    for verdict in judge(results):
        if verdict["value"] is None:
            rows.append(["not measured", "", "", verdict["before"], verdict["text"]])
            continue
        form = "{:.2f}" if verdict["unit"] == "x" else "{:.0f}"
        sign = ">=" if verdict["at_least"] else "<="
        rows.append(["met" if verdict["met"] else "NOT MET",
                     f"{form.format(verdict['value'])} {verdict['unit']}",
                     f"{sign} {form.format(verdict['bound'])}", verdict["before"], verdict["text"]])
    return _table([["", "is", "wanted", "was", ""]] + rows)


# --- chart ------------------------------------------------------------------------------

PANELS = (
    ("One file of 256 MiB, segments of 256 KiB", (
        ("256K/w20/none", "plugin, durability none"), ("256K/w20/file", "plugin, durability file"),
        ("256K/w20/stock", "broker storing nothing"),
        ("256K/w20/subscriber", "broker + subscriber"),
        ("whole/nginx", "nginx PUT"), ("whole/nginx-sync", "nginx PUT + fdatasync"),
        ("whole/vsftpd", "vsftpd"), ("whole/tus-1M", "tus, node server"))),
    ("One file of 64 MiB, segments of 4 KiB", (
        ("4K/w20/none", "plugin, durability none"), ("4K/w20/file", "plugin, durability file"),
        ("4K/w20/stock", "broker storing nothing"), ("4K/w20/subscriber", "broker + subscriber"))),
    ("1,000 files of 64 KiB, one client", (
        ("1000-files/none", "plugin, durability none"),
        ("1000-files/file", "plugin, durability file"),
        ("1000-files/subscriber", "broker + subscriber"),
        ("1000-files/nginx", "nginx PUT"), ("1000-files/nginx-sync", "nginx PUT + fdatasync"),
        ("1000-files/vsftpd", "vsftpd"), ("1000-files/tus", "tus, node server"))),
    ("100 clients, files of 64 KiB in 16 KiB", (
        ("100-clients/none", "plugin, durability none"),
        ("100-clients/file", "plugin, durability file"),
        ("100-clients/subscriber", "broker + subscriber"),
        ("100-clients/nginx", "nginx PUT"), ("100-clients/nginx-sync", "nginx PUT + fdatasync"),
        ("100-clients/vsftpd", "vsftpd"), ("100-clients/tus", "tus, node server"))),
)
WIDTH, LABEL, BAR, ROW, HEAD = 760, 200, 440, 22, 40


def _bar(y, label, value, most, ours):
    length = max(1.0, BAR * value / most)
    fill = "#1a6faf" if ours else "#9aa5b1"
    return (f'<text x="{LABEL - 8}" y="{y + 14}" text-anchor="end">{escape(label)}</text>'
            f'<rect x="{LABEL}" y="{y + 3}" width="{length:.1f}" height="{ROW - 7}" '
            f'fill="{fill}"/>'
            f'<text x="{LABEL + length + 6:.1f}" y="{y + 14}">{value:.0f}</text>')


def _panel(y, title, bars):
    most = max(value for _, value, _ in bars)
    parts = [f'<text x="{LABEL}" y="{y + 26}" font-weight="bold">{escape(title)}, MiB/s</text>']
    for i, (label, value, ours) in enumerate(bars):
        parts.append(_bar(y + HEAD + i * ROW, label, value, most, ours))
    return "\n".join(parts)


def chart(results, facts):
    parts, y = [], 0
    for title, rows in PANELS:
        bars = [(label, median(results, name, "mib_s"), label.startswith("plugin"))
                for name, label in rows if median(results, name, "mib_s")]
        if bars:
            parts.append(_panel(y, title, bars))
            y += HEAD + len(bars) * ROW
    about = f"{facts['cpu']}, {facts['system']}, Mosquitto {facts['mosquitto']}, loopback; " \
            f"medians of {facts['rounds']} runs"
    parts.append(f'<text x="12" y="{y + 30}" fill="#555">{escape(about)}</text>')
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + 46}" '
            f'viewBox="0 0 {WIDTH} {y + 46}" font-family="sans-serif" font-size="12" '
            f'fill="#222" role="img" aria-label="Upload speed in MiB per second">\n'
            f'<rect width="{WIDTH}" height="{y + 46}" fill="#fff"/>\n'
            + "\n".join(parts) + "\n</svg>\n")
