/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Bytes into place. New bytes cost one pwrite to the data and one to the journal.
 * Where bytes are held already they are compared first; where they differ the old
 * ones are kept aside until the new ones are in, so that a failure can be undone.
 */
#include "store/fs.h"

#define AHEAD_MIN ((uint64_t)1 << 20)	/* shorter files are done before it pays */
#define AHEAD_MAX ((uint64_t)16 << 20)

/* One put. Offsets are those of the file. */
struct patch {
	struct fs *fs;
	struct fs_upload *up;
	const char *bytes;
	uint64_t start;
	uint64_t end;
	uint64_t added;		/* bytes of [start, end) that are not held */
	uint64_t from;		/* held bytes that differ lie in [from, to) */
	uint64_t to;
	char *old;		/* held bytes of [from, to), at their places */
};

/* A part of [at, end) that is held as a whole, or not at all. */
struct piece {
	uint64_t start;
	uint64_t end;
	bool held;
};

static bool next_piece(const struct ft_ranges *held, uint64_t at, uint64_t end,
		       struct piece *piece)
{
	struct ft_range range;

	if (at >= end)
		return false;
	*piece = (struct piece){.start = at, .end = end, .held = false};
	if (!ft_ranges_next(held, at, &range) || range.start >= end)
		return true;
	piece->held = range.start <= at;
	piece->end = piece->held ? range.end : range.start;
	if (piece->end > end)
		piece->end = end;
	return true;
}

static enum ft_status put_failed(const struct patch *patch, const char *what)
{
	struct fs_names names;

	fs_names_of_upload(&names, patch->up);
	return fs_failed(patch->fs, what, &names);
}

/* Reads bytes that must be there. */
static enum ft_status read_held(int fd, void *buffer, size_t len, uint64_t offset)
{
	ssize_t got = ft_sys_read_all(fd, buffer, len, offset);

	if (got >= 0 && (size_t)got < len)
		errno = EIO;
	return got == (ssize_t)len ? FT_OK : ft_sys_status(errno);
}

/*
 * Blocks that are there already make writing into them 40 % cheaper than having each
 * found as it is written. Never more than are held, so that whoever begins many transfers
 * takes no room with them; publish() gives back what is left. A hint: errors do not matter.
 */
static void allocate_ahead(const struct patch *patch)
{
	struct fs_upload *up = patch->up;
	uint64_t ahead = ft_ranges_prefix(&up->base.held);

	if (patch->end <= up->allocated || ahead < AHEAD_MIN)
		return;
	if (ahead > AHEAD_MAX)
		ahead = AHEAD_MAX;
	if (patch->end + ahead > patch->fs->limit ||
	    ft_sys_fallocate(up->data_fd, FALLOC_FL_KEEP_SIZE, (off_t)patch->start,
			     (off_t)(patch->end - patch->start + ahead)) != 0)
		up->allocated = UINT64_MAX;
	else
		up->allocated = patch->end + ahead;
}

/* --- comparing --- */

enum ft_status fs_compare(struct fs *fs, int fd, uint64_t offset, const void *bytes, size_t len,
			  bool *same)
{
	const char *expected = bytes;

	*same = false;
	while (len > 0) {
		size_t step = len < FS_STEP ? len : FS_STEP;
		ssize_t got = ft_sys_read_all(fd, fs->scratch, step, offset);

		if (got < 0)
			return ft_sys_status(errno);
		if ((size_t)got < step || memcmp(fs->scratch, expected, step) != 0)
			return FT_OK;
		expected += step;
		offset += step;
		len -= step;
	}
	*same = true;
	return FT_OK;
}

enum ft_status fs_matches(struct ft_upload *upload, uint64_t offset, const void *bytes, size_t len,
			  bool *same)
{
	struct patch patch = {.fs = fs_of(upload->store), .up = fs_upload_of(upload)};
	enum ft_status st;

	*same = false;
	if (len > FT_JOURNAL_END - offset || !ft_ranges_cover(&upload->held, offset, offset + len))
		return FT_OK;
	if ((st = fs_cache_use(patch.fs, patch.up)) != FT_OK)
		return st;
	st = fs_compare(patch.fs, patch.up->data_fd, offset, bytes, len, same);
	return st == FT_OK ? FT_OK : put_failed(&patch, "read incoming");
}

static void note_difference(struct patch *patch, uint64_t start, size_t len)
{
	const char *theirs = patch->bytes + (start - patch->start);
	size_t first = 0;

	while (first < len && patch->fs->scratch[first] == theirs[first])
		first++;
	while (len > first && patch->fs->scratch[len - 1] == theirs[len - 1])
		len--;
	if (first == len)
		return;
	if (patch->from == patch->to)
		patch->from = start + first;
	patch->to = start + len;
}

/* Finds out what the put adds and what it changes. */
static enum ft_status compare_held(struct patch *patch)
{
	const struct ft_ranges *held = &patch->up->base.held;
	struct piece piece;
	enum ft_status st;

	for (uint64_t at = patch->start; next_piece(held, at, patch->end, &piece); at = piece.end) {
		if (!piece.held) {
			patch->added += piece.end - piece.start;
			continue;
		}
		if (piece.end - piece.start > FS_STEP)
			piece.end = piece.start + FS_STEP;
		st = read_held(patch->up->data_fd, patch->fs->scratch,
			       (size_t)(piece.end - piece.start), piece.start);
		if (st != FT_OK)
			return put_failed(patch, "read incoming");
		note_difference(patch, piece.start, (size_t)(piece.end - piece.start));
	}
	return FT_OK;
}

/* --- writing, and taking it back --- */

static bool changes(const struct patch *patch)
{
	return patch->from < patch->to;
}

static enum ft_status keep_old(struct patch *patch)
{
	struct piece piece;
	enum ft_status st;

	patch->old = malloc((size_t)(patch->to - patch->from));
	if (!patch->old)
		return FT_NO_MEMORY;
	for (uint64_t at = patch->from;
	     next_piece(&patch->up->base.held, at, patch->to, &piece); at = piece.end) {
		if (!piece.held)
			continue;
		st = read_held(patch->up->data_fd, patch->old + (piece.start - patch->from),
			       (size_t)(piece.end - piece.start), piece.start);
		if (st != FT_OK)
			return put_failed(patch, "read incoming");
	}
	return FT_OK;
}

static bool write_range(const struct patch *patch, uint64_t start, uint64_t end)
{
	return ft_sys_write_all(patch->up->data_fd, patch->bytes + (start - patch->start),
				(size_t)(end - start), start);
}

/* Writes what is not held, and of what is held the part that differs. */
static bool write_pieces(const struct patch *patch)
{
	struct piece piece;

	for (uint64_t at = patch->start;
	     next_piece(&patch->up->base.held, at, patch->end, &piece); at = piece.end) {
		uint64_t start = piece.start, end = piece.end;

		if (piece.held && start < patch->from)
			start = patch->from;
		if (piece.held && end > patch->to)
			end = patch->to;
		if (start < end && !write_range(patch, start, end))
			return false;
	}
	return true;
}

/* Brings back what was held before; what cannot be brought back is lost. */
static void undo(struct patch *patch)
{
	int fd = patch->up->data_fd;
	struct piece piece;
	bool done = true;

	if (!patch->old)
		return;
	for (uint64_t at = patch->from;
	     next_piece(&patch->up->base.held, at, patch->to, &piece); at = piece.end) {
		if (piece.held)
			done = done && ft_sys_write_all(fd, patch->old + (piece.start - patch->from),
							(size_t)(piece.end - piece.start),
							piece.start);
	}
	if (patch->fs->durability == FT_DURABILITY_SEGMENT)
		done = done && ft_sys_fdatasync(fd) == 0;
	if (!done)
		fs_lose(patch->fs, patch->up, patch->from, patch->to,
			"writing over them failed, and so did putting them back");
}

/* --- recording --- */

static enum ft_status record(struct patch *patch)
{
	struct fs_upload *up = patch->up;
	bool segment = patch->fs->durability == FT_DURABILITY_SEGMENT;
	struct ft_journal before = up->journal;
	enum ft_status st;

	st = ft_journal_add(&up->journal, up->journal_fd, &patch->fs->boot,
			    segment ? FT_JOURNAL_DURABLE : FT_JOURNAL_HELD,
			    patch->start, patch->end);
	if (st != FT_OK)
		return put_failed(patch, "write the journal of incoming");
	if (!segment)
		return FT_OK;
	if (ft_sys_fdatasync(up->journal_fd) != 0) {
		(void)put_failed(patch, "sync the journal of incoming");
		/* Not acknowledged, so not to be found by a later load either. */
		up->journal = before;
		(void)ft_sys_ftruncate(up->journal_fd,
				       (off_t)before.records * FT_JOURNAL_RECORD_LEN);
		return FT_IO_ERROR;
	}
	up->durable = true;
	return FT_OK;
}

/* Durability segment: the kernel does not say which bytes a failed fdatasync has lost. */
static enum ft_status sync_data(struct patch *patch)
{
	if (patch->fs->durability != FT_DURABILITY_SEGMENT ||
	    ft_sys_fdatasync(patch->up->data_fd) == 0)
		return FT_OK;
	(void)put_failed(patch, "sync incoming");
	(void)fs_fall_back(patch->fs, patch->up);
	if (changes(patch))
		fs_lose(patch->fs, patch->up, patch->from, patch->to,
			"syncing what was written over them failed");
	return FT_IO_ERROR;
}

static enum ft_status write_patch(struct patch *patch)
{
	enum ft_status st;

	allocate_ahead(patch);
	if (!write_pieces(patch)) {
		st = put_failed(patch, "write incoming");
		undo(patch);
		return st;
	}
	if ((st = sync_data(patch)) != FT_OK)
		return st;
	if (patch->added > 0 && (st = record(patch)) != FT_OK) {
		undo(patch);
		return st;
	}
	return FT_OK;
}

static enum ft_status apply(struct patch *patch)
{
	enum ft_status st;

	if (changes(patch)) {
		if ((st = keep_old(patch)) != FT_OK)
			return st;
		if ((st = fs_doubt(patch->fs, patch->up)) != FT_OK)
			return st;
	}
	if ((st = write_patch(patch)) != FT_OK || patch->added == 0)
		return st;
	fs_checkpoint_added(patch->up, patch->start, patch->end);
	/* Prepared: cannot fail. */
	return ft_ranges_add(&patch->up->base.held, patch->start, patch->end);
}

enum ft_status fs_put(struct ft_upload *upload, uint64_t offset, const void *bytes, size_t len,
		      struct ft_put *done)
{
	struct patch patch = {
		.fs = fs_of(upload->store),
		.up = fs_upload_of(upload),
		.bytes = bytes,
		.start = offset,
		.end = offset + len,
	};
	enum ft_status st;

	*done = (struct ft_put){.added = 0, .overwrote = false};
	/* Beyond the process' own limit the kernel would send SIGXFSZ. */
	if (patch.end > patch.fs->limit)
		return FT_FILE_TOO_LARGE;
	if ((st = fs_cache_use(patch.fs, patch.up)) != FT_OK)
		return st;
	if ((st = ft_ranges_prepare(&upload->held, patch.start, patch.end)) != FT_OK)
		return st;
	if (!ft_ranges_overlap(&upload->held, patch.start, patch.end))
		patch.added = len;
	else if ((st = compare_held(&patch)) != FT_OK)
		return st;
	if (patch.added > 0 || changes(&patch))
		st = apply(&patch);
	free(patch.old);
	if (st != FT_OK)
		return st;
	fs_space_taken(patch.fs, patch.added);
	*done = (struct ft_put){.added = patch.added, .overwrote = changes(&patch)};
	return FT_OK;
}
