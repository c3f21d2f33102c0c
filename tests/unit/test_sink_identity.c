/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <mosquitto.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mosquitto/ack_sink_identity.h"
#include "../tree.h"
#include "../suite.h"

static char dir[64];
static char path[128];

static void set_up(void)
{
	ck_assert(tree_make(dir, sizeof dir, "ft-identity"));
	snprintf(path, sizeof path, "%s/ack-sink", dir);
}

static void tear_down(void)
{
	tree_remove(dir);
}

static void write_file(const char *text, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, len), (ssize_t)len);
	close(fd);
}

static struct ft_sink_identity get(void)
{
	struct ft_sink_identity identity;

	memset(&identity, 0, sizeof identity);
	ck_assert(ft_sink_identity_set_client(&identity, dir));
	ck_assert(ft_sink_identity_set_topic(&identity, dir, NULL));
	ck_assert_uint_eq(strlen(identity.topic), 9);
	ck_assert_int_eq(identity.topic[0], '$');
	return identity;
}

START_TEST(test_sink_identity__is_the_same_at_the_next_start)
{
	struct ft_sink_identity first = get(), second = get();

	ck_assert(!first.kept);
	ck_assert(second.kept);
	ck_assert_str_eq(first.client_id, second.client_id);
	ck_assert_str_eq(first.topic, second.topic);
}
END_TEST

/* A broker that persists sessions must find the same one again. */
START_TEST(test_sink_identity__has_the_same_client_after_the_directory_was_emptied)
{
	struct ft_sink_identity first = get(), second;

	ck_assert_int_eq(unlink(path), 0);
	second = get();
	ck_assert(!second.kept);
	ck_assert_str_eq(first.client_id, second.client_id);
	ck_assert_str_ne(first.topic, second.topic);
}
END_TEST

START_TEST(test_sink_identity__differs_from_place_to_place)
{
	struct ft_sink_identity here = get(), there;

	memset(&there, 0, sizeof there);
	ck_assert(ft_sink_identity_set_client(&there, NULL));
	ck_assert(ft_sink_identity_set_topic(&there, NULL, NULL));
	ck_assert_str_ne(here.client_id, there.client_id);
	ck_assert_str_ne(here.topic, there.topic);
	ck_assert(ft_sink_identity_set_client(&there, "/elsewhere"));
	ck_assert_str_ne(here.client_id, there.client_id);
}
END_TEST

/* MQTT forbids control characters, and Mosquitto refuses them: see section 1.5.4 of MQTT 5. */
START_TEST(test_sink_identity__is_a_client_id_that_no_client_can_send)
{
	struct ft_sink_identity identity = get();
	char spoken[FT_SINK_CLIENT_ROOM];
	size_t len = strlen(identity.client_id);

	ck_assert_ptr_nonnull(strchr(identity.client_id, '\t'));
	ck_assert_int_ne(mosquitto_validate_utf8(identity.client_id, (int)len), MOSQ_ERR_SUCCESS);
	ft_sink_identity_spoken(&identity, spoken);
	ck_assert_int_eq(mosquitto_validate_utf8(spoken, (int)len), MOSQ_ERR_SUCCESS);
	ck_assert_uint_eq(strlen(spoken), len);
}
END_TEST

START_TEST(test_sink_identity__is_for_the_owner_only)
{
	struct stat info;

	get();
	ck_assert_int_eq(stat(path, &info), 0);
	ck_assert_uint_eq(info.st_mode & 07777, 0600);
}
END_TEST

START_TEST(test_sink_identity__is_made_anew_where_the_file_is_anything_else)
{
	struct ft_sink_identity first = get(), again;
	char good[512], bad[512];
	int fd = open(path, O_RDONLY);
	ssize_t len = read(fd, good, sizeof good);

	close(fd);
	ck_assert_int_gt(len, 0);
	for (ssize_t i = 0; i < len; i++) {
		memcpy(bad, good, (size_t)len);
		bad[i] = bad[i] == '#' ? '+' : '#';
		write_file(bad, (size_t)len);
		again = get();
		ck_assert_msg(!again.kept, "byte %zd is not looked at", i);
		ck_assert_str_ne(again.topic, first.topic);
		memcpy(bad, good, (size_t)len);
		bad[i] = '\0';
		write_file(bad, (size_t)len);
		ck_assert_msg(!get().kept, "byte %zd may be NUL", i);
		write_file(good, (size_t)i);
		ck_assert_msg(!get().kept, "%zd bytes are enough", i);
	}
	good[len] = '\n';
	write_file(good, (size_t)len + 1);
	ck_assert(!get().kept);
	write_file(good, (size_t)len);
	ck_assert(get().kept);
}
END_TEST

START_TEST(test_sink_identity__does_not_follow_links)
{
	char target[160];
	struct stat info;

	snprintf(target, sizeof target, "%s/elsewhere", dir);
	get();
	ck_assert_int_eq(rename(path, target), 0);
	ck_assert_int_eq(symlink(target, path), 0);
	ck_assert(!get().kept);
	ck_assert_int_eq(lstat(path, &info), 0);
	ck_assert(S_ISREG(info.st_mode));
}
END_TEST

START_TEST(test_sink_identity__is_good_for_a_run_where_nothing_can_be_written)
{
	struct ft_sink_identity identity;

	memset(&identity, 0, sizeof identity);
	ck_assert(ft_sink_identity_set_topic(&identity, "/proc/nowhere", NULL));
	ck_assert(!identity.kept);
	ck_assert_uint_eq(strlen(identity.topic), 9);
}
END_TEST

FT_SUITE_WITH("sink_identity", set_up, tear_down,
	 test_sink_identity__is_the_same_at_the_next_start,
	 test_sink_identity__has_the_same_client_after_the_directory_was_emptied,
	 test_sink_identity__is_a_client_id_that_no_client_can_send,
	 test_sink_identity__differs_from_place_to_place,
	 test_sink_identity__is_for_the_owner_only,
	 test_sink_identity__is_made_anew_where_the_file_is_anything_else,
	 test_sink_identity__does_not_follow_links,
	 test_sink_identity__is_good_for_a_run_where_nothing_can_be_written);
