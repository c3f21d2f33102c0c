/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "pace.h"

#define SIZE_MIN 1024
#define SIZE_START 16384
#define EPOCH_MS 200		/* a size is judged after so long, */
#define EPOCH_SEGMENTS 8	/* or after so many segments */
#define SEGMENTS_PER_S 20	/* of adaptive size */
#define QUEUE_MS 50		/* of bytes that may wait somewhere, so that none is missing */
#define ANSWER_MEMORY 64	/* acknowledgements */
#define RATE_SLICES 8		/* a throttled second is cut into so many segments at least */

static uint64_t clamp(const struct pace *pace, uint64_t size)
{
	uint64_t least = pace->max < SIZE_MIN ? pace->max : SIZE_MIN;

	return size < least ? least : size > pace->max ? pace->max : size;
}

void pace_init(struct pace *pace, uint64_t fixed, uint64_t max, int64_t now)
{
	*pace = (struct pace){ .fixed = fixed, .max = fixed ? fixed : max, .epoch_ms = now,
			       .credit_ms = now };
	pace->size = clamp(pace, SIZE_START);
}

void pace_limit(struct pace *pace, uint64_t bytes)
{
	if (bytes > 0 && bytes < pace->max)
		pace->max = bytes;
	pace->size = clamp(pace, pace->size);
}

void pace_set_rate(struct pace *pace, uint64_t rate, int64_t now)
{
	pace->rate = rate;
	pace->credit = 0;
	pace->credit_ms = now;
}

uint64_t pace_segment(const struct pace *pace)
{
	uint64_t size = pace->fixed ? pace->max : pace->size;

	/* Else a slow rate would be bursts with long silences. */
	if (!pace->fixed && pace->rate && size > pace->rate / RATE_SLICES)
		size = clamp(pace, pace->rate / RATE_SLICES);
	return size;
}

int64_t pace_wait_ms(struct pace *pace, int64_t now)
{
	double rate = (double)pace->rate;

	if (!pace->rate)
		return 0;
	pace->credit += rate * (double)(now - pace->credit_ms) / 1000;
	pace->credit_ms = now;
	/* What was not used is lost soon: no burst after a pause. */
	if (pace->credit > rate / RATE_SLICES)
		pace->credit = rate / RATE_SLICES;
	return pace->credit >= 0 ? 0 : (int64_t)(-pace->credit * 1000 / rate) + 1;
}

void pace_sent(struct pace *pace, uint64_t bytes)
{
	if (pace->rate)
		pace->credit -= (double)bytes;
}

static void begin_epoch(struct pace *pace, int64_t now)
{
	pace->epoch_ms = now;
	pace->epoch_bytes = 0;
	pace->idle = false;
}

static void note_answer(struct pace *pace, double answer_ms)
{
	if (pace->answer_ms <= 0 || answer_ms < pace->answer_ms)
		pace->answer_ms = answer_ms < 1 ? 1 : answer_ms;
	else	/* A route may become longer for good. */
		pace->answer_ms += (answer_ms - pace->answer_ms) / ANSWER_MEMORY;
}

uint64_t pace_flight_bytes(const struct pace *pace)
{
	double bytes = pace->speed * (pace->answer_ms + QUEUE_MS) / 1000;

	if (pace->fixed || pace->several || pace->speed <= 0)
		return UINT64_MAX;
	return bytes > (double)pace->size * 2 ? (uint64_t)bytes : pace->size * 2;
}

void pace_acked(struct pace *pace, uint64_t bytes, int64_t answer_ms, int64_t now)
{
	int64_t elapsed = now - pace->epoch_ms;

	note_answer(pace, (double)answer_ms);
	pace->epoch_bytes += bytes;
	if (elapsed < 1 || (elapsed < EPOCH_MS && pace->epoch_bytes < pace->size * EPOCH_SEGMENTS))
		return;
	double speed = (double)pace->epoch_bytes * 1000 / (double)elapsed;
	uint64_t wanted = (uint64_t)(speed / SEGMENTS_PER_S);
	if (!pace->idle || speed > pace->speed)
		pace->speed = speed;
	if (wanted > pace->size * 2)
		wanted = pace->size * 2;
	if (wanted < pace->size / 2)
		wanted = pace->size / 2;
	/* An idle link seems slow: it may prove to be good, never to be bad. */
	if (!pace->idle || wanted > pace->size)
		pace->size = clamp(pace, wanted);
	begin_epoch(pace, now);
}

void pace_set_several(struct pace *pace, bool several)
{
	pace->several = several;
}

void pace_idle(struct pace *pace)
{
	pace->idle = true;
}

void pace_trouble(struct pace *pace, int64_t now)
{
	pace->size = clamp(pace, pace->size / 2);
	begin_epoch(pace, now);
}
