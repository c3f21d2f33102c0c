/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
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

	memset(&identity, 0x5a, sizeof identity);
	ck_assert(ft_sink_identity_get(&identity, dir, NULL));
	ck_assert_uint_eq(strlen(identity.topic), 9);
	ck_assert_int_eq(identity.topic[0], '$');
	ck_assert_uint_gt(strlen(identity.client_id), 32);
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

START_TEST(test_sink_identity__differs_from_place_to_place)
{
	struct ft_sink_identity here = get(), there;

	ck_assert(ft_sink_identity_get(&there, NULL, NULL));
	ck_assert_str_ne(here.client_id, there.client_id);
	ck_assert_str_ne(here.topic, there.topic);
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
		ck_assert_str_ne(again.client_id, first.client_id);
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

	ck_assert(ft_sink_identity_get(&identity, "/proc/nowhere", NULL));
	ck_assert(!identity.kept);
	ck_assert_uint_eq(strlen(identity.topic), 9);
}
END_TEST

FT_SUITE_WITH("sink_identity", set_up, tear_down,
	 test_sink_identity__is_the_same_at_the_next_start,
	 test_sink_identity__differs_from_place_to_place,
	 test_sink_identity__is_for_the_owner_only,
	 test_sink_identity__is_made_anew_where_the_file_is_anything_else,
	 test_sink_identity__does_not_follow_links,
	 test_sink_identity__is_good_for_a_run_where_nothing_can_be_written);
