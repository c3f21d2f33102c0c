/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/* What the machine says: clocks, boot, random names, errors. Any thread. */
#ifndef FT_BASE_SYSTEM_H
#define FT_BASE_SYSTEM_H

#include <stdbool.h>
#include <stdint.h>

#define FT_UUID_ROOM 37		/* 36 characters and the NUL */
#define FT_RFC3339_ROOM 25	/* 2026-01-31T23:59:59.123Z and the NUL */
#define FT_ERROR_ROOM 128

/* Milliseconds of CLOCK_MONOTONIC: for intervals. */
int64_t ft_clock_ms(void);

/* The same clock, some milliseconds behind, but at hardly any cost: for every loop pass. */
int64_t ft_clock_coarse_ms(void);

/* Milliseconds since the epoch: for people and files. */
int64_t ft_clock_unix_ms(void);

/* Sleeps; for threads that nobody waits for. */
void ft_sleep_ms(int ms);

/* Unix milliseconds as RFC 3339 in UTC with milliseconds; years below 0 or above 9999 are clamped. */
void ft_rfc3339(char text[FT_RFC3339_ROOM], int64_t unix_ms);

/* A random (version 4) UUID in lower case. */
void ft_uuid(char text[FT_UUID_ROOM]);

/*
 * What strerror() says of an errno, in any thread; in `room` or constant. Use it instead of
 * strerror_r(), which is one function in glibc and another in musl.
 */
const char *ft_error_text(int error, char room[FT_ERROR_ROOM]);

/* The kernel's boot id, another one after each boot. False: it cannot be read. */
bool ft_boot_id(char text[FT_UUID_ROOM]);

#endif
