"""Features run on one target: `pytest features --target memory`, or `--target vcsim`.

From an installed vmsim it is `pytest --pyargs features --target NAME`, where NAME may be a target
that another package brings. A clause tag (`@S-11`) becomes a marker, so `-m S-11` selects. A tag
`@needs-...` names a capability: where the target lacks it the scenario is skipped before its first
step, and the reason is printed. pytest calls a run in which all was skipped a success; for a
verdict use `vmsim conform`, which does not.
"""

from collections.abc import Generator, Iterator
from typing import Any

import pytest

from features.clauses import CAPABILITIES, clauses
from vmsim.conformance.evidence import NotSupported, NotTestable
from vmsim.conformance.targets import Descriptor
from vmsim.conformance.targets import target as named
from vmsim.problems import BadInput, Unreachable

STEPS = tuple(f"features.steps.{name}" for name in ("given", "when", "then", "hardware"))

ABOUT = pytest.StashKey[Descriptor]()

pytest.register_assert_rewrite(*STEPS)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--target` (or `--backend`): where the features run; `--seed`: of what is left to chance."""
    parser.addoption("--target", "--backend", dest="target", default="memory")
    parser.addoption("--seed", type=int, default=1)


def pytest_configure(config: pytest.Config) -> None:
    """Make the steps known, and the tags that a scenario may carry."""
    for clause in clauses():
        config.addinivalue_line("markers", f"{clause.id}: {clause.text}")
    for name, text in CAPABILITIES.items():
        config.addinivalue_line("markers", f"needs-{name}: {text}")
    for name in STEPS:
        config.pluginmanager.import_plugin(name)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """The target, and what is played on it because it cannot do it."""
    about = _about(config)
    name = config.getoption("target")
    return [f"target: {name}", *(f"played on {name}: {line}" for line in about.played)]


def _about(config: pytest.Config) -> Descriptor:
    """The target, looked at once."""
    try:
        if ABOUT not in config.stash:
            config.stash[ABOUT] = named(str(config.getoption("target")))
    except BadInput as error:
        raise pytest.UsageError(str(error)) from None
    return config.stash[ABOUT]


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call() -> Generator[None, object, object]:
    """Skip a scenario of which the target says midway that it cannot do or show it."""
    try:
        return (yield)
    except (NotSupported, NotTestable) as error:
        pytest.skip(f"{type(error).__name__}: {error}")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what the target cannot do, with the reason."""
    about = _about(config)
    reasons = {**about.blind, **about.lacking}
    for item in items:
        for name in CAPABILITIES:
            if item.get_closest_marker(f"needs-{name}") and name in reasons:
                reason = f"{about.name} lacks {name}: {reasons[name]}"
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session", autouse=True)
def reachable(request: pytest.FixtureRequest) -> Iterator[Descriptor]:
    """The target; the session ends with 4, and no test passes, if it is not there. At the end it
    puts back what was changed."""
    about = _about(request.config)
    try:
        if about.unavailable:
            raise Unreachable(about.unavailable)
        about.check()
    except Unreachable as error:
        pytest.exit(f"{about.name} cannot be reached: {error}", returncode=4)
    yield about
    assert about.end() == []


@pytest.fixture
def target(reachable: Descriptor, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A Supervisor of one scenario; at its end the target's own inventory must agree."""
    with reachable.open(int(request.config.getoption("seed"))) as supervisor:
        yield supervisor
        assert supervisor.differences() == []
    assert reachable.left_behind() == []
