import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmsim.quantities import (
    CPU_MAX,
    cpu_milli,
    cpu_text,
    duration_s,
    memory_mib,
    memory_text,
    quantity,
)

GRAMMAR = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)


@pytest.mark.parametrize(
    ("text", "milli"),
    [
        ("500m", 500), ("2", 2000), (2, 2000), (0.5, 500), ("1.5", 1500), (".1", 100),
        ("0", 0), ("-0", 0), ("1k", 1_000_000), ("2e3", 2_000_000), ("+1", 1000), ("1.", 1000),
    ],
)  # fmt: skip
def test_cpu_is_counted_in_thousandths_of_a_core(text: object, milli: int) -> None:
    assert cpu_milli(text) == milli


@pytest.mark.parametrize(
    ("text", "mib"),
    [
        ("2Gi", 2048), ("2048Mi", 2048), ("1Ti", 1 << 20), ("1Ki", 1), ("1M", 1), ("2M", 2),
        (1 << 20, 1), ((1 << 20) + 1, 2), ("1", 1), ("0", 0), ("1E", 953_674_316_407),
        ("1E3", 1), ("7Ei", 7 << 40), ("1.5Gi", 1536),
    ],
)  # fmt: skip
def test_memory_is_counted_in_mib_and_a_bare_number_is_bytes(text: object, mib: int) -> None:
    assert memory_mib(text) == mib


def test_cpu_and_memory_round_up() -> None:
    assert cpu_milli("1u") == 1
    assert cpu_milli("1000001u") == 1001
    assert memory_mib("1048577") == 2


def test_quantity_is_exact_where_floats_are_not() -> None:
    assert quantity("0.1") * 10 == 1


@pytest.mark.parametrize("value", ["", "two", "2 Gi", "1 core", "٣", "1_000", "2Gi\n", "9" * 65])
def test_what_is_no_quantity_is_refused_in_the_api_servers_words(value: str) -> None:
    with pytest.raises(ValueError) as error:
        memory_mib(value)

    assert str(error.value) == GRAMMAR


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("2ki", "unable to parse quantity's suffix"),
        ("1e9999", "unable to parse quantity's suffix"),
        ("1.2.3", "unable to parse numeric part of quantity"),
        ("-1", "must be greater than or equal to 0"),
        (-5, "must be greater than or equal to 0"),
        ("8Ei", "must be less than or equal to 9223372036854775807"),
        ("1e999", "must be less than or equal to 9223372036854775807"),
        (True, "must be a quantity like 500m or 2Gi, not bool"),
        (None, "must be a quantity like 500m or 2Gi, not NoneType"),
        (float("inf"), GRAMMAR),
    ],
)
def test_bad_quantity_says_why(value: object, words: str) -> None:
    with pytest.raises(ValueError) as error:
        memory_mib(value)

    assert str(error.value) == words


def test_more_cores_than_64_bits_of_mhz_can_hold_are_refused() -> None:
    assert cpu_milli(CPU_MAX) == 2_147_483_647_000
    with pytest.raises(ValueError, match="less than or equal to 2147483647"):
        cpu_milli(CPU_MAX + 1)


@given(st.integers(0, CPU_MAX * 1000))
def test_cpu_survives_writing_and_reading(milli: int) -> None:
    assert cpu_milli(cpu_text(milli)) == milli


@given(st.integers(0, 1 << 42))
def test_memory_survives_writing_and_reading(mib: int) -> None:
    assert memory_mib(memory_text(mib)) == mib


def test_quantities_are_written_with_the_largest_whole_unit() -> None:
    assert [cpu_text(2000), cpu_text(2500)] == ["2", "2500m"]
    assert [memory_text(2048), memory_text(1536), memory_text(0)] == ["2Gi", "1536Mi", "0Mi"]


@given(st.text())
def test_any_text_is_a_quantity_or_a_value_error(text: str) -> None:
    for read in (cpu_milli, memory_mib, duration_s):
        with contextlib.suppress(ValueError):
            assert read(text) >= 0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5m30s", 330.0), ("10m", 600.0), ("1h", 3600.0), ("250ms", 0.25), ("1.5h", 5400.0),
        ("2d", 172_800.0), ("0s", 0.0), ("0.1s", 0.1),
    ],
)  # fmt: skip
def test_duration_is_read_in_seconds(text: str, seconds: float) -> None:
    assert duration_s(text) == seconds


def test_bare_number_is_seconds_only_where_the_caller_says_so() -> None:
    assert duration_s(90, bare_seconds=True) == 90.0
    with pytest.raises(ValueError) as error:
        duration_s(90)

    assert str(error.value) == "missing unit in duration 90: write 90s or 90m"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("90", 'missing unit in duration "90": write 90s or 90m'),
        ("-5m", 'invalid duration "-5m": write numbers with units ms, s, m, h or d, like 5m30s'),
        ("5 m", 'invalid duration "5 m": write numbers with units ms, s, m, h or d, like 5m30s'),
        (-1, "must be a duration between 0s and 10000000000s"),
        (float("nan"), "must be a duration between 0s and 10000000000s"),
        (10**400, "must be a duration between 0s and 10000000000s"),
        ("9999999d", "must be a duration between 0s and 10000000000s"),
        (True, "must be a duration like 5m30s, not bool"),
        (None, "must be a duration like 5m30s, not NoneType"),
    ],
)
def test_bad_duration_says_why(value: object, words: str) -> None:
    with pytest.raises(ValueError) as error:
        duration_s(value, bare_seconds=True)

    assert str(error.value) == words
