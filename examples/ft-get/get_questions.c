/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "get.h"

#define ANSWER_MS 5000		/* then it is asked again; doubling, up to */
#define ANSWER_MAX_MS 60000
#define REFUSED_MS 2000		/* so long an answer may be behind a PUBACK that refuses */
#define TRIES 2			/* that are acknowledged and not answered */

void question_ask(struct getter *g, struct question *question, enum heard_about about,
		  const char *topic, const char *payload)
{
	question_close(question);
	*question = (struct question){
		.open = true, .about = about, .reason = -1, .topic = strdup(topic),
		.payload = strdup(payload),
	};
	g->work = true;
	if (!question->topic || !question->payload)
		getter_fail(g, EXIT_INTERNAL, "out of memory");
}

void question_close(struct question *question)
{
	free(question->topic);
	free(question->payload);
	*question = (struct question){0};
}

void question_lost(struct question *question)
{
	question->sent = false;
	question->attempt = 0;
}

void question_wait(struct question *question, unsigned seconds, int64_t now)
{
	question->sent = false;
	question->attempt = 0;
	question->not_before_ms = now + (int64_t)seconds * 1000;
}

/* QoS 1: the acknowledgement tells a broker that does not answer from one that is slow. */
static void question_send(struct getter *g, struct question *question, int64_t now)
{
	if (now < question->not_before_ms)
		return;
	question->reason = -1;
	if (link_publish(&g->dialer.link, question->topic, question->payload,
			 strlen(question->payload), 1, &question->mid)) {
		question->sent = true;
		question->sent_ms = now;
	}
}

/* The broker has it and says nothing: nobody there serves it, or we may not ask. */
static void question_unanswered(struct getter *g, struct question *question)
{
	char why[300];

	if (question->about == ABOUT_REPORT) {
		const struct heard nothing = { .verdict = VERDICT_DENIED, .why = "no answer" };
		reports_take_answer(g, &nothing, g->stepped_ms);
		return;
	}
	snprintf(why, sizeof(why), "%s: does the plugin there have \"downloads %s\", and may this "
		 "client publish to %s?", question->reason == 0x87 ? "the broker refuses the question"
		 : "no answer", g->settings->aws_stream ? "aws" : "native",
		 g->settings->aws_stream ? "$aws/things/<its id>/#" : "$file-get/#");
	getter_fail(g, EXIT_DENIED, why);
}

void question_step(struct getter *g, struct question *question, int64_t now)
{
	int64_t heard = g->dialer.link.heard_ms, patience = ANSWER_MS;

	if (!question->open)
		return;
	if (!question->sent) {
		question_send(g, question, now);
		return;
	}
	for (unsigned i = 0; i < question->attempt && patience < ANSWER_MAX_MS; i++)
		patience *= 2;
	bool refused = question->reason > 0;
	if (refused)
		patience = REFUSED_MS;
	/* Behind blocks that arrive slowly it is no silence. */
	int64_t since = heard > question->sent_ms ? heard : question->sent_ms;
	if (now - (refused ? question->sent_ms : since) < patience)
		return;
	question->attempt++;
	if (refused || (question->reason == 0 && question->attempt >= TRIES))
		question_unanswered(g, question);
	else
		question->sent = false;
}
