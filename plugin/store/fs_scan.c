/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The walk over all unfinished transfers, which also clears up after earlier processes. */
#include "store/fs.h"

#include "base/hex.h"
#include "base/json.h"

/* --- the ids in a manifest --- */

static enum ft_status from_hex(const char *hex, char **id, size_t *len)
{
	size_t digits = strlen(hex);
	char *bytes;

	if (digits % 2)
		return FT_DAMAGED;
	bytes = malloc(digits / 2 + 1);
	if (!bytes)
		return FT_NO_MEMORY;
	for (size_t i = 0; i < digits; i += 2) {
		int high = ft_hex_digit(hex[i]), low = ft_hex_digit(hex[i + 1]);

		if (high < 0 || low < 0) {
			free(bytes);
			return FT_DAMAGED;
		}
		bytes[i / 2] = (char)(high << 4 | low);
	}
	*id = bytes;
	*len = digits / 2;
	return FT_OK;
}

/* The id under `key`, or where it is no UTF-8 in hex under `hex_key`; malloc'd. */
static enum ft_status read_id(const cJSON *manifest, const char *key, const char *hex_key,
			      char **id, size_t *len)
{
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(manifest, key));
	const char *hex;

	if (text) {
		*len = strlen(text);
		*id = strdup(text);
		return *id ? FT_OK : FT_NO_MEMORY;
	}
	hex = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(manifest, hex_key));
	return hex ? from_hex(hex, id, len) : FT_DAMAGED;
}

static bool has_names(const struct fs_ids *ids, const struct fs_names *names)
{
	struct fs_names own;

	ft_escape(own.client, ids->client, ids->client_len);
	ft_escape(own.file, ids->file, ids->file_len);
	return !strcmp(own.client, names->client) && !strcmp(own.file, names->file);
}

enum ft_status fs_ids_read(struct fs_ids *ids, const char *manifest, size_t len,
			   const struct fs_names *names)
{
	static const char *const keys[] = { "client_id", "client_id_hex", "file_id",
					    "file_id_hex", NULL };
	cJSON *root;
	enum ft_status st = ft_json_parse_object(manifest, len, keys, NULL, &root, NULL);

	*ids = (struct fs_ids){.client = NULL};
	if (st == FT_OK)
		st = read_id(root, "client_id", "client_id_hex", &ids->client, &ids->client_len);
	if (st == FT_OK)
		st = read_id(root, "file_id", "file_id_hex", &ids->file, &ids->file_len);
	cJSON_Delete(root);
	if (st == FT_OK && !has_names(ids, names))
		st = FT_DAMAGED;
	if (st != FT_OK)
		fs_ids_release(ids);
	return st;
}

void fs_ids_release(struct fs_ids *ids)
{
	free(ids->client);
	free(ids->file);
	*ids = (struct fs_ids){.client = NULL};
}

/* --- one transfer --- */

/* One walk. */
struct walk {
	struct fs *fs;
	ft_store_visit *visit;
	void *context;
	struct fs_names names;
	size_t entries;		/* in the client's directory, but for what was removed */
	bool ended;		/* the visitor has seen enough */
	enum ft_status st;	/* the first error */
};

/* What is in a transfer's directory. */
struct content {
	char *manifest;
	size_t manifest_len;
	struct fs_ids ids;
	int64_t last_news;
	uint64_t stored_bytes;
};

static void content_release(struct content *content)
{
	free(content->manifest);
	fs_ids_release(&content->ids);
	*content = (struct content){.manifest = NULL};
}

static void take_time(int dir, const char *name, struct content *content)
{
	struct stat file;

	if (ft_sys_fstatat(dir, name, &file, AT_SYMLINK_NOFOLLOW) == 0 &&
	    file.st_mtime > content->last_news)
		content->last_news = file.st_mtime;
}

static enum ft_status read_content(struct walk *walk, int dir, struct content *content)
{
	struct stat data;
	enum ft_status st;

	if (ft_sys_fstatat(dir, FS_DATA, &data, AT_SYMLINK_NOFOLLOW) != 0)
		return ft_sys_status(errno);
	if (!S_ISREG(data.st_mode))
		return FT_DAMAGED;
	st = fs_read_manifest(walk->fs, dir, &content->manifest, &content->manifest_len);
	if (st != FT_OK)
		return st == FT_NO_SUCH_TRANSFER ? FT_DAMAGED : st;
	st = fs_ids_read(&content->ids, content->manifest, content->manifest_len, &walk->names);
	if (st != FT_OK)
		return st;
	content->last_news = data.st_mtime;
	content->stored_bytes = (uint64_t)data.st_blocks * 512;
	take_time(dir, FS_JOURNAL, content);
	take_time(dir, FS_MANIFEST, content);
	take_time(dir, FS_MANIFEST_NEWER, content);
	return FT_OK;
}

static enum ft_status look_at(struct walk *walk, struct content *content)
{
	int dir = fs_open_pair(walk->fs, walk->fs->incoming, &walk->names);
	enum ft_status st;

	*content = (struct content){.manifest = NULL};
	if (dir < 0)
		return errno == ENOTDIR || errno == ELOOP ? FT_DAMAGED : ft_sys_status(errno);
	st = read_content(walk, dir, content);
	if (st != FT_OK)
		content_release(content);
	ft_sys_close(dir);
	return st;
}

/*
 * Moves a directory without data to the trash. The caller holds the lock, as create()
 * does until `data` is there: so it is not one that is being made.
 */
static bool trash_leftover(struct walk *walk, const char *trash)
{
	struct fs *fs = walk->fs;
	int client = fs_open_dir(fs, fs->incoming, walk->names.client);
	int dir = client < 0 ? -1 : fs_open_dir(fs, client, walk->names.file);
	struct stat data;
	bool done;

	done = dir >= 0 && ft_sys_fstatat(dir, FS_DATA, &data, AT_SYMLINK_NOFOLLOW) != 0 &&
		errno == ENOENT && !fs_marks_has(&fs->publishing, &walk->names) &&
		ft_sys_renameat(client, walk->names.file, fs->trash, trash) == 0;
	ft_sys_close(dir);
	ft_sys_close(client);
	return done;
}

static void clear_leftover(struct walk *walk)
{
	char trash[FT_UUID_ROOM];
	bool moved;

	ft_uuid(trash);
	fs_lock(walk->fs, &walk->names);
	moved = trash_leftover(walk, trash);
	fs_unlock(walk->fs, &walk->names);
	if (!moved)
		return;
	walk->entries--;
	(void)fs_purge_name(walk->fs, trash);
}

/* What looks damaged may be on its way out or in: looks again with the names held still. */
static void clear_damage(struct walk *walk)
{
	struct content content;

	fs_lock(walk->fs, &walk->names);
	if (look_at(walk, &content) == FT_DAMAGED)
		(void)fs_set_aside_pair(walk->fs, walk->fs->incoming, &walk->names,
					"not a transfer with data and a manifest");
	fs_unlock(walk->fs, &walk->names);
	content_release(&content);
}

static void visit(struct walk *walk, const struct content *content)
{
	const struct ft_found found = {
		.key = {
			.client = content->ids.client,
			.client_len = content->ids.client_len,
			.file = content->ids.file,
			.file_len = content->ids.file_len,
		},
		.manifest = content->manifest,
		.manifest_len = content->manifest_len,
		.last_news = content->last_news,
		.stored_bytes = content->stored_bytes,
	};

	walk->ended = !walk->visit(walk->context, &found);
}

static void scan_transfer(struct walk *walk)
{
	struct content content;
	enum ft_status st = look_at(walk, &content);

	if (st == FT_OK)
		visit(walk, &content);
	else if (st == FT_NO_SUCH_TRANSFER)
		clear_leftover(walk);
	else if (st == FT_DAMAGED)
		clear_damage(walk);
	else if (walk->st == FT_OK)
		walk->st = fs_failed(walk->fs, "read incoming", &walk->names);
	content_release(&content);
}

/* --- directories --- */

typedef void scan_entry(struct walk *walk, const char *name);

/* Calls `scan` for each entry; takes `fd` over. */
static void scan_dir(struct walk *walk, int fd, scan_entry *scan)
{
	DIR *dir = fd < 0 ? NULL : ft_sys_fdopendir(fd);
	struct dirent *entry = NULL;

	if (dir) {
		while (!walk->ended && (entry = ft_sys_readdir(dir)) != NULL)
			scan(walk, entry->d_name);
	} else {
		ft_sys_close(fd);
	}
	if (!walk->ended && !entry && errno != 0 && errno != ENOENT) {
		enum ft_status st = fs_failed(walk->fs, "read", &walk->names);

		/* Where it is no directory at all it is nothing of ours. */
		if (walk->st == FT_OK && errno != ENOTDIR && errno != ELOOP)
			walk->st = st;
	}
	if (dir)
		closedir(dir);
}

static void scan_file_entry(struct walk *walk, const char *name)
{
	memcpy(walk->names.file, name, strlen(name) + 1);
	walk->entries++;
	scan_transfer(walk);
}

static void scan_client_entry(struct walk *walk, const char *name)
{
	struct fs *fs = walk->fs;

	memcpy(walk->names.client, name, strlen(name) + 1);
	walk->names.file[0] = '\0';
	walk->entries = 0;
	scan_dir(walk, fs_open_dir(fs, fs->incoming, name), scan_file_entry);
	if (walk->entries > 0)
		return;
	(void)ft_sys_unlinkat(fs->incoming, name, AT_REMOVEDIR);
}

static void purge_entry(struct walk *walk, const char *name)
{
	enum ft_status st = fs_purge_name(walk->fs, name);

	if (walk->st == FT_OK)
		walk->st = st;
}

enum ft_status fs_enumerate(struct ft_store *store, ft_store_visit *visitor, void *context)
{
	struct fs *fs = fs_of(store);
	struct walk walk = {.fs = fs, .visit = visitor, .context = context};

	/* "." opens a stream of its own: reading moves the position of the descriptor. */
	scan_dir(&walk, fs_open_dir(fs, fs->trash, "."), purge_entry);
	scan_dir(&walk, fs_open_dir(fs, fs->incoming, "."), scan_client_entry);
	return walk.st;
}
