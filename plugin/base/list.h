/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * A doubly linked list whose links live in the listed things.
 *
 *	struct ft_list waiting;			ft_list_init(&waiting);
 *	struct thing { struct ft_link link; };	ft_link_init(&thing->link);
 *	ft_list_push(&waiting, &thing->link);
 *	thing = FT_CONTAINER(ft_list_first(&waiting), struct thing, link);
 *
 * A link is in one list at most; taking out one that is in none does nothing.
 */
#ifndef FT_BASE_LIST_H
#define FT_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct ft_link {
	struct ft_link *next;
	struct ft_link *prev;
};

struct ft_list {
	struct ft_link head;
};

/* The struct of `type` whose `member` is at `pointer`. */
#define FT_CONTAINER(pointer, type, member) \
	((type *)(void *)((char *)(pointer) - offsetof(type, member)))

static inline void ft_link_init(struct ft_link *link)
{
	link->next = link;
	link->prev = link;
}

static inline void ft_list_init(struct ft_list *list)
{
	ft_link_init(&list->head);
}

/* Adds a link, in no list until then, behind another one or at the head of a list. */
static inline void ft_link_insert(struct ft_link *before, struct ft_link *link)
{
	link->prev = before;
	link->next = before->next;
	before->next->prev = link;
	before->next = link;
}

static inline bool ft_link_listed(const struct ft_link *link)
{
	return link->next != link;
}

/* Takes the link out of the list it is in. */
static inline void ft_link_remove(struct ft_link *link)
{
	link->next->prev = link->prev;
	link->prev->next = link->next;
	ft_link_init(link);
}

/* Adds at the end. The link must be in no list. */
static inline void ft_list_push(struct ft_list *list, struct ft_link *link)
{
	link->prev = list->head.prev;
	link->next = &list->head;
	list->head.prev->next = link;
	list->head.prev = link;
}

/* The first link, or NULL. */
static inline struct ft_link *ft_list_first(const struct ft_list *list)
{
	return list->head.next == &list->head ? NULL : list->head.next;
}

/* Takes out and returns the first link, or NULL. */
static inline struct ft_link *ft_list_pop(struct ft_list *list)
{
	struct ft_link *first = ft_list_first(list);

	if (first)
		ft_link_remove(first);
	return first;
}

#endif
