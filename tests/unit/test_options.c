/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "protocol/options.h"

#include <check.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
	ck_assert(options.log_dir == NULL);
	ck_assert_uint_eq(options.log_size, 32 << 20);
	ck_assert_int_eq(options.owner, FT_OWNER_CLIENT_ID);
	ck_assert_int_eq(options.finished_ids, FT_FINISHED_IDS_KEEP);
	ck_assert_int_eq(options.deduplicate, FT_DEDUPLICATE_OFF);
	ck_assert(options.on_complete == NULL);
	ck_assert_int_eq(options.done, FT_DONE_OFF);
	ck_assert_int_eq(options.segment_responses, FT_RESPONSES_ALL);
	ck_assert_uint_eq(options.max_memory, 64 << 20);
	ck_assert(options.response_topics == NULL);
	ck_assert_int_eq(options.durability, FT_DURABILITY_FILE);
	ck_assert_int_eq(options.acl, FT_ACL_NONE);
	ck_assert_int_eq(options.ack_sink, FT_ACK_SINK_AUTO);
	ck_assert_int_eq(options.tune_malloc, 1);
	ck_assert_uint_eq(options.workers, 2);
	ck_assert_uint_eq(options.assemble_timeout, 300);
	ck_assert_uint_eq(options.limits.max_file_size, 0);
	ck_assert_uint_eq(options.limits.storage_quota, 0);
	ck_assert_uint_eq(options.limits.client_quota, 0);
	ck_assert_uint_eq(options.limits.client_bandwidth, 0);
	ck_assert_uint_eq(options.limits.client_rate, 0);
	ck_assert(!options.limits_file && !options.allow_names && !options.deny_names);
	ck_assert_uint_eq(options.max_transfers, 10000);
	ck_assert_uint_eq(options.limits.max_transfers_per_client, 100);
	ck_assert_uint_eq(options.min_free_space, 256 << 20);
	ck_assert_uint_eq(options.segments_ttl, 86400);
	ck_assert_uint_eq(options.segments_ttl_min, 300);
	ck_assert_uint_eq(options.segments_ttl_max, 86400);
	ck_assert_uint_eq(options.files_ttl, 0);
	ck_assert_uint_eq(options.gc_interval, 60);
	ck_assert_uint_eq(options.sys_interval, 10);
	ck_assert_int_eq(options.downloads, 0);
	ck_assert_int_eq(options.announce, 1);
	ck_assert_uint_eq(options.offers_interval, 10);
	ck_assert_uint_eq(options.max_block, 64 << 10);
	ck_assert_uint_eq(options.max_requests_per_client, 64);
	ck_assert_uint_eq(options.download_workers, 2);
	ck_assert_uint_eq(options.client_download_bandwidth, 0);
	ck_assert_uint_eq(options.download_bandwidth, 0);
	ck_assert(set("storage_dir", "/a") && check());
	ck_assert_uint_eq(options.limits.max_segment_size, 16 << 20);
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

	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		ft_options_init(&options);
		ck_assert(set("max_file_size", good[i].text));
		ck_assert_uint_eq(options.limits.max_file_size, good[i].bytes);
		ft_options_release(&options);
	}
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

	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		ft_options_init(&options);
		ck_assert(set("segments_ttl", good[i].text));
		ck_assert_uint_eq(options.segments_ttl, good[i].seconds);
		ft_options_release(&options);
	}
}
END_TEST

START_TEST(test_options__take_words)
{
	static const struct {
		const char *key;
		const char *word;
		const int *field;
		int value;
	} good[] = {
		{ "durability", "none", &options.durability, FT_DURABILITY_NONE },
		{ "durability", "file", &options.durability, FT_DURABILITY_FILE },
		{ "durability", "segment", &options.durability, FT_DURABILITY_SEGMENT },
		{ "owner", "client_id", &options.owner, FT_OWNER_CLIENT_ID },
		{ "owner", "username", &options.owner, FT_OWNER_USERNAME },
		{ "finished_ids", "keep", &options.finished_ids, FT_FINISHED_IDS_KEEP },
		{ "finished_ids", "replace", &options.finished_ids, FT_FINISHED_IDS_REPLACE },
		{ "segment_responses", "all", &options.segment_responses, FT_RESPONSES_ALL },
		{ "segment_responses", "errors", &options.segment_responses, FT_RESPONSES_ERRORS },
		{ "acl", "none", &options.acl, FT_ACL_NONE },
		{ "acl", "guard", &options.acl, FT_ACL_GUARD },
		{ "acl", "guard-and-allow", &options.acl, FT_ACL_GUARD_AND_ALLOW },
		{ "ack_sink", "auto", &options.ack_sink, FT_ACK_SINK_AUTO },
		{ "ack_sink", "off", &options.ack_sink, FT_ACK_SINK_OFF },
		{ "control", "off", &options.control, FT_CONTROL_OFF },
		{ "control", "on", &options.control, FT_CONTROL_ON },
		{ "control", "trusted", &options.control, FT_CONTROL_TRUSTED },
		{ "downloads", "off", &options.downloads, 0 },
		{ "downloads", "native", &options.downloads, FT_DOWNLOADS_NATIVE },
		{ "downloads", "native, native", &options.downloads, FT_DOWNLOADS_NATIVE },
		{ "downloads", "aws", &options.downloads, FT_DOWNLOADS_AWS },
		{ "downloads", "native,aws", &options.downloads, FT_DOWNLOADS_NATIVE | FT_DOWNLOADS_AWS },
		{ "downloads", "jobs,aws", &options.downloads, FT_DOWNLOADS_AWS | FT_DOWNLOADS_JOBS },
		{ "announce", "false", &options.announce, 0 },
		{ "tune_malloc", "true", &options.tune_malloc, 1 },
		{ "tune_malloc", "false", &options.tune_malloc, 0 },
	};

	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		ft_options_init(&options);
		ck_assert_msg(set(good[i].key, good[i].word), "%s", why);
		ck_assert_msg(*good[i].field == good[i].value, "%s %s", good[i].key, good[i].word);
		ft_options_release(&options);
	}
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
		{ "sys_interval", "2d" }, { "workers", "1k" }, { "workers", "two" }, { "gc_interval", "0" },
		{ "gc_interval", "2d" }, { "segments_ttl", "1y" }, { "durability", "disk" },
		{ "durability", "" }, { "acl", "Guard" }, { "ack_sink", "on" },
		{ "tune_malloc", "1" }, { "storage_dir", "" }, { "max_transfers", "0" },
		{ "storage_dirs", "/x" }, { "", "x" }, { "storage_dir", "relative" },
		{ "storage_dir", "auto" }, { "log_dir", "" }, { "log_dir", "tmp" },
		{ "log_dir", "Auto" }, { "log_size", "1023k" }, { "log_size", "0" },
		{ "log_size", "9000000G" }, { "max_memory", "1k" }, { "max_memory", "0" },
		{ "max_segment_size", "0" }, { "owner", "user" }, { "owner", "" },
		{ "finished_ids", "replaced" }, { "segment_responses", "none" },
		{ "segment_responses", "default" }, { "segment_responses", "" },
		{ "response_topics", "" }, { "events", "true" },
		{ "storage_quota", "0" }, { "storage_quota", "all" }, { "client_quota", "0" },
		{ "client_quota", "-1" }, { "client_bandwidth", "0" },
		{ "client_bandwidth", "1025G" }, { "client_rate", "0" }, { "client_rate", "1k" },
		{ "client_rate", "1000001" }, { "limits_file", "limits.json" }, { "limits_file", "" },
		{ "allow_names", "" }, { "deny_names", "" },
		{ "downloads", "" }, { "downloads", "on" }, { "downloads", "native,off" },
		{ "downloads", "native," }, { "downloads", ",native" }, { "downloads", "natives" },
		{ "downloads", "a word that is rather long" }, { "offers_interval", "0" },
		{ "offers_interval", "2h" }, { "announce", "on" }, { "max_block", "255" },
		{ "max_block", "257k" }, { "max_requests_per_client", "0" },
		{ "download_workers", "0" }, { "download_workers", "65" },
		{ "client_download_bandwidth", "0" }, { "download_bandwidth", "0" },
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

START_TEST(test_options__are_set_once)
{
	ft_options_init(&options);
	ck_assert(set("storage_dir", "/a"));
	ck_assert(!set("storage_dir", "/b"));
	ck_assert_ptr_nonnull(strstr(why, "storage_dir /b: is set a second time"));
	ck_assert_str_eq(options.storage_dir, "/a");
	ck_assert(set("log_dir", "auto") && !set("log_dir", "/b"));
	ck_assert(set("workers", "3") && !set("workers", "3"));
	ck_assert_uint_eq(options.workers, 3);
	ft_options_release(&options);
}
END_TEST

/* A value that was refused does not count. */
START_TEST(test_options__may_be_set_after_a_bad_value)
{
	ft_options_init(&options);
	ck_assert(!set("workers", "0") && set("workers", "3"));
	ft_options_release(&options);
}
END_TEST

START_TEST(test_options__want_a_storage_dir)
{
	ft_options_init(&options);
	ck_assert(!check());
	ck_assert_ptr_nonnull(strstr(why, "storage_dir"));
	ck_assert(set("storage_dir", "/absolute"));
	ck_assert(check());
	ft_options_release(&options);
}
END_TEST

START_TEST(test_options__take_auto_for_the_log_dir)
{
	ft_options_init(&options);
	ck_assert(set("log_dir", "auto"));
	ck_assert_ptr_null(options.log_dir);
	ft_options_release(&options);
	ft_options_init(&options);
	ck_assert(set("log_dir", "/dev/shm"));
	ck_assert_str_eq(options.log_dir, "/dev/shm");
	ft_options_release(&options);
}
END_TEST

/* What max_segment_size is with a log of this size, as said (NULL: not), or 0: refused. */
static uint64_t segment_size(const char *log_size, const char *said)
{
	uint64_t bytes;

	ft_options_init(&options);
	ck_assert(set("storage_dir", "/a") && set("log_size", log_size));
	ck_assert(!said || set("max_segment_size", said));
	bytes = check() ? options.limits.max_segment_size : 0;
	ft_options_release(&options);
	return bytes;
}

START_TEST(test_options__bound_segments_by_half_of_the_log)
{
	ck_assert_uint_eq(segment_size("32M", NULL), 16 << 20);
	ck_assert_uint_eq(segment_size("1G", NULL), 16 << 20);
	ck_assert_uint_eq(segment_size("8M", NULL), 4 << 20);
	ck_assert_uint_eq(segment_size("1M", NULL), 512 << 10);
	ck_assert_uint_eq(segment_size("8M", "4M"), 4 << 20);
	ck_assert_uint_eq(segment_size("8M", "1"), 1);
	ck_assert_uint_eq(segment_size("1G", "512M"), 512 << 20);
	ck_assert_uint_eq(segment_size("8M", "4097k"), 0);
	ck_assert_str_eq(why, "plugin_opt_max_segment_size 4097k: must be at most half of "
			 "plugin_opt_log_size, which is 8M");
}
END_TEST

START_TEST(test_options__round_the_log_up_to_whole_pages)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	ft_options_init(&options);
	ck_assert(set("storage_dir", "/a") && set("log_size", "1048577") && check());
	ck_assert_uint_eq(options.log_size, (1 << 20) + page);
	ck_assert(check());
	ck_assert_uint_eq(options.log_size, (1 << 20) + page);
	ft_options_release(&options);
}
END_TEST

START_TEST(test_options__say_which_sizes_are_possible)
{
	ft_options_init(&options);
	ck_assert(!set("log_size", "1k"));
	if (sizeof(void *) == 8)
		ck_assert_str_eq(why, "plugin_opt_log_size 1k: must be a size of at least 1M and at "
				 "most 1024G: bytes, or with k, M or G");
	ck_assert(!set("min_free_space", "x"));
	ck_assert_str_eq(why, "plugin_opt_min_free_space x: must be a size of at least 0: bytes, or "
			 "with k, M or G");
	ft_options_release(&options);
}
END_TEST

START_TEST(test_options__want_response_topics_that_are_filters)
{
	static const struct {
		const char *patterns;
		bool good;
	} rows[] = {
		{ "replies/%c/#", true }, { "a, b/+/c ,%u/%c", true }, { "#", true }, { "+", true },
		{ "$file-response/%u", true }, { "a//b", true }, { "x%cy", true },
		{ " , ", false }, { "a/#/b", false }, { "a+", false }, { "a/b#", false }, { "+a", false },
		{ "%c+", false }, { "%x", false }, { "100%", false }, { "a,b+", false },
		{ "$file/#", false }, { "$file-async/%c/init", false }, { "a, $file/x/init", false },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		ft_options_init(&options);
		ck_assert(set("storage_dir", "/a") && set("response_topics", rows[i].patterns));
		ck_assert_msg(check() == rows[i].good, "%s: %s", rows[i].patterns, why);
		ck_assert(rows[i].good || strstr(why, "response_topics"));
		ft_options_release(&options);
	}
}
END_TEST

START_TEST(test_options__want_patterns_of_names_that_can_match)
{
	static const char *const keys[] = { "allow_names", "deny_names" };

	for (size_t i = 0; i < 2; i++) {
		ft_options_init(&options);
		ck_assert(set("storage_dir", "/a") && set(keys[i], "*.jpg, a/*"));
		ck_assert(!check());
		ck_assert(strstr(why, keys[i]) && strstr(why, "no name of a file has a /"));
		ft_options_release(&options);
	}
}
END_TEST

START_TEST(test_options__read_values_for_other_places)
{
	struct ft_buf buf = ft_buf_on(why, sizeof why);
	uint64_t number;

	ck_assert(ft_options_number("client_quota", "2k", &number, &buf));
	ck_assert_uint_eq(number, 2048);
	ck_assert(ft_options_number("client_rate", "7", &number, &buf));
	ck_assert_uint_eq(number, 7);
	ck_assert(!ft_options_number("client_rate", "0", &number, &buf));
	ck_assert_str_eq(why, "client_rate 0: must be a number from 1 to 1000000");
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

START_TEST(test_options__want_a_guard_where_control_is_on)
{
	static const struct {
		const char *acl, *control;
		bool good;
	} rows[] = {
		{ "none", "on", false }, { "guard-and-allow", "on", false }, { "guard", "on", true },
		{ "none", "trusted", true }, { "guard-and-allow", "trusted", true },
		{ "none", "off", true },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		ft_options_init(&options);
		ck_assert(set("storage_dir", "/a") && set("acl", rows[i].acl)
			  && set("control", rows[i].control));
		ck_assert_int_eq(check(), rows[i].good);
		ck_assert_int_eq(strstr(why, "acl guard") != NULL, !rows[i].good);
		ft_options_release(&options);
	}
}
END_TEST

START_TEST(test_options__know_where_a_catalog_may_be)
{
	static const struct {
		const char *catalog, *store;
		bool good, elsewhere;
	} rows[] = {
		{ "sqlite", "memory", true, false }, { "sqlite", "fs", true, false },
		{ "postgresql://u:pa55@h/d", "fs", true, true }, { "postgres://h/d", "s3", true, true },
		{ "postgresql://u:pa55@h/d", "memory", false, true },
		{ "mysql://u:pa55@h/d", "fs", false, true }, { "host=h password=pa55", "fs", false, true },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		ft_options_init(&options);
		ck_assert(set("storage_dir", "/a") && set("store", rows[i].store)
			  && set("catalog", rows[i].catalog));
		if (strcmp(rows[i].store, "s3") == 0)
			ck_assert(set("s3_url", "https://h/b"));
		ck_assert_msg(check() == rows[i].good, "%s %s", rows[i].catalog, rows[i].store);
		ck_assert_int_eq(ft_options_catalog_url(&options) != NULL, rows[i].elsewhere);
		if (!rows[i].good)
			ck_assert_ptr_nonnull(strstr(why, "plugin_opt_catalog"));
		/* The value may have a password. */
		ck_assert_ptr_null(strstr(why, "pa55"));
		ft_options_release(&options);
	}
}
END_TEST

/* Whether two sets of options are the same, but for what is text. */
static bool same_options(const struct ft_options *a, const struct ft_options *b)
{
	size_t numbers = offsetof(struct ft_options, durability);

	return memcmp((const char *)a + numbers, (const char *)b + numbers, sizeof *a - numbers) == 0;
}

/* Every line of the example, remarks included, is an option and says its default. */
START_TEST(test_options__are_those_of_the_example_with_their_defaults)
{
	struct ft_options defaults;
	FILE *example = fopen("mosquitto.conf.example", "r");
	char line[200], key[100], value[100];
	size_t count = 0;

	ck_assert_msg(example != NULL, "run from the top directory");
	ft_options_init(&options);
	while (fgets(line, sizeof line, example)) {
		if (sscanf(line, "plugin_opt_%99s %99s", key, value) != 2
		    && sscanf(line, "#plugin_opt_%99s %99s", key, value) != 2)
			continue;
		count++;
		ck_assert_msg(set(key, value), "%s", why);
	}
	fclose(example);
	free(options.store);	/* those of the store s3 are of no use with another one */
	options.store = strdup("s3");
	ck_assert(check());
	ck_assert_msg(options.given == ((uint64_t)1 << count) - 1, "an option is not in the example");
	ck_assert(!set("no such option", ""));
	for (const char *at = strstr(why, "there are"); (at = strchr(at, ',')) != NULL; at++)
		count--;
	ck_assert_uint_eq(count, 1);
	/* These have no default: the example's value is one that is useful. */
	ck_assert_str_eq(options.on_complete, "/usr/local/lib/file-transfer/judge");
	ck_assert_uint_eq(options.files_ttl, 30 * 86400);
	options.files_ttl = 0;
	ck_assert_str_eq(options.response_topics, "replies/%c/#");
	ck_assert_str_eq(options.limits_file, "/etc/mosquitto/file-transfer-limits.json");
	ck_assert_str_eq(options.allow_names, "*.jpg,*.mp4,*.log");
	ck_assert_str_eq(options.deny_names, ".*,*.exe");
	ck_assert_uint_eq(options.limits.max_file_size, 1 << 30);
	ck_assert_uint_eq(options.limits.storage_quota, (uint64_t)100 << 30);
	ck_assert_uint_eq(options.limits.client_quota, (uint64_t)2 << 30);
	ck_assert_uint_eq(options.limits.client_bandwidth, 1 << 20);
	ck_assert_uint_eq(options.limits.client_rate, 200);
	ck_assert_uint_eq(options.client_download_bandwidth, 1 << 20);
	ck_assert_uint_eq(options.download_bandwidth, 20 << 20);
	options.client_download_bandwidth = options.download_bandwidth = 0;
	ft_options_init(&defaults);
	defaults.limits.max_segment_size = 16 << 20;
	options.limits = defaults.limits;
	ck_assert(same_options(&options, &defaults));
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
	 test_options__are_set_once,
	 test_options__may_be_set_after_a_bad_value,
	 test_options__want_a_storage_dir,
	 test_options__take_auto_for_the_log_dir,
	 test_options__bound_segments_by_half_of_the_log,
	 test_options__round_the_log_up_to_whole_pages,
	 test_options__say_which_sizes_are_possible,
	 test_options__want_response_topics_that_are_filters,
	 test_options__want_patterns_of_names_that_can_match,
	 test_options__read_values_for_other_places,
	 test_options__want_ttl_bounds_in_order,
	 test_options__want_a_guard_where_control_is_on,
	 test_options__know_where_a_catalog_may_be,
	 test_options__are_those_of_the_example_with_their_defaults);
