/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * How a command that was accepted is acknowledged with 0x00.
 *
 * A command is swallowed by turning its topic into one that nobody sees. The broker
 * then answers 0x10, "no matching subscribers", which EIP-21 reads as "begin the
 * transfer again". So there has to be a subscriber: the sink, an offline session of
 * the plugin's own that subscribes at QoS 0. Nothing is delivered to it and, QoS 0
 * being what it is, nothing is queued for it.
 *
 *	plugin_init:          sink = ft_ack_sink_new(id, &config);
 *	any event, first:     ft_ack_sink_tick(sink, now_ms);
 *	on_reload:            ft_ack_sink_reload(sink);
 *	on_disconnect:        ft_ack_sink_disconnected(sink, client);
 *	accepted command:     overwrite the topic in place with ft_ack_sink_topic(sink)
 *	"begin again":        overwrite it with FT_NOBODYS_TOPIC
 *	plugin_cleanup:       ft_ack_sink_free(&sink);
 *
 * On 2.1 the session is made by a function of the broker. On 2.0 a helper thread makes it
 * as an MQTT 5 client on one of the broker's own listeners, plain or TLS, by extended
 * authentication, which a callback of the plugin answers: no other plugin is asked, and other
 * clients are not concerned. Where a subscription is refused by an ACL plugin, a second
 * callback lets just this one pass. A third is for reloads where clients need a password; it
 * is only there where a stranger with a name and a password of his own was refused, so that
 * it never changes who gets in.
 *
 * Nobody else can log in with the session's client id; see ack_sink_identity.h.
 *
 * The session is visited again every 50 minutes and when the wall clock was set, because
 * persistent_client_expiration may end it after an hour; and after many commands, because
 * queue_qos0_messages makes the broker queue even these messages, without a limit.
 *
 * Where no listener takes the session (client certificates or PSK only) the log says so once,
 * and the topic is FT_ACK_SINK_FIXED_TOPIC, which a few lines in mosquitto.conf can
 * subscribe to instead.
 *
 * Threads: the broker's.
 */
#ifndef FT_MOSQUITTO_ACK_SINK_H
#define FT_MOSQUITTO_ACK_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mosquitto_broker.h>

#include "mosquitto/wake.h"
#include "file_transfer/logger.h"

/* The topic a sink from mosquitto.conf has to subscribe to. */
#define FT_ACK_SINK_FIXED_TOPIC "$ft-ack"

/* A topic that no client can subscribe to and that has no sink: PUBACK 0x10. */
#define FT_NOBODYS_TOPIC "$\002"

/* No topic of the sink is longer: it has to fit over the shortest command, "$file/a/0". */
#define FT_ACK_SINK_TOPIC_MAX 9

struct ft_ack_sink;

struct ft_ack_sink_config {
	bool off;			/* use FT_ACK_SINK_FIXED_TOPIC, do nothing, log nothing */
	const char *storage_dir;	/* exists; touched in ft_ack_sink_new() only; NULL: none */
	struct ft_logger *log;		/* outlives the sink */
	struct ft_wake *wake;		/* outlives the sink; told of log lines; may be NULL */
};

/* In plugin_init. `id` must stay valid until ft_ack_sink_free(). NULL when out of resources. */
struct ft_ack_sink *ft_ack_sink_new(mosquitto_plugin_id_t *id,
				    const struct ft_ack_sink_config *config);

/* Ends the helper and unregisters its callbacks. The session itself stays in the broker. */
void ft_ack_sink_free(struct ft_ack_sink **sink);

/*
 * The topic for an accepted command; never NULL. Call it once per command: it counts.
 * Valid until the next ft_ack_sink_tick().
 */
const char *ft_ack_sink_topic(struct ft_ack_sink *sink);

/*
 * A message that is no command. One that another line of this plugin has swallowed already
 * shows that this line is one too many; that is logged, once.
 */
void ft_ack_sink_note_foreign(struct ft_ack_sink *sink, const char *topic);

/* Cheap. Not from a callback that the sink itself registered. `now_ms`: ft_clock_ms(). */
void ft_ack_sink_tick(struct ft_ack_sink *sink, int64_t now_ms);

/* In the RELOAD callback: who may log in how may have changed. */
void ft_ack_sink_reload(struct ft_ack_sink *sink);

/* In the DISCONNECT callback: the session may have been ended, or a listener has room again. */
void ft_ack_sink_disconnected(struct ft_ack_sink *sink, const struct mosquitto *client);

/* Whether this client is the sink's own session. */
bool ft_ack_sink_is_client(const struct ft_ack_sink *sink, const struct mosquitto *client);

#endif
