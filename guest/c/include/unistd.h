/* What the C library of WASI does not declare, since it cannot have it without this library. */
#ifndef CAPSPAWN_UNISTD_H
#define CAPSPAWN_UNISTD_H

#include_next <unistd.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

int pipe(int ends[2]);
int pipe2(int ends[2], int flags);
int dup(int fd);
int dup2(int from, int to);
int dup3(int from, int to, int flags);

/* Start the program, and end as it does. */
int execv(const char *path, char *const argv[]);
int execve(const char *path, char *const argv[], char *const envp[]);
int execvp(const char *file, char *const argv[]);

#ifdef __cplusplus
}
#endif

#endif
