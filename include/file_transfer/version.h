/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * The version of the project, said here only: the Makefile, the packages and the manual
 * pages take it from this line. MAJOR.MINOR.PATCH as semver.org has it.
 *
 * What a version promises is in docs/install.md, "What is stable".
 */
#ifndef FILE_TRANSFER_VERSION_H
#define FILE_TRANSFER_VERSION_H

#define FT_VERSION "0.2.0"

#endif
