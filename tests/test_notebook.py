"""What a notebook shows of a result says what the result says, whatever it is called; and one line of progress."""

import dataclasses
import math
import re
import sys
import types
from html.parser import HTMLParser
from xml.etree import ElementTree

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from ascribe import compare, networks, notebook, report, rules, train
from ascribe.report.table import format_score
from ascribe.rules.tools.check_gradients import GradientCheck, Kink, LeafCheck
from ascribe.statistics import interval
from ascribe.training import Listeners, OneLine, Progress, progress, silent
from ascribe.training.progress import or_one_line

from .report.stand_in import diverge, make_comparison
from .store.case import comparison
from .training import tiny

HOSTILE = "<script>alert('1')</script> & \"two\"\x00"
SEEN = HOSTILE.replace("\x00", " ")
SVG = re.compile(r"<svg.*?</svg>", re.DOTALL)


class Page(HTMLParser):
    """Cells by row, and the text outside the tables; every element is closed, in order."""

    def __init__(self, text):
        super().__init__()
        self.opened, self.tags, self.rows, self.said = [], set(), [], ""
        self.feed(SVG.sub("", text))
        self.close()
        assert self.opened == []
        self.panels = [ElementTree.fromstring(svg) for svg in SVG.findall(text)]

    def handle_starttag(self, tag, attrs):
        self.opened.append(tag)
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.opened.pop() == tag

    def handle_data(self, data):
        if "table" in self.opened:
            self.rows[-1][-1] += data
        elif "style" not in self.opened:
            self.said += data


def read(shown):
    return Page(shown if isinstance(shown, str) else shown._repr_html_())


def facts(shown):
    return dict(read(shown).rows)


def tag(element):
    return element.tag.rpartition("}")[2]


def points(path):
    return np.array([point.split(",") for point in re.split("[ML]", path.strip("Z"))[1:]], float)


def lines(panel):
    """Rule to the points of its band and of its line."""
    groups = [element for element in panel if tag(element) == "g"]
    return {group[0].text: (points(group[1].get("d")), points(group[2].get("d"))) for group in groups}


def axes(panel):
    """What the ticks of the two axes say, and where they are: (value, place) each."""
    labels = [(element.text.replace("−", "-"), element) for element in panel if tag(element) == "text"]
    epochs = [(float(text), float(e.get("x"))) for text, e in labels if e.get("text-anchor") == "middle" and text != "Epoch"]
    values = [
        (float(text.removesuffix(" %")) / (100 if "%" in text else 1), float(e.get("y")) - 4)
        for text, e in labels
        if e.get("text-anchor") == "end"
    ]
    return np.array(epochs), np.array(values)


def between_ticks(ticks, values, log=False):
    """Where values are, by the line through the ticks."""
    scale = np.log if log else np.asarray
    return np.polyval(np.polyfit(scale(ticks[:, 0]), ticks[:, 1], 1), scale(values))


def test_a_comparison_shows_its_table_best_first():
    found, page = comparison(), read(comparison())
    table = found.table()
    assert page.rows[0] == ["Rule", "Test accuracy (%)", "Difference (points)", "Loss area", "Rate", "Time (s)"]
    assert [row[:3] for row in page.rows[1:]] == [[row.rule, *format_score(row)] for row in table]
    for (rule, score, *_), row in zip(page.rows[1:], table, strict=True):
        assert float(score.split(" ± ")[0]) == pytest.approx(100 * found.runs[rule].test_accuracy.mean(), abs=0.006)
        assert float(page.rows[1 + table.index(row)][4]) == pytest.approx(row.learning_rate, rel=0.05)
    assert "2 learning rules on moons" in page.said and "differences to backpropagation" in page.said
    assert [panel[0].text for panel in page.panels] == ["Training loss", "Validation accuracy"]


def test_what_the_terminal_and_the_notebook_say_of_diverged_runs_and_notes_is_the_same():
    found = make_comparison()
    diverge(found.runs["perturbation"], [1, 2])
    text, page = report.to_text(report.rows(found), found.reference), read(report.to_html(found))
    assert [column.header.replace("\n", " ") for column in text.columns] == page.rows[0]
    assert [[str(cell) for cell in column.cells] for column in text.columns] == [
        list(c) for c in zip(*page.rows[1:], strict=True)
    ]
    assert page.rows[0][-1] == "Runs lost" and page.rows[-1][0] == "perturbation" and page.rows[-1][-1] == "2/5"
    assert all(line in page.said for line in text.caption.plain.split("\n"))
    assert "perturbation: full batch" in page.said


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_a_curve_lies_where_its_axes_say(task):
    found = make_comparison(task)
    for runs in found.runs.values():
        runs.curves["train_loss"] **= 2  # over so many powers of ten that the axis is logarithmic
    diverge(found.runs["sign symmetry"], [2])
    names = ["train_loss", "validation_rmse" if task == "regression" else "validation_accuracy"]
    for name, panel, log in zip(names, read(report.to_html(found)).panels, (True, False), strict=True):
        epochs, values = axes(panel)
        assert len(epochs) > 2 and len(values) > 1
        assert np.all(np.diff(values[np.argsort(values[:, 0]), 1]) < 0)  # what is more is higher, where y is less
        means = [np.mean(runs.curves[name][~runs.diverged], axis=0) for runs in found.runs.values()]
        least = np.min(means) / 2 if log else 0.0  # where the band ends
        assert list(lines(panel)) == list(found.runs)
        for rule, (band, line) in lines(panel).items():
            kept = [seed for seed in range(5) if not found.runs[rule].diverged[seed]]
            mean, half_width = interval(found.runs[rule].curves[name][kept])
            np.testing.assert_allclose(line[:, 0], between_ticks(epochs, np.arange(1, 21)), atol=0.2)
            np.testing.assert_allclose(line[:, 1], between_ticks(values, mean, log), atol=0.3)
            high = band[20:][::-1]
            np.testing.assert_allclose(band[:20, 0], line[:, 0])
            np.testing.assert_allclose(high[:, 0], line[:, 0])
            top = mean + half_width if task == "regression" or name == "train_loss" else np.minimum(mean + half_width, 1)
            np.testing.assert_allclose(high[:, 1], between_ticks(values, top, log), atol=0.3)
            bottom = np.maximum(mean - half_width, least)
            np.testing.assert_allclose(band[:20, 1], between_ticks(values, bottom, log), atol=0.3)


def test_a_line_and_its_mark_in_the_table_have_one_color_which_shows_on_light_and_dark():
    text = report.to_html(make_comparison())
    colors = {row[1]: row[0] for row in re.findall(r'<span class="ascribe-mark" style="([^"]*)"></span>([^<]*)', text)}
    groups = re.findall(r'<g style="([^"]*)"><title>([^<]*)', text)
    assert len(colors) == 6 and len(groups) == 12 and len(set(colors.values())) == 6
    assert all(colors[rule] == color for color, rule in groups)
    assert colors["backpropagation"] == ""  # the text's own color
    assert not re.search("white|black|#fff|#000|#1f2328|background: #", text)


def test_long_curves_are_thinned_and_keep_their_ends():
    found = make_comparison(epochs=1000)
    text = report.to_html(found)
    assert len(text) < 150_000
    epochs, _ = axes(read(text).panels[0])
    _, line = lines(read(text).panels[0])["perturbation"]
    np.testing.assert_allclose(line[[0, -1], 0], between_ticks(epochs, np.array([1, 1000])), atol=0.2)


@pytest.mark.parametrize("task", ["binary", "regression"])
@pytest.mark.parametrize(("epochs", "seeds", "names"), [(1, [3, 4, 5], "a"), (1, [3, 4], "ab"), (20, [3], "ab"), (1, [3], "a")])
def test_the_smallest_comparisons_are_shown(task, epochs, seeds, names):
    found = make_comparison(task, epochs=epochs, seeds=seeds, rules=tuple(names))
    page = read(report.to_html(found))
    assert [row[0] for row in page.rows[1:]] == [row.rule for row in report.rows(found)]
    for panel in page.panels:
        _, values = axes(panel)
        assert len(values) > 0
        for band, line in lines(panel).values():
            assert np.isfinite(line).all() and np.isfinite(band).all() and len(line) == max(2, epochs)
            assert (len(np.unique(band, axis=0)) > len(np.unique(line, axis=0))) == (len(seeds) > 2)


def test_a_comparison_without_rules_is_shown():
    found = make_comparison(rules=("a",))
    found.runs.clear()
    found.reference = None
    page = read(report.to_html(found))
    assert page.panels == [] and len(page.rows) == 1 and "0 learning rules" in page.said


@pytest.mark.parametrize("value", [0.0, 1.0, np.nan, np.inf, -np.inf, 1e200, -3.0, 1e-300])
def test_curves_that_do_not_move_or_left_the_numbers_are_shown(value):
    found = make_comparison(rules=["a", "b"], epochs=3)
    for runs in found.runs.values():
        for curve in runs.curves.values():
            curve[:] = value
        runs.diverged[:] = not np.isfinite(value)
        runs.scores = {name: np.full(5, np.nan) for name in runs.scores}
    found.reference = None
    page = read(report.to_html(found))
    assert [row[1:3] for row in page.rows[1:]] == [["–", "–"], ["–", "–"]]
    drawn = [panel for panel in page.panels if panel[0].text == "Training loss"]
    assert len(drawn) == (abs(value) < 1e100)
    for panel in drawn:
        _, values = axes(panel)
        assert len(values) > 1 and values[0, 0] <= value <= values[-1, 0]


def test_runs_show_their_score_their_seeds_and_their_curves():
    runs = comparison().runs["feedback-alignment"]
    shown, page = facts(runs), read(runs)
    assert shown["Test accuracy (%)"] == f"{100 * runs.test_accuracy.mean():.2f} ± –"
    assert "too few seeds" in page.said
    assert (shown["Seeds"], shown["Runs lost"]) == ("2: 0, 1", "0 of 2 diverged")
    assert float(shown["Learning rate"]) == pytest.approx(runs.learning_rates[0], rel=0.01)
    assert "feedback-alignment on moons" in page.said
    _, values = axes(page.panels[0])
    _, line = lines(page.panels[0])["feedback-alignment"]
    np.testing.assert_allclose(line[:, 1], between_ticks(values, runs.train_loss.mean(axis=0)), atol=0.3)


def test_runs_of_which_none_finished_are_shown_with_their_notes():
    runs = comparison().runs["feedback-alignment"]
    scores = {name: np.full(2, np.nan) for name in runs.scores}
    curves = {name: np.where(np.arange(3) < 2, curve, np.nan) for name, curve in runs.curves.items()}
    lost = dataclasses.replace(
        runs, diverged_at=np.array([2, 2]), scores=scores, curves=curves, notes=(HOSTILE,), rule=HOSTILE,
        hyperparameters={"scale": 0.25},
    )  # fmt: skip
    shown, page = facts(lost), read(lost)
    assert (shown["Test accuracy (%)"], shown["Runs lost"], shown["scale"]) == ("–", "2 of 2 diverged", "0.25")
    assert page.said.count(SEEN) == 2 and "script" not in page.tags
    _, line = lines(page.panels[0])[SEEN]
    assert len(line) == 2  # until they diverged


def test_a_network_shows_its_layers_with_their_arrays():
    page = read(networks.mlp([2, 3, 1], activation="tanh"))
    assert page.rows == [
        ["Layer", "Kind", "Arrays", "Parameters"],
        ["linear1", "Linear", "weight 3×2, bias 3", "9"],
        ["tanh1", "Activation", "", "0"],
        ["linear2", "Linear", "weight 1×3, bias 1", "4"],
        ["All", "", "", "13"],
    ]


def test_equal_blocks_are_shown_once_and_counted_all():
    deep = networks.mlp([2, *[3] * 10, 1])
    page = read(deep)
    assert "Network of 21 layers" in page.said
    assert ["linear2, … (9 blocks of 2)", "Linear", "weight 3×3, bias 3", "108"] in page.rows
    assert sum(int(row[3]) for row in page.rows[1:-1]) == deep.parameters == int(page.rows[-1][3])


def test_a_rule_shows_what_it_is_and_its_numbers():
    shown, page = facts(rules.FeedbackAlignment(scale=0.25)), read(rules.FeedbackAlignment())
    assert shown == {"Tasks": "all", "Source": rules.describe("feedback-alignment").source, "scale": "0.25"}
    assert page.said == "feedback-alignment" + rules.describe("feedback-alignment").description
    other = read(rules.get("b-function:tanh"))  # registered with another g
    assert ["derivative", "{'hidden': 'tanh'}"] in other.rows
    assert ["Source", rules.describe("b-function").source] in other.rows and "any of the five terms" in other.said


@pytest.mark.parametrize("name", rules.names())
def test_every_rule_is_shown(name):
    assert read(rules.get(name)).said.startswith(name)


class Own(rules.Backpropagation):
    """Mine & <i>only</i> mine.

    More."""

    label: str = eqx.field(static=True, default=HOSTILE)
    table: np.ndarray = eqx.field(converter=jnp.asarray, default=((1.0, 2.0),))
    tasks = ("binary",)


def test_names_that_users_give_are_text():
    page = read(Own())
    assert page.said == "OwnMine & <i>only</i> mine."
    assert page.rows == [["Tasks", "binary"], ["label", SEEN], ["table", "1×2 numbers"]]
    found = make_comparison(rules=(HOSTILE, "b"), name=HOSTILE)
    found.runs[HOSTILE].notes = (HOSTILE,)
    page = read(report.to_html(found))
    assert SEEN in [row[0] for row in page.rows] and f"{SEEN}: {SEEN}" in page.said and f"on {SEEN}" in page.said
    assert list(lines(page.panels[0])) == [SEEN, "b"]
    layers = networks.mlp([2, 1]).layers
    kind = SEEN.strip()
    strange = type(kind, (networks.Linear,), {"kind": kind})(1, 1)
    page = read(networks.Network([*layers, strange]))
    assert page.rows[2][:2] == [f"{kind}1", kind]
    assert not page.tags & {"script", "i"}


def test_a_gradient_check_tells_array_by_array_whether_it_passed():
    right = LeafCheck("linear2.weight", 3, 3, 0, 2e-11, (0, 0), 0.5, 0.5)
    wrong = LeafCheck(HOSTILE, 6, 5, 2, 0.67, (1, 0), 0.25, 0.75)
    kinks = LeafCheck("linear1.bias", 1, 0, 0, 0.0, (0,), 0.0, 0.0)
    check = GradientCheck("Mine", (right, wrong, kinks), (Kink("linear1.bias", (0,), 0.5, 0.0, 1.0),), 1.0, 1e-5, 1e-6)
    page = read(check)
    assert page.rows == [
        ["Array", "Result", "Largest error", "at", "Answer", "Difference quotient"],
        ["linear2.weight", "passed", "2.0e-11", "", "", ""],
        [SEEN, "2 of 5 wrong", "6.7e-01", "[1, 0]", "0.25", "0.75"],
        ["linear1.bias", "only kinks", "0.0e+00", "", "", ""],
    ]
    assert f"differs from the gradient in {SEEN}" in page.said
    assert "a kink at linear1.bias[0]: the slopes are 0 below and 1 above, the answer is 0.5" in page.said
    passed = read(dataclasses.replace(check, leaves=(right,), kinks=()))
    assert passed.rows == [["Array", "Result", "Largest error"], ["linear2.weight", "passed", "2.0e-11"]]
    assert "Mine is the gradient here" in passed.said and "all 3 numbers checked" in passed.said
    assert str(check).split("\n")[0] == f"Mine differs from the gradient in {HOSTILE}"


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (0.97, 1.0), (-3e-5, 2e-5), (1e-4, 2e9), (1234.0, 1235.0)])
def test_ticks_are_round_few_and_inside(low, high):
    ticks = notebook._ticks(low, high)
    assert 2 <= len(ticks) <= 7 and low - 1e-9 * (high - low) <= ticks[0] and ticks[-1] <= high + 1e-9 * (high - low)
    step = np.diff(ticks)[0]
    np.testing.assert_allclose(np.diff(ticks), step, rtol=1e-6)
    assert any(math.isclose(step / 10.0 ** math.floor(math.log10(step) + 1e-9), factor) for factor in (1, 2, 5, 10))


class Shown:
    """IPython's display of one place, which remembers its states."""

    def __init__(self, first):
        self.states = [first]

    def update(self, data, *, raw):
        assert raw and list(data) == ["text/plain"]
        self.states.append(data["text/plain"])


@pytest.fixture
def kernel(monkeypatch):
    """A stand-in for IPython in a notebook's kernel; `displays` is what its cells show."""
    shell = types.SimpleNamespace(kernel=object(), execution_count=1, displays=[])

    def display(data, *, raw, display_id):
        assert raw and display_id is True
        shell.displays.append(Shown(data["text/plain"]))
        return shell.displays[-1]

    package, module = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    package.get_ipython, module.display = lambda: shell, display
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    monkeypatch.setattr(progress, "_lines", {})
    return shell


def test_nobody_listens_by_default_outside_a_notebook(kernel, monkeypatch):
    kernel.kernel = None  # IPython in a terminal
    assert or_one_line(None) is silent
    monkeypatch.delitem(sys.modules, "IPython")
    assert or_one_line(None) is silent
    assert "IPython" not in sys.modules
    assert or_one_line(print) is print


def test_everything_in_one_cell_shares_one_line(kernel):
    first = or_one_line(None)
    assert or_one_line(None) is first and len(kernel.displays) == 1
    assert or_one_line(silent) is silent
    kernel.execution_count = 2
    assert or_one_line(None) is not first and len(kernel.displays) == 2


def test_a_thousand_reports_are_one_line_that_changes_ten_times_a_second(kernel, monkeypatch):
    now = 100.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    line = OneLine()
    line(Progress("a\nrule", "compiling", 0, 1, math.nan))
    for done in range(1, 1001):
        now += 0.01
        line(Progress("a\nrule", "training", done, 1000, 1 / done))
    line.finished(None)
    (shown,) = kernel.displays
    assert 90 <= len(shown.states) <= 110
    assert shown.states[1:3] == ["a rule: compiling (0 s)", "a rule: training 0 %, loss 1 (0 s)"]
    assert shown.states[-1] == "a rule: training 100 %, loss 0.001 (10 s)"


def test_training_and_comparing_in_a_notebook_show_the_line_and_nobody_hears_it_where_one_listens(kernel, capsys):
    options = {"epochs": 6, "batch_size": tiny.BATCH, "optimizer": "sgd", "seeds": 2, "learning_rate": 1e-3}
    train(tiny.mlp(), tiny.data(), "backpropagation", listener=silent, **options)
    assert kernel.displays == []
    runs = train(tiny.mlp(), tiny.data(), "backpropagation", **options)
    assert len(kernel.displays) == 1
    assert re.fullmatch(r"backpropagation: training 100 %, loss [\d.]+ \(\d+ s\)", kernel.displays[0].states[-1])
    assert f"loss {runs.train_loss[:, -1].mean():.4g} " in kernel.displays[0].states[-1]
    kernel.execution_count += 1
    compare(tiny.data(), rules={"mine": "backpropagation"}, network=tiny.mlp(), **options)
    assert len(kernel.displays) == 2 and kernel.displays[1].states[-1].startswith("mine: training 100 %")
    assert capsys.readouterr() == ("", "")


def test_elsewhere_the_line_goes_to_standard_error_and_ends_with_the_runs(monkeypatch, capsys):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    both = Listeners(OneLine())
    for done in (1, 2):
        both(Progress("a", "training", done, 2, 0.5))
    both.finished(None)
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.endswith("\n")
    assert [state.rstrip() for state in err.split("\r")[1:]] == [
        "a: training 50 %, loss 0.5 (0 s)",
        "a: training 100 %, loss 0.5 (0 s)",
    ]
    assert len({len(state.rstrip("\n")) for state in err.split("\r")[1:]}) == 1  # each covers the one before
