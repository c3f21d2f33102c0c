/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The operator's commands on $CONTROL/file-transfer/v1, as JSON in the manner of Mosquitto's
 * dynamic-security plugin:
 *
 *	{"commands":[{"command":"getTransfer","client_id":"cam7","file_id":"f1","correlationData":"1"}]}
 *	{"responses":[{"command":"getTransfer","data":{...},"correlationData":"1"}]}
 *	{"responses":[{"command":"getTransfer","error":"no_such_transfer","detail":"...","correlationData":"1"}]}
 *
 *	ft_control_parse(text, len, &control);
 *	for each control->commands[i]: if (command->wrong) refuse; else carry out command->verb
 *	ft_control_free(&control);
 *
 * Ids that are no UTF-8, or hold a NUL, are written in hex, as in manifests: client_id_hex,
 * file_id_hex. Threads: a control belongs to one at a time.
 */
#ifndef FT_PROTOCOL_CONTROL_H
#define FT_PROTOCOL_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/json.h"
#include "file_transfer/status.h"
#include "file_transfer/store.h"
#include "protocol/limits.h"
#include "protocol/offer.h"

#define FT_CONTROL_TOPIC "$CONTROL/file-transfer/v1"
#define FT_CONTROL_RESPONSE_TOPIC FT_CONTROL_TOPIC "/response"
#define FT_CONTROL_SIZE_MAX ((size_t)64 * 1024)	/* bytes of a message */
#define FT_CONTROL_COMMANDS_MAX 32
#define FT_CONTROL_DEPTH_MAX 8		/* arrays and objects in each other */
#define FT_CONTROL_LIMIT_MAX 1000	/* entries of a page */
#define FT_CONTROL_LIMIT_DEFAULT 100
#define FT_CONTROL_URL_TTL_DEFAULT_S 3600
#define FT_CONTROL_TAIL_ROOM 128	/* what may come behind the entries of a page */

enum ft_control_verb {
	FT_CONTROL_GET_STATUS,
	FT_CONTROL_LIST_TRANSFERS,
	FT_CONTROL_GET_TRANSFER,
	FT_CONTROL_ABORT_TRANSFER,
	FT_CONTROL_PAUSE_TRANSFER,
	FT_CONTROL_RESUME_TRANSFER,
	FT_CONTROL_PAUSE_CLIENT,
	FT_CONTROL_RESUME_CLIENT,
	FT_CONTROL_PAUSE_ALL,
	FT_CONTROL_RESUME_ALL,
	FT_CONTROL_LIST_PAUSES,
	FT_CONTROL_LIST_FILES,
	FT_CONTROL_GET_FILE,
	FT_CONTROL_DELETE_FILE,
	FT_CONTROL_GET_METRICS,
	FT_CONTROL_VERIFY_FILES,
	FT_CONTROL_CANCEL_VERIFY,
	FT_CONTROL_RUN_GC,
	FT_CONTROL_GET_LIMITS,
	FT_CONTROL_RELOAD_LIMITS,
	FT_CONTROL_SET_LIMITS,
	FT_CONTROL_ADOPT_FILES,
	FT_CONTROL_LIST_CLIENTS,
	FT_CONTROL_OFFER_FILE,
	FT_CONTROL_WITHDRAW_OFFER,
	FT_CONTROL_LIST_OFFERS,
	FT_CONTROL_LIST_JOBS,
	FT_CONTROL_VERBS
};

/* In which order a page of files is. */
enum ft_control_sort {
	FT_SORT_TIME,			/* of completion, the newest first: in the order of the catalog */
	FT_SORT_NAME,			/* by bytes */
	FT_SORT_SIZE,			/* the largest first */
};

/*
 * Behind what a page begins, where pages are not in the order of the catalog: the values by which the
 * last entry of the page before was sorted, so that the place stays right whatever comes and goes.
 */
struct ft_control_place {
	const char *value;		/* name, size or owner as ft_control_put_place() was given; NULL: at the beginning */
	size_t value_len;
	const char *id;			/* tells equal values apart */
	size_t id_len;
};

/* What offerFile, withdrawOffer, listOffers and listJobs say besides. Texts are NULL where not said. */
struct ft_control_offer {
	const char *to;			/* all, client/<id>, user/<name>, group/<name> */
	enum ft_offer_scope scope;	/* of `to`; 0: not said */
	char whose[FT_NAME_ROOM];	/* ... its folder's name; "": all */
	const char *path;		/* by which devices ask for it; NULL: the file's name */
	bool replace;			/* what is offered there already may go */
	const char *status;		/* of jobs: IN_PROGRESS, SUCCEEDED, FAILED, REJECTED */
	const char *after;		/* the cursor, of lists whose pages begin behind a name */
};

/* One command. Texts are borrowed from the control. */
struct ft_control_command {
	const char *name;		/* as it was sent; "" where it was no text */
	const char *correlation;	/* NULL: none */
	const char *wrong;		/* why it cannot be carried out; NULL: it can. Static storage */
	enum ft_control_verb verb;
	struct ft_key key;		/* client_id, file_id; NULL: not said */
	const char *user;		/* NULL: not said */
	const char *pattern;		/* of names, of listClients of owners, for the shell; NULL: any */
	enum ft_control_sort sort;	/* of listFiles */
	uint64_t cursor;		/* where the page begins; 0: at the beginning */
	struct ft_control_place place;	/* ... where it is sorted, and of listClients */
	size_t limit;			/* entries of the page */
	int64_t since, until;		/* Unix seconds, both included */
	uint64_t min_size, max_size;	/* bytes, both included */
	uint32_t url_ttl_s;		/* of getFile: 1 to FT_STORE_URL_TTL_MAX_S */
	struct ft_limits_change change;	/* of setLimits; points into the control */
	struct ft_control_offer offer;
};

struct ft_control {
	size_t count;
	struct ft_control_command *commands;	/* owned */
	void *json;				/* owned; what the texts point into */
	char *ids;				/* owned; ids that came in hex */
};

/*
 * Reads a message. Errors: FT_INVALID_FILE_COMMAND, with `why` one plain sentence of static
 * storage (no JSON, too large, too deep, too many commands, not of this shape); FT_NO_MEMORY.
 */
enum ft_status ft_control_parse(const char *text, size_t len, struct ft_control **out,
				const char **why) FT_MUST_USE;
void ft_control_free(struct ft_control **control);

/*
 * Writes a member, with a comma before it where one is needed. A text that cannot stand in
 * JSON is written in hex, as KEY_hex.
 */
void ft_control_put_text(struct ft_buf *buf, const char *key, const char *text, size_t len);
void ft_control_put_word(struct ft_buf *buf, const char *key, const char *word);
void ft_control_put_number(struct ft_buf *buf, const char *key, uint64_t number);
void ft_control_put_null(struct ft_buf *buf, const char *key);
void ft_control_put_truth(struct ft_buf *buf, const char *key, bool truth);
void ft_control_put_json(struct ft_buf *buf, const char *key, const struct ft_json_text *value);
void ft_control_put_time(struct ft_buf *buf, const char *key, int64_t unix_ms);
void ft_control_put_cursor(struct ft_buf *buf, uint64_t cursor);

/* ... a cursor that command->place is read from. */
void ft_control_put_place(struct ft_buf *buf, const struct ft_control_place *place);

/* Bytes that a page needs behind its entries for such a cursor, besides FT_CONTROL_TAIL_ROOM. */
size_t ft_control_place_room(const struct ft_control_place *place);

/* ... that a page begins behind a name. */
void ft_control_put_after(struct ft_buf *buf, const char *after);

/* ... a member that is an object or array, to be filled and closed. */
void ft_control_open(struct ft_buf *buf, const char *key, char bracket);

/* An entry of an array. */
void ft_control_open_entry(struct ft_buf *buf);

/*
 * Closes an entry of a page, which begins behind `before`. False: with it the page would have no
 * room for FT_CONTROL_TAIL_ROOM and `more` bytes behind its entries, so the entry is taken back.
 */
bool ft_control_close_entry(struct ft_buf *buf, const struct ft_buf *before, size_t more);

/* client_id and file_id. */
void ft_control_put_key(struct ft_buf *buf, const struct ft_key *key);

#endif
