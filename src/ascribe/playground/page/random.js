"use strict";

// Random: a seeded generator, so that one seed gives the same points and the same batches on every machine.

const Random = (() => {
  // Mulberry32, a generator with 32 bits of state: enough for points and the order of batches.
  function generator(seed) {
    let state = seed >>> 0;
    return () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
    };
  }

  // The seed of a purpose of a seed: a purpose more leaves the others as they are.
  const derive = (seed, purpose) => (Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(purpose + 1, 0x85ebca6b)) >>> 0;

  // A draw of the standard normal distribution, by Box and Muller.
  function normal(random) {
    return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  }

  // The numbers 0 to count - 1 in random order (Fisher and Yates).
  function permutation(random, count) {
    const order = Int32Array.from({ length: count }, (_, place) => place);
    for (let last = count - 1; last > 0; last--) {
      const other = Math.floor(random() * (last + 1));
      [order[last], order[other]] = [order[other], order[last]];
    }
    return order;
  }

  return { generator, derive, normal, permutation };
})();
