/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * What the records of the log carry in their head, and how it is written.
 *
 *	kind		flags			offset	head		bytes
 *	BEGIN		CHECK, ANSWER		-	facts		-
 *	DESCRIBE	-			-	terms		-
 *	REFUSE		-			-	-		-
 *	BYTES		ANSWER			offset	-		the segment
 *	FIN		CHECKSUM, ANSWER,	size	ticket		SHA-256, if CHECKSUM
 *			SAME, VERIFIED
 *	ABORT		ANSWER			-	-		-
 *	EXPIRE		-			-	-		-
 *	NEWS		-			-	-		-	number 0: only time has passed
 *
 * Heads are little endian, without gaps: u64 numbers, u8 flags (0 or 1) and choices, and
 * texts as u32 length and bytes; in a ticket a NUL follows, which the length does not count.
 *
 *	facts	text owner, text file, text name, u8 has_size, u64 size, u8 has_checksum,
 *		32 bytes checksum, terms, text transfer_id, u64 received_ms
 *	terms	u8 has_expire_at, u64 expire_at, u64 segments_ttl, u8 responses, text user_data
 *	ticket	text client_id, text topic, u8 has_response_topic, text response_topic,
 *		u8 has_correlation, text correlation
 *
 * What is absent is zeros. A reader that comes to the end too early, or does not come to it,
 * says FT_DAMAGED. Decoded text is borrowed from the head.
 */
#ifndef FT_LOG_RECORD_H
#define FT_LOG_RECORD_H

#include <stdint.h>

#include "base/buf.h"
#include "file_transfer/status.h"
#include "log/log.h"
#include "protocol/facts.h"
#include "protocol/request.h"

/* Flags of a record; on disk: never renumber. */
enum ft_record_flag {
	FT_RECORD_CHECK = 1,	/* BEGIN: the id may be finished: ask the catalog before it counts */
	FT_RECORD_ANSWER = 2,	/* the broker's thread waits for the writer's result */
	FT_RECORD_CHECKSUM = 4,	/* FIN: a checksum follows */
	FT_RECORD_SAME = 8,	/* FIN: of an init: its owner has finished these bytes; not replayed */
	FT_RECORD_VERIFIED = 16,	/* FIN: of a put: its bytes had that checksum when they came */
};

/* Room that is always enough for a head; ids and user_data included. */
size_t ft_record_facts_room(const struct ft_facts *facts);
size_t ft_record_terms_room(const struct ft_terms *terms);
size_t ft_record_ticket_room(const struct ft_request *request);

/* Append a head to a buffer. */
void ft_record_write_facts(struct ft_buf *buf, const struct ft_facts *facts);
void ft_record_write_terms(struct ft_buf *buf, const struct ft_terms *terms);
void ft_record_write_ticket(struct ft_buf *buf, const struct ft_request *request);

/*
 * Read a head; what is read obeys the rules of init (lengths, what a name may be, booleans are
 * 0 or 1), but that user_data is not parsed again. The number is the record's. Texts of a
 * ticket are NUL-terminated within the head; its owner is not kept. Error: FT_DAMAGED.
 */
enum ft_status ft_record_read_facts(struct ft_facts *facts,
				    const struct ft_log_record *record) FT_MUST_USE;
enum ft_status ft_record_read_terms(struct ft_terms *terms,
				    const struct ft_log_record *record) FT_MUST_USE;
enum ft_status ft_record_read_ticket(struct ft_request *request,
				     const struct ft_log_record *record) FT_MUST_USE;
enum ft_status ft_record_read_fin(struct ft_fin *fin,
				  const struct ft_log_record *record) FT_MUST_USE;

#endif
