/* posix_spawn of POSIX.1-2024, for components. What a component cannot have is accepted where it
 * changes nothing that a program can observe, and an error otherwise; see README.md. */
#ifndef CAPSPAWN_SPAWN_H
#define CAPSPAWN_SPAWN_H

#include <sys/types.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef __cplusplus
#define CAPSPAWN_RESTRICT
#else
#define CAPSPAWN_RESTRICT restrict
#endif

struct sched_param;

#define POSIX_SPAWN_RESETIDS 0x01
#define POSIX_SPAWN_SETPGROUP 0x02
#define POSIX_SPAWN_SETSIGDEF 0x04
#define POSIX_SPAWN_SETSIGMASK 0x08
#define POSIX_SPAWN_SETSCHEDPARAM 0x10
#define POSIX_SPAWN_SETSCHEDULER 0x20
#define POSIX_SPAWN_USEVFORK 0x40
#define POSIX_SPAWN_SETSID 0x80

typedef struct {
	short flags;
	pid_t group;
	sigset_t defaults, mask;
	int policy, priority;
	uint64_t timeout_ns;
} posix_spawnattr_t;

typedef struct {
	struct capspawn_action *actions;
	size_t count;
} posix_spawn_file_actions_t;

int posix_spawn(pid_t *CAPSPAWN_RESTRICT pid, const char *CAPSPAWN_RESTRICT path,
	const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *CAPSPAWN_RESTRICT attributes,
	char *const *CAPSPAWN_RESTRICT argv, char *const *CAPSPAWN_RESTRICT envp);
int posix_spawnp(pid_t *CAPSPAWN_RESTRICT pid, const char *CAPSPAWN_RESTRICT file,
	const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *CAPSPAWN_RESTRICT attributes,
	char *const *CAPSPAWN_RESTRICT argv, char *const *CAPSPAWN_RESTRICT envp);

int posix_spawn_file_actions_init(posix_spawn_file_actions_t *);
int posix_spawn_file_actions_destroy(posix_spawn_file_actions_t *);
int posix_spawn_file_actions_adddup2(posix_spawn_file_actions_t *, int from, int to);
int posix_spawn_file_actions_addclose(posix_spawn_file_actions_t *, int);
int posix_spawn_file_actions_addopen(posix_spawn_file_actions_t *CAPSPAWN_RESTRICT, int,
	const char *CAPSPAWN_RESTRICT path, int flags, mode_t);
int posix_spawn_file_actions_addchdir(posix_spawn_file_actions_t *CAPSPAWN_RESTRICT,
	const char *CAPSPAWN_RESTRICT path);
int posix_spawn_file_actions_addchdir_np(posix_spawn_file_actions_t *CAPSPAWN_RESTRICT,
	const char *CAPSPAWN_RESTRICT path);
int posix_spawn_file_actions_addfchdir(posix_spawn_file_actions_t *, int);
int posix_spawn_file_actions_addfchdir_np(posix_spawn_file_actions_t *, int);

int posix_spawnattr_init(posix_spawnattr_t *);
int posix_spawnattr_destroy(posix_spawnattr_t *);
int posix_spawnattr_setflags(posix_spawnattr_t *, short);
int posix_spawnattr_getflags(const posix_spawnattr_t *CAPSPAWN_RESTRICT, short *CAPSPAWN_RESTRICT);
int posix_spawnattr_setpgroup(posix_spawnattr_t *, pid_t);
int posix_spawnattr_getpgroup(const posix_spawnattr_t *CAPSPAWN_RESTRICT, pid_t *CAPSPAWN_RESTRICT);
int posix_spawnattr_setsigdefault(posix_spawnattr_t *CAPSPAWN_RESTRICT, const sigset_t *CAPSPAWN_RESTRICT);
int posix_spawnattr_getsigdefault(const posix_spawnattr_t *CAPSPAWN_RESTRICT, sigset_t *CAPSPAWN_RESTRICT);
int posix_spawnattr_setsigmask(posix_spawnattr_t *CAPSPAWN_RESTRICT, const sigset_t *CAPSPAWN_RESTRICT);
int posix_spawnattr_getsigmask(const posix_spawnattr_t *CAPSPAWN_RESTRICT, sigset_t *CAPSPAWN_RESTRICT);
int posix_spawnattr_setschedparam(posix_spawnattr_t *CAPSPAWN_RESTRICT,
	const struct sched_param *CAPSPAWN_RESTRICT);
int posix_spawnattr_setschedpolicy(posix_spawnattr_t *, int);

#ifdef __cplusplus
}
#endif

#endif
