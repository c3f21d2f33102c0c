/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What connections and roles need alike: complaints, memory, time, chance, samples. */
#include "swarm.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

void swarm_die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("swarm: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(EXIT_FAILURE);
}

void swarm_complain(struct swarm *swarm, const char *format, ...)
{
	va_list args;

	if (swarm->complaint[0])
		return;
	va_start(args, format);
	vsnprintf(swarm->complaint, sizeof swarm->complaint, format, args);
	va_end(args);
	/* It goes into JSON as it is. */
	for (char *c = swarm->complaint; *c; c++)
		if (*c == '"' || *c == '\\' || (unsigned char)*c < ' ')
			*c = '\'';
}

void *swarm_alloc(size_t count, size_t size)
{
	void *room = calloc(count ? count : 1, size ? size : 1);

	if (!room)
		swarm_die("out of memory");
	return room;
}

uint64_t swarm_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

uint64_t swarm_random(struct swarm *swarm, uint64_t below)
{
	swarm->seed ^= swarm->seed << 13;
	swarm->seed ^= swarm->seed >> 7;
	swarm->seed ^= swarm->seed << 17;
	return swarm->seed % below;
}

void samples_add(struct samples *samples, uint64_t value)
{
	if (samples->count == samples->size) {
		samples->size = samples->size ? samples->size * 2 : 1024;
		samples->values = realloc(samples->values, samples->size * sizeof value);
		if (!samples->values)
			swarm_die("out of memory");
	}
	samples->values[samples->count++] = value;
}
