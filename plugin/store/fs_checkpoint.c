/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * A checkpoint makes durable what is held, and rewrites the journal to say so in as
 * few records as there are ranges. The worker writes the new journal beside the old
 * one, which stays in use and stays valid; the broker's thread then adds what came
 * meanwhile and renames it into place. Where held bytes were overwritten or lost
 * meanwhile the new journal is thrown away: it would promise too much.
 */
#include "store/fs.h"

#define GROWN_RECORDS 4096	/* a journal shorter than this is cheap to read */
#define GROWN_FACTOR 4		/* records per range */

static struct fs_checkpoint *checkpoint_of(struct ft_checkpoint *checkpoint)
{
	return (struct fs_checkpoint *)checkpoint;
}

bool fs_wants_checkpoint(const struct ft_upload *upload)
{
	const struct fs_upload *up = (const struct fs_upload *)upload;

	return up->journal.records > GROWN_RECORDS &&
		up->journal.records / GROWN_FACTOR > upload->held.count;
}

void fs_checkpoint_added(struct fs_upload *up, uint64_t start, uint64_t end)
{
	struct fs_checkpoint *checkpoint = up->checkpoint;

	if (checkpoint && ft_ranges_add(&checkpoint->since, start, end) != FT_OK)
		checkpoint->spoiled = true;
}

void fs_checkpoint_spoiled(struct fs_upload *up)
{
	if (up->checkpoint)
		up->checkpoint->spoiled = true;
}

void fs_checkpoint_described(struct fs_upload *up, bool anchored)
{
	up->anchored = anchored;
	if (up->checkpoint)
		up->checkpoint->described = true;
}

static void checkpoint_free(struct fs_checkpoint *checkpoint)
{
	ft_atomic_abort(&checkpoint->next);
	ft_sys_close(checkpoint->dir_fd);
	ft_sys_close(checkpoint->data_fd);
	ft_ranges_release(&checkpoint->noted);
	ft_ranges_release(&checkpoint->since);
	free(checkpoint);
}

static enum ft_status open_files(struct fs *fs, struct fs_upload *up,
				 struct fs_checkpoint *checkpoint)
{
	enum ft_status st;

	if ((st = fs_cache_use(fs, up)) != FT_OK)
		return st;
	checkpoint->dir_fd = fs_open_pair(fs, fs->incoming, &checkpoint->names);
	if (checkpoint->dir_fd >= 0)
		checkpoint->data_fd = fs_cache_dup(fs, up);
	if (checkpoint->data_fd < 0)
		return fs_failed(fs, "open incoming", &checkpoint->names);
	return ft_ranges_copy(&checkpoint->noted, &up->base.held);
}

enum ft_status fs_checkpoint_begin(struct ft_upload *upload, struct ft_checkpoint **out)
{
	struct fs *fs = fs_of(upload->store);
	struct fs_upload *up = fs_upload_of(upload);
	struct fs_checkpoint *checkpoint;
	enum ft_status st;

	if (up->checkpoint)
		return FT_BUSY;
	checkpoint = calloc(1, sizeof *checkpoint);
	if (!checkpoint)
		return FT_NO_MEMORY;
	checkpoint->base.store = &fs->base;
	checkpoint->next.fd = checkpoint->dir_fd = checkpoint->data_fd = -1;
	checkpoint->anchor = !up->anchored;
	ft_ranges_init(&checkpoint->noted);
	ft_ranges_init(&checkpoint->since);
	fs_names_of_upload(&checkpoint->names, up);
	if ((st = open_files(fs, up, checkpoint)) != FT_OK) {
		checkpoint_free(checkpoint);
		return st;
	}
	up->checkpoint = checkpoint;
	*out = &checkpoint->base;
	return FT_OK;
}

/* Where the directory is gone the transfer was detached meanwhile, which is no news. */
static enum ft_status checkpoint_failed(struct fs *fs, const struct fs_checkpoint *checkpoint,
			     const char *what)
{
	return errno == ENOENT ? FT_NO_SUCH_TRANSFER : fs_failed(fs, what, &checkpoint->names);
}

static enum ft_status write_journal(struct fs *fs, struct fs_checkpoint *checkpoint, bool durable)
{
	enum ft_status st;

	st = ft_atomic_open(&checkpoint->next, checkpoint->dir_fd, FS_JOURNAL_TEMPORARY);
	if (st == FT_OK)
		st = ft_journal_begin(&checkpoint->journal, checkpoint->next.fd, &fs->boot);
	if (st == FT_OK)
		st = ft_journal_add_all(&checkpoint->journal, checkpoint->next.fd,
					durable ? FT_JOURNAL_DURABLE : FT_JOURNAL_HELD,
					&checkpoint->noted);
	if (st != FT_OK)
		return checkpoint_failed(fs, checkpoint, "write the journal of incoming");
	if (durable && ft_sys_fsync(checkpoint->next.fd) != 0)
		return fs_sync_failed(fs, "sync the journal of incoming", &checkpoint->names);
	return FT_OK;
}

enum ft_status fs_checkpoint_run(struct ft_checkpoint *base)
{
	struct fs *fs = fs_of(base->store);
	struct fs_checkpoint *checkpoint = checkpoint_of(base);
	bool durable = fs->durability != FT_DURABILITY_NONE;

	if (durable && ft_sys_fdatasync(checkpoint->data_fd) != 0) {
		checkpoint->data_failed = true;
		return fs_sync_failed(fs, "sync incoming", &checkpoint->names);
	}
	if (durable && checkpoint->anchor &&
	    !fs_sync_around(fs, &checkpoint->names, checkpoint->dir_fd))
		return checkpoint_failed(fs, checkpoint, "sync incoming");
	return write_journal(fs, checkpoint, durable);
}

/* In durability segment what was put meanwhile is on the disk, and must be said to be. */
static enum ft_status add_since(struct fs *fs, struct fs_checkpoint *checkpoint)
{
	bool segment = fs->durability == FT_DURABILITY_SEGMENT;
	enum ft_status st;

	if (checkpoint->since.count == 0)
		return FT_OK;
	st = ft_journal_add_all(&checkpoint->journal, checkpoint->next.fd,
				segment ? FT_JOURNAL_DURABLE : FT_JOURNAL_HELD,
				&checkpoint->since);
	if (st != FT_OK)
		return fs_failed(fs, "write the journal of incoming", &checkpoint->names);
	if (segment && ft_sys_fsync(checkpoint->next.fd) != 0)
		return fs_sync_failed(fs, "sync the journal of incoming", &checkpoint->names);
	return FT_OK;
}

/* The new journal takes the place of the old one. */
static enum ft_status take_over(struct fs *fs, struct fs_upload *up,
				struct fs_checkpoint *checkpoint)
{
	bool durable = fs->durability != FT_DURABILITY_NONE;
	enum ft_status st;
	int fd;

	if ((st = fs_cache_use(fs, up)) != FT_OK)
		return st;
	if ((st = add_since(fs, checkpoint)) != FT_OK)
		return st;
	if (ft_atomic_commit(&checkpoint->next, checkpoint->dir_fd, FS_JOURNAL, &fd) != FT_OK)
		return fs_failed(fs, "replace the journal of incoming", &checkpoint->names);
	fs_cache_swap_journal(up, fd);
	up->journal = checkpoint->journal;
	up->durable = durable && checkpoint->journal.records > 1;
	if (durable && !checkpoint->described)
		up->anchored = true;
	/* The next put is acknowledged by this journal: it must not vanish in a power cut. */
	if (fs->durability == FT_DURABILITY_SEGMENT && ft_sys_fsync(checkpoint->dir_fd) != 0)
		return fs_sync_failed(fs, "sync incoming", &checkpoint->names);
	return FT_OK;
}

enum ft_status fs_checkpoint_end(struct ft_upload *upload, struct ft_checkpoint **base,
				 enum ft_status ran)
{
	struct fs *fs = fs_of((*base)->store);
	struct fs_checkpoint *checkpoint = checkpoint_of(*base);
	struct fs_upload *up = upload ? fs_upload_of(upload) : NULL;
	enum ft_status st = FT_OK;

	*base = NULL;
	if (up)
		up->checkpoint = NULL;
	if (up && ran == FT_OK && !checkpoint->spoiled)
		st = take_over(fs, up, checkpoint);
	else if (up && checkpoint->data_failed)
		(void)(fs_reassess(upload, true) == FT_OK);	/* logged there */
	if (ran != FT_OK)
		st = ran;
	checkpoint_free(checkpoint);
	return st;
}
