/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Clients that send as fast as they are let, one segment at a time, for tests/soak/rates:
 *
 *	paced PORT SECONDS NAME:CLIENTS:BYTES...
 *
 * Each kind of clients is called NAME-0 and so on, and sends segments of so many bytes. After
 * `rate_limited` a client waits for retry_after. At a refusal nothing is left of what it may
 * send, so what was accepted from its first refusal to its last is its share of that time. One
 * JSON object a kind is printed: how many segments a second the clients had.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include "swarm.h"

#define WARM_NS (3 * SECOND_NS)		/* a second's worth is used up by then, and clients are spread */
#define PATIENCE_NS (120 * SECOND_NS)
#define KINDS_MAX 8

struct paced {
	bool begun;			/* init was accepted */
	bool asked;			/* a command is on its way */
	bool acked;
	uint8_t code;			/* acked: of the PUBACK */
	unsigned int retry_after;	/* s; 0: no refusal has arrived */
	uint64_t retry_ns;
	uint64_t accepted;		/* segments */
	uint64_t refusals;
	uint64_t first_ns, first_accepted, last_ns, last_accepted;
};

struct kind {
	char name[ID_ROOM];
	size_t clients, bytes;
};

static struct kind kinds[KINDS_MAX];
static struct cast casts[KINDS_MAX + 1];
static uint8_t segment[1 << 20];

static void paced_go(struct peer *peer)
{
	static const char init[] = "{\"name\":\"n\",\"responses\":\"errors\"}";
	struct paced *own = peer->own;

	if (own->asked || peer->swarm->now_ns < own->retry_ns)
		return;
	own->asked = true;
	own->acked = false;
	own->retry_after = 0;
	if (own->begun)
		peer_publish(peer, 1, "$file/f/0", segment, kinds[peer->number].bytes);
	else
		peer_publish(peer, 1, "$file/f/init", init, sizeof init - 1);
}

static void note_refusal(struct peer *peer, struct paced *own)
{
	uint64_t now_ns = swarm_now_ns();

	if (own->refusals++ == 0) {
		own->first_ns = now_ns;
		own->first_accepted = own->accepted;
	}
	own->last_ns = now_ns;
	own->last_accepted = own->accepted;
	own->retry_ns = peer->wake_ns = now_ns + own->retry_after * SECOND_NS;
}

/* Of a command that was refused both PUBACK and response have arrived, in any order. */
static void settle(struct peer *peer, struct paced *own)
{
	if (!own->acked || (own->code >= 0x80 && own->retry_after == 0))
		return;
	own->asked = false;
	if (own->code >= 0x80)
		note_refusal(peer, own);
	else if (own->begun)
		own->accepted++;
	else
		own->begun = true;
}

static void paced_acked(struct peer *peer, uint8_t code)
{
	struct paced *own = peer->own;

	own->acked = true;
	own->code = code;
	settle(peer, own);
}

static void paced_message(struct peer *peer, const char *topic, const char *payload, size_t len)
{
	const char *retry = strstr(payload, "\"retry_after\":");
	struct paced *own = peer->own;

	(void)topic;
	(void)len;
	if (strstr(payload, "\"success\""))
		return;
	if (!retry || !strstr(payload, "\"rate_limited\""))
		swarm_die("%s was told %s", peer->id, payload);
	own->retry_after = (unsigned int)strtoul(retry + strlen("\"retry_after\":"), NULL, 10);
	settle(peer, own);
}

static const struct role role_paced = {
	.name = "paced", .own = sizeof(struct paced), .window = 1, .go = paced_go,
	.acked = paced_acked, .message = paced_message,
};

static void open_cast(struct swarm *swarm, size_t i)
{
	struct cast *cast = &casts[i];
	uint64_t now_ns = swarm_now_ns();

	cast->role = &role_paced;
	cast->count = kinds[i].clients;
	cast->peers = swarm_alloc(cast->count, sizeof cast->peers[0]);
	for (size_t n = 0; n < cast->count; n++) {
		struct peer *peer = &cast->peers[n];

		peer->swarm = swarm;
		peer->role = cast->role;
		peer->counts = &cast->counts;
		peer->own = swarm_alloc(1, sizeof(struct paced));
		peer->number = (unsigned int)i;	/* of its kind */
		peer->v5 = true;
		peer->fd = -1;
		peer->wake_ns = now_ns + n * MS_NS;	/* the broker's backlog is short */
		snprintf(peer->id, sizeof peer->id, "%s-%zu", kinds[i].name, n);
	}
}

static bool all_are_served(void)
{
	for (const struct cast *cast = casts; cast->role; cast++)
		if (!swarm_is_served(cast))
			return false;
	return true;
}

static void turn_until(struct swarm *swarm, uint64_t end_ns)
{
	while (swarm_now_ns() < end_ns)
		swarm_turn(swarm, 5);
}

static void begin_to_count(void)
{
	for (const struct cast *cast = casts; cast->role; cast++)
		for (size_t n = 0; n < cast->count; n++)
			((struct paced *)cast->peers[n].own)->refusals = 0;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Segments a second; 0: it was not refused twice, so nothing can be said. */
static double share_of(const struct paced *own)
{
	if (own->refusals < 2)
		return 0;
	return (double)(own->last_accepted - own->first_accepted) * (double)SECOND_NS
	       / (double)(own->last_ns - own->first_ns);
}

static void print_kind(size_t i)
{
	size_t count = casts[i].count;
	double *shares = swarm_alloc(count, sizeof *shares);
	uint64_t refusals = 0;

	for (size_t n = 0; n < count; n++) {
		const struct paced *own = casts[i].peers[n].own;

		shares[n] = share_of(own);
		refusals += own->refusals;
	}
	qsort(shares, count, sizeof *shares, compare);
	printf("{\"kind\":\"%s\",\"clients\":%zu,\"refusals\":%llu,\"least\":%.4f,\"median\":%.4f,"
	       "\"most\":%.4f}\n", kinds[i].name, count, (unsigned long long)refusals, shares[0],
	       shares[count / 2], shares[count - 1]);
	free(shares);
}

int main(int argc, char **argv)
{
	struct swarm swarm = { .cast = casts, .seed = 1, .open = true };
	struct rlimit files;
	uint64_t end_ns;

	if (argc < 4 || argc > 3 + KINDS_MAX)
		swarm_die("usage: paced PORT SECONDS NAME:CLIENTS:BYTES...");
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)(setrlimit(RLIMIT_NOFILE, &files) != 0);
	}
	swarm.port = (uint16_t)strtoul(argv[1], NULL, 10);
	if ((swarm.epoll = epoll_create1(EPOLL_CLOEXEC)) < 0)
		swarm_die("epoll_create1");
	for (int i = 0; i < argc - 3; i++) {
		if (sscanf(argv[3 + i], "%20[^:]:%zu:%zu", kinds[i].name, &kinds[i].clients,
			   &kinds[i].bytes) != 3 || kinds[i].clients == 0 || kinds[i].bytes > sizeof segment)
			swarm_die("not NAME:CLIENTS:BYTES: %s", argv[3 + i]);
		open_cast(&swarm, (size_t)i);
	}
	end_ns = swarm_now_ns() + PATIENCE_NS;
	while (!all_are_served()) {
		swarm_turn(&swarm, 5);
		if (swarm_now_ns() > end_ns)
			swarm_die("not all clients are connected");
	}
	turn_until(&swarm, swarm_now_ns() + WARM_NS);
	begin_to_count();
	turn_until(&swarm, swarm_now_ns() + strtoull(argv[2], NULL, 10) * SECOND_NS);
	for (int i = 0; i < argc - 3; i++)
		print_kind((size_t)i);
	return 0;
}
