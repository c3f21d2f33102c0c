/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "mosquitto/ack_sink.h"

#include <errno.h>

#include "base/system.h"
#include "mosquitto/ack_sink_impl.h"
#include "mosquitto/compat.h"

_Static_assert(sizeof FT_ACK_SINK_FIXED_TOPIC - 1 <= FT_ACK_SINK_TOPIC_MAX, "has to fit");
_Static_assert(FT_SINK_TOPIC_ROOM - 1 <= FT_ACK_SINK_TOPIC_MAX, "has to fit");

enum kind {
	KIND_OFF,
	KIND_20,
	KIND_21,
};

struct ft_ack_sink {
	enum kind kind;
	struct ft_logger *log;
	bool said_second, said_not_made;
	struct ft_sink_identity identity;
	struct ft_sink_20 *v20;		/* KIND_20 */
	struct ft_sink_21 v21;		/* KIND_21 */
};

static bool ack_sink_start(struct ft_ack_sink *sink, mosquitto_plugin_id_t *id,
			   const struct ft_ack_sink_config *config)
{
	if (!ft_sink_identity_set_client(&sink->identity, config->storage_dir))
		return false;
	if (sink->kind == KIND_20) {
		if (ft_sink_identity_set_topic(&sink->identity, config->storage_dir, config->log))
			sink->v20 = ft_sink_20_new(id, &sink->identity, config);
		return sink->v20 != NULL;
	}
	ft_sink_21_init(&sink->v21, &sink->identity, ft_clock_ms());
	return true;
}

struct ft_ack_sink *ft_ack_sink_new(mosquitto_plugin_id_t *id,
				    const struct ft_ack_sink_config *config)
{
	struct ft_ack_sink *sink = calloc(1, sizeof *sink);

	if (!sink)
		return NULL;
	sink->log = config->log;
	if (config->off)
		return sink;
	sink->kind = ft_compat_is_21() ? KIND_21 : KIND_20;
	if (ack_sink_start(sink, id, config))
		return sink;
	ft_logger_printf(config->log, FT_LOG_ERROR, "cannot prepare the session that acknowledges "
		      "commands: %s", strerror(errno));
	free(sink);
	return NULL;
}

void ft_ack_sink_free(struct ft_ack_sink **sink)
{
	struct ft_ack_sink *gone = *sink;

	*sink = NULL;
	if (!gone)
		return;
	ft_sink_20_free(&gone->v20);
	free(gone);
}

const char *ft_ack_sink_topic(struct ft_ack_sink *sink)
{
	switch (sink->kind) {
	case KIND_OFF:
		break;
	case KIND_20:
		ft_sink_20_used(sink->v20);
		/* A session from before the restart holds already; if there is none, no harm is done. */
		if (ft_sink_20_ready(sink->v20) ||
		    (sink->identity.kept && !ft_sink_20_hopeless(sink->v20)))
			return sink->identity.topic;
		break;
	case KIND_21:
		ft_sink_21_used(&sink->v21);
		return FT_SINK_21_TOPIC;
	}
	return FT_ACK_SINK_FIXED_TOPIC;
}

static void ack_sink_tick_21(struct ft_ack_sink *sink, int64_t now_ms)
{
	ft_sink_21_tick(&sink->v21, now_ms);
	if (sink->v21.ready || sink->said_not_made)
		return;
	sink->said_not_made = true;
	ft_logger_printf(sink->log, FT_LOG_WARNING, "the broker does not make the session that turns "
		      "PUBACK 0x10 into 0x00");
}

/* 2.0 refuses the second line itself; see plugin.c. */
void ft_ack_sink_note_foreign(struct ft_ack_sink *sink, const char *topic)
{
	if (sink->said_second || topic[0] != '$' || topic[1] < '\001' || topic[1] > '\002')
		return;
	sink->said_second = true;
	ft_logger_printf(sink->log, FT_LOG_ERROR, "this plugin line gets no commands: another line of "
			 "this plugin stands above it for the same listener and takes them all; "
			 "remove one of the two from mosquitto.conf");
}

void ft_ack_sink_tick(struct ft_ack_sink *sink, int64_t now_ms)
{
	switch (sink->kind) {
	case KIND_OFF:
		break;
	case KIND_20:
		ft_sink_20_tick(sink->v20);
		break;
	case KIND_21:
		ack_sink_tick_21(sink, now_ms);
		break;
	}
}

bool ft_ack_sink_is_client(const struct ft_ack_sink *sink, const struct mosquitto *client)
{
	const char *client_id = client ? mosquitto_client_id(client) : NULL;

	/* 2.0 tells of clients that never logged in; they have no id. */
	return sink->kind != KIND_OFF && client_id &&
	       strcmp(client_id, sink->identity.client_id) == 0;
}

void ft_ack_sink_reload(struct ft_ack_sink *sink)
{
	if (sink->kind == KIND_20)
		ft_sink_20_reload(sink->v20);
}

void ft_ack_sink_disconnected(struct ft_ack_sink *sink, const struct mosquitto *client)
{
	if (sink->kind == KIND_20)
		ft_sink_20_disconnected(sink->v20, client);
}
