/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What init said, and says anew.
 *
 * Bytes that a checkpoint covers count after a power cut, and they do so by the manifest
 * beside them: it must not be replaced by one that is not on the disk yet. The broker's
 * thread cannot wait for that. So the newer one lies beside it as manifest.new, which
 * counts as long as it is whole, until the next checkpoint puts it in its place.
 */
#include "store/fs.h"

#include "base/json.h"

/* A power cut leaves less than all of it, which then is no JSON. */
static enum ft_status check_whole(const char *text, size_t len)
{
	static const char *const nothing[] = { NULL };
	cJSON *json;
	enum ft_status st = ft_json_parse_object(text, len, nothing, NULL, &json, NULL);

	if (st == FT_OK && !json)
		st = FT_DAMAGED;
	cJSON_Delete(json);
	return st;
}

enum ft_status fs_read_manifest(struct fs *fs, int dir, char **text, size_t *len)
{
	enum ft_status st = fs_read_text(fs, dir, FS_MANIFEST_NEWER, text, len);

	if (st == FT_OK && (st = check_whole(*text, *len)) != FT_OK) {
		free(*text);
		*text = NULL;
	}
	if (st != FT_NO_SUCH_TRANSFER && st != FT_DAMAGED)
		return st;
	return fs_read_text(fs, dir, FS_MANIFEST, text, len);
}

/* --- describe --- */

static int open_manifest(struct fs *fs, int dir)
{
	int fd = fs_open_at(fs, dir, FS_MANIFEST_NEWER, O_RDONLY | O_NONBLOCK);

	return fd >= 0 ? fd : fs_open_at(fs, dir, FS_MANIFEST, O_RDONLY | O_NONBLOCK);
}

/* Then it only gets a new time, which counts as news. */
static bool is_described(struct fs *fs, int dir, const char *manifest, size_t manifest_len)
{
	size_t len = 0;
	char *text = NULL;
	int fd = open_manifest(fs, dir);
	bool same = fd >= 0 && fs_read_all_text(fd, &text, &len) == FT_OK &&
		len == manifest_len && memcmp(text, manifest, len) == 0 &&
		ft_sys_futimens(fd, NULL) == 0;

	free(text);
	ft_sys_close(fd);
	return same;
}

/* One that a power cut might take, beside one that it does not. */
static enum ft_status put_beside(struct fs *fs, const struct fs_names *names, int dir,
				 const char *manifest, size_t manifest_len)
{
	struct ft_atomic file;
	enum ft_status st;

	st = ft_atomic_fill(&file, dir, FS_MANIFEST_TEMPORARY, manifest, manifest_len);
	if (st != FT_OK)
		return st;
	/* Against take_place(), which looks and then renames. */
	fs_lock(fs, names);
	st = ft_atomic_commit(&file, dir, FS_MANIFEST_NEWER, NULL);
	fs_unlock(fs, names);
	return st;
}

static enum ft_status replace(struct fs *fs, int dir, const char *manifest, size_t manifest_len)
{
	bool segment = fs->durability == FT_DURABILITY_SEGMENT;
	enum ft_status st;

	st = ft_atomic_write(dir, FS_MANIFEST_TEMPORARY, dir, FS_MANIFEST, manifest, manifest_len,
			     segment);
	/* Left where more was durable once than is now. */
	if (st == FT_OK && ft_sys_unlinkat(dir, FS_MANIFEST_NEWER, 0) != 0 && errno != ENOENT)
		st = ft_sys_status(errno);
	if (st == FT_OK && segment && ft_sys_fsync(dir) != 0)
		st = FT_IO_ERROR;
	return st;
}

enum ft_status fs_describe(struct ft_upload *upload, const char *manifest, size_t manifest_len)
{
	struct fs *fs = fs_of(upload->store);
	struct fs_upload *up = fs_upload_of(upload);
	bool beside = fs->durability == FT_DURABILITY_FILE && (up->durable || up->checkpoint);
	struct fs_names names;
	enum ft_status st;
	int dir;

	fs_names_of_upload(&names, up);
	dir = fs_open_pair(fs, fs->incoming, &names);
	if (dir < 0)
		return fs_failed(fs, "open incoming", &names);
	if (is_described(fs, dir, manifest, manifest_len)) {
		ft_sys_close(dir);
		return FT_OK;
	}
	st = beside ? put_beside(fs, &names, dir, manifest, manifest_len)
		    : replace(fs, dir, manifest, manifest_len);
	if (st == FT_OK)
		fs_checkpoint_described(up, fs->durability == FT_DURABILITY_SEGMENT);
	else
		(void)fs_failed(fs, "replace the manifest of incoming", &names);
	ft_sys_close(dir);
	return st;
}

/* --- making it durable --- */

/* The newer one, whole and on the disk, takes the other's place, unless there is a newer one still. */
static bool take_place(struct fs *fs, const struct fs_names *names, int dir, int fd)
{
	bool done;

	fs_lock(fs, names);
	done = fs_is_same(dir, FS_MANIFEST_NEWER, fd)
		? ft_sys_renameat(dir, FS_MANIFEST_NEWER, dir, FS_MANIFEST) == 0
		: errno == ENOENT;
	fs_unlock(fs, names);
	return done;
}

static bool settle(struct fs *fs, const struct fs_names *names, int dir)
{
	int fd = fs_open_at(fs, dir, FS_MANIFEST_NEWER, O_RDONLY | O_NONBLOCK);
	enum ft_status st;
	char *text = NULL;
	size_t len = 0;
	bool done;

	if (fd < 0)
		return errno == ENOENT;
	if ((st = fs_read_all_text(fd, &text, &len)) == FT_OK)
		st = check_whole(text, len);
	free(text);
	/* Of a power cut long ago: it does not count, and goes with the transfer. */
	done = st == FT_DAMAGED ||
		(st == FT_OK && ft_sys_fsync(fd) == 0 && take_place(fs, names, dir, fd));
	ft_sys_close(fd);
	return done;
}

bool fs_sync_around(struct fs *fs, const struct fs_names *names, int dir)
{
	bool done;
	int fd;

	if (!settle(fs, names, dir))
		return false;
	fd = fs_open_at(fs, dir, FS_MANIFEST, O_RDONLY | O_NONBLOCK);
	done = fd >= 0 && ft_sys_fsync(fd) == 0 && fs_sync_dirs(fs, fs->incoming, names, dir);
	ft_sys_close(fd);
	return done;
}
