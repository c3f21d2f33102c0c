/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The outcome of everything: one enum, one table.
 *
 * Every function that can fail returns an enum ft_status; FT_OK is 0. The table
 * below is the only place that knows what a status is called on the wire
 * (EIP-21 "reason_description"), which reason code the response carries, which
 * PUBACK an MQTT 5 client gets, and when it makes sense to try again.
 *
 * Threads: everything here is constant and may be used from any thread.
 */
#ifndef FILE_TRANSFER_STATUS_H
#define FILE_TRANSFER_STATUS_H

#include <stdbool.h>
#include <stdint.h>

/* What the PUBACK of an MQTT 5 command says; a broker older than 2.1 has no QUOTA. */
enum ft_puback {
	FT_PUBACK_SUCCESS,	/* 0x00 */
	FT_PUBACK_BEGIN_AGAIN,	/* 0x10, EIP-21: start the transfer again */
	FT_PUBACK_REFUSED,	/* 0x87 not authorized: the one refusal every broker can send */
	FT_PUBACK_QUOTA,	/* 0x97 quota exceeded: pause, then send the same again */
};

/*
 * X(symbol, reason_description, reason_code, puback, retry_after in seconds (0: none), text)
 *
 * The text is one plain sentence: `detail` of every answer that has nothing better to say.
 *
 * The last three never reach a client under their own name.
 */
#define FT_STATUS_TABLE(X) \
	X(FT_OK, "success", 0x00, FT_PUBACK_SUCCESS, 0, "success") \
	X(FT_NO_SUCH_TRANSFER, "no_such_transfer", 0x10, FT_PUBACK_BEGIN_AGAIN, 0, \
	  "this transfer was never begun, was aborted, or has expired: begin with init") \
	X(FT_FILE_CHECKSUM_MISMATCH, "file_checksum_mismatch", 0x10, FT_PUBACK_BEGIN_AGAIN, 0, \
	  "the bytes held do not have the checksum that was announced: send them again") \
	X(FT_CHECKSUM_MISMATCH, "checksum_mismatch", 0x80, FT_PUBACK_REFUSED, 0, \
	  "the segment does not have the checksum in its topic and was not stored: send it again") \
	X(FT_INCOMPLETE, "incomplete", 0x80, FT_PUBACK_REFUSED, 0, \
	  "bytes are missing: send them, then fin again") \
	X(FT_IO_ERROR, "io_error", 0x80, FT_PUBACK_REFUSED, 0, \
	  "the broker's storage failed: try again later") \
	X(FT_TIMEOUT, "timeout", 0x80, FT_PUBACK_REFUSED, 0, \
	  "assembly took longer than the broker allows: try again later") \
	X(FT_INTERNAL_ERROR, "internal_error", 0x80, FT_PUBACK_REFUSED, 0, \
	  "the broker could not do it: try again later") \
	X(FT_INVALID_FILEID, "invalid_fileid", 0x83, FT_PUBACK_REFUSED, 0, \
	  "a file id is 1 to 255 bytes of UTF-8") \
	X(FT_INVALID_FILE_COMMAND, "invalid_file_command", 0x83, FT_PUBACK_REFUSED, 0, \
	  "no command has a topic of this shape") \
	X(FT_INVALID_OFFSET, "invalid_offset", 0x83, FT_PUBACK_REFUSED, 0, \
	  "an offset is decimal digits, and offset + length at most 2^63-1") \
	X(FT_INVALID_SIZE, "invalid_size", 0x83, FT_PUBACK_REFUSED, 0, \
	  "a size is decimal digits, at most 2^63-1") \
	X(FT_INVALID_CHECKSUM, "invalid_checksum", 0x83, FT_PUBACK_REFUSED, 0, \
	  "a checksum is SHA-256 in 64 hex digits") \
	X(FT_INVALID_FILEMETA, "invalid_filemeta", 0x83, FT_PUBACK_REFUSED, 0, \
	  "the init payload breaks a rule") \
	X(FT_INVALID_FILEMETA_JSON, "invalid_filemeta_json", 0x83, FT_PUBACK_REFUSED, 0, \
	  "the init payload is not JSON") \
	X(FT_FILEMETA_CONFLICT, "filemeta_conflict", 0x83, FT_PUBACK_REFUSED, 0, \
	  "this id was begun with another name, size or checksum: use a new id") \
	X(FT_ALREADY_COMPLETE, "already_complete", 0x83, FT_PUBACK_REFUSED, 0, \
	  "this id is finished with other content: use a new id") \
	X(FT_FILE_TOO_LARGE, "file_too_large", 0x83, FT_PUBACK_REFUSED, 0, \
	  "the file is larger than the broker accepts") \
	X(FT_SEGMENT_TOO_LARGE, "segment_too_large", 0x83, FT_PUBACK_REFUSED, 0, \
	  "the segment is larger than the broker accepts: send smaller ones") \
	X(FT_NAME_REFUSED, "name_refused", 0x83, FT_PUBACK_REFUSED, 0, \
	  "the broker does not accept files of this name") \
	X(FT_FILE_CHANGED, "file_changed", 0x10, FT_PUBACK_BEGIN_AGAIN, 0, \
	  "another content is offered under this path: begin again with it") \
	X(FT_NO_SUCH_FILE, "no_such_file", 0x83, FT_PUBACK_REFUSED, 0, \
	  "nothing is offered to this client under this path") \
	X(FT_INVALID_PATH, "invalid_path", 0x83, FT_PUBACK_REFUSED, 0, \
	  "a path is 1 to 16 levels of UTF-8, none of which is empty, begins with a dot, or has " \
	  "more than 240 bytes, control characters, +, # or a backslash") \
	X(FT_INVALID_LENGTH, "invalid_length", 0x83, FT_PUBACK_REFUSED, 0, \
	  "a length is decimal digits, and at least 1") \
	X(FT_INVALID_REPORT, "invalid_report", 0x83, FT_PUBACK_REFUSED, 0, \
	  "the report breaks a rule") \
	X(FT_BLOCK_TOO_LARGE, "block_too_large", 0x83, FT_PUBACK_REFUSED, 0, \
	  "the block is larger than max_block: ask for smaller ones") \
	X(FT_REJECTED, "rejected", 0x83, FT_PUBACK_REFUSED, 0, \
	  "the broker's operator does not accept this file: give up") \
	X(FT_QUOTA_EXCEEDED, "quota_exceeded", 0x97, FT_PUBACK_QUOTA, 60, \
	  "the broker holds as much as it may: try again later") \
	X(FT_DISK_FULL, "disk_full", 0x97, FT_PUBACK_QUOTA, 60, \
	  "the broker's disk is full: try again later") \
	X(FT_TOO_MANY_TRANSFERS, "too_many_transfers", 0x97, FT_PUBACK_QUOTA, 60, \
	  "too many transfers are unfinished: finish or abort others first") \
	X(FT_RATE_LIMITED, "rate_limited", 0x97, FT_PUBACK_QUOTA, 1, \
	  "more was sent than is allowed in this time: slow down") \
	X(FT_PAUSED, "paused", 0x97, FT_PUBACK_QUOTA, 30, \
	  "an operator has paused this: the same will be accepted later") \
	X(FT_BUSY, "busy", 0x97, FT_PUBACK_QUOTA, 1, \
	  "the broker has too much to do at the moment: try again soon") \
	X(FT_NO_MEMORY, "internal_error", 0x80, FT_PUBACK_REFUSED, 0, \
	  "the broker is out of memory: try again later") \
	X(FT_DAMAGED, "no_such_transfer", 0x10, FT_PUBACK_BEGIN_AGAIN, 0, \
	  "what was held was damaged and has been set aside: begin again with init") \
	X(FT_CANCELLED, "internal_error", 0x80, FT_PUBACK_REFUSED, 0, \
	  "the broker stopped before it was done: try again later")

enum ft_status {
#define X(symbol, word, code, puback, retry, text) symbol,
	FT_STATUS_TABLE(X)
#undef X
	FT_STATUS_COUNT
};

#if defined(__GNUC__)
#define FT_MUST_USE __attribute__((warn_unused_result))
#else
#define FT_MUST_USE
#endif

/* The EIP-21 reason_description, such as "no_such_transfer". Static storage. */
const char *ft_status_word(enum ft_status status);

/* The reason_code of the response, such as 0x10. */
uint8_t ft_status_code(enum ft_status status);

/* The acknowledgement that an MQTT 5 client gets. */
enum ft_puback ft_status_puback(enum ft_status status);

/* Seconds after which the same command may succeed; 0 where waiting does not help. */
unsigned ft_status_retry_after(enum ft_status status);

/* One line for people: what is wrong and what to do. Static storage. */
const char *ft_status_text(enum ft_status status);

#endif
