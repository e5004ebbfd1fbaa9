"""A made-up comparison with the attributes that a report reads, so that these tests train nothing."""

from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import numpy as np


@dataclass
class StandInRuns:
    curves: dict
    scores: dict
    seeds: tuple
    learning_rates: np.ndarray
    diverged: np.ndarray
    quality: float
    task: str
    outputs: int
    hyperparameters: dict = field(default_factory=dict)
    seconds: float = 12.3
    notes: tuple = ()
    folds: tuple = ()
    confusion: np.ndarray | None = None
    class_maps: dict = field(default_factory=dict)
    # What a diverged run's weights make of any input: finite, as with select="best-validation", and meaningless.
    garbage: int = 0

    def probabilities(self, inputs):
        flat = np.asarray(inputs).reshape(len(inputs), -1)
        angles = np.linspace(0.0, 2.0 * np.pi, self.outputs, endpoint=False)
        tilts = 0.2 * np.random.default_rng(1).normal(size=len(self.seeds))
        logits = np.stack(
            [
                4.0 * self.quality * np.stack([np.sin(flat[:, 0] + a + t) - flat[:, 1] * np.cos(a) for a in angles], -1)
                for t in tilts
            ]
        )
        exponents = np.exp(logits - logits.max(axis=-1, keepdims=True))
        result = exponents / exponents.sum(axis=-1, keepdims=True)
        result[self.diverged] = np.eye(self.outputs)[self.garbage]
        return result

    def predict(self, inputs):
        if self.task != "regression":
            return self.probabilities(inputs).argmax(axis=-1)
        tilts = 0.1 * np.random.default_rng(2).normal(size=len(self.seeds))
        result = np.stack([np.sin(2.0 * np.asarray(inputs)[:, :1]) * self.quality + t for t in tilts])
        result[self.diverged] = 3.0 * self.garbage
        return result


def make_data(task="binary", shape=(2,), classes=2, name="two moons"):
    rng = np.random.default_rng(0)

    def split(count):
        inputs = rng.normal(size=(count, *shape)).astype(np.float32)
        if task == "regression":
            targets = np.sin(2.0 * inputs[:, :1]) + 0.1 * rng.normal(size=(count, 1)).astype(np.float32)
        else:
            flat = inputs.reshape(count, -1)
            targets = ((np.arctan2(flat[:, 1], flat[:, 0]) + np.pi) / (2.0 * np.pi) * classes).astype(np.int32) % classes
        return SimpleNamespace(inputs=inputs, targets=targets)

    card = SimpleNamespace(
        title="Two interleaved half circles",
        description="A classic toy problem: two half circles that no straight line separates.",
        source="Pedregosa et al. (2011), scikit-learn",
        license="BSD-3-Clause",
        url="https://scikit-learn.org/stable/modules/generated/sklearn.datasets.make_moons.html",
    )
    features = ("x", "y") if shape == (2,) else tuple(f"feature {i}" for i in range(int(np.prod(shape))))
    return SimpleNamespace(
        name=name,
        task=task,
        class_names=() if task == "regression" else tuple(f"class {i}" for i in range(classes)),
        feature_names=features,
        input_shape=shape,
        card=card,
        summary=lambda: {"sizes": {"train": 300, "validation": 100, "test": 200}, "features": int(np.prod(shape))},
        train=split(300),
        validation=split(100),
        test=split(200),
        checksum="0123456789abcdef",
        target_scale=None,
        transforms=(),
        original=None,
    )


def make_runs(rng, index, *, task, classes, seeds, epochs, layers):
    time = np.arange(1, epochs + 1) / epochs
    quality = 1.0 / (1.0 + 0.15 * index)
    noise = lambda size: 0.02 * rng.normal(size=(len(seeds), epochs)) * size
    loss = 0.05 / quality**6 + 0.65 * np.exp(-6.0 * quality * time) * np.exp(3.0 * noise(1.0))
    curves = {"train_loss": loss, "validation_loss": loss * 1.1}
    if task == "regression":
        curves["validation_rmse"] = np.sqrt(loss * 1.1)
        curves["validation_r2"] = 1.0 - loss
    else:
        curves["validation_accuracy"] = 0.5 + 0.48 * quality * (1.0 - np.exp(-7.0 * time)) + noise(0.5)
    angle = 0.0 if index == 0 else 90.0 - 50.0 * quality * (1.0 - np.exp(-4.0 * time))
    curves["gradient_angle"] = angle + np.abs(noise(60.0)) * (index > 0)
    curves["gradient_norm_ratio"] = np.exp((index > 0) * (noise(6.0) - 0.4 * index * time))
    for layer in range(1, layers + 1):
        curves[f"gradient_angle/linear{layer}"] = curves["gradient_angle"] * (1.3 - 0.3 * layer)
        curves[f"gradient_norm_ratio/linear{layer}"] = curves["gradient_norm_ratio"]
        if index % 3 == 1 and layer > 1:
            curves[f"feedback_angle/linear{layer}"] = curves["gradient_angle"] * 0.8
    spread = rng.normal(size=len(seeds))
    if task == "regression":
        scores = {"test_rmse": 0.1 / quality * np.exp(0.1 * spread), "test_r2": quality - 0.01 * spread**2}
    else:
        scores = {"test_accuracy": 0.5 + 0.48 * quality + 0.008 * spread}
    scores |= {"test_loss": loss[:, -1], "area_under_train_loss": loss.sum(axis=1)}
    runs = StandInRuns(
        curves=curves,
        scores=scores,
        seeds=tuple(seeds),
        learning_rates=np.full(len(seeds), 0.1 / (index + 1)),
        diverged=np.zeros(len(seeds), dtype=bool),
        quality=quality,
        task=task,
        outputs=classes,
        hyperparameters={"scale": 0.5} if index % 3 == 1 else {},
        notes=("full batch",) if index == 3 else (),
    )
    return runs


def diverge(runs, which):
    """Turn the seeds in `which` into runs that diverged half way."""
    runs.diverged[list(which)] = True
    for seed in which:
        for curve in runs.curves.values():
            curve[seed, curve.shape[1] // 2 :] = np.nan
        for score in runs.scores.values():
            score[seed] = np.nan


def in_folds(comparison, count):
    """The same numbers as those of a cross-validation: every seed's run is of one of `count` folds in turn, with seed 0 on."""
    for runs in comparison.runs.values():
        total = len(runs.seeds)
        runs.folds = tuple(place * count // total + 1 for place in range(total))
        runs.seeds = tuple(place % (total // count) for place in range(total))
    return comparison


RULES = (
    "backpropagation",
    "feedback alignment",
    "direct feedback alignment",
    "perturbation",
    "equilibrium propagation",
    "sign symmetry",
)


def make_comparison(
    task="binary", shape=(2,), classes=2, *, rules=RULES, seeds=range(5), epochs=20, layers=2, tuned=True, **names
):
    rng = np.random.default_rng(3)
    data = make_data(task, shape, classes, **names)
    runs = {
        rule: make_runs(rng, i, task=task, classes=classes, seeds=seeds, epochs=epochs, layers=layers)
        for i, rule in enumerate(rules)
    }
    tuning = {}
    for index, rule in enumerate(rules):
        rates = np.logspace(-4, 0, 9)
        scores = 0.95 - 0.03 * (np.log10(rates) + 1.0 + 0.2 * index)[:, None] ** 2 + 0.01 * rng.normal(size=(9, 3))
        scores[-1 - index % 3 :] = -np.inf
        best = int(np.argmax(scores.mean(axis=1)))
        tuning[rule] = SimpleNamespace(learning_rates=rates, scores=scores, chosen=best, hyperparameters={})
    configuration = {
        "network": "mlp 2-32-32-1 tanh",
        "epochs": epochs,
        "batch_size": 32,
        "optimizer": "sgd",
        "seeds": list(seeds),
        "tune": 9,
        "versions": {"ascribe": "0.1.0", "jax": "0.10.0"},
        "command": "ascribe compare two-moons",
    }
    return SimpleNamespace(
        data=data,
        configuration=configuration,
        reference=rules[0],
        runs=runs,
        controls={},
        tuning=tuning if tuned else {},
        landscape=None,
        folds=(),
        descriptions={rule: f"what {rule} does; A. Author (1999)" for rule in rules},
    )


def with_controls(comparison, score="test_accuracy", *, gain=0.1, names=("frozen", "linear")):
    """The same with controls, whose scores are backpropagation's less a gain, seed by seed, more or less."""
    base = comparison.runs["backpropagation"]
    for place, name in enumerate(names):
        spread = 0.02 * gain * np.random.default_rng(place).normal(size=len(base.seeds))
        scores = base.scores | {score: base.scores[score] - (1 + place) * gain + spread}
        comparison.controls[name] = replace(base, scores=scores, notes=())
    return comparison


def make_landscape(rules=RULES, epochs=30, points=21, **changes):
    """A bowl with a ridge, and paths that bend into it."""
    time = np.linspace(0.0, 1.0, epochs + 1)
    start, goal = np.array([-3.0, -1.0]), np.array([2.0, 0.5])
    trajectories = {}
    for index, rule in enumerate(rules):
        bend = np.stack([0 * time, (index - 2) * np.sin(np.pi * time) / 2], axis=1)
        trajectories[rule] = start + (1 - np.exp(-4 * time))[:, None] * (goal - start) + bend
    axes = np.stack([np.linspace(-4.0, 3.0, points), np.linspace(-2.5, 2.5, points)])
    bowl = lambda point: 0.05 + ((point - goal) ** 2).sum(axis=-1) * (1 + 0.3 * np.sin(2 * point[..., 0]))
    surface = bowl(np.stack(np.meshgrid(*axes), axis=-1))
    known = {
        "layer": "linear2",
        "seed": 0,
        "epochs": epochs,
        "kind": "principal",
        "examples": 300,
        "training_examples": 300,
        "trajectories": trajectories,
        "losses": {rule: bowl(path) for rule, path in trajectories.items()},
        "axes": axes,
        "surface": surface,
        "shares": np.array([0.7, 0.21]),
        "explained": 0.91,
        "shown": dict.fromkeys(rules, epochs + 1),
        "diverged_at": {},
        "left_out": {},
        "notes": (),
    }
    return SimpleNamespace(**known | changes)
