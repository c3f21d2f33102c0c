/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What the parts of the client share; not for its users. client.c is what they
 * call and the loop, client_link.c makes and loses connections, client_files.c is the queue
 * and the life of each file, client_send.c puts commands on the link and brings answers back.
 */
#ifndef FT_PUT_CLIENT_PARTS_H
#define FT_PUT_CLIENT_PARTS_H

#include "client.h"
#include "pace.h"
#include "saved.h"
#include "source.h"
#include "upload.h"

struct file {
	struct ft_client_file info;
	struct ft_client_file_options options;	/* the strings are owned */
	char *path;
	char *name;
	char *place;				/* in the saved state; NULL: not kept */
	char file_id[256];
	int fd;					/* as given, or -1 */
	bool has_source;
	bool has_upload;
	bool watched;				/* its descriptor is in the epoll set */
	bool always_readable;			/* epoll cannot tell */
	bool told_held;
	bool file_failed;
	bool cancelled;
	int64_t told_wait_ms;
	unsigned changes;
	struct source source;
	struct upload upload;
	struct file *next;
};

struct publication {
	int mid;
	void *tag;
	struct publication *next;
};

/* A transfer that the broker is to forget. */
struct abort_order {
	char file_id[256];
	struct abort_order *next;
};

struct ft_client {
	struct ft_client_options options;
	struct ft_client_events events;
	struct link link;
	bool link_open;
	bool link_watched;			/* for what */
	unsigned watched_events;
	bool ever_ready;
	bool served;				/* the broker answers as this plugin does */
	bool was_ready;				/* on this link */
	unsigned attempt;
	int64_t retry_ms;
	int64_t taken_ms;			/* when the broker took something last */
	int64_t link_taken_ms;			/* the same, when the link began */
	int64_t headway_ms;			/* or we were busy by ourselves: patience runs since */
	int64_t stepped_ms;			/* when the last step ended */
	int64_t save_ms;
	bool told_not_saved;
	bool paused;
	bool hashing;				/* and there is more to hash */
	struct pace pace;
	int64_t not_before_ms;			/* for every file */
	void *buffer;				/* one segment */
	size_t buffer_bytes;
	unsigned in_flight;			/* segments of all files */
	int epoll;
	struct file *queue;
	struct file **queue_end;
	struct file *active;			/* in the order in which they were added */
	unsigned active_count;
	unsigned unfinished;
	bool any_cancelled;
	unsigned numbers;
	enum ft_client_result result;
	struct saved saved;
	struct publication *publications;
	struct abort_order *aborts;
};

int64_t client_now_ms(void);
__attribute__((format(printf, 4, 5)))
void client_note(struct ft_client *client, struct file *file, enum ft_client_note note,
		 const char *format, ...);

/* --- client_link.c --- */

void client_open_link(struct ft_client *client, int64_t now);

/* The first thing to do when it is ready. */
void client_greet(struct ft_client *client, int64_t now);

/* Takes a link for dead that has left something unacknowledged for too long. */
void client_watch_overdue(struct ft_client *client);

/* It is lost or refused: says so, and whether there will be another one. */
void client_end_link(struct ft_client *client, int64_t now);

void client_close_link(struct ft_client *client);

/* Keeps the epoll set as the link needs it. */
void client_watch_link(struct ft_client *client);
void client_watch(struct ft_client *client, int fd, int action, unsigned events);

/* --- client_files.c --- */

/* Opens as many of the queue as are needed to keep the link busy. */
void files_admit(struct ft_client *client, int64_t now);

/* Ends those that are over; begins those again that have changed. */
void files_settle(struct ft_client *client, int64_t now);

/* All unfinished ones. */
void files_fail(struct ft_client *client, enum ft_client_result result, const char *why);
void file_finish(struct ft_client *client, struct file *file, enum ft_client_result result,
		 int code, const char *text);
void files_free(struct ft_client *client);

/* Puts what the active ones are at into the saved state. */
void files_remember(struct ft_client *client);

/* Hashes what was not hashed on its way; true where there is more to do. */
bool files_hash(struct ft_client *client);

/* --- client_send.c --- */

/* Sends what may go now. */
void send_all(struct ft_client *client, int64_t now);

/* Asks the broker to forget a transfer, as soon as there is a connection. */
void send_abort(struct ft_client *client, const char *file_id);

void send_aborts(struct ft_client *client);

/* Whether bytes of this stream are wanted now. */
bool send_wants_more(struct ft_client *client, const struct file *file, int64_t now);

extern const struct link_events send_link_events;

#endif
