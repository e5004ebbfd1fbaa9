"""Does the page stay fluid with 50 rules × 100 seeds? Seconds to write it, its size, and in headless Chromium: the time to
load it, to filter a rule away, and to show the values at the pointer.

The comparison is made up: two rules are trained for a moment, and copies of their runs get made-up curves and scores.

Run: `python benchmarks/page.py [FILE]` keeps the page in FILE. Without Chromium only the first two numbers come out.
"""

import dataclasses
import statistics
import sys
import tempfile
import time
from pathlib import Path

import jax
import numpy as np
from browser import browser, find

import ascribe

QUICK = "--quick" in sys.argv
RULES, SEEDS, EPOCHS, LOADS = (3, 2, 4, 1) if QUICK else (50, 100, 50, 7)
NETWORK, CANDIDATES = ("4", 2) if QUICK else ("16x16", 8)

# Milliseconds until the next frame is there, for every rule's box once, and for the pointer at places in a figure.
FRAME = "const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));"
FILTER = (
    "(async () => {" + FRAME + "const times = []; document.querySelector('.filters details').open = true;"
    "for (const box of document.querySelectorAll('.filters input')) { await frame(); const begun = performance.now();"
    "box.click(); document.body.offsetHeight; const worked = performance.now(); await frame();"
    "times.push([worked - begun, performance.now() - begun]); }"
    "document.querySelector('[data-all=rules]').click(); return times; })()"
)
HOVER = (
    "(async () => {" + FRAME + "const times = []; const chart = document.querySelector('#learning_curves .chart');"
    "chart.scrollIntoView(); await frame(); const box = chart.getBoundingClientRect();"
    "for (let step = 0; step < 40; step++) { await frame(); const begun = performance.now();"
    "const place = { clientX: box.left + 60 + 9 * step, clientY: box.top + 60 + 4 * step };"
    "chart.dispatchEvent(new PointerEvent('pointermove', place));"
    "document.body.offsetHeight; const worked = performance.now(); await frame();"
    "times.push([worked - begun, performance.now() - begun]); }"
    "return [times, document.querySelector('.tip').textContent]; })()"
)
LOAD = (
    "(() => { const entry = performance.getEntriesByType('navigation')[0];"
    "return [entry.domContentLoadedEventEnd, entry.loadEventEnd]; })()"
)


def made_up() -> ascribe.Comparison:
    """A comparison of the right size."""
    data = ascribe.datasets.load("moons", samples=200)
    two = ascribe.compare(
        data,
        rules=["backpropagation", "feedback-alignment"],
        controls=(),
        network=NETWORK,
        seeds=1,
        tune=CANDIDATES,
        tune_seeds=1,
        epochs=EPOCHS,
    )
    generator = np.random.default_rng(0)
    runs, tuning = {}, {}
    for number in range(RULES):
        source = "backpropagation" if number == 0 else "feedback-alignment"
        name = source if number == 0 else f"feedback-alignment {number}"
        one = two.runs[source]
        noise = lambda shape: 1.0 + 0.05 * generator.standard_normal(shape)
        runs[name] = dataclasses.replace(
            one,
            rule=name,
            seeds=tuple(range(SEEDS)),
            learning_rates=np.repeat(one.learning_rates, SEEDS),
            curves={key: curve * (1 + number / 50) * noise((SEEDS, EPOCHS)) for key, curve in one.curves.items()},
            scores={key: np.clip(values * noise(SEEDS), 0.0, None) for key, values in one.scores.items()},
            diverged_at=np.full(SEEDS, -1),
            networks=jax.tree.map(lambda array: np.repeat(np.asarray(array), SEEDS, axis=0), one.networks),
            class_maps={epoch: np.repeat(maps, SEEDS, axis=0) for epoch, maps in one.class_maps.items()},
            confusion=None if one.confusion is None else np.repeat(one.confusion, SEEDS, axis=0),
            states=jax.tree.map(lambda array: np.repeat(np.asarray(array), SEEDS, axis=0), one.states),
        )
        tuning[name] = two.tuning[source]
    return dataclasses.replace(two, runs=runs, tuning=tuning)


def main() -> None:
    files = [Path(argument) for argument in sys.argv[1:] if not argument.startswith("-")]
    comparison = made_up()
    with tempfile.TemporaryDirectory() as folder:
        path = (files[0] if files else Path(folder) / "page.html").resolve()
        begun, used = time.perf_counter(), time.process_time()
        comparison.report(path)
        begun, used = time.perf_counter() - begun, time.process_time() - used
        print(f"{RULES} rules × {SEEDS} seeds × {EPOCHS} epochs")
        print(f"  written in                       {begun:8.1f} s ({used:.1f} s of processor time)")
        print(f"  size                             {path.stat().st_size / 1e6:8.2f} MB (wanted: a few)")
        if find() is None:
            print("  no Chromium is installed, so loading, filtering and hovering were not measured")
            return
        with browser() as tab:
            loads = []
            for _ in range(LOADS):
                tab.open(path.as_uri())
                loads.append(tab.evaluate(LOAD)[1])
            filters = tab.evaluate(FILTER)
            hovers, values = tab.evaluate(HOVER)
        print(f"  loaded in                        {statistics.median(loads):8.0f} ms (median of {LOADS}; wanted < 1000)")
        for what, times in (("a rule filtered away", filters), ("values at the pointer", hovers)):
            worked, shown = (statistics.median(column) for column in zip(*times, strict=True))
            print(f"  {what:<32} {worked:8.1f} ms, {shown:.1f} ms until the next frame (median of {len(times)}; wanted < 50)")
        print(f"  the last values: {values}")


if __name__ == "__main__":
    main()
