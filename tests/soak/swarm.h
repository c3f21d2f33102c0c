/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Thousands of MQTT clients in one thread: those who upload, those who measure, those
 * who mean harm. tests/soak/run tells it what to do, line by line, and reads one JSON
 * object for each line:
 *
 *	connect 5000		so many idle clients
 *	round 20		all roles for so many seconds, then until the honest are done
 *	leave a 100		clients a-0 ... a-99 begin as much as they may, and go
 *	forget a 100		the same clients abort it
 *	quit
 *
 * A peer is a connection with a role. The role is told what arrives, and in go() sends
 * what it has to, as long as there is room.
 */
#ifndef FT_SOAK_SWARM_H
#define FT_SOAK_SWARM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECOND_NS UINT64_C(1000000000)
#define MS_NS UINT64_C(1000000)
#define NEVER UINT64_MAX
#define ID_ROOM 32
#define TOPIC_ROOM 160
#define SUM_ROOM 65

struct peer;
struct swarm;

struct role {
	const char *name;
	size_t own;				/* bytes of the role's own data, zeroed */
	unsigned int window;			/* unacknowledged messages */
	bool deaf;				/* once connected, reads nothing */
	bool reckless;				/* may be disconnected, and comes again */
	bool forward;				/* talks without subscribing to its responses */
	void (*ready)(struct peer *peer);	/* connected, and subscribed to its responses */
	void (*go)(struct peer *peer);
	void (*acked)(struct peer *peer, uint8_t code);
	/* Both NUL-terminated. Only on its own response topic, unless `any`. */
	void (*message)(struct peer *peer, const char *topic, const char *payload, size_t len);
	bool any;
};

struct counts {
	uint64_t sent, acked, refused, messages, closed, foreign;
};

/* Roles of a round; `share` of a thousand connections. */
struct cast {
	const struct role *role;
	unsigned int share;
	unsigned int least;
	struct peer *peers;
	size_t count;
	struct counts counts;
};

struct room {
	uint8_t *bytes;
	size_t len, size, at;
};

struct peer {
	struct swarm *swarm;
	const struct role *role;
	struct counts *counts;
	void *own;
	char id[ID_ROOM];
	unsigned int number;
	int fd;				/* -1: not connected */
	bool v5, ready, writing, over;
	uint16_t mid;
	unsigned int flying;
	uint64_t wake_ns;		/* when go() is due */
	struct room in, out;
};

struct samples {
	uint64_t *values;
	size_t count, size;
};

struct swarm {
	uint16_t port;
	bool plain;			/* the broker has no plugin: acknowledgements are all there is */
	bool open;			/* new work may be begun */
	const char *name;		/* client ids' prefix; NULL: the roles', of which there are all */
	unsigned int scale;		/* connections that the roles' shares are of */
	int epoll;
	uint64_t now_ns, waked_ns, seed;
	struct cast *cast;
	uint8_t *blob;			/* what uploads are cut from */
	char *wide, *deep, *long_text;	/* bad or costly payloads of init */
	struct samples uploads_ns, trips_ns;
	uint64_t words[16];		/* how often each reason was told */
	unsigned int uploads;		/* begun */
	uint64_t upload_bytes, uploads_failed, pings_lost, busy;
	char complaint[512];		/* the first one */
};

#define BLOB_LEN ((size_t)4 << 20)

extern const struct role role_idle, role_honest, role_telemetry, role_leave, role_forget;
extern const struct role role_bad, role_inits, role_churn, role_fins, role_giant, role_status,
	role_spy, role_slow, role_vanish, role_forger;

/* --- swarm_tools.c --- */

__attribute__((format(printf, 1, 2), noreturn)) void swarm_die(const char *format, ...);
__attribute__((format(printf, 2, 3)))
void swarm_complain(struct swarm *swarm, const char *format, ...);
void *swarm_alloc(size_t count, size_t size);
uint64_t swarm_now_ns(void);
uint64_t swarm_random(struct swarm *swarm, uint64_t below);
void samples_add(struct samples *samples, uint64_t value);

/* --- swarm_peer.c --- */

void peer_connect(struct peer *peer);
/* With a reset, so that no port stays behind. */
void peer_close(struct peer *peer);
bool peer_has_room(const struct peer *peer);
void peer_publish(struct peer *peer, unsigned int qos, const char *topic, const void *payload,
		  size_t len);
void peer_subscribe(struct peer *peer, const char *filter);
void peer_unsubscribe(struct peer *peer, const char *filter);
/* The first `part` bytes of a PUBLISH, and no more ever. */
void peer_publish_part(struct peer *peer, const char *topic, const void *payload, size_t len,
		       size_t part);

/* Handles what happens within timeout_ms, and calls go() of those of `cast` that are due. */
void swarm_turn(struct swarm *swarm, int timeout_ms);
bool swarm_is_served(const struct cast *cast);	/* all connected */

/* --- swarm_words.c --- */

/* The reason in a response; counts it. */
const char *swarm_word(struct swarm *swarm, const char *payload);
void swarm_print_words(const struct swarm *swarm);
/* Whether the response is to a command whose topic ends so. */
bool swarm_answers(const char *payload, const char *tail);

/* What is left to do. */
bool honest_is_idle(const struct peer *peer);
uint64_t telemetry_missing(const struct peer *peer);
/* How many inits were accepted, and refused. */
void leave_counts(const struct peer *peer, uint64_t *held, uint64_t *refused);

#endif
