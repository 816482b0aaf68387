"""The path of a CUDA or MPS run, on a stand-in that has the rules of these devices."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch

import mrvae
from helpers.stand_in import stand_in
from mrvae.compression.network import CodingNetwork
from mrvae.data import Stream, images_for, normal
from mrvae.models import HVAE
from mrvae.models.image import ImageFrame
from mrvae.objectives import training_loss
from mrvae.recipes import Recipe, override
from mrvae.training.update import Updater

SMALL = ("training.batch=2", "training.compile=false", "training.precision=float32")
WITHOUT_CONTEXT = ("digits-vdvae", "digits-wavelet")
WITH_CONTEXT = ("digits-dct",)


def fitted(name: str) -> tuple[Recipe, HVAE]:
    """Return a small recipe and its model, ready for a first step."""
    recipe = override(mrvae.recipe(name), SMALL)
    model = mrvae.build(recipe)
    if model.context.shapes:
        model.context.fit(images_for(recipe, "train").first(64).tensor())
    return recipe, model


def step(recipe: Recipe, model: HVAE, device: torch.device) -> None:
    """Make the forward and backward pass of a step; the rest has no kernels on the meta device."""
    accelerator = SimpleNamespace(device=device, num_processes=1, process_index=0)
    stream = Stream(images_for(recipe, "train"), recipe.training.batch, 0, recipe.data.binary)
    state = Updater(model, recipe.training, stream, accelerator)
    elbo = state.measure(*state.inputs(0, state.parts[0]))
    training_loss(elbo, model.frame.dims).backward()  # type: ignore[no-untyped-call]
    state._sums(elbo)


def use(model: HVAE, device: torch.device) -> None:
    """Evaluate, sample and reconstruct."""
    frame = model.frame
    x = torch.zeros(2, *frame.shape, dtype=torch.uint8, device=device)
    generator = torch.Generator(device)
    with torch.no_grad():
        noise = normal(0, 0, range(2), model.latent_noise_size, device)
        found = [
            model.elbo(x, noise).nats,
            model.log_weights(x, 2),
            model.sample(2, generator=generator),
            model.draw(2, 0.9, generator).mean(),
            model.reconstruct(x),
        ]
    assert {value.device for value in found if value is not None} == {device}


def test_a_step_and_every_use_stay_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    # The check of a batch's values is the one place that waits for the device.
    monkeypatch.setattr(ImageFrame, "check", lambda frame, x: None)
    # The meta device has no autocast, which float32 does not use.
    monkeypatch.setattr(Updater, "autocast", lambda state: nullcontext())
    for names, float64 in ((WITHOUT_CONTEXT, False), (WITH_CONTEXT, True)):
        for name in names:
            recipe, model = fitted(name)
            with stand_in(float64=float64) as device:
                model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
                step(recipe, model, device)
                use(model, device)


def test_the_codec_leaves_nothing_on_the_device() -> None:
    _, model = fitted("digits-vdvae")
    network = CodingNetwork.of(model.to("cpu"))
    with stand_in(float64=False):
        x = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
        assert all(feature.device.type == "cpu" for feature in network.features(x))
        assert network.observe(x).features[0].dtype == torch.float64


def test_the_stand_in_refuses_what_devices_refuse() -> None:
    with stand_in(float64=False) as device:
        one = torch.ones(2, device=device)
        wrong = {
            "tensors on": lambda: one + torch.ones(2),
            "generator is on cpu": lambda: one.normal_(generator=torch.Generator()),
            "no float64": lambda: one.double(),
            "meta tensors": lambda: one.sum().item(),
        }
        for message, act in wrong.items():
            with pytest.raises((RuntimeError, TypeError), match=message):
                act()  # type: ignore[no-untyped-call]
        assert (one + torch.tensor(1.0)).device == device
