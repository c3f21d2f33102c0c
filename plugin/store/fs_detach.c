/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Forgetting: one rename takes a transfer away, its bytes are freed later. */
#include "store/fs.h"

#define PURGE_ROUNDS 3	/* a checkpoint or publish that still runs may add a file */

/* False, errno ENOENT: a publish has just taken the data away, or somebody else has. */
static bool move_to_trash(struct fs *fs, const struct fs_names *names, const char *trash)
{
	int client = fs_open_dir(fs, fs->incoming, names->client);
	int file = client < 0 ? -1 : fs_open_dir(fs, client, names->file);
	struct stat data;
	bool done;

	done = file >= 0 && ft_sys_fstatat(file, FS_DATA, &data, AT_SYMLINK_NOFOLLOW) == 0 &&
		ft_sys_renameat(client, names->file, fs->trash, trash) == 0;
	ft_sys_close(file);
	ft_sys_close(client);
	return done;
}

static enum ft_status detach(struct fs *fs, const struct fs_names *names, const char *trash)
{
	enum ft_status st;
	bool finished;

	/* First: a manifest that stayed behind would make the key look finished. */
	if ((st = fs_clear_stale(fs, names, &finished)) != FT_OK)
		return st;
	if (!move_to_trash(fs, names, trash))
		return errno == ENOENT ? FT_NO_SUCH_TRANSFER
			: fs_failed(fs, "remove incoming", names);
	fs_remove_pair(fs, fs->incoming, names);
	return FT_OK;
}

bool fs_is_clear(struct fs *fs, const struct fs_names *names)
{
	return !fs_marks_has(&fs->fresh_trash, names) || ft_sys_fsync(fs->trash) == 0;
}

enum ft_status fs_detach(struct ft_upload **upload, struct ft_trash **out)
{
	struct fs *fs = fs_of((*upload)->store);
	bool durable = fs->durability != FT_DURABILITY_NONE && fs_upload_of(*upload)->durable;
	struct fs_trash *trash = calloc(1, sizeof *trash);
	enum ft_status st;

	if (!trash)
		return FT_NO_MEMORY;
	trash->base.store = &fs->base;
	ft_uuid(trash->name);
	fs_names_of_upload(&trash->names, fs_upload_of(*upload));
	fs_mark_init(&trash->fresh, &trash->names);
	/* A publish that is under way must find either all of it or nothing. */
	fs_lock(fs, &trash->names);
	st = detach(fs, &trash->names, trash->name);
	fs_unlock(fs, &trash->names);
	if (st != FT_OK) {
		free(trash);
		return st;
	}
	fs_marks_set(&fs->fresh_trash, &trash->fresh, durable);
	fs_release(upload);
	*out = &trash->base;
	return FT_OK;
}

enum ft_status fs_set_aside(struct ft_upload **upload, const char *why)
{
	struct fs *fs = fs_of((*upload)->store);
	struct fs_names names;
	enum ft_status st;

	fs_names_of_upload(&names, fs_upload_of(*upload));
	fs_release(upload);
	fs_lock(fs, &names);
	st = fs_set_aside_pair(fs, fs->incoming, &names, why);
	fs_unlock(fs, &names);
	return st;
}

static bool unlink_any(int dir, const char *name)
{
	return ft_sys_unlinkat(dir, name, 0) == 0 || errno == ENOENT ||
		(errno == EISDIR && ft_sys_unlinkat(dir, name, AT_REMOVEDIR) == 0);
}

static bool unlink_children(int fd)
{
	DIR *dir = ft_sys_fdopendir(fd);
	struct dirent *entry;
	bool done = true;
	int saved;

	if (!dir) {
		ft_sys_close(fd);
		return false;
	}
	while (done && (entry = ft_sys_readdir(dir)) != NULL)
		done = unlink_any(dirfd(dir), entry->d_name);
	done = done && errno == 0;
	saved = errno;
	closedir(dir);
	errno = saved;
	return done;
}

/* True: gone. False with ENOTEMPTY: try again. */
static bool purge_once(struct fs *fs, const char *name)
{
	int fd = fs_open_dir(fs, fs->trash, name);

	if (fd < 0 && errno == ENOENT)
		return true;
	if (fd < 0 && (errno == ENOTDIR || errno == ELOOP))
		return unlink_any(fs->trash, name);
	if (fd < 0 || !unlink_children(fd))
		return false;
	return ft_sys_unlinkat(fs->trash, name, AT_REMOVEDIR) == 0 || errno == ENOENT;
}

enum ft_status fs_purge_name(struct fs *fs, const char *name)
{
	char reason[FT_ERROR_ROOM];
	int error;

	for (int round = 0; round < PURGE_ROUNDS; round++) {
		if (purge_once(fs, name))
			return FT_OK;
		if (errno != ENOTEMPTY && errno != EEXIST)
			break;
	}
	error = errno;
	ft_logger_printf(fs->log, FT_LOG_WARNING,
		      "cannot remove trash/%s: %s (tried again at the next start)", name,
		      ft_error_text(error, reason));
	return ft_sys_status(error);
}

enum ft_status fs_purge(struct ft_trash **trash)
{
	struct fs_trash *own = (struct fs_trash *)*trash;
	struct fs *fs = fs_of(own->base.store);
	enum ft_status st = FT_OK, purged;

	*trash = NULL;
	/* Said to be gone is gone: without fsync(dir) a power cut may bring it back. */
	if (fs->durability != FT_DURABILITY_NONE && ft_sys_fsync(fs->trash) != 0)
		st = fs_sync_failed(fs, "sync trash, for incoming", &own->names);
	fs_marks_set(&fs->fresh_trash, &own->fresh, false);
	purged = fs_purge_name(fs, own->name);
	free(own);
	return st == FT_OK ? purged : st;
}
