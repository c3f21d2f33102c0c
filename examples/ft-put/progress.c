/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define REDRAW_MS 200
#define TEXT_ROOM 32

void progress_init(struct progress *progress, bool quiet, uint64_t size)
{
	*progress = (struct progress){ .quiet = quiet, .size = size };
	progress->terminal = !quiet && isatty(STDOUT_FILENO);
}

void progress_bytes(char *text, unsigned room, double bytes)
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
	unsigned unit = 0;

	while (bytes >= 1024 && unit < 4) {
		bytes /= 1024;
		unit++;
	}
	snprintf(text, room, unit ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
}

static void erase(struct progress *progress)
{
	if (progress->drawn)
		fputs("\r\033[K", stdout);
	progress->drawn = false;
}

void progress_note(struct progress *progress, const char *format, ...)
{
	va_list args;

	if (progress->quiet)
		return;
	erase(progress);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

static void measure(struct progress *progress, uint64_t done, int64_t now)
{
	double seconds = (double)(now - progress->mark_ms) / 1000;
	/* After a lost link less may be held than was thought. */
	double bytes = done > progress->mark_bytes ? (double)(done - progress->mark_bytes) : 0;
	double speed = seconds > 0 ? bytes / seconds : 0;

	progress->speed = progress->speed > 0 ? 0.8 * progress->speed + 0.2 * speed : speed;
	progress->mark_bytes = done;
	progress->mark_ms = now;
}

static void format_rest(char *text, unsigned room, double seconds)
{
	unsigned rest = seconds < 360000 ? (unsigned)seconds : 359999;

	snprintf(text, room, "%u:%02u:%02u", rest / 3600, rest / 60 % 60, rest % 60);
}

static unsigned percent(const struct progress *progress, uint64_t done)
{
	return progress->size ? (unsigned)((double)done * 100 / (double)progress->size) : 100;
}

static void draw(struct progress *progress, uint64_t done)
{
	char have[TEXT_ROOM], size[TEXT_ROOM], speed[TEXT_ROOM], rest[TEXT_ROOM] = "-:--:--";

	progress_bytes(have, sizeof(have), (double)done);
	progress_bytes(size, sizeof(size), (double)progress->size);
	progress_bytes(speed, sizeof(speed), progress->speed);
	if (progress->speed >= 1)
		format_rest(rest, sizeof(rest), (double)(progress->size - done) / progress->speed);
	printf("\r\033[K%3u%%  %s of %s  %s/s  ETA %s", percent(progress, done), have, size, speed,
	       rest);
	fflush(stdout);
	progress->drawn = true;
}

static void plain_line(struct progress *progress, uint64_t done, int64_t now)
{
	char total[3 * TEXT_ROOM], have[TEXT_ROOM];

	if (percent(progress, done) < progress->next_tenth * 10)
		return;
	progress->next_tenth = percent(progress, done) / 10 + 1;
	progress_bytes(have, sizeof(have), (double)done);
	progress_total(progress, done, now, total, sizeof(total));
	progress_note(progress, "%3u%%  %s held, %s", percent(progress, done), have, total);
}

void progress_show(struct progress *progress, uint64_t done, int64_t now)
{
	if (!progress->running) {
		progress->running = true;
		progress->start_bytes = progress->mark_bytes = done;
		progress->start_ms = progress->mark_ms = now;
		progress->next_tenth = percent(progress, done) / 10 + 1;
	}
	if (progress->quiet)
		return;
	if (!progress->terminal) {
		plain_line(progress, done, now);
	} else if (now - progress->mark_ms >= REDRAW_MS) {
		measure(progress, done, now);
		draw(progress, done);
	}
}

void progress_total(struct progress *progress, uint64_t done, int64_t now, char *text, unsigned room)
{
	char sent[TEXT_ROOM], speed[TEXT_ROOM];
	double bytes = done > progress->start_bytes ? (double)(done - progress->start_bytes) : 0;
	double seconds = (double)(now - progress->start_ms) / 1000;

	if (bytes <= 0) {
		snprintf(text, room, "nothing had to be sent");
		return;
	}
	progress_bytes(sent, sizeof(sent), bytes);
	progress_bytes(speed, sizeof(speed), seconds > 0 ? bytes / seconds : bytes);
	snprintf(text, room, "%s sent in %.1f s (%s/s)", sent, seconds, speed);
}
