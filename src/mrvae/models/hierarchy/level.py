"""A hierarchy is data: one ``Level`` for each resolution, coarse to fine.

The papers write a hierarchy as two strings. In the encoder's, fine to coarse, ``32x11`` is eleven
residual blocks at 32×32 and ``32d2`` one more that then pools by 2; in the decoder's, coarse to
fine, ``32m16`` is a cell that begins by mixing in the embedded state of 16×16 and ``32x21`` is 21
further cells. ``32x21r3`` visits each of the 21 three times in a row (weights shared in time), and
``32r3`` is one block visited three times. This module reads them, and nothing else knows them.

Every resolution but the finest is reached by exactly one ``d`` block, and every one but the
coarsest begins with exactly one ``m`` cell, as in nearly all published models; so a ``Level`` need
not say so. In the strings of a rectangle the numbers are those of its longer side. The finest
shorter side is that of the image, padded so that it can be divided as the longer one is; a side
that is shorter than that is padded to a power of two, and once it is one pixel it stays one. So a
signal of 1×T samples has the strings of its length.

The exception is our piece ``28u14``: the embedded state of 14×14, and no cell. Kuzina &
Tomczak (2023) have no latent as large as the image.

Also ours is ``32s4``, which may begin an
encoder: 4×4 pixels of an image of 32×32 are one place, with their values as its channels (space to
depth), and the finest resolution is 8×8.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from mrvae.sizes import ImageSize, Sides, kernel_for, sides, simplest, size_text

_PIECE = re.compile(
    r"(\d{1,5})(?:x(\d{1,4})(?:r(\d{1,4}))?|r(\d{1,4})|d(\d{1,5})|([mu])(\d{1,5}))?"
)


_SPACE_TO_DEPTH = re.compile(r"(\d{1,5})s(\d{1,2}),(?=(\d{1,5}))")

# A recipe may come from outside: it shall not make a list of 10⁸ cells by eleven characters.
_MOST = 1_000
_WIDEST = 1 << 16


@dataclass(frozen=True)
class Level:
    """One resolution of a hierarchy.

    Attributes:
        size: pixels a side, or (height, width) of a rectangle in pixels.
        width: channels of the encoder's and decoder's states.
        latent: channels of each latent.
        blocks: residual blocks of the encoder, the pooling one not counted.
        cells: cells of the decoder, the mixing one not counted.
        block_repeat: how often each encoder block is applied, one after the other.
        repeat: how often each cell is applied, one after the other.
        mixes: whether a cell of its own mixes in the level below; no other kind has one where
            there is no level below.

    Raises:
        ValueError: if a value is out of range.

    Example:
        >>> Level(size=8, width=32, latent=4, blocks=1, cells=2, repeat=3).visits
        6
        >>> Level(size=(14, 10), width=32, latent=4, blocks=1, cells=2).sides
        (14, 10)
    """

    size: ImageSize
    width: int
    latent: int
    blocks: int
    cells: int
    block_repeat: int = 1
    repeat: int = 1
    mixes: bool = True

    def __post_init__(self) -> None:
        for side in self.sides:
            if not 1 <= side <= _WIDEST:
                raise ValueError(f"size of a level is {self.size}; it must be in 1 … {_WIDEST}")
        for name in ("width", "latent", "block_repeat", "repeat"):
            value = getattr(self, name)
            if not 1 <= value <= _WIDEST:
                raise ValueError(f"{name} of a level is {value}; it must be in 1 … {_WIDEST}")
        for name, count, repeat in (
            ("blocks", self.blocks, self.block_repeat),
            ("cells", self.cells, self.repeat),
        ):
            if not 0 <= count * repeat <= _MOST:
                raise ValueError(
                    f"a level has {count} {name} applied {repeat} times; 0 … {_MOST} are allowed"
                )

    @property
    def visits(self) -> int:
        """How many latents the level draws, the mixing cell's not counted."""
        return self.cells * self.repeat

    @property
    def drawn(self) -> bool:
        """Whether the level has latents at all, if it is not the coarsest."""
        return self.mixes or self.visits > 0

    @property
    def sides(self) -> Sides:
        """Height and width in pixels."""
        return sides(self.size)

    @property
    def pixels(self) -> int:
        """Height times width."""
        return self.sides[0] * self.sides[1]

    @property
    def kernel(self) -> ImageSize:
        """Of its spatial convolutions: 3, but 1 along an axis where 3 would see mostly padding."""
        height, width = self.sides
        return simplest((3 if height > 2 else 1, 3 if width > 2 else 1))

    @property
    def full_kernel(self) -> ImageSize:
        """3, but 1 × 3 for a signal."""
        return kernel_for(self.size, 3)


def parse_levels(
    encoder: str,
    decoder: str,
    width: Sequence[int],
    latent: Sequence[int],
    image: ImageSize | None = None,
) -> tuple[Level, ...]:
    """Read the papers' block strings into levels, coarse to fine.

    Args:
        encoder: such as ``"32x11,32d2,16x6,16d16,1x3"``, fine to coarse.
        decoder: such as ``"1x1,16m1,16x10,32m16,32x21"``, coarse to fine.
        width: one number of channels, or one for each resolution, coarse to fine.
        latent: likewise for the latents.
        image: size of the images; a square by default.

    Raises:
        ValueError: if a piece cannot be read, the two strings name different resolutions, a
            resolution lacks its pooling block or its mixing cell, or a rectangle's longer side is
            more than the finest resolution.

    Example:
        >>> [level.size for level in parse_levels("8x2,8d2,4x1", "4x1,8m4,8x3r2", [16], [4])]
        [4, 8]
        >>> levels = parse_levels("32x2,32d4,8x2", "8x1,32m8", [16], [4], image=(28, 20))
        >>> [level.size for level in levels]
        [(8, 5), (32, 20)]
    """
    places = space_to_depth(encoder)
    match = _SPACE_TO_DEPTH.match(encoder) if places > 1 else None
    own = encoder[match.end() :] if match else encoder
    shape = _in_places(image, places)
    below, blocks = _encoder_stacks(_pieces(own, "encoder"))
    decoding = _pieces(decoder, "decoder")
    above, cells = _decoder_stacks(decoding)
    bare = {piece.size for piece in decoding if piece.mix is not None and not piece.cell}
    sizes = sorted(cells)
    if sorted(blocks) != sizes or below != above:
        raise ValueError(
            f"the encoder visits resolutions {sorted(blocks)} and the decoder {sizes}; "
            "both must name the same ones, joined by the same steps"
        )
    widths, latents = _spread("width", width, sizes), _spread("latent", latent, sizes)
    if any(fine > coarse for coarse, fine in pairwise(widths)):
        raise ValueError(f"widths {widths}, coarse to fine, must not grow; reorder them")
    return tuple(
        Level(
            _level_size(size, sizes, shape),
            w,
            z,
            blocks[size][0],
            cells[size][0],
            blocks[size][1],
            cells[size][1],
            mixes=size not in bare,
        )
        for size, w, z in zip(sizes, widths, latents, strict=True)
    )


def _level_size(longer: int, sizes: Sequence[int], image: ImageSize | None) -> ImageSize:
    """Return the size of a resolution from its longer side and the shape of the images."""
    if image is None or isinstance(image, int):
        return longer
    height, width = image
    short = min(image)
    if max(image) > sizes[-1]:
        raise ValueError(
            f"images of {size_text(image)} pixels do not fit into a hierarchy whose finest "
            f"resolution is {sizes[-1]}; add a level, or resize the images"
        )
    factor = sizes[-1] // sizes[0]
    padded = -(-short // factor) * factor if short >= factor else 1 << (short - 1).bit_length()
    shorter = max(padded * longer // sizes[-1], 1)
    return simplest((longer, shorter) if height > width else (shorter, longer))


def _in_places(image: ImageSize | None, pixels: int) -> ImageSize | None:
    """Return the size of images in places of so many pixels a side."""
    if image is None or pixels == 1:
        return image
    if min(sides(image)) == 1:
        raise ValueError("a signal has no places of several pixels a side; leave out that piece")
    height, width = sides(image)
    return simplest((-(-height // pixels), -(-width // pixels)))


def space_to_depth(encoder: str) -> int:
    """Return how many pixels a side make one place of the finest resolution.

    Raises:
        ValueError: if the encoder begins with a piece like ``32s4`` that does not lead to the
            resolution of the next.

    Example:
        >>> space_to_depth("32s4,8x2,8d2,4x1"), space_to_depth("8x2,8d2,4x1")
        (4, 1)
    """
    match = _SPACE_TO_DEPTH.match(encoder)
    if match is None:
        return 1
    size, pixels, after = map(int, match.groups())
    if pixels < 2 or pixels * after != size:
        raise ValueError(
            f"encoder blocks: {match[0][:-1]!r} makes places of {pixels} × {pixels} pixels, and "
            f"{after} follows; {size} must be {pixels} times the next resolution"
        )
    return pixels


@dataclass(frozen=True)
class _Piece:
    size: int
    count: int
    repeat: int
    pool: int | None
    mix: int | None
    cell: bool
    text: str


def _pieces(blocks: str, which: str) -> list[_Piece]:
    """Split a block string into its pieces."""
    found = []
    for text in blocks.replace(" ", "").split(","):
        match = _PIECE.fullmatch(text)
        if match is None:
            raise ValueError(
                f"{which} blocks: cannot read {text!r} in {blocks!r}; "
                "a piece is like 32x11, 32x11r3, 32r3, 32d2, 32m16 or 32u16"
            )
        size, count, each, repeat, pool, joint, mix = match.groups()
        found.append(
            _Piece(
                int(size),
                int(count or 1),
                int(each or repeat or 1),
                int(pool) if pool else None,
                int(mix) if mix else None,
                joint != "u",
                text,
            )
        )
    return found


Stacks = dict[int, tuple[int, int]]
Joints = set[tuple[int, int]]


def _encoder_stacks(pieces: list[_Piece]) -> tuple[Joints, Stacks]:
    """Return the (fine, coarse) joints and the (blocks, repeat) of each resolution."""
    joints: Joints = set()
    stacks: Stacks = {}
    size = pieces[0].size
    for piece in pieces:
        if piece.mix is not None or piece.size != size:
            raise ValueError(f"encoder blocks: {piece.text!r} cannot stand at resolution {size}")
        stacks.setdefault(size, (0, 1))
        if piece.pool is None:
            stacks[size] = _stack(stacks[size], piece)
        else:
            if piece.pool < 2 or size % piece.pool:
                raise ValueError(f"encoder blocks: {piece.text!r} does not divide {size} evenly")
            joints.add((size, size // piece.pool))
            size //= piece.pool
            stacks.setdefault(size, (0, 1))
    return joints, stacks


def _decoder_stacks(pieces: list[_Piece]) -> tuple[Joints, Stacks]:
    """Return the (fine, coarse) joints and the (cells, repeat) of each resolution."""
    joints: Joints = set()
    stacks: Stacks = {}
    size = None
    for piece in pieces:
        if piece.mix is not None:
            if piece.mix != size or piece.size <= piece.mix or piece.size % piece.mix:
                raise ValueError(f"decoder blocks: {piece.text!r} cannot follow resolution {size}")
            joints.add((piece.size, piece.mix))
            size = piece.size
            stacks[size] = (0, 1)
        elif piece.pool is not None or (size is not None and piece.size != size):
            raise ValueError(
                f"decoder blocks: {piece.text!r} cannot stand at resolution {size}; "
                f"a new resolution begins with a piece like {piece.size}m{size}"
            )
        else:
            size = piece.size
            stacks[size] = _stack(stacks.get(size, (0, 1)), piece)
    return joints, stacks


def _stack(before: tuple[int, int], piece: _Piece) -> tuple[int, int]:
    """Put a piece on the blocks that its resolution has already."""
    count, repeat = before
    if piece.count < 1 or piece.repeat < 1 or (count and repeat != piece.repeat):
        raise ValueError(
            f"blocks: {piece.text!r} repeats unlike the pieces before it; "
            "all blocks of one resolution are repeated equally often"
        )
    return count + piece.count, piece.repeat


def _spread(name: str, values: Sequence[int], sizes: list[int]) -> list[int]:
    """Give every resolution its value."""
    if len(values) == 1:
        return [values[0]] * len(sizes)
    if len(values) != len(sizes):
        raise ValueError(
            f"{name} has {len(values)} values for {len(sizes)} resolutions {sizes}; "
            "give one for all, or one for each, coarse to fine"
        )
    return list(values)
