/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/members.h"
#include "get.h"

#define REPORT_EVERY_MS 1100	/* the broker takes one a second */

static bool reports_are_wanted(const struct getter *g, const char *state)
{
	bool result = strcmp(state, "installed") == 0 || strcmp(state, "failed") == 0;

	return !g->reports_denied && !g->settings->aws_stream &&
	       (g->settings->report || (g->settings->exec && result));
}

static char *report_text(const struct getter *g, const char *state, int percent, const char *detail)
{
	cJSON *object = cJSON_CreateObject();
	bool ok = cJSON_AddStringToObject(object, "state", state) != NULL;

	if (g->file.target.sha256[0])
		ok = ok && cJSON_AddStringToObject(object, "sha256", g->file.target.sha256);
	if (percent >= 0)
		ok = ok && cJSON_AddNumberToObject(object, "progress", percent);
	if (*detail)
		ok = ok && cJSON_AddStringToObject(object, "detail", detail);
	char *text = ok ? cJSON_PrintUnformatted(object) : NULL;
	cJSON_Delete(object);
	return text;
}

static void report_free(struct report_item *item)
{
	if (!item)
		return;
	free(item->path);
	cJSON_free(item->text);
	free(item);
}

/* One of the same file that is still to be sent says nothing new: the latest counts. */
static void reports_replace(struct getter *g, struct report_item *item)
{
	struct report_item **at = &g->reports;

	/* The first one may be on its way. */
	if (*at && g->reporting.open)
		at = &(*at)->next;
	while (*at) {
		struct report_item *old = *at;
		if (strcmp(old->path, item->path) != 0) {
			at = &old->next;
			continue;
		}
		*at = old->next;
		report_free(old);
		g->report_count--;
	}
	*at = item;
	g->report_count++;
}

void reports_add(struct getter *g, const char *state, int percent, const char *detail)
{
	struct report_item *item;

	if (!reports_are_wanted(g, state))
		return;
	item = calloc(1, sizeof(*item));
	if (item) {
		item->path = strdup(g->file.path);
		item->text = report_text(g, state, percent, detail);
	}
	if (item && item->path && item->text)
		reports_replace(g, item);
	else
		report_free(item);
}

static void reports_pop(struct getter *g)
{
	struct report_item *item = g->reports;

	question_close(&g->reporting);
	if (!item)
		return;
	g->reports = item->next;
	g->report_count--;
	report_free(item);
}

void reports_step(struct getter *g, int64_t now)
{
	if (!g->reports || g->reporting.open || now - g->reported_ms < REPORT_EVERY_MS)
		return;
	snprintf(g->message.topic, WIRE_TOPIC_ROOM, "$file-get/report/%s", g->reports->path);
	g->reported_ms = now;
	question_ask(g, &g->reporting, ABOUT_REPORT, g->message.topic, g->reports->text);
}

void reports_take_answer(struct getter *g, const struct heard *heard, int64_t now)
{
	g->reported_ms = now;
	if (heard->verdict == VERDICT_WAIT || heard->verdict == VERDICT_LATER) {
		question_wait(&g->reporting, heard->retry_after_s ? heard->retry_after_s : 1, now);
		return;
	}
	if (heard->verdict != VERDICT_DONE) {
		struct tell_file file = { .path = g->reports->path };
		tell_note(&g->tell, "not_reported", &file, TONE_WARNING,
			  "the broker does not take the report: %s", heard->why);
	}
	reports_pop(g);
	if (heard->verdict == VERDICT_DENIED) {
		g->reports_denied = true;
		reports_free(g);
	}
}

void reports_free(struct getter *g)
{
	while (g->reports)
		reports_pop(g);
	question_close(&g->reporting);
}
