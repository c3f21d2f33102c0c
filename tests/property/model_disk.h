/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What must be true of the storage directory, whatever was done. */
#ifndef FT_TESTS_MODEL_DISK_H
#define FT_TESTS_MODEL_DISK_H

#include <ftw.h>

#include "base/escape.h"
#include "model_play.h"

static void disk_path(const struct game *game, int key, const char *where, const char *name,
		      char path[CHILD_PATH_MAX])
{
	char client[FT_NAME_ROOM], file[FT_NAME_ROOM];

	ft_escape(client, game_client(key), strlen(game_client(key)));
	ft_escape(file, game_file(key), strlen(game_file(key)));
	snprintf(path, CHILD_PATH_MAX, "%s/%s/%s/%s/%s", game->setup.dir, where, client, file, name);
}

/* A whole file, malloc'd; NULL: there is none. */
static char *disk_read(struct game *game, const char *path, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat info;
	char *text;
	ssize_t got;

	if (fd < 0)
		return NULL;
	game_check(game, fstat(fd, &info) == 0 && S_ISREG(info.st_mode), "%s is no file", path);
	text = malloc((size_t)info.st_size + 1);
	got = pread(fd, text, (size_t)info.st_size, 0);
	close(fd);
	if (got != info.st_size) {
		free(text);
		game_lose(game, "%s cannot be read", path);
	}
	text[got] = '\0';
	*len = (size_t)got;
	return text;
}

static void disk_check_manifest(struct game *game, int key, const char *text)
{
	const struct model_transfer *t = &game->t[key];
	cJSON *json = cJSON_Parse(text);
	struct ft_sha256 sum = model_sum(t, t->fin_size);
	char hex[FT_SHA256_HEX_LEN + 1];
	struct ft_buf buf = ft_buf_on(hex, sizeof hex);
	const cJSON *about = cJSON_GetObjectItemCaseSensitive(json, "user_data");
	bool right;

	ft_buf_hex(&buf, sum.bytes, sizeof sum.bytes);
	right = json && strcmp(game_string(json, "client_id"), game_client(key)) == 0
		&& strcmp(game_string(json, "file_id"), game_file(key)) == 0
		&& strcmp(game_string(json, "name"), game_names[t->meta.name]) == 0
		&& strcmp(game_string(json, "sha256"), hex) == 0
		&& cJSON_GetNumberValue(cJSON_GetObjectItem(json, "size")) == (double)t->fin_size
		&& strlen(game_string(json, "transfer_id")) == 36
		&& strlen(game_string(json, "received_at")) == 24
		&& strlen(game_string(json, "completed_at")) == 24
		&& cJSON_GetNumberValue(cJSON_GetObjectItem(about, "about")) == (double)t->about
		&& cJSON_GetNumberValue(cJSON_GetObjectItem(json, "expire_at"))
		   == (double)MODEL_EXPIRE_BASE + t->about;
	cJSON_Delete(json);
	game_check(game, right, "key %d (about %u, size %llu, sha256 %s): its manifest says %.900s",
		   key, t->about, (unsigned long long)t->fin_size, hex, text);
}

/* The finished file is there, with all its bytes and its manifest; or else must not be there. */
static void disk_check_finished(struct game *game, int key, int name, bool must)
{
	const struct model_transfer *t = &game->t[key];
	char path[CHILD_PATH_MAX], manifest[CHILD_PATH_MAX + 16];
	size_t len = 0, manifest_len = 0;
	char *bytes, *text;
	bool same;

	disk_path(game, key, "files", game_names[name], path);
	snprintf(manifest, sizeof manifest, "%s.manifest.json", path);
	bytes = disk_read(game, path, &len);
	if (!bytes) {
		game_check(game, !must, "key %d is complete, but %s is not there", key, path);
		return;
	}
	same = must && len == t->fin_size && memcmp(bytes, t->bytes, len) == 0;
	free(bytes);
	game_check(game, must, "key %d is not complete, but %s is there", key, path);
	game_check(game, same, "key %d: %s has %zu bytes that are not the %llu expected", key, path,
		   len, (unsigned long long)t->fin_size);
	text = disk_read(game, manifest, &manifest_len);
	game_check(game, text != NULL, "key %d: %s has no manifest beside it", key, path);
	disk_check_manifest(game, key, text);
	free(text);
}

/* Every byte that counts as held is there. Settles what a crash left open. */
static void disk_check_held(struct game *game, int key)
{
	struct model_transfer *t = &game->t[key];
	char path[CHILD_PATH_MAX];
	size_t len = 0, bad = t->span;
	uint8_t *data;

	disk_path(game, key, "incoming", "data", path);
	data = (uint8_t *)disk_read(game, path, &len);
	game_check(game, data != NULL, "key %d is receiving, but %s is not there", key, path);
	for (size_t i = 0; i < t->span && bad == t->span; i++) {
		if (t->held[i] == BYTE_CHANGED && i < len && data[i] == t->old[i])
			t->bytes[i] = t->old[i];
		if (t->held[i] != BYTE_MISSING && (i >= len || data[i] != t->bytes[i]))
			bad = i;
	}
	free(data);
	game_check(game, bad == t->span, "key %d: byte %zu counts as held, but is not the one that "
		   "was sent", key, bad);
}

static void disk_check_nothing_unfinished(struct game *game, int key)
{
	char path[CHILD_PATH_MAX];

	disk_path(game, key, "incoming", "data", path);
	game_check(game, access(path, F_OK) != 0, "key %d: %s is still there", key, path);
}

/* A worker may be publishing: what is there must be whole, but need not be there. */
static void disk_check_assembling(struct game *game, int key)
{
	const struct model_transfer *t = &game->t[key];
	char path[CHILD_PATH_MAX];

	disk_path(game, key, "files", game_names[t->meta.name], path);
	if (access(path, F_OK) != 0)
		return;
	game_check(game, model_result(t) == FT_OK, "key %d: %s is there in spite of its checksum",
		   key, path);
	disk_check_finished(game, key, t->meta.name, true);
}

static void disk_check(struct game *game, int key)
{
	const struct model_transfer *t = &game->t[key];

	if (!game->on_disk)
		return;
	if (t->state == FT_STATE_ASSEMBLING) {
		disk_check_assembling(game, key);
		return;
	}
	for (int name = 0; name < 2; name++)
		disk_check_finished(game, key, name,
				    t->state == FT_STATE_COMPLETE && name == t->meta.name);
	if (t->state == FT_STATE_RECEIVING)
		disk_check_held(game, key);
	else
		disk_check_nothing_unfinished(game, key);
}

/* --- power cut --- */

static const struct game *disk_cut;	/* nftw() passes no context */

static int disk_revert(const char *path, const struct stat *info, int type, struct FTW *at)
{
	const char *name = path + at->base;
	bool unfinished = strstr(path, "/incoming/") != NULL;

	(void)info;
	if (type != FTW_F)
		return 0;
	if (unfinished && strcmp(name, "data") != 0 && strcmp(name, "journal") != 0)
		return 0;
	child_revert(AT_FDCWD, path, disk_cut->setup.images, disk_cut->boots % 2);
	return 0;
}

/* Takes from the files what was not flushed. Directories keep their entries. */
static void disk_cut_power(struct game *game)
{
	char path[CHILD_PATH_MAX];

	disk_cut = game;
	snprintf(path, sizeof path, "%s/incoming", game->setup.dir);
	nftw(path, disk_revert, 16, FTW_PHYS);
	snprintf(path, sizeof path, "%s/files", game->setup.dir);
	nftw(path, disk_revert, 16, FTW_PHYS);
}

#endif
