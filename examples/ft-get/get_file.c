/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exec.h"
#include "get.h"

#define SLICE_BYTES ((size_t)4 * 1024 * 1024)	/* hashed in one step, while nothing comes */
#define SLICE_BESIDE_BYTES ((size_t)512 * 1024)	/* and while blocks come */
#define CHANGES_MAX 20
#define AWS_BLOCK_USUAL 32768
#define AWS_BLOCK_MAX 131072
#define AWS_BLOCKS_MAX 98304			/* what its `o` can reach */
#define REPORT_PROGRESS_MS 10000

struct tell_file file_info(const struct file *file)
{
	return (struct tell_file){
		.path = file->path, .file = file->target.file, .size = file->target.size,
		.held = file->target.held.bytes, .sha256 = file->target.sha256,
	};
}

void file_release(struct file *file)
{
	target_release(&file->target);
	spans_release(&file->todo);
	free(file->path);
	free(file->absolute);
	cJSON_free(file->meta);
	*file = (struct file){ .target = { .fd = -1, .look_fd = -1 } };
}

static void file_end(struct getter *g)
{
	asks_clear(g);
	g->wire.path = NULL;
	g->wire.sha256 = "";
	file_release(&g->file);
	question_close(&g->question);
	g->trouble[0] = '\0';
	g->work = true;
}

void file_fail(struct getter *g, enum exit_code code, const char *why)
{
	struct tell_file info = file_info(&g->file);

	if (g->file.phase == FILE_BLOCKS && !target_save(&g->file.target) && code != EXIT_FILE)
		tell_note(&g->tell, "not_saved", &info, TONE_WARNING, "%s", g->file.target.why);
	tell_failed(&g->tell, &info, code, why);
	reports_add(g, "failed", -1, why);
	file_end(g);
}

/* --- what is offered --- */

static void file_ask_info(struct getter *g)
{
	g->file.phase = FILE_INFO;
	g->wire.sha256 = "";
	g->wire.protocol->write_info(&g->wire, &g->message);
	question_ask(g, &g->question, ABOUT_INFO, g->message.topic, g->message.payload);
}

void file_begin(struct getter *g, const char *path, const char *folder)
{
	bool stream = g->settings->output && strcmp(g->settings->output, "-") == 0;
	const char *name = path;
	char aws_name[160];

	if (g->settings->aws_stream) {
		snprintf(aws_name, sizeof(aws_name), "%s-%u", g->settings->aws_stream,
			 g->settings->aws_file);
		name = aws_name;
	}
	char *file = stream ? NULL : place_file(&g->places, name, folder);
	g->file = (struct file){ .path = strdup(path), .absolute = file ? place_absolute(file) : NULL,
				 .from_scratch = g->settings->from_scratch };
	bool ok = target_init(&g->file.target, file) && g->file.path && (stream || g->file.absolute);
	free(file);
	g->headway_ms = g->stepped_ms;
	if (!ok) {
		getter_fail(g, EXIT_INTERNAL, "out of memory");
		return;
	}
	g->wire.path = g->file.path;
	file_ask_info(g);
}

void file_begin_anew(struct getter *g)
{
	struct tell_file info = file_info(&g->file);

	asks_clear(g);
	spans_clear(&g->file.todo);
	if (!g->file.target.file && g->file.target.hashed) {
		file_fail(g, EXIT_GAVE_UP, "it was replaced while it went to standard output");
		return;
	}
	if (++g->file.changes > CHANGES_MAX) {
		file_fail(g, EXIT_GAVE_UP, "it is replaced again and again");
		return;
	}
	tell_note(&g->tell, "changed", &info, TONE_WARNING,
		  "another content is offered now; beginning anew");
	target_close(&g->file.target);
	file_ask_info(g);
}

/* AWS: as large as needed for the number of blocks, if nothing else is said. */
static void file_set_block(struct getter *g, uint64_t max_block)
{
	uint64_t block = g->settings->block_bytes ? g->settings->block_bytes : AWS_BLOCK_USUAL;

	if (!g->settings->aws_stream) {
		pace_limit(&g->pace, max_block);
		return;
	}
	while (!g->settings->block_bytes && block < AWS_BLOCK_MAX &&
	       g->file.target.size / block >= AWS_BLOCKS_MAX)
		block *= 2;
	g->wire.block_bytes = block;
}

/* With --watch: whether this content was handled. */
static bool file_is_done(struct getter *g)
{
	struct file *file = &g->file;
	enum done_state state = done_state(&g->done, file->absolute, file->target.sha256);
	struct tell_file info = file_info(file);

	if (state == DONE_RUNNING) {
		tell_note(&g->tell, "interrupted", &info, TONE_WARNING, "the command was interrupted "
			  "by the end of ft-get; it is not begun again for this content");
		reports_add(g, "failed", -1, "the command was interrupted");
		(void)done_set(&g->done, file->absolute, file->target.sha256, DONE_ENDED);
	}
	return state != DONE_NOTHING;
}

static void file_look(struct getter *g, const struct heard *heard)
{
	struct file *file = &g->file;

	if (!target_expect(&file->target, file->path, heard->size, heard->sha256)) {
		getter_fail(g, EXIT_INTERNAL, "out of memory");
		return;
	}
	g->wire.sha256 = file->target.sha256;
	if (g->settings->sha256[0] && !heard->sha256[0])
		snprintf(file->target.sha256, sizeof(file->target.sha256), "%s", g->settings->sha256);
	cJSON *meta = cJSON_GetObjectItemCaseSensitive(heard->json, "meta");
	cJSON_free(file->meta);
	file->meta = meta ? cJSON_PrintUnformatted(meta) : NULL;
	file_set_block(g, heard->max_block);
	if (g->settings->watch && file_is_done(g)) {
		file_end(g);
		return;
	}
	file->phase = FILE_LOOK;
	g->work = true;
}

void file_take_info(struct getter *g, const struct heard *heard, int64_t now)
{
	struct question *question = &g->question;

	snprintf(g->trouble, sizeof(g->trouble), "%s", heard->why);
	switch (heard->verdict) {
	case VERDICT_DONE:
		question_close(question);
		getter_headway(g, now);
		g->trouble[0] = '\0';
		if (g->settings->sha256[0] && heard->sha256[0] &&
		    strcmp(g->settings->sha256, heard->sha256) != 0)
			file_fail(g, EXIT_REFUSED, "what is offered is another content than --sha256 wants");
		else
			file_look(g, heard);
		break;
	case VERDICT_WAIT:
	case VERDICT_LATER:
		question_wait(question, heard->retry_after_s ? heard->retry_after_s : 1, now);
		break;
	case VERDICT_NOT_OFFERED:
		if (g->settings->watch)
			file_end(g);
		else
			file_fail(g, EXIT_REFUSED, "it is not offered to this client");
		break;
	case VERDICT_DENIED:
		file_fail(g, EXIT_DENIED, heard->why);
		break;
	default:
		file_fail(g, EXIT_REFUSED, heard->why);
		break;
	}
}

/* --- its bytes --- */

static void file_begin_blocks(struct getter *g)
{
	struct file *file = &g->file;
	struct target *target = &file->target;
	char why[400];

	if (target->file && !place_make_folders(&g->places, target->file)) {
		snprintf(why, sizeof(why), "%s: %s", target->file, strerror(errno));
		file_fail(g, EXIT_FILE, why);
		return;
	}
	enum target_open how = target_open(target, !file->from_scratch);
	if (how == TARGET_CANNOT) {
		file_fail(g, EXIT_FILE, target->why);
		return;
	}
	file->phase = FILE_BLOCKS;
	struct tell_file info = file_info(file);
	if (how == TARGET_ANEW && !file->from_scratch && !file->changes)
		tell_note(&g->tell, "changed", &info, TONE_WARNING, "what was fetched before is of "
			  "another content, or not known; beginning anew");
	tell_begin(&g->tell, &info);
	reports_add(g, "downloading", 0, "");
	file->told_ms = g->stepped_ms;
	if (!spans_set_missing(&file->todo, target->held.items, target->held.count, target->size))
		getter_fail(g, EXIT_INTERNAL, "out of memory");
	g->work = true;
}

static void file_step_look(struct getter *g)
{
	struct file *file = &g->file;

	switch (file->from_scratch ? TARGET_IS_NOT : target_look(&file->target, SLICE_BYTES)) {
	case TARGET_LOOK_ON:
		g->work = true;
		break;
	case TARGET_IS_THERE:
		file->was_there = true;
		file->phase = FILE_VERIFY;
		g->work = true;
		break;
	case TARGET_IS_NOT:
		file_begin_blocks(g);
		break;
	case TARGET_IS_WRONG:
		file_fail(g, EXIT_FILE, file->target.why);
		break;
	}
}

/* What an earlier run has fetched is hashed while the rest comes. */
static void file_step_blocks(struct getter *g, int64_t now)
{
	struct file *file = &g->file;
	struct tell_file info = file_info(file);

	asks_write_out(g);
	if (file->phase != FILE_BLOCKS)
		return;
	if (!file->todo.count && !asks_any(g)) {
		file->phase = FILE_VERIFY;
		g->work = true;
		return;
	}
	if (target_hash_on(&file->target, SLICE_BESIDE_BYTES))
		g->work = true;
	if (!target_save_now_and_then(&file->target, now)) {
		file_fail(g, EXIT_FILE, file->target.why);
		return;
	}
	if (getter_is_ready(g))
		tell_progress(&g->tell, &info);
	if (now - file->told_ms >= REPORT_PROGRESS_MS && info.size) {
		file->told_ms = now;
		reports_add(g, "downloading", (int)((double)info.held * 100 / (double)info.size), "");
	}
}

/* --- the end --- */

static void file_note_done(struct getter *g, enum done_state state)
{
	if (!g->settings->watch ||
	    done_set(&g->done, g->file.absolute, g->file.target.sha256, state) || g->told_not_saved)
		return;
	g->told_not_saved = true;
	tell_note(&g->tell, "not_saved", NULL, TONE_WARNING, "what is done cannot be noted: %s",
		  strerror(errno));
}

static void file_run(struct getter *g)
{
	struct file *file = &g->file;
	struct tell_file info = file_info(file);
	const struct exec_offer offer = {
		.file = file->absolute, .path = file->path, .sha256 = file->target.sha256,
		.meta = file->meta ? file->meta : "", .size = file->target.size,
		.quiet_output = g->settings->json,
	};

	file_note_done(g, DONE_RUNNING);
	tell_note(&g->tell, "runs", &info, TONE_PLAIN, "running the command");
	file->command = exec_begin(g->settings->exec, &offer, &g->open);
	file->phase = FILE_EXEC;
	if (file->command < 0)
		file_fail(g, EXIT_INTERNAL, strerror(errno));
}

static void file_step_exec(struct getter *g)
{
	struct file *file = &g->file;
	struct tell_file info = file_info(file);
	char why[64];

	if (!exec_has_ended(file->command, why, sizeof(why)))
		return;
	file_note_done(g, DONE_ENDED);
	reports_add(g, *why ? "failed" : "installed", -1, why);
	tell_note(&g->tell, "ran", &info, *why ? TONE_BAD : TONE_GOOD, "%s%s",
		  *why ? "the command failed: " : "installed", why);
	file_end(g);
}

static void file_finish(struct getter *g)
{
	struct file *file = &g->file;
	struct tell_file info;

	if (!file->was_there && !target_finish(&file->target)) {
		file_fail(g, EXIT_FILE, file->target.why);
		return;
	}
	info = file_info(file);
	target_close(&file->target);
	tell_done(&g->tell, &info, file->was_there);
	reports_add(g, "verified", 100, "");
	if (g->settings->exec) {
		file_run(g);
		return;
	}
	file_note_done(g, DONE_ENDED);
	file_end(g);
}

/* Once more from the start: a disk may have lost what a state names. */
static void file_try_again(struct getter *g)
{
	struct file *file = &g->file;
	struct tell_file info = file_info(file);

	if (!file->target.file || file->second_try) {
		target_discard(&file->target);
		file_fail(g, EXIT_GAVE_UP, file->target.why);
		return;
	}
	file->second_try = true;
	tell_note(&g->tell, "damaged", &info, TONE_WARNING, "%s; beginning anew", file->target.why);
	if (!target_clear(&file->target)) {
		file_fail(g, EXIT_FILE, file->target.why);
		return;
	}
	file->phase = FILE_BLOCKS;
	if (!spans_set_missing(&file->todo, NULL, 0, file->target.size))
		getter_fail(g, EXIT_INTERNAL, "out of memory");
	g->work = true;
}

static void file_step_verify(struct getter *g)
{
	struct file *file = &g->file;

	g->work = true;
	if (file->was_there)
		file_finish(g);
	else if (target_hash_on(&file->target, SLICE_BYTES))
		return;
	else if (target_verify(&file->target))
		file_finish(g);
	else
		file_try_again(g);
}

void file_step(struct getter *g, int64_t now)
{
	switch (g->file.phase) {
	case FILE_NONE:
	case FILE_INFO:
		break;
	case FILE_LOOK:
		file_step_look(g);
		break;
	case FILE_BLOCKS:
		file_step_blocks(g, now);
		break;
	case FILE_VERIFY:
		file_step_verify(g);
		break;
	case FILE_EXEC:
		file_step_exec(g);
		break;
	}
}
