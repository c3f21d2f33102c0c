/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#ifdef FT_POSTGRES
#include <stdio.h>
#include <string.h>

#include "catalog/postgres/postgres.h"

/* By the beginning of the SQLSTATE, of which there is none where no server answered. The first counts. */
static const struct {
	const char *state;
	enum ft_status status;
	const char *remedy;
} errors[] = {
	{ "28", FT_IO_ERROR, "look at user and password in plugin_opt_catalog or its passfile, and at the "
	  "server's pg_hba.conf" },
	{ "3D000", FT_IO_ERROR, "make that database, for instance with createdb, or name another one in "
	  "plugin_opt_catalog" },
	{ "42501", FT_IO_ERROR, "grant this user the right to create a schema in this database, or to "
	  "create and use tables in the one that there is" },
	{ "53100", FT_DISK_FULL, "give the server's disk more room" },
	{ "53300", FT_BUSY, "raise max_connections of the server, or end other programs" },
	{ "53", FT_BUSY, "the server lacks something: look at its log" },
	{ "57P03", FT_BUSY, "the server is starting or stopping" },
	{ "57014", FT_BUSY, "the server took too long: look at what else it does" },
	{ "57", FT_BUSY, "somebody ended the connection or restarts the server" },
	{ "08", FT_BUSY, "look at the server and the network" },
	{ "25006", FT_BUSY, "this server only reads: name the primary, or several with "
	  "target_session_attrs=read-write" },
	{ "25", FT_BUSY, "look at the server's log" },
	{ "40", FT_BUSY, "another program works on the same tables" },
	{ "55", FT_BUSY, "another program keeps it locked: end that program" },
	{ "22", FT_DAMAGED, "its tables were changed by another program" },
	{ "23", FT_DAMAGED, "its tables were changed by another program" },
	{ "42", FT_DAMAGED, "its tables were changed by another program" },
	{ "3F", FT_DAMAGED, "its schema was removed by another program" },
	{ "", FT_IO_ERROR, "look at the server's log" },
};

#define NO_ANSWER "look whether the server runs, and at host and port in plugin_opt_catalog"

/* Several lines of libpq become one. */
static void errors_write_line(struct ft_buf *line, const char *text)
{
	const char *end = text + strlen(text);

	while (end > text && strchr("\r\n\t ", end[-1]))
		end--;
	for (bool space = false; text < end; text++) {
		if (strchr("\r\n\t ", *text)) {
			space = true;
			continue;
		}
		if (space && line->len > 0)
			ft_buf_char(line, ' ');
		space = false;
		ft_buf_char(line, *text);
	}
}

/* Whoever puts a password where it does not belong shall not find it in a log. */
static void errors_hide(char *text, const char *password)
{
	size_t len = password ? strlen(password) : 0;

	for (char *at = text; len > 0 && (at = strstr(at, password)) != NULL; at += len)
		memset(at, '*', len);
}

static void errors_judge(struct pg_error *error)
{
	size_t i = 0;

	if (!error->state[0]) {
		error->status = FT_BUSY;
		error->remedy = NO_ANSWER;
		return;
	}
	while (strncmp(error->state, errors[i].state, strlen(errors[i].state)) != 0)
		i++;
	error->status = errors[i].status;
	error->remedy = errors[i].remedy;
}

/*
 * What a server says that refuses a connection, by PQERRORS_VERBOSE, whatever its language:
 * "connection to ... failed: FATAL:  28P01: password ...\nLOCATION: ...". Where the words begin.
 */
static const char *errors_find_state(const char *text, char state[PG_STATE_LEN + 1])
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

	for (const char *at = text; (at = strstr(at, ":  ")) != NULL; at++) {
		const char *from = at + 3;

		if (strspn(from, digits) != PG_STATE_LEN || from[PG_STATE_LEN] != ':')
			continue;
		memcpy(state, from, PG_STATE_LEN);
		state[PG_STATE_LEN] = '\0';
		return from + PG_STATE_LEN + 1;
	}
	return NULL;
}

void pg_error_read(struct pg_error *error, const struct pg_address *address, PGconn *conn,
		   const PGresult *result)
{
	struct ft_buf line = ft_buf_on(error->text, sizeof error->text);
	const char *text = NULL, *state = NULL;

	error->state[0] = error->text[0] = '\0';
	if (result) {
		text = pq.resultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
		state = pq.resultErrorField(result, PG_DIAG_SQLSTATE);
		if (state && strlen(state) == PG_STATE_LEN)
			memcpy(error->state, state, PG_STATE_LEN + 1);
	}
	if (!text || !text[0]) {
		const char *words;
		char *lines;

		text = conn ? pq.errorMessage(conn) : "";
		words = errors_find_state(text, error->state);
		if (words && (lines = strchr(words, '\n')) != NULL) {
			char first[512];

			snprintf(first, sizeof first, "%.*s", (int)(lines - words), words);
			errors_write_line(&line, first);
			text = "";
		}
	}
	errors_write_line(&line, text);
	if (line.len == 0)
		ft_buf_str(&line, "no answer");
	errors_hide(error->text, address->password);
	errors_judge(error);
}

void pg_error_lost(struct pg_error *error, const char *text)
{
	error->state[0] = '\0';
	snprintf(error->text, sizeof error->text, "%s", text);
	errors_judge(error);
}
#else
typedef int pg_errors_are_not_built_in;	/* a file of ISO C has something in it */
#endif
