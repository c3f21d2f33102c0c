/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The whole plugin, given sequences of messages by a strict broker: see broker.h. At the
 * end every command of a client that can be answered has been answered, once.
 */
#include "broker.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/system.h"
#include "mosquitto/plugin.h"
#include "protocol/aws_job.h"
#include "protocol/topic.h"
#include "../tree.h"

#define MESSAGE_MAX 64			/* messages per input */
#define MESSAGE_DEADLINE_MS 20000
#define MESSAGE_WILDCARD_PATTERN "r/%c/#"

static struct mosquitto message_clients[] = {
	{ "c", "u", 5, mp_mqtt },
	{ "c", NULL, 4, mp_mqtt },		/* the same client by another protocol */
	{ "../..", "u/v", 5, mp_websockets },
	{ "wild+", NULL, 5, mp_mqtt },		/* has no response topic */
	{ "", NULL, 3, mp_mqtt },
	{ NULL, NULL, 5, mp_mqtt },
};

#define MESSAGE_CLIENTS (sizeof message_clients / sizeof message_clients[0])

static bool message_downloads;		/* the option */
static bool message_may_lack;		/* a client has gone that may have waited for blocks */

/* --- messages made of the input --- */

/*
 * Mostly commands that mean something, now and then whatever the input says. Long
 * because it is a table of shapes.
 */
static char *message_topic(struct fuzz_input *input)
{
	static const char *const prefixes[] = { "$file/", "$file-async/", "$file/", "" };
	static const char *const files[] = { "f", "g", "\xf0\x9f\x98\x80", "" };
	static const char sum[] = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
	static const char *const paths[] = { "x", "y/z", "../x", "" };
	static const char *const downloads[] = {
		"get/info", "get/report", "get/list", "get", "data/c/0", "offer/all", "report/c",
		"offer/client/c",
	};
	static const char *const things[] = { "c", "u", "d", "../.." };
	static const char *const streams[] = {
		"get/json", "get/cbor", "describe/json", "describe/cbor", "data/json", "rejected/cbor",
		"get/xml", "get",
	};
	static const char *const jobs[] = {
		"get", "start-next", "$next/get", "j/get", "j/update", "/update", "notify-next",
		"get/accepted",
	};
	unsigned shape = fuzz_byte(input);
	char *text = malloc(512), *exact;
	const char *prefix = prefixes[shape / 64];
	const char *file = files[shape / 16 % 4];
	unsigned number;

	switch (shape % 16) {
	case 0: case 1: case 2:
		snprintf(text, 512, "%s%s/init", prefix, file);
		break;
	case 3: case 4: case 5: case 6:
		number = fuzz_byte(input);
		snprintf(text, 512, "%s%s/%u%s%s", prefix, file, number % 64,
			 number > 200 ? "/" : "", number > 200 ? sum : "");
		break;
	case 7: case 8:
		number = fuzz_byte(input);
		snprintf(text, 512, "%s%s/fin/%u%s%s", prefix, file, number % 64,
			 number > 200 ? "/" : "", number > 200 ? sum : "");
		break;
	case 9:
		snprintf(text, 512, "%s%s/abort", prefix, file);
		break;
	case 10:
		snprintf(text, 512, "%s%s/status", prefix, file);
		break;
	case 11:
		number = fuzz_byte(input);
		snprintf(text, 512, "$file-get/%u/%u/%s", number % 16, number / 16,
			 paths[shape / 16 % 4]);
		break;
	case 12:
		snprintf(text, 512, "$file-%s/%s", downloads[shape / 16 % 8], paths[shape / 128]);
		break;
	case 13:
		number = fuzz_byte(input);
		snprintf(text, 512, "$aws/things/%s/streams/%s/%s", things[number % 4],
			 paths[number / 4 % 4], streams[shape / 16 % 8]);
		break;
	case 14:
		number = fuzz_byte(input);
		snprintf(text, 512, "$aws/things/%s/jobs/%s", things[number % 4], jobs[number / 4 % 8]);
		break;
	default:
		free(text);
		exact = fuzz_text(input, fuzz_byte(input));
		text = malloc(strlen(prefix) + strlen(exact) + 1);
		memcpy(text, prefix, strlen(prefix));
		memcpy(text + strlen(prefix), exact, strlen(exact) + 1);
		free(exact);
		return text;
	}
	exact = strdup(text);	/* of just its size: a longer one written over it is seen */
	free(text);
	return exact;
}

static void *message_payload(struct fuzz_input *input, uint32_t *len)
{
	static const char *const payloads[] = {
		"{\"name\":\"n\"}", "{\"name\":\"n\",\"size\":5,\"user_data\":{}}", "hello",
		"{\"name\":\"n\",\"segments_ttl\":1}", "{\"state\":\"failed\"}",
		"{\"f\":0,\"l\":256}", "{\"status\":\"FAILED\"}",
	};
	unsigned shape = fuzz_byte(input);
	size_t want = shape < 16 ? strlen(payloads[shape % 7]) : shape < 64 ? 0 : shape;
	char *payload;

	if (shape >= 16 && want > input->len)
		want = input->len;
	*len = (uint32_t)want;
	if (want == 0)
		return NULL;
	payload = malloc(want);
	memcpy(payload, shape < 16 ? (const void *)payloads[shape % 7] : input->bytes, want);
	if (shape >= 16) {
		input->bytes += want;
		input->len -= want;
	}
	return payload;
}

static mosquitto_property *message_properties(struct fuzz_input *input)
{
	static const char *const topics[] = { "r/c/answer", "r/other/x", "$file/f/init", "#", "r/c" };
	mosquitto_property *list = NULL;
	unsigned flags = fuzz_byte(input);

	if (flags & 1)
		mosquitto_property_add_binary(&list, MQTT_PROP_CORRELATION_DATA, "correlated data",
					      (uint16_t)(flags / 16));
	if (flags & 2)
		mosquitto_property_add_string(&list, MQTT_PROP_RESPONSE_TOPIC,
					      topics[flags / 4 % 5]);
	if (flags & 4)
		mosquitto_property_add_string_pair(&list, MQTT_PROP_USER_PROPERTY, "key", "value");
	return list;
}

/* --- what became of a message --- */

static void message_check_foreign(const struct mosquitto_evt_message *before,
				  const struct mosquitto_evt_message *after, const char *topic,
				  int rc)
{
	fuzz_check(rc == MOSQ_ERR_SUCCESS);
	fuzz_check(memcmp(before, after, sizeof *before) == 0);
	fuzz_check(strcmp(after->topic, topic) == 0);
}

static void message_check_ours(const struct mosquitto_evt_message *before,
			       const struct mosquitto_evt_message *after, const char *topic, int rc)
{
	bool can_refuse = before->qos > 0 && before->client
			  && before->client->protocol_version == 5;

	fuzz_check(after->topic == before->topic && strlen(after->topic) <= strlen(topic));
	fuzz_check(after->properties == before->properties);
	fuzz_check(after->payload == before->payload || after->payload == NULL);
	if (rc != MOSQ_ERR_SUCCESS) {
		fuzz_check(can_refuse);
		fuzz_check(rc == MOSQ_ERR_ACL_DENIED
			   || (rc == BROKER_QUOTA_EXCEEDED && broker.is_21));
		return;
	}
	fuzz_check(after->payload == NULL && after->payloadlen == 0 && !after->retain);
	fuzz_check(after->topic[0] == '$' && strncmp(after->topic, "$file", 5) != 0);
	fuzz_check(strlen(after->topic) > 0);
}

static bool message_begins(const char *topic, const char *prefix)
{
	return strncmp(topic, prefix, strlen(prefix)) == 0;
}

static bool message_is_aws(const char *topic, enum ft_aws_topic_kind kind)
{
	return message_downloads && (ft_aws_topic_kind(topic) == kind
				     || ft_aws_job_topic_kind(topic) == kind);
}

static bool message_is_ours(const char *topic)
{
	return message_begins(topic, "$file/") || message_begins(topic, "$file-async/")
	       || (message_downloads && message_begins(topic, "$file-get/") && topic[10])
	       || message_is_aws(topic, FT_AWS_TOPIC_REQUEST);
}

static bool message_is_forged(const char *topic)
{
	return message_downloads && (message_begins(topic, "$file-data/")
				     || message_begins(topic, "$file-offer/")
				     || message_begins(topic, "$file-report/")
				     || message_is_aws(topic, FT_AWS_TOPIC_ANSWER));
}

/* Sends one message; returns how many responses there must be for it. */
static unsigned message_send(struct fuzz_input *input)
{
	unsigned who = fuzz_byte(input);
	char *topic = message_topic(input), *copy = strdup(topic);
	uint32_t len;
	void *payload = message_payload(input, &len);
	struct mosquitto_evt_message message = {
		.client = who % 8 < MESSAGE_CLIENTS ? &message_clients[who % 8] : NULL,
		.topic = topic, .payload = payload, .payloadlen = len,
		.properties = who & 64 ? message_properties(input) : NULL,
		.qos = (uint8_t)(who / 8 % 3), .retain = who & 128,
	};
	struct mosquitto_evt_message before = message;
	mosquitto_property *properties = message.properties;
	const char *id = message.client ? message.client->id : NULL;
	bool aws = message_is_aws(topic, FT_AWS_TOPIC_REQUEST);
	bool ours = message_is_ours(topic), forged = id && message_is_forged(topic);
	int rc = broker_raise(MOSQ_EVT_MESSAGE, &message);

	if (ours || forged)
		message_check_ours(&before, &message, copy, rc);
	else
		message_check_foreign(&before, &message, copy, rc);
	free(topic);
	free(copy);
	free(payload);
	mosquitto_property_free_all(&properties);
	return ours && id && (aws || !strpbrk(id, "+#"));
}

static void message_ask_acl(struct fuzz_input *input)
{
	static const int accesses[] = {
		MOSQ_ACL_READ, MOSQ_ACL_WRITE, MOSQ_ACL_SUBSCRIBE, MOSQ_ACL_UNSUBSCRIBE,
	};
	unsigned who = fuzz_byte(input);
	char *topic = message_topic(input);
	struct mosquitto_evt_acl_check check = {
		.client = who % 8 < MESSAGE_CLIENTS ? &message_clients[who % 8] : NULL,
		.topic = topic, .access = accesses[who / 8 % 4],
	};
	int rc = broker_raise(MOSQ_EVT_ACL_CHECK, &check);

	fuzz_check(rc == MOSQ_ERR_SUCCESS || rc == MOSQ_ERR_ACL_DENIED);
	free(topic);
}

static void message_tick(void)
{
	struct mosquitto_evt_tick tick = { 0 };

	fuzz_check(broker_raise(MOSQ_EVT_TICK, &tick) == MOSQ_ERR_SUCCESS);
}

/* 2.0 tells of clients that never logged in, too. */
static void message_disconnect(unsigned who)
{
	struct mosquitto_evt_disconnect gone = {
		.client = who % 8 < MESSAGE_CLIENTS ? &message_clients[who % 8] : NULL,
	};

	message_may_lack = message_downloads;
	fuzz_check(broker_raise(MOSQ_EVT_DISCONNECT, &gone) == MOSQ_ERR_SUCCESS);
}

static void message_reload(void)
{
	struct mosquitto_evt_reload reload = { 0 };

	fuzz_check(broker_raise(MOSQ_EVT_RELOAD, &reload) == MOSQ_ERR_SUCCESS);
}

/* --- one life of the plugin --- */

static void message_play(struct fuzz_input *input)
{
	int64_t until = ft_clock_ms() + MESSAGE_DEADLINE_MS;
	unsigned expected = 0;

	for (int i = 0; i < MESSAGE_MAX && input->len > 0; i++) {
		unsigned what = fuzz_byte(input) % 16;

		if (what == 0)
			message_tick();
		else if (what == 1)
			message_disconnect(fuzz_byte(input));
		else if (what == 2)
			message_reload();
		else if (what == 3)
			message_ask_acl(input);
		else
			expected += message_send(input);
	}
	if (expected % 4 == 3 || message_may_lack)
		return;		/* shut down with work under way */
	while (broker.published < expected) {
		fuzz_check(ft_clock_ms() < until);
		message_tick();
		usleep(20);
	}
	fuzz_check(broker.published == expected);
}

/* A file that has rested. */
static void message_offer(const char *dir)
{
	static const char *const folders[] = { "offers", "offers/all" };
	const struct timespec times[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
	char path[128];
	int fd;

	for (size_t i = 0; i < 2; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, folders[i]);
		fuzz_check(mkdir(path, 0700) == 0);
	}
	snprintf(path, sizeof path, "%s/offers/all/x", dir);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	fuzz_check(fd >= 0 && write(fd, "0123456789", 10) == 10 && futimens(fd, times) == 0);
	close(fd);
}

static void message_start(uint8_t flags, char *dir, mosquitto_plugin_id_t *id,
			  void **userdata)
{
	static char *const acls[] = { "none", "guard", "guard-and-allow", "none" };
	static char *const durabilities[] = { "none", "file", "segment", "file" };
	struct mosquitto_opt options[] = {
		{ "storage_dir", dir },
		{ "store", flags & 8 ? "fs" : "memory" },
		{ "acl", acls[flags / 2 % 4] },
		{ "durability", durabilities[flags / 2 % 4] },
		{ "ack_sink", broker.is_21 ? "auto" : "off" },
		{ "tune_malloc", "false" },
		{ "min_free_space", "0" },
		{ "max_transfers_per_client", flags & 32 ? "2" : "100" },
		{ "events", flags & 8 ? "off" : "on" },
		{ "downloads", message_downloads ? "native,aws,jobs" : "off" },
		{ "response_topics", MESSAGE_WILDCARD_PATTERN },
	};
	int count = (int)(sizeof options / sizeof options[0]) - !(flags & 16);
	int versions[] = { 3, 5 };

	fuzz_check(mosquitto_plugin_version(2, versions) == 5);
	fuzz_check(mosquitto_plugin_init(id, userdata, options, count) == MOSQ_ERR_SUCCESS);
}

FUZZ_TARGET(message)
{
	struct fuzz_input input = { bytes, len };
	uint8_t flags = fuzz_byte(&input);
	char dir[64];
	void *userdata = NULL;
	int id;

	fuzz_check(tree_make(dir, sizeof dir, "ft-fuzz"));
	memset(&broker, 0, sizeof broker);
	broker.thread = pthread_self();
	broker.is_21 = flags & 1;
	broker.publish_fails_at = flags & 64 ? 1 + flags / 128 : 0;
	broker.response_topic = flags & 16 ? "r/" : NULL;
	message_downloads = flags & 6;
	message_may_lack = false;
	if (message_downloads)
		message_offer(dir);
	message_start(flags, dir, (mosquitto_plugin_id_t *)&id, &userdata);
	message_play(&input);
	broker.cleaning_up = true;
	fuzz_check(mosquitto_plugin_cleanup(userdata, NULL, 0) == MOSQ_ERR_SUCCESS);
	fuzz_check(broker_callbacks_left() == 0);
	tree_remove(dir);
}
