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
#define COLUMNS_USUAL 80
#define NAME_COLUMNS_MIN 12

void progress_init(struct progress *progress, FILE *out, bool quiet, bool json)
{
	*progress = (struct progress){ .out = out, .verb = "moved", .quiet = quiet, .json = json };
	progress->terminal = !quiet && !json && isatty(fileno(out));
}

void progress_json(cJSON *object)
{
	char *text = cJSON_PrintUnformatted(object);

	if (text)
		puts(text);
	fflush(stdout);
	cJSON_free(text);
	cJSON_Delete(object);
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
		fputs("\r\033[K", progress->out);
	progress->drawn = false;
}

void progress_break(struct progress *progress)
{
	if (progress->drawn)
		fputc('\n', progress->out);
	progress->drawn = false;
	fflush(progress->out);
}

void progress_note(struct progress *progress, enum tone tone, const char *format, ...)
{
	va_list args;

	if (progress->quiet || progress->json)
		return;
	erase(progress);
	fputs(tone_on(fileno(progress->out), tone), progress->out);
	va_start(args, format);
	vfprintf(progress->out, format, args);
	va_end(args);
	fprintf(progress->out, "%s\n", tone_off(fileno(progress->out)));
	fflush(progress->out);
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

unsigned progress_columns(const struct progress *progress)
{
	struct winsize window = {0};

	if (!progress->terminal || ioctl(fileno(progress->out), TIOCGWINSZ, &window) != 0 ||
	    !window.ws_col)
		return COLUMNS_USUAL;
	return window.ws_col;
}

/* Of UTF-8 each character counts as one column: what is wider is rare, and only looks odd. */
static bool is_continued(char byte)
{
	return (byte & 0xc0) == 0x80;
}

static unsigned count_columns(const char *text)
{
	unsigned count = 0;

	for (; *text; text++)
		count += !is_continued(*text);
	return count;
}

/* The byte at which column `column` begins. */
static const char *find_column(const char *text, unsigned column)
{
	while (*text && (column || is_continued(*text)))
		column -= !is_continued(*text++);
	return text;
}

void progress_shorten(char *text, unsigned room, const char *name, unsigned columns)
{
	unsigned all = count_columns(name);

	if (columns < NAME_COLUMNS_MIN)
		columns = NAME_COLUMNS_MIN;
	if (all <= columns) {
		snprintf(text, room, "%s", name);
		return;
	}
	unsigned head = (columns - 3) / 2, tail = columns - 3 - head;
	snprintf(text, room, "%.*s...%s", (int)(find_column(name, head) - name), name,
		 find_column(name, all - tail));
}

/* A broken line cannot be redrawn: what does not fit is left out, the bar first. */
static void draw_bar(const struct progress *progress, unsigned percents, unsigned room)
{
	char bar[BAR_MAX + 1];

	if (room < BAR_MIN + 3)
		return;
	unsigned width = room - 3 < BAR_MAX ? room - 3 : BAR_MAX, full = width * percents / 100;
	memset(bar, '#', full);
	memset(bar + full, '.', width - full);
	bar[width] = '\0';
	int fd = fileno(progress->out);
	fprintf(progress->out, "[%s%.*s%s%s] ", tone_on(fd, TONE_GOOD), (int)full, bar,
		tone_off(fd), bar + full);
}

/* As many of the parts, each wider than the next, as there are columns for. */
static void draw(struct progress *progress, uint64_t done)
{
	char have[TEXT_ROOM], size[TEXT_ROOM], speed[TEXT_ROOM], rest[TEXT_ROOM] = "-:--:--";
	char texts[4][5 * TEXT_ROOM];
	unsigned columns = progress_columns(progress) - 1, percents = percent(progress, done), i = 0;

	progress_bytes(have, sizeof(have), (double)done);
	progress_bytes(size, sizeof(size), (double)progress->size);
	progress_bytes(speed, sizeof(speed), progress->speed);
	if (progress->speed >= 1)
		format_rest(rest, sizeof(rest), (double)(progress->size - done) / progress->speed);
	const char *pace = progress->paused ? "paused" : speed, *unit = progress->paused ? "" : "/s";
	snprintf(texts[0], sizeof(texts[0]), "%3u%%  %s of %s  %s%s  ETA %s", percents, have, size,
		 pace, unit, rest);
	snprintf(texts[1], sizeof(texts[1]), "%3u%%  %s of %s  %s%s", percents, have, size, pace,
		 unit);
	snprintf(texts[2], sizeof(texts[2]), "%3u%%  %s%s", percents, pace, unit);
	snprintf(texts[3], sizeof(texts[3]), "%3u%%", percents);
	if (progress->paused)
		i = 1;
	if (progress->open_ended) {
		i = 2;
		snprintf(texts[2], sizeof(texts[2]), "%s  %s%s", have, pace, unit);
		snprintf(texts[3], sizeof(texts[3]), "%s", have);
	}
	while (i < 3 && strlen(texts[i]) > columns)
		i++;
	fputs("\r\033[K", progress->out);
	if (!progress->open_ended && strlen(texts[i]) < columns)
		draw_bar(progress, percents, columns - (unsigned)strlen(texts[i]));
	fprintf(progress->out, "%.*s", (int)columns, texts[i]);
	fflush(progress->out);
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
	progress_note(progress, TONE_PLAIN, "%3u%%  %s held, %s", percent(progress, done), have, total);
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
		snprintf(text, room, "nothing had to be %s", progress->verb);
		return;
	}
	progress_bytes(sent, sizeof(sent), bytes);
	progress_bytes(speed, sizeof(speed), seconds > 0 ? bytes / seconds : bytes);
	snprintf(text, room, "%s %s in %.1f s (%s/s)", sent, progress->verb, seconds, speed);
}
