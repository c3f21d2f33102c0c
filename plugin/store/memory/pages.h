/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Bytes at any offset up to 2^63, kept in memory in pages of 64 KiB; what was never
 * written takes no room and reads as zeroes.
 *
 *	struct ft_pages pages = {0};
 *	if ((st = ft_pages_prepare(&pages, offset, len)) != FT_OK) return st;
 *	ft_pages_write(&pages, offset, bytes, len);
 *	ft_pages_release(&pages);
 *
 * Threads: the owner serialises.
 */
#ifndef FT_STORE_MEMORY_PAGES_H
#define FT_STORE_MEMORY_PAGES_H

#include <stddef.h>
#include <stdint.h>

#include "file_transfer/status.h"

#define FT_PAGE_LEN ((size_t)64 * 1024)

struct ft_page {
	uint64_t number;	/* of the page: offset / FT_PAGE_LEN */
	char *bytes;
};

struct ft_pages {
	struct ft_page *items;	/* ascending */
	size_t count;
	size_t room;
};

/* Makes sure that the pages of [offset, offset + len) are there. FT_NO_MEMORY: some may be. */
enum ft_status ft_pages_prepare(struct ft_pages *pages, uint64_t offset, size_t len) FT_MUST_USE;

/* Writes into prepared pages. */
void ft_pages_write(struct ft_pages *pages, uint64_t offset, const void *bytes, size_t len);

void ft_pages_read(const struct ft_pages *pages, uint64_t offset, void *bytes, size_t len);

/* Frees the pages that begin at or behind `size`. */
void ft_pages_cut(struct ft_pages *pages, uint64_t size);

void ft_pages_release(struct ft_pages *pages);

#endif
