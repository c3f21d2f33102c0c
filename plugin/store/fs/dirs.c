/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Directories: opened by their names each time, and made again where they are missing.
 * Consumers remove directories that are empty, at any moment, so that between mkdir and
 * the next step one may be gone already.
 */

#include "store/fs/fs.h"

#include "base/system.h"

#define DIRS_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

enum ft_status fs_dir_open(int dir, const char *name, int *fd)
{
	*fd = ft_sys_openat(dir, name, DIRS_FLAGS, 0);
	return *fd >= 0 ? FT_OK : ft_sys_status(errno);
}

enum ft_status fs_dir_make(int dir, const char *name, int *fd)
{
	enum ft_status st;

	*fd = -1;
	if (ft_sys_mkdirat(dir, name, FS_DIR_MODE) != 0)
		return errno == EEXIST ? FT_ALREADY_COMPLETE : ft_sys_status(errno);
	st = fs_dir_open(dir, name, fd);
	/* The umask belongs to the whole process. It may even forbid us to open what we made. */
	if (st == FT_IO_ERROR && errno == EACCES && fchmodat(dir, name, FS_DIR_MODE, 0) == 0)
		st = fs_dir_open(dir, name, fd);
	if (st != FT_OK || ft_sys_set_mode(*fd, FS_DIR_MODE) == 0)
		return st;
	st = ft_sys_status(errno);
	ft_sys_close(*fd);
	*fd = -1;
	return st;
}

bool fs_may_try(int tries)
{
	if (tries % 100 == 99)
		ft_sleep_ms(1);
	return tries < FS_ATTEMPTS;
}

void fs_top_make(struct fs *fs, const char *top)
{
	int fd;

	/* Not so if only a client's directory went, when its last entry did. */
	if (fs_dir_make(fs->root, top, &fd) != FT_OK)
		return;
	ft_sys_close(fd);
	ft_logger_printf(fs->logger, FT_LOG_WARNING,
			 "%s in storage_dir was removed and has been made again", top);
}

enum ft_status fs_client_open(struct fs *fs, const char *top, const struct fs_names *names, int *fd)
{
	char path[FS_PATH_ROOM];

	fs_client_path(path, top, names);
	return fs_dir_open(fs->root, path, fd);
}

enum ft_status fs_client_make(struct fs *fs, const char *top, const struct fs_names *names, int *fd)
{
	char path[FS_PATH_ROOM];
	enum ft_status st;

	fs_client_path(path, top, names);
	st = fs_dir_open(fs->root, path, fd);
	for (int i = 0; st == FT_NO_SUCH_TRANSFER && fs_may_try(i); i++) {
		if (i > 0)
			fs_top_make(fs, top);
		st = fs_dir_make(fs->root, path, fd);
		if (st == FT_ALREADY_COMPLETE)
			st = fs_dir_open(fs->root, path, fd);
	}
	return st == FT_OK ? FT_OK : fs_failed(fs, "make the directory", path);
}

enum ft_status fs_place_open(struct fs *fs, const char *top, const struct fs_names *names, int *fd)
{
	enum ft_status st;
	int client;

	*fd = -1;
	if ((st = fs_client_open(fs, top, names, &client)) == FT_OK) {
		st = fs_dir_open(client, names->file, fd);
		ft_sys_close(client);
	}
	if (st == FT_OK || errno == ENOENT)
		return st;
	/* A file or a link is no directory of ours, so there is nothing of ours in it. */
	if (errno == ENOTDIR || errno == ELOOP)
		return FT_NO_SUCH_TRANSFER;
	return fs_place_failed(fs, "open", top, names);
}

void fs_place_remove(struct fs *fs, const char *top, const struct fs_names *names)
{
	int client;

	if (fs_client_open(fs, top, names, &client) != FT_OK)
		return;
	(void)ft_sys_unlinkat(client, names->file, AT_REMOVEDIR);
	ft_sys_close(client);
	fs_client_remove(fs, top, names);
}

void fs_client_remove(struct fs *fs, const char *top, const struct fs_names *names)
{
	char path[FS_PATH_ROOM];

	fs_client_path(path, top, names);
	(void)ft_sys_unlinkat(fs->root, path, AT_REMOVEDIR);
}

static enum ft_status dirs_sync(struct fs *fs, const char *path)
{
	enum ft_status st;
	int fd;

	st = fs_dir_open(fs->root, path, &fd);
	/* Whoever removed it has taken along what was to last. */
	if (st != FT_OK)
		return st == FT_NO_SUCH_TRANSFER ? FT_OK : fs_failed(fs, "open", path);
	st = ft_sys_fsync(fd) == 0 ? FT_OK : fs_sync_failed(fs, path);
	ft_sys_close(fd);
	return st;
}

enum ft_status fs_client_sync(struct fs *fs, const char *top, const struct fs_names *names)
{
	char path[FS_PATH_ROOM];
	enum ft_status st;

	fs_client_path(path, top, names);
	if ((st = dirs_sync(fs, path)) == FT_OK && (st = dirs_sync(fs, top)) == FT_OK)
		st = dirs_sync(fs, ".");
	return st;
}

/* --- files in them --- */

enum fs_same fs_compare(int dir, const char *name, int fd)
{
	struct stat there, here;

	if (ft_sys_fstatat(dir, name, &there, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT || errno == ENOTDIR ? FS_ABSENT : FS_FAILED;
	if (ft_sys_fstat(fd, &here) != 0)
		return FS_FAILED;
	return there.st_ino == here.st_ino && there.st_dev == here.st_dev ? FS_SAME : FS_OTHER;
}

enum ft_status fs_file_open(int dir, const char *name, int *fd, struct stat *info)
{
	enum ft_status st = FT_OK;

	/* O_NONBLOCK: what lies there might be a FIFO, whose open would wait. */
	*fd = ft_sys_openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
	if (*fd < 0)
		return errno == ELOOP || errno == ENXIO ? FT_NO_SUCH_TRANSFER : ft_sys_status(errno);
	if (ft_sys_fstat(*fd, info) != 0)
		st = ft_sys_status(errno);
	else if (!S_ISREG(info->st_mode))
		st = FT_NO_SUCH_TRANSFER;
	if (st == FT_OK)
		return FT_OK;
	ft_sys_close(*fd);
	*fd = -1;
	return st;
}

enum ft_status fs_manifest_read(int dir, const char *name, char **text, size_t *len)
{
	struct stat info;
	enum ft_status st;
	ssize_t got;
	int fd;

	*text = NULL;
	*len = 0;
	if ((st = fs_file_open(dir, name, &fd, &info)) != FT_OK)
		return st;
	if (info.st_size == 0 || (uint64_t)info.st_size > FS_MANIFEST_MAX) {
		ft_sys_close(fd);
		return FT_DAMAGED;
	}
	*text = malloc((size_t)info.st_size + 1);
	got = *text ? ft_sys_read_all(fd, *text, (size_t)info.st_size, 0) : 0;
	if (!*text)
		st = FT_NO_MEMORY;
	else if (got < 0)
		st = ft_sys_status(errno);
	ft_sys_close(fd);
	if (st == FT_OK) {
		(*text)[got] = '\0';
		*len = (size_t)got;
	} else {
		free(*text);
		*text = NULL;
	}
	return st;
}

enum ft_status fs_each(int *dir, fs_visit *visit, void *context)
{
	DIR *stream = fdopendir(*dir);
	enum ft_status st = FT_OK;
	struct dirent *entry;

	if (!stream) {
		st = ft_sys_status(errno);
		ft_sys_close(*dir);
		*dir = -1;
		return st;
	}
	while (st == FT_OK) {
		entry = ft_sys_readdir(stream);
		if (!entry) {
			st = errno == 0 ? FT_OK : ft_sys_status(errno);
			break;
		}
		st = visit(context, *dir, entry->d_name);
	}
	closedir(stream);
	*dir = -1;
	return st == FT_CANCELLED ? FT_OK : st;
}
