from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from mrvae.evaluation import detect, detection_rates


def test_rates_are_those_of_scikit_learn_and_of_counted_pairs() -> None:
    stream = np.random.default_rng(0)
    for ties in (False, True):
        for n, m in [(1, 1), (7, 5), (60, 41), (10, 200)]:
            usual, unusual = stream.normal(size=n), stream.normal(0.7, size=m)
            if ties:
                usual, unusual = usual.round(), unusual.round()
            auroc, auprc, fpr80 = detection_rates(usual, unusual)
            true, scores = np.repeat([0, 1], [n, m]), np.concatenate([usual, unusual])
            difference = unusual[:, None] - usual
            assert auroc == pytest.approx(((difference > 0) + 0.5 * (difference == 0)).mean())
            assert auroc == pytest.approx(roc_auc_score(true, scores))
            assert auprc == pytest.approx(average_precision_score(true, scores))
            fpr, tpr, _ = roc_curve(true, scores, drop_intermediate=False)
            assert fpr80 == pytest.approx(fpr[tpr >= 0.8 - 1e-12].min())


def test_a_resampled_axis_is_one_set_each() -> None:
    stream = np.random.default_rng(0)
    usual, unusual = stream.normal(size=(3, 9)), stream.normal(size=(3, 8))
    whole = np.stack(detection_rates(usual, unusual))
    for row in range(3):
        assert (whole[:, row] == np.stack(detection_rates(usual[row], unusual[row]))).all()


def test_intervals_cover() -> None:
    """Of 95 % intervals of two normals' AUROC about 95 % hold Φ(δ/√2)."""
    stream, delta, trials = np.random.default_rng(0), 1.0, 100
    true = float(norm.cdf(delta / sqrt(2)))
    hits = 0
    for seed in range(trials):
        usual, unusual = stream.normal(size=80), stream.normal(delta, size=60)
        auroc = detect({"s": usual}, {"s": unusual}, resamples=200, seed=seed)["s"].auroc
        assert auroc.low <= auroc.value <= auroc.high
        hits += auroc.low <= true <= auroc.high
    # Two and a half standard deviations of a count of 100 with chance 0.95, and some bias.
    assert 87 <= hits <= 100


def test_scores_are_resampled_alike() -> None:
    stream = np.random.default_rng(0)
    usual, unusual = stream.normal(size=30), stream.normal(1, size=30)
    both = detect({"a": usual, "b": 2 * usual}, {"a": unusual, "b": 2 * unusual}, resamples=50)
    assert both["a"] == both["b"]


def test_sets_that_cannot_be_compared_are_refused() -> None:
    some, none = np.zeros(2), np.zeros(0)
    for usual, unusual, message in [
        ({"a": some}, {"b": some}, "give the same of both"),
        ({"a": some}, {"a": none}, "2 and 0 images are given"),
    ]:
        with pytest.raises(ValueError, match=message):
            detect(usual, unusual)
    with pytest.raises(ValueError, match="resamples is 0"):
        detect({"a": some}, {"a": some}, resamples=0)
