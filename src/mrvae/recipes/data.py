"""Which images a recipe is trained on, and how they come to the values of its model."""

from __future__ import annotations

from mrvae.recipes.cut import Cut, Patches, Whole
from mrvae.recipes.signal import NoSignal, Signal
from mrvae.recipes.validation import Choice, Spec, require, within


class Stored(Choice, frozen=True, tag="stored"):
    """Pictures are taken as their files hold them; what 8-bit grey or RGB lacks is refused."""


class ToRGB(Choice, frozen=True, tag="rgb"):
    """Every picture becomes RGB of 8 bits."""


class ToGrey(Choice, frozen=True, tag="grey"):
    """Every picture becomes grey of 8 bits, by the luma of ITU-R BT.601."""


Mode = Stored | ToRGB | ToGrey


class Opaque(Choice, frozen=True, tag="refuse"):
    """A picture with transparency is refused."""


class OverWhite(Choice, frozen=True, tag="white"):
    """Transparent pixels show white behind them."""


class OverBlack(Choice, frozen=True, tag="black"):
    """Transparent pixels show black behind them."""


class DropAlpha(Choice, frozen=True, tag="drop"):
    """Opacity is dropped, and hidden colours become visible."""


Alpha = Opaque | OverWhite | OverBlack | DropAlpha


class Data(Spec, frozen=True):
    """Which images, and what is done to their values before any model sees them.

    ``source`` is a known name (``digits``, ``mnist``, ``omniglot``, ``cifar10``), a folder of
    images, a ``.npy`` or ``.npz`` file, or ``hf:owner/name``. ``binary`` draws each pixel from
    its grey value, anew at every training step and once for all in validation and test;
    ``bits`` keeps that many leading bits of an 8-bit value. ``fit`` resizes the shorter side to
    the model's size and crops the centre; ``pad`` shrinks what is larger and repeats the edges of
    what is smaller. Without either, images of another size are refused. ``cut`` tells whether
    pictures are images, or are cut into many. ``mode`` and ``alpha`` convert colours, depth and
    transparency; with ``skip_unreadable``, pictures that are damaged are left out.

    With a ``signal`` the data are recordings or series instead: ``ecg``, ``fsdd``, WAV files, or
    numbers in a ``.npy``, ``.npz`` or ``.csv`` file; what is for pictures is then left as it is.
    """

    source: str
    binary: bool = False
    bits: int = 8
    fit: bool = False
    cut: Cut = Whole()
    mode: Mode = Stored()
    alpha: Alpha = Opaque()
    pad: bool = False
    skip_unreadable: bool = False
    signal: Signal = NoSignal()

    def __post_init__(self) -> None:
        require(bool(self.source), "source is empty; name a data set, a file or a folder")
        within(self, 1, 8, "bits")
        require(not (self.binary and self.bits != 8), "binary images have no further bits to drop")
        require(not (self.fit and self.pad), "pictures are fitted or padded; set fit or pad false")
        both = (self.fit or self.pad) and isinstance(self.cut, Patches)
        require(not both, "pictures are fitted or cut; set fit=false and pad=false, or cut=whole")
        require(
            isinstance(self.signal, NoSignal) or self._is_plain(),
            "signals are not binary, cut, fitted, padded or converted; leave out what is for "
            "pictures, or set data.signal=none",
        )

    def _is_plain(self) -> bool:
        """Whether all that is for pictures is as it is by default."""
        plain = Data(self.source)
        names = set(self.__struct_fields__) - {"signal"}
        return all(getattr(self, name) == getattr(plain, name) for name in names)
