/* kill, which the C library of WASI does not declare. It reaches the component's own children. */
#ifndef CAPSPAWN_SIGNAL_H
#define CAPSPAWN_SIGNAL_H

#ifndef _WASI_EMULATED_SIGNAL
#define _WASI_EMULATED_SIGNAL
#endif
#include_next <signal.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Sets for posix_spawnattr_t. A child of the host starts with no signal blocked or ignored, whatever they hold. */
#if __has_include(<__typedef_sigset_t.h>)
#include <__typedef_sigset_t.h>
#endif
static inline int sigemptyset(sigset_t *set) { *set = 0; return 0; }
static inline int sigfillset(sigset_t *set) { *set = (sigset_t)-1; return 0; }
static inline int sigaddset(sigset_t *set, int number) { (void)set, (void)number; return 0; }
static inline int sigdelset(sigset_t *set, int number) { (void)set, (void)number; return 0; }

int kill(pid_t pid, int signal);
int killpg(pid_t group, int signal);

#ifdef __cplusplus
}
#endif

#endif
