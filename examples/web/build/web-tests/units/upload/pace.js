// src/upload/pace.ts
var SEGMENT_MIN = 8 << 10;
var SEGMENT_MAX = 1 << 20;
var SEGMENT_FIRST = 64 << 10;
var MEASURE_MS = 500;
var PACKET_OVERHEAD = 512;
var Pace = class {
  #segment = SEGMENT_FIRST;
  #limit = SEGMENT_MAX;
  #rate = 0;
  #since = -1;
  #bytes = 0;
  #acks = 0;
  /** Bytes of the next segment. */
  get segment() {
    return Math.min(this.#segment, this.#limit);
  }
  /** Bytes per second as measured lately; 0: not known yet. */
  get rate() {
    return this.#rate;
  }
  /** Bytes that may be on their way. */
  get window() {
    return Math.max(2 * this.segment, this.#rate === 0 ? 8 * SEGMENT_FIRST : this.#rate);
  }
  /** What the broker's Maximum Packet Size (undefined: none) leaves for a segment. */
  packetLimit(bytes) {
    this.#limit = Math.max(1, Math.min(SEGMENT_MAX, (bytes ?? Infinity) - PACKET_OVERHEAD));
  }
  /** The broker does not take segments as large as this one. */
  tooLarge(bytes) {
    this.#limit = Math.max(1, Math.min(this.#limit, bytes >> 1));
  }
  /** So many bytes were acknowledged. */
  acked(bytes, now_ms) {
    if (this.#since < 0)
      this.#since = now_ms;
    this.#bytes += bytes;
    this.#acks++;
    const passed = now_ms - this.#since;
    if (passed < MEASURE_MS)
      return;
    const rate = this.#bytes * 1e3 / passed;
    this.#rate = this.#rate === 0 ? rate : (this.#rate + rate) / 2;
    this.#since = now_ms;
    this.#bytes = 0;
    if (this.#acks < 4 && this.#rate * 0.05 >= this.#segment)
      return;
    this.#acks = 0;
    const wanted = 2 ** Math.floor(Math.log2(Math.max(1, this.#rate * 0.05)));
    this.#segment = Math.max(SEGMENT_MIN, Math.min(SEGMENT_MAX, wanted, this.#segment * 2));
  }
  /** Nothing was on its way for a while: what passed then says nothing about the link. */
  idle() {
    this.#since = -1;
    this.#bytes = 0;
  }
  /** The link broke: whatever it is, smaller segments lose less. */
  lost() {
    this.#segment = Math.max(SEGMENT_MIN, this.#segment >> 1);
    this.idle();
  }
};
export {
  Pace,
  SEGMENT_MAX,
  SEGMENT_MIN
};
