/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * A broker for the plugin under test, which insists on the rules of the plugin API:
 *
 * - a message's topic may be overwritten in place, no longer than it was; its payload
 *   may be dropped, not replaced; what was ours must not be routed
 * - a callback returns success, "denied", or on 2.1 "quota exceeded"; "denied" only
 *   where MQTT has room for it
 * - a published payload comes from mosquitto_malloc() and is taken over on success only
 * - everything happens on the broker's thread, nothing during cleanup
 * - what the property functions hand out is freed the way this broker's version wants
 *
 * Include it once; it defines the mosquitto_* functions and includes compat.c, so that
 * the plugin can be shown either version of the broker.
 */
#ifndef FT_TESTS_FUZZ_BROKER_H
#define FT_TESTS_FUZZ_BROKER_H

#include <cjson/cJSON.h>
#include <dlfcn.h>
#include <mosquitto.h>
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>
#include <mqtt_protocol.h>
#include <pthread.h>
#include <stdarg.h>

#include "protocol/aws_topic.h"
#include "fuzz.h"

/*
 * For a test that has calls fail and counts allocations (tests/lib/calls.h): what is not
 * the plugin's.
 */
#ifndef BROKER_OWN_BEGINS
#define BROKER_OWN_BEGINS() ((void)0)
#define BROKER_OWN_ENDS() ((void)0)
#define BROKER_GOT_FROM_LIBRARY() ((void)0)
#endif

struct mosquitto {
	const char *id;
	const char *username;
	int protocol_version;
	int protocol;		/* enum mosquitto_protocol */
};

#define BROKER_CALLBACKS_MAX 32
#define BROKER_QUOTA_EXCEEDED (-6)
#define BROKER_MAGIC UINT64_C(0x6d6f73717569746f)

static struct {
	bool is_21;
	bool cleaning_up;
	unsigned publish_fails_at;	/* the Nth publish fails; 0: none does */
	unsigned published;
	unsigned failed;
	unsigned blocks;		/* of files, to a client by name */
	unsigned errors;		/* lines logged as such */
	unsigned register_fails_at;	/* the Nth callback is not taken; 0: all are */
	unsigned registered;
	unsigned cleared;		/* how often a session's queue was emptied, 2.1 */
	bool refuses_sessions;		/* of the plugin's making, 2.1 */
	const char *response_topic;	/* that a client was allowed to ask for, or NULL */
	pthread_t thread;
	struct {
		int event;
		MOSQ_FUNC_generic_callback callback;
		void *userdata;
	} callbacks[BROKER_CALLBACKS_MAX];
} broker;

static void broker_check_thread(void)
{
	fuzz_check(pthread_equal(pthread_self(), broker.thread));
}

/* --- memory: blocks that free() does not take --- */

void *mosquitto_malloc(size_t size)
{
	uint64_t *block = malloc(size + 2 * sizeof *block);

	if (!block)
		return NULL;
	block[0] = BROKER_MAGIC;
	return block + 2;
}

void mosquitto_free(void *memory)
{
	uint64_t *block = memory;

	if (!block)
		return;
	block -= 2;
	fuzz_check(block[0] == BROKER_MAGIC);
	block[0] = 0;
	free(block);
}

/* --- what compat.c finds in a 2.1 --- */

static int broker_client_add(void *client)
{
	/* Begins with the client id, which the broker takes over. */
	char *id;

	memcpy(&id, client, sizeof id);
	mosquitto_free(id);
	return broker.refuses_sessions ? MOSQ_ERR_NOMEM : MOSQ_ERR_SUCCESS;
}

static int broker_msg_clear(const void *what)
{
	(void)what;
	broker.cleared++;
	return 0;
}

static char *broker_strdup(const char *text)
{
	char *copy = mosquitto_malloc(strlen(text) + 1);

	if (copy)
		memcpy(copy, text, strlen(text) + 1);
	return copy;
}

static int broker_accept(const void *what)
{
	(void)what;
	return 0;
}

static void broker_time_ns(void *seconds, long *ns)
{
	const int64_t now = 1;

	memcpy(seconds, &now, sizeof now);
	*ns = 0;
}

static void *broker_function(int (*function)(const void *))
{
	void *address;

	memcpy(&address, &function, sizeof address);
	return address;
}

static void *broker_dlsym(void *handle, const char *name)
{
	int (*add)(void *) = broker_client_add;
	char *(*duplicate)(const char *) = broker_strdup;
	void (*release)(void *) = mosquitto_free;
	void (*time_ns)(void *, long *) = broker_time_ns;
	void *address = NULL;

	(void)handle;
	if (!broker.is_21)
		return NULL;
	if (strcmp(name, "mosquitto_persist_client_add") == 0)
		memcpy(&address, &add, sizeof address);
	else if (strcmp(name, "mosquitto_strdup") == 0)
		memcpy(&address, &duplicate, sizeof address);
	else if (strcmp(name, "mosquitto_free") == 0)
		memcpy(&address, &release, sizeof address);
	else if (strcmp(name, "mosquitto_time_ns") == 0)
		memcpy(&address, &time_ns, sizeof address);
	else if (strcmp(name, "mosquitto_persist_client_msg_clear") == 0)
		address = broker_function(broker_msg_clear);
	else
		address = broker_function(broker_accept);
	return address;
}

#define dlsym broker_dlsym
#include "../../plugin/mosquitto/compat.c"
#undef dlsym

/* --- properties: libmosquitto's, but what they hand out is as the version has it --- */

/* libmosquitto's own function of a name that is defined here. */
static void *broker_original(const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);

	fuzz_check(found != NULL);
	return found;
}

static void *broker_hand_out(void *value, size_t len)
{
	char *copy;

	if (value)
		BROKER_GOT_FROM_LIBRARY();
	if (!broker.is_21 || !value)
		return value;
	if ((copy = mosquitto_malloc(len + 1)) != NULL) {
		memcpy(copy, value, len);
		copy[len] = '\0';
	}
	free(value);
	return copy;
}

const mosquitto_property *mosquitto_property_read_string(const mosquitto_property *list,
							 int identifier, char **value, bool skip)
{
	const mosquitto_property *(*original)(const mosquitto_property *, int, char **, bool);
	void *address = broker_original("mosquitto_property_read_string");
	const mosquitto_property *found;

	memcpy(&original, &address, sizeof original);
	if ((found = original(list, identifier, value, skip)) != NULL && *value)
		*value = broker_hand_out(*value, strlen(*value));
	return found;
}

const mosquitto_property *mosquitto_property_read_binary(const mosquitto_property *list,
							 int identifier, void **value,
							 uint16_t *len, bool skip)
{
	const mosquitto_property *(*original)(const mosquitto_property *, int, void **, uint16_t *,
					      bool);
	void *address = broker_original("mosquitto_property_read_binary");
	const mosquitto_property *found;

	memcpy(&original, &address, sizeof original);
	if ((found = original(list, identifier, value, len, skip)) != NULL && *value)
		*value = broker_hand_out(*value, *len);
	return found;
}

/* --- clients, log --- */

const char *mosquitto_client_id(const struct mosquitto *client)
{
	broker_check_thread();
	return client->id;
}

const char *mosquitto_client_username(const struct mosquitto *client)
{
	broker_check_thread();
	return client->username;
}

const char *mosquitto_client_address(const struct mosquitto *client)
{
	(void)client;
	broker_check_thread();
	return "192.0.2.1";	/* nobody's */
}

int mosquitto_client_protocol(const struct mosquitto *client)
{
	broker_check_thread();
	return client->protocol;
}

int mosquitto_client_protocol_version(const struct mosquitto *client)
{
	broker_check_thread();
	return client->protocol_version;
}

int mosquitto_client_sub_count(const struct mosquitto *client)
{
	broker_check_thread();
	(void)client;
	return 0;
}

__attribute__((format(printf, 2, 3)))
void mosquitto_log_printf(int level, const char *format, ...)
{
	char line[2048];
	va_list arguments;
	int len;

	broker_check_thread();
	va_start(arguments, format);
	len = vsnprintf(line, sizeof line, format, arguments);
	va_end(arguments);
	fuzz_check(len > 0 && (size_t)len < sizeof line && !strchr(line, '\n'));
	broker.errors += level == MOSQ_LOG_ERR;
	if (getenv("FT_FUZZ_LOG"))
		fprintf(stderr, "log %d: %s\n", level, line);
}

/* --- callbacks --- */

int mosquitto_callback_register(mosquitto_plugin_id_t *identifier, int event,
				MOSQ_FUNC_generic_callback callback, const void *event_data,
				void *userdata)
{
	broker_check_thread();
	(void)event_data;
	fuzz_check(identifier && callback);
	if (++broker.registered == broker.register_fails_at)
		return MOSQ_ERR_NOMEM;
	for (size_t i = 0; i < BROKER_CALLBACKS_MAX; i++) {
		if (broker.callbacks[i].callback)
			continue;
		broker.callbacks[i].event = event;
		broker.callbacks[i].callback = callback;
		broker.callbacks[i].userdata = userdata;
		return MOSQ_ERR_SUCCESS;
	}
	abort();
}

int mosquitto_callback_unregister(mosquitto_plugin_id_t *identifier, int event,
				  MOSQ_FUNC_generic_callback callback, const void *event_data)
{
	broker_check_thread();
	(void)identifier;
	(void)event_data;
	for (size_t i = 0; i < BROKER_CALLBACKS_MAX; i++) {
		if (broker.callbacks[i].event != event || broker.callbacks[i].callback != callback)
			continue;
		memset(&broker.callbacks[i], 0, sizeof broker.callbacks[i]);
		return MOSQ_ERR_SUCCESS;
	}
	return MOSQ_ERR_NOT_FOUND;
}

/* Raises an event; the first answer that is not "go on" counts. */
static int broker_raise(int event, void *event_data)
{
	for (size_t i = 0; i < BROKER_CALLBACKS_MAX; i++) {
		int rc;

		if (!broker.callbacks[i].callback || broker.callbacks[i].event != event)
			continue;
		rc = broker.callbacks[i].callback(event, event_data, broker.callbacks[i].userdata);
		if (rc != MOSQ_ERR_SUCCESS && rc != MOSQ_ERR_PLUGIN_DEFER)
			return rc;
	}
	return MOSQ_ERR_SUCCESS;
}

static size_t broker_callbacks_left(void)
{
	size_t count = 0;

	for (size_t i = 0; i < BROKER_CALLBACKS_MAX; i++)
		count += broker.callbacks[i].callback != NULL;
	return count;
}

/* --- publishing --- */

static void broker_check_response(const char *payload, int len)
{
	cJSON *json = cJSON_ParseWithLength(payload, (size_t)len);
	const char *topic = cJSON_GetStringValue(cJSON_GetObjectItem(json, "topic"));

	fuzz_check(cJSON_IsObject(json) && topic && strncmp(topic, "$file", 5) == 0);
	fuzz_check(cJSON_IsNumber(cJSON_GetObjectItem(json, "reason_code")));
	fuzz_check(cJSON_IsString(cJSON_GetObjectItem(json, "reason_description")));
	cJSON_Delete(json);
}

/* Two levels behind the prefix, whatever the ids are. */
static bool broker_is_event(const char *topic)
{
	const char *slash = strncmp(topic, "$file-event/", 12) == 0 ? strchr(topic + 12, '/') : NULL;

	return slash && slash > topic + 12 && slash[1] && !strchr(slash + 1, '/');
}

static void broker_check_event(const char *payload, int len)
{
	static const char *const uploads[] = { "id", "type", "at", "transfer_id", "name" };
	static const char *const downloads[] = { "type", "at", "path", "sha256", "modified_at" };
	cJSON *json = cJSON_ParseWithLength(payload, (size_t)len);
	const char *const *members = cJSON_HasObjectItem(json, "event") ? downloads : uploads;

	for (size_t i = 0; i < 5; i++)
		fuzz_check(cJSON_IsString(cJSON_GetObjectItem(json, members[i])));
	cJSON_Delete(json);
}

static void broker_check_topic(const char *topic)
{
	fuzz_check(strncmp(topic, "$file-response/", 15) == 0
		   || (broker.response_topic && strncmp(topic, broker.response_topic,
							strlen(broker.response_topic)) == 0));
}

int mosquitto_broker_publish(const char *client_id, const char *topic, int len, void *payload,
			     int qos, bool retain, mosquitto_property *properties)
{
	bool is_event = broker_is_event(topic);
	uint8_t is_text = 0;

	broker_check_thread();
	fuzz_check(!broker.cleaning_up && (payload || (client_id && len == 0)));
	fuzz_check(!payload || ((uint64_t *)payload)[-2] == BROKER_MAGIC);
	fuzz_check(mosquitto_pub_topic_check(topic) == MOSQ_ERR_SUCCESS);
	if (strncmp(topic, "$SYS/broker/file-transfer/", 26) == 0) {
		fuzz_check(qos == 0 && retain && !properties);
	} else if (client_id && strncmp(topic, "$file-data/", 11) == 0) {
		fuzz_check(qos == 0 && !retain && !properties);
		fuzz_check(strncmp(topic + 11, client_id, strlen(client_id)) == 0);
		broker.blocks++;
	} else if (client_id && ft_aws_topic_kind(topic) == FT_AWS_TOPIC_ANSWER) {
		fuzz_check(qos == 0 && !retain && !properties);
	} else if (!client_id && retain) {
		fuzz_check(qos == 1 && (strncmp(topic, "$file-offer/all/", 16) == 0
					|| strncmp(topic, "$file-report/", 13) == 0));
	} else {
		fuzz_check(qos == (client_id ? 0 : 1) && !retain);
		BROKER_OWN_BEGINS();
		if (is_event) {
			broker_check_event(payload, len);
		} else {
			broker_check_topic(topic);
			broker_check_response(payload, len);
		}
		BROKER_OWN_ENDS();
		fuzz_check(mosquitto_property_read_byte(properties, MQTT_PROP_PAYLOAD_FORMAT_INDICATOR,
							&is_text, false) && is_text == 1);
	}
	/* What is answered is counted. */
	if (!retain && !is_event && ++broker.published == broker.publish_fails_at) {
		broker.failed++;
		return MOSQ_ERR_NOMEM;
	}
	mosquitto_free(payload);
	mosquitto_property_free_all(&properties);
	return MOSQ_ERR_SUCCESS;
}

#endif
