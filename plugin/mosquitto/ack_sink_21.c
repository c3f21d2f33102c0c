/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "mosquitto/ack_sink_impl.h"

#include "mosquitto/compat.h"

#define LOOK_EVERY_MS 1000

/* Never: it is one and the same at each start, so a broker that persists sessions has just one. */
#define EXPIRY_S UINT32_MAX

/* With queue_qos0_messages each command leaves a small message in the session's queue. */
#define CLEAR_EVERY 4096

void ft_sink_21_tick(struct ft_sink_21 *sink, int64_t now_ms)
{
	if (now_ms < sink->next_look_ms)
		return;
	sink->next_look_ms = now_ms + LOOK_EVERY_MS;
	sink->ready = ft_compat_session_add(sink->identity->client_id, EXPIRY_S) &&
		      ft_compat_session_subscribe(sink->identity->client_id, FT_SINK_21_TOPIC);
}

void ft_sink_21_init(struct ft_sink_21 *sink, const struct ft_sink_identity *identity,
		     int64_t now_ms)
{
	/*
	 * The session is made by the first event, of which there is one before any command: a broker that
	 * has it and ends before its listeners are open, because of a port that is taken, crashes.
	 */
	*sink = (struct ft_sink_21){ .identity = identity, .next_look_ms = now_ms };
}

void ft_sink_21_used(struct ft_sink_21 *sink)
{
	if (++sink->uses % CLEAR_EVERY == 0)
		ft_compat_session_clear(sink->identity->client_id);
}
