/* Runs several children at once. The first one to end wins, and the others are killed.
 *
 * Usage: many-children PROGRAM ARG... starts PROGRAM once for each ARG. */

#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

int main(int argc, char **argv)
{
	if (argc < 3) {
		fputs("usage: many-children PROGRAM ARG...\n", stderr);
		return 1;
	}
	pid_t children[argc];
	for (int i = 2; i < argc; i++) {
		char *arguments[] = {argv[1], argv[i], NULL};
		int error = posix_spawnp(&children[i], argv[1], NULL, NULL, arguments, environ);
		if (error) {
			/* The children that run end with this component. */
			fprintf(stderr, "%s: %s\n", argv[1], strerror(error));
			return 1;
		}
	}
	int status;
	pid_t first = wait(&status);
	for (int i = 2; i < argc; i++) {
		if (children[i] != first)
			kill(children[i], SIGKILL);
		else if (WIFEXITED(status))
			printf("%s %s: exited with %d\n", argv[1], argv[i], WEXITSTATUS(status));
		else
			printf("%s %s: was ended by signal %d\n", argv[1], argv[i], WTERMSIG(status));
	}
	while (wait(NULL) > 0)
		;
	return 0;
}
