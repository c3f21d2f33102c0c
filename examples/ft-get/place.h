/* SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause */
/*
 * Which file here a path of an offer becomes. Paths come from brokers: none may lead out of
 * the directory that the user has named.
 *
 *	struct places places;
 *	why = places_init(&places, output, several);		NULL: all is well
 *	char *file = place_file(&places, "models/m1", "models/");	DIR/m1; to be freed
 *	why = place_make_folders(&places, file);
 */
#ifndef FT_GET_PLACE_H
#define FT_GET_PLACE_H

#include <stdbool.h>

#define PLACE_PATH_MAX 512
#define PLACE_PATH_ROOM (PLACE_PATH_MAX + 2)

struct places {
	const char *folder;		/* NULL: `file` is named */
	const char *file;
};

/*
 * Whether it is a path that a broker may offer: 1 to 16 levels of 1 to 240 bytes, 512 in all,
 * UTF-8, none beginning with '.', no control characters, '+', '#', '\'.
 */
bool place_is_path(const char *path);

/*
 * `output` as it was given, or NULL; borrowed. With `several` files, or where it is a directory or
 * ends in '/', it is a directory.
 */
void places_init(struct places *places, const char *output, bool several);

/*
 * The file for a valid `path`: in a directory by its last part; if it was found below `folder`
 * (which ends in '/'; else NULL), by all behind that. To be freed; NULL: no memory.
 */
char *place_file(const struct places *places, const char *path, const char *folder);

/* With the working directory before it, where it does not begin with '/'. To be freed. */
char *place_absolute(const char *file);

/* Makes the directories that it is to be in. False: errno says why. */
bool place_make_folders(const struct places *places, const char *file);

#endif
