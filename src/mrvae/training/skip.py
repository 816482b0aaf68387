"""The rule that skips updates with large gradients.

In very deep VAEs the gradient of some batches is thousands of times larger than usual, and one such
update can destroy a run. The published remedy, a fixed threshold on the norm, skips every update
once the usual norm has grown past it (openai/vdvae, issue 25). Here the threshold is ``factor``
times a running quantile of the norms, skipped ones included, and at most ``in_a_row`` consecutive
updates are skipped. An update whose norm is not finite is always skipped, and is not part of the
quantile.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

from mrvae.recipes.schema import SkipRule
from mrvae.training.stop import Diverged

_FEWEST = 20


class SkipMonitor:
    """Decides from the gradient norm whether an update is skipped.

    Example:
        >>> monitor = SkipMonitor(SkipRule(factor=4.0))
        >>> [monitor.skips(1.0) for _ in range(30)].count(True), monitor.skips(100.0)
        (0, True)
    """

    def __init__(self, rule: SkipRule) -> None:
        self.rule = rule
        self.norms: deque[float] = deque(maxlen=rule.window)
        self.in_a_row = 0
        self.broken_in_a_row = 0
        self.skipped = 0
        self.broken = 0

    @property
    def threshold(self) -> float:
        """The norm above which an update is skipped; infinite until enough norms are known."""
        if len(self.norms) < min(_FEWEST, self.rule.window):
            return math.inf
        rank = math.ceil(self.rule.quantile * len(self.norms)) - 1
        return self.rule.factor * sorted(self.norms)[rank]

    def skips(self, norm: float) -> bool:
        """Return whether the update with this gradient norm is skipped, and record the norm.

        Raises:
            Diverged: if it is the last of ``broken_in_a_row`` norms that are not finite.
        """
        if not math.isfinite(norm):
            self._count_broken()
            return True
        self.broken_in_a_row = 0
        large = norm > self.threshold and self.in_a_row < self.rule.in_a_row
        self.norms.append(norm)
        self.in_a_row = self.in_a_row + 1 if large else 0
        self.skipped += large
        return large

    def quantiles(self) -> dict[str, float]:
        """Return the median, the 90 % quantile and the largest of the norms in the window.

        Example:
            >>> monitor = SkipMonitor(SkipRule())
            >>> for norm in (3.0, 1.0, 2.0):
            ...     _ = monitor.skips(norm)
            >>> monitor.quantiles()
            {'norm_q50': 2.0, 'norm_q90': 3.0, 'norm_max': 3.0}
        """
        ranked = sorted(self.norms) or [math.nan]
        at = {"norm_q50": 0.5, "norm_q90": 0.9, "norm_max": 1.0}
        return {name: ranked[math.ceil(q * len(ranked)) - 1] for name, q in at.items()}

    def state(self) -> tuple[list[float], list[int]]:
        """Return the norms and the counters, for a checkpoint."""
        counters = [self.in_a_row, self.broken_in_a_row, self.skipped, self.broken]
        return list(self.norms), counters

    def restore(self, norms: Sequence[float], counters: Sequence[int]) -> None:
        """Restore what :meth:`state` returned."""
        in_a_row, broken_in_a_row, skipped, broken = (int(count) for count in counters)
        self.norms = deque((float(norm) for norm in norms), maxlen=self.rule.window)
        self.in_a_row, self.broken_in_a_row = in_a_row, broken_in_a_row
        self.skipped, self.broken = skipped, broken

    def _count_broken(self) -> None:
        self.broken += 1
        self.broken_in_a_row += 1
        if self.broken_in_a_row >= self.rule.broken_in_a_row:
            raise Diverged(
                f"{self.broken_in_a_row} losses or gradients in a row were not finite; the last "
                "checkpoint is intact. Start another run with a lower rate "
                "(training.optimizer.rate), a longer warm-up (training.warmup), softplus scales "
                "(model.scale=softplus) or with training.precision=float32"
            )
