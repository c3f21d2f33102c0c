/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Notices for consumers: done/<title>.json, the manifest with the path of the file in it.
 *
 * Each is written aside, in tmp/, and renamed into done/ when it is whole, so a consumer sees
 * one event and never a part. Consumers take notices away at any time, and may remove done/.
 */
#include <assert.h>

#include "store/fs/fs.h"

#define DONE_SUFFIX ".json"
#define DONE_TOGETHER 4		/* from so many on one syncfs() is cheaper, see publish.c */

/* Opens done/; makes it where it is absent, for good. */
static enum ft_status done_open(struct fs *fs, int *dir)
{
	enum ft_status st = fs_dir_open(fs->root, FS_DONE, dir);

	if (st == FT_NO_SUCH_TRANSFER)
		st = fs_dir_make(fs->root, FS_DONE, dir);
	else if (st == FT_OK)
		return FT_OK;
	if (st == FT_OK && fs->durability != FT_DURABILITY_NONE && ft_sys_fsync(fs->root) != 0) {
		ft_sys_close(*dir);
		return fs_sync_failed(fs, "storage_dir");
	}
	return st == FT_OK ? FT_OK : fs_failed(fs, "make or open the directory", FS_DONE);
}

/* The manifest, with a first member more. NULL: out of memory. The caller's. */
static char *done_write_text(const struct fs *fs, const struct ft_notice *notice, size_t *len)
{
	char path[FS_PATH_ROOM + FT_NAME_ROOM];
	const char *members = memchr(notice->manifest, '{', notice->manifest_len);
	size_t room = 6 * sizeof path + notice->manifest_len + 32;
	struct ft_buf at = ft_buf_on(path, sizeof path), buf;
	char place[FS_PATH_ROOM], *text = malloc(room);
	struct fs_names names;

	assert(members);
	if (!text)
		return NULL;
	fs_names_of(fs, &names, &notice->key);
	fs_path(place, FS_FILES, &names);
	ft_buf_printf(&at, "%s/%s", place, notice->name);
	buf = ft_buf_on(text, room);
	ft_buf_str(&buf, "{\n\t\"path\": ");
	ft_buf_json(&buf, path, at.len);
	ft_buf_char(&buf, ',');
	ft_buf_bytes(&buf, members + 1,
		     notice->manifest_len - (size_t)(members + 1 - notice->manifest));
	assert(ft_buf_ok(&at) && ft_buf_ok(&buf));
	*len = buf.len;
	return text;
}

/* Writes one aside; `path` is where. */
static enum ft_status done_prepare(struct fs *fs, const struct ft_notice *notice, bool sync,
				   char path[FS_PATH_ROOM])
{
	enum ft_status st = FT_OK;
	size_t len;
	char *text = done_write_text(fs, notice, &len);
	int fd;

	if (!text)
		return FT_NO_MEMORY;
	(void)fs_temporary_path(fs, path);
	for (int i = 0; (fd = ft_sys_openat(fs->root, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW
					    | O_CLOEXEC, FS_FILE_MODE)) < 0
			&& errno == ENOENT && fs_may_try(i); i++)
		fs_top_make(fs, FS_TMP);
	if (fd < 0 || ft_sys_set_mode(fd, FS_FILE_MODE) != 0 || !ft_sys_write_all(fd, text, len, 0))
		st = fs_failed(fs, "write a notice for", FS_DONE);
	else if (sync && ft_sys_fsync(fd) != 0)
		st = fs_sync_failed(fs, path);
	ft_sys_close(fd);
	free(text);
	return st;
}

static enum ft_status done_place(struct fs *fs, const char *from, const char *title)
{
	char room[FT_NAME_ROOM];
	struct ft_buf name = ft_buf_on(room, sizeof room);
	enum ft_status st = FT_NO_SUCH_TRANSFER;

	assert(title[0] != '.' && !strchr(title, '/'));
	ft_buf_str(&name, title);
	ft_buf_str(&name, DONE_SUFFIX);
	assert(ft_buf_ok(&name));
	for (int i = 0; st == FT_NO_SUCH_TRANSFER && fs_may_try(i); i++) {
		int dir;

		if ((st = done_open(fs, &dir)) != FT_OK)
			return st;
		if (ft_sys_renameat(fs->root, from, dir, room) != 0)
			st = ft_sys_status(errno);
		ft_sys_close(dir);
	}
	return st == FT_OK ? FT_OK : fs_failed(fs, "place a notice in", FS_DONE);
}

static enum ft_status done_sync(struct fs *fs)
{
	enum ft_status st;
	int dir;

	if (fs->durability == FT_DURABILITY_NONE)
		return FT_OK;
	if ((st = done_open(fs, &dir)) != FT_OK)
		return st;
	if (ft_sys_fsync(dir) != 0)
		st = fs_sync_failed(fs, FS_DONE);
	ft_sys_close(dir);
	return st;
}

enum ft_status fs_announce(struct ft_store *store, const struct ft_notice *notices, size_t count)
{
	struct fs *fs = fs_of(store);
	bool durable = fs->durability != FT_DURABILITY_NONE, together = count >= DONE_TOGETHER;
	char (*paths)[FS_PATH_ROOM] = calloc(count + 1, sizeof *paths);
	enum ft_status st = paths ? FT_OK : FT_NO_MEMORY;

	for (size_t i = 0; st == FT_OK && i < count; i++)
		st = done_prepare(fs, &notices[i], durable && !together, paths[i]);
	if (st == FT_OK && durable && together && ft_sys_syncfs(fs->root) != 0)
		st = fs_sync_failed(fs, FS_DONE);
	for (size_t i = 0; st == FT_OK && i < count; i++) {
		if ((st = done_place(fs, paths[i], notices[i].title)) == FT_OK)
			paths[i][0] = '\0';
	}
	for (size_t i = 0; paths && i < count; i++)
		if (paths[i][0] != '\0')
			(void)ft_sys_unlinkat(fs->root, paths[i], 0);
	free(paths);
	return st == FT_OK ? done_sync(fs) : st;
}
