/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "mosquitto/compat.h"

#include <dlfcn.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* As in mosquitto/broker.h of 2.1. */
struct client_21 {
	char *clientid;
	char *username;
	char *auth_method;
	time_t will_delay_time;
	time_t session_expiry_time;
	uint32_t will_delay_interval;
	uint32_t session_expiry_interval;
	uint32_t max_packet_size;
	uint16_t listener_port;
	uint8_t max_qos;
	bool retain_available;
	void *future2[8];
};

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

typedef int client_add_21(struct client_21 *client);
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

bool ft_compat_session_add(const char *client_id, uint32_t expiry_s)
{
	client_add_21 *add = NULL;
	strdup_21 *duplicate = NULL;
	struct client_21 client = {
		.session_expiry_time = time(NULL) + expiry_s,
		.session_expiry_interval = expiry_s,
		.retain_available = true,
	};
	int rc;

	LOOK_UP(add, "mosquitto_persist_client_add");
	LOOK_UP(duplicate, "mosquitto_strdup");
	if (!add || !duplicate)
		return false;
	client.clientid = duplicate(client_id);
	if (!client.clientid)
		return false;
	rc = add(&client);	/* takes the id over, also when it fails */
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
