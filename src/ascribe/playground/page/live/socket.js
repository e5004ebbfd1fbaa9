"use strict";

// Socket: what the page and its server say to each other. A value that is dragged is said a few times a second.

const Socket = (() => {
  const REST = 120; // milliseconds between two messages about one value

  class Socket {
    // `heard`: {compiling, ready, frame, refused, ended}, a function of the message each; `closed(sentence)`.
    constructor({ heard, closed }) {
      const address = new URL("socket", location.href);
      address.protocol = "ws:";
      address.search = location.search;
      address.hash = "";
      Object.assign(this, { waiting: new Map(), said: new Map(), opened: false });
      this.socket = new WebSocket(address);
      this.socket.addEventListener("open", () => (this.opened = true));
      this.socket.addEventListener("message", ({ data }) => {
        const message = JSON.parse(data);
        if (Object.hasOwn(heard, message.kind)) heard[message.kind](message);
      });
      this.socket.addEventListener("close", ({ code, reason }) => closed(why(this.opened, code, reason)));
    }

    say(message) {
      if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
    }

    // The newest message of those with one key, now and then.
    sayLately(key, message) {
      const passed = performance.now() - (this.said.get(key) ?? -Infinity), timed = this.waiting.has(key);
      this.waiting.set(key, message);
      if (!timed) setTimeout(() => {
        this.said.set(key, performance.now());
        this.say(this.waiting.get(key));
        this.waiting.delete(key);
      }, Math.max(0, REST - passed));
    }
  }

  function why(opened, code, reason) {
    if (reason) return `The connection was closed: ${reason}.`;
    if (!opened) return "The server did not take the connection: it has ended, or this address is not the one that it printed.";
    return code === 1009 ? "The connection was closed: a message was too long." : "The server has ended or cannot be reached.";
  }

  return { Socket };
})();
