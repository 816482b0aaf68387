"""Hostile files cost little before they are refused, and limits of the process are named."""

from __future__ import annotations

import gzip
import io
import os
import resource
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from data_made_up import random_pixels, write_pictures
from PIL import Image

from mrvae.data import Stream, gallery, load
from mrvae.data.files import untrusted
from mrvae.data.files.arrays import open_npy
from mrvae.data.files.image_files import read
from mrvae.data.files.patches import load_patches
from mrvae.data.sources import cifar10
from mrvae.recipes.cut import Patches

SPECIAL = ("fifo", "/dev/zero", "/dev/null")


def special(path: Path, kind: str) -> None:
    """Make a path that is no regular file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to(kind)


@pytest.mark.parametrize("kind", SPECIAL)
def test_only_regular_files_are_opened(kind: str, tmp_path: Path) -> None:
    """Conversion any of these would hang, or never end."""
    uses: dict[str, Callable[[Path], object]] = {
        "train-images-idx3-ubyte": lambda folder: load("mnist", "train", folder),
        "chardata.mat": lambda folder: load("omniglot", "train", folder),
        "cifar-10-python.tar.gz": lambda folder: load("cifar10", "train", folder),
        "test_batch": lambda folder: cifar10._from_folder(folder, ("test_batch",)),
        "x.npy": lambda folder: load(str(folder / "x.npy"), "train"),
        "x.npz": lambda folder: load(str(folder / "x.npz"), "train"),
        "a/x.png": lambda folder: load(str(folder / "a"), "train"),
        "b/y.npy": lambda folder: load(str(folder / "b"), "train"),
        "c/z.jpg": lambda folder: gallery(str(folder / "c")),
    }
    for number, (name, use) in enumerate(uses.items()):
        special(tmp_path / str(number) / name, kind)
        with pytest.raises(ValueError, match=f"{name}: is no regular file but a pipe, socket or"):
            use(tmp_path / str(number))


def test_errors_of_the_system_are_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder.png").mkdir()
    np.save(tmp_path / "x.npy", random_pixels(20, 4, 4))
    rows = open_npy(tmp_path / "x.npy")
    (tmp_path / "x.npy").unlink()
    uses: list[tuple[Callable[[], object], str]] = [
        (lambda: read(tmp_path / "none.png", None), "there is no such file"),
        (lambda: read(tmp_path / "folder.png", None), "is a folder"),
        (lambda: rows.rows(torch.tensor([0])), "there is no such file"),
    ]
    for use, reason in uses:
        with pytest.raises(ValueError, match=reason) as caught:
            use()
        assert "get the file again" not in str(caught.value)
    for number, reason in [(24, "too many files open"), (13, "may not be read"), (5, "the disk")]:
        with pytest.raises(ValueError, match=reason), untrusted.reading(tmp_path):
            raise OSError(number, os.strerror(number))


def test_more_shards_than_descriptors_are_read(tmp_path: Path) -> None:
    count, (soft, hard) = 300, resource.getrlimit(resource.RLIMIT_NOFILE)
    for number in range(count):
        np.save(tmp_path / f"{number:03}.npy", np.full((2, 4, 4), number % 251, np.uint8))
    open_now = len(list(Path("/proc/self/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_now + 50, hard))
    try:
        images = load(str(tmp_path), "train")
        batch = Stream(images, 200, 0).batch(0)
        assert len(images) == 2 * count - 120
        assert torch.equal(batch.amin((1, 2, 3)), batch.amax((1, 2, 3)))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_file_that_is_cut_in_use_is_an_error_and_no_fault(order: str, tmp_path: Path) -> None:
    array = random_pixels(50, 64, 64)
    np.save(tmp_path / "x.npy", np.asarray(array, order="F" if order == "F" else "C"))
    images = load(str(tmp_path / "x.npy"), "train")
    assert len(images.take(torch.tensor([39]))) == 1
    os.truncate(tmp_path / "x.npy", 4096)
    with pytest.raises(ValueError, match=r"had 204,928 bytes when it was opened and has 4,096"):
        images.take(torch.tensor([39]))


def test_one_photograph_is_not_many_grey_images(tmp_path: Path) -> None:
    for shape in ((200, 180, 3), (200, 180, 1), (3, 200, 180)):
        np.save(tmp_path / "x.npy", random_pixels(*shape))
        with pytest.raises(ValueError, match=r"may be one picture .*array\[None\] for the one"):
            load(str(tmp_path / "x.npy"), "train")


def black(side: int, channels: int) -> bytes:
    """Return a PNG file of side × side black pixels, a thousand times smaller than they are."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">2I5B", side, side, 8, 0 if channels == 1 else 2, 0, 0, 0)
    pixels = zlib.compress(bytes(side * (1 + side * channels)))
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def test_pictures_of_another_shape_are_refused_undecoded(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    picture = black(64, 1)
    for number in range(20):
        # The pixels are damaged: decoding any of them would say so.
        (tmp_path / "p" / f"{number}.png").write_bytes(picture[:45] + bytes(20) + picture[65:])
    with pytest.raises(ValueError, match=r"images of shape \(1, 64, 64\), the recipe's model"):
        load(str(tmp_path / "p"), "train", expected=(1, 8, 8))
    np.savez(tmp_path / "x.npz", x_train=random_pixels(20, 5, 5))
    with pytest.raises(ValueError, match=r"images of shape \(1, 5, 5\), the recipe's model"):
        load(str(tmp_path / "x.npz"), "train", expected=(1, 8, 8))


def test_what_expands_too_far_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bounds of a few kilobytes stand for those of 256 MiB."""
    monkeypatch.setattr(untrusted, "FREE", 1 << 16)
    (tmp_path / "p").mkdir()
    for number in range(12):
        (tmp_path / "p" / f"{number:02}.png").write_bytes(black(128, 3))
    np.savez_compressed(tmp_path / "x.npz", x_train=np.zeros((200, 32, 32), np.uint8))
    cut = Patches(stride=1, folds=2)
    for use in (
        lambda: load(str(tmp_path / "x.npz"), "train"),
        lambda: load(str(tmp_path / "p"), "train"),
        lambda: gallery(str(tmp_path / "p")),
        lambda: load_patches(str(tmp_path / "p"), "train", None, cut, (3, 8, 8)),
    ):
        with pytest.raises(ValueError, match=r"bytes expand to .*at most 50 times the stored"):
            use()
    (tmp_path / "noise").mkdir()
    write_pictures(tmp_path / "noise", 12, size=(128, 128))
    assert len(load(str(tmp_path / "noise"), "train")) == 10


def test_an_array_header_of_gigabytes_is_refused_unread(tmp_path: Path) -> None:
    head = b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31)
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x_train.npy", head + b" " * 100_000)
    (tmp_path / "x.npy").write_bytes(head)
    for name in ("x.npz", "x.npy"):
        with pytest.raises(ValueError, match=r"its header has 2,147,483,648 bytes"):
            load(str(tmp_path / name), "train")


def test_names_in_an_archive_reach_no_terminal(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("\x1b[2J\x1b]0;owned\x07.npy", b"")
    with pytest.raises(ValueError, match=r"holds no array 'x_train' but \\x1b\[2J") as caught:
        load(str(tmp_path / "x.npz"), "train")
    assert str(caught.value).isprintable()


def test_a_batch_of_many_instructions_is_refused() -> None:
    with pytest.raises(ValueError, match=r"it has more than 500,000 instructions"):
        cifar10.pixels_of(b"\x80\x02" + b"0" * 600_000 + b".", "batch", 1)


HOSTILE = """
import sys
from pathlib import Path
from mrvae.data import load

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM")))

# The peak is that of the parent at first; writing 5 begins it anew.
Path("/proc/self/clear_refs").write_text("5")
before = peak()
try:
    load(sys.argv[1], "train", sys.argv[2])
except ValueError as error:
    print(peak() - before, error)
"""


@pytest.mark.slow
def test_compressed_bombs_cost_less_than_256_mebibytes(tmp_path: Path) -> None:
    """Each expands to 1 GiB."""
    zeros = 1 << 30
    head = b"\x00\x00\x08\x03" + struct.pack(">3I", 60_000, 28, 28)
    with gzip.open(tmp_path / "train-images-idx3-ubyte.gz", "wb", 1) as stream:
        stream.write(head + bytes(zeros))
    array = io.BytesIO()
    shape = (zeros >> 10, 32, 32)
    layout = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(array, layout)
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("x_train.npy", array.getvalue() + bytes(zeros))
    start = struct.pack("<8I", 6, 8, 6, 0, 5, 8, 784, 24_345) + struct.pack("<2I", 1, zeros)
    matrix = zlib.compress(struct.pack("<2I", 14, zeros) + start + bytes(zeros), 1)
    file = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + struct.pack("<2I", 15, len(matrix))
    (tmp_path / "chardata.mat").write_bytes(file + matrix)
    for source in ("mnist", "x.npz", "omniglot"):
        command = [sys.executable, "-c", HOSTILE, source, str(tmp_path)]
        refused = subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, check=True, timeout=60
        )
        assert int(refused.stdout.split()[0]) < 256 * 1024, refused.stdout


def test_photographs_are_cut_without_a_list_of_all_corners(tmp_path: Path) -> None:
    """With a stride of 1 a list of corners is far larger than the pictures."""
    (tmp_path / "p").mkdir()
    for number in range(4):
        pixels = random_pixels(40, 30 + number, 3, seed=number)
        Image.fromarray(pixels).save(tmp_path / "p" / f"{number}.png")
    images = load_patches(str(tmp_path / "p"), "train", None, Patches(stride=1), (3, 8, 8))
    stored = sum(v.numel() for v in images.pixels.__dict__.values() if isinstance(v, torch.Tensor))
    assert stored < len(images) / 100
