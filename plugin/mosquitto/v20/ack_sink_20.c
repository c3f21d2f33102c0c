/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "mosquitto/v20/ack_sink_20.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include <mosquitto.h>
#include <mosquitto_plugin.h>

#include "base/system.h"

/* What the two clocks may drift apart, by NTP for example, before it counts as a step. */
#define CLOCK_STEP_MS 2000

static bool sink_20_is_our_session(const struct ft_sink_20 *sink, const struct mosquitto *client)
{
	const char *client_id = client ? mosquitto_client_id(client) : NULL;

	return client_id && strcmp(client_id, sink->identity->client_id) == 0;
}

/* The time it takes does not tell how much was right. */
static bool sink_20_secrets_equal(const uint8_t *a, const uint8_t *b)
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
static int sink_20_on_acl(int event, void *event_data, void *userdata)
{
	const struct mosquitto_evt_acl_check *check = event_data;
	const struct ft_sink_20 *sink = userdata;

	(void)event;
	if (check->access == MOSQ_ACL_SUBSCRIBE && sink_20_is_our_session(sink, check->client) &&
	    strcmp(check->topic, sink->identity->topic) == 0)
		return MOSQ_ERR_SUCCESS;
	return MOSQ_ERR_PLUGIN_DEFER;
}

/*
 * On a reload 2.0 checks the passwords of offline sessions too, and where one fails that is
 * to expire (persistent_client_expiration) it would later use freed memory. No client can
 * log in with the session's id, so this lets nobody in. Only registered where strangers are
 * refused anyhow: elsewhere to defer would refuse clients with a user name.
 */
static int sink_20_on_basic_auth(int event, void *event_data, void *userdata)
{
	const struct mosquitto_evt_basic_auth *auth = event_data;
	const struct ft_sink_20 *sink = userdata;

	(void)event;
	if (sink_20_is_our_session(sink, auth->client))
		return MOSQ_ERR_SUCCESS;
	return MOSQ_ERR_PLUGIN_DEFER;
}

/* Not from within the callback that is to go. */
static void sink_20_follow(struct ft_sink_20 *sink, bool wanted, bool *registered, int event,
			   MOSQ_FUNC_generic_callback callback)
{
	if (wanted == *registered)
		return;
	if (wanted)
		*registered = mosquitto_callback_register(sink->id, event, callback, NULL, sink) ==
			      MOSQ_ERR_SUCCESS;
	else if (mosquitto_callback_unregister(sink->id, event, callback, NULL) == MOSQ_ERR_SUCCESS)
		*registered = false;
}

static void sink_20_follow_wishes(struct ft_sink_20 *sink)
{
	sink_20_follow(sink, atomic_load(&sink->wants_acl), &sink->acl_registered,
		       MOSQ_EVT_ACL_CHECK, sink_20_on_acl);
	sink_20_follow(sink, atomic_load(&sink->strangers_refused), &sink->basic_registered,
		       MOSQ_EVT_BASIC_AUTH, sink_20_on_basic_auth);
}

/*
 * Turns the id that was sent into the session's own, which differs in one byte, before the
 * broker knows the client by it. The broker lends its own memory, as with a message's topic.
 */
static void sink_20_rename_visitor(const struct ft_sink_20 *sink, const struct mosquitto *client)
{
	char *id = (char *)(uintptr_t)mosquitto_client_id(client);

	assert(strlen(id) == strlen(sink->identity->client_id));
	memcpy(id, sink->identity->client_id, strlen(id));
}

static bool sink_20_is_visitor(const struct ft_sink_20 *sink,
			       const struct mosquitto_evt_extended_auth *auth)
{
	const char *client_id = mosquitto_client_id(auth->client);

	return atomic_load(&sink->visiting) && auth->auth_method &&
	       strcmp(auth->auth_method, FT_SINK_AUTH_METHOD) == 0 && auth->data_in &&
	       auth->data_in_len == FT_SINK_SECRET_LEN &&
	       sink_20_secrets_equal(auth->data_in, sink->secret) &&
	       client_id && strcmp(client_id, sink->spoken) == 0;
}

/* Other methods and other clients are as if this callback were not there. */
static int sink_20_on_ext_auth(int event, void *event_data, void *userdata)
{
	const struct mosquitto_evt_extended_auth *auth = event_data;
	struct ft_sink_20 *sink = userdata;

	(void)event;
	if (!sink_20_is_visitor(sink, auth))
		return MOSQ_ERR_PLUGIN_DEFER;
	sink_20_rename_visitor(sink, auth->client);
	sink_20_follow_wishes(sink);
	return MOSQ_ERR_SUCCESS;
}

static int64_t sink_20_clock_gap_ms(void)
{
	return ft_clock_unix_ms() - ft_clock_ms();
}

static int sink_20_start_helper(struct ft_sink_20 *sink)
{
	sigset_t all, before;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&sink->helper, NULL, ft_sink_20_help, sink);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return error;
}

static void sink_20_destroy(struct ft_sink_20 *sink)
{
	if (sink->stop_fd >= 0)
		close(sink->stop_fd);
	if (sink->visit_fd >= 0)
		close(sink->visit_fd);
	explicit_bzero(sink->secret, sizeof sink->secret);
	free(sink);
}

struct ft_sink_20 *ft_sink_20_new(mosquitto_plugin_id_t *id,
				  const struct ft_sink_identity *identity,
				  const struct ft_ack_sink_config *config)
{
	struct ft_sink_20 *sink = calloc(1, sizeof *sink);
	int error;

	if (!sink)
		return NULL;
	sink->id = id;
	sink->log = config->log;
	sink->wake = config->wake;
	sink->identity = identity;
	ft_sink_identity_spoken(identity, sink->spoken);
	sink->clock_gap_ms = sink_20_clock_gap_ms();
	sink->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	sink->visit_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (sink->stop_fd < 0 || sink->visit_fd < 0 ||
	    getrandom(sink->secret, sizeof sink->secret, 0) != (ssize_t)sizeof sink->secret)
		goto failed;
	/* Without it no listener takes the session, and the log says so. */
	mosquitto_callback_register(id, MOSQ_EVT_EXT_AUTH_START, sink_20_on_ext_auth, NULL, sink);
	error = sink_20_start_helper(sink);
	if (error != 0) {
		mosquitto_callback_unregister(id, MOSQ_EVT_EXT_AUTH_START, sink_20_on_ext_auth, NULL);
		errno = error;
		goto failed;
	}
	return sink;
failed:
	sink_20_destroy(sink);
	return NULL;
}

static void sink_20_raise_fd(int fd)
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
	sink_20_raise_fd(gone->stop_fd);
	pthread_join(gone->helper, NULL);
	atomic_store(&gone->wants_acl, false);
	atomic_store(&gone->strangers_refused, false);
	sink_20_follow_wishes(gone);
	mosquitto_callback_unregister(gone->id, MOSQ_EVT_EXT_AUTH_START, sink_20_on_ext_auth, NULL);
	sink_20_destroy(gone);
}

/* BASIC_AUTH goes only in sink_20_on_ext_auth(): here a reload may be under way that needs it. */
void ft_sink_20_tick(struct ft_sink_20 *sink)
{
	int64_t gap_ms = sink_20_clock_gap_ms(), step_ms = gap_ms - sink->clock_gap_ms;

	if (atomic_load(&sink->strangers_refused) || !sink->basic_registered)
		sink_20_follow_wishes(sink);
	/* persistent_client_expiration goes by the wall clock, and a visit renews. */
	if (step_ms > CLOCK_STEP_MS || step_ms < -CLOCK_STEP_MS) {
		sink->clock_gap_ms = gap_ms;
		sink_20_raise_fd(sink->visit_fd);
	}
}

void ft_sink_20_reload(struct ft_sink_20 *sink)
{
	atomic_store(&sink->forget, true);
	sink_20_raise_fd(sink->visit_fd);
}

void ft_sink_20_disconnected(struct ft_sink_20 *sink, const struct mosquitto *client)
{
	const char *client_id = client ? mosquitto_client_id(client) : NULL;

	/* Without an id it never logged in, as visitors that were refused. */
	if (!client_id || atomic_load(&sink->visiting))
		return;
	/* Somebody has ended the session; or made room on a listener that was full. */
	if (!atomic_load(&sink->ready) || sink_20_is_our_session(sink, client))
		sink_20_raise_fd(sink->visit_fd);
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
	uint64_t uses = atomic_load_explicit(&sink->uses, memory_order_relaxed) + 1;
	uint64_t due = atomic_load_explicit(&sink->visit_at, memory_order_relaxed);

	/* Nobody else writes it: adding needs no lock. */
	atomic_store_explicit(&sink->uses, uses, memory_order_relaxed);
	if (uses < due || !atomic_load(&sink->ready))
		return;
	/* Once; unless the helper, on a visit for another reason, has set it anew just now. */
	if (atomic_compare_exchange_strong(&sink->visit_at, &due, UINT64_MAX))
		sink_20_raise_fd(sink->visit_fd);
}
