/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * One connection to the broker by libmosquitto, on one thread, never blocking: connects to
 * one address, subscribes to the response topic, then passes acknowledgements and messages
 * on.
 *
 *	link_open(&link, &options, address, &events, now);
 *	while (link.state < LINK_LOST) wait for link_fd(), then link_step(&link, ...)
 *	link_close(&link);
 *
 *	DIALING --TCP--> SECURING --TLS--> GREETING --CONNACK--> SUBSCRIBING --SUBACK--> READY
 *	   |                |                 |                      |                    |
 *	   +----------------+-----------------+----------------------+--------------------+
 *	                       closed, silent: LOST          no use: REFUSED
 *
 * The ends of the first phases are found here and not by libmosquitto: 2.0.11 takes a
 * connection that is closed during the TLS handshake for one that is being made, and
 * whoever waits for its descriptor is woken at once, for ever.
 *
 * A link is used once. After a loss a new one is opened, so that libmosquitto has
 * no segments left to repeat: the broker says what it holds.
 */
#ifndef EXAMPLES_LINK_H
#define EXAMPLES_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mosquitto;
struct tls;

struct link_options {
	const char *client_id;
	bool unsubscribed;		/* answers come without: READY with the CONNACK */
	const char *host;
	int port;
	const char *unix_path;		/* instead of host and port */
	const char *user;
	const char *password;
	bool tls;			/* with the system's authorities where none is named */
	const char *cafile;
	const char *capath;
	const char *cert;
	const char *key;
	const char *psk;		/* hex */
	const char *psk_identity;
	const char *tls_version;
	const char *ciphers;
	bool insecure;			/* do not compare the certificate with the host name */
	bool mqtt5;
	int keepalive_s;		/* at least 5 */
	int connect_timeout_s;
	unsigned window;		/* segments not yet acknowledged, at most */
};

struct link_events {
	void *context;
	void (*acked)(void *context, int mid, int reason);
	void (*answered)(void *context, const void *payload, size_t len);
	void (*message)(void *context, const char *topic, const void *payload, size_t len);
};

enum link_state {
	LINK_DIALING,		/* TCP, or a Unix socket */
	LINK_SECURING,		/* the TLS handshake */
	LINK_GREETING,		/* CONNECT is out */
	LINK_SUBSCRIBING,
	LINK_READY,
	LINK_LOST,		/* trying again may help */
	LINK_REFUSED,		/* it will not: password, certificate, rights, client id in use */
};

/* What the descriptor is ready for; any of them together. */
enum link_ready {
	LINK_READABLE = 1,
	LINK_WRITABLE = 2,
	LINK_HUNG_UP = 4,		/* the other side has closed it, or there was an error */
};

struct link {
	const struct link_options *options;
	struct link_events events;
	struct mosquitto *mosq;
	struct tls *tls;		/* NULL: without */
	char *response_topic;
	enum link_state state;
	char why[480];			/* after LOST and REFUSED */
	bool tls_failed;		/* REFUSED for that: a certificate may be renewed just now */
	bool was_greeted;		/* the broker has let us in */
	uint32_t max_packet_bytes;	/* as the broker says; 0: it did not */
	unsigned receive_max;
	size_t unsent_max;		/* as set in the kernel */
	int64_t opened_ms;
	int64_t heard_ms;		/* last bytes from the broker */
	int64_t misc_ms;
};

/*
 * Begins to connect; the outcome is in link->state. `options` must outlive the link.
 * `address` is one of the host's; NULL with a Unix socket.
 */
void link_open(struct link *link, const struct link_options *options, const char *address,
	       const struct link_events *events, int64_t now);

/* -1: none. It is the same as long as the link lasts. */
int link_fd(const struct link *link);

/* Whether something waits to be written: then the descriptor is to be polled for that, too. */
bool link_wants_write(const struct link *link);

/* Does what can be done without waiting; keeps the connection alive. `ready`: link_ready. */
void link_step(struct link *link, unsigned ready, int64_t now);

/* The same as after a loss, for reasons that are known elsewhere. */
__attribute__((format(printf, 3, 4)))
void link_end(struct link *link, enum link_state state, const char *format, ...);

/*
 * How many segments may be on their way. One less than the broker's Receive Maximum,
 * where there is a choice: other messages need not wait for an acknowledgement then.
 */
unsigned link_window(const struct link *link);

/* Bytes that the kernel may hold unsent: what is published now waits for no more than these. */
void link_limit_unsent(struct link *link, uint64_t bytes);

/* False: the link is then LOST or REFUSED. */
bool link_publish(struct link *link, const char *topic, const void *payload, size_t len, int qos,
		  int *mid);

bool link_subscribe(struct link *link, const char *filter, int qos);

/* Sends what is queued as far as possible, says goodbye where connected, and frees. */
void link_close(struct link *link);

#endif
