/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Bringing down what is held to what is really there, in memory and in the journal. */
#include "store/fs.h"

static void report(struct fs *fs, struct fs_upload *up, uint64_t before, const char *why)
{
	struct fs_names names;

	if (before <= up->base.held.bytes)
		return;
	fs_names_of_upload(&names, up);
	ft_logger_printf(fs->log, FT_LOG_WARNING,
		      "incoming/%s/%s: %llu bytes are not held any more: %s", names.client,
		      names.file, (unsigned long long)(before - up->base.held.bytes), why);
}

/*
 * The last resort where a taking back cannot be written: an empty journal holds nothing,
 * and costs no room. Rather all again than bytes that are not what was acknowledged.
 */
static void hold_nothing(struct fs *fs, struct fs_upload *up)
{
	struct fs_names names;

	ft_ranges_release(&up->base.held);
	if (ft_sys_ftruncate(up->journal_fd, 0) != 0) {
		fs_names_of_upload(&names, up);
		(void)fs_failed(fs, "empty the journal of incoming", &names);
		return;
	}
	up->journal = (struct ft_journal){.records = 0};
	up->durable = false;
}

/* Else a power cut may bring back the journal that this one was renamed over. */
static bool sync_name(struct fs *fs, struct fs_upload *up, const struct fs_names *names)
{
	int dir = fs_open_pair(fs, fs->incoming, names);
	bool done = dir >= 0 && ft_sys_fsync(dir) == 0;

	/* For want of a descriptor, all that there is. */
	if (dir < 0 && (errno == EMFILE || errno == ENFILE))
		done = ft_sys_syncfs(up->journal_fd) == 0;
	ft_sys_close(dir);
	return done;
}

/*
 * Writes a record that takes something back. Where the journal promises bytes beyond a
 * power cut, this must not come later than what it warns of: so it waits for the disk,
 * here alone also on the broker's thread; these are rare.
 */
static enum ft_status take_back(struct fs *fs, struct fs_upload *up, enum ft_journal_type type,
				uint64_t start, uint64_t end)
{
	struct fs_names names;
	enum ft_status st;

	fs_names_of_upload(&names, up);
	st = type == FT_JOURNAL_BOOT ? ft_journal_void(&up->journal, up->journal_fd, &fs->boot)
		: ft_journal_add(&up->journal, up->journal_fd, &fs->boot, type, start, end);
	if (st != FT_OK)
		return fs_failed(fs, "write the journal of incoming", &names);
	if (!up->durable || fs->durability == FT_DURABILITY_NONE)
		return FT_OK;
	/* What is durable still is so in the journal before as well. */
	if (ft_sys_fdatasync(up->journal_fd) != 0 ||
	    (type != FT_JOURNAL_BOOT && !sync_name(fs, up, &names)))
		return fs_sync_failed(fs, "sync the journal of incoming", &names);
	return FT_OK;
}

void fs_lose(struct fs *fs, struct fs_upload *up, uint64_t start, uint64_t end, const char *why)
{
	uint64_t before = up->base.held.bytes;

	fs_checkpoint_spoiled(up);
	/* Cutting a range in two needs room; where there is none nothing can be trusted. */
	if (ft_ranges_remove(&up->base.held, start, end) != FT_OK)
		ft_ranges_release(&up->base.held);
	if (take_back(fs, up, FT_JOURNAL_LOST, start, end) != FT_OK)
		hold_nothing(fs, up);
	report(fs, up, before, why);
}

enum ft_status fs_cut_held(struct fs *fs, struct fs_upload *up)
{
	struct fs_names names;
	struct ft_range range;
	struct stat data;

	if (ft_sys_fstat(up->data_fd, &data) != 0) {
		fs_names_of_upload(&names, up);
		return fs_failed(fs, "look at incoming", &names);
	}
	/* Not damage: a publish that was killed after it had cut the file leaves this. */
	if (ft_ranges_next(&up->base.held, (uint64_t)data.st_size, &range))
		fs_lose(fs, up, (uint64_t)data.st_size, FT_JOURNAL_END, "the data is shorter");
	return FT_OK;
}

enum ft_status fs_fall_back(struct fs *fs, struct fs_upload *up)
{
	uint64_t before = up->base.held.bytes;
	struct ft_journal_found found;
	enum ft_status st, taken;

	fs_checkpoint_spoiled(up);
	ft_ranges_release(&up->base.held);
	st = ft_journal_load(&found, up->journal_fd, &fs->boot);
	if (st == FT_OK) {
		up->base.held = found.durable;
		ft_ranges_init(&found.durable);
	}
	ft_journal_found_release(&found);
	taken = take_back(fs, up, FT_JOURNAL_BOOT, 0, 0);
	if (taken != FT_OK)
		hold_nothing(fs, up);
	report(fs, up, before, "an fsync failed, and they may not have reached the disk");
	return st == FT_OK ? taken : st;
}

enum ft_status fs_doubt(struct fs *fs, struct fs_upload *up)
{
	enum ft_status st;

	fs_checkpoint_spoiled(up);
	/* In durability segment the new bytes are on the disk before they count. */
	if (!up->durable || fs->durability == FT_DURABILITY_SEGMENT)
		return FT_OK;
	/* All of it, so that a client which sends everything again costs one fsync. */
	if ((st = take_back(fs, up, FT_JOURNAL_REWRITTEN, 0, FT_JOURNAL_END)) == FT_OK)
		up->durable = false;
	return st;
}

/*
 * Before anything else is written: the journal still says that all of it is held, and the
 * next process would believe that of a gap behind which the data has grown again.
 */
enum ft_status fs_look_again(struct fs *fs, struct fs_upload *up)
{
	enum ft_status st = fs_fall_back(fs, up);

	if (st == FT_OK)
		st = fs_cut_held(fs, up);
	if (st == FT_OK)
		up->unseen = false;
	else
		fs_cache_drop(fs, up);
	return st;
}

/*
 * Without descriptors, which is nobody's fault and passes: whether the data is still as
 * long as what is held. A publish that failed may have cut it, nothing else.
 */
static bool has_all_held(struct fs *fs, const struct fs_upload *up)
{
	struct fs_names names;
	struct ft_range range;
	struct stat data;

	fs_names_of_upload(&names, up);
	return fs_stat_pair(fs->incoming, &names, FS_DATA, &data) &&
		!ft_ranges_next(&up->base.held, (uint64_t)data.st_size, &range);
}

enum ft_status fs_reassess(struct ft_upload *upload, bool sync_failed)
{
	struct fs *fs = fs_of(upload->store);
	struct fs_upload *up = fs_upload_of(upload);
	enum ft_status st;

	/* Without durability nothing was synced, so nothing can have failed to be. */
	sync_failed = sync_failed && fs->durability != FT_DURABILITY_NONE;
	if ((st = fs_cache_use(fs, up)) != FT_OK) {
		/* What cannot be looked at cannot be called held. */
		if (sync_failed || !has_all_held(fs, up)) {
			ft_ranges_release(&upload->held);
			up->unseen = true;
		}
		return st;
	}
	if (sync_failed && (st = fs_fall_back(fs, up)) != FT_OK)
		return st;
	return fs_cut_held(fs, up);
}
