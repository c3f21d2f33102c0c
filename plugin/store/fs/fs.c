/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The fs backend: life of the store, and the table of its operations.
 *
 * THE FORMAT. `format` holds a number and a newline: 2 is what fs.h describes. Version 1 had
 * no such file; its finished files lay where they lie now, its unfinished transfers were
 * directories. A higher number is refused. An empty file is one that a power cut left when
 * the store was made.
 */

#include "base/system.h"
#include "store/fs/fs.h"

#define FS_FORMAT "format"
#define FS_FORMAT_NEW "format.new"
#define FS_FORMAT_VERSION 2
#define FS_FORMAT_TEXT "2\n"

static enum ft_status fs_open_failed(struct fs *fs, const char *dir, const char *name)
{
	int error = errno;
	enum ft_status st;

	ft_logger_printf(fs->logger, FT_LOG_ERROR,
			 "storage_dir %s: cannot use %s: %s (it must be on the same file system, "
			 "and the broker's user must own it)", dir, name, strerror(error));
	st = ft_sys_status(error);
	return st == FT_NO_SUCH_TRANSFER ? FT_IO_ERROR : st;
}

/* Makes a directory where there is none; one that is there keeps the mode it was given. */
static enum ft_status fs_open_top(struct fs *fs, const char *dir, const char *name)
{
	struct stat top, root;
	enum ft_status st;
	int fd;

	st = fs_dir_make(fs->root, name, &fd);
	if (st == FT_ALREADY_COMPLETE)
		st = fs_dir_open(fs->root, name, &fd);
	if (st != FT_OK)
		return fs_open_failed(fs, dir, name);
	if (ft_sys_fstat(fd, &top) != 0 || ft_sys_fstat(fs->root, &root) != 0) {
		st = fs_open_failed(fs, dir, name);
	} else if (top.st_dev != root.st_dev) {
		errno = EXDEV;	/* files are renamed between them, never copied */
		st = fs_open_failed(fs, dir, name);
	}
	ft_sys_close(fd);
	return st;
}

/* --- the format --- */

static enum ft_status fs_write_format(struct fs *fs, const char *dir)
{
	int fd = ft_sys_openat(fs->root, FS_FORMAT_NEW,
			       O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, FS_FILE_MODE);
	bool done;

	if (fd < 0)
		return fs_open_failed(fs, dir, FS_FORMAT_NEW);
	done = ft_sys_set_mode(fd, FS_FILE_MODE) == 0
		&& ft_sys_write_all(fd, FS_FORMAT_TEXT, strlen(FS_FORMAT_TEXT), 0)
		&& (fs->durability == FT_DURABILITY_NONE || ft_sys_fsync(fd) == 0);
	ft_sys_close(fd);
	if (!done || ft_sys_renameat(fs->root, FS_FORMAT_NEW, fs->root, FS_FORMAT) != 0)
		return fs_open_failed(fs, dir, FS_FORMAT);
	return FT_OK;
}

static enum ft_status fs_check_format(struct fs *fs, const char *dir)
{
	char text[16], *end;
	struct stat info;
	enum ft_status st;
	unsigned long version;
	ssize_t got;
	int fd;

	st = fs_file_open(fs->root, FS_FORMAT, &fd, &info);
	if (st == FT_NO_SUCH_TRANSFER)
		return fs_write_format(fs, dir);
	got = st == FT_OK ? ft_sys_read_all(fd, text, sizeof text - 1, 0) : -1;
	if (got < 0)
		st = fs_open_failed(fs, dir, FS_FORMAT);
	ft_sys_close(fd);
	if (st != FT_OK)
		return st;
	if (got == 0)
		return fs_write_format(fs, dir);
	text[got] = '\0';
	version = strtoul(text, &end, 10);
	if (version == FS_FORMAT_VERSION && *end == '\n')
		return FT_OK;
	ft_logger_printf(fs->logger, FT_LOG_ERROR,
			 "storage_dir %s has format %.*s, and this version knows format %d: use the "
			 "version that made it, or a newer one", dir,
			 (int)strcspn(text, "\n"), text, FS_FORMAT_VERSION);
	return FT_IO_ERROR;
}

/* --- open and close --- */

static enum ft_status fs_open_all(struct fs *fs, const char *dir)
{
	static const char *const tops[] = { FS_INCOMING, FS_FILES, FS_TMP, FS_DAMAGED };
	enum ft_status st;

	fs->root = ft_sys_openat(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (fs->root < 0)
		return fs_open_failed(fs, dir, "it");
	if ((st = fs_check_format(fs, dir)) != FT_OK)
		return st;
	for (size_t i = 0; i < sizeof tops / sizeof *tops; i++)
		if ((st = fs_open_top(fs, dir, tops[i])) != FT_OK)
			return st;
	if ((st = fs_probe(fs, dir)) != FT_OK)
		return st;
	if (fs->durability != FT_DURABILITY_NONE && ft_sys_fsync(fs->root) != 0)
		return fs_open_failed(fs, dir, "it (fsync)");
	return FT_OK;
}

static void fs_close(struct ft_store **store)
{
	struct fs *fs = fs_of(*store);

	*store = NULL;
	if (!fs)
		return;
	ft_sys_close(fs->root);
	free(fs);
}

static enum ft_status fs_open(const struct ft_store_config *config, struct ft_store **out)
{
	struct fs *fs = calloc(1, sizeof *fs);
	char uuid[FT_UUID_ROOM];
	enum ft_status st;

	*out = NULL;
	if (!fs)
		return FT_NO_MEMORY;
	ft_uuid(uuid);
	fs->base.ops = &ft_store_fs;
	fs->root = -1;
	fs->durability = config->durability;
	fs->logger = config->logger;
	fs->run = (unsigned)strtoul(uuid, NULL, 16);	/* its first 8 digits */
	*out = &fs->base;
	if ((st = fs_open_all(fs, config->dir)) != FT_OK)
		fs_close(out);
	return st;
}

/* --- small things --- */

static enum ft_status fs_space(struct ft_store *store, struct ft_space *space)
{
	struct fs *fs = fs_of(store);
	struct statvfs info;

	if (ft_sys_fstatvfs(fs->root, &info) != 0)
		return fs_failed(fs, "ask for the free space of", "storage_dir");
	space->bytes = (uint64_t)info.f_bavail * info.f_frsize;
	/* Some file systems have no limit, and say 0 of 0. */
	space->files = info.f_files > 0 ? (uint64_t)info.f_favail : UINT64_MAX;
	return FT_OK;
}

enum ft_status fs_check_name(const struct ft_store *store, const char *name)
{
	const struct fs *fs = (const struct fs *)store;
	size_t len = strlen(name);

	if (len + FS_MANIFEST_SUFFIX_LEN > fs->name_max || strpbrk(name, fs->refused))
		return FT_NAME_REFUSED;
	/* Where these are refused, so are a blank and a dot at the end, or else cut off. */
	if (fs->refused[0] && (name[len - 1] == ' ' || name[len - 1] == '.'))
		return FT_NAME_REFUSED;
	return FT_OK;
}

const struct ft_store_ops ft_store_fs = {
	.name = "fs",
	.open = fs_open,
	.close = fs_close,
	.upload_open = fs_upload_open,
	.upload_close = fs_upload_close,
	.write = fs_write,
	.read = fs_read,
	.discard = fs_discard,
	.publish = fs_publish,
	.find = fs_find,
	.read_finished = fs_read_finished,
	.remove_finished = fs_remove_finished,
	.list_finished = fs_list_finished,
	.sync = fs_sync,
	.sweep = fs_sweep,
	.space = fs_space,
	.check_name = fs_check_name,
	.upload_link = fs_upload_link,
	.local_path = fs_local_path,
	.announce = fs_announce,
	.read_manifest = fs_read_manifest,
	.link_finished = fs_link_finished,
};
