"""The propositions of Kuzina & Tomczak 2023 as checks, each failing without its hypothesis.

Section 3.3 and appendices A and B state when the posterior of a latent collapses and what that has
to do with its identifiability. On a hierarchy that is a table all of it is a matter of sums; see
:mod:`mrvae.papers.kuzina2023.proof_collapse` and :mod:`mrvae.papers.kuzina2023.proof_inference`
for what holds and what does not as printed.
"""

from __future__ import annotations

from collections.abc import Sequence

from mrvae.papers.checks import Check, counted
from mrvae.papers.engine import Item
from mrvae.papers.entries import Entry
from mrvae.papers.kuzina2023 import proof_collapse, proof_inference
from mrvae.papers.outcome import Budget, Outcome
from mrvae.papers.workspace import Workspace

TABLES: dict[Budget, int] = {"smoke": 20, "cpu": 500, "paper": 5000}


def make(workspace: Workspace, entries: Sequence[Entry]) -> Outcome:
    """Make every check."""
    tables = TABLES[workspace.budget]
    workspace.log(f"propositions on {tables} random tables")
    checks = [
        *proof_collapse.proposition_1(tables),
        *proof_collapse.proposition_2(tables),
        *proof_collapse.counter_examples(),
        *proof_inference.chain_rule(tables),
        *proof_inference.appendix_a(tables),
        *proof_inference.section_4(tables),
    ]
    return Outcome([check.row() for check in checks], findings(checks))


def findings(checks: Sequence[Check]) -> tuple[str, ...]:
    """Return how many properties hold, each that does not, and what is not true as printed.

    Example:
        >>> findings([Check("proposition 1", "collapse", "one", 0.0, 1e-12, "another", 0.3)])
        ('1 of 1 laws hold, and fail with their wrong operator',)
    """
    return (
        *counted(checks),
        *(_not_true(check) for check in checks if check.wrong.startswith("as printed")),
        *(_counter_example(check) for check in checks if check.about.endswith("counter-example")),
    )


def _counter_example(check: Check) -> str:
    """Return what a latent of a counter-example is, by the side on which it was measured."""
    if check.check == "collapse":
        return f"{check.about}: {check.at}: z_B collapses, to {abs(check.left):.0e} nats"
    return f"{check.about}: {check.check} is {check.right:.3g} nats"


def _not_true(check: Check) -> str:
    """Return that a claim of the paper, which is a wrong operator here, does not hold."""
    return (
        f"{check.about}, {check.wrong}: not true, off by {check.wrong_left:.3g} nats or more"
        " on every table"
    )


ITEM = Item("proofs", make)
