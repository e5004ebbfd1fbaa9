"""The page's data sets, tables, links, sessions and savings, under Node in one process."""

import json
import math
import shutil
import subprocess
from pathlib import Path

import pytest

import ascribe

from .stand_in import ENGINE

NODE = shutil.which("node")
FOLDER = Path(ascribe.__file__).parent / "playground" / "page"  # without importing the engine
MODULES = ("random", "features", "datasets", "csv", "history", "session", "link", "saving")
pytestmark = pytest.mark.skipif(NODE is None, reason="no Node is installed")


@pytest.fixture(scope="module")
def found():
    scripts = [ENGINE.read_text(encoding="utf-8"), *((FOLDER / f"{name}.js").read_text(encoding="utf-8") for name in MODULES)]
    runner = Path(__file__).with_name("page_modules.js")
    done = subprocess.run(
        [str(NODE), str(runner)], input="\n".join(scripts), capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_generated_points_are_half_of_each_class_and_the_seeds(found):
    assert set(found["generated"]) == {"moons", "circles", "xor", "spirals", "gaussians"}
    for one in found["generated"].values():
        assert (one["count"], one["ones"], one["training"]) == (90, 45, 60)
        assert one["repeats"] and one["differs"] and 1 < one["largest"] < 2.6


def test_normal_draws_and_permutations(found):
    assert abs(found["normal"]["mean"]) < 4 / math.sqrt(20000)
    assert abs(found["normal"]["variance"] - 1) < 5 * math.sqrt(2 / 20000)
    assert found["permutation"] == list(range(50))


def test_inputs_are_made_of_a_points_two_numbers(found):
    rows = [[x, y, x * x, y * y, x * y, math.sin(x), math.sin(y)] for x, y in ((2, -3), (0.5, 1))]
    assert found["features"]["all"] == pytest.approx([one for row in rows for one in row], rel=1e-6)
    assert found["features"]["names"] == [
        {"sign": "x₁x₂+", "name": "age times dose, positive part"},
        {"sign": "s₁+", "name": "the sine of age, positive part"},
        {"sign": "x₁x₂−", "name": "age times dose, negative part"},
        {"sign": "s₁−", "name": "the sine of age, negative part"},
        {"sign": "1", "name": "1"},
    ]
    assert found["wide"]["shape"] == [8, 3] and found["wide"]["batch"]
    assert found["wide"]["accuracy"] > 0.9  # circles are one line of the squares


def test_drawn_points_come_back_from_text_to_a_hundredth(found):
    for point, wanted in zip(found["drawn"], [[-1.5, 0.25, 1], [2, -2, 0]], strict=True):
        assert point[2] == wanted[2]
        assert point[:2] == pytest.approx(wanted[:2], abs=0.03)


def test_points_of_a_small_table_come_back_from_the_link(found):
    link = found["tableLink"]
    assert link["length"] == 40 * 4 and link["settings"]
    assert link["labels"] == link["targets"] and link["training"] == 27
    assert link["back"] == pytest.approx(link["inputs"], abs=0.003)
    assert link["tooMany"] == link["tooFar"] == ""


def test_a_table_is_read(found):
    table = found["table"]
    assert (table["columns"], table["classes"], table["note"]) == (["a", "b"], ["no", "yes"], "")
    assert (table["inputs"], table["targets"]) == ([0, 0, 1, 1, 2, 4], [0, 1, 0, 1])
    for column in found["standardized"]:
        assert (column["mean"], column["square"]) == (pytest.approx(0, abs=1e-6), pytest.approx(1, abs=1e-5))
    assert found["quoted"]["columns"] == ["x, 1", "y"] and found["quoted"]["classes"] == ["<b>", 'a"b']
    assert found["headless"] == ["column 1", "column 2"]
    assert found["many"] == {"count": 750, "ones": 375, "note": "2250 rows were left out: 750 points are enough here."}


def test_a_table_that_cannot_be_read_is_one_sentence(found):
    for sentence in [*found["badTables"], found["largeTable"]]:
        assert sentence and sentence.endswith(".") and "\n" not in sentence
    assert found["commas"].endswith(": decimals have a point here, as in 1.5, and not a comma.")
    assert found["largeTable"] == "The file is larger than 5 MB: choose a smaller one."


def test_a_link_keeps_all_settings(found):
    link = found["link"]
    assert link["usual"] == ""
    assert link["back"]["problem"] == "" and link["back"]["settings"] == link["changed"]
    assert "<" not in link["text"] and " " not in link["text"]


def test_a_link_to_a_lesson_names_it_and_what_is_other(found):
    link = found["link"]
    assert link["lesson"] == "lesson=second" and link["within"] == "optimizer=adam&lesson=second"
    assert (link["lessonBack"]["optimizer"], link["lessonBack"]["rate"]) == ("adam", 0.1)


def test_a_hostile_link_changes_nothing_and_says_so(found):
    assert len(found["hostileLinks"]) == 33
    for one in found["hostileLinks"]:
        assert one["same"] and one["problem"].startswith("The link was not used: ") and "<" not in one["problem"]


def test_rules_learn_from_the_same_batches_each_at_its_rate(found):
    session = found["session"]
    assert session["paired"] and session["seedsDiffer"] and session["batchIsOfExamples"] and session["onceAnEpoch"]
    assert session["creditIsOfExamples"] == [True] * 3
    assert session["rates"] == ["backpropagation 0.01", "feedback-alignment 0.02", "frozen 0.04"]
    assert (session["training"], session["stepsInEpoch"], session["epochs"]) == (80, 5, 60)
    assert session["end"]["testLoss"] < 0.5 * session["start"]["testLoss"] and session["end"]["accuracy"] > 0.85
    assert session["repeats"]


def test_a_rule_that_refuses_leaves_the_others(found):
    assert found["session"]["problem"] == "refuses does not run on this network."
    assert found["session"]["names"] == ["backpropagation", "feedback-alignment", "frozen"]


def test_the_controls_hidden_layers_get_no_credit(found):
    assert found["session"]["frozen"]
    hidden, last = found["session"]["angles"]["control"]
    assert hidden is None and last == pytest.approx(0, abs=0.1)
    assert found["session"]["angles"]["backpropagation"] == pytest.approx([0, 0], abs=0.1)


def test_divergence_few_points_and_none(found):
    assert found["diverged"]["at"] is not None and found["diverged"]["loss"] == "NaN"
    assert found["few"]["epochs"] == 5 and not found["few"]["apart"] and found["few"]["loss"] > 0
    assert found["none"] == {"steps": 0, "records": 0}


def test_a_history_is_bounded(found):
    history = found["history"]
    assert history["records"] <= history["most"] and history["aligned"]
    assert history["last"] == 50000 - 50000 % history["every"] or history["last"] > 50000 - history["every"] - 1


def test_what_is_measured_again_at_a_step_replaces_what_was(found):
    assert found["twice"] == [[8], [2]]


def test_without_test_points_no_score_is_called_theirs(found):
    assert "training accuracy" in found["untested"] and "test" not in found["untested"]


def test_a_saved_table_has_a_row_for_every_record_and_no_formula(found):
    saved = found["saved"]
    assert saved["head"].startswith("rule,seed,step,epoch,training loss,test loss,test accuracy,angle of layer 1 (degrees)")
    assert saved["first"].startswith('"\'=HYPERLINK(""x"")",3,0,0,')
    records = found["session"]["records"]
    assert (saved["rows"], saved["others"]) == (3 * 2 * records + 2, 2 * records)
