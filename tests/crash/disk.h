/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What is on the disk for certain, and what only the kernel knows so far.
 *
 * A tape holds, in order, every call that changed something under a directory, and
 * between them what was said to clients. A disk is a tape played up to some place. At a
 * power cut there stays, of each file, what it was at its last fsync() or fdatasync(),
 * and of each write and change of size since then anything between nothing and all; of
 * each directory the entries as of its last fsync(), and each change since then or not.
 *
 * What is taken for granted of the file system:
 *
 *  - rename() is one change, also between two directories: after a power cut it has
 *    happened in both or in none. fsync() of the directory it goes to makes it last.
 *    ext4, XFS and Btrfs do it by their journals or trees; POSIX does not say it. The
 *    store publishes by it.
 *  - The names of one file change in order: where a later one is there, the earlier
 *    change has happened too.
 *  - After half a minute without an fsync the kernel has written names by itself
 *    (TAPE_COMMIT; ext4 does it each 5 s, Btrfs and XFS each 30 s).
 *  - A sector of 512 bytes is written as a whole or not at all, as it was in memory at
 *    some moment, and nothing beside it is touched.
 *
 * On a file system that keeps one journal (ext4, XFS) all names change in order, as cut.h
 * draws it for half of the seeds; on the other half each change is kept for itself.
 *
 * Nothing else is: fsync() of a file does not make its name last, writes to different
 * places reach the disk in any order, a file may have grown without its bytes.
 */
#ifndef FT_TESTS_CRASH_DISK_H
#define FT_TESTS_CRASH_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum tape_op {
	TAPE_MAKE,	/* a new file or directory `node` in `dir` as `name` */
	TAPE_LINK,	/* one more name */
	TAPE_REMOVE,	/* `name` out of `dir` */
	TAPE_RENAME,	/* `name` in `dir` to `to_name` in `to_dir` */
	TAPE_SWAP,	/* the two change places */
	TAPE_WRITE,	/* `bytes` at `offset` of `node` */
	TAPE_SIZE,	/* `node` is `offset` bytes long */
	TAPE_SYNC,	/* `node` */
	TAPE_SYNC_ALL,
	TAPE_COMMIT,	/* the kernel has written all names */
	TAPE_EVENT,	/* something was said or heard: `node` tells what */
};

struct tape_entry {
	enum tape_op op;
	int node;
	int dir;
	int to_dir;
	char *name;
	char *to_name;
	uint8_t *bytes;
	uint64_t offset;
	size_t len;
};

struct disk_node {
	bool is_dir;
	uint8_t *bytes;
	size_t len;
	const struct tape_entry **pending;	/* no fsync has followed yet; the tape's */
	size_t pendings;
	size_t pending_room;
};

/* `name` in `dir` is `node` from here on; -1: is no more. Borrows the name. */
struct disk_side {
	int dir;
	const char *name;
	int node;
};

struct disk_change {
	int subject;	/* the node that is made, moved or unlinked */
	struct disk_side side[2];
	int sides;
	bool lasts;	/* an fsync has followed */
};

struct disk {
	struct disk_node *node;	/* the first one is the top directory */
	size_t nodes;
	size_t node_room;
	struct disk_change *change;
	size_t changes;
	size_t change_room;
};

static inline void *crash_need(void *memory)
{
	if (!memory)
		abort();
	return memory;
}

/* Room for one more of `size` bytes each. */
static inline void *crash_room(void *array, size_t count, size_t *room, size_t size)
{
	if (count < *room)
		return array;
	*room = *room ? 2 * *room : 16;
	return crash_need(realloc(array, *room * size));
}

static inline int disk_add_node(struct disk *disk, bool is_dir)
{
	disk->node = crash_room(disk->node, disk->nodes, &disk->node_room, sizeof *disk->node);
	disk->node[disk->nodes] = (struct disk_node){ .is_dir = is_dir };
	return (int)disk->nodes++;
}

static inline void disk_release(struct disk *disk)
{
	for (size_t i = 0; i < disk->nodes; i++) {
		free(disk->node[i].bytes);
		free(disk->node[i].pending);
	}
	free(disk->node);
	free(disk->change);
	*disk = (struct disk){ .nodes = 0 };
}

/* --- files --- */

/* Sets the length; what is new is zeros. */
static inline void disk_resize(uint8_t **bytes, size_t *len, size_t wanted)
{
	if (wanted > *len) {
		*bytes = crash_need(realloc(*bytes, wanted));
		memset(*bytes + *len, 0, wanted - *len);
	}
	*len = wanted;
}

/* Does to the bytes what a call did. */
static inline void disk_do(const struct tape_entry *entry, uint8_t **bytes, size_t *len)
{
	if (entry->op == TAPE_SIZE) {
		disk_resize(bytes, len, (size_t)entry->offset);
		return;
	}
	if (entry->offset + entry->len > *len)
		disk_resize(bytes, len, (size_t)entry->offset + entry->len);
	memcpy(*bytes + entry->offset, entry->bytes, entry->len);
}

static inline void disk_pend(struct disk_node *node, const struct tape_entry *entry)
{
	node->pending = crash_room(node->pending, node->pendings, &node->pending_room,
				   sizeof *node->pending);
	node->pending[node->pendings++] = entry;
}

static inline void disk_sync_file(struct disk_node *node)
{
	for (size_t i = 0; i < node->pendings; i++)
		disk_do(node->pending[i], &node->bytes, &node->len);
	node->pendings = 0;
}

/* --- directories --- */

static inline struct disk_change *disk_add_change(struct disk *disk, int subject)
{
	disk->change = crash_room(disk->change, disk->changes, &disk->change_room,
				  sizeof *disk->change);
	disk->change[disk->changes] = (struct disk_change){ .subject = subject };
	return &disk->change[disk->changes++];
}

static inline void disk_add_side(struct disk_change *change, int dir, const char *name, int node)
{
	change->side[change->sides++] = (struct disk_side){ dir, name, node };
}

/* Which node has the name by now; -1: none. */
static inline int disk_lookup(const struct disk *disk, int dir, const char *name)
{
	for (size_t i = disk->changes; i > 0; i--) {
		const struct disk_change *change = &disk->change[i - 1];

		for (int s = change->sides; s > 0; s--)
			if (change->side[s - 1].dir == dir
			    && strcmp(change->side[s - 1].name, name) == 0)
				return change->side[s - 1].node;
	}
	return -1;
}

/* The directory whose fsync makes a change last: where something comes to, if anywhere. */
static inline bool disk_belongs(const struct disk_change *change, int dir)
{
	bool arrives = false, here = false, at_all = false;

	for (int s = 0; s < change->sides; s++) {
		arrives = arrives || change->side[s].node >= 0;
		here = here || (change->side[s].node >= 0 && change->side[s].dir == dir);
		at_all = at_all || change->side[s].dir == dir;
	}
	return arrives ? here : at_all;
}

static inline void disk_sync_dir(struct disk *disk, int dir)
{
	for (size_t i = disk->changes; i > 0; i--) {
		struct disk_change *change = &disk->change[i - 1];

		if (change->lasts || !disk_belongs(change, dir))
			continue;
		change->lasts = true;
		/* What it was called before it came here is history then. */
		for (size_t j = 0; j < i - 1; j++)
			if (disk->change[j].subject == change->subject)
				disk->change[j].lasts = true;
	}
}

static inline void disk_commit(struct disk *disk)
{
	for (size_t i = 0; i < disk->changes; i++)
		disk->change[i].lasts = true;
}

static inline void disk_rename(struct disk *disk, const struct tape_entry *entry)
{
	int from = disk_lookup(disk, entry->dir, entry->name);
	int to = disk_lookup(disk, entry->to_dir, entry->to_name);
	struct disk_change *change = disk_add_change(disk, from);

	disk_add_side(change, entry->dir, entry->name, entry->op == TAPE_SWAP ? to : -1);
	disk_add_side(change, entry->to_dir, entry->to_name, from);
}

static inline void disk_remove(struct disk *disk, const struct tape_entry *entry)
{
	int node = disk_lookup(disk, entry->dir, entry->name);

	disk_add_side(disk_add_change(disk, node), entry->dir, entry->name, -1);
}

/* One entry of the tape. */
static inline void disk_play(struct disk *disk, const struct tape_entry *entry)
{
	switch (entry->op) {
	case TAPE_MAKE:
		while (disk->nodes <= (size_t)entry->node)
			disk_add_node(disk, false);
		disk->node[entry->node].is_dir = entry->len != 0;
		disk_add_side(disk_add_change(disk, entry->node), entry->dir, entry->name,
			      entry->node);
		break;
	case TAPE_LINK:
		disk_add_side(disk_add_change(disk, entry->node), entry->dir, entry->name,
			      entry->node);
		break;
	case TAPE_REMOVE:
		disk_remove(disk, entry);
		break;
	case TAPE_RENAME:
	case TAPE_SWAP:
		disk_rename(disk, entry);
		break;
	case TAPE_WRITE:
	case TAPE_SIZE:
		disk_pend(&disk->node[entry->node], entry);
		break;
	case TAPE_SYNC:
		if (disk->node[entry->node].is_dir)
			disk_sync_dir(disk, entry->node);
		else
			disk_sync_file(&disk->node[entry->node]);
		break;
	case TAPE_SYNC_ALL:
		for (size_t i = 0; i < disk->nodes; i++)
			disk_sync_file(&disk->node[i]);
		disk_commit(disk);
		break;
	case TAPE_COMMIT:
		disk_commit(disk);
		break;
	case TAPE_EVENT:
		break;
	}
}

#endif
