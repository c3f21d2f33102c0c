/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Every fuzz target on every input that is kept, and on the beginnings of each: what
 * once went wrong, and what is worth starting from.
 */
#include <check.h>
#include <dirent.h>

#include "../suite.h"

#include "fuzz_message.c"

#include "fuzz_aws.c"
#include "fuzz_aws_job.c"
#include "fuzz_catalog.c"
#include "fuzz_control.c"
#include "fuzz_escape.c"
#include "fuzz_get.c"
#include "fuzz_limits.c"
#include "fuzz_log.c"
#include "fuzz_manifest.c"
#include "fuzz_options.c"
#include "fuzz_pattern.c"
#include "fuzz_record.c"
#include "fuzz_s3.c"
#include "fuzz_topic.c"
#include "fuzz_wire.c"

#define CORPUS "tests/fuzz/corpus/"
#define INPUT_MAX ((size_t)1 << 20)
#define BEGINNINGS 8

typedef void target(const uint8_t *bytes, size_t len);

/* A block of just its size: what reads beyond the input is seen by the sanitizers. */
static void call(target *fuzz, const uint8_t *bytes, size_t len)
{
	uint8_t *exact = malloc(len > 0 ? len : 1);

	ck_assert_ptr_nonnull(exact);
	memcpy(exact, bytes, len);
	fuzz(exact, len);
	free(exact);
}

static void replay_file(target *fuzz, const char *path)
{
	static uint8_t bytes[INPUT_MAX];
	FILE *file = fopen(path, "rb");
	size_t len;

	ck_assert_msg(file != NULL, "%s cannot be read", path);
	len = fread(bytes, 1, sizeof bytes, file);
	fclose(file);
	fuzz_name = path;
	for (size_t part = 0; part <= BEGINNINGS; part++)
		call(fuzz, bytes, len * part / BEGINNINGS);
}

static void replay(target *fuzz, const char *name)
{
	char path[512];
	struct dirent *entry;
	int count = 0;
	DIR *dir;

	snprintf(path, sizeof path, CORPUS "%s", name);
	dir = opendir(path);
	ck_assert_msg(dir != NULL, "%s cannot be read: run from the top directory", path);
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, CORPUS "%s/%s", name, entry->d_name);
		replay_file(fuzz, path);
		count++;
	}
	closedir(dir);
	ck_assert_int_gt(count, 0);
	call(fuzz, (const uint8_t *)"", 0);
}

#define REPLAYS(name, test) \
	START_TEST(test) \
	{ \
		replay(fuzz_##name, #name); \
	} \
	END_TEST

REPLAYS(aws, test_aws__is_refused_or_read_within_bounds_for_every_kept_input)
REPLAYS(aws_job, test_aws_job__keeps_to_its_states_for_every_kept_input)
REPLAYS(control, test_control__is_read_or_refused_for_every_kept_input)
REPLAYS(topic, test_topic__means_what_it_says_for_every_kept_input)
REPLAYS(get, test_get__means_what_it_says_for_every_kept_input)
REPLAYS(manifest, test_manifest__survives_storing_for_every_kept_input)
REPLAYS(options, test_options__say_why_they_are_refused_for_every_kept_input)
REPLAYS(pattern, test_pattern__agrees_with_libmosquitto_for_every_kept_input)
REPLAYS(limits, test_limits__keep_to_the_rules_for_every_kept_input)
REPLAYS(record, test_record__is_read_as_written_for_every_kept_input)
REPLAYS(s3, test_s3__answers_are_read_or_refused_for_every_kept_input)
REPLAYS(log, test_log__is_opened_or_refused_for_every_kept_input)
REPLAYS(escape, test_escape__is_injective_for_every_kept_input)
REPLAYS(catalog, test_catalog__survives_every_kept_input)
REPLAYS(wire, test_wire__is_taken_for_what_it_is_for_every_kept_input)
REPLAYS(message, test_plugin__keeps_to_the_api_for_every_kept_input)

FT_SUITE("fuzz corpora",
	 test_aws__is_refused_or_read_within_bounds_for_every_kept_input,
	 test_aws_job__keeps_to_its_states_for_every_kept_input,
	 test_control__is_read_or_refused_for_every_kept_input,
	 test_topic__means_what_it_says_for_every_kept_input,
	 test_get__means_what_it_says_for_every_kept_input,
	 test_manifest__survives_storing_for_every_kept_input,
	 test_options__say_why_they_are_refused_for_every_kept_input,
	 test_pattern__agrees_with_libmosquitto_for_every_kept_input,
	 test_limits__keep_to_the_rules_for_every_kept_input,
	 test_record__is_read_as_written_for_every_kept_input,
	 test_s3__answers_are_read_or_refused_for_every_kept_input,
	 test_log__is_opened_or_refused_for_every_kept_input,
	 test_escape__is_injective_for_every_kept_input,
	 test_catalog__survives_every_kept_input,
	 test_wire__is_taken_for_what_it_is_for_every_kept_input,
	 test_plugin__keeps_to_the_api_for_every_kept_input);
