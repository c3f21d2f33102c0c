/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The log against a model of it: random appends, takes, releases and restarts, and processes
 * that are killed at any instant, by SIGKILL, while two threads append and release. What a
 * record carries follows from its number, so that the model is a few numbers. The rings are
 * tiny: many laps. FT_TEST_SEED=<number> repeats a run (the moments of the kills are not).
 */
#include <check.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/system.h"
#include "log/log.h"

#include "../crash/chance.h"
#include "../suite.h"
#include "../tree.h"

#define LEN_MAX 6000
#define PLAY_STEPS 60000
#define KILL_ROUNDS 400
#define MARKS 1024	/* records that a tiny ring has room for */

/* Check notes every assertion in a file, which is too slow for millions of them. */
#define hold(condition) \
	do { \
		if (!(condition)) \
			ck_abort_msg("does not hold, seed %" PRIu64 ": %s", seed, #condition); \
	} while (0)

static uint64_t seed;
static char dir[256];
static char path[300];
static struct ft_log_config config;

static void set_up(void)
{
	const char *given = getenv("FT_TEST_SEED");

	seed = given ? strtoull(given, NULL, 10) : (uint64_t)ft_clock_unix_ms();
	hold(tree_make(dir, sizeof dir, "log"));
	snprintf(path, sizeof path, "%s/log", dir);
	config = (struct ft_log_config){ .path = path, .size = 64 * 1024,
					 .identity = "boot=1 dev=8:1" };
}

static void tear_down(void)
{
	tree_remove(dir);
}

/* --- what a record of a number is --- */

static unsigned large_percent = 10;	/* of the records */

static uint8_t content[2 * 256 + LEN_MAX];	/* any piece of it tells where it begins */


static struct ft_log_entry made_of(uint64_t number)
{
	struct chance chance = chance_of(seed, number);
	bool is_large = chance_percent(&chance, large_percent);
	size_t len = chance_below(&chance, is_large ? LEN_MAX : 300);
	size_t head_len = chance_percent(&chance, 30) ? chance_below(&chance, 100) : 0;

	return (struct ft_log_entry){
		.kind = chance_percent(&chance, 80)
			? FT_RECORD_BYTES
			: (enum ft_record_kind)(FT_RECORD_BEGIN + chance_below(
				&chance, FT_RECORD_KINDS - FT_RECORD_BEGIN)),
		.flags = (uint16_t)chance_next(&chance),
		.number = number,
		.offset = chance_next(&chance),
		.head = content + number % 251,
		.head_len = head_len,
		.bytes = content + (number + 7) % 251,
		.bytes_len = len,
	};
}

static void fill_content(void)
{
	for (size_t i = 0; i < sizeof content; i++)
		content[i] = (uint8_t)(i % 251 * 5);
}

/* Whether a record is the one of that number, and whole. */
static bool is_of(const struct ft_log_record *record, uint64_t number)
{
	struct ft_log_entry entry = made_of(number);

	return record->number == number && record->kind == entry.kind
	       && record->flags == entry.flags && record->offset == entry.offset
	       && record->head_len == entry.head_len && record->bytes_len == entry.bytes_len
	       && memcmp(record->head, entry.head, entry.head_len) == 0
	       && memcmp(record->bytes, entry.bytes, entry.bytes_len) == 0;
}

/* --- one thread, and restarts in between --- */

struct play {
	struct ft_log *log;
	struct chance chance;
	uint64_t released;	/* numbers: [released, taken) are taken, [taken, next) are not */
	uint64_t taken;
	uint64_t next;
	uint64_t position[MARKS];	/* of taken ones, by number */
	uint64_t laps, busy, restarts;
};

static void play_open(struct play *play, enum ft_log_past expected)
{
	uint8_t id[FT_LOG_ID_LEN];
	enum ft_log_past past;

	hold(ft_log_open(&config, &play->log, &past, id) == FT_OK);
	hold(past == expected);
	play->taken = play->released;
}

static void play_append(struct play *play)
{
	struct ft_log_entry entry = made_of(play->next);
	bool has_room = ft_log_has_room(play->log, entry.kind, 1, entry.head_len + entry.bytes_len);
	uint64_t fill = ft_log_fill(play->log);
	enum ft_status st = ft_log_append(play->log, &entry);

	hold(st == FT_OK || (st == FT_BUSY && !has_room));
	if (st == FT_OK) {
		play->next++;
		return;
	}
	/* What may be lost at the end of a lap is less than the record. */
	hold(fill + 2 * (entry.head_len + entry.bytes_len + 104) + config.size / 16 > config.size);
	hold(ft_log_fill(play->log) == fill);
	play->busy++;
}

static void play_take(struct play *play)
{
	struct ft_log_record record;
	bool found = ft_log_take(play->log, &record);

	hold(found == (play->taken < play->next));
	if (!found)
		return;
	hold(is_of(&record, play->taken));
	hold(record.position % 64 == 0);
	play->position[play->taken % MARKS] = record.position;
	play->taken++;
}

static void play_release(struct play *play)
{
	uint64_t count = play->taken - play->released;

	play->released += chance_percent(&play->chance, 50)
			  ? count : chance_below(&play->chance, count + 1);
	ft_log_release(play->log, play->released == play->taken
			? ft_log_taken(play->log) : play->position[play->released % MARKS]);
	if (play->released == play->next)
		play->laps += ft_log_fill(play->log) == 0;
}

static void play_restart(struct play *play)
{
	ft_log_close(&play->log);
	/* As after a power cut: a synced log keeps all of it. */
	if (config.sync == FT_LOG_SYNCED && play->released < play->next)
		config.identity = chance_percent(&play->chance, 50) ? "boot=2 dev=8:1"
								    : "boot=3 dev=8:1";
	play_open(play, FT_LOG_CONTINUED);
	play->restarts++;
}

/* By turns it fills up and empties. */
static void play_step(struct play *play, unsigned turn, unsigned restarts_per_mille)
{
	unsigned appends_percent = turn / 512 % 2 == 0 ? 75 : 20;

	if (chance_below(&play->chance, 1000) < restarts_per_mille)
		play_restart(play);
	else if (chance_percent(&play->chance, appends_percent))
		play_append(play);
	else if (chance_percent(&play->chance, 90))
		play_take(play);
	else
		play_release(play);
}

static void play_all(unsigned steps, unsigned restarts_per_mille)
{
	static struct play play;

	play = (struct play){ .chance = chance_of(seed, 0), .next = 1, .released = 1 };
	play_open(&play, FT_LOG_NEW);
	for (unsigned i = 0; i < steps; i++)
		play_step(&play, i, restarts_per_mille);
	play_restart(&play);
	while (play.taken < play.next)
		play_take(&play);
	hold(play.next > steps / 10);
	hold(play.busy > 0 && play.laps > 0 && play.restarts > 0);
	ft_log_close(&play.log);
}

START_TEST(test_log__does_what_the_model_does)
{
	play_all(PLAY_STEPS, 5);
}
END_TEST

START_TEST(test_log__synced_does_what_the_model_does)
{
	config.sync = FT_LOG_SYNCED;
	play_all(PLAY_STEPS / 10, 20);
}
END_TEST

/* --- kill -9 --- */

/* In memory that outlives the killed process. What was "begun" may have happened. */
struct ledger {
	_Atomic uint64_t begun;		/* numbers below: append was called */
	_Atomic uint64_t acknowledged;	/* ... has returned FT_OK */
	_Atomic uint64_t releasing;	/* numbers below: release was called */
	_Atomic uint64_t released;	/* ... has returned */
	_Atomic uint64_t appends;	/* of all processes */
	_Atomic bool failed;		/* in the child something did not hold */
};

static struct ledger *ledger;
static struct ft_log *child_log;

#define child_hold(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "killed process: does not hold: %s\n", #condition); \
			atomic_store(&ledger->failed, true); \
			_exit(1); \
		} \
	} while (0)

static void *child_writer(void *unused)
{
	struct chance chance = chance_of(seed, atomic_load(&ledger->appends));
	uint64_t next = atomic_load(&ledger->released);
	bool is_first = true;

	(void)unused;
	for (;;) {
		struct ft_log_record record;
		unsigned batch = (unsigned)chance_below(&chance, 20);

		while (batch-- > 0 && ft_log_take(child_log, &record)) {
			if (is_first)	/* the release before the kill may have been carried out */
				next = record.number;
			is_first = false;
			child_hold(is_of(&record, next));
			next++;
		}
		if (is_first)
			continue;
		atomic_store(&ledger->releasing, next);
		ft_log_release(child_log, ft_log_taken(child_log));
		atomic_store(&ledger->released, next);
		if (chance_percent(&chance, 5))
			ft_log_sleep(child_log, 1);
	}
	return NULL;
}

__attribute__((noreturn))
static void child_run(void)
{
	uint64_t number = atomic_load(&ledger->acknowledged);
	enum ft_log_past past;
	uint8_t id[FT_LOG_ID_LEN];
	pthread_t writer;

	child_hold(ft_log_open(&config, &child_log, &past, id) == FT_OK);
	child_hold(pthread_create(&writer, NULL, child_writer, NULL) == 0);
	for (;;) {
		struct ft_log_entry entry = made_of(number);
		enum ft_status st;

		atomic_store(&ledger->begun, number + 1);
		st = ft_log_append(child_log, &entry);
		child_hold(st == FT_OK || st == FT_BUSY);
		if (st == FT_OK)
			atomic_store(&ledger->acknowledged, ++number);
		else
			ft_log_wait_room(child_log, entry.kind, 1, entry.head_len + entry.bytes_len,
					 10);
		atomic_fetch_add(&ledger->appends, 1);
	}
}

/* Opens what the killed process left, and compares. Its records stay for the next one. */
static void check_what_is_left(void)
{
	uint64_t first = 0, next = 0;
	struct ft_log_record record;
	uint8_t id[FT_LOG_ID_LEN];
	enum ft_log_past past;
	struct ft_log *log;

	hold(ft_log_open(&config, &log, &past, id) == FT_OK);
	hold(past == FT_LOG_CONTINUED);
	while (ft_log_take(log, &record)) {
		if (next == 0)
			first = next = record.number;
		hold(is_of(&record, next));
		next++;
	}
	ft_log_close(&log);
	if (next == 0) {
		/* All was released, so all that was acknowledged had been taken. */
		hold(atomic_load(&ledger->releasing) >= atomic_load(&ledger->acknowledged));
		first = next = atomic_load(&ledger->releasing);
	}
	hold(first >= atomic_load(&ledger->released));
	hold(first <= atomic_load(&ledger->releasing));
	hold(next >= atomic_load(&ledger->acknowledged));
	hold(next <= atomic_load(&ledger->begun));
	atomic_store(&ledger->acknowledged, next);
	atomic_store(&ledger->released, first);
	atomic_store(&ledger->releasing, first);
}

/* After so many more appends, and a moment more. */
static void kill_at_any_time(pid_t child, struct chance *chance)
{
	uint64_t appends = atomic_load(&ledger->appends) + chance_below(chance, 300);
	uint64_t turns = chance_below(chance, 2000);
	int64_t until_ms = ft_clock_ms() + 60000;

	while (atomic_load(&ledger->appends) < appends && !atomic_load(&ledger->failed))
		hold(ft_clock_ms() < until_ms);
	for (volatile uint64_t i = 0; i < turns; i++)
		;
	hold(kill(child, SIGKILL) == 0);
}

static void kill_many_times(unsigned rounds)
{
	struct chance chance = chance_of(seed, 1);
	struct ft_log *log;
	uint8_t id[FT_LOG_ID_LEN];
	enum ft_log_past past;

	large_percent = 60;	/* so that it is killed in the middle of one */
	ledger = mmap(NULL, sizeof *ledger, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	hold(ledger != MAP_FAILED);
	atomic_store(&ledger->begun, 1);
	atomic_store(&ledger->acknowledged, 1);
	atomic_store(&ledger->released, 1);
	atomic_store(&ledger->releasing, 1);
	hold(ft_log_open(&config, &log, &past, id) == FT_OK);
	ft_log_close(&log);
	for (unsigned i = 0; i < rounds; i++) {
		pid_t child = fork();
		int status;

		hold(child >= 0);
		if (child == 0)
			child_run();
		kill_at_any_time(child, &chance);
		hold(waitpid(child, &status, 0) == child);
		hold(!atomic_load(&ledger->failed));
		check_what_is_left();
	}
	hold(atomic_load(&ledger->acknowledged) > rounds);
	munmap(ledger, sizeof *ledger);
}

START_TEST(test_log__killed_at_any_time_has_all_that_was_acknowledged)
{
	kill_many_times(KILL_ROUNDS);
}
END_TEST

START_TEST(test_log__synced_and_killed_at_any_time_has_all_that_was_acknowledged)
{
	config.sync = FT_LOG_SYNCED;
	kill_many_times(KILL_ROUNDS / 4);
}
END_TEST

/* So small that nearly every record begins a lap or ends one. */
START_TEST(test_log__tiny_and_killed_at_any_time_has_all_that_was_acknowledged)
{
	config.size = 12288;
	kill_many_times(KILL_ROUNDS);
}
END_TEST

int main(void)
{
	fill_content();
	ft_suite_use_memory();
	return ft_suite_run(&(struct ft_suite){
		.name = "log model", .set_up = set_up, .tear_down = tear_down,
		FT_TESTS(test_log__does_what_the_model_does,
			 test_log__synced_does_what_the_model_does,
			 test_log__killed_at_any_time_has_all_that_was_acknowledged,
			 test_log__synced_and_killed_at_any_time_has_all_that_was_acknowledged,
			 test_log__tiny_and_killed_at_any_time_has_all_that_was_acknowledged),
	});
}
