/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * A catalog that somebody else has written. First byte of the input:
 *
 *	0	bytes of a good one are changed: u8 1/256 of the file, u16 where in it, u8 value
 *	1	values of its rows are changed: u8 column, u8 type, u8 length, bytes
 *	2	the rest is the file
 *
 * Whatever it is, there are errors and never a crash, and what is read obeys the rules.
 */
#include <sqlite3.h>
#include <unistd.h>

#include "catalog/catalog.h"
#include "fuzz.h"

/* Every column that is read back. */
static const char *const catalog_columns[] = {
	"UPDATE progress SET identity = ?", "UPDATE progress SET log_id = ?",
	"UPDATE progress SET filled = ?", "UPDATE progress SET last_number = ?",
	"UPDATE progress SET run_ms = ?", "UPDATE transfers SET number = ? WHERE number = 1",
	"UPDATE transfers SET state = ?", "UPDATE transfers SET refused = ?",
	"UPDATE transfers SET news_run_ms = ?", "UPDATE transfers SET owner = ?",
	"UPDATE transfers SET file = ?", "UPDATE transfers SET name = ?",
	"UPDATE transfers SET size = ?", "UPDATE transfers SET sha256 = ?",
	"UPDATE transfers SET transfer_id = ?", "UPDATE transfers SET received_ms = ?",
	"UPDATE transfers SET expire_at = ?", "UPDATE transfers SET segments_ttl = ?",
	"UPDATE transfers SET responses = ?", "UPDATE transfers SET fin_size = ?",
	"UPDATE transfers SET fin_sha256 = ?", "UPDATE transfers SET user_data = ?",
	"UPDATE ranges SET number = ? WHERE start = 5", "UPDATE ranges SET kind = ? WHERE start = 5",
	"UPDATE ranges SET start = ? WHERE start = 5", "UPDATE ranges SET until = ?",
	"UPDATE finished SET owner = ?", "UPDATE finished SET file = ?",
	"UPDATE finished SET name = ?", "UPDATE finished SET size = ?",
	"UPDATE finished SET sha256 = ?", "UPDATE finished SET completed_ms = ?",
	"UPDATE finished SET expire_at = ?", "UPDATE finished SET transfer_id = ?",
	"UPDATE finished SET number = ?", "UPDATE finished SET hash = ?",
	"UPDATE answers SET number = ? WHERE number = 2", "UPDATE answers SET result = ?",
	"UPDATE answers SET client_id = ?", "UPDATE answers SET topic = ?",
	"UPDATE outbox SET number = ?", "UPDATE outbox SET topic = ?", "UPDATE outbox SET text = ?",
	"UPDATE answers SET response_topic = ?", "UPDATE answers SET correlation = ?",
};

#define CATALOG_COLUMNS (sizeof catalog_columns / sizeof catalog_columns[0])

static char catalog_dir[64];
static char catalog_path[80];
static uint8_t *catalog_good;	/* the file as it should be */
static size_t catalog_good_len;

static enum ft_status catalog_open(struct ft_catalog **c, const char *identity)
{
	static const uint8_t log_id[FT_LOG_ID_LEN] = "log";
	struct ft_catalog_config config = { .path = catalog_path, .identity = identity,
					    .log_id = log_id };
	enum ft_catalog_past past;

	return ft_catalog_open(&config, c, &past);
}

static void catalog_remove_files(void)
{
	static const char *const suffixes[] = { "", "-wal", "-shm", "-journal" };
	char name[100];

	for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
		snprintf(name, sizeof name, "%s%s", catalog_path, suffixes[i]);
		unlink(name);
	}
}

static void catalog_at_exit(void)
{
	catalog_remove_files();
	rmdir(catalog_dir);
	free(catalog_good);
}

static struct ft_facts catalog_facts(uint64_t number, const char *file)
{
	struct ft_facts facts = { .number = number, .key = { "cam", 3, file, 1 } };

	facts.meta = (struct ft_meta){ .name = "photo.jpg", .has_size = true, .size = 10,
				       .has_checksum = true };
	facts.terms = (struct ft_terms){ .has_expire_at = true, .segments_ttl = 60,
					 .user_data = { "{}", 2 } };
	memcpy(facts.transfer_id, "id", 3);
	return facts;
}

static enum ft_status catalog_fill(struct ft_catalog *c)
{
	static const struct ft_request ticket = { .client_id = "cam", .topic = "t",
						  .response_topic = "r", .correlation = "c",
						  .correlation_len = 1 };
	struct ft_facts first = catalog_facts(1, "a"), second = catalog_facts(2, "b");
	struct ft_finished finished = { .number = 3, .key = { "cam", 3, "c", 1 }, .name = "n" };
	struct ft_fin fin = { .size = 10, .has_checksum = true };
	struct ft_ranges held;
	enum ft_status st;

	ft_ranges_init(&held);
	if (ft_ranges_add(&held, 0, 3) != FT_OK || ft_ranges_add(&held, 5, 10) != FT_OK)
		abort();
	if ((st = ft_catalog_put_transfer(c, &first, FT_CATALOG_RECEIVING, 1)) == FT_OK
	    && (st = ft_catalog_put_transfer(c, &second, FT_CATALOG_RECEIVING, 1)) == FT_OK
	    && (st = ft_catalog_put_held(c, 1, &held, 0, 10)) == FT_OK
	    && (st = ft_catalog_put_durable(c, 1, &held, 0, 10)) == FT_OK
	    && (st = ft_catalog_put_fin(c, 2, &fin, &ticket)) == FT_OK)
		st = ft_catalog_put_finished(c, &finished, NULL);
	if (st == FT_OK)
		st = ft_catalog_put_event(c, 3, "$file-event/c/f", "{}", 2);
	ft_ranges_release(&held);
	return st;
}

static void catalog_make(void)
{
	struct ft_catalog *c;
	FILE *file;

	if (catalog_good)
		return;
	snprintf(catalog_dir, sizeof catalog_dir, "%s/ft-fuzz-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (!mkdtemp(catalog_dir))
		abort();
	snprintf(catalog_path, sizeof catalog_path, "%s/catalog.db", catalog_dir);
	if (catalog_open(&c, "boot=1") != FT_OK || ft_catalog_begin(c) != FT_OK
	    || catalog_fill(c) != FT_OK || ft_catalog_commit(c) != FT_OK)
		abort();
	ft_catalog_close(&c);
	catalog_good = malloc(1 << 20);
	file = fopen(catalog_path, "r");
	if (!catalog_good || !file)
		abort();
	catalog_good_len = fread(catalog_good, 1, 1 << 20, file);
	fclose(file);
	atexit(catalog_at_exit);
}

static void catalog_store(const uint8_t *bytes, size_t len)
{
	FILE *file = fopen(catalog_path, "w");

	if (!file || fwrite(bytes, 1, len, file) != len || fclose(file) != 0)
		abort();
}

static void catalog_change_bytes(struct fuzz_input *input)
{
	uint8_t *bytes = malloc(catalog_good_len);

	if (!bytes)
		abort();
	memcpy(bytes, catalog_good, catalog_good_len);
	while (input->len > 0) {
		size_t at = fuzz_byte(input) * catalog_good_len / 256;

		bytes[(at + fuzz_u16(input)) % catalog_good_len] = fuzz_byte(input);
	}
	catalog_store(bytes, catalog_good_len);
	free(bytes);
}

static int64_t catalog_number(const char *text, size_t len)
{
	uint64_t number = 0;

	for (size_t i = 0; i < len && i < 8; i++)
		number = number << 8 | (uint8_t)text[i];
	return (int64_t)number;
}

static void catalog_bind(sqlite3_stmt *statement, struct fuzz_input *input)
{
	unsigned type = fuzz_byte(input) % 5;
	size_t len = fuzz_byte(input);
	const char *text = (const char *)input->bytes;

	if (len > input->len)
		len = input->len;
	switch (type) {
	case 0:
		sqlite3_bind_null(statement, 1);
		break;
	case 1:
		sqlite3_bind_int64(statement, 1, catalog_number(text, len));
		break;
	case 2:
		sqlite3_bind_double(statement, 1, (double)catalog_number(text, len) / 3);
		break;
	case 3:
		sqlite3_bind_text(statement, 1, text, (int)len, SQLITE_TRANSIENT);
		break;
	default:
		sqlite3_bind_blob(statement, 1, text, (int)len, SQLITE_TRANSIENT);
	}
	input->bytes += len;
	input->len -= len;
}

static void catalog_change_rows(struct fuzz_input *input)
{
	sqlite3 *db;

	catalog_store(catalog_good, catalog_good_len);
	if (sqlite3_open(catalog_path, &db) != SQLITE_OK)
		abort();
	while (input->len > 0) {
		sqlite3_stmt *statement;

		if (sqlite3_prepare_v2(db, catalog_columns[fuzz_byte(input) % CATALOG_COLUMNS], -1,
				       &statement, NULL) != SQLITE_OK)
			abort();
		catalog_bind(statement, input);
		(void)sqlite3_step(statement);	/* NOT NULL may refuse it */
		(void)sqlite3_finalize(statement);
	}
	if (sqlite3_close(db) != SQLITE_OK)
		abort();
}

/* --- what is read --- */

static void catalog_check_key(const struct ft_key *key)
{
	fuzz_check(key->owner_len <= 65536 && key->file_len >= 1 && key->file_len <= 255);
}

static enum ft_status catalog_check_transfer(void *context, struct ft_unfinished *found)
{
	struct ft_range range = { 0, 0 };

	catalog_check_key(&found->facts.key);
	fuzz_check(found->facts.number != 0 && found->facts.number <= INT64_MAX);
	fuzz_check(found->facts.meta.name[0] != '\0' && !strchr(found->facts.meta.name, '/'));
	fuzz_check(found->facts.meta.size <= INT64_MAX && found->fin.size <= INT64_MAX);
	fuzz_check(found->state >= FT_CATALOG_RECEIVING && found->state <= FT_CATALOG_CONFLICT);
	fuzz_check(strlen(found->facts.transfer_id) < FT_UUID_ROOM);
	while (ft_ranges_next(&found->durable, range.end, &range))
		fuzz_check(ft_ranges_cover(&found->held, range.start, range.end));
	++*(size_t *)context;
	return FT_OK;
}

static enum ft_status catalog_check_event(void *context, uint64_t number, const char *topic,
					  const char *text, size_t len)
{
	(void)number;
	*(size_t *)context += strlen(topic) + strnlen(text, len);
	return FT_OK;
}

static enum ft_status catalog_check_answer(void *context, const struct ft_answer *answer)
{
	fuzz_check(answer->number != 0 && answer->ticket.client_id && answer->ticket.topic);
	fuzz_check(answer->result < FT_STATUS_COUNT);
	fuzz_check(answer->ticket.correlation || answer->ticket.correlation_len == 0);
	*(size_t *)context += strlen(answer->ticket.client_id) + strlen(answer->ticket.topic);
	return FT_OK;
}

static enum ft_status catalog_check_finished(void *context, const struct ft_key *key, uint64_t size)
{
	fuzz_check(size <= INT64_MAX);
	catalog_check_key(key);
	++*(size_t *)context;
	return FT_OK;
}

/* All that a start asks, then some changes: any of it may fail. */
static void catalog_use(struct ft_catalog *c)
{
	static const struct ft_key key = { "cam", 3, "c", 1 };
	struct ft_finished finished;
	struct ft_unfinished found;
	struct ft_progress progress;
	enum ft_status st;
	int64_t place = 0;
	size_t seen = 0;

	if (ft_catalog_get_progress(c, &progress) == FT_OK)
		fuzz_check(progress.last_number <= INT64_MAX);
	(void)(ft_catalog_each_transfer(c, catalog_check_transfer, &seen) == FT_OK);
	(void)(ft_catalog_each_answer(c, catalog_check_answer, &seen) == FT_OK);
	(void)(ft_catalog_each_event(c, catalog_check_event, &seen) == FT_OK);
	(void)(ft_catalog_each_finished_key(c, catalog_check_finished, &seen) == FT_OK);
	while (place < INT64_MAX && ft_catalog_next_finished(c, &place, &finished) == FT_OK)
		catalog_check_key(&finished.key);
	if (ft_catalog_find_finished(c, &key, &finished) == FT_OK)
		fuzz_check(finished.name[0] != '\0' && !strchr(finished.name, '/'));
	if (ft_catalog_find_transfer(c, 1, &found) == FT_OK) {
		ft_ranges_release(&found.held);
		ft_ranges_release(&found.durable);
	}
	if ((st = ft_catalog_begin(c)) == FT_OK && (st = catalog_fill(c)) == FT_OK)
		st = ft_catalog_commit(c);
	ft_catalog_rollback(c);
	(void)(ft_catalog_checkpoint(c) == FT_OK);
	/* What it has just taken it gives back. */
	if (st == FT_OK && ft_catalog_find_finished(c, &key, &finished) == FT_OK)
		fuzz_check(finished.number == 3);
}

FUZZ_TARGET(catalog)
{
	struct fuzz_input input = { bytes, len };
	struct ft_catalog *c;

	catalog_make();
	catalog_remove_files();
	switch (fuzz_byte(&input) % 3) {
	case 0:
		catalog_change_bytes(&input);
		break;
	case 1:
		catalog_change_rows(&input);
		break;
	default:
		catalog_store(input.bytes, input.len);
	}
	if (catalog_open(&c, len % 2 ? "boot=1" : "boot=2") == FT_OK)
		catalog_use(c);
	ft_catalog_close(&c);
}
