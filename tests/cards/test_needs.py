"""What rules need, against tables written by hand from the papers, against planted faults, and against numbers."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import pytest

from ascribe import losses, networks, rules
from ascribe.cards import SOURCES, chain, needs
from ascribe.errors import UserError

from ..cases import applied, case
from . import composed, planted

LOSSES = {
    "forward-pass": "bernoulli-cross-entropy",
    "forward-pass-as-published": "bernoulli-cross-entropy",
    "perceptron": "bernoulli-cross-entropy",
    "forward-pass-one-versus-rest": "categorical-cross-entropy",
}

# Three layers with weights; what every rule says of the lowest, the middle and the last one.

OWN = {"own input", "own preactivation", "output error"}
"""A δ of the layer's own, times σ'(z), times the input: equation 3 of Rumelhart et al. (1986)."""
LAST = {"own input", "output error"}
"""δ^L hᵀ: the last layer's error is the output's, in every rule that has a δ (Lillicrap et al. 2016, methods)."""
ABOVE = {"other activations"}
"""σ'(z) of the layers in between, where an error passes through them."""
TOLD = {"own input", "own preactivation", "target", "fixed feedback"}
"""A target that is brought to the layer, in place of an error."""
FORWARD = {"own input", "own preactivation", "own weights", "output error"}
"""Lerman (2021), definition 0.1: which of both neurons activated, |w|, the label and, by (13) and (10), the output."""
MOVED = {"output error", "second pass"}
"""A loss, of a pass with something moved."""
LOCALLY = {"own input", "own preactivation", "learned feedback", "target", "other examples"}
"""A loss at the layer itself: its classifier and projection learn, and a similarity is one to other examples."""
RELAXED = {"own input", "own preactivation", "own weights"}
"""∂/∂θ of the layer's own L_h(z, f(z below, θ)) + λ/2 ‖W‖² (Relaxed Activation Identity, equations 2-4)."""
HEBBIAN = {"own input", "own preactivation", "own weights"}
"""Oja (1982): y (x - y w)."""

TABLE = {
    # Rumelhart, Hinton & Williams (1986): δ^l = (W^{l+1}ᵀ δ^{l+1}) ⊙ σ'(z^l)
    "backpropagation": ({*OWN, *ABOVE, "weights above"}, {*OWN, "weights above"}, LAST),
    # Lillicrap et al. (2016): B^{l+1} in place of W^{l+1}ᵀ, all of those above reach the lowest layer
    "feedback-alignment": ({*OWN, *ABOVE, "fixed feedback", "fixed feedback above"}, {*OWN, "fixed feedback"}, LAST),
    # Nøkland (2016), equation 7: δ^l = (B_l e) ⊙ σ'(z^l)
    "direct-feedback-alignment": ({*OWN, "fixed feedback"}, {*OWN, "fixed feedback"}, LAST),
    # Liao et al. (2016), section 3: sign(W) times sizes; fixed ones are an array of the rule's own, drawn or set once
    "sign-symmetry": (
        {*OWN, *ABOVE, "signs above", "fixed feedback", "fixed feedback above"},
        {*OWN, "signs above", "fixed feedback"},
        LAST,
    ),
    "sign-symmetry-batch-random": ({*OWN, *ABOVE, "signs above"}, {*OWN, "signs above"}, LAST),
    "sign-symmetry-fixed-random": (
        {*OWN, *ABOVE, "signs above", "fixed feedback", "fixed feedback above"},
        {*OWN, "signs above", "fixed feedback"},
        LAST,
    ),
    # Akrout et al. (2019), equations 16 and 17: B learns by W's own gradient, and never reads W
    "kolen-pollack": ({*OWN, *ABOVE, "learned feedback", "learned feedback above"}, {*OWN, "learned feedback"}, LAST),
    # Frenkel et al. (2021): δ^l = (B_l t) ⊙ σ'(z^l), of the target and no output
    "direct-random-target-projection": (TOLD, TOLD, LAST),
    # Akrout et al. (2019), equation 7: B learns of noise that passed W, and reads no W
    "weight-mirror": ({*OWN, *ABOVE, "learned feedback", "learned feedback above"}, {*OWN, "learned feedback"}, LAST),
    # Webster et al. (2021): B learns of the error and the activity that it is brought to
    "direct-kolen-pollack": ({*OWN, "learned feedback"}, {*OWN, "learned feedback"}, LAST),
    # Nøkland (2016), equation 8: δ^{l+1} = (W^{l+1} δ^l) ⊙ σ', a forward product that is made again, with δ^l
    "indirect-feedback-alignment": (
        {*OWN, "fixed feedback"},
        {*OWN, "fixed feedback", "second pass"},
        LAST,
    ),
    # Function changes in the Backpropagation equation, equation 4: g(z) in place of σ'(z), all else as it is
    "b-function": ({*OWN, *ABOVE, "weights above"}, {*OWN, "weights above"}, LAST),
    # Neelakantan et al. (2015), section 3: the noise fades with the number of steps, which is remembered
    "gradient-noise": (
        {*OWN, *ABOVE, "weights above", "memory"},
        {*OWN, "weights above", "memory"},
        {*LAST, "memory"},
    ),
    # ours: the noise has the size of a sum over all examples
    "gradient-noise-matched": (
        {*OWN, *ABOVE, "weights above", "other examples"},
        {*OWN, "weights above", "other examples"},
        {*LAST, "other examples"},
    ),
    # Cauwenberghs (1993): a random direction, times how the loss of the batch changed
    "weight-perturbation": (MOVED,) * 3,
    # Flower & Jabri (1993); Hiratani et al. (2022): noise at the unit, times the change of the example's loss, times the input
    "node-perturbation": ({*MOVED, "own input"},) * 3,
    # Baydin et al. (2022), algorithm 1: a random direction, times the slope of the loss, carried along by a second product of
    # every weight
    "forward-gradient": (MOVED,) * 3,
    # Nøkland & Eidnes (2019), section 2: by a classifier of the layer's own and the similarities of the batch
    "local-error": (LOCALLY, LOCALLY, LAST),
    "forward-pass": (FORWARD, FORWARD, FORWARD - {"own preactivation"}),
    # as published an input always counts as activated
    "forward-pass-as-published": (FORWARD - {"own input"}, FORWARD, FORWARD - {"own preactivation"}),
    "forward-pass-one-versus-rest": (FORWARD, FORWARD, FORWARD - {"own preactivation"}),
    # inner steps pass ∂L_h/∂z through W, over and over, and residuals are laid over a pass anew; what enters the last layer was
    # moved through the weights below it
    "relaxed-identity": (
        {*RELAXED, *ABOVE, "output error", "weights above", "second pass", "example state"},
        {*RELAXED, "output error", "weights above", "second pass", "example state"},
        {*LAST, "own weights", "weights above", "second pass", "example state"},
    ),
    # equations 2-4: no gradient crosses a relaxed place, and no layer waits for another
    "relaxed-identity-as-published": ({*RELAXED, "example state"},) * 3,
    "relaxed-identity-transient": (
        {*RELAXED, *ABOVE, "output error", "weights above", "second pass"},
        {*RELAXED, "output error", "weights above", "second pass"},
        {*LAST, "own weights", "weights above", "second pass"},
    ),
    # Whittington & Bogacz (2017), the dynamics of activities: ε_l has the layer's own prediction in it, which is made again in
    # every step of inference (but that of the input, which is held), and x_l moved by J_{l+1}ᵀ ε_{l+1}
    "predictive-coding": (
        {*OWN, *ABOVE, "weights above", "second pass"},
        {*RELAXED, "output error", "weights above", "second pass"},
        {*LAST, "own weights", "weights above", "second pass"},
    ),
    # Scellier & Bengio (2017), Ernoult et al. (2019): products of the states at both ends of a weight, which have settled under
    # W and, from above, Wᵀ, freely and nudged by the output's error; the input is held
    "equilibrium-propagation": (
        {*OWN, *ABOVE, "weights above", "second pass"},
        {*OWN, *ABOVE, "own weights", "weights above", "second pass"},
        {*OWN, "own weights", "weights above", "second pass"},
    ),
    # Hinton (2022), equation 1 and section 3.3: the layer's own loss of its own activity, with a right and with a wrong label,
    # which weights of their own (counted as learned feedback) or the first inputs carry; the readout has the loss's own error
    "forward-forward": (
        {"own input", "own preactivation", "learned feedback", "target"},
        {"own input", "own preactivation", "learned feedback", "target", "second pass"},
        LAST,
    ),
    # Rosenblatt (1957): on a mistake, add the example
    "perceptron": (LAST,),
    # course notes, section 3.1.2: two losses of moved weights, and no derivative
    "finite-differences": (MOVED,) * 3,
    # Dellaferrera & Kreiman (2022), algorithm 1: (h - h^err)(h^err below)ᵀ, where F e entered the second pass
    "pepita": (
        {"own input", "own preactivation", "output error", "fixed feedback", "second pass"},
        {"own input", "own preactivation", "output error", "fixed feedback", "second pass"},
        {"own input", "output error", "fixed feedback", "second pass"},
    ),
    # Journé et al. (2023): y_k (x_i - u_k w_ik)
    "softhebb": (HEBBIAN, HEBBIAN, LAST),
    # Sanger (1989): y_k (x_i - Σ_{j ≤ k} y_j w_ij)
    "hebbian": (HEBBIAN, HEBBIAN, LAST),
    # Lee et al. (2015): g of the target above and of the activation above; no σ' of the layers in between
    "target-propagation": (
        {*OWN, *ABOVE, "learned feedback", "learned feedback above"},
        {*OWN, *ABOVE, "learned feedback"},
        LAST,
    ),
    # Meulemans et al. (2020), DDTP-linear: of the output alone
    "target-propagation-direct": ({*OWN, "learned feedback"}, {*OWN, "learned feedback"}, LAST),
    # Shibuya et al. (2023): the same with a g that never learns
    "target-propagation-fixed": (
        {*OWN, *ABOVE, "fixed feedback", "fixed feedback above"},
        {*OWN, *ABOVE, "fixed feedback"},
        LAST,
    ),
}

KEPT = {
    "forward-forward": {"learned feedback": {"target"}},
    "kolen-pollack": {"learned feedback": {"output error"}},
    "direct-kolen-pollack": {"learned feedback": {"output error"}},
    "gradient-noise": {"memory": set()},
    "local-error": {"learned feedback": {"target"}},
    # the auxiliaries' own gradient goes through W; as published, at the output they meet the target itself
    "relaxed-identity": {"example state": {"output error", "weights above"}},
    "relaxed-identity-as-published": {"example state": {"target", "weights above"}},
}
"""What a rule's own is made of, where it is more than random numbers."""

PROPERTIES = {  # weight transport, update locking, backward locking, global error, separate phases, local in space, in time
    "backpropagation": "yes yes yes yes yes no yes",
    "feedback-alignment": "no yes yes yes yes no yes",  # Lillicrap et al. (2016)
    "direct-feedback-alignment": "no yes no yes no yes yes",  # Nøkland (2016); Frenkel et al. (2021), table 1
    "sign-symmetry": "signs only yes yes yes yes no yes",  # Liao et al. (2016)
    "kolen-pollack": "no yes yes yes yes no yes",  # Akrout et al. (2019)
    "forward-forward": "no yes no no yes yes no",  # two phases, no error from above: Hinton (2022), section 2
    "direct-random-target-projection": "no no no no no yes yes",  # Frenkel et al. (2021), table 1
    "weight-mirror": "no yes yes yes yes no yes",  # Akrout et al. (2019), section 3
    "direct-kolen-pollack": "no yes no yes no yes yes",  # Webster et al. (2021)
    "indirect-feedback-alignment": "no yes no yes yes yes no",  # Nøkland (2016)
    "weight-perturbation": "no yes no yes yes yes no",  # Jabri & Flower (1992): forward passes and one number for all
    "node-perturbation": "no yes no yes yes yes no",  # Flower & Jabri (1993)
    "forward-gradient": "no yes no yes yes yes no",  # Baydin et al. (2022): no backward pass
    "local-error": "no no no no no yes no",  # Nøkland & Eidnes (2019); similarities are those of a batch
    "forward-pass": "no yes no yes no yes yes",
    "relaxed-identity-as-published": "yes no no no no yes no",  # weights through its auxiliaries alone
    "equilibrium-propagation": "yes yes yes yes yes no no",  # the same, and the weights are symmetric
    "predictive-coding": "yes yes yes yes yes no no",  # an error's own neurons are local; Wᵀ from them to x_{l-1} is transport
    "finite-differences": "no yes no yes yes yes no",
    "pepita": "no yes no yes yes yes no",  # Dellaferrera & Kreiman (2022): update locking is solved "in part"
    "softhebb": "no no no no no yes yes",  # Journé et al. (2023), table 1
    "hebbian": "no no no no no yes yes",
    "target-propagation": "no yes yes yes yes no yes",
    "target-propagation-fixed": "no yes yes yes yes no yes",
}


def test_the_table_by_hand_has_every_registered_rule():
    assert list(TABLE) == list(rules.registry.TABLE)


@pytest.mark.parametrize("name", TABLE)
def test_a_rule_needs_what_its_paper_says(name):
    rule, network, batch, _ = applied(name, "mlp", LOSSES.get(name, "squared-error"))
    found = needs(rule, network, batch)
    assert {layer: set(own) for layer, own in found.layers.items()} == {
        layer: set(own) for layer, own in zip(network.synaptic, TABLE[name], strict=True)
    }
    assert found.consistent, found
    kept = {what: set(own) for what, own in found.kept.items() if own or what == "memory"}
    assert kept == KEPT.get(name, {})
    if name in PROPERTIES:
        assert " ".join(found.properties.values()) == PROPERTIES[name]


def test_every_no_is_checked_by_numbers():
    rule, network, batch, _ = applied("direct-feedback-alignment", "mlp", "squared-error")
    found = needs(rule, network, batch)
    for layer, own in found.layers.items():
        assert {*own, *found.checked[layer]} == {*SOURCES}
        assert not own & {*found.checked[layer]}


def of_planted(kind, loss="squared-error"):
    network, batch = case("mlp", loss)
    found = needs(kind(), network, batch)
    assert found.consistent, found
    return found


def test_feedback_alignment_that_reads_signs_is_found():
    found = of_planted(planted.SignReader)
    assert "signs above" in found.layers["linear1"]
    assert found.properties["weight transport"] == "signs only"


def test_a_local_rule_that_reads_the_next_layer_is_found():
    assert of_planted(planted.NextLayerReader).layers["linear2"] == {"own input", "own preactivation", "other activations"}
    honest = of_planted(planted.LocalHebb)
    assert set(honest.layers.values()) == {frozenset({"own input", "own preactivation"})}
    assert honest.properties["local in space"] == honest.properties["local in time"] == "yes"
    assert honest.properties["update locking"] == "no"


def test_a_rule_that_peeks_at_other_examples_is_found():
    found = of_planted(planted.Peeker, "categorical-cross-entropy")
    assert ["other examples" in own for own in found.layers.values()] == [True, True, False]
    assert found.properties["local in time"] == "no"


@pytest.mark.parametrize("kind", [planted.PassesOn, planted.Scrambles])
def test_an_example_that_reaches_another_s_row_is_found(kind):
    found = of_planted(kind)
    assert ["other examples" in own for own in found.layers.values()] == [True, False, False]


def test_weights_that_are_read_in_a_loop_alone_are_found():
    found = of_planted(planted.InsideScan)
    assert "weights above" in found.layers["linear1"]
    assert "weights above" in found.layers["linear2"]
    assert found.properties["weight transport"] == "yes"


def test_a_rule_that_returns_backpropagation_is_found():
    found = of_planted(planted.Backpropagates)
    assert [set(own) for own in found.layers.values()] == [set(own) for own in TABLE["backpropagation"]]


def test_a_rule_that_reads_the_target_in_place_of_the_error_is_found():
    found = of_planted(planted.TargetReader, "categorical-cross-entropy")
    assert ["target" in own for own in found.layers.values()] == [True, True, False]
    assert ["output error" in own for own in found.layers.values()] == [False, False, True]
    assert found.properties["global error"] == "no"
    assert found.properties["update locking"] == "no"  # Frenkel et al. (2021), table 1, of direct random target projection


@pytest.mark.parametrize("kind", [planted.CopiesAfterwards, planted.CopiesAtFirst])
def test_weights_that_are_copied_into_feedback_are_found(kind):
    found = of_planted(kind)
    assert any("weights above" in own for own in found.kept.values())
    assert found.properties["weight transport"] == "yes"


def test_nothing_is_hidden_by_passing_it_through_a_layer():
    found = of_planted(planted.Launders)
    for name in ("linear1", "linear2"):
        assert found.layers[name] >= {"weights above", "output error"}


def test_a_second_pass_is_found_with_what_entered_it():
    found = of_planted(planted.ModulatesError)
    for name in ("linear1", "linear2"):
        assert found.layers[name] >= {"own input", "own preactivation", "second pass", "output error", "fixed feedback"}
        assert not found.layers[name] & {"weights above", "own weights"}
    assert found.layers["linear3"] == {"own input", "second pass", "output error", "fixed feedback"}
    assert found.properties["separate phases"] == "yes"


@pytest.mark.parametrize("name", ["weight-perturbation", "node-perturbation", "forward-gradient", "finite-differences"])
def test_what_is_moved_is_a_second_pass_under_a_cross_entropy_and_through_convolutions_too(name):
    """A derivative that is carried forwards meets output and target apart from each other; batches of 7 and of 8 examples take
    as many of their steps at once; a kernel of one channel has an axis that holds nothing apart."""
    own = {*MOVED, "own input"} if name == "node-perturbation" else MOVED
    for kind in ("mlp", "lenet"):
        rule, network, batch, _ = applied(name, kind, "categorical-cross-entropy")
        found = needs(rule, network, batch, check=kind == "mlp")
        assert {frozenset(one) for one in found.layers.values()} == {frozenset(own)} and found.consistent


def test_what_a_rule_remembers_is_memory_and_what_carries_an_error_is_feedback():
    remembered = of_planted(planted.Momentum)
    assert "memory" in remembered.layers["linear1"] and "learned feedback" not in remembered.layers["linear1"]
    learned = of_planted(planted.LearnsInState)
    assert "learned feedback" in learned.layers["linear1"] and "memory" not in learned.layers["linear1"]
    assert learned.properties["weight transport"] == "no"


def test_an_example_that_is_clipped_needs_no_other_and_a_batch_does():
    alone, together = (of_planted(kind, "categorical-cross-entropy") for kind in (planted.ClipsExamples, planted.ClipsBatch))
    assert not alone.anywhere("other examples", "second pass")
    assert all("other examples" in own for own in together.layers.values())
    assert all("weights above" in own for own in alone.layers.values())  # in the length, of all layers together


def test_predictions_alone_need_no_other_examples():
    rule, network, batch, _ = applied("local-error:kind=prediction", "mlp", "categorical-cross-entropy")
    found = needs(rule, network, batch, check=False)
    assert [set(own) for own in found.layers.values()] == [LOCALLY - {"other examples"}] * 2 + [LAST]
    assert found.properties["local in time"] == "yes"


def test_local_losses_wait_for_nothing():
    found = of_planted(planted.LocalReadouts, "categorical-cross-entropy")
    below = {"own input", "own preactivation", "fixed feedback", "target"}
    assert [set(own) for own in found.layers.values()] == [below, below, LAST]
    assert found.properties["update locking"] == "no"


def test_a_rule_is_taken_by_name_and_a_bad_batch_is_refused():
    network, batch = case("mlp", "squared-error")
    found = needs("fa", network, batch, check=False)
    assert found.rule == "feedback-alignment" and found.to_json()["properties"]["weight transport"] == "no"
    assert "fixed feedback above" in str(found)
    with pytest.raises(UserError, match="a batch is"):
        needs("fa", network, 3)


# Other networks


@pytest.mark.parametrize("name", ["backpropagation", "feedback-alignment", "direct-feedback-alignment"])
def test_normalization_and_dropout_are_passed(name):
    rule, network, batch, _ = applied(name, "noisy", "categorical-cross-entropy")
    found = needs(rule, network, batch, check=False)
    plain = needs(rule, *case("mlp", "categorical-cross-entropy"), check=False)
    assert found.layers["linear1"] == plain.layers["linear1"] | {"other examples"}  # the batch's mean and variance
    assert found.layers["linear2"] == plain.layers["linear2"]


@pytest.mark.parametrize("name", ["backpropagation", "direct-feedback-alignment"])
def test_convolution_and_pooling_are_passed(name):
    rule, network, batch, _ = applied(name, "lenet", "categorical-cross-entropy")
    found = needs(rule, network, batch)
    lowest, _, last = TABLE[name]
    assert found.consistent
    assert [set(own) for own in found.layers.values()] == [lowest, lowest, lowest, TABLE[name][1], last]


class Convolutions(eqx.Module):
    """A model as a user of Equinox writes it."""

    first: eqx.nn.Conv2d
    second: eqx.nn.Conv2d
    head: eqx.nn.Linear

    def __init__(self):
        keys = jr.split(jr.key(0), 3)
        self.first = eqx.nn.Conv2d(1, 2, 3, padding=1, key=keys[0])
        self.second = eqx.nn.Conv2d(2, 3, 3, stride=2, key=keys[1])
        self.head = eqx.nn.Linear(12, 3, key=keys[2])

    def __call__(self, x):
        return self.head(jax.nn.relu(self.second(jax.nn.relu(self.first(x)))).ravel())


@pytest.mark.parametrize("name", ["backpropagation", "feedback-alignment"])
def test_convolutions_of_a_user_s_model_are_read_as_accelerators_have_them(name, monkeypatch):
    """As the convolutions that they are; on a CPU they become products of slices."""
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    network = networks.Network([networks.from_model(Convolutions(), shape=(6, 6, 1))]).located((6, 6, 1))
    batch = jr.normal(jr.key(1), (5, 6, 6, 1)), jr.randint(jr.key(2), (5,), 0, 3)
    found = needs(name, network, batch, check=name == "backpropagation")
    assert found.consistent and list(found.layers) == ["first", "second", "head"]
    assert [set(own) for own in found.layers.values()] == list(TABLE[name])
    rule, loss = rules.get(name), losses.get("categorical-cross-entropy")
    told = rules.Batch(*batch, loss)
    step = lambda network: rule(network, rule.init(network, told, key=jr.key(0)), told, key=jr.key(0)).gradients
    assert "conv_general_dilated" in str(jax.make_jaxpr(step)(network))


def test_a_model_of_one_s_own_is_read_inside_its_loops():
    """Three equal layers in one loop, whose weight is one array: an error passes through it in the steps below its own."""

    def apply(parameters, x):
        h = jnp.tanh(x @ parameters["first"])
        return jax.lax.scan(lambda h, w: (jax.nn.relu(h @ w), None), h, parameters["blocks"])[0] @ parameters["head"]

    keys = jr.split(jr.key(0), 3)
    shapes = {"first": (4, 6), "blocks": (3, 6, 6), "head": (6, 3)}
    parameters = {name: jr.normal(key, shape) for key, (name, shape) in zip(keys, shapes.items(), strict=True)}
    network = networks.Network([networks.from_function(apply, parameters, shape=(4,))])
    batch = jr.normal(jr.key(1), (5, 4)), jr.randint(jr.key(2), (5,), 0, 3)
    exact, aligned = (needs(name, network, batch) for name in ("backpropagation", "feedback-alignment"))
    assert exact.consistent and aligned.consistent
    assert list(exact.layers) == ["first", "blocks", "head"]
    assert exact.layers["blocks"] == {*TABLE["backpropagation"][1], "own weights"}
    assert exact.layers["head"] == LAST
    assert not aligned.anywhere("own weights", "weights above", "second pass", "other examples")


def test_recurrent_weights_are_read_where_an_error_comes_back_through_time():
    network = networks.gru((5, 2), 3, units=4, key=jr.key(0))
    batch = jr.normal(jr.key(1), (5, 5, 2)), jr.randint(jr.key(2), (5,), 0, 3)
    exact = needs("backpropagation", network, batch)
    assert exact.consistent and exact.backwards
    assert exact.layers["gru1/hidden"] == {*TABLE["backpropagation"][0], "own weights"}
    assert exact.layers["gru1/input"] == TABLE["backpropagation"][0]
    assert exact.properties["local in time"] == "no"
    aligned = needs("feedback-alignment", network, batch, check=False)
    assert not aligned.anywhere("own weights", "weights above", "second pass")


def test_sites_inside_layers_are_told_apart():
    network = networks.vit((8, 8, 1), 3, depth=1, width=8, patch=4, heads=2, key=jr.key(0))
    batch = jr.normal(jr.key(1), (5, 8, 8, 1)), jr.randint(jr.key(2), (5,), 0, 3)
    for name, transport in (("backpropagation", "yes"), ("feedback-alignment", "no"), ("direct-feedback-alignment", "no")):
        found = needs(name, network, batch, check=False)
        assert list(found.layers) == list(network.located((8, 8, 1)).synaptic)
        assert found.properties["weight transport"] == transport
        assert not found.anywhere("second pass", "other examples", "target", "memory")
    assert found.layers["block1/up"] == {*OWN, "fixed feedback"}


def test_equal_layers_that_are_stored_as_one_are_told_apart():
    network = networks.mlp([3, *[4] * 10, 2], key=jr.key(0))
    batch = jr.normal(jr.key(1), (5, 3)), jr.normal(jr.key(2), (5, 2))
    found = needs("backpropagation", network, batch, check=False)
    assert list(found.layers.values()) == [frozenset(TABLE["backpropagation"][0])] * 9 + [
        frozenset(own) for own in TABLE["backpropagation"][1:]
    ]


# The chain


@pytest.mark.parametrize(
    ("name", "lengths"),
    [
        ("backpropagation", {4: 4, 8: 8, 16: 16}),  # Wᵀδ for all layers but the lowest, and δ hᵀ
        ("feedback-alignment", {4: 4, 8: 8, 16: 16}),
        ("direct-feedback-alignment", {4: 2, 8: 2, 16: 2}),  # B e and δ hᵀ
        ("forward-pass", {4: 1, 8: 1, 16: 1}),  # c_n postᵀ pre
        ("finite-differences", {4: 0, 8: 0, 16: 0}),  # its passes do not wait for one another
        ("weight-perturbation", {4: 0, 8: 0, 16: 0}),
        ("node-perturbation", {4: 1, 8: 1, 16: 1}),  # δ hᵀ
    ],
)
def test_as_many_products_follow_one_another_as_a_rule_sends_its_error_through(name, lengths):
    make = lambda depth: networks.mlp([3, *[4] * (depth - 1), 1], bias=name != "forward-pass", key=jr.key(0))
    batch = jr.normal(jr.key(1), (5, 3)), jr.randint(jr.key(2), (5,), 0, 2)
    assert chain(name, make, batch) == lengths


def test_a_second_pass_is_a_chain_of_its_own():
    make = lambda depth: networks.mlp([3, *[4] * (depth - 1), 1], key=jr.key(0))
    batch = jr.normal(jr.key(1), (5, 3)), jr.normal(jr.key(2), (5, 1))
    assert chain(planted.ModulatesError(), make, batch, (2, 5)) == {
        2: 3,
        5: 6,
    }  # F e, all but the last layer, and the outer product


# Rules put together by chance


def agrees(seed):
    network, batch = networks.mlp([3, 4, 5, 4, 2], activation="tanh", key=jr.key(seed)), None
    batch = jr.normal(jr.key(1), (6, 3)), jr.randint(jr.key(2), (6,), 0, 2)
    parts = composed.draw(seed, 4)
    found = needs(composed.Composed(parts), network, batch)
    assert [set(own) for own in found.layers.values()] == composed.expected(parts), parts
    assert found.consistent, (parts, found.checked)


@pytest.mark.parametrize("seed", range(6))
def test_rules_put_together_by_chance_need_what_they_are_made_of(seed):
    agrees(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6, 100, 10))
def test_numbers_never_contradict_the_program_of_a_hundred_rules_put_together_by_chance(seed):
    for one in range(seed, min(seed + 10, 100)):
        agrees(one)
