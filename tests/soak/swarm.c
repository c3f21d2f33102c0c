/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The swarm's commands: see swarm.h. Usage: swarm PORT SEED [plain] [others] */
#include "swarm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#define PATIENCE_S 600		/* until a round must have ended after its time */
#define PATIENCE_MAX_S 1800

/* Of a thousand connections. The first is there all the time. */
static struct cast casts[] = {
	{ .role = &role_idle },
	{ .role = &role_telemetry, .least = 8 },
	{ .role = &role_honest, .share = 160 },
	{ .role = &role_bad, .share = 4, .least = 2 },
	{ .role = &role_inits, .share = 2, .least = 1 },
	{ .role = &role_churn, .share = 2, .least = 1 },
	{ .role = &role_fins, .share = 2, .least = 1 },
	{ .role = &role_giant, .share = 1, .least = 1 },
	{ .role = &role_status, .share = 2, .least = 1 },
	{ .role = &role_spy, .share = 2, .least = 1 },
	{ .role = &role_forger, .share = 1, .least = 1 },
	{ .role = &role_slow, .share = 3, .least = 1 },
	{ .role = &role_vanish, .share = 2, .least = 1 },
	{ .role = &role_leave },
	{ .role = NULL },
};

enum { IDLE, TELEMETRY, HONEST, HOSTILE, LEAVE = sizeof casts / sizeof casts[0] - 2 };

/* --- texts --- */

/* {"name":…,"user_data":…} of just 64 KiB: an array of as many numbers as possible. */
static char *wide_text(size_t len)
{
	char *text = swarm_alloc(len + 1, 1);
	size_t at = (size_t)snprintf(text, len, "{\"name\":\"giant\",\"user_data\":[1");

	for (; at + 4 <= len; at += 2)
		memcpy(text + at, ",1", 2);
	memcpy(text + at, "]}", 2);
	return text;
}

static char *deep_text(size_t len)
{
	char *text = swarm_alloc(len + 1, 1);
	size_t at = (size_t)snprintf(text, len, "{\"name\":\"giant\",\"user_data\":");

	memset(text + at, '[', len - at);
	return text;
}

/* --- peers come and go --- */

static void cast_open(struct swarm *swarm, struct cast *cast, size_t count, const char *name)
{
	uint64_t now_ns = swarm_now_ns();

	cast->peers = swarm_alloc(count, sizeof cast->peers[0]);
	cast->count = count;
	for (size_t i = 0; i < count; i++) {
		struct peer *peer = &cast->peers[i];

		peer->swarm = swarm;
		peer->role = cast->role;
		peer->counts = &cast->counts;
		peer->own = swarm_alloc(1, cast->role->own);
		peer->number = (unsigned int)i;
		peer->v5 = i % 2 == 0;
		peer->fd = -1;
		/* Not all at once: the broker's backlog is short. */
		peer->wake_ns = now_ns + i * MS_NS / 3;
		snprintf(peer->id, sizeof peer->id, "%s-%zu", name, i);
	}
}

static void cast_close(struct cast *cast)
{
	for (size_t i = 0; i < cast->count; i++) {
		peer_close(&cast->peers[i]);
		free(cast->peers[i].own);
	}
	free(cast->peers);
	cast->peers = NULL;
	cast->count = 0;
}

static void wait_for(struct swarm *swarm, bool (*done)(const struct cast *cast),
		     const struct cast *cast, const char *what)
{
	uint64_t end_ns = swarm_now_ns() + PATIENCE_MAX_S * SECOND_NS;

	while (!done(cast)) {
		swarm_turn(swarm, 2);
		if (swarm_now_ns() > end_ns)
			swarm_die("no end: %s", what);
	}
}

/* --- a round --- */

static void open_round(struct swarm *swarm)
{
	for (size_t i = TELEMETRY; i < LEAVE; i++) {
		struct cast *cast = &casts[i];
		size_t count = (size_t)swarm->scale * cast->share / 1000;

		/* Under another name there is only telemetry. */
		if (i > TELEMETRY && swarm->name)
			continue;
		memset(&cast->counts, 0, sizeof cast->counts);
		cast_open(swarm, cast, count > cast->least ? count : cast->least,
			  swarm->name ? swarm->name : cast->role->name);
	}
	for (size_t i = 0; i < casts[HONEST].count; i++)
		casts[HONEST].peers[i].wake_ns += SECOND_NS / 2;
	memset(swarm->words, 0, sizeof swarm->words);
	swarm->uploads_ns.count = swarm->trips_ns.count = 0;
	swarm->upload_bytes = swarm->uploads_failed = swarm->busy = 0;
}

static size_t unfinished(void)
{
	size_t count = 0;

	for (size_t i = 0; i < casts[HONEST].count; i++)
		count += !honest_is_idle(&casts[HONEST].peers[i]);
	return count;
}

static uint64_t missing(void)
{
	uint64_t count = 0;

	for (size_t i = 0; i < casts[TELEMETRY].count; i++)
		count += telemetry_missing(&casts[TELEMETRY].peers[i]);
	return count;
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void print_samples(const char *name, struct samples *samples)
{
	size_t n = samples->count;

	printf("\"%s\":{\"count\":%zu", name, n);
	if (n > 0) {
		qsort(samples->values, n, sizeof samples->values[0], compare);
		printf(",\"p50\":%.3f,\"p99\":%.3f,\"max\":%.3f",
		       (double)samples->values[n / 2] / 1e6,
		       (double)samples->values[n - 1 - n / 100] / 1e6,
		       (double)samples->values[n - 1] / 1e6);
	}
	fputs("},", stdout);
}

static void print_round(struct swarm *swarm, double seconds)
{
	printf("{\"seconds\":%.3f,", seconds);
	print_samples("uploads_ms", &swarm->uploads_ns);
	print_samples("trips_ms", &swarm->trips_ns);
	printf("\"upload_bytes\":%llu,\"uploads_failed\":%llu,\"uploads_unfinished\":%zu,"
	       "\"pings_lost\":%llu,\"busy\":%llu,\"roles\":{",
	       (unsigned long long)swarm->upload_bytes, (unsigned long long)swarm->uploads_failed,
	       unfinished(), (unsigned long long)missing(), (unsigned long long)swarm->busy);
	for (size_t i = 0; i < LEAVE; i++)
		printf("%s\"%s\":{\"peers\":%zu,\"sent\":%llu,\"acked\":%llu,\"refused\":%llu,"
		       "\"messages\":%llu,\"closed\":%llu,\"foreign\":%llu}", i ? "," : "",
		       casts[i].role->name, casts[i].count, (unsigned long long)casts[i].counts.sent,
		       (unsigned long long)casts[i].counts.acked,
		       (unsigned long long)casts[i].counts.refused,
		       (unsigned long long)casts[i].counts.messages,
		       (unsigned long long)casts[i].counts.closed,
		       (unsigned long long)casts[i].counts.foreign);
	fputs("},", stdout);
	swarm_print_words(swarm);
	printf(",\"complaint\":\"%s\"}\n", swarm->complaint);
}

static void run_round(struct swarm *swarm, unsigned int seconds)
{
	uint64_t began_ns = swarm_now_ns(), end_ns = began_ns + seconds * SECOND_NS;

	open_round(swarm);
	swarm->open = true;
	while (swarm_now_ns() < end_ns)
		swarm_turn(swarm, 2);
	/* The honest come to their end while the others go on. */
	swarm->open = false;
	end_ns = swarm_now_ns() + PATIENCE_S * SECOND_NS;
	while (unfinished() + missing() > 0 && swarm_now_ns() < end_ns)
		swarm_turn(swarm, 2);
	print_round(swarm, (double)(swarm_now_ns() - began_ns) / 1e9);
	for (size_t i = TELEMETRY; i < LEAVE; i++)
		cast_close(&casts[i]);
}

/* --- commands --- */

static void connect_idle(struct swarm *swarm, size_t count)
{
	cast_open(swarm, &casts[IDLE], count, "idle");
	swarm->scale = (unsigned int)count;
	wait_for(swarm, swarm_is_served, &casts[IDLE], "all connected");
	printf("{\"connected\":%zu}\n", count);
}

static bool all_over(const struct cast *cast)
{
	for (size_t i = 0; i < cast->count; i++)
		if (!cast->peers[i].over)
			return false;
	return true;
}

static void leave(struct swarm *swarm, const struct role *role, const char *name, size_t count)
{
	uint64_t held = 0, refused = 0;

	casts[LEAVE].role = role;
	cast_open(swarm, &casts[LEAVE], count, name);
	wait_for(swarm, all_over, &casts[LEAVE], role->name);
	for (size_t i = 0; i < count; i++)
		leave_counts(&casts[LEAVE].peers[i], &held, &refused);
	cast_close(&casts[LEAVE]);
	printf("{\"held\":%llu,\"refused\":%llu}\n", (unsigned long long)held,
	       (unsigned long long)refused);
}

static void carry_out(struct swarm *swarm, const char *line)
{
	char word[16] = "", name[16] = "";
	unsigned int number = 0;

	if (sscanf(line, "connect %u", &number) == 1)
		connect_idle(swarm, number);
	else if (sscanf(line, "round %u", &number) == 1)
		run_round(swarm, number);
	else if (sscanf(line, "%15s %15s %u", word, name, &number) == 3)
		leave(swarm, strcmp(word, "forget") == 0 ? &role_forget : &role_leave, name, number);
	else
		swarm_die("no such command: %s", line);
	fflush(stdout);
}

/* Commands come from a pipe; between two of them the idle are served. */
static void serve(struct swarm *swarm)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = STDIN_FILENO };
	int both = epoll_create1(EPOLL_CLOEXEC);
	char line[128];

	epoll_ctl(both, EPOLL_CTL_ADD, STDIN_FILENO, &event);
	event.data.fd = swarm->epoll;
	epoll_ctl(both, EPOLL_CTL_ADD, swarm->epoll, &event);
	for (;;) {
		if (epoll_wait(both, &event, 1, -1) != 1)
			continue;
		if (event.data.fd == swarm->epoll) {
			swarm_turn(swarm, 0);
			continue;
		}
		if (!fgets(line, sizeof line, stdin) || strncmp(line, "quit", 4) == 0)
			break;
		carry_out(swarm, line);
	}
	close(both);
}

static void has_word(struct swarm *swarm, const char *word)
{
	if (strcmp(word, "plain") == 0)
		swarm->plain = true;
	else if (strcmp(word, "others") == 0)
		swarm->name = word;
	else
		swarm_die("no such option: %s", word);
}

int main(int argc, char **argv)
{
	struct swarm swarm = { .cast = casts };
	struct rlimit limit;

	if (argc < 3)
		swarm_die("usage: swarm PORT SEED [plain] [others]");
	for (int i = 3; i < argc; i++)
		has_word(&swarm, argv[i]);
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	swarm.port = (uint16_t)strtoul(argv[1], NULL, 10);
	swarm.seed = strtoull(argv[2], NULL, 10) | 1;
	swarm.epoll = epoll_create1(EPOLL_CLOEXEC);
	swarm.blob = swarm_alloc(BLOB_LEN, 1);
	for (size_t i = 0; i < BLOB_LEN; i++)
		swarm.blob[i] = (uint8_t)swarm_random(&swarm, 256);
	swarm.wide = wide_text(64 * 1024);
	swarm.deep = deep_text(64 * 1024);
	swarm.long_text = wide_text(66 * 1024);
	/* One line at a time, so that none waits in stdio while epoll looks at the pipe. */
	setvbuf(stdin, NULL, _IONBF, 0);
	serve(&swarm);
	return EXIT_SUCCESS;
}
