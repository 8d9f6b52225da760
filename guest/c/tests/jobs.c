/* A program in the usual style, which knows nothing of components: runs commands, two at a time, as make -j2. */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

extern char **environ;

static int running, failed;

static void reap(void)
{
	int status;
	pid_t pid;
	do
		pid = wait(&status);
	while (pid < 0 && errno == EINTR);
	running--;
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		failed++;
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (running == 2)
			reap();
		char *command[] = {"sh", "-c", argv[i], NULL};
		pid_t pid;
		int error = posix_spawnp(&pid, "sh", NULL, NULL, command, environ);
		if (error) {
			fprintf(stderr, "%s: %s\n", argv[i], strerror(error));
			return 2;
		}
		running++;
	}
	while (running)
		reap();
	printf("%d jobs failed\n", failed);
	return failed != 0;
}
