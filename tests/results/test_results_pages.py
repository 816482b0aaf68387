"""Numbers reach the pages from recorded runs only, and runs are recorded whole or not at all."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

import mrvae
from fill import Group, Options, filled, main, pages, read_groups, status
from keep import Options as KeepOptions
from keep import keep
from mrvae.recipes import override, to_json
from record import ROOT, Result, commit, read, record
from record import Options as RecordOptions

DIGITS = mrvae.recipe("digits-vdvae")
MEASURED = {
    "split": "test",
    "images": 397,
    "nats": 84.125,
    "nats_se": 0.5,
    "bits_per_dim": 2.0,
    "importance_samples": 16,
    "importance_nats": 80.0,
    "importance_nats_se": 0.25,
}
RESULT = Result(
    name="toy",
    recipe=to_json(mrvae.recipe("mnist-vdvae")),
    commit="0123456789abcdef",
    seed=0,
    hardware="a machine",
    steps=6000,
    seconds=1200.0,
    metrics=dict(MEASURED),
    note="On a subset.",
)


def finished_run(folder: Path, done: int = 3, steps: int = 3) -> Path:
    run = folder / "run"
    run.mkdir()
    recipe = override(DIGITS, [f"training.steps={steps}"])
    (run / "recipe.json").write_text(json.dumps({"recipe": to_json(recipe), "seed": 7}))
    events = [{"step": step, "nats": 1.0, "seconds": 2.5 * step} for step in range(1, done + 1)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    (run / "evaluation.json").write_text(json.dumps({"run": str(run), **MEASURED}))
    return run


def options(run: Path) -> RecordOptions:
    return RecordOptions(run, name="toy", commit="abc", hardware="a machine", folder=run.parent)


def write(result: Result, folder: Path) -> None:
    (folder / f"{result.name}-seed{result.seed}.json").write_text(json.dumps(vars(result)))


def shown(block: str, folder: Path) -> str:
    kind = block.partition(":")[0]
    begin, end = f"<!-- {block} -->", f"<!-- /{kind} -->"
    text = filled(f"before {begin}old{end} after", folder)
    assert text.startswith(f"before {begin}")
    assert text.endswith(f"{end} after")
    return text.removeprefix(f"before {begin}").removesuffix(f"{end} after")


def test_what_is_recorded_is_read_back_and_names_the_run(tmp_path: Path) -> None:
    path = record(options(finished_run(tmp_path)))
    result = read(path)
    assert path.name == "toy-seed7.json"
    assert (result.seed, result.steps, result.seconds) == (7, 3, 7.5)
    assert result.metrics == MEASURED
    assert result.recipe == to_json(override(DIGITS, ["training.steps=3"]))


def test_a_run_that_has_not_ended_is_refused(tmp_path: Path) -> None:
    run = finished_run(tmp_path, done=2)
    with pytest.raises(ValueError, match="is at step 2 of 3"):
        record(options(run))
    assert not list(tmp_path.glob("*.json"))


def test_the_evaluation_of_another_run_is_refused(tmp_path: Path) -> None:
    run = finished_run(tmp_path)
    (run / "evaluation.json").write_text(json.dumps({"run": "runs/other", **MEASURED}))
    with pytest.raises(ValueError, match=r"is of the run runs.other"):
        record(options(run))


@pytest.mark.parametrize("lost", ["nats_se", "importance_nats"])
def test_an_evaluation_that_lacks_a_measure_is_refused(tmp_path: Path, lost: str) -> None:
    run = finished_run(tmp_path)
    kept = {name: value for name, value in MEASURED.items() if name != lost}
    (run / "evaluation.json").write_text(json.dumps({"run": str(run), **kept}))
    with pytest.raises(ValueError, match=f"lacks {lost}"):
        record(options(run))


def test_changed_code_is_not_passed_off_as_a_commit(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        command = ["git", "-C", str(tmp_path), *identity, *arguments]
        subprocess.run(command, check=True)  # noqa: S603

    (tmp_path / "src").mkdir()
    code, page = tmp_path / "src" / "code.py", tmp_path / "page.md"
    code.write_text("1")
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "--message", "first")
    clean = commit(tmp_path)
    page.write_text("a page is no code")
    assert commit(tmp_path) == clean
    assert len(clean) == 40
    code.write_text("2")
    assert commit(tmp_path) == f"{clean}+changes"


def test_binary_images_are_shown_in_nats_and_others_in_bits(tmp_path: Path) -> None:
    write(RESULT, tmp_path)
    write(replace(RESULT, name="grey", recipe=to_json(DIGITS)), tmp_path)
    assert shown("results:toy", tmp_path) == "−ELBO 84.12 ± 0.50, IW-16 80.00 ± 0.25 nats"
    expected = "−ELBO 2.000 ± 0.012, IW-16 1.902 ± 0.006 bits/dim"
    assert shown("results:grey", tmp_path) == expected


def test_seeds_are_averaged_and_their_range_shown(tmp_path: Path) -> None:
    for seed, nats in enumerate((84.0, 86.0, 82.0)):
        write(replace(RESULT, seed=seed, metrics=MEASURED | {"nats": nats}), tmp_path)
    sentence = shown("results:toy", tmp_path)
    assert sentence.startswith("−ELBO 84.00 (82.00–86.00), IW-16 80.00 (80.00–80.00) nats")
    assert sentence.endswith("mean of 3 seeds")


def test_runs_of_different_recipes_are_not_averaged(tmp_path: Path) -> None:
    write(RESULT, tmp_path)
    write(replace(RESULT, seed=1, recipe=to_json(DIGITS)), tmp_path)
    with pytest.raises(ValueError, match="recorded as toy have different recipes"):
        read_groups(tmp_path)


def test_a_claim_holds_up_to_its_number_and_no_further() -> None:
    group = Group((RESULT, replace(RESULT, seed=1, metrics=MEASURED | {"nats": 85.875})))
    assert status(group, "nats<=85") == "holds"
    assert status(group, "nats<=84.99") == "does not hold"
    assert status(group, None) == "measured"
    assert status(None, "nats<=85") == "not run yet"
    with pytest.raises(ValueError, match="write metric<=number"):
        status(group, "nats=85")


def test_the_overview_tells_what_every_run_was_made_with(tmp_path: Path) -> None:
    write(RESULT, tmp_path)
    text = shown("results:all", tmp_path)
    assert "| toy | 0 | 6,000 | 20.0 | 397 | 84.12 ± 0.50 | 80.00 ± 0.25 | 16 | nats |" in text
    assert "seed 0: a machine; commit `0123456789`. On a subset." in text


def test_a_benchmark_s_table_is_its_own(tmp_path: Path) -> None:
    machine = {"processor": "a processor", "threads": 1, "torch": "2.13.0", "rounds": 3}
    times = {"wall": [2.0, 6.0, 1.0], "cpu": [1.0, 1.0, 1.0]}
    one = {"shape": "mnist", "precision": "float32", "images": 6}
    one |= {"literal": times, "ours": {"wall": [1.0, 2.0, 1.0], "cpu": [0.5, 0.5, 0.5]}}
    (tmp_path / "other.json").write_text(json.dumps({"machine": machine, "results": [one]}))
    text = shown("bench:sampling other", tmp_path)
    assert "| mnist | float32 | 6 | 3.0 | 6.0 | 2.00 (1.00–3.00) | 2.00 |" in text
    assert "a processor, 1 threads; torch 2.13.0. 3 rounds." in text
    assert "not run yet" in shown("bench:sampling", tmp_path)


@pytest.mark.parametrize(
    ("script", "complaint"), [("none", "there is no"), ("pairing", "no table")]
)
def test_scripts_without_a_table_are_refused(tmp_path: Path, script: str, complaint: str) -> None:
    (tmp_path / f"{script}.json").write_text(json.dumps({"machine": {}, "results": []}))
    with pytest.raises(ValueError, match=complaint):
        shown(f"bench:{script}", tmp_path)


def test_filling_twice_changes_nothing_and_check_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "results").mkdir()
    write(RESULT, tmp_path / "results")
    page = tmp_path / "README.md"
    stale = "<!-- results:toy --><!-- /results -->, <!-- results:none -->1.0<!-- /results -->"
    page.write_text(stale)
    assert main(Options(check=True, root=tmp_path)) == 1
    assert page.read_text() == stale
    assert main(Options(root=tmp_path)) == 0
    assert "84.12" in page.read_text()
    assert "not run yet" in page.read_text()
    assert main(Options(check=True, root=tmp_path)) == 0


@pytest.mark.parametrize("page", pages(ROOT), ids=lambda page: page.name)
def test_the_pages_say_what_the_recorded_runs_say(page: Path) -> None:
    text = page.read_text("utf-8")
    assert filled(text, ROOT / "results") == text


# --------------------------------------------------------------------------------- items of papers

ITEM: dict[str, object] = {
    "paper": "falck2022",
    "item": "figure5",
    "budget": "cpu",
    "rows": [
        {"cell": "x1", "depth": 9, "nats": 98.765, "nats_se": 0.25, "paper_nats": None},
        {"cell": "r3", "depth": 19, "nats": 97.0, "nats_se": 0.25, "paper_nats": None},
    ],
    "findings": ["r3 against x1: better."],
    "runs": [],
    "made_with": {"processor": "a processor", "torch": "2.13.0"},
}


def kept(folder: Path, **changes: object) -> Path:
    path = folder / "figure5.json"
    path.write_text(json.dumps(ITEM | changes))
    return keep(KeepOptions(path, commit="0123456789abcdef", note="On a subset.", folder=folder))


def test_an_item_is_shown_with_errors_findings_and_origin(tmp_path: Path) -> None:
    assert kept(tmp_path).name == "falck2022-figure5-cpu.json"
    text = shown("rows:falck2022-figure5-cpu", tmp_path)
    for part in (
        "| cell | depth | nats |",
        "| x1 | 9 | 98.77 ± 0.25 |",
        "| r3 | 19 | 97.00 ± 0.25 |",
        "- r3 against x1: better.",
        "a processor; torch 2.13.0; commit `0123456789`. On a subset.",
    ):
        assert part in text
    assert "paper_nats" not in text
    chosen = shown("rows:falck2022-figure5-cpu nats,cell", tmp_path)
    assert "| 97.00 ± 0.25 | r3 |" in chosen
    assert "Not run yet" in shown("rows:falck2022-table1-cpu", tmp_path)
    assert shown("finding:falck2022-figure5-cpu 0", tmp_path) == "r3 against x1: better."
    assert shown("finding:falck2022-table1-cpu 0", tmp_path) == "not run yet"


def test_smoke_runs_and_foreign_files_are_no_results(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no result"):
        kept(tmp_path, budget="smoke")
    with pytest.raises(ValueError, match="no result"):
        kept(tmp_path, rows=[])
    foreign = tmp_path / "other.json"
    foreign.write_text(json.dumps({"paper": "falck2022"}))
    with pytest.raises(ValueError, match="lacks item"):
        keep(KeepOptions(foreign, folder=tmp_path))


def test_a_script_s_other_tables_and_numbers_follow_its_file(tmp_path: Path) -> None:
    file = ROOT / "results" / "codec.json"
    found = json.loads(file.read_text("utf-8"))
    digits = found["results"][0]
    digits["split_bits_per_image"]["bound_pixels"] = 1.25
    digits["layers_of_64"][0]["bytes"] += 1000
    digits["files"][0]["bytes"] = 12_345
    (tmp_path / "codec.json").write_text(json.dumps(found))
    assert "| pixels | 1.2 |" in shown("table:codec split", tmp_path)
    assert "| latent 3 | 124 | 1,216 | 2.375 |" in shown("table:codec layers", tmp_path)
    assert shown("number:codec file", tmp_path) == "12,345"
    for block in ("table:codec none", "number:codec none"):
        with pytest.raises(ValueError, match="'codec' has no"):
            shown(block, tmp_path)
