/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Notices changes in the folders of offers and jobs as they happen (inotify(7)), so that a file is
 * offered within a second or two and not only after offers_interval. It is help, no truth: folders
 * on other machines tell nothing, and the kernel's watches are limited; looking goes on anyway.
 *
 *	watch = ft_offer_watch_new(core);	NULL: there is none, which was logged
 *	ft_offer_watch_add(watch, dir);		the scanner's thread, before it reads a folder
 *	if (ft_offer_watch_take(watch)) look	the broker's, when it was woken
 *	ft_offer_watch_free(&watch);		the broker's; no scan is at work
 *
 * A thread of its own waits for the kernel, and wakes the broker's. NULL is a watch that never
 * notices anything.
 */
#ifndef FT_ENGINE_OFFER_WATCH_H
#define FT_ENGINE_OFFER_WATCH_H

#include "engine/core.h"

struct ft_offer_watch;

struct ft_offer_watch *ft_offer_watch_new(struct ft_core *core);

/* Changes of the open folder are noticed from now on. */
void ft_offer_watch_add(struct ft_offer_watch *watch, int dir);

/* A look has taken so long: what changes all the time is looked at a tenth of the time at most. */
void ft_offer_watch_note_cost(struct ft_offer_watch *watch, int64_t took_ms);

/* Whether anything has changed since this was asked last. */
bool ft_offer_watch_take(struct ft_offer_watch *watch);

void ft_offer_watch_free(struct ft_offer_watch **watch);

#endif
