/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What is printed for people: tables that fit 80 columns, sizes, times. What comes from clients
 * is shown without control characters, which a terminal would obey.
 */
#ifndef FT_CTL_TABLE_H
#define FT_CTL_TABLE_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CELL_ROOM 512

/* What is in a column: writes the text of an entry. */
typedef void table_cell(char text[CELL_ROOM], const cJSON *entry);

struct table_column {
	const char *title;
	int width;			/* columns of the terminal; negative: to the left */
	table_cell *cell;
};

/* What becomes of a text that is longer than its column. */
enum table_fit {
	TABLE_CUT,			/* in the middle */
	TABLE_WHOLE,			/* the line gets longer */
};

/* The titles, and one entry, each a line; `columns` ends with a title NULL. */
void table_print_head(const struct table_column *columns);
void table_print(const struct table_column *columns, const cJSON *entry, enum table_fit fit);

/* Prints `text` in so many columns: cut in the middle, or filled. Negative: to the left; 0: as it is. */
void table_print_text(const char *text, int width);

/* --- cells --- */

void cell_client(char text[CELL_ROOM], const cJSON *entry);
void cell_file(char text[CELL_ROOM], const cJSON *entry);
void cell_name(char text[CELL_ROOM], const cJSON *entry);
void cell_size(char text[CELL_ROOM], const cJSON *entry);
void cell_done(char text[CELL_ROOM], const cJSON *entry);
void cell_rate(char text[CELL_ROOM], const cJSON *entry);
void cell_state(char text[CELL_ROOM], const cJSON *entry);
void cell_mark(char text[CELL_ROOM], const cJSON *entry);	/* the same in 4 columns */
void cell_completed(char text[CELL_ROOM], const cJSON *entry);
void cell_scope(char text[CELL_ROOM], const cJSON *entry);
void cell_since(char text[CELL_ROOM], const cJSON *entry);
void cell_latest(char text[CELL_ROOM], const cJSON *entry);	/* the day */
void cell_transfers(char text[CELL_ROOM], const cJSON *entry);
void cell_received(char text[CELL_ROOM], const cJSON *entry);
void cell_files(char text[CELL_ROOM], const cJSON *entry);
void cell_file_bytes(char text[CELL_ROOM], const cJSON *entry);
void cell_quota(char text[CELL_ROOM], const cJSON *entry);
void cell_modified(char text[CELL_ROOM], const cJSON *entry);
void cell_to(char text[CELL_ROOM], const cJSON *entry);
void cell_offered(char text[CELL_ROOM], const cJSON *entry);	/* of an offer that has no checksum yet: no */
void cell_updated(char text[CELL_ROOM], const cJSON *entry);
void cell_thing(char text[CELL_ROOM], const cJSON *entry);
void cell_job(char text[CELL_ROOM], const cJSON *entry);
void cell_status(char text[CELL_ROOM], const cJSON *entry);
void cell_bar(char text[CELL_ROOM], const cJSON *entry);
void cell_left(char text[CELL_ROOM], const cJSON *entry);

/* --- values --- */

/* A member; 0 or "" where there is none. */
double number_of(const cJSON *entry, const char *key);
const char *text_of(const cJSON *entry, const char *key);

/* "1.5M", of 1024 based units. */
void print_size(char *text, size_t room, double bytes);

/* "2h05m" */
void print_time(char *text, size_t room, double seconds);

#endif
