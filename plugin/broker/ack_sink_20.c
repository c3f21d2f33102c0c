/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "broker/ack_sink_impl.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include <mosquitto.h>
#include <mosquitto_plugin.h>

#include "base/system.h"
#include "broker/ack_sink_session.h"
#include "broker/listeners.h"

/* The first round skips quickly over listeners that do not answer. */
#define QUICK_VISIT_MS 500
#define VISIT_MS 5000

/* persistent_client_expiration is at least one hour. */
#define RENEW_EVERY_MS (50 * 60 * 1000)

/*
 * How many messages may queue up before the session is visited, where it is not known
 * to queue any: doubles up to the maximum. And where it does (queue_qos0_messages).
 */
#define USES_FIRST 1000
#define USES_MAX 100000
#define USES_QUEUEING 10000

/* Pauses until the broker listens, which it does soon after plugin_init. */
#define LISTEN_PAUSES_QUICK 1000
#define LISTEN_PAUSE_QUICK_MS 1
#define LISTEN_PAUSE_MS 50

static const int retry_pauses_ms[] = { 100, 500, 2000, 10000, 30000, 60000, 300000 };
#define RETRY_PAUSES (sizeof retry_pauses_ms / sizeof retry_pauses_ms[0])
#define COMPLAIN_AFTER_ROUNDS 4

/* Listeners open one after another at start: no round before this one is the last. */
#define ROUNDS_MIN 2

/* A listener, and how to talk to it. */
struct place {
	struct ft_listener listener;
	bool tls;
};

/* Every listener, and the one of the last time. */
#define PLACES_MAX (FT_LISTENERS_MAX + 1)

struct ft_sink_20 {
	mosquitto_plugin_id_t *id;
	struct ft_log *log;
	struct ft_wake *wake;
	const struct ft_sink_identity *identity;
	uint8_t secret[FT_SINK_SECRET_LEN];
	pthread_t helper;
	int stop_fd;
	int visit_fd;

	/* From the helper to the broker's thread. */
	_Atomic bool visiting;		/* the secret is good */
	_Atomic bool wants_acl;		/* the subscription needs help */
	_Atomic bool ready;
	_Atomic bool hopeless;
	_Atomic uint64_t visit_after;	/* uses */

	/* The broker's thread. */
	bool acl_registered;
	uint64_t uses;

	/* The helper's. */
	bool complained;
	struct place good;		/* where it worked, once ready */
};

static bool is_our_session(const struct ft_sink_20 *sink, const struct mosquitto *client)
{
	const char *client_id = client ? mosquitto_client_id(client) : NULL;

	return client_id && strcmp(client_id, sink->identity->client_id) == 0;
}

/* The time it takes does not tell how much was right. */
static bool secrets_equal(const uint8_t *a, const uint8_t *b)
{
	uint8_t difference = 0;

	for (size_t i = 0; i < FT_SINK_SECRET_LEN; i++)
		difference = (uint8_t)(difference | (a[i] ^ b[i]));
	return difference == 0;
}

/*
 * Only asked where another ACL plugin has deferred, so one exists; to defer as well
 * changes nothing for anybody else.
 */
static int on_acl(int event, void *event_data, void *userdata)
{
	const struct mosquitto_evt_acl_check *check = event_data;
	const struct ft_sink_20 *sink = userdata;

	(void)event;
	if (check->access == MOSQ_ACL_SUBSCRIBE && is_our_session(sink, check->client) &&
	    strcmp(check->topic, sink->identity->topic) == 0)
		return MOSQ_ERR_SUCCESS;
	return MOSQ_ERR_PLUGIN_DEFER;
}

/* Not while the broker walks through its ACL callbacks on behalf of this very one. */
static void follow_wants_acl(struct ft_sink_20 *sink)
{
	bool wanted = atomic_load(&sink->wants_acl);

	if (wanted == sink->acl_registered)
		return;
	if (wanted)
		sink->acl_registered = mosquitto_callback_register(sink->id, MOSQ_EVT_ACL_CHECK,
								   on_acl, NULL, sink) == MOSQ_ERR_SUCCESS;
	else if (mosquitto_callback_unregister(sink->id, MOSQ_EVT_ACL_CHECK, on_acl, NULL) ==
		 MOSQ_ERR_SUCCESS)
		sink->acl_registered = false;
}

/* Other methods and other clients are as if this callback were not there. */
static int on_ext_auth(int event, void *event_data, void *userdata)
{
	const struct mosquitto_evt_extended_auth *auth = event_data;
	struct ft_sink_20 *sink = userdata;

	(void)event;
	if (!atomic_load(&sink->visiting) || !auth->auth_method ||
	    strcmp(auth->auth_method, FT_SINK_AUTH_METHOD) != 0 ||
	    !auth->data_in || auth->data_in_len != FT_SINK_SECRET_LEN ||
	    !secrets_equal(auth->data_in, sink->secret) || !is_our_session(sink, auth->client))
		return MOSQ_ERR_PLUGIN_DEFER;
	follow_wants_acl(sink);
	return MOSQ_ERR_SUCCESS;
}

/* Returns false when it is time to end. */
static bool pause_helper(struct ft_sink_20 *sink, int ms, bool until_visit)
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

static enum ft_sink_result visit_once(struct ft_sink_20 *sink, struct ft_sink_visit *visit,
				      size_t *drained)
{
	enum ft_sink_result result = ft_sink_visit(visit, drained);

	if (result != FT_SINK_SUBSCRIBE_REFUSED)
		return result;
	atomic_store(&sink->wants_acl, true);
	result = ft_sink_visit(visit, drained);
	atomic_store(&sink->wants_acl, false);
	return result;
}

/* Anonymous: for the case that another plugin refuses our method before we are asked. */
static enum ft_sink_result log_in(struct ft_sink_20 *sink, struct ft_sink_visit *visit,
				  size_t *drained)
{
	enum ft_sink_result result = FT_SINK_FAILED;

	for (visit->login = 0; visit->login < FT_SINK_LOGINS; visit->login++) {
		result = visit_once(sink, visit, drained);
		if (result != FT_SINK_LOGIN_REFUSED)
			break;
	}
	return result;
}

/* Where it is not MQTT it may be MQTT over TLS; and a listener that is full closes, as one with TLS does. */
static enum ft_sink_result visit_place(struct ft_sink_20 *sink, struct place *place, int timeout_ms,
				       size_t *drained)
{
	struct ft_sink_visit visit = {
		.listener = &place->listener,
		.client_id = sink->identity->client_id,
		.topic = sink->identity->topic,
		.secret = sink->secret,
		.stop_fd = sink->stop_fd,
		.timeout_ms = timeout_ms,
		.tls = place->tls,
	};
	enum ft_sink_result result = log_in(sink, &visit, drained), plain = result;

	if (visit.tls || (plain != FT_SINK_NOT_MQTT && plain != FT_SINK_CLOSED))
		return result;
	visit.tls = true;
	result = log_in(sink, &visit, drained);
	place->tls = result == FT_SINK_MADE;
	return result;
}

/* Whether a later attempt there may end otherwise. */
static bool is_passing(enum ft_sink_result result)
{
	return result == FT_SINK_FAILED || result == FT_SINK_CLOSED;
}

static void note_made(struct ft_sink_20 *sink, const struct place *place, size_t drained)
{
	char text[FT_LISTENER_TEXT_ROOM];
	uint64_t after = atomic_load(&sink->visit_after);

	if (drained > 0)
		after = USES_QUEUEING;
	else if (after < USES_MAX)
		after = after == 0 ? USES_FIRST : after * 2;
	atomic_store(&sink->visit_after, after);
	if (!atomic_load(&sink->ready)) {
		ft_listener_text(&place->listener, text);
		ft_log_printf(sink->log, FT_LOG_INFO, "accepted commands are acknowledged with 0x00 "
			      "by session %s, made on %s%s", sink->identity->client_id, text,
			      place->tls ? " (TLS)" : "");
		ft_wake_notify(sink->wake);
	}
	sink->good = *place;
	atomic_store(&sink->ready, true);
}

/* The place of the last time first, which saves the others the odd visitor. */
static size_t list_places(const struct ft_sink_20 *sink, struct place places[PLACES_MAX])
{
	struct ft_listener listeners[FT_LISTENERS_MAX];
	size_t count = 0, found = ft_listeners_find(listeners, FT_LISTENERS_MAX);

	if (atomic_load(&sink->ready))
		places[count++] = sink->good;
	for (size_t i = 0; i < found; i++)
		places[count++] = (struct place){ .listener = listeners[i] };
	return count;
}

/* Tries each listener; `passing`: whether it makes sense to try again later. */
static enum ft_sink_result visit_all(struct ft_sink_20 *sink, int timeout_ms, bool *passing)
{
	struct place places[PLACES_MAX];
	size_t count = list_places(sink, places), drained;
	enum ft_sink_result result = FT_SINK_FAILED;

	*passing = count == 0;
	atomic_store(&sink->visiting, true);
	for (size_t i = 0; i < count; i++) {
		result = visit_place(sink, &places[i], timeout_ms, &drained);
		if (result == FT_SINK_MADE)
			note_made(sink, &places[i], drained);
		if (result == FT_SINK_MADE || result == FT_SINK_STOPPED)
			break;
		*passing = *passing || is_passing(result);
	}
	atomic_store(&sink->visiting, false);
	return result;
}

static void complain(struct ft_sink_20 *sink)
{
	if (sink->complained)
		return;
	sink->complained = true;
	atomic_store(&sink->hopeless, true);
	ft_log_printf(sink->log, FT_LOG_WARNING, "no listener takes the session that turns PUBACK 0x10 "
		      "into 0x00 for MQTT 5 clients (client certificates only?); add to mosquitto.conf: "
		      "\"listener 0 %s\", or the lines \"connection file-transfer-ack\", "
		      "\"address 127.0.0.1:1\", \"start_type lazy\", \"cleansession true\", "
		      "\"notifications false\", \"try_private false\", \"topic %s out 0\"",
		      "/run/mosquitto/file-transfer.sock", FT_ACK_SINK_FIXED_TOPIC);
	ft_wake_notify(sink->wake);
}

/* Visits until it worked. False: it is time to end, or there is no hope. */
static bool visit_with_patience(struct ft_sink_20 *sink)
{
	enum ft_sink_result result;
	bool passing;
	int pause_ms;

	for (size_t round = 0; ; round++) {
		result = visit_all(sink, round == 0 ? QUICK_VISIT_MS : VISIT_MS, &passing);
		if (result == FT_SINK_MADE)
			return true;
		if (result == FT_SINK_STOPPED)
			return false;
		/* A session that was made once most likely still is there. */
		if (!atomic_load(&sink->ready)) {
			passing = passing || round < ROUNDS_MIN;
			if (!passing || round >= COMPLAIN_AFTER_ROUNDS)
				complain(sink);
			if (!passing)
				return false;
		}
		pause_ms = retry_pauses_ms[round < RETRY_PAUSES ? round : RETRY_PAUSES - 1];
		if (!pause_helper(sink, pause_ms, false))
			return false;
	}
}

/* Until there are listeners and no more of them come. */
static bool await_listeners(struct ft_sink_20 *sink)
{
	struct ft_listener listeners[FT_LISTENERS_MAX];
	size_t count = 0, before;
	int pauses = 0;

	do {
		if (!pause_helper(sink, pauses < LISTEN_PAUSES_QUICK ? LISTEN_PAUSE_QUICK_MS :
				  LISTEN_PAUSE_MS, false))
			return false;
		pauses++;
		before = count;
		count = ft_listeners_find(listeners, FT_LISTENERS_MAX);
	} while (count == 0 || count != before);
	return true;
}

static void *help(void *argument)
{
	struct ft_sink_20 *sink = argument;

	if (!await_listeners(sink))
		return NULL;
	while (visit_with_patience(sink))
		if (!pause_helper(sink, RENEW_EVERY_MS, true))
			break;
	return NULL;
}

static int start_helper(struct ft_sink_20 *sink)
{
	sigset_t all, before;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&sink->helper, NULL, help, sink);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

static void destroy(struct ft_sink_20 *sink)
{
	if (sink->stop_fd >= 0)
		close(sink->stop_fd);
	if (sink->visit_fd >= 0)
		close(sink->visit_fd);
	explicit_bzero(sink->secret, sizeof sink->secret);
	free(sink);
}

struct ft_sink_20 *ft_sink_20_new(mosquitto_plugin_id_t *id, const struct ft_sink_identity *identity,
				  const struct ft_ack_sink_config *config)
{
	struct ft_sink_20 *sink = calloc(1, sizeof *sink);

	if (!sink)
		return NULL;
	sink->id = id;
	sink->log = config->log;
	sink->wake = config->wake;
	sink->identity = identity;
	sink->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	sink->visit_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (sink->stop_fd < 0 || sink->visit_fd < 0 ||
	    getrandom(sink->secret, sizeof sink->secret, 0) != (ssize_t)sizeof sink->secret)
		goto failed;
	if (mosquitto_callback_register(id, MOSQ_EVT_EXT_AUTH_START, on_ext_auth, NULL, sink) !=
	    MOSQ_ERR_SUCCESS)
		goto failed;
	if (start_helper(sink) != 0) {
		mosquitto_callback_unregister(id, MOSQ_EVT_EXT_AUTH_START, on_ext_auth, NULL);
		goto failed;
	}
	return sink;
failed:
	destroy(sink);
	return NULL;
}

static void raise_fd(int fd)
{
	const uint64_t one = 1;

	/* Full is as good as written. */
	if (write(fd, &one, sizeof one) < 0)
		return;
}

void ft_sink_20_free(struct ft_sink_20 **sink)
{
	struct ft_sink_20 *gone = *sink;

	*sink = NULL;
	if (!gone)
		return;
	raise_fd(gone->stop_fd);
	pthread_join(gone->helper, NULL);
	atomic_store(&gone->wants_acl, false);
	follow_wants_acl(gone);
	mosquitto_callback_unregister(gone->id, MOSQ_EVT_EXT_AUTH_START, on_ext_auth, NULL);
	destroy(gone);
}

void ft_sink_20_tick(struct ft_sink_20 *sink)
{
	follow_wants_acl(sink);
}

bool ft_sink_20_hopeless(const struct ft_sink_20 *sink)
{
	return !atomic_load(&sink->ready) && atomic_load(&sink->hopeless);
}

bool ft_sink_20_ready(const struct ft_sink_20 *sink)
{
	return atomic_load(&sink->ready);
}

void ft_sink_20_used(struct ft_sink_20 *sink)
{
	if (!atomic_load(&sink->ready) || ++sink->uses < atomic_load(&sink->visit_after))
		return;
	sink->uses = 0;
	raise_fd(sink->visit_fd);
}
