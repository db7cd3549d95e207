/* A password from the user: asked for, twice and without showing it, where standard input is a
 * terminal; else the first line of it. */
#ifndef GNT_CLI_PASSWORD_H
#define GNT_CLI_PASSWORD_H

#include <stddef.h>

/* Fills PASSWORD, with a zero byte.  Returns an exit code; what went wrong has been said. */
int gnt_password_read(const char *command, char *password, size_t cap);

/* The same once, for one that is there already, behind PROMPT. */
int gnt_password_ask(const char *command, const char *prompt, char *password, size_t cap);

#endif
