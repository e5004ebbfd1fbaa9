"""A network of LIF neurons from event to event, in NumPy: what a stepped simulation has to equal.

Between two events every v and s is a closed form, and v' changes its sign once at most: v rises and falls in two pieces at
most, and what crosses 1 in one of them is found by Brent's method.
"""

from itertools import pairwise

import numpy as np


def growth(h, rate):
    """∫₀^h e^{rate u} du."""
    return h if rate == 0 else np.expm1(h * rate) / rate


def rise(h, tau_m, tau_s):
    """∫₀^h e^{−(h−u)/τ_m} e^{−u/τ_s} du / τ_m."""
    return growth(h, 1.0 / tau_m - 1.0 / tau_s) * np.exp(-h / tau_m) / tau_m


def after(v, s, b, h, tau_m, tau_s):
    return b + (v - b) * np.exp(-h / tau_m) + s * rise(h, tau_m, tau_s)


def first_crossing(v, s, b, end, tau_m=0.02, tau_s=0.005):
    """When v reaches 1, in seconds from now to `end`; infinite where it does not."""
    from scipy.optimize import brentq

    above = lambda h: after(v, s, b, h, tau_m, tau_s) - 1.0
    # e^{h/τ_m} τ_m v': what is left where v and its limit agree to the last digit
    slope = lambda h: s + b - v - s / tau_s * growth(h, 1.0 / tau_m - 1.0 / tau_s)
    far = min(end, 600.0 / max(1.0 / tau_m, 1.0 / tau_s))
    turn = [brentq(slope, 0.0, far, xtol=1e-18)] if slope(0.0) * slope(far) < 0 else []
    for low, high in pairwise([0.0, *turn, end]):
        if above(low) < 0 <= above(high):
            return brentq(above, low, high, xtol=1e-18)
    return np.inf


def spikes(W, b, duration, tau_m=0.02, tau_ref=0.002, tau_s=0.005):
    """(time, neuron) of every spike. W: (post, pre); b: v_in of each neuron; from v = 0."""
    count = len(b)
    v, s, ready, now, found = np.zeros(count), np.zeros(count), np.zeros(count), 0.0, []

    def next_spike(i):
        wait = max(ready[i] - now, 0.0)
        left = duration - now - wait
        heard = s[i] * np.exp(-wait / tau_s)
        return now + wait + first_crossing(v[i], heard, b[i], left, tau_m, tau_s) if left > 0 else np.inf

    due = np.array([next_spike(i) for i in range(count)])
    while (sender := int(np.argmin(due))) >= 0 and due[sender] <= duration:
        passed = due[sender] - now
        wait = np.clip(ready - now, 0.0, passed)
        v = after(v, s * np.exp(-wait / tau_s), b, passed - wait, tau_m, tau_s)
        s, now = s * np.exp(-passed / tau_s), due[sender]
        found.append((now, sender))
        v[sender], ready[sender] = 0.0, now + tau_ref
        s += W[:, sender] / tau_s
        for i in np.flatnonzero((W[:, sender] != 0) | (np.arange(count) == sender)):
            due[i] = next_spike(i)
    return found
