/* A program in the usual style, which knows nothing of components: reads two pipes with select. */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

int main(void)
{
	int ends[2][2];
	char text[2][256] = {"", ""};
	posix_spawn_file_actions_t actions;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	for (int i = 0; i < 2; i++) {
		if (pipe(ends[i]))
			return 1;
		posix_spawn_file_actions_adddup2(&actions, ends[i][1], i + 1);
		posix_spawn_file_actions_addclose(&actions, ends[i][0]);
		posix_spawn_file_actions_addclose(&actions, ends[i][1]);
	}
	char *argv[] = {"sh", "-c", "echo one; sleep 0.1; echo two >&2", NULL};
	pid_t pid;
	if (posix_spawnp(&pid, "sh", &actions, NULL, argv, environ))
		return 1;
	posix_spawn_file_actions_destroy(&actions);
	close(ends[0][1]);
	close(ends[1][1]);
	int open_ends = 2;
	while (open_ends) {
		fd_set set;
		int highest = -1;
		FD_ZERO(&set);
		for (int i = 0; i < 2; i++)
			if (ends[i][0] >= 0) {
				FD_SET(ends[i][0], &set);
				if (ends[i][0] > highest)
					highest = ends[i][0];
			}
		if (select(highest + 1, &set, NULL, NULL, NULL) < 0) {
			perror("select");
			return 1;
		}
		for (int i = 0; i < 2; i++) {
			if (ends[i][0] < 0 || !FD_ISSET(ends[i][0], &set))
				continue;
			size_t length = strlen(text[i]);
			ssize_t count = read(ends[i][0], text[i] + length, sizeof text[i] - length - 1);
			if (count <= 0) {
				close(ends[i][0]);
				ends[i][0] = -1;
				open_ends--;
			}
		}
	}
	int status;
	if (waitpid(pid, &status, 0) != pid || status)
		return 1;
	printf("stdout: %sstderr: %s", text[0], text[1]);
	return 0;
}
