"""What the forward-pass rule learns, beside backpropagation, and what stops its drift.

The first table follows digits 3 against 8 under one option after the other: the best epoch, the last ones, whether the logits
still rank the examples, and how far the sizes of the weights have spread. The second compares the rule, equally tuned, with
backpropagation on backpropagation's own network and inputs, and on the rule's (no biases, signs split, a constant 1). The
third is where the defaults come from.
Run: `python benchmarks/forward_pass_learning.py`
"""

import sys
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
from sklearn.metrics import roc_auc_score

import ascribe
from ascribe import datasets
from ascribe.networks import mlp
from ascribe.rules import ForwardPass
from ascribe.statistics import interval

QUICK = "--quick" in sys.argv
SEEDS = 2 if QUICK else 20
HIDDEN, EPOCHS = ([4], 2) if QUICK else ([64, 64], 60)
SIZES = "-".join(map(str, HIDDEN))
TASKS = {
    "gaussians": lambda: datasets.load("gaussians", samples=2000),
    "moons": lambda: datasets.load("moons"),
    "xor": lambda: datasets.load("xor"),
    "digits 0-1": lambda: datasets.load("digits", classes=(0, 1)).flat(),
    "digits 3-8": lambda: datasets.load("digits", classes=(3, 8)).flat(),
}
RULE_2 = {"all": "2", "positive": "2.1", "none": "2.2"}
if QUICK:  # that it runs, not what it says
    TASKS = {"digits 3-8": TASKS["digits 3-8"]}


def cosine(steps):
    """Plain descent whose rate falls to 0 along half a cosine."""
    return lambda rate: optax.sgd(lambda step: rate * 0.5 * (1 + jnp.cos(jnp.pi * jnp.minimum(step / steps, 1.0))))


def beside_backpropagation():
    how = f"{SIZES}, Adam, {EPOCHS} epochs"
    print(f"\nTest accuracy (%), {how}, mean ± 95 % over seeds; best: the epoch chosen on validation\n")
    print("| data | backpropagation, last | best | on the rule's network, best | forward-pass, last | best |")
    print("| --- | --- | --- | --- | --- | --- |")
    settings = {"seeds": SEEDS, "tune": 8, "epochs": EPOCHS, "diagnostics": False, "controls": ()}
    settings |= {"network": "x".join(map(str, HIDDEN)), "search": {"learning_rate": (3e-4, 3e-1)}}
    if QUICK:  # candidates and seeds share a program
        settings |= {"tune": 2, "tune_seeds": 1}
    best = {"select": "best-validation"}
    for name, load in TASKS.items():
        data = load()
        encoded = data.encode("split-signs", "constant-one")
        bias_free = mlp([encoded.features, *HIDDEN, 1], bias=False)
        comparisons = [
            ascribe.compare(data, rules=["backpropagation"], **settings),
            ascribe.compare(data, rules=["backpropagation"], **best, **settings),
            ascribe.compare(encoded, rules=["backpropagation"], **best, **{**settings, "network": bias_free}),
            ascribe.compare(data, rules=["forward-pass"], **settings),
            ascribe.compare(data, rules=["forward-pass"], **best, **settings),
        ]
        rows = [comparison.table()[0] for comparison in comparisons]
        print(f"| {name} | " + " | ".join(f"{100 * row.mean:.1f} ± {100 * row.half_width:.1f}" for row in rows) + " |")


def defaults():
    """The options that are not decided by the document, over all tasks: which is the best on average."""
    print(f"\nValidation accuracy (%), mean over the tasks, SGD at the best of four rates, {EPOCHS} epochs\n")
    print("| rule 2 | adaptive rate (9) | η | best epoch | last 5 epochs |")
    print("| --- | --- | --- | --- | --- |")
    seeds = max(SEEDS // 2, 2)
    for inactive in ("all", "positive", "none"):
        for adaptive in (False, True):
            for threshold in (0.0, 0.003, 0.03):
                best, last = [], []
                for load in TASKS.values():
                    data = load()
                    rule = ForwardPass(inactive=inactive, adaptive_rate=adaptive, sign_threshold=threshold)
                    settings = {"optimizer": "sgd", "epochs": EPOCHS, "seeds": seeds, "diagnostics": False}
                    curves = []
                    for rate in (0.1, 0.3, 0.6, 1.0):
                        runs = ascribe.train(mlp([data.features, *HIDDEN, 1]), data, rule, learning_rate=rate, **settings)
                        curves.append(np.nan_to_num(runs.validation_accuracy))
                    best.append(max(curve.max(axis=1).mean() for curve in curves))
                    last.append(max(curve[:, -5:].mean() for curve in curves))
                row = (RULE_2[inactive], "on" if adaptive else "off", f"{threshold:g}")
                print(f"| {' | '.join(row)} | {100 * np.mean(best):.1f} | {100 * np.mean(last):.1f} |", flush=True)


def drift():
    data = TASKS["digits 3-8"]()
    plain, steps = ("sgd", 32, EPOCHS), len(data.train) // 32
    cases: dict[str, tuple[dict[str, Any], tuple[Any, int, int]]] = {
        "the default": ({}, plain),
        "without error scaling (10)": ({"error_scaled": False}, plain),
        "without sign changes (14)": ({"sign_threshold": 0.0}, plain),
        "with a larger threshold, η = 0.03": ({"sign_threshold": 0.03}, plain),
        "with the adaptive rate (9)": ({"adaptive_rate": True}, plain),
        "stabilized (11, 12)": ({"stabilized": True}, plain),
        "rule 2 as it stands": ({"inactive": "all"}, plain),
        "rule 2.2": ({"inactive": "none"}, plain),
        "every input counts as activated": ({"input_activation": "always"}, plain),
        "the full batch, as many steps": ({}, ("sgd", len(data.train), EPOCHS * steps)),
        "the rate along a cosine": ({}, (cosine(EPOCHS * steps), 32, EPOCHS)),
        "5 × the epochs": ({}, ("sgd", 32, 5 * EPOCHS)),
        "5 × the epochs, the rate along a cosine": ({}, (cosine(5 * EPOCHS * steps), 32, 5 * EPOCHS)),
    }
    if QUICK:
        cases = {"the default": cases["the default"]}
    print(f"\nDigits 3 against 8, {SIZES}, SGD at rate 1, validation accuracy (%)\n")
    print("| option | best epoch | last 5 epochs | area under the ROC curve | loss at the end | spread of ln w |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, (options, (optimizer, batch_size, length)) in cases.items():
        settings = {"optimizer": optimizer, "batch_size": batch_size, "epochs": length, "seeds": SEEDS}
        rule = ForwardPass(**options)
        runs = ascribe.train(mlp([data.features, *HIDDEN, 1]), data, rule, learning_rate=1.0, diagnostics=False, **settings)
        accuracy, loss = runs.validation_accuracy, runs.train_loss[:, -1]
        sizes = np.abs(np.asarray(runs.networks["linear1"].weight))
        spread = np.log(np.where(sizes > 0, sizes, 1e-30)).std(axis=(1, 2))
        logits = np.nan_to_num(runs.outputs(data.validation.inputs)[..., 0])
        ranked = np.mean([roc_auc_score(data.validation.targets, one) for one in logits])
        columns = (np.nanmax(accuracy, axis=1), accuracy[:, -5:].mean(axis=1))
        texts = [f"{100 * mean:.1f} ± {100 * half:.1f}" for mean, half in map(interval, columns)]
        print(f"| {name} | {' | '.join(texts)} | {100 * ranked:.1f}", end="")
        print(f" | {np.nanmedian(loss):.2f} | {np.median(spread):.1f} |")


if __name__ == "__main__":
    ascribe.use_all_cores()
    drift()
    beside_backpropagation()
    if not QUICK:
        defaults()
