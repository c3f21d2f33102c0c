/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include <check.h>

/* Included, so that both ways can be tried wherever the test runs. */
#include "base/crc32c.c"

#include "../suite.h"

START_TEST(test_crc32c__is_that_of_rfc_3720)
{
	static const uint8_t read_command[48] = {
		[0] = 0x01, [1] = 0xc0, [16] = 0x14, [22] = 0x04, [27] = 0x14, [31] = 0x18,
		[32] = 0x28, [40] = 0x02,
	};
	uint8_t bytes[32] = { 0 };

	ck_assert_uint_eq(ft_crc32c(0, bytes, sizeof bytes), 0x8a9136aa);
	memset(bytes, 0xff, sizeof bytes);
	ck_assert_uint_eq(ft_crc32c(0, bytes, sizeof bytes), 0x62a8ab43);
	for (uint8_t i = 0; i < 32; i++)
		bytes[i] = i;
	ck_assert_uint_eq(ft_crc32c(0, bytes, sizeof bytes), 0x46dd794e);
	for (uint8_t i = 0; i < 32; i++)
		bytes[i] = (uint8_t)(31 - i);
	ck_assert_uint_eq(ft_crc32c(0, bytes, sizeof bytes), 0x113fdb5c);
	ck_assert_uint_eq(ft_crc32c(0, read_command, sizeof read_command), 0xd9963a56);
}
END_TEST

START_TEST(test_crc32c__of_digits_is_the_check_value)
{
	ck_assert_uint_eq(ft_crc32c(0, "123456789", 9), 0xe3069283);
}
END_TEST

START_TEST(test_crc32c__of_nothing_is_zero)
{
	ck_assert_uint_eq(ft_crc32c(0, NULL, 0), 0);
}
END_TEST

START_TEST(test_crc32c__changes_with_every_bit_of_a_record)
{
	uint8_t record[32];
	uint32_t before;

	for (size_t i = 0; i < sizeof record; i++)
		record[i] = (uint8_t)(i * 37);
	before = ft_crc32c(0, record, sizeof record);
	for (size_t bit = 0; bit < 8 * sizeof record; bit++) {
		record[bit / 8] ^= (uint8_t)(1u << bit % 8);
		ck_assert_uint_ne(ft_crc32c(0, record, sizeof record), before);
		record[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	ck_assert_uint_ne(ft_crc32c(0, record, sizeof record - 1), before);
}
END_TEST

START_TEST(test_crc32c__by_table_and_by_instruction_are_one)
{
	uint8_t room[80];

	for (size_t i = 0; i < sizeof room; i++)
		room[i] = (uint8_t)(i * 151 + 7);
	for (size_t begin = 0; begin < 8; begin++) {
		for (size_t len = 0; begin + len <= sizeof room; len++) {
			uint32_t table = ~crc_by_table(UINT32_MAX, room + begin, len);

			ck_assert_uint_eq(ft_crc32c(0, room + begin, len), table);
			if (crc_has_instruction())
				ck_assert_uint_eq(~crc_by_instruction(UINT32_MAX, room + begin, len), table);
		}
	}
	/* As in the check value of the whole. */
	ck_assert_uint_eq(~crc_by_table(UINT32_MAX, (const uint8_t *)"123456789", 9), 0xe3069283);
}
END_TEST

FT_SUITE("crc32c",
	 test_crc32c__by_table_and_by_instruction_are_one,
	 test_crc32c__is_that_of_rfc_3720,
	 test_crc32c__of_digits_is_the_check_value,
	 test_crc32c__of_nothing_is_zero,
	 test_crc32c__changes_with_every_bit_of_a_record);
