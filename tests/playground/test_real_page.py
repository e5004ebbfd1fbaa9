"""A page as `ascribe play` writes it, in Chromium: its engine, under the page's content security policy, takes the steps that
Node takes."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest

import ascribe

from .node import NODE
from .test_browser import WATCH, Page, chromium
from .test_page_modules import FOLDER

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium.find() is None or NODE is None, reason="no Chromium or no Node is installed"),
]

RULES = "backpropagation,feedback-alignment,forward-pass,relaxed-identity"
STEPS = 150
MODULES = ("random", "features", "datasets", "history", "link", "session")
WEIGHTS = "session.runs.map((run) => run.learners[0].trainables.map((one) => Array.from(one)))"
SCRIPT = """
const job = JSON.parse(require("fs").readFileSync(0, "utf8")), zlib = require("zlib");
globalThis.matchMedia = () => ({ matches: false, addEventListener() {} });
require("vm").runInThisContext(`${job.scripts}; globalThis.page = { Ascribe, Datasets, Session };`);
const { page } = globalThis, { settings, plan } = job;
const text = job.form === "json" ? job.data : zlib.gunzipSync(Buffer.from(job.data, "base64"));
const points = page.Datasets.make(settings.data, { count: settings.points, noise: settings.noise, seed: settings.dataSeed });
const session = new page.Session.Session(page.Ascribe.load(JSON.parse(text)), plan, points);
for (let step = 0; step < job.steps; step++) session.step();
process.stdout.write(JSON.stringify(WEIGHTS));
""".replace("WEIGHTS", WEIGHTS)


@pytest.mark.parametrize("inputs", ["x1,x2", "x1,x2,x1x2,sinx1"])
def test_the_browser_takes_the_steps_that_node_takes(tmp_path_factory, inputs):
    path = tmp_path_factory.getbasetemp() / "real.html"
    if not path.exists():
        few = ["--networks", "2-8-1", "--activations", "tanh", "--optimizers", "adam"]
        command = [sys.executable, "-m", "ascribe", "play", "moons", "--rules", RULES, *few, "--out", str(path)]
        subprocess.run(command, capture_output=True, check=True)
    html = path.read_text(encoding="utf-8")
    form, data = re.search(r'<script id="page-data"[^>]*data-form="(\w+)">([^<]*)<', html).groups()
    with chromium.browser() as tab:
        tab.call("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        shown = Page(tab, path.as_uri()).open(f"#rules={RULES}&inputs={inputs}")
        plan, settings = shown("main.app.session.plan"), shown.settings()
        shown(f"main.app.advance({STEPS})")
        found = shown(WEIGHTS.replace("session", "main.app.session", 1))
        assert shown("faults") == []
    engine = re.search(r"<script>(.*?)</script>", html, re.DOTALL)[1]
    scripts = [engine, *((FOLDER / f"{name}.js").read_text(encoding="utf-8") for name in MODULES)]
    job = {"scripts": "\n".join(scripts), "form": form, "data": data, "plan": plan, "settings": settings, "steps": STEPS}
    done = subprocess.run([NODE, "-e", SCRIPT], input=json.dumps(job), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for ours, theirs in zip(found, json.loads(done.stdout), strict=True):
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7)


def test_the_neuron_page_says_why_there_is_no_rate(tmp_path):
    path = ascribe.play("neurons", out=tmp_path / "neurons.html")
    with chromium.browser() as tab:
        tab.call("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        shown = Page(tab, path.as_uri())
        tab.open(f"{path.as_uri()}#current=120")
        shown.wait("neuronMain.app !== null")
        shown("neuronMain.app.advance(0.4)")
        notes = "[...document.querySelectorAll('.note')].map((one) => one.textContent)"
        swings, drops = shown(notes)
        assert swings == "V swings, but does not reach −20 mV, from where on it counts as a spike: so the rate is 0."
        assert drops.startswith("Above about 98 µA/cm² there are no spikes: ") and drops.endswith("(depolarization block).")
        shown("neuronMain.app.change({ current: 10 }); neuronMain.app.advance(0.2)")
        assert shown(notes) == ["", drops] and shown("faults") == []
        shown("neuronMain.app.change({ current: 0, g_Na: 0 }); neuronMain.app.advance(0.4)")
        assert shown(notes) == ["", ""]
