/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The three functions that the broker calls, and what lives between them.
 *
 * plugin_init parses options, opens everything and registers the callbacks of one
 * table; plugin_cleanup goes the same way back.
 */
#include "mosquitto/plugin.h"

#include <malloc.h>
#include <mosquitto.h>
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/identity.h"
#include "base/system.h"
#include "file_transfer/version.h"
#include "log/place.h"
#include "mosquitto/client_socket.h"
#include "mosquitto/compat.h"
#include "protocol/control.h"

#define MIB (1024 * 1024)
#define KEEP_FREE (256 * MIB)
#define POLL_MS 50		/* idle brokers tick half as often: then each tick polls */
#define OPEN_MAX_DEFAULT 256	/* descriptors that the store keeps open */

#define API __attribute__((visibility("default")))

enum wanted_by {
	BY_ALL,
	BY_GUARD,	/* option acl */
	BY_CONTROL,	/* option control */
	BY_21,		/* brokers from 2.1 on */
};

static const struct {
	int event;
	MOSQ_FUNC_generic_callback callback;
	enum wanted_by by;
	const char *topic;	/* of MOSQ_EVT_CONTROL */
} callbacks[] = {
	{ MOSQ_EVT_MESSAGE, ft_on_message, BY_ALL, NULL },
	{ MOSQ_EVT_TICK, ft_on_tick, BY_ALL, NULL },
	{ MOSQ_EVT_DISCONNECT, ft_on_disconnect, BY_ALL, NULL },
	{ FT_COMPAT_EVT_CLIENT_OFFLINE, ft_on_offline, BY_21, NULL },
	{ MOSQ_EVT_RELOAD, ft_on_reload, BY_ALL, NULL },
	{ MOSQ_EVT_ACL_CHECK, ft_on_acl, BY_GUARD, NULL },
	{ MOSQ_EVT_CONTROL, ft_on_control, BY_CONTROL, FT_CONTROL_TOPIC },
};

#define CALLBACKS (sizeof callbacks / sizeof callbacks[0])

static void log_to_broker(void *context, enum ft_log_level level, const char *line)
{
	static const int levels[] = {
		[FT_LOG_DEBUG] = MOSQ_LOG_DEBUG, [FT_LOG_INFO] = MOSQ_LOG_INFO,
		[FT_LOG_NOTICE] = MOSQ_LOG_NOTICE, [FT_LOG_WARNING] = MOSQ_LOG_WARNING,
		[FT_LOG_ERROR] = MOSQ_LOG_ERR,
	};

	if (level == FT_LOG_ERROR)
		((struct ft_plugin *)context)->complained = true;
	mosquitto_log_printf(levels[level], "file-transfer: %s", line);
}

/* --- hooks of the engine --- */

static bool respond(void *context, const struct ft_request *request, const struct ft_reply *reply)
{
	struct ft_plugin *plugin = context;

	/* During cleanup the broker's queues are gone. */
	if (plugin->closing)
		return false;
	if (!ft_respond(plugin->log, request, reply))
		return false;
	/* 2.0 hands to WebSockets clients only in a later pass of its loop: bring that about. */
	if (plugin->websockets && !plugin->is_21)
		ft_wake_notify(plugin->wake);
	return true;
}

static bool publish(void *context, const struct ft_message *message)
{
	struct ft_plugin *plugin = context;

	return !plugin->closing && ft_publish(plugin->log, message);
}

static void tell_operator(void *context, const char *client_id, const char *text, size_t len)
{
	struct ft_plugin *plugin = context;

	if (plugin->closing)
		return;
	ft_tell_operator(plugin->log, client_id, text, len);
	if (plugin->websockets && !plugin->is_21)	/* as with responses */
		ft_wake_notify(plugin->wake);
}

static void *block_new(void *context, size_t len)
{
	(void)context;
	return mosquitto_malloc(len);
}

static void block_free(void *context, void *block)
{
	(void)context;
	mosquitto_free(block);
}

static void block_send(void *context, const char *client_id, const char *topic, void **block,
		       size_t len)
{
	struct ft_plugin *plugin = context;

	if (plugin->closing)
		return;
	ft_send_block(client_id, topic, block, len);
	if (plugin->websockets && !plugin->is_21)	/* as with responses */
		ft_wake_notify(plugin->wake);
}

static int socket_of(void *context, const struct ft_request *request, int known)
{
	(void)context;
	return request->connection ? ft_client_socket(request->connection, known) : -1;
}

static void notify(void *context)
{
	struct ft_plugin *plugin = context;

	ft_wake_notify(plugin->wake);
}

int64_t ft_plugin_poll(struct ft_plugin *plugin)
{
	bool pending = ft_wake_pending(plugin->wake);
	int64_t now_ms = ft_clock_ms();
	bool more = ft_engine_run(plugin->engine, now_ms);

	plugin->poll_by_ms = now_ms + POLL_MS;
	ft_logger_drain(plugin->log);
	ft_ack_sink_tick(plugin->sink, now_ms);
	if (pending) {
		ft_plugin_arm(plugin);
		if (!more)
			ft_wake_drained(plugin->wake);
	}
	return now_ms;
}

void ft_plugin_poll_if_needed(struct ft_plugin *plugin)
{
	if (ft_wake_pending(plugin->wake) || ft_clock_coarse_ms() >= plugin->poll_by_ms)
		ft_plugin_poll(plugin);
}

void ft_plugin_arm(struct ft_plugin *plugin)
{
	ft_wake_at(plugin->wake, ft_engine_due_ms(plugin->engine));
}

static void poll_any(void *context)
{
	ft_plugin_poll(context);
}

/* --- start --- */

static bool parse_options(struct ft_plugin *plugin, const struct mosquitto_opt *options, int count)
{
	char room[1024];
	struct ft_buf why = ft_buf_on(room, sizeof room);
	bool ok = true;

	ft_options_init(&plugin->options);
	for (int i = 0; ok && i < count; i++)
		ok = ft_options_set(&plugin->options, options[i].key, options[i].value, &why);
	ok = ok && ft_options_check(&plugin->options, &why);
	if (!ok)
		ft_logger_printf(plugin->log, FT_LOG_ERROR, "%s", room);
	return ok;
}

static const struct ft_store_ops *pick_backend(struct ft_plugin *plugin)
{
	const char *name = plugin->options.store ? plugin->options.store : "fs";
	const struct ft_store_ops *ops = ft_store_backend(name);
	char room[256];
	struct ft_buf names = ft_buf_on(room, sizeof room);

	if (ops)
		return ops;
	for (const struct ft_store_ops *const *each = ft_store_backends(); *each; each++)
		ft_buf_printf(&names, " %s", (*each)->name);
	ft_logger_printf(plugin->log, FT_LOG_ERROR, "plugin_opt_store %.100s: must be one of%s", name,
		      room);
	return NULL;
}

/* Chooses where the log goes, and what identifies boot and storage. */
static bool start_engine(struct ft_plugin *plugin, const struct ft_store_ops *ops)
{

	const struct ft_options *options = &plugin->options;
	const struct ft_log_place_query query = {
		.storage_dir = options->storage_dir, .log_dir = options->log_dir,
		.size = options->log_size,
		.sync = options->durability == FT_DURABILITY_SEGMENT ? FT_LOG_SYNCED : FT_LOG_MAPPED,
	};
	struct ft_log_place *places = calloc(1 + FT_LOG_FORMER_MAX, sizeof *places);
	char identity[FT_IDENTITY_ROOM], whose[FT_LOG_WHOSE_ROOM];
	struct ft_engine_config config = {
		.options = options, .logger = plugin->log, .ops = ops, .identity = identity,
		.whose = whose, .log_places = places,
		.hooks = { .context = plugin, .respond = respond, .publish = publish,
			   .block_new = block_new, .block_free = block_free,
			   .block_send = block_send, .socket_of = socket_of,
			   .notify = notify, .tell_operator = tell_operator },
	};
	enum ft_status st;
	size_t former;

	if (!places)
		return false;
	if ((st = ft_log_place(&query, &places[0])) != FT_OK) {
		ft_logger_printf(plugin->log, FT_LOG_ERROR, "%s", places[0].why);
	} else if ((st = ft_log_former_places(&query, &places[0], places + 1, &former)) != FT_OK) {
		ft_logger_printf(plugin->log, FT_LOG_ERROR, "%s", places[1].why);
	} else {
		config.log_place_count = 1 + former;
		ft_identity(plugin->lock.dir, identity);
		ft_log_whose(options->storage_dir, whose);
		st = ft_engine_new(&config, &plugin->engine);
	}
	if (st == FT_OK)
		snprintf(plugin->ready, sizeof plugin->ready, "ready: version " FT_VERSION ", files go to %.300s, %s",
			 options->storage_dir, places[0].why);
	free(places);
	return st == FT_OK;
}

static bool lock_storage(struct ft_plugin *plugin)
{
	char room[1024];
	struct ft_buf why = ft_buf_on(room, sizeof room);

	if (ft_storage_dir_lock(plugin->options.storage_dir, FT_FSTAB, &plugin->lock, &why) == FT_OK)
		return true;
	ft_logger_printf(plugin->log, FT_LOG_ERROR, "%s", room);
	return false;
}

/*
 * Payloads of 256 KiB would each be mapped from the kernel and given back: one page
 * fault per 4 KiB. Instead up to KEEP_FREE bytes stay at the top of the heap.
 * 32 MiB is the highest mmap threshold that glibc takes.
 */
static void tune_malloc(void)
{
#ifdef __GLIBC__
	mallopt(M_MMAP_THRESHOLD, 32 * MIB);
	mallopt(M_TRIM_THRESHOLD, KEEP_FREE);
#endif
}

static bool start(struct ft_plugin *plugin)
{
	struct ft_ack_sink_config sink = {
		.off = plugin->options.ack_sink == FT_ACK_SINK_OFF,
		.storage_dir = plugin->options.storage_dir,
		.log = plugin->log,
	};
	const struct ft_store_ops *ops = pick_backend(plugin);

	if (plugin->options.tune_malloc)
		tune_malloc();
	/* A write beyond RLIMIT_FSIZE must fail, not kill the broker. */
	signal(SIGXFSZ, SIG_IGN);
	if (!ops || !lock_storage(plugin) || !(plugin->wake = ft_wake_new(plugin->log)))
		return false;
	sink.wake = plugin->wake;
	if (!start_engine(plugin, ops))
		return false;
	plugin->bell = ft_doorbell_new(plugin->id, plugin->wake, poll_any, plugin);
	plugin->sink = ft_ack_sink_new(plugin->id, &sink);
	return plugin->sink != NULL;
}

static bool wanted(const struct ft_plugin *plugin, size_t i)
{
	switch (callbacks[i].by) {
	case BY_ALL:
		break;
	case BY_GUARD:
		return plugin->options.acl != FT_ACL_NONE;
	case BY_CONTROL:
		return plugin->options.control != FT_CONTROL_OFF;
	case BY_21:
		return plugin->is_21;
	}
	return true;
}

static bool register_callbacks(struct ft_plugin *plugin)
{
	for (size_t i = 0; i < CALLBACKS; i++)
		if (wanted(plugin, i)
		    && mosquitto_callback_register(plugin->id, callbacks[i].event,
						   callbacks[i].callback, callbacks[i].topic,
						   plugin)
		       != MOSQ_ERR_SUCCESS)
			return false;
	return true;
}

static void unregister_callbacks(struct ft_plugin *plugin)
{
	for (size_t i = 0; i < CALLBACKS; i++)
		if (wanted(plugin, i))
			mosquitto_callback_unregister(plugin->id, callbacks[i].event,
						      callbacks[i].callback, callbacks[i].topic);
}

/*
 * The engine first: its workers notify the wake. Where one of them hangs in the disk, all that
 * it uses stays as it is, for the rest of the process's life (the code as well: -z nodelete).
 */
static void release(struct ft_plugin *plugin)
{
	plugin->closing = true;
	if (ft_engine_free(&plugin->engine) != FT_OK)
		return;
	ft_ack_sink_free(&plugin->sink);
	ft_wake_free(&plugin->wake);
	ft_doorbell_free(&plugin->bell);
	ft_storage_dir_unlock(&plugin->lock);
	ft_options_release(&plugin->options);
	ft_logger_free(plugin->log);
	plugin->magic = 0;
	free(plugin);
}

/* A broker that does not start says why; only a lack of memory has not been said yet. */
static int refuse(struct ft_plugin *plugin, int rc)
{
	if (!plugin || !plugin->complained)
		mosquitto_log_printf(MOSQ_LOG_ERR, "file-transfer: cannot start: out of memory");
	if (plugin)
		release(plugin);
	return rc;
}

/* --- what the broker calls --- */

API int mosquitto_plugin_version(int supported_version_count, const int *supported_versions)
{
	for (int i = 0; i < supported_version_count; i++)
		if (supported_versions[i] == MOSQ_PLUGIN_VERSION)
			return MOSQ_PLUGIN_VERSION;
	return -1;
}

API int mosquitto_plugin_init(mosquitto_plugin_id_t *identifier, void **userdata,
			      struct mosquitto_opt *options, int option_count)
{
	struct ft_plugin *plugin = calloc(1, sizeof *plugin);

	if (!plugin)
		return refuse(plugin, MOSQ_ERR_NOMEM);
	plugin->magic = FT_PLUGIN_MAGIC;
	plugin->id = identifier;
	plugin->is_21 = ft_compat_is_21();
	plugin->property_free = ft_compat_property_free();
	plugin->lock = (struct ft_storage_lock)FT_STORAGE_LOCK_NONE;
	plugin->log = ft_logger_new(log_to_broker, plugin);
	if (!plugin->log || !parse_options(plugin, options, option_count) || !start(plugin))
		return refuse(plugin, MOSQ_ERR_INVAL);
	if (!register_callbacks(plugin)) {
		ft_logger_printf(plugin->log, FT_LOG_ERROR, "the broker refused to register callbacks: "
			      "without per_listener_settings mosquitto.conf may have only one "
			      "line for this plugin");
		unregister_callbacks(plugin);
		return refuse(plugin, MOSQ_ERR_UNKNOWN);
	}
	*userdata = plugin;
	ft_logger_printf(plugin->log, FT_LOG_INFO, "%s", plugin->ready);
	return MOSQ_ERR_SUCCESS;
}

API int mosquitto_plugin_cleanup(void *userdata, struct mosquitto_opt *options, int option_count)
{
	struct ft_plugin *plugin;

	(void)options;
	(void)option_count;
	if (!userdata)	/* 2.0 also cleans up what did not initialise */
		return MOSQ_ERR_SUCCESS;
	plugin = ft_plugin_of(userdata);
	unregister_callbacks(plugin);
	release(plugin);
	return MOSQ_ERR_SUCCESS;
}
