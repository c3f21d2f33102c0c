/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Uploads files to a Mosquitto broker with the file transfer plugin, from within
 * another program: a device's agent, say. Needs libmosquitto, cJSON, libssl and libcrypto, and
 * all of *.c beside this header but options.c, report.c and walk.c, which are the command line's;
 * of examples/lib addresses.c, dialer.c, disk.c, link.c, members.c, pace.c, process.c, sha256.c,
 * spans.c and tls.c.
 *
 * It starts no thread and never blocks, but for the look-up of the host name. Drive it
 * from a loop of your own:
 *
 *	struct ft_client *client = ft_client_new(&options, &events);
 *	ft_client_add_path(client, "/var/log/today", NULL);
 *	while (ft_client_unfinished(client)) {
 *		poll ft_client_fd(client) for POLLIN, ft_client_timeout_ms(client) at most;
 *		ft_client_step(client);
 *	}
 *	ft_client_free(client);
 *
 * or call ft_client_run(), which does that. Callbacks come out of ft_client_step() and
 * ft_client_free(); they may call everything here but these two and ft_client_run().
 * One thread at a time may use a client. Before the first one mosquitto_lib_init() is
 * to be called, and SIGPIPE ignored.
 */
#ifndef FT_PUT_CLIENT_H
#define FT_PUT_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../lib/dialer.h"

enum ft_client_result {
	FT_CLIENT_DONE,			/* the broker has the file, verified, and said so */
	FT_CLIENT_RUNNING,
	FT_CLIENT_FILE,			/* cannot be read, or keeps changing */
	FT_CLIENT_LINK,			/* no connection */
	FT_CLIENT_DENIED,		/* password, certificate, rights, no plugin */
	FT_CLIENT_REFUSED,		/* the broker will not take this file */
	FT_CLIENT_GAVE_UP,		/* trying again later may help */
	FT_CLIENT_INTERNAL,		/* memory */
};

/* Zero is the default in every member. The strings must outlive the client. */
struct ft_client_options {
	struct link_options link;	/* client_id and host (or unix_path) are required */
	unsigned connections;		/* 1; more where the broker has "owner username" */
	uint64_t segment_bytes;		/* fixed; 0: adaptive */
	uint64_t segment_max_bytes;	/* of adaptive ones; 256 KiB */
	uint64_t rate;			/* bytes a second; 0: no limit */
	bool segment_checksums;
	enum dialer_reconnect reconnect;
	unsigned backoff_min_ms;	/* 500; doubles each time, up to */
	unsigned backoff_max_ms;	/* 30000; with jitter */
	unsigned ack_timeout_s;		/* 30: then the link is taken for dead */
	unsigned patience_s;		/* give up after so long without headway; 0: never */
	unsigned files_at_once;		/* 64 */
	const char **recipients;	/* certificates to encrypt for, up to a NULL; NULL: none */
	const char *seal_dir;		/* where ciphertext is kept until it is delivered */
	const char *state_path;		/* what outlives the process; NULL: nothing does */
};

/* Zero is the default here, too. What is pointed to is copied. */
struct ft_client_file_options {
	const char *name;		/* at the broker; that of the path */
	const char *file_id;		/* made from path, size and time of modification */
	const char *user_data;		/* JSON */
	uint64_t ttl_s;			/* how long the broker keeps it unfinished */
	uint64_t expire_s;		/* after so long the broker may delete the finished file */
	bool from_scratch;		/* forget what the broker holds */
	void *tag;			/* yours */
};

struct ft_client_file {
	unsigned number;		/* 1, 2, ... in the order in which they were added */
	const char *path;		/* NULL for a descriptor */
	const char *name;
	const char *file_id;		/* NULL before its turn */
	uint64_t size;			/* of a stream: what was read so far */
	bool size_known;
	uint64_t held;			/* by the broker */
	char sha256[65];		/* "" before it is known */
	void *tag;
};

enum ft_client_note {
	FT_CLIENT_CONNECTED,		/* or another connection takes over */
	FT_CLIENT_RETRY,		/* link lost, or not made; it is tried again */
	FT_CLIENT_OFFLINE,		/* the same, but it is not; adding a file tries again */
	FT_CLIENT_WAITS,		/* the broker asked for a pause */
	FT_CLIENT_RESUMES,		/* the broker holds a part already */
	FT_CLIENT_CHANGED,		/* another file now: it is sent under a new id */
	FT_CLIENT_NOT_SAVED,		/* the state cannot be written */
	FT_CLIENT_ALONE,		/* one connection does it: the broker keeps clients apart */
	FT_CLIENT_IN_PARTS,		/* the broker does not know the upload in one message */
};

/* All may be NULL. `file` and `text` last for the call. */
struct ft_client_events {
	void *context;
	/* `code` is the broker's reason code, or -1. The last word on this file. */
	void (*finished)(void *context, const struct ft_client_file *file,
			 enum ft_client_result result, int code, const char *text);
	/* The broker holds this segment, even if it is killed. */
	void (*segment)(void *context, const struct ft_client_file *file, uint64_t offset,
			uint64_t len);
	/* `file` is NULL where it concerns all. */
	void (*note)(void *context, const struct ft_client_file *file, enum ft_client_note note,
		     const char *text);
	/* What came for ft_client_subscribe(). */
	void (*message)(void *context, const char *topic, const void *payload, size_t len);
	/* Of ft_client_publish(): acknowledged, or the link broke before that. */
	void (*published)(void *context, void *tag, bool acknowledged);
};

struct ft_client;

/* Begins to connect with the first step. NULL: errno says why. */
struct ft_client *ft_client_new(const struct ft_client_options *options,
				const struct ft_client_events *events);

/* Saves the state, says goodbye. Unfinished files are not reported. */
void ft_client_free(struct ft_client *client);

/*
 * Puts a file at the end of the queue and returns its number, 0 when out of memory.
 * It is opened when its turn comes.
 */
unsigned ft_client_add_path(struct ft_client *client, const char *path,
			    const struct ft_client_file_options *options);

/*
 * The same for a descriptor, which stays the caller's and must stay open until the file
 * is finished. A pipe or terminal is sent until its end; `options->name` is required.
 */
unsigned ft_client_add_fd(struct ft_client *client, int fd,
			  const struct ft_client_file_options *options);

/* Reported as FT_CLIENT_GAVE_UP; the broker forgets it. False: no such unfinished file. */
bool ft_client_cancel(struct ft_client *client, unsigned number);

/* One descriptor for the client's life; wait until it is readable. */
int ft_client_fd(const struct ft_client *client);

/* Call ft_client_step() after so long at the latest. */
int ft_client_timeout_ms(struct ft_client *client);

void ft_client_step(struct ft_client *client);

/* Files added and not yet reported as finished. */
unsigned ft_client_unfinished(const struct ft_client *client);

/* Calls `tell` for each of those that have had their turn. */
void ft_client_each(struct ft_client *client,
		    void (*tell)(void *context, const struct ft_client_file *file), void *context);

/*
 * Blocks until all files are finished, or `seconds` have passed, or a signal came
 * (FT_CLIENT_RUNNING). Otherwise the first result that is not FT_CLIENT_DONE, if any.
 */
enum ft_client_result ft_client_run(struct ft_client *client, double seconds);

bool ft_client_is_connected(const struct ft_client *client);

/* No more segments from now on; the connection stays. */
void ft_client_pause(struct ft_client *client);
void ft_client_resume(struct ft_client *client);

/* Bytes a second from now on; 0: no limit. */
void ft_client_set_rate(struct ft_client *client, uint64_t rate);

/*
 * Other messages over the same connection. They go before all segments, whatever the
 * pace. False: not connected. `tag` comes back in `published`; after false there, it
 * is the caller's to send it again.
 */
bool ft_client_publish(struct ft_client *client, const char *topic, const void *payload,
		       size_t len, int qos, void *tag);

/* For the connection there is now: call it again at each FT_CLIENT_CONNECTED. */
bool ft_client_subscribe(struct ft_client *client, const char *filter, int qos);

/* Writes the state now; ft_client_free() and every ten seconds do it, too. */
bool ft_client_save(struct ft_client *client);

#endif
