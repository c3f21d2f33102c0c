/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Options, one "name value" per line: a refusal says why in one line, and changes nothing. */
#include "protocol/options.h"
#include "fuzz.h"

static void options_check_values(const struct ft_options *o)
{
	fuzz_check(o->durability >= FT_DURABILITY_NONE && o->durability <= FT_DURABILITY_SEGMENT);
	fuzz_check(o->acl >= FT_ACL_NONE && o->acl <= FT_ACL_GUARD_AND_ALLOW);
	fuzz_check(o->workers >= 1 && o->workers <= 64);
	fuzz_check(o->gc_interval >= 1 && o->assemble_timeout >= 1);
	/* They are turned into milliseconds. */
	fuzz_check(o->segments_ttl <= INT64_MAX / 1000 && o->segments_ttl_max <= INT64_MAX / 1000);
	fuzz_check(o->max_file_size <= INT64_MAX && o->min_free_space <= INT64_MAX);
}

FUZZ_TARGET(options)
{
	struct fuzz_input input = { bytes, len };
	char *text = fuzz_text(&input, len);
	struct ft_options options;
	char room[1024];

	ft_options_init(&options);
	for (char *line = text, *next; line; line = next) {
		struct ft_buf why = ft_buf_on(room, sizeof room);
		struct ft_options before = options;
		char *value;

		if ((next = strchr(line, '\n')) != NULL)
			*next++ = '\0';
		if ((value = strchr(line, ' ')) != NULL)
			*value++ = '\0';
		if (ft_options_set(&options, line, value, &why)) {
			fuzz_check(why.len == 0);
			options_check_values(&options);
			continue;
		}
		fuzz_check(memcmp(&before, &options, sizeof options) == 0);
		fuzz_check(why.len > 0 && strncmp(room, "plugin_opt_", 11) == 0);
		fuzz_check(!strchr(room, '\n'));
	}
	{
		struct ft_buf why = ft_buf_on(room, sizeof room);
		bool right = ft_options_check(&options, &why);

		fuzz_check(right == (why.len == 0));
		fuzz_check(!right || (options.storage_dir && options.storage_dir[0] == '/'));
		fuzz_check(!right || options.segments_ttl_min <= options.segments_ttl_max);
	}
	ft_options_release(&options);
	free(text);
}
