// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// How large the next segment is, and how much may be on its way. A segment should take a twentieth of a
// second, and what is on its way no more than a second, so that a slow link is not filled with what a
// break would lose, and a fast one is kept busy. Where an answer takes long even so, both are what keeps such a
// link busy, or each round would find it slower than the last. Bytes, and milliseconds of any steady clock.

export const SEGMENT_MIN = 8 << 10;
export const SEGMENT_MAX = 1 << 20;
const SEGMENT_FIRST = 64 << 10;
const MEASURE_MS = 500;
/** Segments that one answer's time is shared by: of 19 that may be on their way, rounded down to a power of two. */
const SHARES = 6;
/** Of a segment's packet: topic and header. */
const PACKET_OVERHEAD = 512;

export class Pace {
	#segment = SEGMENT_FIRST;
	#limit = SEGMENT_MAX;
	#rate = 0;
	#since = -1;
	#bytes = 0;
	#acks = 0;
	/* The shortest that an answer took of late: without what waits before it. */
	#delay_ms = 0;
	#shortest_ms = Infinity;

	/** Bytes of the next segment. */
	get segment(): number {
		return Math.min(this.#segment, this.#limit);
	}

	/** Bytes per second as measured lately; 0: not known yet. */
	get rate(): number {
		return this.#rate;
	}

	/** Bytes that may be on their way. */
	get window(): number {
		return Math.max(2 * this.segment, this.#rate === 0 ? 8 * SEGMENT_FIRST : this.#rate * (1 + this.#delay_ms / 1000));
	}

	/** What the broker's Maximum Packet Size (undefined: none) leaves for a segment. */
	packetLimit(bytes: number | undefined): void {
		this.#limit = Math.max(1, Math.min(SEGMENT_MAX, (bytes ?? Infinity) - PACKET_OVERHEAD));
	}

	/** The broker does not take segments as large as this one. */
	tooLarge(bytes: number): void {
		this.#limit = Math.max(1, Math.min(this.#limit, bytes >> 1));
	}

	/** So many bytes were acknowledged, so long after they were sent. */
	acked(bytes: number, now_ms: number, took_ms = 0): void {
		this.#shortest_ms = Math.min(this.#shortest_ms, took_ms);
		if (this.#since < 0)
			this.#since = now_ms;
		this.#bytes += bytes;
		this.#acks++;
		const passed = now_ms - this.#since;
		if (passed < MEASURE_MS)
			return;
		const rate = this.#bytes * 1000 / passed;
		this.#rate = this.#rate === 0 ? rate : (this.#rate + rate) / 2;
		this.#delay_ms = this.#shortest_ms;
		this.#since = now_ms;
		this.#bytes = 0;
		const ideal = this.#rate * Math.max(0.05, this.#delay_ms / 1000 / SHARES);
		if (this.#acks < 4 && ideal >= this.#segment)
			return;
		this.#acks = 0;
		this.#shortest_ms = Infinity;
		const wanted = 2 ** Math.floor(Math.log2(Math.max(1, ideal)));
		this.#segment = Math.max(SEGMENT_MIN, Math.min(SEGMENT_MAX, wanted, this.#segment * 2));
	}

	/** Nothing was on its way for a while: what passed then says nothing about the link. */
	idle(): void {
		this.#since = -1;
		this.#bytes = 0;
	}

	/** The link broke: whatever it is, smaller segments lose less. */
	lost(): void {
		this.#segment = Math.max(SEGMENT_MIN, this.#segment >> 1);
		this.idle();
	}
}
