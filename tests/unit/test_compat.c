/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The session call of Mosquitto 2.1, whose structure has members of type time_t: brokers of
 * either width have to find in it what was meant.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../suite.h"

/* As a broker declares it whose time_t is that wide. */
#define BROKER_CLIENT(name, seconds) \
	struct name { \
		char *clientid, *username, *auth_method; \
		seconds will_delay_time, session_expiry_time; \
		uint32_t will_delay_interval, session_expiry_interval, max_packet_size; \
		uint16_t listener_port; \
		uint8_t max_qos; \
		bool retain_available; \
		void *future2[8]; \
	}
BROKER_CLIENT(broker_client_32, int32_t);
BROKER_CLIENT(broker_client_64, int64_t);

static struct {
	int64_t expiry_time, will_delay_time;
	uint32_t expiry, will_delay, max_packet;
	unsigned port, max_qos;
	bool retain;
	char id[100];
} seen;
static bool has_time_ns;

#define SEE(client) \
	do { \
		seen.expiry_time = (client)->session_expiry_time; \
		seen.will_delay_time = (client)->will_delay_time; \
		seen.expiry = (client)->session_expiry_interval; \
		seen.will_delay = (client)->will_delay_interval; \
		seen.max_packet = (client)->max_packet_size; \
		seen.port = (client)->listener_port; \
		seen.max_qos = (client)->max_qos; \
		seen.retain = (client)->retain_available; \
		snprintf(seen.id, sizeof seen.id, "%s", (client)->clientid); \
		free((client)->clientid); \
	} while (0)

static int add_32(struct broker_client_32 *client)
{
	SEE(client);
	return 0;
}

static int add_64(struct broker_client_64 *client)
{
	SEE(client);
	return 0;
}

static void time_ns_32(int32_t *seconds, long *ns)
{
	*seconds = 4711;
	*ns = 0;
}

static void time_ns_64(int64_t *seconds, long *ns)
{
	*seconds = 4711;
	*ns = 0;
}

static bool is_32;

#define ADDRESS(function) memcpy(&address, &(void (*)(void)){ (void (*)(void))(function) }, sizeof address)

static void *fake_dlsym(void *handle, const char *name)
{
	void *address = NULL;

	(void)handle;
	if (strcmp(name, "mosquitto_strdup") == 0)
		ADDRESS(strdup);
	else if (strcmp(name, "mosquitto_persist_client_add") == 0 && is_32)
		ADDRESS(add_32);
	else if (strcmp(name, "mosquitto_persist_client_add") == 0)
		ADDRESS(add_64);
	else if (strcmp(name, "mosquitto_time_ns") == 0 && has_time_ns && is_32)
		ADDRESS(time_ns_32);
	else if (strcmp(name, "mosquitto_time_ns") == 0 && has_time_ns)
		ADDRESS(time_ns_64);
	return address;
}

#define dlsym fake_dlsym
#include "../../plugin/mosquitto/compat.c"
#undef dlsym

static void assert_meant(uint32_t expiry)
{
	ck_assert_str_eq(seen.id, "session");
	ck_assert_uint_eq(seen.expiry, expiry);
	ck_assert_int_eq(seen.will_delay_time, 0);
	ck_assert_uint_eq(seen.will_delay, 0);
	ck_assert_uint_eq(seen.max_packet, 0);
	ck_assert_uint_eq(seen.port, 0);
	ck_assert_uint_eq(seen.max_qos, 0);
	ck_assert(seen.retain);
}

START_TEST(test_compat__session_is_understood_by_a_broker_with_time_of_32_bits)
{
	is_32 = has_time_ns = true;
	ck_assert(ft_compat_session_add("session", UINT32_MAX));
	assert_meant(UINT32_MAX);
	/* What ends after 2038 does so at the last second there is, not before 1970. */
	ck_assert_int_eq(seen.expiry_time, INT32_MAX);
	ck_assert(ft_compat_session_add("session", 60));
	assert_meant(60);
	ck_assert_int_le(llabs(seen.expiry_time - ((int64_t)time(NULL) + 60)), 5);
}
END_TEST

START_TEST(test_compat__session_is_understood_by_a_broker_with_time_of_64_bits)
{
	has_time_ns = true;
	ck_assert(ft_compat_session_add("session", UINT32_MAX));
	assert_meant(UINT32_MAX);
	ck_assert_int_gt(seen.expiry_time, UINT32_MAX);
}
END_TEST

START_TEST(test_compat__session_takes_our_own_time_where_the_broker_cannot_be_asked)
{
	is_32 = sizeof (time_t) == 4;
	ck_assert(ft_compat_session_add("session", 60));
	assert_meant(60);
}
END_TEST

FT_SUITE("compat", test_compat__session_is_understood_by_a_broker_with_time_of_32_bits,
	 test_compat__session_is_understood_by_a_broker_with_time_of_64_bits,
	 test_compat__session_takes_our_own_time_where_the_broker_cannot_be_asked);
