/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "mosquitto/v20/ack_sink_20.h"

#include <poll.h>
#include <unistd.h>

/* The first round skips quickly over listeners that do not answer. */
#define QUICK_VISIT_MS 500
#define VISIT_MS 5000

/* persistent_client_expiration is at least one hour. */
#define RENEW_EVERY_MS (50 * 60 * 1000)

/*
 * How many messages may queue up before the session is visited: where it is not known
 * yet whether it queues them (queue_qos0_messages, which a reload may change), where it
 * does not, and where it does.
 */
#define USES_FIRST 1000
#define USES_MAX 100000
#define USES_QUEUEING 10000

/* So many it takes to tell. */
#define USES_TELLING 500

/* Pauses until the broker listens, which it does soon after plugin_init. */
#define LISTEN_PAUSES_QUICK 1000
#define LISTEN_PAUSE_QUICK_MS 1
#define LISTEN_PAUSE_MS 50

static const int retry_pauses_ms[] = { 100, 500, 2000, 10000, 30000, 60000, 300000 };
#define RETRY_PAUSES (sizeof retry_pauses_ms / sizeof retry_pauses_ms[0])
#define COMPLAIN_AFTER_ROUNDS 4

/* Listeners open one after another at start: no round before this one is the last. */
#define ROUNDS_MIN 2

/* Every listener, and the one of the last time. */
#define PLACES_MAX (FT_LISTENERS_MAX + 1)

/* Returns false when it is time to end. */
static bool visits_pause_helper(struct ft_sink_20 *sink, int ms, bool until_visit)
{
	struct pollfd fds[2] = {
		{ .fd = sink->stop_fd, .events = POLLIN },
		{ .fd = until_visit ? sink->visit_fd : -1, .events = POLLIN },
	};
	uint64_t count;

	if (poll(fds, 2, ms) > 0 && fds[1].revents &&
	    read(sink->visit_fd, &count, sizeof count) < 0)
		return false;
	return fds[0].revents == 0;
}

static enum ft_line_result visits_once(struct ft_sink_20 *sink, const struct ft_sink_visit *visit,
				       bool acl, size_t *drained)
{
	enum ft_line_result result;

	atomic_store(&sink->wants_acl, acl);
	result = ft_sink_visit(visit, drained);
	atomic_store(&sink->wants_acl, false);
	return result;
}

/* A subscription that is refused is tried again with the ACL callback's help. */
static enum ft_line_result visits_twice(struct ft_sink_20 *sink, const struct ft_sink_visit *visit,
					struct ft_sink_place *place, size_t *drained)
{
	enum ft_line_result result = visits_once(sink, visit, false, drained);

	place->tls = visit->tls;
	place->acl = result == FT_LINE_SUBSCRIBE_REFUSED;
	return place->acl ? visits_once(sink, visit, true, drained) : result;
}

/*
 * A session without a password fails when a reload checks it again, unless sink_20_on_basic_auth()
 * helps. That callback may only be there where strangers are refused anyhow: elsewhere it
 * would refuse clients with a user name, as 2.0 does where all callbacks defer.
 */
static void visits_try_as_stranger(struct ft_sink_20 *sink)
{
	const struct ft_sink_visit visit = {
		.listener = &sink->good.listener,
		.tls = sink->good.tls,
		.stop_fd = sink->stop_fd,
		.timeout_ms = VISIT_MS,
	};
	enum ft_line_result result;

	if (sink->knows_strangers)
		return;
	result = ft_sink_try_as_stranger(&visit);
	sink->knows_strangers = result == FT_LINE_OK || result == FT_LINE_LOGIN_REFUSED;
	atomic_store(&sink->strangers_refused, result == FT_LINE_LOGIN_REFUSED);
}

/*
 * Where it is not MQTT it may be MQTT over TLS; a listener that is full closes, as one
 * with TLS does.
 */
static enum ft_line_result visits_place(struct ft_sink_20 *sink, struct ft_sink_place *place,
					int timeout_ms, size_t *drained)
{
	struct ft_sink_visit visit = {
		.listener = &place->listener,
		.client_id = sink->spoken,
		.topic = sink->identity->topic,
		.secret = sink->secret,
		.stop_fd = sink->stop_fd,
		.timeout_ms = timeout_ms,
		.tls = place->tls,
		/* What a session of before subscribed to is no matter any more. */
		.clean = !sink->identity->kept && !atomic_load(&sink->ready),
	};
	enum ft_line_result result;

	if (place->known)
		return visits_once(sink, &visit, place->acl, drained);
	result = visits_twice(sink, &visit, place, drained);
	if (result == FT_LINE_NOT_MQTT || result == FT_LINE_CLOSED) {
		visit.tls = true;
		result = visits_twice(sink, &visit, place, drained);
	}
	place->known = result == FT_LINE_OK;
	/* With persistence the broker saves no session whose last login was a clean start. */
	if (result == FT_LINE_OK && visit.clean) {
		visit.clean = false;
		result = visits_once(sink, &visit, place->acl, drained);
	}
	return result;
}

/* Whether a later attempt there may end otherwise. */
static bool visits_is_passing(enum ft_line_result result)
{
	return result == FT_LINE_FAILED || result == FT_LINE_CLOSED;
}

/* Log lines wait for the broker's thread, and some brokers never tick. */
static void visits_announce(struct ft_sink_20 *sink)
{
	if (sink->wake)
		ft_wake_notify(sink->wake);
}

/*
 * Says when to come again, after a visit that began at `uses`. A session that queues has
 * queued all since the last one; another gets the few that come while it subscribes.
 */
static void visits_note_visit(struct ft_sink_20 *sink, uint64_t uses)
{
	uint64_t now = atomic_load(&sink->uses);
	uint64_t since = uses - sink->visited;

	if (sink->anew || sink->interval == 0)
		sink->interval = USES_FIRST;
	else if (since >= USES_TELLING)
		sink->interval = sink->drained >= since / 2 ? USES_QUEUEING : USES_MAX;
	sink->visited = now;
	sink->drained = 0;
	sink->anew = false;
	atomic_store(&sink->visit_at, now + sink->interval);
}

static void visits_note_made(struct ft_sink_20 *sink, const struct ft_sink_place *place)
{
	bool first = !atomic_load(&sink->ready);
	char text[FT_LISTENER_TEXT_ROOM];

	sink->good = *place;
	atomic_store(&sink->ready, true);
	/* Only now, since who reads the line may rely on it at once. */
	if (first) {
		ft_listener_text(&place->listener, text);
		ft_logger_printf(sink->log, FT_LOG_INFO, "accepted commands are acknowledged with 0x00 "
			      "by a session made on %s%s", text, place->tls ? " (TLS)" : "");
		visits_announce(sink);
	}
}

/* The place of the last time first, which saves the others the odd visitor. */
static size_t visits_list_places(struct ft_sink_20 *sink, struct ft_sink_place places[PLACES_MAX])
{
	struct ft_listener listeners[FT_LISTENERS_MAX];
	size_t count = 0, found = ft_listeners_find(listeners, FT_LISTENERS_MAX);

	if (atomic_load(&sink->ready)) {
		places[count] = sink->good;
		sink->anew = atomic_exchange(&sink->forget, false);
		if (sink->anew) {
			sink->knows_strangers = false;
			atomic_store(&sink->strangers_refused, false);
		}
		places[count++].known = !sink->anew;
	}
	for (size_t i = 0; i < found; i++)
		places[count++] = (struct ft_sink_place){ .listener = listeners[i], .tls = false };
	return count;
}

/* Tries each listener; `passing`: whether it makes sense to try again later. */
static enum ft_line_result visits_all(struct ft_sink_20 *sink, int timeout_ms, bool *passing)
{
	struct ft_sink_place places[PLACES_MAX];
	size_t count = visits_list_places(sink, places), drained;
	uint64_t uses = atomic_load(&sink->uses);
	enum ft_line_result result = FT_LINE_FAILED;

	*passing = count == 0;
	atomic_store(&sink->visiting, true);
	for (size_t i = 0; i < count; i++) {
		drained = 0;
		result = visits_place(sink, &places[i], timeout_ms, &drained);
		sink->drained += drained;
		if (result == FT_LINE_OK) {
			visits_note_visit(sink, uses);
			visits_note_made(sink, &places[i]);
		}
		if (result == FT_LINE_OK || result == FT_LINE_STOPPED)
			break;
		*passing = *passing || visits_is_passing(result);
	}
	atomic_store(&sink->visiting, false);
	return result;
}

static void visits_complain(struct ft_sink_20 *sink)
{
	if (sink->complained)
		return;
	sink->complained = true;
	atomic_store(&sink->hopeless, true);
	ft_logger_printf(sink->log, FT_LOG_WARNING, "no listener takes the session that turns PUBACK 0x10 "
		      "into 0x00 for MQTT 5 clients (only WebSockets, "
		      "client certificates or PSK, clientid_prefixes, or an authentication plugin above "
		      "this one?); add to mosquitto.conf: \"listener 0 %s\", or the lines "
		      "\"connection file-transfer-ack\", "
		      "\"address 127.0.0.1:1\", \"start_type lazy\", \"cleansession true\", "
		      "\"notifications false\", \"try_private false\", \"topic %s out 0\"",
		      "/run/mosquitto/file-transfer.sock", FT_ACK_SINK_FIXED_TOPIC);
	visits_announce(sink);
}

/* Visits until it worked. False: it is time to end, or there is no hope. */
static bool visits_with_patience(struct ft_sink_20 *sink)
{
	enum ft_line_result result;
	bool passing;
	int pause_ms;

	for (size_t round = 0; ; round++) {
		result = visits_all(sink, round == 0 ? QUICK_VISIT_MS : VISIT_MS, &passing);
		if (result == FT_LINE_OK) {
			visits_try_as_stranger(sink);
			return true;
		}
		if (result == FT_LINE_STOPPED)
			return false;
		/* A session that was made once most likely still is there. */
		if (!atomic_load(&sink->ready)) {
			passing = passing || round < ROUNDS_MIN;
			if (!passing || round >= COMPLAIN_AFTER_ROUNDS)
				visits_complain(sink);
			if (!passing)
				return false;
		}
		pause_ms = retry_pauses_ms[round < RETRY_PAUSES ? round : RETRY_PAUSES - 1];
		if (!visits_pause_helper(sink, pause_ms, true))
			return false;
	}
}

/* Until there are listeners and no more of them come. */
static bool visits_await_listeners(struct ft_sink_20 *sink)
{
	struct ft_listener listeners[FT_LISTENERS_MAX];
	size_t count = 0, before;
	int pauses = 0;

	do {
		if (!visits_pause_helper(sink, pauses < LISTEN_PAUSES_QUICK ? LISTEN_PAUSE_QUICK_MS :
					 LISTEN_PAUSE_MS, false))
			return false;
		pauses++;
		before = count;
		count = ft_listeners_find(listeners, FT_LISTENERS_MAX);
	} while (count == 0 || count != before);
	return true;
}

void *ft_sink_20_help(void *argument)
{
	struct ft_sink_20 *sink = argument;

	if (!visits_await_listeners(sink))
		return NULL;
	while (visits_with_patience(sink))
		if (!visits_pause_helper(sink, RENEW_EVERY_MS, true))
			break;
	return NULL;
}
