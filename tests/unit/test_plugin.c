/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What the plugin says to the broker, where no real one can be brought to ask. */
#include <check.h>

#include "../fuzz/broker.h"
#include "../suite.h"
#include "../tree.h"

static struct mosquitto client = { "c", "u", 5, mp_mqtt };
static char dir[64];
static void *userdata;
static int identity;

static int start_with(bool is_21, bool refuses_sessions, const char *key, const char *value)
{
	struct mosquitto_opt options[] = {
		{ "storage_dir", dir }, { (char *)(uintptr_t)key, (char *)(uintptr_t)value },
	};

	ck_assert(tree_make(dir, sizeof dir, "ft-plugin"));
	memset(&broker, 0, sizeof broker);
	broker.thread = pthread_self();
	broker.is_21 = is_21;
	broker.refuses_sessions = refuses_sessions;
	return mosquitto_plugin_init((mosquitto_plugin_id_t *)&identity, &userdata, options,
				     key ? 2 : 1);
}

static int start(bool is_21, const char *key, const char *value)
{
	return start_with(is_21, false, key, value);
}

static void stop(void)
{
	broker.cleaning_up = true;
	ck_assert_int_eq(mosquitto_plugin_cleanup(userdata, NULL, 0), MOSQ_ERR_SUCCESS);
	ck_assert_uint_eq(broker_callbacks_left(), 0);
	tree_remove(dir);
}

/* Returns the callback's answer; `to` is what became of the topic. */
static int publish(const char *topic, char *to, size_t room)
{
	struct mosquitto_evt_message message = { .client = &client, .topic = to, .qos = 1 };

	snprintf(to, room, "%s", topic);
	return broker_raise(MOSQ_EVT_MESSAGE, &message);
}

START_TEST(test_plugin__is_of_version_5)
{
	ck_assert_int_eq(mosquitto_plugin_version(3, (int[]){ 3, 4, 5 }), 5);
	ck_assert_int_eq(mosquitto_plugin_version(2, (int[]){ 3, 4 }), -1);
	ck_assert_int_eq(mosquitto_plugin_version(0, NULL), -1);
}
END_TEST

START_TEST(test_plugin__says_which_stores_there_are)
{
	ck_assert_int_eq(start(false, "store", "tape"), MOSQ_ERR_INVAL);
	ck_assert_uint_eq(broker.errors, 1);
	ck_assert_int_eq(mosquitto_plugin_cleanup(NULL, NULL, 0), MOSQ_ERR_SUCCESS);
	ck_assert_uint_eq(broker_callbacks_left(), 0);
	tree_remove(dir);
}
END_TEST

/* With queue_qos0_messages each command leaves something there. */
START_TEST(test_plugin__empties_its_sessions_queue_now_and_then)
{
	char topic[64];

	ck_assert_int_eq(start(true, NULL, NULL), MOSQ_ERR_SUCCESS);
	for (int i = 0; i < 4096; i++) {
		ck_assert_uint_eq(broker.cleared, 0);
		ck_assert_int_eq(publish("$file/f/status", topic, sizeof topic), MOSQ_ERR_SUCCESS);
	}
	ck_assert_uint_eq(broker.cleared, 1);
	stop();
}
END_TEST

START_TEST(test_plugin__starts_where_the_broker_makes_no_session_for_it)
{
	char topic[64];

	ck_assert_int_eq(start_with(true, true, NULL, NULL), MOSQ_ERR_SUCCESS);
	ck_assert_int_eq(publish("$file/f/status", topic, sizeof topic), MOSQ_ERR_SUCCESS);
	ck_assert_uint_eq(broker.published, 1);
	stop();
}
END_TEST

/* A later API may ask for what this one does not know; the answer is that of foreign topics. */
START_TEST(test_plugin__decides_nothing_about_unknown_accesses)
{
	struct mosquitto_evt_acl_check check = {
		.client = &client, .topic = "$file-response/other", .access = 0x100,
	};

	ck_assert_int_eq(start(true, "acl", "guard-and-allow"), MOSQ_ERR_SUCCESS);
	ck_assert_int_eq(broker_raise(MOSQ_EVT_ACL_CHECK, &check), MOSQ_ERR_SUCCESS);
	check.access = MOSQ_ACL_SUBSCRIBE;
	ck_assert_int_eq(broker_raise(MOSQ_EVT_ACL_CHECK, &check), MOSQ_ERR_ACL_DENIED);
	stop();
}
END_TEST

FT_SUITE("plugin",
	 test_plugin__is_of_version_5,
	 test_plugin__says_which_stores_there_are,
	 test_plugin__empties_its_sessions_queue_now_and_then,
	 test_plugin__starts_where_the_broker_makes_no_session_for_it,
	 test_plugin__decides_nothing_about_unknown_accesses);
