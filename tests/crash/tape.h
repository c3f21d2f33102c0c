/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Records what the program does to the files under one directory: its calls stand before
 * libc's, do the call, and write it down. fsync() is only written down.
 *
 *	tape_start(&tape, dir); ... ; tape_stop(&tape);
 *
 * check_tape() then compares what was recorded with what is there: a call that changes
 * files and is not known here is found by that, whatever it is called.
 */
#ifndef FT_TESTS_CRASH_TAPE_H
#define FT_TESTS_CRASH_TAPE_H

#include <dirent.h>
#include <execinfo.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdarg.h>

#include "cut.h"
#include "turns.h"

struct tape_inode {
	dev_t dev;
	ino_t ino;
};

struct tape {
	struct disk base;		/* when the recording began; all of it lasts */
	struct tape_entry *entry;
	size_t entries;
	size_t entry_room;
	struct tape_inode *inode;	/* by node */
	size_t inodes;
	size_t inode_room;
	char **name;			/* of the base, owned */
	size_t names;
	size_t name_room;
};

/* Which fsync: where it is called from, where that is called from, and that. */
struct tape_site {
	uintptr_t at[3];	/* in the program's file */
};

static struct {
	struct tape *on;		/* NULL: nothing is recorded */
	struct tape_site site[256];	/* all that were seen, where `sites_wanted` */
	size_t sites;
	bool sites_wanted;
	struct tape_site dropped;	/* this one does nothing */
	bool drops;
} tapes;

_Noreturn static void tape_unknown(const char *what)
{
	fprintf(stderr, "the crash simulation does not know what %s does: teach it\n", what);
	abort();
}

/* --- nodes --- */

/* Newest first: an inode number may have been used before. */
static int tape_node_of(const struct tape *tape, const struct stat *info)
{
	for (size_t i = tape->inodes; i > 0; i--)
		if (tape->inode[i - 1].ino == info->st_ino && tape->inode[i - 1].dev == info->st_dev)
			return (int)i - 1;
	return -1;
}

static int tape_add_inode(struct tape *tape, const struct stat *info)
{
	tape->inode = crash_room(tape->inode, tape->inodes, &tape->inode_room,
				 sizeof *tape->inode);
	tape->inode[tape->inodes] = (struct tape_inode){ info->st_dev, info->st_ino };
	return (int)tape->inodes++;
}

/* The node that is open, or -1: none of ours, or nothing is recorded. */
static int tape_node(int fd)
{
	struct stat info;

	return tapes.on && turn_self >= 0 && fstat(fd, &info) == 0
		? tape_node_of(tapes.on, &info) : -1;
}

/* The directory that a path lies in, and its last part. -1: none of ours. */
static int tape_parent(int dir, const char *path, const char **leaf)
{
	const char *slash = strrchr(path, '/');
	char above[1024];
	struct stat info;

	*leaf = slash ? slash + 1 : path;
	if (!tapes.on || turn_self < 0)
		return -1;
	if (!slash)
		return dir == AT_FDCWD ? -1 : tape_node(dir);
	if (slash == path || (size_t)(slash - path) >= sizeof above)
		return -1;
	memcpy(above, path, (size_t)(slash - path));
	above[slash - path] = '\0';
	return fstatat(dir, above, &info, 0) == 0 ? tape_node_of(tapes.on, &info) : -1;
}

/* --- writing down --- */

static struct tape_entry *tape_add(enum tape_op op, int node)
{
	struct tape *tape = tapes.on;

	tape->entry = crash_room(tape->entry, tape->entries, &tape->entry_room,
				 sizeof *tape->entry);
	tape->entry[tape->entries] = (struct tape_entry){ .op = op, .node = node };
	return &tape->entry[tape->entries++];
}

static void tape_add_made(int dir, const char *leaf, const struct stat *info)
{
	struct tape_entry *entry = tape_add(TAPE_MAKE, tape_add_inode(tapes.on, info));

	entry->dir = dir;
	entry->name = crash_need(strdup(leaf));
	entry->len = S_ISDIR(info->st_mode);
}

static void tape_add_size(int node, uint64_t size)
{
	tape_add(TAPE_SIZE, node)->offset = size;
}

static void tape_add_write(int node, const void *bytes, size_t len, uint64_t offset)
{
	struct tape_entry *entry = tape_add(TAPE_WRITE, node);

	entry->offset = offset;
	entry->len = len;
	entry->bytes = crash_need(malloc(len + 1));
	memcpy(entry->bytes, bytes, len);
}

/* Something to remember at this place. */
static void tape_event(int what)
{
	if (tapes.on)
		tape_add(TAPE_EVENT, what);
}

/* --- beginning and end --- */

static void tape_adopt(struct tape *tape, const char *path, int node);

static void tape_adopt_file(struct disk_node *file, const char *path, size_t len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	disk_resize(&file->bytes, &file->len, len);
	if (fd < 0 || pread(fd, file->bytes, len, 0) != (ssize_t)len)
		abort();
	close(fd);
}

static void tape_adopt_entry(struct tape *tape, const char *path, int dir, const char *name)
{
	struct stat info;
	bool known;
	int node;

	if (lstat(path, &info) != 0)
		abort();
	known = (node = tape_node_of(tape, &info)) >= 0;
	if (!known) {
		node = tape_add_inode(tape, &info);
		disk_add_node(&tape->base, S_ISDIR(info.st_mode));
	}
	tape->name = crash_room(tape->name, tape->names, &tape->name_room, sizeof *tape->name);
	tape->name[tape->names] = crash_need(strdup(name));
	disk_add_side(disk_add_change(&tape->base, node), dir, tape->name[tape->names], node);
	tape->base.change[tape->base.changes - 1].lasts = true;
	tape->names++;
	if (S_ISDIR(info.st_mode))
		tape_adopt(tape, path, node);
	else if (!known)
		tape_adopt_file(&tape->base.node[node], path, (size_t)info.st_size);
}

/* Takes up what is there in a directory. */
static void tape_adopt(struct tape *tape, const char *path, int node)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	char below[1024];

	if (!dir)
		abort();
	while ((entry = readdir(dir)) != NULL) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (snprintf(below, sizeof below, "%s/%s", path, entry->d_name)
		    >= (int)sizeof below)
			abort();
		tape_adopt_entry(tape, below, node, entry->d_name);
	}
	closedir(dir);
}

/* Records from here on; what is in the directory now lasts. */
static void tape_start(struct tape *tape, const char *path)
{
	struct stat info;

	*tape = (struct tape){ .entries = 0 };
	if (stat(path, &info) != 0)
		abort();
	tape_add_inode(tape, &info);
	disk_add_node(&tape->base, true);
	tape_adopt(tape, path, 0);
	tapes.on = tape;
}

static void tape_stop(void)
{
	tapes.on = NULL;
}

static void tape_release(struct tape *tape)
{
	for (size_t i = 0; i < tape->entries; i++) {
		free(tape->entry[i].name);
		free(tape->entry[i].to_name);
		free(tape->entry[i].bytes);
	}
	for (size_t i = 0; i < tape->names; i++)
		free(tape->name[i]);
	free(tape->entry);
	free(tape->inode);
	free(tape->name);
	disk_release(&tape->base);
	*tape = (struct tape){ .entries = 0 };
}

/* Notes that an fsync was called from `from`; returns whether it is one that is to do nothing. */
static bool tape_drops(const void *from)
{
	struct tape_site site = { { 0 } };
	void *frames[8];
	Dl_info info;
	int count, kept = 0;

	if (!tapes.sites_wanted && !tapes.drops)
		return false;
	count = backtrace(frames, 8);
	for (int i = 0; i < count && kept < 3; i++)
		if ((kept > 0 || frames[i] == from) && dladdr(frames[i], &info))
			site.at[kept++] = (uintptr_t)frames[i] - (uintptr_t)info.dli_fbase;
	if (tapes.drops)
		return memcmp(&site, &tapes.dropped, sizeof site) == 0;
	for (size_t i = 0; i < tapes.sites; i++)
		if (memcmp(&site, &tapes.site[i], sizeof site) == 0)
			return false;
	if (tapes.sites < sizeof tapes.site / sizeof *tapes.site)
		tapes.site[tapes.sites++] = site;
	return false;
}

#endif
