/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Inside the engine's part on the broker's thread: engine.c has its life, commands.c what
 * clients ask, results.c what the other threads answer, timers.c what time brings, retention.c when
 * finished files go.
 */
#ifndef FT_ENGINE_PRIVATE_H
#define FT_ENGINE_PRIVATE_H

#include "base/identity.h"
#include "engine/admin/admin.h"
#include "engine/core.h"
#include "engine/engine.h"
#include "engine/finished_set.h"
#include "engine/finisher.h"
#include "engine/limits/limits.h"
#include "engine/metrics.h"
#include "engine/refusals.h"
#include "engine/registry.h"
#include "engine/writer.h"
#include "protocol/event.h"

/* What the memory account charges for one range: it is kept here, by the writer, and as durable. */
#define ENGINE_RANGE_COST 48

/*
 * This share of max_memory is left to fins and aborts: they end what others wait for to end.
 * Else who has used up all could neither finish nor abort anything.
 */
#define ENGINE_MEMORY_ENDING 16

struct ft_engine {
	struct ft_core core;
	const struct ft_options *options;
	struct ft_engine_hooks hooks;
	struct ft_registry registry;
	struct ft_finished_set finished;
	struct ft_refusals *refusals;
	struct ft_metrics metrics;
	struct engine_limits limits;
	struct ft_writer *writer;
	struct ft_finishers *finishers;
	struct ft_downloads *downloads;	/* owned; NULL: option downloads is off */
	struct ft_download_events *download_events;	/* owned; NULL: that, or option events */
	uint64_t last_number;
	struct ft_list assembling;	/* transfers whose fin was accepted */
	struct ft_list told;		/* jobs whose response may still be lost; struct engine_told */
	uint64_t passes;		/* of the broker's loop */
	struct ft_list aborts;		/* tickets of transfers that are gone here; struct engine_abort */
	size_t lookups;			/* questions about finished ids on their way */
	size_t charged;			/* bytes that clients make us keep, besides the registry's */
	struct ft_admin admin;
	enum ft_catalog_past past;	/* what was found */
	struct ft_list untold;		/* jobs: what an earlier process left in the outbox */
	int64_t untold_ms;		/* when they are told */
	bool started;
	bool closing;
	enum ft_log_medium log_medium;
	char identity[FT_IDENTITY_ROOM];

	/* What is free on the disk. */
	bool space_known;
	struct ft_space space;		/* when the writer looked, less what was in the log then */
	uint64_t appended;		/* bytes since then */
	uint64_t refused_space;		/* the least that was refused for lack of it; 0: nothing was */

	int64_t begun_ms;
	int64_t now_ms;
	int64_t due_ms;			/* of the timers */
	int64_t swept_ms;
	int64_t no_memory_ms;		/* when a lack of memory is said again */
	int64_t noted_ms;		/* when the time is noted again */
	/* Finished files: retention.c. */
	struct ft_finished_set removing;	/* ids whose file is being removed */
	struct ft_reckoning reckoning;
	enum ft_belief belief;		/* in the clock, when it was looked at last */
	bool retaining;			/* a job is out */
	bool retain_again;		/* there may be more to go: soon */
	size_t retain_skip;		/* files that stay for now: in use, or not to be removed */
	size_t taken_in;		/* finished files that the catalog had not, at the start */
	size_t removed;			/* since that was logged last */
	int64_t retain_ms;		/* when finished files are looked after again */
	int64_t reckoned_ms;		/* when the clock was looked at last; 0: not yet */
	size_t sweep_cursor;
	size_t sweep_left;		/* buckets that are due */
	size_t expiries;		/* in this slice */
};

#define ENGINE_MIN_INODES 1000		/* stay free */

/* How long to wait for room in the log, while the writer makes progress. */
#define ENGINE_ROOM_MS 50

/* An abort that waits for the bytes to be gone. */
struct engine_abort {
	struct ft_link link;
	uint64_t number;
	struct ft_ticket *ticket;	/* owned */
};

/* A job whose result was published, and that goes back to the writer. */
struct engine_told {
	struct ft_link link;
	struct ft_job *job;		/* owned */
	uint64_t pass;			/* of the broker's loop in which it was published */
	int64_t told_ms;
};

/* --- engine.c --- */

/* Appends to the log; waits a moment for room where the writer makes progress. */
enum ft_status engine_append(struct ft_engine *e, const struct ft_log_entry *entry) FT_MUST_USE;

/* Waits for room in the log, while the writer makes progress, for ENGINE_ROOM_MS at most. */
bool engine_wait_room(struct ft_engine *e, enum ft_record_kind kind, size_t records, size_t bytes);

/* A record without anything but its kind. */
enum ft_status engine_append_plain(struct ft_engine *e, enum ft_record_kind kind, uint64_t number,
				   uint16_t flags) FT_MUST_USE;

/* Whether so many bytes more may be kept for clients, but for fins and aborts: FT_BUSY. */
enum ft_status engine_check_memory(const struct ft_engine *e, size_t more) FT_MUST_USE;

/* Brings the memory account and the sums of bytes held up to date with a transfer's ranges. */
void engine_charge_ranges(struct ft_engine *e, struct ft_transfer *t);

/* Adds to the registry and to the account. FT_NO_MEMORY. */
enum ft_status engine_add_transfer(struct ft_engine *e, const struct ft_facts *facts,
				   enum ft_transfer_state state,
				   struct ft_transfer **out) FT_MUST_USE;

/* Forgets a transfer here; nobody may be waiting for it. */
void engine_remove_transfer(struct ft_engine *e, struct ft_transfer **t);

/* A ticket on the account, of a fin or an abort; others ask engine_check_memory() first. FT_BUSY, FT_NO_MEMORY. */
enum ft_status engine_make_ticket(struct ft_engine *e, const struct ft_request *request,
				  struct ft_ticket **out) FT_MUST_USE;
void engine_drop_ticket(struct ft_engine *e, struct ft_ticket **ticket);

/* A ticket in one of a transfer's lists. FT_BUSY, FT_NO_MEMORY. */
enum ft_status engine_wait(struct ft_engine *e, struct ft_transfer *t, struct ft_list *list,
			   const struct ft_request *request) FT_MUST_USE;

/* --- commands.c --- */

/* Appends the record of a fin, of which `request` is to be told; `flags` besides those that it has. */
enum ft_status engine_append_fin(struct ft_engine *e, const struct ft_request *request, uint64_t number,
				 const struct ft_fin *fin, uint16_t flags) FT_MUST_USE;

/* --- results.c --- */

void engine_take_job(struct ft_engine *e, struct ft_job *job);

/* Gives a job back to the writer, once what was published with it has surely left. */
void engine_return(struct ft_engine *e, struct ft_job *job);

/*
 * Gives jobs back to the writer whose response has surely left: a broker that stops drops what
 * was published in the last pass of its loop.
 */
void engine_return_told(struct ft_engine *e);

/* Answers all tickets of a list alike; the reply is completed by topic. Whether all were told. */
bool engine_answer_all(struct ft_engine *e, struct ft_transfer *t, struct ft_list *list,
		       struct ft_reply *reply);

/* Answers everybody who waits for a transfer with an error. */
void engine_answer_everybody(struct ft_engine *e, struct ft_transfer *t, enum ft_status st);

/* Fills in state and held ranges. */
void engine_say_transfer(struct ft_reply *reply, const struct ft_transfer *t);

/* Whether a segment of this transfer that succeeded has a response. */
bool engine_wants_response(const struct ft_engine *e, const struct ft_transfer *t);

/* Publishes a reply; notes refusals for the log. */
bool engine_respond(struct ft_engine *e, const struct ft_request *request,
		    const struct ft_reply *reply);

/* --- events.c --- */

/* Whether anybody is to be told of anything. */
bool engine_tells_events(const struct ft_engine *e);

/* Publishes an event. False: events are off, or it could not be. */
bool engine_tell_event(struct ft_engine *e, const struct ft_event *event);

/* One about an unfinished transfer; `status` is why it FAILED, else FT_OK. */
void engine_tell_transfer(struct ft_engine *e, const struct ft_transfer *t,
			  enum ft_event_type type, enum ft_status status);

/* That a file is complete. False: it is told later, or after the next start. */
bool engine_tell_completed(struct ft_engine *e, const struct ft_finish *finish,
			   const struct ft_transfer *t);

/* What an earlier process left in the outbox: loaded at the start, told when it is due. */
enum ft_status engine_load_events(struct ft_engine *e) FT_MUST_USE;
void engine_tell_untold(struct ft_engine *e);
int64_t engine_untold_due_ms(const struct ft_engine *e);

/* --- metrics.c --- */

/* Brings up to date what in e->metrics is not counted, but found. */
void engine_take_metrics(struct ft_engine *e);

/* Publishes what has changed, every sys_interval. */
void engine_publish_metrics(struct ft_engine *e);

/* When it is due next; INT64_MAX: never. */
int64_t engine_metrics_due_ms(const struct ft_engine *e);

/* --- retention.c --- */

/* Looks after finished files when that is due. */
void engine_retain(struct ft_engine *e);

void engine_take_expired(struct ft_engine *e, struct ft_files *files);
void engine_take_removed(struct ft_engine *e, struct ft_files *files);

/* Whether the file that was finished under a key is on its way out: a moment later it is gone. */
bool engine_is_removing(const struct ft_engine *e, const struct ft_key *key);

/* --- timers.c --- */

void engine_run_timers(struct ft_engine *e);

/* Bytes that may be taken in; UINT64_MAX: no limit. */
uint64_t engine_available(const struct ft_engine *e);

/* Whether too few inodes are left for another transfer. */
bool engine_lacks_inodes(const struct ft_engine *e);

/* Seconds that a transfer may be without news. */
uint64_t engine_ttl_s(const struct ft_engine *e, uint64_t asked_s);

/* From now on somebody waits for the end of an assembly; for assemble_timeout at most. */
void engine_note_assembling(struct ft_engine *e, struct ft_transfer *t);

/* A command was carried out. */
void engine_note_news(struct ft_engine *e, struct ft_transfer *t);

#endif
