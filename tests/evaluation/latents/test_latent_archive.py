from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch

from evaluation.deep import deep_model, digits
from mrvae.evaluation import (
    LatentArchive,
    decode_latents,
    encode_images,
    read_archive,
    weights_digest,
)
from mrvae.models.build import build
from mrvae.recipes import recipe

NAMES = ("a.png", "b/\u00e4.png", "c.npy[7]")


def test_a_file_of_all_latents_decodes_to_the_reconstruction(tmp_path: Path) -> None:
    for model in (deep_model(), build(recipe("digits-dct"))):
        images = digits(3)
        model.context.fit(images.tensor())
        encode_images(model, images, NAMES).write(tmp_path / "z.npz")
        archive = read_archive(tmp_path / "z.npz")
        assert archive.names == NAMES
        assert archive.model == weights_digest(model)
        means = torch.cat(list(decode_latents(model, archive.latents, memory=1)))
        expected = model.reconstruct(images.tensor())
        assert torch.equal(means.round().to(torch.uint8), expected)


def test_missing_latents_come_from_the_prior() -> None:
    model, images = deep_model(), digits(3)
    top = encode_images(model, images, NAMES, [1, 2]).latents
    (mean,) = decode_latents(model, top)
    assert torch.equal(mean.round().to(torch.uint8), model.reconstruct(images.tensor(), keep=2))
    drawn = [next(decode_latents(model, top, temperature=1.0, seed=s)) for s in (0, 0, 1)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    # Noise is a function of the image's place, whatever the batches.
    cut = torch.cat(list(decode_latents(model, top, temperature=1.0, memory=1)))
    torch.testing.assert_close(cut, drawn[0], rtol=1e-4, atol=1e-3)
    whole = encode_images(model, images, NAMES).latents
    fine = encode_images(model, images, NAMES, [3]).latents
    assert torch.equal(fine[3], whole[3])
    assert next(decode_latents(model, fine)).shape == (3, 1, 8, 8)


def test_what_is_not_of_the_model_is_refused() -> None:
    model, images = deep_model(), digits(3)
    good = dict(encode_images(model, images, NAMES).latents)
    for layers, message in [([0], "layer 0 does not exist"), ([1, 1], "name each once")]:
        with pytest.raises(ValueError, match=message):
            encode_images(model, images, NAMES, layers)
    nan = torch.full_like(good[1], torch.nan)
    for latents, message in [
        ({}, "name each once"),
        ({99: good[1]}, "layer 99 does not exist"),
        (good | {2: good[1]}, "it was encoded by another model"),
        (good | {2: good[2][:1]}, "it was encoded by another model"),
        (good | {1: good[1].long()}, "this model's are real numbers"),
        (good | {1: nan}, "no finite numbers"),
    ]:
        with pytest.raises(ValueError, match=message):
            list(decode_latents(model, latents))
    dct = build(recipe("digits-dct"))
    with pytest.raises(ValueError, match="latent 1, the context, is missing"):
        list(decode_latents(dct, {2: torch.zeros(1, *dct.shapes[1])}))


def save(path: Path, **arrays: object) -> Path:
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


def test_files_are_untrusted(tmp_path: Path) -> None:
    z, names, model = np.zeros((2, 1, 1, 1), np.float32), np.array(["a", "b"]), np.array("m")
    objects = np.array([None, None], dtype=object)
    forged = tmp_path / "forged.npz"
    header = BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (2, 1 << 30, 1, 1)}
    )
    with zipfile.ZipFile(forged, "w") as archive:
        for name, array in (("names", names), ("model", model)):
            content = BytesIO()
            np.save(content, array)
            archive.writestr(f"{name}.npy", content.getvalue())
        archive.writestr("latent_1.npy", header.getvalue())
    text = tmp_path / "text.npz"
    text.write_text("no archive")
    for path, message in [
        (forged, "declares shape"),
        (text, "cannot be read"),
        (tmp_path / "none.npz", "there is no such file"),
        (save(tmp_path / "a.npz", names=names, model=model), "is no file of latents"),
        (save(tmp_path / "b.npz", names=objects, model=model, latent_1=z), "no array of latents"),
        (save(tmp_path / "c.npz", names=names[:1], model=model, latent_1=z), "for 1 names"),
        (save(tmp_path / "d.npz", names=names, model=model, latent_1=z > 0), "latent 1 is bool"),
        (save(tmp_path / "e.npz", names=z, model=model, latent_1=z), "its names are no text"),
        (save(tmp_path / "f.npz", names=names, model=model, latent_1=z.astype(">f4")), "latent 1"),
    ]:
        with pytest.raises(ValueError, match=message) as error:
            read_archive(path)
        assert str(path) in str(error.value)
    whole = read_archive(save(tmp_path / "g.npz", names=names, model=model, latent_1=z))
    assert isinstance(whole, LatentArchive)
    assert whole.names == ("a", "b")
