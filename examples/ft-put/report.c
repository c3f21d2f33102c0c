/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "report.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/connection.h"
#include "../lib/names.h"
#include "../lib/process.h"

#define LINES_MAX 20		/* more files than this get no line each */
#define JSON_EVERY_MS 500
#define PATH_COLUMNS 60

/* --- JSON --- */

static cJSON *json_begin(const char *event, const struct ft_client_file *file)
{
	cJSON *object = cJSON_CreateObject();

	cJSON_AddStringToObject(object, "event", event);
	if (!file)
		return object;
	char *path = file->path ? name_text(file->path) : NULL;
	if (path)
		cJSON_AddStringToObject(object, "path", path);
	free(path);
	cJSON_AddStringToObject(object, "name", file->name);
	if (file->file_id)
		cJSON_AddStringToObject(object, "file_id", file->file_id);
	cJSON_AddNumberToObject(object, "size", (double)file->size);
	cJSON_AddNumberToObject(object, "held", (double)file->held);
	return object;
}

static void json_text(const char *event, const struct ft_client_file *file, const char *text)
{
	cJSON *object = json_begin(event, file);

	cJSON_AddStringToObject(object, "text", text);
	progress_json(object);
}

/* --- before --- */

void report_init(struct report *report, const struct settings *settings)
{
	*report = (struct report){ .settings = settings };
	progress_init(&report->progress, stdout, settings->quiet, settings->json);
	report->progress.verb = "sent";
}

void report_expect(struct report *report, uint64_t size, const char *path)
{
	report->expected++;
	report->progress.size += size;
	progress_shorten(report->only_path, sizeof(report->only_path), path, PATH_COLUMNS);
}

void report_expect_stream(struct report *report)
{
	report->expected++;
	report->progress.open_ended = true;
	snprintf(report->only_path, sizeof(report->only_path), "standard input");
}

static void fail(struct report *report, enum exit_code code)
{
	report->failed++;
	if (report->code == EXIT_DONE)
		report->code = code;
}

struct bad_path {
	char *path;
	char *why;
	struct bad_path *next;
};

static void free_bad_path(struct bad_path *bad)
{
	free(bad->path);
	free(bad->why);
	free(bad);
}

/* At the end of the list: they are told in the order in which they were found. */
static void keep_bad_path(struct report *report, const char *path, const char *why)
{
	struct bad_path **end = &report->bad;
	struct bad_path *bad = calloc(1, sizeof(*bad));

	if (!bad)
		return;
	bad->path = strdup(path);
	bad->why = strdup(why);
	while (*end)
		end = &(*end)->next;
	*end = bad;
}

void report_bad_path(struct report *report, const char *path, const char *why)
{
	report->expected++;
	fail(report, complain(EXIT_FILE, "%s: %s", path, why));
	if (report->settings->json)
		keep_bad_path(report, path, why);
}

static void json_finished(const struct ft_client_file *file, enum exit_code exit, int code,
			  const char *text)
{
	cJSON *object = json_begin("finished", file);

	cJSON_AddStringToObject(object, "sha256", file->sha256);
	cJSON_AddNumberToObject(object, "exit", exit);
	cJSON_AddNumberToObject(object, "code", code);
	cJSON_AddStringToObject(object, "text", text);
	progress_json(object);
}

static void json_bad_paths(struct report *report)
{
	while (report->bad) {
		struct bad_path *bad = report->bad;
		char *name = name_of_path(bad->path ? bad->path : "");
		const struct ft_client_file file = { .path = bad->path, .name = name ? name : "" };
		json_finished(&file, EXIT_FILE, -1, bad->why ? bad->why : "");
		free(name);
		report->bad = bad->next;
		free_bad_path(bad);
	}
}

void report_release(struct report *report)
{
	while (report->bad) {
		struct bad_path *bad = report->bad;
		report->bad = bad->next;
		free_bad_path(bad);
	}
}

void report_queued(struct report *report, long owner)
{
	char process[40] = "";

	if (owner)
		snprintf(process, sizeof(process), " (process %ld)", owner);
	if (report->settings->json)
		json_text("queued", NULL, process);
	else
		progress_note(&report->progress, TONE_WARNING, "another ft-put%s is sending as %s; "
			      "waiting for its end", process, report->settings->client.link.client_id);
}

void report_begin(struct report *report)
{
	const char *id = report->settings->client.link.client_id;
	char size[32], what[400];

	if (report->settings->json) {
		cJSON *object = json_begin("start", NULL);
		cJSON_AddStringToObject(object, "client_id", id);
		cJSON_AddNumberToObject(object, "files", report->expected);
		cJSON_AddNumberToObject(object, "bytes", (double)report->progress.size);
		progress_json(object);
		json_bad_paths(report);
		return;
	}
	progress_bytes(size, sizeof(size), (double)report->progress.size);
	if (report->expected == 1 && report->progress.open_ended)
		snprintf(what, sizeof(what), "%s", report->only_path);
	else if (report->expected == 1)
		snprintf(what, sizeof(what), "%s: %s", report->only_path, size);
	else
		snprintf(what, sizeof(what), "%u files, %s%s", report->expected, size,
			 report->progress.open_ended ? " and a stream" : "");
	progress_note(&report->progress, TONE_PLAIN, "%s%s%s", what, report->settings->verbose
		      ? " as client " : "", report->settings->verbose ? id : "");
}

/* --- events --- */

static const char *const note_words[] = {
	[FT_CLIENT_CONNECTED] = "connected", [FT_CLIENT_RETRY] = "retry",
	[FT_CLIENT_OFFLINE] = "offline", [FT_CLIENT_WAITS] = "waits", [FT_CLIENT_RESUMES] = "resumes",
	[FT_CLIENT_CHANGED] = "changed", [FT_CLIENT_NOT_SAVED] = "not_saved",
	[FT_CLIENT_ALONE] = "alone", [FT_CLIENT_IN_PARTS] = "in_parts",
};

static void tell_resumes(struct report *report, const struct ft_client_file *file)
{
	char held[32], size[32];

	progress_bytes(held, sizeof(held), (double)file->held);
	progress_bytes(size, sizeof(size), (double)file->size);
	if (report->expected <= LINES_MAX)
		progress_note(&report->progress, TONE_PLAIN, "%s: the broker holds %s of %s already",
			      file->name, held, file->size_known ? size : "it");
}

static void on_note(void *context, const struct ft_client_file *file, enum ft_client_note note,
		    const char *text)
{
	struct report *report = context;

	bool many = file && report->expected > 1;

	if (report->settings->json) {
		json_text(note_words[note], file, text);
	} else if (note == FT_CLIENT_NOT_SAVED) {
		progress_break(&report->progress);
		complain(EXIT_DONE, "unfinished uploads cannot be noted: %s", text);
	} else if (note == FT_CLIENT_RESUMES) {
		tell_resumes(report, file);
	} else if (note == FT_CLIENT_CONNECTED) {
		if (report->was_lost)
			progress_note(&report->progress, TONE_GOOD, "connected again");
		report->was_lost = false;
	} else if (note == FT_CLIENT_IN_PARTS) {
		if (report->settings->verbose)
			progress_note(&report->progress, TONE_PLAIN, "%s", text);
	} else if (note != FT_CLIENT_OFFLINE) {
		report->was_lost = report->was_lost || note == FT_CLIENT_RETRY;
		progress_note(&report->progress, TONE_WARNING, "%s%s%s", many ? file->name : "",
			      many ? ": " : "", text);
	}
}

static enum exit_code exit_of(enum ft_client_result result)
{
	static const enum exit_code codes[] = {
		[FT_CLIENT_DONE] = EXIT_DONE, [FT_CLIENT_RUNNING] = EXIT_STOPPED,
		[FT_CLIENT_FILE] = EXIT_FILE, [FT_CLIENT_LINK] = EXIT_LINK,
		[FT_CLIENT_DENIED] = EXIT_DENIED, [FT_CLIENT_REFUSED] = EXIT_REFUSED,
		[FT_CLIENT_GAVE_UP] = EXIT_GAVE_UP, [FT_CLIENT_INTERNAL] = EXIT_INTERNAL,
	};

	return codes[result];
}

/* What the user can do about it, where that is known. */
static const char *remedy(const char *text)
{
	static const struct {
		const char *word;
		const char *remedy;
	} remedies[] = {
		{ "segment_too_large", "; use a smaller --segment-size" },
		{ "name_refused", "; choose another --name" },
		{ "already_complete", "; use another --file-id, or none" },
		{ "filemeta_conflict", "; use another --file-id, or none" },
	};

	for (size_t i = 0; i < sizeof(remedies) / sizeof(remedies[0]); i++) {
		if (strstr(text, remedies[i].word))
			return remedies[i].remedy;
	}
	return connection_remedy(text);
}

/* One line that fits: the name is what can be shortened. */
static void tell_done(struct report *report, const struct ft_client_file *file)
{
	char total[100] = "", size[32], tail[160], name[400];

	report->delivered++;
	if (report->expected > LINES_MAX)
		return;
	if (report->expected == 1)
		progress_total(&report->progress, process_now_ms(), total, sizeof(total));
	progress_bytes(size, sizeof(size), (double)file->size);
	snprintf(tail, sizeof(tail), ": complete, %s%s%s", size, *total ? ", " : "", total);
	progress_shorten(name, sizeof(name), file->name,
			 progress_columns(&report->progress) - (unsigned)strlen(tail));
	progress_note(&report->progress, TONE_GOOD, "%s%s", name, tail);
	if (report->settings->verbose)
		progress_note(&report->progress, TONE_PLAIN, "  %" PRIu64 " bytes, id %s\n  "
			      "SHA-256 %s", file->size, file->file_id, file->sha256);
}

static void tell_failed(struct report *report, const struct ft_client_file *file,
			enum ft_client_result result, const char *text)
{
	enum exit_code code = exit_of(result);

	/* What stopped one for such a reason has stopped all: one line is enough. */
	bool again = report->code == code &&
		     (result == FT_CLIENT_LINK || result == FT_CLIENT_DENIED);
	fail(report, code);
	progress_break(&report->progress);
	if (!again)
		complain(code, "%s%s%s%s%s", result == FT_CLIENT_LINK ? "" :
			 file->path ? file->path : file->name,
			 result == FT_CLIENT_LINK ? "" : ": ",
			 result == FT_CLIENT_REFUSED ? "the broker refuses: " : "", text,
			 remedy(text));
}

static void on_finished(void *context, const struct ft_client_file *file,
			enum ft_client_result result, int code, const char *text)
{
	struct report *report = context;

	if (report->settings->json) {
		json_finished(file, exit_of(result), code, text);
	}
	if (result == FT_CLIENT_DONE) {
		report->finished_bytes += file->size;
		tell_done(report, file);
		return;
	}
	/* The rest may still become 100 %, of which this one is no part. */
	report->progress.size -= file->size < report->progress.size ? file->size
								     : report->progress.size;
	tell_failed(report, file, result, text);
}

static void on_segment(void *context, const struct ft_client_file *file, uint64_t offset,
		       uint64_t len)
{
	struct report *report = context;

	(void)file;
	(void)offset;
	report->progress.sent += len;
}

struct ft_client_events report_events(struct report *report)
{
	return (struct ft_client_events){ .context = report, .finished = on_finished,
					  .segment = on_segment, .note = on_note };
}

void report_paused(struct report *report, bool paused)
{
	report->progress.paused = paused;
	if (report->settings->json)
		json_text(paused ? "paused" : "continued", NULL, "");
	else
		progress_note(&report->progress, TONE_WARNING, paused ? "paused; SIGUSR1 continues" : "continued");
}

/* --- progress --- */

static void add_held(void *context, const struct ft_client_file *file)
{
	struct report *report = context;

	report->known_held += file->held;
	if (file->held)
		report->any_running = true;
}

void report_progress(struct report *report, struct ft_client *client)
{
	struct progress *progress = &report->progress;
	int64_t now = process_now_ms();

	/* The last word has been said; a bar below it would only confuse. */
	if (progress->terminal && !ft_client_unfinished(client))
		return;
	if (progress->running && progress->json && now - progress->mark_ms < JSON_EVERY_MS)
		return;
	if (!progress_is_due(progress, now) || !ft_client_is_connected(client))
		return;
	report->known_held = 0;
	ft_client_each(client, add_held, report);
	uint64_t done = report->finished_bytes + report->known_held;
	progress_show(progress, done, now);
	if (!progress->json)
		return;
	progress->mark_ms = now;
	cJSON *object = json_begin("progress", NULL);
	cJSON_AddNumberToObject(object, "held", (double)done);
	cJSON_AddNumberToObject(object, "bytes", (double)progress->size);
	cJSON_AddNumberToObject(object, "delivered", report->delivered);
	progress_json(object);
}

static void tell_stopped(struct report *report, struct ft_client *client)
{
	unsigned rest = ft_client_unfinished(client);

	progress_break(&report->progress);
	if (report->progress.open_ended)
		complain(EXIT_STOPPED, "stopped; standard input cannot be continued");
	else
		complain(EXIT_STOPPED, "stopped, %u file%s unfinished; run the same command again "
			 "to continue where it was", rest, rest == 1 ? "" : "s");
}

enum exit_code report_end(struct report *report, struct ft_client *client, bool stopped)
{
	char total[100];

	if (stopped && ft_client_unfinished(client)) {
		tell_stopped(report, client);
		report->code = EXIT_STOPPED;
	}
	progress_break(&report->progress);
	if (report->settings->json) {
		cJSON *object = json_begin("end", NULL);
		cJSON_AddNumberToObject(object, "exit", report->code);
		cJSON_AddNumberToObject(object, "files", report->expected);
		cJSON_AddNumberToObject(object, "delivered", report->delivered);
		cJSON_AddNumberToObject(object, "failed", report->failed);
		progress_json(object);
	} else if (report->expected > 1 || report->failed > 1) {
		progress_total(&report->progress, process_now_ms(), total, sizeof(total));
		progress_note(&report->progress, report->failed ? TONE_BAD : TONE_GOOD,
			      "%u of %u files complete, %s", report->delivered,
			      report->expected, total);
	}
	return report->code;
}
