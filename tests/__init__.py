"""The tests; what they share with the benchmarks is in tests.testkit."""

import pytest

pytest.register_assert_rewrite("tests.testkit")  # so that an assertion there says as much as one in a test
