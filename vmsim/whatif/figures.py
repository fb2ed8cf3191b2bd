"""Which figures does a run have?

Hosts and VMs over time, what is used and who waits, the room that nothing fits in, and how long
VMs were down. Colours are those of Okabe and Ito, which people with colour blindness can tell
apart. Large runs show the hosts that were most out of service and the VMs with the most downtime
only, and levels at their extremes.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from vmsim.whatif.drawing import LINES, ROW_PX, ZOOM, Picture, charted, quantity, word
from vmsim.whatif.history import History, Lane, Level, binned
from vmsim.whatif.metrics import quantile

LANES_SHOWN = 40
SEGMENTS_SHOWN = 8_000
POINTS_SHOWN = 1_000
LOAD_PARTS = 120
HOUR_S = 3600.0
COLOURS = {
    "Up": "#009E73", "EnteringMaintenance": "#F0E442", "Maintenance": "#E69F00",
    "NotResponding": "#D55E00", "StorageLost": "#CC79A7", "Removed": "#999999",
    "pending": "#999999", "starting": "#56B4E9", "booting": "#0072B2", "running": "#009E73",
    "migrating": "#F0E442", "waiting": "#D55E00", "off": "#E69F00",
}  # fmt: skip
OTHER = "#999999"
HOURS = "simulated hours"


def pictures(run: History) -> list[Picture]:
    """All figures of a run."""
    hosts = eventful_hosts(run)
    which = ", those that were most out of service" if len(hosts) < len(run.hosts) else ""
    vms = worst_lanes(run)
    free = {
        "vCPUs beside too little memory": run.stranded_cpu,
        "memory beside too few vCPUs": run.stranded_memory,
        "hosts without a VM": run.empty_hosts,
    }
    most = int(max(run.waiting.values, default=0))
    return [
        lanes("hosts", hosts, f"States of {len(hosts)} of {len(run.hosts)} hosts over time"
              + which),
        lanes("vms", vms, f"States of {len(vms)} of {len(run.vms)} VMs over time, most downtime "
              "first"),
        load(run, [name for name, _ in hosts]),
        levels("use", {"vCPUs": run.cpu, "memory": run.memory}, "used, % of open hosts",
               "How much of the open hosts is used over time"),
        levels("waiting", {"VMs": run.waiting}, "VMs that wait",
               f"VMs that wait for a host over time; at most {most} at once", 1.0),
        levels("fragmentation", free, "%",
               "Room that nothing fits in, and empty hosts, as shares of the open hosts"),
        distribution([run]),
    ]  # fmt: skip


def lanes(name: str, found: Sequence[tuple[str, Lane]], sentence: str) -> Picture:
    """Bars of states over time, one lane for each name."""
    rows = list(_segments(found))
    used = [state for state in COLOURS if any(row["state"] == state for row in rows)]
    used += sorted({row["state"] for row in rows} - set(COLOURS))
    colours = {"domain": used, "range": [COLOURS.get(state, OTHER) for state in used]}
    encoding = {
        "y": word("name", "", sort=[lane for lane, _ in found], axis={"title": None}),
        "x": quantity("from", HOURS, scale={"nice": False}),
        "x2": {"field": "to"},
        "color": word("state", "", scale=colours),
        "tooltip": [word("name", "name"), word("state", "state"),
                    quantity("from", "from, h", format=".4~f"),
                    quantity("to", "to, h", format=".4~f")],
    }  # fmt: skip
    spec = charted(
        {"hosts": "Hosts", "vms": "VMs"}[name], rows,
        mark={"type": "bar", "height": {"band": 0.8}, "clip": True}, encoding=encoding,
        params=ZOOM, height=ROW_PX * max(len(found), 1),
    )  # fmt: skip
    table: list[list[Any]] = [["name", "state", "from, h", "to, h"]]
    table += [list(row.values()) for row in rows]
    return Picture(name, sentence + ".", spec, table)


def _segments(found: Sequence[tuple[str, Lane]]) -> Iterator[dict[str, Any]]:
    left = SEGMENTS_SHOWN
    for name, lane in found:
        for begin_s, end_s, state in lane.segments[:left]:
            hours = (round(begin_s / HOUR_S, 5), round(end_s / HOUR_S, 5))
            yield {"name": name, "state": state, "from": hours[0], "to": hours[1]}
        left = max(0, left - len(lane.segments))


def load(run: History, hosts: Sequence[str]) -> Picture:
    """How full each host is over time, as a heat map."""
    width = run.end_s / HOUR_S / LOAD_PARTS
    shares = {name: binned(run.load[name], LOAD_PARTS) for name in hosts if name in run.load}
    rows = [
        {"host": name, "from": round(part * width, 4), "to": round((part + 1) * width, 4),
         "used": round(100 * share, 1)}
        for name, found in shares.items() for part, share in enumerate(found)
    ]  # fmt: skip
    colour = quantity("used", "used, %", scale={"scheme": "viridis", "domainMin": 0},
                      legend={"title": None, "format": ".0f"})  # fmt: skip
    encoding = {
        "y": word("host", "", sort=list(hosts), axis={"title": None}),
        "x": quantity("from", HOURS, scale={"nice": False}),
        "x2": {"field": "to"},
        "color": colour,
        "tooltip": [word("host", "host"), quantity("used", "used, %"),
                    quantity("from", "from, h", format=".4~f")],
    }  # fmt: skip
    spec = charted("How full hosts are", rows, mark={"type": "rect", "clip": True},
                   encoding=encoding, params=ZOOM, height=ROW_PX * max(len(hosts), 1))  # fmt: skip
    table: list[list[Any]] = [["host", "used on average, %", "at most, %"]]
    table += [
        [name, 100 * sum(found) / len(found), 100 * max(found)]
        for name, found in shares.items() if found
    ]  # fmt: skip
    said = "The share of each host's memory that is used over time, or of its vCPUs if that is more"
    return Picture("load", said + ", in %.", spec, table)


def levels(
    name: str, found: dict[str, Level], unit: str, sentence: str, scale: float = 100.0
) -> Picture:
    """Figures that change in steps, over time."""
    rows = [
        {"name": line, "at": round(at_s / HOUR_S, 5), "value": round(scale * value, 4)}
        for line, level in found.items()
        for at_s, value in thinned(level)
    ]
    encoding = {
        "x": quantity("at", HOURS, scale={"nice": False}),
        "y": quantity("value", unit, axis={"tickMinStep": 1}),
        "color": word("name", "", scale={"domain": list(found), "range": LINES}),
        "strokeDash": word("name", "", scale={"domain": list(found)}),
        "tooltip": [word("name", "what"), quantity("at", "at, h", format=".4~f"),
                    quantity("value", unit, format=".4~")],
    }  # fmt: skip
    mark = {"type": "line", "interpolate": "step-after", "clip": True,
            "point": {"opacity": 0, "size": 60}}  # fmt: skip
    title = {"use": "What is used", "waiting": "Who waits", "fragmentation": "What is stranded"}
    spec = charted(title[name], rows, mark=mark, encoding=encoding, params=ZOOM, height=160)
    table: list[list[Any]] = [["what", "at, h", unit], *(list(row.values()) for row in rows)]
    return Picture(name, sentence + ".", spec, table)


def thinned(level: Level) -> list[tuple[float, float]]:
    """The points of a level; of a long one the least and the largest in each part of the time."""
    points = list(zip(level.times_s, level.values, strict=True))
    if len(points) <= POINTS_SHOWN:
        return points
    width_s = points[-1][0] / (POINTS_SHOWN / 2) or 1.0
    parts: dict[int, list[tuple[float, float]]] = {}
    for point in points:
        parts.setdefault(int(point[0] / width_s), []).append(point)
    kept = {points[0], points[-1]}
    for part in parts.values():
        kept |= {min(part, key=lambda one: one[1]), max(part, key=lambda one: one[1])}
    return sorted(kept)


def distribution(runs: Sequence[History]) -> Picture:
    """How long downtimes were: the share of them that were not longer."""
    rows: list[dict[str, Any]] = []
    table: list[list[Any]] = [
        ["run", "downtimes", "P50, min", "P95, min", "P99, min", "longest, min"]
    ]
    for run in runs:
        lengths = sorted(item.lasted_s / 60.0 for item in run.ledger.downtimes)
        steps = lengths[:: max(1, len(lengths) // POINTS_SHOWN)]
        rows.append({"run": run.name, "minutes": 0.0, "share": 0.0})
        rows += [
            {"run": run.name, "minutes": round(length, 4), "share": round(100 * share, 3)}
            for length, share in zip(steps, _shares(len(lengths), len(steps)), strict=True)
        ]
        ends = [quantile(lengths, level) for level in (0.5, 0.95, 0.99, 1.0)]
        table.append([run.name, len(lengths), *ends])
    encoding = {
        "x": quantity("minutes", "minutes", scale={"nice": False}),
        "y": quantity("share", "downtimes not longer, %", scale={"domain": [0, 100]}),
        "color": word("run", "", scale={"range": LINES}),
        "tooltip": [word("run", "run"), quantity("minutes", "minutes", format=".4~"),
                    quantity("share", "not longer, %", format=".3~f")],
    }  # fmt: skip
    mark = {"type": "line", "interpolate": "step-after", "point": {"size": 20}, "clip": True}
    spec = charted("How long VMs were down", rows, mark=mark, encoding=encoding, params=ZOOM,
                   height=180)  # fmt: skip
    said = "; ".join(
        f"{line[0]}: {line[1]}, half not over {line[2]:.3g} min, 95 % not over {line[3]:.3g} min"
        for line in table[1:]
    )
    return Picture("downtimes", f"Distribution of downtimes. {said}.", spec, table)


def _shares(count: int, shown: int) -> list[float]:
    step = max(1, count // POINTS_SHOWN)
    return [min(1.0, (number * step + 1) / count) for number in range(shown)]


def eventful_hosts(run: History) -> list[tuple[str, Lane]]:
    """The hosts that were longest not up, at most LANES_SHOWN, in the order of declaration."""

    def out_s(lane: Lane) -> float:
        return sum(end_s - begin_s for begin_s, end_s, state in lane.segments if state != "Up")

    kept = sorted(run.hosts, key=lambda name: -out_s(run.hosts[name]))[:LANES_SHOWN]
    return [(name, lane) for name, lane in run.hosts.items() if name in kept]


def worst_lanes(run: History) -> list[tuple[str, Lane]]:
    """The VMs with most downtime, or those with most changes, at most LANES_SHOWN."""
    lost: dict[str, float] = {}
    for item in run.ledger.incidents:
        lost[item.vm] = lost.get(item.vm, 0.0) + item.lasted_s
    key = sorted(run.vms, key=lambda name: (-lost.get(name, 0.0), -len(run.vms[name].segments)))
    return [(name, run.vms[name]) for name in key[:LANES_SHOWN]]
