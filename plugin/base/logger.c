/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
#include "file_transfer/logger.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>

#define LINE_ROOM 1024
#define QUEUE_MAX 256

struct line {
	struct line *next;
	enum ft_log_level level;
	char text[];
};

struct ft_logger {
	ft_logger_sink *sink;
	void *context;
	pthread_t owner;
	pthread_mutex_t mutex;		/* guards what follows; never held while the sink runs */
	struct line *first;
	struct line **end;
	size_t queued;
	unsigned long dropped;		/* lines that came after the last one queued */
	atomic_bool any;		/* queued or dropped; a hint that needs no mutex */
};

struct ft_logger *ft_logger_new(ft_logger_sink *sink, void *context)
{
	struct ft_logger *log = calloc(1, sizeof *log);

	if (!log)
		return NULL;
	if (pthread_mutex_init(&log->mutex, NULL) != 0) {
		free(log);
		return NULL;
	}
	log->sink = sink;
	log->context = context;
	log->owner = pthread_self();
	log->end = &log->first;
	return log;
}

void ft_logger_free(struct ft_logger *log)
{
	if (!log)
		return;
	ft_logger_drain(log);
	pthread_mutex_destroy(&log->mutex);
	free(log);
}

/* One event is one line: names out of the file system and from clients may hold anything. */
static void logger_make_one_line(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char byte = (unsigned char)text[i];

		if (byte < 0x20 || byte == 0x7f)
			text[i] = '?';
	}
}

/* A cut may have gone through the last UTF-8 character: that one goes too. */
static size_t logger_whole_characters(const char *text, size_t len)
{
	size_t start = len;

	while (start > 0 && len - start < 3 && ((unsigned char)text[start - 1] & 0xc0) == 0x80)
		start--;
	return start > 0 && (unsigned char)text[start - 1] >= 0xc0 ? start - 1 : len;
}

__attribute__((format(printf, 2, 0)))
static size_t logger_format_line(char text[LINE_ROOM], const char *format, va_list args)
{
	int wanted = vsnprintf(text, LINE_ROOM, format, args);
	size_t len = wanted < 0 ? 0 : (size_t)wanted;

	if (len >= LINE_ROOM)
		len = logger_whole_characters(text, LINE_ROOM - 1);
	text[len] = '\0';
	logger_make_one_line(text, len);
	return len;
}

static void logger_enqueue(struct ft_logger *log, enum ft_log_level level, const char *text,
			   size_t len)
{
	struct line *line = malloc(sizeof *line + len + 1);

	if (line) {
		line->next = NULL;
		line->level = level;
		memcpy(line->text, text, len + 1);
	}
	pthread_mutex_lock(&log->mutex);
	/* Once lines were dropped none may follow until that was told: order would lie. */
	if (line && log->queued < QUEUE_MAX && log->dropped == 0) {
		*log->end = line;
		log->end = &line->next;
		log->queued++;
		line = NULL;
	} else {
		log->dropped++;
	}
	atomic_store_explicit(&log->any, true, memory_order_relaxed);
	pthread_mutex_unlock(&log->mutex);
	free(line);
}

void ft_logger_printf(struct ft_logger *log, enum ft_log_level level, const char *format, ...)
{
	char text[LINE_ROOM];
	int saved_errno = errno;
	va_list args;
	size_t len;

	if (!log)
		return;
	va_start(args, format);
	len = logger_format_line(text, format, args);
	va_end(args);
	if (pthread_equal(pthread_self(), log->owner)) {
		ft_logger_drain(log);
		log->sink(log->context, level, text);
	} else {
		logger_enqueue(log, level, text, len);
	}
	errno = saved_errno;
}

static struct line *logger_take_all(struct ft_logger *log, unsigned long *dropped)
{
	struct line *taken;

	pthread_mutex_lock(&log->mutex);
	taken = log->first;
	*dropped = log->dropped;
	log->first = NULL;
	log->end = &log->first;
	log->queued = 0;
	log->dropped = 0;
	atomic_store_explicit(&log->any, false, memory_order_relaxed);
	pthread_mutex_unlock(&log->mutex);
	return taken;
}

void ft_logger_drain(struct ft_logger *log)
{
	char text[LINE_ROOM];
	unsigned long dropped;
	struct line *line;

	if (!log || !atomic_load_explicit(&log->any, memory_order_relaxed))
		return;
	line = logger_take_all(log, &dropped);
	while (line) {
		struct line *next = line->next;

		log->sink(log->context, line->level, line->text);
		free(line);
		line = next;
	}
	if (dropped == 0)
		return;
	snprintf(text, sizeof text, "%lu log lines were dropped: too many at once", dropped);
	log->sink(log->context, FT_LOG_WARNING, text);
}
