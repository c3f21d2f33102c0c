/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Log lines from any thread to the operator.
 *
 * The broker's log belongs to the broker's thread. A line written on that thread
 * goes out at once; a line from a worker waits in a bounded queue until the
 * broker's thread calls ft_logger_drain(). When the queue is full, lines are
 * dropped and their number is logged.
 *
 * Lines carry no prefix and no newline; the sink adds what its log wants.
 */
#ifndef FILE_TRANSFER_LOGGER_H
#define FILE_TRANSFER_LOGGER_H

enum ft_log_level {
	FT_LOG_DEBUG,
	FT_LOG_INFO,
	FT_LOG_NOTICE,
	FT_LOG_WARNING,
	FT_LOG_ERROR,
};

struct ft_logger;

/* Where lines end up; called on the thread that called ft_logger_new() only. */
typedef void ft_logger_sink(void *context, enum ft_log_level level, const char *line);

/* A log whose sink runs on the calling thread. NULL when out of memory. */
struct ft_logger *ft_logger_new(ft_logger_sink *sink, void *context);

/* Passes on what is queued, then frees the log. NULL is ignored. */
void ft_logger_free(struct ft_logger *log);

/* Writes one line, at most 1023 bytes (longer ones are cut). Any thread. NULL log: does nothing. */
__attribute__((format(printf, 3, 4)))
void ft_logger_printf(struct ft_logger *log, enum ft_log_level level, const char *format, ...);

/* Passes queued lines to the sink. The thread that called ft_logger_new() only. */
void ft_logger_drain(struct ft_logger *log);

#endif
