"""The constructed network keeps its certificate, everywhere and in every order of adding, and says where it cannot."""

import itertools
import math

import numpy as np
import pytest

from ascribe.autodiff.approximation import (
    SIGMOIDS,
    Approximation,
    Sigmoid,
    approximate,
    heaviside,
    piece,
    pieces_needed,
)
from ascribe.errors import UserError

from ..later import Later

special = Later("scipy.special")

WAVES = [(0.5**k, 3.0**k * math.pi) for k in range(6)]


def weierstrass(x):
    """Σ_k 2^-k cos(3^k π x), with the Lipschitz constant Σ_k (3/2)^k π."""
    return sum(height * np.cos(frequency * x) for height, frequency in WAVES)


CERTIFIED = {
    "sin": (np.sin, (0.0, 2 * math.pi), 0.01, {"lipschitz": 1.0}),
    "sin finely": (np.sin, (0.0, 1.0), 5e-6, {"lipschitz": 1.0}),
    "absolute": (np.abs, (-1.0, 2.0), 0.003, {"lipschitz": 1.0}),
    "square root": (np.sqrt, (0.0, 1.0), 0.01, {"modulus": np.sqrt}),
    "square root, rising to the right": (lambda x: np.sqrt(3.0 - x), (2.0, 3.0), 0.02, {"modulus": math.sqrt}),
    "steep": (lambda x: np.tanh(50 * x), (-1.0, 1.0), 0.01, {"lipschitz": 50.0}),
    "many waves": (weierstrass, (-0.7, 1.1), 0.05, {"lipschitz": sum(a * b for a, b in WAVES)}),
    "one piece": (np.cos, (0.0, 0.1), 0.5, {"lipschitz": 1.0}),
    "far from 0": (np.sin, (1e5, 1e5 + 3), 0.01, {"lipschitz": 1.0}),
    "wide": (lambda x: np.sin(x / 1e200), (-3e200, 4e200), 0.01, {"lipschitz": 1e-200}),
    "narrow": (lambda x: np.sin(x * 1e200), (-3e-200, 4e-200), 0.01, {"lipschitz": 1e200}),
    "large values": (lambda x: 1e9 + np.sin(x), (0.0, 1.0), 1e-3, {"lipschitz": 1.0}),
    "huge values": (lambda x: 1e307 * np.sin(x), (0.0, 3.0), 1e305, {"lipschitz": 1e307}),
    "one number at a time": (math.sin, (0.0, 3.0), 0.01, {"lipschitz": 1.0}),
    "constant": (lambda x: 2.5, (0.0, 3.0), 1e-9, {"lipschitz": 0.0}),
    "whole numbers": (lambda x: 3, (0, 3), 1, {"lipschitz": 0}),
    "single precision": (lambda x: np.cos(np.float32(x)), (0.0, 3.0), 0.02, {"lipschitz": 1.0}),
}


def probes(g, count=100_000):
    """Random points of the interval, its ends, the middles of pieces, and both sides of every step at many distances."""
    a, b = g.interval
    steps, w = g.steps, g.hidden_weights[0]
    z = np.array([0.0, 1e-6, 0.1, 0.5, 1.0, 2.0, 5.0, 20.0, 38.0, 40.0, 41.0, 100.0, 1000.0])
    near = (steps[:, None] + np.concatenate([-z, z]) / w).ravel()
    middles = a + (b - a) / g.hidden * (np.arange(g.hidden) + 0.5)
    beside = np.concatenate([np.nextafter(steps, -np.inf), np.nextafter(steps, np.inf)])
    everywhere = np.random.default_rng(0).uniform(a, b, count)
    x = np.concatenate([everywhere, [a, b, np.nextafter(a, b), np.nextafter(b, a)], near, beside, middles])
    return x[(x >= a) & (x <= b)]


def values(f, x):
    return np.array([f(v) for v in x.tolist()], float)


@pytest.mark.parametrize("name", list(CERTIFIED))
def test_the_certificate_holds_everywhere(name):
    f, interval, epsilon, bound = CERTIFIED[name]
    g = approximate(f, interval, epsilon, **bound)
    assert g.certified
    assert g.error_bound < epsilon
    x = probes(g)
    exact = values(f, x) if name in ("one number at a time", "constant", "whole numbers") else f(x)
    assert np.abs(g(x) - exact).max() < g.error_bound


@pytest.mark.parametrize("name", ["sin", "absolute", "square root", "many waves", "one piece", "large values"])
def test_it_is_the_sum_of_all_hidden_units_in_any_order(name):
    """Against the plain sum of the theorem, in a random order: it is one network, and the bound counts the rounding of all."""
    f, interval, epsilon, bound = CERTIFIED[name]
    g = approximate(f, interval, epsilon, **bound)
    x = np.random.default_rng(1).choice(probes(g), 300)
    x = np.concatenate([x, interval, [interval[0] - 10, interval[1] + 10]])
    order = np.random.default_rng(2).permutation(g.hidden)
    w, theta, alpha = g.hidden_weights[order], g.hidden_biases[order], g.output_weights[order]
    terms = alpha * special.expit(w * x[:, None] + theta)
    scale = np.abs(alpha).sum()
    np.testing.assert_allclose(g(x), terms.astype(np.longdouble).sum(1), rtol=0, atol=1e-14 * scale)
    inside = (x >= interval[0]) & (x <= interval[1])
    one_by_one = np.cumsum(terms, axis=1)[:, -1]
    assert np.abs(one_by_one[inside] - f(x[inside])).max() < g.error_bound


def test_it_is_the_sum_of_pieces_of_the_proof():
    """G = Σ_j f(c_j) (H(x; t_j) − H(x; t_{j+1})) in the middle of each piece, and 1 step for each piece, not 2."""
    g = approximate(np.exp, (0.0, 1.0), 0.1, lipschitz=math.e)
    n = g.hidden
    middles = (np.arange(n) + 0.5) / n
    np.testing.assert_allclose(g(middles), np.exp(middles), rtol=1e-14)
    np.testing.assert_allclose(np.cumsum(g.output_weights), np.exp(middles), rtol=1e-14)
    np.testing.assert_allclose(g.steps, [-1 / n, *np.arange(1, n) / n], rtol=1e-14)
    np.testing.assert_allclose(g(g.steps[1:]), (np.exp(middles[1:]) + np.exp(middles[:-1])) / 2, rtol=1e-10)
    np.testing.assert_allclose(g.hidden_weights, 1e4 * n, rtol=1e-14)
    assert g(-100.0) == 0
    assert g(100.0) == g(middles[-1])


SIGMA = {
    "logistic": lambda z: 0.5 * (1 + np.tanh(z / 2)),
    "tanh": lambda z: (1 + np.tanh(z)) / 2,
    "arctan": lambda z: 0.5 + np.arctan(z) / np.pi,
    "mine": lambda z: np.clip(0.5 + z + 0.3 * np.sin(np.pi * z), 0.0, 1.0),  # rises and falls on its way
}
MINE = Sigmoid("mine", SIGMA["mine"], 2.0, 0.0)


@pytest.mark.parametrize("sigmoid", SIGMA)
def test_any_sigmoid_keeps_its_certificate(sigmoid):
    """Shortened and as the plain sum of the theorem, whose far terms arctan does not round away."""
    g = approximate(np.cos, (0.0, 3.0), 0.02, lipschitz=1.0, sigmoid=MINE if sigmoid == "mine" else sigmoid)
    assert g.certified and g.error_bound < 0.02
    assert g.hidden == pieces_needed(0.02, (0.0, 3.0), lipschitz=1.0)
    x = probes(g, 5000)
    assert np.abs(g(x) - np.cos(x)).max() < g.error_bound
    x = np.random.default_rng(1).choice(x, 500)
    plain = SIGMA[sigmoid](g.hidden_weights * x[:, None] + g.hidden_biases) @ g.output_weights
    np.testing.assert_allclose(g(x), plain, rtol=0, atol=1e-11)
    assert np.abs(plain - np.cos(x)).max() < g.error_bound


@pytest.mark.parametrize("name", SIGMOIDS)
def test_a_sigmoid_is_within_its_tail_of_its_limits(name):
    one = SIGMOIDS[name]
    z = one.distance * np.array([1.0, 1.5, 10.0, 1e3])
    np.testing.assert_allclose(one.function(np.array([-1.3, 0.0, 0.7])), SIGMA[name](np.array([-1.3, 0.0, 0.7])), rtol=1e-14)
    assert np.all(one.function(-z) <= one.tail * (1 + 1e-3)) and np.all(1 - one.function(z) <= one.tail * (1 + 1e-3))
    assert one.function(-0.9 * z[:1]) > one.tail or name == "tanh"  # 1 + tanh rounds to 0 there


def test_the_steps_of_the_proof_are_limits():
    """H(x; b) away from b, to the tail of σ; P is 1 on its piece and 0 outside."""
    x = np.array([-1.0, 0.2, 0.3, 0.31, 0.7, 2.0])
    for name, one in SIGMOIDS.items():
        np.testing.assert_array_equal(heaviside(x, 0.3, sigmoid=name), [0, 0, 0.5, 1, 1, 1])
        np.testing.assert_array_equal(piece(x, 0.3, 0.4, sigmoid=name), [0, 0, 0.5, 1, 0.5, 0])
        np.testing.assert_allclose(heaviside(x, 0.3, 7.0, name), SIGMA[name](7.0 * (x - 0.3)), rtol=1e-12)
        at = np.array([0.2, 0.4])
        assert np.abs(heaviside(at, 0.3, 11.0 * one.distance, name) - [0, 1]).max() <= 2 * one.tail
    apart = [float(np.abs(heaviside(0.4, 0.3, w) - 1.0)) for w in (1.0, 10.0, 100.0)]
    np.testing.assert_allclose(apart, special.expit([-0.1, -1.0, -10.0]), rtol=1e-10)
    assert heaviside(0.31, 0.3) == 1.0 and isinstance(heaviside(0.31, 0.3), float)


@pytest.mark.parametrize(
    ("sigmoid", "sentence"),
    [
        ("relu", "`sigmoid` is one of logistic, tanh, arctan, or a Sigmoid of your own; got 'relu'."),
        (np.tanh, "`sigmoid` is one of logistic"),
        (Sigmoid("tanh alone", np.tanh, 20.0, 1e-9), "the sigmoid 'tanh alone' stays between 0 and 1"),
        (Sigmoid("near", special.expit, 4.0, 1e-3), "within 0.001 of these beyond ±4; this one does not"),
        (
            Sigmoid("near", special.expit, 0.0, 1e-3),
            "a Sigmoid has a distance above 0 and a tail from 0 to below 0.5; got 0.0",
        ),
        (Sigmoid("words", lambda z: "one", 1.0, 0.1), "words returns one real number for each number"),
    ],
)
def test_what_is_no_sigmoid_is_told(sigmoid, sentence):
    with pytest.raises(UserError) as caught:
        approximate(np.sin, (0, 1), 0.1, lipschitz=1, sigmoid=sigmoid)
    assert sentence in str(caught.value)


def test_the_tail_of_a_sigmoid_can_be_too_much():
    slow = Sigmoid("slow", lambda z: 0.5 + np.arctan(z) / np.pi, 10.0, 0.04)
    with pytest.raises(UserError, match="the tail of this σ and rounding alone may cost"):
        approximate(np.sin, (0, 1), 0.01, lipschitz=1, sigmoid=slow)


def test_the_bound_is_nearly_reached():
    """The error of |x| at the end of a piece is h/2, and the bound 0.505 h."""
    g = approximate(np.abs, (0.0, 1.0), 0.01, lipschitz=1.0)
    assert np.abs(g(1.0) - 1.0) > 0.98 * g.error_bound


@pytest.mark.parametrize(("epsilon", "lipschitz", "width"), [(0.1, 1.0, 1.0), (1e-4, 3.0, 2.5), (1e-7, 0.3, 10.0)])
def test_pieces_for_a_lipschitz_constant(epsilon, lipschitz, width):
    n = pieces_needed(epsilon, (1.0, 1.0 + width), lipschitz=lipschitz)
    assert n == math.ceil(0.505 * lipschitz * width / (0.99 * epsilon))
    assert abs(2 * n - pieces_needed(epsilon / 2, (1.0, 1.0 + width), lipschitz=lipschitz)) <= 1


def test_pieces_for_a_modulus():
    """ω = δ^½ takes N ~ 1/ε²."""
    for epsilon in (0.3, 0.02, 1e-3):
        assert pieces_needed(epsilon, (0, 2), modulus=np.sqrt) == math.ceil(0.505 * 2 / (0.99 * epsilon) ** 2)
        assert pieces_needed(epsilon, (0, 2), modulus=math.sqrt) == pieces_needed(epsilon, (0, 2), modulus=np.sqrt)


def test_twice_the_epsilon_takes_half_the_units():
    counts = [approximate(np.sin, (0.0, 3.0), epsilon, lipschitz=1.0).hidden for epsilon in (0.001, 0.002, 0.004, 0.008)]
    for more, fewer in itertools.pairwise(counts):
        assert abs(more - 2 * fewer) <= 1
    assert counts[0] == pieces_needed(0.001, (0.0, 3.0), lipschitz=1.0)


def test_the_plain_modulus_and_the_lipschitz_constant_are_one():
    a = approximate(np.sin, (0.0, 3.0), 0.01, lipschitz=2.0)
    b = approximate(np.sin, (0.0, 3.0), 0.01, modulus=lambda d: 2.0 * d)
    np.testing.assert_array_equal(a.output_weights, b.output_weights)
    assert a.error_bound == b.error_bound


@pytest.mark.parametrize(
    ("f", "interval"),
    [
        (np.sin, (0.0, 6.0)),
        (np.sqrt, (0.0, 1.0)),
        (lambda x: np.tanh(50 * x), (-1.0, 1.3)),
        (lambda x: np.sin(64 * math.pi * x), (0.0, 1.0)),
        (lambda x: math.sin(x) if x > 1 else math.sin(1), (0.0, 3.0)),
    ],
    ids=["sin", "square root", "steep", "periods that a regular grid misses", "one number at a time"],
)
def test_without_a_modulus_it_is_estimated(f, interval):
    g = approximate(f, interval, 0.03)
    assert not g.certified
    assert g.error_bound <= 0.03
    x = probes(g, 5000)
    error = np.abs(g(x) - values(f, x)).max()
    assert error < 0.03
    assert error > 0.03 / 4  # and so with at most 4 times the units that it takes


def test_a_constant_takes_one_unit():
    assert approximate(lambda x: -4.0, (0.0, 1.0), 0.1).hidden == 1


@pytest.mark.parametrize("place", [0.0, 0.25, 1 / 3, math.pi / 10, 0.5 + 1e-9])
def test_a_jump_is_noticed_or_not_certified(place):
    jump = lambda x: np.where(x < place, 0.0, 1.0)
    with pytest.raises(UserError, match=r"more hidden units than the limit of 5,000, where .*; if f jumps there"):
        approximate(jump, (-1.0, 1.0), 0.2, limit=5000)
    assert not approximate(jump, (-1.0, 1.0), 1.5).certified
    with pytest.raises(UserError, match="contradicts"):
        approximate(jump, (-1.0, 1.0), 0.2, lipschitz=1.0)


def test_a_jump_beside_a_step_is_noticed():
    """At w (x − t) = 1.5 from the step at 0 of two pieces, where G is 0.82: samples at the step alone have the error 0.5."""
    with pytest.raises(UserError, match="if f jumps there"):
        approximate(lambda x: np.where(x < 1.5e-4, 0.0, 1.0), (-1.0, 1.0), 0.6, limit=2)


def test_the_estimate_tries_the_limit_itself():
    needed = approximate(np.sin, (0.0, 6.0), 0.03).hidden
    assert approximate(np.sin, (0.0, 6.0), 0.03, limit=needed - 1).hidden == needed - 1


@pytest.mark.parametrize("lipschitz", [0.0, 1.0, 20.0, 49.0])
def test_a_lipschitz_constant_that_is_too_small_is_noticed(lipschitz):
    with pytest.raises(UserError, match=r"contradicts .* it changes by 0\.\d+, a slope of (49|50)\.\d+, where at most"):
        approximate(lambda x: np.tanh(50 * x), (-1.0, 1.0), 0.01, lipschitz=lipschitz)


def test_a_modulus_that_is_too_small_is_noticed():
    with pytest.raises(UserError, match="contradicts the given lipschitz or modulus: between x = 0 and"):
        approximate(np.sqrt, (0.0, 1.0), 0.01, modulus=lambda d: 0.9 * d**0.5)


def test_shapes_and_numbers():
    g = approximate(np.sin, (0, 3), 0.1, lipschitz=1)
    x = np.linspace(0, 3, 12)
    assert g(x.reshape(3, 4)).tolist() == g(x).reshape(3, 4).tolist()
    assert g(x.tolist()).tolist() == [g(float(v)) for v in x]
    assert isinstance(g(1), float)
    assert g(np.empty((0, 2))).shape == (0, 2)
    assert np.isnan(g(math.nan))
    assert g(-math.inf) == 0
    assert g(math.inf) == g(3)
    assert g(1e308) == g(3)


def test_the_arrays():
    g = approximate(np.sin, (0, 3), 0.1, lipschitz=1)
    for array in (g.hidden_weights, g.hidden_biases, g.output_weights):
        assert array.dtype == np.float64
        assert array.shape == (g.hidden,)
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1.0


def test_a_function_that_changes_its_argument_harms_nothing():
    def f(x):
        x *= 2
        return x

    g = approximate(f, (0.0, 1.0), 0.01, lipschitz=2.0)
    x = probes(g, 1000)
    assert np.abs(g(x) - 2 * x).max() < g.error_bound


def test_rounding_takes_more_units_before_it_refuses():
    """With values near 1e9, an ε of 1e-3 leaves half of it to rounding."""
    assert approximate(lambda x: 1e9 + np.sin(x), (0.0, 1.0), 1e-3, lipschitz=1.0).hidden == math.ceil(505 / 0.5)


def test_it_says_what_it_is():
    g = approximate(np.sin, (0, 3), 0.01, lipschitz=1)
    text = f"sigmoid network with 154 hidden units: |G − f| ≤ {g.error_bound:.6g} on [0, 3], certified"
    assert str(g) == text
    assert str(approximate(np.sin, (0, 3), 0.01)).endswith("estimated from samples")
    assert str(approximate(np.sin, (0, 3), 2)).startswith("sigmoid network with one hidden unit: ")
    assert isinstance(g, Approximation)


REFUSED = {
    "the limit": (
        (np.sin, (0, 6), 1e-4),
        {"lipschitz": 1, "limit": 1000},
        r"takes 30,607 hidden units, more than the limit of 1,000: raise limit, take ε above 0\.003061,",
    ),
    "the limit of the estimate": (
        (np.sin, (0, 6), 1e-4),
        {"limit": 1000},
        r"more hidden units than the limit of 1,000, where the error is still 0\.00\d+ at x = \d\S*: raise limit",
    ),
    "rounding": (
        (lambda x: 1e12 + np.sin(x), (0, 1), 1e-3),
        {"lipschitz": 1},
        r"cannot be certified: rounding alone may cost .* subtract a constant",
    ),
    "very large values": ((lambda x: 1e308 * np.sin(x), (-2, 2), 0.1), {"lipschitz": 1e308}, "no number of pieces"),
    "steps that float64 cannot tell apart": (
        (np.sin, (1e12, 1e12 + 1), 0.01),
        {"lipschitz": 1},
        r"numbers near 1e\+12 cannot hold 52 steps 0\.019 apart .* near 0",
    ),
    "no steps in the smallest numbers": ((lambda x: 0 * x, (0, 1e-310), 0.01), {"lipschitz": 0}, "cannot hold 1 steps"),
    "infinite": (
        (lambda x: 1 / x, (-1, 1), 0.1),
        {},
        r"f\(0\.0\) is inf, but every value has to be finite: leave that point out",
    ),
    "not a number": (
        (np.sqrt, (-1, 1), 0.1),
        {"lipschitz": 1},
        r"f\(-0\.9\d+\) is nan, but every value has to be finite",
    ),
    "fails": (
        (math.log, (-1, 1), 0.1),
        {},
        r"failed with both; at 0\.0 with ValueError: (math domain|expected a positive)",
    ),
    "another shape": (
        (lambda x: [x, x], (-1, 1), 0.1),
        {},
        r"one real number for each .* at 0\.0 it returned an array of",
    ),
    "complex": ((lambda x: 1j * x, (-1, 1), 0.1), {}, "one real number for each number; at 0.0 it returned 0j"),
    "words": ((lambda x: "one", (-1, 1), 0.1), {}, "it returned 'one'"),
    "nothing": ((lambda x: None, (-1, 1), 0.1), {}, "it returned None"),
    "two bounds": ((np.sin, (0, 1), 0.1), {"lipschitz": 1, "modulus": np.sqrt}, "one of the two, lipschitz or modulus"),
    "a negative constant": (
        (np.sin, (0, 1), 0.1),
        {"lipschitz": -1},
        "`lipschitz` is a finite number that is not negative; got -1",
    ),
    "an infinite constant": ((np.sin, (0, 1), 0.1), {"lipschitz": math.inf}, "`lipschitz` is a finite number"),
    "a constant in words": ((np.sin, (0, 1), 0.1), {"lipschitz": "one"}, "`lipschitz` is a finite number.*'one'"),
    "a falling modulus": ((np.sin, (0, 1), 0.1), {"modulus": lambda d: 1 / (1 + d)}, "never falls as δ grows"),
    "a negative modulus": ((np.sin, (0, 1), 0.1), {"modulus": lambda d: d - 1}, "modulus is at least 0"),
    "a modulus that is not finite": (
        (np.sin, (0, 1), 0.1),
        {"modulus": lambda d: d / 0},
        r"modulus\(0\.505\) is inf, but",
    ),
    "a modulus that does not go to 0": (
        (np.sin, (0, 1), 0.1),
        {"modulus": lambda d: 1 + d},
        "no number of pieces is enough",
    ),
    "ε out of all reach": ((np.sin, (0, 1), 1e-30), {"lipschitz": 1}, "no number of pieces is enough for ε = 1e-30"),
    "limit 0": ((np.sin, (0, 1), 0.1), {"limit": 0}, "`limit` is a positive integer; got 0"),
}
for _interval in (
    (1, 0),
    (1, 1),
    (0, math.inf),
    (math.nan, 1),
    (-1e308, 1e308),
    (0, 1, 2),
    3,
    ("a", "b"),
    None,
    (0, None),
):
    REFUSED[f"interval {_interval}"] = (
        (np.sin, _interval, 0.1),
        {},
        r"the interval is two finite numbers \(a, b\) with a < b",
    )
for _epsilon in (0, -0.1, math.nan, math.inf, "small", None):
    REFUSED[f"ε {_epsilon}"] = (
        (np.sin, (0, 1), _epsilon),
        {"lipschitz": 1},
        "`epsilon` is a positive number; got",
    )


@pytest.mark.parametrize("name", list(REFUSED))
def test_it_refuses_in_one_sentence(name):
    arguments, options, sentence = REFUSED[name]
    with pytest.raises(UserError, match=sentence) as caught:
        approximate(*arguments, **options)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_the_epsilon_that_a_limit_allows_is_named():
    with pytest.raises(UserError, match=r"take ε above (\S+),") as caught:
        approximate(np.sqrt, (0, 1), 0.001, modulus=np.sqrt, limit=300)
    epsilon = float(str(caught.value).split("take ε above ")[1].split(",")[0])
    assert approximate(np.sqrt, (0, 1), 1.001 * epsilon, modulus=np.sqrt, limit=300).hidden <= 300


def test_pieces_needed_wants_a_bound():
    with pytest.raises(UserError, match="give one of the two"):
        pieces_needed(0.1, (0, 1))
    with pytest.raises(UserError, match="modulus is a function"):
        pieces_needed(0.1, (0, 1), modulus="root")
