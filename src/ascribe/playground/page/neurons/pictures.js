"use strict";

// Pictures: which drawings each model has.

const Pictures = (() => {
  const { make } = Dom;
  const DASHED = [5, 3];

  // Where the gate n stands still, and where V does, at the h of this moment.
  function nullclines(session) {
    const { planes } = session.model, program = (session.plane ??= Ascribe.program(planes.program, {}));
    const given = (session.planeGiven ??= Cells.named(planes.inputs, program.inputs.map(({ array }) => array)));
    const found = (session.planeFound ??= Cells.named(planes.outputs, program.outputs.map(({ array }) => array)));
    for (const name in given.parameters) given.parameters[name][0] = session.cells.given.parameters[name][0];
    given.V.set(planes.V);
    given.current[0] = session.currents[0];
    given.h[0] = session.cells.given.state.h[0];
    program.run();
    const points = (values) => planes.V.map((V, place) => [V, values[place]]);
    return [
      { points: points(found.n), title: "n stands still", dash: DASHED, color: 0 },
      { points: points(found.nullcline), title: "V stands still", dash: [], color: 1 },
    ];
  }

  // dv/dt = (v_in − v) / τ_m, per millisecond.
  function slope(session) {
    const tau = 1000 * session.cells.given.parameters.tau_m[0], at = (v) => [v, (session.currents[0] - v) / tau];
    return [{ points: Array.from({ length: 41 }, (_, k) => at(k / 40)), title: "(v_in − v) / τ_m", dash: DASHED, color: 1 }];
  }

  // What swings and is no spike, in words: of the last moments of the neuron that is shown.
  const MOMENT = 0.05, SWING = 5; // seconds, mV
  function withoutSpikes({ rates, cells, rings, sample, model }) {
    if (rates.at(0, cells.time) !== 0) return "";
    const voltages = Array.from({ length: Math.min(rings.V.count, Math.round(MOMENT / sample)) }, (_, age) => rings.V.back(age));
    const high = Math.max(...voltages), swings = high - Math.min(...voltages) > SWING && high < model.level;
    return swings ? `V swings, but does not reach ${Axes.words(model.level)} mV, from where on it counts as a spike: so the rate is 0.` : "";
  }

  // Why the curve drops at large currents, where it does.
  function blocked({ rates, cells, currents, model }) {
    const known = Array.from({ length: cells.count - 1 }, (_, place) => [currents[place + 1], rates.at(place + 1, cells.time)]).filter(([, rate]) => Number.isFinite(rate));
    const last = known.findLastIndex(([, rate]) => rate > 0);
    if (last < 0 || last === known.length - 1) return "";
    return `Above about ${known[last][0].toFixed(0)} µA/cm² there are no spikes: so much current holds V up, most sodium gates (h) stay shut, and what swings are left do not cross ${Axes.words(model.level)} mV (depolarization block).`;
  }

  const diagonal = () => [{ points: [[0, 0], [1, 1]], title: "", dash: DASHED, color: 0 }];
  const current = (low, high, unit) => ({ title: `Current (${unit})`, wide: true, small: true, of: (canvas, session) => new Traces.Traces(canvas, session, { traces: ["current"], range: [low, high], up: "", labels: false }) });

  const OF = {
    "hodgkin-huxley": [
      { title: "Membrane potential (mV)", wide: true, of: (canvas, session) => new Traces.Traces(canvas, session, { traces: ["V"], range: [-100, 60], up: "V", labels: false }), note: withoutSpikes },
      { title: "Gates: n solid, m dashed, h dotted", wide: true, of: (canvas, session) => new Traces.Traces(canvas, session, { traces: ["n", "m", "h"], range: [0, 1], up: "open" }) },
      current(-25, 125, "µA/cm²"),
      { title: "Phase plane", of: (canvas, session) => new Plane.Plane(canvas, session, {
        across: { ring: "V", range: [-90, 60], title: "V (mV)" }, up: { ring: "n", range: [0, 1], title: "n" }, lines: () => nullclines(session) }) },
      { title: "Rate by current (f–I curve)", of: (canvas, session) => new Tuning.Curve(canvas, session, { title: "current (µA/cm²)", high: 60 }), note: blocked },
    ],
    lif: [
      { title: "Membrane potential (thresholds)", wide: true, of: (canvas, session) => new Traces.Traces(canvas, session, { traces: ["V"], range: [0, 1.3], up: "v", spikes: true }) },
      current(-0.2, 5.2, "thresholds"),
      { title: "Phase line: how fast v moves", of: (canvas, session) => new Plane.Plane(canvas, session, {
        across: { ring: "V", range: [0, 1], title: "v" }, up: { ring: "slope", range: [-0.1, 0.3], title: "dv/dt (per ms)" }, lines: () => slope(session) }) },
      { title: "Rate by input (f–I curve)", of: (canvas, session) => new Tuning.Curve(canvas, session, { title: "v_in (thresholds)", high: 100 }) },
    ],
    pair: [
      { title: "Membrane potentials (thresholds): first solid, second dashed", wide: true, of: (canvas, session) => new Traces.Traces(canvas, session, { traces: ["V", "other"], range: [0, 1.3], up: "v", spikes: true }) },
      current(-0.2, 3.2, "thresholds"),
      { title: "Phase plane: one against the other", of: (canvas, session) => new Plane.Plane(canvas, session, {
        across: { ring: "V", range: [0, 1], title: "v of the first" }, up: { ring: "other", range: [0, 1], title: "v of the second" }, lines: diagonal }) },
      { title: "Spikes: the first below, the second above", of: (canvas, session) => new Raster.Raster(canvas, session) },
    ],
    network: [
      { title: "Spikes: 80 neurons excite (orange), 20 inhibit (blue)", wide: true, tall: true, of: (canvas, session) => new Raster.Raster(canvas, session) },
      { title: "Rate of the whole network", wide: true, of: (canvas, session) => new Raster.Population(canvas, session) },
    ],
  };

  // The figures of a model, put into `place`: their drawings.
  function build(place, session) {
    const found = OF[session.name].map(({ title, wide = false, small = false, tall = false, of, note = null }) => {
      const canvas = make("canvas", { role: "img", "aria-label": title });
      const told = note && make("p", { class: "hint note" });
      const figure = make("figure", { class: ["panel", wide && "across", small && "small", tall && "tall"].filter(Boolean).join(" ") }, make("figcaption", {}, make("span", {}, title)), canvas, ...(note ? [told] : []));
      return { figure, title, drawing: of(canvas, session), tell: () => note && (told.textContent = note(session)) };
    });
    place.replaceChildren(...found.map(({ figure }) => figure));
    return found;
  }

  return { build };
})();
