/* What POSIX does not have: time limits, several children at once, and the reasons of the host. */
#ifndef CAPSPAWN_H
#define CAPSPAWN_H

#include <spawn.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The host kills the child this many milliseconds after its start. The grant's limit still
 * applies. Returns 0 or an error number. */
int capspawn_setattr_timeout(posix_spawnattr_t *, uint64_t milliseconds);

/* As waitpid, for at most `milliseconds`. Returns 0 if the child still runs then. */
pid_t capspawn_wait_timeout(pid_t pid, int *status, uint64_t milliseconds);

/* SIGTERM for the child and all that it started, and SIGKILL after the grace period for what still
 * runs. Returns without waiting. Returns 0, or -1 with `errno`. */
int capspawn_kill_tree(pid_t pid, uint64_t grace_milliseconds);

/* Why the host ended a child that waitpid has reported last: "timeout", "memory", "cpu-time",
 * "processes", "file-size", "output", "requested" and so on, or NULL if the host did not. */
const char *capspawn_kill_reason(pid_t pid);

/* Why the last start failed, in words. */
const char *capspawn_reason(void);

/* A program that was run to its end, with its output. Each buffer has a NUL byte after its end. */
struct capspawn_output {
	/* As of waitpid. */
	int status;
	char *out, *err;
	size_t out_length, err_length;
};

/* Runs a program to its end. `input` becomes its standard input; NULL is an empty one. Returns 0 or
 * an error number; on 0 the output belongs to the caller, who frees it with `capspawn_output_free`. */
int capspawn_run(char *const argv[], const void *input, size_t input_length, struct capspawn_output *);
void capspawn_output_free(struct capspawn_output *);

#ifdef __cplusplus
}
#endif

#endif
