"""A picture's tensor holds exactly the values of its file, or the file is refused by name."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from data_made_up import random_pixels
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

import mrvae
from mrvae.data import images_for, load
from mrvae.data.files.image_files import declared, read
from mrvae.recipes import Recipe, override

SIZE = (5, 13)


def chunk(kind: bytes, data: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + check


def png(depth: int, colour: int, rows: NDArray[np.uint8], width: int, extra: bytes = b"") -> bytes:
    """Write a PNG file from the bytes of its rows."""
    header = struct.pack(">IIBBBBB", width, len(rows), depth, colour, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    chunks = chunk(b"IHDR", header) + extra + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def packed(levels: NDArray[np.uint8], depth: int) -> NDArray[np.uint8]:
    """Pack values of ``depth`` bits into bytes, row by row."""
    bits = levels[..., None] >> np.arange(depth - 1, -1, -1, dtype=np.uint8) & 1
    return np.packbits(bits.reshape(len(levels), -1), axis=1)


def pnm(levels: NDArray[np.uint8], maxval: int, plain: bool, comment: bytes = b"") -> bytes:
    """Write a PGM or PPM file."""
    magic = {(2, False): b"P5", (3, False): b"P6", (2, True): b"P2", (3, True): b"P3"}
    height, width = levels.shape[:2]
    data = " ".join(map(str, levels.flatten())).encode() if plain else levels.tobytes()
    sizes = b"%s%d %d\n%d\n" % (comment, width, height, maxval)
    return magic[levels.ndim, plain] + b"\n" + sizes + data


def test_grey_of_few_bits_keeps_its_levels(tmp_path: Path) -> None:
    for depth in (1, 2, 4, 8):
        levels = random_pixels(*SIZE) >> (8 - depth)
        (tmp_path / "x.png").write_bytes(
            png(depth, 0, packed(levels.astype(np.uint8), depth), SIZE[1])
        )
        assert torch.equal(read(tmp_path / "x.png", None)[0], torch.from_numpy(levels))
        assert declared(tmp_path / "x.png").largest == 2**depth - 1


def test_values_up_to_maxval_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "x.pnm"
    for maxval in (1, 16, 100, 254, 255):
        for shape in (SIZE, (*SIZE, 3)):
            levels = random_pixels(*shape).clip(max=maxval)
            expected = torch.from_numpy(levels if levels.ndim == 3 else levels[..., None])
            for plain in (False, True):
                path.write_bytes(pnm(levels, maxval, plain, b"# made up\n# 9 9 9\n"))
                assert torch.equal(read(path, None), expected.permute(2, 0, 1))
                assert declared(path).largest == maxval


def test_a_value_beyond_maxval_or_a_second_picture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pgm"
    for data, reason in [
        (pnm(np.full((2, 2), 17, np.uint8), 16, plain=False), "a value of 17 and declares maxval"),
        (pnm(np.full((2, 2), 17, np.uint8), 16, plain=True), "a value of 17 and declares maxval"),
        (2 * pnm(np.zeros((2, 2), np.uint8), 16, plain=False), "more than one picture"),
        (pnm(np.zeros((2, 2), np.uint8), 16, plain=False)[:-1], "declares 4 values and holds 3"),
        (pnm(np.zeros((2, 2), np.uint8), 16, plain=True) + b" 0", "declares 4 values and holds 5"),
    ]:
        path.write_bytes(data)
        with pytest.raises(ValueError, match=reason):
            read(path, None)


def test_lossless_formats_are_read_exactly(tmp_path: Path) -> None:
    for shape in (SIZE, (*SIZE, 3)):
        levels = random_pixels(*shape)
        expected = torch.from_numpy(levels if levels.ndim == 3 else levels[..., None])
        for suffix in ("png", "bmp", "tif", "ppm", "webp"):
            if suffix == "webp" and levels.ndim == 2:
                continue
            path = tmp_path / f"x.{suffix}"
            Image.fromarray(levels).save(path, lossless=True)
            assert torch.equal(read(path, None), expected.permute(2, 0, 1)), suffix


def refused_files(folder: Path) -> dict[str, str]:
    """Write a file of each property that uint8 grey or RGB lacks, and return what is named."""
    rgb, grey = random_pixels(8, 8, 3), random_pixels(8, 8)
    deep = np.arange(64, dtype=np.uint16).reshape(8, 8)
    wide = random_pixels(8, 48)
    made = {
        "rgb16.png": (png(16, 2, wide, 8), "has 16 bits a channel"),
        "grey16.png": (png(16, 0, wide[:, :16], 8), "has 16 bits a channel"),
        "trns.png": (png(8, 2, wide[:, :24], 8, chunk(b"tRNS", bytes(6))), "a tRNS chunk"),
        "grey-trns.png": (png(8, 0, wide[:, :8], 8, chunk(b"tRNS", bytes(2))), "a tRNS chunk"),
        "deep.pgm": (b"P5\n8 8\n65535\n" + deep.tobytes(), "has maxval 65535"),
        "bits.pbm": (b"P4\n8 8\n" + bytes(8) + bytes(8), "is a P4 file"),
    }
    for name, (data, _) in made.items():
        (folder / name).write_bytes(data)
    frames = [Image.fromarray(grey + i) for i in range(3)]
    frames[0].save(folder / "apng.png", save_all=True, append_images=frames[1:])
    frames[0].save(folder / "pages.tif", save_all=True, append_images=frames[1:])
    colour = [Image.fromarray(rgb), Image.fromarray(rgb ^ 255)]
    colour[0].save(folder / "frames.webp", save_all=True, append_images=colour[1:])
    Image.fromarray(rgb).convert("RGBA").save(folder / "alpha.tif")
    Image.fromarray(np.dstack([rgb, grey])).save(folder / "alpha.webp")
    Image.fromarray(rgb).convert("CMYK").save(folder / "cmyk.jpg")
    Image.fromarray(rgb).convert("CMYK").save(folder / "cmyk.tif")
    Image.fromarray(deep).save(folder / "deep.tif")
    info = TiffImagePlugin.ImageFileDirectory_v2()
    info[262] = 0
    Image.fromarray(grey).save(folder / "inverted.tif", tiffinfo=info)
    Image.fromarray(grey).convert("P").save(folder / "palette.png")
    Image.fromarray(rgb).quantize(9).save(folder / "palette.bmp")
    Image.fromarray(np.dstack([rgb, grey])).save(folder / "alpha.bmp")
    return {name: reason for name, (_, reason) in made.items()} | {
        "apng.png": "is an animation of 3 frames",
        "pages.tif": "has several pages",
        "frames.webp": "is an animation",
        "alpha.tif": "has transparency",
        "alpha.webp": "has transparency",
        "cmyk.jpg": "is CMYK",
        "cmyk.tif": "has CMYK",
        "deep.tif": "has 16 bits a channel",
        "inverted.tif": "has white as 0",
        "palette.png": "has a palette",
        "palette.bmp": "has a palette",
        "alpha.bmp": "has 32 bits a pixel",
    }


def test_what_would_be_lost_is_refused_by_name(tmp_path: Path) -> None:
    for name, reason in refused_files(tmp_path).items():
        for use in (declared, lambda path: read(path, None)):
            with pytest.raises(ValueError, match=f"^{tmp_path / name}: .*{reason}") as caught:
                use(tmp_path / name)
            assert "convert it to 8-bit" in str(caught.value)


def test_the_models_bins_decide_which_values_fit(tmp_path: Path) -> None:
    """The digits have values 0 … 16: so has a PGM of maxval 16, and a PNG of 4 bits has fewer."""
    recipe = mrvae.recipe("digits-vdvae")
    for maxval, fits in [(16, True), (15, True), (100, False)]:
        folder = tmp_path / str(maxval)
        folder.mkdir()
        for number in range(20):
            levels = random_pixels(8, 8, seed=number).clip(max=maxval)
            levels[0, 0] = maxval
            (folder / f"{number:02}.pgm").write_bytes(pnm(levels, maxval, plain=False))
        given = from_folder(recipe, folder)
        if fits:
            assert int(images_for(given, "train").tensor().max()) == maxval
        else:
            with pytest.raises(ValueError, match="holds a pixel of 100, but with 17 bins"):
                images_for(given, "train")
    (tmp_path / "16" / "99.pgm").write_bytes(pnm(levels, 100, plain=False))
    with pytest.raises(ValueError, match=r"20 grey of 17 levels .*, 1 grey of 101 levels .*=grey"):
        load(str(tmp_path / "16"), "train")


def from_folder(recipe: Recipe, folder: Path) -> Recipe:
    return override(recipe, [f"data.source={folder}"])


def jpegs() -> list[bytes]:
    """Write JPEG files of several kinds, with something to see at the end."""
    files = []
    for mode in ("L", "RGB"):
        picture = Image.fromarray(random_pixels(40, 72, 3)).convert(mode)
        for progressive in (False, True):
            for restart in (0, 2):
                stream = io.BytesIO()
                options = {"progressive": progressive, "restart_marker_blocks": restart}
                picture.save(stream, "JPEG", quality=80, **options)
                files.append(stream.getvalue())
    return files


def test_whole_jpeg_files_are_read_and_cut_scans_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    for data in jpegs():
        path.write_bytes(data)
        with Image.open(path) as picture:
            expected = np.atleast_3d(np.array(picture)).transpose(2, 0, 1)
        assert np.array_equal(read(path, None).numpy(), expected)
        scan = data.index(b"\xff\xda") + 14
        for share in (0.2, 0.5, 0.9):
            cut = data[: scan + int(share * (len(data) - scan))].rstrip(b"\xff")
            for end in (b"", b"\xff\xd9"):
                path.write_bytes(cut + end)
                with pytest.raises(ValueError, match=r"cannot be read .*get the file again$"):
                    read(path, None)


def test_a_jpeg_scan_that_is_too_long_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    data = jpegs()[0]
    path.write_bytes(data[:-2] + bytes(range(1, 40)) + b"\xff\xd9")
    with pytest.raises(ValueError, match="a scan is damaged"):
        read(path, None)


def test_a_changed_byte_of_a_png_is_noticed(tmp_path: Path) -> None:
    data = bytearray(png(8, 0, random_pixels(8, 8), 8))
    for place in range(33, len(data) - 12):
        data[place] ^= 16
        (tmp_path / "x.png").write_bytes(data)
        with pytest.raises(ValueError, match=r"x\.png: "):
            read(tmp_path / "x.png", None)
        data[place] ^= 16


def test_a_jpeg_file_of_many_scans_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.fromarray(random_pixels(64, 64)).save(stream, "JPEG", progressive=True)
    data = stream.getvalue()
    last = data.rindex(b"\xff\xda")
    (tmp_path / "x.jpg").write_bytes(data[:last] + 1000 * data[last:-2] + b"\xff\xd9")
    with pytest.raises(ValueError, match="has more than 32 scans for its 4,096 pixels"):
        read(tmp_path / "x.jpg", None)
