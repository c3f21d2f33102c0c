/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <check.h>
#include <stdbool.h>

#include "protocol/guard.h"

#include "../suite.h"

static void read_is(const char *topic, const char *client, enum ft_guard_verdict verdict)
{
	ck_assert_msg(ft_guard_check(FT_GUARD_READ, topic, client) == verdict, "%s", topic);
}

static void write_is(const char *topic, enum ft_guard_verdict verdict)
{
	ck_assert_msg(ft_guard_check(FT_GUARD_WRITE, topic, "me") == verdict, "%s", topic);
	ck_assert_msg(ft_guard_check(FT_GUARD_WRITE, topic, NULL) == verdict, "%s", topic);
}

static void subscribe_is(const char *filter, const char *client, enum ft_guard_verdict verdict)
{
	ck_assert_msg(ft_guard_check(FT_GUARD_SUBSCRIBE, filter, client) == verdict, "%s", filter);
}

/* The same filter plainly and shared. */
static void any_subscribe_is(const char *filter, enum ft_guard_verdict verdict)
{
	char shared[256];

	subscribe_is(filter, "me", verdict);
	subscribe_is(filter, NULL, verdict);
	snprintf(shared, sizeof shared, "$share/group/%s", filter);
	subscribe_is(shared, "me", verdict);
	snprintf(shared, sizeof shared, "$share//%s", filter);
	subscribe_is(shared, "me", verdict);
}

START_TEST(test_guard__denies_subscribing_to_commands)
{
	static const char *const filters[] = {
		"$file/#", "$file/+", "$file/+/#", "$file/f1/init", "$file/+/init", "$file/",
		"$file//", "$file/f1/0", "$file/me/#", "$file-async/#", "$file-async/+/+",
		"$file-async/", "$file-async/f1/fin/3", "$ft-ack", "$ft-ack/#",
	};

	for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++)
		any_subscribe_is(filters[i], FT_GUARD_DENY);
}
END_TEST

START_TEST(test_guard__allows_subscribing_to_ones_own_responses)
{
	subscribe_is("$file-response/me", "me", FT_GUARD_ALLOW);
	subscribe_is("$file-response/a/b", "a/b", FT_GUARD_ALLOW);
	subscribe_is("$file-response//etc/passwd", "/etc/passwd", FT_GUARD_ALLOW);
	subscribe_is("$file-response/$share/g/x", "$share/g/x", FT_GUARD_ALLOW);
	subscribe_is("$file-response/\xf0\x9f\x92\xa9", "\xf0\x9f\x92\xa9", FT_GUARD_ALLOW);
}
END_TEST

START_TEST(test_guard__denies_subscribing_to_responses_of_others)
{
	static const char *const filters[] = {
		"$file-response/you", "$file-response/", "$file-response/#", "$file-response/+",
		"$file-response/+/#", "$file-response/me/#", "$file-response/me/+",
		"$file-response/me/", "$file-response/m", "$file-response/mee",
		"$file-response/ME", "$file-response//me", "$file-response/+/me",
	};

	for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++)
		any_subscribe_is(filters[i], FT_GUARD_DENY);
}
END_TEST

START_TEST(test_guard__denies_sharing_ones_own_responses)
{
	subscribe_is("$share/g/$file-response/me", "me", FT_GUARD_DENY);
	subscribe_is("$share//$file-response/me", "me", FT_GUARD_DENY);
	subscribe_is("$share/$file-response/$file-response/me", "me", FT_GUARD_DENY);
}
END_TEST

START_TEST(test_guard__gives_no_responses_to_clients_named_like_wildcards)
{
	subscribe_is("$file-response/#", "#", FT_GUARD_DENY);
	subscribe_is("$file-response/+", "+", FT_GUARD_DENY);
	subscribe_is("$file-response/a/#", "a/#", FT_GUARD_DENY);
	subscribe_is("$file-response/a+", "a+", FT_GUARD_DENY);
	subscribe_is("$file-response/+/b", "+/b", FT_GUARD_DENY);
}
END_TEST

START_TEST(test_guard__gives_no_responses_to_clients_without_a_name)
{
	subscribe_is("$file-response/", "", FT_GUARD_DENY);
	subscribe_is("$file-response/", NULL, FT_GUARD_DENY);
	subscribe_is("$file-response/me", NULL, FT_GUARD_DENY);
	read_is("$file-response/", "", FT_GUARD_DENY);
	read_is("$file-response/", NULL, FT_GUARD_DENY);
	read_is("$file-response/me", NULL, FT_GUARD_DENY);
}
END_TEST

START_TEST(test_guard__leaves_other_subscriptions_to_others)
{
	static const char *const filters[] = {
		"#", "+", "+/#", "+/+/+", "+/f1/init", "+/me", "a/b", "/", "", "/$file/x",
		"$file", "$file-async", "$file-response", "$filex/#", "$file-other/#", "$File/#",
		"$FILE/#", "file/#", " $file/#", "$SYS/#", "$SYS/$file/#", "a/$file/#",
	};

	for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++)
		any_subscribe_is(filters[i], FT_GUARD_FOREIGN);
}
END_TEST

START_TEST(test_guard__sees_only_real_shared_subscriptions_as_shared)
{
	subscribe_is("$share", "me", FT_GUARD_FOREIGN);
	subscribe_is("$share/", "me", FT_GUARD_FOREIGN);
	subscribe_is("$share/$file", "me", FT_GUARD_FOREIGN);
	subscribe_is("$share/g/", "me", FT_GUARD_FOREIGN);
	subscribe_is("$share/$file/x", "me", FT_GUARD_FOREIGN);
	subscribe_is("$shared/g/$file/#", "me", FT_GUARD_FOREIGN);
	subscribe_is("$SHARE/g/$file/#", "me", FT_GUARD_FOREIGN);
	subscribe_is("$share/g//$file/#", "me", FT_GUARD_FOREIGN);
	subscribe_is("$share/+/$file/#", "me", FT_GUARD_DENY);
}
END_TEST

START_TEST(test_guard__denies_reading_commands)
{
	read_is("$file/f1/0", "me", FT_GUARD_DENY);
	read_is("$file/", "me", FT_GUARD_DENY);
	read_is("$ft-ack", "me", FT_GUARD_DENY);
	read_is("$file-async/f1/init", "me", FT_GUARD_DENY);
	read_is("$file-async/", NULL, FT_GUARD_DENY);
}
END_TEST

START_TEST(test_guard__lets_a_client_read_its_own_responses_only)
{
	read_is("$file-response/me", "me", FT_GUARD_ALLOW);
	read_is("$file-response/a/b", "a/b", FT_GUARD_ALLOW);
	read_is("$file-response/you", "me", FT_GUARD_DENY);
	read_is("$file-response/me/x", "me", FT_GUARD_DENY);
	read_is("$file-response/mee", "me", FT_GUARD_DENY);
	read_is("$file-response/m", "me", FT_GUARD_DENY);
	read_is("$file-response/you", "+", FT_GUARD_DENY);
}
END_TEST

START_TEST(test_guard__leaves_reading_of_the_rest_to_others)
{
	read_is("a/b", "me", FT_GUARD_FOREIGN);
	read_is("", "me", FT_GUARD_FOREIGN);
	read_is("$file", "me", FT_GUARD_FOREIGN);
	read_is("$filex/y", "me", FT_GUARD_FOREIGN);
	read_is("$ft-acks", "me", FT_GUARD_FOREIGN);
	read_is("$file-response", "me", FT_GUARD_FOREIGN);
	read_is("$share/g/$file/x", "me", FT_GUARD_FOREIGN);
	read_is("$SYS/broker/file-transfer/x", "me", FT_GUARD_FOREIGN);
}
END_TEST

START_TEST(test_guard__wants_a_grant_for_events)
{
	any_subscribe_is("$file-event/#", FT_GUARD_GRANTED);
	read_is("$file-event/me/f1", "me", FT_GUARD_GRANTED);
	read_is("$file-event", "me", FT_GUARD_FOREIGN);
	read_is("$file-events/me/f1", "me", FT_GUARD_FOREIGN);
}
END_TEST

static void own_event_is(const char *topic, const char *owner, bool own)
{
	ck_assert_msg(ft_guard_is_own_event(topic, owner, strlen(owner)) == own, "%s of %s", topic,
		      owner);
}

START_TEST(test_guard__knows_a_clients_own_events)
{
	own_event_is("$file-event/me/f1", "me", true);
	own_event_is("$file-event/me/#", "me", true);
	own_event_is("$file-event/me/+", "me", true);
	own_event_is("$file-event/a%2Fb%2B/f1", "a/b+", true);
	own_event_is("$file-event/me", "me", false);
	own_event_is("$file-event/me2/f1", "me", false);
	own_event_is("$file-event/m/f1", "me", false);
	own_event_is("$file-event/+/f1", "+", false);
	own_event_is("$file-event/#", "#", false);
	own_event_is("$file-event/a/b/f1", "a/b", false);
	own_event_is("$share/me/$file-event/me/f1", "me", false);
	own_event_is("$file-response/me/f1", "me", false);
}
END_TEST

START_TEST(test_guard__denies_forging_responses_and_events)
{
	write_is("$file-response/me", FT_GUARD_DENY);
	write_is("$file-response/you", FT_GUARD_DENY);
	write_is("$file-response/", FT_GUARD_DENY);
	write_is("$file-event/me/f1", FT_GUARD_DENY);
	write_is("$file-event/", FT_GUARD_DENY);
}
END_TEST

START_TEST(test_guard__leaves_sending_of_commands_to_others)
{
	write_is("$file/f1/init", FT_GUARD_FOREIGN);
	write_is("$file/f1/0", FT_GUARD_FOREIGN);
	write_is("$file-async/f1/fin/7", FT_GUARD_FOREIGN);
	write_is("$file", FT_GUARD_FOREIGN);
	write_is("$filex/f1", FT_GUARD_FOREIGN);
	write_is("$file-events/f1", FT_GUARD_FOREIGN);
	write_is("$file-response", FT_GUARD_FOREIGN);
	write_is("a/$file-response/me", FT_GUARD_FOREIGN);
	write_is("a/b", FT_GUARD_FOREIGN);
}
END_TEST

START_TEST(test_guard__never_stops_unsubscribing)
{
	static const char *const filters[] = {
		"$file/#", "$file-response/you", "$file-response/#", "$share/g/$file/#", "#", "",
	};

	for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++) {
		ck_assert_int_eq(ft_guard_check(FT_GUARD_UNSUBSCRIBE, filters[i], "me"),
				 FT_GUARD_FOREIGN);
		ck_assert_int_eq(ft_guard_check(FT_GUARD_UNSUBSCRIBE, filters[i], NULL),
				 FT_GUARD_FOREIGN);
	}
}
END_TEST

/* Whatever matches a command, by the rules of MQTT, must be refused, and nothing else. */
static bool matches(const char *filter, const char *topic)
{
	if ((filter[0] == '+' || filter[0] == '#') && topic[0] == '$')
		return false;
	for (;;) {
		size_t filter_len = strcspn(filter, "/");
		size_t topic_len = strcspn(topic, "/");

		if (filter[0] == '#')
			return true;
		if (!(filter_len == 1 && filter[0] == '+') &&
		    (filter_len != topic_len || memcmp(filter, topic, topic_len) != 0))
			return false;
		filter += filter_len;
		topic += topic_len;
		if (*topic == '\0')
			return *filter == '\0' || strcmp(filter, "/#") == 0;
		if (*filter == '\0')
			return false;
		filter++;
		topic++;
	}
}

START_TEST(test_guard__denies_whatever_would_match_a_command)
{
	static const char *const words[] = { "$file", "$file-async", "+", "#", "f", "0", "" };
	static const char *const topics[] = {
		"$file/f/0", "$file-async/f/0", "$file/", "$file-async//0", "$file/f",
	};
	const size_t count = sizeof words / sizeof words[0];
	unsigned matched = 0;

	for (size_t i = 0; i < count * count * count; i++) {
		char filter[64];
		enum ft_guard_verdict verdict;

		snprintf(filter, sizeof filter, "%s/%s/%s", words[i % count],
			 words[i / count % count], words[i / count / count]);
		/* '#' is the last level, or the broker has refused it before. */
		if (strstr(filter, "#/"))
			continue;
		verdict = ft_guard_check(FT_GUARD_SUBSCRIBE, filter, "me");
		for (size_t j = 0; j < sizeof topics / sizeof topics[0]; j++) {
			if (!matches(filter, topics[j]))
				continue;
			matched++;
			ck_assert_msg(verdict == FT_GUARD_DENY, "%s", filter);
		}
		ck_assert_msg((verdict == FT_GUARD_DENY) == (filter[0] == '$'), "%s", filter);
	}
	ck_assert_uint_gt(matched, 10);
}
END_TEST

FT_SUITE("guard",
	 test_guard__denies_subscribing_to_commands,
	 test_guard__allows_subscribing_to_ones_own_responses,
	 test_guard__denies_subscribing_to_responses_of_others,
	 test_guard__denies_sharing_ones_own_responses,
	 test_guard__gives_no_responses_to_clients_named_like_wildcards,
	 test_guard__gives_no_responses_to_clients_without_a_name,
	 test_guard__leaves_other_subscriptions_to_others,
	 test_guard__sees_only_real_shared_subscriptions_as_shared,
	 test_guard__denies_reading_commands,
	 test_guard__lets_a_client_read_its_own_responses_only,
	 test_guard__leaves_reading_of_the_rest_to_others,
	 test_guard__wants_a_grant_for_events,
	 test_guard__knows_a_clients_own_events,
	 test_guard__denies_forging_responses_and_events,
	 test_guard__leaves_sending_of_commands_to_others,
	 test_guard__never_stops_unsubscribing,
	 test_guard__denies_whatever_would_match_a_command);
