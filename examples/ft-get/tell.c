/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "tell.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/connection.h"
#include "../lib/members.h"
#include "../lib/names.h"
#include "../lib/process.h"

#define JSON_EVERY_MS 500
#define DATE_LEN 19		/* 2026-11-28T13:00:00 */

void tell_init(struct tell *tell, const struct settings *settings)
{
	bool stream = settings->output && strcmp(settings->output, "-") == 0;

	*tell = (struct tell){ .settings = settings };
	progress_init(&tell->progress, stream ? stderr : stdout, settings->quiet, settings->json);
	tell->progress.verb = "fetched";
}

/* --- JSON --- */

static cJSON *tell_json(const char *event, const struct tell_file *file)
{
	cJSON *object = cJSON_CreateObject();

	cJSON_AddStringToObject(object, "event", event);
	if (!file)
		return object;
	char *name = file->file ? name_text(file->file) : NULL;
	cJSON_AddStringToObject(object, "path", file->path);
	if (name)
		cJSON_AddStringToObject(object, "file", name);
	free(name);
	member_add(object, "size", file->size);
	member_add(object, "held", file->held);
	if (file->sha256 && *file->sha256)
		cJSON_AddStringToObject(object, "sha256", file->sha256);
	return object;
}

/* --- events --- */

void tell_note(struct tell *tell, const char *event, const struct tell_file *file, enum tone tone,
	       const char *format, ...)
{
	char text[700];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (!tell->settings->json) {
		progress_note(&tell->progress, tone, "%s%s%s", file ? file->path : "",
			      file ? ": " : "", text);
		return;
	}
	cJSON *object = tell_json(event, file);
	cJSON_AddStringToObject(object, "text", text);
	progress_json(object);
}

void tell_begin(struct tell *tell, const struct tell_file *file)
{
	struct progress old = tell->progress;
	char size[32];

	progress_init(&tell->progress, old.out, old.quiet, old.json);
	tell->progress.verb = old.verb;
	tell->progress.size = file->size;
	progress_bytes(size, sizeof(size), (double)file->size);
	tell_note(tell, "start", file, TONE_PLAIN, "%s", size);
	if (file->held) {
		char held[32];
		progress_bytes(held, sizeof(held), (double)file->held);
		tell_note(tell, "resumes", file, TONE_PLAIN, "%s of %s are here already", held, size);
	}
}

void tell_progress(struct tell *tell, const struct tell_file *file)
{
	int64_t now = process_now_ms();

	if (!tell->settings->json) {
		if (progress_is_due(&tell->progress, now))
			progress_show(&tell->progress, file->held, now);
		return;
	}
	if (!tell->progress.running)
		progress_show(&tell->progress, file->held, now);
	if (now - tell->told_ms < JSON_EVERY_MS)
		return;
	tell->told_ms = now;
	progress_json(tell_json("progress", file));
}

void tell_done(struct tell *tell, const struct tell_file *file, bool was_there)
{
	char total[100], size[32];

	tell->fetched++;
	tell->bytes += was_there ? 0 : file->size;
	if (tell->settings->json) {
		cJSON *object = tell_json("finished", file);
		cJSON_AddNumberToObject(object, "exit", EXIT_DONE);
		cJSON_AddBoolToObject(object, "was_there", was_there);
		progress_json(object);
		return;
	}
	progress_bytes(size, sizeof(size), (double)file->size);
	progress_total(&tell->progress, process_now_ms(), total, sizeof(total));
	progress_note(&tell->progress, TONE_GOOD, "%s: %s, %s, %s", file->path,
		      was_there ? "is here already" : "complete", size,
		      was_there ? file->file : total);
	if (tell->settings->verbose)
		progress_note(&tell->progress, TONE_PLAIN, "  %" PRIu64 " bytes, %s\n  SHA-256 %s",
			      file->size, file->file ? file->file : "standard output", file->sha256);
}

void tell_failed(struct tell *tell, const struct tell_file *file, enum exit_code code,
		 const char *why)
{
	tell->failed++;
	if (tell->code == EXIT_DONE)
		tell->code = code;
	progress_break(&tell->progress);
	complain(code, "%s%s%s%s", file ? file->path : "", file ? ": " : "", why,
		 connection_remedy(why));
	if (!tell->settings->json)
		return;
	cJSON *object = tell_json(file ? "finished" : "failed", file);
	cJSON_AddNumberToObject(object, "exit", code);
	cJSON_AddStringToObject(object, "text", why);
	progress_json(object);
}

void tell_offer(struct tell *tell, const cJSON *offer)
{
	const char *path = member_text(offer, "path"), *at = member_text(offer, "modified_at");
	const char *sha256 = member_text(offer, "sha256");
	uint64_t size = 0;

	(void)member_number(offer, "size", MEMBER_EXACT_MAX, &size);
	tell->fetched++;
	if (tell->settings->json) {
		progress_json(cJSON_Duplicate(offer, true));
		return;
	}
	/* What a terminal would take for a command is no date. */
	bool is_date = at && strspn(at, "0123456789-:.TZ") == strlen(at);
	printf("%12" PRIu64 "  %-*.*s  ", size, DATE_LEN, DATE_LEN, is_date ? at : "");
	if (tell->settings->verbose)
		printf("%s  ", sha256 ? sha256 : "");
	printf("%s\n", path);
}

enum exit_code tell_end(struct tell *tell)
{
	progress_break(&tell->progress);
	fflush(stdout);
	if (tell->settings->json && !tell->settings->list) {
		cJSON *object = tell_json("end", NULL);
		cJSON_AddNumberToObject(object, "exit", tell->code);
		cJSON_AddNumberToObject(object, "fetched", tell->fetched);
		cJSON_AddNumberToObject(object, "failed", tell->failed);
		progress_json(object);
	} else if (tell->fetched + tell->failed > 1 && !tell->settings->list) {
		progress_note(&tell->progress, tell->failed ? TONE_BAD : TONE_GOOD,
			      "%u of %u files are here", tell->fetched,
			      tell->fetched + tell->failed);
	}
	return tell->code;
}
