"""`vmsim whatif`: its options, its table, and what it says when it is interrupted.

Everything heavy is imported when a command runs, so that the command line starts fast.
"""

import dataclasses
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vmsim.problems import BadInput, Problem
from vmsim.shell import INTERRUPTED, exit_codes, scenario_path, state_folder

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from vmsim.whatif.answers import Answer, Found
    from vmsim.whatif.asking import Question
    from vmsim.whatif.design import Design
    from vmsim.whatif.working import Engine

TELL_EVERY_S, TELL_SELDOM = 1.0, 20.0
"""The progress is worked out so often, and takes at most a twentieth of the time."""

Study = Annotated[str | None, typer.Argument(help="One of `vmsim whatif --list`.")]
On = Annotated[str, typer.Option("--on", help="Scenario file, or the name of a shipped one.")]
Sets = Annotated[list[str] | None, typer.Option("--set", help="path=value, or option=value.")]
Varies = Annotated[list[str] | None, typer.Option("--vary", help="path=a,b,c: all combinations.")]
Out = Annotated[Path | None, typer.Option("--out", help="Where parts of results are kept.")]
EngineName = Annotated[str, typer.Option(help="auto, serial, joblib or dask.")]
Workers = Annotated[int, typer.Option(min=0, help="Processes; 0: one per processor.")]
Address = Annotated[str, typer.Option(help="Of a Dask scheduler, or its scheduler file.")]


def whatif(  # noqa: PLR0913 - one parameter per option of the command line
    study: Study = None,
    on: On = "",
    sets: Sets = None,
    vary: Varies = None,
    replications: Annotated[
        int | None, typer.Option(help="How many; by default the study's own number.")
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help="Go on until the interval is so narrow, as in 1%.")
    ] = None,
    most: Annotated[int, typer.Option(min=1, help="Replications at most, with it.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="What chance is drawn from.")] = 1,
    compare: Annotated[
        bool, typer.Option("--compare", help="Differences to the first variant, pairwise.")
    ] = False,
    only: Annotated[
        int | None, typer.Option(min=0, help="Run this one replication, with its trace.")
    ] = None,
    trace: Annotated[Path | None, typer.Option(help="Where --only writes its trace.")] = None,
    engine: EngineName = "auto",
    workers: Workers = 0,
    address: Address = "",
    out: Out = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
    report: Annotated[
        Path | None, typer.Option(help="Write an HTML file about the variants, too.")
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="Show the questions.")] = False,
) -> None:
    """Answer a question about a scenario by running it many times."""
    with exit_codes():
        if listed or study is None:
            _list(study)
            return
        question = _question(study, on, (sets or [], vary or []), (replications, precision))
        question = dataclasses.replace(question, most=most, seed=seed)
        if only is not None:
            _one(question, only, trace)
            return
        from vmsim.whatif.working import engine_named

        chosen = engine_named(engine, workers, address)
        session = Session(question, on, chosen, out)
        session.run(compare=compare, as_json=as_json, report=report)


def _list(study: str | None) -> None:
    from vmsim.whatif.listing import listing

    print("\n".join(listing(study)))


def _question(
    study: str,
    on: str,
    set_and_varied: tuple[list[str], list[str]],
    how: tuple[int | None, str | None],
) -> "Question":
    from vmsim.loading import load
    from vmsim.whatif.asking import Question, counted, relative
    from vmsim.whatif.studies import study_named

    row = study_named(study)
    if not on:
        raise BadInput([Problem("name the scenario", field="--on")])
    plan = load(scenario_path(on))
    return Question(row, plan, *set_and_varied, counted(how[0]), relative(how[1]))


def _one(question: "Question", number: int, trace: Path | None) -> None:
    """Run one replication, write its trace, and print its row."""
    from backends import opened
    from vmsim.whatif.telling import single

    for line in single(question, number, trace, opened):
        print(line)


class Session:
    """One question that is being answered on a terminal."""

    def __init__(self, question: "Question", on: str, engine: "Engine", out: Path | None) -> None:
        self.question = question
        self.on = on
        self.engine = engine
        self.out = out
        self.folder = out or state_folder() / "whatif"

    def run(self, *, compare: bool, as_json: bool, report: Path | None = None) -> None:
        """Run, show progress, print; an interrupt prints what is there, and how to go on."""
        from rich.console import Console

        from backends import opened
        from vmsim.whatif.asking import ask, designed, so_far

        console = Console(stderr=True, highlight=False)
        try:
            with _Bar(console) as bar:
                design, found = ask(self.question, self.folder, self.engine, opened, bar.told)
        except KeyboardInterrupt:
            fixed = dataclasses.replace(self.question, precision=0.0)
            design = designed(fixed, opened)
            found = so_far(design, self.question.study, self.folder)
            self.tell(design, found, compare=compare, as_json=as_json)
            print(
                f"interrupted after {found.done} of {found.wanted} replications, so the interval "
                f"is wider; the same command goes on from there:\n  {self.command()}",
                file=sys.stderr,
            )
            raise typer.Exit(INTERRUPTED) from None
        problems = {one.problem for one in found.found}
        if len(problems) == 1 and "" not in problems:
            raise BadInput([Problem(f"no cell can be run: {problems.pop()}")])
        self.tell(design, found, compare=compare, as_json=as_json)
        if report is not None:
            self.draw(design, report)
        if "" not in problems:
            raise typer.Exit(2)

    def tell(self, design: "Design", found: "Answer", *, compare: bool, as_json: bool) -> None:
        """Print the answer."""
        from vmsim.whatif.telling import as_text, to_json

        if as_json:
            print(to_json(self.question, design, found))
            return
        worst = self.replay(found)
        for line in as_text(self.question, design, found, compare=compare, worst=worst):
            print(line)

    def draw(self, design: "Design", path: Path) -> None:
        """Write the report about the variants."""
        from vmsim.whatif.report import html, write
        from vmsim.whatif.variants import compared

        write(path, html([], [compared(design, self.folder)]))

    def command(self, *, alone: bool = False) -> str:
        """The command line that asks this question again."""
        question = self.question
        words = ["vmsim", "whatif", question.study.name, "--on", self.on]
        for text in question.sets:
            words += ["--set", text]
        for text in [] if alone else question.varies:
            words += ["--vary", text]
        if question.seed != 1:
            words += ["--seed", str(question.seed)]
        return shlex.join(words if alone else [*words, *self._how()])

    def _how(self) -> Iterator[str]:
        """How much is run, where, and where it is kept, as options."""
        question, engine = self.question, self.engine
        given: dict[str, object] = {"--replications": question.replications}
        if question.precision:
            given |= {"--precision": f"{question.precision:.6g}", "--most": question.most}
        if engine.name != "auto":
            given["--engine"] = engine.name
        given |= {"--workers": engine.workers, "--address": engine.address, "--out": self.out}
        for option, value in given.items():
            if value:
                yield from (option, str(value))

    def replay(self, found: "Answer") -> tuple["Found", str] | None:
        """The worst case, and the command that runs it alone."""
        from vmsim.whatif.answers import worst_of
        from vmsim.whatif.paths import Setting, setting
        from vmsim.whatif.studies import NOTES

        worst = worst_of(self.question.study, found.found)
        if worst is None:
            return None
        given = NOTES | {setting(text).path for text in self.question.sets}
        words = [self.command(alone=True)]
        for path, value in worst.settings.items():
            if path not in given:
                words.append(f"--set {shlex.quote(str(Setting(path, value)))}")
        return worst, " ".join([*words, f"--only {worst.worst}"])


def bar(console: "Console | None" = None) -> "Progress":
    """A progress bar on standard error; nothing at all where there is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = console or Console(stderr=True, highlight=False)
    return Progress(
        TextColumn("shards"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TextColumn("{task.fields[width]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


class _Bar:
    """Replications done, the width of the interval, and when it ends; on terminals only."""

    def __init__(self, console: "Console") -> None:
        self._progress = bar(console)
        self._task = self._progress.add_task("shards", total=None, width="")
        self._next_s = 0.0

    def __enter__(self) -> "_Bar":
        self._progress.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._progress.stop()

    def told(self, count: int, total: int, answer: Callable[[], "Answer"]) -> None:
        """Show how far it is."""
        if self._progress.disable or time.monotonic() < self._next_s:
            return
        begun_s = time.monotonic()
        width = f"± {answer().widest:.1%}" if count else ""
        took_s = time.monotonic() - begun_s
        self._next_s = begun_s + max(TELL_EVERY_S, TELL_SELDOM * took_s)
        self._progress.update(self._task, completed=count, total=total, width=width)
