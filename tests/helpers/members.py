"""A property of a family is one test: it is checked on every member, and a failure names which."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

Test = Callable[..., None]


def for_all(names: str | tuple[str, ...], members: Iterable[Any]) -> Callable[[Test], Test]:
    """Run the test below on every member; decorators that stand together make all combinations.

    It reads like ``pytest.mark.parametrize``, but stays one test: its members share the fixtures,
    such as the folder of ``tmp_path``.
    """
    keys = (names,) if isinstance(names, str) else names
    chosen = list(members)
    if not chosen:
        raise ValueError(f"{names} has no members; expected at least one to check")

    def decorate(test: Test) -> Test:
        @wraps(test)
        def over_all(**fixtures: Any) -> None:  # noqa: ANN401
            for member in chosen:
                values = (member,) if isinstance(names, str) else tuple(member)
                arguments = dict(zip(keys, values, strict=True))
                try:
                    test(**fixtures, **arguments)
                except BaseException as failure:
                    failure.add_note(f"for {arguments}")
                    raise

        signature = inspect.signature(test)
        kept = [value for key, value in signature.parameters.items() if key not in keys]
        over_all.__signature__ = signature.replace(parameters=kept)  # type: ignore[attr-defined]
        return over_all

    return decorate
