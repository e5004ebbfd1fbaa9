"use strict";

// Words: numbers as they are read; a dash for what is none.

const Words = (() => {
  const percent = (share) => (Number.isFinite(share) ? `${(100 * share).toFixed(1)}\u202f%` : "–");
  const loss = (value) => (!Number.isFinite(value) ? "–" : value < 1000 ? value.toFixed(3) : value.toExponential(1));
  const degrees = (value) => (Number.isFinite(value) ? `${value.toFixed(0)}°` : "–");

  return { percent, loss, degrees };
})();
