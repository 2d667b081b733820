"""The decorator that runs many cases within one test."""

import inspect

import pytest

from tests.testkit.cases import each_case


def test_every_case_runs_and_those_that_fail_are_named() -> None:
    """A failure ends no other case; the error shows each failed case by its id or values, its cause is the first."""
    seen = []

    @each_case("word", ["a", "b"])
    @each_case(("number", "square"), {1: 1, 2: 5, 3: 8}.items(), ids=["one", "two", "three"])
    def test(fixture: str, number: int, square: int, *, word: str) -> None:
        seen.append((fixture, word, number))
        assert number**2 == square

    assert [*inspect.signature(test).parameters] == ["fixture"]
    with pytest.raises(AssertionError) as failed:
        test(fixture="value")
    assert seen == [("value", word, number) for word in "ab" for number in (1, 2, 3)]
    assert "2 of 2 cases failed" in str(failed.value)
    assert "{'word': 'a'}" in str(failed.value)
    assert "2 of 3 cases failed" in str(failed.value.__cause__)
    assert all(title in str(failed.value.__cause__) for title in ("two: ", "three: "))


def test_cases_that_do_not_fit_their_names_are_refused() -> None:
    """A case with too few or too many values fails."""

    @each_case("a, b", [(1, 2), (1, 2, 3)])
    def test(a: int, b: int) -> None:
        assert a < b

    with pytest.raises(ValueError, match="longer"):
        test()
