/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The life of two transfers, with the 1st, 2nd, 3rd ... system call or allocation
 * failing, once or from there on, until a run meets no failure. Whatever fails: what
 * was acknowledged is held, nothing else is, nothing is half visible, nothing leaks,
 * and once the fault is gone everything works.
 */
#include "store_faults.h"

#include "../contract/store_rig.h"
#include "../suite.h"

#define SIZE 500

static const struct ft_key KEY = {"c/1", 3, "f1", 2};
static const struct ft_key OTHER = {"c/1", 3, "f2", 2};

/* What was acknowledged. */
struct model {
	char bytes[SIZE];
	bool held[SIZE];
	bool unsure[SIZE];	/* a failed put may have changed or lost it */
};

/* One run. */
struct run {
	struct rig rig;
	struct fault_plan plan;
	struct model model;
	struct ft_upload *upload;
	bool finished;
	bool maybe_finished;	/* publish failed, perhaps at its last step */
};

/* --- the model --- */

static void fill(char *bytes, size_t len, char seed)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (char)(seed + (char)(i % 7));
}

static void model_put(struct model *model, size_t start, const char *bytes, size_t len, bool done)
{
	/* A single failure can be undone; one of many, or of an fsync, perhaps not. */
	bool lasting = fault.plan.persistent || fault.hit_sync;

	for (size_t i = 0; i < len; i++) {
		if (done) {
			model->held[start + i] = true;
			model->unsure[start + i] = false;
			model->bytes[start + i] = bytes[i];
		} else if (lasting && model->held[start + i] && model->bytes[start + i] != bytes[i]) {
			model->unsure[start + i] = true;
		}
	}
}

/*
 * What the handle holds must have the acknowledged bytes. After a failure that could be
 * undone it must also be all that was acknowledged.
 */
static void check_handle(struct run *run)
{
	const struct ft_ranges *held = &run->upload->held;

	fault_disarm();
	ck_assert_int_eq(fs_cache_use(fs_of(run->rig.store), fs_upload_of(run->upload)), FT_OK);
	for (size_t i = 0; i < SIZE; i++) {
		bool here = ft_ranges_cover(held, i, i + 1);
		char got;

		ck_assert_msg(!here || run->model.held[i], "byte %zu was never acknowledged", i);
		if (!here && !fault.hit_sync && !fault.plan.persistent)
			ck_assert_msg(!run->model.held[i], "byte %zu was lost", i);
		if (!here)
			continue;
		ck_assert_int_eq(pread(fs_upload_of(run->upload)->data_fd, &got, 1, (off_t)i), 1);
		ck_assert_msg(got == run->model.bytes[i] || run->model.unsure[i],
			      "byte %zu is '%c', not '%c'", i, got, run->model.bytes[i]);
	}
	fault_resume();
}

/* A failed fsync may cost what was held; from then on the handle says what is left. */
static void adopt_losses(struct run *run)
{
	for (size_t i = 0; i < SIZE; i++)
		run->model.held[i] = run->model.held[i] &&
			ft_ranges_cover(&run->upload->held, i, i + 1);
}

/* --- steps: each may fail while a fault is armed --- */

static void put(struct run *run, size_t start, size_t len, char seed)
{
	enum ft_status st;
	struct ft_put done;
	char bytes[SIZE] = {0};

	fill(bytes, len, seed);
	st = run->rig.ops->put(run->upload, start, bytes, len, &done);
	model_put(&run->model, start, bytes, len, st == FT_OK);
	if (st != FT_OK) {
		ck_assert_uint_gt(fault.hits, 0);
		ck_assert_uint_eq(done.added, 0);
	}
	if (fault.hit_sync)
		adopt_losses(run);
}

static bool begin(struct run *run)
{
	char *manifest = rig_manifest(&KEY, "begun");
	enum ft_status st = run->rig.ops->create(run->rig.store, &KEY, manifest, strlen(manifest),
						 &run->upload);

	free(manifest);
	return st == FT_OK;
}

static void describe(struct run *run)
{
	char *manifest = rig_manifest(&KEY, "again");

	(void)run->rig.ops->describe(run->upload, manifest, strlen(manifest));
	free(manifest);
}

static void checkpoint(struct run *run)
{
	const struct ft_store_ops *ops = run->rig.ops;
	struct ft_checkpoint *checkpoint = NULL;
	enum ft_status ran, st;

	if (ops->checkpoint_begin(run->upload, &checkpoint) != FT_OK)
		return;
	put(run, 400, 60, 'a');
	ran = ops->checkpoint_run(checkpoint);
	put(run, 460, 40, 'h');
	st = ops->checkpoint_end(run->upload, &checkpoint, ran);
	ck_assert_ptr_null(checkpoint);
	if (st != FT_OK || ran != FT_OK)
		ck_assert_uint_gt(fault.hits, 0);
	if (ran != FT_OK)
		ck_assert_int_eq(st, ran);
	if (fault.hit_sync)
		adopt_losses(run);
}

/* Reads, then finishes with 450 bytes. */
static void finish(struct run *run)
{
	const struct ft_store_ops *ops = run->rig.ops;
	struct ft_work *work = NULL;
	char *manifest = NULL;
	size_t len;
	char got[50];
	enum ft_status st;

	if (!ft_ranges_cover(&run->upload->held, 0, 450) ||
	    ops->work(run->upload, &work) != FT_OK)
		return;
	if (ops->read(work, 100, got, sizeof got) == FT_OK && !run->model.unsure[100])
		ck_assert_int_eq(got[0], run->model.bytes[100]);
	if (ops->manifest(work, &manifest, &len) == FT_OK)
		free(manifest);
	st = ops->sync(work);
	if (st == FT_OK) {
		st = rig_publish_work(&run->rig, work, "name", 450);
		run->maybe_finished = st != FT_OK;
	}
	ops->work_close(&work);
	run->finished = st == FT_OK;
	if (run->finished)
		return;
	ck_assert_uint_gt(fault.hits, 0);
	(void)ops->reassess(run->upload, st == FT_IO_ERROR);
	adopt_losses(run);
}

static void look_back(struct run *run)
{
	const struct ft_store_ops *ops = run->rig.ops;
	char *manifest = NULL;
	size_t len;
	bool same;

	if (ops->find(run->rig.store, &KEY, &manifest, &len) == FT_OK) {
		ck_assert_str_eq(manifest, "{\"finished\":1}");
		free(manifest);
	}
	if (ops->finished_matches(run->rig.store, &KEY, "name", 7, run->model.bytes + 7, 100,
				  &same) == FT_OK && run->finished)
		ck_assert(same);
}

/* A second transfer comes and goes. */
static void come_and_go(struct run *run)
{
	const struct ft_store_ops *ops = run->rig.ops;
	char *manifest = rig_manifest(&OTHER, "begun"), *text = NULL;
	struct ft_upload *upload = NULL;
	struct ft_trash *trash = NULL;
	struct ft_put done;
	size_t len;

	if (ops->create(run->rig.store, &OTHER, manifest, strlen(manifest), &upload) == FT_OK) {
		(void)ops->put(upload, 0, "bytes", 5, &done);
		ops->release(&upload);
	}
	free(manifest);
	if (ops->load(run->rig.store, &OTHER, &text, &len, &upload) != FT_OK)
		return;
	free(text);
	if (ops->detach(&upload, &trash) != FT_OK)
		ops->release(&upload);
	else
		(void)ops->purge(&trash);
}

static bool any_visit(void *context, const struct ft_found *found)
{
	(void)context;
	ck_assert_ptr_nonnull(found->manifest);
	return true;
}

static void scenario(struct run *run, bool to_the_end)
{
	uint64_t space;

	/* Once more, as a client would: a failed create must not stand in the way. */
	if (!begin(run) && !begin(run)) {
		ck_assert(fault.plan.persistent);
		return;
	}
	put(run, 0, 100, 'a');
	put(run, 200, 100, 'b');
	put(run, 50, 200, 'c');
	describe(run);
	checkpoint(run);
	put(run, 20, 40, 'd');
	put(run, 20, 40, 'd');
	put(run, 300, 100, 'e');
	put(run, 0, 500, 'f');
	check_handle(run);
	if (!to_the_end)
		return;
	finish(run);
	look_back(run);
	come_and_go(run);
	(void)run->rig.ops->enumerate(run->rig.store, any_visit, NULL);
	(void)run->rig.ops->space(run->rig.store, &space);
}

/* --- afterwards, without faults --- */

static void expect_all_or_nothing_visible(struct run *run)
{
	bool file = rig_exists(rig_path(&run->rig, "files/c%%2F1/f1/name"));
	bool manifest = rig_exists(rig_path(&run->rig, "files/c%%2F1/f1/name.manifest.json"));
	struct stat st;

	if (run->finished)
		ck_assert(file);
	if (!file)
		return;
	ck_assert_msg(manifest, "a file without its manifest");
	ck_assert_msg(run->finished || run->maybe_finished, "visible before it was published");
	ck_assert_int_eq(stat(rig_path(&run->rig, "files/c%%2F1/f1/name"), &st), 0);
	ck_assert_int_eq(st.st_size, 450);
	ck_assert_int_eq(rig_try_find(&run->rig, &KEY), FT_OK);
	run->finished = true;
}

/* What a new process finds under the key is what was acknowledged. */
static void expect_acknowledged(struct run *run)
{
	struct ft_upload *upload = rig_load(&run->rig, &KEY);
	bool cut = run->maybe_finished;

	for (size_t i = 0; i < SIZE; i++) {
		bool here = ft_ranges_cover(&upload->held, i, i + 1);
		char got;

		if (!run->model.held[i] || run->model.unsure[i] || (cut && i >= 450))
			continue;
		ck_assert_msg(here, "byte %zu was acknowledged, and is gone", i);
		ck_assert_int_eq(pread(fs_upload_of(upload)->data_fd, &got, 1, (off_t)i), 1);
		ck_assert_msg(got == run->model.bytes[i], "byte %zu changed", i);
	}
	run->rig.ops->release(&upload);
}

/* The client sends everything again and finishes. */
static void expect_retry_works(struct run *run)
{
	struct ft_upload *upload;
	char bytes[SIZE] = {0};
	bool same;

	fill(bytes, sizeof bytes, 'k');
	if (!run->finished) {
		upload = rig_try_load(&run->rig, &KEY) == FT_OK ? rig_load(&run->rig, &KEY)
			: rig_create(&run->rig, &KEY);
		(void)rig_put(&run->rig, upload, 0, bytes, sizeof bytes);
		ck_assert_int_eq(rig_publish(&run->rig, upload, "name", SIZE), FT_OK);
		run->rig.ops->release(&upload);
		ck_assert_int_eq(run->rig.ops->finished_matches(run->rig.store, &KEY, "name", 0,
								bytes, sizeof bytes, &same), FT_OK);
		ck_assert(same);
	}
	ck_assert_int_eq(rig_try_find(&run->rig, &KEY), FT_OK);
	ck_assert_uint_eq(tree_entries(rig_path(&run->rig, "files/c%%2F1/f1")), 2);
	ck_assert_int_eq(run->rig.ops->enumerate(run->rig.store, any_visit, NULL), FT_OK);
	ck_assert_uint_eq(tree_entries(rig_path(&run->rig, "trash")), 0);
	ck_assert_uint_eq(tree_entries(rig_path(&run->rig, "damaged")), 0);
}

/* One run with one plan; false when nothing was hit. */
static bool try_plan(const struct fault_plan *plan, enum ft_durability durability, bool to_the_end)
{
	size_t descriptors = tree_entries("/proc/self/fd");
	struct run *run = calloc(1, sizeof *run);
	bool created, hit;

	run->plan = *plan;
	rig_open(&run->rig, "fs", durability);
	fault_arm(plan);
	scenario(run, to_the_end);
	fault_disarm();
	hit = fault.hits > 0;
	created = run->upload != NULL;
	if (created)
		run->rig.ops->release(&run->upload);
	rig_restart(&run->rig);
	expect_all_or_nothing_visible(run);
	if (created && !run->finished)
		expect_acknowledged(run);
	expect_retry_works(run);
	rig_close(&run->rig);
	free(run);
	ck_assert_uint_eq(tree_entries("/proc/self/fd"), descriptors);
	return hit;
}

static void try_all(struct fault_plan plan, enum ft_durability durability)
{
	for (int to_the_end = 0; to_the_end < 2; to_the_end++) {
		for (plan.nth = 1; try_plan(&plan, durability, to_the_end); plan.nth++)
			;
		ck_assert_uint_gt(plan.nth, 10);
	}
}

/* --- tests; _i is the durability --- */

#define FAULT_TEST(name, ...) \
	START_TEST(test_store__##name) \
	{ \
		const struct fault_plan plan = {__VA_ARGS__}; \
		try_all(plan, (enum ft_durability)_i); \
	} \
	END_TEST

FAULT_TEST(survives_an_io_error_anywhere, .kind = FAULT_ERROR, .error = EIO)
FAULT_TEST(survives_a_disk_that_is_full_once, .kind = FAULT_ERROR, .error = ENOSPC)
FAULT_TEST(survives_a_lack_of_descriptors, .kind = FAULT_ERROR, .error = EMFILE)
FAULT_TEST(survives_an_interrupted_call, .kind = FAULT_ERROR, .error = EINTR)
FAULT_TEST(survives_a_lost_file_system, .kind = FAULT_ERROR, .error = EIO, .persistent = true)
FAULT_TEST(survives_a_disk_that_stays_full, .kind = FAULT_ERROR, .error = ENOSPC,
	   .persistent = true)
FAULT_TEST(survives_short_transfers, .kind = FAULT_SHORT, .persistent = true)
FAULT_TEST(survives_one_short_transfer, .kind = FAULT_SHORT)
FAULT_TEST(survives_a_write_that_fails_half_way, .kind = FAULT_PARTIAL, .error = ENOSPC)
FAULT_TEST(survives_a_lack_of_memory, .kind = FAULT_MEMORY)
FAULT_TEST(survives_a_lasting_lack_of_memory, .kind = FAULT_MEMORY, .persistent = true)

int main(void)
{
	ft_suite_use_memory();
	return ft_suite_run(&(struct ft_suite){
		.name = "store faults", .times = FT_DURABILITY_SEGMENT + 1, FT_TESTS(
			test_store__survives_an_io_error_anywhere,
			test_store__survives_a_disk_that_is_full_once,
			test_store__survives_a_lack_of_descriptors,
			test_store__survives_an_interrupted_call,
			test_store__survives_a_lost_file_system,
			test_store__survives_a_disk_that_stays_full,
			test_store__survives_short_transfers,
			test_store__survives_one_short_transfer,
			test_store__survives_a_write_that_fails_half_way,
			test_store__survives_a_lack_of_memory,
			test_store__survives_a_lasting_lack_of_memory) });
}
