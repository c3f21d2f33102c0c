/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "engine/refusals.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#define MINUTE_MS 60000
#define TICK_MS 1000
#define WAYS 8			/* rows that a key may be in, next to each other */
#define SAMPLE 64		/* bytes of an id that are hashed, at its beginning and its end */
#define CLIENT_SHOWN 64		/* bytes */
#define FILE_SHOWN 64
#define DETAIL_SHOWN 200

/*
 * The life of a row:
 *
 *	FREE	 --first refusal, logged at once-->		COUNTING
 *	COUNTING --a minute later, more were counted: logged-->	COUNTING
 *	COUNTING --a minute later, none was-->			QUIET
 *	QUIET	 --a refusal, logged at once-->			COUNTING
 *	QUIET	 --its place is needed-->			FREE
 *	COUNTING, QUIET --the state is over: logged-->		FREE
 *
 * A quiet row is kept to know how many clients were told.
 */
enum row_state {
	ROW_FREE,
	ROW_COUNTING,
	ROW_QUIET,
};

struct row {
	enum row_state state;
	enum ft_status status;
	int64_t since_ms;		/* COUNTING: when its minute began */
	uint64_t count;			/* COUNTING: refusals that are not in the log yet */
	char client[4 * CLIENT_SHOWN + 4];
	char file[4 * FILE_SHOWN + 4];	/* of the first that was counted */
	char detail[DETAIL_SHOWN + 4];
};

/* What is known of a status since it was over last. */
struct cause {
	uint64_t told;			/* refusals */
	uint64_t forgotten;		/* clients whose rows were needed for others */
	bool uncounted;			/* some clients had no row at all */
	bool over;			/* ended, and not logged yet */
	bool over_logged;		/* at over_ms */
	int64_t over_ms;
};

struct ft_refusals {
	struct ft_logger *logger;
	uint64_t seed;
	int64_t tick_ms;
	int64_t lines_since_ms;
	unsigned lines;			/* written since then */
	uint64_t more;			/* refusals since then for which no line was left */
	uint64_t more_rows;		/* of so many clients and causes */
	bool more_uncounted;		/* and of others */
	struct cause causes[FT_STATUS_COUNT];
	uint64_t keys[FT_REFUSALS_ROWS + WAYS];	/* of the rows; 0: FREE */
	struct row rows[FT_REFUSALS_ROWS + WAYS];
};

/* What ends, in words; other causes have no end that is told. */
static const char *const refusals_ends[FT_STATUS_COUNT] = {
	[FT_DISK_FULL] = "there is room on the disk again",
	[FT_QUOTA_EXCEEDED] = "there is room for bytes again",
	[FT_TOO_MANY_TRANSFERS] = "there is room for transfers again",
	[FT_RATE_LIMITED] = "clients keep to their rates again",
	[FT_BUSY] = "there is time for everything again",
	[FT_IO_ERROR] = "the storage works again",
	[FT_NO_MEMORY] = "there is memory again",
};

/* A client's mistake is no trouble of the broker's. */
static enum ft_log_level refusals_level(enum ft_status status)
{
	switch (status) {
	case FT_IO_ERROR:
	case FT_TIMEOUT:
	case FT_INTERNAL_ERROR:
	case FT_NO_MEMORY:
	case FT_DAMAGED:
	case FT_CANCELLED:
		return FT_LOG_WARNING;
	default:
		return ft_status_puback(status) == FT_PUBACK_QUOTA ? FT_LOG_WARNING
								   : FT_LOG_NOTICE;
	}
}

struct ft_refusals *ft_refusals_new(struct ft_logger *logger, uint64_t seed)
{
	struct ft_refusals *r = calloc(1, sizeof *r);

	if (!r)
		return NULL;
	r->logger = logger;
	r->seed = seed;
	return r;
}

/* --- rows --- */

static uint64_t refusals_hash(uint64_t hash, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)bytes[i]) * UINT64_C(0x100000001b3);
	return hash ^ hash >> 32;
}

/* Never 0. An id may be 64 KiB long; its ends tell it from others well enough. */
static uint64_t refusals_key(const struct ft_refusals *r, const struct ft_refusal *refusal)
{
	size_t begin = refusal->client_len < SAMPLE ? refusal->client_len : SAMPLE;
	size_t rest = refusal->client_len - begin;
	size_t end = rest < SAMPLE ? rest : SAMPLE;
	uint64_t hash = r->seed ^ refusal->client_len << 8 ^ (uint64_t)refusal->status;

	hash = refusals_hash(hash, refusal->client, begin);
	hash = refusals_hash(hash, refusal->client + refusal->client_len - end, end);
	return hash ? hash : 1;
}

static struct row *refusals_find(struct ft_refusals *r, uint64_t key)
{
	size_t first = key % FT_REFUSALS_ROWS;

	for (size_t i = first; i < first + WAYS; i++)
		if (r->keys[i] == key)
			return &r->rows[i];
	return NULL;
}

static void refusals_release_row(struct ft_refusals *r, struct row *row)
{
	r->keys[row - r->rows] = 0;
	row->state = ROW_FREE;
	row->count = 0;
}

/* A free row for the key, else that of who has been quiet for the longest. NULL: all are busy. */
static struct row *refusals_claim(struct ft_refusals *r, uint64_t key)
{
	size_t first = key % FT_REFUSALS_ROWS;
	struct row *best = NULL;

	for (struct row *row = &r->rows[first]; row < &r->rows[first + WAYS]; row++) {
		if (row->state == ROW_FREE) {
			best = row;
			break;
		}
		if (row->state == ROW_QUIET && (!best || row->since_ms < best->since_ms))
			best = row;
	}
	if (!best)
		return NULL;
	if (best->state == ROW_QUIET)
		r->causes[best->status].forgotten++;
	refusals_release_row(r, best);
	r->keys[best - r->rows] = key;
	return best;
}

static void refusals_describe(struct row *row, const struct ft_refusal *refusal)
{
	const char *detail = refusal->detail;
	struct ft_buf file = ft_buf_on(row->file, sizeof row->file);
	struct ft_buf why = ft_buf_on(row->detail, sizeof row->detail);
	size_t len;

	if (!detail || !*detail)
		detail = ft_status_text(refusal->status);
	ft_buf_printable(&file, refusal->file, refusal->file_len, FILE_SHOWN);
	len = strnlen(detail, DETAIL_SHOWN);
	ft_buf_bytes(&why, detail, len);
	if (detail[len] != '\0')
		ft_buf_str(&why, "...");
}

/* --- lines --- */

/* A minute has passed: tells what found no line in it, and begins another. */
static void refusals_turn(struct ft_refusals *r, int64_t now_ms)
{
	if (now_ms - r->lines_since_ms < MINUTE_MS)
		return;
	r->lines_since_ms = now_ms;
	r->lines = 0;
	if (r->more == 0)
		return;
	ft_logger_printf(r->logger, FT_LOG_WARNING, "and %llu refusals more in a minute, of %s%llu "
			 "clients and causes", (unsigned long long)r->more,
			 r->more_uncounted ? "more than " : "", (unsigned long long)r->more_rows);
	r->lines = 1;
	r->more = r->more_rows = 0;
	r->more_uncounted = false;
}

/* Whether another line may be written; if not, `count` refusals of a row find none. */
static bool refusals_take_line(struct ft_refusals *r, uint64_t count, int64_t now_ms)
{
	refusals_turn(r, now_ms);
	if (r->lines < FT_REFUSALS_LINES_MAX) {
		r->lines++;
		return true;
	}
	r->more += count;
	r->more_rows++;
	return false;
}

/* `which` leads to the file, `times` is how often, if more than once. */
static void refusals_write(struct ft_refusals *r, const struct row *row, const char *times,
			   const char *which)
{
	char room[sizeof row->file + 40];
	struct ft_buf file = ft_buf_on(room, sizeof room);

	if (*row->file)
		ft_buf_printf(&file, ", %s '%s'", which, row->file);
	ft_logger_printf(r->logger, refusals_level(row->status), "refused %s%s: client '%s'%s: %s",
			 ft_status_word(row->status), times, row->client, room, row->detail);
}

/* The row's minute is over. */
static void refusals_write_count(struct ft_refusals *r, struct row *row, int64_t now_ms)
{
	char room[40];
	struct ft_buf times = ft_buf_on(room, sizeof room);

	assert(row->state == ROW_COUNTING && row->count > 0);
	ft_buf_printf(&times, " %llu time%s more", (unsigned long long)row->count,
		      row->count == 1 ? "" : "s");
	if (refusals_take_line(r, row->count, now_ms))
		refusals_write(r, row, room, "the first with file");
	row->count = 0;
	row->since_ms = now_ms;
}

/* --- what happens --- */

void ft_refusals_note(struct ft_refusals *r, const struct ft_refusal *refusal, int64_t now_ms)
{
	struct cause *cause;
	struct row *row;
	uint64_t key;

	if (!r)
		return;
	assert(refusal->status != FT_OK && refusal->status < FT_STATUS_COUNT);
	cause = &r->causes[refusal->status];
	cause->told++;
	cause->over = false;
	key = refusals_key(r, refusal);
	row = refusals_find(r, key);
	if (row && row->state == ROW_COUNTING) {
		if (row->count++ == 0)
			refusals_describe(row, refusal);
		return;
	}
	if (!row && !(row = refusals_claim(r, key))) {
		cause->uncounted = r->more_uncounted = true;
		r->more++;
		return;
	}
	if (row->state == ROW_FREE) {
		struct ft_buf client = ft_buf_on(row->client, sizeof row->client);

		ft_buf_printable(&client, refusal->client, refusal->client_len, CLIENT_SHOWN);
		row->status = refusal->status;
	}
	row->state = ROW_COUNTING;
	row->since_ms = now_ms;
	row->count = 0;
	refusals_describe(row, refusal);
	if (refusals_take_line(r, 1, now_ms))
		refusals_write(r, row, "", "file");
}

/* How many clients have been told since it was over last; forgets them. */
static uint64_t refusals_take_clients(struct ft_refusals *r, enum ft_status status)
{
	uint64_t clients = r->causes[status].forgotten;

	for (size_t i = 0; i < FT_REFUSALS_ROWS + WAYS; i++) {
		if (r->rows[i].state == ROW_FREE || r->rows[i].status != status)
			continue;
		refusals_release_row(r, &r->rows[i]);
		clients++;
	}
	return clients;
}

static void refusals_write_over(struct ft_refusals *r, enum ft_status status, int64_t now_ms)
{
	struct cause *cause = &r->causes[status];
	uint64_t clients;

	if (!cause->over || (cause->over_logged && now_ms - cause->over_ms < MINUTE_MS))
		return;
	clients = refusals_take_clients(r, status);
	ft_logger_printf(r->logger, FT_LOG_NOTICE, "%s; %s%llu client%s told %s, %llu time%s",
			 refusals_ends[status], cause->uncounted ? "more than " : "",
			 (unsigned long long)clients, clients == 1 ? " was" : "s were",
			 ft_status_word(status), (unsigned long long)cause->told,
			 cause->told == 1 ? "" : "s");
	*cause = (struct cause){ .over_logged = true, .over_ms = now_ms };
}

void ft_refusals_over(struct ft_refusals *r, enum ft_status status, int64_t now_ms)
{
	assert(status < FT_STATUS_COUNT && refusals_ends[status]);
	if (!r || r->causes[status].told == 0)
		return;
	r->causes[status].over = true;
	refusals_write_over(r, status, now_ms);
}

void ft_refusals_tick(struct ft_refusals *r, int64_t now_ms)
{
	if (!r || now_ms - r->tick_ms < TICK_MS)
		return;
	r->tick_ms = now_ms;
	refusals_turn(r, now_ms);
	for (int status = 0; status < FT_STATUS_COUNT; status++)
		refusals_write_over(r, (enum ft_status)status, now_ms);
	for (struct row *row = r->rows; row < r->rows + FT_REFUSALS_ROWS + WAYS; row++) {
		if (row->state != ROW_COUNTING || now_ms - row->since_ms < MINUTE_MS)
			continue;
		if (row->count > 0)
			refusals_write_count(r, row, now_ms);
		else
			row->state = ROW_QUIET;
	}
}

void ft_refusals_free(struct ft_refusals **refusals)
{
	struct ft_refusals *r = *refusals;

	if (!r)
		return;
	for (struct row *row = r->rows; row < r->rows + FT_REFUSALS_ROWS + WAYS; row++)
		if (row->state == ROW_COUNTING && row->count > 0)
			refusals_write_count(r, row, r->lines_since_ms);
	refusals_turn(r, r->lines_since_ms + MINUTE_MS);
	free(r);
	*refusals = NULL;
}
