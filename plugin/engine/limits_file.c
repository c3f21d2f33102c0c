/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <stdlib.h>

#include "base/sys.h"
#include "base/system.h"
#include "engine/limits.h"

#define LIMITS_FILE_LINES 20	/* changes that are logged one by one */
#define LIMITS_FILE_WHY_ROOM 800

/* Reads all of it; *text is the caller's to free. 0, or an errno. */
static int limits_file_load(int fd, char **text, size_t *len)
{
	struct stat info;
	ssize_t got;

	*text = NULL;
	*len = 0;
	if (ft_sys_fstat(fd, &info) != 0)
		return errno;
	if (!S_ISREG(info.st_mode))
		return EINVAL;
	if (info.st_size > (off_t)FT_OVERRIDES_TEXT_MAX)
		return EFBIG;
	*text = ft_core_alloc(FT_OVERRIDES_TEXT_MAX + 1);
	if ((got = ft_sys_read_all(fd, *text, FT_OVERRIDES_TEXT_MAX + 1, 0)) < 0)
		return errno;
	*len = (size_t)got;
	return *len > FT_OVERRIDES_TEXT_MAX ? EFBIG : 0;
}

static enum ft_status limits_file_read(const struct ft_core *core, struct ft_overrides **out,
				       struct ft_buf *why)
{
	int fd = ft_sys_openat(AT_FDCWD, core->options->limits_file,
			       O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0);
	char *text = NULL;
	size_t len = 0;
	int error = fd < 0 ? errno : limits_file_load(fd, &text, &len);
	char reason[FT_ERROR_ROOM];
	enum ft_status st = FT_IO_ERROR;

	ft_sys_close(fd);
	if (error == 0)
		st = ft_overrides_read(text, len, core->options, out, why);
	else if (error == EFBIG)
		ft_buf_printf(why, "is larger than %zu bytes", FT_OVERRIDES_TEXT_MAX);
	else
		ft_buf_printf(why, "cannot be read: %s",
			      error == EINVAL ? "it is no file" : ft_error_text(error, reason));
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

	job->job.status = limits_file_read(core, &job->overrides, &why);
	if (job->job.status != FT_OK)
		ft_logger_printf(core->logger, FT_LOG_ERROR, "limits_file %s: %s%s",
				 core->options->limits_file,
				 job->job.status == FT_NO_MEMORY ? "out of memory" : room,
				 job->former ? "; what it said before still counts" : "");
	else if (job->former)
		limits_file_tell(core, job->former, job->overrides);
}
