/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/members.h"
#include "get.h"

#define PAGE_MAX 1000		/* entries; our broker lists 100 at a time */
#define LIST "$file-get/list"

/* What is being listed: the prefix of -l, or a folder. */
static const char *round_prefix(const struct getter *g)
{
	const struct command *command = &g->settings->command;

	return command->path_count ? command->paths[g->round.spec] : "";
}

/* What its files are named after; NULL: the last part of their paths. */
static const char *round_folder(const struct getter *g)
{
	const char *prefix = round_prefix(g);

	return options_is_folder(prefix) ? prefix : NULL;
}

static void round_ask_list(struct getter *g)
{
	cJSON *object = cJSON_CreateObject();
	bool ok = cJSON_AddStringToObject(object, "prefix", round_prefix(g)) != NULL;

	if (g->round.after[0])
		ok = ok && cJSON_AddStringToObject(object, "after", g->round.after);
	char *text = ok ? cJSON_PrintUnformatted(object) : NULL;
	cJSON_Delete(object);
	if (text)
		question_ask(g, &g->question, ABOUT_LIST, LIST, text);
	else
		getter_fail(g, EXIT_INTERNAL, "out of memory");
	cJSON_free(text);
}

static void round_free_page(struct round *round)
{
	for (size_t i = 0; i < round->count; i++)
		free(round->page[i]);
	free(round->page);
	round->page = NULL;
	round->count = round->next = 0;
}

void round_release(struct round *round)
{
	round_free_page(round);
	*round = (struct round){0};
}

/* A list of a path or folder of the command line has come to its end. */
static void round_end_list(struct getter *g)
{
	const struct tell_file folder = { .path = round_prefix(g) };

	if (!g->round.any && !g->settings->list && !g->settings->watch)
		tell_failed(&g->tell, &folder, EXIT_REFUSED, "nothing is offered below it");
}

/* Begins with the next of the command line. False: there is none. */
static bool round_next_spec(struct getter *g)
{
	struct round *round = &g->round;
	const struct command *command = &g->settings->command;
	bool first = !round->begun;

	round->spec = first ? 0 : round->spec + 1;
	round->begun = true;
	round->any = round->more = false;
	round->after[0] = '\0';
	if (g->settings->aws_stream || g->settings->list) {
		if (!first)
			return false;
		if (g->settings->list)
			round_ask_list(g);
		else
			file_begin(g, g->aws_path, NULL);
		return true;
	}
	if (round->spec >= command->path_count)
		return false;
	/* A list refuses nothing: what is not offered yet makes no lines in the broker's log. */
	if (g->settings->watch || round_folder(g))
		round_ask_list(g);
	else
		file_begin(g, round_prefix(g), NULL);
	return true;
}

bool round_next(struct getter *g)
{
	struct round *round = &g->round;

	if (round->next < round->count) {
		file_begin(g, round->page[round->next++], round_folder(g));
		return true;
	}
	round_free_page(round);
	if (round->more) {
		round->more = false;
		round_ask_list(g);
		return true;
	}
	if (round_next_spec(g))
		return true;
	round->begun = false;
	return false;
}

/* --- what is listed --- */

/*
 * A valid path, below the prefix, behind the one before: so no list has an end that never comes,
 * and none leads out of a directory.
 */
static const char *round_entry(struct getter *g, const cJSON *entry)
{
	const char *path = member_text(entry, "path"), *prefix = round_prefix(g);
	char sha256[SHA256_HEX_ROOM];
	uint64_t size;

	if (!path || !place_is_path(path) || strcmp(path, g->round.after) <= 0 ||
	    strncmp(path, prefix, strlen(prefix)) != 0 ||
	    !member_number(entry, "size", MEMBER_EXACT_MAX, &size) ||
	    !sha256_read(sha256, member_text(entry, "sha256")))
		return NULL;
	snprintf(g->round.after, sizeof(g->round.after), "%s", path);
	return path;
}

/* What --watch has done needs no question. */
static bool round_is_done(struct getter *g, const char *path, const cJSON *entry)
{
	char sha256[SHA256_HEX_ROOM];
	char *file = place_file(&g->places, path, round_folder(g));
	char *absolute = file ? place_absolute(file) : NULL;
	bool done = g->settings->watch && absolute &&
		    sha256_read(sha256, member_text(entry, "sha256")) &&
		    done_state(&g->done, absolute, sha256) == DONE_ENDED;

	free(absolute);
	free(file);
	return done;
}

/* False: it makes no sense, or memory ran out. */
static bool round_take_entry(struct getter *g, const cJSON *entry)
{
	struct round *round = &g->round;
	const char *path = round_entry(g, entry);

	if (!path)
		return false;
	round->any = true;
	if (g->settings->list) {
		tell_offer(&g->tell, entry);
		return true;
	}
	/* A path without a folder is listed first of all that begin so. */
	if ((!round_folder(g) && strcmp(path, round_prefix(g)) != 0) || round_is_done(g, path, entry))
		return true;
	round->page[round->count] = strdup(path);
	return round->page[round->count++];
}

void round_take_list(struct getter *g, struct heard *heard, int64_t now)
{
	struct round *round = &g->round;
	const cJSON *files = cJSON_GetObjectItemCaseSensitive(heard->json, "files"), *entry;
	int count = cJSON_GetArraySize(files);
	bool ok = cJSON_IsArray(files) && count <= PAGE_MAX;

	if (heard->verdict == VERDICT_WAIT || heard->verdict == VERDICT_LATER) {
		question_wait(&g->question, heard->retry_after_s ? heard->retry_after_s : 1, now);
		return;
	}
	if (heard->verdict != VERDICT_DONE) {
		getter_fail(g, EXIT_REFUSED, heard->why);
		return;
	}
	question_close(&g->question);
	getter_headway(g, now);
	round->page = ok ? calloc((size_t)count + 1, sizeof(*round->page)) : NULL;
	ok = ok && round->page;
	cJSON_ArrayForEach(entry, files)
		ok = ok && round_take_entry(g, entry);
	round->more = (g->settings->list || round_folder(g)) &&
		      cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(heard->json, "truncated"));
	if (!ok || (round->more && !count))
		getter_fail(g, EXIT_GAVE_UP, "the broker's list makes no sense");
	else if (!round->more)
		round_end_list(g);
}
