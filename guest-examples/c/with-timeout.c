/* Limits the time of a program, and distinguishes a timeout from a crash.
 *
 * Usage: with-timeout MILLISECONDS PROGRAM [ARGS]... */

#include <capspawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

int main(int argc, char **argv)
{
	if (argc < 3) {
		fputs("usage: with-timeout MILLISECONDS PROGRAM [ARGS]...\n", stderr);
		return 1;
	}
	/* The grant's limit still applies: a component can request less time, but not more. */
	posix_spawnattr_t attributes;
	posix_spawnattr_init(&attributes);
	capspawn_setattr_timeout(&attributes, strtoull(argv[1], NULL, 10));

	pid_t child;
	int status, error = posix_spawnp(&child, argv[2], NULL, &attributes, argv + 2, environ);
	posix_spawnattr_destroy(&attributes);
	if (error) {
		printf("%s did not run: %s\n", argv[2], strerror(error));
		return 0;
	}
	waitpid(child, &status, 0);
	/* Only an end by the host has a reason. */
	const char *reason = capspawn_kill_reason(child);
	if (reason && !strcmp(reason, "timeout"))
		puts("too slow");
	else if (WIFEXITED(status) && !WEXITSTATUS(status))
		puts("in time");
	else if (WIFEXITED(status))
		printf("failed in time: exited with %d\n", WEXITSTATUS(status));
	else
		printf("failed in time: was ended by signal %d\n", WTERMSIG(status));
	return 0;
}
