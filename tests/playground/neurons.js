// Runs the models of the neuron page: given the engine's script and, in JSON, each model with its settings, its voltages and
// spikes after every step.
const { engine, models } = JSON.parse(require("fs").readFileSync(0, "utf8"));
new Function(engine)();
const found = {};
for (const [name, { model, currents, dials, weights, steps }] of Object.entries(models)) {
  const program = Ascribe.program(model.program, { n: currents.length });
  const given = Object.fromEntries(model.inputs.map((path, place) => [path, program.inputs[place].array]));
  const made = Object.fromEntries(model.outputs.map((path, place) => [path, program.outputs[place].array]));
  for (const [dial, value] of Object.entries(dials)) given[`parameters.${dial}`][0] = value;
  if (weights) given.weights.set(weights);
  for (const [field, value] of Object.entries(model.state)) {
    if (Array.isArray(value)) given[`state.${field}`].set(value.map(Number));
    else given[`state.${field}`].fill(Number(value));
  }
  given.current.set(currents);
  found[name] = { V: [], spikes: [] };
  for (let step = 0; step < steps; step++) {
    program.run();
    for (const field in model.state) given[`state.${field}`].set(made[`state.${field}`]);
    found[name].V.push(Array.from(made["seen.V"]));
    if (made.spike) made.spike.forEach((share, cell) => share >= 0 && found[name].spikes.push([cell, (step + share) * model.dt]));
  }
  if (model.planes) {
    const plane = Ascribe.program(model.planes.program, {});
    model.planes.inputs.forEach((path, place) => {
      const value = { "parameters.g_Na": 120, "parameters.g_K": 36, "parameters.g_L": 0.3, V: model.planes.V, current: 10, h: 0.4 }[path];
      plane.inputs[place].array.set([value].flat());
    });
    plane.run();
    found.plane = Object.fromEntries(model.planes.outputs.map((path, place) => [path, Array.from(plane.outputs[place].array, (one) => (Number.isNaN(one) ? null : one))]));
  }
}
console.log(JSON.stringify(found));
