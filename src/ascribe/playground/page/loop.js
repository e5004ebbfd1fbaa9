"use strict";

// Loop: training and drawing, shared out over the frames of the screen: a frame trains for a while, then draws what was drawn
// longest ago, and ends in time for the next.

const Loop = (() => {
  const TRAINING = 6, WHOLE = 12; // milliseconds of a frame of 16.7
  const LATE = 250; // milliseconds after which a drawing no longer waits
  const CALM = 400; // between two drawings where motion is to be reduced

  class Loop {
    // `step()` trains; `tasks`: {draw(fine), rest, changed} each, `rest` the least milliseconds between two drawings of it; `stepped()` after a frame with steps in it.
    constructor({ step, stepped }) {
      Object.assign(this, { step, stepped, tasks: [], speed: 60, playing: false, owed: 0, asked: false, drawnAt: 0 });
      this.calm = matchMedia("(prefers-reduced-motion: reduce)");
      this.frame = this.frame.bind(this);
    }

    ask() {
      if (this.asked) return;
      this.asked = true;
      requestAnimationFrame(this.frame);
    }

    play(on) {
      this.playing = on;
      this.owed = 0;
      this.last = null;
      this.touchAll();
    }

    touch(task) {
      task.changed = true;
      this.ask();
    }

    touchAll() {
      for (const task of this.tasks) task.changed = true;
      this.ask();
    }

    frame(now) {
      this.asked = false;
      const begin = performance.now();
      if (this.playing && this.train(now, begin)) {
        for (const task of this.tasks) task.changed = true;
        this.stepped();
      }
      const rests = this.playing && this.calm.matches && now - this.drawnAt < CALM;
      if (!rests) this.draw(now, begin);
      if (this.playing || this.tasks.some((task) => task.changed)) this.ask();
    }

    // Steps that are due; what cannot be done in time is not made up for later. Returns how many there were.
    train(now, begin) {
      const passed = this.last === null || this.last === undefined ? 16 : Math.min(now - this.last, 250);
      this.last = now;
      this.owed = Number.isFinite(this.speed) ? this.owed + (passed / 1000) * this.speed : Infinity;
      let done = 0;
      while (this.owed >= 1 && performance.now() - begin < TRAINING) {
        this.step();
        this.owed -= 1;
        done += 1;
      }
      if (this.owed > 1) this.owed = this.owed % 1 || 0;
      return done;
    }

    // As many drawings as there is time for; one that was put off for long is drawn all the same.
    draw(now, begin) {
      const waiting = this.tasks.filter((task) => task.changed && !(this.playing && now - (task.drawn ?? 0) < task.rest)).sort((a, b) => (a.drawn ?? 0) - (b.drawn ?? 0));
      for (const task of waiting) {
        const left = WHOLE - (performance.now() - begin);
        const late = task === waiting[0] && (!this.playing || now - (task.drawn ?? 0) > LATE);
        if (!late && left < (task.cost ?? 2)) break;
        const from = performance.now();
        task.changed = false;
        task.draw(!this.playing);
        task.drawn = now;
        task.cost = 0.8 * (task.cost ?? 2) + 0.2 * (performance.now() - from);
        this.drawnAt = now;
      }
    }
  }

  return { Loop };
})();
