/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * A plugin that consists of the acknowledgement sink and the wake-up only, so that
 * tests/probe/run can watch them in a real broker:
 *
 *	$file/ok/...     swallowed, to be acknowledged with 0x00
 *	$file/no/...     swallowed, to be acknowledged with 0x10
 *	$file/work/...   a worker thread "finishes" 30 ms later; the broker's thread then
 *	                 publishes the worker's CLOCK_MONOTONIC in ns on probe/done
 *	$file/kick/...   the sink's session is ended, as other plugins may
 *	$file/at/...     a timer; published on probe/at when due, 400 ms later
 */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include <mosquitto.h>
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>

#include "base/system.h"
#include "mosquitto/ack_sink.h"
#include "mosquitto/ack_sink_identity.h"
#include "mosquitto/v20/doorbell.h"
#include "mosquitto/wake.h"

#define EXPORT __attribute__((visibility("default")))
#define QUEUE_ROOM 4096
#define WORK_MS 30
#define TIMER_MS 400

struct probe {
	mosquitto_plugin_id_t *id;
	struct ft_logger *log;
	struct ft_wake *wake;
	struct ft_ack_sink *sink;
	struct ft_sink_identity session;
	struct ft_doorbell *bell;
	pthread_t worker;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool stop;
	unsigned ordered;
	int64_t done[QUEUE_ROOM];
	unsigned done_first, done_end;
	int64_t timer_ms;
	bool ticked;
};

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void log_line(void *context, enum ft_log_level level, const char *line)
{
	(void)context;
	mosquitto_log_printf(level >= FT_LOG_WARNING ? MOSQ_LOG_WARNING : MOSQ_LOG_INFO,
			     "probe: %s", line);
}

static void *work(void *argument)
{
	struct probe *probe = argument;
	const struct timespec pause = { .tv_nsec = WORK_MS * 1000000L };

	pthread_mutex_lock(&probe->lock);
	while (!probe->stop) {
		if (probe->ordered == 0) {
			pthread_cond_wait(&probe->changed, &probe->lock);
			continue;
		}
		probe->ordered--;
		pthread_mutex_unlock(&probe->lock);
		nanosleep(&pause, NULL);
		pthread_mutex_lock(&probe->lock);
		probe->done[probe->done_end++ % QUEUE_ROOM] = now_ns();
		pthread_mutex_unlock(&probe->lock);
		ft_wake_notify(probe->wake);
		pthread_mutex_lock(&probe->lock);
	}
	pthread_mutex_unlock(&probe->lock);
	return NULL;
}

static void publish_number(const char *topic, int64_t number)
{
	char *payload = mosquitto_malloc(32);
	int len;

	if (!payload)
		return;
	len = snprintf(payload, 32, "%lld", (long long)number);
	if (mosquitto_broker_publish(NULL, topic, len, payload, 1, false, NULL) != MOSQ_ERR_SUCCESS)
		mosquitto_free(payload);
}

static bool take(struct probe *probe, int64_t *when)
{
	bool any;

	pthread_mutex_lock(&probe->lock);
	any = probe->done_first != probe->done_end;
	if (any)
		*when = probe->done[probe->done_first++ % QUEUE_ROOM];
	pthread_mutex_unlock(&probe->lock);
	return any;
}

static void every_event(void *context)
{
	struct probe *probe = context;
	int64_t when;

	ft_logger_drain(probe->log);
	ft_ack_sink_tick(probe->sink, ft_clock_ms());
	if (!ft_wake_pending(probe->wake))
		return;
	while (take(probe, &when))
		publish_number("probe/done", when);
	if (probe->timer_ms != 0 && ft_clock_ms() >= probe->timer_ms) {
		publish_number("probe/at", ft_clock_ms() - probe->timer_ms);
		probe->timer_ms = 0;
	}
	if (probe->timer_ms != 0)
		ft_wake_at(probe->wake, probe->timer_ms);
	ft_wake_drained(probe->wake);
}

static int on_tick(int event, void *data, void *userdata)
{
	struct probe *probe = userdata;

	(void)event;
	(void)data;
	ft_wake_tick_seen(probe->wake);
	if (!probe->ticked) {
		probe->ticked = true;
		ft_logger_printf(probe->log, FT_LOG_INFO, "ticks");
	}
	every_event(probe);
	return MOSQ_ERR_SUCCESS;
}

static int on_disconnect(int event, void *data, void *userdata)
{
	const struct mosquitto_evt_disconnect *disconnect = data;
	struct probe *probe = userdata;

	(void)event;
	ft_ack_sink_disconnected(probe->sink, disconnect->client);
	every_event(probe);
	return MOSQ_ERR_SUCCESS;
}

static int on_reload(int event, void *data, void *userdata)
{
	struct probe *probe = userdata;

	(void)event;
	(void)data;
	ft_ack_sink_reload(probe->sink);
	return MOSQ_ERR_SUCCESS;
}

static void swallow(struct mosquitto_evt_message *message, const char *topic)
{
	size_t len = strlen(topic);

	memcpy(message->topic, topic, len + 1);
	message->payload = NULL;
	message->payloadlen = 0;
	message->retain = false;
}

static void order(struct probe *probe)
{
	pthread_mutex_lock(&probe->lock);
	probe->ordered++;
	pthread_cond_signal(&probe->changed);
	pthread_mutex_unlock(&probe->lock);
}

static int on_message(int event, void *data, void *userdata)
{
	struct mosquitto_evt_message *message = data;
	struct probe *probe = userdata;

	(void)event;
	every_event(probe);
	if (strncmp(message->topic, "$file/", 6) != 0)
		return MOSQ_ERR_SUCCESS;
	if (strncmp(message->topic + 6, "no/", 3) == 0) {
		swallow(message, FT_NOBODYS_TOPIC);
		return MOSQ_ERR_SUCCESS;
	}
	if (strncmp(message->topic + 6, "work/", 5) == 0)
		order(probe);
	if (strncmp(message->topic + 6, "kick/", 5) == 0)
		mosquitto_kick_client_by_clientid(probe->session.client_id, false);
	if (strncmp(message->topic + 6, "at/", 3) == 0) {
		probe->timer_ms = ft_clock_ms() + TIMER_MS;
		ft_wake_at(probe->wake, probe->timer_ms);
	}
	swallow(message, ft_ack_sink_topic(probe->sink));
	return MOSQ_ERR_SUCCESS;
}

static const struct {
	int event;
	MOSQ_FUNC_generic_callback callback;
} callbacks[] = {
	{ MOSQ_EVT_MESSAGE, on_message },
	{ MOSQ_EVT_TICK, on_tick },
	{ MOSQ_EVT_DISCONNECT, on_disconnect },
	{ MOSQ_EVT_RELOAD, on_reload },
};
#define CALLBACKS (sizeof callbacks / sizeof callbacks[0])

EXPORT int mosquitto_plugin_version(int count, const int *versions);
EXPORT int mosquitto_plugin_init(mosquitto_plugin_id_t *id, void **userdata,
				 struct mosquitto_opt *options, int count);
EXPORT int mosquitto_plugin_cleanup(void *userdata, struct mosquitto_opt *options, int count);

int mosquitto_plugin_version(int count, const int *versions)
{
	for (int i = 0; i < count; i++)
		if (versions[i] == 5)
			return 5;
	return -1;
}

static const char *option(const struct mosquitto_opt *options, int count, const char *key)
{
	for (int i = 0; i < count; i++)
		if (strcmp(options[i].key, key) == 0)
			return options[i].value;
	return NULL;
}

int mosquitto_plugin_init(mosquitto_plugin_id_t *id, void **userdata,
			  struct mosquitto_opt *options, int count)
{
	struct probe *probe = calloc(1, sizeof *probe);
	struct ft_ack_sink_config config = { .storage_dir = option(options, count, "storage_dir") };
	const char *mode = option(options, count, "ack_sink");

	if (!probe)
		return MOSQ_ERR_NOMEM;
	*userdata = probe;
	probe->id = id;
	probe->log = ft_logger_new(log_line, NULL);
	probe->wake = ft_wake_new(probe->log);
	config.log = probe->log;
	config.wake = probe->wake;
	config.off = mode && strcmp(mode, "off") == 0;
	probe->sink = ft_ack_sink_new(id, &config);
	if (!probe->log || !probe->wake || !probe->sink)
		return MOSQ_ERR_NOMEM;
	if (!ft_sink_identity_set_client(&probe->session, config.storage_dir))
		return MOSQ_ERR_NOMEM;
	if (!option(options, count, "no_bell"))
		probe->bell = ft_doorbell_new(id, probe->wake, every_event, probe);
	pthread_mutex_init(&probe->lock, NULL);
	pthread_cond_init(&probe->changed, NULL);
	if (pthread_create(&probe->worker, NULL, work, probe) != 0)
		return MOSQ_ERR_NOMEM;
	for (size_t i = 0; i < CALLBACKS; i++)
		if (mosquitto_callback_register(id, callbacks[i].event, callbacks[i].callback, NULL,
						probe) != MOSQ_ERR_SUCCESS)
			return MOSQ_ERR_UNKNOWN;
	return MOSQ_ERR_SUCCESS;
}

int mosquitto_plugin_cleanup(void *userdata, struct mosquitto_opt *options, int count)
{
	struct probe *probe = userdata;
	struct sigaction urg;

	(void)options;
	(void)count;
	pthread_mutex_lock(&probe->lock);
	probe->stop = true;
	pthread_cond_signal(&probe->changed);
	pthread_mutex_unlock(&probe->lock);
	pthread_join(probe->worker, NULL);
	for (size_t i = 0; i < CALLBACKS; i++)
		mosquitto_callback_unregister(probe->id, callbacks[i].event, callbacks[i].callback, NULL);
	ft_ack_sink_free(&probe->sink);
	ft_wake_free(&probe->wake);
	ft_doorbell_free(&probe->bell);
	sigaction(SIGURG, NULL, &urg);
	ft_logger_printf(probe->log, FT_LOG_INFO, "SIGURG %s",
		      urg.sa_handler == SIG_DFL ? "default" : "handled");
	ft_logger_free(probe->log);
	pthread_cond_destroy(&probe->changed);
	pthread_mutex_destroy(&probe->lock);
	free(probe);
	return MOSQ_ERR_SUCCESS;
}
