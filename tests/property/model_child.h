/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * An engine in a process of its own, so that it can be killed.
 *
 * The parent sends commands over a socket; the child carries them out and reports each
 * answer as it is given. What was reported before the child died counts as acknowledged.
 *
 * The child may be told to die at its Nth call that changes files: before it, after it,
 * or between two pages of a write. And it keeps a copy of each file as of its last fsync,
 * named by inode: what a power cut leaves at least, see child_revert().
 */
#ifndef FT_TESTS_MODEL_CHILD_H
#define FT_TESTS_MODEL_CHILD_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef STATX_BTIME	/* musl has had statx() for a short time only */
#include <linux/stat.h>
#endif

#include "base/system.h"
#include "engine/engine.h"

#define CHILD_PATH_MAX 1024

enum wire_kind { WIRE_COMMAND, WIRE_RUN, WIRE_STOP, WIRE_PUBACK, WIRE_RESPONSE, WIRE_LOG, WIRE_DONE };

/* Both directions; followed by the topic, then the payload. */
struct wire {
	uint32_t kind;
	uint32_t seq;
	uint32_t topic_len;	/* with its NUL */
	uint32_t len;
	int32_t status;		/* PUBACK */
	uint32_t wait_ms;	/* RUN: for work to come back */
	uint32_t die_at;	/* the Nth call from now; 0: as before */
	uint32_t die_how;
	int64_t now_ms;
	char client[32];
};

enum die_how { DIE_BEFORE, DIE_AFTER, DIE_HALFWAY, DIE_HOWS };

struct child_setup {
	const char *backend;
	enum ft_durability durability;
	uint64_t max_file_size;
	uint64_t max_segment_size;
	size_t max_open;
	char dir[64];
	char images[80];	/* of files as of their last fsync; "": not kept */
	char boot_id[FT_UUID_ROOM];
	int64_t now_ms;
	uint32_t die_at;
	uint32_t die_how;
	bool quiet;
};

struct child {
	pid_t pid;
	int fd;
};

/* --- calls that change files: to die at, and to remember what is durable --- */

static atomic_uint child_die_at;
static atomic_uint child_die_how;
static const char *child_images;

static void child_die(void)
{
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

/* Whether this is the call to die at, `how` telling where. */
static bool child_dies(enum die_how *how)
{
	unsigned left = atomic_load(&child_die_at);

	while (left > 0 && !atomic_compare_exchange_weak(&child_die_at, &left, left - 1))
		continue;
	*how = (enum die_how)atomic_load(&child_die_how);
	return left == 1;
}

/* The image of an open file, by inode, generation and time of birth: inodes are used again. */
static bool child_image(char path[160], const char *images, int fd)
{
	struct statx info;
	long generation = 0;

	if (!images || !*images
	    || syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &info) != 0
	    || !S_ISREG(info.stx_mode))
		return false;
	(void)(ioctl(fd, FS_IOC_GETVERSION, &generation) == 0);	/* not every file system has it */
	snprintf(path, 160, "%.80s/%llu-%ld-%lld.%u", images, (unsigned long long)info.stx_ino,
		 generation, (long long)info.stx_btime.tv_sec, info.stx_btime.tv_nsec);
	return true;
}

#define CHILD_CALL(type, name, parameters, call) \
	type name parameters \
	{ \
		enum die_how how; \
		bool dies = child_dies(&how); \
		type result; \
		if (dies && how != DIE_AFTER) \
			child_die(); \
		result = (type)(call); \
		if (dies) \
			child_die(); \
		return result; \
	}

CHILD_CALL(int, renameat, (int from_dir, const char *from, int to_dir, const char *to),
	   syscall(SYS_renameat2, from_dir, from, to_dir, to, 0))
CHILD_CALL(int, unlinkat, (int dir, const char *path, int flags),
	   syscall(SYS_unlinkat, dir, path, flags))
CHILD_CALL(int, mkdirat, (int dir, const char *path, mode_t mode),
	   syscall(SYS_mkdirat, dir, path, mode))
CHILD_CALL(int, ftruncate, (int fd, off_t len), syscall(SYS_ftruncate, fd, (long)len))

/* A kernel copies page by page, and looks between pages whether the process is to die. */
static size_t child_half(size_t len, off_t offset)
{
	size_t pages = ((size_t)offset % 4096 + len) / 4096;

	return pages == 0 ? 0 : (pages + 1) / 2 * 4096 - (size_t)offset % 4096;
}

/* The C library's, by a name that is not replaced: how a 64-bit offset gets to the kernel differs. */
static ssize_t child_pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
	struct iovec block = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = len };

	return pwritev(fd, &block, 1, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t offset)
{
	enum die_how how;
	bool dies = child_dies(&how);
	ssize_t result;

	if (dies && how == DIE_BEFORE)
		child_die();
	result = child_pwrite(fd, bytes, dies && how == DIE_HALFWAY ? child_half(len, offset) : len,
			     offset);
	if (dies)
		child_die();
	return result;
}

static bool child_copy(int from, const char *to)
{
	static _Thread_local char block[65536];
	int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	off_t at = 0;
	ssize_t len = 0;

	while (out >= 0 && (len = pread(from, block, sizeof block, at)) > 0) {
		if (write(out, block, (size_t)len) != len)
			break;
		at += len;
	}
	if (out >= 0)
		close(out);
	return out >= 0 && len == 0;
}

/* There is no power cut: instead of waiting for the disk, the file's bytes are copied. */
static int child_sync(int fd)
{
	char path[160], temporary[192];

	if (!child_image(path, child_images, fd))
		return 0;
	snprintf(temporary, sizeof temporary, "%s.%ld", path, (long)syscall(SYS_gettid));
	return child_copy(fd, temporary) && rename(temporary, path) == 0 ? 0 : -1;
}

#define CHILD_SYNC(name) \
	int name(int fd) \
	{ \
		enum die_how how; \
		bool dies = child_dies(&how); \
		int result; \
		if (dies && how != DIE_AFTER) \
			child_die(); \
		result = child_sync(fd); \
		if (dies) \
			child_die(); \
		return result; \
	}

CHILD_SYNC(fsync)
CHILD_SYNC(fdatasync)

/* --- the child --- */

struct child_engine {
	int fd;
	struct ft_options options;
	struct ft_logger *log;
	struct ft_engine *engine;
	sem_t notified;
};

static bool child_write(int fd, const void *bytes, size_t len)
{
	const char *from = bytes;

	while (len > 0) {
		ssize_t n = send(fd, from, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		from += n;
		len -= (size_t)n;
	}
	return true;
}

static bool child_read(int fd, void *bytes, size_t len)
{
	char *to = bytes;

	while (len > 0) {
		ssize_t n = recv(fd, to, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		to += n;
		len -= (size_t)n;
	}
	return true;
}

static bool child_say(int fd, enum wire_kind kind, uint32_t seq, int status, const char *text)
{
	struct wire wire = {
		.kind = kind, .seq = seq, .status = status, .len = (uint32_t)strlen(text),
	};

	return child_write(fd, &wire, sizeof wire) && child_write(fd, text, wire.len);
}

static void child_log(void *context, enum ft_log_level level, const char *line)
{
	struct child_engine *own = context;

	if (level >= FT_LOG_ERROR)
		child_say(own->fd, WIRE_LOG, 0, (int)level, line);
}

static void child_respond(void *context, const struct ft_request *request,
			  const struct ft_reply *reply)
{
	struct child_engine *own = context;
	size_t room = ft_reply_room(reply);
	char *text = malloc(room);
	struct ft_buf buf = ft_buf_on(text, room);
	uint32_t seq;

	memcpy(&seq, request->correlation, sizeof seq);
	ft_reply_write(&buf, reply);
	child_say(own->fd, WIRE_RESPONSE, seq, 0, ft_buf_ok(&buf) ? text : "overflow");
	free(text);
}

static void child_notify(void *context)
{
	sem_post(&((struct child_engine *)context)->notified);
}

static void child_start_engine(struct child_engine *own, const struct child_setup *setup)
{
	const struct ft_engine_hooks hooks = { own, child_respond, child_notify };
	struct ft_store_config config = {
		.dir = setup->dir, .durability = setup->durability, .boot_id = setup->boot_id,
		.max_open = setup->max_open,
	};
	struct ft_store *store = NULL;

	sem_init(&own->notified, 0, 0);
	ft_options_init(&own->options);
	own->options.durability = (int)setup->durability;
	own->options.min_free_space = 0;
	own->options.gc_interval = 1;
	own->options.assemble_timeout = 300;
	own->options.segments_ttl = 1000;
	own->options.segments_ttl_min = 300;
	own->options.segments_ttl_max = 2000;
	own->options.max_file_size = setup->max_file_size;
	own->options.max_segment_size = setup->max_segment_size;
	config.log = own->log = ft_logger_new(child_log, own);
	if (ft_store_backend(setup->backend)->open(&config, &store) != FT_OK
	    || ft_engine_new(&own->options, &store, own->log, &hooks, &own->engine) != FT_OK) {
		child_say(own->fd, WIRE_LOG, 0, 0, "the engine does not start");
		_exit(3);
	}
	ft_engine_run(own->engine, setup->now_ms);
}

static void child_command(struct child_engine *own, const struct wire *wire)
{
	char *topic = malloc(wire->topic_len + 1);
	char *payload = malloc(wire->len + 1);
	struct ft_request request = {
		.client_id = wire->client, .topic = topic,
		.correlation = &wire->seq, .correlation_len = sizeof wire->seq,
	};
	enum ft_status st;

	if (!child_read(own->fd, topic, wire->topic_len) || !child_read(own->fd, payload, wire->len))
		_exit(0);
	st = ft_engine_command(own->engine, &request, wire->len > 0 ? payload : NULL, wire->len,
			       wire->now_ms);
	free(topic);
	free(payload);
	child_say(own->fd, WIRE_PUBACK, wire->seq, (int)st, "");
}

static void child_run(struct child_engine *own, const struct wire *wire)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += (long)wire->wait_ms * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	if (wire->wait_ms > 0)
		(void)(sem_timedwait(&own->notified, &until) == 0);
	ft_engine_run(own->engine, wire->now_ms);
	child_say(own->fd, WIRE_DONE, wire->seq, 0, "");
}

static void child_stop_engine(struct child_engine *own, uint32_t seq)
{
	atomic_store(&child_die_at, 0);
	ft_engine_free(&own->engine);
	ft_logger_free(own->log);
	ft_options_release(&own->options);
	sem_destroy(&own->notified);
	child_say(own->fd, WIRE_DONE, seq, 0, "");
	exit(0);	/* not _exit(): leaks are to be found */
}

static void child_main(int fd, const struct child_setup *setup)
{
	struct child_engine own = { .fd = fd };
	struct wire wire;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (setup->quiet && (fd = open("/dev/null", O_WRONLY)) >= 0)
		dup2(fd, STDERR_FILENO);
	child_images = setup->images;
	atomic_store(&child_die_how, setup->die_how);
	atomic_store(&child_die_at, setup->die_at);
	child_start_engine(&own, setup);
	while (child_read(own.fd, &wire, sizeof wire)) {
		if (wire.die_at > 0) {
			atomic_store(&child_die_how, wire.die_how);
			atomic_store(&child_die_at, wire.die_at);
		}
		if (wire.kind == WIRE_COMMAND)
			child_command(&own, &wire);
		else if (wire.kind == WIRE_RUN)
			child_run(&own, &wire);
		else
			child_stop_engine(&own, wire.seq);
		if (own.log)
			ft_logger_drain(own.log);
	}
	_exit(0);
}

static bool child_start(struct child *child, const struct child_setup *setup)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return false;
	fflush(NULL);
	child->pid = fork();
	if (child->pid == 0) {
		close(pair[0]);
		child_main(pair[1], setup);
	}
	close(pair[1]);
	child->fd = pair[0];
	return child->pid > 0;
}

static void child_kill(const struct child *child)
{
	if (child->pid > 0)
		kill(child->pid, SIGKILL);
}

/* Waits for its end; returns its wait status. */
static int child_end(struct child *child)
{
	int status = 0;

	if (child->pid > 0)
		waitpid(child->pid, &status, 0);
	if (child->fd >= 0)
		close(child->fd);
	child->pid = 0;
	child->fd = -1;
	return status;
}

/* --- power cut: what was not flushed is gone --- */

/*
 * Brings a file back to its last fsync: what was written since is zeros, or, with
 * `shorter`, not there at all.
 */
static void child_revert(int dir, const char *name, const char *images, bool shorter)
{
	int fd = openat(dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	char path[160], block[4096];
	struct stat info;
	off_t at = 0;
	ssize_t len;
	int image;

	if (fd < 0 || fstat(fd, &info) != 0 || !child_image(path, images, fd)) {
		if (fd >= 0)
			close(fd);
		return;
	}
	image = open(path, O_RDONLY | O_CLOEXEC);
	(void)!syscall(SYS_ftruncate, fd, 0);
	while (image >= 0 && (len = read(image, block, sizeof block)) > 0) {
		(void)!child_pwrite(fd, block, (size_t)len, at);
		at += len;
	}
	if (!shorter && at < info.st_size)
		(void)!syscall(SYS_ftruncate, fd, (long)info.st_size);
	if (image >= 0)
		close(image);
	close(fd);
}

#endif
