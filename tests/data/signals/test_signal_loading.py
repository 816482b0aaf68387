from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import mrvae
from helpers.members import for_all
from mrvae.data import images_for
from mrvae.data.signals.facts import SignalFacts, signal_facts
from mrvae.data.signals.load import load_signals
from mrvae.data.signals.quantisers import Linear
from mrvae.data.signals.wav import write_wav
from mrvae.recipes import from_json, override, to_json
from mrvae.recipes.data import LinearSpec, MuLawSpec, SignalSpec, Within

SPLITS = ("train", "validation", "test")
SPEC = SignalSpec(rate=8000, stride=64, quantiser=LinearSpec(-1.0, 1.0))
IMAGE = (1, 1, 64)


def load(source: Path | str, split: str, spec: SignalSpec = SPEC) -> torch.Tensor:
    return load_signals(str(source), split, None, spec, IMAGE, 256).tensor()


def write(path: Path, value: int, length: int = 64, rate: int = 8000, channels: int = 1) -> None:
    """Write a recording whose samples are all one value."""
    path.parent.mkdir(exist_ok=True)
    write_wav(path, np.full((length, channels), value, np.uint8), rate)


def values(source: Path, split: str) -> set[int]:
    return set(load(source, split).flatten().tolist())


def test_files_are_split_by_folders_or_in_the_fixed_order(tmp_path: Path) -> None:
    for number in range(20):
        write(tmp_path / "whole" / f"{number:02}.wav", number)
    parts = [values(tmp_path / "whole", split) for split in SPLITS]
    assert [len(part) for part in parts] == [16, 2, 2]
    assert set.union(*parts) == set(range(20))

    (tmp_path / "own").mkdir()
    for value, split in enumerate(SPLITS):
        write(tmp_path / "own" / split / "a.wav", value)
    assert [values(tmp_path / "own", split) for split in SPLITS] == [{0}, {1}, {2}]


def test_one_recording_is_split_in_time(tmp_path: Path) -> None:
    samples = np.arange(1000).astype(np.uint8)
    write_wav(tmp_path / "folder.wav", samples[:, None], 8000)
    (tmp_path / "folder").mkdir()
    write_wav(tmp_path / "folder" / "one.wav", samples[:, None], 8000)
    for source in (tmp_path / "folder.wav", tmp_path / "folder"):
        for split, first in zip(SPLITS, (0, 800, 900), strict=True):
            assert load(source, split)[0, 0, 0].tolist() == samples[first : first + 64].tolist()


def test_arrays_and_csv_hold_the_same_series(tmp_path: Path) -> None:
    series = np.random.default_rng(0).uniform(-1, 1, (20, 70))
    bins = Linear(-1.0, 1.0).encode(series)
    np.save(tmp_path / "a.npy", series)
    np.save(tmp_path / "channels.npy", series[:, None].astype(">f8"))
    np.save(tmp_path / "columns.npy", np.asfortranarray(series))
    np.savetxt(tmp_path / "a.csv", series, delimiter=",", fmt="%.17g")
    np.savez_compressed(tmp_path / "a.npz", x_train=series, x_test=series[:3])
    seen = {split: load(tmp_path / "a.npy", split, WITHIN) for split in SPLITS}
    assert sum(len(windows) for windows in seen.values()) == 20
    rows = {tuple(row) for windows in seen.values() for row in windows[:, 0, 0].tolist()}
    assert rows == {tuple(row) for row in bins[:, :64].tolist()}
    for name in ("channels.npy", "columns.npy", "a.csv"):
        for split in SPLITS:
            assert torch.equal(load(tmp_path / name, split, WITHIN), seen[split])
    assert load(tmp_path / "a.npz", "test", WITHIN)[:, 0, 0].tolist() == bins[:3, :64].tolist()
    assert len(load(tmp_path / "a.npz", "train", WITHIN)) == 18


WITHIN = SignalSpec(rate=8000, stride=64, quantiser=LinearSpec(-1.0, 1.0), layout=Within())


def test_what_does_not_fit_is_refused_in_one_line(tmp_path: Path) -> None:
    ramp = np.linspace(0, 1, 100)
    hole = np.where(ramp > 0.9, np.nan, ramp)
    (tmp_path / "ragged.csv").write_text("1,2,3\n1,2\n")
    (tmp_path / "named.csv").write_text("time,volt\n1,2\n")
    (tmp_path / "nan.csv").write_text(f"{','.join(map(str, hole))}\n")
    (tmp_path / "blank.csv").write_text("\n\n")
    np.save(tmp_path / "nan.npy", hole[None])
    np.save(tmp_path / "flat.npy", ramp)
    np.save(tmp_path / "text.npy", np.array([["a", "b"]]))
    np.savez(tmp_path / "lacking.npz", x_test=ramp[None])
    whole = tmp_path / "cut.npy"
    np.save(whole, ramp[None])
    whole.write_bytes(whole.read_bytes()[:-8])
    write(tmp_path / "rate" / "a.wav", 0, rate=16_000)
    write(tmp_path / "stereo" / "a.wav", 0, length=1000, channels=2)
    write(tmp_path / "short" / "a.wav", 0, length=63)
    (tmp_path / "empty").mkdir()
    for name, message in (
        ("ragged.csv", "line 2: has 2 numbers and the rows before 3"),
        ("named.csv", "line 1: is no row of numbers"),
        ("nan.csv", "line 1: 10 of 100 samples are no finite numbers"),
        ("blank.csv", "holds 0 series; give one"),
        ("nan.npy", "series 0: 10 of 100 samples"),
        ("flat.npy", r"shape is \(100,\); expected \(N, T\) or"),
        ("text.npy", "store whole or real numbers"),
        ("lacking.npz", "holds no array 'x_train'"),
        ("cut.npy", "truncated or damaged"),
        ("rate", "has 16,000 samples a second, and the recipe 8,000.*data.signal.rate=16000"),
        ("stereo", "recordings of 2 channels.*model.channels=2"),
        ("short", "no window of 64 samples fits"),
        ("empty", "holds no data"),
        ("missing.wav", "is no known source"),
        ("nothing", "known are ecg, fsdd, a folder of .wav files"),
    ):
        with pytest.raises(ValueError, match=message) as refusal:
            load(tmp_path / name, "train")
        assert "\n" not in str(refusal.value)


def test_fsdd_holds_speakers_out(tmp_path: Path) -> None:
    speakers = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
    for value, speaker in enumerate(speakers):
        for take in (0, 4, 5, 12):
            write(tmp_path / "fsdd" / f"3_{speaker}_{take}.wav", 10 * value + take)
    seen = {}
    for split in SPLITS:
        images = load_signals("fsdd", split, tmp_path, SPEC, IMAGE, 256)
        seen[split] = set(images.tensor().flatten().tolist())
    assert seen["train"] == {5, 12, 15, 22, 25, 32}
    assert seen["validation"] == {0, 4, 10, 14, 20, 24}
    assert seen["test"] == {30, 34, 35, 42, 40, 44, 45, 52}
    with pytest.raises(ValueError, match=r"fsdd/0_george_0.wav.*--data-dir"):
        load("fsdd", "train")


def test_the_ecg_needs_no_file_and_no_sample_is_in_two_splits() -> None:
    import pywt

    recipe = mrvae.recipe("ecg-vdvae")
    spec = recipe.data.signal
    assert isinstance(spec, SignalSpec)
    bins = Linear(-128.0, 256.0, 128).encode(pywt.data.ecg().astype(float))
    begin = 0
    for split, length in (("train", 614), ("validation", 205), ("test", 205)):
        windows = images_for(recipe, split).tensor()[:, 0, 0]
        step = 1 if split == "train" else 64
        part = bins[begin : begin + length]
        expected = [part[i : i + 64].tolist() for i in range(0, length - 63, step)]
        assert windows.tolist() == expected
        begin += length


def test_what_is_not_said_of_a_source_is_read_off_it(tmp_path: Path) -> None:
    for number in range(20):
        write(tmp_path / "bytes" / f"{number:02}.wav", number, length=1000, rate=11_025)
    facts = signal_facts(str(tmp_path / "bytes"), None)
    assert facts is not None
    assert (facts.spec.rate, facts.spec.quantiser, facts.window) == (11_025, LinearSpec(), 1024)
    windows = load_signals(str(tmp_path / "bytes"), "train", None, facts.spec, (1, 1, 1024), 256)
    assert len(windows) >= 16

    write_wav(tmp_path / "a.wav", np.zeros((70_000, 2), np.int16), 44_100)
    facts = signal_facts(str(tmp_path / "a.wav"), None)
    assert facts == SignalFacts(SignalSpec(44_100, 1024, MuLawSpec()), 2, 4096)

    series = np.random.default_rng(0).normal(5, 3, (30, 50))
    np.savetxt(tmp_path / "a.csv", series, delimiter=",", fmt="%.17g")
    facts = signal_facts(str(tmp_path / "a.csv"), None)
    assert facts is not None
    assert facts.window == 50
    sets = [
        load_signals(str(tmp_path / "a.csv"), split, None, facts.spec, (1, 1, 50), 256).tensor()
        for split in SPLITS
    ]
    assert [len(one) for one in sets] == [24, 3, 3]
    assert (int(torch.cat(sets).min()), int(torch.cat(sets).max())) == (0, 254)

    (tmp_path / "pictures").mkdir()
    for source in (tmp_path / "pictures", "digits", tmp_path / "missing"):
        assert signal_facts(str(source), None) is None
    write(tmp_path / "short" / "a.wav", 0, length=255)
    with pytest.raises(ValueError, match="255 samples for training are too few"):
        signal_facts(str(tmp_path / "short"), None)


def test_a_recipe_without_the_key_is_one_of_images() -> None:
    recipe = mrvae.recipe("digits-vdvae")
    tree = to_json(recipe)
    del tree["data"]["signal"]  # type: ignore[attr-defined]
    assert from_json(tree) == recipe


@for_all(
    ("change", "message"),
    (
        ("model.size=64", "windows of T samples are 1xT"),
        ("data.signal.quantiser=mu_law", "mu_law has 256 bins and the likelihood 128"),
        ("data.signal.quantiser.lowest=300", "lowest is 300"),
        ("data.signal.rate=0", "rate is 0"),
        ("data.fit=true", "signals are not binary, cut, fitted"),
        ("data.binary=true", "signals are not binary|binary images"),
    ),
)
def test_recipes_of_signals_that_make_no_sense_are_refused(change: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        override(mrvae.recipe("ecg-vdvae"), [change])
