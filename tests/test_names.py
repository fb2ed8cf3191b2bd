"""The name rules of vm.md: a DNS subdomain is required, a DNS label is advised."""

import pytest

from vmsim.names import host_name_warning, is_label, subdomain_problem


@pytest.mark.parametrize("name", ["a", "my-vm", "db.prod", "0a", "a" * 253, "a.b-c.d0"])
def test_dns_subdomain_is_accepted(name: str) -> None:
    assert subdomain_problem(name) is None


@pytest.mark.parametrize("name", ["", "A", "-a", "a-", ".a", "a..b", "a_b", "a" * 254, "a\n", "é"])
def test_anything_else_is_refused_with_a_reason(name: str) -> None:
    assert subdomain_problem(name)


def test_a_subdomain_that_is_no_label_is_legal_but_warned_about() -> None:
    assert subdomain_problem("db.prod") is None
    assert host_name_warning("db.prod") is not None


def test_a_label_has_at_most_63_characters() -> None:
    assert is_label("a" * 63)
    assert not is_label("a" * 64)
    assert host_name_warning("my-vm") is None
