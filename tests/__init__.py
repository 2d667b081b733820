"""The tests; tests.testkit holds the code that they share with the benchmarks."""

import pytest

pytest.register_assert_rewrite("tests.testkit")  # so that a failed assertion there shows its values
