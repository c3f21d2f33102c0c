/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What workers do with the bytes: read, sync, publish.
 *
 * Publishing is: cut the data, write the manifest beside the data, rename it to where
 * the file will be, make that durable, rename the data, make that durable. So the file
 * is never there without its manifest, whatever the disk keeps of it. A manifest
 * without its file counts for nothing while the data is in incoming/.
 *
 * The transfer may be detached at any moment, and even begun anew under the same key.
 * Each rename therefore looks first, under the lock on the names, whether the data is still the
 * file that the work handle has open.
 */
#include "store/fs.h"

#include "base/buf.h"

static struct fs_work *work_of(struct ft_work *work)
{
	return (struct fs_work *)work;
}

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
	ft_link_init(&own->publishing);
	fs_names_of_upload(&own->names, up);
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
	struct fs_work *own = work_of(*work);

	*work = NULL;
	if (!own)
		return;
	ft_sys_close(own->data_fd);
	free(own);
}

enum ft_status fs_read(struct ft_work *work, uint64_t offset, void *buffer, size_t len)
{
	struct fs_work *own = work_of(work);
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
		(void)ft_sys_sync_file_range(work_of(work)->data_fd, (off_t)offset, (off_t)len,
					     SYNC_FILE_RANGE_WRITE);
}

enum ft_status fs_sync(struct ft_work *work)
{
	struct fs *fs = fs_of(work->store);
	struct fs_work *own = work_of(work);

	if (fs->durability == FT_DURABILITY_NONE || ft_sys_fdatasync(own->data_fd) == 0)
		return FT_OK;
	return fs_sync_failed(fs, "sync incoming", &own->names);
}

/* The transfer's directory, or -1 with ENOENT where it is another transfer's by now. */
static int open_own(struct fs *fs, const struct fs_work *own)
{
	int dir = fs_open_pair(fs, fs->incoming, &own->names);

	if (dir < 0 || fs_is_same(dir, FS_DATA, own->data_fd))
		return dir;
	ft_sys_close(dir);
	return -1;
}

enum ft_status fs_manifest(struct ft_work *work, char **manifest, size_t *manifest_len)
{
	struct fs *fs = fs_of(work->store);
	struct fs_work *own = work_of(work);
	int dir = open_own(fs, own);
	enum ft_status st;

	if (dir < 0)
		return errno == ENOENT ? FT_NO_SUCH_TRANSFER
			: fs_failed(fs, "open incoming", &own->names);
	st = fs_read_text(fs, dir, FS_MANIFEST, manifest, manifest_len);
	if (st != FT_OK && st != FT_NO_MEMORY)
		st = fs_failed(fs, "read the manifest of incoming", &own->names);
	ft_sys_close(dir);
	return st;
}

/* --- publish --- */

bool fs_is_publishing(struct fs *fs, const struct fs_names *names)
{
	struct ft_link *head = &fs->publishing.head;
	bool found = false;

	pthread_mutex_lock(&fs->publishing_lock);
	for (struct ft_link *at = head->next; at != head && !found; at = at->next) {
		const struct fs_work *own = FT_CONTAINER(at, struct fs_work, publishing);

		found = !strcmp(own->names.client, names->client) &&
			!strcmp(own->names.file, names->file);
	}
	pthread_mutex_unlock(&fs->publishing_lock);
	return found;
}

static void set_publishing(struct fs *fs, struct fs_work *own, bool publishing)
{
	pthread_mutex_lock(&fs->publishing_lock);
	ft_link_remove(&own->publishing);
	if (publishing)
		ft_list_push(&fs->publishing, &own->publishing);
	pthread_mutex_unlock(&fs->publishing_lock);
}

/* One publish. */
struct publishing {
	struct fs *fs;
	struct fs_work *own;
	const char *name;
	char manifest_name[FT_NAME_ROOM];
	bool durable;
	int from;		/* incoming/<client>/<file> */
	int to;			/* files/<client>/<file> */
	int manifest_fd;	/* the manifest that was placed */
};

static enum ft_status failed(const struct publishing *p, const char *what)
{
	/* Detached: that is how it is meant to end then, and no news. */
	if (errno == ENOENT)
		return FT_NO_SUCH_TRANSFER;
	return fs_failed(p->fs, what, &p->own->names);
}

static enum ft_status cut(const struct publishing *p, uint64_t size)
{
	struct stat data;

	if (ft_sys_fstat(p->own->data_fd, &data) != 0)
		return failed(p, "look at incoming");
	if ((uint64_t)data.st_size < size) {
		errno = EIO;
		return failed(p, "publish (too short) incoming");
	}
	if ((uint64_t)data.st_size > size && ft_sys_ftruncate(p->own->data_fd, (off_t)size) != 0)
		return failed(p, "cut the data of incoming");
	if ((data.st_mode & 07777) != 0640 && ft_sys_fchmod(p->own->data_fd, 0640) != 0)
		return failed(p, "change the mode of incoming");
	return fs_sync(&p->own->base);
}

/* Opens both directories. The caller holds the lock on the names. */
static enum ft_status open_dirs(struct publishing *p)
{
	struct stat file;
	enum ft_status st;
	bool finished = false, made;

	p->from = open_own(p->fs, p->own);
	if (p->from < 0)
		return failed(p, "open incoming");
	if (!fs_is_absent(p->fs->files, &p->own->names, NULL) &&
	    (st = fs_clear_stale(p->fs, &p->own->names, &finished)) != FT_OK)
		return st;
	p->to = fs_make_pair(p->fs, p->fs->files, &p->own->names, &made);
	if (p->to < 0)
		return fs_failed(p->fs, "create files", &p->own->names);
	if (finished || (!made && ft_sys_fstatat(p->to, p->name, &file, AT_SYMLINK_NOFOLLOW) == 0)) {
		errno = EEXIST;
		return fs_failed(p->fs, "replace the finished file in files", &p->own->names);
	}
	return FT_OK;
}

/* False: detached where errno is ENOENT. */
static bool still_own(const struct publishing *p)
{
	return fs_is_pair(p->fs->incoming, &p->own->names, p->from) &&
		fs_is_same(p->from, FS_DATA, p->own->data_fd);
}

static enum ft_status place_manifest(struct publishing *p, const char *manifest, size_t len)
{
	struct ft_atomic file;
	enum ft_status st;

	if (ft_atomic_open(&file, p->from, FS_FINAL_TEMPORARY) != FT_OK)
		return failed(p, "write the manifest of files");
	if (!ft_sys_write_all(file.fd, manifest, len, 0)) {
		st = failed(p, "write the manifest of files");
		ft_atomic_abort(&file);
		return st;
	}
	if (p->durable && ft_sys_fsync(file.fd) != 0) {
		st = fs_sync_failed(p->fs, "sync the manifest of files", &p->own->names);
		ft_atomic_abort(&file);
		return st;
	}
	fs_lock(p->fs, &p->own->names);
	if (!still_own(p))
		ft_atomic_abort(&file);
	else if (ft_atomic_commit(&file, p->to, p->manifest_name, &p->manifest_fd) != FT_OK)
		p->manifest_fd = -1;
	fs_unlock(p->fs, &p->own->names);
	return p->manifest_fd < 0 ? failed(p, "place the manifest of files") : FT_OK;
}

static enum ft_status place_data(const struct publishing *p)
{
	bool done;

	fs_lock(p->fs, &p->own->names);
	done = still_own(p);
	if (done && !fs_is_same(p->to, p->manifest_name, p->manifest_fd)) {
		/* A detach that failed half-way has cleared it. */
		errno = EIO;
		done = false;
	}
	done = done && ft_sys_renameat(p->from, FS_DATA, p->to, p->name) == 0;
	if (done)
		set_publishing(p->fs, p->own, true);
	fs_unlock(p->fs, &p->own->names);
	return done ? FT_OK : failed(p, "publish incoming");
}

/* After an error: nothing of it may stay visible. */
static void withdraw(const struct publishing *p, bool data_placed)
{
	int saved = errno;
	bool there;

	fs_lock(p->fs, &p->own->names);
	/* A file that cannot be taken back is whole, only perhaps not for long: it keeps its manifest. */
	set_publishing(p->fs, p->own, false);
	there = data_placed && ft_sys_renameat(p->to, p->name, p->from, FS_DATA) != 0;
	if (there)
		(void)fs_failed(p->fs, "take back the unsynced file in files", &p->own->names);
	/* The name may be that of a later publish by now; then it is not ours to remove. */
	else if (p->manifest_fd >= 0 && fs_is_same(p->to, p->manifest_name, p->manifest_fd))
		(void)ft_sys_unlinkat(p->to, p->manifest_name, 0);
	fs_remove_pair(p->fs, p->fs->files, &p->own->names);
	fs_unlock(p->fs, &p->own->names);
	errno = saved;
}

/* What is left of the unfinished transfer; enumerate() removes what stays. */
static void clear_unfinished(const struct publishing *p)
{
	(void)ft_sys_unlinkat(p->from, FS_MANIFEST, 0);
	(void)ft_sys_unlinkat(p->from, FS_JOURNAL, 0);
	(void)ft_sys_unlinkat(p->from, FS_JOURNAL_TEMPORARY, 0);
	(void)ft_sys_unlinkat(p->from, FS_MANIFEST_TEMPORARY, 0);
	fs_lock(p->fs, &p->own->names);
	set_publishing(p->fs, p->own, false);
	fs_remove_pair(p->fs, p->fs->incoming, &p->own->names);
	fs_unlock(p->fs, &p->own->names);
}

static enum ft_status place(struct publishing *p, const char *manifest, size_t len)
{
	enum ft_status st;

	if ((st = place_manifest(p, manifest, len)) != FT_OK) {
		withdraw(p, false);
		return st;
	}
	if (p->durable && (ft_sys_fsync(p->to) != 0 ||
			   !fs_sync_parents(p->fs, p->fs->files, &p->own->names))) {
		st = errno == ENOENT ? FT_NO_SUCH_TRANSFER	/* detached */
			: fs_sync_failed(p->fs, "sync files", &p->own->names);
		withdraw(p, false);
		return st;
	}
	if ((st = place_data(p)) != FT_OK) {
		withdraw(p, false);
		return st;
	}
	if (p->durable && ft_sys_fsync(p->to) != 0) {
		st = fs_sync_failed(p->fs, "sync files", &p->own->names);
		withdraw(p, true);
		return st;
	}
	clear_unfinished(p);
	return FT_OK;
}

enum ft_status fs_publish(struct ft_work *work, const char *name, uint64_t size,
			  const char *manifest, size_t manifest_len)
{
	struct publishing p = {
		.fs = fs_of(work->store),
		.own = work_of(work),
		.name = name,
		.durable = fs_of(work->store)->durability != FT_DURABILITY_NONE,
		.from = -1, .to = -1, .manifest_fd = -1,
	};
	struct ft_buf text = ft_buf_on(p.manifest_name, sizeof p.manifest_name);
	enum ft_status st;

	ft_buf_str(&text, name);
	ft_buf_str(&text, FS_MANIFEST_SUFFIX);
	if (!ft_buf_ok(&text))
		return FT_INTERNAL_ERROR;
	if ((st = cut(&p, size)) != FT_OK)
		return st;
	fs_lock(p.fs, &p.own->names);
	st = open_dirs(&p);
	fs_unlock(p.fs, &p.own->names);
	if (st == FT_OK)
		st = place(&p, manifest, manifest_len);
	ft_sys_close(p.manifest_fd);
	ft_sys_close(p.to);
	ft_sys_close(p.from);
	return st;
}
