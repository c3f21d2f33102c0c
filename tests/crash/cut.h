/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The power fails: out of all that may be left of a disk, one thing, drawn by a seed, is
 * put into a directory. A seed also has a mood, so that extremes are frequent: all names
 * there and no bytes, all bytes and no names, everything, nothing.
 */
#ifndef FT_TESTS_CRASH_CUT_H
#define FT_TESTS_CRASH_CUT_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "chance.h"
#include "disk.h"

#define CUT_SECTOR 512
#define CUT_KEEP_ALL UINT64_MAX		/* a seed: as the kernel knows it */

struct cut_mood {
	unsigned bytes;		/* percent of writes that are kept */
	unsigned names;		/* percent of entries */
	unsigned torn;		/* percent of the lost writes of which a part is kept */
	unsigned grown;		/* percent of the lost writes whose file has grown */
	bool ordered;		/* names change in order */
	bool garbage;		/* what was not written may be anything, not only zeros */
};

/* An entry of a directory, as it is after the cut. */
struct cut_entry {
	int dir;
	int node;
	const char *name;
	char path[1024];	/* where it was put, of a file that was put somewhere */
};

struct cut {
	const struct disk *disk;
	uint64_t seed;
	struct cut_mood mood;
	struct cut_entry *entry;
	size_t entries;
	size_t entry_room;
};

static inline struct cut_mood cut_mood_of(uint64_t seed)
{
	static const unsigned likely[] = { 0, 0, 20, 50, 50, 80, 100, 100 };
	struct chance chance = chance_of(seed, 77);
	struct cut_mood mood = { 100, 100, 0, 0, false, false };

	if (seed == CUT_KEEP_ALL)
		return mood;
	mood.bytes = likely[chance_below(&chance, 8)];
	mood.names = likely[chance_below(&chance, 8)];
	mood.torn = likely[chance_below(&chance, 8)];
	mood.grown = likely[chance_below(&chance, 8)];
	mood.ordered = chance_percent(&chance, 50);
	mood.garbage = chance_percent(&chance, 12);
	return mood;
}

/* A file on its way to what the cut leaves of it. */
struct cut_file {
	uint8_t *bytes;
	size_t len;
	bool *stuck;	/* by sector: a write did not get there, so none after it did */
};

/* --- bytes --- */

/* What nobody has written. */
static void cut_fill(struct chance *chance, bool garbage, uint8_t *bytes, size_t from, size_t to)
{
	if (from < to)
		memset(bytes + from, 0, to - from);
	for (size_t at = from; garbage && at < to; at++)
		bytes[at] = (uint8_t)chance_next(chance);
}

static void cut_grow(const struct cut *cut, struct chance *chance, struct cut_file *file,
		     size_t wanted)
{
	size_t before = file->len;

	if (wanted <= before)
		return;
	disk_resize(&file->bytes, &file->len, wanted);
	cut_fill(chance, cut->mood.garbage, file->bytes, before, wanted);
}

/* The part of a write that lies in one sector: there, or not, and then nothing after it is. */
static void cut_piece(const struct cut *cut, struct chance *chance, struct cut_file *file,
		      const struct tape_entry *entry, size_t from, size_t to, bool kept)
{
	bool *stuck = &file->stuck[from / CUT_SECTOR];

	*stuck = *stuck || !kept;
	if (*stuck)
		return;
	cut_grow(cut, chance, file, to);
	memcpy(file->bytes + from, entry->bytes + (from - entry->offset), to - from);
}

/* A write of which all, some sectors, the first bytes, or nothing is there. */
static void cut_write(const struct cut *cut, struct chance *chance, struct cut_file *file,
		      const struct tape_entry *entry)
{
	size_t at = (size_t)entry->offset, end = at + entry->len, next;
	bool whole = chance_percent(chance, cut->mood.bytes);
	bool torn = !whole && chance_percent(chance, cut->mood.torn);
	bool begins = torn && chance_percent(chance, 30);
	size_t until = begins ? at + (size_t)chance_below(chance, entry->len) : end;

	for (; at < end; at = next) {
		bool kept = whole || (begins && at < until)
			|| (torn && !begins && chance_percent(chance, 50));

		next = (at / CUT_SECTOR + 1) * CUT_SECTOR;
		next = next < end ? next : end;
		if (kept && next > until) {
			cut_piece(cut, chance, file, entry, at, until, true);
			kept = false;
		}
		cut_piece(cut, chance, file, entry, at, next, kept);
	}
	if (whole || (torn && !begins) || chance_percent(chance, cut->mood.grown))
		cut_grow(cut, chance, file, end);
}

/* How many sectors the file and all that was done to it may touch. */
static size_t cut_sectors(const struct disk_node *node)
{
	uint64_t end = node->len;

	for (size_t i = 0; i < node->pendings; i++)
		if (node->pending[i]->offset + node->pending[i]->len > end)
			end = node->pending[i]->offset + node->pending[i]->len;
	return (size_t)(end / CUT_SECTOR) + 1;
}

/* A file's bytes after the cut; malloc'd. */
static uint8_t *cut_bytes(const struct cut *cut, int number, size_t *len)
{
	const struct disk_node *node = &cut->disk->node[number];
	struct chance chance = chance_of(cut->seed, 1000 + (uint64_t)number);
	struct cut_file file = {
		.bytes = crash_need(malloc(node->len + 1)),
		.len = node->len,
		.stuck = crash_need(calloc(cut_sectors(node), sizeof(bool))),
	};

	if (node->len > 0)
		memcpy(file.bytes, node->bytes, node->len);
	for (size_t i = 0; i < node->pendings; i++) {
		const struct tape_entry *entry = node->pending[i];

		if (entry->op == TAPE_WRITE)
			cut_write(cut, &chance, &file, entry);
		else if (chance_percent(&chance, cut->mood.bytes))
			disk_do(entry, &file.bytes, &file.len);
	}
	free(file.stuck);
	*len = file.len;
	return file.bytes;
}

/* --- names --- */

static void cut_set(struct cut *cut, const struct disk_side *side)
{
	size_t i = 0;

	while (i < cut->entries && (cut->entry[i].dir != side->dir
				    || strcmp(cut->entry[i].name, side->name) != 0))
		i++;
	if (i == cut->entries) {
		cut->entry = crash_room(cut->entry, cut->entries, &cut->entry_room,
					sizeof *cut->entry);
		cut->entry[cut->entries++] = (struct cut_entry){ .dir = side->dir,
								 .name = side->name };
	}
	cut->entry[i].node = side->node;
}

/* How many changes have got to the disk, where they do so in order. */
static size_t cut_prefix(const struct cut *cut, struct chance *chance)
{
	size_t least = cut->disk->changes, all = cut->disk->changes;

	while (least > 0 && !cut->disk->change[least - 1].lasts)
		least--;
	if (chance_percent(chance, cut->mood.names))
		return all;
	return least + (size_t)chance_below(chance, all - least + 1) * (cut->mood.names > 0);
}

/* Draws which changes of names have got to the disk. */
static void cut_names(struct cut *cut)
{
	struct chance chance = chance_of(cut->seed, 999);
	bool *stuck = crash_need(calloc(cut->disk->nodes + 1, sizeof *stuck));
	size_t prefix = cut->mood.ordered ? cut_prefix(cut, &chance) : 0;

	for (size_t i = 0; i < cut->disk->changes; i++) {
		const struct disk_change *change = &cut->disk->change[i];
		bool *before = &stuck[change->subject + 1];
		bool kept = cut->mood.ordered ? i < prefix
			: chance_percent(&chance, cut->mood.names) && !*before;

		if (!change->lasts && !kept) {
			*before = true;
			continue;
		}
		for (int s = 0; s < change->sides; s++)
			cut_set(cut, &change->side[s]);
	}
	free(stuck);
}

/* --- putting it there --- */

static void cut_put_file(struct cut *cut, struct cut_entry *entry, const char *path)
{
	size_t len, at = 0;
	uint8_t *bytes;
	ssize_t done;
	int fd;

	for (size_t i = 0; i < cut->entries; i++)
		if (cut->entry[i].node == entry->node && cut->entry[i].path[0]) {
			if (link(cut->entry[i].path, path) != 0)
				abort();
			return;
		}
	bytes = cut_bytes(cut, entry->node, &len);
	fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
	if (fd < 0)
		abort();
	while (at < len && (done = syscall(SYS_pwrite64, fd, bytes + at, len - at, at)) > 0)
		at += (size_t)done;
	if (at < len)
		abort();
	close(fd);
	free(bytes);
	snprintf(entry->path, sizeof entry->path, "%s", path);
}

static void cut_put_dir(struct cut *cut, int dir, const char *path)
{
	char below[1024];

	for (size_t i = 0; i < cut->entries; i++) {
		struct cut_entry *entry = &cut->entry[i];

		if (entry->dir != dir || entry->node < 0 || entry->path[0])
			continue;
		if (snprintf(below, sizeof below, "%s/%s", path, entry->name) >= (int)sizeof below)
			abort();
		if (!cut->disk->node[entry->node].is_dir) {
			cut_put_file(cut, entry, below);
			continue;
		}
		/* A directory has one name. */
		snprintf(entry->path, sizeof entry->path, "%s", below);
		if (syscall(SYS_mkdirat, AT_FDCWD, below, 0750) != 0)
			abort();
		cut_put_dir(cut, entry->node, below);
	}
}

/* Puts what is left of the disk into `path`, an empty directory. */
static void cut_power(const struct disk *disk, uint64_t seed, const char *path)
{
	struct cut cut = { .disk = disk, .seed = seed, .mood = cut_mood_of(seed) };

	cut_names(&cut);
	cut_put_dir(&cut, 0, path);
	free(cut.entry);
}

#endif
