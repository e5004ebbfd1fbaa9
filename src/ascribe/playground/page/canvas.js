"use strict";

// Canvas: what all drawings have in common: sharp on every screen, measured only when their size changes.

const Canvas = (() => {
  const FONT = 'system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif';

  class Sheet {
    // `resized` is called whenever the canvas has another size on the page.
    constructor(canvas, resized) {
      this.canvas = canvas;
      this.context = canvas.getContext("2d");
      this.width = this.height = 0;
      new ResizeObserver(() => this.measure() && resized()).observe(canvas);
    }

    measure() {
      const { clientWidth: width, clientHeight: height } = this.canvas;
      const ratio = Math.min(2, devicePixelRatio || 1);
      if (!width || !height || (width === this.width && height === this.height && ratio === this.ratio)) return false;
      Object.assign(this, { width, height, ratio });
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
      return true;
    }

    // The context, empty, in the page's pixels; null while the canvas is not laid out.
    clear() {
      if (!this.width && !this.measure()) return null;
      this.context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
      this.context.clearRect(0, 0, this.width, this.height);
      return this.context;
    }

    // Where the pointer is, in the canvas.
    place(event) {
      const box = this.canvas.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    }
  }

  // A picture of so many pixels that is drawn into others.
  function hidden(width, height) {
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width, height });
    return canvas;
  }

  return { Sheet, hidden, FONT };
})();
