/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Makes any call fail that the plugin makes to the C library, libcrypto or cJSON's
 * allocator: the linker routes them all through here (--wrap, see the Makefile).
 *
 *	calls_arm(&(struct calls_plan){ .nth = 7 }); ... calls_disarm();
 *
 * The plan's nth call fails, or that and all later ones. After a run in which
 * calls.hits is 0 there is nothing left to try. Calls count by thread, so that the same
 * number means the same call: those of the test's thread, which plays the broker's, or
 * those of all others. What the test itself calls while armed goes between
 * calls_pause() and calls_resume().
 *
 * What is allocated and not freed is counted in calls.live. Include it once.
 */
#ifndef FT_TESTS_LIB_CALLS_H
#define FT_TESTS_LIB_CALLS_H

#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <search.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum calls_kind {
	CALLS_MEMORY = 1,
	CALLS_FILES = 2,
	CALLS_THREADS = 4,
	CALLS_HASH = 8,
};

struct calls_plan {
	unsigned nth;		/* from 1 */
	unsigned variant;	/* which of the errors that the call may have */
	unsigned kinds;		/* the calls that count; 0: all */
	bool persistent;
	bool workers;		/* those of other threads */
};

#define CALLS_SHORT (-1)	/* not an error: half of it is transferred */

static struct {
	struct calls_plan plan;
	pthread_t thread;
	atomic_bool armed;
	atomic_uint count;
	atomic_uint hits;
	atomic_bool hit_sync;		/* one of them was an fsync or fdatasync */
	atomic_uint variants;		/* how many errors the call that was hit may have */
	_Atomic(const char *) name;	/* the first that was hit */
	atomic_int error;
	atomic_long live;
	_Atomic(const void *) broken;	/* a lock that could not be made */
} calls;

static _Thread_local unsigned calls_paused;

static inline void calls_pause(void)
{
	calls_paused++;
}

static inline void calls_resume(void)
{
	calls_paused--;
}

static inline void calls_arm(const struct calls_plan *plan)
{
	calls.plan = *plan;
	calls.thread = pthread_self();
	calls.count = calls.hits = calls.variants = 0;
	calls.hit_sync = false;
	calls.name = NULL;
	calls.error = 0;
	calls.armed = true;
}

static inline void calls_disarm(void)
{
	calls.armed = false;
}

/* What is to be said of a run that went wrong. Static storage. */
static inline const char *calls_text(void)
{
	static char text[200];

	snprintf(text, sizeof text, "%s call %u of %s fails: %s (%s)",
		 calls.plan.persistent ? "from its" : "the", calls.plan.nth,
		 calls.plan.workers ? "the workers" : "the broker's thread",
		 calls.name ? calls.name : "none",
		 calls.error == CALLS_SHORT ? "half of it" : strerror(calls.error));
	return text;
}

/* FT_CALLS_TRACE=145: whence the 145th call comes, for addr2line. */
static inline void calls_trace(void)
{
	const char *wanted = getenv("FT_CALLS_TRACE");
	void *frames[24];

	if (!wanted || strtoul(wanted, NULL, 10) != calls.plan.nth || calls.plan.variant > 0)
		return;
	calls_pause();
	backtrace_symbols_fd(frames, backtrace(frames, 24), STDERR_FILENO);
	calls_resume();
}

/* The error that this call is to have now; 0: none. `errors` ends with 0. */
static inline int calls_error(enum calls_kind kind, const char *name, const int *errors)
{
	unsigned n, variants = 0;

	if (!calls.armed || calls_paused > 0 ||
	    calls.plan.workers == (pthread_equal(pthread_self(), calls.thread) != 0) ||
	    (calls.plan.kinds && !(calls.plan.kinds & kind)))
		return 0;
	n = atomic_fetch_add(&calls.count, 1) + 1;
	if (n != calls.plan.nth && !(calls.plan.persistent && n > calls.plan.nth))
		return 0;
	while (errors[variants] != 0 && !(calls.plan.persistent && errors[variants] == EINTR))
		variants++;
	if (atomic_fetch_add(&calls.hits, 1) == 0) {
		calls.name = name;
		calls.variants = variants;
		calls.error = errors[calls.plan.variant % variants];
		calls_trace();
	}
	if (strstr(name, "sync"))
		calls.hit_sync = true;
	return errors[calls.plan.variant % variants];
}

static inline bool calls_fail(enum calls_kind kind, const char *name, const int *errors)
{
	int error = calls_error(kind, name, errors);

	if (error > 0)
		errno = error;
	return error > 0;
}

/* EINTR comes last: where all calls fail from one on, it would never end. */
#define CALLS_ERRORS(...) ((const int[]){ __VA_ARGS__, 0 })

/* name(parameters), which returns `failed` where it is to fail. */
#define CALLS_WRAP(kind, type, failed, name, parameters, arguments, errors) \
	type __real_##name parameters; \
	type __wrap_##name parameters; \
	type __wrap_##name parameters \
	{ \
		return calls_fail(kind, #name, errors) ? (failed) : __real_##name arguments; \
	}

/* The same for a call that returns an error's number. */
#define CALLS_WRAP_NUMBER(kind, name, parameters, arguments, errors) \
	int __real_##name parameters; \
	int __wrap_##name parameters; \
	int __wrap_##name parameters \
	{ \
		int error_ = calls_error(kind, #name, errors); \
		return error_ ? error_ : __real_##name arguments; \
	}

/* --- memory --- */

#define CALLS_WRAP_ALLOCATION(type, name, parameters, arguments) \
	type __real_##name parameters; \
	type __wrap_##name parameters; \
	type __wrap_##name parameters \
	{ \
		type got = calls_fail(CALLS_MEMORY, #name, CALLS_ERRORS(ENOMEM)) ? NULL \
			: __real_##name arguments; \
		calls.live += got != NULL; \
		return got; \
	}

CALLS_WRAP_ALLOCATION(void *, malloc, (size_t size), (size))
CALLS_WRAP_ALLOCATION(void *, calloc, (size_t count, size_t size), (count, size))
CALLS_WRAP_ALLOCATION(char *, strdup, (const char *text), (text))
CALLS_WRAP_ALLOCATION(char *, strndup, (const char *text, size_t len), (text, len))
CALLS_WRAP_ALLOCATION(EVP_MD_CTX *, EVP_MD_CTX_new, (void), ())
CALLS_WRAP_ALLOCATION(EVP_MD *, EVP_MD_fetch,
		      (OSSL_LIB_CTX *context, const char *name, const char *properties),
		      (context, name, properties))

/* Its memory is libc's own, and is not counted. */
CALLS_WRAP(CALLS_MEMORY, void *, NULL, tsearch,
	   (const void *key, void **root, int (*compare)(const void *, const void *)),
	   (key, root, compare), CALLS_ERRORS(ENOMEM))

void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);
void __real_free(void *memory);
void __wrap_free(void *memory);
void __real_EVP_MD_CTX_free(EVP_MD_CTX *context);
void __wrap_EVP_MD_CTX_free(EVP_MD_CTX *context);
void __real_EVP_MD_free(EVP_MD *digest);
void __wrap_EVP_MD_free(EVP_MD *digest);

void *__wrap_realloc(void *old, size_t size)
{
	void *got = calls_fail(CALLS_MEMORY, "realloc", CALLS_ERRORS(ENOMEM)) ? NULL
		: __real_realloc(old, size);

	calls.live += got && !old;
	return got;
}

void __wrap_free(void *memory)
{
	calls.live -= memory != NULL;
	__real_free(memory);
}

void __wrap_EVP_MD_CTX_free(EVP_MD_CTX *context)
{
	calls.live -= context != NULL;
	__real_EVP_MD_CTX_free(context);
}

void __wrap_EVP_MD_free(EVP_MD *digest)
{
	calls.live -= digest != NULL;
	__real_EVP_MD_free(digest);
}

/* cJSON's functions are in a library of their own: they are told. */
static inline void calls_take_cjson(void)
{
	cJSON_InitHooks(&(cJSON_Hooks){ .malloc_fn = __wrap_malloc, .free_fn = __wrap_free });
}

/* --- hashing --- */

CALLS_WRAP(CALLS_HASH, int, 0, EVP_DigestInit_ex,
	   (EVP_MD_CTX *context, const EVP_MD *type, ENGINE *engine), (context, type, engine),
	   CALLS_ERRORS(ENOMEM))
CALLS_WRAP(CALLS_HASH, int, 0, EVP_DigestUpdate,
	   (EVP_MD_CTX *context, const void *bytes, size_t len), (context, bytes, len),
	   CALLS_ERRORS(ENOMEM))
CALLS_WRAP(CALLS_HASH, int, 0, EVP_MD_CTX_copy_ex, (EVP_MD_CTX *to, const EVP_MD_CTX *from),
	   (to, from), CALLS_ERRORS(ENOMEM))
CALLS_WRAP(CALLS_HASH, int, 0, EVP_DigestFinal_ex,
	   (EVP_MD_CTX *context, unsigned char *digest, unsigned *len), (context, digest, len),
	   CALLS_ERRORS(ENOMEM))

/* --- threads --- */

CALLS_WRAP_NUMBER(CALLS_THREADS, pthread_create,
		  (pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
		   void *argument), (thread, attributes, run, argument), CALLS_ERRORS(EAGAIN))
CALLS_WRAP_NUMBER(CALLS_THREADS, pthread_condattr_init, (pthread_condattr_t *attributes),
		  (attributes), CALLS_ERRORS(ENOMEM))
CALLS_WRAP(CALLS_THREADS, int, -1, eventfd, (unsigned value, int flags), (value, flags),
	   CALLS_ERRORS(EMFILE, ENOMEM))
CALLS_WRAP(CALLS_THREADS, ssize_t, -1, getrandom, (void *bytes, size_t len, unsigned flags),
	   (bytes, len, flags), CALLS_ERRORS(ENOSYS))
CALLS_WRAP(CALLS_THREADS, int, -1, sigaction,
	   (int number, const struct sigaction *action, struct sigaction *before),
	   (number, action, before), CALLS_ERRORS(EINVAL))

/* Who uses a lock that could not be made is found out. */
#define CALLS_WRAP_LOCK(name, type, attributes_type) \
	int __real_##name(type *lock, const attributes_type *attributes); \
	int __wrap_##name(type *lock, const attributes_type *attributes); \
	int __wrap_##name(type *lock, const attributes_type *attributes) \
	{ \
		int error_ = calls_error(CALLS_THREADS, #name, CALLS_ERRORS(ENOMEM)); \
		if (error_) \
			calls.broken = lock; \
		else if (calls.broken == lock) \
			calls.broken = NULL; \
		return error_ ? error_ : __real_##name(lock, attributes); \
	}

#define CALLS_CHECK_LOCK(name, type, parameters, arguments) \
	int __real_##name parameters; \
	int __wrap_##name parameters; \
	int __wrap_##name parameters \
	{ \
		if (calls.broken == lock) { \
			fprintf(stderr, "%s: " #name "() of what could not be made\n", calls_text()); \
			abort(); \
		} \
		return __real_##name arguments; \
	}

CALLS_WRAP_LOCK(pthread_mutex_init, pthread_mutex_t, pthread_mutexattr_t)
CALLS_WRAP_LOCK(pthread_cond_init, pthread_cond_t, pthread_condattr_t)
CALLS_CHECK_LOCK(pthread_mutex_lock, pthread_mutex_t, (pthread_mutex_t *lock), (lock))
CALLS_CHECK_LOCK(pthread_mutex_destroy, pthread_mutex_t, (pthread_mutex_t *lock), (lock))
CALLS_CHECK_LOCK(pthread_cond_signal, pthread_cond_t, (pthread_cond_t *lock), (lock))
CALLS_CHECK_LOCK(pthread_cond_destroy, pthread_cond_t, (pthread_cond_t *lock), (lock))
CALLS_CHECK_LOCK(pthread_cond_wait, pthread_cond_t, (pthread_cond_t *lock, pthread_mutex_t *mutex),
		 (lock, mutex))

/* --- files --- */

int __real_openat64(int dir, const char *path, int flags, ...);
int __wrap_openat64(int dir, const char *path, int flags, ...);
int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);

/* EMFILE and its like: what an open may have. */
#define CALLS_OPEN_ERRORS CALLS_ERRORS(EIO, EMFILE, ENOSPC, EDQUOT, ENOMEM, EINTR)

/* Only what may make a file is told the mode that it is to have. */
static inline mode_t calls_open_mode(int flags, va_list more)
{
	return flags & O_CREAT ? va_arg(more, mode_t) : 0;
}

int __wrap_openat64(int dir, const char *path, int flags, ...)
{
	va_list more;
	mode_t mode;

	va_start(more, flags);
	mode = calls_open_mode(flags, more);
	va_end(more);
	return calls_fail(CALLS_FILES, "openat", CALLS_OPEN_ERRORS) ? -1
		: __real_openat64(dir, path, flags, mode);
}

int __wrap_open64(const char *path, int flags, ...)
{
	va_list more;
	mode_t mode;

	va_start(more, flags);
	mode = calls_open_mode(flags, more);
	va_end(more);
	return calls_fail(CALLS_FILES, "open", CALLS_ERRORS(EIO, EMFILE, ENOMEM)) ? -1
		: __real_open64(path, flags, mode);
}

/* The plugin's only use is to duplicate. */
int __real_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...);

int __wrap_fcntl64(int fd, int command, ...)
{
	va_list more;
	int argument;

	va_start(more, command);
	argument = va_arg(more, int);
	va_end(more);
	return calls_fail(CALLS_FILES, "fcntl", CALLS_ERRORS(EMFILE)) ? -1
		: __real_fcntl64(fd, command, argument);
}

ssize_t __real_pwrite64(int fd, const void *bytes, size_t len, off_t offset);
ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t len, off_t offset);
ssize_t __real_pread64(int fd, void *bytes, size_t len, off_t offset);
ssize_t __wrap_pread64(int fd, void *bytes, size_t len, off_t offset);

/* An error's number in errno, or a length to transfer. */
static inline bool calls_transfer(const char *name, size_t *len, const int *errors)
{
	int error = calls_error(CALLS_FILES, name, errors);

	if (error == CALLS_SHORT && *len > 1)
		*len /= 2;
	if (error > 0)
		errno = error;
	return error > 0;
}

ssize_t __wrap_pwrite64(int fd, const void *bytes, size_t len, off_t offset)
{
	if (calls_transfer("pwrite", &len, CALLS_ERRORS(EIO, ENOSPC, EDQUOT, EFBIG, CALLS_SHORT, EINTR)))
		return -1;
	return __real_pwrite64(fd, bytes, len, offset);
}

ssize_t __wrap_pread64(int fd, void *bytes, size_t len, off_t offset)
{
	if (calls_transfer("pread", &len, CALLS_ERRORS(EIO, CALLS_SHORT, EINTR)))
		return -1;
	return __real_pread64(fd, bytes, len, offset);
}

#define CALLS_WRAP_FILE(name, parameters, arguments, ...) \
	CALLS_WRAP(CALLS_FILES, int, -1, name, parameters, arguments, CALLS_ERRORS(__VA_ARGS__))

CALLS_WRAP_FILE(mkdirat, (int dir, const char *path, mode_t mode), (dir, path, mode),
		EIO, ENOSPC, EDQUOT)
CALLS_WRAP_FILE(mkdir, (const char *path, mode_t mode), (path, mode), EACCES, ENOSPC)
CALLS_WRAP_FILE(access, (const char *path, int mode), (path, mode), EACCES)
CALLS_WRAP_FILE(stat64, (const char *path, struct stat *st), (path, st), EACCES)
CALLS_WRAP_FILE(flock, (int fd, int operation), (fd, operation), ENOLCK, EWOULDBLOCK)
CALLS_WRAP_FILE(fchmod, (int fd, mode_t mode), (fd, mode), EIO)
CALLS_WRAP_FILE(fstat64, (int fd, struct stat *st), (fd, st), EIO)
CALLS_WRAP_FILE(fstatat64, (int dir, const char *path, struct stat *st, int flags),
		(dir, path, st, flags), EIO, ENOMEM)
CALLS_WRAP_FILE(fstatvfs64, (int fd, struct statvfs *st), (fd, st), EIO, EINTR)
CALLS_WRAP_FILE(ftruncate64, (int fd, off_t len), (fd, len), EIO, EINTR)
CALLS_WRAP_FILE(fallocate64, (int fd, int mode, off_t offset, off_t len), (fd, mode, offset, len),
		EOPNOTSUPP, ENOSPC, EINTR)
CALLS_WRAP_FILE(renameat, (int from_dir, const char *from, int to_dir, const char *to),
		(from_dir, from, to_dir, to), EIO, ENOSPC, EDQUOT)
CALLS_WRAP_FILE(unlinkat, (int dir, const char *path, int flags), (dir, path, flags), EIO)
CALLS_WRAP_FILE(sync_file_range, (int fd, off_t offset, off_t len, unsigned flags),
		(fd, offset, len, flags), EIO, ENOSPC)
CALLS_WRAP(CALLS_FILES, void *, MAP_FAILED, mmap64,
	   (void *at, size_t len, int protection, int flags, int fd, off_t offset),
	   (at, len, protection, flags, fd, offset), CALLS_ERRORS(ENOMEM, ENODEV))
CALLS_WRAP(CALLS_FILES, DIR *, NULL, fdopendir, (int fd), (fd), CALLS_ERRORS(ENOMEM))
CALLS_WRAP(CALLS_FILES, DIR *, NULL, opendir, (const char *path), (path), CALLS_ERRORS(EMFILE))
CALLS_WRAP(CALLS_FILES, struct dirent *, NULL, readdir64, (DIR *dir), (dir), CALLS_ERRORS(EIO))

CALLS_WRAP_FILE(fchmodat, (int dir, const char *path, mode_t mode, int flags), (dir, path, mode, flags), EIO)

/* Nothing is cut off from power here: a flush that is to succeed need not take its time. */
int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_syncfs(int fd);

int __wrap_syncfs(int fd)
{
	(void)fd;
	return calls_fail(CALLS_FILES, "syncfs", CALLS_ERRORS(EIO, ENOSPC, EINTR)) ? -1 : 0;
}

int __wrap_fsync(int fd)
{
	(void)fd;
	return calls_fail(CALLS_FILES, "fsync", CALLS_ERRORS(EIO, ENOSPC, EDQUOT, EINTR)) ? -1 : 0;
}

int __wrap_fdatasync(int fd)
{
	(void)fd;
	return calls_fail(CALLS_FILES, "fdatasync", CALLS_ERRORS(EIO, ENOSPC, EDQUOT, EINTR)) ? -1 : 0;
}

#endif
