"""What the page does, in a headless Chromium where one is installed: controls, keys, links, drawing, hostile input."""

import importlib.util
import json
import time
from pathlib import Path

import pytest

from ascribe.playground.page import page

from .stand_in import ENGINE, page_data

SPECIFICATION = importlib.util.spec_from_file_location("browser", Path(__file__).parents[2] / "benchmarks" / "browser.py")
chromium = importlib.util.module_from_spec(SPECIFICATION)
SPECIFICATION.loader.exec_module(chromium)
pytestmark = [pytest.mark.slow, pytest.mark.skipif(chromium.find() is None, reason="no Chromium is installed")]

HOSTILE = "</script><img src=x onerror=\"document.title='taken'\">"
WATCH = """
window.faults = [];
addEventListener("error", (event) => faults.push(event.message));
addEventListener("unhandledrejection", (event) => faults.push(String(event.reason)));
addEventListener("securitypolicyviolation", (event) => faults.push(event.violatedDirective));
const complain = console.error;
console.error = (...words) => { faults.push(words.join(" ")); complain(...words); };
window.shifts = 0;
const add = (one) => { if (!one.hadRecentInput) shifts += one.value; };
new PerformanceObserver((list) => list.getEntries().forEach(add)).observe({ type: "layout-shift", buffered: true });
"""


class Page:
    """The page in a tab, and what a person does with it."""

    def __init__(self, tab, address):
        self.tab, self.address = tab, address

    def open(self, hash_="", *, width=1280, height=1000, dark=False):
        self.tab.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500)
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.tab.call("Emulation.setEmulatedMedia", features=[feature])
        self.tab.open("about:blank")
        self.tab.open(self.address + hash_)
        self.wait("document.body.classList.contains('ready')")
        return self

    def __call__(self, script):
        return self.tab.evaluate(script)

    def wait(self, script, seconds=60):
        end = time.monotonic() + seconds
        while not self(script):
            assert time.monotonic() < end, f"it did not come true: {script}"
            time.sleep(0.05)

    def click(self, selector):
        self(f"document.querySelector({json.dumps(selector)}).click()")

    def set(self, selector, value):
        self(
            f"(() => {{ const one = document.querySelector({json.dumps(selector)}); one.value = {json.dumps(str(value))};"
            "for (const kind of ['input', 'change']) one.dispatchEvent(new Event(kind, {bubbles: true})); })()"
        )

    def press(self, key, selector="body"):
        self(
            f"document.querySelector({json.dumps(selector)}).dispatchEvent(new KeyboardEvent('keydown', "
            f"{{key: {json.dumps(key)}, bubbles: true, cancelable: true}}))"
        )

    def pointer(self, kind, selector, x, y, **more):
        """A pointer's event at a place of an element, in shares of its width and height."""
        options = json.dumps({"bubbles": True, "cancelable": True, "pointerId": 1, "pointerType": "mouse", **more})
        self(
            f"(() => {{ const one = document.querySelector({json.dumps(selector)}), box = one.getBoundingClientRect();"
            f"const place = {{clientX: box.left + {x} * box.width, clientY: box.top + {y} * box.height}};"
            f"one.dispatchEvent(new PointerEvent({json.dumps(kind)}, {{...place, ...{options}}})); }})()"
        )

    def picture(self, selector):
        """The picture on a canvas, when all is drawn."""
        self.wait("main.app.loop.playing || !main.app.loop.tasks.some((task) => task.changed)")
        return self(f"document.querySelector({json.dumps(selector)}).toDataURL()")

    def settings(self):
        return self("main.app.settings")


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    path = tmp_path_factory.mktemp("playground") / "play.html"
    path.write_text(page(page_data(HOSTILE, "refuses"), ENGINE.read_text(encoding="utf-8"), title=HOSTILE), encoding="utf-8")
    with chromium.browser() as tab:
        tab.call("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        yield Page(tab, path.as_uri())


@pytest.fixture
def shown(opened):
    yield opened.open()
    assert opened("faults") == []
    assert opened("document.title") == HOSTILE


def test_it_begins_at_rest_with_names_as_text(shown):
    assert shown("main.app.loop.playing") is False and shown("main.app.session.steps") == 0
    assert shown("document.querySelectorAll('img').length") == 0
    assert HOSTILE in shown("document.querySelector('#rules').textContent")
    assert shown("[...document.querySelectorAll('.card h2')].map((one) => one.textContent)") == [
        *("backpropagation", "feedback alignment", "direct feedback alignment", "last layer only")
    ]


def test_play_moves_everything_and_pause_rests(shown):
    surface, network, curve = ".card .surface", ".card .network", "#loss-curve"
    before = [shown.picture(one) for one in (surface, network, curve)]
    shown("shifts = 0")  # of the page's beginning, before anybody reads
    shown.click("#play")
    shown.wait("main.app.session.steps >= 30")
    assert shown("document.querySelector('#play').getAttribute('aria-label')") == "Pause"
    shown.click("#play")
    steps = shown("main.app.session.steps")
    assert all(shown.picture(one) != old for one, old in zip((surface, network, curve), before, strict=True))
    time.sleep(0.3)
    assert shown("main.app.session.steps") == steps and shown("main.app.loop.asked") is False
    assert f"Epoch {shown('main.app.session.epochs')}." in shown("document.querySelector('#live').textContent")
    assert shown("shifts") < 0.01


def test_step_epoch_restart_and_another_seed(shown):
    shown.click("#step")
    assert (shown("main.app.session.steps"), shown("document.querySelector('#steps').textContent")) == (1, "1")
    shown.click("#epoch")
    assert (shown("main.app.session.steps"), shown("document.querySelector('#epochs').textContent")) == (12, "1")
    weights = "[...main.app.session.runs[0].learners[0].layers[0].weights].join()"
    learned = shown(weights)
    shown.click("#restart")
    first = shown(weights)
    assert shown("main.app.session.steps") == 0 and first != learned
    shown.click("#reseed")
    assert shown.settings()["seed"] == 1 and shown(weights) != first


CONTROLS = [
    ("#noise", 0.5, "noise", 0.5),
    ("#points", 120, "points", 120),
    ("#speed", 5, "speed", 5),
    ("#rate", -1, "rate", 0.1),
    ("#batch", 5, "batch", 64),
    ("#seeds", 3, "seeds", 3),
    ("#activation", "relu", "activation", "relu"),
    ("#optimizer", "sgd", "optimizer", "sgd"),
    ("[data-option='feedback-alignment.scale']", 2.5, "options", {"feedback-alignment.scale": 2.5}),
]


@pytest.mark.parametrize(("selector", "value", "name", "wanted"), CONTROLS)
def test_a_control_sets_its_setting_and_the_link_restores_it(shown, selector, value, name, wanted):
    shown.set(selector, value)
    assert shown.settings()[name] == wanted
    kept = shown.settings()
    shown.wait("location.hash.length > 1")
    shown.open(shown("location.hash"))
    assert shown.settings() == kept


def test_choices_set_their_settings(shown):
    for selector, name, wanted in (
        ("#datasets [value=spirals]", "data", "spirals"),
        ("#depth [value='1']", "architecture", "2-16-1"),
        ("#width [value='2-4-1']", "architecture", "2-4-1"),
        ("#inputs [value=x1x2]", "inputs", ["x1", "x2", "x1x2"]),
        ("#inputs [value=x1]", "inputs", ["x2", "x1x2"]),
        ("#rules [data-choice=control]", "control", False),
        ("#rules [value=feedback-alignment]", "rules", ["backpropagation", "direct-feedback-alignment"]),
        ("#test", "test", True),
        ("#redraw", "dataSeed", 1),
    ):
        shown.click(selector)
        assert shown.settings()[name] == wanted
    assert shown("document.querySelectorAll('.card').length") == 2
    assert shown("main.app.session.plan.architecture") == "2-4-1"
    shown.picture(".card .network")
    assert shown("main.app.cards[0].network.widths") == [2, 4, 1]
    shown.click("#inputs [value=x2]")
    shown.picture(".card .network")
    assert shown("main.app.cards[0].network.widths") == [1, 4, 1]
    assert shown("[...document.querySelectorAll('#inputs :disabled')].map((one) => one.value)") == ["x1x2"]
    for key in ("ArrowRight", "ArrowLeft"):
        shown.press(key, ".card .network")
    assert "input x1 times x2" in shown("document.querySelector('#live').textContent").lower()


def test_a_rate_for_each_rule_and_rates_change_without_a_restart(shown):
    shown.click("#step")
    shown.set("#rate", -3)
    shown.click("#own-rates")
    shown.set("#rates [data-name='feedback-alignment']", 0)
    assert shown("main.app.session.steps") == 1
    assert shown("[...main.app.session.rates.values()]") == [0.001, 1, 0.001, 0.001]
    shown.click("#own-rates")
    assert shown("[...main.app.session.rates.values()]") == [0.001] * 4


def test_a_rule_that_refuses_says_so_in_its_card(shown):
    shown.click("#rules [value=refuses]")
    assert (
        shown("document.querySelector('[data-rule=refuses] .problem').textContent") == "refuses does not run on this network."
    )
    shown.click("#step")
    assert shown("main.app.session.steps") == 1


def test_lessons_are_presets_and_those_of_other_rules_are_closed(shown):
    disabled = "[...document.querySelector('#lesson').options].filter((one) => one.disabled).map((one) => one.value)"
    assert shown(disabled) == ["one-neuron", "dead-relus", "forward-pass", "relaxed-identity"]
    shown.click("#lesson-next")
    assert shown.settings()["lesson"] == "hidden-layer" and shown.settings()["data"] == "xor"
    assert shown("document.querySelector('#lesson-question').textContent").endswith("?")
    shown.click("#lesson-before")
    assert shown.settings()["lesson"] == "free" and shown.settings()["data"] == "moons"


def test_points_are_drawn_by_pointer_and_by_keys_and_learned(shown):
    shown.click("#datasets [value=drawn]")
    assert shown("[...document.querySelectorAll('#loss-of input')].map((one) => one.value)") == ["trainLoss"]
    shown.click("#play")
    assert "draw some first" in shown("document.body.innerText") and not shown("main.app.loop.playing")
    surface = ".card .surface"
    shown.pointer("pointerdown", surface, 0.25, 0.25)
    shown.click("#pen [value='0']")
    shown.pointer("pointerdown", surface, 0.75, 0.75)
    assert shown.settings()["drawn"] == [
        [pytest.approx(-1.25, abs=0.01), pytest.approx(1.25, abs=0.01), 1],
        [pytest.approx(1.25, abs=0.01), pytest.approx(-1.25, abs=0.01), 0],
    ]
    for key in ("ArrowRight", "ArrowUp", "1"):
        shown.press(key, surface)
    assert shown.settings()["drawn"][2] == [pytest.approx(0.1), pytest.approx(0.1), 1]
    shown.press("Delete", surface)
    assert len(shown.settings()["drawn"]) == 2
    shown.click("#step")
    assert shown("main.app.session.steps") == 1
    shown.wait("location.hash.includes('drawn=')")
    shown.open(shown("location.hash"))
    assert [point[2] for point in shown.settings()["drawn"]] == [1, 0]
    shown.click("#clear")
    assert shown.settings()["drawn"] == [] and shown("main.app.session.steps") == 0
    shown.click("#datasets [value=moons]")
    assert shown("document.querySelector('#loss-of :checked').value") == "testLoss"  # as it was chosen before


def upload(shown, text, name="own.csv"):
    shown(
        "(() => { const kept = new DataTransfer(); kept.items.add(new File(["
        + json.dumps(text)
        + "], "
        + json.dumps(name)
        + "));"
        "const input = document.querySelector('#file'); input.files = kept.files;"
        "input.dispatchEvent(new Event('change')); })()"
    )


def test_a_file_is_read_and_a_hostile_one_is_text(shown):
    rows = "\n".join(f"{row},{row * row % 7},{HOSTILE.replace(',', ';') if row % 2 else 'b'}" for row in range(40))
    upload(shown, f"{HOSTILE},<b>,class\n{rows}".replace('"', "'"), HOSTILE.replace("/", "") + ".csv")
    shown.wait("main.app.settings.data === 'file'")
    assert shown("main.app.session.data.targets.length") == 40
    assert shown("document.querySelectorAll('img, #settings b').length") == 0
    weights = "[...main.app.session.training.inputs]"
    inputs = shown(weights)
    shown.wait("location.hash.includes('table=')")
    shown.open(shown("location.hash"))
    assert shown(weights) == pytest.approx(inputs, abs=0.003)
    assert shown("document.querySelector('#data-told').textContent").endswith("They came with the link, standardized.")
    upload(shown, "nothing to see")
    shown.wait("!document.querySelector('#notice').hidden")
    assert shown("document.querySelector('#notice').textContent").startswith("own.csv was not read. A table has two columns")


@pytest.mark.parametrize(
    "hash_", ["#data=<script>alert(1)</script>", "#rules=nobody", "#__proto__=1", "#drawn=" + "%00" * 2000]
)
def test_a_hostile_link_is_one_sentence(opened, hash_):
    opened.open(hash_)
    assert opened("document.querySelector('#notice').textContent").startswith("The link was not used: ")
    assert opened("main.app.settings === main.app.usual") and opened("faults") == []
    opened.click("#step")
    assert opened("main.app.session.steps") == 1


def test_the_network_tells_values_and_a_feedback_weight_is_dragged(shown):
    shown.click("#depth [value='1']")
    card = "[data-rule=feedback-alignment]"
    shown.picture(f"{card} .network")
    for key in ("ArrowRight", "PageDown"):
        shown.press(key, f"{card} .network")
    told = shown("document.querySelector('#tip').innerText").lower()
    assert "weight from input x1 to unit 1 of layer 1" in told and "backpropagation would say" in told
    assert "weight from input x1" in shown("document.querySelector('#live').textContent").lower()
    shown.click(f"{card} [value=feedback]")
    shown.picture(f"{card} .network")
    line = shown(
        "(() => { const {network} = main.app.cards[1], size = (one) => Math.abs(one.value);"
        "const {ends: [x0, y0, x1, y1], value} = network.lines.reduce((a, b) => (size(b) > size(a) ? b : a));"
        "const {width: w, height: h} = network.sheet; return [(x0 + x1) / 2 / w, (y0 + y1) / 2 / h, value, 40 / h]; })()"
    )
    values = "[...main.app.cards[1].learner.matrices[0].values]"
    before = shown(values)
    shown.pointer("pointermove", f"{card} .network", line[0], line[1])
    place = shown("main.app.cards[1].network.chosen.place")
    assert shown("main.app.cards[1].network.chosen.kind") == "feedback"
    shown(
        "Element.prototype.setPointerCapture = () => {}"  # there is no such pointer
    )
    shown.pointer("pointerdown", f"{card} .network", line[0], line[1], button=0)
    across = line[1] + line[3] * (1 if line[2] > 0 else -1)  # 40 pixels, towards zero
    shown.pointer("pointermove", f"{card} .network", line[0], across)
    shown.pointer("pointerup", f"{card} .network", line[0], across)
    after = shown(values)
    assert before[place] == pytest.approx(line[2]) and after[place] * before[place] < 0
    assert [a == b for a, b in zip(after, before, strict=True)].count(False) == 1
    shown.press("-", f"{card} .network")
    kept = shown(values)
    assert kept[place] < after[place]
    told = shown("document.querySelector('#tip').innerText").replace("−", "-")
    assert f"{kept[place]:.3f}" in told and "It learns" not in told  # the value that the weight has now
    shown.wait("location.hash.includes('dragged=')")
    shown.click("#restart")
    assert shown(values) == pytest.approx(kept, abs=1e-5)
    shown.open(shown("location.hash"))
    assert shown(values) == pytest.approx(kept, abs=1e-5)
    assert shown("document.querySelector('#dragged').innerText").startswith("One feedback weight was set by hand")
    shown.click("#undrag")
    assert shown(values) == before and shown("document.querySelector('#dragged').hidden")


def test_keys_are_commands_unless_switched_off(shown):
    shown.press("s")
    shown.press("e")
    assert shown("main.app.session.steps") == 12
    shown.press("n")
    assert shown.settings()["seed"] == 1
    shown.press(" ")
    assert shown("main.app.loop.playing")
    shown.press(" ")
    shown.click("#keys")
    assert shown("document.querySelector('#help').open")
    shown.press("s")
    shown("document.querySelector('#help').close()")
    shown.click("#shortcuts")
    steps = shown("main.app.session.steps")
    shown.press("s")
    assert shown("main.app.session.steps") == steps


def test_curves_tell_values_by_keys_and_seeds_are_thin_lines(shown):
    shown.set("#seeds", 3)
    shown("main.app.advance(40)")
    shown.picture("#loss-curve")
    shown.press("End", "#loss-curve")
    rows = shown("[...document.querySelectorAll('#tip div')].map((one) => one.innerText.replace(/\\s+/g, ' '))")
    assert len(rows) == 4 and rows[0].lower().startswith("backpropagation 0.")
    assert shown("main.app.session.history.runs.get('backpropagation').length") == 3
    assert "Thin lines: the 2 other seeds" in shown("document.querySelector('#curves-told').textContent")


def test_what_is_seen_can_be_saved(shown):
    shown(
        "main.app.advance(8); window.saved = []; HTMLAnchorElement.prototype.click = function () { saved.push(this.download); }"
    )
    shown.click("#table")
    shown.click("#picture")
    shown.wait("saved.length === 2")
    assert shown("saved") == ["ascribe-play-moons.csv", "ascribe-play-moons.png"]
    assert shown("Saving.picture(main.app).width") >= 1800


@pytest.mark.parametrize("width", [360, 768, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_nothing_is_wider_than_the_window(opened, width, dark):
    opened.open(width=width, dark=dark)
    opened("main.app.advance(3)")
    assert opened("document.documentElement.scrollWidth") <= width
    assert opened("Palette.now().dark") is dark and opened("faults") == []


def test_everything_that_can_be_focused_has_a_name(shown):
    nodes = shown.tab.call("Accessibility.getFullAXTree")["nodes"]
    focusable = [
        (one["role"]["value"], one.get("name", {}).get("value", ""))
        for one in nodes
        if any(entry["name"] == "focusable" and entry["value"]["value"] for entry in one.get("properties", []))
    ]
    assert len(focusable) > 40
    assert [role for role, name in focusable if not name and role not in ("RootWebArea", "generic")] == []


def test_long_play_keeps_no_more_memory(shown):
    used = "(globalThis.gc && gc(), performance.memory.usedJSHeapSize)"
    shown("main.app.change({architecture: '2-4-1', points: 60}); main.app.advance(3000)")
    shown.tab.call("HeapProfiler.collectGarbage")
    before = shown(used)
    shown("main.app.advance(6000)")
    shown.tab.call("HeapProfiler.collectGarbage")
    assert shown("main.app.session.history.steps.length") <= 513
    assert shown(used) < before + 3_000_000
