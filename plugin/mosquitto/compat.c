/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "mosquitto/compat.h"

#include <dlfcn.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/*
 * As in mosquitto/broker.h of 2.1. It has `time_t`, which on 32-bit machines may have 32 bits in
 * the broker (Debian's i386) and 64 here (_TIME_BITS), or the other way round: both are declared,
 * and the broker is asked which one is its own.
 */
#define CLIENT_21(name, seconds) \
	struct name { \
		char *clientid; \
		char *username; \
		char *auth_method; \
		seconds will_delay_time; \
		seconds session_expiry_time; \
		uint32_t will_delay_interval; \
		uint32_t session_expiry_interval; \
		uint32_t max_packet_size; \
		uint16_t listener_port; \
		uint8_t max_qos; \
		bool retain_available; \
		void *future2[8]; \
	}
CLIENT_21(client_21_time64, int64_t);
CLIENT_21(client_21_time32, int32_t);

struct subscription_21 {
	char *clientid;
	char *topic_filter;
	void *properties;
	uint32_t identifier;
	uint8_t options;
	uint8_t padding[3];
	void *future2[8];
};

struct client_msg_21 {
	const char *clientid;
	uint64_t cmsg_id;
	uint64_t store_id;
	uint32_t subscription_identifier;
	uint16_t mid;
	uint8_t qos;
	bool retain;
	uint8_t dup;
	uint8_t direction;
	uint8_t state;
	uint8_t padding[5];
	void *future2[8];
};

/* mosq_bmd_out: messages from the broker to the client. */
#define DIRECTION_OUT 1

/* MOSQ_ERR_INVAL, which 2.1 answers where a client of that id exists. */
#define ALREADY_THERE 3

typedef int client_add_21(void *client);
typedef void time_ns_21(void *seconds, long *ns);
typedef int subscription_add_21(const struct subscription_21 *subscription);
typedef int msg_clear_21(struct client_msg_21 *msg);
typedef char *strdup_21(const char *text);

/* dlsym() returns an object pointer; POSIX promises that it holds a function's address. */
#define LOOK_UP(variable, name) \
	do { \
		void *found_ = dlsym(RTLD_DEFAULT, name); \
		memcpy(&(variable), &found_, sizeof (variable)); \
	} while (0)

bool ft_compat_is_21(void)
{
	return dlsym(RTLD_DEFAULT, "mosquitto_persist_client_add") != NULL;
}

ft_compat_free *ft_compat_property_free(void)
{
	ft_compat_free *release = NULL;

	if (ft_compat_is_21())
		LOOK_UP(release, "mosquitto_free");
	return release ? release : free;
}

/* By a function that writes one through a pointer: so much of eight bytes is its time_t. */
static size_t compat_time_size(void)
{
	static const unsigned char untouched[4] = { 0xa5, 0xa5, 0xa5, 0xa5 };
	unsigned char seconds[8];
	time_ns_21 *time_ns = NULL;
	long ns = 0;

	LOOK_UP(time_ns, "mosquitto_time_ns");
	if (!time_ns)
		return sizeof (time_t);
	memset(seconds, untouched[0], sizeof seconds);
	time_ns(seconds, &ns);
	return memcmp(seconds + 4, untouched, sizeof untouched) == 0 ? 4 : 8;
}

static int64_t compat_expiry(uint32_t expiry_s)
{
	return (int64_t)time(NULL) + expiry_s;
}

static int compat_add_time64(client_add_21 *add, char *client_id, uint32_t expiry_s)
{
	struct client_21_time64 client = {
		.clientid = client_id,
		.session_expiry_time = compat_expiry(expiry_s),
		.session_expiry_interval = expiry_s,
		.retain_available = true,
	};

	return add(&client);
}

static int compat_add_time32(client_add_21 *add, char *client_id, uint32_t expiry_s)
{
	int64_t expiry = compat_expiry(expiry_s);
	struct client_21_time32 client = {
		.clientid = client_id,
		.session_expiry_time = expiry < INT32_MAX ? (int32_t)expiry : INT32_MAX,
		.session_expiry_interval = expiry_s,
		.retain_available = true,
	};

	return add(&client);
}

bool ft_compat_session_add(const char *client_id, uint32_t expiry_s)
{
	client_add_21 *add = NULL;
	strdup_21 *duplicate = NULL;
	char *id;
	int rc;

	LOOK_UP(add, "mosquitto_persist_client_add");
	LOOK_UP(duplicate, "mosquitto_strdup");
	if (!add || !duplicate || !(id = duplicate(client_id)))
		return false;
	/* It takes the id over, also when it fails. */
	rc = compat_time_size() == 4 ? compat_add_time32(add, id, expiry_s)
				     : compat_add_time64(add, id, expiry_s);
	return rc == 0 || rc == ALREADY_THERE;
}

bool ft_compat_session_subscribe(const char *client_id, const char *topic)
{
	subscription_add_21 *add = NULL;
	char *id = strdup(client_id), *filter = strdup(topic);
	struct subscription_21 subscription = { .clientid = id, .topic_filter = filter };
	bool done = false;

	LOOK_UP(add, "mosquitto_subscription_add");
	if (add && id && filter)
		done = add(&subscription) == 0;
	free(id);
	free(filter);
	return done;
}

void ft_compat_session_clear(const char *client_id)
{
	msg_clear_21 *clear = NULL;
	struct client_msg_21 msg = { .clientid = client_id, .direction = DIRECTION_OUT };

	LOOK_UP(clear, "mosquitto_persist_client_msg_clear");
	if (clear)
		clear(&msg);
}
