from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.io import savemat

from mrvae.data import load
from mrvae.data.sources import omniglot

TRAIN, TEST = 30, 12


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("TRAIN", TRAIN), ("TEST", TEST), ("VALIDATION", 4)):
        monkeypatch.setattr(omniglot, name, value)


def write(path: Path, **changes: object) -> None:
    rng = np.random.default_rng(0)
    arrays = {"data": rng.random((784, TRAIN)), "testdata": rng.random((784, TEST))}
    savemat(path, {**arrays, **changes}, do_compression=True)


def test_the_drawings_are_upright_and_split(tmp_path: Path) -> None:
    """Column n holds image n with its columns one after the other: entry 28·column + row."""
    data = np.zeros((784, TRAIN))
    data[28 * 5 + 3, :] = np.arange(TRAIN) / 255
    write(tmp_path / "chardata.mat", data=data)
    train, validation = (load("omniglot", split, tmp_path) for split in ("train", "validation"))
    assert (len(train), len(validation)) == (26, 4)
    x = torch.cat([images.tensor() for images in (train, validation)])
    assert x[:, 0, 3, 5].sort().values.tolist() == list(range(TRAIN))
    assert int(x.sum()) == sum(range(TRAIN))


def test_a_value_becomes_its_nearest_level(tmp_path: Path) -> None:
    (tmp_path / "omniglot").mkdir()
    values = np.random.default_rng(1).random((784, TEST))
    write(tmp_path / "omniglot" / "chardata.mat", testdata=values)
    x = load("omniglot", "test", tmp_path).take(torch.arange(TEST))
    upright = values.T.reshape(TEST, 28, 28).swapaxes(1, 2)
    assert np.abs(x[:, 0].numpy() / 255 - upright).max() <= 1 / 510 + 1e-12


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"testdata": np.zeros((784, TEST + 1))}, r"declares 'testdata' as .*784, 13"),
        ({"testdata": np.full((784, TEST), 1.5)}, r"outside \[0, 1\]"),
        ({"testdata": np.full((784, TEST), -0.1)}, r"outside \[0, 1\]"),
        ({"testdata": np.full((784, TEST), np.nan)}, r"outside \[0, 1\]"),
        ({"testdata": np.zeros((784, TEST), complex)}, "could not read bytes"),
        ({"testdata": {"a": 1}}, "struct"),
    ],
)
def test_another_file_is_refused(changes: dict[str, object], message: str, tmp_path: Path) -> None:
    path = tmp_path / "chardata.mat"
    write(path, **changes)
    with pytest.raises(ValueError, match=message) as caught:
        load("omniglot", "test", tmp_path)
    assert str(caught.value).startswith(f"{path}: cannot be read")


def test_a_shortened_file_is_refused(tmp_path: Path) -> None:
    for keep in [0.0, 0.001, 0.5, 0.95]:
        path = tmp_path / "chardata.mat"
        write(path)
        path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
        with pytest.raises(ValueError, match=f"^{path}: cannot be read"):
            load("omniglot", "test", tmp_path)
