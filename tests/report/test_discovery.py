"""The page of a search, on a made-up one: what its sentences claim, which functions it shows, its table and its figures."""

import re
from types import SimpleNamespace

import numpy as np
import pytest

from ascribe import report
from ascribe.report import discovery as module

SEEDS, EPOCHS = 12, 4


class Tried(SimpleNamespace):
    def __len__(self):
        return len(self.points)


def space():
    """Functions v·tanh(w·z), of points (w, v)."""
    return SimpleNamespace(
        layer="relu2", hidden=1, activation="tanh", bound=3.0, g=lambda point, z: point[1] * np.tanh(10 * point[0] * z)
    )


def runs(mean, seed, spread=0.05):
    rng = np.random.default_rng(seed)
    loss = mean * np.linspace(2.0, 0.5, EPOCHS) + spread * rng.normal(size=(SEEDS, EPOCHS))
    scores = {"area_under_train_loss": loss.sum(axis=1), "test_accuracy": 0.9 + 0.01 * rng.normal(size=SEEDS)}
    return SimpleNamespace(
        curves={"train_loss": loss},
        scores=scores,
        diverged=np.zeros(SEEDS, bool),
        learning_rates=np.full(SEEDS, 0.01),
        seeds=tuple(range(SEEDS)),
        folds=(),
    )


def discovery(means):
    """A finished search whose rules have these mean losses."""
    rng = np.random.default_rng(0)
    points, areas = rng.random((30, 2)), 5.0 + rng.random((30, 3))
    evaluations = Tried(
        points=points,
        areas=areas,
        values=areas.mean(axis=1),
        diverged=np.zeros((30, 3), bool),
        best_so_far=np.minimum.accumulate(areas.mean(axis=1)),
    )
    comparison = SimpleNamespace(runs={name: runs(mean, i) for i, (name, mean) in enumerate(means.items())})
    reference = comparison.runs["backpropagation"]
    rows = []
    for name, one in comparison.runs.items():
        row = {"setting": "as searched", "rule": name, "learning_rate": 0.01, "score_name": "test_accuracy"}
        for key, column in (("area_under_train_loss", "area"), ("test_accuracy", "score")):
            row[column], row[f"{column}_interval"] = map(float, report.interval(one.scores[key]))
            difference = map(float, report.interval(one.scores[key] - reference.scores[key]))
            row[f"{column}_difference"], row[f"{column}_difference_interval"] = difference
        rows.append({**row, "diverged": 0, "seeds": SEEDS})
    return SimpleNamespace(
        data=SimpleNamespace(name="<digits>"),
        space=space(),
        evaluations=evaluations,
        best=tuple(np.argsort(evaluations.values)[:3]),
        touched=(),
        random=evaluations,
        predicted=np.stack([evaluations.values + 0.1, np.full(30, 0.2)], axis=1),
        comparisons={"as searched": (comparison,)},
        factor=2.5,
        configuration={"initial": 6, "command": "ascribe discover <digits>"},
        replaced="relu",
        exact=lambda z: (z > 0).astype(float),
        table=lambda: rows,
    )


FASTER = {"backpropagation": 1.0, "found g": 0.5, "c·σ', tuned c": 0.5, "backpropagation, tuned rate": 0.2}


def test_the_sentences_claim_what_the_intervals_bear_out():
    sentences = module.findings(discovery(FASTER))
    verdicts = [sentence.rpartition(": ")[2] for sentence in sentences[1:]]
    assert verdicts == ["faster.", "no difference is shown.", "slower."]
    assert "c = 2.5" in sentences[2]
    both = module.findings(discovery({**FASTER, "found g, tuned rate": 0.1}))
    assert re.search(r"rates tuned by validation, the difference is -0\.\d+ ± .*: faster\.", both[-1])


def test_both_ways_of_tuning_the_rate_are_told_and_so_is_an_optimum_at_the_end_of_the_search():
    means = {**FASTER, "backpropagation, rate tuned for area": 0.5, "found g, 0 where σ' = 0": 0.7}
    made = discovery({**means, "found g, rate tuned for area": 0.4})
    made.touched = ("v", "d")
    text = "\n".join(module.findings(made))
    assert re.search(r"without its credit where σ' = 0, .* by -0\.\d+ ± .*: faster\.", text)
    assert re.search(r"a rate tuned for the same area, .*: no difference is shown\.", text)
    assert re.search(r"a rate tuned by validation, .*: slower\.", text)
    assert re.search(r"Both at their own rates tuned for the area, .*: faster\.", text)
    assert "(|v|, |d| = 3)" in text
    assert "at the end of what was searched" not in "\n".join(module.findings(discovery(means)))


def test_every_one_of_the_best_has_its_letter():
    drawn = str(report.specification(module.tried(discovery(FASTER))))
    for name in ("A, the found g: area 5", "B: area ", "C: area "):
        assert name in drawn


def test_the_table_says_each_difference_with_its_interval():
    table = module.cells(discovery(FASTER).table())
    assert [row[1] for row in table] == list(FASTER)
    assert table[0][4] == table[0][6] == ""
    assert re.fullmatch(r"-\d\.\d+ ± 0\.\d+", table[1][4])
    assert table[1][-1] == f"0 of {SEEDS}"


@pytest.mark.parametrize("random", [True, False])
def test_the_page_has_every_figure_and_escapes_what_it_is_told(random):
    made = discovery(FASTER)
    made.random = made.random if random else None
    drawn = {name: report.Drawing(report.specification(chart)) for name, chart in module.figures(made).items()}
    assert list(drawn) == ["b_functions", "differences", "loss_curves", "convergence", "surrogate"]
    assert ("random search" in drawn["convergence"].svg) == random
    page = module.page(made, drawn)
    assert "<digits>" not in page
    assert page.count('<div class="plot') == page.count('<details class="values">') == 5
    # Every figure points at the rows of a table of its own; rules are filtered by their number in the table.
    assert page.count(" data-points") == 5
    assert re.findall(r'<tr data-rule="(\d)">', page) == ["0", "1", "2", "3"]


def test_one_rule_that_nearly_diverged_does_not_squash_the_differences_of_the_others():
    def scale(means):
        drawn = report.specification(module.differences(discovery(means)))
        return drawn["vconcat"][0]["layer"][1]["encoding"]["x"]

    assert "type" not in scale(FASTER)["scale"]
    x = scale({**FASTER, "backpropagation, learned rate": 1e9})
    assert x["scale"]["type"] == "symlog" and x["scale"]["constant"] < 10
    ticks = x["axis"]["values"]
    assert 0.0 in ticks and ticks == sorted(ticks) and ticks == [-tick for tick in reversed(ticks)] and ticks[-1] >= 1e8
