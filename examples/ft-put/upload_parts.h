/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What upload.c (what to send, and when) and upload_answers.c share. */
#ifndef FT_PUT_UPLOAD_PARTS_H
#define FT_PUT_UPLOAD_PARTS_H

#include "upload.h"

/* EIP-21 reason codes, in PUBACK and response alike. */
#define CODE_SUCCESS 0x00
#define CODE_BEGIN_AGAIN 0x10
#define CODE_ERROR 0x80
#define CODE_GIVE_UP 0x83
#define CODE_NOT_AUTHORIZED 0x87
#define CODE_TOO_LARGE 0x95
#define CODE_PAUSE 0x97

void upload_enter(struct upload *upload, enum upload_phase phase);
/* The first phase of a transfer that is not to be aborted. */
enum upload_phase upload_first_phase(const struct upload *upload);
/* PUT has not worked out: the same by INIT. */
void upload_leave_put(struct upload *upload);
void upload_forget_segments(struct upload *upload);
/* The first verdict counts. */
void upload_finish(struct upload *upload, enum upload_verdict verdict);
void upload_headway(struct upload *upload, int64_t now);
void upload_begin_again(struct upload *upload, enum upload_phase phase);
void upload_pause_until(struct upload *upload, int64_t until);
void upload_back_off(struct upload *upload, int64_t now);
/* A segment that has to go again. */
void upload_give_back(struct upload *upload, const struct span *piece);
void upload_drop_flight(struct upload *upload, unsigned i);
void upload_trouble(struct upload *upload, const struct answer *answer, int64_t now);
bool upload_makes_smaller(struct upload *upload, const struct span *piece, bool too_large);

#endif
