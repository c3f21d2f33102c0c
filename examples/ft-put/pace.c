/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "pace.h"

#define SIZE_MIN 1024
#define SIZE_START 65536
#define EPOCH_MS 200
#define SEGMENTS_PER_S 10	/* of adaptive size */
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

void pace_acked(struct pace *pace, uint64_t bytes, int64_t now)
{
	int64_t elapsed = now - pace->epoch_ms;

	pace->epoch_bytes += bytes;
	if (elapsed < EPOCH_MS)
		return;
	uint64_t wanted = pace->epoch_bytes * 1000 / (uint64_t)elapsed / SEGMENTS_PER_S;
	if (wanted > pace->size * 2)
		wanted = pace->size * 2;
	if (wanted < pace->size / 2)
		wanted = pace->size / 2;
	/* An idle link seems slow: it may prove to be good, never to be bad. */
	if (!pace->idle || wanted > pace->size)
		pace->size = clamp(pace, wanted);
	begin_epoch(pace, now);
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
