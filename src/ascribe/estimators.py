"""scikit-learn's estimators, trained by any learning rule: `CreditClassifier` and `CreditRegressor`.

`fit` is `ascribe.train` for one seed: the same initial weights, the same batches, the same network in the end.
"""

import dataclasses
import numbers
import warnings
from abc import abstractmethod
from typing import Any

import jax
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_is_fitted, column_or_1d, validate_data

from ascribe import losses, rules, training
from ascribe.checks import positive
from ascribe.datasets import Dataset, Split, Transform
from ascribe.errors import UserError
from ascribe.measures import measure_for
from ascribe.networks import Network
from ascribe.rules import AbstractRule
from ascribe.training import Experiment, Predictor, Recipe, Setup
from ascribe.training.driver import chunks
from ascribe.training.passes import Passes
from ascribe.training.seeds import LARGEST
from ascribe.types import PyTree

ROWS = 256
"""Rows that go through a network at a time in prediction."""

FIXED = ("rule", "network", "activation", "optimizer")
"""The parameters that cannot change between two calls of `partial_fit`."""


@dataclasses.dataclass(frozen=True)
class _Progress:
    """Where training stands: NumPy arrays and plain values, so that it is pickled with the estimator.

    `states`: the run's state after its last pass, a leading axis of one run on every array, or None where a part of it
    belongs to the training examples; `network_state`: the normalization statistics that prediction uses, with the same
    axis; `trained`: the structure of the network that is trained, which may be another one than that which predicts;
    `transforms`: the rule's encoding of the inputs, as it was fitted on the first rows; `loss`: its name; `began`:
    the parameters of `FIXED`.
    """

    seed: int
    states: training.loop.RunState | None
    network_state: PyTree
    trained: Network
    transforms: tuple[Transform, ...]
    loss: str
    began: dict[str, Any]


class AbstractCreditEstimator(BaseEstimator):
    """What the classifier and the regressor share: the parameters, and the way into `ascribe.training`."""

    network_: Network
    loss_curve_: np.ndarray
    validation_scores_: np.ndarray
    notes_: tuple[str, ...]
    n_iter_: int
    _progress: _Progress

    def __init__(
        self,
        rule="backpropagation",
        *,
        network="64x64",
        activation="relu",
        optimizer="adam",
        learning_rate=1e-3,
        epochs=50,
        batch_size=32,
        validation_fraction=None,
        random_state=None,
    ):
        self.rule = rule
        self.network = network
        self.activation = activation
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.epochs = epochs
        self.batch_size = batch_size
        self.validation_fraction = validation_fraction
        self.random_state = random_state

    @abstractmethod
    def _dataset(self, train: Split, held_out: Split) -> Dataset:
        """The examples as ascribe has them; `held_out` stands for validation and test."""

    def _forget(self) -> None:
        """A new `fit` begins: what an earlier one learned is gone, even if this one fails."""
        for name in ("network_", "loss_curve_", "validation_scores_", "notes_", "n_iter_", "_progress"):
            vars(self).pop(name, None)

    @property
    def _begun(self) -> bool:
        return "_progress" in vars(self)

    def _fit(self, inputs: np.ndarray, targets: np.ndarray, *, stratify: bool) -> None:
        """Trains for `epochs`, from the beginning."""
        seed, epochs, score = self._seed(), _whole(self.epochs), "accuracy" if stratify else "r2"
        train, held_out = self._split(inputs, targets, seed, stratify=stratify)
        data = self._dataset(train, held_out or train)
        experiment, main = self._experiment(data, epochs=epochs), measure_for(data.task)
        passes = Passes(experiment, seed)
        states, best, curve, scores, diverged = passes.begin(), None, [], [], False
        for chunk in chunks(passes.advance, (states, 0.0), stop=epochs, most=1):
            states, loss = chunk.states
            judged = None if held_out is None else passes.judge(states)
            if not np.isfinite([loss, loss if judged is None else judged["loss"]]).all():
                diverged = True
                break
            curve.append(loss)
            if judged is not None:
                scores.append(judged[score])
                rank = (main.worth(judged[main.name]), -judged["loss"])
                best = (rank, states) if best is None or rank > best[0] else best
        text = _diverged(experiment, f"in epoch {len(curve) + 1} of {epochs}")
        if diverged and best is None:
            raise UserError(text)
        states = states if best is None else best[1]
        concluded = passes.conclude(states)
        if not _finite(concluded[0]):
            raise UserError(text)
        if diverged:
            warnings.warn(f"{text} The network of the best epoch before is kept.", ConvergenceWarning, stacklevel=3)
        self._keep(experiment, seed, states, *concluded)
        self.loss_curve_, self.n_iter_ = np.asarray(curve), len(curve)
        if held_out is not None:
            self.validation_scores_ = np.asarray(scores)

    def _fit_once(self, inputs: np.ndarray, targets: np.ndarray) -> None:
        """One pass over these rows, from where training stands."""
        progress = self._progress if self._begun else None
        rows = Split(inputs, targets)
        experiment = self._experiment(self._dataset(rows, rows), epochs=1, progress=progress)
        done, seed = (0, self._seed()) if progress is None else (self.n_iter_, progress.seed)
        passes = Passes(experiment, seed)
        states = passes.begin() if progress is None else progress.states
        if states is None or _of_examples(experiment.recipe.rule, states):
            raise UserError(
                f"the rule {experiment.recipe.name} keeps something of every training example, which partial_fit cannot go on "
                f"with: use fit, or another rule."
            )
        states, loss = passes.one(states, done)
        concluded = passes.conclude(states)
        if not (np.isfinite(loss) and _finite(concluded[0])):
            raise UserError(_diverged(experiment, f"in pass {done + 1}, which is not kept"))
        self._keep(experiment, seed, states, *concluded)
        self.loss_curve_, self.n_iter_ = np.append(self.loss_curve_ if done else [], loss), done + 1

    def _keep(
        self, experiment: Experiment, seed: int, states: training.loop.RunState, network: Network, network_state: PyTree
    ) -> None:
        """The fitted attributes, after everything has gone well."""
        kept = None if _of_examples(experiment.recipe.rule, states) else jax.device_get(states)
        recipe = experiment.recipe
        began = {name: getattr(self, name) for name in FIXED}
        self._progress = _Progress(
            seed, kept, network_state, jax.device_get(experiment.template), recipe.encoding, recipe.loss.name, began
        )
        self.network_, self.notes_ = network, recipe.notes

    def _seed(self) -> int:
        """`random_state` itself where it can be ascribe's seed, or a number drawn from it."""
        given = self.random_state
        if isinstance(given, numbers.Integral) and 0 <= int(given) <= LARGEST:
            return int(given)
        return int(check_random_state(given).randint(LARGEST))

    def _split(self, inputs: np.ndarray, targets: np.ndarray, seed: int, *, stratify: bool) -> tuple[Split, Split | None]:
        """The rows to train on, in their order, and those that are held out, if there are any."""
        if self.validation_fraction is None:
            return Split(inputs, targets), None
        share = positive("validation_fraction", self.validation_fraction)
        if share >= 1:
            raise UserError(f"`validation_fraction` is between 0 and 1, or None; got {self.validation_fraction!r}.")
        parts = train_test_split(
            np.arange(len(inputs)), test_size=share, random_state=seed, stratify=targets if stratify else None
        )
        train, held_out = (np.sort(part) for part in parts)
        return Split(inputs[train], targets[train]), Split(inputs[held_out], targets[held_out])

    def _experiment(self, data: Dataset, *, epochs: Any, progress: _Progress | None = None) -> Experiment:
        """The rule on these rows, as `ascribe.train` would have it; after the first rows, with the network and the encoding
        that these led to."""
        name, rule = training.named_rule(self.rule)
        training.check_rule(rule, name, data)
        setup = Setup(
            optimizer=self.optimizer,
            learning_rate=self.learning_rate,
            epochs=_whole(epochs),
            batch_size=_whole(self.batch_size),
            diagnostics=False,
        )
        recipe = training.honor(rule, name, training.network_for(self.network, data, self.activation), data, setup)
        if progress is not None:
            recipe = self._going_on(recipe, data, progress)
        recipe = training.complete(recipe)
        if not rule.acts_between_epochs:  # then the programs are the same for any number of epochs
            recipe = dataclasses.replace(recipe, setup=dataclasses.replace(recipe.setup, epochs=1))
        training.processes.alone("an estimator's training")
        return Experiment(recipe)

    def _going_on(self, recipe: Recipe, data: Dataset, progress: _Progress) -> Recipe:
        """The recipe with the network and the encoding that the first rows led to."""
        changed = [one for one in FIXED if not _same(getattr(self, one), progress.began[one])]
        if changed:
            raise UserError(f"partial_fit goes on with the `{changed[0]}` that it began with: begin anew with fit.")
        known = [transform.name for transform in progress.transforms]
        new = [transform.name for transform in recipe.encoding if transform.name not in known]
        if new:
            raise UserError(
                f"the rule {recipe.name} encodes these rows by {new[0]}, and did not need that for the first ones: begin with "
                f"rows that show negative inputs too, or scale the inputs into [0, 1]."
            )
        own = {"source": progress.trained, "data": data.encode(*progress.transforms), "encoding": progress.transforms}
        return dataclasses.replace(recipe, **own, notes=self.notes_)

    @property
    def _predictor(self) -> Predictor:
        """The network with an axis of one run, as prediction has it. Its last rows are filled up to a block: one program
        answers any number of rows, each for itself, so that it gets the same bits wherever it stands."""
        check_is_fitted(self, "network_")
        progress = self._progress
        networks = jax.tree.map(lambda leaf: leaf[None], self.network_)
        loss = losses.get(progress.loss)
        return Predictor(self.network_, networks, progress.network_state, loss, progress.transforms, ROWS, filled=True)

    def _outputs(self, X: Any) -> np.ndarray:
        """What the network answers, `(rows, outputs)`."""
        predictor = self._predictor
        return predictor.outputs(np.asarray(validate_data(self, X, dtype=np.float32, reset=False)))[0]


class CreditClassifier(ClassifierMixin, AbstractCreditEstimator):
    """A classifier for scikit-learn whose network learns by any of ascribe's rules.

    **Arguments:**

    - `rule`: a name (`ascribe.rules.names()`, or `"./my_rule.py:MyRule"`) or a rule;
    - `network`: hidden layers as `"64x64"`, `"linear"`, a `Network` template, or a factory `key -> Network`; two classes are
      one output, more are one each. `activation` goes with the first two;
    - `optimizer`, `learning_rate`, `epochs`, `batch_size`: as in `ascribe.train`. In an epoch, rows that do not fill a last
      batch sit out, others each time;
    - `validation_fraction`: None, or the share of the rows that is held out (stratified); the network is then that of the
      epoch with the best accuracy on it;
    - `random_state`: an integer is the seed that `ascribe.train` would be given.

    Rows are vectors of floats, kept as float32, and as they are: put a `StandardScaler` before. A rule that needs settings,
    inputs or a network of its own gets them, and `notes_` says so; a rule for two classes refuses more.

    **Fitted:** `classes_`; `network_`: a `Network` of NumPy arrays; `loss_curve_`: the mean loss of every epoch's batches,
    `(n_iter_,)`; `validation_scores_`: the accuracy on what was held out, likewise; `n_iter_`: epochs or passes; `notes_`;
    `n_features_in_`, `feature_names_in_`.

    **Raises:** `UserError`, a `ValueError`, for anything that does not fit together, and where the run diverged: as
    scikit-learn's own estimators do, so that a search goes on with the other candidates. With a `validation_fraction` the
    network of the best epoch before is kept, and a `ConvergenceWarning` given.

    With `rule="backpropagation"`, `optimizer="sgd"` and a full batch, an epoch is one step of gradient descent.
    """

    classes_: np.ndarray

    def fit(self, X, y):
        """Trains from the beginning.

        **Arguments:** `X`: `(rows, features)`; `y`: `(rows,)`, labels of at least two classes. **Returns:** itself.
        """
        self._forget()
        checked: Any = validate_data(self, X, y, dtype=np.float32)
        X, y = checked
        check_classification_targets(y)
        self._found_classes(y)
        self._fit(X, self._labels(y), stratify=True)
        return self

    def partial_fit(self, X, y, classes=None):
        """One pass over these rows, in batches, with the optimizer's and the rule's state of before; after `fit`, those of
        the epoch whose network it kept. The `learning_rate` may be another one; another of `FIXED` is refused, and so is a
        rule that keeps something of every training example. A pass that diverges raises and changes nothing.

        **Arguments:** `classes`: all that will come, on the first call. **Returns:** itself. k calls with the same rows are a
        `fit` with `epochs=k`.
        """
        checked: Any = validate_data(self, X, y, dtype=np.float32, reset=not self._begun)
        X, y = checked
        check_classification_targets(y)
        if not self._begun:
            if classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            self._found_classes(column_or_1d(classes))
        elif classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(f"`classes={classes!r}` is not the same as on last call to partial_fit, was: {self.classes_!r}")
        self._fit_once(X, self._labels(y))
        return self

    def predict(self, X):
        """The most probable class of every row, `(rows,)`."""
        outputs = self._outputs(X)
        return self.classes_[self._predictor.labels(outputs[None])[0]]

    def predict_proba(self, X):
        """The classes' probabilities, `(rows, classes)`, in the order of `classes_`."""
        outputs = self._outputs(X)
        found = np.asarray(self._predictor.probabilities(outputs[None])[0], np.float64)
        return found / found.sum(axis=1, keepdims=True)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = "classification" in _tasks(self.rule)
        return tags

    def _found_classes(self, labels: np.ndarray) -> None:
        self.classes_ = np.unique(labels)
        if len(self.classes_) < 2:
            raise ValueError(
                f"This solver needs samples of at least 2 classes in the data, but the data contains only one class: "
                f"{self.classes_[0]!r}"
            )
        if len(self.classes_) > 2 and not self.__sklearn_tags__().classifier_tags.multi_class:
            raise ValueError(
                f"Only binary classification is supported by the rule {self.rule}. The type of the target is multiclass."
            )

    def _labels(self, y: np.ndarray) -> np.ndarray:
        strange = np.setdiff1d(y, self.classes_)
        if len(strange):
            raise ValueError(f"The target labels {strange} in y do not exist in the initial classes {self.classes_}.")
        return np.searchsorted(self.classes_, y)

    def _dataset(self, train: Split, held_out: Split) -> Dataset:
        names = tuple(map(str, self.classes_))
        task = "binary" if len(names) == 2 else "classification"
        return Dataset("the data", task, train, held_out, held_out, class_names=names)


class CreditRegressor(RegressorMixin, AbstractCreditEstimator):
    """A regressor for scikit-learn whose network learns by any of ascribe's rules that can do regression.

    The parameters, the fitted attributes (but `classes_`) and the errors are those of `CreditClassifier`. The loss is half
    the squared error; with a `validation_fraction`, the best epoch is that of the least error, and `validation_scores_` are R².
    Targets are learned as they are, one column or several: put them into a `TransformedTargetRegressor` where their unit is
    far from 1.
    """

    _single: bool

    def fit(self, X, y):
        """Trains from the beginning.

        **Arguments:** `X`: `(rows, features)`; `y`: `(rows,)` or `(rows, targets)`, numbers. **Returns:** itself.
        """
        self._forget()
        X, targets = self._checked(X, y)
        self._fit(X, targets, stratify=False)
        return self

    def partial_fit(self, X, y):
        """One pass over these rows, as in `CreditClassifier`. **Returns:** itself."""
        X, targets = self._checked(X, y)
        if self._begun and targets.shape[1] != self.network_.outputs:
            raise UserError(
                f"partial_fit began with {self.network_.outputs} targets a row; got {targets.shape[1]}: begin anew with fit."
            )
        self._fit_once(X, targets)
        return self

    def predict(self, X):
        """The targets of every row, `(rows,)` or `(rows, targets)`, as they came."""
        outputs = self._outputs(X).astype(np.float64)
        return outputs[:, 0] if self._single else outputs

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def _checked(self, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        X, y = validate_data(self, X, y, dtype=np.float32, multi_output=True, y_numeric=True, reset=not self._begun)
        y = check_array(y, ensure_2d=False, dtype=np.float32, input_name="y")  # pyright: ignore[reportArgumentType]
        if not self._begun:
            self._single = y.ndim == 1
        return X, y.reshape(len(y), -1)

    def _dataset(self, train: Split, held_out: Split) -> Dataset:
        return Dataset("the data", "regression", train, held_out, held_out)


def _whole(value: Any) -> Any:
    """A whole number as Python's own; anything else as it is, for those who refuse it."""
    return int(value) if isinstance(value, numbers.Integral) and not isinstance(value, bool) else value


def _tasks(rule: Any) -> tuple[str, ...]:
    """The tasks of a rule or of a name; all of them for what is neither, which `fit` refuses."""
    try:
        rule = rules.made(rule)
    except UserError:
        rule = None
    return rule.tasks if isinstance(rule, AbstractRule) else AbstractRule.tasks


def _same(one: Any, other: Any) -> bool:
    return one is other or (isinstance(one, str | tuple | dict) and one == other)


def _of_examples(rule: AbstractRule, states: training.loop.RunState) -> bool:
    """Whether a run keeps something of its training examples, or acts on all of them."""
    return rule.acts_between_epochs or getattr(states.trainables, "auxiliary", None) is not None


def _finite(network: Network) -> bool:
    return all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(network))


def _diverged(experiment: Experiment, when: str) -> str:
    return (
        f"training by {experiment.recipe.name} diverged {when}: take a smaller `learning_rate` than "
        f"{experiment.recipe.setup.learning_rate:g}, or scale the data, as by StandardScaler."
    )
