/* Orlop plugin ABI: what the kernel gives a plugin. Id: orlop.host/1
 *
 * One table, the same for both hostings. Inline, a call is a jump into the kernel; isolated, it is a message over ipc.
 * A plugin cannot tell which.
 *
 * Threads: every function may be called from any thread, at any time between the entry's create() and the return of the
 * plugin's stop(). None may be called after that. Blocking functions say so.
 * Permissions: a plugin acts as `system:plugin:NAME`. What its manifest does not ask for answers ORLOP_FORBIDDEN.
 * Messages: protobuf, package orlop.v1, sdk/proto/orlop/v1.
 */
#ifndef ORLOP_ABI_HOST_H
#define ORLOP_ABI_HOST_H

#include "orlop/abi/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One stored object. Every slice points into the store and is valid during the visit only. */
typedef struct orlop_record {
  orlop_slice kind;       /* "pods", "deployments.apps": resource and group, as kubectl writes them */
  orlop_slice name_space; /* empty for kinds without namespaces */
  orlop_slice name;
  uint64_t revision;        /* of its last change: the object's resourceVersion */
  uint64_t create_revision; /* of its creation */
  orlop_slice value;        /* the kind's own message; metadata.resourceVersion is not in it */
} orlop_record;

enum { ORLOP_CREATED = 1, ORLOP_UPDATED = 2, ORLOP_DELETED = 3 };

/* One change of one object. The changes of one transaction have consecutive revisions and are never split over two
 * pulls. */
typedef struct orlop_change {
  int32_t type;        /* ORLOP_CREATED, ORLOP_UPDATED, ORLOP_DELETED */
  orlop_record record; /* after the change; when deleted, the last value before it, revision that of the deletion */
  uint64_t previous_revision; /* 0 when created */
  orlop_slice previous_value; /* only when the pull asked for it and there is one */
} orlop_change;

/* Return ORLOP_OK to go on; anything else ends the walk early without an error. Must not block nor call back into the
 * host. */
typedef orlop_code (*orlop_record_visitor)(void* user, const orlop_record* record);
typedef orlop_code (*orlop_change_visitor)(void* user, const orlop_change* change);

enum { ORLOP_TRACE = 0, ORLOP_DEBUG = 1, ORLOP_INFO = 2, ORLOP_WARN = 3, ORLOP_ERROR = 4 };

typedef struct orlop_host {
  uint32_t
      size; /* sizeof(orlop_host) of the host: a slot beyond it does not exist. Slots are only ever added at the end. */
  uint32_t abi_minor;
  void* context; /* first argument of each function below */

  /* --- since 1.0 ----------------------------------------------------------------------------------------------------
   */

  /* Reads. Blocking, short: served from the store's pages. `request` is an orlop.v1.GetRequest or ListRequest; records
   * arrive in key order (get: in the order asked, absent ones left out). `done` is called once, before the function
   * returns, with an orlop.v1.ReadResult or, on failure, an orlop.v1.Status.
   * ORLOP_GONE: the revision asked for has been compacted. ORLOP_FORBIDDEN: see above. */
  orlop_code (*get)(void* context, orlop_slice request, orlop_record_visitor visit, void* visit_user,
                    orlop_completion done, void* done_user);
  orlop_code (*list)(void* context, orlop_slice request, orlop_record_visitor visit, void* visit_user,
                     orlop_completion done, void* done_user);

  /* What changed after a cursor, oldest first. Blocking, short; never waits for a change. `request`:
   * orlop.v1.PullRequest; `done`: orlop.v1.PullResult with the next cursor. ORLOP_GONE: the cursor has been compacted;
   * list again. */
  orlop_code (*pull)(void* context, orlop_slice request, orlop_change_visitor visit, void* visit_user,
                     orlop_completion done, void* done_user);

  /* Asks that the plugin's wake() be called, with reason ORLOP_WAKE_CHANGES, after any change of the kinds named; all
   * kinds when the list is empty. Replaces what was asked before. `request`: orlop.v1.SubscribeRequest. A wake may be
   * spurious, several may be folded into one; none is lost: what changed before a wake is there to be pulled after it.
   */
  orlop_code (*subscribe)(void* context, orlop_slice request);

  /* Writes several objects or none. Returns at once; `done` gets an orlop.v1.CommitResult when the change is on disk
   * (or, for kinds of the relaxed class, ordered ahead of it). ORLOP_CONFLICT: a precondition did not hold. `request`:
   * orlop.v1.CommitRequest, copied before return. */
  void (*commit)(void* context, orlop_slice request, orlop_completion done, void* done_user);

  /* Calls a capability that another plugin provides. Returns at once; `done` gets the answer, or ORLOP_TIMEOUT after
   * the deadline, ORLOP_UNAVAILABLE when nobody provides it or its provider died meanwhile. `target`:
   * orlop.v1.CallTarget, `payload`: the method's request message; both copied before return. */
  void (*call)(void* context, orlop_slice target, orlop_slice payload, orlop_completion done, void* done_user);

  /* Answers a call that the plugin's handle_call() was given. Exactly once for each call. An answer after the deadline
   * is dropped. On failure `payload` is an orlop.v1.Status. */
  void (*respond)(void* context, uint64_t call_id, orlop_code code, orlop_slice payload);

  /* Asks for one wake() with reason ORLOP_WAKE_TIMER at or after a moment of the monotonic clock below. The earliest
   * moment that was asked for wins; after the wake, nothing is pending. */
  void (*wake_at)(void* context, int64_t monotonic_ns);

  /* Clocks; a test may hold them. Unit: nanoseconds. */
  int64_t (*monotonic_now_ns)(void* context);
  int64_t (*wall_now_ns)(void* context); /* since 1970-01-01T00:00:00Z */

  /* One line under the plugin's name. Never put a secret or a token into it. `message`: UTF-8, no line end. */
  void (*log)(void* context, int32_t level, orlop_slice message);

  /* The kernel's current revision: a pull from here sees what comes after this moment. */
  uint64_t (*revision)(void* context);

  /* Tells the kernel that the plugin has reached readiness, or lost it (`reason`: one sentence, empty when ready). A
   * plugin is ready after start() unless its manifest says `ready: reported`. */
  void (*set_ready)(void* context, int32_t ready, orlop_slice reason);
} orlop_host;

#ifdef __cplusplus
}
#endif
#endif
