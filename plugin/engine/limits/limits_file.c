/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <libgen.h>
#include <stdlib.h>

#include "base/sys.h"
#include "base/system.h"
#include "engine/limits/limits.h"

#define LIMITS_FILE_LINES 20	/* changes that are logged one by one */
#define LIMITS_FILE_WHY_ROOM 800

/* Reads all of it; *text is the caller's to free. 0, or an errno. */
static int limits_file_load(int fd, const struct stat *info, char **text, size_t *len)
{
	ssize_t got;

	if (!S_ISREG(info->st_mode))
		return EINVAL;
	if (info->st_size > (off_t)FT_OVERRIDES_TEXT_MAX)
		return EFBIG;
	*text = ft_core_alloc(FT_OVERRIDES_TEXT_MAX + 1);
	if ((got = ft_sys_read_all(fd, *text, FT_OVERRIDES_TEXT_MAX + 1, 0)) < 0)
		return errno;
	*len = (size_t)got;
	return *len > FT_OVERRIDES_TEXT_MAX ? EFBIG : 0;
}

/* What is wrong with a file that could not be used. */
static enum ft_status limits_file_say_errno(int error, struct ft_buf *why)
{
	char reason[FT_ERROR_ROOM];

	if (error == EFBIG)
		ft_buf_printf(why, "is larger than %zu bytes", FT_OVERRIDES_TEXT_MAX);
	else
		ft_buf_printf(why, "cannot be read: %s",
			      error == EINVAL ? "it is no file" : ft_error_text(error, reason));
	return FT_IO_ERROR;
}

/* The text as it is now, which is the caller's to free, and what is known of the file. */
static enum ft_status limits_file_open(const char *path, char **text, size_t *len,
				       struct stat *info, struct ft_buf *why)
{
	int fd = ft_sys_openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
	int error = fd < 0 ? errno : 0;

	*text = NULL;
	if (error == 0 && ft_sys_fstat(fd, info) != 0)
		error = errno;
	if (error == 0)
		error = limits_file_load(fd, info, text, len);
	ft_sys_close(fd);
	return error == 0 ? FT_OK : limits_file_say_errno(error, why);
}

static enum ft_status limits_file_digest(const char *text, size_t len, struct ft_sha256 *digest,
					 struct ft_buf *why)
{
	if (ft_sha256_of(text, len, digest))
		return FT_OK;
	ft_buf_str(why, "libcrypto has no SHA-256");
	return FT_INTERNAL_ERROR;
}

static enum ft_status limits_file_read(const struct ft_core *core, struct ft_limits_file *job,
				       struct ft_buf *why)
{
	struct stat info;
	char *text;
	size_t len;
	enum ft_status st = limits_file_open(core->options->limits_file, &text, &len, &info, why);

	if (st == FT_OK)
		st = limits_file_digest(text, len, &job->digest, why);
	if (st == FT_OK)
		st = ft_overrides_read(text, len, core->options, &job->overrides, why);
	free(text);
	return st;
}

static void limits_file_say(void *context, const char *line)
{
	const struct ft_core *core = context;

	ft_logger_printf(core->logger, FT_LOG_NOTICE, "limits_file: %s", line);
}

static void limits_file_tell(struct ft_core *core, const struct ft_overrides *former,
			     const struct ft_overrides *overrides)
{
	size_t changes = ft_overrides_compare(former, overrides, core->options, LIMITS_FILE_LINES,
					      limits_file_say, core);

	ft_logger_printf(core->logger, FT_LOG_NOTICE, "limits_file %s was read again: %zu overrides, "
			 "%zu changes", core->options->limits_file, overrides->count, changes);
}

void ft_limits_file_run(struct ft_core *core, struct ft_limits_file *job)
{
	char room[LIMITS_FILE_WHY_ROOM];
	struct ft_buf why = ft_buf_on(room, sizeof room);

	job->job.status = limits_file_read(core, job, &why);
	if (job->job.status != FT_OK)
		ft_logger_printf(core->logger, FT_LOG_ERROR, "limits_file %s: %s%s",
				 core->options->limits_file,
				 job->job.status == FT_NO_MEMORY ? "out of memory" : room,
				 job->former ? "; what it said before still counts" : "");
	else if (job->former)
		limits_file_tell(core, job->former, job->overrides);
}

/* --- changing --- */

/* One change on its way into the file. */
struct limits_file_change {
	struct ft_core *core;
	struct ft_admin_job *job;
	char path[PATH_MAX];		/* of the file itself, where option limits_file is a link */
	char aside[PATH_MAX];		/* where the new one is made: beside it */
	struct stat info;		/* of the file when it was read */
	struct ft_buf why;
};

static enum ft_status limits_file_refuse(struct limits_file_change *change, const char *word,
					 const char *why)
{
	change->job->word = word;
	ft_buf_str(&change->why, why);
	return FT_INVALID_FILEMETA;
}

static enum ft_status limits_file_failed(struct limits_file_change *change, const char *what)
{
	char reason[FT_ERROR_ROOM];

	ft_buf_printf(&change->why, "limits_file %s cannot be %s: %s",
		      change->core->options->limits_file, what, ft_error_text(errno, reason));
	return FT_IO_ERROR;
}

/* Hidden, and with a name that nobody else uses. */
static enum ft_status limits_file_name(struct limits_file_change *change)
{
	struct ft_buf aside = ft_buf_on(change->aside, sizeof change->aside);
	char copy[PATH_MAX];

	if (!realpath(change->core->options->limits_file, change->path))
		return limits_file_failed(change, "found");
	memcpy(copy, change->path, sizeof copy);
	ft_buf_printf(&aside, "%s/", dirname(copy));
	memcpy(copy, change->path, sizeof copy);
	ft_buf_printf(&aside, ".%s.file-transfer", basename(copy));
	if (ft_buf_ok(&aside))
		return FT_OK;
	errno = ENAMETOOLONG;
	return limits_file_failed(change, "written");
}

static bool limits_file_is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size
	       && a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec
	       && a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

#define LIMITS_FILE_CHANGED "limits_file was changed since it was read: look at it, have it read " \
	"again (reloadLimits), and try again"

/* The new file, whole and on the disk, as its owner had it: owner, group and mode. */
static enum ft_status limits_file_make(struct limits_file_change *change, const char *text, size_t len)
{
	const struct stat *info = &change->info;
	struct stat made;
	enum ft_status st = FT_OK;
	int fd;

	(void)(ft_sys_unlinkat(AT_FDCWD, change->aside, 0) != 0);	/* of a process that was killed */
	fd = ft_sys_openat(AT_FDCWD, change->aside,
			   O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return limits_file_failed(change, "written");
	if (ft_sys_fstat(fd, &made) != 0)
		st = limits_file_failed(change, "written");
	else if ((made.st_uid != info->st_uid || made.st_gid != info->st_gid)
		 && ft_sys_fchown(fd, info->st_uid, info->st_gid) != 0)
		st = limits_file_failed(change, "written as its owner's");
	if (st == FT_OK && (ft_sys_set_mode(fd, info->st_mode & 07777) != 0
			    || !ft_sys_write_all(fd, text, len, 0) || ft_sys_fsync(fd) != 0))
		st = limits_file_failed(change, "written");
	ft_sys_close(fd);
	return st;
}

/* It takes the place of the old one, unless somebody has changed that meanwhile. */
static enum ft_status limits_file_replace(struct limits_file_change *change, const char *text,
					  size_t len)
{
	struct stat now;
	enum ft_status st = limits_file_make(change, text, len);

	if (st == FT_OK && (ft_sys_fstatat(AT_FDCWD, change->path, &now, 0) != 0
			    || !limits_file_is_same(&now, &change->info)))
		st = limits_file_refuse(change, "limits_changed", LIMITS_FILE_CHANGED);
	if (st == FT_OK && ft_sys_renameat(AT_FDCWD, change->aside, AT_FDCWD, change->path) != 0)
		st = limits_file_failed(change, "written");
	if (st != FT_OK)
		(void)(ft_sys_unlinkat(AT_FDCWD, change->aside, 0) != 0);
	else if (ft_sys_sync_parent(change->path) != 0)
		ft_logger_printf(change->core->logger, FT_LOG_ERROR, "limits_file %s was written, and "
				 "may not outlive a power cut: its directory cannot be synced",
				 change->core->options->limits_file);
	return st;
}

static enum ft_status limits_file_rewrite(struct limits_file_change *change, const char *text,
					  size_t len)
{
	struct ft_admin_job *job = change->job;
	struct ft_sha256 digest;
	size_t new_len = 0;
	char *new_text = NULL;
	enum ft_status st = limits_file_digest(text, len, &digest, &change->why);

	if (st == FT_OK && !ft_sha256_equal(&digest, &job->former_digest))
		return limits_file_refuse(change, "limits_changed", LIMITS_FILE_CHANGED);
	if (st == FT_OK)
		st = ft_overrides_change(text, len, &job->command->change, &new_text, &new_len,
					 &change->why);
	if (st == FT_OK)
		st = ft_overrides_read(new_text, new_len, change->core->options, &job->overrides,
				       &change->why);
	if (st == FT_OK && new_len > FT_OVERRIDES_TEXT_MAX)
		st = limits_file_say_errno(EFBIG, &change->why);
	if (st == FT_OK)
		st = limits_file_digest(new_text, new_len, &job->digest, &change->why);
	if (st == FT_OK)
		st = limits_file_replace(change, new_text, new_len);
	free(new_text);
	return st;
}

struct limits_file_teller {
	struct ft_core *core;
	const char *who;
};

static void limits_file_say_who(void *context, const char *line)
{
	const struct limits_file_teller *teller = context;

	ft_logger_printf(teller->core->logger, FT_LOG_NOTICE, "limits_file: %s, by %s", line,
			 teller->who);
}

/* The override as it is now, and where it stands. */
static void limits_file_answer(struct ft_core *core, struct ft_admin_job *job)
{
	const struct ft_limits_change *change = &job->command->change;
	const struct ft_override *row = ft_overrides_of(job->overrides, change->client, change->user);
	struct limits_file_teller teller = { core, job->who };

	(void)ft_overrides_compare(job->former, job->overrides, core->options, LIMITS_FILE_LINES,
				   limits_file_say_who, &teller);
	ft_control_put_number(job->data, "overrides", job->overrides->count);
	if (!row)
		return;
	ft_control_put_number(job->data, "position", (uint64_t)(row - job->overrides->rows) + 1);
	ft_limits_put(job->data, &row->limits);
}

void ft_limits_file_change(struct ft_core *core, struct ft_admin_job *job)
{
	struct limits_file_change *change = ft_core_alloc(sizeof *change);
	char *text = NULL;
	size_t len;
	enum ft_status st;

	change->core = core;
	change->job = job;
	change->why = ft_buf_on(job->detail, sizeof job->detail);
	st = limits_file_name(change);
	if (st == FT_OK)
		st = limits_file_open(change->path, &text, &len, &change->info, &change->why);
	if (st == FT_OK)
		st = limits_file_rewrite(change, text, len);
	if (st == FT_OK)
		limits_file_answer(core, job);
	else
		ft_overrides_free(&job->overrides);
	if (st == FT_NO_SUCH_TRANSFER)
		job->word = "no_such_override";
	else if (st == FT_INVALID_FILEMETA && !job->word)
		job->word = "invalid_limits";
	job->job.status = st;
	free(text);
	free(change);
}
