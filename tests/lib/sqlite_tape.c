/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "sqlite_tape.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sqlite_vfs.h"

#define SECTOR 512
#define FILES 8

enum op_kind {
	OP_MAKE,
	OP_WRITE,
	OP_TRUNCATE,
	OP_SYNC,
	OP_SYNC_DIRECTORY,
	OP_REMOVE,
};

struct sqlite_tape_op {
	enum op_kind kind;
	char name[32];
	uint8_t *bytes;		/* WRITE; malloc'd */
	size_t len;
	uint64_t offset;	/* TRUNCATE: the size */
};

static struct sqlite_tape_op *tape_add(struct sqlite_tape *tape, enum op_kind kind,
				       const char *name)
{
	struct sqlite_tape_op *op;

	if (tape->count == tape->room) {
		tape->room = tape->room ? tape->room * 2 : 1024;
		tape->ops = realloc(tape->ops, tape->room * sizeof *tape->ops);
		if (!tape->ops)
			abort();
	}
	op = &tape->ops[tape->count++];
	memset(op, 0, sizeof *op);
	op->kind = kind;
	snprintf(op->name, sizeof op->name, "%s", name);
	return op;
}

/* Whether the file is there by what the tape says. */
static bool tape_has(const struct sqlite_tape *tape, const char *name)
{
	for (size_t i = tape->count; i-- > 0;)
		if (strcmp(tape->ops[i].name, name) == 0)
			return tape->ops[i].kind != OP_REMOVE;
	return false;
}

static int tape_watch(void *context, const struct sqlite_vfs_call *call)
{
	struct sqlite_tape *tape = context;
	size_t dir_len = strlen(tape->dir);
	const char *name = call->path + dir_len + 1;
	struct sqlite_tape_op *op;

	if (strncmp(call->path, tape->dir, dir_len) != 0 || strstr(name, "-shm"))
		return SQLITE_OK;
	switch (call->call) {
	case SQLITE_CALL_OPEN:
		if (!tape_has(tape, name))
			tape_add(tape, OP_MAKE, name);
		break;
	case SQLITE_CALL_WRITE:
		op = tape_add(tape, OP_WRITE, name);
		op->bytes = malloc(call->len);
		if (!op->bytes)
			abort();
		memcpy(op->bytes, call->bytes, call->len);
		op->len = call->len;
		op->offset = call->offset;
		break;
	case SQLITE_CALL_TRUNCATE:
		tape_add(tape, OP_TRUNCATE, name)->offset = call->offset;
		break;
	case SQLITE_CALL_SYNC:
		tape_add(tape, OP_SYNC, name);
		if (strstr(name, "-journal"))
			sqlite_tape_directory_synced(tape);
		break;
	case SQLITE_CALL_DELETE:
		tape_add(tape, OP_REMOVE, name);
		break;
	default:
		break;
	}
	return SQLITE_OK;
}

void sqlite_tape_start(struct sqlite_tape *tape, const char *dir)
{
	memset(tape, 0, sizeof *tape);
	tape->dir = dir;
	sqlite_vfs_watch(tape_watch, tape);
}

void sqlite_tape_stop(struct sqlite_tape *tape)
{
	(void)tape;
	sqlite_vfs_watch(NULL, NULL);
}

void sqlite_tape_release(struct sqlite_tape *tape)
{
	for (size_t i = 0; i < tape->count; i++)
		free(tape->ops[i].bytes);
	free(tape->ops);
	memset(tape, 0, sizeof *tape);
}

void sqlite_tape_directory_synced(struct sqlite_tape *tape)
{
	tape_add(tape, OP_SYNC_DIRECTORY, "");
}

/* --- playing --- */

struct played_file {
	char name[32];
	uint8_t *bytes;
	size_t size;
	bool named;
};

struct player {
	const struct sqlite_tape *tape;
	size_t ops;
	enum sqlite_tape_end end;
	uint64_t chance;
	struct played_file files[FILES];
	size_t count;
};

/* xorshift: the same seed, the same disk. */
static bool play_chance(struct player *player)
{
	player->chance ^= player->chance << 13;
	player->chance ^= player->chance >> 7;
	player->chance ^= player->chance << 17;
	return (player->chance >> 32 & 1) != 0;
}

static struct played_file *play_file(struct player *player, const char *name)
{
	struct played_file *file;

	for (size_t i = 0; i < player->count; i++)
		if (strcmp(player->files[i].name, name) == 0)
			return &player->files[i];
	if (player->count == FILES)
		abort();
	file = &player->files[player->count++];
	snprintf(file->name, sizeof file->name, "%s", name);
	return file;
}

/* Whether a sync that came before the end covers operation `at`. */
static bool play_is_synced(const struct player *player, size_t at)
{
	const struct sqlite_tape_op *op = &player->tape->ops[at];
	bool names = op->kind == OP_MAKE || op->kind == OP_REMOVE;

	if (player->end == SQLITE_TAPE_KILLED)
		return true;
	for (size_t i = at + 1; i < player->ops; i++) {
		const struct sqlite_tape_op *later = &player->tape->ops[i];

		if (names ? later->kind == OP_SYNC_DIRECTORY
			  : later->kind == OP_SYNC && strcmp(later->name, op->name) == 0)
			return true;
	}
	return false;
}

static void play_resize(struct played_file *file, size_t size)
{
	if (size > file->size) {
		file->bytes = realloc(file->bytes, size);
		if (!file->bytes)
			abort();
		memset(file->bytes + file->size, 0, size - file->size);
	}
	file->size = size;
}

static void play_write(struct player *player, const struct sqlite_tape_op *op, bool synced)
{
	struct played_file *file = play_file(player, op->name);

	for (size_t done = 0; done < op->len;) {
		uint64_t at = op->offset + done;
		size_t part = SECTOR - (size_t)(at % SECTOR);

		if (part > op->len - done)
			part = op->len - done;
		if (synced || play_chance(player)) {
			if (at + part > file->size)
				play_resize(file, (size_t)at + part);
			memcpy(file->bytes + at, op->bytes + done, part);
		}
		done += part;
	}
}

static void play_op(struct player *player, size_t at)
{
	const struct sqlite_tape_op *op = &player->tape->ops[at];
	bool synced = play_is_synced(player, at);
	struct played_file *file;

	switch (op->kind) {
	case OP_MAKE:
		file = play_file(player, op->name);
		if (synced || play_chance(player))
			file->named = true;
		break;
	case OP_WRITE:
		play_write(player, op, synced);
		break;
	case OP_TRUNCATE:
		if (synced || play_chance(player))
			play_resize(play_file(player, op->name), (size_t)op->offset);
		break;
	case OP_REMOVE:
		file = play_file(player, op->name);
		if (synced || play_chance(player)) {
			file->named = false;
			play_resize(file, 0);
		}
		break;
	case OP_SYNC:
	case OP_SYNC_DIRECTORY:
		break;
	}
}

static void play_store(const struct played_file *file, const char *to)
{
	char path[300];
	FILE *out;

	snprintf(path, sizeof path, "%s/%s", to, file->name);
	out = fopen(path, "w");
	if (!out || fwrite(file->bytes, 1, file->size, out) != file->size || fclose(out) != 0)
		abort();
}

void sqlite_tape_play(const struct sqlite_tape *tape, size_t ops, enum sqlite_tape_end end,
		      unsigned seed, const char *to)
{
	struct player player = { .tape = tape, .ops = ops, .end = end,
				 .chance = seed * UINT64_C(0x9e3779b97f4a7c15) + 1 };

	for (size_t i = 0; i < ops; i++)
		play_op(&player, i);
	for (size_t i = 0; i < player.count; i++) {
		if (player.files[i].named)
			play_store(&player.files[i], to);
		free(player.files[i].bytes);
	}
}
