from __future__ import annotations

from mrvae.cli import COMMANDS
from mrvae.suggestions import did_you_mean

TYPING_ERRORS = [
    (name, name[:i] + change + name[i + 1 :])
    for name in COMMANDS
    for i in range(len(name))
    for change in ("", "x", name[i] * 2)
    # Their other letters are the same, so that either may be meant.
    if (name, i) not in {("encode", 0), ("encode", 1), ("decode", 0)}
]


def test_one_wrong_letter_leads_to_the_name() -> None:
    wrong = [
        (name, typed)
        for name, typed in TYPING_ERRORS
        if did_you_mean(typed, COMMANDS) != f"did you mean {name}?"
    ]
    assert wrong == []


def test_an_abbreviation_leads_to_names_that_begin_with_it() -> None:
    assert did_you_mean("rec", COMMANDS, 2) == "did you mean recipes or reconstruct?"


def test_a_word_like_none_leads_to_all_names_or_to_the_other_advice() -> None:
    assert did_you_mean("zzzz", COMMANDS) == f"there are {', '.join(COMMANDS)}"
    assert did_you_mean("", COMMANDS, otherwise="see the list") == "see the list"
