/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define REDRAW_MS 200
#define TEXT_ROOM 32
#define BAR_MAX 40
#define BAR_MIN 10
#define TEXT_WIDTH 62	/* of what stands beside the bar */

void progress_init(struct progress *progress, bool quiet, bool json)
{
	*progress = (struct progress){ .quiet = quiet, .json = json };
	progress->terminal = !quiet && !json && isatty(STDOUT_FILENO);
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

void progress_break(struct progress *progress)
{
	if (progress->drawn)
		putchar('\n');
	progress->drawn = false;
	fflush(stdout);
}

void progress_note(struct progress *progress, const char *format, ...)
{
	va_list args;

	if (progress->quiet || progress->json)
		return;
	erase(progress);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

static void measure(struct progress *progress, int64_t now)
{
	double seconds = (double)(now - progress->mark_ms) / 1000;
	double bytes = (double)(progress->sent - progress->mark_sent);
	double speed = seconds > 0 ? bytes / seconds : 0;

	progress->speed = progress->speed > 0 ? 0.8 * progress->speed + 0.2 * speed : speed;
	progress->mark_sent = progress->sent;
	progress->mark_ms = now;
}

static void format_rest(char *text, unsigned room, double seconds)
{
	unsigned rest = seconds < 360000 ? (unsigned)seconds : 359999;

	snprintf(text, room, "%u:%02u:%02u", rest / 3600, rest / 60 % 60, rest % 60);
}

static unsigned percent(const struct progress *progress, uint64_t done)
{
	if (done >= progress->size)
		return 100;
	return (unsigned)((double)done * 100 / (double)progress->size);
}

/* Nothing where the line would not fit: a broken line cannot be redrawn. */
static unsigned bar_width(void)
{
	struct winsize window = {0};
	unsigned columns = ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col
			   ? window.ws_col : 80;

	if (columns < TEXT_WIDTH + BAR_MIN)
		return 0;
	return columns - TEXT_WIDTH < BAR_MAX ? columns - TEXT_WIDTH : BAR_MAX;
}

static void draw_bar(unsigned percents)
{
	char bar[BAR_MAX + 1];
	unsigned width = bar_width(), full = width * percents / 100;

	if (!width)
		return;
	memset(bar, '#', full);
	memset(bar + full, '.', width - full);
	bar[width] = '\0';
	printf("[%s] ", bar);
}

static void draw(struct progress *progress, uint64_t done)
{
	char have[TEXT_ROOM], size[TEXT_ROOM], speed[TEXT_ROOM], rest[TEXT_ROOM] = "-:--:--";

	progress_bytes(have, sizeof(have), (double)done);
	progress_bytes(size, sizeof(size), (double)progress->size);
	progress_bytes(speed, sizeof(speed), progress->speed);
	if (progress->speed >= 1 && !progress->paused)
		format_rest(rest, sizeof(rest), (double)(progress->size - done) / progress->speed);
	fputs("\r\033[K", stdout);
	if (progress->open_ended) {
		printf("%s  %s/s%s", have, speed, progress->paused ? "  paused" : "");
	} else {
		draw_bar(percent(progress, done));
		printf("%3u%%  %s of %s  ", percent(progress, done), have, size);
		if (progress->paused)
			fputs("paused", stdout);
		else
			printf("%s/s  ETA %s", speed, rest);
	}
	fflush(stdout);
	progress->drawn = true;
}

static void plain_line(struct progress *progress, uint64_t done, int64_t now)
{
	char total[3 * TEXT_ROOM], have[TEXT_ROOM];

	if (progress->open_ended || !progress->size || percent(progress, done) < progress->next_tenth * 10)
		return;
	progress->next_tenth = percent(progress, done) / 10 + 1;
	progress_bytes(have, sizeof(have), (double)done);
	progress_total(progress, now, total, sizeof(total));
	progress_note(progress, "%3u%%  %s held, %s", percent(progress, done), have, total);
}

bool progress_is_due(const struct progress *progress, int64_t now)
{
	return !progress->running || !progress->terminal || now - progress->mark_ms >= REDRAW_MS;
}

void progress_show(struct progress *progress, uint64_t done, int64_t now)
{
	if (!progress->running) {
		progress->running = true;
		progress->start_ms = progress->mark_ms = now;
		progress->next_tenth = percent(progress, done) / 10 + 1;
	}
	if (progress->quiet || progress->json)
		return;
	if (!progress->terminal) {
		plain_line(progress, done, now);
	} else if (now - progress->mark_ms >= REDRAW_MS) {
		measure(progress, now);
		draw(progress, done);
	}
}

void progress_total(const struct progress *progress, int64_t now, char *text, unsigned room)
{
	char sent[TEXT_ROOM], speed[TEXT_ROOM];
	double bytes = (double)progress->sent;
	double seconds = progress->running ? (double)(now - progress->start_ms) / 1000 : 0;

	if (!progress->sent) {
		snprintf(text, room, "nothing had to be sent");
		return;
	}
	progress_bytes(sent, sizeof(sent), bytes);
	progress_bytes(speed, sizeof(speed), seconds > 0 ? bytes / seconds : bytes);
	snprintf(text, room, "%s sent in %.1f s (%s/s)", sent, seconds, speed);
}
