"""Many cases in one test, where each is too quick for a test of its own: pytest's work for a test takes 3 ms of CPU."""

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

Test = Callable[..., None]


def each_case(names: str | Sequence[str], cases: Iterable[Any], *, ids: Any = None) -> Callable[[Test], Test]:
    """Run a test once for each case; takes the parameters of pytest.mark.parametrize.

    All cases run, and one AssertionError names those that failed. Only for cases that may follow one another: the
    fixtures of a test are set up once for all of them.
    """
    words = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    values = [case if len(words) > 1 else (case,) for case in cases]
    titles = [None] * len(values) if ids is None or callable(ids) else list(ids)

    def decorate(test: Test) -> Test:
        @functools.wraps(test)
        def run(**fixtures: Any) -> None:
            failed: list[tuple[str, Exception]] = []
            for case, title in zip(values, titles, strict=True):
                given = dict(zip(words, case, strict=True))
                try:
                    test(**fixtures, **given)
                except Exception as error:  # noqa: BLE001 - a failure of any kind is shown with its case
                    failed.append((title or repr(given), error))
            if failed:
                lines = "\n\n".join(f"{title}: {error!r}" for title, error in failed)
                raise AssertionError(
                    f"{len(failed)} of {len(values)} cases failed, the first one above:\n\n{lines}"
                ) from (failed[0][1])

        signature = inspect.signature(test)
        rest = [parameter for name, parameter in signature.parameters.items() if name not in words]
        run.__signature__ = signature.replace(parameters=rest)  # type: ignore[attr-defined] # read by pytest
        return run

    return decorate
