/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Encryption for the owners of certificates: CMS (RFC 5652) AuthEnvelopedData (RFC 5083) with
 * AES-256-GCM, written as it comes, DER. `openssl cms -decrypt -inform DER` opens it. The
 * broker never sees what is inside, and keys are managed elsewhere: this needs none that is
 * secret.
 *
 *	struct seal *seal = seal_new(paths, why, sizeof(why));
 *	struct sealing *sealing = sealing_new(seal, "/var/lib/x/1.p7m");
 *	sealing_add(sealing, bytes, len);	as often as there are bytes
 *	sealing_finish(&sealing);		now the file is there, whole and durable
 *	seal_free(&seal);
 *
 * Errors set errno. One thread at a time.
 */
#ifndef FT_PUT_SEAL_H
#define FT_PUT_SEAL_H

#include <stdbool.h>
#include <stddef.h>

struct seal;
struct sealing;

/* `recipients`: files with a certificate each, up to a NULL. NULL: `why` says what is wrong. */
struct seal *seal_new(const char *const *recipients, char *why, size_t room);
void seal_free(struct seal **seal);

/* Hex digits that are the same for the same recipients in the same order. */
const char *seal_mark(const struct seal *seal);

/* Begins a file, which has another name until it is finished. NULL: errno says why. `seal` must
 * outlive it. */
struct sealing *sealing_new(const struct seal *seal, const char *path);

bool sealing_add(struct sealing *sealing, const void *bytes, size_t len);

/* Takes `*sealing` in any case. False: errno says why, and nothing is left of the file. */
bool sealing_finish(struct sealing **sealing);

/* Removes what was written. */
void sealing_abandon(struct sealing **sealing);

#endif
