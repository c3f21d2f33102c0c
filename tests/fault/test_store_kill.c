/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* The promise of put(): what it acknowledged is held though the process is killed at any instant. */
#include "../contract/store_rig.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "../suite.h"

#define ROUNDS 60
#define BLOCK ((size_t)3000)	/* not a divisor of a page, so that records and blocks straddle */
#define BLOCKS 4000

static const struct ft_key KEY = {"c/1", 3, "f1", 2};

/* Shared by the process that is killed and the one that looks. */
struct acknowledged {
	atomic_uint count;
	atomic_uint order[BLOCKS];	/* the blocks, in the order they were put */
};

static void fill(char *bytes, unsigned block, unsigned round)
{
	for (size_t i = 0; i < BLOCK; i++)
		bytes[i] = (char)(block * 7 + round * 31 + i);
}

/* In order, backwards, or scattered: the journal is written in different ways. */
static unsigned nth_block(unsigned round, unsigned n)
{
	switch (round % 3) {
	case 0:
		return n;
	case 1:
		return BLOCKS - 1 - n;
	default:
		return n * 2741 % BLOCKS;
	}
}

static void put_until_killed(const struct ft_store_config *config, unsigned round,
			     struct acknowledged *acknowledged)
{
	const struct ft_store_ops *ops = ft_store_backend("fs");
	char *manifest = rig_manifest(&KEY, "begun"), bytes[BLOCK];
	struct ft_upload *upload;
	struct ft_store *store;
	struct ft_put done;

	if (ops->open(config, &store) != FT_OK ||
	    ops->create(store, &KEY, manifest, strlen(manifest), &upload) != FT_OK)
		_exit(1);
	for (unsigned n = 0; n < BLOCKS; n++) {
		unsigned block = nth_block(round, n);

		fill(bytes, block, round);
		if (ops->put(upload, block * BLOCK, bytes, BLOCK, &done) != FT_OK)
			_exit(1);
		atomic_store(&acknowledged->order[n], block);
		atomic_store(&acknowledged->count, n + 1);
		if (n % 500 == 499 && ops->checkpoint_begin) {
			struct ft_checkpoint *checkpoint;

			if (ops->checkpoint_begin(upload, &checkpoint) == FT_OK &&
			    ops->checkpoint_end(upload, &checkpoint,
						ops->checkpoint_run(checkpoint)) != FT_OK)
				_exit(1);
		}
	}
	pause();
}

static void expect_all_held(struct rig *rig, unsigned round, struct acknowledged *acknowledged)
{
	struct ft_upload *upload = rig_load(rig, &KEY);
	char bytes[BLOCK];
	bool same;

	for (unsigned n = 0; n < atomic_load(&acknowledged->count); n++) {
		unsigned block = atomic_load(&acknowledged->order[n]);

		fill(bytes, block, round);
		ck_assert_int_eq(rig->ops->matches(upload, block * BLOCK, bytes, BLOCK, &same),
				 FT_OK);
		ck_assert_msg(same, "round %u: block %u was acknowledged", round, block);
	}
	rig->ops->release(&upload);
}

START_TEST(test_store__holds_what_it_acknowledged_when_it_is_killed)
{
	struct acknowledged *acknowledged = mmap(NULL, sizeof *acknowledged, PROT_READ | PROT_WRITE,
						 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	ck_assert_ptr_ne(acknowledged, MAP_FAILED);
	srand(1);
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned enough = 1 + (unsigned)rand() % BLOCKS;
		struct rig rig;
		int status;
		pid_t child;

		atomic_store(&acknowledged->count, 0);
		rig_open(&rig, "fs", FT_DURABILITY_NONE);
		child = fork();
		ck_assert_int_ge(child, 0);
		if (child == 0)
			put_until_killed(&rig.config, round, acknowledged);
		while (atomic_load(&acknowledged->count) < enough &&
		       waitpid(child, &status, WNOHANG) == 0)
			;
		kill(child, SIGKILL);
		waitpid(child, &status, 0);
		ck_assert_uint_ge(atomic_load(&acknowledged->count), enough);
		rig_restart(&rig);
		expect_all_held(&rig, round, acknowledged);
		rig_close(&rig);
	}
	munmap(acknowledged, sizeof *acknowledged);
}
END_TEST

FT_SUITE("store kill", test_store__holds_what_it_acknowledged_when_it_is_killed);
