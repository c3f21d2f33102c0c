/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Finished transfers: files/<client>/<file>/, one file and its manifest. */
#include "store/fs.h"

#include "base/buf.h"

#define SUFFIX_LEN (sizeof FS_MANIFEST_SUFFIX - 1)

static bool is_manifest(const char *name)
{
	size_t len = strlen(name);

	return len > SUFFIX_LEN && !strcmp(name + len - SUFFIX_LEN, FS_MANIFEST_SUFFIX);
}

static bool exists(int dir, const char *name)
{
	struct stat file;

	return ft_sys_fstatat(dir, name, &file, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Whether the name's own manifest is there, too. */
static bool has_manifest(int dir, const char *name)
{
	char room[FT_NAME_ROOM + SUFFIX_LEN];
	struct ft_buf manifest = ft_buf_on(room, sizeof room);

	ft_buf_str(&manifest, name);
	ft_buf_str(&manifest, FS_MANIFEST_SUFFIX);
	return exists(dir, room);
}

/* Whether the file that a manifest belongs to is there. */
static bool has_file(int dir, const char *manifest)
{
	char room[FT_NAME_ROOM];
	struct ft_buf name = ft_buf_on(room, sizeof room);

	ft_buf_bytes(&name, manifest, strlen(manifest) - SUFFIX_LEN);
	return exists(dir, room);
}

/* Opens files/<client>/<file> to read its entries; NULL: *st is FT_OK where it is not there. */
static DIR *open_entries(struct fs *fs, const struct fs_names *names, enum ft_status *st)
{
	DIR *dir;
	int fd;

	*st = FT_OK;
	if (fs_is_absent(fs->files, names, NULL))
		return NULL;
	fd = fs_open_pair(fs, fs->files, names);
	if (fd < 0) {
		if (errno != ENOENT)
			*st = fs_failed(fs, "open files", names);
		return NULL;
	}
	dir = ft_sys_fdopendir(fd);
	if (!dir) {
		*st = fs_failed(fs, "open files", names);
		ft_sys_close(fd);
	}
	return dir;
}

/*
 * What removes the data next must not reach the disk before this: after a power cut the
 * transfer would be complete, without a file. Such manifests are left by power cuts alone.
 */
static bool clear_entry(const struct fs *fs, int dir, const char *name, bool *finished)
{
	if (has_manifest(dir, name)) {
		*finished = true;
		return true;
	}
	if (!is_manifest(name) || has_file(dir, name))
		return true;
	if (ft_sys_unlinkat(dir, name, 0) != 0)
		return errno == ENOENT;
	return fs->durability == FT_DURABILITY_NONE || ft_sys_fsync(dir) == 0;
}

enum ft_status fs_clear_stale(struct fs *fs, const struct fs_names *names, bool *finished)
{
	enum ft_status st;
	DIR *dir = open_entries(fs, names, &st);
	struct dirent *entry;

	*finished = false;
	if (!dir)
		return st;
	for (int i = 0; i < FS_FINISHED_ENTRIES; i++) {
		entry = ft_sys_readdir(dir);
		if (!entry && errno == 0)
			break;
		if (!entry || !clear_entry(fs, dirfd(dir), entry->d_name, finished)) {
			st = fs_failed(fs, "clear files", names);
			break;
		}
	}
	closedir(dir);
	if (st == FT_OK && !*finished)
		fs_remove_pair(fs, fs->files, names);
	return st;
}

/* --- find --- */

/* The manifest's name; of two the longer one, since a file may be called x.manifest.json itself. */
static enum ft_status find_manifest(struct fs *fs, const struct fs_names *names, DIR *dir,
				    char found[FT_NAME_ROOM])
{
	struct dirent *entry;

	found[0] = '\0';
	for (int i = 0; i < FS_FINISHED_ENTRIES; i++) {
		entry = ft_sys_readdir(dir);
		if (!entry && errno == 0)
			break;
		if (!entry)
			return fs_failed(fs, "read files", names);
		if (is_manifest(entry->d_name) && strlen(entry->d_name) > strlen(found))
			memcpy(found, entry->d_name, strlen(entry->d_name) + 1);
	}
	return found[0] ? FT_OK : FT_NO_SUCH_TRANSFER;
}

static enum ft_status is_unfinished(struct fs *fs, const struct fs_names *names, bool *unfinished)
{
	int dir;

	*unfinished = false;
	if (fs_is_absent(fs->incoming, names, FS_DATA))
		return FT_OK;
	dir = fs_open_pair(fs, fs->incoming, names);
	if (dir < 0)
		return errno == ENOENT ? FT_OK : fs_failed(fs, "open incoming", names);
	*unfinished = exists(dir, FS_DATA);
	ft_sys_close(dir);
	return FT_OK;
}

enum ft_status fs_find(struct ft_store *store, const struct ft_key *key, char **manifest,
		       size_t *manifest_len)
{
	struct fs *fs = fs_of(store);
	char name[FT_NAME_ROOM];
	struct fs_names names;
	enum ft_status st;
	bool unfinished;
	DIR *dir;

	fs_names_of(&names, key);
	if ((st = is_unfinished(fs, &names, &unfinished)) != FT_OK)
		return st;
	if (unfinished)
		return FT_NO_SUCH_TRANSFER;
	dir = open_entries(fs, &names, &st);
	if (!dir)
		return st == FT_OK ? FT_NO_SUCH_TRANSFER : st;
	st = find_manifest(fs, &names, dir, name);
	if (st == FT_OK) {
		st = fs_read_text(fs, dirfd(dir), name, manifest, manifest_len);
		if (st == FT_DAMAGED)
			(void)fs_damaged(fs, fs->files, &names, "its manifest is empty or no file");
		else if (st != FT_OK && st != FT_NO_MEMORY)
			(void)fs_failed(fs, "read the manifest in files", &names);
	}
	closedir(dir);
	return st;
}

/* --- finished_matches --- */

enum ft_status fs_finished_matches(struct ft_store *store, const struct ft_key *key,
				   const char *name, uint64_t offset, const void *bytes,
				   size_t len, bool *same)
{
	struct fs *fs = fs_of(store);
	enum ft_status st = FT_OK;
	struct fs_names names;
	struct stat file;
	int dir, fd;

	*same = false;
	fs_names_of(&names, key);
	dir = fs_open_pair(fs, fs->files, &names);
	fd = dir < 0 ? -1 : fs_open_at(fs, dir, name, O_RDONLY | O_NONBLOCK);
	/* A consumer may have taken the file away: then nothing can be compared. */
	if (fd < 0 && errno != ENOENT && errno != ELOOP)
		st = ft_sys_status(errno);
	if (fd >= 0 && ft_sys_fstat(fd, &file) != 0)
		st = ft_sys_status(errno);
	else if (fd >= 0 && S_ISREG(file.st_mode))
		st = fs_compare(fs, fd, offset, bytes, len, same);
	if (st != FT_OK)
		(void)fs_failed(fs, "read files", &names);
	ft_sys_close(fd);
	ft_sys_close(dir);
	return st;
}
