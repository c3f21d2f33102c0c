/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * One short MQTT 5 connection that leaves an offline session with one subscription, and
 * another that only finds out whether strangers get in.
 *
 * The session never expires by itself: 2.0 lists a session that does a second time when a
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

struct ft_sink_visit {
	const struct ft_listener *listener;
	const char *client_id;		/* and the user name */
	const char *topic;
	const uint8_t *secret;		/* FT_SINK_SECRET_LEN bytes */
	bool tls;
	bool clean;			/* forget what the session had */
	int stop_fd;
	int timeout_ms;
};

/*
 * Makes or renews the session, by extended authentication: no password is asked for, and no
 * other plugin is asked. `drained`: how many messages had been queued for it.
 */
enum ft_line_result ft_sink_visit(const struct ft_sink_visit *visit, size_t *drained);

/*
 * Logs in as anybody would who has made up a user name and a password, and leaves no session.
 * Only the listener, `tls`, `stop_fd` and the time are taken from `visit`. FT_LINE_OK: was let
 * in. FT_LINE_LOGIN_REFUSED: not.
 */
enum ft_line_result ft_sink_try_as_stranger(const struct ft_sink_visit *visit);

#endif
