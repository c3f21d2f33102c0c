/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Requests for blocks: "topic NUL payload"; and the file `groups`, which is text as well. */
#include "protocol/get.h"
#include "protocol/groups.h"
#include "base/utf8.h"
#include "fuzz.h"

static void get_check(const struct ft_get *get, const char *topic, const char *payload, size_t len)
{
	fuzz_check(get->verb == FT_GET_LIST || ft_offer_path_is_good(get->path, strlen(get->path)));
	fuzz_check(get->verb == FT_GET_LIST
		   || strcmp(topic + strlen(topic) - strlen(get->path), get->path) == 0);
	fuzz_check(!strstr(get->path, "..") || !strstr(get->path, "/../"));
	if (get->verb == FT_GET_BLOCK) {
		fuzz_check(get->length >= 1 && get->length <= INT64_MAX && get->offset <= INT64_MAX);
		fuzz_check(get->has_checksum == (len > 0) && (len == 0 || len == FT_SHA256_HEX_LEN));
		fuzz_check(get->offset_text[get->offset_len] == '/');
	}
	if (get->verb == FT_GET_REPORT) {
		fuzz_check(get->members.at > payload);
		fuzz_check(get->members.at + get->members.len < payload + len);
	}
}

/* An object that ours and the report's members make is one, too. */
static void get_check_report(const struct ft_get *get)
{
	char whole[FT_GET_PAYLOAD_MAX + 100];
	struct ft_json_member members[] = { { .key = "client_id" }, { .key = "state" } };
	struct ft_buf to = ft_buf_on(whole, sizeof whole);

	ft_buf_str(&to, "{\"client_id\":\"c\",");
	ft_buf_bytes(&to, get->members.at, get->members.len);
	ft_buf_char(&to, '}');
	fuzz_check(ft_buf_ok(&to));
	fuzz_check(ft_json_find(whole, to.len, members, 2) == FT_JSON_OBJECT);
	fuzz_check(members[0].value.len == 3 && members[1].value.len > 2);
}

static void get_check_groups(const char *text)
{
	char room[200];
	struct ft_buf why = ft_buf_on(room, sizeof room);
	struct ft_groups *groups = NULL;
	enum ft_status st = ft_groups_parse(&groups, text, strlen(text), &why);

	fuzz_check((st == FT_OK) == (groups != NULL) && (st == FT_OK) == (why.len == 0));
	for (size_t i = 0; groups && i < groups->count; i++) {
		const char *member = groups->group[i].members;

		fuzz_check(!strchr(groups->group[i].name, '/') && groups->group[i].name[0] != '.');
		for (; *member; member += strlen(member) + 1)
			fuzz_check(strncmp(member, "client:", 7) == 0
				   || strncmp(member, "user:", 5) == 0);
	}
	ft_groups_free(&groups);
}

FUZZ_TARGET(get)
{
	struct fuzz_input input = { bytes, len };
	char *topic = fuzz_text(&input, len), *whole = malloc(strlen(topic) + 11);
	char *payload = malloc(input.len + 1);
	struct ft_get get;

	memcpy(payload, input.bytes, input.len);
	get_check_groups(topic);
	memcpy(whole, "$file-get/", 10);
	memcpy(whole + 10, topic, strlen(topic) + 1);
	if (ft_get_is_ours(whole) && ft_get_parse(&get, whole, payload, input.len) == FT_OK) {
		get_check(&get, whole, payload, input.len);
		if (get.verb == FT_GET_REPORT)
			get_check_report(&get);
	}
	free(whole);
	free(topic);
	free(payload);
}
