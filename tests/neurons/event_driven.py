"""A network of LIF neurons from event to event, in NumPy: what a stepped simulation has to equal.

Between two events every v and s is a closed form. The next event is the earliest crossing of 1 by any v, found by bracketing on
a fine grid and Brent's method.
"""

import numpy as np


def spikes(W, b, duration, tau_m=0.02, tau_ref=0.002, tau_s=0.005):
    """(time, neuron) of every spike. W: (post, pre); b: v_in of each neuron; from v = 0."""
    from scipy.optimize import brentq

    count = len(b)
    v, s, ready, now, found = np.zeros(count), np.zeros(count), np.zeros(count), 0.0, []
    rate = 1.0 / tau_m - 1.0 / tau_s

    def rise(h):
        """∫₀^h e^{−(h−u)/τ_m} e^{−u/τ_s} du / τ_m."""
        return h / tau_m * np.exp(-h / tau_m) if rate == 0 else np.expm1(h * rate) / rate / tau_m * np.exp(-h / tau_m)

    def after(v, s, b, h):
        return b + (v - b) * np.exp(-h / tau_m) + s * rise(h)

    def next_spike(i):
        wait = max(ready[i] - now, 0.0)
        above = lambda h: after(v[i], s[i] * np.exp(-wait / tau_s), b[i], h) - 1.0
        grid = np.linspace(0.0, 0.15, 3001)
        up = np.flatnonzero((above(grid[:-1]) < 0) & (above(grid[1:]) >= 0))
        return now + wait + brentq(above, grid[up[0]], grid[up[0] + 1], xtol=1e-16) if len(up) else np.inf

    due = np.array([next_spike(i) for i in range(count)])
    while (sender := int(np.argmin(due))) >= 0 and due[sender] <= duration:
        passed = due[sender] - now
        wait = np.clip(ready - now, 0.0, passed)
        v = after(v, s * np.exp(-wait / tau_s), b, passed - wait)
        s, now = s * np.exp(-passed / tau_s), due[sender]
        found.append((now, sender))
        v[sender], ready[sender] = 0.0, now + tau_ref
        s += W[:, sender] / tau_s
        for i in np.flatnonzero((W[:, sender] != 0) | (np.arange(count) == sender)):
            due[i] = next_spike(i)
    return found
