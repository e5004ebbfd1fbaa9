"""Brian2's side of `neurons.py`, C++ standalone: run by it, in an environment of its own.

python neurons_rival.py hodgkin-huxley|network SIZE SECONDS FOLDER

Prints JSON: CPU seconds of the run loop (as Brian2 reports it), of the whole program, and the number of spikes.
"""

import json
import resource
import sys
from pathlib import Path

import brian2 as b
import numpy as np

kind, size, length, folder = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4])
build = folder / f"{kind}-{size}"
built = (build / "main").exists()
b.set_device("cpp_standalone", directory=str(build), build_on_run=False)
b.prefs.devices.cpp_standalone.openmp_threads = 0

if kind == "hodgkin-huxley":
    b.defaultclock.dt = 0.01 * b.ms
    equations = """
    dv/dt = (J - gl*(v - El) - gNa*m**3*h*(v - ENa) - gK*n**4*(v - EK))/C : 1
    dm/dt = am*(1 - m) - bm*m : 1
    dn/dt = an*(1 - n) - bn*n : 1
    dh/dt = ah*(1 - h) - bh*h : 1
    am = 1.0/exprel(-(v + 40)/10)/ms : Hz
    bm = 4*exp(-(v + 65)/18)/ms : Hz
    ah = 0.07*exp(-(v + 65)/20)/ms : Hz
    bh = 1/(1 + exp(-(v + 35)/10))/ms : Hz
    an = 0.1/exprel(-(v + 55)/10)/ms : Hz
    bn = 0.125*exp(-(v + 65)/80)/ms : Hz
    J : Hz
    """
    space = {"C": 1.0, "gl": 0.3 / b.ms, "gNa": 120 / b.ms, "gK": 36 / b.ms, "El": -54.387, "ENa": 50.0, "EK": -77.0}
    group = b.NeuronGroup(
        size, equations, method="exponential_euler", threshold="v > -20", refractory="v > -20", namespace=space
    )
    group.v, group.m, group.n, group.h = -64.99637933, 0.0529550868, 0.3177323998, 0.5959941247
    group.J = (np.array([10.0]) if size == 1 else np.linspace(0.0, 60.0, size)) / b.ms
    monitor = b.SpikeMonitor(group, record=False)
    network = b.Network(group, monitor)
else:
    b.defaultclock.dt = 0.1 * b.ms
    wiring = np.load(folder / f"network{size}.npz")
    equations = """
    dv/dt = (drive + s - v)/(20*ms) : 1 (unless refractory)
    ds/dt = -s/(5*ms) : 1
    drive : 1
    """
    group = b.NeuronGroup(size, equations, threshold="v >= 1", reset="v = 0", refractory=2 * b.ms, method="exact")
    group.drive = wiring["drive"]
    synapses = b.Synapses(group, group, "w : 1", on_pre="s_post += w")
    targets = wiring["targets"]
    synapses.connect(i=np.repeat(np.arange(size), targets.shape[1]), j=targets.ravel())
    synapses.w = np.repeat(wiring["weight"], targets.shape[1]) / 0.005
    monitor = b.SpikeMonitor(group, record=False)
    network = b.Network(group, synapses, monitor)

network.run(length * b.second)
if built:  # of an earlier round: the program is there
    b.device.build(directory=str(build), compile=False, run=False, with_output=False)
else:
    b.device.build(directory=str(build), compile=True, run=False, with_output=False)
before = resource.getrusage(resource.RUSAGE_CHILDREN)
b.device.run(str(build), with_output=False, run_args=[])
after = resource.getrusage(resource.RUSAGE_CHILDREN)
whole = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
print(json.dumps({"Brian2 C++, run loop": b.device._last_run_time, "Brian2 C++, whole program": whole}))
