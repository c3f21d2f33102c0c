/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Fetches what the settings say: one connection, one file at a time, some blocks of it at a time.
 *
 *	struct getter *g = getter_new(&settings, state_path);
 *	while (!getter_is_over(g)) {
 *		ppoll(g->fds, getter_watch(g), getter_timeout_ms(g));
 *		getter_step(g);
 *	}
 *	getter_stop(g);			where a signal came
 *	code = getter_end(g);		what is held is saved, connection closed
 *	getter_free(g);
 *
 * What its parts share is here, too: get.c is the loop and the connection, get_questions.c asks
 * what is answered once, get_round.c chooses the next file, get_file.c is the life of one,
 * get_asks.c its blocks, get_reports.c what is told to the broker.
 */
#ifndef FT_GET_GET_H
#define FT_GET_GET_H

#include <poll.h>
#include <signal.h>
#include <sys/types.h>

#include "../lib/dialer.h"
#include "../lib/pace.h"
#include "../lib/spans.h"
#include "done.h"
#include "place.h"
#include "target.h"
#include "tell.h"
#include "wire.h"

/* --- questions: answered once, asked again if they are not --- */

struct question {
	bool open;
	bool sent;			/* on this connection */
	enum heard_about about;
	char *topic, *payload;		/* owned */
	int mid;
	int reason;			/* of its PUBACK; -1: not yet */
	int64_t sent_ms;
	int64_t not_before_ms;
	unsigned attempt;
};

/* --- asks: blocks that are on their way --- */

enum ask_state {
	ASK_FREE,
	ASK_OPEN,
	ASK_ARRIVED,			/* for standard output: others come before it */
};

struct ask {
	enum ask_state state;
	struct span piece;		/* what is wanted */
	struct span block;		/* what is asked for: with AWS more, from its beginning on */
	int64_t sent_ms;
	unsigned attempt;
	bool again;			/* it is to be sent again */
	unsigned char *bytes;		/* of the piece, owned; NULL before it has arrived */
	size_t written;
};

/* --- the file --- */

/*
 *	NONE -> INFO -> LOOK -> BLOCKS -> VERIFY -> NONE, or EXEC -> NONE
 *	          ^               |  |      |
 *	          +---------------+  +<-----+	another content is offered; once more from the start
 * and from any of them to NONE where it fails.
 */
enum file_phase {
	FILE_NONE,
	FILE_INFO,			/* size and checksum are asked */
	FILE_LOOK,			/* is it here already? */
	FILE_BLOCKS,
	FILE_VERIFY,
	FILE_EXEC,			/* the command runs */
};

struct file {
	enum file_phase phase;
	char *path;			/* of the offer */
	char *absolute;			/* the file here; NULL: standard output */
	struct target target;
	char *meta;			/* JSON; NULL: none */
	struct spans todo;
	bool from_scratch;
	bool was_there;
	bool second_try;		/* what came first was not what was offered */
	unsigned changes;
	pid_t command;
	int64_t told_ms;		/* progress, to the broker */
	unsigned shrunk;		/* the window, where the broker takes no more; 0: it does */
};

/* --- what is next --- */

struct round {
	bool begun;
	int spec;			/* of the paths of the command line */
	bool more;			/* the list goes on behind `after` */
	bool any;			/* something was found below it */
	char after[PLACE_PATH_ROOM];
	char **page;			/* owned; what was listed and is not fetched yet */
	size_t count, next;
};

struct report_item {
	char *path;
	char *text;
	struct report_item *next;
};

struct getter {
	const struct settings *settings;
	struct tell tell;
	struct dialer dialer;
	bool greeted;			/* the link is ready, and this is known here */
	bool ever_ready;
	bool over;
	bool stopping;			/* nothing new is begun */
	bool work;			/* there is something to do without waiting */
	struct pollfd fds[2];
	struct places places;
	struct wire wire;		/* its path is that of the file; NULL: none */
	char *aws_path;			/* owned; NULL: the native protocol */
	struct message message;		/* room for the next one */
	struct question question;	/* info or list */
	struct question reporting;
	struct round round;
	struct file file;
	struct done done;
	struct ask *asks;		/* settings->link.window of them */
	struct pace pace;
	double answer_ms;		/* how long blocks take lately; 0: not known */
	int64_t trouble_ms;
	int64_t not_before_ms;		/* of blocks */
	int64_t headway_ms;		/* patience runs since */
	int64_t stepped_ms;
	int64_t round_due_ms;		/* when the next round begins; INT64_MAX: there is none */
	bool announced;			/* an offer has changed: another round */
	bool told_not_saved;
	char trouble[300];		/* why there is no headway; "": nothing was said */
	struct report_item *reports;	/* owned, in order */
	unsigned report_count;
	int64_t reported_ms;
	bool reports_denied;
	sigset_t open;			/* what the command may get */
};

struct getter *getter_new(const struct settings *settings, const char *state_path,
			  const sigset_t *open);
bool getter_is_over(const struct getter *g);
nfds_t getter_watch(struct getter *g);
int getter_timeout_ms(struct getter *g);
void getter_step(struct getter *g);

/* A signal came: saves and says how to go on. A command that runs is waited for. */
void getter_stop(struct getter *g);
enum exit_code getter_end(struct getter *g);
void getter_free(struct getter *g);

/* --- for its parts --- */

bool getter_is_ready(const struct getter *g);
void getter_headway(struct getter *g, int64_t now);

/* Everything ends: it concerns not one file alone. */
void getter_fail(struct getter *g, enum exit_code code, const char *why);

/* Begins to ask. `topic` and `payload` are copied. */
void question_ask(struct getter *g, struct question *question, enum heard_about about,
		  const char *topic, const char *payload);
void question_step(struct getter *g, struct question *question, int64_t now);
void question_wait(struct question *question, unsigned seconds, int64_t now);
void question_close(struct question *question);
void question_lost(struct question *question);

/* Chooses the next file; false: the round is over. */
bool round_next(struct getter *g);
void round_take_list(struct getter *g, struct heard *heard, int64_t now);
void round_release(struct round *round);

void file_begin(struct getter *g, const char *path, const char *folder);
void file_take_info(struct getter *g, const struct heard *heard, int64_t now);
void file_step(struct getter *g, int64_t now);
void file_fail(struct getter *g, enum exit_code code, const char *why);

/* The content is another one, or what came is not what was offered: from the start. */
void file_begin_anew(struct getter *g);
void file_release(struct file *file);
struct tell_file file_info(const struct file *file);

void asks_send(struct getter *g, int64_t now);
void asks_take_bytes(struct getter *g, const struct heard *heard, int64_t now);
void asks_take_answer(struct getter *g, const struct heard *heard, int64_t now);
void asks_watch_overdue(struct getter *g, int64_t now);

/* Puts back what was not answered: the connection is lost. */
void asks_forget(struct getter *g);
void asks_clear(struct getter *g);
bool asks_any(const struct getter *g);

/* Whether standard output is what is waited for. */
bool asks_wait_for_output(const struct getter *g);
void asks_write_out(struct getter *g);

/* `state` as the protocol has them; `detail` may be "". */
void reports_add(struct getter *g, const char *state, int percent, const char *detail);
void reports_step(struct getter *g, int64_t now);
void reports_take_answer(struct getter *g, const struct heard *heard, int64_t now);
void reports_free(struct getter *g);

#endif
