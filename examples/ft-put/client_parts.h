/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What the parts of the client share; not for its users. client.c is what they
 * call and the loop, client_link.c makes and loses connections, client_files.c is the queue
 * and the life of each file, client_send.c puts commands on the link and brings answers back,
 * client_put.c knows when a file goes in one message.
 */
#ifndef FT_PUT_CLIENT_PARTS_H
#define FT_PUT_CLIENT_PARTS_H

#include "../lib/dialer.h"
#include "../lib/pace.h"
#include "../lib/process.h"
#include "client.h"
#include "saved.h"
#include "seal.h"
#include "source.h"
#include "upload.h"

/* Of a file that is encrypted; see client_seal.c. */
enum seal_state {
	SEAL_NONE,
	SEAL_ASKING,				/* does the broker have it? */
	SEAL_WORKING,				/* the source is plain, ciphertext is written */
	SEAL_READY,				/* the source is the ciphertext */
};

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
	bool begun_before;			/* by an earlier run, as the saved state says */
	bool is_small;				/* its checksum is known from the start */
	bool cancelled;
	int64_t told_wait_ms;
	unsigned changes;
	enum seal_state seal;
	bool seal_fresh;			/* what the broker holds is of another ciphertext */
	char *sealed_path;
	struct sealing *sealing;
	uint64_t sealed_bytes;			/* of the plain file */
	struct source source;
	struct upload upload;
	struct file *next;
};

struct publication {
	unsigned key;
	void *tag;
	struct publication *next;
};

/* A transfer that the broker is to forget. */
struct abort_order {
	char file_id[256];
	struct abort_order *next;
};

/*
 * A connection and what comes before and after it. The first one is always there; more are
 * opened once it works (options.connections), and carry segments only. Whichever is the
 * main one asks and is answered: init, fin and the like; another takes over when it breaks.
 */
struct lane {
	struct ft_client *client;
	unsigned number;
	struct dialer dialer;			/* with a client id of its own */
	char *client_id;			/* of lanes but the first */
	bool watched;				/* for what */
	unsigned watched_events;
	bool greeted;				/* the link is ready, and this is known here */
	bool shares;				/* a segment that it sent was taken */
	int64_t taken_ms;			/* client's, when the link began */
};

struct ft_client {
	struct ft_client_options options;
	struct ft_client_events events;
	struct lane *lanes;
	unsigned lane_count;
	unsigned main;				/* lane */
	unsigned turn;				/* the lane that sent last */
	bool ever_ready;
	bool alone;				/* the main lane does it all */
	bool served;				/* the broker answers as this plugin does */
	enum upload_put_support put;		/* whether it knows the upload in one message */
	bool acks_are_vague;			/* a PUBACK 0x10 came, which may mean success */
	int64_t taken_ms;			/* when the broker took something last */
	int64_t headway_ms;			/* or we were busy by ourselves: patience runs since */
	int64_t stepped_ms;			/* when the last step ended */
	int64_t save_ms;
	bool told_not_saved;
	bool paused;
	bool hashing;				/* and there is more to hash */
	bool sealing;				/* and there is more to encrypt */
	struct seal *seal;			/* NULL: files are sent as they are */
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
	int64_t delivered_ms;			/* by an earlier run, at the latest */
	struct publication *publications;
	struct abort_order *aborts;
};

__attribute__((format(printf, 4, 5)))
void client_note(struct ft_client *client, struct file *file, enum ft_client_note note,
		 const char *format, ...);

/* --- client_link.c --- */

/* Makes the lanes, none of them open. False when out of memory. */
bool lanes_new(struct ft_client *client);
void lanes_free(struct ft_client *client);

/* Opens those that are due, does what their descriptors are ready for, sees to those that
 * are lost. */
void lanes_serve(struct ft_client *client, int64_t now);

/* Takes links for dead that have left something unacknowledged for too long. */
void lanes_watch_overdue(struct ft_client *client);

/* Keeps the epoll set as the links need it. */
void lanes_watch(struct ft_client *client);
void client_watch(struct ft_client *client, int fd, int action, unsigned events);

/* The one that asks; it may be down. */
struct lane *client_main(const struct ft_client *client);
bool lane_is_ready(const struct lane *lane);

/* When the next lane is to be opened, or something is to be looked at. */
int64_t lanes_due_ms(const struct ft_client *client, int64_t now);

/* What was given up is tried again. */
void lanes_revive(struct ft_client *client);

/* The broker does not let connections share transfers: the main one goes on. */
void lanes_drop_others(struct ft_client *client);

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

/* The same file again, as it is now, under another id. False: it is over. */
bool file_begin_anew(struct ft_client *client, struct file *file, int64_t now);

/* False: it is over. */
bool file_begin_upload(struct ft_client *client, struct file *file, int64_t now);

/* Puts what the active ones are at into the saved state. */
void files_remember(struct ft_client *client);

/* Hashes what was not hashed on its way; true where there is more to do. */
bool files_hash(struct ft_client *client);

/* --- client_put.c --- */

/* The checksum of a small file, before anything of it is sent. False when libcrypto fails. */
bool put_hash(struct file *file);

/*
 * Whether it may go in one message: it is small and, as far as is known, new to the broker; its
 * name is one level of a topic; there is nothing to tell that only `init` can tell. Of several
 * connections each would need a share of the files.
 */
bool put_is_possible(const struct ft_client *client, const struct file *file);

/* What this one has found out about the broker holds for all. */
void put_note(struct ft_client *client, struct file *file);

/* --- client_seal.c --- */

/* The source has just been opened: chooses the id, and the path of the ciphertext. NULL, or
 * what is wrong. */
const char *seal_name_file(struct ft_client *client, struct file *file);

/* The same is not being sent already. NULL, or what is wrong. */
const char *seal_begin_file(struct file *file);

/* While it is SEAL_WORKING; ends the file, or makes it ready and begins the upload. */
void seal_go_on(struct ft_client *client, struct file *file, int64_t now);

/* Whether a stream is waited for. */
bool seal_wants_more(const struct file *file);

/* Removes the ciphertext. */
void seal_forget(struct file *file);

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
