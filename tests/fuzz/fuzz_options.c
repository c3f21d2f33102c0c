/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Options, one "name value" per line: a refusal says why in one line, and changes nothing. */
#include "protocol/options.h"
#include "fuzz.h"

static void options_check_values(const struct ft_options *o)
{
	fuzz_check(o->durability >= FT_DURABILITY_NONE && o->durability <= FT_DURABILITY_SEGMENT);
	fuzz_check(o->acl >= FT_ACL_NONE && o->acl <= FT_ACL_GUARD_AND_ALLOW);
	fuzz_check(o->owner == FT_OWNER_CLIENT_ID || o->owner == FT_OWNER_USERNAME);
	fuzz_check(o->segment_responses == FT_RESPONSES_ALL
		   || o->segment_responses == FT_RESPONSES_ERRORS);
	fuzz_check(!o->log_dir || o->log_dir[0] == '/');
	fuzz_check(o->log_size >= 1 << 20 && o->max_memory >= 1 << 20);
	fuzz_check(o->workers >= 1 && o->workers <= 64);
	fuzz_check((o->downloads & ~FT_DOWNLOADS_NATIVE) == 0);
	fuzz_check(o->max_block >= 256 && o->max_block <= 256 << 10);
	fuzz_check(o->download_workers >= 1 && o->download_workers <= 64);
	fuzz_check(o->gc_interval >= 1 && o->assemble_timeout >= 1);
	/* They are turned into milliseconds. */
	fuzz_check(o->segments_ttl <= INT64_MAX / 1000 && o->segments_ttl_max <= INT64_MAX / 1000);
	fuzz_check(o->limits.max_file_size <= INT64_MAX && o->min_free_space <= INT64_MAX);
}

/* One line of the input. */
static void options_take(struct ft_options *options, char *line)
{
	char room[1024], *value = strchr(line, ' ');
	struct ft_buf why = ft_buf_on(room, sizeof room);
	struct ft_options before = *options;

	if (value)
		*value++ = '\0';
	if (ft_options_set(options, line, value, &why)) {
		fuzz_check(why.len == 0);
		options_check_values(options);
		/* Once is enough. */
		before = *options;
		fuzz_check(!ft_options_set(options, line, value, &why));
		fuzz_check(memcmp(&before, options, sizeof before) == 0);
		return;
	}
	fuzz_check(memcmp(&before, options, sizeof before) == 0);
	fuzz_check(why.len > 0 && strncmp(room, "plugin_opt_", 11) == 0);
	fuzz_check(!strchr(room, '\n'));
}

static void options_check_whole(struct ft_options *options)
{
	char room[1024];
	struct ft_buf why = ft_buf_on(room, sizeof room);
	bool right = ft_options_check(options, &why);

	fuzz_check(right == (why.len == 0));
	if (!right)
		return;
	fuzz_check(options->storage_dir && options->storage_dir[0] == '/');
	fuzz_check(options->segments_ttl_min <= options->segments_ttl_max);
	fuzz_check(options->limits.max_segment_size >= 1
		   && options->limits.max_segment_size <= options->log_size / 2);
	fuzz_check(options->log_size % 4096 == 0);
	fuzz_check(ft_options_check(options, &why));
}

FUZZ_TARGET(options)
{
	struct fuzz_input input = { bytes, len };
	char *text = fuzz_text(&input, len);
	struct ft_options options;

	ft_options_init(&options);
	for (char *line = text, *next; line; line = next) {
		if ((next = strchr(line, '\n')) != NULL)
			*next++ = '\0';
		options_take(&options, line);
	}
	options_check_whole(&options);
	ft_options_release(&options);
	free(text);
}
