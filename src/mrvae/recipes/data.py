"""Which images or signals a recipe is trained on, and how they come to its model's values."""

from __future__ import annotations

from mrvae.recipes.cut import Cut, Patches, Whole
from mrvae.recipes.validation import WIDEST, Choice, Spec, bounded, real, require, within

_FASTEST = 1 << 24


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


class LinearSpec(Choice, frozen=True, tag="linear"):
    """Equal bins over [lowest, highest); samples of 8-bit files are the 256 bins of [-1, 1)."""

    lowest: float = -1.0
    highest: float = 1.0

    def __post_init__(self) -> None:
        real(self, "lowest", "highest")
        ordered = self.lowest < self.highest
        require(ordered, f"lowest is {self.lowest}; it must be less than highest, {self.highest}")


class MuLawSpec(Choice, frozen=True, tag="mu_law"):
    """256 bins, equal in the logarithm of the amplitude, for sound in [-1, 1] (G.711, mu = 255)."""


SignalQuantiser = LinearSpec | MuLawSpec


class Within(Choice, frozen=True, tag="within"):
    """A window lies in one recording; the rest of a recording, or a short one, is left out."""


class EndToEnd(Choice, frozen=True, tag="end_to_end"):
    """The recordings of a split follow one another, and windows may cross from one to the next."""


Layout = Within | EndToEnd


class NoSignal(Choice, frozen=True, tag="none"):
    """The data are images."""


class SignalSpec(Choice, frozen=True, tag="signal"):
    """The data are signals of ``rate`` samples a second, cut into windows of the model's length.

    In training windows begin ``stride`` samples apart, otherwise they lie side by side. The number
    of bins is that of the likelihood.
    """

    rate: int = 8_000
    stride: int = 1_024
    quantiser: SignalQuantiser = MuLawSpec()
    layout: Layout = EndToEnd()

    def __post_init__(self) -> None:
        bounded(self, _FASTEST, "rate")
        bounded(self, WIDEST, "stride")


Signal = NoSignal | SignalSpec


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
