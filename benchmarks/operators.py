"""Where the time of a training step goes: its operators, literal and ours, as a Markdown table.

    python benchmarks/operators.py --threads 1 --page docs/speed.md
    python benchmarks/operators.py --shapes mnist --batch 16 --steps 1

Both sides make a few steps in turns under PyTorch's profiler. Every operator is one of a few kinds,
and a kind's share is the time inside its own operators, not in those they call. A profiler costs
time itself, some microseconds an operator; so the shares are told, beside the milliseconds of a
step, and the times of whole steps are those of ``train_step.py``.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import tyro
from torch.profiler import ProfilerActivity, profile

from pairing import Step, as_markdown, processor, said, write
from sides import LiteralStep, Shape, Variant, case, our_step, synthetic

# A kind is the first that has a word of the operator's name.
KINDS: Mapping[str, tuple[str, ...]] = {
    "convolutions, backward": ("convolution_backward", "conv2d_backward"),
    "convolutions, forward": ("convolution", "conv2d"),
    "GELU and SiLU, backward": ("gelu_backward", "silu_backward"),
    "GELU and SiLU, forward": ("gelu", "silu"),
    "optimiser, clip and average": ("adamw", "lerp", "_foreach", "norm", "addcdiv"),
    "noise": ("normal_", "randn", "bernoulli", "rand", "uniform"),
    "pooling and enlarging": ("upsample", "pool", "interpolate"),
    "copies, fills and joins": ("copy_", "clone", "cat", "zero", "fill", "pad", "index", "stack"),
    "compiled kernels": ("cpp_fused", "triton", "graph", "Compiled"),
    "sums and element by element": ("add", "sub", "mul", "div", "exp", "sum", "log", "neg", "pow"),
}
OTHER = "everything else"
MARKS = ("<!-- operators -->", "<!-- /operators -->")


@dataclass(frozen=True)
class Options:
    """What to look into.

    Attributes:
        shapes: models, as ``train_step.py`` has them.
        variant: ours.
        steps: profiled steps of either side.
        batch: images of a step; the published number if not given.
        operators: how many operators are shown beside the kinds.
        threads: of torch; its default if not given.
        device: such as cpu or cuda.
        json: file to write the milliseconds to.
        page: Markdown file in which the tables stand between two marks; printed otherwise.
    """

    shapes: tuple[Shape, ...] = ("mnist", "cifar10", "dct-mnist")
    variant: Variant = "float32"
    steps: int = 3
    batch: int | None = None
    operators: int = 8
    threads: int | None = None
    device: str = "cpu"
    json: Path | None = None
    page: Path | None = None


@dataclass(frozen=True)
class Side:
    """Milliseconds a step, and calls, of every operator."""

    milliseconds: dict[str, float]
    calls: dict[str, float]

    def by_kind(self) -> dict[str, float]:
        """Return the milliseconds of every kind."""
        found: defaultdict[str, float] = defaultdict(float)
        for name, spent in self.milliseconds.items():
            found[kind(name)] += spent
        return dict(found)


def kind(operator: str) -> str:
    """Return the kind of an operator."""
    name = operator.removeprefix("aten::")
    return next((k for k, words in KINDS.items() if any(w in name for w in words)), OTHER)


def profiled(step: Step, first: int, steps: int) -> Side:
    """Make some steps under the profiler."""
    cuda = [ProfilerActivity.CUDA] if torch.cuda.is_available() else []
    with profile(activities=[ProfilerActivity.CPU, *cuda]) as found:
        for index in range(first, first + steps):
            step(index)
    milliseconds, calls = {}, {}
    for event in found.key_averages():
        spent = event.self_cpu_time_total + event.self_device_time_total
        milliseconds[event.key] = spent / steps / 1e3
        calls[event.key] = event.count / steps
    return Side(milliseconds, calls)


def look(shape: Shape, options: Options) -> dict[str, Side]:
    """Return where either side's time goes, after one step of each that is not looked at."""
    torch.manual_seed(0)
    device = torch.device(options.device)
    case_ = case(shape, options.batch)
    images = synthetic(case_.recipe)
    published = LiteralStep(case_, images, device)
    updater, _ = our_step(case_.recipe, options.variant, images, device)
    published(0)
    updater.update(0)
    return {
        "literal": profiled(published, 1, options.steps),
        "ours": profiled(updater.update, 1, options.steps),
    }


def by_kind(sides: Mapping[str, Side]) -> str:
    """Return the table of kinds: milliseconds and share of both sides."""
    spent = {name: side.by_kind() for name, side in sides.items()}
    totals = {name: sum(each.values()) for name, each in spent.items()}
    rows = []
    for each in (*KINDS, OTHER):
        cells = [f"{each}"]
        for name in sides:
            ms = spent[name].get(each, 0.0)
            cells += [f"{ms:.1f}", f"{100 * ms / totals[name]:.0f} %"]
        rows.append(cells)
    rows.append(["all", *(cell for t in totals.values() for cell in (f"{t:.1f}", "100 %"))])
    return as_markdown(("kind", *(f"{n}, {u}" for n in sides for u in ("ms", "share"))), rows)


def by_operator(side: Side, most: int) -> str:
    """Return the table of the operators that take most."""
    ranked = sorted(side.milliseconds.items(), key=lambda each: -each[1])[:most]
    total = sum(side.milliseconds.values())
    rows = [
        (f"`{name}`", f"{side.calls[name]:.0f}", f"{ms:.1f}", f"{100 * ms / total:.0f} %")
        for name, ms in ranked
    ]
    return as_markdown(("operator of ours", "calls", "ms", "share"), rows)


def between_marks(page: str, text: str) -> str:
    """Return the page with the text between its two marks.

    Raises:
        ValueError: if it has not one of each, in their order.
    """
    before, begin, rest = page.partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    if not (begin and end):
        raise ValueError(f"the page needs {MARKS[0]} and, behind it, {MARKS[1]}")
    return f"{before}{begin}\n\n{text}\n{end}{after}"


def main(options: Options) -> None:
    """Look into every shape, and print and write the tables."""
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    began, parts, results = time.perf_counter(), [], []
    for shape in options.shapes:
        sides = look(shape, options)
        batch = case(shape, options.batch).recipe.training.batch
        title = f"### {shape}, {options.variant}, batch {batch}"
        parts += [title, by_kind(sides), by_operator(sides["ours"], options.operators)]
        each = {name: asdict(side) for name, side in sides.items()}
        results.append({"shape": shape, "variant": options.variant, "batch": batch, **each})
    text = "\n\n".join(parts) + "\n"
    if options.page is None:
        sys.stdout.write(text)
    else:
        made = f"{processor()}; torch {torch.__version__}; {torch.get_num_threads()} threads."
        page = options.page.read_text(encoding="utf-8")
        options.page.write_text(between_marks(page, f"{text}\n{made}\n"), encoding="utf-8")
    if options.json is not None:
        write(options.json, options.device, {"steps": options.steps}, results)
    said(time.perf_counter() - began)


if __name__ == "__main__":
    main(tyro.cli(Options))
