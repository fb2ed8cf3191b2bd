"""Features run on one backend: `pytest features --backend memory`, or `--backend vcsim`.

A clause tag (`@S-11`) becomes a marker. A tag `@needs-...` names a capability: where the backend
lacks it the scenario is skipped before its first step, and the reason is printed. A vCenter is no
choice here, because it has hosts of its own and each scenario needs other ones.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import pytest

from backends import opened
from features.clauses import CAPABILITIES, LACKING, PLAYED, clauses
from features.target import Target
from vmsim.problems import Unreachable

STEPS = ("features.steps.given", "features.steps.when", "features.steps.then")

pytest.register_assert_rewrite(*STEPS)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--backend`: where the features run."""
    parser.addoption("--backend", default="memory", choices=sorted(LACKING))


def pytest_configure(config: pytest.Config) -> None:
    """Make the steps known, and the tags that a scenario may carry."""
    for clause in clauses():
        config.addinivalue_line("markers", f"{clause.id}: {clause.text}")
    for name, text in CAPABILITIES.items():
        config.addinivalue_line("markers", f"needs-{name}: {text}")
    for name in STEPS:
        config.pluginmanager.import_plugin(name)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """The backend, and what is played on it because it cannot do it."""
    backend = config.getoption("--backend")
    return [f"backend: {backend}", *(f"played on {backend}: {line}" for line in PLAYED[backend])]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what the backend cannot do, with the reason."""
    backend = config.getoption("--backend")
    reasons = LACKING[backend]
    for item in items:
        for name in CAPABILITIES:
            if item.get_closest_marker(f"needs-{name}") and name in reasons:
                reason = f"{backend} lacks {name}: {reasons[name]}"
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session", autouse=True)
def reachable(request: pytest.FixtureRequest) -> str:
    """The name of the backend; the session ends with 4, and no test passes, if it is not there."""
    name = str(request.config.getoption("--backend"))
    try:
        with opened(name, []):
            return name
    except Unreachable as error:
        pytest.exit(f"{name} cannot be reached: {error}", returncode=4)


@pytest.fixture
def target(reachable: str) -> Iterator[Target]:
    """A Supervisor of one scenario; at its end the backend's own inventory must agree."""
    with ExitStack() as stack:
        supervisor = Target(partial(opened, reachable), stack)
        yield supervisor
        assert supervisor.differences() == []
