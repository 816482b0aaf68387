"""Models on disk: what was saved is loaded, and a wrong file is refused in one line."""

from __future__ import annotations

import json
import struct
import tracemalloc
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from model_tools import randomise
from safetensors.torch import load_file, save_file
from torch import Tensor

import mrvae
from mrvae.models.build import build
from mrvae.models.build.weights import load, save_weights
from mrvae.recipes import Recipe, override, to_json

Json = dict[str, Any]


@cache
def tiny() -> Recipe:
    shape = ["encoder=8x1,8d2,4r2", "decoder=4x1,8m4,8x1", "width=8", "latent=2", "bottleneck=0.5"]
    return override(mrvae.recipe("digits-vdvae"), shape)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    model = build(tiny())
    randomise(model, seed=0)
    save_weights(tmp_path / "weights.safetensors", model.state_dict())
    write_recipe(tmp_path, to_json(tiny()))
    return tmp_path


def write_recipe(run: Path, recipe: object) -> None:
    (run / "recipe.json").write_text(json.dumps({"recipe": recipe, "seed": 0}))


def refused(run: Path, best: bool = False) -> str:
    with pytest.raises(ValueError, match=r"\S") as refusal:
        load(run, best)
    message = str(refusal.value)
    assert "\n" not in message
    return message


@torch.no_grad()
def test_a_model_comes_back_as_it_was(run: Path) -> None:
    model = build(tiny())
    randomise(model, seed=0)
    again = mrvae.load(str(run))
    assert not again.training
    assert all(p.requires_grad for p in again.parameters())
    for (name, a), (other, b) in zip(
        model.state_dict().items(), again.state_dict().items(), strict=True
    ):
        assert name == other
        assert torch.equal(a, b)
    x = torch.arange(128, dtype=torch.uint8).view(2, 1, 8, 8) % 17
    noise = torch.ones(2, model.latent_noise_size)
    assert torch.equal(model.elbo(x, noise).nats, again.elbo(x, noise).nats)


def test_best_weights_are_another_file(run: Path) -> None:
    assert "best.safetensors does not exist" in refused(run, best=True)
    (run / "best.safetensors").write_bytes((run / "weights.safetensors").read_bytes())
    (run / "weights.safetensors").unlink()
    load(run, best=True)
    assert "weights.safetensors does not exist" in refused(run)


def test_equal_tensors_give_equal_bytes(run: Path) -> None:
    tensors = load_file(run / "weights.safetensors")
    again = run / "again.safetensors"
    save_weights(again, dict(reversed(tensors.items())))
    assert again.read_bytes() == (run / "weights.safetensors").read_bytes()
    save_weights(again, {k: v.to(memory_format=_channels_last(v)) for k, v in tensors.items()})
    assert again.read_bytes() == (run / "weights.safetensors").read_bytes()


def _channels_last(tensor: Tensor) -> torch.memory_format:
    return torch.channels_last if tensor.dim() == 4 else torch.contiguous_format


NAME = "head.leave.weight"
SPOILED: dict[str, tuple[Callable[[dict[str, Tensor]], object], str]] = {
    "missing": (lambda t: t.pop(NAME), f"lacks tensor {NAME}"),
    "foreign": (lambda t: t.update(extra=torch.zeros(1)), "foreign tensor extra"),
    "shape": (lambda t: t.update({NAME: torch.zeros(17, 9, 1, 1)}), f"{NAME} has shape"),
    "nan": (lambda t: t[NAME].view(-1)[3].fill_(float("nan")), f"{NAME} holds values"),
    "infinite": (lambda t: t[NAME].view(-1)[3].fill_(float("inf")), f"{NAME} holds values"),
    "whole": (lambda t: t.update({NAME: t[NAME].int()}), f"{NAME} is torch.int32"),
    "double": (lambda t: t.update({NAME: t[NAME].double()}), f"{NAME} is torch.float64"),
    "half": (lambda t: t.update({NAME: t[NAME].half()}), f"{NAME} is torch.float16"),
}


def test_weights_of_another_model_are_refused_by_name(run: Path) -> None:
    path = run / "weights.safetensors"
    original = load_file(path)
    for spoil, message in SPOILED.values():
        tensors = {name: tensor.clone() for name, tensor in original.items()}
        spoil(tensors)
        save_file(tensors, path)
        refusal = refused(run)
        assert message in refusal
        assert str(path) in refusal


def test_truncated_weights_are_refused(run: Path) -> None:
    path = run / "weights.safetensors"
    whole = path.read_bytes()
    for length in (0, 1, 7, 8, 9, 100, -1000, -1):
        path.write_bytes(whole[:length])
        assert "is damaged" in refused(run), length


def test_files_of_another_kind_are_refused(run: Path) -> None:
    for content in (
        b"PK\x03\x04" + b"0" * 100,
        b"\xff" * 100,
        b"\x80\x04\x95cos\nsystem\n",
        b"{}" * 50,
    ):
        (run / "weights.safetensors").write_bytes(content)
        assert "is damaged" in refused(run), content


def test_a_folder_is_no_weights(run: Path) -> None:
    (run / "weights.safetensors").unlink()
    (run / "weights.safetensors").mkdir()
    assert "does not exist" in refused(run)


def test_a_file_gets_no_more_memory_than_its_own_size(run: Path) -> None:
    """A header that asks for 10¹² elements is refused, and nothing like it is allocated."""
    path = run / "weights.safetensors"
    names = build(tiny()).state_dict()
    header = {name: {"dtype": "F32", "shape": [10**6, 10**6], "data_offsets": [0, 4 * 10**12]}
              for name in names}  # fmt: skip
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"\0" * 64)
    tracemalloc.start()
    assert "is damaged" in refused(run)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 26


def test_a_file_far_larger_than_the_model_is_not_mapped(run: Path) -> None:
    with (run / "weights.safetensors").open("r+b") as file:
        file.truncate(1 << 40)
    assert "bytes; at most" in refused(run)


def test_a_header_without_end_is_refused(run: Path) -> None:
    (run / "weights.safetensors").write_bytes(struct.pack("<Q", 1 << 62) + b"{")
    assert "is damaged" in refused(run)


UNREADABLE = (
    (b"", "is not JSON"),
    (b"{", "is not JSON"),
    (b"\xff\xfe", "is not JSON"),
    (b"[" * 200_000, "is not JSON"),
    (b"1" * 10_000, "is not JSON"),
    (b"[]", "holds no recipe"),
    (b'"recipe"', "holds no recipe"),
    (b"{}", "holds no recipe"),
    (b'{"recipe": 3}', "expected an object"),
    (b'{"recipe": {}}', "is missing"),
    (b" " * (1 << 20) + b"{}", "too large"),
)


def test_what_is_no_recipe_is_refused(run: Path) -> None:
    for content, message in UNREADABLE:
        (run / "recipe.json").write_bytes(content)
        assert message in refused(run)


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    assert "is no run directory" in refused(tmp_path)
    assert "is no run directory" in refused(tmp_path / "nowhere")


IMPOSSIBLE: tuple[Json, ...] = (
    {"width": [10**12]},
    {"width": [10**30]},
    {"width": [0]},
    {"latent": [10**18]},
    {"channels": 10**30},
    {"size": 10**18},
    {"size": 9},
    {"bottleneck": 1e308},
    {"bottleneck": 1e-9},
    {"bottleneck": -1.0},
    {"encoder": "99999x1", "decoder": "99999x1"},
    {"encoder": "8x1", "decoder": "8x9999r9999"},
    {"encoder": "8x9999r9999", "decoder": "8x1"},
    {"encoder": ",".join(["8x9999"] * 10_000), "decoder": "8x1"},
    {"encoder": "12x1,12d3,4x1", "decoder": "4x1,12m4"},
    {"likelihood": {"kind": "categorical", "levels": 10**9}},
    {"likelihood": {"kind": "pickle"}},
    {"likelihood": {"kind": "logistic_mixture", "levels": 17, "components": 10**25,
                    "autoregressive": False}},
    {"input": {"mean": 0.0, "std": 0.0}},
)  # fmt: skip


def test_a_recipe_that_makes_no_model_is_refused(run: Path) -> None:
    for model in IMPOSSIBLE:
        recipe: Json = to_json(tiny())
        recipe["model"] |= model
        write_recipe(run, recipe)
        refused(run)


HUGE: tuple[Json, ...] = (
    {"width": [1 << 16]},
    {"width": [1 << 16], "latent": [1 << 16], "size": 1 << 14, "channels": 1 << 16}
    | {"encoder": "65536x1", "decoder": "65536x1", "bias_up_to": 10**9},
    {"encoder": "8x1", "decoder": "8r1000"},
)


def test_a_huge_recipe_takes_no_memory(run: Path) -> None:
    """It is built on the meta device and then fails at the file, whose tensors are small."""
    for model in HUGE:
        recipe: Json = to_json(tiny())
        recipe["model"] |= model
        write_recipe(run, recipe)
        assert "belongs to another model" in refused(run)
