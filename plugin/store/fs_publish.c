/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Publishing: cut the data, write the manifest beside the data, make both durable;
 * rename the manifest to where the file will be, make that durable; rename the data,
 * make that durable. So the file is never there without its manifest, whatever the
 * disk keeps of it. A manifest without its file counts for nothing while the data is
 * in incoming/, and the data's directories are durable before it is there.
 *
 * Several transfers take these steps side by side, so that they share the waits for
 * the disk. Each goes on as long as it has no error of its own.
 *
 * A transfer may be detached at any moment, and even begun anew under the same key.
 * Each rename therefore looks first, under the lock on the names, whether the data is
 * still the file that the work handle has open.
 */
#include "store/fs.h"

#include "base/buf.h"

/*
 * From so many on, one syncfs() is cheaper than their fsyncs: a journal's commit and a
 * flush of the disk's cache each. It also waits for what others have written meanwhile,
 * which a few would not be worth.
 */
#define TOGETHER 4

#define SPARE_BLOCKS ((uint64_t)64 * 1024)	/* more bytes than that in blocks behind the end are cut off */

#define WRITE_OUT (SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE)
#define WAIT_FOR (WRITE_OUT | SYNC_FILE_RANGE_WAIT_AFTER)

/* One publication on its way. */
struct publishing {
	struct fs *fs;
	struct fs_work *own;
	struct ft_publication *what;
	enum ft_status status;
	int to;			/* files/<client>/<file> */
	struct ft_atomic file;	/* the manifest while it is written */
	int manifest_fd;	/* the manifest once it is placed */
	bool data_placed;
	char manifest_name[FT_NAME_ROOM];
};

static enum ft_status failed(const struct publishing *p, const char *what)
{
	/* Detached: that is how it is meant to end then, and no news. */
	if (errno == ENOENT)
		return FT_NO_SUCH_TRANSFER;
	return fs_failed(p->fs, what, &p->own->names);
}

/* Then the kernel may have lost what it was to write. */
static enum ft_status sync_failed(const struct publishing *p, const char *what)
{
	p->what->sync_failed = true;
	return fs_sync_failed(p->fs, what, &p->own->names);
}

/* The same; but a directory that was detached, or for want of descriptors not opened, lost nothing. */
static enum ft_status dirs_not_synced(const struct publishing *p, const char *what)
{
	if (errno == ENOENT || errno == EMFILE || errno == ENFILE)
		return failed(p, what);
	return sync_failed(p, what);
}

/* --- up to the first wait --- */

static enum ft_status cut(struct publishing *p)
{
	uint64_t size = p->what->size;
	struct stat data;

	if (ft_sys_fstat(p->own->data_fd, &data) != 0)
		return failed(p, "look at incoming");
	if ((uint64_t)data.st_size < size) {
		errno = EIO;
		return failed(p, "publish (too short) incoming");
	}
	/* Or blocks were taken ahead: a file that is to stay gives them back. */
	if ((uint64_t)data.st_size > size ||
	    (uint64_t)data.st_blocks * 512 > size + SPARE_BLOCKS) {
		p->own->synced = false;
		if (ft_sys_ftruncate(p->own->data_fd, (off_t)size) != 0)
			return failed(p, "cut the data of incoming");
	}
	if ((data.st_mode & 07777) != 0640 && ft_sys_fchmod(p->own->data_fd, 0640) != 0)
		return failed(p, "change the mode of incoming");
	return FT_OK;
}

static enum ft_status make_place(struct publishing *p)
{
	bool finished = false, made;
	struct stat file;
	enum ft_status st;

	if (!fs_is_absent(p->fs->files, &p->own->names, NULL) &&
	    (st = fs_clear_stale(p->fs, &p->own->names, &finished)) != FT_OK)
		return st;
	p->to = fs_make_pair(p->fs, p->fs->files, &p->own->names, &made);
	if (p->to < 0)
		return fs_failed(p->fs, "create files", &p->own->names);
	if (finished || (!made && ft_sys_fstatat(p->to, p->what->name, &file,
						 AT_SYMLINK_NOFOLLOW) == 0)) {
		errno = EEXIST;
		return fs_failed(p->fs, "replace the finished file in files", &p->own->names);
	}
	return FT_OK;
}

/* False: detached where errno is ENOENT. */
static bool still_own(const struct publishing *p)
{
	return fs_is_pair(p->fs->incoming, &p->own->names, p->own->dir_fd) &&
		fs_is_same(p->own->dir_fd, FS_DATA, p->own->data_fd);
}

static enum ft_status open_dirs(struct publishing *p)
{
	enum ft_status st;

	fs_lock(p->fs, &p->own->names);
	if (!fs_work_open(p->own) || !still_own(p))
		st = failed(p, "open incoming");
	else
		st = make_place(p);
	fs_unlock(p->fs, &p->own->names);
	return st;
}

static enum ft_status write_manifest(struct publishing *p)
{
	if (ft_atomic_fill(&p->file, p->own->dir_fd, FS_FINAL_TEMPORARY, p->what->manifest,
			   p->what->manifest_len) != FT_OK)
		return failed(p, "write the manifest of files");
	return FT_OK;
}

static enum ft_status prepare(struct publishing *p)
{
	struct ft_buf text = ft_buf_on(p->manifest_name, sizeof p->manifest_name);
	enum ft_status st;

	ft_buf_str(&text, p->what->name);
	ft_buf_str(&text, FS_MANIFEST_SUFFIX);
	if (!ft_buf_ok(&text))
		return FT_INTERNAL_ERROR;
	if ((st = cut(p)) != FT_OK || (st = open_dirs(p)) != FT_OK)
		return st;
	return write_manifest(p);
}

/* --- waits for the disk, one for all or each for itself --- */

/*
 * A manifest in files/ whose data is nowhere says that a consumer has taken the file. So it
 * must not outlive a power cut which the way to the data in incoming/ does not.
 */
static enum ft_status anchor_data(struct publishing *p)
{
	if (p->own->anchored ||
	    fs_sync_dirs(p->fs, p->fs->incoming, &p->own->names, p->own->dir_fd))
		return FT_OK;
	return dirs_not_synced(p, "sync incoming");
}

/* What the data and the manifest say, and where the data is until it is placed. */
static enum ft_status sync_contents(struct publishing *p)
{
	enum ft_status st = fs_sync(&p->own->base);

	p->what->sync_failed = st != FT_OK;
	if (st == FT_OK && ft_sys_fsync(p->file.fd) != 0)
		st = sync_failed(p, "sync the manifest of files");
	/* After the manifest, whose commit takes the names along where there is one journal. */
	return st == FT_OK ? anchor_data(p) : st;
}

/* Of the directories that lead to the file. */
static enum ft_status sync_names(struct publishing *p)
{
	if (fs_sync_dirs(p->fs, p->fs->files, &p->own->names, p->to))
		return FT_OK;
	return dirs_not_synced(p, "sync files");
}

static enum ft_status sync_data_name(struct publishing *p)
{
	if (ft_sys_fsync(p->to) == 0)
		return FT_OK;
	return sync_failed(p, "sync files");
}

/*
 * syncfs() does not say whose bytes were lost, and only to the first who asks. This
 * does, and without waiting for the journal. Once it has, fsync() keeps silent.
 */
static enum ft_status write_out(struct publishing *p, unsigned how)
{
	if (ft_sys_sync_file_range(p->own->data_fd, 0, 0, how) == 0 &&
	    ft_sys_sync_file_range(p->file.fd, 0, 0, how) == 0)
		return FT_OK;
	return sync_failed(p, "write to the disk incoming");
}

static enum ft_status start_writing(struct publishing *p)
{
	return write_out(p, WRITE_OUT);
}

static enum ft_status wait_written(struct publishing *p)
{
	return write_out(p, WAIT_FOR);
}

static void each(struct publishing *all, size_t count,
		 enum ft_status (*step)(struct publishing *p))
{
	for (size_t i = 0; i < count; i++)
		if (all[i].status == FT_OK)
			all[i].status = step(&all[i]);
}

static size_t count_good(const struct publishing *all, size_t count)
{
	size_t good = 0;

	for (size_t i = 0; i < count; i++)
		good += all[i].status == FT_OK;
	return good;
}

/* False: each must see for itself. */
static bool sync_together(struct publishing *all, size_t count, bool contents)
{
	if (count_good(all, count) < TOGETHER)
		return false;
	if (contents) {
		/* First all of it on its way, then wait. */
		each(all, count, start_writing);
		each(all, count, wait_written);
	}
	return ft_sys_syncfs(all->fs->files) == 0;
}

static void wait_for_disk(struct publishing *all, size_t count, bool contents,
			  enum ft_status (*alone)(struct publishing *p))
{
	if (all->fs->durability != FT_DURABILITY_NONE && !sync_together(all, count, contents))
		each(all, count, alone);
}

/* --- renames --- */

static enum ft_status place_manifest(struct publishing *p)
{
	bool own;

	fs_lock(p->fs, &p->own->names);
	own = still_own(p);
	if (own &&
	    ft_atomic_commit(&p->file, p->to, p->manifest_name, &p->manifest_fd) != FT_OK)
		p->manifest_fd = -1;
	fs_unlock(p->fs, &p->own->names);
	if (p->manifest_fd >= 0)
		return FT_OK;
	/* A consumer removes directories that are empty, as this one was: the next fin makes it. */
	if (own && errno == ENOENT)
		return FT_BUSY;
	return failed(p, "place the manifest of files");
}

static enum ft_status place_data(struct publishing *p)
{
	bool done;

	fs_lock(p->fs, &p->own->names);
	done = still_own(p);
	if (done && !fs_is_same(p->to, p->manifest_name, p->manifest_fd)) {
		/* A detach that failed half-way has cleared it. */
		errno = EIO;
		done = false;
	}
	p->data_placed = done && ft_sys_renameat(p->own->dir_fd, FS_DATA, p->to,
						 p->what->name) == 0;
	if (p->data_placed)
		fs_marks_set(&p->fs->publishing, &p->own->publishing, true);
	fs_unlock(p->fs, &p->own->names);
	return p->data_placed ? FT_OK : failed(p, "publish incoming");
}

/* --- the end --- */

/* After an error: nothing of it may stay visible. */
static void withdraw(struct publishing *p)
{
	bool there;

	fs_lock(p->fs, &p->own->names);
	/* A file that cannot be taken back is whole, only perhaps not for long: it keeps its manifest. */
	fs_marks_set(&p->fs->publishing, &p->own->publishing, false);
	there = p->data_placed && ft_sys_renameat(p->to, p->what->name, p->own->dir_fd,
						  FS_DATA) != 0;
	if (there)
		(void)fs_failed(p->fs, "take back the unsynced file in files", &p->own->names);
	/* The name may be that of a later publish by now; then it is not ours to remove. */
	else if (p->manifest_fd >= 0 && fs_is_same(p->to, p->manifest_name, p->manifest_fd))
		(void)ft_sys_unlinkat(p->to, p->manifest_name, 0);
	ft_atomic_abort(&p->file);
	if (p->to >= 0)
		fs_remove_pair(p->fs, p->fs->files, &p->own->names);
	fs_unlock(p->fs, &p->own->names);
}

/* What is left of the unfinished transfer; enumerate() removes what stays. */
static void clear_unfinished(struct publishing *p)
{
	int dir = p->own->dir_fd;

	(void)ft_sys_unlinkat(dir, FS_MANIFEST, 0);
	(void)ft_sys_unlinkat(dir, FS_MANIFEST_NEWER, 0);
	(void)ft_sys_unlinkat(dir, FS_JOURNAL, 0);
	(void)ft_sys_unlinkat(dir, FS_JOURNAL_TEMPORARY, 0);
	(void)ft_sys_unlinkat(dir, FS_MANIFEST_TEMPORARY, 0);
	fs_lock(p->fs, &p->own->names);
	fs_marks_set(&p->fs->publishing, &p->own->publishing, false);
	fs_remove_pair(p->fs, p->fs->incoming, &p->own->names);
	fs_unlock(p->fs, &p->own->names);
}

static void conclude(struct publishing *p)
{
	if (p->status == FT_OK)
		clear_unfinished(p);
	else
		withdraw(p);
	ft_sys_close(p->manifest_fd);
	ft_sys_close(p->to);
	p->what->status = p->status;
}

void fs_publish(struct ft_publication *publications, size_t count)
{
	struct publishing *all = calloc(count, sizeof *all);

	if (!all) {
		for (size_t i = 0; i < count; i++)
			publications[i].status = FT_NO_MEMORY;
		return;
	}
	for (size_t i = 0; i < count; i++) {
		all[i].fs = fs_of(publications[i].work->store);
		all[i].own = fs_work_of(publications[i].work);
		all[i].what = &publications[i];
		all[i].file.fd = all[i].to = all[i].manifest_fd = -1;
	}
	each(all, count, prepare);
	wait_for_disk(all, count, true, sync_contents);
	each(all, count, place_manifest);
	wait_for_disk(all, count, false, sync_names);
	each(all, count, place_data);
	wait_for_disk(all, count, false, sync_data_name);
	for (size_t i = 0; i < count; i++)
		conclude(&all[i]);
	free(all);
}
