/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "store/atomic.h"

#include "base/sys.h"

#define FILE_MODE 0640
#define CREATE_FLAGS (O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC)

enum ft_status ft_atomic_open(struct ft_atomic *file, int dir, const char *temporary)
{
	int fd = ft_sys_openat(dir, temporary, CREATE_FLAGS, FILE_MODE);

	/* O_EXCL rather than O_TRUNC: what lies there may be a link to something else. */
	if (fd < 0 && errno == EEXIST && ft_sys_unlinkat(dir, temporary, 0) == 0)
		fd = ft_sys_openat(dir, temporary, CREATE_FLAGS, FILE_MODE);
	*file = (struct ft_atomic){.fd = fd, .dir = dir, .temporary = temporary};
	if (fd < 0)
		return ft_sys_status(errno);
	if (ft_sys_set_mode(fd, FILE_MODE) != 0) {
		ft_atomic_abort(file);
		return ft_sys_status(errno);
	}
	return FT_OK;
}

enum ft_status ft_atomic_fill(struct ft_atomic *file, int dir, const char *temporary,
			      const void *bytes, size_t len)
{
	enum ft_status st = ft_atomic_open(file, dir, temporary);

	if (st == FT_OK && !ft_sys_write_all(file->fd, bytes, len, 0)) {
		st = ft_sys_status(errno);
		ft_atomic_abort(file);
	}
	return st;
}

enum ft_status ft_atomic_commit(struct ft_atomic *file, int to_dir, const char *name, int *keep)
{
	if (ft_sys_renameat(file->dir, file->temporary, to_dir, name) != 0) {
		ft_atomic_abort(file);
		return ft_sys_status(errno);
	}
	if (keep)
		*keep = file->fd;
	else
		ft_sys_close(file->fd);
	file->fd = -1;
	return FT_OK;
}

void ft_atomic_abort(struct ft_atomic *file)
{
	int saved = errno;

	if (file->fd < 0)
		return;
	ft_sys_close(file->fd);
	file->fd = -1;
	(void)ft_sys_unlinkat(file->dir, file->temporary, 0);
	errno = saved;
}

enum ft_status ft_atomic_write(int dir, const char *temporary, int to_dir, const char *name,
			       const void *bytes, size_t len, bool durable)
{
	struct ft_atomic file;
	enum ft_status st;

	if ((st = ft_atomic_fill(&file, dir, temporary, bytes, len)) != FT_OK)
		return st;
	/* After a failed fsync the pages may be gone whatever errno says. */
	if (durable && ft_sys_fsync(file.fd) != 0) {
		ft_atomic_abort(&file);
		return FT_IO_ERROR;
	}
	return ft_atomic_commit(&file, to_dir, name, NULL);
}
