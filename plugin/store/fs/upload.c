/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The bytes of an unfinished transfer: one file, incoming/<client>/<file>.
 *
 * Somebody may unlink it at any moment. What was written to it then is nowhere, so each
 * write looks at the number of its links first, and so does publish().
 */
#include <assert.h>

#include "store/fs/fs.h"

#define UPLOAD_FLAGS (O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
#define UPLOAD_END ((uint64_t)INT64_MAX)

/*
 * A file that takes more room than this is freed bit by bit. One call for all of it takes
 * seconds for some GB or for many extents, and a process cannot end while it lasts.
 */
#define UPLOAD_QUICK ((uint64_t)64 * 1024 * 1024)
#define UPLOAD_BIT ((off_t)64 * 1024 * 1024)

/* So far beyond the end a file may grow where the file system has to fill that with zeros. */
#define UPLOAD_GAP ((uint64_t)16 * 1024 * 1024)

static enum ft_status upload_failed(struct fs_upload *up, const char *what)
{
	return fs_place_failed(fs_of(up->base.store), what, FS_INCOMING, &up->names);
}

/* --- open and close --- */

/* What is open must be a file, of the right mode. */
static enum ft_status upload_check(struct fs_upload *up)
{
	struct stat info;

	if (ft_sys_fstat(up->fd, &info) != 0)
		return upload_failed(up, "look at");
	if (!S_ISREG(info.st_mode))
		return FT_DAMAGED;
	/* fchmod costs a transaction of the journal even if it changes nothing. */
	if ((info.st_mode & 07777) != FS_FILE_MODE && ft_sys_fchmod(up->fd, FS_FILE_MODE) != 0)
		return upload_failed(up, "change the mode of");
	return FT_OK;
}

static enum ft_status upload_open_file(struct fs_upload *up, int client, int flags)
{
	up->fd = ft_sys_openat(client, up->names.file, UPLOAD_FLAGS | flags, FS_FILE_MODE);
	if (up->fd >= 0)
		return upload_check(up);
	/* A directory (the former format), a link, a device without driver: none of ours. */
	if (errno == EISDIR || errno == ELOOP || errno == ENXIO || errno == ENODEV)
		return FT_DAMAGED;
	return errno == ENOENT ? FT_NO_SUCH_TRANSFER : upload_failed(up, "open");
}

/* Opens or makes the file; what lies there and is none is put out of the way. */
static enum ft_status upload_open_in(struct fs_upload *up, int client, int flags)
{
	enum ft_status st = upload_open_file(up, client, flags);
	char path[FS_PATH_ROOM];

	if (st != FT_DAMAGED)
		return st;
	ft_sys_close(up->fd);
	up->fd = -1;
	fs_path(path, FS_INCOMING, &up->names);
	st = fs_set_aside(fs_of(up->base.store), client, up->names.file, path,
			  "it is no file that holds an unfinished transfer");
	return st == FT_OK ? upload_open_file(up, client, flags) : st;
}

static enum ft_status upload_create(struct fs_upload *up)
{
	struct fs *fs = fs_of(up->base.store);
	enum ft_status st = FT_NO_SUCH_TRANSFER;
	int client;

	/* Between the two steps the directory may be removed, since nothing is in it. */
	for (int i = 0; st == FT_NO_SUCH_TRANSFER && fs_may_try(i); i++) {
		if ((st = fs_client_make(fs, FS_INCOMING, &up->names, &client)) != FT_OK)
			return st;
		st = upload_open_in(up, client, O_CREAT);
		ft_sys_close(client);
	}
	return st == FT_NO_SUCH_TRANSFER ? upload_failed(up, "make") : st;
}

static enum ft_status upload_open_existing(struct fs_upload *up)
{
	struct fs *fs = fs_of(up->base.store);
	enum ft_status st;
	int client;

	st = fs_client_open(fs, FS_INCOMING, &up->names, &client);
	if (st == FT_OK) {
		st = upload_open_in(up, client, 0);
		ft_sys_close(client);
		return st;
	}
	/* Without storage_dir nothing is known about what was in it. */
	return st == FT_NO_SUCH_TRANSFER && fs_root_is_there(fs) ? st : upload_failed(up, "open");
}

enum ft_status fs_upload_open(struct ft_store *store, const struct ft_key *key,
			      enum ft_upload_mode mode, struct ft_upload **out)
{
	struct fs *fs = fs_of(store);
	struct fs_upload *up = calloc(1, sizeof *up);
	enum ft_status st;

	*out = NULL;
	if (!up)
		return FT_NO_MEMORY;
	up->base.store = store;
	up->fd = -1;
	fs_names_of(fs, &up->names, key);
	st = upload_open_existing(up);
	if (st == FT_NO_SUCH_TRANSFER && (st = fs_restore(fs, &up->names)) == FT_OK)
		st = upload_open_existing(up);
	if (st == FT_NO_SUCH_TRANSFER && mode == FT_UPLOAD_CREATE)
		st = upload_create(up);
	*out = &up->base;
	if (st != FT_OK)
		fs_upload_close(out);
	return st;
}

static enum ft_status upload_open_link(struct fs_upload *up, const char *path)
{
	struct stat info;

	up->fd = ft_sys_openat(fs_of(up->base.store)->root, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK
			       | O_CLOEXEC, 0);
	return up->fd >= 0 && ft_sys_fstat(up->fd, &info) == 0 && S_ISREG(info.st_mode)
		? FT_OK : FT_NO_SUCH_TRANSFER;
}

/*
 * The link lies in tmp/, where nothing ever writes to it, and not in incoming/, where a transfer
 * whose process was killed would go on writing, into the finished file.
 */
enum ft_status fs_upload_link(struct ft_store *store, const struct ft_key *from,
			      const char *from_name, const struct ft_key *key,
			      struct ft_upload **out)
{
	struct fs *fs = fs_of(store);
	struct fs_upload *up = calloc(1, sizeof *up);
	char path[FS_PATH_ROOM];
	struct fs_names names;
	enum ft_status st;
	int dir;

	*out = NULL;
	if (!up)
		return FT_NO_MEMORY;
	up->base.store = store;
	up->fd = -1;
	up->kind = FS_LINK;
	fs_names_of(fs, &up->names, key);
	fs_names_of(fs, &names, from);
	*out = &up->base;
	if ((st = fs_place_open(fs, FS_FILES, &names, &dir)) == FT_OK) {
		const char *name = fs_temporary_path(fs, path);

		if (ft_sys_linkat(dir, from_name, fs->root, path, 0) == 0)
			memcpy(up->discarded, name, strlen(name) + 1);
		else	/* gone, too many links, no hard links here: it is sent as usual */
			st = FT_NO_SUCH_TRANSFER;
		ft_sys_close(dir);
	}
	if (st == FT_OK)
		st = upload_open_link(up, path);
	if (st != FT_OK)
		fs_upload_close(out);
	return st;
}

void fs_tmp_remove(struct fs *fs, const char *name)
{
	char path[FS_PATH_ROOM];
	struct ft_buf buf = ft_buf_on(path, sizeof path);

	ft_buf_str(&buf, FS_TMP "/");
	ft_buf_str(&buf, name);
	(void)ft_sys_unlinkat(fs->root, path, 0);
}

void fs_upload_close(struct ft_upload **upload)
{
	struct fs_upload *up = fs_upload_of(*upload);

	*upload = NULL;
	if (!up)
		return;
	if (up->discarded[0] && up->kind == FS_LINK)
		fs_tmp_remove(fs_of(up->base.store), up->discarded);
	else if (up->discarded[0])
		fs_free_slowly(fs_of(up->base.store), up->fd, up->discarded);
	ft_sys_close(up->fd);
	free(up);
}

/* --- bytes --- */

/* Whether these bytes may be written where they belong; `info`: the file as it is. */
static enum ft_status upload_may_write(struct fs_upload *up, uint64_t offset,
				       const struct stat *info)
{
	struct fs *fs = fs_of(up->base.store);

	if (fs->holes == FS_NO_HOLES && offset > (uint64_t)info->st_size
	    && offset - (uint64_t)info->st_size > UPLOAD_GAP) {
		ft_logger_printf(fs->logger, FT_LOG_WARNING,
				 FS_INCOMING "/%s/%s: bytes at %llu must wait for those before them: "
				 "this file system has no holes, and would write %llu zeros first",
				 up->names.client, up->names.file, (unsigned long long)offset,
				 (unsigned long long)offset - (unsigned long long)info->st_size);
		return FT_DISK_FULL;
	}
	return FT_OK;
}

enum ft_status fs_write(struct ft_upload *upload, uint64_t offset, const void *bytes, size_t len)
{
	struct fs_upload *up = fs_upload_of(upload);
	struct stat info;
	enum ft_status st;

	assert(len > 0 && offset <= UPLOAD_END && len <= UPLOAD_END - offset);
	if (ft_sys_fstat(up->fd, &info) != 0)
		return upload_failed(up, "look at");
	if (info.st_nlink == 0) {
		/* Somebody has removed it. That costs nothing as long as nothing was in it. */
		if (info.st_size > 0)
			return FT_NO_SUCH_TRANSFER;
		ft_sys_close(up->fd);
		up->fd = -1;
		if ((st = upload_create(up)) != FT_OK)
			return st;
	}
	if ((st = upload_may_write(up, offset, &info)) != FT_OK)
		return st;
	return ft_sys_write_all(up->fd, bytes, len, offset) ? FT_OK
		: upload_failed(up, "write to");
}

enum ft_status fs_read(struct ft_upload *upload, uint64_t offset, void *buffer, size_t len)
{
	struct fs_upload *up = fs_upload_of(upload);
	ssize_t got = ft_sys_read_all(up->fd, buffer, len, offset);

	if (got == (ssize_t)len)
		return FT_OK;
	if (got >= 0)
		errno = EIO;
	return upload_failed(up, "read");
}

enum ft_status fs_sync(struct ft_upload *upload)
{
	struct fs_upload *up = fs_upload_of(upload);
	struct fs *fs = fs_of(upload->store);
	char path[FS_PATH_ROOM];

	if (fs->durability == FT_DURABILITY_NONE)
		return FT_OK;
	fs_path(path, FS_INCOMING, &up->names);
	if (ft_sys_fdatasync(up->fd) != 0)
		return fs_sync_failed(fs, path);
	/* Without the names that lead to them the bytes are lost as well. */
	return fs_client_sync(fs, FS_INCOMING, &up->names);
}

enum ft_status fs_local_path(struct ft_upload *upload, uint64_t size, char *path, size_t room)
{
	struct fs_upload *up = fs_upload_of(upload);
	char place[FS_PATH_ROOM];
	struct stat info;

	if (ft_sys_fstat(up->fd, &info) != 0)
		return upload_failed(up, "look at");
	if ((uint64_t)info.st_size > size && ft_sys_ftruncate(up->fd, (off_t)size) != 0)
		return upload_failed(up, "cut");
	if (up->kind == FS_LINK)
		snprintf(place, sizeof place, FS_TMP "/%s", up->discarded);
	else
		fs_path(place, FS_INCOMING, &up->names);
	if (strlen(place) >= room)
		return FT_IO_ERROR;
	memcpy(path, place, strlen(place) + 1);
	return FT_OK;
}

/* --- the end of one that is not wanted --- */

/*
 * What is quickly freed is unlinked. The rest goes to tmp/, so that the name is free at
 * once, and a process that ends before all is freed leaves it to the next one's sweep().
 */
enum ft_status fs_discard(struct ft_upload *upload)
{
	struct fs_upload *up = fs_upload_of(upload);
	struct fs *fs = fs_of(upload->store);
	char path[FS_PATH_ROOM];
	enum ft_status st;
	struct stat info;
	const char *name;
	int client;

	if ((st = fs_client_open(fs, FS_INCOMING, &up->names, &client)) != FT_OK)
		return st == FT_NO_SUCH_TRANSFER ? FT_OK : upload_failed(up, "open");
	name = fs_temporary_path(fs, path);
	assert(strlen(name) < sizeof up->discarded);
	if ((ft_sys_fstat(up->fd, &info) != 0 || (uint64_t)info.st_blocks * 512 > UPLOAD_QUICK)
	    && ft_sys_renameat(client, up->names.file, fs->root, path) == 0)
		memcpy(up->discarded, name, strlen(name) + 1);
	else if (ft_sys_unlinkat(client, up->names.file, 0) != 0 && errno != ENOENT)
		st = upload_failed(up, "remove");
	ft_sys_close(client);
	fs_client_remove(fs, FS_INCOMING, &up->names);
	return st;
}

void fs_free_slowly(struct fs *fs, int fd, const char *name)
{
	struct stat info;
	off_t at = 0;

	/* A link to a finished file, or one that a consumer has made: the bytes are others', too. */
	if (ft_sys_fstat(fd, &info) != 0 || info.st_nlink > 1) {
		fs_tmp_remove(fs, name);
		return;
	}
	/* Where holes cannot be told or made, unlink and close do it all. */
	while ((at = lseek(fd, at, SEEK_DATA)) >= 0
	       && ft_sys_fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at,
				   UPLOAD_BIT) == 0
	       && at <= (off_t)INT64_MAX - UPLOAD_BIT)
		at += UPLOAD_BIT;
	fs_tmp_remove(fs, name);
}
