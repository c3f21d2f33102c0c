/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Power cuts. Each scene is played once and recorded; then the power fails after each
 * recorded call and each answer, in as many ways as there are seeds, and what was
 * acknowledged has to be held, what is visible has to be whole. While the client goes on
 * after that, the power fails once more in some of the runs.
 *
 *	CRASH_SEEDS=100		how many ways per place (default 3)
 *	CRASH_SCHEDULES=2	how many different orders of threads (default 1)
 *	CRASH_REPLAY=schedule:place:seed
 *				only this one; CRASH_LOUD=1 tells what happens
 *	CRASH_DURABILITY=file, CRASH_SCENE=plain
 *				only this one
 *	CRASH_SITES=file	adds to the file where fsync was called from
 *	CRASH_DROP=site		that one does nothing: then some test has to fail
 */
#include <check.h>

#include "../suite.h"
#include "rise.h"
#include "scenes.h"

#define SECOND_PERCENT 35	/* of the runs in which the power fails twice */

struct trial {
	const char *name;
	void (*scene)(void);
	enum ft_durability durability;
	unsigned schedule;
	struct tape tape;
	struct disk disk;
	struct promise promise;
	size_t from;		/* the first place at which the power fails */
	unsigned long cuts;
	char failure[4096];
};

static const char *const durabilities[] = { "none", "file", "segment" };

static unsigned setting(const char *name, unsigned otherwise)
{
	const char *text = getenv(name);

	return text ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

/* --- recording --- */

static void same_file(const char *a, const char *b)
{
	size_t len_a, len_b;
	uint8_t *bytes_a = judge_read(a, &len_a), *bytes_b = judge_read(b, &len_b);

	if (len_a != len_b || !bytes_a || !bytes_b || memcmp(bytes_a, bytes_b, len_a) != 0)
		tape_unknown(a);
	free(bytes_a);
	free(bytes_b);
}

/* Aborts where they differ: then there was a call that was not recorded. */
static void same_tree(const char *a, const char *b)
{
	char names[16][256], others[16][256], below_a[512], below_b[512];
	size_t count = judge_list(a, names);
	struct stat info;

	if (count != judge_list(b, others))
		tape_unknown(a);
	for (size_t i = 0; i < count; i++) {
		snprintf(below_a, sizeof below_a, "%.200s/%.255s", a, names[i]);
		snprintf(below_b, sizeof below_b, "%.200s/%.255s", b, names[i]);
		if (lstat(below_a, &info) != 0 || access(below_b, F_OK) != 0)
			tape_unknown(below_a);
		if (S_ISDIR(info.st_mode))
			same_tree(below_a, below_b);
		else
			same_file(below_a, below_b);
	}
}

/* What the tape says must be what the kernel says. */
static void check_tape(const struct disk *disk)
{
	char dir[sizeof play.dir];

	memcpy(dir, play.dir, sizeof dir);
	play_clear("copy");
	cut_power(disk, CUT_KEEP_ALL, play.dir);
	same_tree(dir, play.dir);
}

static void record(struct trial *trial)
{
	play_setup(trial->durability);
	play.lazy = 40;
	play.chance = chance_of(trial->schedule, 3);
	play.options.workers = 1 + trial->schedule % 2;
	turns_begin(trial->schedule, 30);
	play_clear("run");
	tape_start(&trial->tape, play.dir);
	play_start();
	trial->scene();
	play_stop();
	tape_stop();
}

/* --- telling --- */

static void tell_entry(size_t i, const struct tape_entry *entry)
{
	static const char *const words[] = {
		"make", "link", "remove", "rename", "swap", "write", "size", "sync", "sync all",
		"commit", "event",
	};

	fprintf(stderr, "  %4zu %s", i, words[entry->op]);
	if (entry->op == TAPE_EVENT && entry->node >= 0)
		fprintf(stderr, " %d of command %d", (int)play.event[entry->node].what,
			play.event[entry->node].command);
	else if (entry->node >= 0)
		fprintf(stderr, " node %d", entry->node);
	if (entry->op == TAPE_WRITE || entry->op == TAPE_SIZE)
		fprintf(stderr, " %zu at %llu", entry->len, (unsigned long long)entry->offset);
	if (entry->name)
		fprintf(stderr, " %d/%s", entry->dir, entry->name);
	if (entry->to_name)
		fprintf(stderr, " to %d/%s", entry->to_dir, entry->to_name);
	fputc('\n', stderr);
}

/* What was done before the power failed. */
static void tell_tape(const struct tape_entry *entry, size_t end)
{
	for (size_t i = 0; play.loud && i < end; i++)
		tell_entry(i, &entry[i]);
}

/* --- cutting --- */

static void note_failure(struct trial *trial, size_t place, unsigned seed, size_t second)
{
	char again[48] = "";

	if (second != SIZE_MAX)
		snprintf(again, sizeof again, " and again after %zu calls", second);
	snprintf(trial->failure, sizeof trial->failure,
		 "%s\n  after call %zu of scene %s, durability %s%s\n  replay: CRASH_DURABILITY=%s "
		 "CRASH_REPLAY=%u:%zu:%u CRASH_SCENE=%s CRASH_LOUD=1", play.why, place, trial->name,
		 durabilities[trial->durability], again, durabilities[trial->durability],
		 trial->schedule, place, seed, trial->name);
}

/* The power fails on that disk, comes back, and all goes on: false where it does not. */
static bool cut_and_rise(const struct disk *disk, const struct promise *promise, uint64_t seed,
			 struct tape *tape)
{
	play_clear("cut");
	play.live = *promise;
	cut_power(disk, seed, play.dir);
	tape_start(tape, play.dir);
	turns.chance = chance_of(seed, 5);
	play.may_lose = true;
	if (setjmp(play.lost) != 0) {
		tape_stop();
		turns_abandon();
		return false;
	}
	rise();
	tape_stop();
	return true;
}

/* Plays one entry of a tape to the disk and to what was promised. */
static void follow(struct disk *disk, struct promise *promise, const struct tape_entry *entry)
{
	if (entry->op == TAPE_EVENT && entry->node >= 0)
		promise_apply(promise, &play.event[entry->node], play.command);
	else
		disk_play(disk, entry);
}

/* While all goes on after the first cut, the power fails once more. */
static bool cut_again(const struct trial *trial, struct tape *tape, uint64_t seed, size_t *second)
{
	static struct promise promise;
	struct chance chance = chance_of(seed, 6);
	struct tape last;
	bool held;

	*second = (size_t)chance_below(&chance, tape->entries + 1);
	tell_tape(tape->entry, *second);
	promise = trial->promise;
	for (size_t i = 0; i < *second; i++)
		follow(&tape->base, &promise, &tape->entry[i]);
	held = cut_and_rise(&tape->base, &promise, chance_next(&chance), &last);
	if (held)
		tape_release(&last);
	return held;
}

static bool cut(struct trial *trial, size_t place, unsigned seed)
{
	struct chance chance = chance_of(seed, place);
	size_t commands = play.commands, events = play.events, second = SIZE_MAX;
	uint64_t drawn = chance_next(&chance);
	struct tape tape;
	bool held;

	tell_tape(trial->tape.entry, place + 1);
	if (play.loud)
		fprintf(stderr, "power cut at %zu, seed %u\n", place, seed);
	trial->cuts++;
	held = cut_and_rise(&trial->disk, &trial->promise, drawn, &tape);
	if (held && chance_percent(&chance, SECOND_PERCENT)) {
		trial->cuts++;
		held = cut_again(trial, &tape, chance_next(&chance), &second);
	}
	if (!held) {
		note_failure(trial, place, seed, second);
		return false;
	}
	tape_release(&tape);
	play_forget(commands, events);
	return true;
}

/* --- a trial --- */

static bool is_place(const struct trial *trial, size_t i)
{
	const struct tape_entry *entry = &trial->tape.entry[i];

	return entry->op != TAPE_EVENT || entry->node < 0
		|| play.event[entry->node].what != PROMISE_SENT;
}

/* The scene may begin with what is only preparation. */
static size_t first_place(const struct trial *trial)
{
	for (size_t i = trial->tape.entries; i > 0; i--)
		if (trial->tape.entry[i - 1].op == TAPE_EVENT && trial->tape.entry[i - 1].node < 0)
			return i - 1;
	return 0;
}

static bool cut_here(struct trial *trial, size_t place)
{
	/* valgrind sees what there is to see at some places, too. */
	bool few = getenv("FT_VALGRIND") && place % 16 != 0;
	unsigned seeds = setting("CRASH_SEEDS", few ? 0 : getenv("FT_VALGRIND") ? 1 : 3);
	unsigned schedule, seed;
	const char *replay = getenv("CRASH_REPLAY");
	size_t where;

	if (replay) {
		if (sscanf(replay, "%u:%zu:%u", &schedule, &where, &seed) != 3)
			ck_abort_msg("CRASH_REPLAY is schedule:place:seed");
		return schedule != trial->schedule || where != place || cut(trial, place, seed);
	}
	for (seed = 0; seed < seeds; seed++)
		if (!cut(trial, place, seed))
			return false;
	return true;
}

static bool run_trial(struct trial *trial)
{
	bool held = true;

	record(trial);
	trial->disk = trial->tape.base;
	trial->tape.base = (struct disk){ .nodes = 0 };
	trial->promise.durability = trial->durability;
	trial->from = first_place(trial);
	for (size_t i = 0; held && i < trial->tape.entries; i++) {
		follow(&trial->disk, &trial->promise, &trial->tape.entry[i]);
		if (i >= trial->from && is_place(trial, i))
			held = cut_here(trial, i);
	}
	snprintf(play.dir, sizeof play.dir, "%s/run", play.top);
	if (held)
		check_tape(&trial->disk);
	disk_release(&trial->disk);
	tape_release(&trial->tape);
	play_teardown();
	return held;
}

/* --- which fsync does what --- */

static void wish_sites(void)
{
	const char *drop = getenv("CRASH_DROP");
	unsigned long at[3];

	tapes.sites_wanted = getenv("CRASH_SITES") != NULL;
	tapes.drops = drop != NULL;
	if (!drop)
		return;
	if (sscanf(drop, "%lx:%lx:%lx", &at[0], &at[1], &at[2]) != 3)
		ck_abort_msg("CRASH_DROP is three hexadecimal numbers");
	for (int i = 0; i < 3; i++)
		tapes.dropped.at[i] = at[i];
}

static void tell_sites(void)
{
	FILE *out = tapes.sites_wanted ? fopen(getenv("CRASH_SITES"), "a") : NULL;

	for (size_t i = 0; out && i < tapes.sites; i++)
		fprintf(out, "%lx:%lx:%lx\n", (unsigned long)tapes.site[i].at[0],
			(unsigned long)tapes.site[i].at[1], (unsigned long)tapes.site[i].at[2]);
	if (out)
		fclose(out);
}

static void try_scene(const char *name, void (*scene)(void))
{
	const char *only = getenv("CRASH_DURABILITY"), *only_scene = getenv("CRASH_SCENE");
	unsigned long cuts = 0;

	if (only_scene && strcmp(only_scene, name) != 0)
		return;
	wish_sites();

	for (int d = FT_DURABILITY_FILE; d <= FT_DURABILITY_SEGMENT; d++) {
		if (only && strcmp(only, durabilities[d]) != 0)
			continue;
		for (unsigned s = 0; s < setting("CRASH_SCHEDULES", 1); s++) {
			struct trial trial = { .name = name, .scene = scene, .schedule = s,
					       .durability = (enum ft_durability)d };

			if (!run_trial(&trial))
				ck_abort_msg("%s", trial.failure);
			cuts += trial.cuts;
		}
	}
	tell_sites();
	printf("%s: %lu power cuts\n", name, cuts);
}

#define SCENE(name) \
	START_TEST(test_crash__##name) \
	{ \
		try_scene(#name, scene_##name); \
	} \
	END_TEST

SCENE(plain)
SCENE(in_order)
SCENE(resume)
SCENE(overwrite)
SCENE(mismatch)
SCENE(hasty)
SCENE(beyond)
SCENE(abort)
SCENE(hasty_abort)
SCENE(abort_of_fin)
SCENE(expiry)
SCENE(three)
SCENE(crowd)
SCENE(restart)
SCENE(shorter)
SCENE(hasty_shorter)
SCENE(stale)
SCENE(killed)
SCENE(stricter)
SCENE(compaction)

FT_SUITE("crash", test_crash__plain, test_crash__in_order, test_crash__resume,
	 test_crash__overwrite, test_crash__mismatch, test_crash__hasty, test_crash__beyond,
	 test_crash__abort, test_crash__hasty_abort, test_crash__abort_of_fin, test_crash__expiry,
	 test_crash__three, test_crash__crowd, test_crash__restart, test_crash__shorter,
	 test_crash__hasty_shorter, test_crash__stale, test_crash__killed, test_crash__stricter,
	 test_crash__compaction);
