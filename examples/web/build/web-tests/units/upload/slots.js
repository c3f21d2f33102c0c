// src/upload/slots.ts
var Slots = class {
  messages = 1;
  bytes = () => Infinity;
  #usedMessages = 0;
  #usedBytes = 0;
  #line = [];
  get used() {
    return this.#usedBytes;
  }
  /** Resolves when there is room; the caller gives it back. The first always fits. */
  take(bytes) {
    return new Promise((resolve) => {
      this.#line.push({ bytes, go: resolve });
      this.#serve();
    });
  }
  give(bytes) {
    this.#usedMessages--;
    this.#usedBytes -= bytes;
    this.#serve();
  }
  #serve() {
    for (; ; ) {
      const next = this.#line[0];
      if (!next)
        return;
      const alone = this.#usedMessages === 0;
      if (!alone && (this.#usedMessages >= this.messages || this.#usedBytes + next.bytes > this.bytes()))
        return;
      this.#line.shift();
      this.#usedMessages++;
      this.#usedBytes += next.bytes;
      next.go();
    }
  }
};
export {
  Slots
};
