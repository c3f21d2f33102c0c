/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#define BAR_WIDTH 12
#define IDLE_SHOWN_S 60

double number_of(const cJSON *entry, const char *key)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(entry, key);

	return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

const char *text_of(const cJSON *entry, const char *key)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(entry, key);

	return cJSON_IsString(item) ? item->valuestring : "";
}

void print_size(char *text, size_t room, double bytes)
{
	static const char units[] = "BkMGTPE";
	size_t unit = 0;

	while (bytes >= 999.5 && unit + 2 < sizeof(units)) {
		bytes /= 1024;
		unit++;
	}
	snprintf(text, room, unit && bytes < 99.95 ? "%.1f%c" : "%.0f%c", bytes, units[unit]);
}

void print_time(char *text, size_t room, double seconds)
{
	unsigned long s = seconds > 0 && seconds < 1e9 ? (unsigned long)seconds : 0;

	if (s < 60)
		snprintf(text, room, "%lus", s);
	else if (s < 3600)
		snprintf(text, room, "%lum%02lus", s / 60, s % 60);
	else if (s < 86400)
		snprintf(text, room, "%luh%02lum", s / 3600, s / 60 % 60);
	else
		snprintf(text, room, "%lud%02luh", s / 86400, s / 3600 % 24);
}

/* --- texts in columns --- */

/* One character as wide as it is shown; what is none, or would be obeyed, is one '?'. */
static size_t table_take(const char *text, wchar_t *character, int *width)
{
	mbstate_t state = { 0 };
	size_t len = mbrtowc(character, text, strlen(text), &state);

	if (len == (size_t)-1 || len == (size_t)-2 || len == 0) {
		*character = L'?';
		len = 1;
	}
	*width = wcwidth(*character);
	if (*width < 0) {
		*character = L'?';
		*width = 1;
	}
	return len;
}

static int table_width(const char *text)
{
	int total = 0, width;
	wchar_t character;

	for (size_t len; *text; text += len) {
		len = table_take(text, &character, &width);
		total += width;
	}
	return total;
}

/* The characters from `from` on, in columns, until before `to`. */
static int table_print_part(const char *text, int from, int to)
{
	int at = 0, printed = 0, width;
	wchar_t character;

	for (size_t len; *text && at < to; text += len, at += width) {
		len = table_take(text, &character, &width);
		if (at < from || at + width > to)
			continue;
		printf("%lc", (wint_t)character);
		printed += width;
	}
	return printed;
}

void table_print_text(const char *text, int width)
{
	int whole = table_width(text), printed = 0;
	int room = width < 0 ? -width : width ? width : whole;

	if (width > 0 && whole < room)
		printed += printf("%*s", room - whole, "");
	if (whole <= room) {
		printed += table_print_part(text, 0, room);
	} else {	/* beginning and end say more than the middle */
		int head = (room - 1) / 2;

		printed += table_print_part(text, 0, head);
		printed += printf("~");
		printed += table_print_part(text, whole - (room - head - 1), whole);
	}
	if (printed < room)
		printf("%*s", room - printed, "");
}

void table_print_head(const struct table_column *columns)
{
	for (const struct table_column *c = columns; c->title; c++) {
		table_print_text(c->title, c->width);
		printf(c[1].title ? " " : "\n");
	}
}

void table_print(const struct table_column *columns, const cJSON *entry, enum table_fit fit)
{
	char text[CELL_ROOM];

	for (const struct table_column *c = columns; c->title; c++) {
		text[0] = '\0';
		c->cell(text, entry);
		table_print_text(text, fit == TABLE_WHOLE && table_width(text) > abs(c->width)
				       ? 0 : c->width);
		printf(c[1].title ? " " : "\n");
	}
}

/* --- cells --- */

/* An id that is no text is shown in hex. */
static void cell_id(char text[CELL_ROOM], const cJSON *entry, const char *key, const char *key_hex)
{
	const char *id = text_of(entry, key), *hex = text_of(entry, key_hex);

	snprintf(text, CELL_ROOM, "%s%s", *hex ? "0x" : "", *hex ? hex : id);
}

void cell_client(char text[CELL_ROOM], const cJSON *entry)
{
	cell_id(text, entry, "client_id", "client_id_hex");
}

void cell_file(char text[CELL_ROOM], const cJSON *entry)
{
	cell_id(text, entry, "file_id", "file_id_hex");
}

void cell_name(char text[CELL_ROOM], const cJSON *entry)
{
	snprintf(text, CELL_ROOM, "%s", text_of(entry, "name"));
}

/* What was announced, or what is held at least. */
void cell_size(char text[CELL_ROOM], const cJSON *entry)
{
	bool known = cJSON_HasObjectItem(entry, "size");

	text[0] = known ? '\0' : '>';
	print_size(text + !known, CELL_ROOM - 1, number_of(entry, known ? "size" : "received"));
}

static double part_of(const cJSON *entry)
{
	double size = number_of(entry, "size"), part = number_of(entry, "received");

	return !cJSON_HasObjectItem(entry, "size") ? -1 : size > 0 ? part / size : 1;
}

void cell_done(char text[CELL_ROOM], const cJSON *entry)
{
	double part = part_of(entry);

	if (part >= 0)
		snprintf(text, CELL_ROOM, "%.0f%%", part > 1 ? 100 : 100 * part - (part < 1 ? 0.5 : 0) + 0.01);
}

void cell_rate(char text[CELL_ROOM], const cJSON *entry)
{
	double rate = number_of(entry, "bytes_per_second");
	char size[32];

	if (rate <= 0)
		return;
	print_size(size, sizeof(size), rate);
	snprintf(text, CELL_ROOM, "%s/s", size);
}

void cell_state(char text[CELL_ROOM], const cJSON *entry)
{
	bool paused = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(entry, "paused"));

	const char *state = paused ? "paused" : text_of(entry, "state");
	double idle = number_of(entry, "idle");
	char since[32];

	print_time(since, sizeof(since), idle);
	if (strcmp(state, "receiving") == 0 && idle >= IDLE_SHOWN_S)
		snprintf(text, CELL_ROOM, "idle %s", since);
	else
		snprintf(text, CELL_ROOM, "%s", state);
}

/* Nothing where it is as it should be. */
void cell_mark(char text[CELL_ROOM], const cJSON *entry)
{
	static const char *const marks[][2] = {
		{ "paused", "PAUS" }, { "assembling", "asm" }, { "aborting", "abrt" },
		{ "checking", "chck" }, { "conflict", "conf" },
	};
	char state[CELL_ROOM];

	cell_state(state, entry);
	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
		if (strcmp(marks[i][0], state) == 0)
			snprintf(text, CELL_ROOM, "%s", marks[i][1]);
}

/* 2026-01-31 12:00:00, in UTC as everything else that is stored. */
static void cell_date(char text[CELL_ROOM], const char *date)
{
	snprintf(text, CELL_ROOM, "%.19s", date);
	if (strlen(text) > 10)
		text[10] = ' ';
}

void cell_completed(char text[CELL_ROOM], const cJSON *entry)
{
	cell_date(text, text_of(entry, "completed_at"));
}

void cell_since(char text[CELL_ROOM], const cJSON *entry)
{
	cell_date(text, text_of(entry, "since"));
}

void cell_latest(char text[CELL_ROOM], const cJSON *entry)
{
	snprintf(text, CELL_ROOM, "%.10s", text_of(entry, "latest_at"));
}

void cell_transfers(char text[CELL_ROOM], const cJSON *entry)
{
	snprintf(text, CELL_ROOM, "%.0f", number_of(entry, "transfers"));
}

void cell_received(char text[CELL_ROOM], const cJSON *entry)
{
	print_size(text, CELL_ROOM, number_of(entry, "received"));
}

void cell_files(char text[CELL_ROOM], const cJSON *entry)
{
	snprintf(text, CELL_ROOM, "%.0f", number_of(entry, "files"));
}

void cell_file_bytes(char text[CELL_ROOM], const cJSON *entry)
{
	print_size(text, CELL_ROOM, number_of(entry, "file_bytes"));
}

/* Nothing where there is none. */
void cell_quota(char text[CELL_ROOM], const cJSON *entry)
{
	double quota = number_of(cJSON_GetObjectItemCaseSensitive(entry, "limits"), "client_quota");

	if (quota > 0)
		print_size(text, CELL_ROOM, quota);
}

void cell_scope(char text[CELL_ROOM], const cJSON *entry)
{
	snprintf(text, CELL_ROOM, "%s", text_of(entry, "scope"));
}

void cell_modified(char text[CELL_ROOM], const cJSON *entry)
{
	cell_date(text, text_of(entry, "modified_at"));
}

void cell_to(char text[CELL_ROOM], const cJSON *entry)
{
	cell_id(text, entry, "to", "to_hex");
}

void cell_offered(char text[CELL_ROOM], const cJSON *entry)
{
	snprintf(text, CELL_ROOM, "%s",
		 cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(entry, "offered")) ? "yes" : "not yet");
}

void cell_updated(char text[CELL_ROOM], const cJSON *entry)
{
	cell_date(text, text_of(entry, "updated_at"));
}

/* A user is told from a client of the same name. */
void cell_thing(char text[CELL_ROOM], const cJSON *entry)
{
	const char *user = text_of(entry, "user");

	if (*user)
		snprintf(text, CELL_ROOM, "user %s", user);
	else
		cell_client(text, entry);
}

void cell_job(char text[CELL_ROOM], const cJSON *entry)
{
	snprintf(text, CELL_ROOM, "%s", text_of(entry, "job"));
}

void cell_status(char text[CELL_ROOM], const cJSON *entry)
{
	snprintf(text, CELL_ROOM, "%s", text_of(entry, "status"));
}

void cell_bar(char text[CELL_ROOM], const cJSON *entry)
{
	double part = part_of(entry);
	int full = part < 0 ? 0 : part > 1 ? BAR_WIDTH : (int)(part * BAR_WIDTH);

	text[0] = '[';
	memset(text + 1, part < 0 ? '?' : '.', BAR_WIDTH);
	memset(text + 1, '#', (size_t)full);
	text[BAR_WIDTH + 1] = ']';
	text[BAR_WIDTH + 2] = '\0';
}

/* What is left takes so long at this rate. */
void cell_left(char text[CELL_ROOM], const cJSON *entry)
{
	double rate = number_of(entry, "bytes_per_second");
	double left = number_of(entry, "size") - number_of(entry, "received");

	if (rate > 0 && cJSON_HasObjectItem(entry, "size"))
		print_time(text, CELL_ROOM, left / rate + 0.5);
}
