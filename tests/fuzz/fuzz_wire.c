/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What ft-get hears from a broker that may be anybody: a byte that says in which protocol and whether
 * it is a response, "topic NUL payload". What is taken for bytes are those of the message; what is
 * told may be shown by a terminal; a path that is taken leads to nowhere but into the folder.
 */
#include "../../examples/ft-get/place.h"
#include "../../examples/ft-get/wire.h"
#include "../../examples/lib/members.h"
#include "fuzz.h"

static void wire_check_shown(const char *text)
{
	for (; *text; text++)
		fuzz_check((unsigned char)*text >= 0x20 && *text != 0x7f);
}

/* A path of a list, as a file in a folder. */
static void wire_check_path(const char *path)
{
	struct places places;
	char *file, *level;

	if (!path || !place_is_path(path))
		return;
	fuzz_check(*path != '/' && !strstr(path, "//") && strlen(path) <= PLACE_PATH_MAX);
	wire_check_shown(path);
	places_init(&places, "/nowhere/", true);
	if (!(file = place_file(&places, path, NULL)))
		abort();
	fuzz_check(strncmp(file, "/nowhere/", 9) == 0 && !strchr(file + 9, '/'));
	fuzz_check(file[9] && file[9] != '.');
	free(file);
	if (!(file = place_file(&places, path, "")))
		abort();
	fuzz_check(strncmp(file, "/nowhere/", 9) == 0);
	for (level = file + 8; level; level = strchr(level + 1, '/'))
		fuzz_check(level[1] && level[1] != '.' && level[1] != '/');
	free(file);
}

static void wire_check_answer(const struct heard *heard)
{
	const cJSON *files = cJSON_GetObjectItemCaseSensitive(heard->json, "files"), *file;

	fuzz_check(heard->verdict <= VERDICT_REFUSED && heard->about <= ABOUT_REPORT);
	wire_check_shown(heard->why);
	fuzz_check(heard->sha256[0] == '\0' || (strlen(heard->sha256) == SHA256_HEX_ROOM - 1
		   && strspn(heard->sha256, "0123456789abcdef") == SHA256_HEX_ROOM - 1));
	fuzz_check(heard->retry_after_s <= 3600);
	cJSON_ArrayForEach(file, files)
		wire_check_path(member_text(file, "path"));
}

static void wire_check(const struct heard *heard, const char *topic, const uint8_t *payload, size_t len)
{
	volatile uint8_t sum = 0;

	if (heard->kind == HEARD_ANSWER)
		wire_check_answer(heard);
	if (heard->kind != HEARD_BYTES)
		return;
	fuzz_check(topic && heard->offset + heard->len >= heard->offset && heard->len <= len);
	fuzz_check(heard->owned || heard->len == 0
		   || ((const uint8_t *)heard->bytes >= payload
		       && (const uint8_t *)heard->bytes + heard->len <= payload + len));
	for (size_t i = 0; i < heard->len; i++)	/* all of it may be read */
		sum = (uint8_t)(sum + ((const uint8_t *)heard->bytes)[i]);
}

FUZZ_TARGET(wire)
{
	static const struct wire_protocol *const protocols[] = { &wire_native, &wire_aws };
	struct fuzz_input input = { bytes, len };
	unsigned how = fuzz_byte(&input);
	struct wire wire = {
		.protocol = protocols[how & 1], .client_id = "dev",
		.path = how & 4 ? NULL : how & 1 ? "streams/S/0" : "app.bin", .sha256 = "", .stream = "S",
		.block_bytes = 4096,
	};
	char *topic = fuzz_text(&input, len);
	uint8_t *payload = malloc(input.len > 0 ? input.len : 1);
	struct heard heard;

	if (!payload)
		abort();
	if (input.len > 0)
		memcpy(payload, input.bytes, input.len);
	wire.protocol->read(&wire, how & 2 ? NULL : topic, payload, input.len, &heard);
	wire_check(&heard, how & 2 ? NULL : topic, payload, input.len);
	heard_release(&heard);
	/* What is announced is a path behind some levels of a topic. */
	wire_check_path(topic);
	free(topic);
	free(payload);
}
