/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "catalog_rig.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "../tree.h"
#include "catalog/executions.h"

static void rig_log(void *context, enum ft_log_level level, const char *line)
{
	struct catalog_rig *rig = context;
	size_t room = sizeof rig->log - rig->log_len;
	int len = snprintf(rig->log + rig->log_len, room, "%s\n", line);

	(void)level;
	if (len > 0 && (size_t)len < room)
		rig->log_len += (size_t)len;
}

void catalog_rig_init(struct catalog_rig *rig)
{
	memset(rig, 0, sizeof *rig);
	if (!tree_make(rig->dir, sizeof rig->dir, "ft-catalog"))
		abort();
	snprintf(rig->path, sizeof rig->path, "%s/catalog.db", rig->dir);
	catalog_url_next(rig->url);
	rig->identity = CATALOG_RIG_IDENTITY;
	rig->log_medium = FT_LOG_ON_DISK;
	memset(rig->log_id, 7, sizeof rig->log_id);
	rig->logger = ft_logger_new(rig_log, rig);
	if (!rig->logger)
		abort();
}

void catalog_rig_release(struct catalog_rig *rig)
{
	ft_catalog_close(&rig->catalog);
	ft_logger_free(rig->logger);
	tree_remove(rig->dir);
}

enum ft_status catalog_rig_open(struct catalog_rig *rig)
{
	struct ft_catalog_config config = {
		.path = rig->path,
		.url = rig->url[0] ? rig->url : NULL,
		.identity = rig->identity,
		.log_id = rig->log_id,
		.log_medium = rig->log_medium,
		.logger = rig->logger,
	};

	return ft_catalog_open(&config, &rig->catalog, &rig->past);
}

enum ft_status catalog_rig_reopen(struct catalog_rig *rig)
{
	ft_catalog_close(&rig->catalog);
	return catalog_rig_open(rig);
}

static struct ft_key rig_key(const char *owner, const char *file)
{
	return (struct ft_key){ owner, strlen(owner), file, strlen(file) };
}

struct ft_facts catalog_rig_facts(uint64_t number, const char *owner, const char *file)
{
	struct ft_facts facts = {
		.number = number,
		.key = rig_key(owner, file),
		.meta = { .has_size = true, .has_checksum = true, .size = number * 1000 },
		.terms = { .has_expire_at = true, .expire_at = 1800000000, .segments_ttl = 60,
			   .responses = FT_RESPONSES_ERRORS,
			   .user_data = { "{\"a\":1}", 7 } },
		.received_ms = 1790000000000,
	};

	snprintf(facts.meta.name, sizeof facts.meta.name, "photo-%" PRIu64 ".jpg", number);
	memset(facts.meta.checksum.bytes, (int)number, FT_SHA256_LEN);
	snprintf(facts.transfer_id, sizeof facts.transfer_id,
		 "00000000-0000-4000-8000-%012" PRIu64, number % 1000000000000);
	return facts;
}

struct ft_finished catalog_rig_finished(uint64_t number, const char *owner, const char *file)
{
	struct ft_facts facts = catalog_rig_facts(number, owner, file);
	struct ft_finished finished = {
		.number = number,
		.key = facts.key,
		.size = facts.meta.size,
		.checksum = facts.meta.checksum,
		.completed_ms = facts.received_ms + 5000,
		.has_expire_at = true,
		.expire_at = facts.terms.expire_at,
	};

	snprintf(finished.name, sizeof finished.name, "%s", facts.meta.name);
	snprintf(finished.transfer_id, sizeof finished.transfer_id, "%s", facts.transfer_id);
	return finished;
}

enum ft_status catalog_rig_parse(const char *pairs, struct ft_ranges *ranges)
{
	enum ft_status st = FT_OK;
	char *end = NULL;

	ft_ranges_init(ranges);
	for (const char *at = pairs; *at && st == FT_OK; at = *end == ' ' ? end + 1 : end) {
		uint64_t from = strtoull(at, &end, 10);
		uint64_t to = strtoull(end + 1, &end, 10);

		st = ft_ranges_add(ranges, from, to);
	}
	return st;
}

struct ft_ranges catalog_rig_ranges(const char *pairs)
{
	struct ft_ranges ranges;

	if (catalog_rig_parse(pairs, &ranges) != FT_OK)
		abort();
	return ranges;
}

/* --- what it says --- */

static void dump_bytes(FILE *to, const char *name, const void *bytes, size_t len)
{
	const unsigned char *at = bytes;

	fprintf(to, " %s=", name);
	for (size_t i = 0; i < len; i++) {
		if (at[i] > ' ' && at[i] < 0x7f)
			putc(at[i], to);
		else
			fprintf(to, "\\x%02x", at[i]);
	}
}

static void dump_sha256(FILE *to, const char *name, const struct ft_sha256 *digest)
{
	fprintf(to, " %s=", name);
	for (size_t i = 0; i < FT_SHA256_LEN; i++)
		fprintf(to, "%02x", digest->bytes[i]);
}

static void dump_ranges(FILE *to, const char *name, const struct ft_ranges *ranges)
{
	struct ft_range range = { 0, 0 };

	fprintf(to, " %s=", name);
	while (ft_ranges_next(ranges, range.end, &range))
		fprintf(to, "[%" PRIu64 "-%" PRIu64 "]", range.start, range.end);
}

static void dump_key(FILE *to, const struct ft_key *key)
{
	dump_bytes(to, "owner", key->owner, key->owner_len);
	dump_bytes(to, "file", key->file, key->file_len);
}

static enum ft_status dump_transfer(void *context, struct ft_unfinished *found)
{
	const struct ft_facts *facts = &found->facts;
	FILE *to = context;

	fprintf(to, "transfer %" PRIu64 " state=%d refused=%d news=%" PRIi64, facts->number,
		found->state, found->refused, found->news_run_ms);
	dump_key(to, &facts->key);
	dump_bytes(to, "name", facts->meta.name, strlen(facts->meta.name));
	if (facts->meta.has_size)
		fprintf(to, " size=%" PRIu64, facts->meta.size);
	if (facts->meta.has_checksum)
		dump_sha256(to, "sha256", &facts->meta.checksum);
	fprintf(to, " id=%s received=%" PRIi64, facts->transfer_id, facts->received_ms);
	if (facts->terms.has_expire_at)
		fprintf(to, " expire=%" PRIi64, facts->terms.expire_at);
	fprintf(to, " ttl=%" PRIu64 " responses=%d", facts->terms.segments_ttl,
		facts->terms.responses);
	dump_bytes(to, "user_data", facts->terms.user_data.at, facts->terms.user_data.len);
	if (found->state == FT_CATALOG_FINISHING) {
		fprintf(to, " fin=%" PRIu64, found->fin.size);
		if (found->fin.has_checksum)
			dump_sha256(to, "fin_sha256", &found->fin.checksum);
	}
	dump_ranges(to, "held", &found->held);
	dump_ranges(to, "durable", &found->durable);
	putc('\n', to);
	return FT_OK;
}

static enum ft_status dump_event(void *context, uint64_t number, const char *topic,
				 const char *text, size_t len)
{
	FILE *to = context;

	fprintf(to, "event %" PRIu64 " %s %.*s\n", number, topic, (int)len, text);
	return FT_OK;
}

static enum ft_status dump_answer(void *context, const struct ft_answer *answer)
{
	const struct ft_request *ticket = &answer->ticket;
	FILE *to = context;

	fprintf(to, "answer %" PRIu64 " result=%s", answer->number,
		answer->known ? ft_status_word(answer->result) : "-");
	dump_bytes(to, "client", ticket->client_id, strlen(ticket->client_id));
	dump_bytes(to, "topic", ticket->topic, strlen(ticket->topic));
	if (ticket->response_topic)
		dump_bytes(to, "to", ticket->response_topic, strlen(ticket->response_topic));
	if (ticket->correlation)
		dump_bytes(to, "correlation", ticket->correlation, ticket->correlation_len);
	putc('\n', to);
	return FT_OK;
}

struct dump_keys {
	struct ft_key *keys;	/* their bytes malloc'd */
	size_t count;
};

static enum ft_status dump_keep_key(void *context, const struct ft_key *key, uint64_t size)
{
	struct dump_keys *keys = context;
	struct ft_key *more = realloc(keys->keys, (keys->count + 1) * sizeof *more);
	char *bytes = more ? malloc(key->owner_len + key->file_len) : NULL;

	(void)size;
	if (more)
		keys->keys = more;
	if (!bytes)
		return FT_NO_MEMORY;
	memcpy(bytes, key->owner, key->owner_len);
	memcpy(bytes + key->owner_len, key->file, key->file_len);
	keys->keys[keys->count++] = (struct ft_key){ bytes, key->owner_len,
						     bytes + key->owner_len, key->file_len };
	return FT_OK;
}

static enum ft_status dump_finished(FILE *to, struct ft_catalog *c)
{
	struct dump_keys keys = { 0 };
	enum ft_status st = ft_catalog_each_finished_key(c, dump_keep_key, &keys);

	for (size_t i = 0; i < keys.count; i++) {
		struct ft_finished found;

		if (st == FT_OK)
			st = ft_catalog_find_finished(c, &keys.keys[i], &found);
		if (st == FT_OK) {
			fprintf(to, "finished %" PRIu64 " size=%" PRIu64 " id=%s completed=%" PRIi64,
				found.number, found.size, found.transfer_id, found.completed_ms);
			if (found.has_expire_at)
				fprintf(to, " expire=%" PRIi64, found.expire_at);
			dump_key(to, &found.key);
			dump_bytes(to, "name", found.name, strlen(found.name));
			dump_sha256(to, "sha256", &found.checksum);
			putc('\n', to);
		}
		free((char *)(uintptr_t)keys.keys[i].owner);
	}
	free(keys.keys);
	return st;
}

static enum ft_status dump_execution(void *context, const struct ft_execution *execution)
{
	fprintf(context, "execution of cam: %s status=%d version=%" PRIu64 " times=%" PRIi64 ",%" PRIi64
		",%" PRIi64 " details=%.*s\n", execution->job, execution->status, execution->version,
		execution->queued_s, execution->started_s, execution->updated_s,
		(int)execution->details.len, execution->details.at);
	return FT_OK;
}

/* Those of things called "cam", and what is counted. */
static enum ft_status dump_executions(FILE *to, struct ft_catalog *c)
{
	char job[FT_AWS_JOB_ID_MAX + 1];
	enum ft_status st = FT_OK;
	uint64_t count;

	for (int kind = FT_THING_CLIENT; st == FT_OK && kind <= FT_THING_USER; kind++) {
		const struct ft_thing thing = { .kind = (enum ft_thing_kind)kind, .name = "cam" };

		st = ft_catalog_each_execution(c, &thing, dump_execution, to);
	}
	if (st == FT_OK && (st = ft_catalog_count_executions(c, &count)) == FT_OK
	    && (st = ft_catalog_next_executed_job(c, "", job)) == FT_OK && count > 0)
		fprintf(to, "executions %" PRIu64 ", first job '%s'\n", count, job);
	return st;
}

char *catalog_rig_dump(struct ft_catalog *c, enum ft_status *st)
{
	struct ft_progress progress;
	char *text = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&text, &len);

	if (!to)
		abort();
	if ((*st = ft_catalog_get_progress(c, &progress)) == FT_OK)
		fprintf(to, "progress last=%" PRIu64 " run=%" PRIi64 "\n", progress.last_number,
			progress.run_ms);
	if (*st == FT_OK)
		*st = ft_catalog_each_transfer(c, dump_transfer, to);
	if (*st == FT_OK)
		*st = ft_catalog_each_answer(c, dump_answer, to);
	if (*st == FT_OK)
		*st = ft_catalog_each_event(c, dump_event, to);
	if (*st == FT_OK)
		*st = dump_executions(to, c);
	if (*st == FT_OK)
		*st = dump_finished(to, c);
	fclose(to);
	if (*st == FT_OK)
		return text;
	free(text);
	return NULL;
}
