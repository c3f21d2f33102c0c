/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Functions that cannot be used safely, or not safely enough, made compile errors.
 * Included by the compiler's command line into every file of the project.
 */
#ifndef FT_BASE_BANNED_H
#define FT_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#pragma GCC poison sprintf vsprintf strcpy strcat strtok atoi atol atoll gets

#endif
