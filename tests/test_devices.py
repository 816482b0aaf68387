from __future__ import annotations

import pytest
import torch

from mrvae.devices import choose_device
from mrvae.processes import process_state


def there_are(monkeypatch: pytest.MonkeyPatch, cuda: int, mps: bool) -> None:
    """Let torch find a number of CUDA devices, and an MPS device or none."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(1, True, "cuda"), (2, False, "cuda"), (0, True, "mps"), (0, False, "cpu")],
)
def test_the_fastest_device_is_chosen(
    monkeypatch: pytest.MonkeyPatch, cuda: int, mps: bool, expected: str
) -> None:
    there_are(monkeypatch, cuda, mps)
    assert choose_device() == torch.device(expected)


def test_the_device_of_a_name_is_taken_where_it_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"cpu", "cuda", "cuda:0", "cuda:1", "mps"}
    wrong = {
        "gpu",
        "CUDA",
        "cuda:",
        "cuda:-1",
        "cuda:01x",
        "mps:0",
        "cpu:1",
        "",
        "cuda:" + "9" * 30,
    }
    for cuda, mps in ((0, False), (1, False), (2, False), (0, True)):
        there_are(monkeypatch, cuda, mps)
        here = {"cpu"} | {f"cuda:{i}" for i in range(cuda)}
        here |= ({"cuda"} if cuda else set()) | ({"mps"} if mps else set())
        for name in known & here:
            assert choose_device(name) == torch.device(name)
        for name in known - here:
            with pytest.raises(ValueError, match=f"the device is {name}, and .*leave it out"):
                choose_device(name)
        for name in wrong:
            with pytest.raises(ValueError, match="give cpu, cuda, cuda:N or mps"):
                choose_device(name)


def test_several_processes_do_not_share_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("cuda:0", "mps"):
        with pytest.raises(ValueError, match=f"the device is {name}, and each of several"):
            process_state(torch.device(name))
