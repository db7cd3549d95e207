/* The subcommands: the rows of main.c's table.
 *
 * Each reads its own words (argv[0] is the first one behind its name), writes what it is for to
 * stdout and what went wrong to stderr, and returns the exit code of the process: 0, or one of
 * sysexits.h; gnatter pub and gnatter sub say in their --help what else. */
#ifndef GNT_CLI_COMMAND_H
#define GNT_CLI_COMMAND_H

int gnt_command_bench(int argc, char **argv);
int gnt_command_broker(int argc, char **argv);
int gnt_command_cert(int argc, char **argv);
int gnt_command_decode(int argc, char **argv);
int gnt_command_passwd(int argc, char **argv);
int gnt_command_peek(int argc, char **argv);
int gnt_command_pub(int argc, char **argv);
int gnt_command_queue(int argc, char **argv);
int gnt_command_receive(int argc, char **argv);
int gnt_command_send(int argc, char **argv);
int gnt_command_store(int argc, char **argv);
int gnt_command_sub(int argc, char **argv);
int gnt_command_thermometer(int argc, char **argv);

#endif
