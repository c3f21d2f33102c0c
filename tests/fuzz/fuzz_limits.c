/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The file of option limits_file: a refusal says why in one line, and what is taken keeps to the rules. */
#include <cjson/cJSON.h>

#include "protocol/limits.h"
#include "fuzz.h"

static void limits_check_row(const struct ft_override *row, const struct ft_options *options)
{
	const struct ft_limits *l = &row->limits;

	fuzz_check(row->client || row->user);
	fuzz_check(l->max_segment_size >= 1 && l->max_segment_size <= options->log_size / 2);
	fuzz_check(l->client_rate <= 1000000 && l->client_bandwidth <= (uint64_t)1 << 40);
	fuzz_check(l->storage_quota <= INT64_MAX && l->client_quota <= INT64_MAX
		   && l->max_file_size <= INT64_MAX);
}

static void limits_say(void *context, const char *line)
{
	(void)context;
	fuzz_check(line[0] != '\0' && !strchr(line, '\n'));
}

static void limits_use(const struct ft_overrides *overrides, const struct ft_options *options,
		       const char *id)
{
	static struct ft_overrides none;
	const struct ft_override *row = ft_overrides_find(overrides, id, NULL);

	fuzz_check(overrides->count <= FT_OVERRIDES_MAX);
	for (size_t i = 0; i < overrides->count; i++)
		limits_check_row(&overrides->rows[i], options);
	fuzz_check(!row || !row->user);
	(void)ft_overrides_find(overrides, "", id);
	fuzz_check(ft_overrides_compare(&none, overrides, options, 3, limits_say, NULL)
		   == overrides->count);
}

/* A row of patterns that an earlier one has, too, never counts, and is compared with that one. */
static size_t limits_differences(const struct ft_overrides *before, const struct ft_overrides *after,
				 const struct ft_options *options)
{
	return ft_overrides_compare(before, after, options, 3, limits_say, NULL);
}

/* What an operator adds is all that is another: nothing of the file vanishes. */
static void limits_add(const struct ft_overrides *before, const struct ft_options *options,
		       const char *text, size_t len)
{
	const struct ft_limits_change change = {
		.client = "one more", .limits = cJSON_Parse("{\"client_rate\":77}"),
	};
	char room[1024];
	struct ft_buf why = ft_buf_on(room, sizeof room);
	struct ft_overrides *after = NULL;
	char *out = NULL;
	size_t out_len;

	if (!ft_overrides_of(before, "one more", NULL)
	    && ft_overrides_change(text, len, &change, &out, &out_len, &why) == FT_OK
	    && ft_overrides_read(out, out_len, options, &after, &why) == FT_OK) {
		fuzz_check(after->count == before->count + 1);
		fuzz_check(limits_differences(before, after, options)
			   == limits_differences(before, before, options) + 1);
	}
	fuzz_check(why.len == 0 || after == NULL);
	ft_overrides_free(&after);
	free(out);
	cJSON_Delete((cJSON *)(uintptr_t)change.limits);
}

FUZZ_TARGET(limits)
{
	char room[1024], id[32];
	struct ft_buf why = ft_buf_on(room, sizeof room);
	struct ft_overrides *overrides;
	struct ft_options options;
	enum ft_status st;

	ft_options_init(&options);
	options.limits.max_segment_size = options.log_size / 2;
	st = ft_overrides_read((const char *)bytes, len, &options, &overrides, &why);
	fuzz_check((st == FT_OK) == (overrides != NULL) && (st == FT_OK) == (why.len == 0));
	fuzz_check(!strchr(room, '\n'));
	snprintf(id, sizeof id, "%.*s", (int)(len < 30 ? len : 30), (const char *)bytes);
	if (overrides)
		limits_use(overrides, &options, id);
	if (overrides)
		limits_add(overrides, &options, (const char *)bytes, len);
	ft_overrides_free(&overrides);
	ft_options_release(&options);
}
