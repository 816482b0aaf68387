from __future__ import annotations

import torch

from helpers.members import for_all
from mrvae.data.signals.windows import WindowRows, starts_of
from mrvae.recipes.data import EndToEnd, Within

LENGTHS = (64, 130, 63, 1, 200)


def signal(channels: int = 1) -> torch.Tensor:
    stream = torch.Generator().manual_seed(0)
    return torch.randint(256, (channels, sum(LENGTHS)), generator=stream, dtype=torch.uint8)


@for_all("channels", (1, 3))
def test_windows_side_by_side_tile_the_signal(channels: int) -> None:
    whole = signal(channels)
    rows = WindowRows(whole, starts_of(LENGTHS, 64, 64, EndToEnd()), 64)
    windows = rows.rows(torch.arange(rows.shape[0]))
    count = sum(LENGTHS) // 64
    assert windows.shape == rows.shape == (count, channels, 1, 64)
    joined = windows[:, :, 0].permute(1, 0, 2).reshape(channels, -1)
    assert torch.equal(joined, whole[:, : 64 * count])


def test_windows_within_recordings_tile_each_and_cross_no_end() -> None:
    starts = starts_of(LENGTHS, 64, 64, Within()).tolist()
    begin, expected = 0, []
    for length in LENGTHS:
        expected += [begin + 64 * i for i in range(length // 64)]
        begin += length
    assert starts == expected


@for_all("layout", (EndToEnd(), Within()))
def test_training_windows_are_all_those_a_stride_apart(layout: EndToEnd | Within) -> None:
    pieces = [sum(LENGTHS)] if isinstance(layout, EndToEnd) else LENGTHS
    begin, expected = 0, []
    for length in pieces:
        expected += [begin + i for i in range(length) if i % 16 == 0 and i + 64 <= length]
        begin += length
    starts = starts_of(LENGTHS, 64, 16, layout)
    assert starts.tolist() == expected
    whole = signal()
    windows = WindowRows(whole, starts, 64).rows(torch.arange(len(starts)))
    for window, start in zip(windows, expected, strict=True):
        assert torch.equal(window[0, 0], whole[0, start : start + 64])
