"""Networks of one hidden layer for several inputs: their certificate, the waves in them, and how many units they take."""

import itertools
import math

import numpy as np
import pytest

from ascribe.autodiff import Sigmoid, approximate_cube
from ascribe.autodiff import several_inputs as module
from ascribe.errors import UserError

from ..later import Later

special = Later("scipy.special")

CASES = {
    "one input": (lambda x: np.sin(2 * np.pi * x[:, 0]) / 2, 1, 0.05, math.pi),
    "a hill": (lambda x: np.exp(-4 * ((x - [0.4, 0.7]) ** 2).sum(1)), 2, 0.2, 1.72),
    "a ridge": (lambda x: np.abs(x[:, 0] - x[:, 1]), 2, 0.1, 1.0),
    "three inputs": (lambda x: x[:, 0] * x[:, 1] - x[:, 2] / 2, 3, 0.8, 1.0),
    "one of two inputs": (lambda x: x[:, 1], 2, 0.1, 1.0),
    "constant": (lambda x: np.full(len(x), -3.0), 2, 1e-6, 0.0),
    "whole numbers": (lambda x: np.zeros(len(x), int), 2, 0.1, 0),
}


def points(n, count=3000):
    """Random ones, and the corners, where a continued function has its kinks."""
    corners = np.array(list(itertools.product((0.0, 1.0), repeat=n)))
    return np.concatenate([np.random.default_rng(0).uniform(size=(count, n)), corners])


@pytest.mark.parametrize("name", CASES)
def test_the_certificate_holds(name):
    f, n, epsilon, lipschitz = CASES[name]
    g = approximate_cube(f, n, epsilon, lipschitz=lipschitz)
    assert g.error_bound < epsilon
    x = points(n)
    assert np.abs(g(x) - f(x)).max() <= g.error_bound
    assert f"of {n} inputs with {g.hidden:,} hidden units" in str(g) or n == 1


@pytest.mark.parametrize("sigmoid", ["logistic", "tanh", "arctan"])
def test_it_is_one_hidden_layer(sigmoid):
    """The plain sum Σ α σ(w · x + θ) of the theorem."""
    f, n, _, lipschitz = CASES["a hill"]
    g = approximate_cube(f, n, 0.3, lipschitz=lipschitz, sigmoid=sigmoid)
    sigma = {
        "logistic": special.expit,
        "tanh": lambda z: (1 + np.tanh(z)) / 2,
        "arctan": lambda z: 0.5 + np.arctan(z) / np.pi,
    }[sigmoid]
    assert g.hidden_weights.shape == (g.hidden, 2)
    x = points(2, 200)
    plain = sigma(x @ g.hidden_weights.T + g.hidden_biases) @ g.output_weights
    np.testing.assert_allclose(g(x), plain, rtol=0, atol=1e-7)
    np.testing.assert_allclose(g(x.reshape(2, -1, 2)), g(x).reshape(2, -1), rtol=1e-14)


def test_the_kernel_is_positive_and_the_narrowest():
    """K ≥ 0, of mean 1, with ρ_1 = cos(π / (m + 2)), as in its closed form."""
    for degree in (0, 1, 5, 30):
        shares = module._shares(degree)
        k = np.arange(degree + 1)
        angle = math.pi / (degree + 2)
        closed = (degree - k + 3) * np.sin((k + 1) * angle) - (degree - k + 1) * np.sin((k - 1) * angle)
        np.testing.assert_allclose(shares, closed / (2 * (degree + 2) * np.sin(angle)), atol=1e-13)
        phi = np.linspace(-math.pi, math.pi, 4001)
        assert (1 + 2 * np.cos(phi[:, None] * k[1:]) @ shares[1:]).min() > -1e-12
    assert shares[1] == pytest.approx(math.cos(math.pi / 32))


def test_the_waves_are_the_smoothed_function():
    """Against the mean of f with the kernel's weights, written out, of a function of two inputs."""
    f = lambda x: np.exp(x[..., 0]) * np.abs(x[..., 1] - 0.3)
    degree = 4
    nodes = (np.arange(-degree - 1, degree + 1) + 0.5) / (degree + 1)  # in [-1, 1]: f of |x|
    shares = module._shares(degree)
    kernel = lambda d: 1 + 2 * sum(shares[k] * np.cos(k * math.pi * d) for k in range(1, degree + 1))
    values = module._samples(f, 2, degree + 1)
    heights = module._heights(values, shares)
    directions, amplitudes, left_out = module._waves(heights, 0.0)
    assert left_out == 0.0
    assert len(directions) == (degree + 1) ** 2 + degree**2
    for x in points(2, 5):
        weights = np.outer(kernel(x[0] - nodes), kernel(x[1] - nodes)) / len(nodes) ** 2
        grid = np.stack(np.meshgrid(np.abs(nodes), np.abs(nodes), indexing="ij"), -1)
        np.testing.assert_allclose(weights.sum(), 1.0, rtol=1e-12)
        np.testing.assert_allclose(amplitudes @ np.cos(math.pi * directions @ x), (weights * f(grid)).sum(), rtol=1e-12)


def test_more_inputs_take_more_waves():
    """Without any left out, ((m + 1)^n and the signs): Σ over k of 2^(nonzero - 1)."""
    for n, degree in ((1, 3), (2, 3), (3, 2)):
        directions, _, _ = module._waves(np.ones([degree + 1] * n), 0.0)
        expected = sum(2 ** max(sum(k > 0 for k in ks) - 1, 0) for ks in itertools.product(range(degree + 1), repeat=n))
        assert len(directions) == expected
        assert len({tuple(k) for k in directions.tolist()} | {tuple(-k for k in ks) for ks in directions.tolist()}) == (
            2 * expected - 1
        )


def test_what_is_left_out_is_in_the_bound():
    heights = np.diag([1.0, 0.02, 0.01])
    directions, amplitudes, left_out = module._waves(heights, 0.0299)
    assert left_out == pytest.approx(0.01)
    assert directions.tolist() == [[0, 0], [1, 1], [1, -1]]
    assert amplitudes.tolist() == [1.0, 0.01, 0.01]


def test_every_part_of_the_error_is_in_the_bound():
    f, n, epsilon, lipschitz = CASES["a hill"]
    g = approximate_cube(f, n, epsilon, lipschitz=lipschitz)
    degree = math.ceil(lipschitz * n * math.pi / epsilon) - 2
    shares = module._shares(degree)
    _, _, left_out = module._waves(module._heights(module._samples(f, n, degree + 1), shares), 0.1 * epsilon)
    assert left_out > 0.09 * epsilon
    parts = lipschitz * n * math.sqrt((1 - shares[1]) / 2) + left_out + sum(wave.error_bound for wave in g.waves)
    assert parts == pytest.approx(g.error_bound, abs=1e-6)
    assert parts > 0.9 * epsilon


REFUSED = {
    "no inputs": ((lambda x: x[:, 0], 0, 0.1), {"lipschitz": 1}, "`inputs` is a positive integer"),
    "ε": ((lambda x: x[:, 0], 2, 0), {"lipschitz": 1}, "`epsilon` is a positive number"),
    "lipschitz": (
        (lambda x: x[:, 0], 2, 0.1),
        {"lipschitz": -1},
        "`lipschitz` is a finite number that is not negative; got -1",
    ),
    "limit": ((lambda x: x[:, 0], 2, 0.1), {"lipschitz": 1, "limit": 0}, "`limit` is a positive integer"),
    "too many inputs": (
        (lambda x: x[:, 0], 9, 0.1),
        {"lipschitz": 1},
        "takes too many waves, up to degree .* along each of 9 axes",
    ),
    "too many units": (
        (lambda x: x.sum(1), 2, 0.1),
        {"lipschitz": 1, "limit": 100},
        r"takes [\d,]+ hidden units in \d+ waves, more than the limit of 100:",
    ),
    "a false constant": (
        (lambda x: 3 * x[:, 1], 2, 0.5),
        {"lipschitz": 1},
        "along input 2 it changes by .* a slope of 3",
    ),
    "not finite": ((lambda x: 1 / (x[:, 0] - x[:, 1]), 2, 0.5), {"lipschitz": 1}, "f is not finite at"),
    "one number": ((lambda x: 1.0, 2, 0.5), {"lipschitz": 1}, "f returns one real number for each of"),
    "it fails": ((lambda x: x[:, 5], 2, 0.5), {"lipschitz": 1}, "failed with them: IndexError"),
    "large values": ((lambda x: 1e15 + x[:, 0], 1, 0.5), {"lipschitz": 1}, "cannot be certified: rounding"),
    "a sigmoid": ((lambda x: x[:, 0], 1, 0.5), {"lipschitz": 1, "sigmoid": "relu"}, "`sigmoid` is one of logistic"),
}


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize("name", REFUSED)
def test_it_refuses_in_one_sentence(name):
    arguments, options, sentence = REFUSED[name]
    with pytest.raises(UserError, match=sentence) as caught:
        approximate_cube(*arguments, **options)
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)


def test_points_have_as_many_numbers_as_there_are_inputs():
    g = approximate_cube(lambda x: x[:, 0], 2, 0.5, lipschitz=1.0)
    assert g.sigmoid.name == "logistic" and isinstance(g.sigmoid, Sigmoid)
    with pytest.raises(UserError, match=r"points are 2 numbers each, of the shape \(…, 2\); got \(3,\)"):
        g([0.1, 0.2, 0.3])
