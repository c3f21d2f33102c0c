/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What workers do with the bytes of an unfinished transfer but publishing them. */
#include "store/fs.h"

enum ft_status fs_work(struct ft_upload *upload, struct ft_work **out)
{
	struct fs *fs = fs_of(upload->store);
	struct fs_upload *up = fs_upload_of(upload);
	struct fs_work *own;
	enum ft_status st;

	if ((st = fs_cache_use(fs, up)) != FT_OK)
		return st;
	own = calloc(1, sizeof *own);
	if (!own)
		return FT_NO_MEMORY;
	own->base.store = &fs->base;
	own->dir_fd = -1;
	fs_names_of_upload(&own->names, up);
	fs_mark_init(&own->publishing, &own->names);
	own->anchored = up->anchored;
	own->data_fd = fs_cache_dup(fs, up);
	if (own->data_fd < 0) {
		st = fs_failed(fs, "open incoming", &own->names);
		free(own);
		return st;
	}
	*out = &own->base;
	return FT_OK;
}

void fs_work_close(struct ft_work **work)
{
	struct fs_work *own = fs_work_of(*work);

	*work = NULL;
	if (!own)
		return;
	ft_sys_close(own->dir_fd);
	ft_sys_close(own->data_fd);
	free(own);
}

enum ft_status fs_read(struct ft_work *work, uint64_t offset, void *buffer, size_t len)
{
	struct fs_work *own = fs_work_of(work);
	ssize_t got = ft_sys_read_all(own->data_fd, buffer, len, offset);

	if (got == (ssize_t)len)
		return FT_OK;
	if (got >= 0)
		errno = EIO;
	return fs_failed(fs_of(work->store), "read incoming", &own->names);
}

void fs_writeback(struct ft_work *work, uint64_t offset, uint64_t len)
{
	/* A hint: what it could report comes back from fdatasync(). */
	if (fs_of(work->store)->durability != FT_DURABILITY_NONE)
		(void)ft_sys_sync_file_range(fs_work_of(work)->data_fd, (off_t)offset, (off_t)len,
					     SYNC_FILE_RANGE_WRITE);
}

enum ft_status fs_sync(struct ft_work *work)
{
	struct fs *fs = fs_of(work->store);
	struct fs_work *own = fs_work_of(work);

	if (fs->durability == FT_DURABILITY_NONE || own->synced)
		return FT_OK;
	if (ft_sys_fdatasync(own->data_fd) != 0)
		return fs_sync_failed(fs, "sync incoming", &own->names);
	own->synced = true;
	return FT_OK;
}

bool fs_work_open(struct fs_work *own)
{
	struct fs *fs = fs_of(own->base.store);

	if (own->dir_fd >= 0)
		return true;
	own->dir_fd = fs_open_pair(fs, fs->incoming, &own->names);
	if (own->dir_fd < 0 || fs_is_same(own->dir_fd, FS_DATA, own->data_fd))
		return own->dir_fd >= 0;
	ft_sys_close(own->dir_fd);
	own->dir_fd = -1;
	return false;
}

enum ft_status fs_manifest(struct ft_work *work, char **manifest, size_t *manifest_len)
{
	struct fs *fs = fs_of(work->store);
	struct fs_work *own = fs_work_of(work);
	enum ft_status st;

	if (!fs_work_open(own))
		return errno == ENOENT ? FT_NO_SUCH_TRANSFER
			: fs_failed(fs, "open incoming", &own->names);
	st = fs_read_manifest(fs, own->dir_fd, manifest, manifest_len);
	if (st != FT_OK && st != FT_NO_MEMORY)
		st = fs_failed(fs, "read the manifest of incoming", &own->names);
	return st;
}
