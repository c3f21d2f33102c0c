/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What goes on when the power fails. */
#ifndef FT_TESTS_CRASH_SCENES_H
#define FT_TESTS_CRASH_SCENES_H

#include "play.h"

static void begin(int key, int life, size_t size)
{
	play_send(play_init(key, life, size));
}

static void segment(int key, size_t from, size_t to, unsigned version)
{
	play_send(play_segment(key, from, to - from, version));
}

static void finish(int key, size_t size)
{
	play_send(play_fin(key, size, false));
}

static void expect(int command, enum ft_status wanted)
{
	enum ft_status st = play_ask(command);

	play_check(st == wanted, "command %d is answered by %s", command, ft_status_word(st));
}

/* Out of order, one twice; fin twice. */
static void scene_plain(void)
{
	begin(0, 1, 3000);
	segment(0, 700, 1500, 1);
	segment(0, 2200, 3000, 1);
	segment(0, 0, 700, 1);
	segment(0, 700, 1500, 1);
	segment(0, 1500, 2200, 1);
	expect(play_fin(0, 3000, false), FT_OK);
	finish(0, 3000);
	begin(0, 1, 3000);
}

/* In order, as most clients do; in the middle comes a checkpoint. */
static void scene_in_order(void)
{
	begin(0, 1, 2500);
	for (size_t at = 0; at < 2500; at += 250) {
		segment(0, at, at + 250, 1);
		if (at == 1000 || at == 2000)
			play_checkpoint();
	}
	finish(0, 2500);
	play_rest();
}

/* The client says init again and again. */
static void scene_resume(void)
{
	begin(0, 1, 2000);
	segment(0, 0, 500, 1);
	begin(0, 1, 2000);
	segment(0, 500, 900, 1);
	play_rest();
	play.now_ms += 6000;
	play.lazy = 100;
	ft_engine_run(play.engine, play.now_ms);
	begin(0, 1, 2000);
	begin(0, 1, 2000);
	play_checkpoint();
	begin(0, 1, 2000);
	segment(0, 900, 2000, 1);
	play_checkpoint();
	begin(0, 1, 2000);
	finish(0, 2000);
	begin(0, 1, 2000);
	play_rest();
	begin(0, 1, 2000);
}

/* Bytes that are held are sent again, and are others now. */
static void scene_overwrite(void)
{
	begin(0, 1, 3000);
	segment(0, 0, 2000, 1);
	play_checkpoint();
	segment(0, 512, 1200, 2);
	segment(0, 1000, 3000, 3);
	play_checkpoint();
	segment(0, 0, 600, 4);
	segment(0, 300, 1024, 5);
	expect(play_fin(0, 3000, false), FT_OK);
}

/* The checksum is wrong at first. */
static void scene_mismatch(void)
{
	begin(0, 1, 2000);
	segment(0, 0, 1000, 1);
	segment(0, 1000, 2000, 1);
	expect(play_fin(0, 2000, true), FT_FILE_CHECKSUM_MISMATCH);
	segment(0, 400, 1600, 2);
	play_checkpoint();
	expect(play_fin(0, 2000, true), FT_FILE_CHECKSUM_MISMATCH);
	segment(0, 0, 2000, 3);
	expect(play_fin(0, 2000, false), FT_OK);
}

/* All is over before the kernel writes anything by itself. */
static void scene_hasty(void)
{
	begin(0, 1, 1500);
	segment(0, 0, 1000, 1);
	play_hasty_checkpoint();
	segment(0, 700, 1500, 2);
	play_hasty_checkpoint();
	expect(play_fin(0, 1500, false), FT_OK);
	begin(2, 1, 1500);
	segment(2, 0, 1000, 1);
	play_checkpoint();
	segment(2, 1000, 1500, 1);
	play_hasty_checkpoint();
	segment(2, 100, 900, 2);
	play_rest();
	begin(1, 1, 1000);
	segment(1, 0, 1000, 1);
	play_hasty_checkpoint();
	finish(1, 1000);
	play_rest();
}

/* Bytes beyond the size are cut off. */
static void scene_beyond(void)
{
	begin(0, 1, 1500);
	segment(0, 1000, 4000, 1);
	segment(0, 0, 1000, 1);
	play_checkpoint();
	expect(play_fin(0, 1500, false), FT_OK);
	begin(1, 1, 0);
	expect(play_fin(1, 0, false), FT_OK);
}

/* Begun anew under the same id, after the abort was answered. */
static void scene_abort(void)
{
	begin(0, 1, 2000);
	segment(0, 0, 1500, 1);
	play_checkpoint();
	segment(0, 1500, 2000, 1);
	expect(play_plain(FT_VERB_ABORT, 0), FT_OK);
	begin(0, 2, 2000);
	segment(0, 500, 1000, 2);
	segment(0, 0, 500, 2);
	play_checkpoint();
	expect(play_plain(FT_VERB_ABORT, 0), FT_OK);
	begin(0, 3, 1000);
	segment(0, 0, 1000, 3);
	finish(0, 1000);
	play_rest();
}

/* The same, but the client does not wait. */
static void scene_hasty_abort(void)
{
	begin(0, 1, 2000);
	segment(0, 0, 2000, 1);
	play_checkpoint();
	play_send(play_plain(FT_VERB_ABORT, 0));
	begin(0, 2, 2000);
	segment(0, 0, 800, 2);
	play_send(play_plain(FT_VERB_ABORT, 0));
	begin(0, 3, 2000);
	segment(0, 0, 800, 3);
	play_checkpoint();
	segment(0, 800, 2000, 3);
	finish(0, 2000);
	play_rest();
}

/* An abort while the file is assembled: one of the two wins. */
static void scene_abort_of_fin(void)
{
	begin(0, 1, 1500);
	segment(0, 0, 1500, 1);
	finish(0, 1500);
	play_send(play_plain(FT_VERB_ABORT, 0));
	play_rest();
	begin(1, 1, 1500);
	segment(1, 0, 1500, 1);
	play_checkpoint();
	finish(1, 1500);
	play_send(play_plain(FT_VERB_ABORT, 1));
	play_rest();
}

static void let_expire(int key)
{
	play_rest();
	play_event((struct promise_event){ .what = PROMISE_EXPIRES, .key = key });
	play.now_ms += 25 * INT64_C(3600) * 1000;
	for (int i = 0; i < 3; i++) {
		ft_engine_run(play.engine, play.now_ms);
		play_rest();
		play.now_ms += 2000;
	}
}

static void scene_expiry(void)
{
	begin(0, 1, 2000);
	segment(0, 0, 1500, 1);
	play_checkpoint();
	let_expire(0);
	begin(0, 2, 2000);
	segment(0, 0, 1000, 2);
	play_checkpoint();
	segment(0, 1000, 2000, 2);
	finish(0, 2000);
	play_rest();
}

/* Two of one client and one of another, mixed. */
static void scene_three(void)
{
	for (int key = 0; key < 3; key++)
		begin(key, 1, 1500);
	for (int key = 0; key < 3; key++)
		segment(key, 700, 1500, 1 + (unsigned)key);
	finish(1, 1500);	/* too early */
	segment(1, 0, 700, 2);
	finish(1, 1500);
	segment(0, 0, 700, 1);
	play_checkpoint();
	segment(2, 0, 300, 3);
	finish(0, 1500);
	segment(2, 300, 700, 3);
	finish(2, 1500);
	finish(0, 1500);
	play_rest();
}

/* So many fins at a time that they wait for the disk together. */
static void scene_crowd(void)
{
	for (int key = 0; key < PROMISE_KEYS; key++) {
		begin(key, 1, 600);
		segment(key, 0, 600, 1 + (unsigned)key);
	}
	play.lazy = 100;
	play_rest();
	for (int key = 0; key < PROMISE_KEYS; key++)
		finish(key, 600);
	play_send(play_plain(FT_VERB_ABORT, 2));
	play_rest();
	for (int key = 0; key < PROMISE_KEYS; key++)
		finish(key, 600);
}

/* The broker is stopped, then killed; the kernel runs on. */
static void scene_restart(void)
{
	begin(0, 1, 3000);
	segment(0, 0, 1000, 1);
	play_checkpoint();
	segment(0, 900, 1500, 2);
	play_rest();
	play_stop();
	play_start();
	segment(0, 1500, 2000, 1);
	begin(0, 1, 3000);
	play_checkpoint();
	segment(0, 2000, 2500, 1);
	play_kill();
	play_start();
	segment(0, 2400, 3000, 2);
	begin(1, 1, 500);
	segment(1, 0, 500, 1);
	finish(0, 3000);
	play_kill();
	play_start();
	finish(0, 3000);
	segment(1, 0, 500, 2);
	finish(1, 500);
	play_rest();
}

/* Leaves in files/ what a power cut in the middle of a publish leaves there. */
static void leave_manifest(int key)
{
	static const char text[] = "{\"name\":\"" PLAY_NAME "\",\"size\":1}";
	char client[16], file[16], path[256];
	int fd;

	play_key(key, client, file);
	snprintf(path, sizeof path, "%s/files/%s", play.dir, client);
	(void)(mkdirat(AT_FDCWD, path, 0750) == 0);	/* another key's, too */
	snprintf(path, sizeof path, "%s/files/%s/%s", play.dir, client, file);
	play_check(mkdirat(AT_FDCWD, path, 0750) == 0, "no %s", path);
	snprintf(path, sizeof path, "%s/files/%s/%s/" PLAY_NAME ".manifest.json", play.dir, client,
		 file);
	fd = openat(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL, 0640);
	play_check(fd >= 0 && pwrite(fd, text, sizeof text - 1, 0) > 0, "no %s", path);
	close(fd);
}

/* A manifest is read when the engine starts, a journal when somebody asks. */
static void damage(int key, const char *name)
{
	char client[16], file[16], path[256], rubbish[100];
	int fd;

	memset(rubbish, 'x', sizeof rubbish);
	play_key(key, client, file);
	snprintf(path, sizeof path, "%s/incoming/%s/%s/%s", play.dir, client, file, name);
	fd = openat(AT_FDCWD, path, O_WRONLY);
	play_check(fd >= 0 && pwrite(fd, rubbish, sizeof rubbish, 0) > 0, "no %s", path);
	close(fd);
	play_event((struct promise_event){ .what = PROMISE_EXPIRES, .key = key });
}

/* What a publish leaves that is killed when it has cut the data. */
static void leave_data_cut(off_t size)
{
	char path[256];
	int fd;

	expect(play_fin(0, (size_t)size, true), FT_FILE_CHECKSUM_MISMATCH);
	play_stop();
	snprintf(path, sizeof path, "%s/incoming/c0/f0/data", play.dir);
	fd = openat(AT_FDCWD, path, O_WRONLY);
	play_check(fd >= 0 && ftruncate(fd, size) == 0, "no %s", path);
	close(fd);
}

/* The client has more to send, but all before the kernel writes anything by itself. */
static void scene_hasty_shorter(void)
{
	begin(0, 1, 3000);
	segment(0, 0, 2000, 1);
	play_hasty_checkpoint();
	segment(0, 2000, 3000, 1);
	play_hasty_checkpoint();
	leave_data_cut(1500);
	tape_event(-1);
	play_start();
	segment(0, 1500, 2500, 2);
	segment(0, 2500, 3000, 2);
	finish(0, 3000);
	play_rest();
}

/* The same with all the time in the world. */
static void scene_shorter(void)
{
	begin(0, 1, 3000);
	segment(0, 0, 3000, 1);
	play_checkpoint();
	leave_data_cut(1500);
	tape_add(TAPE_SYNC_ALL, -1);
	tape_event(-1);
	play_start();
	segment(0, 1500, 2500, 2);
	begin(0, 1, 3000);
	segment(0, 2500, 3000, 2);
	play_checkpoint();
	finish(0, 3000);
	play_rest();
}

/* A power cut has ended four publishes: one is aborted, one done again, two were damaged. */
static void scene_stale(void)
{
	for (int key = 0; key < 4; key++) {
		begin(key, 1, 1000);
		segment(key, 0, 1000, 1);
	}
	play_rest();
	play_stop();
	for (int key = 0; key < 4; key++)
		leave_manifest(key);
	damage(2, "manifest.json");
	damage(3, "journal");
	tape_add(TAPE_SYNC_ALL, -1);
	tape_event(-1);
	play_start();
	expect(play_plain(FT_VERB_STATUS, 3), FT_OK);
	expect(play_plain(FT_VERB_ABORT, 0), FT_OK);
	finish(1, 1000);
	begin(0, 2, 500);
	segment(0, 0, 500, 2);
	finish(0, 500);
	play_rest();
}

/* Killed in the middle of what it does for a command, which is then sent again. */
static void scene_killed(void)
{
	begin(0, 1, 3000);
	for (unsigned nth = 1; nth <= 5; nth++) {
		size_t at = nth * 400;

		play_die_at(play_segment(0, at - 200, 600, nth), nth);
		segment(0, at - 200, at + 400, nth);
		if (nth == 3)
			play_checkpoint();
	}
	for (unsigned nth = 2; nth <= 4; nth++) {
		play_die_at(play_init(0, 1, 3000), nth);
		begin(0, 1, 3000);
	}
	segment(0, 0, 200, 1);
	segment(0, 2600, 3000, 1);
	play_die_at(play_fin(0, 3000, false), 2);
	finish(0, 3000);
	play_rest();
}

/* The operator wants more than before: what is held already has to last, too. */
static void scene_stricter(void)
{
	begin(0, 1, 2000);
	segment(0, 0, 700, 1);
	segment(0, 1000, 1200, 1);
	play_kill();
	play_event((struct promise_event){ .what = PROMISE_STRICTER });
	play_start();
	segment(0, 0, 700, 1);
	segment(0, 600, 1100, 2);
	begin(0, 1, 2000);
	play_rest();
	segment(0, 1100, 2000, 3);
	finish(0, 2000);
	play_rest();
}

/* So many records that the journal is written anew for their sake. */
static void scene_compaction(void)
{
	enum { PIECES = 2060 };

	play.lazy = 100;
	begin(0, 1, 2 * PIECES + 100);
	for (size_t i = 0; i < PIECES; i++) {
		segment(0, i, i + 1, 1);
		segment(0, PIECES + 100 + i, PIECES + 100 + i + 1, 1);
	}
	play.lazy = 40;
	play_rest();
	tape_event(-1);
	for (size_t i = 0; i < 10; i++)
		segment(0, PIECES + i * 10, PIECES + i * 10 + 10, 1);
	play_checkpoint();
	finish(0, 2 * PIECES + 100);
	play_rest();
}

#endif
