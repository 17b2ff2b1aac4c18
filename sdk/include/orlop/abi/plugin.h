/* Orlop plugin ABI: what a plugin gives the kernel. Id: orlop.plugin/1
 *
 * A plugin is one shared library that exports one symbol, `orlop_plugin_entry`, a constant. Its manifest is YAML in the
 * ELF section `orlop_manifest`, so that it can be read without loading the library (sdk/README.md, "The manifest").
 *
 * Life: create → init → start → (handle_call, wake, health)* → stop → destroy. The kernel never unloads the library.
 * Threads: init, start, stop and destroy are called from one thread, one after another. handle_call, wake and health
 * may be called from any thread, also at the same time; they must return at once and do the work elsewhere: a plugin
 * owns its threads. A plugin that does not return from them for longer than the lifecycle's hang limit is taken for
 * hung; isolated, it is killed and started again.
 */
#ifndef ORLOP_ABI_PLUGIN_H
#define ORLOP_ABI_PLUGIN_H

#include "orlop/abi/host.h"
#include "orlop/abi/types.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { ORLOP_WAKE_CHANGES = 1, ORLOP_WAKE_TIMER = 2 };

/* The plugin's functions. Slots are only ever added at the end. */
typedef struct orlop_plugin {
  uint32_t size; /* sizeof(orlop_plugin) of the plugin */
  uint32_t reserved;
  void* self; /* first argument of each function below; owned by the plugin until destroy() */

  /* --- since 1.0 ----------------------------------------------------------------------------------------------------
   */

  /* Once, first. `config` is a google.protobuf.Struct that has passed the manifest's config schema, defaults filled in.
   * No call of a capability yet. On failure the plugin answers through `done` with an orlop.v1.Status (else an empty
   * payload), before it returns, and is destroyed. */
  orlop_code (*init)(void* self, orlop_slice config, orlop_completion done, void* done_user);

  /* Everything that the manifest requires is started. May create threads. Same rule for `done`. */
  orlop_code (*start)(void* self, orlop_completion done, void* done_user);

  /* Stops intake, cancels, waits for its threads, returns. After it the plugin calls no host function. */
  void (*stop)(void* self);

  /* A call of a capability that the plugin provides. `method` is "package.Service/Method". Both slices are valid during
   * the call only. Answer with host->respond(call_id), from here or later from any thread. `deadline_ns`: monotonic
   * clock. */
  void (*handle_call)(void* self, uint64_t call_id, orlop_slice method, orlop_slice payload, int64_t deadline_ns);

  /* Something that was asked for has come: ORLOP_WAKE_CHANGES, ORLOP_WAKE_TIMER or both. Must do nothing but wake. */
  void (*wake)(void* self, uint32_t reasons);

  /* ORLOP_OK, or what is wrong. Called about once a second; answers at once. */
  orlop_code (*health)(void* self);

  void (*destroy)(void* self);
} orlop_plugin;

#define ORLOP_PLUGIN_MAGIC 0x504f4c524fu /* "OROLP" */

typedef struct orlop_entry {
  uint64_t magic; /* ORLOP_PLUGIN_MAGIC; checked before anything else is read */
  uint32_t abi_major;
  uint32_t abi_minor;
  uint32_t size; /* sizeof(orlop_entry) of the plugin */
  uint32_t reserved;
  /* Fills `out` (whose `size` holds the host's sizeof on entry). `host` outlives the plugin. Must not start threads. */
  orlop_code (*create)(const orlop_host* host, orlop_plugin* out);
} orlop_entry;

/* The one exported symbol. */
#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
extern const orlop_entry orlop_plugin_entry;

#ifdef __cplusplus
}
#endif
#endif
