/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Ids as names, paths made of them, and the log lines of the fs backend. */
#include <assert.h>

#include "base/system.h"
#include "store/fs/fs.h"

#define QUIET_MS 1000	/* the same error again within this time is not logged */
#define FULL_QUIET_MS 60000	/* a full disk: the writer tries each second until there is room */

void fs_names_of(const struct fs *fs, struct fs_names *names, const struct ft_key *key)
{
	ft_escape_within(names->client, key->owner, key->owner_len, fs->name_max);
	ft_escape_within(names->file, key->file, key->file_len, fs->name_max);
}

void fs_client_path(char path[FS_PATH_ROOM], const char *top, const struct fs_names *names)
{
	struct ft_buf buf = ft_buf_on(path, FS_PATH_ROOM);

	ft_buf_printf(&buf, "%s/%s", top, names->client);
	assert(ft_buf_ok(&buf));
}

void fs_path(char path[FS_PATH_ROOM], const char *top, const struct fs_names *names)
{
	struct ft_buf buf = ft_buf_on(path, FS_PATH_ROOM);

	ft_buf_printf(&buf, "%s/%s/%s", top, names->client, names->file);
	assert(ft_buf_ok(&buf));
}

const char *fs_temporary_path(struct fs *fs, char path[FS_PATH_ROOM])
{
	struct ft_buf buf = ft_buf_on(path, FS_PATH_ROOM);

	ft_buf_printf(&buf, FS_TMP "/.%08x-%u", fs->run, atomic_fetch_add(&fs->named, 1));
	return path + sizeof FS_TMP;
}

void fs_manifest_name(char manifest[FS_MANIFEST_ROOM], const char *name)
{
	struct ft_buf buf = ft_buf_on(manifest, FS_MANIFEST_ROOM);

	assert(name[0] != '\0' && !strchr(name, '/'));
	assert(strcmp(name, ".") != 0 && strcmp(name, "..") != 0);
	ft_buf_str(&buf, name);
	ft_buf_str(&buf, FS_MANIFEST_SUFFIX);
	assert(ft_buf_ok(&buf));
}

bool fs_manifest_owner(char name[FT_NAME_ROOM], const char *manifest)
{
	size_t len = strlen(manifest);
	struct ft_buf buf = ft_buf_on(name, FT_NAME_ROOM);

	if (len <= FS_MANIFEST_SUFFIX_LEN
	    || strcmp(manifest + len - FS_MANIFEST_SUFFIX_LEN, FS_MANIFEST_SUFFIX) != 0)
		return false;
	ft_buf_bytes(&buf, manifest, len - FS_MANIFEST_SUFFIX_LEN);
	return ft_buf_ok(&buf);
}

/* --- log lines --- */

static const struct {
	int error;
	const char *text;
} names_remedies[] = {
	{ ENOSPC, "free space or inodes where storage_dir is" },
	{ EDQUOT, "raise the disk quota of the broker's user" },
	{ EFBIG, "the file system or the limit of file sizes (ulimit -f) allows no more" },
	{ EACCES, "the broker's user must own storage_dir and all in it" },
	{ EPERM, "the broker's user must own storage_dir and all in it" },
	{ EMFILE, "raise the broker's limit of open files" },
	{ ENFILE, "raise the system's limit of open files" },
	{ EROFS, "the file system is mounted read-only: see the kernel's log" },
	{ EIO, "check the disk and the kernel's log" },
	{ ESTALE, "storage_dir was removed or is no longer mounted: restart the broker" },
	{ EXDEV, "all of storage_dir must be one file system" },
};

static const char *names_remedy(int error)
{
	for (size_t i = 0; i < sizeof names_remedies / sizeof *names_remedies; i++)
		if (names_remedies[i].error == error)
			return names_remedies[i].text;
	return NULL;
}

/* An error may meet every segment of every client; one line says so as well. */
static bool names_just_said(struct fs *fs, int error)
{
	int64_t now = ft_clock_ms();
	int64_t quiet = ft_sys_status(error) == FT_DISK_FULL ? FULL_QUIET_MS : QUIET_MS;

	if (atomic_load(&fs->complaint) == error
	    && now - atomic_load(&fs->complained_ms) < quiet)
		return true;
	atomic_store(&fs->complaint, error);
	atomic_store(&fs->complained_ms, now);
	return false;
}

bool fs_root_is_there(const struct fs *fs)
{
	struct stat info;

	return ft_sys_fstat(fs->root, &info) == 0 && info.st_nlink > 0;
}

enum ft_status fs_failed(struct fs *fs, const char *what, const char *place)
{
	int error = errno;
	const char *remedy;
	enum ft_status st;

	if (error == ENOENT && !fs_root_is_there(fs))
		error = ESTALE;
	remedy = names_remedy(error);
	if (!names_just_said(fs, error))
		ft_logger_printf(fs->logger, FT_LOG_ERROR, "cannot %s %s: %s%s%s%s", what, place,
				 strerror(error), remedy ? " (" : "", remedy ? remedy : "",
				 remedy ? ")" : "");
	st = ft_sys_status(error);
	return st == FT_NO_SUCH_TRANSFER ? FT_IO_ERROR : st;
}

enum ft_status fs_place_failed(struct fs *fs, const char *what, const char *top,
			       const struct fs_names *names)
{
	int error = errno;
	char path[FS_PATH_ROOM];

	fs_path(path, top, names);
	errno = error;
	return fs_failed(fs, what, path);
}

enum ft_status fs_sync_failed(struct fs *fs, const char *place)
{
	enum ft_status st = fs_failed(fs, "sync", place);

	(void)st;
	return FT_IO_ERROR;
}
