/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Those who mean well: uploaders, telemetry, idle clients, and who leaves things behind. */
#include "swarm.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- idle --- */

const struct role role_idle = { .name = "idle", .window = 1 };

/* --- honest uploads, one at a time, all of as many segments --- */

#define SEGMENTS 16
#define SEGMENT_MIN 1024
#define SEGMENT_SPREAD 8192

enum step { REST, BEGIN, SEND, FINISH };

struct honest {
	enum step step;
	bool asked;			/* init or fin is on its way */
	unsigned int serial, sent, acked;
	size_t segment, size, from;
	uint64_t began_ns, retry_ns;
	char sum[SUM_ROOM];
};

static void begin(struct peer *peer, struct honest *own)
{
	struct swarm *swarm = peer->swarm;
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned int len = 0;

	/* Ids are never used twice. */
	own->serial = ++swarm->uploads;
	own->segment = SEGMENT_MIN + swarm_random(swarm, SEGMENT_SPREAD);
	own->size = own->segment * SEGMENTS - swarm_random(swarm, own->segment);
	own->from = swarm_random(swarm, BLOB_LEN - own->size);
	if (!EVP_Digest(swarm->blob + own->from, own->size, digest, &len, EVP_sha256(), NULL))
		swarm_die("cannot compute SHA-256");
	for (unsigned int i = 0; i < len; i++)
		snprintf(own->sum + 2 * i, 3, "%02x", digest[i]);
	own->sent = own->acked = 0;
	own->asked = false;
	own->began_ns = swarm->now_ns;
	own->step = BEGIN;
}

/* The file is named after its checksum, so that whoever finds it can tell. */
static void ask(struct peer *peer, struct honest *own)
{
	char topic[TOPIC_ROOM], meta[TOPIC_ROOM];

	own->asked = true;
	if (own->step == BEGIN) {
		snprintf(topic, sizeof topic, "$file/%u/init", own->serial);
		snprintf(meta, sizeof meta, "{\"name\":\"%s\",\"size\":%zu}", own->sum, own->size);
		peer_publish(peer, 1, topic, meta, strlen(meta));
		return;
	}
	snprintf(topic, sizeof topic, "$file/%u/fin/%zu/%s", own->serial, own->size, own->sum);
	peer_publish(peer, 1, topic, NULL, 0);
}

static void send_segment(struct peer *peer, struct honest *own)
{
	size_t at = own->segment * own->sent++;
	size_t len = own->size - at < own->segment ? own->size - at : own->segment;
	char topic[TOPIC_ROOM];

	snprintf(topic, sizeof topic, "$file/%u/%zu", own->serial, at);
	peer_publish(peer, 1, topic, peer->swarm->blob + own->from + at, len);
}

static void honest_go(struct peer *peer)
{
	struct honest *own = peer->own;

	if (own->step == REST && peer->swarm->open)
		begin(peer, own);
	if (own->step == REST)
		return;
	if (own->step != SEND && !own->asked && peer->swarm->now_ns >= own->retry_ns)
		ask(peer, own);
	while (own->step == SEND && own->sent < SEGMENTS && peer_has_room(peer))
		send_segment(peer, own);
}

static void honest_done(struct peer *peer, struct honest *own)
{
	samples_add(&peer->swarm->uploads_ns, peer->swarm->now_ns - own->began_ns);
	peer->swarm->upload_bytes += own->size;
	own->step = REST;
}

static void honest_acked(struct peer *peer, uint8_t code)
{
	struct honest *own = peer->own;

	if (own->step == SEND && peer->flying == 0 && own->sent == SEGMENTS) {
		own->step = FINISH;
		own->asked = false;
	}
	/* Without the plugin nothing else tells that a command has arrived. */
	if (peer->swarm->plain && own->asked) {
		own->asked = false;
		if (own->step == BEGIN)
			own->step = SEND;
		else if (own->step == FINISH)
			honest_done(peer, own);
	}
	if (code >= 0x80)
		peer->counts->refused++;
}

static void fail(struct peer *peer, struct honest *own, const char *payload)
{
	peer->swarm->uploads_failed++;
	swarm_complain(peer->swarm, "%s: %s", peer->id, payload);
	own->step = REST;
}

static void honest_message(struct peer *peer, const char *topic, const char *payload, size_t len)
{
	struct honest *own = peer->own;
	const char *word = swarm_word(peer->swarm, payload);
	bool waits = own->asked && own->step != SEND;
	char tail[TOPIC_ROOM];

	(void)topic;
	(void)len;
	snprintf(tail, sizeof tail, own->step == BEGIN ? "/%u/init" : "/%u/fin/%zu/%s", own->serial,
		 own->size, own->sum);
	if (waits && swarm_answers(payload, tail)) {
		own->asked = false;
		if (strcmp(word, "busy") == 0 || strcmp(word, "too_many_transfers") == 0) {
			peer->swarm->busy++;
			own->retry_ns = peer->wake_ns = peer->swarm->now_ns + 200 * MS_NS;
		} else if (strcmp(word, "success") != 0) {
			fail(peer, own, payload);
		} else if (own->step == BEGIN) {
			own->step = SEND;
		} else {
			honest_done(peer, own);
		}
	} else if (strcmp(word, "success") != 0) {
		fail(peer, own, payload);
	}
}

bool honest_is_idle(const struct peer *peer)
{
	const struct honest *own = peer->own;

	return own->step == REST;
}

const struct role role_honest = {
	.name = "honest", .own = sizeof(struct honest), .window = 4, .go = honest_go,
	.acked = honest_acked, .message = honest_message,
};

/* --- telemetry: a message to oneself every 100 ms --- */

#define PERIOD_NS (100 * MS_NS)

struct telemetry {
	uint64_t next_ns, sent, received;
};

static void telemetry_ready(struct peer *peer)
{
	char topic[TOPIC_ROOM];
	struct telemetry *own = peer->own;

	snprintf(topic, sizeof topic, "telemetry/%s", peer->id);
	peer_subscribe(peer, topic);
	own->next_ns = peer->swarm->now_ns + PERIOD_NS;
	peer->wake_ns = own->next_ns;
}

static void telemetry_go(struct peer *peer)
{
	struct telemetry *own = peer->own;
	char topic[TOPIC_ROOM], text[32];

	if (peer->swarm->now_ns >= own->next_ns && peer->swarm->open && peer_has_room(peer)) {
		snprintf(topic, sizeof topic, "telemetry/%s", peer->id);
		snprintf(text, sizeof text, "%llu", (unsigned long long)peer->swarm->now_ns);
		peer_publish(peer, 1, topic, text, strlen(text));
		own->sent++;
		own->next_ns += PERIOD_NS;
		if (own->next_ns < peer->swarm->now_ns)
			own->next_ns = peer->swarm->now_ns + PERIOD_NS;
	}
	peer->wake_ns = own->next_ns;
}

static void telemetry_message(struct peer *peer, const char *topic, const char *payload, size_t len)
{
	struct telemetry *own = peer->own;
	uint64_t sent_ns = strtoull(payload, NULL, 10);

	(void)len;
	if (strncmp(topic, "telemetry/", 10) != 0 || strcmp(topic + 10, peer->id) != 0) {
		peer->counts->foreign++;
		return;
	}
	own->received++;
	samples_add(&peer->swarm->trips_ns, peer->swarm->now_ns - sent_ns);
}

uint64_t telemetry_missing(const struct peer *peer)
{
	const struct telemetry *own = peer->own;

	return own->sent - own->received;
}

const struct role role_telemetry = {
	.name = "telemetry", .own = sizeof(struct telemetry), .window = 20, .any = true,
	.ready = telemetry_ready, .go = telemetry_go, .message = telemetry_message,
};

/* --- who begins as many transfers as it may, and goes; who takes them back --- */

#define LEFT_EACH 100

struct leave {
	unsigned int sent, answered;
	uint64_t held, refused;
};

static void leave_go(struct peer *peer)
{
	struct leave *own = peer->own;
	char topic[TOPIC_ROOM], meta[] = "{\"name\":\"left.bin\",\"size\":1000}";

	for (; own->sent < LEFT_EACH && peer_has_room(peer); own->sent++) {
		snprintf(topic, sizeof topic, "$file/left-%u/init", own->sent);
		peer_publish(peer, 1, topic, meta, strlen(meta));
		snprintf(topic, sizeof topic, "$file/left-%u/0", own->sent);
		peer_publish(peer, 0, topic, peer->swarm->blob, 100);
	}
}

static void forget_go(struct peer *peer)
{
	struct leave *own = peer->own;
	char topic[TOPIC_ROOM];

	for (; own->sent < LEFT_EACH && own->sent - own->answered < 10 && peer_has_room(peer);
	     own->sent++) {
		snprintf(topic, sizeof topic, "$file/left-%u/abort", own->sent);
		peer_publish(peer, 1, topic, NULL, 0);
	}
}

static void leave_message(struct peer *peer, const char *topic, const char *payload, size_t len)
{
	struct leave *own = peer->own;
	const char *word = swarm_word(peer->swarm, payload);

	(void)topic;
	(void)len;
	if (swarm_answers(payload, "/init"))
		return;
	own->answered++;
	if (strcmp(word, "success") == 0)
		own->held++;
	else
		own->refused++;
	if (own->answered < LEFT_EACH)
		return;
	peer->over = true;
	peer_close(peer);
}

void leave_counts(const struct peer *peer, uint64_t *held, uint64_t *refused)
{
	const struct leave *own = peer->own;

	*held += own->held;
	*refused += own->refused;
}

const struct role role_leave = {
	.name = "leave", .own = sizeof(struct leave), .window = 10, .go = leave_go,
	.message = leave_message,
};

const struct role role_forget = {
	.name = "forget", .own = sizeof(struct leave), .window = 10, .go = forget_go,
	.message = leave_message,
};
