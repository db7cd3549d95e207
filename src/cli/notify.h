/* Tells the service manager how the command is doing: sd_notify(3)'s protocol, a datagram to the
 * socket that $NOTIFY_SOCKET names.  Main thread. */
#ifndef GNT_CLI_NOTIFY_H
#define GNT_CLI_NOTIFY_H

/* Sends STATE: lines such as "READY=1".  Nothing happens without a service manager, and nothing is
 * done about one that does not listen: the command works without it. */
void gnt_notify(const char *state);

#endif
