/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "protocol/request.h"

#include <check.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "../suite.h"

START_TEST(test_ticket__is_a_copy_of_its_own)
{
	char client[] = "cam7", topic[] = "$file/f/fin/1", response[] = "replies/cam7";
	char correlation[] = { 'a', '\0', 'b' };
	struct ft_request request = {
		.client_id = client, .owner = "owner", .owner_len = 5, .topic = topic,
		.response_topic = response, .correlation = correlation, .correlation_len = 3,
	};
	struct ft_ticket *ticket = ft_ticket_new(&request);

	ck_assert_ptr_nonnull(ticket);
	client[0] = topic[0] = response[0] = correlation[0] = 'X';
	ck_assert_str_eq(ticket->request.client_id, "cam7");
	ck_assert_str_eq(ticket->request.topic, "$file/f/fin/1");
	ck_assert_str_eq(ticket->request.response_topic, "replies/cam7");
	ck_assert_uint_eq(ticket->request.correlation_len, 3);
	ck_assert(memcmp(ticket->request.correlation, "a\0b", 3) == 0);
	ck_assert(ticket->request.owner == NULL && ticket->request.owner_len == 0);
	ft_ticket_free(&ticket);
	ck_assert_ptr_null(ticket);
	ft_ticket_free(&ticket);
}
END_TEST

START_TEST(test_ticket__tells_no_correlation_from_an_empty_one)
{
	struct ft_request request = { .client_id = "", .topic = "t" };
	struct ft_ticket *without = ft_ticket_new(&request), *with;

	request.correlation = "";
	with = ft_ticket_new(&request);
	ck_assert_ptr_null(without->request.correlation);
	ck_assert_ptr_nonnull(with->request.correlation);
	ck_assert_uint_eq(with->request.correlation_len, 0);
	ck_assert_ptr_null(without->request.response_topic);
	ft_ticket_free(&without);
	ft_ticket_free(&with);
}
END_TEST

START_TEST(test_ticket__says_beforehand_how_large_it_is)
{
	static const char blank[65536];
	char *text = malloc(65536);

	memset(text, 'x', 65535);
	text[65535] = '\0';
	for (size_t len = 0; len <= 65535; len += len < 40 ? 1 : 65535 - 40) {
		struct ft_request request = {
			.client_id = text + 65535 - len, .topic = "t", .response_topic = "r",
			.correlation = blank, .correlation_len = (uint16_t)len,
		};
		struct ft_ticket *ticket = ft_ticket_new(&request);
		size_t size = ft_ticket_size(&request);

		ck_assert_uint_eq(ft_ticket_size(&ticket->request), size);
		ck_assert_uint_ge(size, sizeof *ticket + 2 * len);
#ifdef __GLIBC__
		/* What the heap really gave: an account that says much less can be filled beyond. */
		ck_assert_uint_le(malloc_usable_size(ticket), size + size / 16);
		ck_assert_uint_ge(malloc_usable_size(ticket) + 64, size);
#endif
		ft_ticket_free(&ticket);
	}
	free(text);
}
END_TEST

FT_SUITE("request",
	 test_ticket__is_a_copy_of_its_own,
	 test_ticket__tells_no_correlation_from_an_empty_one,
	 test_ticket__says_beforehand_how_large_it_is);
