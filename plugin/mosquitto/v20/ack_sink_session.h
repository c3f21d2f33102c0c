/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * One short MQTT 5 connection that leaves an offline session with one subscription.
 *
 * The session never expires by itself: 2.0 may list a session that does twice, when a
 * reload finds it unauthorised, and would later use the one that is freed.
 *
 * Threads: any; blocks, at most for the time given, until `stop_fd` turns readable.
 */
#ifndef FT_MOSQUITTO_ACK_SINK_SESSION_H
#define FT_MOSQUITTO_ACK_SINK_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mosquitto/v20/mqtt_line.h"

#define FT_SINK_AUTH_METHOD "file-transfer-ack"
#define FT_SINK_SECRET_LEN 32

enum ft_sink_login {
	FT_SINK_LOGIN_ANONYMOUS,	/* as any client may where allow_anonymous is true */
	FT_SINK_LOGIN_GUEST,		/* extended authentication with the secret, no user name */
	FT_SINK_LOGIN_NAMED,		/* the same, with the client id as user name */
};

struct ft_sink_visit {
	const struct ft_listener *listener;
	const char *client_id;
	const char *topic;
	enum ft_sink_login login;
	bool tls;
	const uint8_t *secret;		/* FT_SINK_SECRET_LEN bytes */
	int stop_fd;
	int timeout_ms;
};

/* Makes or renews the session. `drained`: how many messages had been queued for it. */
enum ft_line_result ft_sink_visit(const struct ft_sink_visit *visit, size_t *drained);

#endif
