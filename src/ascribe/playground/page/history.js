"use strict";

// History: what was measured as training went on, in a bounded number of records: when they are too many, every other one is
// dropped and the next are taken half as often.

const History = (() => {
  const MOST_RECORDS = 512, FIRST_EVERY = 8;

  class History {
    // `names`: of the rules; `seeds`: how many runs each has.
    constructor(names, seeds) {
      this.every = FIRST_EVERY; // steps between two records
      this.steps = [];
      this.runs = new Map(names.map((name) => [name, Array.from({ length: seeds }, () => [])]));
    }

    // The last record may be of any step, where somebody wanted to see it; thinning drops those again.
    isDue(step) {
      return step % this.every === 0;
    }

    // `measured(rule, seed)` gives {trainLoss, testLoss, accuracy, angles}; with `again` in place of what was measured at that step.
    add(step, measured, again = false) {
      if (this.steps.length && this.steps[this.steps.length - 1] === step) {
        if (!again) return;
        this.steps.pop();
        for (const seeds of this.runs.values()) for (const records of seeds) records.pop();
      }
      this.steps.push(step);
      for (const [name, seeds] of this.runs) seeds.forEach((records, seed) => records.push(measured(name, seed)));
      if (this.steps.length > MOST_RECORDS) this.halve();
    }

    halve() {
      this.every *= 2;
      const kept = this.steps.map((step) => step % this.every === 0);
      const thin = (values) => values.filter((_, place) => kept[place]);
      this.steps = thin(this.steps);
      for (const seeds of this.runs.values()) seeds.forEach((records, seed) => (seeds[seed] = thin(records)));
    }

    last(name, seed = 0) {
      const records = this.runs.get(name)?.[seed] ?? [];
      return records[records.length - 1];
    }
  }

  return { History, MOST_RECORDS };
})();
