/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The fs backend: life of the store, free space, and the table of its operations. */
#include "store/fs.h"

#include <sys/resource.h>

#include "store/backends.h"

#define DIR_MODE 0750
#define SPACE_MS 1000	/* how long an answer about free space is used */

static enum ft_status open_failed(struct fs *fs, const char *dir, const char *name)
{
	char reason[FT_ERROR_ROOM];
	int error = errno;

	ft_logger_printf(fs->log, FT_LOG_ERROR,
		      "storage_dir %s: cannot use %s: %s (it must be a directory which the broker's user may write to)",
		      dir, name, ft_error_text(error, reason));
	return ft_sys_status(error) == FT_NO_SUCH_TRANSFER ? FT_IO_ERROR : ft_sys_status(error);
}

/* Makes a directory where there is none; one that is there keeps the mode it was given. */
static int open_top(struct fs *fs, int root, const char *name)
{
	bool made = ft_sys_mkdirat(root, name, DIR_MODE) == 0;
	int fd;

	if (!made && errno != EEXIST)
		return -1;
	fd = fs_open_dir(fs, root, name);
	if (fd >= 0 && made && ft_sys_set_mode(fd, DIR_MODE) != 0) {
		ft_sys_close(fd);
		return -1;
	}
	return fd;
}

static bool same_file_system(int a, int b)
{
	struct stat here, there;

	if (ft_sys_fstat(a, &here) != 0 || ft_sys_fstat(b, &there) != 0)
		return false;
	/* Files are renamed between them, never copied. */
	errno = EXDEV;
	return here.st_dev == there.st_dev;
}

static enum ft_status open_tops(struct fs *fs, const char *dir)
{
	const struct {
		const char *name;
		int *fd;
	} tops[] = {
		{"incoming", &fs->incoming},
		{"files", &fs->files},
		{"trash", &fs->trash},
		{"damaged", &fs->damaged},
	};
	int root = ft_sys_openat(AT_FDCWD, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	enum ft_status st = FT_OK;

	if (root < 0)
		return open_failed(fs, dir, "it");
	for (size_t i = 0; i < sizeof tops / sizeof *tops && st == FT_OK; i++) {
		*tops[i].fd = open_top(fs, root, tops[i].name);
		if (*tops[i].fd < 0 || !same_file_system(fs->incoming, *tops[i].fd))
			st = open_failed(fs, dir, tops[i].name);
	}
	if (st == FT_OK && fs->durability != FT_DURABILITY_NONE && ft_sys_fsync(root) != 0)
		st = open_failed(fs, dir, "it (fsync)");
	ft_sys_close(root);
	return st;
}

static uint64_t file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur >= (rlim_t)INT64_MAX)
		return (uint64_t)INT64_MAX;
	return (uint64_t)limit.rlim_cur;
}

static void fs_close(struct ft_store **store)
{
	struct fs *fs = fs_of(*store);

	*store = NULL;
	ft_sys_close(fs->incoming);
	ft_sys_close(fs->files);
	ft_sys_close(fs->trash);
	ft_sys_close(fs->damaged);
	for (size_t i = 0; i < FS_LOCKS; i++)
		pthread_mutex_destroy(&fs->names[i]);
	fs_marks_release(&fs->publishing);
	fs_marks_release(&fs->fresh_trash);
	free(fs->scratch);
	free(fs);
}

/* All or none. */
static bool init_locks(struct fs *fs)
{
	size_t count = 0;

	while (count < FS_LOCKS && pthread_mutex_init(&fs->names[count], NULL) == 0)
		count++;
	if (count == FS_LOCKS && fs_marks_init(&fs->publishing)) {
		if (fs_marks_init(&fs->fresh_trash))
			return true;
		fs_marks_release(&fs->publishing);
	}
	while (count > 0)
		pthread_mutex_destroy(&fs->names[--count]);
	return false;
}

static struct fs *fs_new(const struct ft_store_config *config)
{
	struct fs *fs = calloc(1, sizeof *fs);

	if (!fs)
		return NULL;
	fs->scratch = malloc(FS_STEP);
	if (!fs->scratch || !init_locks(fs)) {
		free(fs->scratch);
		free(fs);
		return NULL;
	}
	fs->base.ops = &ft_store_fs;
	fs->incoming = fs->files = fs->trash = fs->damaged = -1;
	fs->durability = config->durability;
	fs->boot = ft_boot_parse(config->boot_id);
	fs->log = config->log;
	fs->broker = pthread_self();
	fs->limit = file_limit();
	fs->max_open = config->max_open;
	fs->space_ms = INT64_MIN;
	ft_list_init(&fs->used);
	return fs;
}

static enum ft_status fs_open(const struct ft_store_config *config, struct ft_store **out)
{
	struct fs *fs = fs_new(config);
	enum ft_status st;

	if (!fs)
		return FT_NO_MEMORY;
	*out = &fs->base;
	if ((st = open_tops(fs, config->dir)) != FT_OK)
		fs_close(out);
	return st;
}

static enum ft_status fs_space(struct ft_store *store, uint64_t *free_bytes)
{
	struct fs *fs = fs_of(store);
	int64_t now = ft_clock_ms();
	struct statvfs space;

	if (fs->space_ms == INT64_MIN || now - fs->space_ms >= SPACE_MS) {
		if (ft_sys_fstatvfs(fs->incoming, &space) != 0)
			return ft_sys_status(errno);
		fs->space = (uint64_t)space.f_bavail * space.f_frsize;
		fs->space_ms = now;
	}
	*free_bytes = fs->space;
	return FT_OK;
}

void fs_space_taken(struct fs *fs, uint64_t bytes)
{
	fs->space -= bytes < fs->space ? bytes : fs->space;
}

const struct ft_store_ops ft_store_fs = {
	.name = "fs",
	.open = fs_open,
	.close = fs_close,
	.create = fs_create,
	.load = fs_load,
	.describe = fs_describe,
	.put = fs_put,
	.matches = fs_matches,
	.release = fs_release,
	.settle = fs_settle,
	.detach = fs_detach,
	.set_aside = fs_set_aside,
	.purge = fs_purge,
	.work = fs_work,
	.work_close = fs_work_close,
	.read = fs_read,
	.writeback = fs_writeback,
	.manifest = fs_manifest,
	.sync = fs_sync,
	.publish = fs_publish,
	.reassess = fs_reassess,
	.find = fs_find,
	.finished_matches = fs_finished_matches,
	.checkpoint_begin = fs_checkpoint_begin,
	.checkpoint_run = fs_checkpoint_run,
	.checkpoint_end = fs_checkpoint_end,
	.enumerate = fs_enumerate,
	.space = fs_space,
	.wants_checkpoint = fs_wants_checkpoint,
};
