"""Pictures of every kind become images of one kind on request, and a refusal names the request."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from data_made_up import random_pixels
from numpy.typing import NDArray
from PIL import Image, ImageOps
from test_data_formats import chunk, packed, png, pnm, refused_files

import mrvae
from mrvae.data import SPLITS, Conversion, Crop, Pad, images_for, load
from mrvae.data.files.image_files import examined, read
from mrvae.recipes import override
from mrvae.recipes.data import DropAlpha, OverBlack, OverWhite, Stored, ToGrey, ToRGB

RGB = Conversion(mode=ToRGB(), alpha=OverWhite())
GREY = Conversion(mode=ToGrey(), alpha=OverWhite())


def tensor(values: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(np.atleast_3d(values)).permute(2, 0, 1)


def luma(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    weighted: NDArray[np.float64] = rgb @ np.array([0.299, 0.587, 0.114])
    return np.rint(weighted).astype(np.uint8)


def test_what_is_refused_as_it_is_is_converted_on_request(tmp_path: Path) -> None:
    for name in refused_files(tmp_path):
        if name == "bits.pbm":
            continue
        file = examined(tmp_path / name)
        assert RGB.obstacles(file) == ()
        assert RGB.losses(file)
        assert read(tmp_path / name, RGB).shape == (3, *file.upright)
        assert read(tmp_path / name, GREY).shape == (1, *file.upright)


def test_levels_are_scaled_and_of_16_bits_the_leading_8_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    for depth in (1, 2, 4, 8):
        levels = (random_pixels(5, 13) >> (8 - depth)).astype(np.uint8)
        path.write_bytes(png(depth, 0, packed(levels, depth), 13))
        scaled = levels * np.uint8(255 // ((1 << depth) - 1))
        assert torch.equal(read(path, GREY), tensor(scaled))
        assert torch.equal(read(path, RGB), tensor(scaled).expand(3, -1, -1))
        assert torch.equal(read(path, Conversion()), tensor(levels))
    for colour, count in ((0, 1), (2, 3), (4, 2), (6, 4)):
        deep = random_pixels(5, 13 * count * 2)
        deep.reshape(5, 13, count, 2)[..., -1, :] = 255 if colour > 3 else 7
        path.write_bytes(png(16, colour, deep, 13))
        leading = deep.reshape(5, 13, count, 2)[..., : 1 if colour in (0, 4) else 3, 0]
        assert torch.equal(read(path, RGB), tensor(leading).expand(3, -1, -1)), colour
    wide = (16 * np.arange(64).reshape(8, 8)).astype(">u2")
    for maxval in (1023, 65_535):
        (tmp_path / "x.pgm").write_bytes(b"P5\n8 8\n%d\n" % maxval + wide.tobytes())
        expected = wide >> 8 if maxval > 1023 else np.rint(wide * (255 / 1023))
        assert torch.equal(read(tmp_path / "x.pgm", GREY), tensor(expected.astype(np.uint8)))


def test_grey_of_colour_is_its_luma(tmp_path: Path) -> None:
    rgb = random_pixels(40, 40, 3)
    Image.fromarray(rgb).save(tmp_path / "x.png")
    assert torch.equal(read(tmp_path / "x.png", GREY), tensor(luma(rgb)))


def test_transparency_is_blended_or_dropped(tmp_path: Path) -> None:
    pixels, path = random_pixels(8, 8, 4), tmp_path / "x.png"
    pixels[0, :, 3], pixels[1, :, 3] = 0, 255
    rgb, share = pixels[..., :3].astype(float), pixels[..., 3:] / 255
    for mode, channels in (("RGBA", 3), ("LA", 1)):
        colours = pixels if mode == "RGBA" else pixels[..., [0, 3]]
        Image.fromarray(colours, mode).save(path)
        own = rgb[..., :channels]
        for alpha, expected in (
            (OverWhite(), share * own + (1 - share) * 255),
            (OverBlack(), share * own),
            (DropAlpha(), own),
        ):
            image = read(path, Conversion(alpha=alpha))
            assert torch.equal(image, tensor(np.rint(expected).astype(np.uint8)))


def test_a_transparent_colour_of_few_bits_is_that_colour(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    for depth in (1, 2, 4, 8):
        levels = (random_pixels(5, 13) >> (8 - depth)).astype(np.uint8)
        trns = chunk(b"tRNS", struct.pack(">H", 1))
        path.write_bytes(png(depth, 0, packed(levels, depth), 13, trns))
        largest = (1 << depth) - 1
        expected = np.where(levels == 1, largest, levels).astype(np.uint8)
        assert torch.equal(read(path, Conversion(alpha=OverWhite())), tensor(expected))
        assert torch.equal(read(path, GREY), tensor(expected * np.uint8(255 // largest)))


def test_palettes_have_their_colours(tmp_path: Path) -> None:
    few = Image.fromarray(random_pixels(8, 8, 3)).quantize(9)
    expected = np.array(few.convert("RGB"))
    for suffix in ("png", "bmp", "tif"):
        few.save(tmp_path / f"x.{suffix}")
        assert torch.equal(read(tmp_path / f"x.{suffix}", RGB), tensor(expected)), suffix


def test_pictures_are_turned_as_exif_asks_for_but_read_exactly_as_stored(tmp_path: Path) -> None:
    stored = Image.fromarray(random_pixels(8, 16, 3))
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        for suffix in ("png", "jpg", "webp", "tif"):
            path = tmp_path / f"{orientation}.{suffix}"
            stored.save(path, exif=exif, lossless=True, quality=95)
            with Image.open(path) as picture:
                upright = np.array(ImageOps.exif_transpose(picture))
            file = examined(path)
            assert (file.orientation, file.upright) == (orientation, upright.shape[:2]), suffix
            assert torch.equal(read(path, Conversion()), tensor(upright)), (suffix, orientation)
            exact = read(path, None)
            assert exact.shape == (3, 8, 16)
            if suffix != "jpg":
                assert torch.equal(exact, tensor(np.array(stored))), (suffix, orientation)


def test_damaged_exif_does_not_turn_and_does_not_refuse(tmp_path: Path) -> None:
    path, rows = tmp_path / "x.png", random_pixels(8, 24)
    huge = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\xff\xff\xff\xff\x06\0\0\0\0\0\0\0"
    for exif in (b"", b"II*\0", b"II*\0\xff\xff\xff\xff", huge, bytes(200)):
        path.write_bytes(png(8, 2, rows, 8, chunk(b"eXIf", exif)))
        assert torch.equal(read(path, Conversion()), tensor(rows.reshape(8, 8, 3)))


def test_padding_keeps_every_pixel_of_a_small_picture() -> None:
    for height, width in ((28, 20), (1, 32), (32, 32), (31, 7)):
        pixels = random_pixels(height, width, 3)
        padded = np.array(Pad(32, 32).apply(Image.fromarray(pixels)))
        top, left = (32 - height) // 2, (32 - width) // 2
        assert np.array_equal(padded[top : top + height, left : left + width], pixels)
        down = np.clip(np.arange(32) - top, 0, height - 1)
        across = np.clip(np.arange(32) - left, 0, width - 1)
        assert np.array_equal(padded, pixels[down][:, across])


def test_padding_and_cropping_give_the_size_and_know_what_is_lost() -> None:
    for height, width in ((64, 20), (20, 64), (100, 300), (3, 500), (24, 48), (7, 9)):
        picture = Image.fromarray(np.full((height, width), 9, np.uint8))
        for framing in (Pad(24, 48), Crop(24, 48)):
            assert np.array_equal(np.asarray(framing.apply(picture)), np.full((24, 48), 9))
    assert Pad(24, 48).lost(100, 300) == 0
    assert Crop(24, 48).lost(100, 300) == pytest.approx(1 / 3)
    assert Crop(24, 48).lost(48, 96) == 0
    # The left half is cropped from the centre of a black bar: no white is left.
    bar = np.zeros((10, 40), np.uint8)
    bar[:, :10] = bar[:, 30:] = 255
    assert not np.array(Crop(10, 10).apply(Image.fromarray(bar))).any()


def mixed(folder: Path) -> int:
    """Write pictures of many kinds and sizes, one of them broken, and return their number."""
    folder.mkdir()
    refused_files(folder)
    (folder / "bits.pbm").unlink()
    for number in range(12):
        rgb = Image.fromarray(random_pixels(9 + number, 16, 3, seed=number))
        rgb.convert("RGB" if number % 3 else "L").save(folder / f"{number:02}.jpg")
    (folder / "grey.pgm").write_bytes(pnm(random_pixels(4, 4) % 17, 16, plain=False))
    broken = (folder / "00.jpg").read_bytes()
    (folder / "broken.jpg").write_bytes(broken[:-40] + b"\xff\xd9")
    (folder / "empty.png").write_bytes(b"")
    return len(list(folder.iterdir()))


def test_a_mixed_folder_is_read_with_the_options_that_its_refusal_names(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name, mode in (("digits-vdvae", "grey"), ("cifar10-vdvae-small", "rgb")):
        count = mixed(tmp_path / mode)
        recipe = override(mrvae.recipe(name), [f"data={tmp_path / mode}"])
        with pytest.raises(ValueError, match="pictures are not of one kind") as caught:
            images_for(recipe, "train")
        text = str(caught.value)
        assert "\n" not in text
        assert "2 cannot be read" in text
        given = re.search(r"set ((?:data\.\S+ )+)to take all that can", text)
        assert given is not None
        options = given[1].split()
        assert options == [
            f"data.mode={mode}",
            "data.alpha=white",
            "data.fit=true",
            "data.skip_unreadable=true",
        ]
        taken = override(recipe, [*options, "likelihood.bins=256"])
        caplog.clear()
        assert sum(len(images_for(taken, split)) for split in SPLITS) == count - 2
        [converted] = [line for line in caplog.messages if "converted" in line]
        assert "of 16 bits (the lower 8 bits are lost)" in converted
        assert any(re.search(r"data\.fit crops \d+ %", line) for line in caplog.messages)
        # Without one of them there is still something to refuse.
        for option in options:
            with pytest.raises(ValueError, match=option.partition("=")[0]):
                images_for(override(recipe, [o for o in options if o != option]), "train")
        padded = override(recipe, [o.replace("fit", "pad") for o in options])
        assert len(images_for(override(padded, ["likelihood.bins=256"]), "test")) > 0


def test_a_picture_stays_in_its_split_when_another_is_mended(tmp_path: Path) -> None:
    for number in range(40):
        Image.fromarray(np.full((4, 4), number, np.uint8)).save(tmp_path / f"{number:02}.png")
    broken, conversion = tmp_path / "07.png", Conversion(skip_unreadable=True)
    whole = {
        split: set(load(str(tmp_path), split).tensor()[:, 0, 0, 0].tolist()) for split in SPLITS
    }
    broken.write_bytes(broken.read_bytes()[:50])
    with pytest.raises(ValueError, match=r"07\.png: .*data\.skip_unreadable=true"):
        load(str(tmp_path), "train")
    for split in SPLITS:
        left = set(load(str(tmp_path), split, conversion=conversion).tensor()[:, 0, 0, 0].tolist())
        assert left == whole[split] - {7}


def test_arrays_are_converted_and_framed_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    faces = random_pixels(20, 28, 20)
    np.savez(tmp_path / "faces.npz", x_train=faces, x_test=faces[:5])
    source = str(tmp_path / "faces.npz")
    padded = load(source, "test", conversion=Conversion(mode=ToRGB(), framing=Pad(32, 32)))
    assert padded.shape == (3, 32, 32)
    own = padded.tensor()[:, :, 2:30, 6:26]
    assert torch.equal(own, torch.from_numpy(faces[:5, None]).expand(-1, 3, -1, -1))
    assert caplog.messages == []
    load(source, "test", conversion=Conversion(mode=Stored(), framing=Crop(28, 28)))
    assert caplog.messages == [
        "mrvae: faces: data.fit crops 29 % of every picture; data.pad=true crops nothing"
    ]
