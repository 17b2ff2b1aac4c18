// One way in which loading a plugin can fail, chosen by BAD_WAY. Plain C ABI, no sdk layer: what is wrong here must be
// wrong in the bytes.
#include "orlop/abi/plugin.h"

namespace {

void nothing(void*) {}
void nothing_call(void*, uint64_t, orlop_slice, orlop_slice, int64_t) {}
void nothing_wake(void*, uint32_t) {}
orlop_code fine(void*) {
  return ORLOP_OK;
}
orlop_code answer(orlop_completion done, void* user) {
  done(user, ORLOP_OK, {nullptr, 0});
  return ORLOP_OK;
}

orlop_code create(const orlop_host*, orlop_plugin* out) {
  if (BAD_WAY == 4) return ORLOP_UNAVAILABLE;
  out->size = sizeof *out;
  out->init = [](void*, orlop_slice, orlop_completion done, void* user) { return answer(done, user); };
  out->start = [](void*, orlop_completion done, void* user) { return answer(done, user); };
  out->stop = &nothing;
  out->handle_call = BAD_WAY == 5 ? nullptr : &nothing_call;
  out->wake = &nothing_wake;
  out->health = &fine;
  out->destroy = &nothing;
  return ORLOP_OK;
}

}  // namespace

#if BAD_WAY != 3
extern "C" __attribute__((visibility("default")))
const orlop_entry orlop_plugin_entry = {BAD_WAY == 1 ? 0x1234u : ORLOP_PLUGIN_MAGIC,
                                        BAD_WAY == 2 ? ORLOP_ABI_MAJOR + 1 : ORLOP_ABI_MAJOR,
                                        BAD_WAY == 6 ? ORLOP_ABI_MINOR + 1 : ORLOP_ABI_MINOR,
                                        sizeof(orlop_entry),
                                        0,
                                        &create};
#else
const void* volatile keep = reinterpret_cast<const void*>(&create);
#endif
