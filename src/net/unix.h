/* Unix sockets: the file that one is.  What is listened on and connected is a socket as any other
 * (net/acceptor.h, net/tcp.h). */
#ifndef GNT_NET_UNIX_H
#define GNT_NET_UNIX_H

#include "base/err.h"

#include <sys/stat.h>
#include <sys/un.h>

enum { GNT_UNIX_PATH_MAX = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1 };

/* GNT_TOOBIG: the path is longer than GNT_UNIX_PATH_MAX. */
GNT_MUST gnt_err gnt_unix_address(const char *path, struct sockaddr_un *out);

/* Which file a path was when it was listened on. */
struct gnt_unix_file {
    dev_t device;
    ino_t inode;
};

/* A listening socket as of gnt_tcp_listen, at PATH, with MODE for its file: who may write it may
 * connect.  A socket there that nobody listens on any more is replaced.
 *   GNT_BUSY    somebody listens there, or is just about to
 *   GNT_EXISTS  what is there is no socket
 * errno says more about other failures. */
GNT_MUST gnt_err gnt_unix_listen(const char *path, mode_t mode, int backlog, int *fd,
                                 struct gnt_unix_file *file);

/* Removes PATH, if it still is FILE. */
void gnt_unix_remove(const char *path, const struct gnt_unix_file *file);

#endif
