/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "store/memory/pages.h"

/* The first page whose number is not below `number`. */
static size_t seek(const struct ft_pages *pages, uint64_t number)
{
	size_t low = 0, high = pages->count;

	/* Most writes go to the end. */
	if (high > 0 && pages->items[high - 1].number < number)
		return high;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (pages->items[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static char *page(const struct ft_pages *pages, uint64_t number)
{
	size_t at = seek(pages, number);

	if (at < pages->count && pages->items[at].number == number)
		return pages->items[at].bytes;
	return NULL;
}

static enum ft_status grow(struct ft_pages *pages)
{
	size_t room = pages->room ? pages->room * 2 : 4;
	struct ft_page *items;

	if (pages->count < pages->room)
		return FT_OK;
	items = realloc(pages->items, room * sizeof *items);
	if (!items)
		return FT_NO_MEMORY;
	pages->items = items;
	pages->room = room;
	return FT_OK;
}

static enum ft_status add_page(struct ft_pages *pages, uint64_t number)
{
	size_t at = seek(pages, number);
	enum ft_status st;
	char *bytes;

	if (at < pages->count && pages->items[at].number == number)
		return FT_OK;
	if ((st = grow(pages)) != FT_OK)
		return st;
	bytes = calloc(1, FT_PAGE_LEN);
	if (!bytes)
		return FT_NO_MEMORY;
	memmove(pages->items + at + 1, pages->items + at,
		(pages->count - at) * sizeof *pages->items);
	pages->items[at] = (struct ft_page){.number = number, .bytes = bytes};
	pages->count++;
	return FT_OK;
}

/* How many of `len` bytes at `offset` lie in its page. */
static size_t in_page(uint64_t offset, size_t len)
{
	size_t rest = FT_PAGE_LEN - (size_t)(offset % FT_PAGE_LEN);

	return len < rest ? len : rest;
}

enum ft_status ft_pages_prepare(struct ft_pages *pages, uint64_t offset, size_t len)
{
	enum ft_status st = FT_OK;

	while (len > 0 && st == FT_OK) {
		size_t step = in_page(offset, len);

		st = add_page(pages, offset / FT_PAGE_LEN);
		offset += step;
		len -= step;
	}
	return st;
}

void ft_pages_write(struct ft_pages *pages, uint64_t offset, const void *bytes, size_t len)
{
	const char *from = bytes;

	while (len > 0) {
		size_t step = in_page(offset, len);

		memcpy(page(pages, offset / FT_PAGE_LEN) + offset % FT_PAGE_LEN, from, step);
		from += step;
		offset += step;
		len -= step;
	}
}

void ft_pages_read(const struct ft_pages *pages, uint64_t offset, void *bytes, size_t len)
{
	char *to = bytes;

	while (len > 0) {
		size_t step = in_page(offset, len);
		const char *from = page(pages, offset / FT_PAGE_LEN);

		if (from)
			memcpy(to, from + offset % FT_PAGE_LEN, step);
		else
			memset(to, 0, step);
		to += step;
		offset += step;
		len -= step;
	}
}

void ft_pages_cut(struct ft_pages *pages, uint64_t size)
{
	size_t keep = seek(pages, size / FT_PAGE_LEN + (size % FT_PAGE_LEN != 0));

	while (pages->count > keep)
		free(pages->items[--pages->count].bytes);
}

void ft_pages_release(struct ft_pages *pages)
{
	ft_pages_cut(pages, 0);
	free(pages->items);
	*pages = (struct ft_pages){.items = NULL};
}
