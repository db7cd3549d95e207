/* A directory of a test's own, which it makes and removes. */
#ifndef GNT_TESTS_OWN_DIRECTORY_H
#define GNT_TESTS_OWN_DIRECTORY_H

#include <limits.h>
#include <stdio.h>

static char directory[64];

/* A path in the directory; four of them are good at a time. */
static inline const char *in_directory(const char *name)
{
    static char paths[4][PATH_MAX];
    static unsigned turn;
    char *path = paths[turn++ % 4];
    (void)snprintf(path, PATH_MAX, "%s/%s", directory, name);
    return path;
}

#endif
