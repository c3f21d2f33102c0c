/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* Failures that take two to happen, or that must happen at one certain moment. */
#include "store_faults.h"

#include "../contract/store_rig.h"
#include "../suite.h"

static const struct ft_key KEY = {"c/1", 3, "f1", 2};

START_TEST(test_store__mends_a_journal_record_that_was_half_overwritten)
{
	const struct fault_plan plan = {.kind = FAULT_PARTIAL, .error = EIO, .nth = 2, .more = 1};
	struct ft_upload *upload;
	struct ft_put done;
	struct rig rig;

	rig_open(&rig, "fs", FT_DURABILITY_FILE);
	upload = rig_create(&rig, &KEY);
	rig_put_text(&rig, upload, 0, "first");
	fault_arm(&plan);
	ck_assert_int_eq(rig.ops->put(upload, 5, "second", 6, &done), FT_IO_ERROR);
	fault_disarm();
	ck_assert_uint_eq(fault.hits, 1);
	rig_put_text(&rig, upload, 100, "third");
	rig.ops->release(&upload);
	rig_restart(&rig);
	upload = rig_load(&rig, &KEY);
	ck_assert_str_eq(rig_held(upload), "0-5 100-105");
	rig.ops->release(&upload);
	rig_close(&rig);
}
END_TEST

/* Held bytes, half overwritten, and no way back. */
START_TEST(test_store__does_not_hold_what_it_could_not_put_back)
{
	const struct fault_plan plan = {.kind = FAULT_PARTIAL, .error = EIO, .nth = 1, .more = 1};
	struct ft_upload *upload;
	struct ft_put done;
	struct rig rig;

	rig_open(&rig, "fs", FT_DURABILITY_FILE);
	upload = rig_create(&rig, &KEY);
	rig_put_text(&rig, upload, 0, "0123456789");
	fault_arm(&plan);
	ck_assert_int_eq(rig.ops->put(upload, 4, "abcd", 4, &done), FT_IO_ERROR);
	fault_disarm();
	ck_assert_str_eq(rig_held(upload), "0-4 8-10");
	rig.ops->release(&upload);
	rig_restart(&rig);
	upload = rig_load(&rig, &KEY);
	ck_assert_str_eq(rig_held(upload), "0-4 8-10");
	rig.ops->release(&upload);
	rig_close(&rig);
}
END_TEST

/* What an earlier process left unsynced is made durable before it counts, so it survives this. */
START_TEST(test_store__holds_what_it_found_and_synced_after_a_failed_sync)
{
	struct fault_plan plan = {.kind = FAULT_ERROR, .error = EIO};
	struct ft_upload *upload;
	struct ft_put done;
	struct rig rig;

	for (plan.nth = 1; !fault.hit_sync; plan.nth++) {
		rig_open(&rig, "fs", FT_DURABILITY_NONE);
		upload = rig_create(&rig, &KEY);
		rig_put_text(&rig, upload, 0, "cached");
		rig.ops->release(&upload);
		rig.config.durability = FT_DURABILITY_SEGMENT;
		rig_restart(&rig);
		upload = rig_load(&rig, &KEY);
		rig_put_text(&rig, upload, 10, "durable");
		fault_arm(&plan);
		ck_assert_int_eq(rig.ops->put(upload, 20, "failed", 6, &done), FT_IO_ERROR);
		fault_disarm();
		ck_assert_str_eq(rig_held(upload), "0-6 10-17");
		rig.ops->release(&upload);
		rig_restart(&rig);
		upload = rig_load(&rig, &KEY);
		ck_assert_str_eq(rig_held(upload), "0-6 10-17");
		rig.ops->release(&upload);
		rig_close(&rig);
	}
}
END_TEST

/* The second fdatasync of the same bytes would say that all is well. */
START_TEST(test_store__does_not_trust_the_sync_after_a_failed_one)
{
	struct fault_plan plan = {.kind = FAULT_ERROR, .error = EIO};
	struct ft_upload *upload;
	enum ft_status st;
	struct rig rig;

	fault.hit_sync = false;
	for (plan.nth = 1; !fault.hit_sync; plan.nth++) {
		rig_open(&rig, "fs", FT_DURABILITY_NONE);
		upload = rig_create(&rig, &KEY);
		rig_put_text(&rig, upload, 0, "cached");
		rig.ops->release(&upload);
		rig.config.durability = FT_DURABILITY_SEGMENT;
		rig_restart(&rig);
		fault_arm(&plan);
		st = rig_try_load(&rig, &KEY);
		fault_disarm();
		if (fault.hit_sync)
			ck_assert_int_eq(st, FT_IO_ERROR);
		upload = rig_load(&rig, &KEY);
		ck_assert_str_eq(rig_held(upload), fault.hit_sync ? "" : "0-6");
		rig.ops->release(&upload);
		rig_close(&rig);
	}
}
END_TEST

/* The directory's fsync after the rename: the file must not stay visible, nor be lost. */
START_TEST(test_store__takes_a_published_file_back_when_it_is_not_durable)
{
	struct fault_plan plan = {.kind = FAULT_ERROR, .error = EIO};
	bool taken_back = false;
	struct ft_upload *upload;
	struct ft_work *work;
	struct rig rig;
	enum ft_status st;

	for (plan.nth = 1; !taken_back; plan.nth++) {
		rig_open(&rig, "fs", FT_DURABILITY_FILE);
		upload = rig_create(&rig, &KEY);
		rig_put_text(&rig, upload, 0, "content");
		work = rig_work(&rig, upload);
		fault_arm(&plan);
		st = rig_publish_work(&rig, work, "name", 7);
		fault_disarm();
		rig.ops->work_close(&work);
		ck_assert_msg(fault.hits > 0, "no call was the one");
		taken_back = fault.last_renamed;
		if (taken_back) {
			ck_assert_int_eq(st, FT_IO_ERROR);
			ck_assert(!rig_exists(rig_path(&rig, "files/c%%2F1")));
			ck_assert(rig_exists(rig_path(&rig, "incoming/c%%2F1/f1/data")));
			ck_assert_int_eq(rig_publish(&rig, upload, "name", 7), FT_OK);
		}
		rig.ops->release(&upload);
		rig_close(&rig);
	}
}
END_TEST

FT_SUITE("store single faults",
	 test_store__mends_a_journal_record_that_was_half_overwritten,
	 test_store__does_not_hold_what_it_could_not_put_back,
	 test_store__holds_what_it_found_and_synced_after_a_failed_sync,
	 test_store__does_not_trust_the_sync_after_a_failed_one,
	 test_store__takes_a_published_file_back_when_it_is_not_durable);
