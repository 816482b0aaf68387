"""What a recipe may say of signals: how long recordings become windows, and numbers become bins."""

from __future__ import annotations

from mrvae.recipes.validation import WIDEST, Choice, bounded, real, require

_FASTEST = 1 << 24


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
