/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Unfinished transfers: begin, find again, give back. */
#include "store/fs.h"

#define FILE_MODE 0640

static struct fs_upload *upload_new(struct fs *fs, const struct ft_key *key)
{
	struct fs_upload *up = calloc(1, sizeof *up + key->client_len + key->file_len);

	if (!up)
		return NULL;
	up->base.store = &fs->base;
	ft_ranges_init(&up->base.held);
	ft_link_init(&up->link);
	up->data_fd = up->journal_fd = -1;
	up->client_len = (uint32_t)key->client_len;
	up->file_len = (uint16_t)key->file_len;
	memcpy(up->ids, key->client, key->client_len);
	memcpy(up->ids + key->client_len, key->file, key->file_len);
	return up;
}

/* --- create --- */

/* What create() has made so far. */
struct making {
	struct fs *fs;
	int dir;
	int data_fd;
	int journal_fd;
	struct ft_journal journal;
};

static int make_file(struct fs *fs, int dir, const char *name)
{
	int fd = fs_open_at(fs, dir, name, O_RDWR | O_CREAT | O_EXCL);

	if (fd >= 0 && ft_sys_set_mode(fd, FILE_MODE) == 0)
		return fd;
	if (fd >= 0) {
		ft_sys_close(fd);
		(void)ft_sys_unlinkat(dir, name, 0);
	}
	return -1;
}

static void unlink_all(int dir)
{
	static const char *const names[] = {
		/* First what makes it a transfer. */
		FS_DATA, FS_JOURNAL, FS_MANIFEST,
		FS_JOURNAL_TEMPORARY, FS_MANIFEST_TEMPORARY, FS_MANIFEST_NEWER, FS_FINAL_TEMPORARY,
	};
	int saved = errno;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		(void)ft_sys_unlinkat(dir, names[i], 0);
	errno = saved;
}

static enum ft_status make_manifest(struct making *making, const char *manifest, size_t len)
{
	int fd = make_file(making->fs, making->dir, FS_MANIFEST);
	enum ft_status st = FT_OK;

	if (fd < 0)
		return ft_sys_status(errno);
	if (!ft_sys_write_all(fd, manifest, len, 0))
		st = ft_sys_status(errno);
	else if (making->fs->durability == FT_DURABILITY_SEGMENT && ft_sys_fsync(fd) != 0)
		st = FT_IO_ERROR;
	ft_sys_close(fd);
	return st;
}

/* `data` comes last: with it the transfer exists. */
static enum ft_status make_files(struct making *making, const char *manifest, size_t len)
{
	enum ft_status st;

	if ((st = make_manifest(making, manifest, len)) != FT_OK)
		return st;
	making->journal_fd = make_file(making->fs, making->dir, FS_JOURNAL);
	if (making->journal_fd < 0)
		return ft_sys_status(errno);
	st = ft_journal_begin(&making->journal, making->journal_fd, &making->fs->boot);
	if (st != FT_OK)
		return st;
	making->data_fd = make_file(making->fs, making->dir, FS_DATA);
	return making->data_fd < 0 ? ft_sys_status(errno) : FT_OK;
}

/* The directory, empty. Where it is there it is a leftover, or the caller's mistake. */
static enum ft_status make_room(struct making *making, const struct fs_names *names)
{
	struct stat data;
	bool made;

	making->dir = fs_make_pair(making->fs, making->fs->incoming, names, &made);
	if (making->dir < 0)
		return ft_sys_status(errno);
	if (made)
		return FT_OK;
	if (ft_sys_fstatat(making->dir, FS_DATA, &data, AT_SYMLINK_NOFOLLOW) == 0) {
		errno = EEXIST;
		return FT_IO_ERROR;
	}
	if (errno != ENOENT)
		return ft_sys_status(errno);
	unlink_all(making->dir);
	return FT_OK;
}

static bool anchor_new(struct making *making, const struct fs_names *names)
{
	return ft_sys_fsync(making->journal_fd) == 0 &&
		fs_sync_dirs(making->fs, making->fs->incoming, names, making->dir);
}

static enum ft_status make(struct making *making, const struct fs_names *names,
			   const char *manifest, size_t len)
{
	struct fs *fs = making->fs;
	enum ft_status st;

	if ((st = make_room(making, names)) != FT_OK)
		return st;
	st = make_files(making, manifest, len);
	if (st == FT_OK && fs->durability == FT_DURABILITY_SEGMENT && !anchor_new(making, names))
		st = FT_IO_ERROR;
	if (st == FT_OK)
		return FT_OK;
	unlink_all(making->dir);
	ft_sys_close(making->data_fd);
	ft_sys_close(making->journal_fd);
	fs_remove_pair(fs, fs->incoming, names);
	return st;
}

enum ft_status fs_create(struct ft_store *store, const struct ft_key *key, const char *manifest,
			 size_t manifest_len, struct ft_upload **out)
{
	struct fs *fs = fs_of(store);
	struct making making = {.fs = fs, .dir = -1, .data_fd = -1, .journal_fd = -1};
	struct fs_upload *up = upload_new(fs, key);
	struct fs_names names;
	enum ft_status st;

	if (!up)
		return FT_NO_MEMORY;
	fs_names_of(&names, key);
	st = fs_is_clear(fs, &names) ? FT_OK : FT_IO_ERROR;
	if (st == FT_OK) {
		/* Against workers that remove directories which look empty or forgotten. */
		fs_lock(fs, &names);
		st = make(&making, &names, manifest, manifest_len);
		fs_unlock(fs, &names);
	}
	ft_sys_close(making.dir);
	if (st != FT_OK) {
		(void)fs_failed(fs, "create incoming", &names);
		free(up);
		/* ENOENT here means that somebody else removes directories. */
		return st == FT_NO_SUCH_TRANSFER ? FT_IO_ERROR : st;
	}
	up->journal = making.journal;
	up->anchored = fs->durability == FT_DURABILITY_SEGMENT;
	fs_cache_add(fs, up, making.data_fd, making.journal_fd);
	*out = &up->base;
	return FT_OK;
}

/* --- load --- */

/* What load() has found so far. */
struct loading {
	struct fs *fs;
	const struct fs_names *names;
	int dir;
	char *manifest;
	size_t manifest_len;
	struct fs_upload *up;
};

static enum ft_status damaged(const struct loading *loading, const char *why)
{
	return fs_damaged(loading->fs, loading->fs->incoming, loading->names, why);
}

static enum ft_status load_dir(struct loading *loading)
{
	int client = fs_open_dir(loading->fs, loading->fs->incoming, loading->names->client);

	if (client < 0)
		return errno == ENOENT ? FT_NO_SUCH_TRANSFER
			: fs_failed(loading->fs, "open incoming", loading->names);
	loading->dir = fs_open_dir(loading->fs, client, loading->names->file);
	ft_sys_close(client);
	if (loading->dir >= 0)
		return FT_OK;
	if (errno == ENOTDIR || errno == ELOOP)
		return damaged(loading, "it is no directory");
	return errno == ENOENT ? FT_NO_SUCH_TRANSFER
		: fs_failed(loading->fs, "open incoming", loading->names);
}

static enum ft_status load_manifest(struct loading *loading)
{
	struct fs_ids ids;
	enum ft_status st = fs_read_manifest(loading->fs, loading->dir, &loading->manifest,
					     &loading->manifest_len);

	if (st == FT_NO_SUCH_TRANSFER || st == FT_DAMAGED)
		return damaged(loading, "no readable manifest.json");
	if (st == FT_NO_MEMORY)
		return st;
	if (st != FT_OK)
		return fs_failed(loading->fs, "read the manifest of incoming", loading->names);
	st = fs_ids_read(&ids, loading->manifest, loading->manifest_len, loading->names);
	if (st == FT_DAMAGED)
		return damaged(loading, "manifest.json is no manifest of this transfer");
	fs_ids_release(&ids);
	return st;
}

/* Opens a file that must be there: -1 and FT_DAMAGED where it is something else. */
static int open_regular(struct loading *loading, const char *name, enum ft_status *st)
{
	int fd = fs_open_at(loading->fs, loading->dir, name, O_RDWR | O_NONBLOCK);
	struct stat file;
	bool known = fd >= 0 && ft_sys_fstat(fd, &file) == 0;

	*st = FT_OK;
	if (known && S_ISREG(file.st_mode))
		return fd;
	if (known || (fd < 0 && (errno == EISDIR || errno == ELOOP || errno == ENXIO ||
				 errno == ENOENT)))
		*st = damaged(loading, name);
	else
		*st = fs_failed(loading->fs, "open incoming", loading->names);
	ft_sys_close(fd);
	return -1;
}

static enum ft_status load_journal(struct loading *loading, int fd)
{
	struct fs_upload *up = loading->up;
	struct ft_journal_found found;
	enum ft_status st = ft_journal_load(&found, fd, &loading->fs->boot);

	if (st == FT_OK) {
		up->base.held = found.held;
		/*
		 * Even where a later record took it all back: that one may not have got to
		 * the disk before this process's forerunner was killed.
		 */
		up->durable = found.promised;
		up->journal = found.journal;
		ft_ranges_init(&found.held);
	} else if (st == FT_DAMAGED) {
		(void)damaged(loading, "the journal is garbage");
	} else if (st != FT_NO_MEMORY) {
		(void)fs_failed(loading->fs, "read the journal of incoming", loading->names);
	}
	ft_journal_found_release(&found);
	return st;
}

static enum ft_status load_files(struct loading *loading)
{
	struct fs *fs = loading->fs;
	enum ft_status st;
	int data, journal;

	data = open_regular(loading, FS_DATA, &st);
	if (data < 0)
		return st;
	journal = open_regular(loading, FS_JOURNAL, &st);
	if (journal >= 0 && (st = load_journal(loading, journal)) == FT_OK) {
		fs_cache_add(fs, loading->up, data, journal);
		return fs_cut_held(fs, loading->up);
	}
	ft_sys_close(journal);
	ft_sys_close(data);
	return st;
}

/*
 * Durability segment: an earlier process may have been killed before it synced what it
 * wrote, or may have promised less. A segment that is sent again is not written again,
 * so all that is found must be on the disk before it counts.
 */
static enum ft_status load_anchor(struct loading *loading)
{
	struct fs *fs = loading->fs;
	struct fs_upload *up = loading->up;
	enum ft_status st;

	if (fs->durability != FT_DURABILITY_SEGMENT)
		return FT_OK;
	if (ft_sys_fdatasync(up->data_fd) != 0) {
		(void)fs_sync_failed(fs, "sync incoming", loading->names);
		/* Written down, since the next one would succeed without having done anything. */
		(void)fs_fall_back(fs, up);
		return FT_IO_ERROR;
	}
	if (up->base.held.count > 0) {
		st = ft_journal_add_all(&up->journal, up->journal_fd, FT_JOURNAL_DURABLE,
					&up->base.held);
		if (st != FT_OK)
			return fs_failed(fs, "write the journal of incoming", loading->names);
		up->durable = true;
	}
	if (ft_sys_fsync(up->journal_fd) != 0 ||
	    !fs_sync_around(fs, loading->names, loading->dir))
		return fs_sync_failed(fs, "sync incoming", loading->names);
	return FT_OK;
}

static enum ft_status load(struct loading *loading)
{
	struct stat data;
	enum ft_status st;

	if (fs_is_absent(loading->fs->incoming, loading->names, FS_DATA))
		return FT_NO_SUCH_TRANSFER;
	if ((st = load_dir(loading)) != FT_OK)
		return st;
	if (ft_sys_fstatat(loading->dir, FS_DATA, &data, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? FT_NO_SUCH_TRANSFER
			: fs_failed(loading->fs, "look at incoming", loading->names);
	if ((st = load_manifest(loading)) != FT_OK)
		return st;
	if ((st = load_files(loading)) != FT_OK)
		return st;
	return load_anchor(loading);
}

enum ft_status fs_load(struct ft_store *store, const struct ft_key *key, char **manifest,
		       size_t *manifest_len, struct ft_upload **out)
{
	struct fs_names names;
	struct loading loading = {.fs = fs_of(store), .names = &names, .dir = -1};
	enum ft_status st;

	loading.up = upload_new(loading.fs, key);
	if (!loading.up)
		return FT_NO_MEMORY;
	fs_names_of(&names, key);
	st = load(&loading);
	ft_sys_close(loading.dir);
	if (st == FT_OK) {
		*manifest = loading.manifest;
		*manifest_len = loading.manifest_len;
		*out = &loading.up->base;
		return FT_OK;
	}
	free(loading.manifest);
	*out = &loading.up->base;
	fs_release(out);
	return st;
}

/* --- release --- */

/* The last descriptor of a removed file pays for its removal: that shall not be the broker's. */
void fs_settle(struct ft_upload *upload)
{
	fs_cache_drop(fs_of(upload->store), fs_upload_of(upload));
}

void fs_release(struct ft_upload **upload)
{
	struct fs_upload *up = fs_upload_of(*upload);

	*upload = NULL;
	/* The last chance to write it down. */
	if (up->unseen)
		(void)(fs_cache_use(fs_of(up->base.store), up) == FT_OK);
	fs_cache_drop(fs_of(up->base.store), up);
	ft_ranges_release(&up->base.held);
	free(up);
}
