/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <check.h>

#include "file_transfer/status.h"

#include "../suite.h"

/* The contract once more, written down apart from the table that implements it. */
static const struct {
	enum ft_status status;
	const char *word;
	unsigned code;
	enum ft_puback puback;
} contract[] = {
	{ FT_OK, "success", 0x00, FT_PUBACK_SUCCESS },
	{ FT_NO_SUCH_TRANSFER, "no_such_transfer", 0x10, FT_PUBACK_BEGIN_AGAIN },
	{ FT_FILE_CHECKSUM_MISMATCH, "file_checksum_mismatch", 0x10, FT_PUBACK_BEGIN_AGAIN },
	{ FT_CHECKSUM_MISMATCH, "checksum_mismatch", 0x80, FT_PUBACK_REFUSED },
	{ FT_INCOMPLETE, "incomplete", 0x80, FT_PUBACK_REFUSED },
	{ FT_IO_ERROR, "io_error", 0x80, FT_PUBACK_REFUSED },
	{ FT_TIMEOUT, "timeout", 0x80, FT_PUBACK_REFUSED },
	{ FT_INTERNAL_ERROR, "internal_error", 0x80, FT_PUBACK_REFUSED },
	{ FT_INVALID_FILEID, "invalid_fileid", 0x83, FT_PUBACK_REFUSED },
	{ FT_INVALID_FILE_COMMAND, "invalid_file_command", 0x83, FT_PUBACK_REFUSED },
	{ FT_INVALID_OFFSET, "invalid_offset", 0x83, FT_PUBACK_REFUSED },
	{ FT_INVALID_SIZE, "invalid_size", 0x83, FT_PUBACK_REFUSED },
	{ FT_INVALID_CHECKSUM, "invalid_checksum", 0x83, FT_PUBACK_REFUSED },
	{ FT_INVALID_FILEMETA, "invalid_filemeta", 0x83, FT_PUBACK_REFUSED },
	{ FT_INVALID_FILEMETA_JSON, "invalid_filemeta_json", 0x83, FT_PUBACK_REFUSED },
	{ FT_FILEMETA_CONFLICT, "filemeta_conflict", 0x83, FT_PUBACK_REFUSED },
	{ FT_ALREADY_COMPLETE, "already_complete", 0x83, FT_PUBACK_REFUSED },
	{ FT_FILE_TOO_LARGE, "file_too_large", 0x83, FT_PUBACK_REFUSED },
	{ FT_SEGMENT_TOO_LARGE, "segment_too_large", 0x83, FT_PUBACK_REFUSED },
	{ FT_NAME_REFUSED, "name_refused", 0x83, FT_PUBACK_REFUSED },
	{ FT_FILE_CHANGED, "file_changed", 0x10, FT_PUBACK_BEGIN_AGAIN },
	{ FT_NO_SUCH_FILE, "no_such_file", 0x83, FT_PUBACK_REFUSED },
	{ FT_INVALID_PATH, "invalid_path", 0x83, FT_PUBACK_REFUSED },
	{ FT_INVALID_LENGTH, "invalid_length", 0x83, FT_PUBACK_REFUSED },
	{ FT_INVALID_REPORT, "invalid_report", 0x83, FT_PUBACK_REFUSED },
	{ FT_BLOCK_TOO_LARGE, "block_too_large", 0x83, FT_PUBACK_REFUSED },
	{ FT_REJECTED, "rejected", 0x83, FT_PUBACK_REFUSED },
	{ FT_QUOTA_EXCEEDED, "quota_exceeded", 0x97, FT_PUBACK_QUOTA },
	{ FT_DISK_FULL, "disk_full", 0x97, FT_PUBACK_QUOTA },
	{ FT_TOO_MANY_TRANSFERS, "too_many_transfers", 0x97, FT_PUBACK_QUOTA },
	{ FT_RATE_LIMITED, "rate_limited", 0x97, FT_PUBACK_QUOTA },
	{ FT_PAUSED, "paused", 0x97, FT_PUBACK_QUOTA },
	{ FT_BUSY, "busy", 0x97, FT_PUBACK_QUOTA },
	{ FT_NO_MEMORY, "internal_error", 0x80, FT_PUBACK_REFUSED },
	{ FT_DAMAGED, "no_such_transfer", 0x10, FT_PUBACK_BEGIN_AGAIN },
	{ FT_CANCELLED, "internal_error", 0x80, FT_PUBACK_REFUSED },
};

START_TEST(test_status__says_what_the_contract_says)
{
	ck_assert_uint_eq(sizeof contract / sizeof contract[0], FT_STATUS_COUNT);
	for (size_t i = 0; i < FT_STATUS_COUNT; i++) {
		enum ft_status status = contract[i].status;

		ck_assert_str_eq(ft_status_word(status), contract[i].word);
		ck_assert_uint_eq(ft_status_code(status), contract[i].code);
		ck_assert_int_eq(ft_status_puback(status), contract[i].puback);
	}
}
END_TEST

START_TEST(test_status__success_is_zero)
{
	ck_assert_int_eq(FT_OK, 0);
}
END_TEST

START_TEST(test_status__tells_to_wait_just_where_waiting_helps)
{
	for (int i = 0; i < FT_STATUS_COUNT; i++) {
		enum ft_status status = (enum ft_status)i;

		ck_assert_int_eq(ft_status_retry_after(status) > 0,
				 ft_status_puback(status) == FT_PUBACK_QUOTA);
	}
}
END_TEST

START_TEST(test_status__has_one_line_of_text_for_people)
{
	for (int i = 0; i < FT_STATUS_COUNT; i++) {
		const char *text = ft_status_text((enum ft_status)i);

		ck_assert_uint_gt(strlen(text), 0);
		ck_assert_ptr_null(strpbrk(text, "\r\n\"\\"));
	}
}
END_TEST

FT_SUITE("status",
	 test_status__says_what_the_contract_says,
	 test_status__success_is_zero,
	 test_status__tells_to_wait_just_where_waiting_helps,
	 test_status__has_one_line_of_text_for_people);
