/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "protocol/options.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "../suite.h"

static struct ft_options options;
static char why[1024];

static bool set(const char *key, const char *value)
{
	struct ft_buf buf = ft_buf_on(why, sizeof why);

	return ft_options_set(&options, key, value, &buf);
}

static bool check(void)
{
	struct ft_buf buf = ft_buf_on(why, sizeof why);

	return ft_options_check(&options, &buf);
}

static void assert_refused(const char *key, const char *value)
{
	ft_options_init(&options);
	ck_assert_msg(!set(key, value), "%s %s", key, value);
	ck_assert_msg(strstr(why, key) != NULL, "%s", why);
	ft_options_release(&options);
}

START_TEST(test_options__have_the_documented_defaults)
{
	ft_options_init(&options);
	ck_assert(options.storage_dir == NULL && options.store == NULL);
	ck_assert(options.response_topics == NULL);
	ck_assert_int_eq(options.durability, FT_DURABILITY_FILE);
	ck_assert_int_eq(options.acl, FT_ACL_NONE);
	ck_assert_int_eq(options.ack_sink, FT_ACK_SINK_AUTO);
	ck_assert_int_eq(options.tune_malloc, 1);
	ck_assert_uint_eq(options.workers, 1);
	ck_assert_uint_eq(options.assemble_timeout, 300);
	ck_assert_uint_eq(options.max_file_size, 0);
	ck_assert_uint_eq(options.max_segment_size, 0);
	ck_assert_uint_eq(options.max_transfers, 10000);
	ck_assert_uint_eq(options.max_transfers_per_client, 100);
	ck_assert_uint_eq(options.min_free_space, 256 << 20);
	ck_assert_uint_eq(options.segments_ttl, 86400);
	ck_assert_uint_eq(options.segments_ttl_min, 300);
	ck_assert_uint_eq(options.segments_ttl_max, 86400);
	ck_assert_uint_eq(options.gc_interval, 60);
	ft_options_release(&options);
}
END_TEST

START_TEST(test_options__take_sizes_with_units)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{ "1", 1 }, { "1000", 1000 }, { "2k", 2048 }, { "2K", 2048 }, { "3M", 3 << 20 },
		{ "3m", 3 << 20 }, { "5G", (uint64_t)5 << 30 }, { "9223372036854775807", INT64_MAX },
	};

	ft_options_init(&options);
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		ck_assert(set("max_file_size", good[i].text));
		ck_assert_uint_eq(options.max_file_size, good[i].bytes);
	}
	ft_options_release(&options);
}
END_TEST

START_TEST(test_options__take_durations_with_units)
{
	static const struct {
		const char *text;
		uint64_t seconds;
	} good[] = {
		{ "7", 7 }, { "7s", 7 }, { "2m", 120 }, { "3h", 10800 }, { "2d", 172800 },
	};

	ft_options_init(&options);
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		ck_assert(set("segments_ttl", good[i].text));
		ck_assert_uint_eq(options.segments_ttl, good[i].seconds);
	}
	ft_options_release(&options);
}
END_TEST

START_TEST(test_options__take_words)
{
	ft_options_init(&options);
	ck_assert(set("durability", "none"));
	ck_assert_int_eq(options.durability, FT_DURABILITY_NONE);
	ck_assert(set("durability", "segment"));
	ck_assert_int_eq(options.durability, FT_DURABILITY_SEGMENT);
	ck_assert(set("acl", "guard-and-allow"));
	ck_assert_int_eq(options.acl, FT_ACL_GUARD_AND_ALLOW);
	ck_assert(set("ack_sink", "off"));
	ck_assert_int_eq(options.ack_sink, FT_ACK_SINK_OFF);
	ck_assert(set("tune_malloc", "false"));
	ck_assert_int_eq(options.tune_malloc, 0);
	ft_options_release(&options);
}
END_TEST

START_TEST(test_options__refuse_bad_values_and_name_them)
{
	static const struct {
		const char *key;
		const char *value;
	} bad[] = {
		{ "max_file_size", "" }, { "max_file_size", "0" }, { "max_file_size", "-1" },
		{ "max_file_size", "1x" }, { "max_file_size", "1 k" }, { "max_file_size", "k" },
		{ "max_file_size", "1kk" }, { "max_file_size", "9223372036854775808" },
		{ "max_file_size", "9007199254740992k" }, { "workers", "0" }, { "workers", "65" },
		{ "workers", "1k" }, { "workers", "two" }, { "gc_interval", "0" },
		{ "gc_interval", "2d" }, { "segments_ttl", "1y" }, { "durability", "disk" },
		{ "durability", "" }, { "acl", "Guard" }, { "ack_sink", "on" },
		{ "tune_malloc", "1" }, { "storage_dir", "" }, { "max_transfers", "0" },
		{ "storage_dirs", "/x" }, { "", "x" },
	};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_refused(bad[i].key, bad[i].value);
}
END_TEST

START_TEST(test_options__take_null_as_empty)
{
	ft_options_init(&options);
	ck_assert(!set("workers", NULL));
	ck_assert(!set("storage_dir", NULL));
	ft_options_release(&options);
}
END_TEST

START_TEST(test_options__keep_the_last_of_several)
{
	ft_options_init(&options);
	ck_assert(set("storage_dir", "/a") && set("storage_dir", "/b"));
	ck_assert_str_eq(options.storage_dir, "/b");
	ft_options_release(&options);
}
END_TEST

START_TEST(test_options__want_an_absolute_storage_dir)
{
	ft_options_init(&options);
	ck_assert(!check());
	ck_assert(strstr(why, "storage_dir") != NULL);
	ck_assert(set("storage_dir", "relative"));
	ck_assert(!check());
	ck_assert(set("storage_dir", "/absolute"));
	ck_assert(check());
	ft_options_release(&options);
}
END_TEST

START_TEST(test_options__want_ttl_bounds_in_order)
{
	ft_options_init(&options);
	ck_assert(set("storage_dir", "/a") && set("segments_ttl_min", "2h")
		  && set("segments_ttl_max", "1h"));
	ck_assert(!check());
	ck_assert(strstr(why, "segments_ttl_min") != NULL);
	ft_options_release(&options);
}
END_TEST

FT_SUITE("options",
	 test_options__have_the_documented_defaults,
	 test_options__take_sizes_with_units,
	 test_options__take_durations_with_units,
	 test_options__take_words,
	 test_options__refuse_bad_values_and_name_them,
	 test_options__take_null_as_empty,
	 test_options__keep_the_last_of_several,
	 test_options__want_an_absolute_storage_dir,
	 test_options__want_ttl_bounds_in_order);
