/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Those who mean harm, or have gone mad. Each does one thing, as fast as it may: the
 * broker takes one packet of a client at a time, so the window is what counts.
 */
#include "swarm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define META "{\"name\":\"hostile.bin\",\"size\":1000}"

static void say(struct peer *peer, unsigned int qos, const char *topic)
{
	peer_publish(peer, qos, topic, NULL, 0);
}

static unsigned int *serial_of(struct peer *peer)
{
	return peer->own;
}

static void count_word(struct peer *peer, const char *topic, const char *payload, size_t len)
{
	(void)topic;
	(void)len;
	(void)swarm_word(peer->swarm, payload);
}

/* --- topics that mean nothing --- */

static void bad_go(struct peer *peer)
{
	static const char *const topics[] = {
		"$file/", "$file//init", "$file/f", "$file/f/x", "$file/f/0/zz", "$file/f/fin",
		"$file/f/fin/x", "$file/f/99999999999999999999", "$file/f/init/x", "$file-async//0",
		"$file/f/0/1/2/3/4/5/6/7", "$file/f/fin/5/zz", "$file/../../etc/passwd", "$file/f/0",
		"$file/f/0x10", "$file/f/-1", "$file/%2e%2e/init", "$file-async/f/status/1",
	};
	unsigned int *serial = serial_of(peer);

	for (unsigned int i = 0; i < 64 && peer_has_room(peer); i++, ++*serial)
		peer_publish(peer, peer->number % 2, topics[*serial % 18], "rubbish", *serial % 8);
	/* QoS 0 has no acknowledgement that would call go() again. */
	peer->wake_ns = peer->swarm->now_ns + MS_NS;
}

const struct role role_bad = {
	.name = "bad topics", .own = sizeof(unsigned int), .window = 20, .go = bad_go,
	.message = count_word,
};

/* --- init, without end; and init, segment, abort --- */

static void inits_go(struct peer *peer)
{
	unsigned int *serial = serial_of(peer);
	char topic[TOPIC_ROOM];

	while (peer_has_room(peer)) {
		snprintf(topic, sizeof topic, "$file/new-%u/init", ++*serial);
		peer_publish(peer, 1, topic, META, strlen(META));
	}
}

const struct role role_inits = {
	.name = "init flood", .own = sizeof(unsigned int), .window = 20, .go = inits_go,
	.message = count_word,
};

static void churn_go(struct peer *peer)
{
	unsigned int *serial = serial_of(peer);
	char topic[TOPIC_ROOM];

	while (peer_has_room(peer)) {
		unsigned int id = *serial / 3 % 50, part = (*serial)++ % 3;

		snprintf(topic, sizeof topic, "$file/churn-%u/%s", id,
			 part == 0 ? "init" : part == 1 ? "0" : "abort");
		peer_publish(peer, 1, topic, part == 0 ? (const void *)META : peer->swarm->blob,
			     part == 0 ? strlen(META) : part == 1 ? 1000 : 0);
	}
}

const struct role role_churn = {
	.name = "begin and abort", .own = sizeof(unsigned int), .window = 12, .go = churn_go,
	.message = count_word,
};

/* --- fin: too early, too long, wrong, again --- */

static void fins_ready(struct peer *peer)
{
	for (unsigned int i = 0; i < 2; i++) {
		peer_publish(peer, 1, i ? "$file/half/init" : "$file/done/init", META, strlen(META));
		peer_publish(peer, 1, i ? "$file/half/0" : "$file/done/0", peer->swarm->blob, 10);
	}
	say(peer, 1, "$file/done/fin/10");
}

static void fins_go(struct peer *peer)
{
	static const char *const topics[] = {
		"$file/done/fin/10", "$file/done/fin/11", "$file/half/fin/20", "$file/none/fin/5",
		"$file/half/fin/999999999999999999", "$file/done/fin/10", "$file/half/fin/x",
		"$file/half/fin/10/0000000000000000000000000000000000000000000000000000000000000000",
		"$file/done/fin/10/0000000000000000000000000000000000000000000000000000000000000000",
		"$file/half/fin/0/0000000000000000000000000000000000000000000000000000000000000000",
	};
	unsigned int *serial = serial_of(peer);

	while (peer_has_room(peer))
		say(peer, 1, topics[(*serial)++ % 10]);
}

const struct role role_fins = {
	.name = "fin flood", .own = sizeof(unsigned int), .window = 20, .ready = fins_ready,
	.go = fins_go, .message = count_word,
};

/* --- init whose JSON is wide, deep, too long, none --- */

static void giant_go(struct peer *peer)
{
	const struct swarm *swarm = peer->swarm;
	const char *texts[] = { swarm->wide, swarm->deep, swarm->long_text, swarm->wide + 1 };
	unsigned int *serial = serial_of(peer);

	while (peer_has_room(peer)) {
		const char *text = texts[(*serial)++ % 4];

		peer_publish(peer, 1, "$file/giant/init", text, strlen(text));
	}
}

const struct role role_giant = {
	.name = "giant JSON", .own = sizeof(unsigned int), .window = 4, .go = giant_go,
	.message = count_word,
};

/* --- status of a transfer in many pieces --- */

static void status_ready(struct peer *peer)
{
	char topic[TOPIC_ROOM];

	peer_publish(peer, 1, "$file/pieces/init", META, strlen(META));
	for (unsigned int i = 0; i < 150; i++) {
		snprintf(topic, sizeof topic, "$file/pieces/%u", i * 20);
		peer_publish(peer, 1, topic, peer->swarm->blob, 10);
	}
}

static void status_go(struct peer *peer)
{
	unsigned int *serial = serial_of(peer);

	while (peer_has_room(peer))
		say(peer, 1, (*serial)++ % 4 ? "$file/pieces/status" : "$file/unknown/status");
}

const struct role role_status = {
	.name = "status flood", .own = sizeof(unsigned int), .window = 20, .ready = status_ready,
	.go = status_go, .message = count_word,
};

/* --- who wants to read what is not his --- */

static void spy_go(struct peer *peer)
{
	static const char *const filters[] = {
		"$file/#", "$share/spies/$file/#", "$file-response/#", "$file-response/honest-0",
		"$file-async/+/init", "$file/+/+", "$share/spies/$file-response/+", "$file-async/#",
	};
	unsigned int *serial = serial_of(peer);

	while (peer_has_room(peer)) {
		/* Without the plugin he would get what he wants, and that is not the same traffic. */
		const char *filter = peer->swarm->plain ? "spies/#" : filters[*serial % 8];

		if (++*serial % 32 < 8)
			peer_unsubscribe(peer, filter);
		else
			peer_subscribe(peer, filter);
	}
}

const struct role role_spy = {
	.name = "spy", .own = sizeof(unsigned int), .window = 1, .go = spy_go,
	.message = count_word,
};

static void forger_go(struct peer *peer)
{
	static const char lie[] = "{\"vsn\":\"0.1\",\"topic\":\"$file/1/init\",\"reason_code\":0,"
				  "\"reason_description\":\"forged\"}";
	unsigned int *serial = serial_of(peer);
	char topic[TOPIC_ROOM];

	while (peer_has_room(peer)) {
		snprintf(topic, sizeof topic, "$file-response/honest-%u", (*serial)++ % 16);
		peer_publish(peer, 1, topic, lie, sizeof lie - 1);
	}
}

const struct role role_forger = {
	.name = "forger", .own = sizeof(unsigned int), .window = 4, .go = forger_go,
};

/* --- who asks and never listens --- */

#define SLOW_QOS1 1000	/* acknowledgements that the broker has to keep */

static void slow_go(struct peer *peer)
{
	unsigned int *serial = serial_of(peer);

	for (unsigned int i = 0; i < 20 && peer_has_room(peer); i++)
		say(peer, ++*serial < SLOW_QOS1, "$file/slow/status");
	peer->wake_ns = peer->swarm->now_ns + 5 * MS_NS;
}

const struct role role_slow = {
	.name = "slow reader", .own = sizeof(unsigned int), .window = 2 * SLOW_QOS1, .deaf = true,
	.reckless = true, .go = slow_go,
};

/* --- who vanishes in the middle of a packet, again and again --- */

static void vanish_go(struct peer *peer)
{
	struct swarm *swarm = peer->swarm;

	if (peer->wake_ns == NEVER && *serial_of(peer) % 2 == 1) {
		++*serial_of(peer);
		peer->counts->closed++;
		peer_close(peer);
		peer->wake_ns = swarm->now_ns + 20 * MS_NS;
		return;
	}
	if (*serial_of(peer) % 2 == 1)
		return;
	++*serial_of(peer);
	peer_publish(peer, 1, "$file/vanish/init", META, strlen(META));
	peer_publish(peer, 1, "$file/vanish/0", swarm->blob, 500);
	peer_publish_part(peer, "$file/vanish/500", swarm->blob, 60000,
			  5 + swarm_random(swarm, 60000));
	peer->wake_ns = swarm->now_ns + 5 * MS_NS;
}

const struct role role_vanish = {
	.name = "vanishes", .own = sizeof(unsigned int), .window = 4, .reckless = true,
	.forward = true, .go = vanish_go,
};
