"""What does a scenario say about chance: distributions, failing hosts, planned maintenance?

A distribution is written by its name with its parameters (`{exponential: {mean: 1780h}}`), or as a
plain duration, which is always the same. Anything that no draw could come from is refused here.
"""

import fnmatch
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_serializer, model_validator

from vmsim import distributions
from vmsim.distributions import Law
from vmsim.objects import HostSpec
from vmsim.quantities import duration_s
from vmsim.schema import Duration, Strict

DAY_S = 86_400.0
LINUX_BOOT_S = 40.0
WINDOWS_BOOT_S = 120.0
"""From power-on to the guest's heartbeat: proposals. Mao and Humphrey (IEEE CLOUD 2012) measured
44 s (Linux) to 810 s (Windows) in public clouds, deployment included."""


class Exponential(Strict):
    """Without memory."""

    mean: Duration


class Weibull(Strict):
    """Hazard falling (`shape` below 1) or rising (above)."""

    shape: float = Field(gt=0)
    scale: Duration


class Lognormal(Strict):
    """The logarithm is normal."""

    mean: Duration
    cv: float = Field(gt=0)
    """Standard deviation by mean."""


class Uniform(Strict):
    """Anything between the two, alike."""

    low: Duration = 0.0
    high: Duration


class Triangular(Strict):
    """Between low and high, most often near the mode."""

    low: Duration
    mode: Duration
    high: Duration


class Distribution(Strict):
    """A random duration: exactly one of these. A plain duration such as `20s` stands for
    `constant`."""

    constant: Duration | None = None
    """Always the same."""
    exponential: Exponential | None = None
    """`{mean: 1780h}`"""
    weibull: Weibull | None = None
    """`{shape: 0.48, scale: 816.6h}`"""
    lognormal: Lognormal | None = None
    """`{mean: 24h, cv: 1.5}`; `cv` is standard deviation by mean."""
    uniform: Uniform | None = None
    """`{low: 1h, high: 6h}`"""
    triangular: Triangular | None = None
    """`{low: 8m, mode: 12m, high: 20m}`"""
    empirical: list[Duration] | None = None
    """A list of measured values, each as likely as the others."""
    scipy: dict[str, Any] | None = None
    """Any continuous distribution of scipy.stats: `{name: gamma, a: 2, scale: 3h}`; `loc` and
    `scale` carry a unit, the other parameters do not."""

    @model_validator(mode="after")
    def _can_be_drawn_from(self) -> "Distribution":
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(type(self).model_fields)}")
        self.law()
        return self

    @model_serializer(mode="wrap")
    def _plainly(self, handler: Any) -> Any:
        """A constant is written as the duration that it is."""
        written = handler(self)
        return written["constant"] if self.constant is not None else written

    def law(self) -> Law:
        """What to draw from; ValueError when nothing can be drawn from it."""
        name, given = next(
            (name, getattr(self, name))
            for name in type(self).model_fields
            if getattr(self, name) is not None
        )
        if name == "scipy":
            return _from_scipy(given)
        if name in ("constant", "empirical"):
            made: Law = getattr(distributions, name)(given)
            return made
        parameters = (getattr(given, item) for item in type(given).model_fields)
        made = getattr(distributions, name)(*parameters)
        return made


def _from_scipy(given: dict[str, Any]) -> Law:
    parameters = {key: value for key, value in given.items() if key != "name"}
    if not isinstance(given.get("name"), str):
        raise ValueError("scipy: the name of a distribution is required, as in {name: gamma}")
    for key, value in parameters.items():
        if key in ("loc", "scale"):
            parameters[key] = 0.0 if value == 0 else duration_s(value)
        elif isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"scipy: {key} is a number")
    return distributions.from_scipy(given["name"], parameters)


def _plain(value: Any) -> Any:
    return {"constant": value} if isinstance(value, str | int | float) else value


Chance = Annotated[Distribution, BeforeValidator(_plain, json_schema_input_type=str | Distribution)]
"""A distribution, or a plain duration."""


def law_of(text: str | dict[str, Any]) -> Law:
    """The law that a scenario would write so."""
    return Distribution.model_validate(_plain(text)).law()


def unmatched(
    failures: "Failures", calendar: "Sequence[MaintenanceCalendar]", hosts: Sequence[HostSpec]
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Entries that would never do anything, as (place in the scenario's spec, what is wrong)."""
    names = [host.name for host in hosts]
    groups = {"rack": {host.rack for host in hosts} - {""}, "zone": {host.zone for host in hosts}}
    for number, rule in enumerate(failures.hosts):
        if not fnmatch.filter(names, rule.hosts):
            yield ("failures", "hosts", number, "hosts"), _never("host", rule.hosts)
    for number, shock in enumerate(failures.shocks):
        if not fnmatch.filter(groups[shock.scope], shock.name):
            place = ("failures", "shocks", number, "name")
            yield place, _never(shock.scope, shock.name)
    for number, entry in enumerate(calendar):
        if not fnmatch.filter(names, entry.hosts):
            yield ("maintenanceCalendar", number, "hosts"), _never("host", entry.hosts)


def _never(what: str, glob: str) -> str:
    return f"no {what} matches {glob}: this would never happen"


def _above_zero(chance: Distribution) -> Distribution:
    if not chance.law().mean_s > 0.0:
        raise ValueError("the mean must be above 0, or it would happen without end in one instant")
    return chance


class Repeat(Strict):
    """After a repair a host fails again sooner: failures come in clusters."""

    factor: float = Field(default=5.0, ge=1)
    """So many times as fast runs the clock of its next failure. The default is a proposal."""
    lasting: Duration = 14 * DAY_S
    """For so long after a repair. (In a study of 100,000 servers half of the repeated failures
    came within two weeks: Vishwanath and Nagappan, SoCC 2010.)"""


class HostFailures(Strict):
    """Hosts that fail and are repaired, each by a clock of its own."""

    hosts: str = "*"
    """Hosts by glob; several entries may match a host, which then has several clocks."""
    kind: Literal["crash"] = "crash"
    """How they fail, as vSphere HA sees it."""
    mtbf: Chance
    """How long a host works between repair and next failure."""
    mttr: Chance
    """How long a repair takes, without the wait for a crew."""
    repeat: Repeat | None = None
    """See Repeat; by default a repaired host is as good as new."""
    needs_crew: bool = True
    """Whether the repair takes one of the `crews`; a reboot does not."""

    @model_validator(mode="after")
    def _goes_on(self) -> "HostFailures":
        _above_zero(self.mtbf)
        return self


class Shock(Strict):
    """What takes down all hosts of a rack or a zone at once: power, cooling, a switch."""

    scope: Literal["rack", "zone"]
    name: str = "*"
    """Racks or zones by glob."""
    mtbf: Chance
    """How long between the end of one shock and the next, in each rack or zone."""
    lasts: Chance
    """How long the hosts stay down; no crew is needed."""

    @model_validator(mode="after")
    def _goes_on(self) -> "Shock":
        _above_zero(self.mtbf)
        return self


class Failures(Strict):
    """Hosts that fail by chance. A host is up when no failure and no shock has it down."""

    hosts: list[HostFailures] = []
    """See HostFailures."""
    shocks: list[Shock] = []
    """See Shock."""
    crews: int = Field(default=0, ge=0)
    """How many repairs go on at a time, first failed first repaired; 0 is no limit."""


class MaintenanceCalendar(Strict):
    """Planned work: host after host goes into maintenance mode, is worked on and comes back."""

    hosts: str = "*"
    """Hosts by glob, in the order in which they are declared."""
    first: Duration
    """When the first round starts."""
    every: Duration = 0.0
    """From the start of one round to the next; 0 is one round only. A round that is not over
    by then lets the next one wait."""
    work: Chance = Distribution.model_validate({"constant": "30m"})
    """How long a host is worked on once it is in maintenance mode."""
    parallel: int = Field(default=1, ge=1)
    """How many hosts at a time."""
    timeout: Duration = 0.0
    """Give a host up that is not empty after so long, and go on with the next; 0 never does."""


class Guests(Strict):
    """How long the guests of some classes take to start and to shut down."""

    classes: str = "*"
    """VM classes by glob; the first entry that matches counts."""
    os: Literal["linux", "windows"] = "linux"
    """Decides the default of `boot`."""
    boot: Chance | None = None
    """From power-on until the guest answers: by default 40 s (linux) or 120 s (windows)."""
    shutdown: Chance = Distribution.model_validate({"constant": "20s"})
    """How long the guest takes when it is asked to shut down (a proposal); mode TrySoft powers it
    off hard after 5 min, Soft waits, Hard does not ask."""

    def boot_law(self) -> Law:
        """How long the guest takes to start."""
        if self.boot is not None:
            return self.boot.law()
        return distributions.constant(WINDOWS_BOOT_S if self.os == "windows" else LINUX_BOOT_S)


class Share(Strict):
    """One of the sizes of a workload."""

    weight: float = Field(gt=0)
    """How often, by the sum of all weights."""
    spec: dict[str, Any]
    """Merged over the workload's `spec`, as in `{className: large}`."""


class Arrivals(Strict):
    """Recorded arrivals: a file, or its rows."""

    file: str | None = None
    """CSV (or parquet, with the extra `traces`) with the columns arrival and lifetime (seconds,
    or with a unit; an empty lifetime never ends) and, if wanted, class."""
    rows: list[tuple[float, float | None, str]] | None = None
    """The same as a list: arrival and lifetime in seconds, class."""
    classes: dict[str, str] = {}
    """What the file calls a class: the name of the VM class; others stand for themselves."""

    @model_validator(mode="after")
    def _one(self) -> "Arrivals":
        if (self.file is None) == (self.rows is None):
            raise ValueError("give either `file` or `rows`")
        return self


def said(
    failures: Failures, calendar: Sequence[MaintenanceCalendar], guests: Sequence[Guests]
) -> Iterator[str]:
    """The assumptions about chance: what is drawn from what, with its mean."""
    for rule in failures.hosts:
        clusters = rule.repeat
        repeated = (
            f"; for {clusters.lasting / DAY_S:g} d after a repair {clusters.factor:g} times as soon"
            if clusters
            else ""
        )
        yield f"hosts {rule.hosts} fail ({rule.kind}): up {rule.mtbf.law()}; down " + (
            f"{rule.mttr.law()}{repeated}"
        )
    for shock in failures.shocks:
        yield f"each {shock.scope} {shock.name} fails as a whole: up {shock.mtbf.law()}; down " + (
            str(shock.lasts.law())
        )
    if failures.hosts:
        yield f"repair crews: {failures.crews or 'as many as repairs'}, first in first out"
    for entry in calendar:
        every = f"every {entry.every / DAY_S:g} d" if entry.every else "once"
        yield f"maintenance of hosts {entry.hosts} {every}, {entry.parallel} at a time: " + (
            str(entry.work.law())
        )
    for guest in guests:
        yield f"guests of classes {guest.classes}: start {guest.boot_law()}; shut down " + (
            str(guest.shutdown.law())
        )
