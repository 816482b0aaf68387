"""Whatever is done to a file, it is read or refused in one line that names it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from data_made_up import cifar_batch, random_pixels, write_idx, write_pictures
from scipy.io import savemat

from mrvae.data import load
from mrvae.data.sources import cifar10, omniglot
from mrvae.data.sources.mnist import read_idx

TRIALS = 150


def make(kind: str, folder: Path) -> Path:
    """Write one small file of each kind that is read."""
    path = folder / "test" / f"file.{kind}" if kind in ("png", "jpg") else folder / f"file.{kind}"
    path.parent.mkdir(exist_ok=True)
    match kind:
        case "npy":
            np.save(path, random_pixels(20, 3, 4))
        case "npz":
            np.savez_compressed(path, x_test=random_pixels(5, 6, 6))
        case "idx" | "gz":
            write_idx(path, random_pixels(3, 3, 3))
        case "png" | "jpg":
            write_pictures(folder / "made", 1)
            (folder / "made" / "000.png").rename(folder / "test" / "file.png")
            if kind == "jpg":
                convert(folder / "test" / "file.png", path)
        case "mat":
            path = folder / "chardata.mat"
            savemat(path, {"testdata": np.zeros((784, 2))}, do_compression=True)
        case _:
            path = folder / "test_batch"
            path.write_bytes(cifar_batch(random_pixels(1, 3072)))
            (folder / "data_batch_1").touch()
    return path


def convert(source: Path, target: Path) -> None:
    from PIL import Image

    with Image.open(source) as picture:
        picture.save(target)
    source.unlink()


def use(kind: str, path: Path) -> None:
    """Read the file as a user does."""
    match kind:
        case "npy" | "npz":
            load(str(path), "test")
        case "idx" | "gz":
            read_idx(path, (3, 3, 3))
        case "png" | "jpg":
            load(str(path.parent.parent), "test")
        case "mat":
            load("omniglot", "test", path.parent)
        case _:
            load("cifar10", "test", path.parent)


def refusal(kind: str, path: Path) -> str | None:
    """What the user is told, if the file is refused."""
    try:
        use(kind, path)
    except ValueError as error:
        return str(error)
    return None


@pytest.mark.parametrize("kind", ["npy", "npz", "idx", "gz", "png", "jpg", "mat", "cifar"])
def test_a_damaged_file_is_read_or_refused_in_one_line(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(omniglot, "TEST", 2)
    monkeypatch.setattr(cifar10, "BATCH", 1)
    path = make(kind, tmp_path)
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    use(kind, path)
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(TRIALS):
        damaged = whole[: rng.integers(1, len(whole) + 1)] if rng.random() < 0.2 else whole
        damaged = damaged.copy()
        # Headers come first in most of these files; there a change does most harm.
        reach = min(len(damaged), 130) if rng.random() < 0.7 else len(damaged)
        damaged[rng.integers(0, reach, rng.integers(1, 4))] = rng.integers(0, 256)
        path.write_bytes(damaged.tobytes())
        message = refusal(kind, path)
        refused += message is not None
        assert message is None or str(path.parent if kind == "cifar" else path) in message
        assert "\n" not in (message or "")
    assert refused > TRIALS // 10
