/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "catalog_story.h"

#include <stdlib.h>

#include "catalog/executions.h"

static const struct ft_request ticket = {
	.client_id = "cam",
	.topic = "$file/f/fin/10",
	.response_topic = "answers/cam",
	.correlation = "\0\1",
	.correlation_len = 2,
};

static enum ft_status put_transfer(struct ft_catalog *c, uint64_t number, const char *file)
{
	struct ft_facts facts = catalog_rig_facts(number, "cam", file);

	return ft_catalog_put_transfer(c, &facts, FT_CATALOG_RECEIVING, (int64_t)number);
}

typedef enum ft_status put_ranges(struct ft_catalog *c, uint64_t number,
				  const struct ft_ranges *ranges, uint64_t start, uint64_t end);

static enum ft_status put(struct ft_catalog *c, put_ranges *how, uint64_t number,
			  const char *pairs)
{
	struct ft_ranges ranges;
	enum ft_status st = catalog_rig_parse(pairs, &ranges);

	if (st == FT_OK)
		st = how(c, number, &ranges, 0, INT64_MAX);
	ft_ranges_release(&ranges);
	return st;
}

/* Results of what comes before are facts as well: the first error ends the step. */
#define first_error(...) \
	const enum ft_status results[] = { __VA_ARGS__ }; \
	for (size_t i = 0; i < sizeof results / sizeof results[0]; i++) \
		if (results[i] != FT_OK) \
			return results[i]; \
	return FT_OK

static enum ft_status begin_three(struct ft_catalog *c)
{
	const struct ft_progress progress = { 3, 1000 };

	first_error(put_transfer(c, 1, "a"), put_transfer(c, 2, "b"), put_transfer(c, 3, "c"),
		    ft_catalog_put_progress(c, &progress));
}

static enum ft_status hold(struct ft_catalog *c)
{
	first_error(put(c, ft_catalog_put_held, 1, "0-10 20-30"),
		    put(c, ft_catalog_put_held, 2, "0-10"),
		    put(c, ft_catalog_put_held, 3, "0-7"),
		    ft_catalog_put_news(c, 1, 50));
}

static enum ft_status make_durable(struct ft_catalog *c)
{
	first_error(put(c, ft_catalog_put_durable, 1, "0-10"),
		    put(c, ft_catalog_put_durable, 2, "0-5"), ft_catalog_put_filled(c));
}

static enum ft_status fin(struct ft_catalog *c)
{
	const struct ft_fin ten = { .size = 10 };
	struct ft_terms terms = { .segments_ttl = 9 };

	first_error(ft_catalog_put_fin(c, 1, &ten, &ticket),
		    ft_catalog_put_fin(c, 2, &ten, &ticket), ft_catalog_put_refused(c, 3),
		    ft_catalog_put_terms(c, 3, &terms));
}

static enum ft_status execute(struct ft_catalog *c, enum ft_thing_kind kind, const char *job,
			      uint64_t version)
{
	const struct ft_thing thing = { .kind = kind, .name = "cam" };
	const struct ft_execution execution = {
		.job = job, .status = version > 2 ? FT_EXECUTION_FAILED : FT_EXECUTION_IN_PROGRESS,
		.details = { "{\"a\":1}", version > 2 ? 7 : 0 }, .queued_s = 1, .started_s = 2,
		.updated_s = 3, .version = version,
	};

	return ft_catalog_put_execution(c, &thing, &execution);
}

static enum ft_status finish(struct ft_catalog *c)
{
	struct ft_finished finished = catalog_rig_finished(1, "cam", "a");

	first_error(ft_catalog_put_finished(c, &finished, NULL),
		    ft_catalog_put_event(c, 1, "$file-event/cam/a", "{}", 2),
		    ft_catalog_drop_fin(c, 2, FT_FILE_CHECKSUM_MISMATCH),
		    ft_catalog_drop_answer(c, 1), execute(c, FT_THING_CLIENT, "j1", 2),
		    execute(c, FT_THING_CLIENT, "j2", 2), execute(c, FT_THING_USER, "j1", 2));
}

static enum ft_status replace(struct ft_catalog *c)
{
	struct ft_finished again = catalog_rig_finished(4, "cam", "a");
	struct ft_finished other = catalog_rig_finished(5, "cam", "z");

	first_error(ft_catalog_put_finished(c, &again, NULL), ft_catalog_put_finished(c, &other, NULL),
		    ft_catalog_put_event(c, 5, "$file-event/cam/z", "{}", 2),
		    ft_catalog_drop_event(c, 1),
		    put_transfer(c, 6, "b"), ft_catalog_drop_transfer(c, 3),
		    execute(c, FT_THING_CLIENT, "j2", 3));
}

static enum ft_status forget(struct ft_catalog *c)
{
	static const struct ft_key key = { "cam", 3, "z", 1 };

	first_error(ft_catalog_drop_finished(c, &key, 5), ft_catalog_drop_executions(c, "j1"));
}

/* Rows that take several pages each. */
static enum ft_status grow(struct ft_catalog *c)
{
	static char user_data[6000];
	struct ft_facts facts = catalog_rig_facts(0, "cam", "x");

	for (size_t i = 0; i < sizeof user_data; i++)
		user_data[i] = (char)('0' + i % 10);
	facts.terms.user_data = (struct ft_json_text){ user_data, sizeof user_data };
	for (uint64_t i = 10; i < 15; i++) {
		char file[8] = { 'g', (char)('0' + i / 10), (char)('0' + i % 10) };
		enum ft_status st;

		facts.number = i;
		facts.key.file = file;
		facts.key.file_len = 3;
		if ((st = ft_catalog_put_transfer(c, &facts, FT_CATALOG_CONFLICT, 0)) != FT_OK)
			return st;
	}
	return FT_OK;
}

static enum ft_status shrink(struct ft_catalog *c)
{
	for (uint64_t i = 10; i < 15; i++) {
		enum ft_status st = ft_catalog_drop_transfer(c, i);

		if (st != FT_OK)
			return st;
	}
	return FT_OK;
}

static enum ft_status read_all(struct ft_catalog *c)
{
	enum ft_status st;

	free(catalog_rig_dump(c, &st));
	return st;
}

static enum ft_status join(struct ft_catalog *c)
{
	struct ft_catalog *mine;
	enum ft_status st = ft_catalog_join(c, &mine);

	if (st == FT_OK)
		st = read_all(mine);
	ft_catalog_close(&mine);
	return st;
}

const struct catalog_step catalog_story[] = {
	{ "begin_three", CATALOG_STEP_FACTS, begin_three },
	{ "hold", CATALOG_STEP_FACTS, hold },
	{ "sync", CATALOG_STEP_OTHER, ft_catalog_sync },
	{ "make_durable", CATALOG_STEP_FACTS, make_durable },
	{ "join", CATALOG_STEP_OTHER, join },
	{ "fin", CATALOG_STEP_FACTS, fin },
	{ "checkpoint", CATALOG_STEP_OTHER, ft_catalog_checkpoint },
	{ "read_all", CATALOG_STEP_OTHER, read_all },
	{ "finish", CATALOG_STEP_FACTS, finish },
	{ "sync", CATALOG_STEP_OTHER, ft_catalog_sync },
	{ "replace", CATALOG_STEP_FACTS, replace },
	{ "grow", CATALOG_STEP_FACTS, grow },
	{ "checkpoint", CATALOG_STEP_OTHER, ft_catalog_checkpoint },
	{ "forget", CATALOG_STEP_FACTS, forget },
	{ "shrink", CATALOG_STEP_FACTS, shrink },
	{ "sync", CATALOG_STEP_OTHER, ft_catalog_sync },
};

const size_t catalog_story_len = sizeof catalog_story / sizeof catalog_story[0];

enum ft_status catalog_story_step(struct ft_catalog *c, size_t step)
{
	const struct catalog_step *one = &catalog_story[step];
	enum ft_status st;

	if (one->kind == CATALOG_STEP_OTHER)
		return one->run(c);
	if ((st = ft_catalog_begin(c)) == FT_OK && (st = one->run(c)) == FT_OK)
		st = ft_catalog_commit(c);
	ft_catalog_rollback(c);
	return st;
}
