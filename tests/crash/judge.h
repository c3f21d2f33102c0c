/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What is there after a power cut, held against what was promised: first as it lies on
 * the disk, then as a new engine, after another boot, tells it.
 */
#ifndef FT_TESTS_CRASH_JUDGE_H
#define FT_TESTS_CRASH_JUDGE_H

#include "play.h"

static void judge_path(char path[256], const char *where, int key, const char *name)
{
	char client[16], file[16];

	play_key(key, client, file);
	snprintf(path, 256, "%s/%s/%s/%s/%s", play.dir, where, client, file, name);
}

/* A whole file, malloc'd and with a NUL behind it; NULL: there is none. */
static uint8_t *judge_read(const char *path, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat info;
	uint8_t *bytes;

	*len = 0;
	if (fd < 0)
		return NULL;
	if (fstat(fd, &info) != 0)
		abort();
	bytes = crash_need(malloc((size_t)info.st_size + 1));
	if (pread(fd, bytes, (size_t)info.st_size, 0) != (ssize_t)info.st_size)
		abort();
	close(fd);
	bytes[info.st_size] = '\0';
	*len = (size_t)info.st_size;
	return bytes;
}

static bool judge_says(const cJSON *json, const char *member, const char *text)
{
	const char *said = cJSON_GetStringValue(cJSON_GetObjectItem(json, member));

	return said && strcmp(said, text) == 0;
}

static double judge_number(const cJSON *json, const char *member)
{
	return cJSON_GetNumberValue(cJSON_GetObjectItem(json, member));
}

/* Which life the manifest is of; 0: it cannot be told. */
static int judge_life(const char *where, int key, const char *name)
{
	char path[256];
	size_t len;
	uint8_t *text;
	cJSON *json;
	double life;

	judge_path(path, where, key, name);
	text = judge_read(path, &len);
	json = text ? cJSON_Parse((char *)text) : NULL;
	life = judge_number(cJSON_GetObjectItem(json, "user_data"), "life");
	cJSON_Delete(json);
	free(text);
	return life >= 1 && life <= PROMISE_LIVES ? (int)life : 0;
}

static bool judge_is_there(const char *where, int key, const char *name)
{
	char path[256];

	judge_path(path, where, key, name);
	return access(path, F_OK) == 0;
}

/* --- what is visible --- */

static bool judge_manifest_is_right(const char *text, int key, const struct promise_life *life)
{
	char client[16], file[16], hex[FT_SHA256_HEX_LEN + 1];
	struct ft_buf buf = ft_buf_on(hex, sizeof hex);
	cJSON *json = text ? cJSON_Parse(text) : NULL;
	struct ft_sha256 sum;
	bool right;

	if (!ft_sha256_of(life->bytes, life->fin_size, &sum))
		abort();
	ft_buf_hex(&buf, sum.bytes, sizeof sum.bytes);
	play_key(key, client, file);
	right = judge_says(json, "client_id", client) && judge_says(json, "file_id", file)
		&& judge_says(json, "name", PLAY_NAME) && judge_says(json, "sha256", hex)
		&& judge_number(json, "size") == (double)life->fin_size;
	cJSON_Delete(json);
	return right;
}

/* A visible file is the one that a fin was sent for, whole, with its manifest. */
static void judge_visible_file(int key)
{
	const struct promise_life *life = promise_latest(&play.live, key);
	char path[256];
	uint8_t *bytes, *manifest;
	size_t len, manifest_len;
	bool whole, right;

	judge_path(path, "files", key, PLAY_NAME);
	bytes = judge_read(path, &len);
	judge_path(path, "files", key, PLAY_NAME ".manifest.json");
	manifest = judge_read(path, &manifest_len);
	whole = bytes && len == life->fin_size && memcmp(bytes, life->bytes, len) == 0;
	right = judge_manifest_is_right((char *)manifest, key, life);
	free(bytes);
	free(manifest);
	play_check(life->fin_sent || life->finished, "key %d: a file is visible that no fin asked "
		   "for", key);
	play_check(whole, "key %d: the visible file has %zu bytes that are not the %llu sent", key,
		   len, (unsigned long long)life->fin_size);
	play_check(right, "key %d: the visible file has no right manifest beside it", key);
	play_check(!judge_is_there("incoming", key, "data"), "key %d: the visible file is in "
		   "incoming/, too", key);
}

static void judge_visible_name(int key, const char *name)
{
	if (strcmp(name, PLAY_NAME) == 0)
		judge_visible_file(key);
	else
		play_check(strcmp(name, PLAY_NAME ".manifest.json") == 0, "key %d: %s is visible",
			   key, name);
}

/* Up to 16 names of a directory, which is closed before one is judged: that may longjmp. */
static size_t judge_list(const char *path, char names[16][256])
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	size_t count = 0;

	while (dir && (entry = readdir(dir)) != NULL && count < 16)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			snprintf(names[count++], 256, "%s", entry->d_name);
	if (dir)
		closedir(dir);
	return count;
}

/* Nothing half-done is visible, and nothing at all that has no business there. */
static void judge_visible(void)
{
	char path[256], names[16][256], client[16], file[16];

	for (int key = 0; key < PROMISE_KEYS; key++) {
		size_t count;

		judge_path(path, "files", key, "");
		count = judge_list(path, names);
		for (size_t i = 0; i < count; i++)
			judge_visible_name(key, names[i]);
	}
	snprintf(path, sizeof path, "%s/files", play.dir);
	for (size_t i = 0, count = judge_list(path, names); i < count; i++) {
		bool known = false;

		for (int key = 0; key < PROMISE_KEYS; key++) {
			play_key(key, client, file);
			known = known || strcmp(client, names[i]) == 0;
		}
		play_check(known, "files/%s is visible", names[i]);
	}
}

/* --- what is held --- */

/* Whether a byte is one that this place may have, if it counts as held. */
static bool judge_byte(const struct promise_life *life, size_t at, uint8_t byte)
{
	if ((life->held[at] & PROMISE_ACKED) && life->bytes[at] == byte)
		return true;
	for (int i = 0; i < life->flyings; i++) {
		const struct promise_command *c = &play.command[life->flying[i]];

		if (at >= c->number && at < c->number + c->len && c->bytes[at - c->number] == byte)
			return true;
	}
	return false;
}

static void judge_held(int key, const struct promise_life *life, const struct promise_found *found)
{
	for (size_t i = 0; i < PROMISE_SPAN; i++) {
		play_check(!found->held[i] || judge_byte(life, i, found->bytes[i]), "key %d: byte "
			   "%zu counts as held, but is not one that was sent last", key, i);
		play_check(found->held[i] || !(life->held[i] & PROMISE_MUST), "key %d: byte %zu "
			   "must be held, but is not", key, i);
	}
}

/* Takes in which ranges the answer says are held, and what is there. */
static void judge_take_held(int key, const cJSON *json, struct promise_found *found)
{
	char path[256];
	size_t len;
	uint8_t *data;
	const cJSON *range;
	bool within = true;

	judge_path(path, "incoming", key, "data");
	data = judge_read(path, &len);
	cJSON_ArrayForEach(range, cJSON_GetObjectItem(json, "have")) {
		size_t from = (size_t)cJSON_GetNumberValue(cJSON_GetArrayItem(range, 0));
		size_t count = (size_t)cJSON_GetNumberValue(cJSON_GetArrayItem(range, 1));

		within = within && data && from + count <= len && from + count <= PROMISE_SPAN;
		if (!within)
			break;
		memset(found->held + from, 1, count);
		memcpy(found->bytes + from, data + from, count);
	}
	free(data);
	play_check(within, "key %d: bytes count as held that are not there", key);
	play_check(!cJSON_IsTrue(cJSON_GetObjectItem(json, "truncated")), "key %d: too many ranges "
		   "for this test", key);
}

/* --- the states --- */

static bool judge_must_hold(const struct promise_life *life)
{
	for (size_t i = 0; i < PROMISE_SPAN; i++)
		if (life->held[i] & PROMISE_MUST)
			return true;
	return false;
}

static void judge_none(int key, const struct promise_life *life, bool had_data, bool set_aside)
{
	bool lost = life->must_be && !(set_aside && !judge_must_hold(life));

	play_check(!life->finished, "key %d: the file is gone after its fin was answered", key);
	play_check(!lost || life->ends, "key %d: the transfer is gone", key);
	/* Its bytes may have been taken for rubbish, but not for nothing. */
	play_check(!had_data || set_aside || life->ends, "key %d: its data was there, and is gone",
		   key);
}

static void judge_receiving(int key, const struct promise_life *life,
			    const struct promise_found *found)
{
	const struct promise_life *found_life = &play.live.life[key][found->life];
	bool former = found->life != play.live.latest[key] && found->life != life->also;

	play_check(found->life > 0, "key %d: its manifest is not one that was sent", key);
	play_check(!life->finished, "key %d: it is not finished any more", key);
	play_check(!(former ? found_life->gone : life->gone), "key %d: it is back after its abort "
		   "was answered", key);
	play_check(!former || !life->must_be, "key %d: it is what it was before the last init", key);
	if (!former)
		judge_held(key, life, found);
	else if (!life->begun)
		judge_held(key, found_life, found);
	else
		for (size_t i = 0; i < PROMISE_SPAN; i++)
			play_check(!found->held[i], "key %d: bytes of before the last init are "
				   "held", key);
}

static void judge_complete(int key, const struct promise_life *life)
{
	play_check(life->fin_sent || life->finished, "key %d: it is complete without a fin", key);
	play_check(judge_is_there("files", key, PLAY_NAME), "key %d: it is complete, but there is "
		   "no file", key);
	judge_visible_file(key);
}

static enum ft_state judge_state(const cJSON *json)
{
	return judge_says(json, "state", "none") ? FT_STATE_NONE
		: judge_says(json, "state", "receiving") ? FT_STATE_RECEIVING
		: judge_says(json, "state", "complete") ? FT_STATE_COMPLETE : FT_STATE_UNSAID;
}

static size_t judge_damaged(void)
{
	char path[256], names[16][256];

	snprintf(path, sizeof path, "%s/damaged", play.dir);
	return judge_list(path, names);
}

/* Asks the new engine for one transfer. `had_data`, `damaged`: what was there before it was started. */
static const struct promise_found *judge_key(int key, bool had_data, size_t damaged)
{
	static struct promise_found found;
	const struct promise_life *life = promise_latest(&play.live, key);
	enum ft_status st = play_ask(play_plain(FT_VERB_STATUS, key));

	memset(&found, 0, sizeof found);
	play_check(st == FT_OK, "key %d: status is answered by %s", key, ft_status_word(st));
	found.state = judge_state(play.answer);
	play_check(found.state != FT_STATE_UNSAID, "key %d: no state is known", key);
	if (found.state == FT_STATE_NONE) {
		judge_none(key, life, had_data, judge_damaged() > damaged);
	} else if (found.state == FT_STATE_RECEIVING) {
		found.life = judge_life("incoming", key, "manifest.new");
		if (found.life == 0)	/* none, or not whole */
			found.life = judge_life("incoming", key, "manifest.json");
		judge_take_held(key, play.answer, &found);
		judge_receiving(key, life, &found);
	} else {
		judge_complete(key, life);
	}
	return &found;
}

#endif
