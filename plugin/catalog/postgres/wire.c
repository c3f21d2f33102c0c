/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Nothing here waits without an end: libpq's own calls that do are not used. What waits is poll(),
 * for a moment at a time, so that a broker that stops is not kept by a server that hangs.
 */
#ifdef FT_POSTGRES
#include <poll.h>

#include "base/system.h"
#include "catalog/postgres/postgres.h"

#define WIRE_LOOK_MS 200	/* how often `hurry` is looked at */

/* False: it is time to give up. */
static bool wire_poll(PGconn *conn, short events, const struct pg_wait *wait)
{
	struct pollfd fd = { .fd = pq.socket(conn), .events = events };
	int64_t most_ms = atomic_load(wait->hurry) && wait->ms > PG_HURRY_MS ? PG_HURRY_MS : wait->ms;
	int64_t left_ms = wait->start_ms + most_ms - ft_clock_ms();

	if (left_ms <= 0 || fd.fd < 0)
		return false;
	/* Interrupted, or nothing yet: the caller asks again. */
	(void)(poll(&fd, 1, left_ms < WIRE_LOOK_MS ? (int)left_ms : WIRE_LOOK_MS) < 0);
	return true;
}

/* Whether the socket is ready; connectPoll() may be called again only then. */
static bool wire_is_ready(PGconn *conn, short events)
{
	struct pollfd fd = { .fd = pq.socket(conn), .events = events };

	return poll(&fd, 1, 0) > 0;
}

bool pg_wire_connect(PGconn *conn, const struct pg_wait *wait)
{
	PostgresPollingStatusType next = PGRES_POLLING_WRITING;

	if (pq.status(conn) == CONNECTION_BAD)
		return false;
	(void)pq.setErrorVerbosity(conn, PQERRORS_VERBOSE);
	while (next != PGRES_POLLING_OK) {
		short events = next == PGRES_POLLING_READING ? POLLIN : POLLOUT;

		do
			if (!wire_poll(conn, events, wait))
				return false;
		while (!wire_is_ready(conn, events));
		if ((next = pq.connectPoll(conn)) == PGRES_POLLING_FAILED)
			return false;
	}
	(void)pq.setErrorVerbosity(conn, PQERRORS_DEFAULT);
	return pq.setnonblocking(conn, 1) == 0;
}

/* Until the next result is there, or the end of them. */
static bool wire_read(PGconn *conn, const struct pg_wait *wait)
{
	for (;;) {
		int unsent = pq.flush(conn);

		if (unsent < 0)
			return false;
		if (!unsent && !pq.isBusy(conn))
			return true;
		if (!wire_poll(conn, unsent ? POLLIN | POLLOUT : POLLIN, wait)
		    || !pq.consumeInput(conn))
			return false;
	}
}

bool pg_wire_next(PGconn *conn, const struct pg_wait *wait, PGresult **result)
{
	*result = NULL;
	if (!wire_read(conn, wait))
		return false;
	*result = pq.getResult(conn);
	return true;
}

static bool wire_is_error(const PGresult *result)
{
	ExecStatusType status = pq.resultStatus(result);

	return status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK;
}

PGresult *pg_wire_gather(PGconn *conn, const struct pg_wait *wait)
{
	PGresult *kept = NULL, *next;

	while (pg_wire_next(conn, wait, &next)) {
		if (!next)
			return kept;
		if (kept && wire_is_error(kept)) {
			pq.clear(next);
			continue;
		}
		if (kept)
			pq.clear(kept);
		kept = next;
	}
	/* What the server said before it hung up tells more than that it did. */
	if (kept && wire_is_error(kept))
		return kept;
	if (kept)
		pq.clear(kept);
	return NULL;
}
#else
typedef int pg_wire_is_not_built_in;	/* a file of ISO C has something in it */
#endif
